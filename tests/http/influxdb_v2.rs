//! InfluxDB 2's endpoints over the same data: buckets and deletes.

use serde_json::{Value, json};

use crate::http_gate::{Answer, Gate, encoded};

fn names(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let buckets = json["buckets"].as_array().unwrap_or_else(|| panic!("no buckets in {answer}"));
    buckets.iter().map(|bucket| bucket["name"].as_str().unwrap().to_string()).collect()
}

fn delete(gate: &Gate, bucket: &str, start: &str, stop: &str, predicate: &str) -> Answer {
    let body = json!({"start": start, "stop": stop, "predicate": predicate});
    gate.post(&format!("/api/v2/delete?org=o&bucket={}", encoded(bucket)), body.to_string()).send()
}

fn left(gate: &Gate) -> String {
    gate.sql("d", "select host, v from m order by time")
}

#[test]
fn buckets_are_databases_with_their_policies() {
    let gate = Gate::start();
    gate.create_database("d");
    let q = encoded("CREATE RETENTION POLICY short ON d DURATION 2d REPLICATION 1");
    gate.post(&format!("/query?q={q}"), "").send().expect(200);
    let all = gate.get("/api/v2/buckets").send().expect(200);
    assert_eq!(names(&all), ["public/autogen", "d/autogen", "d/short"]);
    let found = gate.get("/api/v2/buckets?name=d%2Fshort&org=o").send().expect(200).json();
    assert_eq!(found["buckets"][0]["id"], "d/short");
    let rule = json!({"type": "expire", "everySeconds": 172_800, "shardGroupDurationSeconds": 86_400});
    assert_eq!(found["buckets"][0]["retentionRules"], json!([rule]));
    assert_eq!(names(&gate.get("/api/v2/buckets?limit=1&offset=1").send().expect(200)), ["d/autogen"]);
    assert!(names(&gate.get("/api/v2/buckets?name=x").send().expect(200)).is_empty());
    assert_eq!(
        gate.get("/api/v2/buckets?limit=0").send().expect(400).influxdb_error(),
        "limit must be between 1 and 100"
    );
}

#[test]
fn rows_are_deleted_by_time_and_tags() {
    let gate = Gate::start();
    gate.create_database("d");
    gate.write(
        "d",
        "m,host=a v=1 1000000000\nm,host=b v=2 1000000000\nm,host=a v=3 2000000000\nn,host=a v=4 1000000000",
    );
    delete(&gate, "d", "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z", r#"_measurement="m" AND host="a""#).expect(204);
    assert_eq!(left(&gate), "host,v\nb,2.0\na,3.0\n");
    assert_eq!(gate.sql("d", "select v from n"), "v\n4.0\n");
    delete(&gate, "d/autogen", "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "host=\"a\"").expect(204);
    assert_eq!(left(&gate), "host,v\nb,2.0\n");
    assert_eq!(gate.sql("d", "select count(*) as n from n"), "n\n0\n");
    delete(&gate, "d", "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "").expect(204);
    assert_eq!(gate.sql("d", "select count(*) as n from m"), "n\n0\n");
}

#[test]
fn a_delete_stays_in_its_policy() {
    let gate = Gate::start();
    gate.create_database("d");
    let q = encoded("CREATE RETENTION POLICY other ON d DURATION INF REPLICATION 1");
    gate.post(&format!("/query?q={q}"), "").send().expect(200);
    for policy in ["autogen", "other"] {
        gate.post(&format!("/write?db=d&rp={policy}"), "m v=1 1").send().expect(204);
    }
    delete(&gate, "d/other", "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "").expect(204);
    let count = |policy: &str| {
        let q = encoded(&format!("SELECT count(v) FROM {policy}.m"));
        gate.get(&format!("/query?db=d&q={q}")).send().expect(200).json()["results"][0]["series"][0]["values"][0][1]
            .clone()
    };
    assert_eq!((count("autogen"), count("other")), (json!(1), Value::Null));
}

#[test]
fn what_is_not_understood_deletes_nothing() {
    let gate = Gate::start();
    gate.create_database("d");
    gate.write("d", "m,host=a v=1 1");
    let (start, stop) = ("1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    for predicate in ["host=\"a\" OR host=\"b\"", "host!=\"a\"", "_field=\"v\"", "host"] {
        delete(&gate, "d", start, stop, predicate).expect(400);
    }
    // A field is no tag: there are no such rows.
    delete(&gate, "d", start, stop, "v=\"1\"").expect(204);
    delete(&gate, "d", "yesterday", stop, "").expect(400);
    delete(&gate, "d/nowhere", start, stop, "").expect(404);
    assert_eq!(delete(&gate, "x", start, stop, "").expect(404).influxdb_error(), "database not found: \"x\"");
    delete(&gate, "", start, stop, "").expect(400);
    gate.post("/api/v2/delete?bucket=d", "{}").send().expect(400);
    assert_eq!(left(&gate), "host,v\na,1.0\n");
}

#[test]
fn with_authentication_buckets_are_those_of_the_user() {
    let settings = [("auth.enabled", "true"), ("auth.admin_user", "root"), ("auth.admin_password", "secret")];
    let gate = Gate::with(&settings);
    for q in ["CREATE DATABASE d", "CREATE USER ann WITH PASSWORD 'a'", "GRANT READ ON d TO ann"] {
        gate.post(&format!("/query?u=root&p=secret&q={}", encoded(q)), "").send().expect(200);
    }
    let list = |token: &str| gate.get("/api/v2/buckets").header("Authorization", token).send();
    assert_eq!(names(&list("Token ann:a").expect(200)), ["d/autogen"]);
    assert_eq!(names(&list("Token root:secret").expect(200)), ["public/autogen", "d/autogen"]);
    list("Token ann:b").expect(401);
    let body = json!({"start": "1970-01-01T00:00:00Z", "stop": "2100-01-01T00:00:00Z"}).to_string();
    gate.post("/api/v2/delete?bucket=d", &body).header("Authorization", "Token ann:a").send().expect(403);
    gate.post("/api/v2/delete?bucket=d", &body).header("Authorization", "Token root:secret").send().expect(204);
}
