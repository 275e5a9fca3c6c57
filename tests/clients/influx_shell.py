#!/usr/bin/env python3
"""The `influx` shell of InfluxDB 1.x (Debian: influxdb-client): creates databases, inserts points, imports files, prints
answers in its formats, and is typed into at a terminal.

Its exit status is 0 even when the server refused a statement: what it prints is what counts. $INFLUX names the command.
"""
import csv, gzip, io, json, os, pty, select, subprocess, termios, time

from gate import Checks, Gate

INFLUX = os.environ.get("INFLUX", "influx")

AT = 1_600_000_000 * 10**9

# (line as typed after INSERT, the row it makes)
INSERTS = [
    (f"cpu,host=a usage=0.5 {AT + 1}", {"time": AT + 1, "host": "a", "usage": 0.5}),
    (f"cpu,host=a count=-9223372036854775808i {AT + 2}", {"time": AT + 2, "host": "a", "count": -(2**63)}),
    (f"cpu,host=b count=9223372036854775807i,up=t {AT + 3}", {"time": AT + 3, "host": "b", "count": 2**63 - 1, "up": True}),
    (f"cpu usage=-1e-300,up=false {AT + 4}", {"time": AT + 4, "usage": -1e-300, "up": False}),
    (f'cpu,host=c note="two \\"quoted\\", = words" {AT + 5}', {"time": AT + 5, "host": "c", "note": 'two "quoted", = words'}),
    ("cpu,host=été\\ d\\,hiver usage=3 -1000000001", {"time": -1000000001, "host": "été d,hiver", "usage": 3.0}),
    (f"INTO autogen cpu,host=d usage=1e3 {AT + 6}", {"time": AT + 6, "host": "d", "usage": 1000.0}),
]
COLUMNS = {"time": "time", "host": "tag", "usage": "float", "count": "integer", "up": "boolean", "note": "string"}

IMPORT_LINES = 12_000  # the shell sends 5,000 at a time


def main():
    checks = Checks("influx shell")
    with Gate(checks) as gate:
        shell = Shell(gate)
        checks.equal("CREATE DATABASE is silent", shell.execute("CREATE DATABASE shell"), "")
        checks.that("SHOW DATABASES lists it", "databases,shell" in shell.execute("SHOW DATABASES", "-format", "csv"))
        for line, _ in INSERTS:
            checks.equal(f"INSERT {line}", shell.insert("shell", line), "")
        checks.table(gate, "shell", "cpu", COLUMNS, [row for _, row in INSERTS])

        refused = shell.insert("shell", 'cpu,host=a usage="text" 1')
        checks.that("a field of another type is refused", "ERR:" in refused and "field type conflict" in refused, refused)
        refused = shell.insert("nowhere", "cpu v=1 1")
        named = "ERR:" in refused and 'database not found: \\"nowhere\\"' in refused
        checks.that("an unknown database is named", named, refused)

        for part in (formats, typed):
            checks.attempt(part, checks, gate, shell)

        for database, extra, compress in (("imported", [], lambda data: data), ("zipped", ["-compressed"], gzip.compress)):
            file = gate.folder / database
            file.write_bytes(compress(import_file(database).encode()))
            said = shell.run("-import", "-path", str(file), "-precision", "s", *extra)
            counted = f"Processed {IMPORT_LINES} inserts" in said and "Failed 0 inserts" in said
            checks.that(f"import into {database}", counted, said)
            check_import(checks, gate, database)
    checks.finish()


def formats(checks, gate, shell):
    """The same rows as JSON, as CSV and in columns."""
    names = ["time", "count", "host", "note", "up", "usage"]
    rows = sorted((row for _, row in INSERTS), key=lambda row: row["time"])
    values = [[row.get(name) for name in names] for row in rows]
    ask = lambda text, form: shell.execute(text, "-database", "shell", "-precision", "ns", "-format", form)
    everything = {"results": [{"series": [{"name": "cpu", "columns": names, "values": values}]}]}
    checks.equal("json", json.loads(ask("SELECT * FROM cpu", "json")), everything)

    header, *lines = csv.reader(io.StringIO(ask("SELECT * FROM cpu", "csv")))
    checks.equal("csv: header", header, ["name", *names])
    checks.equal("csv: measurement", {line[0] for line in lines}, {"cpu"})
    found = [[cell(text, value) for text, value in zip(line[1:], row)] for line, row in zip(lines, values)]
    checks.equal("csv: rows", found, values)

    said = ask("SELECT usage, host FROM cpu WHERE host = 'a'", "column").split()
    checks.equal("columns", said, ["name:", "cpu", "time", "usage", "host", "----", "-----", "----", str(AT + 1), "0.5", "a"])
    said = ask("SELECT count(usage) FROM cpu GROUP BY host", "column")
    checks.that("columns of series", "tags: host=a" in said and "tags: host=\n" in said.replace("host= ", "host="), said)


