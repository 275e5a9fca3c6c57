#!/usr/bin/env python3
"""The same points and questions to InfluxDB 1.x (Debian: influxdb) and to the gateway: their answers are compared.

Questions are made at random from a grammar; a seed names them. Numbers may differ by rounding, rows of one time may come in
any order, and where the server says that it cannot do something, the gateway must say the same.

    influxd_differential.py [--questions N] [--seed N] [-v]

$INFLUXD names the server's command.
"""
import argparse, http.client, json, math, os, random, subprocess, sys, tempfile, time, urllib.parse
from pathlib import Path

from gate import Checks, Gate, free_ports

INFLUXD = os.environ.get("INFLUXD", "influxd")
START = 1_677_628_800  # 2023-03-01T00:00:00Z
SECONDS = 600
READY_SECONDS = 30


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-v", action="store_true", help="print every difference")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    checks = Checks("influxd, question by question")
    body = "\n".join(points(chance)).encode()
    with Influxd() as server, Gate(checks, listeners=("influxdb",)) as gate:
        ours = Asker(gate.ports["influxdb"])
        both = (server.asker, ours)
        for asker in both:
            asker.ask("CREATE DATABASE d", "POST")
            asker.send("POST", "/write?db=d", body)
        for number in range(arguments.questions):
            question = select(chance)
            theirs, answered = (asker.ask(question) for asker in both)
            difference = differ(normal(theirs), normal(answered))
            checks.that(f"{arguments.seed}/{number}: {question}", not difference, difference if arguments.v else difference[:300])
    checks.finish()


