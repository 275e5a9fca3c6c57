#!/usr/bin/env python3
"""rsyslog's `omelasticsearch`: messages that come in over TCP go out in bulk requests, with ids and without; refused ones into its error file.

$RSYSLOGD names the command, in the folder that Debian's packages were unpacked to with their libraries and modules.
"""
import json, os, signal, socket, subprocess, time
from pathlib import Path

from gate import Checks, Gate, free_ports, time_ns

COUNT = 600
COLUMNS = {"time": "time", "host": "string", "program": "string", "severity": "string", "n": "integer", "message": "string"}
SEVERITIES = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]
PATIENCE_SECONDS = 60

CONFIGURATION = """
global(workDirectory="{folder}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
module(load="imptcp")
module(load="omelasticsearch")
template(name="document" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="program" name="programname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="n" name="procid" format="jsonf" dataType="number")
  property(outname="message" name="msg" format="jsonf")
}}
template(name="id" type="string" string="%hostname%-%procid%")
input(type="imptcp" address="127.0.0.1" port="{port}" supportOctetCountedFraming="on")
{actions}
"""
ACTION = """
action(type="omelasticsearch" server="127.0.0.1" serverPort="{port}" template="document" searchIndex="{index}" bulkMode="on"
  {more} errorFile="{folder}/{index}.errors" action.resumeRetryCount="-1"
  queue.type="LinkedList" queue.dequeueBatchSize="100" queue.timeoutShutdown="20000")
"""
# The name of a type, as servers before 8 want it, is taken and ignored.
INDICES = {
    "syslog": 'searchType="" retryFailures="on"',
    "syslog-created": 'searchType="" writeOperation="create" bulkId="id" dynBulkId="on"',
    "syslog-typed": 'searchType="_doc"',
    "merging": 'searchType=""',
}


def main():
    checks = Checks("rsyslog omelasticsearch")
    with Gate(checks, listeners=("elasticsearch", "cnosdb")) as gate:
        # A table that merges rows takes no documents: each is refused, for good.
        gate.write_cnosdb("public", "merging n=1i 1\n")
        rows = [row(n) for n in range(COUNT)]
        said = run(gate, rows)
        checks.equal("rsyslog complains of nothing", said, "")
        for index in list(INDICES)[:3]:
            checks.table(gate, "public", index, COLUMNS, rows)
            checks.that(f"{index}: no errors", not (gate.folder / f"{index}.errors").exists())
        checks.attempt(refused, checks, gate)
    checks.finish()


def row(n):
    text = f"zeile {n} 日本 \"quoted\" \\ back\ttab " + "x" * (n % 40)
    return {
        "time": time_ns(f"2024-05-01T10:{n // 60:02}:{n % 60:02}.{n:06}"), "host": f"host{n % 3}", "program": "app",
        "severity": SEVERITIES[n % 8], "n": n, "message": text,
    }


def line(n, row):
    """As RFC 5424 has it, its length in front: then it may hold anything."""
    at = f"2024-05-01T12:{n // 60:02}:{n % 60:02}.{n:06}+02:00"
    text = f"<{8 * 16 + n % 8}>1 {at} {row['host']} app {n} - - {row['message']}".encode()
    return str(len(text)).encode() + b" " + text


def run(gate, rows):
    """Sends all messages and waits until they are in the tables; answers what rsyslog said."""
    command = Path(os.environ["RSYSLOGD"])
    libraries = next(command.parents[1].glob("lib/*/rsyslog"))
    port = free_ports(1)[0]
    target = gate.ports["elasticsearch"]
    actions = "".join(ACTION.format(port=target, index=index, more=more, folder=gate.folder) for index, more in INDICES.items())
    configuration = gate.folder / "rsyslog.conf"
    configuration.write_text(CONFIGURATION.format(folder=gate.folder, port=port, actions=actions))
    log = gate.folder / "rsyslog.log"
    environment = os.environ | {"LD_LIBRARY_PATH": str(libraries.parent)}
    arguments = [command, "-n", "-f", configuration, "-i", gate.folder / "rsyslog.pid", "-M", libraries]
    with log.open("wb") as out:
        process = subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        with connect(process, port) as connection:
            for n, one in enumerate(rows):
                connection.sendall(line(n, one))
        wait(lambda: all(counted(gate, index) == COUNT for index in list(INDICES)[:3]))
        wait(lambda: len(errors(gate)) == COUNT)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return log.read_text(errors="replace")


def connect(process, port):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def wait(done):
    """What is not done in time is seen by the checks."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done() and time.monotonic() < deadline:
        time.sleep(0.2)


def counted(gate, index):
    answer = gate.request("elasticsearch", "GET", f"/{index}/_count")
    return json.loads(answer.text)["count"] if answer.status == 200 else 0


def errors(gate):
    """The refused items in rsyslog's error file."""
    file = gate.folder / "merging.errors"
    requests = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [item["index"] for request in requests for item in request["reply"]["items"]]


def refused(checks, gate):
    found = errors(gate)
    checks.equal("each refused message is in the error file", len(found), COUNT)
    reason = 'table "merging" makes one row of those that are equal in tags and time'
    kinds = {(one["status"], one["error"]["type"], one["error"]["reason"]) for one in found}
    checks.equal("with its reason", kinds, {(400, "illegal_argument_exception", reason)})
    checks.equal("and nowhere else", gate.sql_rows("public", "SELECT count(*) AS c FROM merging"), [{"c": 1}])


if __name__ == "__main__":
    main()
