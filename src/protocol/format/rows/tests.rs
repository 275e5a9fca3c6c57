use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    DurationMillisecondArray, FixedSizeListArray, Float16Array, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, IntervalMonthDayNanoArray, LargeStringArray, ListArray, MapBuilder, NullArray, RecordBatch, RunArray,
    StringArray, StringBuilder, StringViewArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, Float64Type, Int8Type, Int32Type, IntervalMonthDayNano, Schema, SchemaRef, TimeUnit,
};

use super::*;

const CSV: Format = Format::Csv { header: true };
const UNLIMITED: usize = usize::MAX;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> = columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, a)| a).collect()).unwrap()
}

fn encode(format: Format, schema: &SchemaRef, batches: &[RecordBatch]) -> String {
    let mut encoder = RowEncoder::new(format, UNLIMITED);
    let mut out = Vec::new();
    encoder.begin(schema, &mut out);
    for batch in batches {
        encoder.batch(batch, &mut out).unwrap();
    }
    encoder.end(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn check(format: Format, batch: &RecordBatch, expected: &str) {
    assert_eq!(encode(format, &batch.schema(), std::slice::from_ref(batch)), expected);
}

/// Three rows: whole second, sub-second with a null, odd nanosecond; times carry a zone as our time column does.
fn weather() -> RecordBatch {
    let times = TimestampNanosecondArray::from(vec![0, 1_500_000_000, 1_000_000_001]).with_timezone("UTC");
    let places: DictionaryArray<Int32Type> = ["oslo", "rome", "oslo"].into_iter().collect();
    batch(vec![
        ("time", Arc::new(times)),
        ("place", Arc::new(places)),
        ("degrees", Arc::new(Float64Array::from(vec![Some(1.0), None, Some(-2.5)]))),
        ("calm", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
    ])
}

#[test]
fn csv_has_a_header_nine_decimals_and_empty_nulls() {
    check(
        CSV,
        &weather(),
        "time,place,degrees,calm\n\
         1970-01-01T00:00:00.000000000,oslo,1.0,true\n\
         1970-01-01T00:00:01.500000000,rome,,false\n\
         1970-01-01T00:00:01.000000001,oslo,-2.5,\n",
    );
}

#[test]
fn csv_can_go_without_a_header() {
    let batch = batch(vec![("n", Arc::new(Int64Array::from(vec![i64::MIN, 7])))]);
    check(Format::Csv { header: false }, &batch, "-9223372036854775808\n7\n");
}

#[test]
fn tsv_is_csv_with_tabs() {
    let batch = batch(vec![
        ("a,b", Arc::new(StringArray::from(vec!["x,y", "x\ty"]))),
        ("n", Arc::new(UInt64Array::from(vec![1, u64::MAX - 1]))),
    ]);
    check(Format::Tsv, &batch, "a,b\tn\nx,y\t1\n\"x\ty\"\t18446744073709551614\n");
}

#[test]
fn csv_quotes_what_a_reader_would_misread() {
    let cells = vec!["plain", "with space", "a,b", "so \"called\"", "two\nlines", "cr\rhere", "", "ünï, 漢"];
    let batch = batch(vec![
        ("text, quoted", Arc::new(StringArray::from(cells))),
        ("n", Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5, 6, 7, 8]))),
    ]);
    check(
        CSV,
        &batch,
        "\"text, quoted\",n\nplain,1\nwith space,2\n\"a,b\",3\n\"so \"\"called\"\"\",4\n\"two\nlines\",5\n\"cr\rhere\",6\n,7\n\"ünï, 漢\",8\n",
    );
}

#[test]
fn csv_never_writes_a_blank_line() {
    let batch = batch(vec![("s", Arc::new(StringArray::from(vec![Some(""), None, Some("x")])))]);
    check(CSV, &batch, "s\n\"\"\n\"\"\nx\n");
}

