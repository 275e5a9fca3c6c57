//! Documents and lines → what is stored and what is said about the rest.

use serde_json::{Value, json};

use super::json::{BodyProblem, Options, Parsed, Purpose};
use super::{Builder, Layout, PointError, json as put_json, telnet};
use crate::model::batch::tags_of;
use crate::model::{FieldValues, Points, TablePoints};

fn read(body: &str) -> Result<Parsed, BodyProblem> {
    let options = Options { layout: Layout::METRIC, purpose: Purpose::Put, may_write: None, keep_bad: true };
    put_json::parse(body, options)
}

/// A row as `metric{key=value,…} time float integer`.
fn rows_of(table: &TablePoints) -> Vec<String> {
    let number = |field: usize, row: usize| {
        let field = &table.fields[field];
        field.position(row).map_or("-".to_string(), |at| match &field.values {
            FieldValues::Float(values) => values[at].to_string(),
            FieldValues::Integer(values) => values[at].to_string(),
            other => format!("{other:?}"),
        })
    };
    let row = |row: usize| {
        let tags = tags_of(table.series.key(table.row_series[row] as usize));
        let tags: Vec<_> = tags.map(|(key, value)| format!("{}={value}", table.tag_keys[key as usize])).collect();
        format!("{}{{{}}} {} {} {}", table.name, tags.join(","), table.times[row], number(0, row), number(1, row))
    };
    (0..table.rows()).map(row).collect()
}

fn rows(points: &Points) -> Vec<String> {
    points.tables().flat_map(rows_of).collect()
}

#[track_caller]
fn stored(body: &str, expected: &[&str]) {
    let parsed = read(body).unwrap_or_else(|error| panic!("{body}: {error}"));
    assert_eq!(
        (rows(&parsed.points), parsed.bad_count),
        (expected.iter().map(|row| row.to_string()).collect(), 0),
        "{body}"
    );
}

#[track_caller]
fn refused(body: &str, datapoint: Value, error: &str) {
    let parsed = read(body).unwrap_or_else(|error| panic!("{body}: {error}"));
    assert_eq!((parsed.points.rows(), parsed.bad_count), (0, 1), "{body}");
    assert_eq!((&parsed.bad[0].datapoint, parsed.bad[0].error.as_str()), (&datapoint, error), "{body}");
}

#[track_caller]
fn unreadable(body: &str, message: &str) {
    assert_eq!(read(body).map(|_| ()).map_err(|error| error.to_string()), Err(message.to_string()), "{body}");
}

#[test]
fn of_very_many_bad_points_the_first_are_kept_and_all_are_counted() {
    let bad = r#"{"metric":"m"},null,"#.repeat(10_000);
    let parsed = read(&format!("[{}]", bad.trim_end_matches(','))).expect("points");
    assert_eq!((parsed.bad_count, parsed.bad.len()), (20_000, 10_000));
    assert_eq!(parsed.bad[1].datapoint, Value::Null);
}

#[test]
fn points_become_rows_of_their_metrics() {
    stored(
        r#"[{"metric":"m","timestamp":1356998400,"value":42,"tags":{"host":"a"}},
            {"tags":{"host":"a"},"value":"1.5","timestamp":"1356998400250","metric":"m","more":[{"x":[]}]},
            {"metric":"n","timestamp":1356998400.75,"value":"+7","tags":{"b":1,"a":true}},
            {"metric":"m","timestamp":1356998401,"value":9007199254740993,"tags":{"host":"b"}}]"#,
        &[
            "m{host=a} 1356998400000000000 42 42",
            "m{host=a} 1356998400250000000 1.5 -",
            "m{host=b} 1356998401000000000 9007199254740992 9007199254740993",
            "n{b=1,a=true} 1356998400000000000 7 7",
        ],
    );
    // The last of equal members counts, and what follows the document is not looked at.
    stored(
        r#"{"metric":"x","metric":"m","timestamp":1,"value":1,"tags":{"a":"x","a":"y"}} and more"#,
        &["m{a=y} 1000000000 1 1"],
    );
}

