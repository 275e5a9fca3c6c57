"""Lists of columns made at random for SELECT statements: what a source has, calls, wildcards, and what stands beside calls."""
from dataclasses import dataclass

from influxql_names import name, names, regex

ANY, NUMBER, ORDERED = ("float", "integer", "string", "boolean"), ("float", "integer"), ("float", "integer", "boolean")
SAME = None  # a function's answer has the type of its argument
AGGREGATES = {
    "count": (ANY, "integer"), "mean": (NUMBER, "float"), "median": (NUMBER, "float"), "mode": (ANY, SAME),
    "spread": (NUMBER, SAME), "stddev": (NUMBER, "float"), "sum": (NUMBER, SAME), "integral": (NUMBER, "float"),
}
SELECTORS = {
    "first": (ANY, SAME), "last": (ANY, SAME), "min": (ORDERED, SAME), "max": (ORDERED, SAME), "percentile": (NUMBER, SAME),
}
TRANSFORMS = {
    "derivative": "float", "non_negative_derivative": "float", "difference": SAME, "non_negative_difference": SAME,
    "cumulative_sum": SAME, "moving_average": "float", "elapsed": "integer",
}
# Version 1.6 leaves integers as they are in abs: all these are asked of floats.
MATH = ["abs", "sin", "cos", "tan", "asin", "acos", "atan", "exp", "ln", "log2", "log10", "sqrt", "floor", "ceil", "round"]
# These magnify the last digit of what is added up, in which the order of rows shows.
STEEP, SUMS = {"sin", "cos", "tan", "exp", "floor", "ceil", "round"}, {"mean", "sum", "stddev", "integral"}
# These do not hang on the order of rows of one time.
ORDERLESS = ["count", "mean", "median", "spread", "stddev", "sum", "min", "max", "percentile"]
NO_LIMIT = -1


@dataclass
class Source:
    """What a question reads: its text, fields by name with their kinds, tags, and whether rows may share a time."""
    text: str
    fields: dict
    tags: list
    ties: bool
    inner: bool = False

    def of(self, kinds):
        return [name for name, kind in self.fields.items() if kind in kinds]


@dataclass
class Shape:
    """What a statement is made of besides its columns."""
    windows: bool
    tags: list
    ties: bool
    limit: int = 0
    steps: bool = True  # whether steps from window to window may be asked for: version 1.6 cannot look back from no beginning


