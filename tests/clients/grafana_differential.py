#!/usr/bin/env python3
"""What Grafana's InfluxDB data source sends, to InfluxDB 1.x (Debian: influxdb) and to the gateway: both must answer alike.

The texts are those that Grafana's editor, its variables, annotations, alerts and older versions make, with their spacing and
their case; they are sent as Grafana sends them, by GET and by POST. $INFLUXD names the server's command.
"""
import random, time, urllib.parse

from gate import Checks, Gate
from influxd import Asker, Influxd
from influxd_compare import differ, normal

# Grafana asks for now() - … too, so the data ends now; on a whole minute.
END = int(time.time()) // 60 * 60
START = END - 3600
MS = (START * 1000, END * 1000)

HEALTH = ["SHOW measurements", "SHOW MEASUREMENTS LIMIT 1", "SHOW DATABASES"]

METADATA = [
    'SHOW RETENTION POLICIES on "telegraf"',
    "SHOW MEASUREMENTS LIMIT 100",
    "SHOW MEASUREMENTS WITH MEASUREMENT =~ /(?i)cp/ LIMIT 100",
    "SHOW MEASUREMENTS WITH MEASUREMENT =~ /(?i)cp/ WHERE \"host\" = 'web-1' LIMIT 100",
    "SHOW MEASUREMENTS WHERE \"host\" = 'web-1' LIMIT 100",
    'SHOW TAG KEYS FROM "cpu"',
    "SHOW TAG KEYS",
    'SHOW TAG KEYS FROM "rp"."cpu" WHERE "host" = \'web-1\'',
    "SHOW TAG KEYS FROM /^cp/",
    "SHOW TAG KEYS WHERE time > now() - 7d",
    'SHOW TAG VALUES FROM "cpu" WITH KEY = "host"',
    'SHOW TAG VALUES FROM "cpu" WITH KEY = "host" WHERE "region" =~ /^eu$/ AND "host"::tag = \'web-1\'',
    'SHOW TAG VALUES WITH KEY = "host"',
    'SHOW TAG VALUES WITH KEY IN ("host", "region")',
    'SHOW TAG VALUES WITH KEY = "host" WHERE TIME > now() - 15m',
    "SHOW TAG VALUES FROM net WITH KEY=host",
    'SHOW FIELD KEYS FROM "cpu"',
    "SHOW FIELD KEYS",
    "SHOW SERIES",
    'SHOW SERIES FROM "net" WHERE "host" = \'web-2\'',
    "SHOW TAG VALUES CARDINALITY WITH KEY = \"host\"",
    "SHOW SERIES CARDINALITY",
    'SELECT DISTINCT("host") FROM (SELECT "usage_idle","host" FROM "cpu")',
    'SHOW TAG VALUES FROM "nothing" WITH KEY = "host"',
    'SHOW FIELD KEYS FROM "nothing"',
]

CALLS = [
    "count", "distinct", "integral", "mean", "median", "mode", "sum", "spread", "stddev", "min", "max", "first", "last",
]
INTERVALS = ["10s", "1m", "500ms", "20s", "1h", "1d"]
FILLS = ["", "fill(null)", "fill(none)", "fill(previous)", "fill(linear)", "fill(0)"]
RANGE = f"time >= {MS[0]}ms and time <= {MS[1]}ms"
OLD_RANGE = "time > now() - 6h"
AD_HOC = " AND \"host\"::tag = 'web-1' AND \"region\" != 'us'"


