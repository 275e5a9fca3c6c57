"""Bytes on disk a value, after everything was flushed and after everything was merged: Tidegate, InfluxDB, VictoriaMetrics.

    disk.py [--lines 1000000] [--results FILE]

The lines of shape `batches` of `compare.py`, once with integers and once with decimals. Merging is made to happen soon by
each server's own settings, and counts as done when the size has not changed for a while.
"""
import argparse, dataclasses, re, shutil, sys, tempfile, time
from pathlib import Path

import load, report, servers, shapes

QUIET_SECONDS, QUIET_SECONDS_MAX = 45, 600


class Tidegate(servers.Tidegate):
    """Looks for work each second, and removes what was replaced as soon as no query can read it."""

    settings = {"compaction.interval_ms": "1000", "compaction.files_min": "2", "query.timeout_ms": "1000"}
    quiet_seconds = 90  # replaced segments go 61 s after they were

    def data_bytes(self):
        return servers.allocated_bytes(self.data / "store")

    def merge(self):
        pass


class InfluxDb(servers.InfluxDb):
    """Writes its cache into files after five seconds without writes and compacts a shard fully after ten."""

    quiet_seconds = QUIET_SECONDS

    def command(self):
        command = super().command()
        path = self.folder / "influxdb.conf"
        text = re.sub(r"cache-snapshot-write-cold-duration = .*", 'cache-snapshot-write-cold-duration = "5s"', path.read_text())
        path.write_text(re.sub(r"compact-full-write-cold-duration = .*", 'compact-full-write-cold-duration = "10s"', text))
        return command

    def data_bytes(self):
        return servers.allocated_bytes(self.data / "data")

    def merge(self):
        pass


class VictoriaMetrics(servers.VictoriaMetrics):
    quiet_seconds = QUIET_SECONDS

    def data_bytes(self):
        return servers.allocated_bytes(self.data)

    def merge(self):
        self.request("GET", "/internal/force_merge")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--results", help="a Markdown file to write the table to")
    options = parser.parse_args()
    rows = []
    for floats in (False, True):
        shape = dataclasses.replace(shapes.SHAPES[0].scaled(options.lines), floats=floats)
        with load.Bodies(shapes.bodies(shape), options.folder) as bodies:
            for kind, plain in ((Tidegate, servers.Tidegate), (InfluxDb, servers.InfluxDb), (VictoriaMetrics, servers.VictoriaMetrics)):
                if binary := servers.find_binary(plain):
                    flushed, merged = measured(kind, binary, shape, bodies, options)
                    rows.append([kind.title, "decimals" if floats else "integers", f"{flushed / shape.values:.2f}", f"{merged / shape.values:.2f}", f"{merged / 2**20:.1f}"])
                    print(rows[-1], file=sys.stderr, flush=True)
    text = report.table(["server", "values", "bytes a value, flushed", "bytes a value, merged", "MiB, merged"], rows)
    print(text)
    if options.results:
        Path(options.results).write_text(text + "\n")


def measured(kind, binary, shape, bodies, options):
    """Bytes after a stop and start, and after merging."""
    folder = Path(tempfile.mkdtemp(prefix=f"disk-{kind.name}-", dir=options.folder))
    try:
        with kind(binary, folder) as server:
            server.create_database()
            sent = load.send_all(server.port, server.write_path, bodies, shape.connections)
            if sent.errors:
                raise servers.ServerError("; ".join(sent.errors))
            server.stop()
            server.start()
            flushed = server.data_bytes()
            server.merge()
            merged = settled(server)
            if (rows := server.count_rows(shape)) != shape.lines:
                raise servers.ServerError(f"{kind.name} holds {rows:,} rows, and acknowledged {shape.lines:,}")
            return flushed, merged
    finally:
        shutil.rmtree(folder)


def settled(server):
    """The size once it has not changed for a while."""
    size, since, start = server.data_bytes(), time.monotonic(), time.monotonic()
    while time.monotonic() - since < server.quiet_seconds:
        time.sleep(1)
        if (now := server.data_bytes()) != size:
            size, since = now, time.monotonic()
        if time.monotonic() - start > QUIET_SECONDS_MAX:
            raise servers.ServerError(f"{server.name} still changes its files after {QUIET_SECONDS_MAX} s")
    return size


if __name__ == "__main__":
    main()
