//! `/api/query` and its kin on OpenTSDB's listener: what is streamed, packed, deleted, and asked by series ids.

use std::io::{Read, Write};

use serde_json::{Value, json};
use tidegate::config::Listener;

use crate::http_gate::{Answer, Ask, Gate, encoded, eventually};

const START: i64 = 1_356_998_400;

fn get(gate: &Gate, path: &str) -> Ask {
    gate.get(path).at(Listener::Opentsdb)
}

fn post(gate: &Gate, path: &str, body: &Value) -> Answer {
    gate.post(path, body.to_string()).at(Listener::Opentsdb).send()
}

/// Whole numbers of metric `m`: so many points, a second apart, of each host.
fn write(gate: &Gate, hosts: &[&str], points: i64) {
    gate.create_database("opentsdb");
    let seconds: Vec<i64> = (0..points).collect();
    for seconds in seconds.chunks(10_000) {
        let line = |host: &str, s: i64| format!("m,host={host} value={s},value_int={s}i {}000000000", START + s);
        let lines: Vec<String> = seconds.iter().flat_map(|&s| hosts.iter().map(move |host| line(host, s))).collect();
        gate.write("opentsdb", &lines.join("\n"));
    }
}

fn query(m: &str, end: i64) -> String {
    format!("/api/query?start={START}&end={}&m={}", START + end, encoded(m))
}

#[test]
fn a_long_answer_is_the_same_in_pieces_packed_and_wrapped() {
    let gate = Gate::start();
    write(&gate, &["a", "b"], 5_000);
    let path = query("none:m", 5_000);
    let plain = get(&gate, &path).send().expect(200);
    let groups = plain.json();
    assert_eq!(groups.as_array().map(Vec::len), Some(2));
    assert_eq!(groups[0]["dps"].as_object().map(serde_json::Map::len), Some(5_000));
    assert_eq!(groups[0]["dps"][format!("{}", START + 4_999)], json!(4_999));
    let packed = get(&gate, &path).header("Accept-Encoding", "gzip").send().expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let wrapped = get(&gate, &format!("{path}&jsonp=f")).send().expect(200);
    assert_eq!(wrapped.text(), format!("f({})", plain.text()));
}

#[test]
fn series_are_found_again_by_the_ids_they_are_shown_with() {
    let gate = Gate::start();
    write(&gate, &["a", "b"], 3);
    let shown = get(&gate, &format!("{}&show_tsuids", query("sum:m{host=b}", 10))).send().expect(200).json();
    let tsuid = shown[0]["tsuids"][0].as_str().unwrap().to_string();
    let path = format!("/api/query?start={START}&end={}&tsuid=sum:{tsuid}", START + 10);
    let by_id = get(&gate, &path).send().expect(200).json();
    assert_eq!((&by_id[0]["tags"], &by_id[0]["dps"]), (&json!({"host": "b"}), &shown[0]["dps"]));
    let last = get(&gate, &format!("/api/query/last?tsuids={tsuid}&resolve")).send().expect(200).json();
    let expected =
        json!([{"metric": "m", "timestamp": (START + 2) * 1000, "value": "2", "tags": {"host": "b"}, "tsuid": tsuid}]);
    assert_eq!(last, expected);
    get(&gate, &format!("/api/query?start={START}&tsuid=sum:FFFFFF")).send().expect(400);
}

#[test]
fn annotations_come_with_the_groups_they_are_about() {
    let gate = Gate::start();
    write(&gate, &["a", "b"], 3);
    let shown = get(&gate, &format!("{}&show_tsuids", query("sum:m{host=*}", 10))).send().expect(200).json();
    let note = json!({"startTime": START + 1, "tsuid": shown[1]["tsuids"][0], "description": "restarted"});
    post(&gate, "/api/annotation", &note).expect(200);
    post(&gate, "/api/annotation", &json!({"startTime": START + 2, "description": "deployed"})).expect(200);
    let path = format!("{}&global_annotations", query("sum:m{host=*}", 10));
    let groups = get(&gate, &path).send().expect(200).json();
    assert_eq!(groups[0].get("annotations"), None);
    assert_eq!(groups[1]["annotations"][0]["description"], "restarted");
    for group in 0..2 {
        assert_eq!(groups[group]["globalAnnotations"][0]["description"], "deployed");
    }
    let without = get(&gate, &format!("{path}&no_annotations")).send().expect(200).json();
    assert!(without[1].get("annotations").is_none() && without[1].get("globalAnnotations").is_none());
}

