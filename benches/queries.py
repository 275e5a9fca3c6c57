"""Queries, side by side: the devops queries of the Time Series Benchmark Suite to Tidegate, InfluxDB and DuckDB.

    queries.py [--hosts N] [--hours N] [--runs N] [--queries NAME,…] [--quick] [--set KEY=VALUE]… [--results FOLDER]

The same rows go into Tidegate and InfluxDB; DuckDB reads the Parquet segments that Tidegate's store holds. First every answer
is compared with InfluxDB's, row by row, and a difference fails the command. Then each query is timed: cold, as the first
one after a start (with the system's cache of files dropped, where that is allowed), and warm, the median of further ones.
Writes results/DATE-queries.json and .md. README.md says what each column is.

Binaries are found as compare.py finds them; DuckDB is the Python package `duckdb`, left out where it is not installed.
"""
import contextlib, json, math, os, shutil, statistics, sys, tempfile, time
from pathlib import Path

import command, compare, devops, load, report, servers, shapes, tsbs
from duckdb_peer import DuckDb, duckdb

FLOOR_SECONDS = 0.005  # below this no one sees a difference
SCAN_FACTOR, DUCKDB_FACTOR = 5, 2
SETTLE_SECONDS = 120  # compaction looks for work every 30 s, and for the last of it when nothing came for a minute


def main(arguments=None):
    numbers = {"hosts": (100, None), "hours": (24, "of data, a row a host each ten seconds"), "runs": (15, "warm runs of each query"), "cold-runs": (3, None)}
    options = command.options(__doc__, arguments, numbers, quick={"hosts": 10, "hours": 2, "runs": 3, "cold-runs": 1, "settle": 0}, also=further)
    return command.run(options, "queries", "Queries", measured, text)


def further(parser):
    parser.add_argument("--queries", metavar="NAME,…", type=named_queries, default=devops.QUERIES)
    parser.add_argument("--settle", type=float, default=SETTLE_SECONDS, help="seconds for compaction before anything is asked")


def named_queries(text):
    return compare.named(text, {query.name: query for query in devops.QUERIES})


# Running

def measured(options):
    binaries = compare.found_binaries([servers.Tidegate, servers.InfluxDb])
    shape = shapes.Shape("queries", "", hosts=options.hosts, lines=options.hosts * options.hours * 360, seed=options.seed)
    data = devops.Data(options.hosts, tsbs.START_SECONDS, tsbs.START_SECONDS + options.hours * 3600)
    result = compare.described(options) | {
        "hosts": options.hosts, "hours": options.hours, "rows": shape.lines, "runs": options.runs, "cold_runs": options.cold_runs,
        "seed": options.seed, "load_average": os.getloadavg()[0], "drops_file_cache": drop_file_cache(), "queries": [],
    }
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-queries-", dir=options.folder))
        stack.callback(shutil.rmtree, folder)
        compare.say(f"loading {shape.lines:,} rows")
        running = {}
        with load.Bodies(shapes.bodies(shape), options.folder) as bodies:
            for kind, binary in binaries.items():
                server = kind(binary, folder / kind.name)
                if kind is servers.Tidegate:
                    server.settings = dict(options.settings) | {"compaction.enabled": "false"}
                running[kind.name] = stack.enter_context(filled(server, shape, bodies))
        ours = running["tidegate"]
        if duckdb:
            running["duckdb"] = DuckDb(ours, folder / "parquet")
        ours.settings = dict(options.settings)
        ours.stop()
        ours.start()
        time.sleep(options.settle)
        result["versions"] = {name: server.version() for name, server in running.items()}
        asked = {query.name: devops.questions(query, data, options.runs, options.seed) for query in options.queries}
        for query in options.queries:
            compare.say(f"comparing {query.name}")
            for question in asked[query.name]:
                same_answers(running, question)
        for query in options.queries:
            compare.say(f"timing {query.name}")
            result["queries"].append(timed(running, query, asked[query.name], options))
    return result


@contextlib.contextmanager
def filled(server, shape, bodies):
    """A server with the rows in it, stopped cleanly and started again."""
    with server:
        server.create_database()
        sent = load.send_all(server.port, server.write_path, bodies, shape.connections, ["Content-Type: text/plain"])
        if sent.errors:
            raise servers.ServerError(f"{server.name}: {'; '.join(sent.errors)}")
        server.stop()
        server.start()
        rows = server.count_rows(shape)
        if rows != shape.lines:
            raise servers.ServerError(f"{server.name} holds {rows:,} rows, not {shape.lines:,}")
        yield server


def answer(server, question):
    """(seconds until the last byte of the answer, its bytes)"""
    return server.timed_get("/query", {"db": servers.DATABASE, "epoch": "ns", "q": question.influxql})


def series_rows(server, question):
    """Rows as tuples: the series' tags, the time, the values."""
    body = json.loads(answer(server, question)[1])
    if error := body.get("error") or body["results"][0].get("error"):
        raise servers.ServerError(f"{server.name} answered `{question.influxql}` with: {error}")
    found = body["results"][0].get("series", [])
    return [(*series.get("tags", {}).values(), *row) for series in found for row in series["values"]]


