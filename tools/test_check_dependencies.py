"""Unit tests of check_dependencies.py: `python3 -m unittest discover -s tools`."""
import unittest

from check_dependencies import Version, advisory_complaints, affected, licence_allowed, licence_complaints, matches

ALLOWED = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-3-Clause"}


class Licences(unittest.TestCase):
    def check(self, expression, expected):
        self.assertEqual(licence_allowed(expression, ALLOWED), expected, expression)

    def test_one_choice_that_we_take_is_enough(self):
        self.check("MIT", True)
        self.check("GPL-3.0", False)
        self.check("GPL-3.0 OR MIT", True)
        self.check("GPL-3.0/MIT", True)
        self.check("GPL-3.0 / LGPL-2.1", False)

    def test_what_is_joined_by_and_must_all_be_taken(self):
        self.check("MIT AND GPL-3.0", False)
        self.check("MIT AND BSD-3-Clause", True)
        self.check("(MIT OR GPL-3.0) AND BSD-3-Clause", True)
        self.check("(MIT OR GPL-3.0) AND OpenSSL", False)

    def test_and_binds_tighter_than_or(self):
        self.check("MIT OR GPL-3.0 AND OpenSSL", True)
        self.check("GPL-3.0 AND OpenSSL OR MIT", True)

    def test_an_exception_belongs_to_its_licence(self):
        self.check("Apache-2.0 WITH LLVM-exception", True)
        self.check("MIT WITH LLVM-exception", False)
        self.check("GPL-3.0 WITH LLVM-exception OR MIT", True)

    def test_nonsense_is_refused(self):
        for expression in ("", "MIT OR", "(MIT", "MIT)", "MIT BSD-3-Clause", "AND MIT", "MIT WITH"):
            with self.assertRaises(ValueError, msg=expression):
                licence_allowed(expression, ALLOWED)

    def test_a_crate_without_a_licence_or_with_another_is_named(self):
        packages = [
            {"name": "a", "version": "1.0.0", "license": "MIT"},
            {"name": "b", "version": "1.0.0", "license": "GPL-3.0"},
            {"name": "c", "version": "1.0.0", "license": None},
        ]
        found = licence_complaints(packages, {"licences": {"allowed": sorted(ALLOWED)}})
        self.assertEqual([line.split(":")[0] for line in found], ["b 1.0.0", "c 1.0.0"])


class Versions(unittest.TestCase):
    def check(self, version, requirement, expected):
        self.assertEqual(matches(version, requirement), expected, f"{version} in {requirement}")

    def test_versions_sort_as_semver_says(self):
        ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0", "1.0.1", "1.2.0"]
        self.assertEqual(sorted(reversed(ordered), key=lambda text: Version.parse(text).order()), ordered)

    def test_comparisons(self):
        self.check("0.7.19", "> 0.7.19", False)
        self.check("0.7.20", "> 0.7.19", True)
        self.check("3.0.0-beta.9", ">= 3.0.0-beta.9", True)
        self.check("3.0.0-beta.8", ">= 3.0.0-beta.9", False)
        self.check("3.0.0", ">= 3.0.0-beta.9", True)
        self.check("0.2.6", "=0.2.6", True)
        self.check("0.2.7", "=0.2.6", False)
        self.check("0.5.11", "<= 0.5.11", True)
        self.check("1.10.0", "< 1.9.0", False)

    def test_caret_holds_the_first_number_that_is_not_zero(self):
        self.check("2.9.0", "^ 2.2.1", True)
        self.check("3.0.0", "^ 2.2.1", False)
        self.check("2.2.0", "^ 2.2.1", False)
        self.check("0.3.27", "^0.3.26", True)
        self.check("0.4.0", "^0.3.26", False)
        self.check("0.0.4", "^0.0.3", False)
        self.check("0.13.10", "0.13.10", True)
        self.check("0.14.0", "0.13.10", False)
        self.check("0.1.9", "^0.1", True)

    def test_tilde_holds_the_minor_number(self):
        self.check("1.2.9", "~1.2.3", True)
        self.check("1.3.0", "~1.2.3", False)

    def test_every_comparison_of_a_range_must_hold(self):
        self.check("0.11.7", ">= 0.11.6, < 0.12.0", True)
        self.check("0.12.0", ">= 0.11.6, < 0.12.0", False)
        self.check("0.12.0-alpha.1", ">= 0.11.6, < 0.12.0", True)

    def test_nonsense_is_refused(self):
        for requirement in ("", ">=", "x.y", ">= 1.2.3.4"):
            with self.assertRaises(ValueError, msg=requirement):
                matches("1.0.0", requirement)


class Advisories(unittest.TestCase):
    BUG = {"id": "RUSTSEC-1", "crate": "a", "patched": [">= 1.2.3"], "unaffected": ["< 1.0.0"]}
    ACCEPTED = {"id": "RUSTSEC-1", "crate": "a", "version": "1.1.0", "reason": "not reached"}

    def test_a_version_is_affected_outside_all_good_ranges(self):
        self.assertTrue(affected("1.1.0", self.BUG))
        self.assertFalse(affected("1.2.3", self.BUG))
        self.assertFalse(affected("0.9.0", self.BUG))
        self.assertTrue(affected("9.9.9", {"id": "RUSTSEC-2", "crate": "a"}))

    def test_an_affected_crate_is_named_unless_accepted(self):
        self.assertEqual(len(advisory_complaints({("a", "1.1.0"), ("b", "1.1.0")}, [self.BUG], [])), 1)
        self.assertEqual(advisory_complaints({("a", "1.2.3")}, [self.BUG], []), [])
        self.assertEqual(advisory_complaints({("a", "1.1.0")}, [self.BUG], [self.ACCEPTED]), [])

    def test_an_acceptance_holds_for_one_version_only(self):
        found = advisory_complaints({("a", "1.1.1")}, [self.BUG], [self.ACCEPTED])
        self.assertEqual(len(found), 2, found)

    def test_an_acceptance_that_matches_nothing_must_go(self):
        found = advisory_complaints({("a", "1.2.3")}, [self.BUG], [self.ACCEPTED])
        self.assertEqual(len(found), 1, found)

    def test_an_acceptance_says_why(self):
        silent = {**self.ACCEPTED, "reason": ""}
        self.assertEqual(len(advisory_complaints({("a", "1.1.0")}, [self.BUG], [silent])), 1)


if __name__ == "__main__":
    unittest.main()
