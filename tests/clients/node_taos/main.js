// The npm library `@tdengine/rest`: statements and questions with a database, a zone and without; prints what it was told.
//
//     node main.js PORT     (statements as a list of [path or null, query, statement] in JSON on standard input, the answers on standard output)
const { connect, options } = require("@tdengine/rest");

async function main() {
  const port = Number(process.argv[2]);
  const told = [];
  for (const [path, query, statement] of JSON.parse(await read(process.stdin))) {
    // The library's own path is `/rest/sql/`, which lives on a redirection.
    const connection = connect({ ...options, port, path: path ?? options.path, query });
    const result = await connection.cursor().query(statement);
    const meta = result.getMeta()?.map(({ columnName, typeName, size }) => [columnName, typeName, size]);
    told.push({ code: result.getErrCode(), text: result.getErrStr(), rows: result.getAffectRows(), meta, data: result.getData() });
  }
  const stranger = connect({ ...options, port, passwd: "wrong" });
  told.push(await stranger.cursor().query("select 1").then(() => "nothing", (error) => error.message));
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
