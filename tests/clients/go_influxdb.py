#!/usr/bin/env python3
"""The Go library `influxdb1-client/v2`: packed writes of every type, answers whole and in chunks, bound values, refusals.

$GO_INFLUXDB names the program built of `go_influxdb/`.
"""
import json, os, subprocess

from gate import Checks, Gate

START = 1_600_000_000 * 10**9
COLUMNS = {"time": "time", "host": "tag", "load": "float", "n": "integer", "up": "boolean", "note": "string"}
ROWS = [
    {"time": START + 1, "host": "a b,c=d", "load": 0.25, "n": 1, "up": True, "note": 'say "hi", \\ back'},
    {"time": START + 2, "host": "東京", "load": 1e300, "n": -(2**63), "up": False, "note": "東京 🌊"},
    {"time": START + 3, "n": 2**63 - 1},
]


def main():
    checks = Checks("go influxdb1-client")
    with Gate(checks) as gate:
        done = subprocess.run([os.environ["GO_INFLUXDB"], gate.url("influxdb")], capture_output=True, text=True, timeout=120)
        checks.equal("the program ends well", (done.returncode, done.stderr), (0, ""))
        told = json.loads(done.stdout or "{}")
        if told:
            checks.equal("ping", told["Version"], "1.8.10")
            columns = ["time", "host", "load", "n", "note", "up"]
            checks.equal("columns", told["Columns"], columns)
            checks.equal("rows that it reads itself", told["Rows"], [[row.get(name) for name in columns] for row in ROWS])
            checks.equal("rows a chunk", told["Chunks"], [300, 300, 300, 100])
            checks.equal("a bound value", told["Bound"], [START + 2, -(2**63)])
            checks.that("a wrong question", "found FROM, expected identifier" in told["Refused"], told["Refused"])
            checks.that("a field of another type", "field type conflict" in told["Conflict"], told["Conflict"])
            checks.that("an unknown database", "database not found" in told["Missing"], told["Missing"])
        checks.table(gate, "go", "plain", COLUMNS, ROWS)
        many = [{"time": START + n * 10**9, "k": "abc"[n % 3], "n": n} for n in range(1000)]
        checks.table(gate, "go", "many", {"time": "time", "k": "tag", "n": "integer"}, many)
    checks.finish()


if __name__ == "__main__":
    main()
