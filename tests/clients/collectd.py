#!/usr/bin/env python3
"""collectd's `write_tsdb`: OpenTSDB's lines, with tags of the node and without.

Values that are told to collectd through its socket must come back to the last digit; what it measures itself must be what its
`csv` plugin writes. $COLLECTD names the command, in the folder that Debian's packages were unpacked to with its plugins.
"""
import csv, grp, os, signal, socket, subprocess, time
from pathlib import Path

from gate import ARROW_TYPES, Checks, Gate, GateError, time_ns

START = 1_700_000_000
ROUNDS = 3
PATIENCE_SECONDS = 60
TAGGED = {"fqdn": "web-1.example.org", "rack": "r1", "dc": "zurich"}
PLAIN = {"fqdn": "web-1.example.org"}
TAGS = dict.fromkeys(TAGGED, "tag")

CONFIGURATION = """
BaseDir "{folder}"
PIDFile "{folder}/collectd.pid"
PluginDir "{root}/lib/collectd"
TypesDB "{root}/share/collectd/types.db"
Hostname "web-1.example.org"
FQDNLookup false
Interval 1
LoadPlugin logfile
<Plugin logfile>
  LogLevel warning
  File STDOUT
</Plugin>
LoadPlugin unixsock
<Plugin unixsock>
  SocketFile "{folder}/socket"
  SocketGroup "{group}"
</Plugin>
LoadPlugin load
LoadPlugin memory
LoadPlugin csv
<Plugin csv>
  DataDir "{folder}/csv"
</Plugin>
LoadPlugin write_tsdb
<Plugin write_tsdb>
  <Node "tagged">
    Host "127.0.0.1"
    Port "{port}"
    HostTags "rack=r1 dc=zurich"
  </Node>
  # Nodes are known by their hosts: another spelling of the same one.
  <Node "plain">
    Host "127.1"
    Port "{port}"
  </Node>
</Plugin>
"""

# What is told: a name, and (seconds after START, values). Times are sent in whole seconds, rounded.
TOLD = {
    "app-shop/gauge-queue": [(0, "1.5"), (10.25, "1e300"), (20.75, "-0.25"), (30, "3"), (40, "U"), (50, "0.1")],
    "app/load": [(0, "1:2:0.5"), (10, "1:U:0.25")],
    "net/derive-octets": [(0, "100"), (10, "160"), (20, str(2**62))],
    "net/counter-packets": [(0, "10"), (10, "25")],
}
# The metrics that they become. Nothing is sent for what is not known.
METRICS = {
    "app.shop.gauge.queue": [(0, 1.5), (10, 1e300), (21, -0.25), (30, 3), (50, 0.1)],
    "app.load.shortterm": [(0, 1), (10, 1)],
    "app.load.midterm": [(0, 2)],
    "app.load.longterm": [(0, 0.5), (10, 0.25)],
    "net.octets.derive": [(0, 100), (10, 160), (20, 2**62)],
    "net.packets.counter": [(0, 10), (10, 25)],
}


def main():
    checks = Checks("collectd write_tsdb")
    with Gate(checks, listeners=("opentsdb", "cnosdb")) as gate:
        said = run(gate)
        checks.equal("collectd complains of nothing", said, "")
        for metric, points in METRICS.items():
            rows = [row(tags, *point) for point in points for tags in (TAGGED, PLAIN)]
            columns = {"time": "time", **TAGS, "value": "float"}
            if any("value_int" in row for row in rows):
                columns["value_int"] = "integer"
            checks.table(gate, "opentsdb", metric, columns, rows)
        checks.attempt(measured, checks, gate)
    checks.finish()


def row(tags, second, value):
    row = {"time": (START + second) * 10**9, **tags, "value": float(value)}
    return row | {"value_int": value} if isinstance(value, int) else row


def run(gate):
    """Tells collectd what is to be told, lets it measure for some rounds; answers what it said."""
    command = Path(os.environ["COLLECTD"])
    configuration = gate.folder / "collectd.conf"
    group = grp.getgrgid(os.getgid()).gr_name
    settings = {"folder": gate.folder, "root": command.parents[1], "group": group, "port": gate.ports["opentsdb"]}
    configuration.write_text(CONFIGURATION.format(**settings))
    libraries = ":".join(str(file.parent) for file in command.parents[2].glob("**/libcap.so.2"))
    environment = os.environ | {"LD_LIBRARY_PATH": libraries}
    log = gate.folder / "collectd.log"
    with log.open("wb") as out:
        process = subprocess.Popen([command, "-f", "-C", configuration], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait(process, (gate.folder / "socket").exists)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(str(gate.folder / "socket"))
            with connection.makefile("rw") as talk:
                for name, values in TOLD.items():
                    for after, value in values:
                        talk.write(f"PUTVAL web-1.example.org/{name} interval=10 {START + after}:{value}\n")
                        talk.flush()
                        answer = talk.readline()
                        if not answer.startswith("0 "):
                            raise RuntimeError(f"{name}: {answer}")
        wait(process, lambda: all(len(lines) >= ROUNDS for lines in gathered(gate).values()) and len(gathered(gate)) > 3)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    # It never waits for an answer: the last lines may still be on their way.
    wanted = {metric: len(points) for metric, points in (METRICS | gathered(gate)).items()}
    wait(None, lambda: all(stored(gate, metric) >= 2 * count for metric, count in wanted.items()))
    return "".join(line for line in log.read_text(errors="replace").splitlines(True) if 'plugin "logfile" successfully' not in line)


def wait(process, done):
    """What is not done in time is seen by the checks."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done() and time.monotonic() < deadline and (process is None or process.poll() is None):
        time.sleep(0.2)


def stored(gate, metric):
    try:
        return gate.sql_rows("opentsdb", f'SELECT count(*) AS c FROM "{metric}"')[0]["c"]
    except GateError:
        return 0


def gathered(gate):
    """What the csv plugin wrote of what collectd measured: metric → [(seconds, value)]."""
    found = {}
    for file in (gate.folder / "csv" / "web-1.example.org").glob("*/*"):
        plugin, kind = file.parent.name, file.name.rsplit("-", 3)[0]
        if plugin not in ("load", "memory"):
            continue
        with file.open(newline="") as lines:
            for line in csv.DictReader(lines):
                for name, text in line.items():
                    metric = f"load.load.{name}" if plugin == "load" else f"memory.{kind.partition('-')[2]}.memory"
                    if name != "epoch" and text is not None:
                        found.setdefault(metric, []).append((float(line["epoch"]), float(text)))
    return found


def measured(checks, gate):
    """Values in order, to the six decimals of the file; times to the second, which is what lines have."""
    found = gathered(gate)
    checks.that("it measured", {"load.load.shortterm", "memory.free.memory"} <= set(found), sorted(found))
    for metric, points in found.items():
        select = f'SELECT time, value, arrow_typeof(value) AS kind FROM "{metric}" WHERE rack = \'r1\' ORDER BY time'
        rows = gate.sql_rows("opentsdb", select)
        checks.equal(f"{metric}: values", [round(row["value"], 6) for row in rows], [value for _, value in points])
        checks.equal(f"{metric}: types", {row["kind"] for row in rows}, {ARROW_TYPES["float"]})
        late = [abs(time_ns(row["time"]) / 10**9 - second) for row, (second, _) in zip(rows, points)]
        checks.that(f"{metric}: times", all(seconds <= 0.501 for seconds in late), late)


if __name__ == "__main__":
    main()
