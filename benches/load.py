"""The load generator's Python side: writes the bodies into a file, runs `send.rs` over it, reads what it says.

The generator is compiled once into a cache folder by `rustc`; $TIDEGATE_BENCH_SEND names another one.
"""
import hashlib, json, os, struct, subprocess, tempfile
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "send.rs"
CEILING_SECONDS = 1


class HttpError(Exception):
    pass


@dataclass
class Load:
    """What sending the bodies came to.

    `seconds`: from the first byte to the last acknowledgement. `p50`, `p99`, `max`: seconds of an acknowledged body, from its
    first byte to its acknowledgement, waiting and trying again included. `bytes`: of those bodies. `refused`: answers that
    said "try later". `cpu_seconds`: what the generator itself used.
    """

    seconds: float
    acknowledged: int
    bytes: int
    refused: int
    p50: float
    p99: float
    max: float
    cpu_seconds: float
    errors: list = field(default_factory=list)


def generator():
    """The compiled generator; compiles it when this version of it is not in the cache."""
    if path := os.environ.get("TIDEGATE_BENCH_SEND"):
        return path
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate" / "tools"
    binary = cache / f"send-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}"
    if not binary.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = binary.with_suffix(f".{os.getpid()}")
        subprocess.run(["rustc", "--edition", "2024", "-O", "-o", fresh, SOURCE], check=True)
        fresh.rename(binary)
    return str(binary)


class Bodies:
    """Request bodies in a file of `folder`, as the generator reads them; `with` removes it at the end."""

    def __init__(self, bodies, folder=None):
        self.count = self.bytes = 0
        handle, self.path = tempfile.mkstemp(prefix="bench-bodies-", dir=folder)
        with os.fdopen(handle, "wb") as file:
            for body in bodies:
                file.write(struct.pack("<I", len(body)) + body)
                self.count += 1
                self.bytes += len(body)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.unlink(self.path)


def send_all(port, target, bodies, connections, headers=()):
    """Sends each body once, in order, each over the connection that is free first. Stops at the first error."""
    return run(str(port), str(connections), target, bodies.path, *headers)


def ceiling(bodies, connections):
    """Bytes a second that reach a sink, which reads, throws away and acknowledges."""
    sent = run("--ceiling", str(connections), bodies.path, str(CEILING_SECONDS))
    if sent.errors:
        raise HttpError(f"the sink failed: {sent.errors[0]}")
    return sent.bytes / sent.seconds


def run(*arguments):
    done = subprocess.run([generator(), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise HttpError(f"the generator failed: {done.stderr.strip()}")
    return Load(**json.loads(done.stdout))
