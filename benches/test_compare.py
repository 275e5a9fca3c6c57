"""Tests of the benchmark itself: its data, its load generator, its sums, and that it fails where it must."""
import contextlib, io, json, os, socket, stat, sys, tempfile, threading, unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import compare, load, report, servers, shapes, tsbs  # noqa: E402

load.CEILING_SECONDS = 0.1

# A gateway that answers what compare.py asks; it loses LOST lines, and refuses the first write when REFUSE is set.
FAKE_GATEWAY = '''#!{python}
import gzip, json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
if sys.argv[1] == "--version":
    sys.exit(print("tidegate 9.8.7"))
data = os.path.dirname(os.environ["TIDEGATE__WAL__DIR"])
rows = os.path.join(data, "rows")
def first():
    try:
        open(rows + ".refused", "x").close()  # only one of several threads makes it
        return True
    except FileExistsError:
        return False
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer(200, b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.startswith("/write"):
            if os.environ.get("REFUSE") and first():
                return self.answer(503, b"later")
            with open(rows, "ab") as file:
                file.write(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.answer(204, b"")
        elif self.path.startswith("/query"):
            self.answer(200, b'{{"results": [{{}}]}}')
        else:
            count = open(rows, "rb").read().count(b"\\n") - int(os.environ.get("LOST", 0))
            self.answer(200, json.dumps([{{"rows": count}}]).encode())
    def answer(self, status, body):
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "0")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
import signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(int(os.environ.get("STATUS", 0))))
ThreadingHTTPServer(("127.0.0.1", int(os.environ["TIDEGATE__LISTEN__INFLUXDB"].split(":")[1])), Handler).serve_forever()
'''


