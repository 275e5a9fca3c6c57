"""Unit tests of sum_up.py: `python3 -m unittest discover -s tools`."""
import unittest

from sum_up import counts


class Counts(unittest.TestCase):
    def check(self, line, expected):
        self.assertEqual(counts(line), expected, line)

    def test_each_runner_s_sum_is_read(self):
        self.check("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s", (12, 0))
        self.check("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured", (2, 1))
        self.check("influx shell: 29 passed, 0 failed", (29, 0))
        self.check("python influxdb, its own 1.8 tests: 79 passed, 1 failed", (79, 1))
        self.check("3 passed, 4 failed", (3, 4))
        self.check("Ran 17 tests in 0.001s", (17, 0))
        self.check("FAILED (failures=1)", (-1, 1))
        self.check("FAILED (errors=2)", (-2, 2))
        self.check("FAILED (failures=1, errors=2)", (-3, 3))

    def test_other_lines_count_nothing(self):
        self.check("== influxql: 281 of 291 cases pass; of the others 0 disputed", (0, 0))
        self.check("FAIL influx shell: 3 passed, 4 failed of something", (0, 0))
        self.check("test a ... ok", (0, 0))
        self.check("", (0, 0))


if __name__ == "__main__":
    unittest.main()
