"""OpenTSDB's queries beside DuckDB: downsampling many series.

    opentsdb.py [--hosts N] [--hours N] [--runs N] [--quick] [--set KEY=VALUE]… [--results FOLDER]

One metric with a series a host and a point each ten seconds goes into Tidegate; DuckDB reads the Parquet segments that its
store holds, with SQL that makes the same table. Answers are compared number by number, and a difference fails the command; then
each question is asked in turns, and the medians are what counts. The aim: at most twice DuckDB's time. DuckDB's time ends
with the table in memory, Tidegate's with the last byte of its JSON.

Binaries are found as compare.py finds them; DuckDB is the Python package `duckdb`.
"""
import json, math, os, random, shutil, statistics, sys, tempfile, urllib.parse
from dataclasses import dataclass
from pathlib import Path

import command, compare, load, report, servers
from duckdb_peer import DuckDb

DATABASE, METRIC = "opentsdb", "cpu"
START_SECONDS, STEP_SECONDS = 1_700_006_400, 10  # a full hour
LINES_A_BODY, CONNECTIONS = 5_000, 4
DUCKDB_FACTOR = 2
WINDOW = "time_bucket(interval '{}', time::timestamp)"


@dataclass(frozen=True)
class Question:
    """`sql` gives rows of (host or null, start of the bucket, value) in order."""

    name: str
    m: str
    sql: str


def bucketed(interval, function):
    return f"select host, {WINDOW.format(interval)} as t, {function}(value) as v from cpu group by all"


QUESTIONS = [
    Question("1m-avg, sum over all", f"sum:1m-avg:{METRIC}",
             f"select null, t, sum(v) from ({bucketed('1 minute', 'avg')}) group by t order by t"),
    Question("1m-avg, a group a series", f"sum:1m-avg:{METRIC}{{host=*}}", f"{bucketed('1 minute', 'avg')} order by all"),
    Question("1h-max, max over all", f"max:1h-max:{METRIC}",
             f"select null, t, max(v) from ({bucketed('1 hour', 'max')}) group by t order by t"),
    Question("5m-p90, a group a series", f"sum:5m-p90:{METRIC}{{host=*}}", ""),
    Question("one series as it is", f"none:{METRIC}{{host=host_7}}",
             "select host, time::timestamp, value from cpu where host = 'host_7' order by time"),
]


def main(arguments=None):
    numbers = {"hosts": (1_000, None), "hours": (24, "of data, a point a host each ten seconds"), "runs": (9, None)}
    options = command.options(__doc__, arguments, numbers, quick={"hosts": 20, "hours": 2, "runs": 2})
    return command.run(options, "opentsdb", "OpenTSDB's queries", measured, text)


