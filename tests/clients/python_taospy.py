#!/usr/bin/env python3
"""`taospy` over REST (`taosrest`): connect, cursor, statements and errors; what it wrote is read through SQL and InfluxQL."""
import json, urllib.parse
from datetime import datetime, timezone

import taosrest
from taosrest.errors import ConnectError, HTTPError
from taosrest.restclient import RestClient

from gate import Checks, Gate

START = 1_700_000_000_000
COLUMNS = {
    "time": "time", "tbname": "tag", "city": "tag", "floor": "tag",
    "v": "integer", "load": "float", "up": "boolean", "note": "string", "n": "unsigned",
}


def main():
    checks = Checks("python taospy")
    with Gate(checks, listeners=("tdengine", "cnosdb", "influxdb")) as gate:
        url = f"http://127.0.0.1:{gate.ports['tdengine']}"
        connection = taosrest.connect(url=url, user="root", password="taosdata", timeout=30)
        checks.that("the server's version has 4 to 6 parts", 4 <= len(connection.server_info.split(".")) <= 6)
        connection.execute("drop database if exists py")
        checks.equal("DDL changes no rows", connection.execute("create database py precision 'us'"), 0)
        for part in (rows, cursors, times, accounts, errors):
            checks.attempt(part, checks, gate, connection, url)
    checks.finish()


def rows(checks, gate, connection, url):
    """Every type that other doors tell apart, tags, sub tables made by INSERT, and nulls."""
    connection.execute(
        "create stable py.m (ts timestamp, v int, load float, up bool, note nchar(20), n bigint unsigned)"
        " tags (city varchar(20), floor tinyint)")
    written = connection.execute(
        "insert into py.a using py.m tags ('東京', 1) values"
        f" ({START * 1000}, -2147483648, 10.3, true, '涛思 \\'x\\' \"y\"', 18446744073709551615)"
        f" ({START * 1000 + 1}, null, null, null, null, null)"
        f" py.b using py.m (city) tags ('Bern') (ts, v) values ({START * 1000}, 7)")
    checks.equal("rows of all tables are counted", written, 3)
    at = START * 10**6
    a, b = {"tbname": "a", "city": "東京", "floor": "1"}, {"tbname": "b", "city": "Bern"}
    checks.table(gate, "py", "m", COLUMNS, [
        {"time": at, **a, "v": -(2**31), "load": 10.3, "up": True, "note": "涛思 'x' \"y\"", "n": 2**64 - 1},
        {"time": at + 1000, **a},
        {"time": at, **b, "v": 7},
    ])
    connection.execute("alter table py.b set tag city = 'Olten'")
    query = urllib.parse.quote("select v from m where city = 'Olten'")
    answer = json.loads(gate.request("influxdb", "GET", f"/query?db=py&epoch=ns&q={query}").text)
    checks.equal("InfluxQL sees the new tag", answer["results"][0]["series"][0]["values"], [[at, 7]])


def cursors(checks, gate, connection, url):
    cursor = connection.cursor()
    cursor.execute("create table py.t (ts timestamp, c1 int, c2 double)")
    cursor.execute("insert into py.t values (now, -100, -200.3) (now+10s, -101, -340.2423424)")
    checks.equal("a cursor says how many rows it wrote", cursor.rowcount, 2)
    cursor.execute("select c1, c2 from py.t")
    checks.equal("names of columns", [column[0] for column in cursor.description], ["c1", "c2"])
    checks.equal("rows in order of time", [tuple(row) for row in cursor.fetchall()], [(-100, -200.3), (-101, -340.2423424)])
    result = connection.query("describe py.t")
    checks.equal("fields of a table", [row[:2] for row in result.data], [["ts", "TIMESTAMP"], ["c1", "INT"], ["c2", "DOUBLE"]])
    checks.that("databases are listed", ["py"] in [row[:1] for row in connection.query("show databases").data])


def times(checks, gate, connection, url):
    zoned = taosrest.connect(url=url, database="py", timezone="Asia/Shanghai")
    found = zoned.query("select first(ts) from m").data[0][0]
    checks.equal("times carry their zone", found.astimezone(timezone.utc), datetime.fromtimestamp(START / 1000, timezone.utc))
    windows = zoned.query("select _wstart, count(*) from m interval(1s)").data
    checks.equal("windows of all sub tables", [row[1] for row in windows], [3])


def accounts(checks, gate, connection, url):
    client = RestClient(url)
    connection.execute("create user ann pass 'Ab1!@#$%^&*()-_+=[]{}'")
    other = taosrest.connect(url=url, user="ann", password="Ab1!@#$%^&*()-_+=[]{}")
    checks.equal("another user asks", other.query("select 1").data, [[1]])
    try:
        connection.execute("create user ann pass 'x'")
        checks.that("a user cannot be created twice", False)
    except ConnectError as error:
        checks.equal("a user that is there has a code of its own", getattr(error, "errno", None) or error.args[-1], 0x0350)
    checks.that("the client asks without a database", client.sql("select 1")["rows"] == 1)


def errors(checks, gate, connection, url):
    for statement in ("describe py.noexits", "nonsense", "select nope from py.t"):
        try:
            connection.query(statement)
            checks.that(f"{statement!r} fails", False)
        except ConnectError:
            checks.that(f"{statement!r} fails", True)
    try:
        taosrest.connect(url=url, user="root", password="wrong").query("select 1")
        checks.that("a wrong password is refused", False)
    except HTTPError as error:
        checks.that("a wrong password is refused", "401" in str(error) or getattr(error, "errno", None) == 401)


if __name__ == "__main__":
    main()
