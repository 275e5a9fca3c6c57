"""A gateway to test against: starts the built binary on free loopback ports over a folder of its own.

Owns: starting, waiting until it is ready, stopping, plain HTTP to it, and reading a table back through SQL.
Does not own: what is sent, and what must come back.

    checks = Checks("a title")
    with Gate(checks) as gate:      # stops it at the end; keeps its folder and shows its log when something failed
        gate.write("db", "cpu,host=a v=1 1")
        checks.table(gate, "db", "cpu", {"time": "time", "host": "tag", "v": "float"}, [{"time": 1, "host": "a", "v": 1.0}])
    checks.finish()

Standard library only. The binary is $TIDEGATE_BIN, else `debug/tidegate` in $CARGO_TARGET_DIR or `target`.
"""
import csv, http.client, io, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time, urllib.parse
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTENERS = ("influxdb", "opentsdb", "tdengine", "cnosdb", "elasticsearch")
READY_SECONDS = 60
STOP_SECONDS = 60
REQUEST_SECONDS = 60
ROOT_USER = "Basic cm9vdDo="  # root, without a password
LOG_LINES_SHOWN = 40


class GateError(Exception):
    pass


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def expect(self, *statuses):
        if self.status not in statuses:
            raise GateError(f"answered {self.status}, not {' or '.join(map(str, statuses))}: {self.text[:500]}")
        return self


def binary():
    path = os.environ.get("TIDEGATE_BIN")
    target = os.environ.get("CARGO_TARGET_DIR") or ROOT / "target"
    path = Path(path) if path else Path(target) / "debug" / "tidegate"
    if not path.is_file():
        raise GateError(f"{path} is not there: run `cargo build`, or name another binary in TIDEGATE_BIN")
    return path.resolve()


