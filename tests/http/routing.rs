//! Which path is whose: exact routes everywhere, the rest by the listener's home protocol, headers by the route.

use tidegate::config::Listener;

use crate::http_gate::{Answer, Gate};

/// Method, path, body and the status of a request that each exact route understands.
const EXACT_ROUTES: &[(&str, &str, &str, u16)] = &[
    ("GET", "/ping", "", 204),
    ("HEAD", "/ping", "", 204),
    ("GET", "/ping?verbose=true", "", 200),
    ("GET", "/query?q=SHOW%20DATABASES", "", 200),
    ("POST", "/query?q=SHOW%20DATABASES", "", 200),
    ("POST", "/write?db=here", "m f=1 1", 204),
    ("POST", "/api/v2/write?bucket=here", "m f=1 1", 204),
    ("GET", "/api/v1/ping", "", 200),
    ("HEAD", "/api/v1/ping", "", 200),
    ("POST", "/api/v1/sql", "select 1", 200),
    ("POST", "/api/v1/write?db=public", "m f=1 1", 200),
    ("GET", "/health", "", 200),
    ("HEAD", "/health", "", 200),
    ("GET", "/ready", "", 200),
    ("GET", "/metrics", "", 200),
];

const INFLUXDB_PATHS: [&str; 4] = ["/ping", "/query", "/write", "/api/v2/write"];

#[test]
fn every_listener_serves_every_exact_route() {
    let gate = Gate::start();
    gate.create_database("here");
    for listener in Listener::ALL {
        for (method, path, body, status) in EXACT_ROUTES {
            let mut ask = gate.ask(method, path);
            if *method == "POST" {
                ask = gate.post(path, body);
            }
            let answer = ask.at(listener).send().expect(*status);
            assert!(*method != "HEAD" || answer.body.is_empty(), "{answer}");
        }
    }
}

#[test]
fn status_is_an_old_name_of_ping() {
    let gate = Gate::start();
    for method in ["GET", "HEAD"] {
        let answer = gate.ask(method, "/status").send().expect(204);
        assert_eq!(answer.header("x-influxdb-version"), Some("1.8.10"), "{answer}");
    }
}

#[test]
fn unknown_paths_are_answered_by_the_home_protocol() {
    let gate = Gate::start();
    for path in ["/", "/nowhere", "/query/", "/write/", "/ping/x", "/api/v1", "/api/v3/nothing", "//ping"] {
        for method in ["GET", "POST"] {
            let ask = |listener| gate.ask(method, path).at(listener).send();
            influxdb_router_error(&ask(Listener::Influxdb).expect(404), "404 page not found\n");
            empty_error(&ask(Listener::Cnosdb).expect(404));
            let opentsdb = ask(Listener::Opentsdb);
            match path {
                "/api/v3/nothing" => {
                    assert_eq!(opentsdb.clone().expect(501).json()["error"]["code"], 501, "{opentsdb}")
                }
                "/api/v1" => assert_eq!(opentsdb.clone().expect(404).json()["error"]["code"], 404, "{opentsdb}"),
                // Paths of old are answered with a page.
                _ => assert!(opentsdb.clone().expect(404).text().contains("Page Not Found"), "{opentsdb}"),
            }
            let tdengine = ask(Listener::Tdengine).expect(404);
            assert_eq!(tdengine.text(), "404 page not found");
            let elasticsearch = ask(Listener::Elasticsearch);
            match (method, path) {
                ("GET", "/") => assert_eq!(elasticsearch.clone().expect(200).json()["tagline"], "You Know, for Search"),
                ("POST", "/") => assert_eq!(elasticsearch.clone().expect(405).header("allow"), Some("GET, HEAD")),
                // It could be the name of an index.
                ("GET", "/nowhere") => {
                    let kind = elasticsearch.clone().expect(404).json()["error"]["type"].clone();
                    assert_eq!(kind, "index_not_found_exception");
                }
                _ => {}
            }
            if path == "/" || (method, path) == ("GET", "/nowhere") {
                continue;
            }
            let elasticsearch = elasticsearch.expect(400);
            let text = format!("no handler found for uri [{path}] and method [{method}]");
            assert_eq!(elasticsearch.json(), serde_json::json!({"error": text, "status": 400}), "{elasticsearch}");
        }
    }
}

#[test]
fn wrong_methods_are_answered_by_the_home_protocol() {
    let gate = Gate::start();
    let wrong = [
        ("POST", "/ping"),
        ("DELETE", "/query"),
        ("HEAD", "/query"),
        ("GET", "/write"),
        ("PUT", "/api/v2/write"),
        ("POST", "/api/v1/ping"),
        ("GET", "/api/v1/sql"),
        ("PUT", "/api/v1/write"),
        ("POST", "/health"),
        ("DELETE", "/metrics"),
    ];
    for (method, path) in wrong {
        let ask = |listener| gate.ask(method, path).at(listener).send();
        let text = if method == "HEAD" { "" } else { "Method Not Allowed\n" };
        influxdb_router_error(&ask(Listener::Influxdb).expect(405), text);
        empty_error(&ask(Listener::Cnosdb).expect(405));
        let opentsdb = ask(Listener::Opentsdb).expect(405);
        match path.starts_with("/api/v1/") {
            true => assert_eq!(opentsdb.json()["error"]["code"], 405, "{opentsdb}"),
            false => assert!(method == "HEAD" || !opentsdb.text().is_empty(), "{opentsdb}"),
        }
        let elasticsearch = ask(Listener::Elasticsearch).expect(405);
        if method != "HEAD" {
            let json = elasticsearch.json();
            let start = format!("Incorrect HTTP method for uri [{path}] and method [{method}]");
            assert!(json["error"].as_str().is_some_and(|error| error.starts_with(&start)), "{elasticsearch}");
            assert_eq!(json["status"], 405);
        }
    }
}

