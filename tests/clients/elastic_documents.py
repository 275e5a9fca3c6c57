"""Documents for bulk requests, and the table that they become."""
import json

START = 1_714_557_600 * 10**9  # 2024-05-01T10:00:00Z
COLUMNS = {
    "time": "time", "n": "integer", "half": "float", "even": "boolean", "host.name": "string", "host.ip": "string", "message": "string",
}


def documents(count):
    """`half` is spelled as an integer in every other one: its column is widened on the way. Some have no `message`."""
    for n in range(count):
        document = {
            "@timestamp": f"2024-05-01T10:{n // 60 % 60:02}:{n % 60:02}.{n:09}Z",
            "n": n,
            "half": n // 2 if n % 2 == 0 else n / 2,
            "even": n % 2 == 0,
            "host": {"name": f"h{n % 7}", "ip": ["10.0.0.1", "::1"]},
        }
        yield document if n % 10 == 9 else document | {"message": message(n)}


def message(n):
    return "zeile 日本 \"quoted\"\n" + "x" * (n % 50)


def lines(count):
    return "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents(count))


def rows(count):
    return [
        {"time": START + n * 10**9 + n, "n": n, "half": n / 2, "even": n % 2 == 0, "host.name": f"h{n % 7}",
         "host.ip": '["10.0.0.1","::1"]', "message": None if n % 10 == 9 else message(n)}
        for n in range(count)
    ]
