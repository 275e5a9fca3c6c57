//! SHOW and DELETE over `/query`: what is stored, from rows that are flushed and rows that are not.

use crate::http_gate::{Gate, encoded};

/// The results of `q`, sent by POST.
#[track_caller]
fn ask(gate: &Gate, q: &str) -> serde_json::Value {
    let body = format!("db=d&q={}", encoded(q));
    let answer = gate.post("/query", body).header("Content-Type", "application/x-www-form-urlencoded").send();
    answer.expect(200).json()["results"].clone()
}

/// The answer of one statement: `name: row, row; name: …`, values of a row separated by blanks.
#[track_caller]
fn shown(gate: &Gate, q: &str) -> String {
    let results = ask(gate, q);
    if let Some(error) = results[0]["error"].as_str() {
        return format!("error: {error}");
    }
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let row = |row: &serde_json::Value| row.as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(" ");
    let series = results[0]["series"].as_array().cloned().unwrap_or_default();
    let shown = series.iter().map(|series| {
        let rows = series["values"].as_array().cloned().unwrap_or_default();
        let rows = rows.iter().map(row).collect::<Vec<_>>().join(", ");
        series["name"].as_str().map_or_else(|| rows.clone(), |name| format!("{name}: {rows}"))
    });
    shown.collect::<Vec<_>>().join("; ")
}

fn filled() -> Gate {
    let gate = Gate::start();
    gate.create_database("d");
    gate.write("d", "cpu,host=a,dc=x v=1 1\ncpu,host=b v=1 2\nmem v=1 1");
    gate.write("d", "cpu,host=a,dc=x v=2 3\ncpu,host=c,dc=y w=\"t\" 4");
    gate
}

#[test]
fn what_is_stored_is_shown_before_and_after_a_flush() {
    let mut gate = filled();
    for again in [true, false] {
        for (q, expected) in [
            ("SHOW MEASUREMENTS", "measurements: cpu, mem"),
            ("SHOW MEASUREMENTS WHERE dc = 'y'", "measurements: cpu"),
            ("SHOW SERIES", "cpu,dc=x,host=a, cpu,dc=y,host=c, cpu,host=b, mem"),
            ("SHOW SERIES WHERE dc = ''", "cpu,host=b, mem"),
            ("SHOW SERIES FROM cpu WHERE host =~ /[ab]/ AND dc != 'x'", "cpu,host=b"),
            ("SHOW SERIES WHERE v > 1", "error: invalid tag comparison operator"),
            ("SHOW SERIES WHERE w = 't' OR host = 'a'", "cpu,dc=x,host=a, cpu,dc=y,host=c, cpu,host=b"),
            ("SHOW TAG VALUES WITH KEY = dc WHERE host = 5 OR dc = 'x'", "cpu: dc x, dc y"),
            ("SHOW TAG VALUES FROM nothing WITH KEY = dc WHERE host", "error: invalid condition expression: host"),
            ("SHOW SERIES WHERE host = dc", "cpu,dc=x,host=a, cpu,dc=y,host=c"),
            ("SHOW SERIES WHERE host != dc", "cpu,host=b"),
            ("SHOW TAG VALUES WITH KEY = host WHERE 'a' = host", "error: left side of '=' must be a tag key"),
            ("SHOW TAG VALUES WITH KEY = dc WHERE 'a' = host OR true", "cpu: dc x, dc y"),
            ("SHOW SERIES WHERE time > now() - 7d AND host = 'a'", ""),
            ("SHOW TAG KEYS WHERE time < now() - 7d AND host = 'b'", "cpu: host"),
            ("SHOW TAG KEYS WHERE v > 1", "error: invalid tag comparison operator"),
            ("SHOW TAG KEYS WHERE false", "error: &influxql.BooleanLiteral{Val:false}"),
            ("SHOW TAG KEYS WHERE host = 'b' AND 'x' = dc", "cpu: host"),
            ("SHOW TAG KEYS WHERE host = 'b' OR 1 = 1", "cpu: dc, host"),
            ("SHOW MEASUREMENTS WHERE host", "error: &influxql.VarRef{Val:\"host\", Type:0}"),
            ("SHOW MEASUREMENTS WHERE true", "error: &influxql.BooleanLiteral{Val:true}"),
            ("SHOW MEASUREMENTS WITH MEASUREMENT = no WHERE 'a' = host", "error: left side of '=' must be a tag key"),
            ("SHOW SERIES WHERE time > 2", "cpu,dc=x,host=a, cpu,dc=y,host=c"),
            ("SHOW TAG KEYS", "cpu: dc, host"),
            ("SHOW TAG KEYS WHERE host = 'b'", "cpu: host"),
            ("SHOW TAG VALUES WITH KEY = host", "cpu: host a, host b, host c"),
            ("SHOW TAG VALUES WITH KEY IN (dc, host) WHERE dc = 'y'", "cpu: dc y, host c"),
            ("SHOW TAG VALUES WITH KEY =~ /./ LIMIT 1 OFFSET 1", "cpu: dc y"),
            ("SHOW FIELD KEYS", "cpu: v float, w string; mem: v float"),
            ("SHOW SERIES EXACT CARDINALITY", "cpu: 3; mem: 1"),
            ("SHOW TAG VALUES CARDINALITY WITH KEY = host", "cpu: 3"),
            ("SHOW SERIES CARDINALITY ON none", "0"),
            ("SHOW TAG KEYS ON none", "error: database not found: none"),
        ] {
            assert_eq!(shown(&gate, q), expected, "{q}");
        }
        if again {
            gate.ask_to_stop();
            gate.wait_for_exit();
            gate.start_again();
        }
    }
}

