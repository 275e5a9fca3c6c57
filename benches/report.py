"""What the runs came to: medians, ratios, and the tables that show them.

Owns: which quantities there are and how they are written. Does not own: measuring them, and the plot.
"""
import json, statistics
from dataclasses import dataclass
from pathlib import Path

import plot, shapes


@dataclass(frozen=True)
class Quantity:
    """One number that each run has; `unit` divides it for people."""

    key: str
    column: str
    title: str
    unit: float
    decimals: int
    more_is_better: bool

    def text(self, value):
        return f"{value / self.unit:.{self.decimals}f}"


MIB = 1 << 20
QUANTITIES = (
    Quantity("values_per_second", "acknowledged, M values/s", "Million values/s to the last acknowledgement", 1e6, 2, True),
    Quantity("values_per_second_stopped", "stopped, M values/s", "Million values/s to the end of a clean stop", 1e6, 2, True),
    Quantity("latency_p50_seconds", "p50, ms", "Request latency p50, ms", 1e-3, 1, False),
    Quantity("latency_p99_seconds", "p99, ms", "Request latency p99, ms", 1e-3, 1, False),
    Quantity("cpu_seconds", "CPU, s", "CPU time of the server, s", 1, 2, False),
    Quantity("memory_bytes", "memory, MiB", "Peak resident memory, MiB", MIB, 0, False),
    Quantity("disk_bytes", "disk, MiB", "On disk after the stop, MiB", MIB, 1, False),
)
COUNTS = ("refused", "errors")


def summed_up(server):
    """A server's runs with the median of each quantity, and the sum of what is counted."""
    runs = server["runs"]
    median = {q.key: statistics.median(run[q.key] for run in runs) for q in QUANTITIES}
    return server | {"median": median, "total": {key: sum(run[key] for run in runs) for key in COUNTS}}


def ratios(servers):
    """{peer: {quantity: Tidegate / peer}} of the medians; without Tidegate none."""
    ours = next((s["median"] for s in servers if s["name"] == "tidegate"), None)
    peers = [s for s in servers if s["name"] != "tidegate"] if ours else []
    return {peer["name"]: {key: ours[key] / peer["median"][key] for key in ours if peer["median"][key]} for peer in peers}


# For people

def text(result):
    """All that is said of a comparison, as lines of Markdown that read as text too."""
    lines = [about_machine(result), ""]
    if len(result["shapes"]) > 1:
        lines += [overview(result), ""]
    for shape in result["shapes"]:
        lines += [f"## {shape['title']}", "", *setting(shape), "", tables(shape), ""]
    return lines + stops(result)


def overview(result):
    """Acknowledged values a second of every shape, and the ratios."""
    names = list(dict.fromkeys((s["name"], s["title"]) for shape in result["shapes"] for s in shape["servers"]))
    peers = [(name, title) for name, title in names if name != "tidegate"]
    head = ["acknowledged, M values/s", *(title for _, title in names), *(f"Tidegate / {title}" for _, title in peers), "p99, ms"]
    rows = []
    for shape in result["shapes"]:
        medians = {s["name"]: s["median"] for s in shape["servers"]}
        speeds = [QUANTITIES[0].text(medians[name]["values_per_second"]) if name in medians else "" for name, _ in names]
        compared = [ratio(shape["ratios"].get(name, {}).get("values_per_second")) for name, _ in peers]
        p99 = f"{medians['tidegate']['latency_p99_seconds'] * 1e3:.1f}" if "tidegate" in medians else ""
        rows.append([shape["title"], *speeds, *compared, p99])
    return table(head, rows)


def tables(shape):
    """Both tables of a shape."""
    head = ["server", "an acknowledgement means", *(q.column for q in QUANTITIES), "refused", "errors", "rows"]
    rows = [[f"{s['title']} {s['version']}", s["durability"], *(cell(q, s) for q in QUANTITIES),
             *(str(s["total"][key]) for key in COUNTS), f"{s['runs'][0]['rows']:,}"] for s in shape["servers"]]
    text = table(head, rows)
    if shape["ratios"]:
        head = ["Tidegate / peer", "the peer's acknowledgement means", *(q.column.split(",")[0] for q in QUANTITIES)]
        peers = [s for s in shape["servers"] if s["name"] in shape["ratios"]]
        rows = [[s["title"], s["durability"], *(ratio(shape["ratios"][s["name"]].get(q.key)) for q in QUANTITIES)] for s in peers]
        text += "\n\n" + table(head, rows)
    return text


