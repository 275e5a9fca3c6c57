#!/usr/bin/env python3
"""Continuous queries of InfluxDB 1.x (Debian: influxdb) and of the gateway, side by side by the machine's clock: the same points
come in at both, and what the queries have written must be alike.

$INFLUXD names the server's command.
"""
import time

from gate import Checks, Gate
from influxd import Asker, Influxd
from influxd_compare import differ, normal

# Windows of two seconds: both servers look once a second for queries that are due.
WINDOW = 2
QUERIES = [
    "CREATE CONTINUOUS QUERY plain ON d BEGIN SELECT sum(v) AS s, mean(v) INTO plain FROM m GROUP BY time(2s), host END",
    "CREATE CONTINUOUS QUERY again ON d RESAMPLE EVERY 1s FOR 6s BEGIN SELECT count(v), last(w) INTO d.p.:MEASUREMENT FROM /m.*/ "
    "WHERE host = 'a' GROUP BY time(2s, 1s), * END",
    "CREATE CONTINUOUS QUERY zone ON d BEGIN SELECT max(v) INTO zone FROM d.autogen.m GROUP BY time(2s) fill(0) tz('Europe/Berlin') END",
]
ANSWERS = ["SELECT * FROM plain", "SELECT * FROM d.p.m", "SELECT * FROM d.p.m2", "SELECT * FROM zone", "SHOW TAG KEYS", "SHOW FIELD KEYS"]
SENDING_SECONDS, WAITING_SECONDS = 9, 8


def main():
    checks = Checks("continuous queries beside influxd")
    with Influxd() as server, Gate(checks, listeners=("influxdb",)) as gate:
        both = [server.asker, Asker(gate.ports["influxdb"])]
        time.sleep(WINDOW - time.time() % WINDOW + 0.2)  # no border between the first run of the one and of the other
        for asker in both:
            for statement in ["CREATE DATABASE d", "CREATE RETENTION POLICY p ON d DURATION INF REPLICATION 1", *QUERIES]:
                answer = asker.ask(statement, "POST")
                checks.equal(statement, answer, {"results": [{"statement_id": 0}]})
        send(checks, both)
        time.sleep(WAITING_SECONDS)
        for question in ANSWERS:
            theirs, ours = (normal(asker.ask(question)) for asker in both)
            checks.that(f"{question}: they have an answer", "series" in theirs["results"][0], theirs)
            checks.that(question, not (difference := differ(theirs, ours)), difference)
    checks.finish()


def send(checks, both):
    """Points of now, the same for both, over several windows."""
    number, end = 0, time.monotonic() + SENDING_SECONDS
    while time.monotonic() < end:
        now = time.time_ns()
        lines = [f'{table},host={host},k=x v={number},w="{number}" {now}' for table in ("m", "m2") for host in "ab"]
        for asker in both:
            status, text = asker.send("POST", "/write?db=d", "\n".join(lines).encode())
            if status != 204:
                checks.that("points are taken", False, f"{status} {text}")
        number += 1
        time.sleep(0.2)


if __name__ == "__main__":
    main()
