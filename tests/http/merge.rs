//! One row is one series at one time: writes to it merge by field, the later one wins, wherever the parts lie.

use crate::http_gate::{Gate, eventually};

/// A gateway that flushes almost at once and compacts only if `compaction` says so.
fn gate(compaction: bool) -> Gate {
    let compaction = if compaction { "true" } else { "false" };
    let gate = Gate::with(&[
        ("buffer.flush_age_ms", "10"),
        ("buffer.flush_small_age_ms", "10"),
        ("compaction.enabled", compaction),
        ("compaction.interval_ms", "50"),
        ("compaction.files_min", "2"),
    ]);
    gate.create_database("d");
    gate
}

/// A gateway that does not flush by itself.
fn gate_that_keeps_rows() -> Gate {
    let gate = Gate::with(&[("buffer.flush_age_ms", "600000"), ("buffer.flush_small_age_ms", "600000")]);
    gate.create_database("d");
    gate
}

/// Writes, and waits until the rows are in a segment of their own.
#[track_caller]
fn write_and_flush(gate: &Gate, lines: &str) {
    let flushed = gate.metric("tidegate_flushed_rows_total", "");
    gate.write("d", lines);
    eventually("the rows are in a segment", || gate.metric("tidegate_flushed_rows_total", "") > flushed);
    gate.wait_until_flushed();
}

#[test]
fn fields_of_one_row_merge_in_memory() {
    let gate = gate_that_keeps_rows();
    gate.write("d", "m,t=x a=1 5");
    gate.write("d", "m,t=x b=2 5");
    gate.write("d", "m,t=y b=3 5\nm,t=x b=4 6");
    assert_eq!(gate.sql("d", "select t, a, b from m order by time, t"), "t,a,b\nx,1.0,2.0\ny,,3.0\nx,,4.0\n");
    gate.write("d", "m,t=x a=9 5");
    assert_eq!(
        gate.sql("d", "select a, b from m where t = 'x' and time = '1970-01-01T00:00:00.000000005'"),
        "a,b\n9.0,2.0\n"
    );
    // Inside one request and one line, too.
    gate.write("d", "m,t=z a=1,a=2 5\nm,t=z a=3,b=1 5");
    assert_eq!(gate.sql("d", "select a, b from m where t = 'z'"), "a,b\n3.0,1.0\n");
}

#[test]
fn fields_of_one_row_merge_across_flushes() {
    let gate = gate(false);
    write_and_flush(&gate, "m,t=x a=1 5");
    write_and_flush(&gate, "m,t=x b=2 5");
    assert_eq!(gate.sql("d", "select t, a, b from m"), "t,a,b\nx,1.0,2.0\n");
    assert_eq!(gate.sql("d", "select count(*) as n, count(a) as a, count(b) as b from m"), "n,a,b\n1,1,1\n");
    assert!(gate.metric("tidegate_segments", "") >= 2.0);
}

#[test]
fn the_later_value_wins_across_flushes_also_under_a_filter_on_it() {
    let gate = gate(false);
    for value in [1, 2, 3] {
        write_and_flush(&gate, &format!("m,t=x a={value},s=\"v{value}\" 5"));
    }
    assert_eq!(gate.sql("d", "select a, s from m"), "a,s\n3.0,v3\n");
    assert_eq!(gate.sql("d", "select a from m where a < 3"), "a\n");
    assert_eq!(gate.sql("d", "select a from m where s = 'v1'"), "a\n");
    assert_eq!(gate.sql("d", "select max(a) as a, count(*) as n from m where a > 0"), "a,n\n3.0,1\n");
    assert_eq!(gate.sql("d", "select a from m order by a limit 1"), "a\n3.0\n");
}

#[test]
fn memory_wins_over_segments() {
    let mut gate = gate_that_keeps_rows();
    gate.write("d", "m,t=x a=1,b=1 5");
    // A stop flushes, so this row is in a segment and the next one is not.
    gate.ask_to_stop();
    assert_eq!(gate.wait_for_exit().code(), Some(0));
    gate.start_again();
    gate.write("d", "m,t=x a=2 5");
    assert!(gate.metric("tidegate_buffer_bytes", "") > 0.0);
    assert_eq!(gate.sql("d", "select a, b from m"), "a,b\n2.0,1.0\n");
    assert_eq!(gate.sql("d", "select a, b from m where a = 1"), "a,b\n");
    gate.kill_and_restart();
    assert_eq!(gate.sql("d", "select a, b from m"), "a,b\n2.0,1.0\n");
}

#[test]
fn compaction_changes_no_answer() {
    let gate = gate(true);
    for i in 0..6 {
        write_and_flush(&gate, &format!("m,t=x a={i} 5\nm,t=x b{i}={i} 5\nm,t=y a={i} {i}"));
    }
    eventually("segments were compacted", || gate.metric("tidegate_compactions_total", "") >= 1.0);
    let row = "select a, b0, b1, b2, b3, b4, b5 from m where t = 'x'";
    assert_eq!(gate.sql("d", row), "a,b0,b1,b2,b3,b4,b5\n5.0,0.0,1.0,2.0,3.0,4.0,5.0\n");
    let series = "select count(*) as n, sum(a) as a from m where t = 'y'";
    assert_eq!(gate.sql("d", series), "n,a\n6,15.0\n");
}

#[test]
fn the_same_series_is_the_same_whatever_the_order_of_its_tags() {
    let gate = gate(false);
    write_and_flush(&gate, "m,t=x,u=y a=1 5");
    write_and_flush(&gate, "m,u=y,t=x b=2 5");
    gate.write("d", "m,u=y,t=x c=3 5\nm,t=x a=7 5");
    assert_eq!(gate.sql("d", "select t, u, a, b, c from m order by u"), "t,u,a,b,c\nx,y,1.0,2.0,3.0\nx,,7.0,,\n");
}

#[test]
fn columns_that_came_later_are_null_before() {
    let gate = gate(false);
    write_and_flush(&gate, "m a=1 1");
    write_and_flush(&gate, "m,t=x a=2,b=\"s\" 2");
    gate.write("d", "m,u=y c=true 3");
    let rows = "a,b,c,t,u\n1.0,,,,\n2.0,s,,x,\n,,true,,y\n";
    assert_eq!(gate.sql("d", "select a, b, c, t, u from m order by time"), rows);
    assert_eq!(gate.sql("d", "select a from m where t is null and u is null"), "a\n1.0\n");
}
