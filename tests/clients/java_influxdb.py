#!/usr/bin/env python3
"""The Java library `influxdb-java`: writes at once and in the background, answers as JSON, MessagePack and chunks, refusals.

$JAVA_INFLUXDB is the folder in which Maven has built `java_influxdb/`.
"""
import os, subprocess

from gate import Checks, Gate

START = 1_600_000_000 * 10**9
COLUMNS = {"time": "time", "host": "tag", "load": "float", "n": "integer", "up": "boolean", "note": "string"}
ROWS = [
    {"time": START + 1, "host": "a b,c=d", "load": 0.25, "n": 1, "up": True, "note": 'say "hi", \\ back'},
    {"time": START + 2, "host": "東京", "load": 1e300, "n": -(2**63), "up": False, "note": "東京 🌊"},
    {"time": START + 3, "n": 2**63 - 1},
]


def main():
    checks = Checks("java influxdb-java")
    folder = os.environ["JAVA_INFLUXDB"]
    with Gate(checks) as gate:
        command = ["java", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-cp", f"{folder}/classes:{folder}/lib/*", "Main"]
        done = subprocess.run([*command, gate.url("influxdb")], capture_output=True, text=True, encoding="utf-8", timeout=120)
        checks.equal("the program ends well", done.returncode, 0)
        if done.returncode:
            print(done.stderr)
        said = [line.split("\t", 1) for line in done.stdout.splitlines()]
        told = lambda what: [text for name, text in said if name == what]
        checks.equal("version", told("version"), ["1.8.10"])
        times = [f"{START + at}" for at in (1, 2, 3)]
        rows = [text.strip("[]").split(", ", 1)[1] for text in told("row")]
        wanted = ['0.25, 1, true, say "hi", \\ back', f"1.0E300, {-(2**63)}, false, 東京 🌊", f"null, {2**63 - 1}, null, null"]
        checks.equal("rows that it reads itself", rows, wanted)
        checks.that("their times", all(text.strip("[").startswith(time) for text, time in zip(told("row"), times)), told("row"))
        checks.that("a sum in JSON", told("sum") and told("sum")[0].endswith(", 499500.0]]"), told("sum"))
        checks.that("a bound value", told("bound") and told("bound")[0].endswith(f", {-(2**63)}]]"), told("bound"))
        checks.equal("rows a chunk", told("chunk"), ["400", "400", "200"])
        checks.equal("the last chunk is told", told("all chunks"), ["true"])
        checks.equal("an unknown database", told("refused"), ["database not found: nowhere"])
        checks.equal("a field of another type", told("conflict"), ["refused"])
        checks.table(gate, "java", "plain", COLUMNS, ROWS)
        many = [{"time": START + n, "k": str(n % 3), "n": n} for n in range(1000)]
        checks.table(gate, "java", "many", {"time": "time", "k": "tag", "n": "integer"}, many)
    checks.finish()


if __name__ == "__main__":
    main()
