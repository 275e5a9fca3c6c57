"""The load generator: prepared request bodies over a few keep-alive connections, as fast as answers come.

Owns: sending, waiting for each answer, timing each request, trying again when told to, and measuring its own ceiling
against a sink that throws bodies away. Does not own: what the bodies say, and what a server did with them.

One thread a connection. A body is handed to the kernel whole, so the threads spend their time outside Python; `ceiling`
measures that this holds on the machine at hand.
"""
import contextlib, itertools, multiprocessing, resource, socket, threading, time
from dataclasses import dataclass, field

ANSWER_SECONDS = 120  # without a byte of an answer
RETRY_SECONDS_MAX = 600  # of one body
ERRORS_SHOWN = 5
CEILING_SECONDS = 1


class HttpError(Exception):
    pass


@dataclass
class Load:
    """What sending the bodies came to.

    `seconds`: from the first byte to the last acknowledgement. `latencies`: seconds of each acknowledged body, from its
    first byte to its acknowledgement, waiting and trying again included. `bytes`: of those bodies. `refused`: answers that
    said "try later". `cpu_seconds`: what the generator itself used.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: list = field(default_factory=list)
    bytes: int = 0
    refused: int = 0
    errors: list = field(default_factory=list)


class Connection:
    """One keep-alive HTTP/1.1 connection to a loopback port, without pipelining."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def close(self):
        self.socket.close()

    def post(self, head, body):
        """Sends one request; answers (status, headers with lowercase names, body)."""
        self.socket.sendall(head, socket.MSG_MORE)
        self.socket.sendall(body)
        lines = self._through(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        status = int(lines[0].split(" ", 2)[1])
        return status, headers, b"" if status == 204 else self._content(headers)

    def _content(self, headers):
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self._exactly(int(headers.get("content-length", 0)))
        content = b""
        while size := int(self._through(b"\r\n").split(b";")[0], 16):
            content += self._exactly(size)
            self._exactly(2)
        while self._through(b"\r\n") != b"\r\n":  # trailers
            pass
        return content

    def _through(self, end):
        while (at := self.received.find(end)) < 0:
            self._receive()
        return self._exactly(at + len(end))

    def _exactly(self, count):
        while len(self.received) < count:
            self._receive()
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def _receive(self):
        more = self.socket.recv(65_536)
        if not more:
            raise HttpError("the server closed the connection")
        self.received += more


def requests(path, bodies):
    """(head, body) of each body."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
    return [((head % len(body)).encode(), body) for body in bodies]


def send_all(port, prepared, connections):
    """Sends each request once, in order, each over the connection that is free first. Stops at the first error."""
    load, queue, lock = Load(), iter(prepared), threading.Lock()
    opened = []  # connections

    def work(connection):
        try:
            while True:
                with lock:
                    request = None if load.errors else next(queue, None)
                if request is None:
                    return
                seconds, refused = acknowledged(connection, *request)
                with lock:
                    load.latencies.append(seconds)
                    load.bytes += len(request[1])
                    load.refused += refused
        except (HttpError, OSError, ValueError, IndexError) as error:
            with lock:
                load.errors.append(f"{type(error).__name__}: {error}")

    try:
        opened = [Connection(port) for _ in range(connections)]
        threads = [threading.Thread(target=work, args=(connection,)) for connection in opened]
        cpu, start = own_cpu_seconds(), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        load.seconds, load.cpu_seconds = time.perf_counter() - start, own_cpu_seconds() - cpu
    finally:
        for connection in opened:
            connection.close()
    del load.errors[ERRORS_SHOWN:]
    return load


def acknowledged(connection, head, body):
    """Sends until the server takes it, as clients do that are told to try later; answers (seconds, refusals)."""
    start, refused = time.perf_counter(), 0
    while True:
        status, headers, content = connection.post(head, body)
        seconds = time.perf_counter() - start
        if status in (200, 204):
            return seconds, refused
        if status not in (429, 503) or "retry-after" not in headers or seconds > RETRY_SECONDS_MAX:
            raise HttpError(f"answered {status}: {content.decode('utf-8', 'replace')[:500]}")
        refused += 1
        time.sleep(float(headers["retry-after"]))


def own_cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# The generator's own ceiling

def ceiling(bodies, connections):
    """Bytes a second that reach a sink in another process, which reads, throws away and acknowledges.

    A lower bound: the sink shares the machine's cores with the generator, as servers do.
    """
    with sink(connections) as port:
        load = send_all(port, repeated(requests("/write?db=bench", bodies), CEILING_SECONDS), connections)
    if load.errors:
        raise HttpError(f"the sink failed: {load.errors[0]}")
    return load.bytes / load.seconds


def repeated(prepared, seconds):
    """The same requests over and over until the time is up, at least one."""
    deadline = time.perf_counter() + seconds
    for request in itertools.cycle(prepared):
        yield request
        if time.perf_counter() > deadline:
            return


@contextlib.contextmanager
def sink(connections):
    """A process that acknowledges every request on a port of its own, over `connections` connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("fork").Process(target=swallow, args=(listener, connections), daemon=True)
    process.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        process.terminate()
        process.join()


def swallow(listener, connections):
    threads = [threading.Thread(target=swallow_requests, args=(listener.accept()[0],)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def swallow_requests(connection):
    scratch, received = bytearray(1 << 20), b""
    while more := connection.recv(4_096):
        received += more
        head, found, rest = received.partition(b"\r\n\r\n")
        if not found:
            continue
        left = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]) - len(rest)
        while left > 0:
            # MSG_TRUNC: TCP drops the bytes without copying them.
            got = connection.recv_into(scratch, min(left, len(scratch)), socket.MSG_TRUNC)
            if not got:
                return
            left -= got
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        received = b""
