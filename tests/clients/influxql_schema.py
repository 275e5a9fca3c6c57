"""Databases made at random for `influxd_differential.py`: measurements, their tags and fields, and their points.

    schema = Schema(random.Random(1))
    schema.lines()          # line protocol
    schema.measurements     # what a question may ask for
"""
from dataclasses import dataclass, field

START = 1_677_628_800 * 10**9  # 2023-03-01T00:00:00Z
TICKS = 6000
POINTS = 400

# Plain names, names that need quotes, and a keyword.
MEASUREMENTS = ["cpu", "pump", "a b", "on", "x.y", "mü", 'quo"te', "1st", "Cpu"]
FIELDS = {"float": ["f", "temp", "load 1"], "integer": ["i", "n", "select"], "string": ["s", "msg"], "boolean": ["b", "o,k"]}
TAGS = ["host", "dc", "rack id", "level"]
TAG_VALUES = ["a", "b", "c d", "x=y", "10"]
STRINGS = ["on", "off", "", "it's", 'say \\"hi\\"', "a b"]


@dataclass
class Scale:
    """The length of a tick in nanoseconds, and windows and steps that fit TICKS of them."""
    tick: int
    windows: list
    unit: str


SCALES = [
    Scale(10**8, ["30s", "1m", "45s", "2m", "3m", "100s"], "1s"),
    Scale(10**8, ["30s", "1m", "45s", "2m", "3m", "100s"], "10s"),
    Scale(10**9, ["5m", "10m", "7m", "30m", "1h"], "1m"),
    Scale(600 * 10**9, ["1d", "2d", "36h", "1w", "5d"], "1h"),
]


@dataclass
class Measurement:
    name: str
    fields: dict  # name to kind
    tags: list
    series: list = field(default_factory=list)  # each an object of tags

    def of(self, kinds):
        return [name for name, kind in self.fields.items() if kind in kinds]


class Schema:
    def __init__(self, chance):
        self.chance = chance
        self.scale = chance.choice(SCALES)
        self.start, self.end = START, START + TICKS * self.scale.tick
        self.one_shard = self.end - self.start < 86400 * 10**9
        # Points of several series at one time: their order is nobody's, so fewer questions are asked.
        self.shared = chance.random() < 0.25
        self.measurements = [self._measurement(name) for name in chance.sample(MEASUREMENTS, chance.randint(1, 3))]
        if len(self.measurements) > 1 and chance.random() < 0.4:
            self._twin()
        self.empty = chance.choice([name for name in MEASUREMENTS if name not in [m.name for m in self.measurements]])

    def _measurement(self, name):
        chance = self.chance
        kinds = ["float", "integer", *chance.sample(["string", "boolean", "float", "integer"], chance.randint(1, 4))]
        fields = {}
        for kind in kinds:
            left = [name for name in FIELDS[kind] if name not in fields]
            fields[chance.choice(left)] = kind
        tags = chance.sample(TAGS, chance.randint(0, 3))
        made = Measurement(name, fields, tags)
        for _ in range(chance.choice([1, 2, 3, 4, 6])):
            series = {tag: chance.choice(TAG_VALUES) for tag in tags if chance.random() < 0.8}
            if series not in made.series:
                made.series.append(series)
        return made

    def _twin(self):
        """A field of one measurement has the name of a tag, or of a field of another type, in another."""
        one, other = self.measurements[:2]
        if one.tags and self.chance.random() < 0.5:
            other.fields[one.tags[0]] = self.chance.choice(["string", "float"])
            if one.tags[0] in other.tags:
                other.tags.remove(one.tags[0])
                for series in other.series:
                    series.pop(one.tags[0], None)
                other.series = [series for at, series in enumerate(other.series) if series not in other.series[:at]]
        else:
            name = self.chance.choice(one.of(("float",)))
            if name not in other.fields:
                other.fields[name] = "integer"

    def lines(self):
        chance = self.chance
        styles = {m.name: chance.choice(["irregular", "irregular", "regular", "gaps"]) for m in self.measurements}
        sizes = {(m.name, name): chance.choice([1, 1, 1, 1e9, 1e-6]) for m in self.measurements for name in m.fields}
        density = {(m.name, name): chance.choice([1, 0.7, 0.7, 0.3]) for m in self.measurements for name in m.fields}
        taken = set()
        for tick in chance.sample(range(TICKS), POINTS):
            measurement = chance.choice(self.measurements)
            at = chance.randrange(len(measurement.series))
            style = styles[measurement.name]
            if style == "gaps" and TICKS // 3 < tick < TICKS // 2:
                continue
            if style == "gaps" and tick > TICKS * 3 // 4:
                at = 0
            if style == "regular" or self.shared:
                tick = tick // 50 * 50 + (0 if self.shared else 10 * self.measurements.index(measurement) + at)
            if not self.shared and tick in taken:
                continue
            taken.add(tick)
            fields = {
                name: self._value(kind, sizes[measurement.name, name])
                for name, kind in measurement.fields.items() if chance.random() < density[measurement.name, name]
            }
            if fields:
                yield line(measurement.name, measurement.series[at], fields, self.start + tick * self.scale.tick)

    def _value(self, kind, size):
        chance = self.chance
        if kind == "float":
            return repr(chance.randint(-400, 400) / 8 * size)
        if kind == "integer":
            return f"{chance.randint(-50, 50) * (int(size) or 1)}i"
        return f'"{chance.choice(STRINGS)}"' if kind == "string" else chance.choice(["true", "false"])


def line(measurement, tags, fields, time):
    key = "".join(f",{escaped(name)}={escaped(value)}" for name, value in tags.items())
    values = ",".join(f"{escaped(name)}={value}" for name, value in fields.items())
    return f"{escaped(measurement, '')}{key} {values} {time}"


def escaped(text, more="="):
    for char in ", " + more:
        text = text.replace(char, "\\" + char)
    return text