def cell(text, value):
    """The value that a cell stands for, read as one of the type of `value`."""
    if text == "":
        return None
    return {bool: lambda: {"true": True, "false": False}.get(text, text), float: lambda: float(text), int: lambda: int(text)}.get(type(value), lambda: text)()


def typed(checks, gate, shell):
    """The commands that the shell has of its own, at a terminal."""
    with Terminal(shell.base, gate.folder) as terminal:
        checks.that("it names the server", "version 1.8" in terminal.greeting, terminal.greeting)
        said = terminal.type("use nowhere")
        checks.that("use of a missing database", "ERR: Database nowhere doesn't exist" in said, said)
        checks.equal("use", terminal.type("use shell"), "Using database shell")
        checks.equal("precision", terminal.type("precision ns"), "")
        checks.equal("insert", terminal.type(f"insert typed,k=v n=7i {AT}"), "")
        checks.equal("format csv", terminal.type("format csv"), "")
        checks.equal("select", terminal.type("select * from typed").split(), ["name,time,k,n", f"typed,{AT},v,7"])
        terminal.type("format json")
        wanted = {"results": [{"series": [{"name": "typed", "columns": ["time", "n"], "values": [[AT, 7]]}]}]}
        checks.equal("select as json", json.loads(terminal.type("select n from typed")), wanted)
        terminal.type("precision rfc3339")
        said = terminal.type("select n from typed")
        checks.that("times as text", '"2020-09-13T12:26:40Z"' in said, said)
        said = terminal.type("settings")
        checks.that("settings", "Database" in said and "shell" in said, said)
        said = terminal.type("select from")
        checks.that("a wrong statement", "ERR: error parsing query: found" in said, said)
    checks.table(gate, "shell", "typed", {"time": "time", "k": "tag", "n": "integer"}, [{"time": AT, "k": "v", "n": 7}])


class Terminal:
    """The shell at a terminal that can do nothing but print."""

    PROMPT = "> "
    SECONDS = 30

    def __init__(self, command, home):
        self.command, self.home, self.process = command, home, None

    def __enter__(self):
        self.master, slave = pty.openpty()
        mode = termios.tcgetattr(slave)
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, mode)
        environment = os.environ | {"TERM": "dumb", "HOME": str(self.home)}
        self.process = subprocess.Popen(self.command, stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True)
        os.close(slave)
        self.greeting = self.read()
        return self

    def __exit__(self, *_):
        os.write(self.master, b"exit\n")
        try:
            self.process.wait(self.SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.master)

    def type(self, line):
        os.write(self.master, line.encode() + b"\n")
        return self.read()

    def read(self):
        """What it prints until it asks for the next line."""
        text, deadline = "", time.monotonic() + self.SECONDS
        while not text.endswith(self.PROMPT):
            ready, _, _ = select.select([self.master], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                raise TimeoutError(f"the shell asks for no further line after {text!r}")
            text += os.read(self.master, 65536).decode(errors="replace").replace("\r\n", "\n")
        return text.removesuffix(self.PROMPT).strip()


class Shell:
    def __init__(self, gate):
        self.base = [INFLUX, "-host", "127.0.0.1", "-port", str(gate.ports["influxdb"])]

    def run(self, *arguments):
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run([*self.base, *arguments], **both, text=True, timeout=120)
        return done.stdout.strip() + (f" (exit status {done.returncode})" if done.returncode else "")

    def execute(self, statement, *options):
        return self.run("-execute", statement, *options)

    def insert(self, database, line):
        return self.run("-database", database, "-precision", "ns", "-execute", f"INSERT {line}")


def import_file(database):
    points = (f"flow,site=s{n % 7} litres={n}.25,n={n}i {1_600_000_000 + n}" for n in range(IMPORT_LINES))
    ddl = ["# DDL", f"CREATE DATABASE {database}"]
    dml = ["# DML", f"# CONTEXT-DATABASE: {database}", "# CONTEXT-RETENTION-POLICY: autogen"]
    return "\n".join([*ddl, *dml, *points]) + "\n"


def check_import(checks, gate, database):
    columns = {"time": "time", "site": "tag", "litres": "float", "n": "integer"}
    sums = 'SELECT count(*) AS rows, sum("n") AS n, sum("litres") AS litres, count(DISTINCT "site") AS sites FROM "flow"'
    n = IMPORT_LINES * (IMPORT_LINES - 1) // 2
    expected = {"rows": IMPORT_LINES, "n": n, "litres": n + IMPORT_LINES * 0.25, "sites": 7}
    checks.equal(f"{database}.flow: sums", gate.sql_rows(database, sums), [expected])
    rows = [{"time": (1_600_000_000 + n) * 10**9, "site": f"s{n % 7}", "litres": n + 0.25, "n": n} for n in range(IMPORT_LINES)]
    checks.table(gate, database, "flow", columns, rows)


if __name__ == "__main__":
    main()
