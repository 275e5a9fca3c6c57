"""OpenTSDB's points, side by side: JSON documents and `put` lines into Tidegate and VictoriaMetrics on one machine.

    puts.py [--points N] [--runs N] [--quick] [--set KEY=VALUE]… [--results FOLDER]

`json` sends arrays of a thousand points to `/api/put`, timed to the last acknowledgement. `lines` sends `put` lines over connections that
are then closed for writing, timed until the server, which has read all, closes them too: lines have no acknowledgement. Servers take
turns; each run begins with an empty folder and ends with a stop, a start and a count of the points. The aim: at least 1.5 times
VictoriaMetrics, which keeps no log.

Binaries are found as compare.py finds them.
"""
import os, random, shutil, socket, statistics, sys, tempfile, threading, time
from pathlib import Path

import command, compare, load, report, servers

METRICS = [f"sys.cpu.{name}" for name in ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "load")]
START_SECONDS, STEP_SECONDS = 1_700_006_400, 10
POINTS_A_BODY, CONNECTIONS = 1_000, 16
AIM = 1.5
CLOSE_SECONDS = 300


class Tidegate(servers.Tidegate):
    listener = "opentsdb"

    @property
    def json_port(self):
        return self.port

    lines_port = json_port

    def points(self, _end):
        return sum(self.count(metric, "opentsdb") for metric in METRICS)


class VictoriaMetrics(servers.VictoriaMetrics):
    def start(self):
        self.json_port, self.lines_port = servers.free_port(), servers.free_port()
        super().start()

    def command(self):
        return [*super().command(), f"-opentsdbHTTPListenAddr=127.0.0.1:{self.json_port}", f"-opentsdbListenAddr=127.0.0.1:{self.lines_port}"]

    def points(self, end):
        query = {"query": f'sum(count_over_time({{__name__=~"sys.cpu.+"}}[{end - START_SECONDS + 1}s]))', "time": end, "nocache": 1}
        result = self.ask("GET", "/api/v1/query", query)["data"]["result"]
        return int(result[0]["value"][1]) if result else 0


def main(arguments=None):
    numbers = {"points": (3_000_000, None), "runs": (3, None)}
    options = command.options(__doc__, arguments, numbers, quick={"points": 20_000, "runs": 1})
    return command.run(options, "puts", "OpenTSDB's points", measured, text)


# What is sent

def points(options):
    """(metric, seconds, value, host) in order of time: a thousand hosts, each with every metric."""
    chance, left, seconds = random.Random(options.seed), options.points, START_SECONDS
    while left:
        for host in range(1_000):
            for metric in METRICS:
                yield metric, seconds, chance.randrange(100), host
                left -= 1
                if not left:
                    return
        seconds += STEP_SECONDS


def end_seconds(options):
    return START_SECONDS + options.points // (1_000 * len(METRICS)) * STEP_SECONDS + 1


def json_bodies(options):
    waiting = []
    for metric, seconds, value, host in points(options):
        waiting.append(f'{{"metric":"{metric}","timestamp":{seconds},"value":{value},"tags":{{"host":"host_{host}","dc":"dc_{host % 7}"}}}}')
        if len(waiting) == POINTS_A_BODY:
            yield f"[{','.join(waiting)}]".encode()
            waiting.clear()
    if waiting:
        yield f"[{','.join(waiting)}]".encode()


