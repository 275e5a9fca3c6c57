#!/usr/bin/env python3
"""Runs make targets one after another, and ends with the sum of what their tests reported.

    sum_up.py TARGET...

A target that fails does not stop the next: a run shows all there is to mend. The last line is `N passed, N failed`; the
exit status is 0 when nothing failed. A target whose tools count nothing (a linter) counts as one test, and so does a
target that fails without saying which test did.
"""
import os, re, subprocess, sys, time

# What test runners print as their sum: (pattern, how to read it as passed and failed)
SUMS = [
    (re.compile(r"test result: \w+\. (\d+) passed; (\d+) failed;"), lambda m: (int(m[1]), int(m[2]))),
    (re.compile(r"(?:[\w ,.-]+: )?(\d+) passed, (\d+) failed$"), lambda m: (int(m[1]), int(m[2]))),
    (re.compile(r"Ran (\d+) tests? in "), lambda m: (int(m[1]), 0)),
    (re.compile(r"FAILED \((?:failures=(\d+))?(?:, )?(?:errors=(\d+))?"), lambda m: unittest_failures(m)),
]


def unittest_failures(found):
    """`Ran N tests` has counted the failed ones as passed."""
    failed = int(found[1] or 0) + int(found[2] or 0)
    return -failed, failed


def counts(line):
    return next((read(found) for pattern, read in SUMS if (found := pattern.match(line))), (0, 0))


def run(target):
    """Shows the target's output as it comes; answers (passed, failed)."""
    print(f"\n=== make {target}", flush=True)
    command = [os.environ.get("MAKE", "make"), target]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    passed = failed = 0
    for line in process.stdout:
        print(line, end="", flush=True)
        more = counts(line.rstrip())
        passed, failed = passed + more[0], failed + more[1]
    if process.wait() and not failed:
        failed = 1
    elif not passed and not failed:
        passed = 1
    return passed, failed


def main(targets):
    sums = []
    for target in targets:
        start = time.monotonic()
        passed, failed = run(target)
        sums.append((target, passed, failed, time.monotonic() - start))
    print()
    for target, passed, failed, seconds in sums:
        print(f"  {target:<12} {passed:>6} passed {failed:>4} failed   {seconds:>6.0f} s")
    passed, failed = sum(s[1] for s in sums), sum(s[2] for s in sums)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
