//! TDengine's REST interface: what its clients see, and that the rows are the same through every other door.

use serde_json::{Value, json};
use tidegate::config::Listener;

use crate::http_gate::{Answer, Ask, Gate, encoded};

const ROOT: &str = "Basic cm9vdDp0YW9zZGF0YQ==";

fn ask(gate: &Gate, path: &str, statement: &str) -> Ask {
    gate.post(&format!("/rest/sql{path}"), statement).at(Listener::Tdengine).header("Authorization", ROOT)
}

/// Runs a statement in database `d`.
#[track_caller]
fn run(gate: &Gate, statement: &str) -> Value {
    let answer = ask(gate, "/d", statement).send().expect(200).json();
    assert_eq!(answer["code"], 0, "{statement}: {answer}");
    answer
}

#[track_caller]
fn rows(gate: &Gate, statement: &str, expected: Value) {
    assert_eq!(run(gate, statement)["data"], expected, "{statement}");
}

#[track_caller]
fn refused(gate: &Gate, statement: &str, code: u16, text: &str) {
    let answer = ask(gate, "/d", statement).send().expect(200).json();
    assert_eq!(answer["code"], code, "{statement}: {answer}");
    let said = answer["desc"].as_str().unwrap();
    assert!(said.starts_with(text), "{statement}: {said}");
}

/// A super table `m` with the sub tables `one` and `two`, and a table `plain`.
fn gate_with_tables(settings: &[(&str, &str)]) -> Gate {
    let gate = Gate::with(settings);
    for statement in [
        "create database d",
        "create stable m (ts timestamp, v int, f float, s nchar(4)) tags (city varchar(16), floor tinyint)",
        "create table one using m tags ('Bern', 1) two using m (city) tags ('Chur')",
        "create table plain (ts timestamp, `Value` bigint unsigned)",
        "insert into one values (1700000000000, 1, 10.3, 'a') (1700000001000, 2, null, null) two values (1700000000000, 5, 0.5, 'ä')",
        "insert into plain values (1700000000000, 18446744073709551615)",
    ] {
        run(&gate, statement);
    }
    gate
}

#[test]
fn rows_keep_their_declared_types() {
    let gate = gate_with_tables(&[]);
    let answer = run(&gate, "select * from m order by ts, tbname");
    let meta = json!([
        ["ts", "TIMESTAMP", 8],
        ["v", "INT", 4],
        ["f", "FLOAT", 4],
        ["s", "NCHAR", 4],
        ["city", "VARCHAR", 16],
        ["floor", "TINYINT", 1]
    ]);
    assert_eq!((&answer["column_meta"], &answer["rows"]), (&meta, &json!(3)));
    let expected = json!([
        ["2023-11-14T22:13:20.000Z", 1, 10.3, "a", "Bern", 1],
        ["2023-11-14T22:13:20.000Z", 5, 0.5, "ä", "Chur", null],
        ["2023-11-14T22:13:21.000Z", 2, null, null, "Bern", 1]
    ]);
    assert_eq!(answer["data"], expected);
    rows(&gate, "select `Value` from plain", json!([[u64::MAX]]));
}

#[test]
fn other_doors_see_the_rows_with_the_tags_of_today() {
    let gate = gate_with_tables(&[]);
    let select = "select tbname, city, floor, v from m order by tbname, time";
    assert_eq!(gate.sql("d", select), "tbname,city,floor,v\none,Bern,1,1\none,Bern,1,2\ntwo,Chur,,5\n");
    run(&gate, "alter table two set tag city = 'Olten', floor = 3");
    let moved = "tbname,city,floor,v\ntwo,Olten,3,5\n";
    assert_eq!(gate.sql("d", "select tbname, city, floor, v from m where city = 'Olten'"), moved);
    let influxql = |query: &str| gate.get(&format!("/query?db=d&q={}", encoded(query))).send().expect(200).json();
    let series = influxql("select sum(v) from m group by city")["results"][0]["series"].clone();
    let sums: Vec<(&Value, &Value)> =
        series.as_array().unwrap().iter().map(|one| (&one["tags"]["city"], &one["values"][0][1])).collect();
    assert_eq!(sums, [(&json!("Bern"), &json!(3)), (&json!("Olten"), &json!(5))]);
    let values = influxql("show tag values from m with key = city")["results"][0]["series"][0]["values"].clone();
    assert_eq!(values, json!([["city", "Bern"], ["city", "Olten"]]));
}

