"""Full text search: one line among many, by a word that no other line has.

    text.py [--documents N] [--runs N] [--quick] [--set KEY=VALUE]… [--results FOLDER]

The documents are those of `bulk.py`; the message of one of them holds a word of its own, the needle. They go to `/_bulk`; after a stop
and a start, when all are in segments, each question is asked so many times, over warm files:

- `matches`: with the filters of words that segments carry; its first time apart, because answers of filters are kept;
- `matches (no filter)`: the same function over an expression, of which no filter knows;
- `LIKE`: a pattern, for which nothing is kept either;
- DuckDB's `LIKE` over the same segments in this process, where the module `duckdb` is there.

A word that no line has, and one that every line has, are counted in the same ways: for the one nothing need be read, for the other
filters can only cost. Beside it the bytes of the filters a document, as the segments' footers tell them.

Tidegate's binary is found as compare.py finds it.
"""
import json, os, shutil, statistics, sys, tempfile, time
from pathlib import Path

import bulk, command, compare, duckdb_peer, load, report, servers

NEEDLE, ABSENT, COMMON = "zyzzyva", "quixotic", "api"
SQL = "/api/v1/sql"
HEADERS = {"Accept": "application/json", "Authorization": "Basic cm9vdDo="}


def main(arguments=None):
    numbers = {"documents": (5_000_000, None), "runs": (5, "times that each question is asked")}
    options = command.options(__doc__, arguments, numbers, quick={"documents": 20_000, "runs": 1})
    return command.run(options, "text", "Full text search", measured, text)


def bodies(options, sizes):
    """Bulk requests; the document with the needle is past the middle."""
    at_needle, waiting = options.documents * 5 // 8, []
    for at, document in enumerate(bulk.documents(options)):
        if at == at_needle:
            document = document.replace(b'"message":"', f'"message":"{NEEDLE} '.encode(), 1)
        sizes["documents"] += len(document)
        waiting += [bulk.ACTION, document]
        if len(waiting) == 2 * bulk.DOCUMENTS_A_BODY:
            yield b"".join(waiting)
            waiting.clear()
    if waiting:
        yield b"".join(waiting)


def measured(options):
    binary = compare.found_binaries([servers.Tidegate])[servers.Tidegate]
    servers.Tidegate.settings = dict(options.settings)
    sizes = {"documents": 0}
    folder = Path(tempfile.mkdtemp(prefix="bench-text-", dir=options.folder))
    result = compare.described(options) | {"documents": options.documents, "runs": options.runs, "load_average": os.getloadavg()[0]}
    try:
        with load.Bodies(bodies(options, sizes), options.folder) as sent, servers.Tidegate(binary, folder / "gate") as server:
            server.create_database()
            done = load.send_all(server.port, "/_bulk?db=bench", sent, bulk.CONNECTIONS, ["Content-Type: application/x-ndjson"])
            if done.errors:
                raise servers.ServerError("; ".join(done.errors))
            server.stop()
            server.start()
            if (count := server.count("logs", servers.DATABASE)) != options.documents:
                raise servers.ServerError(f"holds {count:,} rows, not {options.documents:,}")
            files = [path for path in (server.data / "store" / "data").rglob("*.parquet")]
            result |= {"version": server.version(), "seconds": done.seconds, "document_bytes": sizes["documents"] / options.documents,
                       "segments": len(files), "segment_bytes": sum(path.stat().st_size for path in files)}
            result["searches"] = {word: searches(server, word, options.runs) for word in (NEEDLE, ABSENT, COMMON)}
            if duckdb_peer.duckdb:
                peer(result, files, options.runs)
            else:
                compare.say("left out: DuckDB: its Python module is not installed")
    finally:
        shutil.rmtree(folder)
    return result


