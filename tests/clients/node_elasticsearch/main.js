// The npm library `@elastic/elasticsearch`: its bulk helper over a stream of documents, single requests, and refusals; prints what
// it was told.
//
//     node main.js URL     (documents as lines of JSON on standard input, the answers as JSON on standard output)
const readline = require("node:readline");
const { Client, errors } = require("@elastic/elasticsearch");

async function main() {
  const client = new Client({ node: process.argv[2], compression: true });
  const told = {};
  told.version = (await client.info()).version.number;
  told.ping = await client.ping();
  told.health = (await client.cluster.health()).status;

  // Small parts, three at a time: the order of the documents is not the order of their arrival.
  const dropped = [];
  const result = await client.helpers.bulk({
    datasource: documents(),
    onDocument: (document) => ({ [document.n % 2 ? "create" : "index"]: { _index: "node-bulk" } }),
    onDrop: (document) => dropped.push(document),
    flushBytes: 20_000,
    concurrency: 3,
    refreshOnCompletion: true,
  });
  told.bulk = { total: result.total, successful: result.successful, failed: result.failed, retry: result.retry, aborted: result.aborted, dropped: dropped.length };

  const mixed = [];
  const partly = await client.helpers.bulk({
    datasource: [{ n: 1 }, { n: "word" }, { n: 3 }, { n: { deep: 1 } }],
    onDocument: (document) => [{ create: { _index: "node-mixed" } }, document],
    onDrop: ({ status, error, document, retried }) => mixed.push({ status, type: error.type, document, retried }),
  });
  told.mixed = { successful: partly.successful, failed: partly.failed, dropped: mixed };

  const one = await client.index({ index: "node-one", id: "a b", document: { "@timestamp": "2024-05-01", n: 1 }, refresh: "wait_for" });
  told.one = { result: one.result, id: one._id };
  told.items = (await client.bulk({
    index: "node-one",
    operations: [{ index: { _id: "x" } }, { "@timestamp": 1714608000000, n: 2 }, { delete: { _id: "x" } }, { update: { _id: "x" } }, { doc: { n: 3 } }],
  })).items.map((item) => Object.entries(item).map(([action, { _id, status, error }]) => [action, _id, status, error?.type ?? null])[0]);
  told.exists = [await client.indices.exists({ index: "node-one" }), await client.indices.exists({ index: "node-none" })];
  told.count = (await client.count({ index: "node-bulk" })).count;
  told.found = (await client.search({ index: "node-one", sort: [{ "@timestamp": "desc" }] })).hits.hits.map((hit) => hit._source.n);
  told.chosen = (await client.search({ index: "node-one", sort: [{ "@timestamp": "desc" }], _source: ["n"], size: 1 })).hits.hits.map((hit) => [hit._source, hit.sort])[0];
  const scrolled = [];
  told.scroll = await failure((async () => {
    for await (const document of client.helpers.scrollDocuments({ index: "node-bulk" })) scrolled.push(document);
  })());
  told.scrolled = scrolled.length;
  told.refreshed = [await client.indices.refresh(), await client.indices.flush({ index: "node-*" })].map((answer) => answer._shards.failed);
  told.settings = (await client.indices.putSettings({ index: "node-one", settings: { index: { refresh_interval: "-1" } } })).acknowledged;
  told.mapping = (await client.indices.putMapping({ index: "node-one", properties: { n: { type: "long" } } })).acknowledged;
  told.unrefreshed = await failure(client.indices.refresh({ index: "node-none" }));
  told.refused = await failure(client.index({ index: "node-one", document: { n: "word" } }));
  told.missing = await failure(client.search({ index: "node-none" }));
  told.unsupported = await failure(client.search({ index: "node-one", query: { fuzzy: { n: "1" } } }));
  console.log(JSON.stringify(told));
}

async function* documents() {
  for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) yield JSON.parse(line);
}

function failure(answer) {
  return answer.then(
    () => "nothing",
    (error) => (error instanceof errors.ResponseError ? [error.statusCode, error.body.error.type] : String(error)),
  );
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
