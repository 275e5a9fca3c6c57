"""A flame graph of Tidegate while it takes lines: where the time of its threads goes.

    flame.py [--shape NAME] [--lines N] [--results FILE.svg]

Starts the gateway with its defaults, sends the lines of a shape of `compare.py` as fast as they are taken, and samples it
with `perf record` (Debian: linux-perf) until the last acknowledgement. Writes the graph and prints which functions, and which
threads, the samples were in.
"""
import argparse, collections, datetime, re, shutil, signal, subprocess, sys, tempfile
from pathlib import Path
from xml.sax.saxutils import escape

import load, servers, shapes

HERTZ = 199
STACK_BYTES = 16384
WIDTH, ROW, TEXT = 1200, 16, 6.6
NARROWEST = 0.4  # pixels
HASH = re.compile(r"::h[0-9a-f]{16}$")
GENERICS = re.compile(r"<[^<>]*>")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default=shapes.SHAPES[0].name, choices=[shape.name for shape in shapes.SHAPES])
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--results", default=Path(__file__).parent / "results" / f"{datetime.date.today()}-flame.svg")
    options = parser.parse_args()
    binary = servers.find_binary(servers.Tidegate)
    if not binary or not shutil.which("perf"):
        sys.exit("needs Tidegate's binary in TIDEGATE_BIN, and perf")
    shape = next(shape for shape in shapes.SHAPES if shape.name == options.shape).scaled(options.lines)
    folder = Path(tempfile.mkdtemp(prefix="flame-", dir=options.folder))
    try:
        with load.Bodies(shapes.bodies(shape), options.folder) as bodies, servers.Tidegate(binary, folder / "gate") as server:
            server.create_database()
            sampled = folder / "perf.data"
            perf = subprocess.Popen(
                ["perf", "record", "-q", "-F", str(HERTZ), "--call-graph", f"dwarf,{STACK_BYTES}", "-p", str(server.process.pid), "-o", sampled]
            )
            sent = load.send_all(server.port, server.write_path, bodies, shape.connections)
            perf.send_signal(signal.SIGINT)
            perf.wait()
            if sent.errors:
                raise servers.ServerError("; ".join(sent.errors))
        stacks = folded(sampled)
    finally:
        shutil.rmtree(folder)
    title = f"{shape.name}: {shape.lines / sent.seconds:,.0f} lines/s while sampled {HERTZ} times a second"
    Path(options.results).write_text(drawn(stacks, title))
    print(title)
    print("\n".join(summary(stacks)))
    print(f"written: {options.results}")


def folded(sampled):
    """{(thread, outermost function, …, innermost): samples}"""
    script = subprocess.run(
        ["perf", "script", "-i", sampled, "-F", "comm,ip,sym", "--no-inline"], check=True, capture_output=True, text=True, errors="replace"
    )
    stacks = collections.Counter()
    for block in script.stdout.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if len(lines) < 2:
            continue
        thread = re.sub(r"[-:]?\d+$", "", lines[0].strip())
        frames = [named(line.strip().split(" ", 1)[-1]) for line in lines[1:]]
        stacks[(thread, *reversed(frames))] += 1
    return stacks


def named(symbol):
    return HASH.sub("", symbol)


def summary(stacks):
    total = sum(stacks.values())
    leaves, threads = collections.Counter(), collections.Counter()
    for stack, samples in stacks.items():
        leaves[stack[-1]] += samples
        threads[stack[0]] += samples
    share = lambda samples: f"{samples / total:6.1%}"
    yield f"{total} samples; threads: " + ", ".join(f"{thread}{share(samples)}" for thread, samples in threads.most_common(6))
    yield from (f"{share(samples)}  {short(function)}" for function, samples in leaves.most_common(25))


def short(function):
    while (less := GENERICS.sub("", function)) != function:
        function = less
    return function[-100:]


def drawn(stacks, title):
    """The graph: a row a depth, the outermost below; a width is a share of all samples."""
    total = sum(stacks.values())
    boxes, deepest = [], 0

    def place(part, depth, left):
        nonlocal deepest
        children = collections.defaultdict(collections.Counter)
        for stack, samples in part.items():
            if len(stack) > depth:
                children[stack[depth]][stack] += samples
        for name, below in sorted(children.items()):
            width = sum(below.values()) / total * WIDTH
            if width >= NARROWEST:
                deepest = max(deepest, depth)
                boxes.append((left, depth, width, name))
                place(below, depth + 1, left)
            left += width

    sys.setrecursionlimit(10_000)
    place(stacks, 0, 0.0)
    height = (deepest + 1) * ROW + 40
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace" font-size="11">',
           f'<text x="4" y="16">{escape(title)}</text>']
    for left, depth, width, name in boxes:
        top, label = height - (depth + 1) * ROW, short(name)
        colour = f"hsl({sum(map(ord, label)) % 60},70%,{62 + sum(map(ord, label)) % 14}%)"
        out.append(f'<g><title>{escape(name)} {width / WIDTH:.1%}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 1}" fill="{colour}"/>')
        if (letters := int(width / TEXT) - 1) > 2:
            shown = label if len(label) <= letters else label[-letters:]
            out.append(f'<text x="{left + 2:.1f}" y="{top + 12}">{escape(shown)}</text>')
        out.append("</g>")
    return "\n".join([*out, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
