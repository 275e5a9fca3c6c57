#!/usr/bin/env python3
"""TDengine's JDBC driver over REST (`jdbc:TAOS-RS://`): every type, bound values, batches, what it asks of the schema, precisions, refusals.

$JAVA_TAOS is the folder in which Maven has built `java_taos/`.
"""
import json, os, subprocess, urllib.parse

from gate import Checks, Gate

START = 1_700_000_000 * 10**9
COLUMNS = {
    "time": "time", "tbname": "tag", "city": "tag", "floor": "tag", "open": "tag", "up": "boolean",
    "i8": "integer", "i16": "integer", "i32": "integer", "i64": "integer",
    "u8": "unsigned", "u16": "unsigned", "u32": "unsigned", "u64": "unsigned",
    "f32": "float", "f64": "float", "text": "string", "wide": "string", "raw": "string", "shape": "string", "price": "string",
    "other": "time",
}
POINT = "0101000000" + "000000000000f03f" + "0000000000000040"
LINE = "010200000002000000" + "0000000000000000" * 2 + "000000000000f03f" * 2
LOW = {"tbname": "low", "city": "東京", "floor": "-1", "open": "true"}
HIGH = {"tbname": "high", "city": "Bern", "floor": str(2**31 - 1), "open": "false"}
ROWS = [
    {"time": START + 1, **LOW, "up": True, "i8": -(2**7), "i16": -(2**15), "i32": -(2**31), "i64": -(2**63),
     "u8": 0, "u16": 0, "u32": 0, "u64": 0, "f32": 10.3, "f64": 1e300, "text": "say 'hi', \\ back", "wide": "涛思 🌊",
     "raw": "0001fe", "shape": POINT, "price": "-1234567890123456.7891", "other": 1_600_000_000_000_000_001},
    {"time": START + 2, **HIGH, "up": False, "i8": 2**7 - 1, "i16": 2**15 - 1, "i32": 2**31 - 1, "i64": 2**63 - 1,
     "u8": 2**8 - 1, "u16": 2**16 - 1, "u32": 2**32 - 1, "u64": 2**64 - 1, "f32": -3.4e38, "f64": -1e-300, "text": "", "wide": "",
     "raw": "ff", "shape": LINE, "price": "0.5000", "other": 1_600_000_000_500_000_000},
    {"time": START + 3, "tbname": "nulls", "city": "Genf"},
    {"time": START + 4, "tbname": "p", "city": "O'Hare", "floor": "7", "up": True, "i32": -5, "i64": 2**53, "f64": 0.1, "text": "it's"},
]
# As the driver prints them: Java's floats, its name BINARY for VARCHAR, and what it knows no type for as JSON.
TYPES = {
    "ts": "TIMESTAMP", "up": "BOOL", "i8": "TINYINT", "i16": "SMALLINT", "i32": "INT", "i64": "BIGINT",
    "u8": "TINYINT UNSIGNED", "u16": "SMALLINT UNSIGNED", "u32": "INT UNSIGNED", "u64": "BIGINT UNSIGNED",
    "f32": "FLOAT", "f64": "DOUBLE", "text": "BINARY", "wide": "NCHAR", "raw": "VARBINARY", "shape": "GEOMETRY", "price": "NULL",
    "other": "TIMESTAMP", "city": "NCHAR", "floor": "INT", "open": "BOOL",
}
READ = [
    "2023-11-14T22:13:20.000000001Z|true|-128|-32768|-2147483648|-9223372036854775808|0|0|0|0|10.3|1.0E300|say 'hi', \\ back|涛思 🌊"
    f"|\"0001fe\"|\"{POINT}\"|null|2020-09-13T12:26:40.000000001Z|東京|-1|true",
    "2023-11-14T22:13:20.000000002Z|false|127|32767|2147483647|9223372036854775807|255|65535|4294967295|18446744073709551615|-3.4E38"
    f"|-1.0E-300|||\"ff\"|\"{LINE}\"|null|2020-09-13T12:26:40.500Z|Bern|2147483647|false",
    "2023-11-14T22:13:20.000000003Z|" + "null|" * 17 + "Genf|null|null",
]
REFUSED = [
    '2600 syntax error near "nonsense"',
    "2602 Invalid column name: nope",
    "2603 Fail to get table info, error: Table does not exist: nowhere",
    "388 Database not exist",
    "216 syntax error near 'word' (illegal int data)",
    "2653 Value too long for column/tag: k",
]


