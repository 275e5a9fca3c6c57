#!/usr/bin/env python3
"""Licences and known advisories of every crate we build, checked without a network.

    check_dependencies.py                     check Cargo.lock and the licences of the crates in it
    check_dependencies.py --refresh CHECKOUT  rewrite advisories.toml from a git checkout of RustSec's advisory database

dependencies.toml beside this file is written by hand: the licences we take, and the advisories we live with and why.
advisories.toml is written by --refresh: for the crates in Cargo.lock, the versions each known advisory leaves out.
Licences are those of the crates built for this machine, the tests' included: a crate of another platform may never have
been fetched. Advisories are looked up for every crate in Cargo.lock.
Fails when a licence is not among those we take, when a locked version is affected and not accepted, and when an
acceptance no longer matches anything, so that both files stay true.
"""
import argparse, json, re, subprocess, sys, tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
POLICY = HERE / "dependencies.toml"
ADVISORIES = HERE / "advisories.toml"


# Licence expressions (SPDX; the older `A/B` means `A OR B`)

def licence_allowed(expression, allowed):
    """Whether some choice the expression offers lies within `allowed`, a set of licences ("ID" or "ID WITH EXCEPTION")."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    value, rest = _either(tokens, allowed)
    if rest:
        raise ValueError(f"licence expression `{expression}`: unexpected `{rest[0]}`")
    return value


def _either(tokens, allowed):
    value, tokens = _both(tokens, allowed)
    while tokens and tokens[0] == "OR":
        other, tokens = _both(tokens[1:], allowed)
        value = value or other
    return value, tokens


def _both(tokens, allowed):
    value, tokens = _one(tokens, allowed)
    while tokens and tokens[0] == "AND":
        other, tokens = _one(tokens[1:], allowed)
        value = value and other
    return value, tokens


def _one(tokens, allowed):
    if not tokens or tokens[0] in ("AND", "OR", "WITH", ")"):
        raise ValueError(f"licence expected before `{tokens[0] if tokens else 'the end'}`")
    if tokens[0] == "(":
        value, tokens = _either(tokens[1:], allowed)
        if not tokens or tokens[0] != ")":
            raise ValueError("a parenthesis is not closed")
        return value, tokens[1:]
    name, tokens = tokens[0], tokens[1:]
    if tokens[:1] == ["WITH"]:
        if len(tokens) < 2:
            raise ValueError("an exception is expected after `WITH`")
        name, tokens = f"{name} WITH {tokens[1]}", tokens[2:]
    return name in allowed, tokens


# Versions (semver) and requirements as RustSec writes them: comparisons joined by commas

@dataclass(frozen=True)
class Version:
    numbers: tuple
    pre: tuple

    @classmethod
    def parse(cls, text):
        found = re.fullmatch(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", text.strip())
        if not found:
            raise ValueError(f"`{text}` is no version")
        pre = tuple(found[4].split(".")) if found[4] else ()
        return cls(tuple(int(part or 0) for part in found.groups()[:3]), pre)

    def order(self):
        """A release sorts after its pre-releases; numeric parts sort as numbers and before words."""
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre)
        return (self.numbers, not self.pre, parts)


def matches(version, requirement):
    """Whether `version` (text) meets every comparison in `requirement`; a bare version means `^`."""
    actual = Version.parse(version)
    return all(_meets(actual, part.strip()) for part in requirement.split(","))


def _meets(actual, comparison):
    found = re.fullmatch(r"(<=|>=|<|>|=|\^|~)?\s*(\S+)", comparison)
    if not found:
        raise ValueError(f"`{comparison}` is no version requirement")
    operator, text = found[1] or "^", found[2]
    wanted = Version.parse(text)
    a, w = actual.order(), wanted.order()
    simple = {"<": a < w, "<=": a <= w, ">": a > w, ">=": a >= w}
    if operator in simple:
        return simple[operator]
    given = len(re.match(r"[\d.]+", text)[0].strip(".").split("."))
    if operator == "=":
        return a == w if given == 3 else actual.numbers[:given] == wanted.numbers[:given]
    kept = _caret_places(wanted.numbers, given) if operator == "^" else min(given, 2)
    return a >= w and actual.numbers[:kept] == wanted.numbers[:kept]


def _caret_places(numbers, given):
    """How many leading numbers `^` holds fixed: up to the first that is not zero."""
    return next((place + 1 for place, number in enumerate(numbers[:given]) if number), given)


def affected(version, advisory):
    """Whether neither a patched nor an unaffected range of the advisory holds `version`."""
    return not any(matches(version, r) for r in advisory.get("patched", []) + advisory.get("unaffected", []))


# The checks: each answers a list of complaints

def licence_complaints(packages, policy):
    allowed = set(policy["licences"]["allowed"])
    complaints = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        expression = package.get("license")
        if not expression:
            complaints.append(f"{name}: names no licence")
            continue
        try:
            fine = licence_allowed(expression, allowed)
        except ValueError as error:
            complaints.append(f"{name}: `{expression}`: {error}")
            continue
        if not fine:
            complaints.append(f"{name}: licence `{expression}` is not among those we take")
    return complaints


def advisory_complaints(locked, advisories, accepted):
    """`locked`: (crate, version) pairs; `advisories`: those of the generated list and those added by hand."""
    complaints = []
    hits = set()
    for advisory in advisories:
        for crate, version in sorted(locked):
            if crate != advisory["crate"] or not affected(version, advisory):
                continue
            hit = (advisory["id"], crate, version)
            hits.add(hit)
            if not any((a["id"], a["crate"], a["version"]) == hit for a in accepted):
                wanted = " or ".join(advisory.get("patched", [])) or "no version"
                complaints.append(f"{crate} {version}: {advisory['id']}, patched in {wanted}")
    for a in accepted:
        if not a.get("reason"):
            complaints.append(f"accepted {a['id']}: says no reason")
        if (a["id"], a["crate"], a["version"]) not in hits:
            complaints.append(f"accepted {a['id']} for {a['crate']} {a['version']}: does not apply any more, remove it")
    return complaints


# Where the facts come from

def cargo_packages():
    """Crates of the build for this machine, ours left out."""
    host = re.search(r"^host: (.+)$", run("rustc", "-vV"), re.M)[1]
    metadata = run("cargo", "metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", host)
    return [p for p in json.loads(metadata)["packages"] if p["source"]]


def run(*command):
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"check_dependencies: `{' '.join(command)}` failed (see above); `cargo fetch --locked` gets what it lacks")
    return done.stdout


def locked_crates():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {(p["name"], p["version"]) for p in lock["package"] if "source" in p}


def check():
    policy = tomllib.loads(POLICY.read_text())
    listed = tomllib.loads(ADVISORIES.read_text())
    packages, locked = cargo_packages(), locked_crates()
    advisories = listed["advisory"] + policy.get("advisory", [])
    complaints = licence_complaints(packages, policy) + advisory_complaints(locked, advisories, policy.get("accepted", []))
    unlisted = sorted({crate for crate, _ in locked} - set(listed["crates"]))
    if unlisted:
        print(f"note: locked since the advisory list was made, so not looked up: {', '.join(unlisted)}")
    for complaint in complaints:
        print(complaint)
    print(f"{len(packages)} licences, {len(locked)} locked crates against {len(advisories)} advisories "
          f"(list of {listed['date']}): {len(complaints)} complaints")
    return 1 if complaints else 0


def refresh(checkout):
    """Reads HEAD of the checkout: a bare repository will do."""
    git = ["git", "-C", str(checkout)]
    crates = {crate for crate, _ in locked_crates()}
    paths = run(*git, "ls-tree", "-r", "--name-only", "HEAD", "crates").split()
    date = run(*git, "log", "-1", "--format=%cs").strip()
    found = []
    for path in paths:
        if path.split("/")[1] in crates and path.endswith(".md"):
            front = re.search(r"^```toml\n(.*?)^```", run(*git, "show", f"HEAD:{path}"), re.S | re.M)[1]
            entry = tomllib.loads(front)
            if "withdrawn" not in entry["advisory"]:
                found.append((entry["advisory"], entry.get("versions", {})))
    found.sort(key=lambda pair: (pair[0]["package"], pair[0]["id"]))
    lines = [
        "# Advisories that concern crates in Cargo.lock, in any version of theirs: facts from RustSec's advisory database.",
        "# Written by `check_dependencies.py --refresh CHECKOUT`; not edited by hand.",
        "",
        f'date = "{date}"',
        "# Every crate that was looked up.",
        "crates = [",
        *wrapped(sorted(crates)),
        "]",
    ]
    for advisory, versions in found:
        lines += ["", "[[advisory]]", f'id = "{advisory["id"]}"', f'crate = "{advisory["package"]}"']
        if advisory.get("informational"):
            lines.append(f'kind = "{advisory["informational"]}"')
        lines += [f"{key} = {json.dumps(versions[key])}" for key in ("patched", "unaffected") if versions.get(key)]
    ADVISORIES.write_text("\n".join(lines) + "\n")
    print(f"{len(found)} advisories of {date} for {len(crates)} crates")
    return 0


def wrapped(names):
    lines, line = [], "   "
    for name in names:
        if len(line) + len(name) + 4 > 118:
            lines, line = [*lines, line], "   "
        line += f' "{name}",'
    return [*lines, line]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refresh", metavar="CHECKOUT", type=Path)
    arguments = parser.parse_args()
    sys.exit(refresh(arguments.refresh) if arguments.refresh else check())
