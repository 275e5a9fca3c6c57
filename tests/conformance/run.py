#!/usr/bin/env python3
"""Replays the shared conformance suites against the built gateway and holds what has been reached.

    run.py [SUITE...] [--all] [--only REGEX] [--strict] [--update-floors] [-v]

For each suite named (default: every suite in floors.toml) a gateway of its own is started, and the suite's files that
floors.toml names (--all: every file of the suite) are replayed at the suite's home listener. Files about authentication are
replayed at a second gateway that has it on.

    floors.toml    cases that pass at least, a file and a suite; --update-floors raises them, nothing lowers them
    disputed.toml  cases whose expectation is proven wrong, with the proof; counted apart
    open.toml      cases known not to be done, with the reason

Fails when a file or suite passes fewer cases than its floor, when a case of open.toml or disputed.toml passes or does
not exist (so that the lists stay true), and with --strict also when a failing case is in neither list.
The suites are looked for in `../shared/conformance` beside the checkout; $TIDEGATE_SHARED names another `shared` folder.
"""
import argparse, base64, contextlib, json, os, re, subprocess, sys, tempfile, tomllib, urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "clients"))
from gate import Gate, GateError  # noqa: E402

FLOORS, DISPUTED, OPEN = HERE / "floors.toml", HERE / "disputed.toml", HERE / "open.toml"
# The listener whose home protocol a suite is about.
HOME = {
    "influxql": "influxdb",
    "opentsdb": "opentsdb",
    "tdengine": "tdengine",
    "cnosdb": "cnosdb",
    "elasticsearch": "elasticsearch",
}
# Settings of the gateway that has authentication on, as the suite's runner wants it.
AUTH = {
    "influxql": {"auth.enabled": "true", "auth.jwt_secret": "tidegate-secret"},
    "cnosdb": {"auth.enabled": "true", "auth.admin_user": "root", "auth.admin_password": "tidegate-Root-1"},
}


@dataclass
class Outcome:
    """What one suite's replay came to. `ran`: {file: set of cases}; `failed`: {(file, case)}; files without `.json`."""

    suite: str
    ran: dict
    failed: set = field(default_factory=set)

    def passed(self, file=None):
        """{(file, case)} that passed, of one file or of all."""
        files = [file] if file else self.ran
        return {(f, case) for f in files for case in self.ran.get(f, ())} - self.failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(HOME)}")
    parser.add_argument("--all", action="store_true", help="every file of the suites, not only those with a floor")
    parser.add_argument("--only", metavar="REGEX", help="only cases whose name matches; floors are not checked then")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--update-floors", action="store_true")
    parser.add_argument("-v", action="store_true", help="why each case failed")
    arguments = parser.parse_args()
    unknown = set(arguments.suites) - set(HOME)
    if unknown or (arguments.only and arguments.update_floors):
        parser.error(f"no suite {', '.join(unknown)}" if unknown else "--update-floors needs all cases, not --only")

    floors, disputed, opened = read(FLOORS), listed(DISPUTED), listed(OPEN)
    outcomes = [replay(suite, floors.get(suite, {}), arguments) for suite in arguments.suites or floors]
    complaints = []
    for outcome in outcomes:
        if not arguments.only:
            complaints += below_floor(outcome, floors.get(outcome.suite, {}))
        complaints += untrue_lists(outcome, disputed, opened, whole=not arguments.only)
        if arguments.strict:
            complaints += unexplained(outcome, disputed | opened)
    report(outcomes, disputed, opened)
    for complaint in complaints:
        print(f"FAIL {complaint}")
    if arguments.update_floors:
        FLOORS.write_text(printed_floors(raised(floors, outcomes), FLOORS.read_text()))
    print(f"conformance: {sum(len(o.passed()) for o in outcomes)} passed, {len(complaints)} failed")
    sys.exit(1 if complaints or not any(o.ran for o in outcomes) else 0)


# Replaying

