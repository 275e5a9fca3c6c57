"""The servers that are compared: each one process over a folder of its own on a free loopback port.

Owns: starting, waiting until it is ready, making the database, counting rows, stopping, and what the process used.
Does not own: sending the data.

Each server runs with its own defaults; what differs from them is written in its class. `durability` says what an
acknowledgement of the server promises, read from its settings where it has any.

    with Tidegate(binary, folder) as server:   # ended at the end, whatever happens
        server.create_database()
        …                                      # POST line protocol to server.port, server.write_path
        seconds = server.stop()                # as a service manager does; server.memory_bytes, server.cpu_seconds
        server.start()
        server.count_rows(shape)
"""
import gzip, http.client, json, os, re, shutil, signal, socket, subprocess, time, urllib.parse
from pathlib import Path

DATABASE = "bench"
READY_SECONDS = 120
REQUEST_SECONDS = 600
STOP_SECONDS = 600
WATCH_SECONDS = 0.005
LOG_LINES_SHOWN = 30


class ServerError(Exception):
    pass


class Server:
    """What the servers share; the classes below say what is particular."""

    name = title = ""
    durability = ""  # what an acknowledgement promises
    stop_means = ""  # in which form a clean stop leaves the rows
    variable = ""  # of the environment, that names the binary
    write_path = f"/write?db={DATABASE}"
    ready_path = "/ping"
    version_arguments = ("--version",)
    log_folder = None  # of the write-ahead log, inside `folder`

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, Path(folder)
        self.data, self.log = self.folder / "data", self.folder / "log"
        self.data.mkdir(parents=True)
        self.process, self.port, self.memory_bytes, self.cpu_seconds = None, None, 0, 0.0

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def command(self):
        """The command line, for `self.port`; may write files into `folder`."""
        raise NotImplementedError

    def environment(self):
        return {}

    def create_database(self):
        pass

    def count_rows(self, shape):
        """Rows of the shape's tables, by the server's own query language."""
        raise NotImplementedError

    def version(self):
        said = subprocess.run([self.binary, *self.version_arguments], capture_output=True, text=True, timeout=60)
        return version_number(said.stdout + said.stderr) or packaged_version(self.binary) or "unknown version"

    # The process

    def start(self):
        """Starts it, again or for the first time, and waits until it takes requests."""
        self.port = free_port()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE", "INFLUXDB_"))}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, env=inherited | self.environment(),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            if self.process.poll() is not None:
                raise ServerError(f"{self.name} ended at once with status {self.process.returncode}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} is not ready after {READY_SECONDS} s")
            time.sleep(0.05)

    def _ready(self):
        try:
            return self.request("GET", self.ready_path)[0] in (200, 204)
        except OSError:
            return False

    def stop(self):
        """Asks it to end and waits until it has; answers the seconds that took.

        Then `memory_bytes` is the most that was resident (Linux' VmHWM) and `cpu_seconds` what it used since its start.
        """
        start, process = time.perf_counter(), self.process
        self._watch_memory()
        process.send_signal(signal.SIGTERM)
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            seconds = time.perf_counter() - start
            if pid:
                break
            if seconds > STOP_SECONDS:
                raise ServerError(f"{self.name} still runs {STOP_SECONDS} s after SIGTERM")
            self._watch_memory()
            time.sleep(WATCH_SECONDS)
        process.returncode, self.process = os.waitstatus_to_exitcode(status), None
        if process.returncode:
            raise ServerError(f"{self.name} ended with status {process.returncode} after SIGTERM")
        self.cpu_seconds = used.ru_utime + used.ru_stime
        return seconds

    def _watch_memory(self):
        # Not wait4's ru_maxrss: a child counts what its parent had resident when it was started.
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        if found := re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
            self.memory_bytes = max(self.memory_bytes, int(found[1]) * 1024)

    def timed_get(self, path, parameters):
        return self.timed("GET", f"{path}?{urllib.parse.urlencode(parameters)}")

    def timed(self, method, target, body=None, headers=None):
        """(seconds until the last byte of the answer, its bytes), over a connection of its own that is open before."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        try:
            connection.connect()
            start = time.perf_counter()
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            body = response.read()
            seconds = time.perf_counter() - start
        finally:
            connection.close()
        if response.status != 200:
            raise ServerError(f"{self.name} answered {response.status}: {body[:300]!r}")
        return seconds, body

    def kill(self):
        process, self.process = self.process, None
        if process:
            process.kill()
            process.wait()

    def log_tail(self):
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-LOG_LINES_SHOWN:])

    # Files and requests

    def disk_bytes(self):
        """(all, of them the write-ahead log): bytes that files occupy."""
        return allocated_bytes(self.data), allocated_bytes(self.data / self.log_folder) if self.log_folder else 0

    def request(self, method, path, params=None, body=None, headers=None):
        """Answers (status, body); whatever keeps an answer from coming is an OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        try:
            connection.request(method, path + ("?" + urllib.parse.urlencode(params) if params else ""), body, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace")
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer: {error!r}") from error
        finally:
            connection.close()

    def ask(self, method, path, params=None, body=None, headers=None):
        """The JSON of an answer that must be 200."""
        status, text = self.request(method, path, params, body, headers)
        if status != 200:
            raise ServerError(f"{self.name} answered {status} to {path}: {text[:500]}")
        return json.loads(text)


class Influx(Server):
    """What answers InfluxQL at `/query`."""

    def create_database(self):
        self.influxql(f"CREATE DATABASE {DATABASE}")

    def influxql(self, text, **params):
        answer = self.ask("POST", "/query", {"q": text, **params})
        failed = answer.get("error") or next((r["error"] for r in answer.get("results", []) if "error" in r), None)
        if failed:
            raise ServerError(f"{self.name} answered `{text}` with: {failed}")
        return answer["results"][0]


class Tidegate(Influx):
    name, title, variable = "tidegate", "Tidegate", "TIDEGATE_BIN"
    durability = "WAL synced before each acknowledgement (always)"
    stop_means = "all rows in Parquet segments in the store, the log empty"
    ready_path = "/ready"
    log_folder = "wal"
    LISTENERS = ("influxdb", "opentsdb", "tdengine", "cnosdb", "elasticsearch")
    listener = "influxdb"  # the one that is on, at `port`; it has the exact routes of all
    settings = {}  # further ones, `section.key` to text
    object_store = None  # a `Minio` that segments go to in place of a folder

    def command(self):
        return [self.binary, "serve"]

    def environment(self):
        settings = {f"listen.{name}": "off" for name in self.LISTENERS}
        settings |= {f"listen.{self.listener}": f"127.0.0.1:{self.port}", "storage.url": (self.data / "store").as_uri(),
                     "wal.dir": str(self.data / "wal"), "query.temp_dir": str(self.folder / "temp")}
        store = self.object_store.settings() if self.object_store else {}
        credentials = self.object_store.credentials() if self.object_store else {}
        named = (settings | store | self.settings).items()
        return {"TIDEGATE__" + name.upper().replace(".", "__"): value for name, value in named} | credentials

    def disk_bytes(self):
        files, log = super().disk_bytes()
        return files + (self.object_store.disk_bytes() if self.object_store else 0), log

    def count_rows(self, shape):
        return sum(map(self.count, shape.table_names))

    def count(self, table, database=DATABASE):
        """Rows of a table, by SQL."""
        headers = {"Accept": "application/json", "Authorization": "Basic cm9vdDo="}
        return self.ask("POST", "/api/v1/sql", {"db": database}, f'select count(*) as rows from "{table}"', headers)[0]["rows"]


class InfluxDb(Influx):
    """The configuration is the one it prints itself, with folders, ports and reporting changed."""

    name, title, variable = "influxd", "InfluxDB", "INFLUXD"
    stop_means = "as written: TSM files and its log, which is read back at the next start"
    version_arguments = ("version",)
    log_folder = "wal"
    delay = None

    def command(self):
        config = self.folder / "influxdb.conf"
        env = {"HOME": str(self.folder), "INFLUXDB_REPORTING_DISABLED": "true", "INFLUXDB_REPORTING_ENABLED": "false",
               "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{free_port()}", "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{self.port}",
               "INFLUXDB_META_DIR": str(self.data / "meta"), "INFLUXDB_DATA_DIR": str(self.data / "data"),
               "INFLUXDB_DATA_WAL_DIR": str(self.data / "wal")}
        printed = subprocess.run([self.binary, "config"], env=env, capture_output=True, text=True, timeout=60, check=True).stdout
        config.write_text(printed)
        found = re.search(r'^\s*wal-fsync-delay = "(.+)"$', printed, re.MULTILINE)
        if not found or str(self.data / "wal") not in printed or f":{self.port}" not in printed:
            raise ServerError(f"the configuration that {self.name} prints is not as expected")
        self.delay = found[1]
        return [self.binary, "run", "-config", config]

    def environment(self):
        return {"HOME": str(self.folder)}

    @property
    def durability(self):
        when = "before each acknowledgement" if self.delay == "0s" else f"up to {self.delay} after the acknowledgement"
        return f"WAL synced {when} (wal-fsync-delay = {self.delay})"

    def count_rows(self, shape):
        result = self.influxql(f"SELECT count({shape.probe}) FROM /.*/", db=DATABASE)
        return sum(series["values"][0][1] for series in result.get("series", []))


class VictoriaMetrics(Server):
    """Retention is made long enough for the data's time (its default is a month), and queries may touch every series: rows
    are counted over all of them."""

    name, title, variable = "victoria-metrics", "VictoriaMetrics", "VICTORIA_METRICS"
    durability = "no WAL: acknowledged from memory, on disk within seconds"
    stop_means = "all rows in its files"
    ready_path = "/health"

    def command(self):
        return [self.binary, f"-storageDataPath={self.data}", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
                "-search.maxUniqueTimeseries=10000000", "-maxLabelsPerTimeseries=100"]

    def count_rows(self, shape):
        window = shape.end_seconds - shape.start_seconds + 1
        metric = f'{{__name__=~".+_{shape.probe}"}}'
        query = {"query": f"sum(count_over_time({metric}[{window}s]))", "time": shape.end_seconds, "nocache": 1}
        result = self.ask("GET", "/api/v1/query", query)["data"]["result"]
        return int(result[0]["value"][1]) if result else 0


SERVERS = (Tidegate, InfluxDb, VictoriaMetrics)


class Minio:
    """An object store on loopback over a folder of its own; a bucket is a folder in it."""

    BUCKET = "bench"

    def __init__(self, binary, folder):
        self.folder, self.data = Path(folder), Path(folder) / "minio"
        (self.data / self.BUCKET).mkdir(parents=True)
        self.port = free_port()
        env = os.environ | {"MINIO_ROOT_USER": "bench-user", "MINIO_ROOT_PASSWORD": "bench-password"}
        command = [binary, "server", self.data, "--address", f"127.0.0.1:{self.port}", "--console-address", f"127.0.0.1:{free_port()}"]
        with (self.folder / "minio.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServerError("MinIO does not start")
            time.sleep(0.05)

    def _ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/minio/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.kill()
        self.process.wait()

    def settings(self):
        return {"storage.url": f"s3://{self.BUCKET}/", "storage.endpoint": f"http://127.0.0.1:{self.port}", "storage.allow_http": "true"}

    def credentials(self):
        return {"AWS_ACCESS_KEY_ID": "bench-user", "AWS_SECRET_ACCESS_KEY": "bench-password", "AWS_REGION": "us-east-1"}

    def disk_bytes(self):
        return allocated_bytes(self.data / self.BUCKET)

    def objects(self):
        """How many there are: MinIO keeps each as a folder with its metadata in it."""
        return sum(1 for _ in (self.data / self.BUCKET).rglob("xl.meta"))


def find_binary(server):
    """Where a server's binary is, or None: its variable says, else the usual places."""
    if path := os.environ.get(server.variable):
        if not os.access(path, os.X_OK):
            raise ServerError(f"{server.variable} is {path}, which is no program")
        return os.path.abspath(path)
    if server is Tidegate:
        target = os.environ.get("CARGO_TARGET_DIR") or Path(__file__).resolve().parents[1] / "target"
        path = Path(target) / "dist" / "tidegate"
        return str(path) if path.is_file() else None
    return shutil.which(server.name)


def version_number(text):
    """`1.6.7` of the many ways to print it, or None."""
    found = re.search(r"\bv?(\d+\.\d+\.\d+[^\s)]*)", text)
    return found and found[1]


def packaged_version(binary):
    """The version that the Debian package around a binary says, for a program that does not know its own; or None."""
    binary = Path(binary).resolve()
    changes = binary.parents[1] / "share/doc" / binary.name / "changelog.Debian.gz"
    return version_number(gzip.open(changes, "rt").readline()) if changes.is_file() else None


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def allocated_bytes(folder):
    """Bytes of the file system's blocks that the files below a folder occupy, each file once."""
    files = [os.lstat(os.path.join(parent, name)) for parent, _, names in os.walk(folder) for name in names]
    return sum({(f.st_dev, f.st_ino): f.st_blocks * 512 for f in files}.values())
