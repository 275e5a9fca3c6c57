#!/usr/bin/env python3
"""The npm library `@elastic/elasticsearch`: its bulk helper over a stream, packed; single requests, and refusals.

$NODE_ELASTICSEARCH is the folder in which `npm ci` has put what `node_elasticsearch/package.json` names.
"""
import json, os, subprocess
from pathlib import Path

from elastic_documents import COLUMNS, lines, rows
from gate import Checks, Gate, time_ns

COUNT = 1_000


def main():
    checks = Checks("npm elasticsearch")
    with Gate(checks, listeners=("elasticsearch", "cnosdb")) as gate:
        told = run(gate)
        checks.equal("who answers", (told["version"], told["ping"], told["health"]), ("8.17.0", True, "green"))
        all_stored = {"total": COUNT, "successful": COUNT, "failed": 0, "retry": 0, "aborted": False, "dropped": 0}
        checks.equal("the helper is told of each", told["bulk"], all_stored)
        checks.equal("and counts them", told["count"], COUNT)
        dropped = [{"status": 400, "type": "document_parsing_exception", "document": {"n": "word"}, "retried": False}]
        checks.equal("a word is no number", told["mixed"], {"successful": 3, "failed": 1, "dropped": dropped})
        checks.equal("a document", told["one"], {"result": "created", "id": "a b"})
        refused = "illegal_argument_exception"
        items = [["index", "x", 201, None], ["delete", "x", 400, refused], ["update", "x", 400, refused]]
        checks.equal("an item for each action", told["items"], items)
        checks.equal("what indices there are", told["exists"], [True, False])
        checks.equal("the newest first", told["found"], [2, 1])
        checks.equal("what is asked for of a document", told["chosen"], [{"n": 2}, [1714608000000]])
        checks.equal("a scroll is refused, not cut short", (told["scroll"], told["scrolled"]), ([400, refused], 0))
        checks.equal("refresh and flush have nothing to do", told["refreshed"], [0, 0])
        checks.equal("settings and a mapping that fits", (told["settings"], told["mapping"]), (True, True))
        checks.equal("refreshing what is not there", told["unrefreshed"], [404, "index_not_found_exception"])
        checks.equal("a document that does not fit", told["refused"], [400, "document_parsing_exception"])
        checks.equal("an index that is not there", told["missing"], [404, "index_not_found_exception"])
        checks.equal("a question that is not answered", told["unsupported"], [400, refused])
        checks.table(gate, "public", "node-bulk", COLUMNS, rows(COUNT))
        one = [{"time": time_ns("2024-05-01T00:00:00"), "n": 1}, {"time": time_ns("2024-05-02T00:00:00"), "n": 2}]
        checks.table(gate, "public", "node-one", {"time": "time", "n": "integer"}, one)
        mixed = gate.sql_rows("public", 'SELECT n, "n.deep" AS deep FROM "node-mixed" ORDER BY n NULLS LAST')
        checks.equal("the others are stored", mixed, [{"n": 1}, {"n": 3}, {"deep": 1}])
    checks.finish()


def run(gate):
    program = Path(__file__).parent / "node_elasticsearch" / "main.js"
    environment = os.environ | {"NODE_PATH": str(Path(os.environ["NODE_ELASTICSEARCH"]) / "node_modules")}
    command = ["node", str(program), gate.url("elasticsearch")]
    done = subprocess.run(command, input=lines(COUNT), env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120)
    if done.returncode:
        raise SystemExit(f"npm elasticsearch: 0 passed, 1 failed\n{done.stderr}")
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
