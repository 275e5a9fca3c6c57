"""The shapes of load that are compared: what the lines look like, and how they are sent.

Owns: the list of shapes. Does not own: the lines' content (`tsbs`), the servers.

Every shape holds at least ten million values unless it is asked for fewer lines.
"""
import random
from dataclasses import dataclass, field, replace

import tsbs

CONNECTIONS, BODY_LINES = 4, 5_000
STEP_NS = tsbs.STEP_SECONDS * 10**9
START_NS = tsbs.START_SECONDS * 10**9


@dataclass(frozen=True)
class Shape:
    """`kind` names the function below that makes the lines; `probe` is a numeric field that each line has."""

    name: str
    title: str
    kind: str = "cpu"
    lines: int = 1_000_000
    hosts: int = 4_000
    values_a_line: int = 10
    lines_a_body: int = BODY_LINES
    connections: int = CONNECTIONS
    tables: int = 1
    probe: str = "usage_user"
    floats: bool = False
    gzip: bool = False
    seed: int = 1
    object_store: bool = False
    """The peers keep no data in an object store: only Tidegate runs then."""
    without: dict = field(default_factory=dict)
    """Peers that cannot take the shape, and why."""

    @property
    def values(self):
        return self.lines * self.values_a_line

    @property
    def table_names(self):
        return [tsbs.TABLE] if self.tables == 1 else [f"table_{at:04}" for at in range(self.tables)]

    @property
    def start_seconds(self):
        """Time of the first line, in seconds since 1970."""
        return tsbs.START_SECONDS

    @property
    def end_seconds(self):
        """Not before the time of the last line, in seconds since 1970."""
        return tsbs.START_SECONDS + (self.lines // self.hosts + 1) * tsbs.STEP_SECONDS

    def scaled(self, lines):
        """The same shape with fewer or more lines."""
        return replace(self, lines=lines)

    def seeded(self, seed):
        return replace(self, seed=seed)


SHAPES = (
    Shape("batches", "5,000-line requests, 4 connections"),
    Shape("single-lines", "single-line requests, 64 connections", lines_a_body=1, connections=64),
    Shape("many-series", "100,000 series", hosts=100_000),
    Shape("wide", "lines of 200 fields", kind="wide", lines=50_000, hosts=500, values_a_line=200, lines_a_body=250, probe="f000"),
    Shape("many-tables", "1,000 tables", kind="tables", tables=1_000),
    Shape("strings", "5 numbers and 5 strings a line", kind="strings",
          without={"victoria-metrics": "keeps numbers only and drops string fields"}),
    Shape("gzip", "gzip bodies", gzip=True),
    Shape("late", "out of order by up to five minutes", kind="late"),
    Shape("minio", "5,000-line requests, segments in MinIO", object_store=True),
)


def lines(shape):
    """Yields the lines of a shape, each with its line end."""
    return KINDS[shape.kind](shape)


def bodies(shape):
    """Yields the request bodies: `lines_a_body` lines each, the last one what remains; not compressed."""
    waiting = []
    for line in lines(shape):
        waiting.append(line)
        if len(waiting) == shape.lines_a_body:
            yield "".join(waiting).encode()
            waiting.clear()
    if waiting:
        yield "".join(waiting).encode()


def cpu(shape):
    left = shape.lines
    for step in tsbs.steps(shape.hosts, shape.seed, shape.floats):
        yield from step[:left]
        left -= len(step[:left])
        if not left:
            return


def wide(shape):
    """Values that walk as the others do, 200 a line."""
    rng = random.Random(shape.seed)
    names = [f"f{at:03}" for at in range(shape.values_a_line)]
    template = ",".join(f"{name}=%d" for name in names)
    walks = [[rng.randrange(10_000) for _ in names] for _ in range(shape.hosts)]
    for at in range(shape.lines):
        host, step = at % shape.hosts, at // shape.hosts
        walk = walks[host]
        if step:
            for changed in rng.sample(range(len(names)), 50):
                walk[changed] += rng.randrange(-200, 201)
        yield f"{tsbs.TABLE},host=host_{host} {template % tuple(walk)} {START_NS + step * STEP_NS}\n"


def tables(shape):
    """The same lines, spread over the tables: a host belongs to one."""
    names = shape.table_names
    for at, line in enumerate(cpu(shape)):
        yield names[at % shape.hosts % len(names)] + line[len(tsbs.TABLE):]


METHODS, PATHS = ("GET", "GET", "GET", "POST", "PUT", "DELETE"), ("users", "orders", "items", "carts", "sessions", "invoices")


def strings(shape):
    """Requests of a web server: a method, a path, a client, an agent and a message besides five numbers."""
    rng = random.Random(shape.seed)
    agents = [f"Mozilla/5.0 (X11; Linux x86_64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0" for v in range(100, 130)]
    for at in range(shape.lines):
        host, step = at % shape.hosts, at // shape.hosts
        path = f"/api/{rng.choice(PATHS)}/{rng.randrange(1_000_000)}"
        status, size = rng.choice((200, 200, 200, 201, 304, 404, 500)), rng.randrange(100_000)
        yield (f'{tsbs.TABLE},hostname=host_{host} usage_user={rng.randrange(100)}i,status={status}i,bytes={size}i,micros={rng.randrange(10**6)}i,'
               f'worker={rng.randrange(64)}i,method="{rng.choice(METHODS)}",path="{path}",client="10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}",'
               f'agent="{rng.choice(agents)}",message="{path} took {rng.randrange(10**6)} us, sent {size} bytes" {START_NS + step * STEP_NS}\n')


def late(shape):
    """Each line waits up to thirty steps: what arrives together spreads over five minutes."""
    rng, held = random.Random(shape.seed), []
    for at, line in enumerate(cpu(shape)):
        held.append((at // shape.hosts + rng.randrange(30), at, line))
        if len(held) == 32 * shape.hosts:
            held.sort()
            ready = next((i for i, (due, *_) in enumerate(held) if due > at // shape.hosts), len(held))
            yield from (line for *_, line in held[:ready])
            del held[:ready]
    yield from (line for *_, line in sorted(held))


KINDS = {"cpu": cpu, "wide": wide, "tables": tables, "strings": strings, "late": late}
