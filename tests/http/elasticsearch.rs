//! Elasticsearch's bulk as shippers speak it: what is stored, what each item says, what the whole request says.

use serde_json::{Value as Json, json};
use tidegate::config::Listener;

use crate::http_gate::{Answer, Ask, Gate, eventually};

fn at_home(ask: Ask) -> Ask {
    ask.at(Listener::Elasticsearch)
}

/// Sends lines to a path at the home listener; the answer carries the product's header.
#[track_caller]
fn send(gate: &Gate, path: &str, lines: &[&str]) -> Answer {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let answer = at_home(gate.post(path, body)).header("content-type", "application/x-ndjson").send();
    assert_eq!(answer.header("x-elastic-product"), Some("Elasticsearch"), "{answer}");
    answer
}

/// `action status` of each item.
#[track_caller]
fn statuses(answer: &Answer) -> Vec<String> {
    let json = answer.clone().expect(200).json();
    let items = json["items"].as_array().unwrap_or_else(|| panic!("no items: {answer}"));
    let status = |item: &Json| {
        let (action, result) = item.as_object().unwrap().iter().next().unwrap();
        format!("{action} {}", result["status"])
    };
    items.iter().map(status).collect()
}

#[test]
fn equal_documents_are_two_rows_before_and_after_a_flush_and_a_crash() {
    let mut gate = Gate::with(&[("buffer.flush_age_ms", "10"), ("buffer.flush_small_age_ms", "10")]);
    let document = r#"{"@timestamp":"2024-05-01T10:00:00.123456789Z","msg":"twice","host":{"name":"a"}}"#;
    let action = r#"{"create":{"_index":"logs-app.web"}}"#;
    let answer = send(&gate, "/_bulk", &[action, document, action, document]);
    assert_eq!(statuses(&answer), ["create 201", "create 201"]);
    let rows = "time,msg,host.name\n".to_string() + &"2024-05-01T10:00:00.123456789,twice,a\n".repeat(2);
    let ask = "SELECT time, msg, \"host.name\" FROM \"logs-app.web\"";
    assert_eq!(gate.sql("public", ask), rows);
    gate.wait_until_flushed();
    assert_eq!(gate.sql("public", ask), rows);
    send(&gate, "/_bulk", &[action, document]);
    gate.kill_and_restart();
    assert_eq!(gate.sql("public", "SELECT count(*) AS n FROM \"logs-app.web\""), "n\n3\n");
}

