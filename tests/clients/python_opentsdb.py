#!/usr/bin/env python3
"""The Python libraries `opentsdb-py` (HTTP, packed and not, and lines) and `potsdb` (lines), and lines as a shell would send them."""
import json, logging, socket, time

from opentsdb import Counter, Gauge, TSDBClient, TSDBConnectProtocols
import potsdb

from gate import Checks, Gate, GateError

START = 1_700_000_000
COUNT = 500
TAGS = {"host": "web-1", "zone": "zürich/2"}
COLUMNS = {"time": "time", "host": "tag", "zone": "tag", "value": "float", "value_int": "integer"}
VALUES = [0, -1, 2**63 - 1, -(2**63), 0.1, -1e300, 1e-300, 1.5, "17", "4.25"]
PATIENCE_SECONDS = 30


def main():
    checks = Checks("python opentsdb-py, potsdb")
    logging.getLogger("opentsdb-py").setLevel(logging.CRITICAL)  # What is refused is counted here.
    with Gate(checks, listeners=("opentsdb", "cnosdb", "influxdb")) as gate:
        for part in (http, lines, kinds, refused, potsdb_lines, shell, influxql):
            checks.attempt(part, checks, gate)
    checks.finish()


def client(gate, protocol, **settings):
    return TSDBClient("127.0.0.1", gate.ports["opentsdb"], protocol=protocol, host_tag=False, **settings)


def points():
    """As they are sent: (value, seconds or milliseconds); and the rows that they become. Whole numbers are kept as such beside floats."""
    sent = [(value, START + n) for n, value in enumerate(VALUES)] + [(n, (START + 60) * 1000 + n) for n in range(COUNT)]
    rows = []
    for value, at in sent:
        number = json.loads(value) if isinstance(value, str) else value
        row = {"time": at * (10**9 if at < 10**12 else 10**6), **TAGS, "value": float(number)}
        rows.append(row | {"value_int": number} if isinstance(number, int) else row)
    return sent, rows


def send(checks, gate, metric, protocol, **settings):
    sent, rows = points()
    tsdb = client(gate, protocol, static_tags={"zone": TAGS["zone"]}, **settings)
    checks.that(f"{metric}: the server is there", tsdb.is_alive())
    for value, at in sent:
        tsdb.send(metric, value, host=TAGS["host"], timestamp=at)
    tsdb.close()
    tsdb.wait()
    checks.equal(f"{metric}: what became of each", tsdb.statuses, {"success": len(sent), "failed": 0, "queued": len(sent)})
    arrive(gate, metric, len(rows))
    checks.table(gate, "opentsdb", metric, COLUMNS, rows)


