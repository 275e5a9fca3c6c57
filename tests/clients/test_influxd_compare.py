"""Unit tests of the differential test's parts: `python3 -m unittest discover -s tests/clients`."""
import random, tempfile, unittest
from pathlib import Path

from influxd_compare import AT_MOST, allow_list, differ, normal
from influxql_schema import Schema
from influxql_statements import Statements

ENTRY = '[[allowed]]\nquestions = "f[(]"\ndifferences = "theirs 1|only ours"\nexample = "f(1)"\ntheirs = "1"\nours = "2"\nreason = "why"\n'


def answer(*rows):
    return {"results": [{"series": [{"columns": ["time", "v"], "values": [list(row) for row in rows]}]}]}


class Differences(unittest.TestCase):
    def check(self, theirs, ours, difference):
        found = differ(normal(theirs), normal(ours))
        self.assertEqual(bool(found), bool(difference), found)
        self.assertIn(difference, found)

    def test_numbers_may_differ_by_rounding(self):
        self.check(answer([1, 0.1 + 0.2]), answer([1, 0.3]), "")
        self.check(answer([1, 11719142372802610]), answer([1, 11719142372802612]), "")
        self.check(answer([1, 3]), answer([1, 3.0]), "")
        self.check(answer([1, 1.5]), answer([1, 1.6]), "values[0][1]: theirs 1.5, ours 1.6")
        self.check(answer([1, 4]), answer([1, 5]), "theirs 4, ours 5")

    def test_times_types_and_what_is_missing_must_be_the_same(self):
        self.check(answer([1677628800000000001, 1]), answer([1677628800000000000, 1]), "[0][0]")
        self.check(answer([1, True]), answer([1, 1]), "theirs True, ours 1")
        self.check(answer([1, None]), answer([1, 0]), "theirs None, ours 0")
        self.check(answer([1, 1]), answer([1, 1], [2, 1]), "1 of theirs, 2 of ours")
        self.check({"results": [{}]}, answer([1, 1]), "only ours")

    def test_rows_of_one_time_come_in_any_order(self):
        self.check(answer([1, "a"], [1, "b"], [2, "c"]), answer([1, "b"], [1, "a"], [2, "c"]), "")
        self.check(answer([1, "a"], [2, "b"]), answer([2, "b"], [1, "a"]), "[0][0]")

    def test_a_number_that_json_cannot_hold_is_said_in_one_way(self):
        told = "200: json: error calling MarshalJSON for type httpd.Response: json: unsupported value: -Inf\n"
        self.check({"error": told}, {"error": "json: unsupported value: -Inf"}, "")

    def test_numbers_of_shards_are_nobody_s_business(self):
        said = lambda text: {"results": [{"error": text}]}
        self.check(said("shard 83: not supported"), said("shard 6: not supported"), "")
        self.check(said("shard 83: not supported"), said("shard 6: another"), "not supported")


class AllowList(unittest.TestCase):
    def entries(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "list.toml"
            path.write_text(text)
            return allow_list(path)

    def test_an_entry_covers_its_questions_and_differences(self):
        [entry] = self.entries(ENTRY)
        self.assertFalse(entry.covers("g(1)", "theirs 1, ours 2"))
        self.assertFalse(entry.covers("f(1)", "theirs 3, ours 2"))
        self.assertEqual(entry.used, 0)
        self.assertTrue(entry.covers("f(1)", "theirs 1, ours 2"))
        self.assertEqual(entry.used, 1)

    def test_an_error_is_no_known_difference(self):
        [entry] = self.entries(ENTRY)
        rows, failed = answer([1, 1]), {"results": [{"error": "out of reach"}]}
        self.assertTrue(entry.covers("f(1)", differ({"results": [{}]}, rows)))
        for theirs, ours in [(rows, failed), (rows, {"error": "500"}), ({"results": [{"error": "1"}]}, failed)]:
            self.assertFalse(entry.covers("f(1)", differ(theirs, ours)))

    def test_a_list_that_is_too_long_or_says_too_little_is_refused(self):
        self.assertEqual(len(self.entries(ENTRY * AT_MOST)), AT_MOST)
        self.assertRaises(ValueError, self.entries, ENTRY * (AT_MOST + 1))
        self.assertRaises(ValueError, self.entries, ENTRY.replace('reason = "why"', ""))
        self.assertRaises(ValueError, self.entries, ENTRY.replace("differences", "# differences"))
        self.assertRaises(ValueError, self.entries, ENTRY.replace('"f(1)"', '"g(1)"'))

    def test_ours_can_be_read(self):
        self.assertTrue(allow_list())


class Questions(unittest.TestCase):
    def round(self, seed, count=60):
        chance = random.Random(seed)
        statements = Statements(chance, schema := Schema(chance))
        lines = list(schema.lines())
        return lines, [statements.question() for _ in range(count)], list(statements.changes()), list(statements.afterwards())

    def test_a_seed_names_a_round(self):
        self.assertEqual(self.round("1/1"), self.round("1/1"))
        self.assertNotEqual(self.round("1/1"), self.round("1/2"))

    def test_the_grammar_is_met(self):
        met = " ".join(question for number in range(40) for question in self.round(f"grammar/{number}")[1])
        for part in ["holt_winters(", "atan2(", "count(distinct(", "mean(*)", "*::field", "::integer", "FROM (SELECT", "fill(linear)", "tz('",
                     "SOFFSET", "now()", "OR ", "!~", "SHOW TAG VALUES", "EXACT CARDINALITY", "ORDER BY time DESC", "elapsed(", '"quo\\"te"']:
            self.assertIn(part, met)


if __name__ == "__main__":
    unittest.main()