#[test]
fn words_are_found_before_and_after_a_flush_and_segments_without_them_are_skipped() {
    let gate = Gate::with(&[("buffer.flush_age_ms", "10"), ("buffer.flush_small_age_ms", "10")]);
    let action = r#"{"create":{"_index":"logs"}}"#;
    let message = |time: u32, text: &str| format!(r#"{{"@timestamp":{time},"message":"{text}"}}"#);
    let find = |query: &str| gate.sql("public", &format!("SELECT message FROM logs WHERE matches(message, '{query}')"));
    let (first, second) = (message(1, "Connection reset by peer: order 4711"), message(2, "all is well: order 12"));
    for document in [&first, &second] {
        send(&gate, "/_bulk", &[action, document]);
        assert_eq!(find("PEER 4711"), "message\nConnection reset by peer: order 4711\n");
        gate.wait_until_flushed();
    }
    let skipped = || gate.metric("tidegate_word_filter_row_groups_total", "result=\"skipped\"");
    let before = skipped();
    assert_eq!(find("PEER 4711"), "message\nConnection reset by peer: order 4711\n");
    assert!(skipped() > before, "the second segment was read");
    assert_eq!(find("order").lines().count(), 3);
    assert_eq!(find("\"reset by peer\" order").lines().count(), 2);
    assert_eq!(find("\"order peer\""), "message\n");
}

#[test]
fn each_item_tells_its_own_fate_and_good_documents_stay() {
    let gate = Gate::start();
    let answer = send(
        &gate,
        "/logs/_bulk",
        &[
            r#"{"index":{"_id":"1"}}"#,
            r#"{"@timestamp":1,"n":1}"#,
            r#"{"create":{"_id":"2"}}"#,
            r#"{"n":"#,
            r#"{"delete":{"_id":"3"}}"#,
            r#"{"update":{"_id":"4"}}"#,
            r#"{"doc":{"n":1}}"#,
            r#"{"index":{"_id":"5"}}"#,
            r#"{"@timestamp":2,"n":"word"}"#,
            r#"{"index":{"_index":"no/slash"}}"#,
            r#"{"n":1}"#,
            r#"{"index":{"_index":"other"}}"#,
            r#"{"@timestamp":"2024-05-01","n":"x"}"#,
            r#"{"index":{"_id":"8"}}"#,
            r#"{"@timestamp":3,"n":"7"}"#,
        ],
    );
    let expected =
        ["index 201", "create 400", "delete 400", "update 400", "index 400", "index 400", "index 201", "index 201"];
    assert_eq!(statuses(&answer), expected);
    let json = answer.json();
    assert_eq!((&json["errors"], &json["items"][0]["index"]["_id"]), (&json!(true), &json!("1")));
    let error = &json["items"][4]["index"]["error"];
    assert_eq!(error["type"], "document_parsing_exception");
    assert_eq!(
        error["reason"],
        "failed to parse field [n] of type [long] in document with id '5'. Preview of field's value: 'word'"
    );
    assert_eq!(json["items"][5]["index"]["error"]["type"], "invalid_index_name_exception");
    assert_eq!(gate.sql("public", "SELECT n FROM logs ORDER BY n"), "n\n1\n7\n");
    assert_eq!(gate.sql("public", "SELECT n FROM other"), "n\nx\n");
}

#[test]
fn a_column_of_integers_is_widened_also_where_it_was_flushed_before() {
    let gate = Gate::with(&[("buffer.flush_age_ms", "10"), ("buffer.flush_small_age_ms", "10")]);
    let index = |n: &str, time: &str| {
        send(&gate, "/m/_bulk", &[r#"{"index":{}}"#, &format!(r#"{{"@timestamp":{time},"n":{n}}}"#)])
    };
    index("1", "1");
    gate.wait_until_flushed();
    index("2", "2");
    assert_eq!(statuses(&index("2.5", "3")), ["index 201"]);
    assert_eq!(gate.sql("public", "SELECT n FROM m WHERE n > 0.5 ORDER BY n"), "n\n1.0\n2.0\n2.5\n");
    gate.wait_until_flushed();
    assert_eq!(gate.sql("public", "SELECT sum(n) AS s, min(n) AS a, max(n) AS z FROM m"), "s,a,z\n5.5,1.0,2.5\n");
}

#[test]
fn a_value_that_does_not_fit_may_go_beside_its_column() {
    let gate = Gate::with(&[("elastic.on_conflict", "sibling")]);
    let lines =
        [r#"{"index":{}}"#, r#"{"@timestamp":1,"level":3}"#, r#"{"index":{}}"#, r#"{"@timestamp":2,"level":"high"}"#];
    assert_eq!(statuses(&send(&gate, "/s/_bulk", &lines)), ["index 201", "index 201"]);
    assert_eq!(gate.sql("public", "SELECT level, level__utf8 FROM s ORDER BY time"), "level,level__utf8\n3,\n,high\n");
}

#[test]
fn columns_are_limited_and_what_has_known_ones_is_taken() {
    let gate = Gate::with(&[("elastic.max_columns", "3")]);
    let lines = [
        r#"{"index":{}}"#,
        r#"{"@timestamp":1,"a":1,"b":1}"#,
        r#"{"index":{}}"#,
        r#"{"@timestamp":2,"c":1,"d":1}"#,
        r#"{"index":{}}"#,
        r#"{"@timestamp":3,"a":2,"c":2}"#,
    ];
    let answer = send(&gate, "/wide/_bulk", &lines);
    assert_eq!(statuses(&answer), ["index 201", "index 400", "index 201"]);
    let reason = answer.json()["items"][1]["index"]["error"]["reason"].clone();
    assert_eq!(reason, "Limit of total fields [3] has been exceeded while adding new fields [1]");
    assert_eq!(gate.sql("public", "SELECT a, c FROM wide ORDER BY time"), "a,c\n1,\n2,2\n");
}

#[test]
fn documents_do_not_go_where_equal_rows_become_one() {
    let gate = Gate::start();
    gate.create_database("metrics");
    gate.write("metrics", "cpu,host=a v=1 1");
    let answer = send(&gate, "/cpu/_bulk?db=metrics", &[r#"{"index":{}}"#, r#"{"@timestamp":1,"v":2}"#]);
    assert_eq!(statuses(&answer), ["index 400"]);
    assert_eq!(gate.sql("metrics", "SELECT v FROM cpu"), "v\n1.0\n");
}

#[test]
fn a_request_that_cannot_be_read_is_refused_whole() {
    let gate = Gate::start();
    let check = |lines: &[&str], kind: &str, reason: &str| {
        let answer = send(&gate, "/_bulk", lines).expect(400);
        let json = answer.json();
        assert_eq!(
            (&json["error"]["type"], &json["error"]["reason"], &json["status"]),
            (&json!(kind), &json!(reason), &json!(400))
        );
        assert_eq!(json["error"]["root_cause"][0]["type"], kind);
    };
    check(&[], "parse_exception", "request body is required");
    check(&["", ""], "action_request_validation_exception", "Validation Failed: 1: no requests added;");
    check(&[r#"{"index":{}}"#, "{}"], "action_request_validation_exception", "Validation Failed: 1: index is missing;");
    let unknown =
        "Malformed action/metadata line [3], expected field [create], [delete], [index] or [update] but found [upsert]";
    check(&[r#"{"index":{"_index":"x"}}"#, "{}", r#"{"upsert":{}}"#, "{}"], "illegal_argument_exception", unknown);
    assert_eq!(gate.sql("public", "SHOW TABLES"), "table_name\n");
    let refused = at_home(gate.post("/_bulk", "x")).header("content-type", "application/smile").send().expect(406);
    assert_eq!(refused.json()["error"]["type"], "media_type_header_exception");
    let large = Gate::with(&[("elastic.body_bytes_max", "2048")]);
    let answer = send(&large, "/_bulk", &[r#"{"index":{"_index":"x"}}"#, &"x".repeat(3_000)]);
    assert_eq!(answer.expect(413).json()["status"], 413);
}

#[test]
fn a_full_buffer_sends_shippers_away_and_stores_nothing() {
    let gate = Gate::with(&[
        ("limits.body_bytes_max", "1000000"),
        ("limits.write_body_bytes_max", "1000000"),
        ("buffer.budget_bytes", "1048576"),
        ("buffer.flush_bytes", "1048576"),
    ]);
    let document = format!(r#"{{"@timestamp":1,"text":"{}"}}"#, "x".repeat(10_000));
    let lines: Vec<&str> = (0..150).flat_map(|_| [r#"{"index":{"_index":"x"}}"#, document.as_str()]).collect();
    assert_eq!(statuses(&send(&gate, "/_bulk", &lines)).len(), 150);
    eventually("a request is refused or the buffer is flushed", || {
        let answer = send(&gate, "/_bulk", &lines);
        if answer.status != 429 {
            return false;
        }
        assert_eq!(answer.header("retry-after"), Some("1"), "{answer}");
        answer.json()["error"]["type"] == "es_rejected_execution_exception"
    });
}

#[test]
fn single_documents_are_stored_and_told() {
    let gate = Gate::start();
    let answer = at_home(gate.post("/notes/_doc", r#"{"@timestamp":1,"n":1}"#)).send().expect(201);
    assert_eq!((&answer.json()["result"], &answer.json()["_index"]), (&json!("created"), &json!("notes")));
    let empty = at_home(gate.ask("PUT", "/notes/_create/a%20b")).send().expect(400);
    assert_eq!(empty.json()["error"]["type"], "document_parsing_exception");
    let refused = at_home(gate.post("/notes/_doc", r#"{"n":"word"}"#)).send().expect(400);
    assert_eq!(refused.json()["error"]["type"], "document_parsing_exception");
    at_home(gate.post("/notes/_update/1", r#"{"doc":{}}"#)).send().expect(400);
    assert_eq!(gate.sql("public", "SELECT count(*) AS n FROM notes"), "n\n1\n");
}

#[test]
fn did_my_logs_arrive() {
    let gate = Gate::start();
    let lines: Vec<String> = (0..5)
        .flat_map(|n| {
            [
                r#"{"index":{}}"#.to_string(),
                format!(r#"{{"@timestamp":"2024-05-01T10:00:0{n}Z","n":{n},"host.name":"h"}}"#),
            ]
        })
        .collect();
    send(&gate, "/app/_bulk", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let get = |path: &str| at_home(gate.get(path)).send();
    assert_eq!(get("/app/_count").expect(200).json()["count"], 5);
    assert_eq!(get("/a*/_count").expect(200).json()["count"], 5);
    let newest =
        at_home(gate.post("/app/_search", r#"{"size":2,"sort":[{"@timestamp":"desc"}]}"#)).send().expect(200).json();
    assert_eq!(newest["hits"]["total"]["value"], 5);
    let expected = json!({"@timestamp": "2024-05-01T10:00:04Z", "n": 4, "host.name": "h"});
    assert_eq!(newest["hits"]["hits"][0]["_source"], expected);
    assert_eq!(newest["hits"]["hits"].as_array().unwrap().len(), 2);
    let mapping = get("/app/_mapping").expect(200).json();
    let name = &mapping["app"]["mappings"]["properties"]["host"]["properties"]["name"]["type"];
    assert_eq!(name, "keyword");
    let indices = get("/_cat/indices?format=json").expect(200).json();
    assert_eq!((&indices[0]["index"], &indices[0]["docs.count"]), (&json!("app"), &json!("5")));
    assert_eq!(get("/_cat/indices?h=index,docs.count").expect(200).text(), "app 5\n");
    let refused = at_home(gate.post("/app/_search", r#"{"query":{"match":{"n":1}}}"#)).send().expect(400);
    assert!(refused.text().contains("queried with SQL"), "{refused}");
    assert_eq!(get("/none/_count").expect(404).json()["error"]["type"], "index_not_found_exception");
}

#[test]
fn indices_are_made_looked_at_and_dropped_where_that_is_allowed() {
    let gate = Gate::with(&[("elastic.allow_delete", "true")]);
    let ask = |method: &str, path: &str| at_home(gate.ask(method, path)).send();
    ask("HEAD", "/app").expect(404);
    assert_eq!(ask("PUT", "/app").expect(200).json()["index"], "app");
    ask("HEAD", "/app").expect(200);
    assert_eq!(ask("PUT", "/app").expect(400).json()["error"]["type"], "resource_already_exists_exception");
    for pattern in ["/a*", "/_all", "/app,b*", "/app,", "/,app", "/,", "/app,,app"] {
        assert_eq!(ask("DELETE", pattern).expect(400).json()["error"]["type"], "illegal_argument_exception");
    }
    ask("HEAD", "/app").expect(200);
    ask("DELETE", "/app").expect(200);
    ask("DELETE", "/app").expect(404);
    let strict = Gate::start();
    at_home(strict.ask("PUT", "/app")).send().expect(200);
    at_home(strict.ask("DELETE", "/app")).send().expect(400);
    at_home(strict.ask("HEAD", "/app")).send().expect(200);
}

#[test]
fn what_shippers_install_is_remembered_over_a_restart() {
    let mut gate = Gate::start();
    let put = |gate: &Gate, path: &str, body: &str| {
        let answer = at_home(gate.post(path, body)).send().expect(200);
        assert_eq!(answer.json(), json!({"acknowledged": true}));
    };
    let get = |gate: &Gate, path: &str| at_home(gate.get(path)).send();
    get(&gate, "/_index_template/beats").expect(404);
    put(&gate, "/_index_template/beats", r#"{"index_patterns":["beats-*"]}"#);
    put(&gate, "/_ilm/policy/beats", r#"{"policy":{"phases":{"hot":{}}}}"#);
    put(&gate, "/_ingest/pipeline/p", r#"{"processors":[]}"#);
    gate.kill_and_restart();
    let template = get(&gate, "/_index_template/b*").expect(200).json();
    assert_eq!(template["index_templates"][0]["index_template"]["index_patterns"], json!(["beats-*"]));
    assert_eq!(get(&gate, "/_ilm/policy/beats").expect(200).json()["beats"]["policy"], json!({"phases": {"hot": {}}}));
    assert_eq!(get(&gate, "/_ingest/pipeline/p").expect(200).json()["p"], json!({"processors": []}));
    let all = at_home(gate.post("/_index_template/broken", "{")).send().expect(400);
    assert_eq!(all.json()["error"]["type"], "x_content_parse_exception");
}

#[test]
fn the_front_page_and_indices_are_at_home_only() {
    let gate = Gate::with(&[("elastic.version", "9.0.1")]);
    let root = at_home(gate.get("/")).send().expect(200).json();
    assert_eq!((&root["tagline"], &root["version"]["number"]), (&json!("You Know, for Search"), &json!("9.0.1")));
    gate.get("/").send().expect(404);
    gate.get("/app/_count").send().expect(404);
    gate.post("/_bulk", "{\"index\":{\"_index\":\"x\"}}\n{}\n").send().expect(200);
    let refused = at_home(gate.get("/_bulk")).send().expect(405);
    assert_eq!(refused.header("allow"), Some("POST, PUT"));
    let unknown = at_home(gate.get("/_nothing")).send().expect(400);
    assert_eq!(unknown.json()["error"], "no handler found for uri [/_nothing] and method [GET]");
}

#[test]
fn bad_lines_of_every_kind_leave_every_good_document() {
    let gate = Gate::start();
    let deep = format!("{}1{}", r#"{"a":"#.repeat(300), "}".repeat(300));
    let nested = format!("{}1{}", r#"{"a":"#.repeat(60), "}".repeat(60));
    let huge = format!(r#"{{"@timestamp":1,"text":"{}"}}"#, "x".repeat(2_000_000));
    let keys = |from: usize| {
        let keys: Vec<String> = (from..from + 400).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{\"@timestamp\":1,{}}}", keys.join(","))
    };
    let good = r#"{"@timestamp":1,"good":true}"#.to_string();
    let documents = [
        keys(0),
        deep,
        good.clone(),
        "\u{0}".to_string(),
        nested,
        good.clone(),
        keys(400),
        keys(800),
        huge,
        "[]".to_string(),
        good,
    ];
    let lines: Vec<String> = documents.into_iter().flat_map(|d| [r#"{"index":{}}"#.to_string(), d]).collect();
    let answer = send(&gate, "/mixed/_bulk", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let expected = [201, 400, 201, 400, 201, 201, 201, 400, 201, 400, 201].map(|status| format!("index {status}"));
    assert_eq!(statuses(&answer), expected);
    assert_eq!(
        gate.sql("public", "SELECT count(*) AS n, count(good) AS good, max(length(text)) AS text FROM mixed"),
        "n,good,text\n7,3,2000000\n"
    );
}

#[test]
fn an_index_is_named_by_date_in_actions_and_in_paths() {
    let gate = Gate::start();
    let action = r#"{"index":{"_index":"<logs-{now/y{yyyy}}>"}}"#;
    let answer =
        send(&gate, "/_bulk", &[action, r#"{"@timestamp":1,"n":1}"#, r#"{"index":{"_index":"<logs-{now/q}>"}}"#, "{}"]);
    assert_eq!(statuses(&answer), ["index 201", "index 400"]);
    let items = answer.json()["items"].clone();
    assert_eq!(items[1]["index"]["error"]["type"], "parse_exception", "{items}");
    let name = items[0]["index"]["_index"].as_str().unwrap().to_string();
    assert!(name.len() == 9 && name.starts_with("logs-2"), "{name}");
    let path = "/%3Clogs-%7Bnow%2Fy%7Byyyy%7D%7D%3E";
    for (path, document) in [(format!("{path}/_doc"), true), (format!("{path}/_bulk"), false)] {
        let lines: &[&str] =
            if document { &[r#"{"@timestamp":2,"n":2}"#] } else { &[r#"{"index":{}}"#, r#"{"@timestamp":3,"n":3}"#] };
        assert!(send(&gate, &path, lines).status < 300, "{path}");
    }
    assert_eq!(gate.sql("public", &format!("SELECT sum(n) AS n FROM \"{name}\"")), "n\n6\n");
    assert_eq!(at_home(gate.get(&format!("{path}/_count"))).send().expect(200).json()["count"], 3);
    let refused = at_home(gate.post("/%3Clogs-%7Bnow%2F%7D%3E/_doc", "{}")).send().expect(400);
    assert_eq!(refused.json()["error"]["type"], "parse_exception");
    let told = at_home(gate.post("/plain/_doc/a%2Fb", r#"{"n":1}"#)).send().expect(201);
    assert_eq!(told.json()["_id"], "a/b");
}

#[test]
fn documents_of_ever_new_names_leave_every_document_of_known_ones() {
    let gate = Gate::start();
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    for n in 0..100 {
        let keys: Vec<String> = (0..100).map(|key| format!("\"k{}\":1", n * 100 + key)).collect();
        let broken =
            [r#"{"n":"#.to_string(), "not json".to_string(), format!("{}{}", "[".repeat(500), "]".repeat(500))];
        for document in [
            format!("{{\"@timestamp\":{n},\"n\":{n}}}"),
            format!("{{\"@timestamp\":{n},{}}}", keys.join(",")),
            broken[n % 3].clone(),
            format!("{{\"@timestamp\":{n},\"n\":\"{n}\",\"text\":\"{}\"}}", "x".repeat(n * 100)),
        ] {
            lines.extend([r#"{"create":{}}"#.to_string(), document]);
        }
        // A thousand columns, two of which are the others'.
        expected.extend(["create 201", if n < 9 { "create 201" } else { "create 400" }, "create 400", "create 201"]);
    }
    let answer = send(&gate, "/ever-new/_bulk", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(statuses(&answer), expected);
    assert_eq!(
        gate.sql("public", "SELECT count(*) AS c, count(n) AS n, sum(n) AS s, count(k0) AS k FROM \"ever-new\""),
        "c,n,s,k\n209,200,9900,1\n"
    );
}
