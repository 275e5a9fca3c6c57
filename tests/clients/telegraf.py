#!/usr/bin/env python3
"""Telegraf: its cpu, mem and disk inputs into the gateway through its outputs for InfluxDB (1 and 2), Elasticsearch and OpenTSDB
(HTTP and lines).

Telegraf also writes what it gathered into a file: the rows of each database must be those of the file. $TELEGRAF names the
command, built with these plugins and `outputs.file`.
"""
import os, re, signal, subprocess, time

from gate import Checks, Gate

TELEGRAF = os.environ.get("TELEGRAF", "telegraf")
ROUNDS = 3
TYPES = {float: "float", int: "integer", bool: "boolean", str: "string"}

CONFIGURATION = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  round_interval = true
  omit_hostname = false
  skip_processors_after_aggregators = true
[[inputs.cpu]]
  percpu = true
  totalcpu = true
[[inputs.mem]]
[[inputs.disk]]
  ignore_fs = ["tmpfs", "devtmpfs", "devfs", "iso9660", "squashfs"]
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "one"
  content_encoding = "gzip"
[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "user:password"
  organization = "any"
  bucket = "two/autogen"
[[outputs.elasticsearch]]
  urls = ["{elasticsearch}"]
  index_name = "telegraf"
  template_name = "telegraf"
  enable_gzip = true
  health_check_interval = "1s"
[[outputs.elasticsearch]]
  urls = ["{elasticsearch}"]
  index_name = "telegraf-created"
  manage_template = false
  use_optype_create = true
  force_document_id = true
[[outputs.opentsdb]]
  host = "http://127.0.0.1"
  port = {opentsdb}
  prefix = "http."
  http_batch_size = 20
[[outputs.opentsdb]]
  host = "tcp://127.0.0.1"
  port = {opentsdb}
  prefix = "lines."
[[outputs.file]]
  files = ["{file}"]
  data_format = "influx"
"""


def main():
    checks = Checks("telegraf")
    with Gate(checks, listeners=("influxdb", "cnosdb", "elasticsearch", "opentsdb")) as gate:
        gate.influxql("CREATE DATABASE two")  # outputs.influxdb makes its own
        file = gate.folder / "gathered"
        configuration = gate.folder / "telegraf.conf"
        addresses = {"url": gate.url("influxdb"), "elasticsearch": gate.url("elasticsearch"), "opentsdb": gate.ports["opentsdb"]}
        configuration.write_text(CONFIGURATION.format(file=file, **addresses))
        said = gather(gate, configuration, file)
        checks.that("telegraf complains of nothing", " E! " not in said and " W! " not in said, said[-2000:])
        tables = {}
        for line in file.read_text().splitlines():
            table, row, columns = parse(line)
            rows, known = tables.setdefault(table, ([], {"time": "time"}))
            rows.append(row)
            known.update(columns)
        checks.equal("what it gathered", sorted(tables), ["cpu", "disk", "mem"])
        for table, (rows, columns) in tables.items():
            for database in ("one", "two"):
                checks.table(gate, database, table, columns, rows)
        documents(checks, gate, tables)
        points(checks, gate, tables)
    checks.finish()


def documents(checks, gate, tables):
    """All in one index: tags and fields below names of their own. Floats without a fraction look like integers in JSON."""
    rows, columns = [], {"time": "time", "measurement_name": "string"}
    for table, (gathered, kinds) in tables.items():
        renamed = {name: f"tag.{name}" if kind == "tag" else f"{table}.{name}" for name, kind in kinds.items() if name != "time"}
        columns |= {renamed[name]: "string" if kind == "tag" else kind for name, kind in kinds.items() if name != "time"}
        for row in gathered:
            values = {renamed[name]: value for name, value in row.items() if name != "time"}
            rows.append({"time": row["time"], "measurement_name": table} | values)
    for column in [name for name, kind in columns.items() if kind == "float"]:
        if all(row[column] == int(row[column]) for row in rows if column in row):
            columns[column] = "integer"
    by = ["measurement_name", *(name for name in columns if name.startswith("tag."))]
    for index in ("telegraf", "telegraf-created"):
        checks.table(gate, "public", index, columns, rows, by)


def points(checks, gate, tables):
    """A metric for each field that is a number, to the second; lines have six decimals, and a point in every float."""
    for table, (gathered, kinds) in tables.items():
        for field in [name for name, kind in kinds.items() if kind in ("float", "integer")]:
            for prefix in ("http", "lines"):
                rows, columns = [], {"time": "time", "value": "float"}
                for row in [row for row in gathered if field in row]:
                    tags = {clean(name): clean(value) for name, value in row.items() if kinds[name] == "tag"}
                    columns |= {name: "tag" for name in tags}
                    value = row[field] if prefix == "http" or kinds[field] == "integer" else float(f"{row[field]:.6f}")
                    row = {"time": row["time"] // 10**9 * 10**9, **tags, "value": float(value)}
                    if kinds[field] == "integer" or prefix == "http" and value == int(value):
                        row["value_int"] = int(value)
                        columns["value_int"] = "integer"
                    rows.append(row)
                checks.table(gate, "opentsdb", f"{prefix}.{clean(table)}_{clean(field)}", columns, rows)


def clean(text):
    """As Telegraf has it for OpenTSDB."""
    return re.sub(r"[^a-zA-Z0-9_./-]", "_", re.sub(r"[@*%#$]", "-", text))


def gather(gate, configuration, file):
    """Runs Telegraf until it has gathered often enough; answers what it said. At its end it sends what it holds."""
    log = gate.folder / "telegraf.log"
    with log.open("wb") as out:
        process = subprocess.Popen([TELEGRAF, "--strict-env-handling", "--config", str(configuration)], stdout=out, stderr=out)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            times = {line.rsplit(" ", 1)[1] for line in file.read_text().splitlines()} if file.exists() else ()
            if len(times) >= ROUNDS:
                break
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return log.read_text(errors="replace")


def parse(line):
    """`table,tag=value,… field=value,… time` as Telegraf prints it: (table, row, columns)."""
    parts = split(line, " ")
    key, fields, row_time = parts[0], " ".join(parts[1:-1]), parts[-1]
    table, *tags = split(key, ",")
    row, columns = {"time": int(row_time)}, {}
    for tag in tags:
        name, value = split(tag, "=")
        row[plain(name)], columns[plain(name)] = plain(value), "tag"
    for field in split(fields, ","):
        name, value = split(field, "=")
        row[plain(name)] = number(value)
        columns[plain(name)] = TYPES[type(number(value))]
    return plain(table), row, columns


def split(text, separator):
    """At separators that are neither escaped nor within quotes."""
    parts, quoted, at = [""], False, 0
    while at < len(text):
        if text[at] == "\\":
            parts[-1] += text[at:at + 2]
            at += 2
            continue
        quoted ^= text[at] == '"'
        if text[at] == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += text[at]
        at += 1
    return parts


def plain(text):
    return text.replace("\\ ", " ").replace("\\,", ",").replace("\\=", "=")


def number(text):
    if text.startswith('"'):
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if text in ("true", "false", "t", "f"):
        return text.startswith("t")
    return int(text[:-1]) if text.endswith("i") else float(text)


if __name__ == "__main__":
    main()
