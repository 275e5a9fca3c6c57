#!/usr/bin/env python3
"""The `influx` shell of InfluxDB 1.x (Debian: influxdb-client): creates databases, inserts points, imports files.

Its exit status is 0 even when the server refused a statement: what it prints is what counts. $INFLUX names the command.
"""
import gzip, os, subprocess

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

        for database, extra, compress in (("imported", [], lambda data: data), ("zipped", ["-compressed"], gzip.compress)):
            file = gate.folder / database
            file.write_bytes(compress(import_file(database).encode()))
            said = shell.run("-import", "-path", str(file), "-precision", "s", *extra)
            counted = f"Processed {IMPORT_LINES} inserts" in said and "Failed 0 inserts" in said
            checks.that(f"import into {database}", counted, said)
            check_import(checks, gate, database)
    checks.finish()


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
