#!/usr/bin/env python3
"""The Python library `influxdb` (for InfluxDB 1.x): databases, dictionaries, batches, raw lines, precisions, gzip."""
from datetime import datetime, timedelta, timezone

from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError

from gate import Checks, Gate

START = 1_600_000_000 * 10**9
COLUMNS = {"time": "time", "host": "tag", "region": "tag", "load": "float", "n": "integer", "up": "boolean", "note": "string"}


def main():
    checks = Checks("python influxdb")
    with Gate(checks) as gate:
        client = InfluxDBClient("127.0.0.1", gate.ports["influxdb"])
        checks.that("ping answers a 1.x version", client.ping().startswith("1."))
        client.create_database("py")
        client.create_database("py")
        checks.that("the database is listed", {"name": "py"} in client.get_list_database())
        for part in (dictionaries, times, batches, raw_lines, compressed, errors):
            checks.attempt(part, checks, gate, client)
        client.drop_database("py")
        checks.that("a dropped database is gone", {"name": "py"} not in client.get_list_database())
    checks.finish()


def dictionaries(checks, gate, client):
    """Every type a dictionary can carry, tags with what must be escaped, global tags, and null fields, which are left out."""
    given = [
        ({"host": "a b,c=d"}, {"load": 0.1, "n": 1, "up": True, "note": 'say "hi", \\ back'}),
        ({"host": "ünïcode 東京"}, {"load": 1e300, "n": -(2**63), "up": False, "note": "東京 🌊"}),
        ({"host": "c"}, {"load": None, "n": 2**63 - 1}),
        ({}, {"load": 5.0}),
    ]
    points = [{"measurement": "dicts", "tags": t, "fields": f, "time": START + at} for at, (t, f) in enumerate(given)]
    client.write_points(points, database="py", tags={"region": "eu"}, time_precision="n")
    rows = [{"time": START + at, "region": "eu", **tags, **fields} for at, (tags, fields) in enumerate(given)]
    checks.table(gate, "py", "dicts", COLUMNS, rows)


def times(checks, gate, client):
    """A time as datetime, as text and as a number in each precision is the same time."""
    day = datetime(2020, 9, 13, 12, 26, 40, tzinfo=timezone.utc)
    old = datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc)
    given = [
        ("n", START + 123456789, START + 123456789),
        ("u", day + timedelta(microseconds=1), START + 1000),
        ("u", old, -1000),
        ("ms", START // 10**6 + 2, START + 2 * 10**6),
        ("s", "2020-09-13T12:26:43Z", START + 3 * 10**9),
        ("m", START // (60 * 10**9), START // (60 * 10**9) * 60 * 10**9),
        ("h", START // (3600 * 10**9), START // (3600 * 10**9) * 3600 * 10**9),
    ]
    for at, (precision, time, _) in enumerate(given):
        point = {"measurement": "times", "fields": {"at": at}, "time": time}
        client.write_points([point], database="py", time_precision=precision)
    rows = [{"time": ns, "at": at} for at, (_, _, ns) in enumerate(given)]
    checks.table(gate, "py", "times", {"time": "time", "at": "integer"}, rows)


def batches(checks, gate, client):
    points = [{"measurement": "batches", "tags": {"k": str(n % 3)}, "fields": {"n": n}, "time": START + n} for n in range(2500)]
    client.write_points(points, database="py", time_precision="n", batch_size=1000)
    rows = [{"time": START + n, "k": str(n % 3), "n": n} for n in range(2500)]
    checks.table(gate, "py", "batches", {"time": "time", "k": "tag", "n": "integer"}, rows)


def raw_lines(checks, gate, client):
    lines = [f"lines,k=v i=-1i,f=1 {START // 10**6}", f'lines,k=w s="two\nlines" {START // 10**6 + 1}']
    client.write_points(lines, database="py", time_precision="ms", protocol="line")
    rows = [{"time": START, "k": "v", "i": -1, "f": 1.0}, {"time": START + 10**6, "k": "w", "s": "two\nlines"}]
    columns = {"time": "time", "k": "tag", "i": "integer", "f": "float", "s": "string"}
    checks.table(gate, "py", "lines", columns, rows)


def compressed(checks, gate, _):
    client = InfluxDBClient("127.0.0.1", gate.ports["influxdb"], database="py", gzip=True)
    points = [{"measurement": "zipped", "fields": {"n": n}, "time": START + n} for n in range(1000)]
    client.write_points(points, time_precision="n")
    checks.table(gate, "py", "zipped", {"time": "time", "n": "integer"}, [{"time": START + n, "n": n} for n in range(1000)])


def errors(checks, _, client):
    def refused(what, status, text, call):
        try:
            call()
            checks.that(what, False, "nothing was raised")
        except InfluxDBClientError as error:
            checks.that(what, error.code == status and text in str(error), f"{error.code} {error}")

    def point(load):
        return [{"measurement": "dicts", "tags": {"host": "c"}, "fields": {"load": load}, "time": START}]

    refused("an unknown database", 404, "database not found", lambda: client.write_points(point(1.0), database="nowhere"))
    client.switch_database("py")
    refused("a field of another type", 400, "field type conflict", lambda: client.write_points(point("x"), time_precision="n"))
    unsigned = ["lines,k=v u=1u 1"]  # known to a 1.x server only when it was built so
    refused("an unsigned integer", 400, "invalid number", lambda: client.write_points(unsigned, protocol="line"))


if __name__ == "__main__":
    main()
