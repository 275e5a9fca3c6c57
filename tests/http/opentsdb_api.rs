//! The rules that hold for all of OpenTSDB's HTTP API: paths, verbs, versions, errors, browsers, packing.

use std::io::Read;

use tidegate::config::Listener;

use crate::http_gate::{Answer, Ask, Gate};

const JSON: &str = "application/json; charset=UTF-8";

fn ask(gate: &Gate, method: &str, path: &str) -> Ask {
    gate.ask(method, path).at(Listener::Opentsdb)
}

#[track_caller]
fn error(answer: Answer, status: u16, message: &str) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), Some(JSON), "{answer}");
    let error = &answer.json()["error"];
    assert_eq!((&error["code"], &error["message"]), (&status.into(), &message.into()), "{answer}");
    assert!(error.get("trace").is_none(), "{answer}");
    answer
}

#[test]
fn paths_have_versions_and_any_case() {
    let gate = Gate::start();
    for path in ["/api/version", "/api/v1/version", "/api/V0/Version/", "/API/VERSION", "/api/version/x"] {
        let answer = ask(&gate, "GET", path).send().expect(200);
        assert!(answer.json()["version"].as_str().unwrap().starts_with("2."), "{answer}");
    }
    let too_high = "Requested API version is greater than the max implemented";
    error(ask(&gate, "GET", "/api/v2/version").send(), 501, too_high);
    error(ask(&gate, "GET", "/api/v1x/version").send(), 400, "Invalid API version format supplied");
    for path in ["/api", "/api/", "/api/v1", "/api/nosuch", "/api/vx/version"] {
        error(ask(&gate, "GET", path).send(), 404, "Endpoint not found");
    }
}

#[test]
fn end_points_are_served_everywhere_and_what_is_none_only_at_home() {
    let gate = Gate::start();
    for listener in Listener::ALL {
        let answer = gate.get("/api/aggregators").at(listener).send().expect(200);
        assert_eq!(answer.json().as_array().unwrap().len(), 35, "{answer}");
        // A newer version of the API is another protocol's.
        let status = gate.get("/api/v2/version").at(listener).send().status;
        assert_eq!(status == 501, listener == Listener::Opentsdb, "{listener}");
    }
}

#[test]
fn verbs_that_an_end_point_does_not_take_are_named() {
    let gate = Gate::start();
    for (method, path) in [("GET", "/api/put"), ("PUT", "/api/put"), ("DELETE", "/api/put"), ("POST", "/api/version")] {
        let answer = error(ask(&gate, method, path).send(), 405, "Method not allowed");
        let details = format!("The HTTP method [{method}] is not permitted for this endpoint");
        assert_eq!(answer.json()["error"]["details"], details, "{answer}");
    }
    let overridden = ask(&gate, "GET", "/api/put?method_override=post").send();
    error(overridden, 405, "Method not allowed");
    for method in ["PATCH", "HEAD", "TRACE"] {
        let answer = ask(&gate, method, "/api/version").send().expect(405);
        assert_eq!((answer.text().as_str(), answer.header("connection")), ("", Some("close")), "{answer}");
    }
}

#[test]
fn serializers_are_chosen_by_name_and_types_are_not_looked_at() {
    let gate = Gate::start();
    ask(&gate, "GET", "/api/version?serializer=json").send().expect(200);
    error(ask(&gate, "GET", "/api/version?serializer=xml").send(), 400, "Requested serializer was not found");
    let answer = gate.get("/api/aggregators?jsonp=take").at(Listener::Opentsdb).send().expect(200);
    assert!(answer.text().starts_with("take([\"") && answer.text().ends_with("])"), "{answer}");
}

#[test]
fn pages_of_other_origins_are_let_in_when_the_settings_say_so() {
    let off = Gate::start();
    let asked = |gate: &Gate, method: &str, origin: Option<&str>| {
        let asked = ask(gate, method, "/api/version");
        match origin {
            Some(origin) => asked.header("Origin", origin).send(),
            None => asked.send(),
        }
    };
    let headers = |answer: &Answer| -> Vec<Option<String>> {
        let names = ["access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"];
        names.iter().map(|name| answer.header(name).map(String::from)).collect()
    };
    assert_eq!(headers(&asked(&off, "GET", Some("http://a")).expect(200)), [None, None, None]);
    error(asked(&off, "OPTIONS", Some("http://a")), 405, "Method not allowed");

    let on = Gate::with(&[("opentsdb.cors_domains", "http://a,http://b")]);
    for method in ["GET", "OPTIONS"] {
        let answer = asked(&on, method, Some("HTTP://B")).expect(200);
        assert_eq!(headers(&answer)[0].as_deref(), Some("HTTP://B"), "{answer}");
        assert_eq!(headers(&answer)[1].as_deref(), Some("GET, POST, PUT, DELETE"), "{answer}");
        assert!(headers(&answer)[2].as_deref().is_some_and(|h| h.starts_with("Authorization, ")), "{answer}");
        assert_eq!(answer.text().is_empty(), method == "OPTIONS", "{answer}");
        let refused = error(asked(&on, method, Some("http://c")), 200, "CORS domain not allowed");
        assert_eq!(headers(&refused), [None, None, None]);
    }
    assert_eq!(headers(&asked(&on, "GET", None).expect(200)), [None, None, None]);
    error(asked(&on, "OPTIONS", None), 405, "Method not allowed");
}

#[test]
fn answers_are_packed_for_those_who_take_it() {
    let gate = Gate::start();
    let plain = gate.get("/api/config/filters").at(Listener::Opentsdb).send().expect(200);
    let packed = gate.get("/api/config/filters").at(Listener::Opentsdb).header("Accept-Encoding", "gzip").send();
    let packed = packed.expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"), "{packed}");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain.text());
}

#[test]
fn paths_of_old_have_their_own_forms() {
    let gate = Gate::start();
    let answer = ask(&gate, "GET", "/version").send().expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain"), "{answer}");
    assert_eq!(answer.text().lines().count(), 2, "{answer}");
    let answer = ask(&gate, "GET", "/version?json").send().expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    let answer = ask(&gate, "GET", "/nowhere").send().expect(404);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=UTF-8"), "{answer}");
    assert_eq!(ask(&gate, "GET", "/nowhere?json").send().expect(404).text(), r#"{"err":"Page Not Found"}"#);
}

#[test]
fn a_gateway_that_is_not_ready_says_so() {
    let gate = Gate::start_not_ready(
        &[("storage.url", "s3://bucket"), ("storage.endpoint", "https://127.0.0.1:1")],
        &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")],
    );
    error(ask(&gate, "GET", "/api/version").send(), 503, "The gateway is starting");
}
