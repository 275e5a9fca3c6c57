"""TDengine's SQL: rows a second that INSERT statements bring in, and questions beside DuckDB over the same rows.

    taos.py [--tables N] [--hours N] [--runs N] [--quick] [--set KEY=VALUE]… [--results FOLDER]

A super table with a sub table a device and a row each ten seconds is filled through `/rest/sql`: a thousand rows of one device a
statement, over eight connections, timed to the last answer. DuckDB reads the Parquet segments that the store holds then, with SQL that
makes the same table. Answers are compared number by number, and a difference fails the command; then each question is asked in turns,
and the medians are what counts. The aim: at most twice DuckDB's time, which ends with the table in memory; ours ends with the last byte of JSON.

Binaries are found as compare.py finds them; DuckDB is the Python package `duckdb`.
"""
import base64, datetime, math, os, random, shutil, statistics, sys, tempfile
from dataclasses import dataclass
from pathlib import Path

import command, compare, load, report, servers
from duckdb_peer import DuckDb

START_MS, STEP_MS = 1_700_006_400_000, 10_000  # a full hour
ROWS_A_STATEMENT, CONNECTIONS = 1_000, 8
DUCKDB_FACTOR = 2
CREDENTIALS = "Basic " + base64.b64encode(b"root:taosdata").decode()
SUPER_TABLE = "create stable cpu (ts timestamp, current float, voltage int, phase double) tags (location binary(32), groupid int)"


class Tidegate(servers.Tidegate):
    listener = "tdengine"

    def sql(self, statement, path="/rest/sql/bench"):
        return self.ask("POST", path, None, statement, {"Authorization": CREDENTIALS})


@dataclass(frozen=True)
class Question:
    """Both give the same rows in whatever order; the first column is a time or a name."""

    name: str
    taos: str
    sql: str


def bucket(width):
    return f"time_bucket(interval '{width}', time::timestamp)"


QUESTIONS = [
    Question("last row of all", "select last_row(ts) from cpu", "select max(time)::timestamp from cpu"),
    Question("last row of each sub table", "select tbname, last_row(current) from cpu partition by tbname",
             "select tbname, arg_max(current, time) from cpu group by tbname"),
    Question("1m average over all", "select _wstart, avg(current), max(voltage) from cpu interval(1m)",
             f"select {bucket('1 minute')} as t, avg(current), max(voltage) from cpu group by t"),
    Question("1h average of each sub table", "select _wstart, tbname, avg(current) from cpu partition by tbname interval(1h)",
             f"select {bucket('1 hour')} as t, tbname, avg(current) from cpu group by all"),
    Question("1m average of one sub table", "select _wstart, avg(current) from d_7 interval(1m)",
             f"select {bucket('1 minute')} as t, avg(current) from cpu where tbname = 'd_7' group by t"),
]


def main(arguments=None):
    numbers = {"tables": (1_000, "sub tables"), "hours": (24, "of data, a row a sub table each ten seconds"), "runs": (9, None)}
    options = command.options(__doc__, arguments, numbers, quick={"tables": 20, "hours": 3, "runs": 2})
    return command.run(options, "taos", "TDengine's SQL", measured, text)


def statements(options):
    """INSERT statements in order of time, a thousand rows of a device each, or what remains of its data."""
    chance, steps = random.Random(options.seed), options.hours * 3_600_000 // STEP_MS
    for first in range(0, steps, ROWS_A_STATEMENT):
        for device in range(options.tables):
            rows = "".join(
                f"({START_MS + step * STEP_MS},{chance.randrange(8_000) / 8},{chance.randrange(210, 240)},{chance.randrange(1_000) / 1_000})"
                for step in range(first, min(first + ROWS_A_STATEMENT, steps)))
            yield f"insert into d_{device} using cpu tags('site_{device % 40}',{device % 10}) values {rows}".encode()