class Data(unittest.TestCase):
    def check(self, shape, body_lines):
        bodies = list(shapes.bodies(shape))
        self.assertEqual([body.count(b"\n") for body in bodies], body_lines)
        lines = b"".join(bodies).decode().splitlines()
        self.assertEqual(len({(line.split(" ")[0], line.split(" ")[-1]) for line in lines}), shape.lines, "series and time tell rows apart")
        for line in lines:
            self.assertIn(f"{shape.probe}=", line)
            self.assertLessEqual(shape.start_seconds, int(line.split(" ")[-1]) // 10**9)
            self.assertLessEqual(int(line.split(" ")[-1]) // 10**9, shape.end_seconds)
        return lines

    def test_bodies_hold_the_lines_asked_for(self):
        self.check(shapes.Shape("x", "", lines=10, hosts=4, lines_a_body=5), [5, 5])
        self.check(shapes.Shape("x", "", lines=11, hosts=4, lines_a_body=5), [5, 5, 1])
        self.check(shapes.Shape("x", "", lines=3, hosts=100, lines_a_body=5), [3])
        self.check(shapes.Shape("x", "", lines=7, hosts=1, lines_a_body=1), [1] * 7)

    def test_lines_have_ten_tags_ten_fields_and_the_time_of_their_step(self):
        lines = self.check(shapes.Shape("x", "", lines=9, hosts=4), [9])
        for at, line in enumerate(lines):
            tags, fields, time = line.split(" ")
            self.assertEqual((tags.count(","), fields.count("=")), (10, 10))
            self.assertEqual(time, f"{tsbs.START_SECONDS + at // 4 * 10}000000000")

    def test_values_are_of_the_kind_asked_for(self):
        for floats, pattern in ((False, r"\d+i"), (True, r"\d+\.\d+")):
            for line in self.check(shapes.Shape("x", "", lines=50, hosts=5, floats=floats), [50]):
                for field in line.split(" ")[1].split(","):
                    self.assertRegex(field, rf"^usage_\w+={pattern}$")

    def test_every_shape_makes_its_lines(self):
        for shape in shapes.SHAPES:
            with self.subTest(shape.name):
                self.assertGreaterEqual(shape.values, 10_000_000)
                small = shape.scaled(2_000)
                lines = self.check(small, [small.lines_a_body] * (2_000 // small.lines_a_body) or [2_000])
                tables = {line.split(",")[0] for line in lines}
                self.assertEqual(len(tables), shape.tables)
                self.assertLessEqual(tables, set(small.table_names))

    def test_late_lines_are_the_others_in_another_order(self):
        shape = shapes.Shape("x", "", lines=4_000, hosts=40, kind="late")
        late = list(shapes.lines(shape))
        self.assertEqual(sorted(late), sorted(shapes.cpu(shape)))
        times = [int(line.split(" ")[-1]) for line in late]
        self.assertGreater(max(before - time for before, time in zip(times, times[1:])), 100 * 10**9)

    def test_the_seed_decides_the_bytes(self):
        made = lambda seed: list(shapes.bodies(shapes.Shape("x", "", lines=100, hosts=10).seeded(seed)))
        self.assertEqual(made(1), made(1))
        self.assertNotEqual(made(1), made(2))


class Generator(unittest.TestCase):
    def send(self, *answers, bodies=(b"a",)):
        """Sends `bodies` over one connection to a server that says `answers`, one a request, and then closes."""
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            connection, _ = listener.accept()
            with connection:
                for answer in answers:
                    received = b""
                    while not received.endswith(b"\r\n\r\na"):
                        more = connection.recv(65_536)
                        if not more:
                            return
                        received += more
                    for part in answer:
                        connection.sendall(part)

        thread = threading.Thread(target=serve)
        thread.start()
        with load.Bodies(bodies) as bodies:
            sent = load.send_all(listener.getsockname()[1], "/write", bodies, 1, ["Name: value"])
        thread.join()
        listener.close()
        return sent

    def test_answers_are_read_however_they_are_framed(self):
        answers = [[b"HTTP/1.1 204 No Content\r\n\r\n"],
                   [b"HTTP/1.1 200 OK\r\nContent-", b"Length: 2\r\n\r\n{", b"}"],
                   [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
                   [b"HTTP/1.1 204 No Content\r\n\r\n"]]
        sent = self.send(*answers, bodies=[b"a"] * 4)
        self.assertEqual((sent.errors, sent.refused, sent.acknowledged), ([], 0, 4))

    def test_a_refusal_with_retry_after_is_tried_again_and_counted(self):
        later = [b"HTTP/1.1 503 Later\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"]
        sent = self.send(later, later, [b"HTTP/1.1 204 No Content\r\n\r\n"])
        self.assertEqual((sent.errors, sent.refused, sent.acknowledged), ([], 2, 1))

    def test_everything_else_is_an_error(self):
        for answer in (b"HTTP/1.1 400 No\r\nContent-Length: 3\r\n\r\nbad", b"HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad"):
            sent = self.send([answer], bodies=[b"a", b"a"])
            self.assertIn("bad", sent.errors[0])
            self.assertEqual(sent.acknowledged, 0)
        self.assertIn("closed", self.send([b"HTTP/1.1 204"]).errors[0])

    def test_the_ceiling_is_measured(self):
        with load.Bodies([b"x" * 1_000_000, b"y"]) as bodies:
            self.assertGreater(load.ceiling(bodies, 2), 0)


class Report(unittest.TestCase):
    def test_medians_and_ratios(self):
        def server(name, *numbers):
            runs = [{q.key: number for q in report.QUANTITIES} | {"refused": 1, "errors": 0} for number in numbers]
            return report.summed_up({"name": name, "runs": runs})

        ours, peer = server("tidegate", 1, 6, 9), server("influxd", 4, 2, 3)
        self.assertEqual((ours["median"]["cpu_seconds"], peer["median"]["cpu_seconds"], ours["total"]["refused"]), (6, 3, 3))
        self.assertEqual(report.ratios([peer, ours])["influxd"]["cpu_seconds"], 2)
        self.assertEqual(report.ratios([peer]), {})


class Versions(unittest.TestCase):
    def test_numbers_are_found_in_what_programs_say(self):
        for text, expected in (("InfluxDB v1.6.7~rc0 (git: unknown)", "1.6.7~rc0"), ("tidegate 0.1.0\n", "0.1.0"),
                               ("package (1.79.5+ds1-2) unstable", "1.79.5+ds1-2"), ("", None)):
            self.assertEqual(servers.version_number(text), expected)


class WholeRun(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.results, self.runs = self.folder / "results", self.folder / "runs"
        self.runs.mkdir()
        binary = self.folder / "tidegate"
        binary.write_text(FAKE_GATEWAY.format(python=sys.executable))
        binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
        self.environment = {"TIDEGATE_BIN": str(binary)}

    def run_it(self, **environment):
        """(exit status, standard output, standard error) over 250 lines of two shapes, twice."""
        before = dict(os.environ)
        os.environ |= self.environment | environment
        out, err = io.StringIO(), io.StringIO()
        arguments = ["--quick", "--lines=250", "--shapes=batches,gzip", "--runs=2", "--servers=tidegate", "--set=buffer.flush_bytes=1"]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = compare.main([*arguments, f"--folder={self.runs}", f"--results={self.results}"])
        finally:
            os.environ.clear()
            os.environ |= before
        return status, out.getvalue(), err.getvalue()

    def test_results_are_written_and_folders_removed(self):
        status, out, err = self.run_it(REFUSE="1")
        self.assertEqual(status, 0, err)
        self.assertIn("Tidegate 9.8.7", out)
        self.assertEqual(list(self.runs.iterdir()), [])
        result = json.loads(next(self.results.glob("*.json")).read_text())
        self.assertEqual([shape["name"] for shape in result["shapes"]], ["batches", "gzip"])
        self.assertEqual(result["settings"], {"buffer.flush_bytes": "1"})
        for shape in result["shapes"]:
            self.assertEqual(shape["values"], 2_500)
            self.assertEqual(shape["servers"][0]["total"], {"refused": 2, "errors": 0})
            self.assertEqual([run["rows"] for run in shape["servers"][0]["runs"]], [250, 250])
        self.assertIn("buffer.flush_bytes", next(self.results.glob("*.md")).read_text())
        drawing = ElementTree.parse(next(self.results.glob("*.svg")))
        self.assertIn("Tidegate", [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")])

    def check_failure(self, expected, **environment):
        status, _, err = self.run_it(**environment)
        self.assertEqual(status, 1)
        self.assertIn(expected, err)
        self.assertFalse(self.results.exists())
        self.assertEqual(len(list(self.runs.iterdir())), 1, "the folder is kept")

    def test_a_lost_row_fails(self):
        self.check_failure("holds 249 rows", LOST="1")

    def test_an_unclean_stop_fails(self):
        self.check_failure("ended with status 3", STATUS="3")

    def test_a_missing_binary_fails(self):
        self.environment = {"TIDEGATE_BIN": str(self.folder / "nothing")}
        status, _, err = self.run_it()
        self.assertEqual(status, 1)
        self.assertIn("TIDEGATE_BIN", err)


if __name__ == "__main__":
    unittest.main()