def panels(chance):
    """Queries of the visual editor."""
    for call in CALLS:
        for fill in FILLS:
            interval = chance.choice(["10s", "1m", "20s", "5m"])
            # Of several series the server gives the last window of an integral late, as series of their own, in any order.
            tags = ', "host"' if call != "integral" else ""
            yield f'SELECT {call}("usage_idle") FROM "cpu" WHERE {RANGE} GROUP BY time({interval}){tags} {fill}'.rstrip()
        yield f'SELECT {call}("usage_idle") FROM "cpu" WHERE ("host" = \'web-1\' AND "cpu" =~ /^cpu-total$/) AND {RANGE} GROUP BY time(1m) fill(null)'
    for interval in INTERVALS:
        yield f'SELECT mean("usage_idle") FROM "cpu" WHERE {RANGE} GROUP BY time({interval}) fill(none)'
    yield f'SELECT mean("usage_idle") FROM "cpu" WHERE ("host" = \'web-1\' AND "cpu" =~ /^cpu-total$/) AND {RANGE} GROUP BY time(10s), "host" fill(null) ORDER BY time DESC limit 10 slimit 5 tz(\'Europe/Berlin\')'
    yield f'SELECT non_negative_derivative(mean("bytes"), 1s) *8 AS "bits" FROM "net" WHERE {RANGE} GROUP BY time(1m) fill(linear)'
    yield f'SELECT derivative(mean("bytes"), 10s) FROM "net" WHERE {RANGE} GROUP BY time(1m), "host" fill(null)'
    yield f'SELECT difference(max("bytes")), non_negative_difference(max("bytes")) FROM "net" WHERE {RANGE} GROUP BY time(2m) fill(none)'
    yield f'SELECT moving_average(mean("usage_idle"), 5) FROM "cpu" WHERE {RANGE} GROUP BY time(1m) fill(null)'
    yield f'SELECT cumulative_sum(sum("errors")) FROM "net" WHERE {RANGE} GROUP BY time(5m), "host" fill(0)'
    yield f'SELECT elapsed("bytes", 1s) FROM "net" WHERE "host" = \'web-1\' AND {RANGE}'
    yield f'SELECT holt_winters(mean("usage_idle"), 5, 4) FROM "cpu" WHERE "host" = \'web-1\' AND {RANGE} GROUP BY time(10m)'
    yield f'SELECT percentile("usage_idle", 95) FROM "cpu" WHERE {RANGE} GROUP BY time(5m), "region" fill(null)'
    yield f'SELECT top("usage_idle", 3) FROM "cpu" WHERE {RANGE}'
    yield f'SELECT bottom("usage_idle", 3) FROM "cpu" WHERE {RANGE} GROUP BY "host"'
    yield f'SELECT mean("usage_idle")  / 100 AS "share" FROM "cpu" WHERE {RANGE} GROUP BY time(1m) fill(null)'
    yield f'SELECT mean("usage_idle") AS "idle", max("usage_user") AS "user" FROM "cpu" WHERE {RANGE} GROUP BY time(1m), "host"::tag fill(null)'
    yield f'SELECT "usage_idle" FROM "cpu" WHERE {RANGE}'
    yield f'SELECT "usage_idle", "host"::tag FROM "cpu" WHERE "host" =~ /^(web-1|web-2)$/ AND {RANGE} LIMIT 20'
    yield f'SELECT last("usage_idle") FROM "cpu" WHERE "host" =~ /^.*$/ AND {RANGE} GROUP BY "host"'
    yield f'SELECT mean("usage_idle") FROM "rp"."cpu" WHERE {RANGE} GROUP BY time(1m) fill(null)'
    yield f'SELECT mean("usage_idle") FROM /^cp/ WHERE {RANGE} GROUP BY time(5m), * fill(none)'
    yield f'SELECT mean(/usage_.*/) FROM "cpu" WHERE {RANGE} GROUP BY time(5m) fill(null)'
    yield f'SELECT mean("usage_idle") FROM "cpu" WHERE {RANGE}{AD_HOC} GROUP BY time(1m) fill(null)'
    yield f'SELECT mean("usage_idle") FROM "cpu" WHERE ("host"::tag = \'web-1\'){AD_HOC} AND {RANGE} GROUP BY time(1m) fill(null)'
    yield f'SELECT "usage_idle" FROM "cpu" WHERE "usage_idle" > 50 AND "up" = true AND {RANGE} LIMIT 50'
    yield f'SELECT mean("usage_idle") FROM "cpu" WHERE {OLD_RANGE} GROUP BY time(5m) fill(none)'
    yield f'SELECT mean("usage_idle") FROM "cpu" WHERE time >= {START}s and time <= {END}s GROUP BY time(1m) fill(null)'
    yield f'SELECT mean("m") FROM (SELECT max("usage_idle") AS "m" FROM "cpu" WHERE {RANGE} GROUP BY time(1m), "host") WHERE {RANGE} GROUP BY time(10m) fill(null)'
    yield f'SELECT mean("usage_idle") FROM "cpu" WHERE "host" = \'nobody\' AND {RANGE} GROUP BY time(1m) fill(null)'
    yield f'SELECT mean("nothing") FROM "cpu" WHERE {RANGE} GROUP BY time(1m) fill(null)'
    yield f'SELECT mean("usage_idle") FROM "nothing" WHERE {RANGE} GROUP BY time(1m) fill(null)'
    yield f'SELECT mean("usage_idle") FROM "cpu" WHERE {RANGE} GROUP BY'
    # Annotations and logs.
    yield f'SELECT "title", "tags", "text" FROM "events" WHERE {RANGE} ORDER BY time ASC LIMIT 100'
    yield f'SELECT "text" FROM "events" WHERE {RANGE} ORDER BY time DESC limit 1000'
    # Several statements, as older versions send them.
    yield f';SELECT count("bytes") FROM "net" WHERE {RANGE};SELECT max("bytes") FROM "net" WHERE {RANGE} GROUP BY "host"'


