use super::*;
use crate::model::FieldValues;
use crate::model::batch::tags_of;

const NOW: i64 = 7;

/// A point as it came out, floats by their bits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub table: String,
    pub tags: Vec<(String, String)>,
    pub fields: Vec<(String, Cell)>,
    pub time: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Float(u64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    String(String),
}

/// All points, a table at a time; the fields of a point in order of first appearance.
pub(super) fn rows(points: &Points) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in points.tables() {
        for row in 0..table.rows() {
            let key = table.series.key(table.row_series[row] as usize);
            let tags = tags_of(key).map(|(n, value)| (table.tag_keys[n as usize].clone(), value.to_string()));
            let written = table.fields.iter().filter_map(|column| Some((column, column.position(row)?)));
            let fields = written.map(|(column, at)| {
                let cell = match &column.values {
                    FieldValues::Float(values) => Cell::Float(values[at].to_bits()),
                    FieldValues::Integer(values) => Cell::Integer(values[at]),
                    FieldValues::Unsigned(values) => Cell::Unsigned(values[at]),
                    FieldValues::Boolean(values) => Cell::Boolean(values[at]),
                    FieldValues::String { bytes, ends } => {
                        let start = at.checked_sub(1).map_or(0, |before| ends[before] as usize);
                        Cell::String(String::from_utf8(bytes[start..ends[at] as usize].to_vec()).unwrap())
                    }
                };
                (column.name.clone(), cell)
            });
            rows.push(Row {
                table: table.name.clone(),
                tags: tags.collect(),
                fields: fields.collect(),
                time: table.times[row],
            });
        }
    }
    rows
}

fn read(dialect: Dialect, body: impl AsRef<[u8]>) -> Parsed {
    parse(body.as_ref(), &Options { dialect, precision: Precision::Ns, now_ns: NOW })
}

fn float(value: f64) -> Cell {
    Cell::Float(value.to_bits())
}

fn string(value: &str) -> Cell {
    Cell::String(value.to_string())
}

/// The only point of `body`.
fn only_row(dialect: Dialect, body: &str) -> Row {
    let parsed = read(dialect, body);
    assert_eq!(parsed.bad_lines.kept(), [], "{body:?}");
    let rows = rows(&parsed.points);
    assert_eq!(rows.len(), 1, "{body:?}: {rows:?}");
    rows.into_iter().next().unwrap()
}

