//! Live is not ready: what is answered before every acknowledged point is visible, and when the start fails.

use std::net::TcpListener;

use tidegate::config::Listener;

use crate::http_gate::{Gate, eventually, free_ports};

const SECRET: &str = "Ov3rTheRainb0w";
const S3_CREDENTIALS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", "us-east-1")];

/// A gateway whose store takes connections and never says a word.
fn gate_before_a_silent_store() -> (Gate, TcpListener) {
    let store = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", store.local_addr().unwrap());
    let settings = [
        ("storage.url", "s3://bucket/prefix"),
        ("storage.endpoint", endpoint.as_str()),
        ("storage.allow_http", "true"),
    ];
    (Gate::start_not_ready(&settings, &S3_CREDENTIALS), store)
}

#[test]
fn before_the_start_is_over_every_door_says_so() {
    let (gate, _store) = gate_before_a_silent_store();
    for listener in Listener::ALL {
        for path in ["/health", "/ready", "/ping", "/api/v1/ping", "/query?q=SHOW%20DATABASES"] {
            gate.get(path).at(listener).send().expect(503);
        }
        for path in ["/write?db=d", "/api/v2/write?bucket=d", "/api/v1/write", "/api/v1/sql"] {
            let answer = gate.post(path, "m f=1").at(listener).send().expect(503);
            assert!(answer.header("retry-after").is_some(), "{answer}");
        }
    }
    assert_eq!(gate.get("/health").send().json()["status"], "fail");
    assert_eq!(gate.get("/api/v1/ping").send().json()["status"], "starting");
    gate.get("/metrics").send().expect(200);
    gate.get("/nowhere").send().expect(404);
}

#[test]
fn a_stop_during_the_start_ends_well() {
    let (mut gate, _store) = gate_before_a_silent_store();
    gate.ask_to_stop();
    let status = gate.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", gate.log());
}

#[test]
fn once_ready_every_door_says_so() {
    let gate = Gate::start();
    for listener in Listener::ALL {
        let status = |path: &str| gate.get(path).at(listener).send().status;
        assert_eq!(["/health", "/ready", "/ping", "/api/v1/ping"].map(status), [200, 200, 204, 200]);
    }
    let health = gate.get("/health").send().json();
    let expected = serde_json::json!({
        "name": "influxdb", "message": "ready for queries and writes", "status": "pass", "checks": [], "version": "1.8.10"
    });
    assert_eq!(health, expected);
    let verbose = gate.get("/ping?verbose=true").send().expect(200);
    assert_eq!(verbose.json(), serde_json::json!({"version": "1.8.10"}));
    for value in ["", "0", "false"] {
        gate.get(&format!("/ping?verbose={value}")).send().expect(204);
    }
    let ping = gate.get("/api/v1/ping").send().json();
    assert_eq!(
        ping.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>()).unwrap(),
        ["status", "version"]
    );
    assert_eq!(ping["status"], "healthy");
}

#[test]
fn ready_means_that_the_log_is_replayed() {
    let mut gate = Gate::start();
    gate.create_database("d");
    let lines: String = (0..5_000).map(|i| format!("m,host=h{} v={i}i {i}\n", i % 10)).collect();
    gate.write("d", &lines);
    for _ in 0..2 {
        gate.kill_and_restart();
        assert_eq!(gate.sql("d", "select count(*) as n, sum(v) as s from m"), "n,s\n5000,12497500\n");
    }
}

#[test]
fn a_start_waits_for_a_store_that_cannot_be_reached_and_says_so() {
    let endpoint = format!("http://127.0.0.1:{}", free_ports(1)[0]);
    let settings = [
        ("storage.url", "s3://bucket/prefix"),
        ("storage.endpoint", endpoint.as_str()),
        ("storage.allow_http", "true"),
        ("storage.retries_max", "0"),
    ];
    let mut gate = Gate::start_not_ready(&settings, &S3_CREDENTIALS);
    let tries = |gate: &Gate| gate.log().matches("the store does not answer; the start waits for it").count();
    eventually("it is tried again", || tries(&gate) >= 2);
    let log = gate.log();
    assert!(
        log.contains("s3://bucket/prefix") && log.contains(&endpoint) && log.contains("Connection refused"),
        "{log}"
    );
    assert!(!log.contains(SECRET), "{log}");
    gate.get("/ready").send().expect(503);
    assert!(gate.get("/health").send().expect(503).text().contains("starting: the store is being read"));
    gate.ask_to_stop();
    assert_eq!(gate.wait_for_exit().code(), Some(0), "{}", gate.log());
}

#[test]
fn the_log_never_shows_the_stores_credentials() {
    let (gate, store) = gate_before_a_silent_store();
    store.set_nonblocking(true).unwrap();
    eventually("something is asked of the store", || store.accept().is_ok());
    assert!(!gate.log().contains(SECRET));
    assert!(!gate.get("/metrics").send().text().contains(SECRET));
}
