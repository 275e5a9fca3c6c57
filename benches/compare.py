"""Ingest, side by side: the same line protocol into Tidegate, InfluxDB and VictoriaMetrics on one machine.

    compare.py [--shapes NAME,…] [--quick] [--lines N] [--runs N] [--servers NAME,…] [--set KEY=VALUE]… [--results FOLDER]

Prints for each shape of load a table with the medians, what an acknowledgement of each server means, and the ratios
Tidegate / peer, and writes results/DATE-ingest.json, .md and .svg beside this file. README.md says what each number is.

Binaries: $TIDEGATE_BIN, else dist/tidegate in $CARGO_TARGET_DIR or target/; $INFLUXD, $VICTORIA_METRICS and $MINIO, else
`influxd`, `victoria-metrics` and `minio` of the PATH; one that is not there is left out. `make bench` fetches them all.

Fails when a server refuses data or holds another number of rows than was sent, never because of a speed. Then it writes no
results and keeps the server's folder.
"""
import argparse, contextlib, datetime, functools, gzip, os, platform, shutil, sys, tempfile
from pathlib import Path

import load, report, servers, shapes, tsbs

RESULTS = Path(__file__).resolve().parent / "results"
CEILING_MARGIN = 4  # the generator should be this much faster than the fastest server
GZIP_LEVEL = 6  # what clients use


def main(arguments=None):
    options = parsed(arguments)
    try:
        binaries = found_binaries(options.servers)
        servers.Tidegate.settings = dict(options.settings)
        result = described(options)
        result["shapes"] = [one for shape in options.shapes if (one := compared(shape, binaries, options))]
    except (servers.ServerError, load.HttpError, OSError) as error:
        print(f"FAIL {error}", file=sys.stderr)
        return 1
    print("\n".join(report.text(result)))
    if options.results:
        print(f"written: {report.write(result, options.results)} and its .json and .svg")
    return 0


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", metavar="NAME,…", type=named_shapes, default=shapes.SHAPES,
                        help="of " + ", ".join(f"{s.name} ({s.title})" for s in shapes.SHAPES))
    parser.add_argument("--quick", action="store_true", help="a hundredth of the lines, one run, nothing written: to try the script")
    parser.add_argument("--lines", type=positive, help="lines a run (default: ten million values)")
    parser.add_argument("--runs", type=positive, help="runs of each server (default 3)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--servers", metavar="NAME,…", type=named_servers, help="of " + ", ".join(s.name for s in servers.SERVERS))
    parser.add_argument("--set", dest="settings", metavar="KEY=VALUE", type=setting, action="append", default=[],
                        help="a setting of Tidegate, such as buffer.flush_bytes=33554432")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the servers keep their data meanwhile")
    parser.add_argument("--results", help=f"where results are written (default {RESULTS.name}/ beside this file; none with --quick)")
    options = parser.parse_args(arguments)
    lines = lambda shape: options.lines or (shape.lines // 100 if options.quick else shape.lines)
    options.shapes = [shape.scaled(lines(shape)).seeded(options.seed) for shape in options.shapes]
    options.runs = options.runs or (1 if options.quick else 3)
    options.results = options.results or (None if options.quick else RESULTS)
    return options


def positive(text):
    if (number := int(text.replace(",", "").replace("_", ""))) < 1:
        raise ValueError
    return number


def named_servers(text):
    return named(text, {server.name: server for server in servers.SERVERS})


def named_shapes(text):
    return named(text, {shape.name: shape for shape in shapes.SHAPES})


def named(text, known):
    if unknown := set(text.split(",")) - set(known):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(text.split(","))]


def setting(text):
    name, value = text.split("=", 1)
    return name, value


def found_binaries(wanted):
    """{server: binary}. Whatever is asked for by name must be there, and so must Tidegate."""
    binaries = {server: servers.find_binary(server) for server in wanted or servers.SERVERS}
    for server in [server for server, binary in binaries.items() if not binary]:
        if wanted or server is servers.Tidegate:
            raise servers.ServerError(f"there is no {server.name}: name its binary in {server.variable}")
        say(f"left out: {server.name} is neither in {server.variable} nor on the PATH")
        del binaries[server]
    return binaries


# Running

