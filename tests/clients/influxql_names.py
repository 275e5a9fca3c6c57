"""Names, texts and regular expressions as InfluxQL writes them."""
import re

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KEYWORDS = {"on", "select", "all", "key", "name"}


def name(chance, text):
    if PLAIN.fullmatch(text) and text.lower() not in KEYWORDS and chance.random() < 0.5:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def names(chance, of):
    return ", ".join(name(chance, each) for each in of)


def text(value):
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def regex(chance, of):
    """A regular expression that fits some of the names, or all."""
    one = chance.choice(of or ["x"])
    plain = re.sub(r"[^A-Za-z0-9]", ".", one)
    return chance.choice(["/./", "/.*/", f"/^{plain}$/", f"/{plain[:1]}/", f"/^({plain}|nothing)$/", f"/(?i){plain.upper()}/", "/nothing/"])