def measured(options):
    binary = compare.found_binaries([servers.Tidegate])[servers.Tidegate]
    rows = options.tables * options.hours * 3_600_000 // STEP_MS
    folder = Path(tempfile.mkdtemp(prefix="bench-taos-", dir=options.folder))
    gate = Tidegate(binary, folder / "tidegate")
    # An error is no 200 then, which the generator would take for success.
    gate.settings = dict(options.settings) | {"tdengine.http_code_server_error": "true"}
    try:
        with load.Bodies(statements(options), options.folder) as bodies, gate as server:
            server.sql("create database bench", "/rest/sql")
            server.sql(SUPER_TABLE)
            compare.say(f"inserting {rows:,} rows in {bodies.count:,} statements")
            sent = load.send_all(server.port, "/rest/sql/bench", bodies, CONNECTIONS, [f"Authorization: {CREDENTIALS}"])
            if sent.errors:
                raise servers.ServerError("; ".join(sent.errors))
            server.stop()
            filled = {"seconds": sent.seconds, "p99": sent.p99, "memory_bytes": server.memory_bytes, "bytes": bodies.bytes}
            peer = DuckDb(server, folder / "parquet")
            if (stored := peer.count_rows()) != rows:
                raise servers.ServerError(f"the store holds {stored:,} rows, not {rows:,}")
            server.memory_bytes = 0
            server.start()
            result = compare.described(options) | {
                "tables": options.tables, "hours": options.hours, "rows": rows, "runs": options.runs, "seed": options.seed,
                "load_average": os.getloadavg()[0], "segments": peer.segments, "insert": filled,
                "versions": {"tidegate": server.version(), "duckdb": peer.version()}, "questions": [],
            }
            for question in QUESTIONS:
                compare.say(question.name)
                result["questions"].append(timed(server, peer, question, options.runs))
            server.stop()
            result["memory_bytes"] = server.memory_bytes
        return result
    finally:
        shutil.rmtree(folder)


def timed(server, peer, question, runs):
    ours, theirs = sorted(map(plain, server.sql(question.taos)["data"]), key=repr), sorted(map(plain, peer.rows(question)), key=repr)
    if len(ours) != len(theirs):
        raise servers.ServerError(f"`{question.taos}`: {len(ours)} rows, and {len(theirs)} of DuckDB's")
    if difference := next(((our, their) for our, their in zip(ours, theirs) if not same(our, their)), None):
        raise servers.ServerError(f"`{question.taos}` and DuckDB differ: {difference}")
    times, peer_times, size = [], [], 0
    for _ in range(runs):
        seconds, body = server.timed("POST", "/rest/sql/bench", question.taos, {"Authorization": CREDENTIALS})
        times.append(seconds)
        size = len(body)
        peer_times.append(peer.seconds(question))
    median = {"tidegate": statistics.median(times), "duckdb": statistics.median(peer_times)}
    return {"name": question.name, "taos": question.taos, "answer_bytes": size, "tidegate": times, "duckdb": peer_times, "median": median}


def plain(row):
    """Cells with times as seconds since 1970."""
    return tuple(cell_of(cell) for cell in row)


def cell_of(cell):
    if isinstance(cell, datetime.datetime):
        return cell.replace(tzinfo=datetime.timezone.utc).timestamp()
    if isinstance(cell, str) and cell.endswith("Z"):
        return datetime.datetime.fromisoformat(cell).timestamp()
    return cell


def same(ours, theirs):
    number = lambda cell: isinstance(cell, (int, float))
    return len(ours) == len(theirs) and all(
        math.isclose(a, b, rel_tol=1e-9) if number(a) and number(b) else a == b for a, b in zip(ours, theirs))


def text(result):
    rows = []
    for question in result["questions"]:
        ours, theirs = question["median"]["tidegate"], question["median"]["duckdb"]
        missed = " (over the aim)" if ours > DUCKDB_FACTOR * theirs else ""
        rows.append([question["name"], f"`{question['taos']}`", f"{ours * 1e3:.1f}", f"{theirs * 1e3:.1f}", f"{ours / theirs:.2f}{missed}",
                     f"{question['answer_bytes'] / 1e3:.0f}"])
    insert = result["insert"]
    return [
        report.about_machine(result), "",
        f"{result['rows']:,} rows of {result['tables']:,} sub tables over {result['hours']} hours, in {result['segments']} segments. "
        f"Tidegate {result['versions']['tidegate']}, DuckDB {result['versions']['duckdb']}. Load average at the start of the questions {result['load_average']:.1f}.", "",
        f"INSERT of {ROWS_A_STATEMENT:,} rows a statement over {CONNECTIONS} connections, each synced before its answer: **{result['rows'] / insert['seconds']:,.0f} rows/s** "
        f"({insert['bytes'] / insert['seconds'] / 1e6:.0f} MB/s of SQL), p99 of a statement {insert['p99'] * 1e3:.0f} ms, most memory {insert['memory_bytes'] / 1e6:.0f} MB.", "",
        report.table(["question", "statement", "Tidegate, ms", "DuckDB, ms", "Tidegate / DuckDB", "answer, KB"], rows), "",
        f"Medians of {result['runs']} runs in turns; most memory of the gateway meanwhile {result['memory_bytes'] / 1e6:.0f} MB. The aim is at most {DUCKDB_FACTOR} times DuckDB's "
        "time, which ends with a table in memory; ours ends with the last byte of JSON.",
    ]


if __name__ == "__main__":
    sys.exit(main())
