//! InfluxDB 3's endpoints over the same data.

use serde_json::{Value, json};

use crate::http_gate::{Answer, Gate, encoded};

fn gate() -> Gate {
    let gate = Gate::start();
    gate.create_database("d");
    gate.write("d", "cpu,host=a usage=1.5,n=1i 1000000000\ncpu,host=b usage=2.5,n=2i 2000000000\nmem,host=a free=3i 5");
    gate
}

fn sql(gate: &Gate, q: &str, more: &str) -> Answer {
    gate.get(&format!("/api/v3/query_sql?db=d&q={}{more}", encoded(q))).send()
}

fn influxql(gate: &Gate, q: &str, more: &str) -> Answer {
    gate.get(&format!("/api/v3/query_influxql?db=d&q={}{more}", encoded(q))).send()
}

/// What `/api/v3/write_lp` stored, as SQL through another door reads it.
#[track_caller]
fn stored(gate: &Gate, database: &str) -> String {
    gate.sql(database, "select time, v from m order by time")
}

#[test]
fn rows_come_in_the_form_that_is_asked_for() {
    let gate = gate();
    const Q: &str = "select host, usage, n, time from cpu order by time";
    let json = json!([
        {"host": "a", "usage": 1.5, "n": 1, "time": "1970-01-01T00:00:01"},
        {"host": "b", "usage": 2.5, "n": 2, "time": "1970-01-01T00:00:02"},
    ]);
    for more in ["", "&format=json"] {
        let answer = sql(&gate, Q, more).expect(200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.json(), json);
    }
    let lines = sql(&gate, Q, "&format=jsonl").expect(200);
    assert_eq!(lines.header("content-type"), Some("application/jsonl"));
    let lines: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::from(lines), json);
    let csv = sql(&gate, "select host, n from cpu order by n", "&format=csv").expect(200);
    assert_eq!((csv.header("content-type"), csv.text().as_str()), (Some("text/csv"), "host,n\na,1\nb,2\n"));
    let pretty = sql(&gate, "select n from cpu order by n", "&format=pretty").expect(200);
    assert!(pretty.text().starts_with("+---+\n| n |\n+---+\n| 1 |\n"), "{pretty}");
    let parquet = sql(&gate, Q, "&format=parquet").expect(200);
    assert_eq!(parquet.header("content-type"), Some("application/vnd.apache.parquet"));
    assert!(parquet.body.starts_with(b"PAR1") && parquet.body.ends_with(b"PAR1"));
    let by_header = gate.get(&format!("/api/v3/query_sql?db=d&q={}", encoded("select 1 as one")));
    assert_eq!(by_header.header("Accept", "text/csv").send().expect(200).text(), "one\n1\n");
    assert_eq!(sql(&gate, "select n from cpu where n > 7", "").expect(200).text(), "[]");
}

