//! What a document's values do to columns, and what they leave behind when it is refused.

use super::*;
use crate::model::{ColumnKind, TablePoints, Value};

fn rules() -> DocumentRules {
    DocumentRules {
        bad_documents: BadPoints::Drop,
        on_conflict: OnConflict::Reject,
        columns_max: 100,
        tags: Vec::new(),
        numbers_are_floats: false,
        may_merge: false,
    }
}

fn documents(rows: &[&[(&str, Value<'_>)]]) -> Documents {
    let mut documents = Documents::new("t");
    for (time, row) in rows.iter().enumerate() {
        row.iter().for_each(|(name, value)| documents.set(name, *value).unwrap());
        documents.finish(time as i64);
    }
    documents
}

fn schema(fields: &[(&str, FieldType)]) -> TableSchema {
    let mut schema = TableSchema::new(RowIdentity::Append);
    fields.iter().for_each(|(name, field_type)| schema.add_missing_field(name, *field_type));
    schema
}

/// Which rows are refused and why, what is needed, and the columns of the points made.
#[track_caller]
fn check(
    rows: &[&[(&str, Value<'_>)]],
    schema: Option<&TableSchema>,
    rules: &DocumentRules,
    refused: &[(usize, &str)],
    needed: &str,
    points: &str,
) {
    let documents = documents(rows);
    check_plan(&documents, &plan(&documents, schema, rules, None, false), refused, needed, points);
}

#[track_caller]
fn check_plan(documents: &Documents, plan: &Plan, refused: &[(usize, &str)], needed: &str, points: &str) {
    let seen: Vec<(usize, String)> = plan.refused(0).map(|r| (r.row, r.why.to_string())).collect();
    let seen: Vec<(usize, &str)> = seen.iter().map(|(row, why)| (*row, why.as_str())).collect();
    assert_eq!(seen, refused);
    let seen = plan.needed("t").map_or("-".to_string(), |c| format!("{:?} {:?} {:?}", c.tags, c.fields, c.widened));
    assert_eq!(seen, needed);
    assert_eq!(columns(plan.points(documents)), points);
}

fn columns(points: TablePoints) -> String {
    let rows = points.rows();
    let column = |field: crate::model::FieldColumn| {
        let name = field.name.clone();
        let array = field.into_array(rows);
        let cells: Vec<String> = (0..rows)
            .map(|row| datafusion::arrow::util::display::array_value_to_string(&array, row).unwrap())
            .collect();
        format!("{name}=[{}]", cells.join(","))
    };
    points.fields.into_iter().map(column).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_value_makes_the_column_and_later_ones_widen_it() {
    check(
        &[
            &[("n", Value::Integer(1))],
            &[("n", Value::Float(0.5)), ("s", Value::Text("x"))],
            &[("n", Value::Text("7"))],
        ],
        None,
        &rules(),
        &[],
        r#"[] [("n", Float), ("s", String)] []"#,
        "n=[1.0,0.5,7.0] s=[,x,]",
    );
}

#[test]
fn a_column_of_integers_is_widened_once_a_float_comes() {
    let known = schema(&[("n", FieldType::Integer)]);
    check(&[&[("n", Value::Integer(1))]], Some(&known), &rules(), &[], "-", "n=[1]");
    check(&[&[("n", Value::Float(1.0))]], Some(&known), &rules(), &[], r#"[] [] ["n"]"#, "n=[1.0]");
}

#[test]
fn a_refused_document_leaves_nothing_behind() {
    let known = schema(&[("n", FieldType::Integer), ("b", FieldType::Boolean)]);
    check(
        &[
            &[("new", Value::Text("x")), ("n", Value::Float(0.5)), ("b", Value::Text("maybe"))],
            &[("new", Value::Integer(2)), ("n", Value::Integer(3))],
        ],
        Some(&known),
        &rules(),
        &[(0, r#"field "b" is boolean, got "maybe""#)],
        r#"[] [("new", Integer)] []"#,
        "new=[2] n=[3]",
    );
}

#[test]
fn a_value_that_does_not_fit_may_go_beside_its_column() {
    let known = schema(&[("level", FieldType::Integer)]);
    let rules = DocumentRules { on_conflict: OnConflict::Sibling, ..rules() };
    check(
        &[
            &[("level", Value::Text("high"))],
            &[("level", Value::Integer(3))],
            &[("level", Value::Text("low"))],
            &[("level", Value::Boolean(true))],
        ],
        Some(&known),
        &rules,
        &[],
        r#"[] [("level__utf8", String), ("level__boolean", Boolean)] []"#,
        "level=[,3,,] level__utf8=[high,,low,] level__boolean=[,,,true]",
    );
}

#[test]
fn columns_are_limited_and_the_documents_of_known_ones_stay_welcome() {
    let known = schema(&[("a", FieldType::Integer), ("b", FieldType::Integer)]);
    let rules = DocumentRules { columns_max: 3, ..rules() };
    check(
        &[
            &[("a", Value::Integer(1)), ("c", Value::Integer(1)), ("d", Value::Integer(1))],
            &[("c", Value::Text("x"))],
            &[("d", Value::Integer(1))],
            &[("b", Value::Integer(2))],
        ],
        Some(&known),
        &rules,
        &[(0, "2 more columns would make more than 3"), (2, "1 more columns would make more than 3")],
        r#"[] [("c", String)] []"#,
        "c=[x,] b=[,2]",
    );
}

#[test]
fn named_columns_are_tags_and_hold_text() {
    let rules = DocumentRules { tags: vec!["host".to_string(), "n".to_string()], numbers_are_floats: true, ..rules() };
    let documents =
        documents(&[&[("host", Value::Text("a")), ("n", Value::Integer(4)), ("v", Value::Integer(1))], &[]]);
    let plan = plan(&documents, None, &rules, None, false);
    let needed = plan.needed("t").unwrap();
    assert_eq!((needed.tags.len(), needed.fields.clone()), (2, vec![("v".to_string(), FieldType::Float)]));
    let points = plan.points(&documents);
    assert_eq!(
        (points.tag_keys.as_slice(), points.row_series.as_slice()),
        (&["host".to_string(), "n".to_string()][..], &[0, 1][..])
    );
    assert_eq!(crate::model::batch::tags_of(points.series.key(0)).collect::<Vec<_>>(), [(0, "a"), (1, "4")]);
    let mut schema = TableSchema::new(RowIdentity::Append);
    assert!(needed.add_to(&mut schema) && !needed.add_to(&mut schema));
    assert!(schema.find("host", ColumnKind::Tag).is_some());
}

#[test]
fn a_table_that_merges_rows_takes_documents_only_where_that_is_wanted() {
    let merging = TableSchema::new(RowIdentity::Series);
    let rows: &[&[(&str, Value<'_>)]] = &[&[("n", Value::Integer(1))]];
    check(
        rows,
        Some(&merging),
        &rules(),
        &[(0, r#"table "t" makes one row of those that are equal in tags and time"#)],
        "-",
        "",
    );
    let rules = DocumentRules { may_merge: true, ..rules() };
    check(rows, Some(&merging), &rules, &[], r#"[] [("n", Integer)] []"#, "n=[1]");
}

#[test]
fn documents_without_values_are_rows_too_and_old_ones_are_refused() {
    let documents = documents(&[&[], &[]]);
    let plan = plan(&documents, None, &rules(), Some(1), false);
    assert_eq!(
        plan.refused(3).collect::<Vec<_>>(),
        [RefusedDocument { table: 3, row: 0, why: Unfit::BeyondRetention { time_ns: 0, oldest_ns: 1 } }]
    );
    assert!(plan.needed("t").is_some());
    assert_eq!(plan.points(&documents).times, [1]);
}

#[test]
fn a_document_beyond_the_limit_is_planned_no_further() {
    // Its last value would be refused for its type; the limit comes first and still counts all that is new.
    let known = schema(&[("b", FieldType::Boolean)]);
    let rules = DocumentRules { columns_max: 2, ..rules() };
    let one = |name| (name, Value::Integer(1));
    check(
        &[&[one("c"), one("d"), one("e"), one("b"), ("b", Value::Text("maybe"))], &[one("d")]],
        Some(&known),
        &rules,
        &[(0, "3 more columns would make more than 2")],
        r#"[] [("d", Integer)] []"#,
        "d=[1]",
    );
}

#[test]
fn written_to_strictly_nothing_is_made() {
    let rows: &[&[(&str, Value<'_>)]] = &[
        &[("a", Value::Integer(1))],
        &[("a", Value::Integer(2)), ("b", Value::Integer(2))],
        &[("a", Value::Float(0.5))],
    ];
    let documents = documents(rows);
    let known = schema(&[("a", FieldType::Integer)]);
    let missing = r#"table "t" not found, and documents make none in this database"#;
    let strict = |schema| plan(&documents, schema, &rules(), None, true);
    check_plan(&documents, &strict(None), &[(0, missing), (1, missing), (2, missing)], "-", "");
    let refused = [
        (1, r#"column "b" not found, and documents make none in this database"#),
        (2, r#"field "a" is integer, got "0.5""#),
    ];
    check_plan(&documents, &strict(Some(&known)), &refused, "-", "a=[1]");
}
