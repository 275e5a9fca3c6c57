"""Memory of Tidegate with its defaults: the most that was resident, round after round of twenty million values.

    memory.py [--rounds 10] [--lines 2000000] [--set KEY=VALUE]… [--results FILE]

A round is sent as fast as it is taken, as shape `batches` of `compare.py`; then the script waits until the buffer is
empty, that is until every row is in the store. The process is the same all along.
"""
import argparse, itertools, re, shutil, sys, tempfile, time
from pathlib import Path

import load, report, servers, shapes

EMPTY_SECONDS_MAX = 300
BUFFERED = re.compile(r"^tidegate_buffer_bytes (\S+)", re.MULTILINE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--lines", type=int, default=2_000_000, help="lines a round, ten values each")
    parser.add_argument("--set", dest="settings", metavar="KEY=VALUE", action="append", default=[])
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--results", help="a Markdown file to write the table to")
    options = parser.parse_args()
    binary = servers.find_binary(servers.Tidegate)
    if not binary:
        sys.exit("there is no Tidegate: name its binary in TIDEGATE_BIN")
    servers.Tidegate.settings = dict(setting.split("=", 1) for setting in options.settings)
    shape = shapes.SHAPES[0].scaled(options.rounds * options.lines)
    bodies = shapes.bodies(shape)
    folder, rows = Path(tempfile.mkdtemp(prefix="memory-", dir=options.folder)), []
    try:
        with servers.Tidegate(binary, folder) as server:
            server.create_database()
            for turn in range(1, options.rounds + 1):
                with load.Bodies(itertools.islice(bodies, options.lines // shape.lines_a_body), options.folder) as made:
                    sent = load.send_all(server.port, server.write_path, made, shape.connections)
                if sent.errors:
                    raise servers.ServerError("; ".join(sent.errors))
                wait_until_empty(server)
                most, now = memory(server, "VmHWM"), memory(server, "VmRSS")
                rows.append([str(turn), f"{options.lines * 10 / sent.seconds / 1e6:.2f}", f"{most / 1024:.0f}", f"{now / 1024:.0f}", str(sent.refused)])
                print(f"round {turn}: most resident {most / 1024:.0f} MiB, now {now / 1024:.0f} MiB", file=sys.stderr, flush=True)
            counted = server.count_rows(shape)
            if counted != shape.lines:
                raise servers.ServerError(f"holds {counted:,} rows, and acknowledged {shape.lines:,}")
    finally:
        shutil.rmtree(folder)
    text = report.table(["round", "M values/s", "most resident (VmHWM), MiB", "resident after the flush (VmRSS), MiB", "refused"], rows)
    print(text)
    if options.results:
        Path(options.results).write_text(text + "\n")


def wait_until_empty(server):
    deadline = time.monotonic() + EMPTY_SECONDS_MAX
    while True:
        found = BUFFERED.search(server.request("GET", "/metrics")[1])
        if not found:
            raise servers.ServerError("/metrics says nothing about the buffer")
        if float(found[1]) == 0:
            return
        if time.monotonic() > deadline:
            raise servers.ServerError(f"{found[1]} bytes are still buffered after {EMPTY_SECONDS_MAX} s")
        time.sleep(0.2)


def memory(server, name):
    """In KiB."""
    return int(re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{server.process.pid}/status").read_text(), re.MULTILINE)[1])


if __name__ == "__main__":
    main()
