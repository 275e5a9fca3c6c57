"""What two answers of InfluxQL differ in, and which differences are known.

Numbers may differ by rounding, and rows of one time may come in any order.
"""
import json, math, re, tomllib
from dataclasses import dataclass
from pathlib import Path

ALLOWED = Path(__file__).with_name("influxd_allowed.toml")
AT_MOST = 10
IN_ERROR = re.compile(r"\$(\.results\[\d+\])?\.error: ")


@dataclass
class Allowed:
    """A known difference: which questions have it, and what a difference looks like that is this one."""
    reason: str
    questions: re.Pattern
    differences: re.Pattern
    used: int = 0

    def covers(self, question, difference):
        """An error where the other has none, or another one, is no known difference."""
        held = bool(self.questions.search(question) and self.differences.search(difference) and not IN_ERROR.match(difference))
        self.used += held
        return held


def allow_list(path=ALLOWED):
    entries = tomllib.loads(path.read_text())["allowed"]
    if len(entries) > AT_MOST:
        raise ValueError(f"{path.name}: {len(entries)} entries, {AT_MOST} at most")
    for entry in entries:
        for name in ("questions", "differences", "example", "theirs", "ours", "reason"):
            if not entry.get(name):
                raise ValueError(f"{path.name}: an entry without {name}: {entry}")
        if not re.search(entry["questions"], entry["example"]):
            raise ValueError(f"{path.name}: {entry['example']} is none of {entry['questions']}")
    return [Allowed(entry["reason"], re.compile(entry["questions"]), re.compile(entry["differences"])) for entry in entries]


def normal(answer):
    """An answer with rows of one time in one order, without what 1.6 writes around a number that JSON cannot hold, and without
    the numbers of shards."""
    if "unsupported value" in answer.get("error", ""):
        answer["error"] = "json: " + answer["error"][answer["error"].rindex("unsupported value"):].strip()
    for result in answer.get("results", []):
        if "error" in result:
            result["error"] = re.sub(r"^shard \d+:", "shard:", result["error"])
        for series in result.get("series", []):
            if series["columns"][0] != "time":
                continue
            rows, sorted_rows = series["values"], []
            at = 0
            while at < len(rows):
                end = at
                while end < len(rows) and rows[end][0] == rows[at][0]:
                    end += 1
                sorted_rows += sorted(rows[at:end], key=lambda row: json.dumps(row))
                at = end
            series["values"] = sorted_rows
    return answer


def differ(theirs, ours, path="$"):
    """Where two documents differ first; empty when they do not."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in sorted(set(theirs) | set(ours)):
            if name not in theirs or name not in ours:
                return f"{path}.{name}: only {'ours' if name in ours else 'theirs'}: {json.dumps((ours if name in ours else theirs)[name])[:200]}"
            if difference := differ(theirs[name], ours[name], f"{path}.{name}"):
                return difference
        return ""
    if isinstance(theirs, list) and isinstance(ours, list):
        for index, (one, other) in enumerate(zip(theirs, ours)):
            if difference := differ(one, other, f"{path}[{index}]"):
                return difference
        return "" if len(theirs) == len(ours) else f"{path}: {len(theirs)} of theirs, {len(ours)} of ours"
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (theirs, ours)):
        # A float without decimals looks like an integer.
        close = 1e-9 if isinstance(theirs, float) or isinstance(ours, float) else 1e-13
        if math.isclose(theirs, ours, rel_tol=close, abs_tol=1e-9) and not (path.endswith("[0]") and theirs != ours):
            return ""
    return "" if theirs == ours and type(theirs) is type(ours) else f"{path}: theirs {theirs!r}, ours {ours!r}"
