use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder, TimestampNanosecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{Field, Int32Type, Schema};

use super::*;
use crate::query::influxql::answer::{Division, Message, SeriesHead, SeriesPiece};

fn piece(name: &str, tags: &[(&str, &str)], columns: Vec<(&str, ArrayRef)>) -> SeriesPiece {
    let head = SeriesHead {
        name: Some(name.into()),
        tags: tags.iter().map(|(k, v)| (Arc::from(*k), Arc::from(*v))).collect(),
        columns: columns.iter().map(|(name, _)| Arc::from(*name)).collect(),
    };
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    SeriesPiece { head: Arc::new(head), rows: RecordBatch::try_new(schema, arrays).unwrap() }
}

/// `time` (seconds) and `v`.
fn numbers(name: &str, tags: &[(&str, &str)], rows: &[(i64, i64)]) -> SeriesPiece {
    let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(|(s, _)| s * 1_000_000_000));
    let values = Int64Array::from_iter_values(rows.iter().map(|(_, v)| *v));
    piece(name, tags, vec![("time", Arc::new(times)), ("v", Arc::new(values))])
}

/// A column of each type.
fn every_type() -> SeriesPiece {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("x"), Some("y")]);
    lists.append_null();
    let host: DictionaryArray<Int32Type> = [Some("a,b"), None].into_iter().collect();
    piece(
        "m",
        &[],
        vec![
            ("time", Arc::new(TimestampNanosecondArray::from(vec![Some(1_500_000_000), None]))),
            ("f", Arc::new(Float64Array::from(vec![1e21, f64::NAN]))),
            ("i", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
            ("u", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false)]))),
            ("s", Arc::new(StringArray::from(vec![Some("<\"q\">"), None]))),
            ("host", Arc::new(host)),
            ("l", Arc::new(lists.finish())),
        ],
    )
}

struct Case {
    form: Form,
    documents: Documents,
    epoch: &'static str,
    /// Pieces of each statement, and its error.
    statements: Vec<(Vec<SeriesPiece>, Option<&'static str>)>,
    messages: Vec<Message>,
    division: Division,
}

impl Default for Case {
    fn default() -> Self {
        Case {
            form: Form::Json,
            documents: Documents::One { rows_max: None },
            epoch: "",
            statements: Vec::new(),
            messages: Vec::new(),
            division: Division::BySeries,
        }
    }
}

impl Case {
    fn written(self) -> Vec<u8> {
        let mut writer = AnswerWriter::new(self.form, self.documents, Epoch::of(self.epoch));
        let mut out = Vec::new();
        for (id, (pieces, error)) in self.statements.iter().enumerate() {
            writer.begin_statement(id, self.messages.clone(), self.division, None);
            for piece in pieces {
                if writer.piece(piece).unwrap() == Flow::Full {
                    break;
                }
                out.extend(writer.take());
            }
            if writer.end_statement(*error) == Flow::Full {
                break;
            }
        }
        writer.finish();
        out.extend(writer.take());
        out
    }

