#!/usr/bin/env python3
"""Ingest, side by side: the same line protocol into Tidegate and its peers on one machine, in turns.

    compare.py [--quick] [--lines N] [--hosts N] [--runs N] [--servers NAME,…] [--set KEY=VALUE]… [--results FOLDER]

Prints a table with the medians, what an acknowledgement of each server means, and the ratios Tidegate / peer, and writes
results/DATE-ingest.json, .md and .svg beside this file. README.md says what each number is.

Binaries: $TIDEGATE_BIN, else dist/tidegate in $CARGO_TARGET_DIR or target/; $INFLUXD and $VICTORIA_METRICS, else
`influxd` and `victoria-metrics` of the PATH; a peer that is not there is left out. `make bench` fetches them all.

Fails when a server refuses data or holds another number of rows than was sent, never because of a speed. Then it writes no
results and keeps the server's folder.
"""
import argparse, datetime, functools, os, platform, shutil, sys, tempfile
from pathlib import Path

import load, report, servers, tsbs

RESULTS = Path(__file__).resolve().parent / "results"
CEILING_MARGIN = 4  # the generator should be this much faster than the fastest server


def main(arguments=None):
    options = parsed(arguments)
    workload = tsbs.Workload(options.lines, options.hosts, options.body_lines, options.floats, options.seed)
    try:
        binaries = found_binaries(options.servers)
        refuse_if_too_large(workload)
        servers.Tidegate.settings = dict(options.settings)
        say(f"making {workload.lines:,} lines")
        bodies = list(tsbs.bodies(workload))
        result = described(options, workload, bodies)
        result["generator"] = {"ceiling_bytes_per_second": load.ceiling(bodies, options.connections)}
        result["servers"] = in_turns(binaries, options, workload, bodies)
        result["ratios"] = report.ratios(result["servers"])
    except (servers.ServerError, load.HttpError, OSError) as error:
        print(f"FAIL {error}", file=sys.stderr)
        return 1
    print("\n".join([*report.setting(result), "", report.tables(result), "", *report.stops(result)]))
    if report.fastest_bytes_per_second(result) * CEILING_MARGIN > result["generator"]["ceiling_bytes_per_second"]:
        print("WARNING: the generator is not far above the fastest server; the speeds are partly its own")
    if options.results:
        print(f"written: {report.write(result, options.results)} and its .json and .svg")
    return 0


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 lines, one run, nothing written: to try the script")
    parser.add_argument("--lines", type=positive, help="lines a run, ten values each (default 1,000,000)")
    parser.add_argument("--hosts", type=positive, default=4_000)
    parser.add_argument("--body-lines", type=positive, default=5_000, help="lines a request")
    parser.add_argument("--connections", type=positive, default=4)
    parser.add_argument("--runs", type=positive, help="runs of each server (default 3)")
    parser.add_argument("--floats", action="store_true", help="fields such as 58.31 in place of 58i")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--servers", metavar="NAME,…", type=named_servers, help="of " + ", ".join(s.name for s in servers.SERVERS))
    parser.add_argument("--set", dest="settings", metavar="KEY=VALUE", type=setting, action="append", default=[],
                        help="a setting of Tidegate, such as buffer.flush_bytes=33554432")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the servers keep their data meanwhile")
    parser.add_argument("--results", help=f"where results are written (default {RESULTS.name}/ beside this file; none with --quick)")
    options = parser.parse_args(arguments)
    options.lines = options.lines or (100_000 if options.quick else 1_000_000)
    options.runs = options.runs or (1 if options.quick else 3)
    options.results = options.results or (None if options.quick else RESULTS)
    return options


def positive(text):
    if (number := int(text.replace(",", "").replace("_", ""))) < 1:
        raise ValueError
    return number


def named_servers(text):
    known = {server.name: server for server in servers.SERVERS}
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


def refuse_if_too_large(workload):
    """The bodies are kept in memory, where the servers want room too."""
    free = int(first_value("/proc/meminfo", "MemAvailable").split()[0]) * 1024
    if workload.lines * tsbs.LINE_BYTES > free / 2:
        raise servers.ServerError(f"{workload.lines:,} lines take more than half of the {free / 2**30:.1f} GiB of memory that are free")


# Running

def in_turns(binaries, options, workload, bodies):
    """Runs each server as often as asked; another one begins each round. Answers what `report` sums up."""
    outcome = {server: {"name": server.name, "title": server.title, "stop_means": server.stop_means, "runs": []} for server in binaries}
    order = list(binaries)
    for turn in range(options.runs):
        for server in order:
            say(f"run {turn + 1} of {options.runs}: {server.name}")
            said, run = one_run(server, binaries[server], options, workload, bodies)
            outcome[server] |= said
            outcome[server]["runs"].append(run)
        order = order[1:] + order[:1]
    return [report.summed_up(one) for one in outcome.values()]


def one_run(kind, binary, options, workload, bodies):
    """One server from an empty folder: fill, stop, start, count. Answers (what the server says of itself, the run)."""
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{kind.name}-", dir=options.folder))
    server = kind(binary, folder)
    os.sync()  # what others wrote before is not this run's to wait for
    try:
        with server:
            server.create_database()
            run = measured(server, options, workload, bodies)
        said = {"version": server.version(), "durability": server.durability}
    except Exception as error:
        say(f"{server.log_tail()}\nleft as it was: {folder}")
        raise servers.ServerError(f"{kind.name}: {error}") from error
    except BaseException:  # interrupted
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return said, run


def measured(server, options, workload, bodies):
    sent = load.send_all(server.port, load.requests(server.write_path, bodies), options.connections)
    if sent.errors:
        raise servers.ServerError("; ".join(sent.errors))
    stop_seconds = server.stop()
    disk_bytes, log_bytes = server.disk_bytes()
    server.start()
    rows = server.count_rows(workload)
    if rows != workload.lines:
        raise servers.ServerError(f"holds {rows:,} rows after a restart, and acknowledged {workload.lines:,}")
    return {
        "seconds": sent.seconds, "stop_seconds": stop_seconds,
        "values_per_second": workload.values / sent.seconds,
        "values_per_second_stopped": workload.values / (sent.seconds + stop_seconds),
        "latency_p50_seconds": report.percentile(sent.latencies, 50),
        "latency_p99_seconds": report.percentile(sent.latencies, 99),
        "latency_max_seconds": max(sent.latencies),
        "cpu_seconds": server.cpu_seconds, "generator_cpu_seconds": sent.cpu_seconds,
        "memory_bytes": server.memory_bytes, "disk_bytes": disk_bytes, "log_bytes": log_bytes,
        "refused": sent.refused, "errors": len(sent.errors), "rows": rows,
    }


# What was measured, and where

def described(options, workload, bodies):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": machine(options.folder),
        "settings": dict(options.settings),
        "workload": {
            "lines": workload.lines, "values": workload.values, "hosts": workload.hosts, "seed": workload.seed,
            "fields": "float" if workload.floats else "integer", "lines_a_body": workload.lines_a_body, "bodies": len(bodies),
            "bytes": sum(map(len, bodies)), "crc32": tsbs.checksum(bodies),
            "connections": options.connections, "runs": options.runs,
        },
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
