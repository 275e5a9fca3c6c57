//! What clients of Elasticsearch ask beside bulk: searches by time, counts, refreshes, mappings, settings, data streams.

use serde_json::{Value as Json, json};
use tidegate::config::Listener;

use crate::http_gate::{Answer, Gate};

fn ask(gate: &Gate, method: &str, path: &str, body: &Json) -> Answer {
    let ask = if method == "POST" { gate.post(path, body.to_string()) } else { gate.ask(method, path) };
    ask.at(Listener::Elasticsearch).header("content-type", "application/json").send()
}

fn put(gate: &Gate, path: &str, body: &str) -> Answer {
    let ask = gate.ask("PUT", path).body(body);
    ask.at(Listener::Elasticsearch).header("content-type", "application/json").send()
}

/// A gateway with an index `app` of four documents, a second apart.
fn with_documents() -> Gate {
    let gate = Gate::start();
    let lines: String = (0..4)
        .map(|n| {
            let host = format!(r#"{{"name":"h{n}","cpu":{{"load":0.5}}}}"#);
            format!("{{\"index\":{{}}}}\n{{\"@timestamp\":\"2024-05-01T10:00:0{n}.25Z\",\"n\":{n},\"host\":{host}}}\n")
        })
        .collect();
    gate.post("/app/_bulk", lines).at(Listener::Elasticsearch).send().expect(200);
    gate
}

/// Status, type and reason.
#[track_caller]
fn error(answer: &Answer) -> (u16, String, String) {
    assert_eq!(answer.header("x-elastic-product"), Some("Elasticsearch"), "{answer}");
    let error = &answer.json()["error"];
    assert_eq!(error["root_cause"][0]["type"], error["type"], "{answer}");
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_string();
    (answer.status, text("type"), text("reason"))
}

#[test]
fn a_question_that_is_not_answered_is_refused_and_never_answered_in_part() {
    let gate = with_documents();
    let check = |path: &str, body: Json| {
        let (status, kind, reason) = error(&ask(&gate, "POST", path, &body));
        assert_eq!((status, kind.as_str()), (400, "illegal_argument_exception"), "{path} {body}: {reason}");
        assert!(reason.contains("with SQL"), "{path} {body}: {reason}");
    };
    check("/app/_search?scroll=1m", json!({"size": 1000, "sort": ["_doc"]}));
    check("/_search?scroll=5m", json!({}));
    check("/app/_search?routing=a", json!({}));
    check("/app/_count?routing=a", json!({}));
    check("/app/_search", json!({"search_after": [1], "sort": ["@timestamp"]}));
    check("/app/_search", json!({"aggs": {"n": {"max": {"field": "n"}}}}));
    check("/app/_search", json!({"fields": ["n"]}));
    check("/app/_search", json!({"pit": {"id": "a"}}));
    check("/app/_search", json!({"collapse": {"field": "n"}}));
    check("/app/_search", json!({"from": 10_000}));
    let (status, _, reason) = error(&ask(&gate, "GET", "/app/_search?source=%7B%22aggs%22:%7B%7D%7D", &json!({})));
    assert_eq!((status, reason.contains("[aggs]")), (400, true), "{reason}");
    let (_, _, reason) = error(&ask(&gate, "POST", "/app/_search?colour=red", &json!({})));
    assert_eq!(reason, "request [/app/_search] contains unrecognized parameter: [colour]");
    let (status, kind, _) = error(&ask(&gate, "POST", "/app/_count", &json!({"aggs": {}})));
    assert_eq!((status, kind.as_str()), (400, "parsing_exception"));
}

#[test]
fn hits_hold_what_was_asked_for() {
    let gate = with_documents();
    let hits = |query: &str, body: Json| {
        let answer = ask(&gate, "POST", &format!("/app/_search?{query}"), &body).expect(200).json();
        answer["hits"].clone()
    };
    let newest = json!({"size": 2, "sort": [{"@timestamp": "desc"}, "_doc"]});
    let found = hits("", newest.clone());
    let sorted: Vec<&Json> = found["hits"].as_array().unwrap().iter().map(|hit| &hit["sort"]).collect();
    assert_eq!(sorted, [&json!([1_714_557_603_250_u64, 0]), &json!([1_714_557_602_250_u64, 1])]);
    assert_eq!((&found["max_score"], &found["hits"][0]["_score"]), (&Json::Null, &Json::Null));
    let plain = hits("", json!({}));
    assert!(plain["hits"][0].get("sort").is_none(), "{plain}");
    assert_eq!((&plain["max_score"], &plain["hits"][0]["_score"]), (&json!(1.0), &json!(1.0)));

    let source = |source: Json| {
        let body = json!({"size": 1, "sort": [{"@timestamp": "desc"}], "_source": source});
        hits("", body)["hits"][0]["_source"].clone()
    };
    let load = json!({"host.cpu.load": 0.5, "host.name": "h3"});
    assert_eq!(source(json!("n")), json!({"n": 3}));
    assert_eq!(source(json!(["host"])), load);
    assert_eq!(source(json!({"includes": ["*.load", "n"], "excludes": ["n"]})), json!({"host.cpu.load": 0.5}));
    assert_eq!(source(json!({"excludes": ["@timestamp", "n"]})), load);
    assert_eq!(source(json!([]))["@timestamp"], "2024-05-01T10:00:03.250Z");
    let bare = hits("_source=false&rest_total_hits_as_int=true", newest.clone());
    assert!(bare["hits"][0].get("_source").is_none() && bare["hits"][0]["_id"].is_string(), "{bare}");
    assert_eq!(bare["total"], 4);
    assert_eq!(
        hits("_source_includes=host&_source_excludes=*.load", newest)["hits"][0]["_source"],
        json!({"host.name": "h3"})
    );
    let uncounted = hits("track_total_hits=false&version=true", json!({}));
    assert!(uncounted.get("total").is_none(), "{uncounted}");
    assert_eq!(uncounted["hits"][0]["_version"], 1);
    let missing = ask(&gate, "GET", "/app,none/_count?ignore_unavailable=true", &json!({})).expect(200).json();
    assert_eq!(missing["count"], 4);
    ask(&gate, "GET", "/n*/_count?allow_no_indices=false", &json!({})).expect(404);
}

#[test]
fn a_refresh_finds_everything_done_and_knows_its_indices() {
    let gate = Gate::start();
    let all = json!({"_shards": {"total": 0, "successful": 0, "failed": 0}});
    assert_eq!(ask(&gate, "POST", "/_refresh", &json!({})).expect(200).json(), all);
    drop(gate);
    let gate = with_documents();
    let one = json!({"_shards": {"total": 1, "successful": 1, "failed": 0}});
    for what in ["_refresh", "_flush"] {
        for path in [format!("/{what}"), format!("/_all/{what}"), format!("/app/{what}"), format!("/a*/{what}")] {
            for method in ["POST", "GET"] {
                assert_eq!(ask(&gate, method, &path, &json!({})).expect(200).json(), one, "{method} {path}");
            }
        }
        let (status, kind, reason) = error(&ask(&gate, "POST", &format!("/none/{what}"), &json!({})));
        assert_eq!(
            (status, kind.as_str(), reason.as_str()),
            (404, "index_not_found_exception", "no such index [none]")
        );
        ask(&gate, "POST", &format!("/app,none/{what}?ignore_unavailable=true"), &json!({})).expect(200);
    }
    assert_eq!(ask(&gate, "GET", "/_all/_count", &json!({})).expect(200).json()["count"], 4);
}

#[test]
fn mappings_and_settings_are_acknowledged_where_they_contradict_nothing() {
    let gate = with_documents();
    let acknowledged = json!({"acknowledged": true});
    let settings = r#"{"index":{"refresh_interval":"-1","number_of_replicas":0}}"#;
    let mapping = r#"{"properties":{"n":{"type":"long"},"new":{"type":"ip"}}}"#;
    for (path, body) in [
        ("/app/_settings", settings),
        ("/_settings", settings),
        ("/app/_mapping", mapping),
        ("/app/_mappings", mapping),
    ] {
        assert_eq!(put(&gate, path, body).expect(200).json(), acknowledged, "{path}");
    }
    let check = |path: &str, body: &str, expected: (u16, &str)| {
        let (status, kind, reason) = error(&put(&gate, path, body));
        assert_eq!((status, kind.as_str()), expected, "{path} {body}: {reason}");
    };
    check("/app/_mapping", r#"{"properties":{"n":{"type":"keyword"}}}"#, (400, "illegal_argument_exception"));
    check("/app/_mapping", r#"{"_doc":{"properties":{}}}"#, (400, "mapper_parsing_exception"));
    check("/app/_mapping", "", (400, "parse_exception"));
    check("/none/_mapping", mapping, (404, "index_not_found_exception"));
    check("/none/_settings", settings, (404, "index_not_found_exception"));
    check("/app/_settings", "{}", (400, "action_request_validation_exception"));
    check("/app/_settings", r#"{"index.blocks.write":true}"#, (400, "illegal_argument_exception"));
    let told = ask(&gate, "GET", "/app/_settings", &json!({})).expect(200).json();
    assert_eq!(told["app"]["settings"]["index"]["provided_name"], "app");
}

#[test]
fn data_streams_tell_how_large_and_how_new_they_are() {
    let gate = Gate::start();
    let stats = |path: &str| ask(&gate, "GET", path, &json!({}));
    assert_eq!(stats("/_data_stream/_stats").expect(200).json()["data_stream_count"], 0);
    for name in ["logs-a", "logs-b"] {
        put(&gate, &format!("/_data_stream/{name}"), "").expect(200);
    }
    let document = "{\"create\":{}}\n{\"@timestamp\":\"2024-05-01T10:00:00.125Z\",\"n\":1}\n";
    gate.post("/logs-b/_bulk", document).at(Listener::Elasticsearch).send().expect(200);
    let told = stats("/_data_stream/_stats").expect(200).json();
    assert_eq!((&told["data_stream_count"], &told["backing_indices"]), (&json!(2), &json!(2)));
    let newest = |stream: &Json| (stream["data_stream"].clone(), stream["maximum_timestamp"].clone());
    let streams: Vec<_> = told["data_streams"].as_array().unwrap().iter().map(newest).collect();
    assert_eq!(streams, [(json!("logs-a"), json!(0)), (json!("logs-b"), json!(1_714_557_600_125_u64))]);
    assert_eq!(stats("/_data_stream/*-a/_stats").expect(200).json()["data_stream_count"], 1);
    assert_eq!(error(&stats("/_data_stream/none/_stats")).1, "index_not_found_exception");
    // A stream without a document has no table, and is there all the same.
    assert_eq!(stats("/logs-a/_count").expect(200).json()["count"], 0);
}