#[test]
fn what_grafana_sends_is_answered() {
    let gate = Gate::start();
    write(&gate, &["a", "b"], 120);
    let sub = json!({"metric": "m", "aggregator": "sum", "downsample": "1m-avg", "tags": {"host": "*"}});
    let body = json!({"start": START, "end": START + 119, "queries": [sub]});
    let groups = post(&gate, "/api/query", &body).expect(200).json();
    let expected = json!({START.to_string(): 29.5, (START + 60).to_string(): 89.5});
    assert_eq!((groups.as_array().map(Vec::len), &groups[1]["dps"]), (Some(2), &expected));
    let arrays = post(&gate, "/api/query?arrays=true", &body).expect(200).json();
    assert_eq!(arrays[0]["dps"], json!([[START, 29.5], [START + 60, 89.5]]));
    let sub = json!({"metric": "m", "aggregator": "sum", "downsample": "1m-max", "rate": true,
        "rateOptions": {"counter": false, "dropResets": true},
        "filters": [{"type": "literal_or", "tagk": "host", "filter": "a|b", "groupBy": false}], "explicitTags": true});
    let old = json!({"start": START, "end": START + 119, "queries": [sub], "msResolution": true,
        "globalAnnotations": true, "showQuery": true});
    let groups = post(&gate, "/api/query", &old).expect(200).json();
    assert_eq!(groups[0]["query"]["index"], json!(0));
    assert_eq!(groups[0]["dps"], json!({((START + 60) * 1000).to_string(): 2.0}));
}

#[test]
fn fields_of_other_protocols_are_metrics() {
    let gate = Gate::start();
    gate.create_database("telegraf");
    gate.write("telegraf", &format!("cpu,host=a usage_user=1.5,n=3i {START}000000000"));
    let dps = |m: &str| get(&gate, &query(m, 10)).send().expect(200).json()[0]["dps"].clone();
    assert_eq!(dps("sum:cpu.usage_user"), json!({START.to_string(): 1.5}));
    assert_eq!(dps("sum:telegraf.cpu.n"), json!({START.to_string(): 3}));
    let unknown = get(&gate, &query("sum:cpu.none", 10)).send().expect(400).json();
    assert_eq!(unknown["error"]["message"], "No such name for 'metrics': 'cpu.none'");
}

#[test]
fn the_1x_form_is_a_line_a_point() {
    let gate = Gate::start();
    write(&gate, &["a"], 2);
    let path = format!("/q?start={START}&end={}&m=sum:m&ascii", START + 10);
    let answer = get(&gate, &path).send().expect(200);
    assert_eq!(answer.text(), format!("m {START} 0 host=a\nm {} 1 host=a\n", START + 1));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
}

#[test]
fn a_delete_takes_the_windows_of_what_it_answers() {
    let gate = Gate::with(&[("opentsdb.allow_delete", "true")]);
    write(&gate, &["a", "b"], 3);
    gate.write("opentsdb", &format!("m,host=b value=9,value_int=9i {}000000000", START + 7200));
    let path = query("sum:m{host=b}", 1);
    let deleted = gate.ask("DELETE", &path).at(Listener::Opentsdb).send().expect(200).json();
    assert_eq!(deleted[0]["dps"], json!({START.to_string(): 0, (START + 1).to_string(): 1}));
    assert_eq!(get(&gate, &path).send().expect(200).json(), json!([]));
    let rest = get(&gate, &query("none:m", 8000)).send().expect(200).json();
    assert_eq!(rest[0]["dps"].as_object().map(serde_json::Map::len), Some(3), "another series stays whole");
    assert_eq!(rest[1]["dps"], json!({(START + 7200).to_string(): 9}), "another hour stays");
    gate.write("opentsdb", &format!("cpu,host=a idle=1,user=2 {START}000000000"));
    let path = query("sum:cpu.idle", 10);
    let refused = gate.ask("DELETE", &path).at(Listener::Opentsdb).send().expect(400).json();
    assert_eq!(refused["error"]["message"], "Only whole metrics can be deleted");
    assert!(get(&gate, &query("sum:cpu.user", 10)).send().expect(200).json()[0]["dps"].is_object());
    let off = Gate::start();
    write(&off, &["b"], 1);
    let refused = off.ask("DELETE", &path).at(Listener::Opentsdb).send().expect(400).json();
    assert_eq!(refused["error"]["message"], "Bad request");
}

#[test]
fn a_client_that_hangs_up_ends_its_query() {
    let gate = Gate::start();
    write(&gate, &["a", "b", "c", "d"], 60_000);
    let mut stream = gate.connect(Listener::Opentsdb);
    let path = format!("{}&ms", query("none:m", 60_000));
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0; 1024];
    assert!(stream.read(&mut first).unwrap() > 0);
    drop(stream);
    eventually("the query is cancelled", || {
        let text = gate.get("/metrics").send().expect(200).text();
        let count = "tidegate_query_seconds_count{language=\"opentsdb\",result=\"cancelled\"} 1";
        text.lines().any(|line| line == count)
    });
}