#[test]
fn deleted_rows_are_gone_and_later_ones_stay() {
    let mut gate = filled();
    assert_eq!(shown(&gate, "DELETE FROM cpu WHERE host = 'a' AND time <= 1"), "");
    assert_eq!(gate.sql("d", "select count(*) from cpu"), "count(*)\n3\n");
    assert_eq!(shown(&gate, "SHOW SERIES FROM cpu WHERE host = 'a'"), "cpu,dc=x,host=a");
    gate.write("d", "cpu,host=a,dc=x v=9 1");
    assert_eq!(gate.sql("d", "select v from cpu where time = to_timestamp_nanos(1)"), "v\n9.0\n");
    assert_eq!(shown(&gate, "DROP SERIES WHERE dc = 'x'"), "");
    assert_eq!(shown(&gate, "SHOW SERIES"), "cpu,dc=y,host=c, cpu,host=b, mem");
    assert_eq!(
        shown(&gate, "DELETE WHERE v = 1"),
        "error: shard N: fields not supported in WHERE clause during deletion".replace('N', &field_shard(&gate))
    );
    gate.kill_and_restart();
    assert_eq!(shown(&gate, "SHOW SERIES"), "cpu,dc=y,host=c, cpu,host=b, mem");
    assert_eq!(shown(&gate, "DELETE FROM mem"), "");
    assert_eq!(shown(&gate, "SHOW MEASUREMENTS; SHOW FIELD KEYS FROM mem"), "measurements: cpu");
    gate.post("/write?db=d", "mem v=\"text\" 1").send().expect(400);
    assert_eq!(shown(&gate, "DROP MEASUREMENT mem"), "");
    gate.post("/write?db=d", "mem v=\"text\" 1").send().expect(204);
    assert_eq!(shown(&gate, "SHOW FIELD KEYS FROM mem"), "mem: v string");
}

/// The number that the server names in its refusal.
fn field_shard(gate: &Gate) -> String {
    let text = shown(gate, "DELETE WHERE v = 1");
    text.trim_start_matches("error: shard ").split(':').next().unwrap().to_string()
}

