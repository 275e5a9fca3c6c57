#!/usr/bin/env python3
"""The npm library `@tdengine/rest`: DDL, every type, precisions and zones as its results have them, and codes of what is wrong.

$NODE_TAOS is the folder in which `npm ci` has put what `node_taos/package.json` names.
"""
import json, os, subprocess
from pathlib import Path

from gate import Checks, Gate

START = 1_700_000_000
SQL = "/rest/sql"
# The library's own path.
DEFAULT = None
UPDATED = [["affected_rows", "INT", 4]]
TYPES = [
    ["ts", "TIMESTAMP", 8], ["up", "BOOL", 1], ["i8", "TINYINT", 1], ["i16", "SMALLINT", 2], ["i32", "INT", 4], ["i64", "BIGINT", 8],
    ["u8", "TINYINT UNSIGNED", 1], ["u16", "SMALLINT UNSIGNED", 2], ["u32", "INT UNSIGNED", 4], ["u64", "BIGINT UNSIGNED", 8],
    ["f32", "FLOAT", 4], ["f64", "DOUBLE", 8], ["text", "VARCHAR", 40], ["wide", "NCHAR", 20], ["raw", "VARBINARY", 16],
    ["price", "DECIMAL(10,2)", 8], ["other", "TIMESTAMP", 8], ["city", "NCHAR", 16],
]
# Whole numbers beyond 2^53 lose digits in JavaScript.
VALUES = [True, -128, -(2**15), -(2**31), -(2**53), 255, 65535, 2**32 - 1, 2**53, 10.3, -1e-300, 'it\'s "so"', "涛思 🌊", "00ff", "12.30"]
LITERALS = "true, -128, -32768, -2147483648, -9007199254740992, 255, 65535, 4294967295, 9007199254740992, 10.3, -1e-300," \
    " 'it\\'s \"so\"', '涛思 🌊', '\\x00ff', 12.3"

STEPS = [
    (DEFAULT, {}, "create database web precision 'us'", 0, UPDATED, [[0]]),
    (f"{SQL}/web", {}, "create stable t (ts timestamp, up bool, i8 tinyint, i16 smallint, i32 int, i64 bigint, u8 tinyint unsigned,"
        " u16 smallint unsigned, u32 int unsigned, u64 bigint unsigned, f32 float, f64 double, text varchar(40), wide nchar(20),"
        " raw varbinary(16), price decimal(10, 2), other timestamp) tags (city nchar(16))", 0, UPDATED, [[0]]),
    (f"{SQL}/web", {}, f"insert into a using t tags ('東京') values ({START}000001, {LITERALS}, {START}000002)"
        f" ({START}000002{', null' * 16})", 2, UPDATED, [[2]]),
    (f"{SQL}/web", {}, "select * from t", 2, TYPES, [
        ["2023-11-14T22:13:20.000001Z", *VALUES, "2023-11-14T22:13:20.000002Z", "東京"],
        ["2023-11-14T22:13:20.000002Z", *[None] * 16, "東京"]]),
    (f"{SQL}/web", {"tz": "Asia/Shanghai"}, "select ts, count(*) from t group by ts order by ts limit 1", 1,
        [["ts", "TIMESTAMP", 8], ["count(*)", "BIGINT", 8]], [["2023-11-15T06:13:20.000001+08:00", 1]]),
    (f"{SQL}/web", {"conn_tz": "Asia/Shanghai"}, "insert into a (ts, i32) values ('2023-11-15 06:13:21', 7)", 1, UPDATED, [[1]]),
    (DEFAULT, {"tz": "UTC"}, "select last(i32), last(ts) from web.t", 1, [["last(i32)", "INT", 4], ["last(ts)", "TIMESTAMP", 8]],
        [[7, "2023-11-14T22:13:21.000000Z"]]),
    (DEFAULT, {}, "select count(*) from web.t where city = 'nowhere'", 1, [["count(*)", "BIGINT", 8]], [[0]]),
    (SQL, {}, "select i32 from web.t where city = 'nowhere'", 0, [["i32", "INT", 4]], []),
]
WRONG = [
    ("show database", 0x2600, 'syntax error near "database"'),
    ("select nope from web.t", 0x2602, "Invalid column name: nope"),
    ("drop database nowhere", 0x388, "Database not exist"),
    ("insert into web.a (ts, i32) values (now, 'x')", 0x216, "syntax error near 'x' (illegal int data)"),
]


def main():
    checks = Checks("npm @tdengine/rest")
    with Gate(checks, listeners=("tdengine", "cnosdb")) as gate:
        told = run(gate)
        for (_, _, statement, rows, meta, data), answer in zip(STEPS, told):
            wanted = {"code": 0, "rows": rows, "meta": meta, "data": data}
            checks.equal(statement[:60], {name: answer.get(name) for name in wanted}, wanted)
        for (statement, code, text), answer in zip(WRONG, told[len(STEPS):]):
            checks.equal(statement, (answer["code"], answer["text"]), (code, text))
        checks.equal("a wrong password", told[-1], "Authentication failed.")
        kinds = ["boolean", *["integer"] * 4, *["unsigned"] * 4, *["float"] * 2, *["string"] * 4, "time"]
        names = [name for name, _, _ in TYPES[1:-1]]
        columns = {"time": "time", "tbname": "tag", "city": "tag"} | dict(zip(names, kinds))
        key = {"tbname": "a", "city": "東京"}
        checks.table(gate, "web", "t", columns, [
            {"time": START * 10**9 + 1000, **key, **dict(zip(names, VALUES)), "other": START * 10**9 + 2000},
            {"time": START * 10**9 + 2000, **key},
            {"time": (START + 1) * 10**9, **key, "i32": 7},
        ])
    checks.finish()


def run(gate):
    program = Path(__file__).parent / "node_taos" / "main.js"
    given = [step[:3] for step in STEPS] + [(DEFAULT, {}, statement) for statement, _, _ in WRONG]
    environment = os.environ | {"NODE_PATH": str(Path(os.environ["NODE_TAOS"]) / "node_modules"), "NODE_NO_WARNINGS": "1"}
    command = ["node", str(program), str(gate.ports["tdengine"])]
    done = subprocess.run(command, input=json.dumps(given), env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120)
    if done.returncode:
        raise SystemExit(f"npm @tdengine/rest: 0 passed, 1 failed\n{done.stderr}")
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
