#!/usr/bin/env python3
"""The server tests of the Python library `influxdb`, out of its source distribution, against the gateway.

    python_influxdb_suite.py FOLDER      # the unpacked source distribution

The library starts the server itself, from a template of its configuration: in that one place a gateway is started instead.
Left out: points over UDP, for which there is no listener here, and data frames, which need pandas.
"""
import importlib, sys, types, unittest

from gate import Checks, Gate

# A gateway always has this database; the tests count on a server without any.
ALWAYS_THERE = "public"


class GateInstance:
    """What the tests take for a server."""

    def __init__(self, conf_template, udp_enabled=False):
        self.gate = Gate(listeners=("influxdb",)).__enter__()
        self.gate.influxql(f"DROP DATABASE {ALWAYS_THERE}")
        self.http_port = self.gate.ports["influxdb"]

    def close(self, remove_tree=True):
        self.gate.__exit__(None, None, None)


def load(folder):
    """The module of the tests, with what it expects of older Pythons, and with gateways for servers."""
    sys.path.insert(0, folder)
    sys.pypy_version_info = sys.version_info  # their word for "without pandas"
    instance = types.ModuleType("influxdb_instance")
    instance.InfluxDbInstance = GateInstance
    sys.modules["influxdb.tests.server_tests.influxdb_instance"] = instance
    if not hasattr(unittest.TestCase, "assertEquals"):
        unittest.TestCase.assertEquals = unittest.TestCase.assertEqual
    return importlib.import_module("influxdb.tests.server_tests.client_test_with_server")


def each_of(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from each_of(item)
        else:
            yield item


class Result(unittest.TestResult):
    """Tells what failed as the other checks do."""

    def __init__(self, checks):
        super().__init__()
        self.checks = checks

    def addSuccess(self, test):
        self.checks.that(test.id(), True)

    def addFailure(self, test, error):
        self.checks.that(test.id().rsplit(".server_tests.")[-1], False, self._exc_info_to_string(error, test))

    addError = addFailure


def main():
    checks = Checks("python influxdb, its own server tests")
    module = load(sys.argv[1])
    tests = unittest.defaultTestLoader.loadTestsFromModule(module)
    chosen = unittest.TestSuite(test for test in each_of(tests) if "Udp" not in type(test).__name__)
    chosen.run(Result(checks))
    checks.that("the suite is whole", checks.passed + checks.failed >= 60, f"{checks.passed + checks.failed} tests ran")
    checks.finish()


if __name__ == "__main__":
    main()
