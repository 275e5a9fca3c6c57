"""Elasticsearch's bulk: log documents of about a kibibyte, beside line protocol into the same gateway.

    bulk.py [--documents N] [--runs N] [--quick] [--set KEY=VALUE]… [--results FOLDER]

The documents are what a shipper of access logs sends: nested fields, numbers, a message. A thousand a request over four connections to
`/_bulk`, timed to the last answer; then the lines of shape `batches` of `compare.py` in the same way to `/write`. Both begin with an empty
folder and end with a stop, a start and a count. The aim: at least 0.3 times the MB/s of line protocol. Storage is what segments occupy,
beside the documents as they are and as gzip packs them.

Tidegate's binary is found as compare.py finds it.
"""
import datetime, gzip, json, os, random, shutil, statistics, sys, tempfile
from pathlib import Path

import command, compare, load, report, servers, shapes

DOCUMENTS_A_BODY, CONNECTIONS = 1_000, 4
AIM = 0.3
START = datetime.datetime(2024, 5, 1, tzinfo=datetime.timezone.utc)
ACTION = b'{"create":{"_index":"logs"}}\n'
WORDS = ("upstream connection reset by peer while reading response header from request client retry timeout cache miss user session token "
         "expired accepted order payment worker queue batch shard replica index commit flush handler middleware database pool").split()
PATHS = [f"/api/v{version}/{name}" for version in (1, 2) for name in ("users", "orders", "items", "carts", "sessions", "invoices", "search")]
AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0" for version in range(100, 130)]


def main(arguments=None):
    numbers = {"documents": (500_000, None), "runs": (3, None)}
    options = command.options(__doc__, arguments, numbers, quick={"documents": 5_000, "runs": 1})
    return command.run(options, "bulk", "Elasticsearch's bulk", measured, text)


def documents(options):
    chance = random.Random(options.seed)
    for at in range(options.documents):
        moment = START + datetime.timedelta(milliseconds=3 * at)
        path, status = f"{chance.choice(PATHS)}/{chance.randrange(10**6)}", chance.choice((200, 200, 200, 200, 201, 304, 404, 500))
        words = " ".join(chance.choices(WORDS, k=55))
        yield json.dumps({
            "@timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "message": f"{path} {words}", "log": {"level": chance.choice(("info", "info", "warn", "error")), "logger": f"app.{chance.choice(WORDS)}"},
            "host": {"name": f"web-{chance.randrange(40)}", "ip": f"10.0.{chance.randrange(8)}.{chance.randrange(256)}"},
            "http": {"request": {"method": chance.choice(("GET", "POST", "PUT")), "bytes": chance.randrange(2_000)},
                     "response": {"status_code": status, "bytes": chance.randrange(100_000)}},
            "event": {"duration": chance.randrange(10**9), "id": f"{chance.getrandbits(64):016x}"},
            "user_agent": {"original": chance.choice(AGENTS)}, "trace": {"id": f"{chance.getrandbits(128):032x}"},
            "kubernetes": {"namespace": "shop", "pod": {"name": f"api-{chance.randrange(30)}"}, "labels": {"app": "api", "tier": "web"}},
        }, separators=(",", ":")).encode() + b"\n"


def bulk_bodies(options, sizes):
    waiting = []
    for document in documents(options):
        sizes["documents"] += len(document)
        waiting += [ACTION, document]
        if len(waiting) == 2 * DOCUMENTS_A_BODY:
            body = b"".join(waiting)
            if not sizes["sample"]:
                sample = b"".join(waiting[1::2])
                sizes["sample"] = len(sample) / len(gzip.compress(sample, compare.GZIP_LEVEL, mtime=0))
            yield body
            waiting.clear()
    if waiting:
        yield b"".join(waiting)


def measured(options):
    binary = compare.found_binaries([servers.Tidegate])[servers.Tidegate]
    servers.Tidegate.settings = dict(options.settings)
    lines = shapes.SHAPES[0].seeded(options.seed)
    lines = lines.scaled(lines.lines // 100) if options.quick else lines
    sizes = {"documents": 0, "sample": 0}
    result = compare.described(options) | {"documents": options.documents, "runs": options.runs, "load_average": os.getloadavg()[0], "bulk": [], "lines": []}
    with load.Bodies(bulk_bodies(options, sizes), options.folder) as bulk, load.Bodies(shapes.bodies(lines), options.folder) as line_bodies:
        result |= {"document_bytes": sizes["documents"] / options.documents, "gzip_factor": sizes["sample"]}
        for turn in range(options.runs):
            compare.say(f"run {turn + 1} of {options.runs}")
            version, run = one_run(binary, options, bulk, "/_bulk?db=bench", "application/x-ndjson", "logs", options.documents)
            result["bulk"].append(run)
            result["version"] = version
            _, run = one_run(binary, options, line_bodies, "/write?db=bench", "text/plain", "cpu", lines.lines)
            result["lines"].append(run)
    return result


def one_run(binary, options, bodies, target, kind, table, rows):
    folder = Path(tempfile.mkdtemp(prefix="bench-bulk-", dir=options.folder))
    os.sync()
    try:
        with servers.Tidegate(binary, folder) as server:
            server.create_database()
            sent = load.send_all(server.port, target, bodies, CONNECTIONS, [f"Content-Type: {kind}"])
            if sent.errors:
                raise servers.ServerError("; ".join(sent.errors))
            server.stop()
            memory = server.memory_bytes
            segment_bytes = sum(path.stat().st_size for path in (server.data / "store" / "data").rglob("*.parquet"))
            server.start()
            if (count := server.count(table)) != rows:
                raise servers.ServerError(f"holds {count:,} rows, not {rows:,}")
            return server.version(), {"seconds": sent.seconds, "p99": sent.p99, "bytes": bodies.bytes, "memory_bytes": memory,
                                      "segment_bytes": segment_bytes}
    finally:
        shutil.rmtree(folder)


def text(result):
    median = lambda runs, key: statistics.median(run[key] for run in runs)
    speed = lambda runs: runs[0]["bytes"] / median(runs, "seconds") / 1e6
    bulk, lines, documents = result["bulk"], result["lines"], result["documents"]
    ratio = speed(bulk) / speed(lines)
    rows = [
        ["documents", f"{documents / median(bulk, 'seconds'):,.0f} documents/s", f"{speed(bulk):.0f}", f"{median(bulk, 'p99') * 1e3:.0f}", f"{max(r['memory_bytes'] for r in bulk) / 2**20:.0f}"],
        ["line protocol", "", f"{speed(lines):.0f}", f"{median(lines, 'p99') * 1e3:.0f}", f"{max(r['memory_bytes'] for r in lines) / 2**20:.0f}"],
    ]
    stored = median(bulk, "segment_bytes") / documents
    return [
        report.about_machine(result), "",
        f"{documents:,} documents of {result['document_bytes']:.0f} bytes, {DOCUMENTS_A_BODY:,} a request over {CONNECTIONS} connections, and the lines of shape `batches`; "
        f"medians of {result['runs']} runs in turns, each synced before its answer. Tidegate {result['version']}. Load average at the start {result['load_average']:.1f}.", "",
        report.table(["what", "", "MB/s", "p99, ms", "memory, MiB"], rows), "",
        f"Documents / lines: **{ratio:.2f}**; the aim is at least {AIM}.", "",
        f"Stored: {stored:.0f} bytes a document in segments; {result['document_bytes']:.0f} as it is, {result['document_bytes'] / result['gzip_factor']:.0f} as gzip packs a request of them.",
    ]


if __name__ == "__main__":
    sys.exit(main())