#[test]
fn measurements_of_others_are_super_tables() {
    let gate = Gate::start();
    gate.create_database("d");
    gate.write("d", "cpu,host=a usage=0.5,n=3i 1700000000000000001\ncpu,host=b usage=1.5 1700000000000000002\n");
    let answer = run(&gate, "select _ts, usage, n, host from cpu order by host");
    let meta = json!([["_ts", "TIMESTAMP", 8], ["usage", "DOUBLE", 8], ["n", "BIGINT", 8], ["host", "NCHAR", 4093]]);
    assert_eq!(answer["column_meta"], meta);
    assert_eq!(answer["data"][0], json!(["2023-11-14T22:13:20.000000001Z", 0.5, 3, "a"]));
    rows(&gate, "show stables", json!([["cpu"]]));
    rows(&gate, "select count(*) from (select distinct tbname from cpu)", json!([[2]]));
    refused(&gate, "drop table nosuch", 9731, "Fail to get table info, error: Table does not exist");
}

#[test]
fn everything_is_there_after_a_crash_and_after_a_flush() {
    let mut gate = gate_with_tables(&[]);
    let all = || {
        [
            "select tbname, ts, v, f, s, city, floor from m order by tbname, ts",
            "select `Value` from plain",
            "describe m",
            "select name, `keep`, `precision` from information_schema.ins_databases where name = 'd'",
            "select distinct tbname, city, floor from m order by tbname",
        ]
    };
    run(&gate, "create table empty using m tags ('Genf', 9)");
    let before: Vec<Value> = all().iter().map(|statement| run(&gate, statement)["data"].clone()).collect();
    gate.kill_and_restart();
    for (statement, expected) in all().iter().zip(&before) {
        rows(&gate, statement, expected.clone());
    }
    run(&gate, "delete from one where ts = 1700000001000");
    gate.kill_and_restart();
    rows(&gate, "select v from one", json!([[1]]));
    rows(&gate, "select distinct tbname from m order by tbname", json!([["empty"], ["one"], ["two"]]));
}

#[test]
fn calls_stand_side_by_side() {
    let gate = gate_with_tables(&[]);
    run(&gate, "insert into one values (1700000003000, 8, 11.3, 'b')");
    rows(&gate, "select diff(v), diff(f) from one", json!([[1, null], [6, 1]]));
    rows(&gate, "select last(v, f), first(v, s) from one", json!([[8, 11.3, 1, "a"]]));
    rows(
        &gate,
        "select _wstart, top(v, 1) from one interval(2s)",
        json!([["2023-11-14T22:13:20.000Z", 2], ["2023-11-14T22:13:22.000Z", 8]]),
    );
    rows(
        &gate,
        "select interp(v), interp(f) from one range(1700000001000, 1700000003000) every(2s) fill(prev)",
        json!([[2, 10.3], [8, 11.3]]),
    );
}

