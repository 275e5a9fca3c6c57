#!/usr/bin/env python3
"""What other engines see in the store: DuckDB and pyarrow open every segment, knowing nothing of Tidegate.

Writes points with awkward names, every type and times before 1970, stops the gateway (which flushes), and checks each
Parquet file under the store folder: names, types, values, nanoseconds, the order of rows, and that nothing is left over
from writing. Needs duckdb and pyarrow.
"""
import re, sys
from collections import defaultdict
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
from gate import Checks, Gate, time_ns  # noqa: E402

DAY = 86_400 * 10**9
START = 1_600_000_000 * 10**9
LONG = "n" * 300

FULL_NAME = "cnosdb.readers.autogen."  # tenant, database, policy


class U(int):
    """An unsigned field: every other type follows from the Python type."""


def points(name, n=3):
    """Enough rows to give a table of an awkward name a series or two."""
    return [({"k": str(at % 2)}, {"v": float(at)}, START + at) for at in range(n)]


AWKWARD_NAMES = ["a b", "a,b", "a=b", 'say "hi"', "a/b", "..", ".", "a\\b", "%2F", "~#!", "été 東京 🌊", "a.parquet", "select"]
AWKWARD_NAMES += ["Host", "host", "HOST", LONG]

# {table: [(tags, fields, time in ns)]}
TABLES = {name: points(name) for name in AWKWARD_NAMES}
TABLES["types"] = [
    ({"t": "x"}, {"f": 0.1, "i": -(2**63), "u": U(2**64 - 1), "b": True, "s": 'text, "quoted" \\ 東京'}, START + 123456789),
    ({"t": "x"}, {"f": -1e300, "i": 2**63 - 1, "u": U(0), "b": False, "s": ""}, START + 123456790),
    ({"t": "y"}, {"f": 5e-324}, START),
    ({}, {"i": 0}, START + 1),
]
TABLES["times"] = [
    ({"t": "x"}, {"f": 1.0}, ns)
    for ns in (0, 1, -1, -1_000_000_001, -DAY, -DAY - 1, START, START + 1)
]
TABLES["far"] = [({}, {"f": 1.0}, time_ns(text)) for text in ("1700-01-01T00:00:00", "2262-01-01T00:00:00.000000001")]
TABLES["twins"] = [
    (
        {"Host": "tag upper", "host": "tag lower", "same": "tag"},
        {"VALUE": 1.0, "Value": 2, "value": "three", "same": 4.5},
        START,
    ),
    ({"host": "only lower"}, {"value": "v"}, START + 1),
]
TABLES["columns"] = [
    (
        {"a b": "1", "c,d=e": "2", "été": "3", LONG: "4"},
        {"x y": 1.0, "p/q": 2.0, 'say "hi"': 3.0, "..": 4.0, "f" * 300: 5.0},
        START,
    )
]
TABLES["order"] = [
    ({name: value for name, value in (("a", a), ("b", b)) if value}, {"v": float(t)}, START + t * 10**9)
    for t in (5, 1, 3)
    for a in ("", "é", "Z", "a", "10", "9")
    for b in ("", "b", "B")
]

AT_CNOSDB = {"types"}  # unsigned integers are InfluxDB 1.x's only when built so

ARROW = {"float": pa.float64(), "integer": pa.int64(), "unsigned": pa.uint64(), "boolean": pa.bool_(), "string": pa.string()}
DUCK = {"float": "DOUBLE", "integer": "BIGINT", "unsigned": "UBIGINT", "boolean": "BOOLEAN", "string": "VARCHAR"}
KINDS = {float: "float", int: "integer", U: "unsigned", bool: "boolean", str: "string"}


def main():
    checks = Checks("readers")
    with Gate(checks) as gate:
        gate.influxql('CREATE DATABASE "readers"')
        for table, rows in TABLES.items():
            write = gate.write_cnosdb if table in AT_CNOSDB else gate.write
            write("readers", "\n".join(line(table, *row) for row in rows))
        gate.stop()
        leftovers(checks, gate.store)
        found = defaultdict(list)
        for path in sorted(path for path in gate.store.rglob("*.parquet") if path.is_file()):
            checks.attempt(segment, checks, path, found)
        checks.equal("tables found", sorted(found), sorted(TABLES))
        for table, rows in TABLES.items():
            checks.equal(f"rows of {table[:40]}", sorted(found[table], key=repr), sorted(map(expected, rows), key=repr))
    checks.finish()


def line(table, tags, fields, ns):
    escaped = lambda text: re.sub(r"([,= ])", r"\\\1", text)  # noqa: E731
    head = ",".join([re.sub(r"([, ])", r"\\\1", table), *(f"{escaped(k)}={escaped(v)}" for k, v in tags.items())])
    return f"{head} {','.join(f'{escaped(k)}={literal(v)}' for k, v in fields.items())} {ns}"