def shared_suites():
    shared = Path(os.environ.get("TIDEGATE_SHARED") or ROOT.parent / "shared")
    runner = shared / "conformance" / "run.py"
    if not runner.is_file():
        sys.exit(f"conformance: {runner} is not there; put the shared folder beside the checkout, or name it in TIDEGATE_SHARED")
    return runner.parent


def replay(suite, floors, arguments):
    suites = shared_suites()
    there = {path.stem: path for path in (suites / suite).glob("*.json")}
    wanted = sorted(there) if arguments.all or not floors else sorted(set(floors) - {"total"})
    missing = [file for file in wanted if file not in there]
    if missing:
        sys.exit(f"conformance: {suite} has no file {', '.join(missing)}")
    files = {file: json.loads(there[file].read_text()) for file in wanted}
    outcome = Outcome(suite, {})
    groups = {}
    for file, document in files.items():
        if runnable(suite, document):
            groups.setdefault(document.get("config_group", "default"), {})[file] = document
    for group, members in groups.items():
        replayed = replay_group(suite, group, members, there, arguments)
        outcome.ran |= replayed.ran
        outcome.failed |= replayed.failed
    return outcome


def replay_group(suite, group, files, there, arguments):
    """Replays files that can share a gateway, against one with the settings they ask for."""
    suites, home = shared_suites(), HOME[suite]
    wants_auth = any(document.get("server") == "auth" for document in files.values())
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-conformance-"))
        gate = stack.enter_context(Gate(listeners=(home,), settings=settings_of(group, files)))
        auth = stack.enter_context(Gate(listeners=(home,), settings=AUTH[suite])) if wants_auth else None
        for document in files.values():
            create_databases(gate.url(home), document.get("config", {}))
        for file in files:
            (Path(folder) / f"{file}.json").symlink_to(there[file])
        summary = Path(folder) / "summary"
        command = [sys.executable, suites / "run.py", suite, gate.url(home), "--dir", folder, "--json", summary]
        command += ["--config", group] if group != "default" else []
        command += ["--telnet", f"127.0.0.1:{gate.ports[home]}"] if suite == "opentsdb" else []
        command += ["--auth-url", auth.url(home)] if auth else []
        command += ["--only", arguments.only] if arguments.only else []
        command += ["-v"] if arguments.v else []
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        left_out = r"\d+ passed, " if arguments.v else r"\d+ passed, |\s*FAIL "
        shown = [text for text in done.stdout.splitlines() if not re.match(left_out, text)]
        print(f"== {suite} at {gate.url(home)}", *shown, sep="\n")
        if not summary.is_file():
            raise GateError(f"{suite}: the replay did not finish\n{done.stdout[-2000:]}")
        counted = json.loads(summary.read_text())
    only = arguments.only
    ran = {file: {case for case in names(d) if selected(suite, file, case, only)} for file, d in files.items()}
    entries = (entry.split(":", 1) for entry in counted["fails"])
    outcome = Outcome(suite, ran, {(file.removesuffix(".json"), case) for file, case in entries})
    ours, theirs = (sum(map(len, ran.values())), len(outcome.passed())), (counted["total"], counted["pass"])
    if ours != theirs and not arguments.only:
        raise GateError(f"{suite}: the runner counts {theirs[1]} of {theirs[0]}, we {ours[1]} of {ours[0]}")
    return outcome


def selected(suite, file, case, only):
    """Whether the suite's runner runs the case with `--only`: each has its own idea of a match."""
    if suite == "opentsdb":
        return not only or only in case
    return not only or bool(re.search(only, f"{file}.json:{case}" if suite == "tdengine" else case))


