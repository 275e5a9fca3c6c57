//! DELETE: which rows of a table its condition means. It may speak of tags and time alone, which are the same in every write of
//! a row.

use datafusion::arrow::compute::kernels::cast_utils::{
    IntervalParseConfig, IntervalUnit, parse_interval_month_day_nano_config, string_to_timestamp_nanos,
};
use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Interval, UnaryOperator, Value};

use crate::catalog::{Delete, Table};
use crate::model::{ColumnKind, Precision, SeriesFilter};
use crate::query::error::QueryError;

use super::series_calls::call;

/// Rows that a condition means.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Meant {
    min_ns: i64,
    max_ns: i64,
    series: SeriesFilter,
}

const ALL: Meant = Meant { min_ns: i64::MIN, max_ns: i64::MAX, series: SeriesFilter::All };

/// The delete of `table` under a condition; none means every row. `instant` makes nanoseconds of what a time is compared with.
pub(super) fn plan(
    table: &Table,
    condition: Option<&Expr>,
    instant: &dyn Fn(&Expr) -> Result<i64, QueryError>,
) -> Result<Delete, QueryError> {
    let Meant { min_ns, max_ns, series } = match condition {
        None => ALL,
        Some(condition) => meant(table, &positive(condition, false), instant)?,
    };
    Ok(Delete { table: table.id, time_min_ns: min_ns, time_max_ns: max_ns, series })
}

/// A condition without NOT in front of what can be said without it; `negated`: of its contrary. Both mean the same rows, as what is
/// null is neither so nor so.
fn positive(condition: &Expr, negated: bool) -> Expr {
    let boxed = |part: &Expr| Box::new(positive(part, negated));
    match condition {
        Expr::Nested(inner) => Expr::Nested(boxed(inner)),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => positive(expr, !negated),
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            let op = if negated { contrary(op) } else { Some(op.clone()) };
            let op = op.expect("AND and OR have a contrary");
            Expr::BinaryOp { left: boxed(left), op, right: boxed(right) }
        }
        other if !negated => other.clone(),
        Expr::BinaryOp { left, op, right } if contrary(op).is_some() => {
            let op = contrary(op).expect("it was asked for");
            Expr::BinaryOp { left: left.clone(), op, right: right.clone() }
        }
        Expr::InList { expr, list, negated } => {
            Expr::InList { expr: expr.clone(), list: list.clone(), negated: !negated }
        }
        Expr::IsNull(expr) => Expr::IsNotNull(expr.clone()),
        Expr::IsNotNull(expr) => Expr::IsNull(expr.clone()),
        Expr::Between { expr, negated, low, high } => {
            Expr::Between { expr: expr.clone(), negated: !negated, low: low.clone(), high: high.clone() }
        }
        Expr::Value(value) => match value.value {
            Value::Boolean(truth) => Expr::Value(Value::Boolean(!truth).into()),
            _ => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(condition.clone()) },
        },
        other => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(other.clone()) },
    }
}

/// The operator that holds where this one does not.
fn contrary(op: &BinaryOperator) -> Option<BinaryOperator> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    Some(match op {
        And => Or,
        Or => And,
        Eq => NotEq,
        NotEq => Eq,
        Lt => GtEq,
        GtEq => Lt,
        Gt => LtEq,
        LtEq => Gt,
        _ => return None,
    })
}

/// Parts joined by AND each narrow the time or the series.
fn meant(
    table: &Table,
    condition: &Expr,
    instant: &dyn Fn(&Expr) -> Result<i64, QueryError>,
) -> Result<Meant, QueryError> {
    match condition {
        Expr::Nested(inner) => meant(table, inner, instant),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let (left, right) = (meant(table, left, instant)?, meant(table, right, instant)?);
            Ok(Meant {
                min_ns: left.min_ns.max(right.min_ns),
                max_ns: left.max_ns.min(right.max_ns),
                series: left.series.and(right.series),
            })
        }
        Expr::BinaryOp { left, op, right } if is_time(table, left)? => bounds(op, instant(right)?, condition),
        Expr::BinaryOp { left, op, right } if is_time(table, right)? => bounds(&turned(op), instant(left)?, condition),
        Expr::Between { expr, negated: false, low, high } if is_time(table, expr)? => {
            Ok(Meant { min_ns: instant(low)?, max_ns: instant(high)?, ..ALL })
        }
        other => Ok(Meant { series: filter(table, other)?, ..ALL }),
    }
}

fn is_time(table: &Table, expr: &Expr) -> Result<bool, QueryError> {
    Ok(column(table, expr)?.is_some_and(|(_, kind)| kind == ColumnKind::Time))
}