def literal(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, U):
        return f"{value}u"
    if isinstance(value, int):
        return f"{value}i"
    return repr(value) if isinstance(value, float) else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def expected(row):
    """A row as {(kind, name, type): value}, with `time` in nanoseconds."""
    tags, fields, ns = row
    made = {("tag", name, "string"): value for name, value in tags.items()}
    made |= {("field", name, KINDS[type(value)]): value for name, value in fields.items()}
    return ns, sorted(made.items(), key=repr)


def leftovers(checks, store):
    """Everything in the store folder has a name that says what it is."""
    known = r"tidegate\.json|(catalog|snapshots)/\d{20}|data/.+\.parquet"
    files = [path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()]
    unknown = [name for name in files if not re.fullmatch(known, name)]
    checks.equal("files of no known kind", unknown, [])
    checks.equal("longest name is one that every file system takes", [n for n in files if max(map(len, n.split("/"))) > 255], [])


def segment(checks, path, found):
    """Checks one file, and adds its rows to `found` under the table that the file names."""
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    full = file.metadata.metadata[b"tidegate.table"].decode()
    table = full.removeprefix(FULL_NAME)
    what = f"{path.name} ({table[:40]})"
    checks.that(f"{what}: names its table in full", full.startswith(FULL_NAME), full)
    columns = [described(field) for field in schema]
    names = [field.name for field in schema]

    checks.equal(f"{what}: first column", (names[0], columns[0][0]), ("time", "time"))
    checks.equal(f"{what}: names, case ignored, are unique", len({name.lower() for name in names}), len(names))
    ids = [field.metadata[b"PARQUET:field_id"] for field in schema]
    checks.equal(f"{what}: field ids are unique", len(set(ids)), len(ids))
    taken = [name.lower() for name in names]
    pairs = [(stored, name) for stored, (_, name, _) in zip(names, columns)]
    renamed = [pair for pair in pairs if pair[0] != pair[1] and pair[1].lower() not in taken]
    checks.equal(f"{what}: columns renamed without need", renamed, [])
    for (kind, name, _), field in zip(columns, schema):
        checks.that(f"{what}: type of {name[:40]}", arrow_type_fits(kind, field.type), f"{kind} is {field.type}")

    batch = file.read()
    checks.that(f"{what}: no column is empty", all(batch.column(at).null_count < batch.num_rows for at in range(len(names))))
    tags = [at for at, (kind, _, _) in enumerate(columns) if kind == "tag"]
    sorting = [(s.column_index, s.descending, s.nulls_first) for s in file.metadata.row_group(0).sorting_columns]
    checks.equal(f"{what}: sorting columns", sorting, [(at, False, False) for at in [*tags, 0]])
    values = [batch.column(0).cast(pa.int64()).to_pylist(), *(batch.column(at).to_pylist() for at in range(1, len(names)))]
    rows = list(zip(*values))
    order = [([(row[at] is None, (row[at] or "").encode()) for at in tags], row[0]) for row in rows]
    checks.that(f"{what}: rows are sorted by tags, then time, nulls last", order == sorted(order))
    checks.that(f"{what}: no two rows of one key", all(a != b for a, b in zip(order, order[1:])))
    duck(checks, what, path, names, columns, rows)
    for row in rows:
        cells = {column: value for column, value in zip(columns[1:], row[1:]) if value is not None}
        found[table].append((row[0], sorted(cells.items(), key=repr)))


def described(field):
    """(kind, name as written, type) of a column, from its metadata."""
    meta = {key.decode(): value.decode() for key, value in field.metadata.items()}
    inner = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    kind = next((word for word, arrow in ARROW.items() if arrow == inner), str(inner))
    return meta["tidegate.kind"], meta.get("tidegate.name", field.name), kind


def arrow_type_fits(kind, arrow):
    if kind == "time":
        return arrow == pa.timestamp("ns")
    if kind == "tag":
        return pa.types.is_dictionary(arrow) and arrow.value_type == pa.string()
    return arrow in ARROW.values()


def duck(checks, what, path, names, columns, rows):
    """DuckDB sees the same names, its own word for each type, and the same values to the nanosecond."""
    with duckdb.connect() as db:
        relation = db.execute("SELECT * REPLACE (epoch_ns(time) AS time) FROM read_parquet($1)", [str(path)])
        checks.equal(f"{what}: names in DuckDB", [d[0] for d in relation.description], names)
        checks.equal(f"{what}: values in DuckDB", relation.fetchall(), rows)
        types = [row[1] for row in db.execute("DESCRIBE SELECT * FROM read_parquet($1)", [str(path)]).fetchall()]
        wanted = ["TIMESTAMP_NS", *(DUCK[word] for _, _, word in columns[1:])]
        checks.equal(f"{what}: types in DuckDB", types, wanted)


if __name__ == "__main__":
    main()
