//! `/write` and `/api/v2/write`: InfluxDB's answers word by word, and what is readable afterwards.

use tidegate::config::Listener;

use crate::http_gate::{Gate, encoded};

fn gate_with_database() -> Gate {
    let gate = Gate::start();
    gate.create_database("d");
    gate
}

#[test]
fn a_write_that_is_stored_answers_nothing() {
    let gate = gate_with_database();
    for body in ["m f=1 1", "m f=1 1\n", "m,t=a f=1,g=2i,h=\"x\",b=t 1\nm f=2 2\n", "", "\n\n", "# a comment\n"] {
        let answer = gate.post("/write?db=d", body).send().expect(204);
        assert_eq!(answer.text(), "", "{body:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
        assert_eq!(answer.header("x-influxdb-error"), None, "{answer}");
    }
}

#[track_caller]
fn refused(gate: &Gate, path: &str, body: &str, status: u16, text: &str) {
    let answer = gate.post(path, body).send().expect(status);
    assert_eq!(answer.influxdb_error(), text, "{path} {body:?}");
}

#[test]
fn requests_that_cannot_be_served_say_why() {
    let gate = gate_with_database();
    let line = "m f=1 1";
    refused(&gate, "/write", line, 400, "database is required");
    refused(&gate, "/write?db=", line, 400, "database is required");
    refused(&gate, "/write?db=missing", line, 404, "database not found: \"missing\"");
    refused(&gate, "/write?db=a%22b", line, 404, "database not found: \"a\\\"b\"");
    refused(&gate, "/write?db=d&rp=missing", line, 500, "retention policy not found: missing");
    refused(&gate, "/write?db=d&consistency=some", line, 400, "invalid consistency level");
    refused(&gate, "/write?db=d&precision=x", line, 400, "invalid precision \"x\" (use n, u, ms, s, m or h)");
    // The database is looked for before the body is looked at.
    refused(&gate, "/write?db=missing", "nonsense", 404, "database not found: \"missing\"");
    assert_eq!(gate.sql("d", "show tables"), "table_name\n");
}

#[test]
fn arguments_are_taken_from_the_url_only_and_credentials_are_ignored() {
    let gate = gate_with_database();
    let answer = gate.post("/write", "db=d").header("Content-Type", "application/x-www-form-urlencoded").send();
    assert_eq!(answer.expect(400).influxdb_error(), "database is required");
    for consistency in ["any", "one", "quorum", "ALL", ""] {
        gate.post(&format!("/write?db=d&consistency={consistency}&u=me&p=secret"), "m f=1 1").send().expect(204);
    }
    let answer = gate.post("/write?db=d&rp=autogen", "m f=1 1").header("Authorization", "Basic nonsense").send();
    answer.expect(204);
    gate.post("/write?db=d", "m f=1 1").header("Content-Type", "application/json").send().expect(204);
}

#[test]
fn lines_that_cannot_be_parsed_are_quoted_and_the_good_ones_are_kept() {
    let gate = gate_with_database();
    refused(&gate, "/write?db=d", "m", 400, "unable to parse 'm': missing fields");
    let text = "unable to parse ',t=1 f=1': missing measurement\nunable to parse 'm f=1a': invalid number";
    refused(&gate, "/write?db=d", ",t=1 f=1\nm f=1a\n", 400, text);
    assert_eq!(gate.sql("d", "show tables"), "table_name\n");
    let text = "partial write: unable to parse 'm f=': missing field value dropped=0";
    refused(&gate, "/write?db=d", "m f=1 1\nm f=\nm f=2 2\n", 400, text);
    let text = "partial write: unable to parse 'm f=3 x': bad timestamp\n\
                unable to parse 'm,t=1,t=2 f=3': duplicate tags dropped=0";
    refused(&gate, "/write?db=d", "m f=3 x\nm f=3 3\nm,t=1,t=2 f=3\n", 400, text);
    assert_eq!(gate.sql("d", "select f from m order by time"), "f\n1.0\n2.0\n3.0\n");
}

#[test]
fn points_that_do_not_fit_the_table_are_dropped_and_counted() {
    let gate = gate_with_database();
    gate.write("d", "m f=1 1");
    let conflict = "partial write: field type conflict: input field \"f\" on measurement \"m\" is type integer, \
                    already exists as type float dropped=";
    refused(&gate, "/write?db=d", "m f=1i 2", 400, &format!("{conflict}1"));
    // A point goes as a whole; its neighbours stay.
    refused(&gate, "/write?db=d", "m f=2i,g=1 2\nm f=3 3\nm f=4i 4", 400, &format!("{conflict}2"));
    // With both kinds of failure only the store's is told.
    refused(&gate, "/write?db=d", "m f=5i 5\nm f=\nm f=6 6", 400, &format!("{conflict}1"));
    // Within a request the first point decides.
    let text = "partial write: field type conflict: input field \"x\" on measurement \"n\" is type string, \
                already exists as type boolean dropped=1";
    refused(&gate, "/write?db=d", "n x=true 1\nn x=\"s\" 2", 400, text);
    assert_eq!(gate.sql("d", "select * from m order by time"), csv("time,f", &["1,1.0", "3,3.0", "6,6.0"]));
    assert_eq!(gate.sql("d", "select x from n"), "x\ntrue\n");
}

#[test]
fn time_is_no_name_for_a_tag_or_a_lone_field() {
    let gate = gate_with_database();
    let text = "partial write: invalid field name: input field \"time\" on measurement \"m\" is invalid dropped=1";
    refused(&gate, "/write?db=d", "m time=1 1\nm f=2 2", 400, text);
    let text = "partial write: invalid tag key: input tag \"time\" on measurement \"m\" is invalid dropped=1";
    refused(&gate, "/write?db=d", "m,time=x f=1 1\nm f=3 3", 400, text);
    gate.write("d", "m time=1,f=4 4");
    assert_eq!(gate.sql("d", "select * from m order by time"), csv("time,f", &["2,2.0", "3,3.0", "4,4.0"]));
}

/// CSV of rows whose first cell is a time, given in nanoseconds since 1970 (under a second).
fn csv(header: &str, rows: &[&str]) -> String {
    let row = |row: &&str| {
        let (time, rest) = row.split_once(',').unwrap_or((row, ""));
        let comma = if rest.is_empty() { "" } else { "," };
        format!("1970-01-01T00:00:00.{time:0>9}{comma}{rest}\n")
    };
    format!("{header}\n{}", rows.iter().map(row).collect::<String>())
}

#[test]
fn times_are_in_the_unit_that_was_named() {
    let gate = gate_with_database();
    for (i, (unit, times, expected)) in [
        ("", "1600000000123456789", "2020-09-13T12:26:40.123456789"),
        ("n", "1600000000123456789", "2020-09-13T12:26:40.123456789"),
        ("ns", "-1", "1969-12-31T23:59:59.999999999"),
        ("u", "1600000000123456", "2020-09-13T12:26:40.123456000"),
        ("ms", "1600000000123", "2020-09-13T12:26:40.123000000"),
        ("s", "1600000000", "2020-09-13T12:26:40.000000000"),
        ("m", "26666666", "2020-09-13T12:26:00.000000000"),
        ("h", "444444", "2020-09-13T12:00:00.000000000"),
    ]
    .into_iter()
    .enumerate()
    {
        gate.post(&format!("/write?db=d&precision={unit}"), format!("t{i} f=1 {times}")).send().expect(204);
        assert_eq!(gate.sql("d", &format!("select time from t{i}")), format!("time\n{expected}\n"), "{unit}");
    }
    for (i, unit) in ["ns", "us", "ms", "s"].into_iter().enumerate() {
        let path = format!("/api/v2/write?bucket=d&precision={unit}");
        gate.post(&path, format!("v{i} f=1 1000000000")).send().expect(204);
    }
    assert_eq!(gate.sql("d", "select time from v1"), "time\n1970-01-01T00:16:40.000000000\n");
    assert_eq!(gate.sql("d", "select time from v3"), "time\n2001-09-09T01:46:40.000000000\n");
}

#[test]
fn points_without_a_time_share_one_cut_to_the_unit() {
    let gate = gate_with_database();
    gate.post("/write?db=d&precision=s", "m,t=a f=1\nm,t=b f=2\nm,t=a g=3").send().expect(204);
    let rows = gate.sql("d", "select t, f, g, time from m order by t");
    let rows: Vec<&str> = rows.lines().collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    let (a, b) = (rows[1].rsplit_once(',').unwrap(), rows[2].rsplit_once(',').unwrap());
    assert_eq!((a.0, b.0, a.1), ("a,1.0,3.0", "b,2.0,", b.1));
    assert!(a.1.starts_with("20") && a.1.ends_with(".000000000"), "{a:?}");
}

#[test]
fn version_two_writes_into_a_bucket() {
    let gate = gate_with_database();
    for bucket in ["d", "d/autogen"] {
        let path = format!("/api/v2/write?org=any&bucket={}&precision=ns", encoded(bucket));
        let answer = gate.post(&path, "m f=1 1").header("Authorization", "Token me:secret").send().expect(204);
        assert_eq!(answer.header("x-influxdb-version"), Some("1.8.10"));
    }
    assert_eq!(gate.sql("d", "select count(*) as n from m"), "n\n1\n");
    refused(&gate, "/api/v2/write?bucket=missing", "m f=1", 404, "database not found: \"missing\"");
    refused(&gate, "/api/v2/write?bucket=d/missing", "m f=1", 500, "retention policy not found: missing");
    let partial = "partial write: unable to parse 'm': missing fields dropped=0";
    refused(&gate, "/api/v2/write?bucket=d", "m f=1 1\nm", 400, partial);
    for wrong in
        ["/api/v2/write", "/api/v2/write?bucket=", "/api/v2/write?bucket=d/", "/api/v2/write?bucket=d&precision=h"]
    {
        gate.post(wrong, "m f=1").send().expect(400).influxdb_error();
    }
}

#[test]
fn an_acknowledged_point_is_in_the_next_answer() {
    let gate = Gate::with(&[("buffer.flush_age_ms", "10"), ("buffer.flush_small_age_ms", "10")]);
    gate.create_database("d");
    for i in 1..=60 {
        gate.post("/write?db=d", format!("m,host=h{} f={i} {i}", i % 7)).send().expect(204);
        let count = gate.ask_sql("d", "select count(*) as n, max(f) as f from m").at(Listener::Influxdb).send();
        assert_eq!(count.expect(200).text(), format!("n,f\n{i},{i}.0\n"));
    }
}

#[test]
fn a_policy_is_a_place_of_its_own() {
    let gate = Gate::start();
    gate.post("/query?q=CREATE%20DATABASE%20d%20WITH%20DURATION%201d%20NAME%20short", "").send().expect(200);
    let text = "partial write: points beyond retention policy dropped=1";
    refused(&gate, "/write?db=d", "m f=1 1\nm f=2", 400, text);
    assert_eq!(gate.sql("d", "select f from m"), "f\n2.0\n");
    gate.post("/write?db=d&rp=short", "m,t=a f=3").send().expect(204);
    assert_eq!(gate.sql("d/short", "select f from m where t = 'a'"), "f\n3.0\n");
}

#[test]
fn a_request_may_not_open_windows_without_end() {
    let gate = Gate::with(&[("limits.windows_per_request_max", "10")]);
    gate.create_database("d");
    let days = |count: u64| (0..count).map(|day| format!("m f=1 {}\n", day * 86_400)).collect::<String>();
    gate.post("/write?db=d&precision=s", days(10)).send().expect(204);
    let answer = gate.post("/write?db=d&precision=s", days(11)).send().expect(413);
    assert!(answer.influxdb_error().contains("11 time windows"), "{answer}");
    assert_eq!(gate.sql("d", "select count(*) as n from m"), "n\n10\n");
}

#[test]
fn many_writers_may_make_tables_and_columns_at_once() {
    let gate = gate_with_database();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let gate = &gate;
            scope.spawn(move || {
                for i in 0..15 {
                    let lines =
                        format!("all,writer=w{writer} f={i},f{i}={i},w{writer}=1i {i}\nt{i} w{writer}={i} {writer}");
                    gate.write("d", &lines);
                }
            });
        }
    });
    assert_eq!(
        gate.sql("d", "select count(*) as n, count(f3) as f3, count(w5) as w5 from \"all\""),
        "n,f3,w5\n120,8,15\n"
    );
    for i in 0..15 {
        assert_eq!(
            gate.sql("d", &format!("select count(*) as n, sum(w7) as w7 from t{i}")),
            format!("n,w7\n8,{i}.0\n")
        );
    }
}

