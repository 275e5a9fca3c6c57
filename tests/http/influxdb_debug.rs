//! The server about itself: SHOW STATS, SHOW DIAGNOSTICS, /debug; and the limits that InfluxDB's own server has.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate::config::Listener;

use crate::http_gate::{Gate, encoded, eventually};

fn query(gate: &Gate, q: &str) -> Value {
    gate.get(&format!("/query?db=d&q={}", encoded(q))).send().expect(200).json()["results"][0].clone()
}

/// The value of `column` in the series called `name`.
#[track_caller]
fn value(result: &Value, name: &str, column: &str) -> Value {
    let series = result["series"].as_array().unwrap_or_else(|| panic!("no series in {result}"));
    let found = series.iter().find(|series| series["name"] == name).unwrap_or_else(|| panic!("no {name} in {result}"));
    let columns = found["columns"].as_array().unwrap();
    let at = columns.iter().position(|c| c == column).unwrap_or_else(|| panic!("no {column} in {found}"));
    found["values"][0][at].clone()
}

#[test]
fn statistics_count_what_was_done() {
    let gate = Gate::start();
    gate.create_database("d");
    gate.write("d", "m v=1 1\nm v=2 2\nm v=3 3");
    query(&gate, "SELECT v FROM m");
    let stats = query(&gate, "SHOW STATS");
    assert_eq!(value(&stats, "httpd", "writeReq"), 1);
    assert_eq!(value(&stats, "httpd", "pointsWrittenOK"), 3);
    assert!(value(&stats, "httpd", "queryReq").as_i64().unwrap() >= 2);
    assert!(value(&stats, "queryExecutor", "queriesFinished").as_i64().unwrap() >= 1);
    assert!(value(&stats, "runtime", "Alloc").as_i64().unwrap() > 1_000_000);
    let only = query(&gate, "SHOW STATS FOR 'write'");
    assert_eq!((only["series"].as_array().unwrap().len(), value(&only, "write", "pointReq")), (1, json!(3)));
    assert_eq!(query(&gate, "SHOW STATS FOR 'nothing'"), json!({"statement_id": 0}));
}

#[test]
fn diagnostics_tell_version_settings_and_no_secret() {
    let gate = Gate::with(&[("auth.jwt_secret", "s3cret"), ("influxdb.max_row_limit", "700")]);
    let told = query(&gate, "SHOW DIAGNOSTICS");
    assert_eq!(value(&told, "build", "Version"), "1.8.10");
    assert_eq!(value(&told, "config-influxdb", "max_row_limit"), 700);
    assert_eq!(value(&told, "config-auth", "enabled"), false);
    assert_eq!(value(&told, "system", "PID"), gate.process_id());
    assert!(!told.to_string().contains("s3cret"));
    assert_eq!(query(&gate, "SHOW DIAGNOSTICS FOR 'network'")["series"].as_array().unwrap().len(), 1);
}

#[test]
fn debug_vars_are_what_collectors_read() {
    let gate = Gate::start();
    gate.create_database("d");
    gate.write("d", "m v=1 1");
    let answer = gate.get("/debug/vars").send().expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let vars = answer.json();
    assert!(vars["memstats"]["Alloc"].as_i64().unwrap() > 0);
    assert!(vars["system"]["uptime"].is_number());
    // Whatever has a name and values is a metric to Telegraf.
    let modules: Vec<&Value> = vars.as_object().unwrap().values().filter(|value| value["name"].is_string()).collect();
    assert!(modules.len() >= 5 && modules.iter().all(|module| module["values"].is_object()), "{vars}");
    assert_eq!(vars["write"]["values"]["pointReq"], 1);
    assert_eq!(vars["database:d"]["values"]["numMeasurements"], 1);
    assert_eq!(vars["database:d"]["tags"], json!({"database": "d"}));
}

#[test]
fn debug_requests_counts_who_asks_meanwhile() {
    let gate = Gate::start();
    gate.create_database("d");
    let counted = std::thread::scope(|scope| {
        let look = scope.spawn(|| gate.get("/debug/requests?seconds=2").send().expect(200).json());
        let until = Instant::now() + Duration::from_millis(1500);
        while Instant::now() < until {
            gate.write("d", "m v=1 1");
            query(&gate, "SELECT v FROM m");
        }
        look.join().unwrap()
    });
    let here = &counted["127.0.0.1"];
    assert!(here["writes"].as_u64().unwrap() > 0 && here["queries"].as_u64().unwrap() > 0, "{counted}");
    gate.get("/debug/requests?seconds=x").send().expect(400);
}

