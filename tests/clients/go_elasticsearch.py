#!/usr/bin/env python3
"""The Go library `go-elasticsearch`: its bulk indexer with several workers, packed; its typed requests, refusals, discovery.

$GO_ELASTICSEARCH names the program built of `go_elasticsearch/`.
"""
import json, os, subprocess

from elastic_documents import COLUMNS, documents, lines, rows
from gate import Checks, Gate, time_ns

COUNT = 1_000


def main():
    checks = Checks("go go-elasticsearch")
    with Gate(checks, listeners=("elasticsearch", "cnosdb")) as gate:
        command = [os.environ["GO_ELASTICSEARCH"], gate.url("elasticsearch")]
        done = subprocess.run(command, input=lines(COUNT), capture_output=True, text=True, encoding="utf-8", timeout=120)
        checks.equal("the program ends well", (done.returncode, done.stderr), (0, ""))
        told = json.loads(done.stdout or "{}")
        if told:
            checks.attempt(answers, checks, told)
        checks.table(gate, "public", "go-bulk", COLUMNS, rows(COUNT))
        mixed = gate.sql_rows("public", 'SELECT n FROM "go-mixed" ORDER BY n')
        checks.equal("the others are stored", mixed, [{"n": 1}, {"n": 3}])
        checks.table(gate, "public", "go-one", {"time": "time", "n": "integer"}, [{"time": time_ns("2024-05-01T00:00:00"), "n": 1}])
    checks.finish()


def answers(checks, told):
    checks.equal("version", told["Version"], "8.17.0")
    stats = {name: told["Stats"][f"Num{name}"] for name in ("Added", "Flushed", "Failed", "Indexed", "Created")}
    wanted = {"Added": COUNT, "Flushed": COUNT, "Failed": 0, "Indexed": COUNT // 2, "Created": COUNT // 2}
    checks.equal("what became of each", stats, wanted)
    checks.that("in several requests", told["Stats"]["NumRequests"] > 3, told["Stats"])
    checks.equal("each is told of its own", told["Succeeded"], COUNT)
    stats = {name: told["Mixed"][f"Num{name}"] for name in ("Added", "Flushed", "Failed", "Created")}
    checks.equal("some are refused", stats, {"Added": 4, "Flushed": 2, "Failed": 2, "Created": 2})
    refused = [{"ID": f"id of {text}", "Status": 400, "Type": "document_parsing_exception"} for text in ('{"n": "word"}', '{"n": ')]
    checks.equal("and know why", told["Failures"], refused)
    checks.equal("counted", told["Count"], COUNT)
    *_, last = documents(COUNT)
    checks.equal("found", (told["Hits"], told["Newest"]["n"]), (COUNT, last["n"]))
    checks.equal("a document", told["Created"], "created")
    checks.equal("a document that does not fit", told["Refused"], "document_parsing_exception")
    checks.equal("what is there", (told["Exists"], told["Missing"]), ([200, 404], 404))
    checks.equal("it goes on with the nodes that it is told", told["Discovery"], "")


if __name__ == "__main__":
    main()
