#!/usr/bin/env python3
"""The same points and questions to InfluxDB 1.x (Debian: influxdb) and to the gateway: their answers are compared.

In rounds: each has a database of its own, made at random, questions at random from the grammar, then statements that change the
data and questions of what they left. A seed names them all; a failure's name is seed/round/question, and a round can be made alone.
Differences that `influxd_allowed.toml` knows are counted, all others fail.

    influxd_differential.py [--questions N] [--seed N] [--rounds FIRST-LAST] [-v]

$INFLUXD names the server's command.
"""
import argparse, json, random

from gate import Checks, Gate
from influxd import Asker, Influxd
from influxd_compare import allow_list, differ, normal
from influxql_schema import Schema
from influxql_statements import Statements

A_ROUND = 125


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", help="only these: 3, or 3-5")
    parser.add_argument("-v", action="store_true", help="print every difference whole")
    arguments = parser.parse_args()
    checks = Checks("influxd, question by question")
    allowed = allow_list()
    with Influxd() as server, Gate(checks, listeners=("influxdb",)) as gate:
        both = Asker(server.asker.port), Asker(gate.ports["influxdb"])
        rounds = range(-(-arguments.questions // A_ROUND))
        if arguments.rounds:
            first, _, last = arguments.rounds.partition("-")
            rounds = range(int(first), int(last or first) + 1)
        for number in rounds:
            Round(checks, allowed, both, f"{arguments.seed}/{number}", arguments.v).run()
    for entry in allowed:
        print(f"allowed: {entry.used} times: {entry.reason}" + ("" if entry.used else " (this entry was not needed)"))
    checks.finish()


class Round:
    def __init__(self, checks, allowed, both, title, whole):
        self.checks, self.allowed, self.both, self.title, self.whole = checks, allowed, both, title, whole
        self.chance = random.Random(title)
        self.schema = Schema(self.chance)
        self.statements = Statements(self.chance, self.schema)
        self.sent = 0

    def run(self):
        body = "\n".join(self.schema.lines()).encode()
        for asker in self.both:
            asker.database = f"d{self.title.replace('/', '_')}"
            asker.ask(f"CREATE DATABASE {asker.database}", "POST")
            status, text = asker.send("POST", f"/write?db={asker.database}", body)
            self.checks.equal(f"{self.title}: points are taken", (status, text), (204, ""))
        changes = list(self.statements.changes())
        afterwards = list(self.statements.afterwards())
        for _ in range(A_ROUND - len(changes) - len(afterwards)):
            self.compare(self.statements.question())
        for statement in changes:
            self.compare(statement, "POST")
        for question in afterwards:
            self.compare(question)
        for asker in self.both:
            asker.ask(f"DROP DATABASE {asker.database}", "POST")

    def compare(self, question, method="GET"):
        theirs, ours = (asker.ask(question, method) for asker in self.both)
        difference = differ(normal(theirs), normal(ours))
        known = difference and any(entry.covers(question, difference) for entry in self.allowed)
        shown = difference if self.whole else difference[:300]
        if self.whole and difference and not known:
            shown += f"\n  theirs {json.dumps(theirs)[:3000]}\n  ours   {json.dumps(ours)[:3000]}"
        self.checks.that(f"{self.title}/{self.sent}: {question}", not difference or known, shown)
        self.sent += 1


if __name__ == "__main__":
    main()