#[test]
fn values_have_the_type_they_are_written_with() {
    fn check(dialect: Dialect, value: &str, expected: Cell) {
        let row = only_row(dialect, &format!("boiler pressure={value} 12"));
        assert_eq!(row.fields, [("pressure".to_string(), expected)], "{value}");
    }
    for dialect in [Dialect::INFLUXDB, Dialect::CNOSDB] {
        check(dialect, "21", float(21.0));
        check(dialect, "-21.75", float(-21.75));
        check(dialect, "-0", float(-0.0));
        check(dialect, "7.", float(7.0));
        check(dialect, ".25", float(0.25));
        check(dialect, "00021", float(21.0));
        check(dialect, "6.02e23", float(6.02e23));
        check(dialect, "6.02E-3", float(6.02e-3));
        check(dialect, "2e+5", float(2e5));
        check(dialect, "1e-400", float(0.0));
        check(dialect, "9007199254740993", float(9007199254740992.0));
        check(dialect, "18446744073709551616.5", float(18446744073709551616.0));
        check(dialect, "0.00000000000000000000000314", float(3.14e-24));
        check(dialect, "21i", Cell::Integer(21));
        check(dialect, "-0021i", Cell::Integer(-21));
        check(dialect, "000000000000000000000021i", Cell::Integer(21));
        check(dialect, &format!("{}i", i64::MAX), Cell::Integer(i64::MAX));
        check(dialect, &format!("{}i", i64::MIN), Cell::Integer(i64::MIN));
        for text in ["t", "T", "true", "True", "TRUE"] {
            check(dialect, text, Cell::Boolean(true));
        }
        for text in ["f", "F", "false", "False", "FALSE"] {
            check(dialect, text, Cell::Boolean(false));
        }
        check(dialect, r#""""#, string(""));
        check(dialect, r#""ein = zwei, drei""#, string("ein = zwei, drei"));
        check(dialect, "\"erste\nzweite\"", string("erste\nzweite"));
        check(dialect, r#""sagt \"ja\" und \\""#, string(r#"sagt "ja" und \"#));
    }
    check(Dialect::INFLUXDB, r#""C:\temp""#, string(r"C:\temp"));
    check(Dialect::INFLUXDB, r#""offen"er"#, string(r#"offen"e"#));
    check(Dialect::INFLUXDB, r#""offen"ß"#, string(r#"offen""#));
    check(Dialect::CNOSDB, &format!("{}u", u64::MAX), Cell::Unsigned(u64::MAX));
    check(Dialect::CNOSDB, "+2.5", float(2.5));
}

#[test]
fn names_lose_their_escapes_and_nothing_else() {
    fn check(dialect: Dialect, line: &str, table: &str, tags: &[(&str, &str)], field: &str) {
        let row = only_row(dialect, line);
        let tags: Vec<_> = tags.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        assert_eq!((row.table.as_str(), row.tags, row.fields[0].0.as_str()), (table, tags, field), "{line}");
    }
    let influxdb = Dialect::INFLUXDB;
    for dialect in [influxdb, Dialect::CNOSDB] {
        check(dialect, "pump speed=5", "pump", &[], "speed");
        check(
            dialect,
            r"süd\ pumpe\,2,halle\ nr=a\,b\=c drehzahl\ 1\,5=5",
            "süd pumpe,2",
            &[("halle nr", "a,b=c")],
            "drehzahl 1,5",
        );
        check(dialect, "pump=2,z=26,a=1 speed=5", "pump=2", &[("z", "26"), ("a", "1")], "speed");
        check(dialect, r#""pump","z"='26' "speed"=5"#, "\"pump\"", &[("\"z\"", "'26'")], "\"speed\"");
        check(dialect, "time,time=noon time=5", "time", &[("time", "noon")], "time");
    }
    check(influxdb, r"pu\mp,z\z=2\6 sp\eed=5", r"pu\mp", &[(r"z\z", r"2\6")], r"sp\eed");
    check(influxdb, r"pump\=2 speed=5", "pump=2", &[], "speed");
    // An escape escapes whatever precedes it.
    check(influxdb, r"pump\\,x,z=\\ y speed=5", r"pump\,x", &[("z", r"\ y")], "speed");
    check(influxdb, r#"pump\"2,z=\" speed\"5=5"#, r#"pump"2"#, &[("z", r#"\""#)], r#"speed"5"#);
    check(influxdb, "pump,z==26 speed=5", "pump", &[("z", "=26")], "speed");
    // Here a backslash escapes the next one.
    check(Dialect::CNOSDB, r"pump,z=26\\ speed=5", "pump", &[("z", r"26\\")], "speed");
    check(Dialect::CNOSDB, "pump,z=,y=?a=b speed=5", "pump", &[("z", ""), ("y", "?a=b")], "speed");
    check(Dialect::CNOSDB, "pump,z=1,y=2,z=3,y=4 speed=5", "pump", &[("z", "1"), ("y", "2")], "speed");
}

#[test]
fn refused_lines_are_named_with_influxdbs_reason() {
    fn check(line: &str, reason: &str) {
        let parsed = read(Dialect::INFLUXDB, line);
        assert_eq!(parsed.points.rows(), 0, "{line:?}");
        let errors: Vec<_> = parsed.bad_lines.kept().iter().map(|error| error.to_string()).collect();
        assert_eq!(errors, [format!("unable to parse '{line}': {reason}")], "{line:?}");
    }
    check("pump", "missing fields");
    check("pump,z=26", "missing fields");
    check(r"pump\ speed=5", "missing fields");
    check(",z=26 speed=5", "missing measurement");
    check("pump,", "missing tag key");
    check("pump, speed=5", "missing tag key");
    check("pump,=26 speed=5", "missing tag key");
    check("pump,z=26,,y=25 speed=5", "missing tag key");
    check("pump,z speed=5", "missing tag value");
    check("pump,z= speed=5", "missing tag value");
    check("pump,z=", "missing tag value");
    check("pump,z=26=27 speed=5", "invalid tag format");
    check(r"pump,z=26\ speed=5 8", "invalid tag format");
    check("pump,z=26,a=1,z=26 speed=5", "duplicate tags");
    check("pump,z=26,z=27 speed=5", "duplicate tags");
    check("pump =5", "missing field key");
    check("pump speed=5,=6", "missing field key");
    check("pump \t=5", "missing field key");
    check("pump speed=", "missing field value");
    check("pump speed= 8", "missing field value");
    check("pump speed=,flow=2", "missing field value");
    check("pump ", "invalid field format");
    check("pump speed", "invalid field format");
    check("pump speed=5,", "invalid field format");
    check("pump speed=5,,flow=2", "invalid field format");
    check("pump speed=5,flow", "invalid field format");
    check(r#"pump note="a"b=t"#, "invalid field format");
    check(r"pump speed\\=5", r"invalid value: field-key=speed\\=5");
    check(r#"pump note="open"#, "unbalanced quotes");
    check("pump note=\"open 8\npump speed=5", "unbalanced quotes");
    check("pump speed=5x", "invalid number");
    check("pump speed=5ii", "invalid number");
    check("pump speed=5i0", "invalid number");
    check("pump speed=5.5i", "invalid number");
    check("pump speed=-i", "invalid number");
    check("pump speed=-", "invalid number");
    check("pump speed=-.", "invalid number");
    check("pump speed=5.5.5", "invalid number");
    check("pump speed=5-5", "invalid number");
    check("pump speed=0xff", "invalid number");
    check("pump speed=NaN", "invalid number");
    check("pump speed=none", "invalid number");
    check("pump speed=-inf", "invalid number");
    check("pump speed=5u", "invalid number");
    check("pump speed=5\t8", "invalid number");
    check("pump speed=5e", "invalid float");
    check("pump speed=.e5", "invalid float");
    check("pump speed=2e308", "invalid float");
    check("pump speed=inf", "invalid boolean");
    check("pump speed=+5", "invalid boolean");
    check("pump on=tRUE", "invalid boolean");
    check("pump on=falsee", "invalid boolean");
    check("pump speed=5 soon", "bad timestamp");
    check("pump speed=5 8.5", "bad timestamp");
    check("pump speed=5 8\r", "bad timestamp");
    check("pump speed=5 flow=2", "bad timestamp");
    check("pump speed=5 8 9", "point is invalid");
    check("pump speed=5 8 # note", "point is invalid");
    check("pump speed=5 8\t", "bad timestamp");
    check("pump speed=5 -", "strconv.ParseInt: parsing \"-\": invalid syntax");
    check(
        "pump speed=5 -9300000000000000000",
        "strconv.ParseInt: parsing \"-9300000000000000000\": value out of range",
    );
    for edge in [i64::MIN, i64::MIN + 1, i64::MAX] {
        let line = format!("pump speed=5 {edge}");
        check(&line, "time outside range -9223372036854775806 - 9223372036854775806");
    }
    check(
        "pump speed=-10000000000000000000i",
        "unable to parse integer -10000000000000000000: \
         strconv.ParseInt: parsing \"-10000000000000000000\": value out of range",
    );
    check("\r", "missing fields");
}

#[test]
fn an_unsigned_out_of_range_is_named() {
    let parsed = read(Dialect::CNOSDB, "pump speed=18446744073709551616u");
    assert_eq!(
        parsed.bad_lines.kept()[0].reason.to_string(),
        "unable to parse unsigned 18446744073709551616: \
         strconv.ParseUint: parsing \"18446744073709551616\": value out of range"
    );
}

#[test]
fn lines_end_where_the_server_ends_them() {
    /// `points` are the times of the good lines, `bad` the bad lines.
    fn check(dialect: Dialect, body: &str, points: &[i64], bad: &[&str]) {
        let parsed = read(dialect, body);
        let times: Vec<_> = rows(&parsed.points).iter().map(|row| row.time).collect();
        let lines: Vec<_> = parsed.bad_lines.kept().iter().map(|error| error.line.as_str()).collect();
        assert_eq!((times.as_slice(), lines.as_slice()), (points, bad), "{body:?}");
    }
    let influxdb = Dialect::INFLUXDB;
    for dialect in [influxdb, Dialect::CNOSDB] {
        check(dialect, "", &[], &[]);
        check(dialect, "\n \n\t\n\0", &[], &[]);
        check(dialect, "a n=1 1\na n=1 2", &[1, 2], &[]);
        check(dialect, "\n\n a n=1 1  \n\t a  n=1   2\n\n", &[1, 2], &[]);
        check(dialect, "# one\na n=1 1\n  # two\n#\na n=1 2\n# three", &[1, 2], &[]);
        check(dialect, "a s=\"x\ny\" 1\na s=\"\n\" 2\n", &[1, 2], &[]);
        check(dialect, "a s=\"x\\\"\ny\" 1\na n=1 2", &[1, 2], &[]);
        check(dialect, "a,t=\"x n=1 1\na \"f=1 2\n", &[1, 2], &[]);
        check(dialect, "a n=1\t1\na n=1 2", if dialect == influxdb { &[2] } else { &[] }, &["a n=1\t1"]);
    }
    check(influxdb, "a n=1 1\r\na n=1\r\na n=1 3\n", &[3], &["a n=1 1\r", "a n=1\r"]);
    check(Dialect::CNOSDB, "a n=1 1\r\n\r\na n=1\r\na n=1 3\r", &[1, NOW, 3], &[]);
    // A quote or a backslash takes newlines along, in comments as well.
    check(influxdb, "a n=1 1\na s=\"x 2\na n=1 3\n", &[1], &["a s=\"x 2\na n=1 3"]);
    check(influxdb, "# or a=\"\na n=1 1\n\"\na n=1 2", &[2], &[]);
    check(Dialect::CNOSDB, "# or a=\"\na n=1 1\na n=1 2", &[1, 2], &[]);
    check(influxdb, "a\\\nb n=1 1\na n=1 2\\\n", &[1], &["a n=1 2\\"]);
    // The server takes this quote for an open one, and then does not miss the rest.
    check(influxdb, " a=1\" n=1 \n2", &[NOW], &[]);
}

#[test]
fn timestamps_count_in_the_unit_asked_for() {
    fn check(precision: Precision, timestamp: &str, expected: Result<i64, Reason>) {
        let options = Options { dialect: Dialect::INFLUXDB, precision, now_ns: NOW };
        let parsed = parse(format!("pump speed=5 {timestamp}").as_bytes(), &options);
        let got = match rows(&parsed.points).first() {
            Some(row) => Ok(row.time),
            None => Err(parsed.bad_lines.kept()[0].reason.clone()),
        };
        assert_eq!(got, expected, "{timestamp} {precision:?}");
    }
    check(Precision::Ns, "1500000000123456789", Ok(1_500_000_000_123_456_789));
    check(Precision::Us, "1500000000123456", Ok(1_500_000_000_123_456_000));
    check(Precision::Ms, "-15", Ok(-15_000_000));
    check(Precision::S, "0000000000000000000015", Ok(15_000_000_000));
    check(Precision::M, "2", Ok(120_000_000_000));
    check(Precision::H, "0", Ok(0));
    check(Precision::H, "", Ok(NOW));
    check(Precision::H, "2562047", Ok(2_562_047 * 3_600_000_000_000));
    check(Precision::H, "2562048", Err(Reason::TimeOutsideRange));
    check(Precision::Ns, &(i64::MIN + 2).to_string(), Ok(i64::MIN + 2));
    check(Precision::Ns, &(i64::MIN + 1).to_string(), Err(Reason::TimeOutsideRange));
    check(Precision::S, "9300000000000000000", Err(Reason::TimestampOutOfRange("9300000000000000000".into())));
}

#[test]
fn of_a_field_written_twice_the_last_value_counts() {
    assert_eq!(only_row(Dialect::INFLUXDB, "pump speed=5,speed=6 1").fields, [("speed".to_string(), float(6.0))]);
}

#[test]
fn equal_series_bytes_share_an_entry() {
    let parsed = read(Dialect::INFLUXDB, "a,x=1,y=2 n=1\na,y=2,x=1 n=1\nb n=1\na,x=1,y=2 n=1\nb n=1\na n=1\n");
    let tables: Vec<_> = parsed.points.tables().collect();
    assert_eq!(tables[0].row_series, [0, 1, 0, 2]);
    assert_eq!(tables[0].tag_keys, ["x", "y"]);
    assert_eq!(tables[1].row_series, [0, 0]);
}

#[test]
fn a_bad_line_leaves_nothing() {
    let parsed = read(Dialect::INFLUXDB, "a,x=1 n=1 1\na,y=2 w=1,z=\nc u=1 x\na,x=1 n=2,u=1 2 3\na,x=1 n=3 4\n");
    let tables: Vec<_> = parsed.points.tables().collect();
    assert_eq!((tables.len(), parsed.bad_lines.count()), (1, 3));
    assert_eq!((tables[0].tag_keys.len(), tables[0].series.len(), tables[0].fields.len()), (1, 1, 1));
    assert_eq!(tables[0].times, [1, 4]);
}

#[test]
fn text_that_is_not_utf8_is_refused_by_line() {
    let parsed = read(Dialect::INFLUXDB, b"a n=1 1\na s=\"\xff\" 2\na,t=\xc3 n=1 3\na n=1 4".as_slice());
    let errors: Vec<_> = parsed.bad_lines.kept().iter().map(|error| error.to_string()).collect();
    assert_eq!(
        errors,
        ["unable to parse 'a s=\"\u{fffd}\" 2': invalid UTF-8", "unable to parse 'a,t=\u{fffd} n=1 3': invalid UTF-8"]
    );
    assert_eq!(rows(&parsed.points).len(), 2);
}

#[test]
fn series_keys_are_limited_with_their_field_key() {
    fn check(line: String, expected: Option<&str>) {
        let parsed = read(Dialect::INFLUXDB, &line);
        let reason = parsed.bad_lines.kept().first().map(|error| error.reason.to_string());
        assert_eq!(reason.as_deref(), expected);
    }
    let name = |bytes| "n".repeat(bytes);
    check(format!("{} n=1", name(65_530)), None);
    check(format!("{} n=1", name(65_531)), Some("max key length exceeded: 65536 > 65535"));
    check(format!("{} n=1", name(65_536)), Some("max key length exceeded: 65536 > 65535"));
    check(format!("a n=1,{}=1", name(65_530)), None);
    check(format!("a n=1,{}=1", name(65_531)), Some("max key length exceeded: 65536 > 65535"));
    check(format!("a n=\"{}\"", name(70_000)), None);
    check(format!("a,t={} n=", name(70_000)), Some("max key length exceeded: 70004 > 65535"));
}

#[test]
fn bad_lines_say_where_they_are() {
    let parsed = read(Dialect::INFLUXDB, "a n=1\n\n  a n=x\na s=\"\n\n\"\nb w=1,v=é");
    let places: Vec<_> = parsed.bad_lines.kept().iter().map(|e| (e.number, e.offset, e.position)).collect();
    assert_eq!(places, [(3, 9, 13), (7, 24, 32)]);
}

#[test]
fn only_so_many_bad_lines_are_kept() {
    let parsed = read(Dialect::INFLUXDB, "bad\n".repeat(5_000));
    assert_eq!(parsed.bad_lines.kept().len(), BAD_LINES_MAX);
    assert_eq!((parsed.bad_lines.not_kept(), parsed.bad_lines.count()), (4_000, 5_000));
}

#[test]
fn only_so_much_text_of_bad_lines_is_kept() {
    let long = "ü".repeat(300_000);
    let parsed = read(Dialect::INFLUXDB, format!("{long}\n{long}\nbad\n"));
    assert_eq!((parsed.bad_lines.kept().len(), parsed.bad_lines.not_kept()), (1, 2));
    let longer = format!("x{}", "ü".repeat(1_000_000));
    let parsed = read(Dialect::INFLUXDB, &longer);
    let kept = &parsed.bad_lines.kept()[0].line;
    assert_eq!(kept.len(), TEXT_BYTES_MAX - 1);
    assert!(longer.starts_with(kept));
    let parsed = read(Dialect::INFLUXDB, format!("a n={}i", "9".repeat(2_000_000)));
    assert!(parsed.bad_lines.kept()[0].to_string().len() < 4 * TEXT_BYTES_MAX);
}

#[test]
fn refused_lines_are_named_with_cnosdbs_text() {
    fn check(body: &str, expected: &str) {
        let parsed = read(Dialect::CNOSDB, body);
        let errors: Vec<_> = parsed.bad_lines.kept().iter().map(|error| error.cnosdb().to_string()).collect();
        assert_eq!(errors, [expected], "{body:?}");
    }
    check("pump", "unexpect end line start at '0'");
    check("pump,z=26", "unexpect end line start at '5'");
    check("pump,z=26,y=25", "unexpect end line start at '10'");
    check("pump,z=26,flow=2 8", "unexpect end line start at '17'");
    check("pump speed=5\npump speed=5,flow", "unexpect end line start at '26'");
    check("pump note=\"open", "unexpect end line start at '10'");
    check("pump speed=fast 8", "invalid field value: 'fast'");
    check("pump speed=5,flow=- 8", "invalid field value: '-'");
    check("pump speed=-5u 8", "invalid field value: '-5u'");
    check("pump speed=+5i,flow=2", "invalid field value: '+5i'");
    check("pump speed=NaN", "invalid field value: 'NaN'");
    check("pump note=\"a b\"c 8", "invalid field value: '\"a b\"c'");
    check("pump speed=", "invalid field value: ''");
    check("pump speed=5 8x8", "fail to parse timestamp at 13");
    check("pump speed=5 8x8\r\npump speed=5", "fail to parse timestamp at 16");
    check("pump speed=5 8x8 \n", "fail to parse timestamp at 16");
    check("pump speed=5 8\npump speed=5 x", "fail to parse timestamp at 28");
    check(r"pu\mp speed=5", "unexpect token 'm' at 3");
    check(r"pump\=2 speed=5", "unexpect token '=' at 5");
    check(r"pump,z=2\6 speed=5", "unexpect token '6' at 9");
    check(r#"pump note="C:\temp""#, "unexpect token 't' at 14");
    check(r#"pump note="\ü""#, "unexpect token 'ü' at 12");
    check(",z=26 speed=5", "invalid line protocol syntax");
}

#[test]
fn cnosdb_reads_nothing_after_a_bad_line() {
    let parsed = read(Dialect::CNOSDB, "a n=1 1\nbad\nworse\na n=1 2");
    assert_eq!((parsed.bad_lines.count(), parsed.points.rows()), (1, 1));
}