#[test]
fn members_of_json_tags_are_told_apart_by_null_and_sorted_by_kind() {
    let gate = Gate::start();
    for statement in [
        "create database d",
        "create stable j (ts timestamp, v int) tags (t json)",
        r#"create table j1 using j tags ('{"k":"b"}') j2 using j tags ('{"k":11}') j3 using j tags ('{"k":5.0,"k":6}')"#,
        r#"create table j4 using j tags ('{"k":null}') j5 using j tags ('{"l":1}') j6 using j tags ('{}') j7 using j tags ('{"k":false}')"#,
        r#"create table j8 using j tags ('{"k":"11"}') j9 using j tags ('{"k":5}')"#,
        "insert into j1 values (1700000000001, 1) j2 values (1700000000002, 2) j3 values (1700000000003, 3)",
        "insert into j4 values (1700000000004, 4) j5 values (1700000000005, 5) j6 values (1700000000006, 6)",
        "insert into j7 values (1700000000007, 7) j8 values (1700000000008, 8) j9 values (1700000000009, 9)",
    ] {
        run(&gate, statement);
    }
    let groups = |order: &str| format!("select t->'k' k, count(*) from j group by t->'k' order by k{order}");
    let mut sorted =
        json!([[null, 2], [null, 1], [false, 1], [5, 2], [11, 1], ["11", 1], ["b", 1]]).as_array().unwrap().clone();
    rows(&gate, &groups(" nulls first"), sorted.clone().into());
    sorted.reverse();
    rows(&gate, &groups(" desc nulls last"), sorted.clone().into());
    sorted.rotate_right(1);
    rows(&gate, &groups(" desc nulls first"), sorted.into());
    rows(&gate, "select count(*) from (select distinct t->'k' from j)", json!([[7]]));
    rows(&gate, "select v from j where t->'k' is null order by v", json!([[4], [5], [6]]));
    rows(&gate, "select v from j where t is null", json!([[6]]));
    rows(
        &gate,
        "select v from j where t->'k' = t->'k' and t contains 'k' order by t->'k', v desc",
        json!([[7], [9], [3], [2], [8], [1]]),
    );
    rows(&gate, "select t from j3", json!([[{"k": 5}]]));
    for (statement, code, text) in [
        ("select * from j where t->'k' in ('b')", 1836, "Json not support in in/notin operator"),
        ("select * from j where t->'k' not in (5)", 1836, "Json not support in in/notin operator"),
        ("select count(*) from j group by t", 1838, "Json not support in group/partition by"),
        ("select ts from j partition by t", 1838, "Json not support in group/partition by"),
        ("select distinct t from j", 1838, "Json not support in group/partition by"),
        (
            r#"create table x using j tags ('{"k":[1]}')"#,
            534,
            r#"syntax error near '{"k":[1]}' (invalidate json value)"#,
        ),
        (
            r#"insert into x using j tags ('{"é":1}') values (1, 1)"#,
            534,
            "syntax error near 'é' (json key not validate)",
        ),
        (r#"alter table j1 set tag t = '{"k":{}}'"#, 534, r#"syntax error near '{"k":{}}' (invalidate json value)"#),
    ] {
        refused(&gate, statement, code, text);
    }
}

#[test]
fn the_cluster_is_alive_whatever_the_database() {
    let gate = Gate::start();
    let answer = ask(&gate, "", "show cluster alive").send().expect(200).json();
    assert_eq!((&answer["column_meta"], &answer["data"]), (&json!([["status", "INT", 4]]), &json!([[1]])), "{answer}");
    let answer = ask(&gate, "", "show alive").send().expect(200).json();
    assert_eq!(answer["desc"], "Database not specified");
    run(&gate, "create database d");
    rows(&gate, "show alive", json!([[1]]));
    assert_eq!(ask(&gate, "", "show d.alive").send().expect(200).json()["data"], json!([[1]]));
}

#[test]
fn joins_that_test_show_the_other_side_too() {
    let gate = gate_with_tables(&[]);
    let both = "from one a left semi join two b on a.ts = b.ts";
    rows(&gate, &format!("select a.v, b.v {both}"), json!([[1, 5]]));
    rows(&gate, &format!("select a.v, b.v {}", both.replace("semi", "anti")), json!([[2, null]]));
    rows(&gate, "select b.v from one a right anti join two b on a.ts > b.ts", json!([]));
    rows(&gate, "select a.v, b.v from one a left asof join two b order by a.ts", json!([[1, 5], [2, 5]]));
}

#[test]
fn one_bad_value_refuses_the_statement_and_makes_no_table() {
    let gate = gate_with_tables(&[]);
    let one = "insert into new using m tags ('x', 1) values (1700000000000, 1, 1, 'a') ";
    refused(&gate, &format!("{one} two values (1700000002000, 'x', 1, 'a')"), 534, "syntax error near 'x'");
    refused(&gate, &format!("{one} (1700000002000, 1, 1, 'abcde')"), 9811, "Value too long for column/tag: s");
    refused(&gate, &format!("{one} (123, 1, 1, 'a')"), 1547, "Timestamp data out of range");
    rows(&gate, "show child tables", json!([["one"], ["two"]]));
    rows(&gate, "select count(*) from m", json!([[3]]));
}

#[test]
fn a_dropped_sub_table_comes_back_empty() {
    let gate = gate_with_tables(&[]);
    run(&gate, "insert into one values (1700000005000, 7, null, null)");
    run(&gate, "drop table one");
    refused(&gate, "select * from one", 9731, "Fail to get table info, error: Table does not exist");
    rows(&gate, "select v from m", json!([[5]]));
    run(&gate, "create table one using m tags ('Thun', 4)");
    rows(&gate, "select count(*) from one", json!([[0]]));
    run(&gate, "insert into one values (1700000005000, 8, null, null)");
    rows(&gate, "select v, city from one", json!([[8, "Thun"]]));
}

#[test]
fn many_sub_tables_are_made_at_once() {
    let gate = gate_with_tables(&[]);
    let rows_of = |n: usize| format!("s{n} using m tags ('c{n}', null) values (1700000000000, {n}, null, null) ");
    let insert: String = (0..2000).map(rows_of).collect();
    assert_eq!(run(&gate, &format!("insert into {insert}"))["data"], json!([[2000]]));
    let commits = |gate: &Gate| gate.files().iter().filter(|name| name.starts_with("store/catalog/")).count();
    let before = commits(&gate);
    assert_eq!(run(&gate, &format!("insert into {insert}"))["data"], json!([[2000]]));
    assert!(commits(&gate) <= before + 2, "series that are there are not made again");
    rows(&gate, "select count(*), sum(v) from m where tbname like 's%'", json!([[2000, 1999 * 1000]]));
    rows(&gate, "select v from m where city = 'c77'", json!([[77]]));
}

#[test]
fn statements_that_fail_are_answered_by_status_where_it_is_set() {
    let gate = gate_with_tables(&[("tdengine.http_code_server_error", "true")]);
    for (statement, status, code) in [
        ("nonsense", 400, 9728),
        ("insert into one values (1, 1, 1, 'a')", 400, 1547),
        ("select nope from one", 500, 9730),
        ("drop user nobody", 401, 849),
        ("select 1", 200, 0),
    ] {
        let answer = ask(&gate, "/d", statement).send().expect(status).json();
        assert_eq!(answer["code"], code, "{statement}: {answer}");
    }
}

#[track_caller]
fn unauthorized(answer: Answer, code: u16) {
    assert_eq!(answer.expect(401).json()["code"], code);
}

#[test]
fn accounts_are_kept_and_passwords_are_changed() {
    let gate = gate_with_tables(&[]);
    let with = |gate: &Gate, header: &str| {
        gate.post("/rest/sql", "select 1").at(Listener::Tdengine).header("Authorization", header).send()
    };
    unauthorized(gate.post("/rest/sql", "select 1").at(Listener::Tdengine).send(), 4357);
    unauthorized(with(&gate, "Basic cm9vdDpub25zZW5zZQ=="), 855);
    run(&gate, "create user ann pass 'secret'");
    with(&gate, "Basic YW5uOnNlY3JldA==").expect(200);
    run(&gate, "alter user ann pass 'other'");
    unauthorized(with(&gate, "Basic YW5uOnNlY3JldA=="), 855);
    let login = |path: &str| gate.get(path).at(Listener::Tdengine).send();
    let token = login("/rest/login/ann/other").expect(200).json()["desc"].as_str().unwrap().to_string();
    with(&gate, &format!("Taosd {token}")).expect(200);
    assert_eq!(
        login("/rest/login/ann/secret").expect(401).json(),
        json!({"code": 3, "desc": "Authentication failure"})
    );
}

#[test]
fn with_authentication_on_rights_decide() {
    let gate =
        Gate::with(&[("auth.enabled", "true"), ("auth.admin_user", "boss"), ("auth.admin_password", "Boss-1-boss")]);
    let as_user = |user: &str, statement: &str| {
        let header = match user {
            "boss" => "Basic Ym9zczpCb3NzLTEtYm9zcw==",
            "root" => ROOT,
            _ => "Basic YW5uOnNlY3JldA==",
        };
        gate.post("/rest/sql/d", statement).at(Listener::Tdengine).header("Authorization", header).send()
    };
    unauthorized(as_user("root", "select 1"), 855);
    for statement in ["create database d", "create table t (ts timestamp, v int)", "create user ann pass 'secret'"] {
        assert_eq!(as_user("boss", statement).expect(200).json()["code"], 0, "{statement}");
    }
    for statement in ["select * from t", "insert into t values (now, 1)", "drop database d", "create user bob pass 'x'"]
    {
        assert_eq!(as_user("ann", statement).expect(200).json()["code"], 9796, "{statement}");
    }
    let names = as_user("ann", "show user databases").expect(200).json()["data"].clone();
    assert_eq!(names, json!([]));
}

#[test]
fn a_long_answer_comes_whole_and_packed_when_asked() {
    let gate = gate_with_tables(&[]);
    let values: String = (0..20_000).map(|n| format!("({}, {n}) ", 1_700_000_100_000i64 + n)).collect();
    run(&gate, &format!("insert into plain values {values}"));
    let answer = run(&gate, "select * from plain");
    assert_eq!((answer["rows"].as_u64(), answer["data"].as_array().map(Vec::len)), (Some(20_001), Some(20_001)));
    let packed = ask(&gate, "/d", "select * from plain").header("Accept-Encoding", "gzip").send().expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let objects = ask(&gate, "/d?row_with_meta=true", "select * from plain limit 1").send().expect(200).json();
    assert_eq!(objects["data"], json!([{"ts": "2023-11-14T22:13:20.000Z", "Value": u64::MAX}]));
}

#[test]
fn a_slash_too_many_is_shown_the_way() {
    let gate = Gate::with(&[("auth.enabled", "true")]);
    let check = |ask: Ask, status: u16, location: &str| {
        let answer = ask.at(Listener::Tdengine).send().expect(status);
        assert_eq!(answer.header("location"), Some(location), "{answer}");
    };
    for path in [
        "/rest/sql",
        "/rest/sql/d",
        "/rest/sql/d/vgid",
        "/rest/upload",
        "/influxdb/v1/write",
        "/opentsdb/v1/put/json/d",
        "/opentsdb/v1/put/telnet/d",
    ] {
        check(gate.post(&format!("{path}/?a=%2F&b"), "select 1"), 307, &format!("{path}?a=%2F&b"));
        check(gate.post(&format!("{path}/"), "select 1"), 307, path);
    }
    for path in ["/-/ping", "/rest/login/a%20b/c"] {
        check(gate.get(&format!("{path}/")), 301, path);
    }
    for ask in [gate.get("/rest/sql/"), gate.post("/rest/sql//", "select 1"), gate.post("/-/ping/", "")] {
        ask.at(Listener::Tdengine).send().expect(404);
    }
}

#[test]
fn what_no_route_claims_is_not_found() {
    let gate = Gate::start();
    for ask in [gate.get("/rest/sql"), gate.post("/rest/sqlt", "x"), gate.post("/rest/tables/a", "x"), gate.get("/x")] {
        let answer = ask.at(Listener::Tdengine).header("Authorization", ROOT).send().expect(404);
        assert_eq!(answer.text(), "404 page not found");
    }
    assert_eq!(gate.get("/-/ping").at(Listener::Tdengine).send().expect(200).text(), "");
}