def points(chance):
    """An hour of three hosts, a minute of it missing; two policies."""
    for second in range(START, END, 10):
        if START + 600 <= second < START + 660:
            continue
        for number, (host, region) in enumerate([("web-1", "eu"), ("web-2", "eu"), ("web-3", "us")]):
            nanos = second * 10**9 + number
            idle, user = chance.randint(0, 800) / 8, chance.randint(0, 400) / 8
            up = chance.choice(["true", "false"])
            yield f"cpu,cpu=cpu-total,host={host},region={region} usage_idle={idle},usage_user={user},up={up} {nanos}"
            yield f"net,host={host} bytes={second % 7200 * 1000 + number}i,errors={chance.randint(0, 3)}i {nanos + 100}"
        if second % 600 == 0:
            yield f'events,kind=deploy title="v{second % 7}",tags="a,b",text="deployed \\"it\\"" {second * 10**9}'


class Panel(Asker):
    """Sends as Grafana does."""

    def panel(self, method, text, **more):
        parameters = {"db": "telegraf", "epoch": "ms", **more}
        if method == "GET":
            return self.json(*self.send("GET", "/query?" + urllib.parse.urlencode(sorted((parameters | {"q": text}).items()))))
        body = urllib.parse.urlencode({"q": text})
        headers = {"Content-type": "application/x-www-form-urlencoded"}
        return self.json(*self.send("POST", "/query?" + urllib.parse.urlencode(sorted(parameters.items())), body, headers))


def main():
    checks = Checks("grafana, query by query")
    chance = random.Random(7)
    body = "\n".join(points(chance)).encode()
    with Influxd() as server, Gate(checks, listeners=("influxdb",)) as gate:
        gate.influxql("DROP DATABASE public")
        both = [Panel(server.asker.port), Panel(gate.ports["influxdb"])]
        for asker in both:
            asker.ask("CREATE DATABASE telegraf", "POST")
            asker.ask('CREATE RETENTION POLICY "rp" ON telegraf DURATION INF REPLICATION 1', "POST")
            for policy in ("autogen", "rp"):
                status, text = asker.send("POST", f"/write?db=telegraf&rp={policy}", body)
                checks.equal(f"points for {policy}", (status, text), (204, ""))
        for method in ("GET", "POST"):
            for text in [*HEALTH, *METADATA, *panels(random.Random(7))]:
                compare(checks, both, method, text)
        compare(checks, both, "GET", 'SELECT mean("usage_idle") FROM "cpu" GROUP BY "host"', rp="rp")
        compare(checks, both, "GET", 'SELECT mean("usage_idle") FROM "cpu"', rp="missing")
        compare(checks, both, "GET", "SHOW measurements", db="")
        compare(checks, both, "GET", "SHOW measurements", db="missing")
    checks.finish()


def compare(checks, both, method, text, **more):
    theirs, ours = (asker.panel(method, text, **more) for asker in both)
    checks.that(f"{method} {text}", not (difference := differ(normal(theirs), normal(ours))), difference)


if __name__ == "__main__":
    main()