def main():
    checks = Checks("java taos-jdbcdriver")
    with Gate(checks, listeners=("tdengine", "cnosdb", "influxdb")) as gate:
        said = run(checks, gate)
        if said:
            told = lambda what: [text for name, text in said if name == what]
            checks.equal("connected", (told("valid"), told("product"), told("version")), (["true"], ["TDengine"], ["3.3.6.0"]))
            checks.equal("DDL changes no rows", told("created") + told("stable"), ["0", "0"])
            for part in (types, statements, schema, refusals, times):
                checks.attempt(part, checks, told)
        checks.table(gate, "jdbc", "types", COLUMNS, ROWS)
        many = [{"time": START + n * 10**9, "n": n, "k": f"k{n % 3}"} for n in range(1000)]
        checks.table(gate, "jdbc", "many", {"time": "time", "n": "integer", "k": "string"}, many)
        for precision, digits in (("ms", 3), ("us", 6), ("ns", 9)):
            cut = int("123456789"[:digits].ljust(9, "0"))
            rows = [{"time": START - 10**9, "v": 2}, {"time": START + cut, "v": 1}]
            checks.table(gate, f"jdbc_{precision}", "t", {"time": "time", "v": "integer"}, rows)
        rows = [{"time": START + n * 10**9, "v": n + 1} for n in range(3)]
        checks.table(gate, "jdbc_ms", "zoned", {"time": "time", "v": "integer"}, rows)
        checks.attempt(influxql, checks, gate)
    checks.finish()


def run(checks, gate):
    """What the program said: pairs of a name and a text."""
    folder = os.environ["JAVA_TAOS"]
    # It prints and parses times in the zone of its machine.
    settings = ["-Duser.timezone=UTC", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8"]
    command = ["java", *settings, "-cp", f"{folder}/classes:{folder}/lib/*", "Main", f"127.0.0.1:{gate.ports['tdengine']}"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    checks.equal("the program ends well", done.returncode, 0)
    if done.returncode:
        print(done.stderr)
    return [tuple(line.split("\t", 1)) for line in done.stdout.splitlines()]


def types(checks, told):
    checks.equal("types of columns", dict(line.split(" ", 1) for line in told("type")), TYPES)
    checks.equal("rows that it reads itself", told("row"), READ)
    checks.equal("decimals as text", told("price"), ["-1234567890123456.7891", "0.5000", "null"])
    wanted = "127 32767 2147483647 9223372036854775807 4294967295 18446744073709551615 -3.4E38 -1.0E-300 false"
    checks.equal("values of their own types", told("numbers"), [wanted])
    checks.equal("a tag in JSON", told("json"), ['{"n":2,"site":"a b"} "a b"'])


def statements(checks, told):
    checks.equal("rows written", told("inserted") + told("prepared"), ["2", "1", "1"])
    checks.equal("bound values in a condition", told("asked"), ["-5 0.1 it's null true"])
    checks.equal("rows of each statement of a batch", told("batch"), ["[250, 250, 250, 250]"])
    checks.equal("rows in order of time", told("read in order"), ["1000"])
    windows = ["2023-11-14T22:10:00Z 2023-11-14T22:20:00Z 400 199.5", "2023-11-14T22:20:00Z 2023-11-14T22:30:00Z 600 699.5"]
    checks.equal("windows", told("window"), windows)


def schema(checks, told):
    checks.equal("catalogs", told("catalogs"), ["true"])
    checks.equal("tables", told("tables"), ["[many]"])
    checks.equal("super tables", told("super tables"), ["[types]"])
    checks.equal("columns", told("columns"), ["[ts, n, k] [TIMESTAMP, BIGINT, VARCHAR]"])
    checks.equal("primary key", told("primary key"), ["[ts]"])


def refusals(checks, told):
    found = [f"{text.split(' ', 1)[0]} {text.split('desc: ', 1)[-1]}" for text in told("refused")]
    checks.equal("codes and words of wrong statements", found, REFUSED)
    checks.equal("a database that is not there", [text.split(" ", 1)[0] for text in told("no such database")], ["388"])
    body = told("wrong password")[0].partition("{")
    answer = json.loads(body[1] + body[2])
    checks.equal("a wrong password", (answer["code"], answer["desc"]), (0x357, "Authentication failure"))


def times(checks, told):
    for precision, text in (("ms", ".123"), ("us", ".123456"), ("ns", ".123456789")):
        checks.equal(f"times in {precision}", told(f"precision {precision}"), ["2023-11-14T22:13:19Z 2", f"2023-11-14T22:13:20{text}Z 1"])
    zoned = [f"2023-11-14T22:13:2{n}Z 2023-11-15T06:13:2{n}.000+08:00" for n in range(3)]
    checks.equal("texts with a zone and without", told("zone"), zoned)


def influxql(checks, gate):
    query = urllib.parse.quote("SELECT i32, text FROM types WHERE tbname = 'p'")
    answer = json.loads(gate.request("influxdb", "GET", f"/query?db=jdbc&epoch=ns&q={query}").expect(200).text)
    checks.equal("InfluxQL reads the row", answer["results"][0]["series"][0]["values"], [[START + 4, -5, "it's"]])


if __name__ == "__main__":
    main()