#[test]
fn json_leaves_nulls_out_and_writes_the_fewest_exact_decimals() {
    check(
        Format::Json,
        &weather(),
        concat!(
            r#"[{"time":"1970-01-01T00:00:00","place":"oslo","degrees":1.0,"calm":true},"#,
            r#"{"time":"1970-01-01T00:00:01.500","place":"rome","calm":false},"#,
            r#"{"time":"1970-01-01T00:00:01.000000001","place":"oslo","degrees":-2.5}]"#,
        ),
    );
}

#[test]
fn ndjson_ends_every_object_with_a_line_break() {
    let batch = batch(vec![("q\"k", Arc::new(StringArray::from(vec![Some("one\ntwo\"\u{1}é"), None])))]);
    check(Format::NdJson, &batch, "{\"q\\\"k\":\"one\\ntwo\\\"\\u0001é\"}\n{}\n");
}

#[test]
fn table_is_drawn_as_arrow_draws_it_without_zones() {
    check(
        Format::Table,
        &weather(),
        "\
+-------------------------------+-------+---------+-------+
| time                          | place | degrees | calm  |
+-------------------------------+-------+---------+-------+
| 1970-01-01T00:00:00           | oslo  | 1.0     | true  |
| 1970-01-01T00:00:01.500       | rome  |         | false |
| 1970-01-01T00:00:01.000000001 | oslo  | -2.5    |       |
+-------------------------------+-------+---------+-------+",
    );
}