def bodies(options):
    """Lines as the gateway's own doors would store a point: the number, and as an integer where it is one."""
    random_walk = random.Random(options.seed)
    values = [random_walk.randrange(100) for _ in range(options.hosts)]
    lines = []
    for step in range(options.hours * 3600 // STEP_SECONDS):
        time_ns = (START_SECONDS + step * STEP_SECONDS) * 10**9
        for host in range(options.hosts):
            values[host] = min(100, max(0, values[host] + random_walk.randrange(-3, 4)))
            value = values[host] + 0.25 * (host % 4)
            integer = f",value_int={int(value)}i" if value == int(value) else ""
            lines.append(f"{METRIC},host=host_{host},dc=dc_{host % 5} value={value}{integer} {time_ns}")
            if len(lines) == LINES_A_BODY:
                yield "\n".join(lines).encode()
                lines = []
    if lines:
        yield "\n".join(lines).encode()


def measured(options):
    binary = compare.found_binaries([servers.Tidegate])[servers.Tidegate]
    folder = Path(tempfile.mkdtemp(prefix="bench-opentsdb-", dir=options.folder))
    rows = options.hosts * options.hours * 3600 // STEP_SECONDS
    end_seconds = START_SECONDS + options.hours * 3600 - 1
    try:
        gate = servers.Tidegate(binary, folder / "tidegate")
        gate.settings = dict(options.settings)
        with load.Bodies(bodies(options), options.folder) as made, gate as server:
            compare.say(f"loading {rows:,} points")
            server.request("POST", "/query?" + urllib.parse.urlencode({"q": f"CREATE DATABASE {DATABASE}"}))
            sent = load.send_all(server.port, f"/write?db={DATABASE}", made, CONNECTIONS, ["Content-Type: text/plain"])
            if sent.errors:
                raise servers.ServerError("; ".join(sent.errors))
            server.stop()
            peer = DuckDb(server, folder / "parquet")
            if (stored := peer.count_rows()) != rows:
                raise servers.ServerError(f"the store holds {stored:,} points, not {rows:,}")
            server.memory_bytes = 0
            server.start()
            result = compare.described(options) | {
                "hosts": options.hosts, "hours": options.hours, "rows": rows, "runs": options.runs, "seed": options.seed,
                "load_average": os.getloadavg()[0], "segments": peer.segments,
                "versions": {"tidegate": server.version(), "duckdb": peer.version()}, "questions": [],
            }
            for question in QUESTIONS:
                compare.say(question.name)
                result["questions"].append(timed(server, peer, question, end_seconds, options.runs))
            server.stop()
            result["memory_bytes"] = server.memory_bytes
        return result
    finally:
        shutil.rmtree(folder)


def timed(server, peer, question, end_seconds, runs):
    ours, theirs, size = [], [], 0
    if question.sql:
        groups = json.loads(asked(server, question, end_seconds)[1])
        if difference := differ(peer.rows(question), groups):
            raise servers.ServerError(f"`{question.m}` and DuckDB differ: {difference}")
    for _ in range(runs):
        seconds, body = asked(server, question, end_seconds)
        ours.append(seconds)
        size = len(body)
        if question.sql:
            theirs.append(peer.seconds(question))
    median = {"tidegate": statistics.median(ours)} | ({"duckdb": statistics.median(theirs)} if theirs else {})
    return {"name": question.name, "m": question.m, "answer_bytes": size, "tidegate": ours, "duckdb": theirs, "median": median}


def asked(server, question, end_seconds):
    """(seconds until the last byte, the bytes)"""
    return server.timed_get("/api/query", {"start": START_SECONDS, "end": end_seconds, "m": question.m})


def differ(rows, groups):
    theirs = {}
    for host, at, value in rows:
        theirs.setdefault(host, {})[int((at - at.__class__(1970, 1, 1)).total_seconds())] = value
    if len(theirs) != len(groups):
        return f"{len(groups)} groups, not {len(theirs)}"
    for group in groups:
        expected = theirs[group["tags"].get("host")]
        found = {int(at): value for at, value in group["dps"].items()}
        if set(found) != set(expected):
            return f"{len(found)} points of {group['tags']}, not {len(expected)}"
        for at, value in expected.items():
            if not math.isclose(found[at], value, rel_tol=1e-9, abs_tol=1e-9):
                return f"{found[at]} at {at} of {group['tags']}, not {value}"
    return None


def text(result):
    head = ["question", "`m=`", "Tidegate, ms", "DuckDB, ms", "Tidegate / DuckDB", "answer, KB"]
    rows = []
    for question in result["questions"]:
        ours, theirs = question["median"]["tidegate"], question["median"].get("duckdb")
        ratio = f"{ours / theirs:.2f}" + (" (over the aim)" if ours > DUCKDB_FACTOR * theirs else "") if theirs else ""
        duck = f"{theirs * 1e3:.1f}" if theirs else ""
        rows.append([question["name"], f"`{question['m']}`", f"{ours * 1e3:.1f}", duck, ratio, f"{question['answer_bytes'] / 1e3:.0f}"])
    return [
        report.about_machine(result), "",
        f"{result['rows']:,} points of {result['hosts']:,} series over {result['hours']} hours, in {result['segments']} segments. "
        f"Tidegate {result['versions']['tidegate']}, DuckDB {result['versions']['duckdb']}. Medians of {result['runs']} runs in turns. "
        f"Most memory of the gateway while it answered: {result['memory_bytes'] / 1e6:.0f} MB. "
        f"Load average at the start {result['load_average']:.1f}.", "",
        report.table(head, rows), "",
        f"The aim is at most {DUCKDB_FACTOR} times DuckDB's time, which ends with a table in memory; ours ends with the last byte of JSON.",
    ]


if __name__ == "__main__":
    sys.exit(main())