    #[track_caller]
    fn check(self, expected: &str) {
        let written = self.written();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}

fn ok(pieces: Vec<SeriesPiece>) -> Vec<(Vec<SeriesPiece>, Option<&'static str>)> {
    vec![(pieces, None)]
}

const V: &str = r#""columns":["time","v"],"values":"#;

#[test]
fn values_of_every_type_are_json() {
    Case { statements: ok(vec![every_type()]), ..Case::default() }.check(concat!(
        r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","f","i","u","b","s","host","l"],"values":["#,
        r#"["1970-01-01T00:00:01.5Z",1e+21,9223372036854775807,18446744073709551615,true,"\u003c\"q\"\u003e","a,b",["x","y"]],"#,
        r#"[null,null,null,null,false,null,null,null]]}]}]}"#,
        "\n"
    ));
}

#[test]
fn values_of_every_type_are_csv() {
    Case { form: Form::Csv, statements: ok(vec![every_type()]), ..Case::default() }.check(
        "name,tags,time,f,i,u,b,s,host,l\n\
         m,,1500000000,1000000000000000000000,9223372036854775807,18446744073709551615,true,\"<\"\"q\"\">\",\"a,b\",\n\
         m,,,,,,false,,,\n",
    );
}

#[test]
fn values_of_every_type_are_message_pack() {
    let written = Case { form: Form::MessagePack, statements: ok(vec![every_type()]), ..Case::default() }.written();
    let mut expected =
        b"\x81\xa7results\xdd\0\0\0\x01\x82\xacstatement_id\0\xa6series\xdd\0\0\0\x01\x83\xa4name\xa1m\xa7columns\x98"
            .to_vec();
    expected.extend(b"\xa4time\xa1f\xa1i\xa1u\xa1b\xa1s\xa4host\xa1l\xa6values\xdd\0\0\0\x02\x98");
    expected.extend(b"\xc7\x0c\x05\0\0\0\0\0\0\0\x01\x1d\xcd\x65\0");
    expected.push(0xcb);
    expected.extend(1e21_f64.to_be_bytes());
    expected.extend(
        b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc3\xa5<\"q\">\xa3a,b\x92\xa1x\xa1y",
    );
    expected.extend(b"\x98\xc0\xc0\xc0\xc0\xc2\xc0\xc0\xc0");
    assert_eq!(written, expected);
}

#[test]
fn pretty_json_has_four_blanks_a_level() {
    let statements = ok(vec![numbers("m", &[("host", "a")], &[(1, 2)])]);
    Case { form: Form::PrettyJson, statements, ..Case::default() }.check(concat!(
        "{\n    \"results\": [\n        {\n            \"statement_id\": 0,\n            \"series\": [\n                {\n",
        "                    \"name\": \"m\",\n                    \"tags\": {\n                        \"host\": \"a\"\n",
        "                    },\n                    \"columns\": [\n                        \"time\",\n",
        "                        \"v\"\n                    ],\n                    \"values\": [\n                        [\n",
        "                            \"1970-01-01T00:00:01Z\",\n                            2\n                        ]\n",
        "                    ]\n                }\n            ]\n        }\n    ]\n}\n",
    ));
}

#[test]
fn pieces_of_one_series_are_one() {
    let pieces = vec![
        numbers("m", &[("h", "a")], &[(1, 1)]),
        numbers("m", &[("h", "a")], &[(2, 2)]),
        numbers("m", &[("h", "")], &[(1, 3)]),
        numbers("n", &[("h", "")], &[(1, 4)]),
    ];
    Case { statements: ok(pieces), epoch: "s", ..Case::default() }.check(&format!(
        "{}{V}[[1,1],[2,2]]}},{}{V}[[1,3]]}},{}{V}[[1,4]]}}]}}]}}\n",
        r#"{"results":[{"statement_id":0,"series":[{"name":"m","tags":{"h":"a"},"#,
        r#"{"name":"m","tags":{"h":""},"#,
        r#"{"name":"n","tags":{"h":""},"#,
    ));
}

#[test]
fn statements_without_rows_have_no_series_and_no_statements_no_results() {
    Case::default().check("{}\n");
    let statements = vec![(vec![], None), (vec![], Some("bad & ugly")), (vec![], Some("not executed"))];
    let json = r#"{"results":[{"statement_id":0},{"statement_id":1,"error":"bad \u0026 ugly"},{"statement_id":2,"error":"not executed"}]}"#;
    Case { statements: statements.clone(), ..Case::default() }.check(&format!("{json}\n"));
    Case { form: Form::Csv, statements: statements.clone(), ..Case::default() }.check("");
    let written = Case { form: Form::MessagePack, statements, ..Case::default() }.written();
    let expected: &[u8] = b"\x81\xa7results\xdd\0\0\0\x03\x82\xacstatement_id\0\xa6series\xdd\0\0\0\0\
        \x81\xa5error\xaabad & ugly\x81\xa5error\xacnot executed";
    assert_eq!(written, expected);
}

#[test]
fn a_series_may_show_up_without_rows() {
    let users = SeriesPiece::of_texts(None, "user", [] as [&str; 0]);
    Case { statements: ok(vec![users]), ..Case::default() }
        .check("{\"results\":[{\"statement_id\":0,\"series\":[{\"columns\":[\"user\"]}]}]}\n");
}

#[test]
fn messages_stand_after_the_series() {
    let messages = vec![Message { level: "warning", text: "old".to_string() }];
    let statements = ok(vec![SeriesPiece::of_texts(Some("m"), "name", ["a"])]);
    Case { statements, messages, ..Case::default() }.check(concat!(
        r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["name"],"values":[["a"]]}],"#,
        r#""messages":[{"level":"warning","text":"old"}]}]}"#,
        "\n"
    ));
}

