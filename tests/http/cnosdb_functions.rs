//! Functions of CnosDB's SQL that choose rows or know how long a state lasts.

use crate::http_gate::Gate;

#[track_caller]
fn check(gate: &Gate, statement: &str, expected: &str) {
    assert_eq!(gate.sql("d", statement), expected, "{statement}");
}

fn gate(lines: &str) -> Gate {
    let gate = Gate::with(&[("buffer.flush_age_ms", "10"), ("buffer.flush_small_age_ms", "10")]);
    gate.create_database("d");
    if !lines.is_empty() {
        gate.write("d", lines);
    }
    gate
}

#[test]
fn rows_are_chosen_whole_by_their_greatest_and_least_values() {
    let gate = gate("t,a=x f=4,n=1i 1\nt,a=y f=20,n=9i 2\nt,a=z f=8,n=3i 3\nt,a=x n=7i 4");
    let asked = |gate: &Gate| {
        check(gate, "SELECT topk(f, 2), a FROM t", "\"topk(f, 2)\",a\n20.0,y\n8.0,z\n");
        // A row without the value comes last.
        check(gate, "SELECT a, BOTTOM(f, 5) AS b, n FROM t", "a,b,n\nx,4.0,1\nz,8.0,3\ny,20.0,9\nx,,7\n");
    };
    asked(&gate);
    gate.wait_until_flushed();
    asked(&gate);
    let (status, code, message) = gate.sql_error("d", "SELECT topk(f, 2), bottom(f, 2) FROM t");
    assert_eq!((status, code.as_str()), (422, "010001"), "{message}");
}

#[test]
fn a_sample_is_of_as_many_values_as_asked_for() {
    let gate = gate("t,a=x f=4 1\nt,a=y f=20 2\nt,a=z f=8 3\nt,a=x n=7i 4");
    check(&gate, "SELECT sample(f, 2000) AS s FROM t", "s\n\"[4.0, 8.0, 20.0]\"\n");
    let counted =
        "SELECT cardinality(sample(f, 2)) AS n, array_has_all(make_array(4.0, 8.0, 20.0), sample(f, 2)) AS k FROM t";
    check(&gate, counted, "n,k\n2,true\n");
    assert_eq!(gate.sql_error("d", "SELECT sample(f, 2001) FROM t").0, 422);
}

#[test]
fn a_series_is_measured_by_what_is_missing_and_what_does_not_fit() {
    let gate = gate("t f=1 10\nt f=1.1 11\nt f=2 20\nt f=3 30\nt f=5 50\nt n=1i 60\nt f=7 70\nt f=8 80\nu f=1 10");
    let measures = "SELECT completeness(time, f) AS a, consistency(time, f) AS b, timeliness(time, f) AS c, validity(time, f) AS d FROM t";
    check(&gate, measures, "a,b,c,d\n0.7777777777777778,0.875,1.0,0.78125\n");
    let (status, _, message) = gate.sql_error("d", "SELECT completeness(time, f) FROM u");
    assert_eq!((status, message.contains("At least two non-NaN values are needed")), (422, true), "{message}");
}

#[test]
fn a_state_lasts_until_the_next_row() {
    let gate = gate("");
    let states = "CREATE TABLE s(state STRING)";
    assert_eq!(gate.sql("d", states), "");
    let rows = [
        ("01T10:00:00", "starting"),
        ("01T10:30:00", "running"),
        ("03T16:00:00", "error"),
        ("03T18:30:00", "starting"),
        ("03T19:30:00", "running"),
        ("05T12:00:00", "stopping"),
    ]
    .map(|(at, state)| format!("('2020-01-{at}', '{state}')"));
    check(&gate, &format!("INSERT INTO s VALUES {}", rows.join(", ")), "rows\n6\n");
    for (state, bounds, expected) in [
        ("running", "", "3 days 22 hours"),
        ("error", "", "2 hours 30 mins"),
        ("starting", "", "1 hours 30 mins"),
        ("stopping", "", "0 secs"),
        ("running", ", TIMESTAMP '2020-01-05T00:00:00'", "12 hours"),
        ("running", ", TIMESTAMP '2020-01-01T10:00:00', INTERVAL '1 day'", "23 hours 30 mins"),
    ] {
        for states in ["state_agg", "compact_state_agg"] {
            if states == "compact_state_agg" && !bounds.is_empty() {
                continue;
            }
            let question = format!("SELECT duration_in({states}(time, state), '{state}'{bounds}) AS x FROM s");
            check(&gate, &question, &format!("x\n{expected}\n"));
        }
    }
}

