// The npm library `influx` (for InfluxDB 1.x): writes what the driver says, asks for it again, and prints what it was told.
//
//     node main.js PORT     (the points as JSON on standard input, the answers as JSON on standard output)
const Influx = require("influx");

// Whole numbers beyond 2^53 come as texts: JavaScript's numbers would lose digits.
const FIELDS = { load: Influx.FieldType.FLOAT, n: Influx.FieldType.INTEGER, up: Influx.FieldType.BOOLEAN, note: Influx.FieldType.STRING };

async function main() {
  const port = Number(process.argv[2]);
  const given = JSON.parse(await read(process.stdin));
  const client = new Influx.InfluxDB({
    host: "127.0.0.1",
    port,
    database: "node",
    schema: [{ measurement: "plain", fields: FIELDS, tags: ["host"] }],
  });
  const told = {};
  told.ping = (await client.ping(5000)).map((one) => ({ online: one.online, version: one.version }));
  await client.createDatabase("node");
  await client.createDatabase("node");
  told.databases = await client.getDatabaseNames();
  await client.createRetentionPolicy("month", { duration: "30d", replication: 1, database: "node" });
  told.policies = (await client.showRetentionPolicies("node")).map(({ name, duration }) => ({ name, duration }));
  const points = given.map(({ host, time, ...fields }) => ({
    measurement: "plain", tags: host === undefined ? {} : { host }, fields, timestamp: Influx.toNanoDate(time),
  }));
  await client.writePoints(points);
  await client.writeMeasurement("cpu", [{ tags: { core: "0" }, fields: { busy: 0.5 }, timestamp: 1600000000 }], { precision: "s" });
  const rows = await client.query("SELECT * FROM plain ORDER BY time");
  told.rows = rows.map((row) => ({ ...row, time: row.time.getNanoTime() }));
  const grouped = await client.query("SELECT count(n) AS c FROM plain GROUP BY host");
  told.groups = grouped.groups().map(({ tags, rows }) => [tags.host, rows[0].c]);
  const bound = "SELECT n FROM plain WHERE host = $host";
  told.bound = (await client.query(bound, { placeholders: { host: "東京" } })).map((row) => row.n);
  told.measurements = await client.getMeasurements();
  told.series = await client.getSeries({ measurement: "plain" });
  told.refused = await client.query("SELECT FROM").then(() => "nothing", (error) => error.message);
  told.conflict = await client
    .writePoints([{ measurement: "cpu", fields: { busy: "text" } }])
    .then(() => "nothing", (error) => error.message);
  await client.dropMeasurement("cpu", "node");
  told.left = await client.getMeasurements();
  console.log(JSON.stringify(told));
}

async function read(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
