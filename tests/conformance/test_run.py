"""Unit tests of run.py: `python3 -m unittest discover -s tests/conformance`."""
import tomllib, unittest

from run import Outcome, below_floor, printed_floors, raised, runnable, selected, unexplained, untrue_lists


def outcome(failed=()):
    return Outcome("cnosdb", {"a": {"one", "two", "three"}, "b": {"one"}}, set(failed))


class Lists(unittest.TestCase):
    def test_what_passed_is_what_ran_and_did_not_fail(self):
        self.assertEqual(outcome([("a", "one")]).passed(), {("a", "two"), ("a", "three"), ("b", "one")})
        self.assertEqual(outcome([("a", "one")]).passed("b"), {("b", "one")})

    def test_a_file_and_the_whole_suite_have_floors(self):
        floors = {"total": 4, "a": 3, "b": 1, "elsewhere": 9}
        self.assertEqual(list(below_floor(outcome(), floors)), [])
        found = list(below_floor(outcome([("a", "one")]), floors))
        self.assertEqual([line.split(":")[0] for line in found], ["cnosdb total", "cnosdb a"])

    def test_a_listed_case_that_passes_must_be_taken_out(self):
        listed = {("cnosdb", "a", "one")}
        self.assertEqual(list(untrue_lists(outcome([("a", "one")]), set(), listed, True)), [])
        self.assertEqual(len(list(untrue_lists(outcome(), set(), listed, True))), 1)
        self.assertEqual(len(list(untrue_lists(outcome(), listed, set(), True))), 1)

    def test_a_listed_case_must_exist(self):
        gone = {("cnosdb", "a", "gone"), ("cnosdb", "not run", "x"), ("influxql", "a", "x")}
        self.assertEqual(len(list(untrue_lists(outcome(), set(), gone, True))), 1)
        self.assertEqual(list(untrue_lists(outcome(), set(), gone, False)), [])

    def test_strictly_every_failure_is_explained(self):
        failing = outcome([("a", "one"), ("a", "two")])
        self.assertEqual(len(list(unexplained(failing, {("cnosdb", "a", "one")}))), 1)
        self.assertEqual(list(unexplained(failing, {("cnosdb", "a", "one"), ("cnosdb", "a", "two")})), [])


class Floors(unittest.TestCase):
    def test_floors_only_rise(self):
        made = raised({"cnosdb": {"total": 9, "a": 1}, "influxql": {"x": 5}}, [outcome([("a", "one")])])
        self.assertEqual(made, {"cnosdb": {"total": 9, "a": 2, "b": 1}, "influxql": {"x": 5}})

    def test_a_file_that_passes_nothing_gets_no_floor(self):
        made = raised({}, [outcome([("b", "one")])])
        self.assertEqual(made, {"cnosdb": {"total": 3, "a": 3}})

    def test_printed_floors_read_back_with_their_comment(self):
        floors = {"cnosdb": {"b": 1, "total": 3, "a": 2}, "influxql": {"x": 0}}
        text = printed_floors(floors, "# why\n# more\n\n[cnosdb]\nb = 0\n")
        self.assertEqual(tomllib.loads(text), floors)
        self.assertTrue(text.startswith("# why\n# more\n\n[cnosdb]\ntotal = 3\na = 2\nb = 1\n"), text)


class Selection(unittest.TestCase):
    def test_files_that_need_another_server_are_left_out(self):
        self.assertTrue(runnable("opentsdb", {}))
        self.assertTrue(runnable("opentsdb", {"server": "plain", "config_group": "default"}))
        self.assertTrue(runnable("opentsdb", {"config_group": "cors"}))
        self.assertTrue(runnable("cnosdb", {"server": "auth"}))
        self.assertFalse(runnable("opentsdb", {"server": "auth"}))

    def test_each_runner_matches_names_in_its_own_way(self):
        self.assertTrue(selected("cnosdb", "a", "one", "^on"))
        self.assertFalse(selected("cnosdb", "a", "one", "^a"))
        self.assertTrue(selected("tdengine", "a", "one", "^a.json:one$"))
        self.assertFalse(selected("opentsdb", "a", "one", "^one"))


if __name__ == "__main__":
    unittest.main()