class Asker:
    def __init__(self, port):
        self.port = port

    def send(self, method, target, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def ask(self, question, method="GET"):
        return self.json(*self.send(method, "/query?" + urllib.parse.urlencode({"db": "d", "epoch": "ns", "q": question})))

    @staticmethod
    def json(status, text):
        try:
            return json.loads(text)
        except ValueError:
            return {"error": f"{status}: {text[:200]}"}


class Influxd:
    """The real server over a folder of its own."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="influxd-")
        folder = Path(self.folder.name)
        port, backup = free_ports(2)
        (folder / "conf").write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{backup}"\n'
            f'[meta]\ndir = "{folder}/meta"\n[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\nquery-log-enabled = false\n'
            f'[monitor]\nstore-enabled = false\n[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n'
        )
        log = open(folder / "log", "w")
        self.process = subprocess.Popen([INFLUXD, "-config", str(folder / "conf")], stdout=log, stderr=log)
        self.asker = Asker(port)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.asker.send("GET", "/ping")
                return self
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.__exit__()
                    sys.exit("influxd does not start")
                time.sleep(0.1)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


# Points: two measurements, tags that some series lack, fields of every type that some points lack. No two points share a
# time, so that nothing hangs on the order of equals.

def points(chance):
    times = chance.sample(range(SECONDS * 10), 700)
    for tenth in times:
        measurement = chance.choice(["cpu", "cpu", "pump"])
        tags = {"host": chance.choice(["a", "b", "c"]), "dc": chance.choice(["x", "y", None])}
        fields = {
            "f": f"{chance.randint(-400, 400) / 8}",
            "i": f"{chance.randint(-50, 50)}i",
            "s": f'"{chance.choice(["on", "off", "idle"])}"',
            "b": chance.choice(["true", "false"]),
        }
        kept = {name: value for name, value in fields.items() if chance.random() < 0.7} or {"f": "1"}
        key = "".join(f",{name}={value}" for name, value in tags.items() if value)
        values = ",".join(f"{name}={value}" for name, value in kept.items())
        yield f"{measurement}{key} {values} {START * 10**9 + tenth * 10**8}"


NUMBERS = ["mean", "sum", "min", "max", "spread", "median", "stddev"]
ANY = ["count", "first", "last"]


def select(chance):
    pick = chance.choice
    shape = chance.random()
    interval = pick(["30s", "1m", "45s", "2m, 10s", "3m"])
    windows = chance.random() < 0.6
    if shape < 0.25:
        windows = False
        fields = ", ".join(chance.sample(["f", "i", "s", "b", "host", "f + i", "i / 4", "f * 2 - i", "abs(f)", "-i"], chance.randint(1, 3)))
        fields = fields if any(name in fields for name in "fisb") else "f"
    elif shape < 0.65:
        fields = ", ".join(call(chance) for _ in range(chance.randint(1, 3)))
    elif shape < 0.75:
        fields = f"{pick(['min', 'max', 'first', 'last'])}({pick('fi')}), {pick(['host', 's', 'i'])}"
    elif shape < 0.85:
        windows = windows and chance.random() < 0.3
        fields = pick(["top(f, 3)", "bottom(i, 2)", "top(f, host, 2)", "distinct(s)", "distinct(i)", "percentile(f, 80)"])
    else:
        inner = f"{pick(['mean', 'max', 'sum', 'last'])}({pick('fi')})" if windows else pick("fi")
        kind = pick(["derivative", "difference", "non_negative_difference", "cumulative_sum", "moving_average", "elapsed"])
        extra = {"derivative": ", 10s", "moving_average": ", 3", "elapsed": ", 1s"}.get(kind, "")
        fields = f"{kind}({inner}{extra})"
    sources = pick(["cpu", "pump", "cpu, pump", "/.*/"])
    conditions = [f"time >= {START + pick([0, 60, 95])}s", f"time < {START + pick([300, 480, 600])}s"] if windows or chance.random() < 0.4 else []
    conditions += chance.sample(
        ["host = 'a'", "host != 'b'", "dc = ''", "dc =~ /x|y/", "f > 0", "i <= 10", "s = 'on'", "b = true", "(f > 10 OR host = 'c')", "i / 2 > 3", "s =~ /^o/"],
        pick([0, 0, 1, 1, 2]),
    )
    dimensions = ([f"time({interval})"] if windows else []) + chance.sample(["host", "dc"], pick([0, 0, 1, 1, 2]))
    text = f"SELECT {fields} FROM {sources}"
    if chance.random() < 0.12 and windows and shape < 0.65:
        inner = f"SELECT {pick(['mean', 'max'])}(f) AS f, {pick(['sum', 'min'])}(i) AS i FROM cpu WHERE {' AND '.join(conditions[:2])} GROUP BY time(10s), host"
        # Over rows of mixed series the server makes a window several times for these.
        repeated = ("median", "stddev", "spread")
        calls = [text for text in (call(chance, "fi") for _ in range(8)) if not any(name in text for name in repeated)]
        fields = ", ".join(calls[:2]) or "sum(f)"
        text, conditions, dimensions = f"SELECT {fields} FROM ({inner})", conditions[:2], dimensions[:1] + pick([[], ["host"]])
    text += f" WHERE {' AND '.join(conditions)}" if conditions else ""
    text += f" GROUP BY {', '.join(dimensions)}" if dimensions else ""
    if windows and "top" not in fields and "bottom" not in fields:
        # The server puts numbers into columns of strings beside a selector; ours hold strings only.
        numbers = [] if any(fields.endswith(f", {beside}") for beside in ("s", "host")) else [" fill(0)", " fill(-3.5)"]
        text += pick(["", " fill(none)", *numbers, " fill(previous)", " fill(linear)"])
    text += pick(["", "", " ORDER BY time DESC"])
    text += pick(["", "", f" LIMIT {chance.randint(3, 6)}", f" LIMIT 4 OFFSET {chance.randint(1, 3)}"])
    return text


def call(chance, names="fisb"):
    name = chance.choice(names)
    function = chance.choice(NUMBERS + ANY if name in "fi" else ANY)
    text = f"{function}({name})"
    return text if name not in "fi" or chance.random() < 0.8 else chance.choice([f"{text} * 2", f"{text} + {chance.choice(NUMBERS)}(i)"])


# Comparing

def normal(answer):
    """An answer with rows of one time in one order."""
    for result in answer.get("results", []):
        for series in result.get("series", []):
            rows, sorted_rows = series["values"], []
            while rows:
                run = 0
                while run < len(rows) and rows[run][0] == rows[0][0]:
                    run += 1
                same, rows = rows[:run], rows[run:]
                sorted_rows += sorted(same, key=lambda row: json.dumps(row))
            series["values"] = sorted_rows
    return answer


def differ(theirs, ours, path="$"):
    """Where two documents differ first; empty when they do not."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in sorted(set(theirs) | set(ours)):
            if name not in theirs or name not in ours:
                return f"{path}.{name}: only {'ours' if name in ours else 'theirs'}: {json.dumps((ours if name in ours else theirs)[name])[:200]}"
            if difference := differ(theirs[name], ours[name], f"{path}.{name}"):
                return difference
        return ""
    if isinstance(theirs, list) and isinstance(ours, list):
        for index, (one, other) in enumerate(zip(theirs, ours)):
            if difference := differ(one, other, f"{path}[{index}]"):
                return difference
        return "" if len(theirs) == len(ours) else f"{path}: {len(theirs)} of theirs, {len(ours)} of ours"
    if isinstance(theirs, float) or isinstance(ours, float):
        numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (theirs, ours))
        if numbers and math.isclose(theirs, ours, rel_tol=1e-9, abs_tol=1e-9):
            return ""
    return "" if theirs == ours and type(theirs) is type(ours) else f"{path}: theirs {theirs!r}, ours {ours!r}"


if __name__ == "__main__":
    main()
