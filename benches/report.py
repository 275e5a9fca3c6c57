"""What the runs came to: medians, ratios, and the tables that show them.

Owns: which quantities there are and how they are written. Does not own: measuring them, and the plot.
"""
import json, statistics
from dataclasses import dataclass
from pathlib import Path

import plot


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


def percentile(values, percent):
    """The smallest value that at least `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


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

def tables(result):
    """Both tables, in Markdown that reads as text too."""
    head = ["server", "an acknowledgement means", *(q.column for q in QUANTITIES), "refused", "errors", "rows"]
    rows = [[f"{s['title']} {s['version']}", s["durability"], *(cell(q, s) for q in QUANTITIES),
             *(str(s["total"][key]) for key in COUNTS), f"{s['runs'][0]['rows']:,}"] for s in result["servers"]]
    text = table(head, rows)
    if result["ratios"]:
        head = ["Tidegate / peer", "the peer's acknowledgement means", *(q.column.split(",")[0] for q in QUANTITIES)]
        peers = [s for s in result["servers"] if s["name"] in result["ratios"]]
        rows = [[s["title"], s["durability"], *(ratio(result["ratios"][s["name"]].get(q.key)) for q in QUANTITIES)] for s in peers]
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


def setting(result):
    """What was sent, and where, in sentences."""
    work, machine = result["workload"], result["machine"]
    return [
        f"{work['lines']:,} lines ({work['values']:,} values, {work['fields']} fields) of {work['hosts']:,} hosts, "
        f"{work['bytes'] / work['lines']:.0f} bytes a line, in bodies of {work['lines_a_body']:,} lines "
        f"over {work['connections']} connections. "
        + (f"Medians of {work['runs']} runs a server, taking turns." if work["runs"] > 1 else "One run a server."),
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_bytes'] / 2**30:.0f} GiB, {machine['file_system']}, "
        f"Linux {machine['kernel']}; load average at the start {machine['load_average']:.1f}.",
        f"The generator alone reaches {result['generator']['ceiling_bytes_per_second'] / 1e9:.1f} GB/s here; the fastest run took "
        f"{fastest_bytes_per_second(result) / 1e9:.2f} GB/s.",
    ]


def fastest_bytes_per_second(result):
    bytes_a_value = result["workload"]["bytes"] / result["workload"]["values"]
    return max(run["values_per_second"] for s in result["servers"] for run in s["runs"]) * bytes_a_value


def page(result):
    """The Markdown page."""
    changed = [f"- `{name}` = `{value}`" for name, value in result["settings"].items()]
    return "\n".join([
        f"# Ingest, {result['date']}", "", *setting(result), "", tables(result), "",
        f"![The medians as bars]({result['date']}-ingest.svg)", "", *stops(result),
        *(["Tidegate ran with these settings away from their defaults:", "", *changed, ""] if changed else []),
        "Made by `make bench`; [the README](../README.md) says what each column is.", "",
    ])


def stops(result):
    return ["A clean stop leaves:", "", *(f"- {s['title']}: {s['stop_means']}." for s in result["servers"]), ""]


def write(result, folder):
    """Writes DATE-ingest.json, .md and .svg; those of the same day are replaced."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{result['date']}-ingest"
    (folder / f"{stem}.json").write_text(json.dumps(result, indent=2) + "\n")
    (folder / f"{stem}.md").write_text(page(result))
    (folder / f"{stem}.svg").write_text(plot.bars(f"Ingest, {result['date']}", setting(result)[0], panels(result), notes(result)))
    return folder / f"{stem}.md"


def panels(result):
    """For the plot: (title, hint, [(server, value, text)]) of each quantity."""
    hints = {True: "more is better", False: "less is better"}
    return [(q.title, hints[q.more_is_better],
             [(s["title"], s["median"][q.key] / q.unit, q.text(s["median"][q.key])) for s in result["servers"]]) for q in QUANTITIES]


def notes(result):
    return [f"{s['title']} {s['version']}: {s['durability']}" for s in result["servers"]]