#[test]
fn a_shard_is_dropped_by_its_number_and_the_others_keep_theirs() {
    let mut gate = filled();
    let week_ns = 7 * 24 * 3600 * 1_000_000_000_i64;
    gate.write("d", &format!("cpu,host=a v=5 {}\nmem v=6 {}\nmem v=7 {}", week_ns, week_ns + 1, 2 * week_ns));
    gate.create_database("other");
    gate.post("/write?db=other", "cpu v=1 1").send().expect(204);
    gate.ask_to_stop();
    gate.wait_for_exit();
    gate.start_again();
    let numbers = || -> Vec<String> {
        let shards = shown(&gate, "SHOW SHARDS");
        let of_d = shards.split("; ").find_map(|database| database.strip_prefix("d: ")).unwrap();
        of_d.split(", ").map(|shard| shard.split(' ').next().unwrap().to_string()).collect()
    };
    let count = |table| gate.sql("d", &format!("select count(*) from {table}")).lines().nth(1).unwrap().to_string();
    let before = numbers();
    assert_eq!((before.len(), count("cpu"), count("mem")), (3, "5".to_string(), "3".to_string()));
    // Rows that are in no segment yet go with the others.
    gate.write("d", &format!("mem v=8 {}", week_ns + 2));
    assert_eq!(shown(&gate, &format!("DROP SHARD {}", before[1])), "");
    assert_eq!(numbers(), [before[0].clone(), before[2].clone()]);
    assert_eq!((count("cpu"), count("mem")), ("4".to_string(), "2".to_string()));
    // Again, and one that never was.
    assert_eq!(shown(&gate, &format!("DROP SHARD {}", before[1])), "");
    assert_eq!(shown(&gate, "DROP SHARD 4711"), "");
    assert_eq!(shown(&gate, &format!("DROP SHARD {}", before[0])), "");
    assert_eq!((count("cpu"), count("mem")), ("0".to_string(), "1".to_string()));
    assert_eq!(gate.sql("other", "select count(*) from cpu"), "count(*)\n1\n");
    gate.write("d", "cpu,host=a v=9 1");
    assert_eq!(count("cpu"), "1");
}

#[test]
fn policies_come_change_and_go_with_their_rows() {
    let gate = filled();
    assert_eq!(shown(&gate, "CREATE RETENTION POLICY p ON d DURATION 1d REPLICATION 1 DEFAULT"), "");
    assert_eq!(shown(&gate, "SHOW RETENTION POLICIES ON d"), "autogen 0s 168h0m0s 1 false, p 24h0m0s 1h0m0s 1 true");
    assert_eq!(shown(&gate, "ALTER RETENTION POLICY p ON d DURATION INF"), "");
    gate.write("d", "other v=1 1");
    assert_eq!(shown(&gate, "SHOW MEASUREMENTS"), "measurements: cpu, mem, other");
    assert_eq!(shown(&gate, "DROP RETENTION POLICY p ON d"), "");
    assert_eq!(shown(&gate, "SHOW MEASUREMENTS"), "measurements: cpu, mem");
    gate.post("/write?db=d", "other v=1 1").send().expect(500);
}

#[test]
fn users_and_stored_queries_outlive_the_process() {
    let mut gate = filled();
    for q in [
        "CREATE USER ann WITH PASSWORD 'secret' WITH ALL PRIVILEGES",
        "CREATE USER bob WITH PASSWORD 'b'",
        "GRANT ALL ON d TO bob",
        "REVOKE READ ON d FROM bob",
        "CREATE CONTINUOUS QUERY cq ON d BEGIN SELECT mean(v) INTO m FROM cpu GROUP BY time(1h) END",
        "CREATE SUBSCRIPTION s ON d.autogen DESTINATIONS ALL 'http://h:1'",
    ] {
        assert_eq!(shown(&gate, q), "", "{q}");
    }
    gate.kill_and_restart();
    assert_eq!(shown(&gate, "SHOW USERS"), "ann true, bob false");
    assert_eq!(shown(&gate, "SHOW GRANTS FOR bob"), "d WRITE");
    let cq = "cq CREATE CONTINUOUS QUERY cq ON d BEGIN SELECT mean(v) INTO d.autogen.m FROM d.autogen.cpu GROUP BY time(1h) END";
    assert!(shown(&gate, "SHOW CONTINUOUS QUERIES").ends_with(&format!("d: {cq}")));
    assert_eq!(shown(&gate, "SHOW SUBSCRIPTIONS"), "d: autogen s ALL [\"http://h:1\"]");
    assert!(!gate.log().contains("secret"));
    assert_eq!(shown(&gate, "CREATE USER bob WITH PASSWORD 'x'"), "error: user already exists");
    assert_eq!(shown(&gate, "DROP DATABASE d"), "");
    assert_eq!(shown(&gate, "SHOW GRANTS FOR bob"), "");
}