def arrive(gate, metric, count):
    """Lines are not answered: the last may still be on their way."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while stored(gate, metric) < count and time.monotonic() < deadline:
        time.sleep(0.1)


def stored(gate, metric):
    try:
        return gate.sql_rows("opentsdb", f'SELECT count(*) AS c FROM "{metric}"')[0]["c"]
    except GateError:
        return 0


def http(checks, gate):
    send(checks, gate, "py.http", TSDBConnectProtocols.HTTP)
    send(checks, gate, "py.plain", TSDBConnectProtocols.HTTP, http_compression=None)


def lines(checks, gate):
    send(checks, gate, "py.lines", TSDBConnectProtocols.TELNET)


def kinds(checks, gate):
    """Its counters and gauges."""
    class Shop(TSDBClient):
        orders = Counter("py.orders", ["currency"])
        open = Gauge("py.open")

    shop = Shop("127.0.0.1", gate.ports["opentsdb"], static_tags={"host": "web-1"}, host_tag=False)
    shop.orders.tags("CHF").inc()
    shop.open.set(2)
    shop.open.dec()
    shop.close()
    shop.wait()
    checks.equal("its own kinds", shop.statuses, {"success": 3, "failed": 0, "queued": 3})
    found = gate.sql_rows("opentsdb", 'SELECT currency, host, value FROM "py.orders"')
    checks.equal("a counter is a float", found, [{"currency": "CHF", "host": "web-1", "value": 1.0}])
    # Both were sent in one second: the later one holds.
    found = gate.sql_rows("opentsdb", 'SELECT value FROM "py.open" ORDER BY time DESC LIMIT 1')
    checks.equal("a gauge", found, [{"value": 1.0}])


def refused(checks, gate):
    """Bad points do not keep good ones from being stored."""
    tsdb = client(gate, TSDBConnectProtocols.HTTP)
    tsdb.send("py.mixed", 1, host="a", timestamp=START)
    tsdb.send("py.mixed", "word", host="a", timestamp=START + 1)
    tsdb.send("py.mixed", 1, host="a b", timestamp=START + 2)
    tsdb.send("py.mixed", 4, host="a", timestamp=START + 3)
    tsdb.close()
    tsdb.wait()
    checks.equal("counted as refused", tsdb.statuses, {"success": 2, "failed": 2, "queued": 4})
    rows = [{"time": START * 10**9, "host": "a", "value": 1.0, "value_int": 1}, {"time": (START + 3) * 10**9, "host": "a", "value": 4.0, "value_int": 4}]
    columns = {"time": "time", "host": "tag", "value": "float", "value_int": "integer"}
    checks.table(gate, "opentsdb", "py.mixed", columns, rows)


def potsdb_lines(checks, gate):
    sent, rows = points()
    tsdb = potsdb.Client("127.0.0.1", port=gate.ports["opentsdb"], host_tag="web-1")
    for value, at in sent:
        tsdb.send("potsdb.lines", value, zone=TAGS["zone"], timestamp=at)
    tsdb.wait()
    # It makes a float of each value, and an integer of each float without a fraction. What then has more than 64 bits is refused,
    # as the original does.
    for row in rows:
        row.pop("value_int", None)
        if row["value"].is_integer():
            row["value_int"] = int(row["value"])
    rows = [row for row in rows if -(2**63) <= row.get("value_int", 0) < 2**63]
    arrive(gate, "potsdb.lines", len(rows))
    checks.table(gate, "opentsdb", "potsdb.lines", COLUMNS, rows)


def shell(checks, gate):
    """What `nc` and /dev/tcp are used for: lines in pieces, with both ends of line; answers to what asks and to what is wrong."""
    with socket.create_connection(("127.0.0.1", gate.ports["opentsdb"]), timeout=PATIENCE_SECONDS) as connection:
        for piece in (
            f"put shell.m {START} 1 host=a\nput shell.m {START + 1}", " 2 host=a\r\n",
            f"put shell.m {START + 2} 3 host=a  zone=b \n", f"put shell.m {START}.250 4 host=c\n",
            "put shell.m word 1 host=a\n", f"put shell.m {START} 1x host=a\n", f"put shell.m {START} 1\n",
            "frob\n", f"put shell.m {START + 3} 5 host=a\nversion\nexit\n",
        ):
            connection.sendall(piece.encode())
        said = b""
        while part := connection.recv(65536):
            said += part
    answers = said.decode().splitlines()
    wanted = [
        "put: invalid value: Invalid character 'w' in word",
        "put: invalid value: Invalid character 'x' in 1x",
        "put: illegal argument: not enough arguments (need least 4, got 3)",
        "unknown command: frob.  Try `help'.",
    ]
    checks.equal("one line for each that is wrong", answers[:4], wanted)
    checks.that("and two for the version", len(answers) == 6 and answers[4].startswith("net.opentsdb") and answers[5].startswith("Built"), answers[4:])
    row = lambda nanos, value, **tags: {"time": START * 10**9 + nanos, **tags, "value": float(value), "value_int": value}
    second = 10**9
    rows = [row(0, 1, host="a"), row(second, 2, host="a"), row(2 * second, 3, host="a", zone="b"), row(250_000_000, 4, host="c"), row(3 * second, 5, host="a")]
    checks.table(gate, "opentsdb", "shell.m", COLUMNS, rows)


def influxql(checks, gate):
    answer = gate.influxql('SELECT count(value), sum(value_int) FROM opentsdb.."py.lines" WHERE time >= 1700000060s')
    values = answer["results"][0]["series"][0]["values"][0][1:]
    checks.equal("InfluxQL reads the points", values, [COUNT, COUNT * (COUNT - 1) // 2])


if __name__ == "__main__":
    main()