class Columns:
    def __init__(self, chance, schema):
        self.chance, self.schema = chance, schema

    def odds(self, share):
        return self.chance.random() < share

    def pick(self, of):
        return self.chance.choice(of)

    def columns(self, source, shape, depth):
        """The list's text, names and kinds of its columns, whether it takes windows, whether numbers may fill them
        (`None`: rows as they are)."""
        options = [(self._raw, 5), (self._calls, 8), (self._expanded, 2)]
        if not shape.ties:
            options += [(self._beside, 2), (self._several, 2), (self._distinct, 1), (self._transforms, 4 * shape.steps)]
            options += [(self._winters, 0.4 * shape.steps)] if depth == 0 else []
        makers, weights = zip(*options)
        while True:
            make = self.chance.choices(makers, weights)[0]
            made = make(source, shape, depth) if make == self._distinct else make(source, shape)
            if made:
                break
        items, windows, fill = made
        texts, kinds = [], {}
        for at, (item, default, kind) in enumerate(items):
            alias = f"c{at}" if self.odds(0.1) or depth and (default in kinds or self.odds(0.7) or not default) and kind else None
            if depth and len(items) > 1 and kind:
                alias = f"c{at}"
            texts.append(item + (f" AS {alias}" if alias else ""))
            if kind and kind != "tag":
                kinds[alias or default] = kind
            elif kind == "tag" and depth:
                shape.tags = shape.tags + [alias or default]
        return ", ".join(texts), kinds, windows and shape.windows, fill

    def _number(self, source, deep=1):
        """An expression of numbers, the name of its column, its kind."""
        chance, known = self.chance, source.of(NUMBER)
        if not known:
            return None
        field = self.pick(known)
        if deep == 0 or self.odds(0.3):
            return name(chance, field), field, source.fields[field]
        one, default, kind = self._number(source, deep - 1)
        form = chance.random()
        if form < 0.35:
            return f"{one} {self.pick('+-*')} {self.pick(['2', '0.5', '10'])}", default, None
        if form < 0.45:
            return f"{one} / {self.pick(['2', '0', '0.25'])}", default, "float"
        if form < 0.5:
            return f"{one} % 7", default, None
        if form < 0.7:
            other, second, _ = self._number(source, 0)
            return f"({one} {self.pick(['+', '-', '*', '/'])} {other})", f"{default}_{second}", None
        if form < 0.85:
            return f"{self.pick(MATH)}({one} + 0.5)", None, "float"
        if form < 0.95:
            return self.pick([f"pow({one} + 0.5, 2)", f"atan2({one} + 0.5, 3)", f"log({one} + 0.5, 3)"]), None, "float"
        return f"-{one}", default, kind

    def _raw(self, source, shape):
        chance, items = self.chance, []
        if self.odds(0.2):
            forms = ["*", "*", "*::field", "*::tag, " + names(chance, source.of(ANY))]
            return [(self.pick([*forms, regex(chance, [*source.fields, *source.tags])]), None, None)], False, None
        for _ in range(chance.randint(1, 3)):
            form = chance.random()
            if form < 0.5 and source.fields:
                field = self.pick(list(source.fields))
                items.append((name(chance, field), field, source.fields[field]))
            elif form < 0.62 and source.tags:
                tag = self.pick(source.tags)
                items.append((name(chance, tag), tag, "tag"))
            elif form < 0.72 and source.fields:
                field = self.pick(list(source.fields))
                cast = self.pick([source.fields[field], "float", "integer", "string", "boolean", "field", "tag"])
                items.append((f"{name(chance, field)}::{cast}", field, None))
            elif made := self._number(source, 2):
                items.append(made)
        if not any(kind != "tag" for *_, kind in items):
            items.append((name(chance, self.pick([*source.fields, "nothing"])), None, None))
        return items, False, None

    def _call(self, source, shape, among=None):
        """One aggregate or selector: text, name, kind."""
        chance = self.chance
        function = self.pick(among or ORDERLESS if shape.ties or among else [*AGGREGATES, *SELECTORS])
        takes, gives = (AGGREGATES | SELECTORS)[function]
        known = source.of(takes)
        if not known:
            return None
        field = self.pick(known)
        more = ""
        if function == "percentile":
            # Where a window has too few points for a small percentile, the server's answer ends.
            more = f", {self.pick(['50', '90', '99.9', '75', '100'])}"
        if function == "integral":
            more = self.pick(["", f", {self.schema.scale.unit}"])
        if function == "count" and self.odds(0.25) and not among:
            return f"count(distinct({name(chance, field)}))", "count", "integer"
        return f"{function}({name(chance, field)}{more})", function, gives or source.fields[field]

    def _calls(self, source, shape):
        chance, items = self.chance, []
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            if not (made := self._call(source, shape)):
                continue
            item, default, kind = made
            numbers = kind in NUMBER
            if numbers and self.odds(0.15):
                item, kind = f"{item} {self.pick('+-*/')} {self.pick(['2', '0.5', '3'])}", "float"
            elif numbers and self.odds(0.1):
                math = self.pick(MATH)
                item, default, kind = f"{'abs' if math in STEEP and default in SUMS else math}({item} * 1.0)", None, "float"
            elif numbers and self.odds(0.1) and (other := self._call(source, shape)) and other[2] in NUMBER:
                item, default, kind = f"{item} {self.pick('+-*/')} {other[0]}", None, "float"
            items.append((item, default, kind))
        return items and (items, True, all(kind in NUMBER for *_, kind in items))

    def _expanded(self, source, shape):
        """Calls of a wildcard or a regular expression."""
        chance = self.chance
        function = self.pick(ORDERLESS if shape.ties else [*AGGREGATES, *SELECTORS])
        more = ", 50" if function == "percentile" else ""
        over = self.pick(["*", regex(chance, [*source.fields, *source.tags])])
        return [(f"{function}({over}{more})", None, None)], True, False

    def _beside(self, source, shape):
        """A selector with what else its row holds."""
        chance = self.chance
        made = self._call(source, shape, ["first", "last", "min", "max", "percentile"])
        if not made:
            return None
        others = chance.sample([*source.fields, *source.tags], min(2, len(source.fields) + len(source.tags)))
        beside = [(name(chance, other), other, source.fields.get(other, "tag")) for other in others]
        return [made, *beside], True, False

    def _several(self, source, shape):
        """Selectors that give several rows."""
        chance, known = self.chance, source.of(NUMBER)
        if not known:
            return None
        field, function = self.pick(known), self.pick(["top", "bottom", "top", "bottom", "sample"])
        count = chance.randint(1, 5) if function != "sample" else 1000
        tags = chance.sample(source.tags, chance.randint(0, min(2, len(source.tags)))) if function != "sample" and not source.inner else []
        shape.limit = count if function == "sample" or self.schema.one_shard else NO_LIMIT
        inside = ", ".join(name(chance, each) for each in [field, *tags])
        items = [(f"{function}({inside}, {count})", function, source.fields[field])]
        if self.odds(0.3):
            other = self.pick(list(source.fields))
            items.append((name(chance, other), other, source.fields[other]))
        return items, True, True

    def _distinct(self, source, shape, depth):
        if not source.fields:
            return None
        field = self.pick(list(source.fields))
        form = f"distinct({name(self.chance, field)})"
        # To an outer SELECT the server knows no type of what the operator gives, and answers nothing.
        if depth == 0 and self.odds(0.5):
            form = f"DISTINCT {name(self.chance, field)}"
        return [(form, "distinct", source.fields[field])], True, False

    def _transforms(self, source, shape):
        chance, items = self.chance, []
        for _ in range(chance.choice([1, 1, 2])):
            function = self.pick(list(TRANSFORMS))
            if shape.windows:
                made = self._call(source, shape, [*AGGREGATES, *SELECTORS])
                inner, kind = made and made[0], made and made[2]
            else:
                known = source.of(ANY if function == "elapsed" else NUMBER)
                field = known and self.pick(known)
                inner, kind = known and name(chance, field), known and source.fields[field]
            if not inner or kind not in NUMBER and function != "elapsed":
                return None
            while shape.windows and self.odds(0.2):
                nested = self.pick(list(TRANSFORMS))
                if kind in NUMBER or nested == "elapsed":
                    inner, kind = self._transformed(nested, inner), TRANSFORMS[nested] or kind
            items.append((self._transformed(function, inner), function, TRANSFORMS[function] or kind))
        return items, True, True

    def _transformed(self, function, inner):
        more = {"moving_average": f", {self.chance.randint(2, 5)}"}.get(function, "")
        if "derivative" in function or function == "elapsed":
            more = self.pick(["", f", {self.schema.scale.unit}"])
        return f"{function}({inner}{more})"

    def _winters(self, source, shape):
        made = self._call(source, shape, ["mean", "sum", "first", "max"])
        if not made or not shape.windows or made[2] not in NUMBER:
            return None
        function = self.pick(["holt_winters", "holt_winters_with_fit"])
        return [(f"{function}({made[0]}, {self.chance.randint(1, 4)}, {self.pick([0, 2, 4])})", function, "float")], True, True
