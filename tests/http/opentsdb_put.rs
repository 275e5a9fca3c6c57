//! `/api/put`: what is stored, and what is said about the rest.

use std::io::Write;

use serde_json::{Value, json};
use tidegate::config::Listener;

use super::wire::Wire;
use crate::http_gate::{Answer, Gate};

const HOST_A: &str = r#"{"metric":"sys.cpu","timestamp":1356998400,"value":42,"tags":{"host":"a"}}"#;

fn put(gate: &Gate, query: &str, body: impl AsRef<[u8]>) -> Answer {
    gate.post(&format!("/api/put{query}"), body).at(Listener::Opentsdb).send()
}

fn rows(gate: &Gate, metric: &str) -> String {
    gate.sql("opentsdb", &format!("select * from \"{metric}\" order by time"))
}

#[test]
fn a_metric_is_a_table_whose_integers_stay_integers() {
    let gate = Gate::start();
    let body = json!([
        {"metric": "sys.cpu", "timestamp": 1_356_998_400, "value": 9_007_199_254_740_993i64, "tags": {"host": "a"}},
        {"metric": "sys.cpu", "timestamp": "1356998401500", "value": "1.5", "tags": {"host": "a"}},
    ]);
    let answer = put(&gate, "", body.to_string()).expect(204);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"), "{answer}");
    assert_eq!(
        gate.sql("opentsdb", "select time, host, value, value_int from \"sys.cpu\" order by time"),
        "time,host,value,value_int\n\
         2013-01-01T00:00:00,a,9007199254740992.0,9007199254740993\n\
         2013-01-01T00:00:01.500000000,a,1.5,\n"
            .replace("00:00:00,", "00:00:00.000000000,")
    );
}

#[test]
fn a_tag_may_be_called_time() {
    let mut gate = Gate::start();
    let point = |time: &str| json!({"metric": "m", "timestamp": 1_356_998_400, "value": 1, "tags": {"time": time, "host": "a"}});
    put(&gate, "", json!([point("day"), point("night")]).to_string()).expect(204);
    for _ in 0..2 {
        let query = "/api/query?start=1356998300&end=1356998500&m=none:m%7Btime=day%7D";
        let answer = gate.get(query).at(Listener::Opentsdb).send().expect(200).json();
        assert_eq!(answer[0]["tags"], json!({"host": "a", "time": "day"}), "{answer}");
        assert_eq!(answer.as_array().unwrap().len(), 1, "{answer}");
        let keys = gate.get("/api/suggest?type=tagk").at(Listener::Opentsdb).send().expect(200).json();
        assert_eq!(keys, json!(["host", "time"]));
        assert_eq!(
            gate.sql("opentsdb", "select time_1, value from m order by time_1"),
            "time_1,value\nday,1.0\nnight,1.0\n"
        );
        // To InfluxQL the name is that of the time.
        let answer = gate.get("/query?db=opentsdb&q=select%20*%20from%20m").send().expect(200).json();
        let series = &answer["results"][0]["series"][0];
        assert_eq!(series["columns"], json!(["time", "host", "value", "value_int"]), "{answer}");
        assert_eq!(series["values"][0], json!(["2013-01-01T00:00:00Z", "a", 1, 1]), "{answer}");
        // A stop puts all rows into segments.
        gate.ask_to_stop();
        assert!(gate.wait_for_exit().success());
        gate.start_again();
    }
}

#[test]
fn a_tag_may_be_called_as_the_field_is() {
    let gate = Gate::start();
    put(&gate, "", HOST_A).expect(204);
    put(&gate, "", HOST_A.replace("host", "value")).expect(204);
    assert_eq!(
        gate.sql("opentsdb", "select host, value, value_1 from \"sys.cpu\" order by host nulls last"),
        "host,value,value_1\na,42.0,\n,42.0,a\n"
    );
}