/// The column that an expression is, by its written name. Fields are refused, and so are names that are of no column.
fn column(table: &Table, expr: &Expr) -> Result<Option<(String, ColumnKind)>, QueryError> {
    let name = match expr {
        Expr::Nested(inner) => return column(table, inner),
        Expr::Identifier(name) => &name.value,
        Expr::CompoundIdentifier(parts) => match parts.last() {
            Some(name) => &name.value,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    match super::find_column(&table.schema, name) {
        None => Err(QueryError::Plan(format!("No field named {name}"))),
        Some((_, ColumnKind::Field)) => Err(QueryError::NotSupported(
            "Filtering on the field column on the tskv table in delete statement".to_string(),
        )),
        Some((name, ColumnKind::Tag)) => {
            let written = table.schema.tags().find(|tag| tag.sql_name == name).map(|tag| tag.name.clone());
            Ok(Some((written.unwrap_or(name), ColumnKind::Tag)))
        }
        Some(time) => Ok(Some(time)),
    }
}

/// `3 < time` as `time > 3`.
fn turned(op: &BinaryOperator) -> BinaryOperator {
    match op {
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        other => other.clone(),
    }
}

fn bounds(op: &BinaryOperator, at_ns: i64, condition: &Expr) -> Result<Meant, QueryError> {
    // What is before the first instant, or behind the last, is nothing.
    let nothing = Meant { min_ns: i64::MAX, max_ns: i64::MIN, ..ALL };
    Ok(match op {
        BinaryOperator::Eq => Meant { min_ns: at_ns, max_ns: at_ns, ..ALL },
        BinaryOperator::Gt => at_ns.checked_add(1).map_or(nothing, |min_ns| Meant { min_ns, ..ALL }),
        BinaryOperator::GtEq => Meant { min_ns: at_ns, ..ALL },
        BinaryOperator::Lt => at_ns.checked_sub(1).map_or(nothing, |max_ns| Meant { max_ns, ..ALL }),
        BinaryOperator::LtEq => Meant { max_ns: at_ns, ..ALL },
        _ => return Err(unusable(condition)),
    })
}

fn filter(table: &Table, condition: &Expr) -> Result<SeriesFilter, QueryError> {
    let not = |filter| SeriesFilter::Not(Box::new(filter));
    match condition {
        Expr::Nested(inner) => filter(table, inner),
        Expr::Value(value) if value.value == Value::Boolean(true) => Ok(SeriesFilter::All),
        Expr::Value(value) if value.value == Value::Boolean(false) => Ok(not(SeriesFilter::All)),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => Ok(filter(table, left)?.and(filter(table, right)?)),
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => Ok(filter(table, left)?.or(filter(table, right)?)),
        Expr::BinaryOp { left, op, right } => {
            let (tag, value) = match (tag(table, left)?, tag(table, right)?) {
                (Some(tag), None) => (tag, text(right)),
                (None, Some(tag)) => (tag, text(left)),
                _ => return Err(unusable(condition)),
            };
            let value = value.ok_or_else(|| unusable(condition))?;
            match op {
                BinaryOperator::Eq => Ok(SeriesFilter::Equal { tag, value }),
                // A series without the tag is unlike nothing: its tag is null.
                BinaryOperator::NotEq => Ok(SeriesFilter::Every(vec![
                    not(SeriesFilter::Equal { tag: tag.clone(), value }),
                    not(SeriesFilter::Equal { tag, value: String::new() }),
                ])),
                _ => Err(unusable(condition)),
            }
        }
        Expr::InList { expr, list, negated } => {
            let tag = tag(table, expr)?.ok_or_else(|| unusable(condition))?;
            let values: Option<Vec<String>> = list.iter().map(text).collect();
            let any = values.ok_or_else(|| unusable(condition))?;
            let any = SeriesFilter::Any(
                any.into_iter().map(|value| SeriesFilter::Equal { tag: tag.clone(), value }).collect(),
            );
            Ok(match negated {
                false => any,
                true => SeriesFilter::Every(vec![not(any), not(SeriesFilter::Equal { tag, value: String::new() })]),
            })
        }
        Expr::IsNull(expr) => {
            let tag = tag(table, expr)?.ok_or_else(|| unusable(condition))?;
            Ok(SeriesFilter::Equal { tag, value: String::new() })
        }
        Expr::IsNotNull(expr) => {
            let tag = tag(table, expr)?.ok_or_else(|| unusable(condition))?;
            Ok(not(SeriesFilter::Equal { tag, value: String::new() }))
        }
        other => {
            column(table, other)?;
            Err(unusable(other))
        }
    }
}

fn tag(table: &Table, expr: &Expr) -> Result<Option<String>, QueryError> {
    Ok(column(table, expr)?.filter(|(_, kind)| *kind == ColumnKind::Tag).map(|(name, _)| name))
}

/// A constant as a tag has it. An empty one is none: it is what a series without the tag is asked by.
fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => text(inner),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                Some(text.clone()).filter(|text| !text.is_empty())
            }
            Value::Number(digits, _) => Some(digits.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Better to delete nothing than too much.
fn unusable(condition: &Expr) -> QueryError {
    QueryError::NotSupported(format!("the condition {condition} in a delete statement"))
}

/// What instants are told by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// The unit of times that are numbers.
    pub precision: Precision,
    /// What `now()` means, nanoseconds.
    pub now_ns: Option<i64>,
}

/// An instant that a column of time is compared with, nanoseconds: text, `TIMESTAMP '…'`, a number in the database's unit, `now()`; and
/// one of these and intervals.
pub(super) fn instant(expr: &Expr, clock: Clock) -> Result<i64, QueryError> {
    let of_text = |text: &str| {
        string_to_timestamp_nanos(text).map_err(|error| QueryError::Execution(format!("{text:?} is no time: {error}")))
    };
    match expr {
        Expr::Nested(inner) => instant(inner, clock),
        Expr::Function(_) if call(expr).is_some_and(|(name, args)| name == "now" && args.is_empty()) => {
            clock.now_ns.ok_or_else(|| unusable(expr))
        }
        Expr::BinaryOp { left, op: op @ (BinaryOperator::Plus | BinaryOperator::Minus), right } => {
            let from = ScalarValue::TimestampNanosecond(Some(instant(left, clock)?), None);
            let length = ScalarValue::IntervalMonthDayNano(Some(interval(right).ok_or_else(|| unusable(expr))?));
            let moved = if *op == BinaryOperator::Plus { from.add_checked(&length) } else { from.sub_checked(&length) };
            match moved {
                Ok(ScalarValue::TimestampNanosecond(Some(at_ns), None)) => Ok(at_ns),
                _ => Err(unusable(expr)),
            }
        }
        Expr::TypedString(typed) => match &typed.value.value {
            Value::SingleQuotedString(text) => of_text(text),
            _ => Err(unusable(expr)),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            instant(expr, clock)?.checked_neg().ok_or_else(|| unusable(expr))
        }
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => of_text(text),
            Value::Number(digits, _) => {
                let number = digits.parse().ok().and_then(|number| clock.precision.to_nanos(number));
                number.ok_or_else(|| unusable(expr))
            }
            _ => Err(unusable(expr)),
        },
        other => Err(unusable(other)),
    }
}