def create_databases(url, config):
    """What a file says must exist beforehand: a database of TDengine's adapter, named by the first word of `taos_db`, that keeps
    points of long ago."""
    for name in config.get("taos_db", "").split()[:1]:
        login = base64.b64encode(f"{config['taos_user']}:{config['taos_password']}".encode()).decode()
        statement = f"create database if not exists {name} keep 36500".encode()
        request = urllib.request.Request(f"{url}/rest/sql", statement, {"Authorization": f"Basic {login}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            if json.load(answer)["code"] != 0:
                raise GateError(f"{name} was not created")


def settings_of(group, files):
    """The gateway's settings for a group of OpenTSDB files; other suites have one group, with the defaults."""
    named = ("auto_create_metrics", "allow_delete", "cors_domains", "show_stack_trace")
    asked = {name: value for document in files.values() for name, value in document.get("config", {}).items()}
    text = lambda value: str(value).lower() if isinstance(value, bool) else value
    settings = {f"opentsdb.{name}": text(asked[name]) for name in named if name in asked}
    return {"opentsdb.allow_delete": "true"} | settings if any("config_group" in d for d in files.values()) else settings


def runnable(suite, document):
    """Whether a file runs without authentication, or with that of the suite's AUTH."""
    return document.get("server") != "auth" or suite in AUTH


def names(document):
    return [case["name"] for case in document["cases"]]


# What must hold

def below_floor(outcome, floors):
    for file, floor in floors.items():
        passed = len(outcome.passed() if file == "total" else outcome.passed(file))
        if passed < floor and (file == "total" or file in outcome.ran):
            yield f"{outcome.suite} {file}: {passed} cases pass, {floor} did before"


def untrue_lists(outcome, disputed, opened, whole):
    """`whole`: all cases of the files were replayed, so that one which is missing does not exist."""
    for title, entries in (("disputed", disputed), ("open", opened)):
        for suite, file, case in sorted(entries):
            if suite != outcome.suite or file not in outcome.ran:
                continue
            if (file, case) in outcome.passed():
                yield f"{suite} {file}: `{case}` passes; take it out of {title}.toml"
            elif whole and case not in outcome.ran[file]:
                yield f"{suite} {file}: there is no case `{case}`; take it out of {title}.toml"


def unexplained(outcome, known):
    for file, case in sorted(outcome.failed):
        if (outcome.suite, file, case) not in known:
            yield f"{outcome.suite} {file}: `{case}` fails, and neither open.toml nor disputed.toml says why"


def raised(floors, outcomes):
    """The floors, each at least as high as what passed now."""
    made = {suite: dict(files) for suite, files in floors.items()}
    for outcome in outcomes:
        files = made.setdefault(outcome.suite, {})
        now = {file: len(outcome.passed(file)) for file in outcome.ran} | {"total": len(outcome.passed())}
        for file, passed in now.items():
            if passed or file in files:
                files[file] = max(passed, files.get(file, 0))
    return made


def report(outcomes, disputed, opened):
    for outcome in outcomes:
        failed = {(outcome.suite, file, case) for file, case in outcome.failed}
        counts = Counter(disputed=len(failed & disputed), open=len(failed & opened), unlisted=len(failed - disputed - opened))
        total = sum(map(len, outcome.ran.values()))
        said = ", ".join(f"{count} {word}" for word, count in counts.items())
        print(f"== {outcome.suite}: {len(outcome.passed())} of {total} cases pass; of the others {said}")


# The lists

def read(path):
    return tomllib.loads(path.read_text())


def listed(path):
    """{(suite, file, case)} of a list: [[group]] tables with suite, file, reason and cases."""
    entries = set()
    for group in read(path).get("group", []):
        if not group.get("reason", "").strip():
            sys.exit(f"{path.name}: a group of {group['suite']} {group['file']} says no reason")
        entries |= {(group["suite"], group["file"], case) for case in group["cases"]}
    return entries


def printed_floors(floors, before):
    """The comment that opens the file, then a table a suite."""
    head = [text for text in before.splitlines() if text.startswith("#")]
    tables = []
    for suite, files in floors.items():
        ordered = sorted(files.items(), key=lambda item: (item[0] != "total", item[0]))
        tables += ["", f"[{suite}]", *(f"{file} = {floor}" for file, floor in ordered)]
    return "\n".join([*head, *tables]) + "\n"


if __name__ == "__main__":
    try:
        main()
    except GateError as error:
        sys.exit(f"conformance: {error}")
