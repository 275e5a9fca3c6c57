//! `/query`: the statements about databases, where the arguments come from, and what is refused as no InfluxQL.

use crate::http_gate::{Gate, encoded};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// The answer's text to `q` sent by POST.
#[track_caller]
fn ask(gate: &Gate, q: &str) -> String {
    let answer = gate.post("/query", format!("q={}", encoded(q))).header(FORM.0, FORM.1).send().expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    answer.text()
}

fn databases(gate: &Gate) -> Vec<String> {
    let json = gate.get("/query?q=SHOW%20DATABASES").send().expect(200).json();
    let series = &json["results"][0]["series"][0];
    assert_eq!((&series["name"], &series["columns"]), (&"databases".into(), &serde_json::json!(["name"])), "{json}");
    series["values"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap().to_string()).collect()
}

const DONE: &str = "{\"results\":[{\"statement_id\":0}]}\n";

#[test]
fn databases_come_and_go() {
    let gate = Gate::start();
    let at_first = databases(&gate);
    assert_eq!(ask(&gate, "CREATE DATABASE one"), DONE);
    assert_eq!(ask(&gate, "create database \"Two words\""), DONE);
    assert_eq!(ask(&gate, "CREATE DATABASE one"), DONE);
    let mut expected = at_first.clone();
    expected.extend(["one".to_string(), "Two words".to_string()]);
    assert_eq!(databases(&gate), expected);
    gate.write("one", "m f=1 1");
    assert_eq!(ask(&gate, "DROP DATABASE one"), DONE);
    assert_eq!(ask(&gate, "DROP DATABASE one"), DONE);
    assert!(!databases(&gate).contains(&"one".to_string()));
    gate.post("/write?db=one", "m f=1 1").send().expect(404);
    assert_eq!(ask(&gate, "CREATE DATABASE one"), DONE);
    assert_eq!(gate.sql("one", "show tables"), "table_name\n");
}

#[test]
fn databases_outlive_the_process() {
    let mut gate = Gate::start();
    ask(&gate, "CREATE DATABASE kept; CREATE DATABASE lost; DROP DATABASE lost");
    gate.kill_and_restart();
    let names = databases(&gate);
    assert!(names.contains(&"kept".to_string()) && !names.contains(&"lost".to_string()), "{names:?}");
}

