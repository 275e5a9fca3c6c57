"""WHERE clauses made at random: bounds of time in every form, and nested conditions on tags and fields."""
from datetime import datetime, timezone

from influxql_names import name, regex, text
from influxql_schema import STRINGS, TAG_VALUES, TICKS

SECOND = 10**9
MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}


class Bounds:
    """Bounds of time, at random ends and in random forms."""

    def __init__(self, chance, schema):
        self.chance, self.schema = chance, schema
        # Ends lie between the points as a rule, and now and then before or behind all of them.
        low, high = sorted(chance.sample(range(-TICKS // 10, TICKS * 11 // 10, 5), 2))
        if chance.random() < 0.5:
            low, high = low // 600 * 600, max(high // 600 * 600, low // 600 * 600 + 600)
        self.low, self.high = (schema.start + at * schema.scale.tick for at in (low, high))

    def both(self):
        return [self._bound(self.chance.choice([">", ">="]), self.low), self._bound(self.chance.choice(["<", "<="]), self.high)]

    def some(self):
        low, high = self.both()
        # A row without a time of its own shows the lower bound: none that moves.
        wide = self.chance.choice(["time < now()", f"time > now() - 1000w AND {low}", "time <= now() + 1h"])
        return self.chance.choice([[low], [high], [low, high], [wide], []])

    def _bound(self, sign, nanos):
        column, moment = self.chance.choice(["time", "time", "time", '"time"', "TIME"]), self._moment(nanos)
        if self.chance.random() < 0.1:
            return f"{moment} {MIRRORED[sign]} {column}"
        return f"{column} {sign} {moment}"

    def _moment(self, nanos):
        forms = [f"{nanos}", f"{nanos // 10**6}ms", f"{nanos // 1000}u", f"{nanos - 90 * SECOND} + 90s", f"{nanos // 10**6 + 5000}ms - 5s"]
        if nanos % SECOND == 0:
            seconds = nanos // SECOND
            moment = datetime.fromtimestamp(seconds, timezone.utc)
            forms += [f"{seconds}s", f"{seconds}s", f"'{moment:%Y-%m-%dT%H:%M:%SZ}'", f"'{moment:%Y-%m-%d %H:%M:%S}'"]
            forms += [f"'{moment:%Y-%m-%d %H:%M:%S.000}'", f"'{moment:%Y-%m-%dT%H:%M:%SZ}' + 1m"]
            forms += [f"'{moment:%Y-%m-%d}'"] if seconds % 86400 == 0 else []
        return self.chance.choice(forms)


def condition(chance, source, depth):
    roll = chance.random()
    if depth and roll < 0.3:
        sides = [condition(chance, source, depth - 1) for _ in range(chance.choice([2, 2, 3]))]
        return "(" + f" {chance.choice(['OR', 'OR', 'AND'])} ".join(sides) + ")"
    made = atom(chance, source)
    return f"({made})" if roll > 0.95 else made


def atom(chance, source):
    forms = [number] * len(source.of(("float", "integer"))) + [string] * len(source.of(("string",)))
    forms += [boolean] * len(source.of(("boolean",))) + [tag] * (2 * len(source.tags)) + [odd]
    return chance.choice(forms)(chance, source)


def number(chance, source):
    known = source.of(("float", "integer"))
    one, other = (name(chance, chance.choice(known)) for _ in range(2))
    sign = chance.choice(["=", "!=", "<>", "<", "<=", ">", ">="])
    limit = chance.choice(["0", "10", "-7.5", "3", "-20", "1000000"])
    return chance.choice([
        f"{one} {sign} {limit}", f"{one} {sign} {limit}", f"{one} {sign} {other}", f"{limit} {sign} {one}", f"{one} / 2 {sign} 3",
        f"{one} * 2 + {other} {sign} {limit}", f"sqrt({one}) > 2", f"-{one} {sign} 3", f"{one} % 3 = 0", f"exp({one}) {sign} 3",
    ])


def string(chance, source):
    one = name(chance, chance.choice(source.of(("string",))))
    value = text(chance.choice(STRINGS).replace('\\"', '"'))
    return chance.choice([
        f"{one} = {value}", f"{one} = {value}", f"{one} != {value}", f"{value} = {one}", f"{one} =~ {regex(chance, ['on', 'it', 'say'])}",
        f"{one} !~ {regex(chance, ['on', 'it', 'say'])}", f"{one} > {value}", f"{one} = 3",
    ])


def boolean(chance, source):
    one = name(chance, chance.choice(source.of(("boolean",))))
    return f"{one} {chance.choice(['=', '!='])} {chance.choice(['true', 'false', 'TRUE'])}"


def tag(chance, source):
    one, other = (name(chance, chance.choice(source.tags)) for _ in range(2))
    value = text(chance.choice([*TAG_VALUES, ""]))
    pattern = regex(chance, TAG_VALUES) if chance.random() < 0.8 else chance.choice(["/^$/", "/^(|a)$/"])
    return chance.choice([
        f"{one} = {value}", f"{one} = {value}", f"{one} != {value}", f"{value} = {one}", f"{one} =~ {pattern}", f"{one} !~ {pattern}",
        f"{one} = {other}", f"{one}::tag = {value}",
    ])


def odd(chance, source):
    """Conditions that hold always or never, and names that nothing has."""
    known = [*source.fields, *source.tags]
    one = name(chance, chance.choice(known or ["x"]))
    return chance.choice(["true", "false", "1 = 1", "nothing = ''", "nothing != ''", "nothing = 'a'", "nothing > 3", f"{one} = ''", f"{one} != ''", f"{one} =~ /./"])
