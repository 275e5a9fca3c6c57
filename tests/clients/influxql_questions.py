"""SELECT statements made at random for `influxd_differential.py`, over a `Schema`: sources, conditions, groups, limits.

    Selects(chance, schema).select()    # one statement's text
"""
import re

import influxql_conditions as conditions
from influxql_columns import NO_LIMIT, Columns, Shape, Source
from influxql_names import name, regex

OFFSET = re.compile(r"time\([^)]*,", re.I)
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"]


class Selects:
    def __init__(self, chance, schema):
        self.chance, self.schema, self.columns = chance, schema, Columns(chance, schema)

    def select(self):
        return self._statement(0)[0]

    def odds(self, share):
        return self.chance.random() < share

    def pick(self, of):
        return self.chance.choice(of)

    # Sources

    def _source(self, depth, order, closed):
        schema, roll = self.schema, self.chance.random()
        if depth < 3 and roll < 0.25:
            return self._subquery(depth, order, closed)
        if roll < 0.72:
            return self._measurements([self.pick(schema.measurements)])
        if roll < 0.84:
            chosen = self.chance.sample(schema.measurements, self.chance.randint(1, len(schema.measurements)))
            return self._measurements(chosen)
        if roll < 0.96:
            pattern = regex(self.chance, [m.name for m in schema.measurements])
            return self._measurements(schema.measurements, pattern)
        return Source(name(self.chance, schema.empty), {"f": "float"}, ["host"], False)

    def _measurements(self, chosen, pattern=None):
        fields, tags = {}, []
        for measurement in chosen:
            fields = measurement.fields | fields
            tags += [tag for tag in measurement.tags if tag not in tags]
        ties = self.schema.shared and any(len(m.series) > 1 for m in chosen)
        return Source(pattern or ", ".join(name(self.chance, m.name) for m in chosen), fields, tags, ties)

    def _subquery(self, depth, order, closed):
        inner, columns, shape = self._statement(depth + 1, order, closed)
        ties = shape.ties or bool(shape.tags)
        return Source(f"({inner})", columns, [tag for tag in shape.tags if tag not in columns], ties, True)

    # Statements

    def _statement(self, depth, order=None, closed=False):
        """A statement's text, its columns with their kinds, and its shape. `closed`: one around it bounds its time."""
        chance = self.chance
        if order is None:
            order = self.pick(["", "", " ORDER BY time DESC", " ORDER BY time ASC"])
        shape = Shape(self.odds(0.55), [], False)
        times = self._times(closed, shape.windows)
        closed = closed or len(times) == 2
        shape.steps = closed or not shape.windows
        source = self._source(depth if shape.steps else 3, order, closed)
        everything = self.odds(0.15) and not source.inner
        shape.tags = chance.sample(source.tags, chance.randint(0, len(source.tags)) if self.odds(0.5) else 0)
        if everything:
            shape.tags = source.tags
        shape.ties = source.ties and (source.inner or len(shape.tags) < len(source.tags))
        columns, kinds, windows, fill = self.columns.columns(source, shape, depth)
        parts = times + [conditions.condition(chance, source, 2) for _ in range(self.pick([0, 0, 0, 1, 1, 2]))]
        chance.shuffle(parts)
        statement = f"SELECT {columns} FROM {source.text}" + (f" WHERE {' AND '.join(parts)}" if parts else "")
        statement += self._dimensions(shape, everything, windows, closed)
        if windows and closed:
            statement += self._fill(fill, len(kinds) > 1 and bool(shape.tags))
        elif not windows and not shape.tags and not shape.ties and self.odds(0.1):
            statement += self.pick([" fill(previous)", " fill(7)", " fill(null)"]) if fill is None else ""
        statement += order + self._limits(shape, windows)
        # Where clocks change, version 1.6 puts windows with an offset elsewhere than 1.8.
        if depth == 0 and self.odds(0.08) and not OFFSET.search(statement):
            statement += f" tz('{self.pick(ZONES)}')"
        return statement, kinds, shape

    def _times(self, closed, windows):
        """Bounds of time: on both sides as a rule where windows would otherwise go on until now."""
        bounds = conditions.Bounds(self.chance, self.schema)
        if windows and not closed and self.odds(0.9):
            return bounds.both()
        return bounds.some() if self.odds(0.3) else []

    def _dimensions(self, shape, everything, windows, closed):
        chance = self.chance
        parts = []
        if windows:
            # Without bounds windows go on until now: few of them, then.
            length = self.pick(self.schema.scale.windows) if closed else "26w"
            offset = self.pick(["", "", "", f", {self.pick(self.schema.scale.windows)}", ", -10s", ", 7s"]) if closed else ""
            parts.append(f"{self.pick(['time', 'time', 'TIME'])}({length}{offset})")
        if everything:
            parts.append(self.pick(["*", "*", "/./"]))
        else:
            parts += [name(chance, tag) + self.pick(["", "", "", "::tag"]) for tag in shape.tags]
        if self.odds(0.04):
            parts.append("nothing")
        if self.odds(0.3):
            chance.shuffle(parts)
        return f" GROUP BY {', '.join(parts)}" if parts else ""

    def _fill(self, allowed, several):
        # Of several calls version 1.6 hands the last values of a series on to the next.
        kinds = ["", "", " fill(null)", " fill(none)", " fill(linear)", *([] if several else [" fill(previous)"])]
        return self.pick(kinds + ([" FILL(0)", " fill(-3.5)", " fill(100)"] if allowed else []))

    def _limits(self, shape, windows):
        chance, made = self.chance, ""
        if shape.limit == NO_LIMIT or shape.ties and not windows:
            return made
        if self.odds(0.3) or shape.limit:
            made += f" LIMIT {max(shape.limit, chance.randint(0, 9))}"
        # The server's shards stop each by itself: series are limited in one, and rows where one limit holds for all.
        one_shard = self.schema.one_shard
        if self.odds(0.12) and (made or one_shard):
            made += f" OFFSET {chance.randint(0, 4)}"
        if self.odds(0.1) and one_shard:
            made += f" SLIMIT {chance.randint(0, 3)}"
        if self.odds(0.06) and one_shard:
            made += f" SOFFSET {chance.randint(0, 2)}"
        return made