def free_ports(count):
    """Ports that were free a moment ago: all are held before the first is let go."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Gate:
    """One gateway process. `settings` maps names such as `buffer.flush_age_ms` to values."""

    def __init__(self, checks=None, listeners=("influxdb", "cnosdb"), settings=None):
        self.checks = checks
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-test-"))
        self.store, self.wal, self.log = self.folder / "store", self.folder / "wal", self.folder / "log"
        self.listeners, self.settings = listeners, dict(settings or {})
        self.ports, self.process = {}, None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, kind, error, trace):
        try:
            if self.process and kind:
                self.kill()
            elif self.process:
                self.stop()
        finally:
            if kind or (self.checks and self.checks.failed):
                print(f"the gateway's log ends:\n{self.log_tail()}\nleft as it was: {self.folder}", file=sys.stderr)
            else:
                shutil.rmtree(self.folder)

    def start(self):
        """Starts the gateway (again) over the same folder and waits until it is ready."""
        for attempt in (1, 2, 3):
            self.ports = dict(zip(self.listeners, free_ports(len(self.listeners))))
            self._spawn()
            if self._wait_ready():
                return self
            if attempt == 3 or "in use" not in self.log_tail():  # someone took one of the ports meanwhile
                raise GateError(f"the gateway ended at once with status {self.process.returncode}")

    def _spawn(self):
        settings = {"storage.url": self.store.as_uri(), "wal.dir": self.wal}
        settings |= {f"listen.{name}": "off" for name in LISTENERS}
        settings |= {f"listen.{name}": f"127.0.0.1:{port}" for name, port in self.ports.items()}
        env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE")}
        for name, value in (settings | self.settings).items():
            env["TIDEGATE__" + name.upper().replace(".", "__")] = str(value)
        with self.log.open("ab") as log:
            command = [binary(), "serve"]
            self.process = subprocess.Popen(command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _wait_ready(self):
        """True once `/ready` answers 200, False when the process ended."""
        deadline, last = time.monotonic() + READY_SECONDS, "nothing"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            try:
                reply = self.request(self.listeners[0], "GET", "/ready")
                if reply.status == 200:
                    return True
                last = f"{reply.status} {reply.text[:200]}"
            except OSError as error:
                last = str(error)
            time.sleep(0.05)
        self.kill()
        raise GateError(f"not ready after {READY_SECONDS} s, last answer: {last}")

    def stop(self):
        """Asks it to end as a service manager does: everything accepted is flushed into the store first."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise GateError(f"still running {STOP_SECONDS} s after SIGTERM") from None
        if status:
            raise GateError(f"ended with status {status} after SIGTERM")

    def kill(self):
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def log_tail(self):
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])

    # HTTP

    def url(self, listener):
        return f"http://127.0.0.1:{self.ports[listener]}"

    def request(self, listener, method, path, params=None, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[listener], timeout=REQUEST_SECONDS)
        target = path + ("?" + urllib.parse.urlencode(params) if params else "")
        body = body.encode() if isinstance(body, str) else body
        try:
            connection.request(method, target, body=body, headers=headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer: {error!r}") from error
        finally:
            connection.close()

    def influxql(self, text):
        """Runs one statement at the InfluxDB door; a statement's error is ours."""
        answer = json.loads(self.request("influxdb", "POST", "/query", {"q": text}).expect(200).text)
        error = answer.get("error") or next((r["error"] for r in answer.get("results", []) if "error" in r), None)
        if error:
            raise GateError(f"{text}: {error}")
        return answer

    def write(self, database, lines, precision="ns"):
        params = {"db": database, "precision": precision}
        self.request("influxdb", "POST", "/write", params, lines).expect(204)

    def write_cnosdb(self, database, lines):
        """Line protocol at the CnosDB door, which knows unsigned integers."""
        self.request("cnosdb", "POST", "/api/v1/write", {"db": database}, lines, {"Authorization": ROOT_USER}).expect(200)

    def sql(self, database, text, accept):
        headers = {"Accept": accept, "Authorization": ROOT_USER}
        return self.request("cnosdb", "POST", "/api/v1/sql", {"db": database}, text, headers).expect(200).text

    def sql_rows(self, database, text):
        """Rows as objects; a column that is null in a row is not in its object."""
        return json.loads(self.sql(database, text, "application/json"))

    def sql_cells(self, database, text):
        """The header and the rows of the CSV form, every cell as text."""
        lines = list(csv.reader(io.StringIO(self.sql(database, text, "text/csv"), newline="")))
        return lines[0], lines[1:]


# Reading a table back

ARROW_TYPES = {
    "time": "Timestamp(ns)",
    "tag": "Dictionary(Int32, Utf8)",
    "float": "Float64",
    "integer": "Int64",
    "unsigned": "UInt64",
    "boolean": "Boolean",
    "string": "Utf8",
}


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def time_ns(text):
    """Nanoseconds since 1970 of `2023-01-14T16:00:00[.fraction]`."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?", text)
    if not found:
        raise ValueError(f"{text!r} is no time as the gateway writes them")
    since = datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + int((found[2] or "").ljust(9, "0"))


def from_json(kind, value):
    """The value, with a wrong JSON type made visible: an integer where a float belongs is another value."""
    wanted = {"time": str, "tag": str, "string": str, "float": float, "integer": int, "unsigned": int, "boolean": bool}[kind]
    if value is not None and type(value) is not wanted:
        return f"{type(value).__name__} {value!r}"
    return time_ns(value) if kind == "time" and value is not None else value


def from_cell(kind, cell):
    """A null and an empty string are one in CSV: both are None here."""
    if cell == "":
        return None
    if kind == "time" and not re.search(r"\.\d{9}$", cell):
        return f"{cell!r}, without nine decimals"
    if kind == "float" and re.fullmatch(r"-?\d+", cell):
        return f"{cell!r}, without a decimal point"
    if kind == "boolean":
        return {"true": True, "false": False}.get(cell, cell)
    return {"time": time_ns, "float": float, "integer": int, "unsigned": int}.get(kind, str)(cell)


def told_apart(columns, by):
    """The columns beside `time` that no two rows have in common."""
    return [name for name, kind in columns.items() if kind == "tag"] if by is None else by


def key(columns, by=None):
    """Sorts rows as the query below does: time, then what tells rows apart, nulls last."""
    names = told_apart(columns, by)
    return lambda row: (row["time"], [(row.get(name) is None, row.get(name) or "") for name in names])


class Checks:
    """Counts what held and what did not; prints only the latter."""

    def __init__(self, title):
        self.title, self.passed, self.failed = title, 0, 0

    def that(self, what, held, detail=""):
        self.passed += bool(held)
        self.failed += not held
        if not held:
            print(f"FAIL {self.title}: {what}" + (f": {detail}" if detail else ""))

    def equal(self, what, actual, expected):
        self.that(what, actual == expected, f"\n  want {expected!r}\n  got  {actual!r}")

    def attempt(self, call, *arguments):
        """Calls a part of a test; what it raises fails that part only."""
        try:
            call(*arguments)
        except Exception as error:
            self.that(f"{call.__name__} runs to its end", False, f"{type(error).__name__}: {error}")

    def table(self, gate, database, table, columns, rows, by=None):
        """Checks type and every value of a table, through JSON and CSV.

        `columns`: {name: word of ARROW_TYPES}, with `time`; `rows`: objects as the client meant them, `time` in
        nanoseconds, absent or None where null. The table must hold these columns and rows, and no others. `by`: columns
        of text that tell rows of one time apart, if not the tags.
        """
        self.attempt(self._columns, gate, database, table, columns)
        self.attempt(self._rows, gate, database, table, columns, sorted(rows, key=key(columns, by)), by)

    def _columns(self, gate, database, table, columns):
        header, _ = gate.sql_cells(database, f"SELECT * FROM {quoted(table)} LIMIT 0")
        self.equal(f"{database}.{table}: columns", sorted(header), sorted(columns))
        types = ", ".join(f"arrow_typeof({quoted(name)}) AS c{at}" for at, name in enumerate(columns))
        found = gate.sql_rows(database, f"SELECT {types} FROM {quoted(table)} LIMIT 1")[0]
        found = {name: found[f"c{at}"] for at, name in enumerate(columns)}
        self.equal(f"{database}.{table}: types", found, {name: ARROW_TYPES[kind] for name, kind in columns.items()})

    def _rows(self, gate, database, table, columns, rows, by):
        order = ", ".join(f"{quoted(name)} ASC NULLS LAST" for name in ["time", *told_apart(columns, by)])
        select = f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(table)} ORDER BY {order}"
        wanted = [{name: row.get(name) for name in columns} for row in rows]
        found = [{n: from_json(kind, row.get(n)) for n, kind in columns.items()} for row in gate.sql_rows(database, select)]
        self.same_rows(f"{database}.{table} in JSON", found, wanted)

        header, lines = gate.sql_cells(database, select)
        self.equal(f"{database}.{table}: CSV header", header, list(columns))
        wanted = [{name: None if value == "" else value for name, value in row.items()} for row in wanted]
        found = [{n: from_cell(kind, cell) for (n, kind), cell in zip(columns.items(), line)} for line in lines]
        self.same_rows(f"{database}.{table} in CSV", found, wanted)

    def same_rows(self, what, found, wanted):
        pairs = list(zip(found, wanted))
        differences = [f"\n  row {at}: want {w!r}\n  row {at}: got  {f!r}" for at, (f, w) in enumerate(pairs) if f != w]
        if len(found) != len(wanted):
            differences.insert(0, f"{len(found)} rows, not {len(wanted)}")
        self.that(what, not differences, "".join(differences[:3]))

    def finish(self):
        """Says the sum and ends the process."""
        print(f"{self.title}: {self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)
