#!/usr/bin/env python3
"""The Python library `influxdb-client` (for InfluxDB 2.x), which writes to a 1.8 server through `/api/v2/write`."""
from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS, WriteOptions

from gate import Checks, Gate

START = 1_600_000_000 * 10**9
COLUMNS = {"time": "time", "host": "tag", "load": "float", "n": "integer", "up": "boolean", "note": "string"}


def main():
    checks = Checks("python influxdb-client")
    with Gate(checks) as gate:
        gate.influxql('CREATE DATABASE "v2"')
        for table, bucket, gzip in (("plain", "v2", False), ("zipped", "v2/autogen", True)):
            checks.attempt(bucket_write, checks, gate, table, bucket, gzip)
    checks.finish()


def bucket_write(checks, gate, table, bucket, gzip):
    with InfluxDBClient(gate.url("influxdb"), token="user:password", org="-", enable_gzip=gzip) as client:
        rows = write(client, bucket, table)
    checks.table(gate, "v2", table, COLUMNS, rows)


def write(client, bucket, table):
    """Three points at once, then a thousand from the background batcher; answers the rows they make."""
    rows = [
        {"time": START, "host": "a b", "load": 0.25, "n": 1, "up": True, "note": 'a "quoted" \\ note'},
        {"time": START + 1, "host": "東京", "n": -(2**63), "up": False},
        {"time": START + 2, "load": -1e-9},
    ]
    client.write_api(write_options=SYNCHRONOUS).write(bucket, record=[point(table, row) for row in rows])
    many = [{"time": START + 1000 + n, "host": str(n % 5), "n": n} for n in range(1000)]
    with client.write_api(write_options=WriteOptions(batch_size=300)) as api:
        api.write(bucket, record=[point(table, row) for row in many])
    return rows + many


def point(table, row):
    made = Point(table).time(row["time"], WritePrecision.NS)
    for name, value in row.items():
        if name == "host":
            made.tag(name, value)
        elif name != "time":
            made.field(name, value)
    return made


if __name__ == "__main__":
    main()