def compared(shape, binaries, options):
    """What one shape came to, or None when nothing can run it."""
    taking_part = {s: b for s, b in binaries.items() if s.name not in shape.without and (s is servers.Tidegate or not shape.object_store)}
    minio = os.environ.get("MINIO") or shutil.which("minio")
    if not taking_part or (shape.object_store and not minio):
        say(f"left out: {shape.title}: nothing here runs it")
        return None
    say(f"{shape.title}: making {shape.lines:,} lines")
    bodies, sizes = sent_bodies(shape)
    with load.Bodies(bodies, options.folder) as bodies:
        result = {
            "name": shape.name, "title": shape.title, "lines": shape.lines, "values": shape.values, "hosts": shape.hosts,
            "tables": shape.tables, "lines_a_body": shape.lines_a_body, "connections": shape.connections, "gzip": shape.gzip,
            "runs": options.runs, "seed": shape.seed, "without": shape.without,
            "bodies": bodies.count, "bytes": sizes["bytes"], "bytes_sent": bodies.bytes, "crc32": f"{sizes['crc']:08x}",
            "load_average": os.getloadavg()[0],
            "ceiling_bytes_per_second": load.ceiling(bodies, shape.connections),
        }
        result["servers"] = in_turns(taking_part, options, shape, bodies, minio)
    result["ratios"] = report.ratios(result["servers"])
    if report.fastest_bytes_per_second(result) * CEILING_MARGIN > result["ceiling_bytes_per_second"]:
        say("WARNING: the generator is not far above the fastest server; the speeds are partly its own")
    return result


def sent_bodies(shape):
    """The bodies as they go over the wire, and a dict that holds their plain size and checksum once they are made."""
    sizes = {"bytes": 0, "crc": 0}

    def make():
        for body in shapes.bodies(shape):
            sizes["bytes"] += len(body)
            sizes["crc"] = tsbs.checksum(body, sizes["crc"])
            yield gzip.compress(body, GZIP_LEVEL, mtime=0) if shape.gzip else body

    return make(), sizes


def in_turns(binaries, options, shape, bodies, minio):
    """Runs each server as often as asked; another one begins each round. Answers what `report` sums up."""
    outcome = {server: {"name": server.name, "title": server.title, "stop_means": server.stop_means, "runs": []} for server in binaries}
    order = list(binaries)
    for turn in range(options.runs):
        for server in order:
            say(f"run {turn + 1} of {options.runs}: {server.name}")
            said, run = one_run(server, binaries[server], options, shape, bodies, minio)
            outcome[server] |= said
            outcome[server]["runs"].append(run)
        order = order[1:] + order[:1]
    return [report.summed_up(one) for one in outcome.values()]


def one_run(kind, binary, options, shape, bodies, minio):
    """One server from an empty folder: fill, stop, start, count. Answers (what the server says of itself, the run)."""
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{kind.name}-", dir=options.folder))
    server = kind(binary, folder)
    os.sync()  # what others wrote before is not this run's to wait for
    try:
        with contextlib.ExitStack() as stack:
            if shape.object_store:
                server.object_store = stack.enter_context(servers.Minio(minio, folder))
            stack.enter_context(server)
            server.create_database()
            run = measured(server, shape, bodies)
        said = {"version": server.version(), "durability": server.durability}
    except Exception as error:
        say(f"{server.log_tail()}\nleft as it was: {folder}")
        raise servers.ServerError(f"{kind.name}: {error}") from error
    except BaseException:  # interrupted
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return said, run


def measured(server, shape, bodies):
    headers = ["Content-Type: text/plain; charset=utf-8", *(["Content-Encoding: gzip"] if shape.gzip else [])]
    sent = load.send_all(server.port, server.write_path, bodies, shape.connections, headers)
    if sent.errors:
        raise servers.ServerError("; ".join(sent.errors))
    stop_seconds = server.stop()
    disk_bytes, log_bytes = server.disk_bytes()
    server.start()
    rows = server.count_rows(shape)
    if rows != shape.lines:
        raise servers.ServerError(f"holds {rows:,} rows after a restart, and acknowledged {shape.lines:,}")
    return {
        "seconds": sent.seconds, "stop_seconds": stop_seconds,
        "values_per_second": shape.values / sent.seconds,
        "values_per_second_stopped": shape.values / (sent.seconds + stop_seconds),
        "latency_p50_seconds": sent.p50, "latency_p99_seconds": sent.p99, "latency_max_seconds": sent.max,
        "cpu_seconds": server.cpu_seconds, "generator_cpu_seconds": sent.cpu_seconds,
        "memory_bytes": server.memory_bytes, "disk_bytes": disk_bytes, "log_bytes": log_bytes,
        "refused": sent.refused, "errors": len(sent.errors), "rows": rows,
    }


# What was measured, and where

def described(options):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": machine(options.folder),
        "settings": dict(options.settings),
    }


def machine(folder):
    kind = file_system(folder)
    if kind in ("tmpfs", "ramfs"):
        say(f"WARNING: {folder} is kept in memory ({kind}), where a sync costs nothing; name a folder on a disk with --folder")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": first_value("/proc/cpuinfo", "model name") or platform.machine(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": platform.release().split("-")[0], "file_system": kind, "load_average": os.getloadavg()[0],
    }


def first_value(path, name):
    """The value of the first line `name : value` of a file under /proc, or None."""
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), None)


def file_system(folder):
    """Its type, such as ext4: the mount that is nearest above the folder."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    folder = Path(folder).resolve()
    above = [(len(Path(point).parts), kind) for point, kind in mounts if folder.is_relative_to(point)]
    return functools.reduce(lambda best, mount: mount if mount[0] >= best[0] else best, above, (0, "unknown"))[1]


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
