"""Unit tests of the query benchmark: `python3 -m unittest discover -s benches`."""
import random, sys, unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import devops, queries, tsbs  # noqa: E402

DATA = devops.Data(100, tsbs.START_SECONDS, tsbs.START_SECONDS + 24 * 3600)


class Questions(unittest.TestCase):
    def test_the_seed_makes_the_same_questions_for_everyone(self):
        for query in devops.QUERIES:
            first, again, other = (devops.questions(query, DATA, 5, seed) for seed in (1, 1, 2))
            self.assertEqual(first, again, query.name)
            if query.name != "lastpoint":
                self.assertNotEqual(first, other, query.name)

    def test_times_are_within_the_data_and_begin_with_a_row(self):
        chance = random.Random(1)
        for seconds in (3600, 12 * 3600, 24 * 3600, 48 * 3600):
            for _ in range(50):
                start, end = DATA.stretch(chance, seconds)
                self.assertTrue(DATA.start <= start < end <= DATA.end)
                self.assertEqual((start - DATA.start) % tsbs.STEP_SECONDS, 0)
                self.assertEqual(end - start, min(seconds, 24 * 3600))

    def test_both_languages_ask_for_the_same(self):
        question = next(q for q in devops.QUERIES if q.name == "double-groupby-1").make(DATA, random.Random(1))
        self.assertRegex(question.influxql, r"^SELECT mean\(usage_user\) from cpu where time >= '.+Z' and time < '.+Z' group by time\(1h\),hostname$")
        self.assertIn("group by hostname, t", question.sql)


class Answers(unittest.TestCase):
    def test_numbers_may_differ_by_rounding_only(self):
        rows = [("host_1", 10, 1.0), ("host_2", 10, None)]
        self.assertIsNone(queries.differ(rows, [("host_1", 10, 1.0 + 1e-12), ("host_2", 10, None)]))
        self.assertIsNotNone(queries.differ(rows, [("host_1", 10, 1.1), ("host_2", 10, None)]))
        self.assertIsNotNone(queries.differ(rows, [("host_1", 10, 1), ("host_2", 10, 0)]))
        self.assertIsNotNone(queries.differ(rows, rows[:1]))

    def test_aims_are_missed_only_above_what_anyone_sees(self):
        def missed(tidegate, influxd, duckdb, is_scan=False):
            warm = {"tidegate": tidegate, "influxd": influxd, "duckdb": duckdb}
            return list(queries.misses({"is_scan": is_scan, "median": {"warm": warm}}))

        self.assertEqual(missed(0.004, 0.001, 0.001), [])
        self.assertEqual(missed(0.010, 0.020, 0.006), [])
        self.assertEqual(missed(0.010, 0.009, 0.006), ["slower than InfluxDB"])
        self.assertEqual(missed(0.010, 0.020, 0.004), ["over 2x of DuckDB"])
        self.assertEqual(missed(0.010, 0.049, 0.006, True), ["less than 5x faster than InfluxDB"])
        self.assertEqual(missed(0.010, 0.051, 0.006, True), [])


if __name__ == "__main__":
    unittest.main()