def same_answers(running, question):
    theirs = sorted(series_rows(running["influxd"], question), key=repr)
    for name, server in running.items():
        if name == "influxd":
            continue
        ours = server.rows(question) if name == "duckdb" else series_rows(server, question)
        if difference := differ(theirs, sorted(map(tuple, ours), key=repr)):
            raise servers.ServerError(f"{name} and influxd differ on `{question.influxql}`: {difference}")


def differ(theirs, ours):
    if len(theirs) != len(ours):
        return f"{len(ours)} rows, not {len(theirs)}"
    pairs = zip(theirs, ours)
    return next((f"{our}, not {their}" for their, our in pairs if not same_row(their, our)), None)


def same_row(theirs, ours):
    number = lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)
    same = lambda a, b: math.isclose(a, b, rel_tol=1e-9) if number(a) and number(b) else a == b
    return len(theirs) == len(ours) and all(map(same, theirs, ours))


def timed(running, query, questions, options):
    """Seconds of each server: cold and warm. Questions come in turns, so that nobody has the quieter time."""
    warm = {name: [] for name in running}
    cold = {name: [] for name in running}
    sizes = {}
    for at in range(options.cold_runs):
        for name, server in running.items():
            server.stop()
            drop_file_cache()
            server.start()
            cold[name].append(seconds_of(server, questions[at % len(questions)]))
    for name, server in running.items():
        for question in questions[:3]:
            seconds_of(server, question)
    for at in range(options.runs):
        for name, server in running.items():
            question = questions[at % len(questions)]
            if name == "duckdb":
                warm[name].append(server.seconds(question))
            else:
                seconds, body = answer(server, question)
                warm[name].append(seconds)
                sizes[name] = len(body)
    median = lambda runs: {name: statistics.median(all) for name, all in runs.items()}
    return {"name": query.name, "is_scan": query.is_scan, "example": questions[0].influxql, "answer_bytes": sizes,
            "warm": warm, "cold": cold, "median": {"warm": median(warm), "cold": median(cold)}}


def seconds_of(server, question):
    return server.seconds(question) if isinstance(server, DuckDb) else answer(server, question)[0]


def drop_file_cache():
    """Whether the system let us: only root may, and not in every container."""
    try:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("1")
        return True
    except OSError:
        return False


# For people

def misses(query):
    """Which aims a query misses, in words."""
    warm = query["median"]["warm"]
    ours, theirs = warm["tidegate"], warm["influxd"]
    if query["is_scan"] and ours * SCAN_FACTOR > theirs and ours > FLOOR_SECONDS:
        yield f"less than {SCAN_FACTOR}x faster than InfluxDB"
    elif ours > max(theirs, FLOOR_SECONDS):
        yield "slower than InfluxDB"
    if "duckdb" in warm and ours > DUCKDB_FACTOR * max(warm["duckdb"], FLOOR_SECONDS / DUCKDB_FACTOR):
        yield f"over {DUCKDB_FACTOR}x of DuckDB"


def text(result):
    """The result as lines of Markdown that read as text too."""
    titles = {"tidegate": "Tidegate", "influxd": "InfluxDB", "duckdb": "DuckDB"}
    names = list(result["versions"])
    head = ["query", *(f"{titles[name]} {kind}, ms" for kind in ("warm", "cold") for name in names),
            *(f"{titles[name]} / Tidegate, warm" for name in names if name != "tidegate"), "misses"]
    rows = []
    for query in result["queries"]:
        warm, cold = query["median"]["warm"], query["median"]["cold"]
        times = [f"{kind[name] * 1e3:.1f}" for kind in (warm, cold) for name in names]
        ratios = [report.ratio(warm[name] / warm["tidegate"]) for name in names if name != "tidegate"]
        rows.append([query["name"] + (" *" if query["is_scan"] else ""), *times, *ratios, "; ".join(misses(query))])
    cache = "dropped" if result["drops_file_cache"] else "kept, because it could not be dropped"
    return [
        report.about_machine(result), "",
        f"{result['rows']:,} rows: {result['hosts']:,} hosts, a row each ten seconds for {result['hours']} hours, 10 tags and 10 fields. "
        f"Versions: {', '.join(f'{titles[name]} {version}' for name, version in result['versions'].items())}. "
        f"Medians of {result['runs']} warm and {result['cold_runs']} cold runs; before a cold run the server is started again and the "
        f"system's cache of files is {cache}. Load average at the start {result['load_average']:.1f}.", "",
        report.table(head, rows), "",
        f"\\* reads much: should be at least {SCAN_FACTOR} times as fast as InfluxDB. All: at most InfluxDB's time and {DUCKDB_FACTOR} times "
        f"DuckDB's, or {FLOOR_SECONDS * 1e3:.0f} ms.", "",
        *(f"- {query['name']}: `{query['example']}`" for query in result["queries"]), "",
        "Made by `make querybench`; [the README](../README.md) says what each column is.",
    ]


if __name__ == "__main__":
    sys.exit(main())
