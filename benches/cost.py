"""What running on an object store costs: requests per million points and per hour of idling, for one table and for many.

    cost.py [--tables 1,1000] [--points 1000000] [--rate 10000] [--idle-minutes 10] [--results FILE]

Tidegate runs with its defaults over MinIO. Points come at a steady rate, spread evenly over the tables; then the gateway
is left alone. Requests are those that go over the wire, as `/metrics` counts them. Prices are the list prices below.

Binaries: $TIDEGATE_BIN, else dist/tidegate as `compare.py` finds it; $MINIO, else `minio` of the PATH.
"""
import argparse, os, re, shutil, sys, tempfile, time
from pathlib import Path

import report, servers

# Amazon S3 Standard, us-east-1, US dollars a thousand requests, as listed in 2026; DELETE is free.
PRICES = {"put": 0.005, "post": 0.005, "list": 0.005, "get": 0.0004, "head": 0.0004, "delete": 0.0}
ANSWERED = re.compile(r'^tidegate_object_store_http_requests_total\{answer="(\w+)",request="(\w+)"\} (\d+)', re.MULTILINE)
POINTS_A_BODY = 1_000
HOSTS = 1_000
SETTLE_SECONDS = 90  # longer than the age at which small tables are flushed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="1,1000", help="numbers of tables, one run each")
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=10_000, help="points a second")
    parser.add_argument("--idle-minutes", type=float, default=10)
    parser.add_argument("--set", dest="settings", metavar="KEY=VALUE", action="append", default=[])
    parser.add_argument("--results", help="a Markdown file to write the table to")
    options = parser.parse_args()
    minio = os.environ.get("MINIO") or shutil.which("minio")
    binary = servers.find_binary(servers.Tidegate)
    if not minio or not binary:
        sys.exit("Tidegate and MinIO are needed: name them in TIDEGATE_BIN and MINIO")
    servers.Tidegate.settings = dict(setting.split("=", 1) for setting in options.settings)
    rows = []
    for tables in map(int, options.tables.split(",")):
        rows += measured(binary, minio, tables, options)
    kinds = [kind for kind in PRICES if any(kind in row["requests"] for row in rows)]
    head = ["tables", "while", *(kind.upper() for kind in kinds), "US$", "objects", "MiB in the bucket"]
    text = report.table(head, [[str(row["tables"]), row["while"], *(f"{row['requests'].get(kind, 0):,.0f}" for kind in kinds),
                                f"{price(row['requests']):.4f}", f"{row['objects']:,}", f"{row['bytes'] / 2**20:.1f}"] for row in rows])
    print(text)
    if options.results:
        Path(options.results).write_text(text + "\n")


def measured(binary, minio, tables, options):
    """Two rows: a million points written, an hour idle."""
    folder = Path(tempfile.mkdtemp(prefix="cost-"))
    try:
        with servers.Minio(minio, folder) as store:
            server = servers.Tidegate(binary, folder)
            server.object_store = store
            with server:
                server.create_database()
                start = requests(server)
                write(server, tables, options)
                time.sleep(SETTLE_SECONDS)
                written = requests(server)
                objects, size = store.objects(), store.disk_bytes()
                time.sleep(options.idle_minutes * 60)
                idle = requests(server)
                scale = 1_000_000 / options.points
                yield row(tables, "writing a million points", difference(written, start, scale), objects, size)
                yield row(tables, "idle for an hour", difference(idle, written, 60 / options.idle_minutes), store.objects(), store.disk_bytes())
    finally:
        shutil.rmtree(folder)


def row(tables, when, requests, objects, size):
    return {"tables": tables, "while": when, "requests": requests, "objects": objects, "bytes": size}


def requests(server):
    """Requests over the wire so far, by kind."""
    status, text = server.request("GET", "/metrics")
    if status != 200:
        raise servers.ServerError(f"/metrics answered {status}")
    counts = {}
    for _, kind, count in ANSWERED.findall(text):
        counts[kind] = counts.get(kind, 0) + int(count)
    if not sum(counts.values()):
        raise servers.ServerError("no request to the store was counted")
    return counts


def difference(after, before, scale):
    counts = {kind: (count - before.get(kind, 0)) * scale for kind, count in after.items()}
    return {kind: count for kind, count in counts.items() if count}


def price(counts):
    return sum(count * PRICES[kind] / 1000 for kind, count in counts.items())


def write(server, tables, options):
    """Points at a steady rate, each table's share in each body as even as can be."""
    names = [f"table_{at:04}" for at in range(tables)]
    start, second = time.monotonic(), time.time_ns()
    for first in range(0, options.points, POINTS_A_BODY):
        count = min(POINTS_A_BODY, options.points - first)
        lines = (f"{names[at % tables]},host=host_{at // tables % HOSTS} value={at % 977}.5 {second + at * 1_000_000}" for at in range(first, first + count))
        status, text = server.request("POST", server.write_path, body="\n".join(lines).encode())
        if status != 204:
            raise servers.ServerError(f"a write was answered {status}: {text[:300]}")
        time.sleep(max(0.0, start + (first + count) / options.rate - time.monotonic()))


if __name__ == "__main__":
    main()
