//! Names, series, numbers and annotations of OpenTSDB's API.

use std::io::{Read, Write};

use serde_json::{Value, json};
use tidegate::config::Listener;

use crate::http_gate::{Answer, Gate};

fn get(gate: &Gate, path: &str) -> Answer {
    gate.get(path).at(Listener::Opentsdb).send()
}

fn post(gate: &Gate, path: &str, body: &Value) -> Answer {
    gate.post(path, body.to_string()).at(Listener::Opentsdb).send()
}

fn put(gate: &Gate, points: &[(&str, &[(&str, &str)])]) {
    let point = |(metric, tags): &(&str, &[(&str, &str)])| {
        let tags: serde_json::Map<_, _> =
            tags.iter().map(|(key, value)| (key.to_string(), Value::from(*value))).collect();
        json!({"metric": metric, "timestamp": 1_356_998_400, "value": 1, "tags": tags})
    };
    let points: Vec<Value> = points.iter().map(point).collect();
    post(gate, "/api/put", &points.into()).expect(204);
}

fn world() -> Gate {
    let gate = Gate::start();
    put(
        &gate,
        &[
            ("sys.cpu", &[("host", "web01"), ("dc", "east")]),
            ("sys.cpu", &[("host", "web02")]),
            ("sys.Mem", &[("host", "web01")]),
            ("net", &[("if", "eth0")]),
        ],
    );
    gate
}

#[track_caller]
fn suggested(gate: &Gate, query: &str, expected: &[&str]) {
    assert_eq!(get(gate, &format!("/api/suggest?{query}")).expect(200).json(), json!(expected), "{query}");
}

#[test]
fn names_are_completed_whether_flushed_or_not() {
    let mut gate = world();
    for _ in 0..2 {
        suggested(&gate, "type=metrics&q=sys.", &["sys.Mem", "sys.cpu"]);
        suggested(&gate, "type=metrics&max=1", &["net"]);
        suggested(&gate, "type=tagk", &["dc", "host", "if"]);
        suggested(&gate, "type=tagv&q=web", &["web01", "web02"]);
        suggested(&gate, "type=tagv&q=Web", &[]);
        // A stop puts all rows into segments.
        gate.ask_to_stop();
        assert!(gate.wait_for_exit().success());
        gate.start_again();
    }
}

#[test]
fn fields_of_other_tables_are_metrics_too() {
    let gate = world();
    gate.create_database("telegraf");
    gate.write("telegraf", "cpu,host=a usage_user=1,usage_system=2i,note=\"x\" 1");
    suggested(&gate, "type=metrics&q=cpu", &["cpu.usage_system", "cpu.usage_user"]);
    suggested(&gate, "type=metrics&q=cpu.usage_u", &["cpu.usage_user"]);
}

#[test]
fn series_are_looked_up_by_metric_and_tags() {
    let gate = world();
    let tags = |query: &str| -> Value {
        let answer = get(&gate, &format!("/api/search/lookup?{query}")).expect(200).json();
        let mut tags: Vec<Value> = answer["results"].as_array().unwrap().iter().map(|r| r["tags"].clone()).collect();
        tags.sort_by_key(Value::to_string);
        assert_eq!(answer["totalResults"], tags.len());
        tags.into()
    };
    let (both, second) = (json!({"dc": "east", "host": "web01"}), json!({"host": "web02"}));
    assert_eq!(tags("m=sys.cpu"), json!([both, second]));
    assert_eq!(tags("m=sys.cpu{dc=*}"), json!([both]));
    assert_eq!(tags("m=sys.cpu{host=web02}"), json!([second]));
    assert_eq!(tags("m={host=web01}"), json!([both, {"host": "web01"}]));
    assert_eq!(tags("m=sys.cpu{*=east}"), json!([both]));
    assert_eq!(tags("m=net{if=eth0}&limit=1"), json!([{"if": "eth0"}]));
    assert_eq!(tags("m=sys.Mem{host=web02}"), json!([]));
    for unknown in ["m=nosuch", "m=net{nokey=*}", "m=net{if=novalue}"] {
        let answer = get(&gate, &format!("/api/search/lookup?{unknown}")).expect(404);
        assert_eq!(answer.json()["error"]["message"], "Unable to resolve one or more UIDs", "{answer}");
    }
}