#[test]
fn statements_run_in_order_and_stop_at_the_first_that_fails() {
    let gate = Gate::start();
    let text = ask(&gate, "CREATE DATABASE a;; CREATE DATABASE b;\nSHOW DATABASES");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let results = json["results"].as_array().unwrap();
    assert_eq!(results.len(), 3, "{text}");
    let ids: Vec<_> = results.iter().map(|result| result["statement_id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [0, 1, 2]);
    let names = results[2]["series"][0]["values"].to_string();
    assert!(names.contains("[\"a\"]") && names.contains("[\"b\"]"), "{text}");
    let expected = "{\"results\":[{\"statement_id\":0},\
                    {\"statement_id\":1,\"error\":\"retention policy duration must be at least 1h0m0s\"},\
                    {\"statement_id\":2,\"error\":\"not executed\"}]}\n";
    assert_eq!(ask(&gate, "DROP DATABASE a; CREATE DATABASE c WITH DURATION 1m; DROP DATABASE b"), expected);
    let names = databases(&gate);
    assert!(!names.contains(&"a".to_string()) && names.contains(&"b".to_string()), "{names:?}");
    assert_eq!(ask(&gate, ";"), "{}\n");
}

#[test]
fn a_database_that_exists_with_other_options_conflicts() {
    let gate = Gate::start();
    assert_eq!(ask(&gate, "CREATE DATABASE a WITH DURATION 2d NAME p"), DONE);
    assert_eq!(ask(&gate, "CREATE DATABASE a WITH DURATION 2d NAME p"), DONE);
    assert_eq!(ask(&gate, "CREATE DATABASE a"), DONE);
    let text = ask(&gate, "CREATE DATABASE a WITH DURATION 3d NAME p");
    assert!(text.contains("\"error\":\"retention policy conflicts with an existing policy\""), "{text}");
}

#[test]
fn names_that_no_folder_can_bear_are_refused() {
    let gate = Gate::start();
    for name in [".", "..", "a/b", "../../etc", "a\\\\b"] {
        let text = ask(&gate, &format!("CREATE DATABASE \"{name}\""));
        assert!(text.contains("\"error\":\"invalid name\""), "{name}: {text}");
    }
    let text = ask(&gate, &format!("CREATE DATABASE \"{}\"", "x".repeat(256)));
    assert!(text.contains("\"error\":\"name too long\""), "{text}");
    let longest = "x".repeat(255);
    assert_eq!(ask(&gate, &format!("CREATE DATABASE \"{longest}\"")), DONE);
    gate.write(&longest, "m f=1 1");
}

#[test]
fn what_is_no_influxql_is_refused_whole() {
    let gate = Gate::start();
    let check = |q: &str, text: &str| {
        let answer = gate.post(&format!("/query?q={}", encoded(q)), "").send().expect(400);
        assert_eq!(answer.influxdb_error(), text, "{q}");
    };
    check("", "missing required parameter \"q\"");
    check("  \n ", "missing required parameter \"q\"");
    check("CREATE DATABASE", "error parsing query: found EOF, expected identifier at line 1, char 17");
    check("CREATE DATABASE 'x'", "error parsing query: found x, expected identifier at line 1, char 16");
    check("CREATE DATABASE a b", "error parsing query: found b, expected ; at line 1, char 19");
    let late = "error parsing query: found EOF, expected identifier at line 1, char 37";
    check("CREATE DATABASE made; DROP DATABASE", late);
    let names = databases(&gate);
    assert!(!names.contains(&"made".to_string()), "{names:?}");
    let missing = gate.get("/query").send().expect(400);
    assert_eq!(missing.influxdb_error(), "missing required parameter \"q\"");
}

#[test]
fn changes_by_get_work_with_a_warning() {
    let gate = Gate::start();
    let text = gate.get(&format!("/query?q={}", encoded("create database \"a b\""))).send().expect(200).text();
    let expected = r#"{"results":[{"statement_id":0,"messages":[{"level":"warning","text":"deprecated use of 'CREATE DATABASE \"a b\"' in a read only context, please use a POST request instead"}]}]}"#;
    assert_eq!(text, format!("{expected}\n"));
    assert!(databases(&gate).contains(&"a b".to_string()));
    let text = gate.get(&format!("/query?q={}", encoded("DROP DATABASE \"a b\""))).send().expect(200).text();
    assert!(text.contains("deprecated use of 'DROP DATABASE \\\"a b\\\"'"), "{text}");
    assert!(!gate.get("/query?q=SHOW%20DATABASES").send().text().contains("messages"));
}

#[test]
fn arguments_of_a_form_win_over_those_of_the_url() {
    let gate = Gate::start();
    let url = format!("/query?q={}", encoded("CREATE DATABASE url"));
    let body = format!("q={}", encoded("CREATE DATABASE form"));
    gate.post(&url, &body).header(FORM.0, "application/x-www-form-urlencoded; charset=UTF-8").send().expect(200);
    let names = databases(&gate);
    assert!(names.contains(&"form".to_string()) && !names.contains(&"url".to_string()), "{names:?}");
    // A body of another type is no form.
    gate.post("/query", &body).header("Content-Type", "text/plain").send().expect(400);
    gate.post(&url, &body).header("Content-Type", "text/plain").send().expect(200);
    assert!(databases(&gate).contains(&"url".to_string()));
}

#[test]
fn a_form_in_parts_is_a_form() {
    let gate = Gate::start();
    let part = |name: &str, value: &str| {
        format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = format!("{}--edge--\r\n", part("q", "CREATE DATABASE parts"));
    let answer = gate.post("/query", body).header("Content-Type", "multipart/form-data; boundary=edge").send();
    assert_eq!(answer.expect(200).text(), DONE);
    assert!(databases(&gate).contains(&"parts".to_string()));
}

#[test]
fn pretty_answers_are_indented() {
    let gate = Gate::start();
    let text = gate.post("/query?pretty=true&q=CREATE%20DATABASE%20a", "").send().expect(200).text();
    assert_eq!(text, "{\n    \"results\": [\n        {\n            \"statement_id\": 0\n        }\n    ]\n}\n");
    assert_eq!(gate.post("/query?pretty=1&q=CREATE%20DATABASE%20a", "").send().text(), DONE);
}
