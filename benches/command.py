"""What the commands of the benchmarks share: their options, and their results as text, JSON and Markdown."""
import argparse, json, sys, tempfile
from pathlib import Path

import compare, load, servers


def options(help, arguments, numbers, quick, also=lambda parser: None):
    """The command line.

    `numbers`: {name: (default, help)}, each an option; `quick`: their values for `--quick`, which tries the script and writes
    nothing; `also` adds further options.
    """
    parser = argparse.ArgumentParser(description=help, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (default, meaning) in numbers.items():
        parser.add_argument(f"--{name}", type=compare.positive, default=default, help=meaning)
    said = ", ".join(f"{value:,} {name}" for name, value in quick.items())
    parser.add_argument("--quick", action="store_true", help=f"{said}; nothing written: to try the script")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", dest="settings", metavar="KEY=VALUE", type=compare.setting, action="append", default=[],
                        help="a setting of Tidegate")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the data is meanwhile")
    parser.add_argument("--results", help="where results are written (default results/ beside this file; none with --quick)")
    also(parser)
    parsed = parser.parse_args(arguments)
    if parsed.quick:
        vars(parsed).update({name.replace("-", "_"): value for name, value in quick.items()})
    parsed.results = parsed.results or (None if parsed.quick else compare.RESULTS)
    return parsed


def run(options, name, title, measured, text):
    """Measures, shows the lines of `text` and writes results/DATE-NAME.json and .md. Answers the exit status."""
    try:
        result = measured(options)
    except (servers.ServerError, load.HttpError, OSError) as error:
        print(f"FAIL {error}", file=sys.stderr)
        return 1
    lines = text(result)
    print("\n".join(lines))
    if options.results:
        folder = Path(options.results)
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"{result['date']}-{name}"
        stem.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
        stem.with_suffix(".md").write_text("\n".join([f"# {title}, {result['date']}", "", *lines, ""]))
        print(f"written: {stem}.md and its .json")
    return 0