fn influxdb_router_error(answer: &Answer, text: &str) {
    assert_eq!(answer.text(), text, "{answer}");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{answer}");
    assert_eq!(answer.header("x-influxdb-version"), Some("1.8.10"), "{answer}");
    assert_eq!(answer.header("x-influxdb-build"), Some("OSS"), "{answer}");
    assert_eq!(answer.header("request-id"), None, "{answer}");
}

fn empty_error(answer: &Answer) {
    assert_eq!(answer.text(), "", "{answer}");
    assert_eq!(answer.header("x-influxdb-version"), None, "{answer}");
}

#[test]
fn headers_follow_the_matched_route_not_the_listener() {
    let gate = Gate::start();
    for listener in Listener::ALL {
        for (method, path, body, _) in EXACT_ROUTES {
            let path_only = path.split('?').next().unwrap();
            let is_influxdbs = INFLUXDB_PATHS.contains(&path_only);
            let ask = if *method == "POST" { gate.post(path, body) } else { gate.ask(method, path) };
            let answer = ask.at(listener).send();
            if path_only.starts_with("/api/v1/") || is_influxdbs {
                let expected = is_influxdbs.then_some("1.8.10");
                assert_eq!(answer.header("x-influxdb-version"), expected, "{answer}");
                assert_eq!(answer.header("request-id").is_some(), is_influxdbs, "{answer}");
            }
        }
    }
}

#[test]
fn the_clients_request_id_is_echoed() {
    let gate = Gate::start();
    let check = |sent: &[(&str, &str)], expected: &str| {
        let ask = sent.iter().fold(gate.get("/query"), |ask, (name, value)| ask.header(name, value));
        let answer = ask.at(Listener::Elasticsearch).send().expect(400);
        assert_eq!(answer.header("request-id"), Some(expected), "{answer}");
        assert_eq!(answer.header("x-request-id"), Some(expected), "{answer}");
    };
    check(&[("X-Request-Id", "mine")], "mine");
    check(&[("Request-Id", "mine too")], "mine too");
    check(&[("Request-Id", "second"), ("X-Request-Id", "first")], "first");
}

#[test]
fn a_request_without_an_id_gets_a_fresh_one() {
    let gate = Gate::start();
    let id = || {
        let answer = gate.get("/ping").send().expect(204);
        let id = answer.header("request-id").unwrap().to_string();
        assert_eq!(answer.header("x-request-id"), Some(&*id));
        uuid::Uuid::parse_str(&id).unwrap()
    };
    assert_ne!(id(), id());
}

#[test]
fn browsers_from_elsewhere_may_use_influxdb_routes() {
    let gate = Gate::start();
    let origin = "https://charts.example";
    for listener in [Listener::Influxdb, Listener::Cnosdb] {
        for (method, path) in
            [("GET", "/ping"), ("GET", "/query?q=SHOW%20DATABASES"), ("POST", "/write"), ("OPTIONS", "/write")]
        {
            let answer = gate.ask(method, path).at(listener).header("Origin", origin).send();
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{answer}");
            let methods = answer.header("access-control-allow-methods");
            assert_eq!(methods, Some("DELETE, GET, OPTIONS, POST, PUT"), "{answer}");
            let allowed = answer.header("access-control-allow-headers").unwrap_or_default();
            assert!(allowed.contains("Authorization") && allowed.contains("Content-Type"), "{answer}");
            let exposed = answer.header("access-control-expose-headers");
            assert_eq!(exposed, Some("Date, X-InfluxDB-Version, X-InfluxDB-Build"), "{answer}");
        }
    }
    let same_site = gate.get("/ping").send();
    assert_eq!(same_site.header("access-control-allow-origin"), None, "{same_site}");
    let cnosdb = gate.get("/api/v1/ping").header("Origin", origin).send();
    assert_eq!(cnosdb.header("access-control-allow-origin"), None, "{cnosdb}");
}

#[test]
fn preflight_requests_are_answered_empty() {
    let gate = Gate::start();
    for listener in [Listener::Influxdb, Listener::Elasticsearch] {
        for path in INFLUXDB_PATHS {
            let answer = gate.ask("OPTIONS", path).at(listener).send().expect(200);
            assert_eq!((answer.text().as_str(), answer.header("content-type")), ("", None), "{answer}");
            assert_eq!(answer.header("x-influxdb-version"), Some("1.8.10"), "{answer}");
        }
    }
    gate.ask("OPTIONS", "/nowhere").send().expect(404);
}
