//! What holds for any input.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::tests::{Cell, Row, rows};
use super::*;

const PRECISIONS: [Precision; 6] =
    [Precision::Ns, Precision::Us, Precision::Ms, Precision::S, Precision::M, Precision::H];
const NOW: i64 = 1_234;

fn read(dialect: Dialect, precision: Precision, body: &[u8]) -> Parsed {
    parse(body, &Options { dialect, precision, now_ns: NOW })
}

fn dialects() -> impl Strategy<Value = Dialect> {
    select(vec![Dialect::INFLUXDB, Dialect::CNOSDB])
}

/// Characters that mean something somewhere, and a few that never do.
fn characters() -> impl Strategy<Value = char> {
    select("ab01ß日🦀=, \"\\'#\t\0\r\n.-+eiutfTFN".chars().collect::<Vec<_>>())
}

/// A name that can be written: a backslash stands before bytes that no escape knows only, no newline, no leading blank.
fn names() -> impl Strategy<Value = String> {
    vec(characters(), 1..6).prop_map(|chars| {
        let mut name = String::new();
        for (i, &c) in chars.iter().enumerate() {
            let next = chars.get(i + 1);
            let plain = next.is_some_and(|next| !", =\"\\\n".contains(*next));
            if c != '\n' && (c != '\\' || plain) {
                name.push(c);
            }
        }
        if name.is_empty() || name.starts_with(['\t', '\0', '#']) {
            name.insert(0, 'n');
        }
        name
    })
}

fn cells() -> impl Strategy<Value = Cell> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| Cell::Float(value.to_bits())),
        (-1_000_000i64..1_000_000, 0..6u32)
            .prop_map(|(value, places)| Cell::Float((value as f64 / 10f64.powi(places as i32)).to_bits())),
        any::<i64>().prop_map(Cell::Integer),
        any::<u64>().prop_map(Cell::Unsigned),
        any::<bool>().prop_map(Cell::Boolean),
        vec(characters(), 0..8).prop_map(|chars| Cell::String(chars.into_iter().collect())),
    ]
}

#[derive(Debug, Clone)]
struct Point {
    table: String,
    tags: BTreeMap<String, String>,
    fields: BTreeMap<String, Cell>,
    timestamp: Option<i64>,
}

fn points() -> impl Strategy<Value = Vec<Point>> {
    let tags = btree_map(names(), names(), 0..4);
    let fields = btree_map(names(), cells(), 1..5);
    let point = (names(), tags, fields, proptest::option::of(-2_000_000i64..2_000_000))
        .prop_map(|(table, tags, fields, timestamp)| Point { table, tags, fields, timestamp });
    vec(point, 1..6)
}

/// A point that `dialect` can carry: CnosDB takes no bare backslash, InfluxDB no unsigned.
fn fit(mut point: Point, dialect: Dialect) -> Point {
    if dialect.strict_escapes {
        let plain = |name: String| format!("n{}", name.replace('\\', ""));
        point.table = plain(point.table);
        point.tags = point.tags.into_iter().map(|(key, value)| (plain(key), plain(value))).collect();
        point.fields = point.fields.into_iter().map(|(key, value)| (plain(key), value)).collect();
    }
    if !dialect.unsigned {
        for cell in point.fields.values_mut() {
            if let Cell::Unsigned(value) = *cell {
                *cell = Cell::Integer(value as i64);
            }
        }
    }
    point
}

fn escape(text: &str, escaped: &str) -> String {
    text.chars().flat_map(|c| escaped.contains(c).then_some('\\').into_iter().chain([c])).collect()
}

fn render(point: &Point) -> String {
    let mut line = escape(&point.table, ", ");
    for (key, value) in &point.tags {
        line += &format!(",{}={}", escape(key, ", ="), escape(value, ", ="));
    }
    for (i, (key, cell)) in point.fields.iter().enumerate() {
        line += if i == 0 { " " } else { "," };
        line += &escape(key, ", =");
        line += &match cell {
            Cell::Float(bits) if bits % 2 == 0 => format!("={}", f64::from_bits(*bits)),
            Cell::Float(bits) => format!("={:e}", f64::from_bits(*bits)),
            Cell::Integer(value) => format!("={value}i"),
            Cell::Unsigned(value) => format!("={value}u"),
            Cell::Boolean(value) => format!("={value}"),
            Cell::String(value) => format!("=\"{}\"", escape(value, "\"\\")),
        };
    }
    if let Some(timestamp) = point.timestamp {
        line += &format!(" {timestamp}");
    }
    line
}