/// An interval as the engine reads it.
fn interval(expr: &Expr) -> Option<IntervalMonthDayNano> {
    let Expr::Interval(Interval {
        value,
        leading_field,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }) = expr
    else {
        return None;
    };
    let mut text = match &**value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            Value::Number(digits, _) => digits.clone(),
            _ => return None,
        },
        _ => return None,
    };
    if let Some(unit) = leading_field {
        text += &format!(" {unit}");
    }
    parse_interval_month_day_nano_config(&text, IntervalParseConfig::new(IntervalUnit::Second)).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use datafusion::sql::parser::Statement as EngineStatement;
    use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

    use super::super::statement::parse_text;
    use super::*;
    use crate::model::{FieldType, RowIdentity, TableId, TableName, TableSchema};

    fn table() -> Table {
        let mut schema = TableSchema::new(RowIdentity::Series);
        schema.add_missing_tag("a");
        schema.add_missing_tag("b");
        schema.add_missing_field("f", FieldType::Float);
        Table {
            id: TableId(1),
            name: TableName::new("t", "d", "p", "m"),
            schema: Arc::new(schema),
            segments: Vec::new(),
            flushed: BTreeMap::new(),
            tombstones: Vec::new(),
            folder_with_id: false,
            folder: "m".into(),
            series: Arc::default(),
        }
    }

    fn planned(condition: &str) -> Result<Delete, String> {
        let Ok(EngineStatement::Statement(statement)) = parse_text(&format!("DELETE FROM m WHERE {condition}")) else {
            panic!("{condition}")
        };
        let SqlStatement::Delete(delete) = *statement else { panic!("{condition}") };
        let clock = Clock { precision: Precision::Ms, now_ns: Some(NOW_NS) };
        let at = |expr: &Expr| instant(expr, clock);
        plan(&table(), delete.selection.as_ref(), &at).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(condition: &str, range: (i64, i64), series: &str) {
        let delete = planned(condition).unwrap();
        assert_eq!((delete.time_min_ns, delete.time_max_ns), range, "{condition}");
        assert_eq!(serde_json::to_string(&delete.series).unwrap(), series, "{condition}");
    }

    const ALL_TIME: (i64, i64) = (i64::MIN, i64::MAX);
    /// 1970-03-31T00:00:00
    const NOW_NS: i64 = 89 * DAY_NS;
    const DAY_NS: i64 = 86_400_000_000_000;

    #[test]
    fn times_and_tags_narrow_what_is_meant() {
        let a = r#"{"equal":{"tag":"a","value":"x"}}"#;
        check("a = 'x'", ALL_TIME, a);
        check("A = 'x' or 'x' = a", ALL_TIME, &format!(r#"{{"any":[{a},{a}]}}"#));
        check(
            "time > '1970-01-01T00:00:01' and (a = 'x')",
            (1_000_000_001, i64::MAX),
            &format!(r#"{{"every":["all",{a}]}}"#),
        );
        check("time = 5", (5_000_000, 5_000_000), r#""all""#);
        check("5 >= time", (i64::MIN, 5_000_000), r#""all""#);
        check("time between 1 and timestamp '1970-01-01T00:00:02Z'", (1_000_000, 2_000_000_000), r#""all""#);
        check("a is null", ALL_TIME, r#"{"equal":{"tag":"a","value":""}}"#);
        check("a in ('x')", ALL_TIME, &format!(r#"{{"any":[{a}]}}"#));
        let unlike = format!(r#"{{"every":[{{"not":{a}}},{{"not":{{"equal":{{"tag":"a","value":""}}}}}}]}}"#);
        check("a <> 'x'", ALL_TIME, &unlike);
    }

    #[test]
    fn not_means_the_contrary_and_leaves_out_what_is_null() {
        for (condition, without) in [
            ("not a = 'x'", "a <> 'x'"),
            ("not not a = 'x'", "a = 'x'"),
            ("not (a <> 'x')", "a = 'x'"),
            ("not a in ('x', 'y')", "a not in ('x', 'y')"),
            ("not a is null", "a is not null"),
            ("not (a = 'x' or b is not null)", "a <> 'x' and b is null"),
            ("not (a = 'x' and b = 'y') and time > 5", "(a <> 'x' or b <> 'y') and time > 5"),
            ("not (time < 5 or 9 <= time)", "time >= 5 and 9 > time"),
            ("not false", "true"),
        ] {
            let meant = |condition| format!("{:?}", planned(condition).unwrap());
            assert_eq!(meant(condition), meant(without), "{condition}");
        }
    }

    #[test]
    fn times_are_told_from_now() {
        check("time < now()", (i64::MIN, NOW_NS - 1), r#""all""#);
        check("time <= NOW() - interval '90 minutes'", (i64::MIN, NOW_NS - 5_400_000_000_000), r#""all""#);
        check(
            "time <= now() - interval '1' day + interval '1 second'",
            (i64::MIN, NOW_NS - DAY_NS + 1_000_000_000),
            r#""all""#,
        );
        // By the calendar: the last of February.
        check("time <= now() - interval '1 month'", (i64::MIN, NOW_NS - 31 * DAY_NS), r#""all""#);
        for wrong in ["now() - 5", "now() * 2", "now() - interval 'x'", "now(1)", "now() - interval '999999 years'"] {
            assert!(planned(&format!("time < {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_could_mean_too_much_is_refused() {
        for (condition, expected) in [
            ("f = 1", "Filtering on the field column on the tskv table in delete statement is not supported"),
            (
                "a = 'x' and f = 1",
                "Filtering on the field column on the tskv table in delete statement is not supported",
            ),
            ("c = 1", "No field named c"),
            ("a = b", "the condition a = b in a delete statement is not supported"),
            ("time > 1 or a = 'x'", "the condition time > 1 in a delete statement is not supported"),
            ("a = ''", "the condition a = '' in a delete statement is not supported"),
            ("not a", "the condition NOT a in a delete statement is not supported"),
            ("not time = 5", "the condition time <> 5 in a delete statement is not supported"),
            ("not f = 1", "Filtering on the field column on the tskv table in delete statement is not supported"),
            ("time > random()", "the condition random() in a delete statement is not supported"),
        ] {
            assert_eq!(planned(condition).map(|_| ()), Err(expected.to_string()), "{condition}");
        }
    }
}