#[test]
fn the_servers_own_limits_hold() {
    let gate = Gate::with(&[("influxdb.max_row_limit", "3"), ("influxdb.max_select_buckets", "5")]);
    gate.create_database("d");
    gate.write("d", "m v=1 1\nm v=2 2\nm v=3 3\nm v=4 4\nm v=5 5");
    let cut = query(&gate, "SELECT v FROM m");
    assert_eq!((cut["series"][0]["values"].as_array().unwrap().len(), &cut["series"][0]["partial"]), (3, &json!(true)));
    let chunked = gate.get("/query?db=d&chunked=true&q=SELECT%20v%20FROM%20m").send().expect(200).json();
    assert_eq!(chunked["results"][0]["series"][0]["values"].as_array().unwrap().len(), 5);
    let windows = |until: u32| format!("SELECT count(v) FROM m WHERE time >= 0s AND time < {until}s GROUP BY time(1s)");
    assert_eq!(query(&gate, &windows(10))["error"], "max-select-buckets limit exceeded: (10/5)");
    assert_eq!(query(&gate, &windows(5))["error"], Value::Null);
}

#[test]
fn a_select_reads_a_bounded_number_of_series() {
    let gate = Gate::with(&[("influxdb.max_select_series", "2")]);
    gate.create_database("d");
    gate.write("d", "m,h=a v=1 1\nm,h=b v=2 2\nm,h=c v=3 3\nn v=1 1");
    let error = |q: &str| query(&gate, q)["error"].clone();
    let refused = "max-select-series limit exceeded: (3/2)";
    assert_eq!(error("SELECT v FROM m"), refused);
    assert_eq!(error("SELECT mean(x) FROM (SELECT max(v) AS x FROM m GROUP BY h)"), refused);
    assert_eq!(error("SELECT v FROM m, n"), "max-select-series limit exceeded: (4/2)");
    for q in
        ["SELECT v FROM m WHERE h != 'a'", "SELECT v FROM n", "SELECT v FROM m WHERE h = 'a' AND v > 0", "SHOW SERIES"]
    {
        assert_eq!(error(q), Value::Null, "{q}");
    }
    assert_eq!(error("SELECT v FROM nowhere..m"), "database not found: nowhere");
}

#[test]
fn a_select_reads_a_bounded_number_of_points() {
    let mut gate = Gate::with(&[("influxdb.max_select_point", "4")]);
    gate.create_database("d");
    gate.write("d", "m v=1,w=1 1\nm v=2 2\nm v=3 3\nm v=4 4");
    for _ in 0..2 {
        let error = |q: &str| query(&gate, q)["error"].clone();
        for q in ["SELECT v FROM m", "SELECT w FROM m", "SELECT v, w FROM m WHERE time < 3"] {
            assert_eq!(error(q), Value::Null, "{q}");
        }
        assert_eq!(error("SELECT v, w FROM m"), "max-select-point limit exceeed: (5/4)");
        assert_eq!(error("SELECT mean(v), max(w) FROM m"), "max-select-point limit exceeed: (5/4)");
        assert_eq!(gate.sql("d", "select count(*) as n from m where v > 0"), "n\n4\n");
        gate.ask_to_stop();
        gate.wait_for_exit();
        gate.start_again();
    }
}

#[test]
fn queries_at_once_are_bounded() {
    let gate = Gate::with(&[("influxdb.max_concurrent_queries", "1")]);
    gate.create_database("d");
    let lines: String = (0..60_000).map(|row| format!("m v={row} {row}\n")).collect();
    gate.write("d", &lines);
    let slow = encoded("SELECT holt_winters(mean(v), 3, 7) FROM m WHERE time >= 0 AND time < 60000 GROUP BY time(2ns)");
    let mut patient = gate.connect(Listener::Influxdb);
    write!(patient, "GET /query?db=d&q={slow} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let refused = || query(&gate, "SELECT v FROM m LIMIT 1")["error"].clone();
    eventually("a query is refused while another runs", || refused() == "max-concurrent-queries limit exceeded(1, 1)");
    drop(patient);
    eventually("the one that nobody waits for has ended", || refused() == Value::Null);
}