#[test]
fn several_batches_make_one_result() {
    let rows = batch(vec![("n", Arc::new(Int64Array::from(vec![1])))]);
    let none = rows.slice(0, 0);
    for (format, expected) in [
        (CSV, "n\n1\n1\n"),
        (Format::Json, r#"[{"n":1},{"n":1}]"#),
        (Format::NdJson, "{\"n\":1}\n{\"n\":1}\n"),
        (Format::Table, "+---+\n| n |\n+---+\n| 1 |\n| 1 |\n+---+"),
    ] {
        let batches = [none.clone(), rows.clone(), none.clone(), rows.clone()];
        assert_eq!(encode(format, &rows.schema(), &batches), expected);
    }
}

#[test]
fn a_result_without_rows_is_still_a_document() {
    let schema = weather().schema();
    for (format, expected) in [
        (CSV, "time,place,degrees,calm\n"),
        (Format::Csv { header: false }, ""),
        (Format::Tsv, "time\tplace\tdegrees\tcalm\n"),
        (Format::Json, "[]"),
        (Format::NdJson, ""),
        (
            Format::Table,
            "+------+-------+---------+------+\n| time | place | degrees | calm |\n+------+-------+---------+------+\n+------+-------+---------+------+",
        ),
    ] {
        assert_eq!(encode(format, &schema, &[]), expected, "{format:?}");
    }
}

#[test]
fn floats_keep_a_point_and_read_back_the_same() {
    let cells = [
        (1.0, "1.0", "1.0"),
        (-0.0, "-0.0", "-0.0"),
        (0.1, "0.1", "0.1"),
        (1_234_567_890.0, "1234567890.0", "1234567890.0"),
        (0.00001, "0.00001", "0.00001"),
        (1e16, "1e16", "1e16"),
        (1e-7, "1e-7", "1e-7"),
        (1.5e300, "1.5e300", "1.5e300"),
        (f64::NAN, "NaN", "null"),
        (f64::INFINITY, "inf", "null"),
        (f64::NEG_INFINITY, "-inf", "null"),
    ];
    for (value, csv, json) in cells {
        let batch = batch(vec![("v", Arc::new(Float64Array::from(vec![value])))]);
        check(Format::Csv { header: false }, &batch, &format!("{csv}\n"));
        check(Format::Json, &batch, &format!("[{{\"v\":{json}}}]"));
        let drawn = encode(Format::Table, &batch.schema(), std::slice::from_ref(&batch));
        assert!(drawn.contains(&format!("| {csv} ")), "{drawn}");
    }
}

/// A one-cell column in CSV and in JSON.
fn check_cell(array: impl Array + 'static, csv: &str, json: &str) {
    let batch = batch(vec![("c", Arc::new(array))]);
    check(Format::Csv { header: false }, &batch, &format!("{csv}\n"));
    check(Format::Json, &batch, &format!("[{{\"c\":{json}}}]"));
}

#[test]
fn every_kind_of_column_has_a_spelling() {
    check_cell(Int16Array::from(vec![-3]), "-3", "-3");
    check_cell(UInt8Array::from(vec![200]), "200", "200");
    check_cell(Float32Array::from(vec![0.1]), "0.1", "0.1");
    check_cell(
        cast(&Float32Array::from(vec![1.5]), &DataType::Float16)
            .unwrap()
            .as_any()
            .downcast_ref::<Float16Array>()
            .unwrap()
            .clone(),
        "1.5",
        "1.5",
    );
    check_cell(LargeStringArray::from(vec!["é"]), "é", r#""é""#);
    check_cell(
        StringViewArray::from(vec!["a view longer than it can inline"]),
        "a view longer than it can inline",
        r#""a view longer than it can inline""#,
    );
    check_cell(["d"].into_iter().collect::<DictionaryArray<Int8Type>>(), "d", r#""d""#);
    check_cell(
        DictionaryArray::<Int32Type>::new(Int32Array::from(vec![1]), Arc::new(Float64Array::from(vec![0.5, 2.0]))),
        "2.0",
        "2.0",
    );
    check_cell(
        RunArray::<Int32Type>::try_new(&Int32Array::from(vec![1]), &StringArray::from(vec!["run"])).unwrap(),
        "run",
        r#""run""#,
    );
    check_cell(Decimal128Array::from(vec![12_345]).with_precision_and_scale(10, 2).unwrap(), "123.45", "123.45");
    check_cell(Date32Array::from(vec![19_753]), "2024-01-31", r#""2024-01-31""#);
    check_cell(Time64MicrosecondArray::from(vec![36_000_500_000]), "10:00:00.500", r#""10:00:00.500""#);
    check_cell(DurationMillisecondArray::from(vec![1_500]), "PT1.5S", r#""PT1.5S""#);
    check_cell(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(0, 1, 0)]), "1 days", r#""1 days""#);
    check_cell(BinaryArray::from(vec![&b"\x00\xff"[..]]), "00ff", r#""00ff""#);
}

#[test]
fn times_of_every_unit_lose_their_zone_and_keep_their_instant() {
    check_cell(TimestampSecondArray::from(vec![-1]), "1969-12-31T23:59:59.000000000", r#""1969-12-31T23:59:59""#);
    check_cell(
        TimestampMillisecondArray::from(vec![1_709_164_800_005]),
        "2024-02-29T00:00:00.005000000",
        r#""2024-02-29T00:00:00.005""#,
    );
    check_cell(
        TimestampMicrosecondArray::from(vec![-1]).with_timezone("+02:00"),
        "1969-12-31T23:59:59.999999000",
        r#""1969-12-31T23:59:59.999999""#,
    );
    check_cell(
        TimestampNanosecondArray::from(vec![i64::MAX]).with_timezone("UTC"),
        "2262-04-11T23:47:16.854775807",
        r#""2262-04-11T23:47:16.854775807""#,
    );
    check_cell(
        TimestampSecondArray::from(vec![253_402_300_800]),
        "+10000-01-01T00:00:00.000000000",
        r#""+10000-01-01T00:00:00""#,
    );
    check_cell(
        TimestampSecondArray::from(vec![-62_167_219_201]),
        "-0001-12-31T23:59:59.000000000",
        r#""-0001-12-31T23:59:59""#,
    );
}

#[test]
fn times_agree_with_the_calendar_of_chrono() {
    for day in (-800_000i64..800_000).step_by(1_009) {
        let second = day * 86_400 + day.rem_euclid(86_400);
        let expected = chrono::DateTime::from_timestamp(second, 0).unwrap().naive_utc();
        check_cell(
            TimestampSecondArray::from(vec![second]),
            &expected.format("%Y-%m-%dT%H:%M:%S%.9f").to_string(),
            &format!("\"{expected:?}\""),
        );
    }
}

#[test]
fn structs_are_objects_in_json_and_braces_in_text() {
    let zoned = TimestampNanosecondArray::from(vec![1_000_000_000]).with_timezone("UTC");
    let window = StructArray::from(vec![
        (Arc::new(Field::new("start", zoned.data_type().clone(), true)), Arc::new(zoned) as ArrayRef),
        (
            Arc::new(Field::new("note", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef,
        ),
        (Arc::new(Field::new("n", DataType::Int32, true)), Arc::new(Int32Array::from(vec![2])) as ArrayRef),
    ]);
    check_cell(
        window,
        "\"{start: 1970-01-01T00:00:01.000000000, note: , n: 2}\"",
        r#"{"start":"1970-01-01T00:00:01","n":2}"#,
    );
}

#[test]
fn lists_keep_their_nulls_and_maps_drop_theirs() {
    let list = ListArray::from_iter_primitive::<Float64Type, _, _>(vec![
        Some(vec![Some(9.0)]),
        Some(vec![Some(3.0), None, Some(f64::NAN)]),
    ]);
    check_cell(list.slice(1, 1), "\"[3.0, , NaN]\"", "[3.0,null,null]");

    let pair = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
        vec![Some(vec![Some(1), Some(2)]), Some(vec![Some(3), Some(4)])],
        2,
    );
    check_cell(pair.slice(1, 1), "\"[3, 4]\"", "[3,4]");

    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("k\"1");
    map.values().append_value("v");
    map.keys().append_value("gone");
    map.values().append_null();
    map.append(true).unwrap();
    check_cell(map.finish(), "\"{k\"\"1: v, gone: }\"", r#"{"k\"1":"v"}"#);
}

#[test]
fn columns_that_are_null_throughout_are_empty() {
    let none: DictionaryArray<Int32Type> = [None::<&str>].into_iter().collect();
    for array in [Arc::new(NullArray::new(1)) as ArrayRef, Arc::new(none)] {
        let batch = batch(vec![("c", array), ("n", Arc::new(Int64Array::from(vec![1])))]);
        check(CSV, &batch, "c,n\n,1\n");
        check(Format::Json, &batch, r#"[{"n":1}]"#);
    }
}

#[test]
fn a_null_behind_a_dictionary_key_is_null() {
    let values = StringArray::from(vec![None, Some("x")]);
    let tags = DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0, 1]), Arc::new(values));
    check(Format::NdJson, &batch(vec![("t", Arc::new(tags))]), "{}\n{\"t\":\"x\"}\n");
}

#[test]
fn a_table_beyond_its_limit_is_refused_not_drawn() {
    // One cell of 1,000 bytes is drawn 1,000 times wide on each of 1,000 lines.
    let wide = "x".repeat(1_000);
    let cells: Vec<&str> = std::iter::once(wide.as_str()).chain(std::iter::repeat_n("y", 999)).collect();
    let rows = batch(vec![("c", Arc::new(StringArray::from(cells)))]);
    let (mut encoder, mut out) = (RowEncoder::new(Format::Table, 1_000_000), Vec::new());
    encoder.begin(&rows.schema(), &mut out);
    let refused = encoder.batch(&rows, &mut out).unwrap_err();
    assert!(matches!(refused, EncodeError::TooLarge { limit: 1_000_000 }), "{refused}");
    assert_eq!(refused.kind(), Kind::TooLarge);
    assert!(encoder.batch(&rows.slice(5, 5), &mut out).is_err(), "the limit counts all batches");
    assert!(out.is_empty());
}

#[test]
fn a_table_counts_the_lines_of_its_cells() {
    let tall = "\n".repeat(2_000);
    let rows = batch(vec![
        ("tall", Arc::new(StringArray::from(vec![tall.as_str()]))),
        ("wide", Arc::new(StringArray::from(vec!["x".repeat(2_000).as_str()]))),
    ]);
    let (mut encoder, mut out) = (RowEncoder::new(Format::Table, 1_000_000), Vec::new());
    encoder.begin(&rows.schema(), &mut out);
    assert!(encoder.batch(&rows, &mut out).is_err());
}

#[test]
fn zones_are_dropped_from_the_type_at_any_depth() {
    let zoned = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let plain = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
    assert_eq!(value::plain(&list(list(zoned))), list(list(plain)));
}