#[test]
fn a_series_keeps_its_tsuid() {
    let mut gate = world();
    let tsuid = |gate: &Gate| {
        let answer = get(gate, "/api/search/lookup?m=sys.cpu{host=web01}").expect(200).json();
        answer["results"][0]["tsuid"].as_str().unwrap().to_string()
    };
    let first = tsuid(&gate);
    put(&gate, &[("aaa", &[("aaa", "aaa")])]);
    get(&gate, "/api/search/lookup?m=aaa").expect(200);
    assert_eq!(tsuid(&gate), first);
    gate.kill_and_restart();
    assert_eq!(tsuid(&gate), first);
    let answer = get(&gate, &format!("/api/query?start=1356998300&end=1356998500&tsuid=sum:{first}")).expect(200);
    assert_eq!(answer.json()[0]["tags"], json!({"dc": "east", "host": "web01"}), "{answer}");
}

#[test]
fn names_get_numbers_once() {
    let gate = world();
    let answer = post(&gate, "/api/uid/assign", &json!({"metric": ["b", "a"], "tagk": ["k"]})).expect(200).json();
    assert_eq!(answer, json!({"metric": {"a": "000001", "b": "000002"}, "tagk": {"k": "000001"}}));
    let answer = get(&gate, "/api/uid/assign?metric=a,c,x%20y").expect(400).json();
    assert_eq!(
        answer,
        json!({
            "metric": {"c": "000003"},
            "metric_errors": {
                "a": "Name already exists with UID: 000001",
                "x y": "Invalid metric (\"x y\"): illegal character:  ",
            },
        })
    );
    // Points had the name before.
    let answer = get(&gate, "/api/uid/assign?metric=net&tagv=eth0").expect(400).json();
    assert!(answer["metric_errors"]["net"].as_str().unwrap().starts_with("Name already exists with UID: "), "{answer}");
    assert!(answer["tagv_errors"]["eth0"].is_string(), "{answer}");
    let long = "l".repeat(1025);
    let answer = post(&gate, "/api/uid/assign", &json!({"tagv": [&long, "eth0", "fresh"]})).expect(400).json();
    assert!(answer["tagv"]["fresh"].is_string() && answer["tagv"].get(&long).is_none(), "{answer}");
    assert_eq!(answer["tagv_errors"][&long], "Invalid tagv: 1025 bytes are more than 1024");
    suggested(&gate, "type=metrics&q=c", &["c"]);
    assert_eq!(get(&gate, "/api/uid/uidmeta?uid=000002&type=metric").expect(200).json()["name"], "b");
    get(&gate, "/api/uid/bogus").expect(501);
}

#[test]
fn a_name_without_points_can_be_renamed() {
    let gate = world();
    post(&gate, "/api/uid/assign", &json!({"metric": ["early"]})).expect(200);
    let renamed = json!({"metric": "early", "name": "late"});
    assert_eq!(post(&gate, "/api/uid/rename", &renamed).expect(200).json(), json!({"result": "true"}));
    suggested(&gate, "type=metrics&q=early", &[]);
    suggested(&gate, "type=metrics&q=late", &["late"]);
    let again = post(&gate, "/api/uid/rename", &renamed).expect(400).json();
    assert_eq!(again, json!({"result": "false", "error": "Name(\"early\") does not exist"}));
    let nothing = message(post(&gate, "/api/uid/rename", &json!({"name": "x"})), 400);
    assert_eq!(nothing, "Missing necessary values to rename UID");
}

#[track_caller]
fn rename(gate: &Gate, kind: &str, old: &str, new: &str) {
    let answer = get(gate, &format!("/api/uid/rename?{kind}={old}&name={new}")).expect(200);
    assert_eq!(answer.json(), json!({"result": "true"}), "{answer}");
}

/// Why a name is not renamed.
#[track_caller]
fn not_renamed(gate: &Gate, kind: &str, old: &str, new: &str) -> String {
    let answer = get(gate, &format!("/api/uid/rename?{kind}={old}&name={new}")).expect(400).json();
    assert_eq!(answer["result"], "false", "{answer}");
    answer["error"].as_str().unwrap().to_string()
}

