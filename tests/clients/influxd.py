"""InfluxDB 1.x (Debian: influxdb) as a process to compare with, and one who asks it or the gateway.

$INFLUXD names the server's command.
"""
import http.client, json, os, subprocess, sys, tempfile, time, urllib.parse
from pathlib import Path

from gate import free_ports

INFLUXD = os.environ.get("INFLUXD", "influxd")
READY_SECONDS = 30


class Asker:
    def __init__(self, port, database="d"):
        self.port, self.database = port, database

    def send(self, method, target, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def ask(self, question, method="GET"):
        target = "/query?" + urllib.parse.urlencode({"db": self.database, "epoch": "ns", "q": question})
        return self.json(*self.send(method, target))

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