def line_streams(options):
    """What goes over each connection."""
    streams = [[] for _ in range(CONNECTIONS)]
    for at, (metric, seconds, value, host) in enumerate(points(options)):
        streams[at // POINTS_A_BODY % CONNECTIONS].append(f"put {metric} {seconds} {value} host=host_{host} dc=dc_{host % 7}\n")
    return ["".join(lines).encode() for lines in streams]


# Running

def measured(options):
    kinds = compare.found_binaries([Tidegate, VictoriaMetrics])
    Tidegate.settings = dict(options.settings)
    result = compare.described(options) | {"points": options.points, "runs": options.runs, "load_average": os.getloadavg()[0], "forms": []}
    with load.Bodies(json_bodies(options), options.folder) as bodies:
        streams = line_streams(options)
        for form, size, send in (("json", bodies.bytes, lambda server: send_json(server, bodies)), ("lines", sum(map(len, streams)), lambda server: send_lines(server, streams))):
            runs = {kind.name: [] for kind in kinds}
            for turn in range(options.runs):
                for kind in list(kinds) if turn % 2 == 0 else reversed(list(kinds)):
                    compare.say(f"{form}, run {turn + 1} of {options.runs}: {kind.name}")
                    version, run = one_run(kind, kinds[kind], send, options)
                    result[kind.name] = version
                    runs[kind.name].append(run)
            result["forms"].append({"name": form, "bytes": size, "runs": runs})
    return result


def one_run(kind, binary, send, options):
    """A server from an empty folder. Answers its version and (seconds, most memory in bytes)."""
    folder = Path(tempfile.mkdtemp(prefix=f"bench-puts-{kind.name}-", dir=options.folder))
    os.sync()
    try:
        with kind(binary, folder) as server:
            seconds = send(server)
            server.stop()
            memory = server.memory_bytes
            server.start()
            if (count := server.points(end_seconds(options))) != options.points:
                raise servers.ServerError(f"{kind.name} holds {count:,} points, not {options.points:,}")
            return server.version(), {"seconds": seconds, "memory_bytes": memory}
    finally:
        shutil.rmtree(folder)


def send_json(server, bodies):
    sent = load.send_all(server.json_port, "/api/put", bodies, CONNECTIONS, ["Content-Type: application/json"])
    if sent.errors:
        raise servers.ServerError("; ".join(sent.errors))
    return sent.seconds


def send_lines(server, streams):
    errors, start = [], time.perf_counter()
    threads = [threading.Thread(target=send_stream, args=(server.lines_port, stream, errors)) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise servers.ServerError(f"{server.name}: {errors[0]}")
    return time.perf_counter() - start


def send_stream(port, stream, errors):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=CLOSE_SECONDS) as connection:
            connection.sendall(stream)
            connection.shutdown(socket.SHUT_WR)
            if answer := connection.recv(1 << 16):
                errors.append(f"answered {answer[:200]!r}")
    except OSError as error:
        errors.append(repr(error))


def text(result):
    speed = lambda runs: result["points"] / statistics.median(run["seconds"] for run in runs)
    memory = lambda runs: max(run["memory_bytes"] for run in runs) / 2**20
    rows = []
    for form in result["forms"]:
        ours, theirs = form["runs"]["tidegate"], form["runs"]["victoria-metrics"]
        ratio = speed(ours) / speed(theirs)
        rows.append([form["name"], f"{speed(ours) / 1e6:.2f}", f"{speed(theirs) / 1e6:.2f}", f"{ratio:.2f}" + ("" if ratio >= AIM else " (below the aim)"),
                     f"{form['bytes'] / 1e6:.0f}", f"{memory(ours):.0f}", f"{memory(theirs):.0f}"])
    head = ["form", "Tidegate, M points/s", "VictoriaMetrics, M points/s", "Tidegate / VictoriaMetrics", "MB sent", "memory, MiB", "VictoriaMetrics', MiB"]
    return [
        report.about_machine(result), "",
        f"{result['points']:,} points of 1,000 hosts and {len(METRICS)} metrics with two tags over {CONNECTIONS} connections; medians of {result['runs']} runs in turns. "
        f"Tidegate {result['tidegate']} ({Tidegate.durability}), VictoriaMetrics {result['victoria-metrics']} ({VictoriaMetrics.durability}). "
        f"Load average at the start {result['load_average']:.1f}.", "",
        report.table(head, rows), "",
        f"`json`: {POINTS_A_BODY:,} points a request, to the last acknowledgement. `lines`: until the server closes, having read everything. The aim is at least {AIM} times.",
    ]


if __name__ == "__main__":
    sys.exit(main())