/// Tags and points of each series of a metric, one a line.
#[track_caller]
fn points(gate: &Gate, metric: &str) -> Vec<String> {
    let query = format!("/api/query?start=1356998300&end=1356998500&m=none:{metric}");
    let answer = get(gate, &query).expect(200).json();
    let series = answer.as_array().unwrap().iter().map(|series| format!("{} {}", series["tags"], series["dps"]));
    let mut series: Vec<String> = series.collect();
    series.sort();
    series
}

#[test]
fn points_show_under_a_metrics_new_name() {
    let mut gate = world();
    let before = points(&gate, "sys.cpu");
    assert_eq!(before.len(), 2, "{before:?}");
    let tsuid = |metric: &str| {
        let found = get(&gate, &format!("/api/search/lookup?m={metric}{{host=web02}}")).expect(200).json();
        found["results"][0]["tsuid"].as_str().unwrap().to_string()
    };
    let number = tsuid("sys.cpu");
    rename(&gate, "metric", "sys.cpu", "load");
    assert_eq!(tsuid("load"), number);
    for _ in 0..2 {
        assert_eq!(points(&gate, "load"), before);
        suggested(&gate, "type=metrics", &["load", "net", "sys.Mem"]);
        assert!(message(get(&gate, "/api/query?start=1356998300&m=sum:sys.cpu"), 400).contains("sys.cpu"));
        // A stop puts all rows into segments.
        gate.ask_to_stop();
        assert!(gate.wait_for_exit().success());
        gate.start_again();
    }
    // Who goes on writing to the old name makes another metric, in a folder of its own.
    put(&gate, &[("sys.cpu", &[("host", "late")]), ("load", &[("host", "late")])]);
    assert_eq!(points(&gate, "sys.cpu").len(), 1);
    assert_eq!(points(&gate, "load").len(), 3);
    assert_eq!(not_renamed(&gate, "metric", "load", "net"), "An UID with name net for metric already exists");
    gate.ask_to_stop();
    assert!(gate.wait_for_exit().success());
    let folders: std::collections::BTreeSet<String> = gate
        .files()
        .iter()
        .filter_map(|file| file.split_once("/autogen/")?.1.split_once('/').map(|(folder, _)| folder.to_string()))
        .filter(|folder| folder.starts_with("sys.cpu") || folder.starts_with("load"))
        .collect();
    assert!(folders.len() == 2 && folders.contains("sys.cpu"), "{folders:?}");
    gate.start_again();
    assert_eq!((points(&gate, "sys.cpu").len(), points(&gate, "load").len()), (1, 3));
}

