#!/usr/bin/env python3
"""The Python library `elasticsearch`: what it asks before it sends, its three bulk helpers, single documents, errors, sniffing."""
import sys

from elasticsearch import Elasticsearch, ApiError, BadRequestError, NotFoundError, helpers

from gate import Checks, Gate

COUNT = 2_000


def main():
    checks = Checks(f"python elasticsearch {sys.modules['elasticsearch'].__versionstr__}")
    with Gate(checks, listeners=("elasticsearch", "cnosdb")) as gate:
        url = gate.url("elasticsearch")
        with Elasticsearch(url, http_compress=True) as client:
            checks.that("ping", client.ping())
            checks.that("info has a version", client.info()["version"]["number"].startswith("8."))
            checks.that("health is green", client.cluster.health()["status"] == "green")
            for part in (bulk, streaming, parallel, single, mixed, templates):
                checks.attempt(part, checks, gate, client)
        checks.attempt(sniffing, checks, gate, url)
    checks.finish()


def documents(index, start=0):
    for n in range(start, start + COUNT):
        yield {
            "_index": index,
            "_op_type": "create" if n % 2 else "index",
            "@timestamp": f"2024-05-01T10:00:{n % 60:02}.{n:09}Z",
            "n": n,
            "half": n / 2,
            "even": n % 2 == 0,
            "host": {"name": f"h{n % 7}", "ip": ["10.0.0.1", "::1"]},
            "message": "zeile 日本 \"quoted\"\n" + "x" * (n % 50),
        }


def counted(gate, index):
    statement = f'SELECT count(*) AS c, sum(n) AS s, sum(half) AS h, count(DISTINCT "host.name") AS k, max("host.ip") AS i FROM "{index}"'
    return rows(gate, statement)[0]


def rows(gate, statement):
    return gate.sql_rows("public", statement)


def expected(count):
    total = count * (count - 1) // 2
    return {"c": count, "s": total, "h": total / 2, "k": 7, "i": '["10.0.0.1","::1"]'}


def bulk(checks, gate, client):
    stored, errors = helpers.bulk(client, documents("py-bulk"), chunk_size=300)
    checks.equal("helpers.bulk stores all", (stored, errors), (COUNT, []))
    checks.equal("refresh has nothing to do", [client.indices.refresh(**of)["_shards"]["failed"] for of in ({}, {"index": "py-*"})], [0, 0])
    checks.equal("and SQL finds them", counted(gate, "py-bulk"), expected(COUNT))
    checks.equal("and the client counts them", client.count(index="py-bulk")["count"], COUNT)
    hits = client.search(index="py-bulk", size=1, sort=[{"@timestamp": "desc"}])["hits"]
    (hit,) = client.search(index="py-bulk", size=1, sort=[{"@timestamp": "desc"}], source={"includes": ["host"], "excludes": ["*.ip"]})["hits"]["hits"]
    checks.equal("as much of it as was asked for", (list(hit["_source"]), len(hit["sort"])), (["host.name"], 1))
    try:
        checks.equal("a scan is not cut short", len(list(helpers.scan(client, index="py-bulk"))), COUNT)
    except BadRequestError as error:
        checks.that("a scan is refused with a reason", "queried with SQL" in error.body["error"]["reason"])
    checks.equal("the newest is found", hits["hits"][0]["_source"]["n"], rows(gate, 'SELECT n FROM "py-bulk" ORDER BY time DESC LIMIT 1')[0]["n"])


def streaming(checks, gate, client):
    results = list(helpers.streaming_bulk(client, documents("py-stream"), chunk_size=250, max_retries=2))
    checks.that("streaming_bulk is told of each", len(results) == COUNT and all(ok for ok, _ in results))
    checks.equal("streaming_bulk: SQL finds them", counted(gate, "py-stream"), expected(COUNT))


def parallel(checks, gate, client):
    results = list(helpers.parallel_bulk(client, documents("py-parallel"), thread_count=4, chunk_size=100))
    checks.that("parallel_bulk is told of each", len(results) == COUNT and all(ok for ok, _ in results))
    checks.equal("parallel_bulk: SQL finds them", counted(gate, "py-parallel"), expected(COUNT))


def single(checks, gate, client):
    answer = client.index(index="py-one", document={"@timestamp": "2024-05-01", "n": 1}, refresh=True)
    checks.equal("index creates", answer["result"], "created")
    client.create(index="py-one", id="a b", document={"@timestamp": "2024-05-02", "n": 2})
    checks.equal("single documents are rows", rows(gate, 'SELECT n FROM "py-one" ORDER BY time'), [{"n": 1}, {"n": 2}])
    checks.that("the index exists", client.indices.exists(index="py-one"))
    checks.that("another does not", not client.indices.exists(index="py-none"))
    try:
        client.index(index="py-one", document={"n": "word"})
        checks.that("a word is no number", False)
    except BadRequestError as error:
        checks.equal("a word is no number", error.body["error"]["type"], "document_parsing_exception")


def mixed(checks, gate, client):
    actions = [{"_index": "py-mixed", "n": n if n != 3 else "word"} for n in range(6)]
    actions.append({"_index": "py-mixed", "_op_type": "delete", "_id": "1"})
    stored, errors = helpers.bulk(client, actions, raise_on_error=False)
    checks.equal("the good ones are stored", (stored, len(errors)), (5, 2))
    checks.equal("and found", rows(gate, 'SELECT sum(n) AS s FROM "py-mixed"'), [{"s": 12}])


def templates(checks, gate, client):
    client.indices.put_index_template(name="py", index_patterns=["py-*"], template={"settings": {"number_of_shards": 1}})
    checks.equal("a template is remembered", client.indices.get_index_template(name="py")["index_templates"][0]["name"], "py")
    client.ilm.put_lifecycle(name="py", policy={"phases": {"hot": {"actions": {}}}})
    checks.that("a policy too", "py" in client.ilm.get_lifecycle(name="py"))
    settings = client.indices.put_settings(index="py-one", settings={"index": {"refresh_interval": "-1", "number_of_replicas": 0}})
    mapping = client.indices.put_mapping(index="py-one", properties={"n": {"type": "long"}})
    checks.that("settings and a mapping that fits are acknowledged", settings["acknowledged"] and mapping["acknowledged"])
    client.indices.create_data_stream(name="py-stream")
    checks.equal("data streams have statistics", client.indices.data_streams_stats()["data_stream_count"], 1)
    client.indices.delete_index_template(name="py")
    try:
        client.indices.get_index_template(name="py")
        checks.that("a deleted template is gone", False)
    except NotFoundError:
        pass
    try:
        client.update(index="py-one", id="1", doc={"n": 2})
        checks.that("an update is refused", False)
    except ApiError as error:
        checks.equal("an update is refused", error.meta.status, 400)


def sniffing(checks, gate, url):
    with Elasticsearch(url, sniff_on_start=True) as client:
        helpers.bulk(client, [{"_index": "py-sniff", "n": 1}])
        checks.equal("a client that sniffs goes on", client.count(index="py-sniff")["count"], 1)


if __name__ == "__main__":
    main()