/// Rows as sets of fields, in an order of their own: a table's rows stay together and its fields have its order.
fn sorted(rows: impl IntoIterator<Item = Row>) -> Vec<String> {
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|mut row| {
            row.fields.sort_by(|left, right| left.0.cmp(&right.0));
            format!("{row:?}")
        })
        .collect();
    rows.sort();
    rows
}

fn expected(point: Point, precision: Precision) -> Row {
    Row {
        table: point.table,
        tags: point.tags.into_iter().collect(),
        fields: point.fields.into_iter().collect(),
        time: point.timestamp.map_or(NOW, |timestamp| timestamp * precision.nanos()),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        points in points(), dialect in dialects(), precision in select(PRECISIONS.to_vec()), crlf: bool,
    ) {
        let points: Vec<_> = points.into_iter().map(|point| fit(point, dialect)).collect();
        let end = if crlf && dialect.text_lines { "\r\n" } else { "\n" };
        let body: Vec<_> = points.iter().map(render).collect();
        let parsed = read(dialect, precision, body.join(end).as_bytes());
        prop_assert_eq!(parsed.bad_lines.kept(), &[]);
        let written = sorted(points.into_iter().map(|point| expected(point, precision)));
        prop_assert_eq!(sorted(rows(&parsed.points)), written);
    }

    #[test]
    fn garbage_between_good_lines_changes_nothing(
        points in points(), garbage in vec("[ab=, .0-9i#\t-]{1,12}", 1..6),
    ) {
        let precision = Precision::Ms;
        let garbage: Vec<_> = garbage
            .into_iter()
            .filter(|line| read(Dialect::INFLUXDB, precision, line.as_bytes()).points.rows() == 0)
            .collect();
        let points: Vec<_> = points.into_iter().map(|point| fit(point, Dialect::INFLUXDB)).collect();
        let mut lines = Vec::new();
        for (i, point) in points.iter().enumerate() {
            lines.push(render(point));
            lines.extend(garbage.get(i).cloned());
        }
        let parsed = read(Dialect::INFLUXDB, precision, lines.join("\n").as_bytes());
        let written = sorted(points.into_iter().map(|point| expected(point, precision)));
        prop_assert_eq!(sorted(rows(&parsed.points)), written);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in vec(any::<u8>(), 0..200), dialect in dialects()) {
        let parsed = read(dialect, Precision::Ns, &body);
        rows(&parsed.points);
        for error in parsed.bad_lines.kept() {
            let _ = (error.to_string(), error.cnosdb().to_string());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(
        pieces in vec(prop_oneof![
            characters().prop_map(String::from),
            select(vec![
                "pump", ",hall=n", " speed=5", " note=\"", "\"", ",flow=2i", "\\\\", "\\\"", "\\=", "on=t", " 12", "\n", "=", "5e1",
            ])
                .prop_map(String::from),
        ], 0..30),
        dialect in dialects(),
    ) {
        let body = pieces.concat();
        let parsed = read(dialect, Precision::H, body.as_bytes());
        rows(&parsed.points);
        for error in parsed.bad_lines.kept() {
            prop_assert!(body[error.offset..].starts_with(&error.line));
            let end = error.offset + error.line.len();
            prop_assert!((error.offset..=end).contains(&error.position), "{error:?}");
            let _ = (error.to_string(), error.cnosdb().to_string());
        }
    }

    #[test]
    fn floats_are_what_the_standard_parser_gives(text in "-?[0-9]{0,20}(\\.[0-9]{0,25})?([eE][+-]?[0-9]{1,3})?") {
        let parsed = read(Dialect::INFLUXDB, Precision::Ns, format!("pump speed={text}").as_bytes());
        let got = rows(&parsed.points).pop().map(|mut row| row.fields.remove(0).1);
        let standard = text.parse::<f64>().ok().filter(|value| value.is_finite());
        prop_assert_eq!(got, standard.map(|value| Cell::Float(value.to_bits())));
    }
}