#[test]
fn a_question_may_come_as_json_with_parameters() {
    let gate = gate();
    let post = |path: &str, body: &Value| gate.post(path, body.to_string()).send();
    let q = "select n from cpu where host = $host and usage < $max";
    let body = json!({"db": "d", "q": q, "params": {"host": "b", "max": 100}, "format": "csv"});
    assert_eq!(post("/api/v3/query_sql", &body).expect(200).text(), "n\n2\n");
    let by_url = sql(&gate, q, &format!("&format=csv&params={}", encoded(r#"{"host":"a","max":1.75}"#)));
    assert_eq!(by_url.expect(200).text(), "n\n1\n");
    let q = "SELECT n FROM cpu WHERE host = $host";
    let body = json!({"db": "d", "q": q, "params": {"host": "b"}});
    let expected = json!([{"iox::measurement": "cpu", "time": "1970-01-01T00:00:02", "n": 2}]);
    assert_eq!(post("/api/v3/query_influxql", &body).expect(200).json(), expected);
    // A parameter is a value, never a piece of the statement.
    let body = json!({"db": "d", "q": "select n from cpu where host = $h", "params": {"h": "x' or 'a' = 'a"}});
    assert_eq!(post("/api/v3/query_sql", &body).expect(200).json(), json!([]));
}

#[test]
fn influxql_answers_as_a_table() {
    let gate = gate();
    let rows = influxql(&gate, "SELECT mean(usage) FROM cpu WHERE time < 10s GROUP BY host", "").expect(200).json();
    let row = |host: &str, mean: f64| json!({"iox::measurement": "cpu", "time": "1970-01-01T00:00:00", "host": host, "mean": mean});
    assert_eq!(rows, json!([row("a", 1.5), row("b", 2.5)]));
    let csv = influxql(&gate, "SELECT n FROM cpu", "&format=csv").expect(200).text();
    assert_eq!(
        csv,
        "iox::measurement,time,n\ncpu,1970-01-01T00:00:01.000000000,1\ncpu,1970-01-01T00:00:02.000000000,2\n"
    );
    let measurements = influxql(&gate, "SHOW MEASUREMENTS", "").expect(200).json();
    assert_eq!(measurements[1], json!({"iox::measurement": "measurements", "name": "mem"}));
    let databases = gate.get("/api/v3/query_influxql?q=SHOW%20DATABASES").send().expect(200).json();
    assert_eq!(databases, json!([{"iox::database": "public"}, {"iox::database": "d"}]));
    assert_eq!(influxql(&gate, "SELECT n FROM cpu WHERE n > 7", "").expect(200).json(), json!([]));
}

#[test]
fn what_cannot_be_answered_is_told() {
    let gate = gate();
    let text = |answer: Answer, status: u16| answer.expect(status).text();
    let missing = "missing query parameters 'db' and 'q'";
    for path in ["/api/v3/query_sql", "/api/v3/query_sql?db=d", "/api/v3/query_sql?q=select%201"] {
        assert_eq!(text(gate.get(path).send(), 400), missing, "{path}");
    }
    let unknown = gate.get("/api/v3/query_sql?db=nowhere&q=select%201").send().expect(404);
    assert_eq!(unknown.json(), json!({"error": "query error: database not found: nowhere", "data": null}));
    assert!(text(sql(&gate, "selec 1", ""), 400).starts_with("query error: "));
    assert!(text(sql(&gate, "select nothing from cpu", ""), 400).contains("nothing"));
    assert!(text(sql(&gate, "create database x", ""), 400).contains("not supported"));
    assert!(text(sql(&gate, "select 1", "&format=xml"), 400).contains("unknown variant `xml`"));
    assert!(text(sql(&gate, "select 1", "&params=%5B1%5D"), 400).starts_with("serde json error"));
    assert!(text(gate.post("/api/v3/query_sql", "{").send(), 400).starts_with("serde json error"));
    assert!(text(influxql(&gate, "SELEC n", ""), 400).starts_with("error in InfluxQL statement: found SELEC"));
    assert_eq!(
        text(influxql(&gate, "SELECT n FROM cpu; SELECT n FROM cpu", ""), 400),
        "must provide only one InfluxQl statement per query"
    );
    for change in ["DROP DATABASE d", "SELECT n INTO t FROM cpu", "DELETE FROM cpu"] {
        assert!(text(influxql(&gate, change, ""), 400).ends_with("is not supported"), "{change}");
    }
}

#[test]
fn lines_are_written_with_their_unit_or_by_their_size() {
    let gate = Gate::start();
    let write = |query: &str, lines: &str| gate.post(&format!("/api/v3/write_lp?{query}"), lines).send();
    write("db=new", "m v=1 1700000000\nm v=2 1700000000001\nm v=3 1700000000000002\nm v=4 1700000000000000003")
        .expect(204);
    assert_eq!(
        stored(&gate, "new"),
        "time,v\n2023-11-14T22:13:20.000000000,1.0\n2023-11-14T22:13:20.000000003,4.0\n\
         2023-11-14T22:13:20.000002000,3.0\n2023-11-14T22:13:20.001000000,2.0\n"
    );
    for (index, unit) in ["second", "millisecond", "microsecond", "nanosecond"].into_iter().enumerate() {
        write(&format!("db=u{index}&precision={unit}&no_sync=true"), "m v=1 1").expect(204);
    }
    assert_eq!(stored(&gate, "u0"), "time,v\n1970-01-01T00:00:01.000000000,1.0\n");
    assert_eq!(stored(&gate, "u3"), "time,v\n1970-01-01T00:00:00.000000001,1.0\n");
    assert_eq!(write("", "m v=1").expect(400).text(), "missing query parameter 'db'");
    assert!(write("db=d&precision=hour", "m v=1").expect(400).text().contains("unknown variant `hour`"));
}

#[test]
fn bad_lines_are_told_with_their_numbers() {
    let gate = Gate::start();
    let write = |query: &str, lines: &str| gate.post(&format!("/api/v3/write_lp?{query}"), lines).send();
    let answer = write("db=d", "m v=1 1\nbad\nm v=2 2").expect(400).json();
    assert_eq!(answer["error"], "partial write of line protocol occurred");
    assert_eq!(answer["data"][0]["original_line"], "bad");
    assert_eq!(answer["data"][0]["line_number"], 2);
    assert!(answer["data"][0]["error_message"].is_string());
    assert_eq!(gate.sql("d", "select count(*) as n from m"), "n\n2\n");
    let answer = write("db=d&accept_partial=false", "m v=1 3\nbad").expect(400).json();
    assert_eq!(
        (&answer["error"], &answer["data"]["line_number"]),
        (&json!("parsing failed for write_lp endpoint"), &json!(2))
    );
    let conflict = write("db=d", "m v=\"text\" 4").expect(400).json();
    assert!(conflict["data"][0]["error_message"].as_str().unwrap().contains("field type conflict"), "{conflict}");
    assert_eq!(gate.sql("d", "select count(*) as n from m"), "n\n2\n");
}

#[test]
fn with_authentication_a_token_is_a_login_or_signed() {
    let settings = [("auth.enabled", "true"), ("auth.admin_user", "root"), ("auth.admin_password", "secret")];
    let gate = Gate::with(&settings);
    let admin = |ask: crate::http_gate::Ask| ask.header("Authorization", "Bearer root:secret").send();
    admin(gate.post("/api/v3/write_lp?db=d", "m v=1 1")).expect(204);
    for q in ["CREATE USER ann WITH PASSWORD 'a'", "GRANT READ ON d TO ann"] {
        gate.post(&format!("/query?u=root&p=secret&q={}", encoded(q)), "").send().expect(200);
    }
    let ann = |ask: crate::http_gate::Ask| ask.header("Authorization", "Token ann:a").send();
    let select = format!("/api/v3/query_sql?db=d&format=csv&q={}", encoded("select v from m"));
    assert_eq!(ann(gate.get(&select)).expect(200).text(), "v\n1.0\n");
    ann(gate.get(&select.replace("db=d", "db=public"))).expect(403);
    ann(gate.post("/api/v3/write_lp?db=d", "m v=1 1")).expect(403);
    ann(gate.post("/api/v3/write_lp?db=made", "m v=1 1")).expect(404);
    ann(gate.get("/api/v3/query_influxql?db=public&q=SHOW%20MEASUREMENTS")).expect(403);
    ann(gate.get("/api/v3/query_influxql?db=d&q=SHOW%20MEASUREMENTS")).expect(200);
    let wrong = gate.get(&select).header("Authorization", "Bearer ann:b").send().expect(401);
    assert!(wrong.body.is_empty(), "{wrong}");
    gate.get(&select).send().expect(401);
}