#[test]
fn an_error_after_rows_is_told_behind_them() {
    let statements = vec![(vec![numbers("m", &[], &[(1, 1)])], Some("lost")), (vec![], Some("not executed"))];
    Case { statements, epoch: "s", ..Case::default() }.check(&format!(
        "{{\"results\":[{{\"statement_id\":0,\"series\":[{{\"name\":\"m\",{V}[[1,1]]}}],\"error\":\"lost\"}},{}\n",
        r#"{"statement_id":1,"error":"not executed"}]}"#
    ));
}

#[test]
fn chunks_hold_so_many_rows_of_one_series() {
    let pieces =
        vec![numbers("m", &[], &[(1, 1), (2, 2), (3, 3)]), numbers("m", &[], &[(4, 4)]), numbers("n", &[], &[(1, 1)])];
    let statements = vec![(pieces, None), (vec![], None)];
    let documents = Documents::Many { rows: 2 };
    let start = |name: &str| format!(r#"{{"results":[{{"statement_id":0,"series":[{{"name":"{name}",{V}"#);
    let expected = [
        format!(r#"{}[[1,1],[2,2]],"partial":true}}],"partial":true}}]}}"#, start("m")),
        format!(r#"{}[[3,3],[4,4]]}}],"partial":true}}]}}"#, start("m")),
        format!(r#"{}[[1,1]]}}]}}]}}"#, start("n")),
        r#"{"results":[{"statement_id":1}]}"#.to_string(),
        String::new(),
    ];
    Case { statements: statements.clone(), documents, epoch: "s", ..Case::default() }.check(&expected.join("\n"));
    Case { form: Form::Csv, statements, documents, epoch: "s", ..Case::default() }
        .check("name,tags,time,v\nm,,1,1\nm,,2,2\nm,,3,3\nm,,4,4\nn,,1,1\n");
}

#[test]
fn an_error_has_a_chunk_of_its_own() {
    let statements = vec![(vec![numbers("m", &[], &[(1, 1)])], Some("lost"))];
    Case { statements, documents: Documents::Many { rows: 2 }, epoch: "s", ..Case::default() }.check(&format!(
        "{{\"results\":[{{\"statement_id\":0,\"series\":[{{\"name\":\"m\",{V}[[1,1]]}}],\"partial\":true}}]}}\n{}\n",
        r#"{"results":[{"statement_id":0,"error":"lost"}]}"#
    ));
}

#[test]
fn undivided_statements_stay_in_one_chunk() {
    let pieces = vec![SeriesPiece::of_texts(Some("a"), "k", ["1", "2"]), SeriesPiece::of_texts(Some("b"), "k", ["3"])];
    let (documents, division) = (Documents::Many { rows: 1 }, Division::Undivided);
    Case { statements: ok(pieces), documents, division, ..Case::default() }.check(concat!(
        r#"{"results":[{"statement_id":0,"series":[{"name":"a","columns":["k"],"values":[["1"],["2"]]},"#,
        r#"{"name":"b","columns":["k"],"values":[["3"]]}]}]}"#,
        "\n"
    ));
}

#[test]
fn whole_series_have_a_chunk_each() {
    let pieces = vec![SeriesPiece::of_texts(Some("a"), "k", ["1", "2"]), SeriesPiece::of_texts(Some("b"), "k", ["3"])];
    let (documents, division) = (Documents::Many { rows: 1 }, Division::WholeSeries);
    Case { statements: ok(pieces), documents, division, ..Case::default() }.check(concat!(
        r#"{"results":[{"statement_id":0,"series":[{"name":"a","columns":["k"],"values":[["1"],["2"]]}]}]}"#,
        "\n",
        r#"{"results":[{"statement_id":0,"series":[{"name":"b","columns":["k"],"values":[["3"]]}]}]}"#,
        "\n"
    ));
}

#[test]
fn a_row_limit_cuts_the_series_it_falls_into_and_drops_the_rest() {
    let rows = |rows_max| {
        let m = || numbers("m", &[], &[(1, 1), (2, 2)]);
        let statements = vec![(vec![m(), numbers("n", &[], &[(1, 1)])], None), (vec![m()], None)];
        let documents = Documents::One { rows_max: Some(rows_max) };
        let written = Case { statements, documents, epoch: "s", ..Case::default() }.written();
        String::from_utf8(written).unwrap()
    };
    let m = format!(r#"{{"results":[{{"statement_id":0,"series":[{{"name":"m",{V}"#);
    assert_eq!(rows(1), format!("{m}[[1,1]],\"partial\":true}}]}}]}}\n"));
    assert_eq!(rows(2), format!("{m}[[1,1],[2,2]]}}]}}]}}\n"));
    assert_eq!(rows(3), format!("{m}[[1,1],[2,2]]}},{{\"name\":\"n\",{V}[[1,1]]}}]}}]}}\n"));
    assert!(rows(4).ends_with("[[1,1]],\"partial\":true}]}]}\n"), "{}", rows(4));
    assert!(!rows(5).contains("partial"), "{}", rows(5));
}

#[test]
fn csv_has_a_header_for_each_statement_and_each_set_of_columns() {
    let named = |name: &str, column: &str| SeriesPiece::of_texts(Some(name), column, ["x"]);
    let statements = vec![
        (vec![numbers("m", &[("b", "x,y"), ("a", "")], &[(1, 1)])], None),
        (vec![], None),
        (vec![named("p", "k"), named("q", "k"), named("r", "j")], None),
    ];
    Case { form: Form::Csv, statements, epoch: "s", ..Case::default() }
        .check("name,tags,time,v\nm,\"b=x\\,y\",1,1\n\nname,tags,k\np,,x\nq,,x\n\nname,tags,j\nr,,x\n");
}

#[test]
fn infinity_replaces_the_document_unless_a_part_was_sent() {
    let infinite = piece("m", &[], vec![("v", Arc::new(Float64Array::from(vec![1.0, f64::NEG_INFINITY])))]);
    for taken in [false, true] {
        let mut writer = AnswerWriter::new(Form::Json, Documents::One { rows_max: None }, Epoch::default());
        writer.begin_statement(0, Vec::new(), Division::BySeries, None);
        if taken {
            assert!(!writer.take().is_empty());
        }
        let error = writer.piece(&infinite).unwrap_err();
        assert_eq!(writer.replace_by_error(&error.to_string()), !taken);
        if !taken {
            let document = String::from_utf8(writer.take()).unwrap();
            assert_eq!(document, "{\"error\":\"json: unsupported value: -Inf\"}\n");
        }
    }
    let statements = ok(vec![infinite]);
    Case { form: Form::Csv, statements, ..Case::default() }.check("name,tags,v\nm,,1\nm,,-Inf\n");
}

#[test]
fn chunks_of_message_pack_come_out_one_by_one() {
    let mut writer = AnswerWriter::new(Form::MessagePack, Documents::Many { rows: 1 }, Epoch::of("s"));
    writer.begin_statement(0, Vec::new(), Division::BySeries, None);
    assert_eq!(writer.piece(&numbers("m", &[], &[(1, 1), (2, 2)])), Ok(Flow::GoOn));
    let first = writer.take();
    assert!(first.ends_with(b"\xa7partial\xc3\xa7partial\xc3"), "{first:?}");
    assert_eq!(writer.end_statement(None), Flow::GoOn);
    let second = writer.take();
    assert!(second.starts_with(b"\x81\xa7results\xdd\0\0\0\x01") && second.ends_with(b"\x92\x02\x02"), "{second:?}");
}