#[test]
fn a_point_written_again_is_the_last_one_whatever_its_type() {
    let gate = Gate::start();
    for value in ["1", "2.5", "300", "\"7e0\""] {
        let body = format!(r#"{{"metric":"m","timestamp":1,"value":{value},"tags":{{"a":"b"}}}}"#);
        put(&gate, "", body).expect(204);
    }
    // As seconds and as milliseconds it is the same instant.
    put(&gate, "", r#"{"metric":"m","timestamp":1000000000000,"value":3,"tags":{"a":"b"}}"#).expect(204);
    put(&gate, "", r#"{"metric":"m","timestamp":1000000000,"value":4,"tags":{"a":"b"}}"#).expect(204);
    assert_eq!(gate.sql("opentsdb", "select value from m order by time"), "value\n7.0\n4.0\n");
}

#[test]
fn good_points_are_stored_beside_bad_ones() {
    let gate = Gate::start();
    let body = format!("[{HOST_A},{},null]", HOST_A.replace("sys.cpu", "a b"));
    let answer = put(&gate, "", &body).expect(400);
    assert_eq!(answer.json()["error"]["message"], "One or more data points had errors", "{answer}");
    assert_eq!(rows(&gate, "sys.cpu").lines().count(), 2);
    assert_eq!(put(&gate, "?summary", &body).expect(400).json(), json!({"success": 1, "failed": 2}));
    let details = put(&gate, "?details&summary=false", &body).expect(400).json();
    let datapoint = json!({"metric": "a b", "timestamp": 1_356_998_400, "value": "42", "tags": {"host": "a"}});
    let expected = json!({"success": 1, "failed": 2, "errors": [
        {"datapoint": datapoint, "error": "Invalid metric name (\"a b\"): illegal character:  "},
        {"datapoint": Value::Null, "error": "Unexpected null datapoint encountered in set."},
    ]});
    assert_eq!(details, expected);
    assert_eq!(
        put(&gate, "?sync&sync_timeout=10000&summary", HOST_A).expect(200).json(),
        json!({"success": 1, "failed": 0, "timeouts": 0})
    );
}

#[test]
fn a_body_that_cannot_be_read_stores_nothing() {
    let gate = Gate::start();
    for (body, message) in [
        ("", "Missing request content"),
        ("[]", "No datapoints found in content"),
        ("x", "The JSON must start as an object or an array"),
        (&format!("[{HOST_A},{{\"value\":[]}}]"), "Unable to parse the given JSON"),
        (&format!("[{HOST_A},"), "Unable to parse the given JSON"),
    ] {
        let answer = put(&gate, "", body).expect(400);
        assert_eq!(answer.json()["error"]["message"], message, "{answer}");
    }
    let (status, ..) = gate.sql_error("opentsdb", "select 1 from \"sys.cpu\"");
    assert_eq!(status, 422);
}

#[test]
fn packed_and_chunked_bodies_are_read() {
    let gate = Gate::start();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(format!("[{HOST_A}]").as_bytes()).unwrap();
    let packed = gate.post("/api/put?summary", packer.finish().unwrap()).header("Content-Encoding", "gzip");
    assert_eq!(packed.at(Listener::Opentsdb).send().expect(200).json()["success"], 1);
    let mut wire = Wire::to(&gate, Listener::Opentsdb);
    let (left, right) = HOST_A.split_at(30);
    wire.send(format!(
        "POST /api/put?summary HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{left}\r\n{:x}\r\n{right}\r\n0\r\n\r\n",
        left.len(),
        right.len()
    ));
    assert_eq!(wire.answer().expect(200).json()["success"], 1);
}

#[test]
fn a_body_beyond_the_limit_is_refused_as_an_error_object() {
    let gate = Gate::with(&[("limits.body_bytes_max", "2000")]);
    let answer = put(&gate, "", " ".repeat(2_001)).expect(413);
    assert_eq!(answer.json()["error"]["code"], 413, "{answer}");
}

#[test]
fn names_of_old_tables_do_not_matter_to_the_database() {
    let gate = Gate::with(&[("opentsdb.database", "metrics")]);
    put(&gate, "", HOST_A).expect(204);
    assert_eq!(gate.sql("metrics", "select value from \"sys.cpu\""), "value\n42.0\n");
}

#[test]
fn points_make_no_metrics_where_they_may_not() {
    let gate = Gate::with(&[("opentsdb.auto_create_metrics", "false")]);
    let answer = put(&gate, "?details", HOST_A).expect(400).json();
    assert_eq!((&answer["failed"], &answer["errors"][0]["error"]), (&1.into(), &"Unknown metric".into()), "{answer}");
    gate.create_database("opentsdb");
    gate.write("opentsdb", "sys.cpu,host=a value=1 1");
    put(&gate, "?details", HOST_A).expect(200);
}

#[test]
fn a_table_of_other_columns_refuses_its_points_only() {
    let gate = Gate::start();
    gate.create_database("opentsdb");
    gate.write("opentsdb", "other,host=a value=\"text\" 1");
    let body = format!("[{HOST_A},{}]", HOST_A.replace("sys.cpu", "other"));
    let answer = put(&gate, "?details", body).expect(400).json();
    assert_eq!((&answer["success"], &answer["failed"]), (&1.into(), &1.into()), "{answer}");
    assert_eq!(answer["errors"][0]["error"], "field \"value\" of table \"other\" is string, got float");
}

#[test]
fn rollups_and_histograms_are_not_configured() {
    let gate = Gate::start();
    let rollup = gate.post("/api/rollup?details", HOST_A).at(Listener::Opentsdb).send().expect(400).json();
    assert_eq!(rollup["errors"][0]["error"], "No rollup or aggregations were configured");
    gate.post("/api/histogram", HOST_A).at(Listener::Opentsdb).send().expect(503);
}