def cell(quantity, server):
    """The median, and for speeds the range of the runs."""
    text = quantity.text(server["median"][quantity.key])
    values = [run[quantity.key] for run in server["runs"]]
    if quantity.more_is_better and len(values) > 1:
        text += f" ({quantity.text(min(values))} to {quantity.text(max(values))})"
    return text


def ratio(value):
    return "" if value is None else f"{value:.2f}"


def table(head, rows):
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(f"{text:<{width}}" for text, width in zip(line, widths)) + " |" for line in lines)


def setting(shape):
    """What was sent, in sentences."""
    tables = f" in {shape['tables']:,} tables" if shape["tables"] > 1 else ""
    packed = f", {shape['bytes'] / shape['bytes_sent']:.1f} times smaller by gzip" if shape["gzip"] else ""
    lines = "bodies of one line" if shape["lines_a_body"] == 1 else f"bodies of {shape['lines_a_body']:,} lines"
    return [
        f"{shape['lines']:,} lines ({shape['values']:,} values) of {shape['hosts']:,} hosts{tables}, "
        f"{shape['bytes'] / shape['lines']:.0f} bytes a line, in {lines}{packed} over {shape['connections']} connections. "
        + (f"Medians of {shape['runs']} runs a server, taking turns." if shape["runs"] > 1 else "One run a server."),
        f"Load average at the start {shape['load_average']:.1f}. The generator alone reaches "
        f"{shape['ceiling_bytes_per_second'] / 1e9:.2f} GB/s; the fastest run took {fastest_bytes_per_second(shape) / 1e9:.3f} GB/s.",
        *(f"Left out: {name}, which {why}." for name, why in shape["without"].items()),
    ]


def about_machine(result):
    machine = result["machine"]
    return (f"{machine['cores']} cores ({machine['processor']}), {machine['memory_bytes'] / 2**30:.0f} GiB, {machine['file_system']}, "
            f"Linux {machine['kernel']}.")


def fastest_bytes_per_second(shape):
    """Of the bytes that went over the wire."""
    bytes_a_value = shape["bytes_sent"] / shape["values"]
    return max(run["values_per_second"] for s in shape["servers"] for run in s["runs"]) * bytes_a_value


def page(result):
    """The Markdown page."""
    changed = [f"- `{name}` = `{value}`" for name, value in result["settings"].items()]
    return "\n".join([
        f"# Ingest, {result['date']}", "", f"![The medians as bars]({result['date']}-ingest.svg)", "", *text(result),
        *(["Tidegate ran with these settings away from their defaults:", "", *changed, ""] if changed else []),
        "Made by `make bench`; [the README](../README.md) says what each column is.", "",
    ])


def stops(result):
    kinds = {s["title"]: s["stop_means"] for shape in result["shapes"] for s in shape["servers"]}
    return ["A clean stop leaves:", "", *(f"- {title}: {means}." for title, means in kinds.items()), ""]


def write(result, folder):
    """Writes DATE-ingest.json, .md and .svg. Shapes measured earlier that day stay beside the new ones."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{result['date']}-ingest"
    earlier = folder / f"{stem}.json"
    if earlier.is_file():
        new = {shape["name"] for shape in result["shapes"]}
        kept = [shape for shape in json.loads(earlier.read_text()).get("shapes", []) if shape["name"] not in new]
        order = {shape.name: at for at, shape in enumerate(shapes.SHAPES)}
        result = result | {"shapes": sorted([*kept, *result["shapes"]], key=lambda shape: order.get(shape["name"], len(order)))}
    earlier.write_text(json.dumps(result, indent=2) + "\n")
    (folder / f"{stem}.md").write_text(page(result))
    (folder / f"{stem}.svg").write_text(plot.bars(f"Ingest, {result['date']}", about_machine(result), panels(result), notes(result)))
    return folder / f"{stem}.md"


def panels(result):
    """For the plot: (title, hint, [(server, value, text)]): of the first shape each quantity, of the others the speed."""
    hints = {True: "more is better", False: "less is better"}
    bars = lambda q, shape: [(s["title"], s["median"][q.key] / q.unit, q.text(s["median"][q.key])) for s in shape["servers"]]
    first, *others = result["shapes"]
    speed = QUANTITIES[0]
    return [*((q.title, hints[q.more_is_better], bars(q, first)) for q in QUANTITIES),
            *((f"{shape['title']}: million values/s", hints[True], bars(speed, shape)) for shape in others)]


def notes(result):
    return list(dict.fromkeys(f"{s['title']} {s['version']}: {s['durability']}" for shape in result["shapes"] for s in shape["servers"]))