#[test]
fn a_bad_point_is_echoed_as_it_was_understood() {
    refused(
        r#"{"metric":"a:b","timestamp":"5","value":1.50,"tags":{"k":1}}"#,
        json!({"metric": "a:b", "timestamp": 5, "value": "1.50", "tags": {"k": "1"}}),
        "Invalid metric name (\"a:b\"): illegal character: :",
    );
    refused("[null]", Value::Null, "Unexpected null datapoint encountered in set.");
    refused(r#"{"timestamp":null,"value":null,"tags":null}"#, json!({"timestamp": 0}), "Metric name was empty");
    refused(
        r#"{"metric":"m","timestamp":5,"value":1e400,"tags":{"k":"v"}}"#,
        json!({"metric": "m", "timestamp": 5, "value": "1e400", "tags": {"k": "v"}}),
        "value is NaN or Infinite: Infinity for metric=m timestamp=5",
    );
    // Beyond what nanoseconds hold.
    refused(
        r#"{"metric":"m","timestamp":9999999999999,"value":1,"tags":{"k":null}}"#,
        json!({"metric": "m", "timestamp": 9_999_999_999_999i64, "value": "1", "tags": {"k": null}}),
        "bad timestamp=9999999999999 when trying to add value=[1]/0 to metric=m, tags={k=null}",
    );
    refused(
        r#"{"metric":"m","timestamp":5,"value":1,"tags":{"k":null}}"#,
        json!({"metric": "m", "timestamp": 5, "value": "1", "tags": {"k": null}}),
        "Invalid tag value with key [k]: null",
    );
}

#[test]
fn good_points_beside_bad_ones_are_kept_and_bad_ones_are_counted() {
    let body = r#"[{"metric":"m","timestamp":1,"value":1,"tags":{"a":"b"}},null,{"metric":"m"},{"metric":"m","timestamp":2,"value":2,"tags":{"a":"b"}}]"#;
    let parsed = read(body).unwrap();
    assert_eq!((parsed.points.rows(), parsed.bad_count, parsed.bad.len()), (2, 2, 2));
    let options = Options { layout: Layout::METRIC, purpose: Purpose::Put, may_write: None, keep_bad: false };
    let parsed = put_json::parse(body, options).unwrap();
    assert_eq!((parsed.points.rows(), parsed.bad_count, parsed.bad.len()), (2, 2, 0));
}

#[test]
fn what_cannot_be_bound_refuses_the_whole_body() {
    for body in ["", "  \n"] {
        unreadable(body, "Missing request content");
    }
    unreadable("[]", "No datapoints found in content");
    unreadable("[ ] x", "No datapoints found in content");
    for body in ["x", "\"x\"", "1"] {
        unreadable(body, "The JSON must start as an object or an array");
    }
    let point = r#""metric":"m","timestamp":1,"value":1,"tags":{"a":"b"}"#;
    for wrong in [
        "{",
        "[{}",
        "[1]",
        "[{},]",
        "[[]]",
        r#"{"timestamp":"whattime"}"#,
        r#"{"timestamp":true}"#,
        r#"{"timestamp":99999999999999999999}"#,
        r#"{"timestamp":[1]}"#,
        r#"{"metric":{}}"#,
        r#"{"value":[1]}"#,
        r#"{"value":01}"#,
        r#"{"tags":[]}"#,
        r#"{"tags":"a=b"}"#,
        r#"{"tags":{"a":{}}}"#,
        r#"{"a" 1}"#,
    ] {
        unreadable(wrong, "Unable to parse the given JSON");
    }
    unreadable(&format!("[{{{point}}},{{{point}"), "Unable to parse the given JSON");
}

#[test]
fn a_metric_that_may_not_be_made_is_named_unknown() {
    let may_write = |metric: &str| metric == "known";
    let options =
        Options { layout: Layout::METRIC, purpose: Purpose::Put, may_write: Some(&may_write), keep_bad: true };
    let body = r#"[{"metric":"new","timestamp":1,"value":1,"tags":{"a":"b"}},{"metric":"known","timestamp":1,"value":1,"tags":{"a":"b"}}]"#;
    let parsed = put_json::parse(body, options).unwrap();
    assert_eq!(
        (rows(&parsed.points), parsed.bad[0].error.as_str()),
        (vec!["known{a=b} 1000000000 1 1".into()], "Unknown metric")
    );
    let mut builder = Builder::new(Layout::METRIC, Some(&may_write));
    let error = telnet::parse("put new 1 1 a=b", &mut builder).unwrap_err();
    assert_eq!(error, PointError::UnknownMetric("new".to_string()));
}

#[track_caller]
fn line(line: &str, expected: Result<&str, &str>) {
    let mut builder = Builder::new(Layout::METRIC, None);
    let outcome = telnet::parse(line, &mut builder).map(|()| rows(&builder.into_points()).join(";"));
    assert_eq!(outcome.map_err(|error| error.to_string()).as_deref().map_err(String::as_str), expected, "{line}");
}

#[test]
fn put_lines_are_split_at_single_spaces() {
    line("put m 1356998400 42 host=a", Ok("m{host=a} 1356998400000000000 42 42"));
    line("put m 1356998405.250 4.5e1 host=a dc=b", Ok("m{host=a,dc=b} 1356998405250000000 45 -"));
    line("put m 1 42  host=a  dc=x ", Ok("m{host=a,dc=x} 1000000000 42 42"));
    line("put m 1 42 host=a host=a", Ok("m{host=a} 1000000000 42 42"));
    line("put", Err("not enough arguments (need least 4, got 0)"));
    line("put m 1 42", Err("not enough arguments (need least 4, got 3)"));
    line("put  m 1 42 a=b", Err("empty metric name"));
    line("put m  1 42 a=b", Err("Empty string"));
    line("put m . 42 a=b", Err("Empty string"));
    line("put m 1  a=b", Err("empty value"));
    line("put m\t1 42 a=b c=d", Err("Invalid character 'a' in a=b"));
    line("put m 0 42 a=b", Err("invalid timestamp: 0"));
    line("put m 1 1.5x a=b", Err("For input string: \"1.5x\""));
    line("put m 1 42 ", Err("Need at least one tag (metric=m, tags={})"));
    for tag in ["host", "host=", "=a", "a=b=c"] {
        line(&format!("put m 1 42 {tag}"), Err(&format!("invalid tag: {tag}")));
    }
    line("put m 1 42 host=a host=b", Err("duplicate tag: host=b, tags={host=a}"));
    line(
        "put m 99999999999999 300 host=a",
        Err("bad timestamp=99999999999999 when trying to add value=[1, 44]/1 to metric=m, tags={host=a}"),
    );
}

#[test]
fn a_series_that_is_known_is_checked_no_less() {
    let mut builder = Builder::new(Layout::METRIC, None);
    telnet::parse("put m 1 1 host=a", &mut builder).unwrap();
    for (line, expected) in [
        ("put m 0 1 host=a", "invalid timestamp: 0"),
        ("put m 1 1e400 host=a", "value is NaN or Infinite: Infinity for metric=m timestamp=1"),
        ("put m 1 x host=a", "Invalid character 'x' in x"),
        (
            "put m 99999999999999 1 host=a",
            "bad timestamp=99999999999999 when trying to add value=[1]/0 to metric=m, tags={host=a}",
        ),
    ] {
        assert_eq!(telnet::parse(line, &mut builder).unwrap_err().to_string(), expected);
    }
    telnet::parse("put m 2 2 host=a", &mut builder).unwrap();
    let points = builder.into_points();
    assert_eq!(rows(&points), ["m{host=a} 1000000000 1 1", "m{host=a} 2000000000 2 2"]);
    assert_eq!(points.tables().next().unwrap().series.len(), 1);
}