#[test]
fn the_first_and_the_last_moment_are_kept_and_those_beyond_are_refused() {
    let gate = Gate::with(&[("buffer.flush_age_ms", "10"), ("buffer.flush_small_age_ms", "10")]);
    gate.create_database("d");
    let (first, last) = (-9_223_372_036_854_775_806_i64, 9_223_372_036_854_775_806_i64);
    gate.write("d", &format!("m f=1 {first}\nm f=2 {last}\nm f=3 0"));
    let rows = "time,f\n1677-09-21T00:12:43.145224194,1.0\n1970-01-01T00:00:00.000000000,3.0\n\
                2262-04-11T23:47:16.854775806,2.0\n";
    assert_eq!(gate.sql("d", "select time, f from m order by time"), rows);
    gate.wait_until_flushed();
    assert_eq!(gate.sql("d", "select time, f from m order by time"), rows);
    for time in [i64::MIN, i64::MIN + 1, i64::MAX] {
        let range = "time outside range -9223372036854775806 - 9223372036854775806";
        refused(
            &gate,
            "/write?db=d",
            &format!("m f=4 {time}"),
            400,
            &format!("unable to parse 'm f=4 {time}': {range}"),
        );
    }
    gate.post("/write?db=d&precision=h", "m f=4 9223372036854775806").send().expect(400).influxdb_error();
    gate.post("/write?db=d", "m f=4 9223372036854775808").send().expect(400).influxdb_error();
    assert_eq!(gate.sql("d", "select count(*) as n from m"), "n\n3\n");
}

#[test]
fn long_values_are_kept_and_longer_keys_are_refused() {
    let gate = gate_with_database();
    let long = "v".repeat(200_000);
    gate.write("d", &format!("m s=\"{long}\" 1"));
    assert_eq!(gate.sql("d", "select s from m"), format!("s\n{long}\n"));
    let answer = gate.post("/write?db=d", format!("m,t={} f=1 1", &long[..70_000])).send().expect(400);
    assert!(answer.json()["error"].as_str().unwrap().contains("max key length exceeded: "), "{answer}");
    let longest = &long[..60_000];
    gate.write("d", &format!("n,t={longest} f=1 1"));
    assert_eq!(gate.sql("d", "select t from n"), format!("t\n{longest}\n"));
}