def searches(server, word, runs):
    """{how: {first and median seconds, bytes read, row groups skipped}}; all ways find the same number of rows."""
    conditions = {"matches": f"matches(message, '{word}')", "matches (no filter)": f"matches(message || '', '{word}')", "LIKE": f"message LIKE '%{word}%'"}
    found = {}
    for how, condition in conditions.items():
        question = f"select count(message) as rows from logs where {condition}"
        before, took = counted(server), []
        for _ in range(runs):
            seconds, body = server.timed("POST", f"{SQL}?db={servers.DATABASE}", question, HEADERS)
            took.append(seconds)
        after = counted(server)
        found[how] = {"rows": json.loads(body)[0]["rows"], "first": took[0], "median": statistics.median(took),
                      "bytes_read": (after["bytes"] - before["bytes"]) / runs, "skipped": (after["skipped"] - before["skipped"]) / runs}
    if len({one["rows"] for one in found.values()}) != 1:
        raise servers.ServerError(f"{word} is not found alike: {found}")
    return found


def counted(server):
    """What its metrics say of reading."""
    _, body = server.request("GET", "/metrics")
    value = lambda name, label: sum(float(line.rsplit(" ", 1)[1]) for line in body.splitlines() if line.startswith(name + "{") and label in line)
    return {"bytes": value("tidegate_object_store_bytes_total", 'direction="read"'),
            "skipped": value("tidegate_word_filter_row_groups_total", 'result="skipped"')}


def peer(result, files, runs):
    """DuckDB over the same segments, and what their footers say of filters."""
    connection = duckdb_peer.duckdb.connect()
    names = [str(path) for path in files]
    result["duckdb"] = duckdb_peer.duckdb.__version__
    for word, found in result["searches"].items():
        took = []
        for _ in range(runs):
            start = time.perf_counter()
            rows = connection.execute("select count(message) from read_parquet($1, union_by_name = true) where message like $2", [names, f"%{word}%"]).fetchone()[0]
            took.append(time.perf_counter() - start)
        if rows != found["LIKE"]["rows"]:
            raise servers.ServerError(f"DuckDB finds {rows} rows with {word}")
        found["DuckDB, LIKE"] = {"rows": rows, "first": took[0], "median": statistics.median(took)}
    notes = connection.execute("select value from parquet_kv_metadata($1) where decode(key) = 'tidegate.words'", [names]).fetchall()
    places = [place for (note,) in notes for column in json.loads(note)["columns"] for place in column["groups"] if place]
    result["filter_bytes"] = sum(length for _, length in places)


def text(result):
    documents = result["documents"]
    lines = [
        report.about_machine(result), "",
        f"{documents:,} documents of {result['document_bytes']:.0f} bytes in {result['segments']} segments of {result['segment_bytes'] / 2**20:.0f} MiB together; "
        f"each question {result['runs']} times. Tidegate {result['version']}, DuckDB {result.get('duckdb', 'left out')}. Load average at the start {result['load_average']:.1f}.",
    ]
    for word, found in result["searches"].items():
        rows = next(iter(found.values()))["rows"]
        lines += ["", f"`{word}`, in {rows:,} of them:", ""]
        cell = lambda one, key, scale: f"{one[key] / scale:,.1f}" if key in one else ""
        lines.append(report.table(["how", "median, ms", "first, ms", "MiB read", "row groups skipped"], [
            [how, f"{one['median'] * 1e3:,.1f}", f"{one['first'] * 1e3:,.1f}", cell(one, "bytes_read", 2**20), f"{one['skipped']:,.0f}" if "skipped" in one else ""]
            for how, one in found.items()]))
    stored = f"Stored: {result['segment_bytes'] / documents:.0f} bytes a document in segments"
    if "filter_bytes" in result:
        stored += f", of them {result['filter_bytes'] / documents:.1f} filters of words ({100 * result['filter_bytes'] / result['segment_bytes']:.1f} %)"
    return [*lines, "", stored + "."]


if __name__ == "__main__":
    sys.exit(main())