#[test]
fn a_gauge_is_told_by_its_first_and_last_points() {
    let gate =
        gate("t,a=x f=4,n=1i 1\nt,a=x f=20 2\nt,a=x n=7i 3\nt,a=x f=8 4\nt,a=x f=1 9\nt,a=y f=5 6\nt,a=z n=1i 7");
    let point = |at: u32, value: &str| format!("{{ts: 1970-01-01T00:00:00.00000000{at}, val: {value}}}");
    let gauge = |points: [String; 4], count: u32| {
        let [first, second, penultimate, last] = points;
        format!(
            "\"{{first: {first}, second: {second}, penultimate: {penultimate}, last: {last}, num_elements: {count}}}\""
        )
    };
    let many = gauge([point(1, "4.0"), point(2, "20.0"), point(4, "8.0"), point(9, "1.0")], 4);
    let one = gauge([6; 4].map(|at| point(at, "5.0")), 1);
    let asked = "SELECT a, gauge_agg(time, f) AS g FROM t GROUP BY a ORDER BY a";
    check(&gate, asked, &format!("a,g\nx,{many}\ny,{one}\nz,\n"));
    // Rows without the value do not count, and a single point has no rate.
    let asked = "SELECT a, idelta_left(gauge_agg(time, f)) AS l, idelta_right(gauge_agg(time, f)) AS r, rate(gauge_agg(time, f)) AS s FROM t GROUP BY a ORDER BY a";
    check(&gate, asked, "a,l,r,s\nx,16.0,-7.0,-0.375\ny,0.0,0.0,\nz,,,\n");
    let asked = "SELECT time_delta(gauge_agg(time, f)) AS d FROM t WHERE a = 'x'";
    check(&gate, asked, "d\n0.000000008 secs\n");
    check(&gate, "SELECT exact_count(*) AS a, exact_count(f) AS b FROM t", "a,b\n7,5\n");
    assert_eq!(gate.sql_error("d", "SELECT gauge_agg(time, a) FROM t").0, 422);
}

#[test]
fn a_series_is_put_right() {
    let gate = gate("");
    let values = "t f=1,n=7i 0\nt f=2 10000000000\nt f=3,n=9i 19000000000\nt n=4i 30000000000\nt f=5 40000000000";
    gate.write("d", values);
    let rows = |of: [&str; 5]| -> String {
        of.iter()
            .enumerate()
            .map(|(at, value)| format!("1970-01-01T00:00:{:02}.000000000,{value}\n", at * 10))
            .collect()
    };
    let retimed = "SELECT timestamp_repair(time, f, 'interval=10000') FROM t";
    let named = "time,\"timestamp_repair(time, f, 'interval=10000')\"\n";
    check(&gate, retimed, &format!("{named}{}", rows(["1.0", "2.0", "3.0", "NaN", "5.0"])));
    let both = "SELECT value_fill(time, v) AS v FROM (SELECT timestamp_repair(time, f, 'interval=10000') AS v FROM t)";
    check(&gate, both, &format!("time,v\n{}", rows(["1.0", "2.0", "3.0", "4.0", "5.0"])));
    // Values are of the type that they were; what is no number of it is null.
    let integers = "SELECT timestamp_repair(time, n, 'interval=10000') AS v FROM t";
    check(&gate, integers, &format!("time,v\n{}", rows(["7", "", "9", "4", ""])));
    let shown = "SELECT max(v) AS v FROM (SELECT value_repair(time, f, 'min_speed=0&max_speed=0') AS v FROM t WHERE time < 25000000000)";
    check(&gate, shown, "v\n2.0\n");
    let some =
        "SELECT value_fill(time, avg(f), 'method=previous') AS v FROM t GROUP BY time ORDER BY time DESC LIMIT 2";
    check(&gate, some, "time,v\n1970-01-01T00:00:40.000000000,5.0\n1970-01-01T00:00:30.000000000,3.0\n");
    for (statement, expected) in [
        ("SELECT f, value_fill(time, f) FROM t", "must have only one expression"),
        ("SELECT f FROM t WHERE value_fill(time, f) > 1", "must be used in projection"),
        ("SELECT value_fill(time, f, 'method=nan') FROM t", "Invalid fill method: nan"),
        ("SELECT value_repair(time, f) FROM t WHERE f = 1", "At least two non-NaN values are needed"),
    ] {
        let (status, code, message) = gate.sql_error("d", statement);
        assert_eq!(
            (status, code.as_str(), message.contains(expected)),
            (422, "010001", true),
            "{statement}: {message}"
        );
    }
    check(
        &gate,
        "SELECT num_changes(gauge_agg(time, n)) AS c, num_elements(gauge_agg(time, n)) AS e FROM t",
        "c,e\n2,3\n",
    );
}