#[test]
fn points_show_under_a_tag_keys_new_name() {
    let mut gate = world();
    // Looked for once, the tags of a segment are kept.
    suggested(&gate, "type=tagv&q=web", &["web01", "web02"]);
    rename(&gate, "tagk", "host", "server");
    put(&gate, &[("sys.cpu", &[("server", "web03")])]);
    for _ in 0..2 {
        suggested(&gate, "type=tagk", &["dc", "if", "server"]);
        suggested(&gate, "type=tagv&q=web", &["web01", "web02", "web03"]);
        let shown = points(&gate, "sys.cpu{server=*}");
        assert!(shown.len() == 3 && shown.iter().all(|series| series.contains(r#""server":"web0"#)), "{shown:?}");
        assert_eq!(points(&gate, "sys.Mem{server=web01}").len(), 1);
        gate.ask_to_stop();
        assert!(gate.wait_for_exit().success());
        gate.start_again();
    }
    let table = gate.ask_sql("opentsdb", "select server, dc from \"sys.cpu\" order by server").send().expect(200);
    assert_eq!(table.text(), "server,dc\nweb01,east\nweb02,\nweb03,\n");
    // The old name is free, for another tag.
    put(&gate, &[("sys.cpu", &[("host", "x"), ("server", "web01")])]);
    assert_eq!(points(&gate, "sys.cpu{host=*}").len(), 1);
    assert_eq!(not_renamed(&gate, "tagk", "server", "dc"), "An UID with name dc for tagk already exists");
}

#[test]
fn names_that_are_in_rows_or_elsewhere_stay() {
    let gate = world();
    let kept = not_renamed(&gate, "tagv", "web01", "web09");
    assert_eq!(kept, "Name(\"web01\") is one of the tag values of stored points, which keep their names");
    gate.create_database("telegraf");
    gate.write("telegraf", "cpu,host=a usage=1");
    let kept = not_renamed(&gate, "tagk", "host", "server");
    assert_eq!(kept, "Name(\"host\") stays: tables outside of the metrics' database have it too");
    get(&gate, "/api/search/lookup?m=cpu.usage").expect(200);
    let kept = not_renamed(&gate, "metric", "cpu.usage", "x");
    assert_eq!(kept, "Name(\"cpu.usage\") is one of the fields of other tables, which keep their names");
    assert_eq!(
        not_renamed(&gate, "metric", "net", "cpu.usage"),
        "An UID with name cpu.usage for metric already exists"
    );
    rename(&gate, "tagk", "dc", "site");
}

fn send(gate: &Gate, verb: &str, path: &str, body: &Value) -> Answer {
    gate.ask(verb, path).body(body.to_string()).at(Listener::Opentsdb).send()
}

/// DELETE with a body, which the client of the other tests does not send. Returns the status and what comes back.
fn delete(gate: &Gate, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let mut connection = gate.connect(Listener::Opentsdb);
    let head =
        format!("DELETE {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[track_caller]
fn message(answer: Answer, status: u16) -> String {
    answer.expect(status).json()["error"]["message"].as_str().unwrap().to_string()
}

#[test]
fn what_is_said_of_a_name_is_kept_changed_and_taken_back() {
    let mut gate = world();
    post(&gate, "/api/uid/assign", &json!({"tagk": ["rack"]})).expect(200);
    let path = "/api/uid/uidmeta";
    let shown = |gate: &Gate| get(gate, &format!("{path}?uid=000001&type=tagk")).expect(200).json();
    let mut expected = json!({
        "uid": "000001", "type": "TAGK", "name": "rack", "description": "", "notes": "", "created": 0, "custom": null,
        "displayName": "",
    });
    assert_eq!(shown(&gate), expected);
    let said = json!({"uid": "000001", "type": "tagk", "displayName": "Rack", "notes": "n", "custom": {"who": "x"}});
    (expected["displayName"], expected["notes"], expected["custom"]) = ("Rack".into(), "n".into(), json!({"who": "x"}));
    assert_eq!(post(&gate, path, &said).expect(200).json(), expected);
    post(&gate, path, &json!({"uid": "000001", "type": "tagk"})).expect(304);
    gate.kill_and_restart();
    assert_eq!(shown(&gate), expected);
    expected["description"] = "d".into();
    let answer = get(&gate, &format!("{path}?uid=000001&type=TAGK&description=d&method_override=post")).expect(200);
    assert_eq!(answer.json(), expected);
    let said = json!({"uid": "000001", "type": "tagk", "notes": "only"});
    let replaced = send(&gate, "PUT", path, &said).expect(200).json();
    assert_eq!(
        (&replaced["notes"], &replaced["displayName"], &replaced["custom"]),
        (&"only".into(), &"".into(), &Value::Null)
    );
    assert_eq!(delete(&gate, path, &json!({"uid": "000001", "type": "tagk"})), (204, Value::Null));
    assert_eq!((&shown(&gate)["notes"], &shown(&gate)["name"]), (&"".into(), &"rack".into()));
    let said = |uid: &str, kind: &str| json!({"uid": uid, "type": kind, "notes": "n"});
    assert_eq!(message(post(&gate, path, &said("0000FF", "tagk")), 404), "Could not find the requested UID");
    assert_eq!(message(post(&gate, path, &said("", "tagk")), 400), "Missing UID");
    assert_eq!(message(post(&gate, path, &json!({"uid": "000001", "notes": "n"})), 400), "Missing type");
    assert_eq!(message(post(&gate, path, &said("000001", "x")), 400), "Unable to parse the given JSON");
    let refused = json!({"code": 400, "message": "Unable to delete UIDMeta information", "details": "Missing UID"});
    assert_eq!(delete(&gate, path, &json!({"type": "tagk"})), (400, json!({"error": refused})));
    let put = get(&gate, &format!("{path}?type=tagk&method_override=put"));
    assert_eq!(message(put, 400), "Missing parameter <code>uid</code>");
    get(&gate, &format!("{path}?uid=000001&type=tagk&method_override=patch")).expect(405);
}

#[test]
fn what_is_said_of_a_series_is_kept_changed_and_taken_back() {
    let mut gate = world();
    let path = "/api/uid/tsmeta";
    let all = get(&gate, &format!("{path}?m=sys.cpu{{host=web01}}")).expect(200).json();
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    let tsuid = all[0]["tsuid"].as_str().unwrap().to_string();
    let shown = |gate: &Gate| get(gate, &format!("{path}?tsuid={tsuid}")).expect(200).json();
    assert_eq!(shown(&gate), all[0]);
    assert_eq!((&all[0]["max"], all[0].get("custom")), (&"NaN".into(), None));
    let names: Vec<&Value> = all[0]["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    assert_eq!(names, ["dc", "east", "host", "web01"]);
    let said = json!({"tsuid": tsuid, "units": "ms", "retention": 5, "max": 1.5, "custom": {"who": "x"}});
    let mut expected = all[0].clone();
    (expected["units"], expected["retention"], expected["max"]) = ("ms".into(), 5.into(), 1.5.into());
    expected["custom"] = json!({"who": "x"});
    assert_eq!(post(&gate, path, &said).expect(200).json(), expected);
    post(&gate, path, &json!({"tsuid": tsuid})).expect(304);
    // What is said of its metric is shown with it.
    let metric = &expected["metric"]["uid"].clone();
    post(&gate, "/api/uid/uidmeta", &json!({"uid": metric, "type": "metric", "notes": "of all"})).expect(200);
    expected["metric"]["notes"] = "of all".into();
    gate.kill_and_restart();
    assert_eq!(shown(&gate), expected);
    let replaced = send(&gate, "PUT", &format!("{path}?m=sys.cpu{{dc=east,host=web01}}"), &json!({"displayName": "s"}));
    let replaced = replaced.expect(200).json();
    assert_eq!(
        (&replaced["displayName"], &replaced["units"], &replaced["tsuid"]),
        (&"s".into(), &"".into(), &tsuid.as_str().into())
    );
    assert_eq!(delete(&gate, path, &json!({"tsuid": tsuid})).0, 204);
    assert_eq!(shown(&gate)["displayName"], "");
    // A series without points has meta data when somebody makes it.
    let pointless = format!("{path}?m=sys.cpu{{host=web01}}");
    let refused = message(post(&gate, &pointless, &json!({"notes": "n"})), 400);
    assert_eq!(refused, "Could not find TSMeta, specify \"create=true\" to create a new one.");
    let made = post(&gate, &format!("{pointless}&create=true"), &json!({"notes": "n"})).expect(200).json();
    assert_eq!(made["notes"], "n");
    let all = get(&gate, &format!("{path}?m=sys.cpu{{host=web01}}")).expect(200).json();
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    let made = made["tsuid"].as_str().unwrap();
    get(&gate, &format!("{path}?tsuid={made}&method_override=delete")).expect(204);
    assert_eq!(message(get(&gate, &format!("{path}?tsuid={made}")), 404), "Could not find Timeseries meta data");
    let said = json!({"tsuid": made, "notes": "n"});
    assert_eq!(message(post(&gate, path, &said), 400), "Requested TSMeta did not exist");
    let said = json!({"tsuid": "0000FF0000FF0000FF", "notes": "n"});
    assert_eq!(message(post(&gate, path, &said), 404), "Unable to find one or more UIDs");
    assert_eq!(message(get(&gate, &format!("{path}?m=nosuch")), 404), "Unable to find one of the UIDs");
    assert_eq!(message(get(&gate, path), 400), "Missing parameter <code>m</code>");
    let (status, refused) = delete(&gate, path, &json!({}));
    assert_eq!((status, &refused["error"]["message"]), (400, &"Unable to delete TSMeta information".into()));
    assert_eq!(
        message(post(&gate, path, &json!({"tsuid": "000001", "notes": "n"})), 400),
        "TSUID is too short, may be missing tags"
    );
}

#[test]
fn the_last_log_lines_are_shown_at_home() {
    let gate = Gate::with(&[("log.level", "debug")]);
    get(&gate, "/first%0aline").expect(404);
    let text = get(&gate, "/logs").expect(200);
    assert_eq!(text.header("content-type"), Some("text/plain"));
    let text = text.text();
    let line = text.lines().find(|line| line.contains("/first%0aline")).unwrap_or_else(|| panic!("{text}"));
    let columns: Vec<&str> = line.split('\t').collect();
    assert!(columns.len() == 5 && columns[0].parse::<i64>().is_ok() && columns[1] == "DEBUG", "{line}");
    let lines = get(&gate, "/logs?json").expect(200);
    assert_eq!(lines.header("content-type"), Some("application/json"));
    let lines = lines.json();
    // The newest first.
    assert!(lines[0].as_str().unwrap().contains("/logs"), "{lines}");
    assert!(lines.as_array().unwrap().iter().any(|known| *known == line), "{lines}");
    get(&gate, "/logs?level=debug").expect(400);
    // Elsewhere an index may have the name.
    gate.ask("PUT", "/logs").at(Listener::Elasticsearch).send().expect(200);
    assert_ne!(gate.get("/logs").send().status, 200);
}

#[test]
fn annotations_are_kept_changed_and_deleted() {
    let mut gate = Gate::start();
    let first = json!({"startTime": "1356998405", "description": "deploy", "custom": {"who": "x"}});
    let shown = json!({"tsuid": "", "description": "deploy", "notes": "", "custom": {"who": "x"}, "startTime": 1_356_998_405, "endTime": 0});
    assert_eq!(post(&gate, "/api/annotation", &first).expect(200).json(), shown);
    post(&gate, "/api/annotation", &first).expect(304);
    gate.kill_and_restart();
    assert_eq!(get(&gate, "/api/annotation?start_time=1356998405").expect(200).json(), shown);
    let changed = post(&gate, "/api/annotation", &json!({"startTime": 1_356_998_405, "notes": "n"})).expect(200).json();
    assert_eq!((&changed["description"], &changed["notes"]), (&"deploy".into(), &"n".into()));
    let answer = get(&gate, "/api/annotation?start_time=1356998405&tsuid=000001").expect(404);
    assert_eq!(answer.json()["error"]["message"], "Unable to locate annotation in storage", "{answer}");
    post(&gate, "/api/annotation/bulk", &json!([{"startTime": 10}, {"startTime": 20}])).expect(200);
    let deleted = gate
        .get("/api/annotation/bulk?start_time=1&end_time=15&global&method_override=delete")
        .at(Listener::Opentsdb)
        .send()
        .expect(200)
        .json();
    assert_eq!((&deleted["totalDeleted"], &deleted["endTime"]), (&1.into(), &15_000.into()), "{deleted}");
    get(&gate, "/api/annotation?start_time=10").expect(404);
    get(&gate, "/api/annotation?start_time=20").expect(200);
    get(&gate, "/api/annotation?start_time=20&method_override=delete").expect(204);
    get(&gate, "/api/annotation?start_time=20").expect(404);
    get(&gate, "/api/annotation?method_override=patch").expect(405);
}

#[test]
fn the_service_says_what_it_counts() {
    let gate = world();
    let stats = get(&gate, "/api/stats").expect(200).json();
    let added = stats.as_array().unwrap().iter().find(|stat| stat["metric"] == "tsd.datapoints.added").unwrap();
    assert_eq!((&added["value"], &added["tags"]["host"]), (&"4".into(), &"tidegate".into()), "{added}");
    let text = get(&gate, "/stats").expect(200).text();
    assert!(text.lines().all(|line| line.starts_with("tsd.") && line.split(' ').count() >= 3), "{text}");
    let config = get(&gate, "/api/config").expect(200).json();
    assert!(config.as_object().unwrap().values().all(Value::is_string), "{config}");
}
