#!/usr/bin/env python3
"""The npm library `influx`: databases, points of every type, questions with groups and placeholders, refusals.

$NODE_INFLUX is the folder in which `npm install` has put what `node_influx/package.json` names.
"""
import json, os, subprocess
from pathlib import Path

from gate import Checks, Gate

START = 1_600_000_000 * 10**9
COLUMNS = {"time": "time", "host": "tag", "load": "float", "n": "integer", "up": "boolean", "note": "string"}
ROWS = [
    {"time": START + 1, "host": "a b,c=d", "load": 0.25, "n": 1, "up": True, "note": 'say "hi", \\ back'},
    {"time": START + 2, "host": "東京", "load": 1e-300, "n": -(2**53) + 1, "up": False, "note": "東京 🌊"},
    {"time": START + 3, "load": 5.0},
]


def main():
    checks = Checks("npm influx")
    with Gate(checks) as gate:
        told = run(gate)
        checks.equal("ping", told["ping"], [{"online": True, "version": "1.8.10"}])
        checks.that("the database is listed", "node" in told["databases"], told["databases"])
        policies = [{"name": "autogen", "duration": "0s"}, {"name": "month", "duration": "720h0m0s"}]
        checks.equal("policies", told["policies"], policies)
        wanted = [{name: row.get(name) for name in COLUMNS} | {"time": str(row["time"])} for row in ROWS]
        checks.equal("rows that it reads itself", [{name: row.get(name) for name in COLUMNS} for row in told["rows"]], wanted)
        checks.equal("groups", sorted(told["groups"]), [["a b,c=d", 1], ["東京", 1]])
        checks.equal("a bound value", told["bound"], [-(2**53) + 1])
        checks.equal("measurements", told["measurements"], ["cpu", "plain"])
        checks.equal("series", sorted(told["series"]), sorted(["plain", "plain,host=a\\ b\\,c\\=d", "plain,host=東京"]))
        checks.that("a wrong question", "found FROM, expected identifier" in told["refused"], told["refused"])
        checks.that("a field of another type", "field type conflict" in told["conflict"], told["conflict"])
        checks.equal("a dropped measurement is gone", told["left"], ["plain"])
        checks.table(gate, "node", "plain", COLUMNS, ROWS)
    checks.finish()


def run(gate):
    program = Path(__file__).parent / "node_influx" / "main.js"
    given = [{name: str(value) if name == "time" else value for name, value in row.items()} for row in ROWS]
    environment = os.environ | {"NODE_PATH": str(Path(os.environ["NODE_INFLUX"]) / "node_modules")}
    command = ["node", str(program), str(gate.ports["influxdb"])]
    done = subprocess.run(command, input=json.dumps(given), env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise SystemExit(f"npm influx: 0 passed, 1 failed\n{done.stderr}")
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
