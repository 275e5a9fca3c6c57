//! What the log says, and what it never says.

use tidegate::config::Listener;

use crate::http_gate::Gate;

#[test]
fn credentials_are_in_no_log_line() {
    const SECRETS: [&str; 6] =
        ["s3cretUser", "s3cretPass", "czNjcmV0Ojp0b2tlbg", "s3cretToken", "s3cretInBody", "s3cretParam"];
    let gate = Gate::with(&[("log.level", "trace")]);
    gate.create_database("d");
    let authorizations =
        ["Basic czNjcmV0Ojp0b2tlbg==", "Token s3cretUser:s3cretToken", "Bearer s3cretToken", "Basic s3cretToken"];
    for authorization in authorizations {
        for path in [
            "/write?db=d&u=s3cretUser&p=s3cretPass",
            "/write?db=missing&u=s3cretUser&p=s3cretPass",
            "/api/v2/write?bucket=d&token=s3cretParam",
            "/query?u=s3cretUser&p=s3cretPass&q=SHOW%20DATABASES",
            "/query?u=s3cretUser&p=s3cretPass&q=nonsense",
            "/api/v1/write?db=d&password=s3cretParam",
            "/api/v1/sql?db=missing&password=s3cretParam",
            "/nowhere?p=s3cretPass",
        ] {
            let ask = gate.post(path, "u=s3cretUser&p=s3cretInBody").header("Authorization", authorization);
            ask.header("X-CnosDB-PrivateKey", "s3cretToken").header("Cookie", "session=s3cretToken").send();
        }
    }
    let log = gate.log();
    assert!(log.contains("/query"), "requests are not logged at all: {log}");
    let kept = gate.get("/logs").at(Listener::Opentsdb).send().expect(200).text();
    assert!(kept.contains("/query"), "requests are not kept at all: {kept}");
    for secret in SECRETS {
        let line = log.lines().chain(kept.lines()).find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
    let metrics = gate.get("/metrics").send().text();
    assert!(SECRETS.iter().all(|secret| !metrics.contains(secret)));
}

#[test]
fn a_request_is_found_in_the_log_by_its_id() {
    let gate = Gate::with(&[("log.level", "debug"), ("log.format", "json")]);
    gate.get("/ping").header("X-Request-Id", "find-me-7").send().expect(204);
    let log = gate.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = lines.iter().find(|line| line["id"] == "find-me-7").unwrap_or_else(|| panic!("{log}"));
    assert_eq!((&found["path"], &found["method"], &found["status"]), (&"/ping".into(), &"GET".into(), &204.into()));
}

#[test]
fn a_log_line_is_one_line_whatever_the_client_sends() {
    let gate = Gate::with(&[("log.level", "debug")]);
    gate.get("/%0afake%20line%1b%5b31m").send().expect(404);
    gate.create_database("d");
    gate.post("/write?db=%0afake%20line", "m f=1").send().expect(404);
    for line in gate.log().lines() {
        assert!(!line.starts_with("fake") && !line.contains('\u{1b}'), "{line:?}");
    }
}
