"""Statements made at random for `influxd_differential.py` that are no plain SELECT: SHOW, what is wrong, what changes the data."""
import re

from influxql_columns import Source
from influxql_conditions import Bounds, condition
from influxql_names import name, names, regex, text
from influxql_questions import Selects
from influxql_schema import TAG_VALUES

TOKEN = re.compile(r"'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\"|/\S+/|[\w.]+|::|=~|!~|[<>!]=|\s+|.")
NEW_TOKENS = [",", "(", ")", "AND", "OR", "5", "-1", "1.5", "'x'", "/x/", "10s", "FROM", "WHERE", "GROUP BY", "LIMIT", "*", "::", "x", "!", ";", "$"]


class Statements:
    def __init__(self, chance, schema):
        self.chance, self.schema = chance, schema
        self.selects = Selects(chance, schema)

    def question(self):
        roll = self.chance.random()
        if roll < 0.8:
            return self.selects.select()
        if roll < 0.9:
            return self.show()
        return self.wrong() if roll < 0.95 else self.broken()

    def pick(self, of):
        return self.chance.choice(of)

    # SHOW

    def show(self):
        measurement = self.pick(self.schema.measurements)
        chance, tags = self.chance, measurement.tags or ["host"]
        source = self.pick(["", f" FROM {self._from(measurement)}", f" FROM {self._from(measurement)}"])
        tag_where = self._where(measurement)
        some = self.pick(["", "", "", f" LIMIT {chance.randint(1, 3)}", f" LIMIT 2 OFFSET {chance.randint(0, 2)}", " OFFSET 1"])
        key = name(chance, self.pick(tags))
        keys = self.pick([f"= {key}", f"!= {key}", f"IN ({key}, nothing)", f"=~ {regex(chance, tags)}", f"!~ {regex(chance, tags)}"])
        matching = self.pick(["", f" WITH MEASUREMENT = {name(chance, measurement.name)}", f" WITH MEASUREMENT =~ {regex(chance, [measurement.name])}"])
        return self.pick([
            f"SHOW MEASUREMENTS{matching}{tag_where}{some}",
            f"SHOW TAG KEYS{source}{tag_where}{some}",
            f"SHOW TAG VALUES{source} WITH KEY {keys}{tag_where}{some}",
            f"SHOW TAG VALUES{source} WITH KEY {keys}{some}",
            f"SHOW FIELD KEYS{source}{some}",
            f"SHOW SERIES{source}{tag_where}{some}",
            "SHOW MEASUREMENT EXACT CARDINALITY",
            f"SHOW TAG KEY EXACT CARDINALITY{source}",
            f"SHOW FIELD KEY EXACT CARDINALITY{source}",
            f"SHOW TAG VALUES EXACT CARDINALITY{source} WITH KEY = {key}",
            "SHOW RETENTION POLICIES",
            *([f"SHOW SERIES EXACT CARDINALITY{source}"] if self.schema.one_shard else []),
        ])

    def _from(self, measurement):
        names_of = [m.name for m in self.schema.measurements]
        return self.pick([name(self.chance, measurement.name)] * 3 + [regex(self.chance, names_of), names(self.chance, names_of), name(self.chance, self.schema.empty)])

    def _where(self, measurement):
        if not measurement.tags or self.chance.random() < 0.5:
            return ""
        return " WHERE " + condition(self.chance, Source("", {}, measurement.tags, False), 1)

    # What is wrong

    def wrong(self):
        """Statements that can be read and mean nothing, or nearly so."""
        chance, measurement = self.chance, self.pick(self.schema.measurements)
        number, word = name(chance, self.pick(measurement.of(("float", "integer")))), name(chance, self.pick([*measurement.of(("string", "boolean")), "nothing"]))
        table, tag = name(chance, measurement.name), name(chance, self.pick([*measurement.tags, "host"]))
        call = self.pick(["mean", "sum", "first", "max", "count", "stddev", "integral", "median", "mode", "spread"])
        step = self.pick(["derivative", "difference", "cumulative_sum", "elapsed", "non_negative_derivative"])
        bounds = " AND ".join(Bounds(chance, self.schema).both())
        columns = self.pick([
            f"{number}, {call}({number})", f"{call}({number}), {tag}, {word}", f"{call}({word})", f"top({number}, 0)", f"bottom({number}, -1)", f"top({number})",
            f"top({number}, 3), {call}({number})", f"distinct({number}), {number}", f"{call}()", f"{call}({number}, {number}, 2)", f"{call}(3)",
            f"{call}({call}({number}))", f"{step}({call}({number}))", f"{step}({step}({number}))", f"nothing_of_it({number})", f"percentile({number})",
            f"percentile({number}, 'x')", f"percentile({number}, 101)", f"moving_average({number}, 1)", f"moving_average({number})", f"moving_average({number}, 2.5)",
            f"{number} > 3", f"{number} AND true", f"{word} + 1", f"{tag} + 1", f"{number} & 1", f"{number} | 2", f"{number} ^ 3", f"* + 1", f"/./ * 2", "5", "'x'", "time",
            f"time, {number}", f"time AS t, {number}", f"{tag}", f"{tag}, nothing", "nothing", f"sample({number}, 0)", f"sample({number}, 'x')", f"abs({word})", f"abs({call}({number}), 2)",
            f"pow({number})", f"holt_winters({number}, 2, 2)", f"holt_winters({call}({number}), 0, 2)", f"holt_winters({call}({number}), 2, -1)", f"count(distinct({call}({number})))",
            f"count(distinct())", f"count(*, 2)", f"{step}({number}, 0s)", f"{step}({number}, 'x')", f"integral({number}, 0s)", f"elapsed({number}, 5)", f"{call}({tag})", f"mean({number} + 1)",
            f"min({number}), max({number}), {tag}", f"first({number}) + {number}", f"-{call}({number})", f"{number}::nothing", f"{number} + 9223372036854775808",
        ])
        where = self.pick([
            "", "", "", "", f" WHERE {bounds}", f" WHERE {bounds}", " WHERE time != 5", " WHERE time > 'yesterday'", " WHERE time > '2023-03-01T00:00:00'", " WHERE time > 1.5", " WHERE time = '2500-01-01'",
            f" WHERE {number} =~ /x/", f" WHERE {number} = 'x'", f" WHERE {number} + 'x' = 3", f" WHERE {number}", f" WHERE {word} AND true", " WHERE now() > 3", f" WHERE {call}({number}) > 3", f" WHERE {tag} > 'a'",
            f" WHERE {number} > 0 OR time > {self.schema.start}", " WHERE 'a' = 'a'", " WHERE time > now() + now()",
        ])
        grouped = self.pick([
            "", "", "", "", f" GROUP BY {tag}", f" GROUP BY {number}", " GROUP BY time()", " GROUP BY time(10)", " GROUP BY time(10s), time(1m)", " GROUP BY time(10s, 'x')", " GROUP BY nothing(10s)", " GROUP BY time(0s)",
            f" GROUP BY {tag}, {tag}", " GROUP BY 5", f" GROUP BY {tag} fill(linear)", " fill(none)", " fill(none) LIMIT 2",
        ]) if not bounds in where else self.pick([" GROUP BY time(1w)", f" GROUP BY time(1w), {tag} fill(previous)", " GROUP BY time(1w) fill()", " GROUP BY time(1w) fill(x)", " GROUP BY time(1w) fill(0, 1)"])
        return f"SELECT {columns} FROM {table}{where}{grouped}" + self.pick(["", "", "", f" ORDER BY {number}", " ORDER BY time ASC", " LIMIT 2", " OFFSET 1 LIMIT 2", " tz('Nowhere')"])

    def broken(self):
        """A statement with a token too many, too few or in the wrong place."""
        question = self.pick([self.selects.select, self.selects.select, self.show])()
        tokens = TOKEN.findall(question)
        at = self.chance.randrange(1, len(tokens))
        # Windows without bounds go on until now: what bounds them must stay.
        if "time(" in question.lower() or self.chance.random() < 0.2:
            return "".join(tokens[:at])
        return "".join(self.pick([
            tokens[:at] + tokens[at + 1:],
            tokens[:at] + [f" {self.pick(NEW_TOKENS)} "] + tokens[at:],
            tokens[:at] + [f" {self.pick(NEW_TOKENS)} "] + tokens[at + 1:],
            tokens[:at] + [self.pick(tokens), " "] + tokens[at:],
        ]))

    # What changes the data

    def changes(self):
        """Statements that delete or copy, in the order in which they are to be sent."""
        chance = self.chance
        for _ in range(chance.randint(1, 3)):
            measurement = self.pick(self.schema.measurements)
            table = name(chance, measurement.name)
            tags = name(chance, self.pick(measurement.tags or ["nothing"]))
            value = text(self.pick([*TAG_VALUES, ""]))
            bounds = " AND ".join(Bounds(chance, self.schema).both())
            numbers = names(chance, measurement.of(("float", "integer"))[:2])
            # Rows of several series at one time would be written over each other, in nobody's order.
            everything = [] if self.schema.shared else [f"SELECT * INTO copy FROM {table} WHERE {bounds}"]
            yield self.pick([
                *everything, f"DELETE FROM {table} WHERE {bounds}", f"DELETE FROM {table} WHERE {bounds} AND {tags} = {value}", f"DELETE WHERE {bounds}",
                f"DELETE FROM {table} WHERE {tags} != {value}", f"DROP SERIES FROM {table} WHERE {tags} = {value}", f"DROP SERIES WHERE {tags} =~ {regex(chance, TAG_VALUES)}",
                f"DROP MEASUREMENT {table}", f"DELETE FROM {table}", f"DROP SERIES FROM {table}", f"DELETE FROM {regex(chance, [measurement.name])} WHERE {bounds}",
                f"SELECT {numbers} INTO copy FROM {table} GROUP BY *", f"SELECT mean(*) INTO copy FROM {table} GROUP BY *",
            ])

    def afterwards(self):
        """Questions of what the changes have left."""
        for measurement in [*(m.name for m in self.schema.measurements), "copy"]:
            table = name(self.chance, measurement)
            yield f"SELECT * FROM {table} GROUP BY *"
            yield f"SELECT count(*) FROM {table}"
        yield from ["SHOW MEASUREMENTS", "SHOW SERIES", "SHOW FIELD KEYS", "SHOW TAG KEYS", "SHOW TAG VALUES WITH KEY =~ /./"]
