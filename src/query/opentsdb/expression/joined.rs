//! Expressions over several metrics at once: series of equal tags are joined, and calculated instant by instant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::answer::TagSet;
use super::super::error::OpentsdbError;
use super::formula::Formula;
use super::{Budget, Series};

/// What stands where a series has no value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FillWith {
    Zero,
    Nan,
    Number(f64),
}

impl FillWith {
    fn value(self) -> f64 {
        match self {
            FillWith::Zero => 0.0,
            FillWith::Nan => f64::NAN,
            FillWith::Number(number) => number,
        }
    }
}

/// Which joined series there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// Those that any name has.
    Union,
    /// Those that all names have.
    Intersection,
}

/// How one expression joins.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub join: Join,
    /// Only these tags tell series apart; `None`: all.
    pub tags: Option<Vec<String>>,
    /// For names that have no policy of their own.
    pub fill: Option<FillWith>,
}

/// A metric of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    pub series: Vec<Series>,
    pub fill: Option<FillWith>,
}

/// One series of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Of the metrics it is made of.
    pub metrics: Vec<Arc<str>>,
    pub tags: TagSet,
    pub aggregated: Vec<Arc<str>>,
    /// By the table's times.
    values: Vec<f64>,
}

/// Series side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Milliseconds since 1970, ascending.
    pub times: Vec<i64>,
    pub columns: Vec<Column>,
}

impl Table {
    /// The values at the `row`-th time.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f64> + '_ {
        self.columns.iter().map(move |column| column.values[row])
    }

    /// Values of all series at all times.
    pub fn points(&self) -> usize {
        self.times.len().saturating_mul(self.columns.len())
    }

    /// A metric's series as they are, but that each has a value at every time of any.
    fn of(variable: &Variable, budget: &mut Budget) -> Result<Table, OpentsdbError> {
        let fill = variable.fill.unwrap_or(FillWith::Zero).value();
        let times: BTreeSet<i64> =
            variable.series.iter().flat_map(|one| one.points.iter().map(|(time, _)| *time)).collect();
        let times: Vec<i64> = times.into_iter().collect();
        budget.take(times.len().saturating_mul(variable.series.len()))?;
        let column = |series: &Series| {
            let mut values = vec![fill; times.len()];
            for (time, value) in &series.points {
                if let Ok(at) = times.binary_search(time) {
                    values[at] = value.as_float();
                }
            }
            let (tags, aggregated) = (series.tags.clone(), series.aggregated.clone());
            Column { metrics: vec![series.metric.clone()], tags, aggregated, values }
        };
        Ok(Table { columns: variable.series.iter().map(column).collect(), times })
    }
}

/// What a name in an expression stands for.
struct Operand {
    table: Table,
    fill: Option<FillWith>,
}

/// The tables of all expressions and of the metrics they are made of, by name. Expressions may speak of each other, but not
/// of themselves. The metrics' tables have a budget, and so have the expressions'.
pub fn evaluate(
    variables: BTreeMap<String, Variable>,
    expressions: &[(String, Formula, Policy)],
) -> Result<BTreeMap<String, Table>, OpentsdbError> {
    let mut known: BTreeMap<String, Operand> = BTreeMap::new();
    let (mut of_metrics, mut of_expressions) = (Budget::default(), Budget::default());
    for (name, variable) in variables {
        let table = Table::of(&variable, &mut of_metrics)?;
        known.insert(name, Operand { table, fill: variable.fill });
    }
    let mut waiting: Vec<&(String, Formula, Policy)> = expressions.iter().collect();
    while !waiting.is_empty() {
        let (ready, others): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, formula, _)| formula.names().iter().all(|name| known.contains_key(*name)));
        if ready.is_empty() {
            let (name, formula, _) = others[0];
            let missing: Vec<&str> = formula.names().into_iter().filter(|name| !known.contains_key(*name)).collect();
            return Err(OpentsdbError::Refused(format!(
                "expression `{name}` speaks of unknown names or of itself: {}",
                missing.join(", ")
            )));
        }
        for (name, formula, policy) in ready {
            let table = joined(formula, policy, &known, &mut of_expressions)?;
            known.insert(name.clone(), Operand { table, fill: policy.fill });
        }
        waiting = others;
    }
    Ok(known.into_iter().map(|(name, operand)| (name, operand.table)).collect())
}

fn joined(
    formula: &Formula,
    policy: &Policy,
    known: &BTreeMap<String, Operand>,
    budget: &mut Budget,
) -> Result<Table, OpentsdbError> {
    let names: Vec<&str> = formula.names().into_iter().collect();
    let operands: Vec<&Operand> = names.iter().filter_map(|name| known.get(*name)).collect();
    let key = |column: &Column| -> TagSet {
        let counts = |tag: &str| policy.tags.as_ref().is_none_or(|tags| tags.iter().any(|known| known == tag));
        column.tags.iter().filter(|(tag, _)| counts(tag)).cloned().collect()
    };
    let mut together: BTreeMap<TagSet, Vec<Option<&Column>>> = BTreeMap::new();
    for (at, operand) in operands.iter().enumerate() {
        for column in &operand.table.columns {
            together.entry(key(column)).or_insert_with(|| vec![None; operands.len()])[at] = Some(column);
            Budget::default().take(together.len().saturating_mul(operands.len()))?;
        }
    }
    if policy.join == Join::Intersection {
        together.retain(|_, columns| columns.iter().all(Option::is_some));
    }
    let times: BTreeSet<i64> = operands.iter().flat_map(|operand| operand.table.times.iter().copied()).collect();
    let times: Vec<i64> = times.into_iter().collect();
    budget.take(times.len().saturating_mul(together.len()))?;
    let fills: Vec<f64> =
        operands.iter().map(|operand| operand.fill.or(policy.fill).unwrap_or(FillWith::Zero).value()).collect();
    let mut values: Vec<Vec<f64>> = together.values().map(|_| Vec::with_capacity(times.len())).collect();
    // How far each operand has been read, and where it has the instant at hand.
    let mut read = vec![0; operands.len()];
    let mut places: Vec<Option<usize>> = vec![None; operands.len()];
    for time in &times {
        for ((operand, read), place) in operands.iter().zip(&mut read).zip(&mut places) {
            *place = (operand.table.times.get(*read) == Some(time)).then_some(*read);
            *read += usize::from(place.is_some());
        }
        for (columns, values) in together.values().zip(&mut values) {
            values.push(formula.value(&|name| {
                let Some(at) = names.iter().position(|known| *known == name) else { return f64::NAN };
                match (columns[at], places[at]) {
                    (Some(column), Some(place)) => column.values[place],
                    _ => fills[at],
                }
            }));
        }
    }
    let column = |(columns, values): (Vec<Option<&Column>>, Vec<f64>)| {
        let mut made = Column { metrics: Vec::new(), tags: Vec::new(), aggregated: Vec::new(), values };
        let mut several: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut tags: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        for column in columns.into_iter().flatten() {
            for metric in &column.metrics {
                if !made.metrics.contains(metric) {
                    made.metrics.push(metric.clone());
                }
            }
            several.extend(column.aggregated.iter().cloned());
            for (key, value) in &column.tags {
                if tags.entry(key.clone()).or_insert_with(|| value.clone()) != value {
                    several.insert(key.clone());
                }
            }
        }
        made.tags = tags.into_iter().filter(|(key, _)| !several.contains(key)).collect();
        made.aggregated = several.into_iter().collect();
        made
    };
    Ok(Table { columns: together.into_values().zip(values).map(column).collect(), times })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::opentsdb::answer::Value;

    fn variable(metric: &str, series: &[(&str, &[(i64, f64)])], fill: Option<FillWith>) -> Variable {
        let of = |(host, points): &(&str, &[(i64, f64)])| Series {
            metric: metric.into(),
            tags: vec![("h".into(), (*host).into())],
            aggregated: Vec::new(),
            points: points.iter().map(|(time, value)| (*time, Value::Float(*value))).collect(),
            alias: None,
            is_combined: false,
        };
        Variable { series: series.iter().map(of).collect(), fill }
    }

    fn rows(table: &Table) -> Vec<(i64, Vec<f64>)> {
        table.times.iter().enumerate().map(|(at, time)| (*time, table.row(at).collect())).collect()
    }

    fn policy(join: Join) -> Policy {
        Policy { join, tags: None, fill: None }
    }

    #[test]
    fn series_of_equal_tags_are_joined_and_expressions_build_on_each_other() {
        let variables = BTreeMap::from([
            ("a".to_string(), variable("m", &[("x", &[(1, 1.0), (2, 2.0)]), ("y", &[(1, 10.0)])], None)),
            ("b".to_string(), variable("n", &[("x", &[(1, 5.0), (3, 7.0)])], Some(FillWith::Number(100.0)))),
        ]);
        let formula = |text: &str| Formula::parse(text).expect("a formula");
        let expressions = [
            ("e2".to_string(), formula("e * 2"), policy(Join::Union)),
            ("e".to_string(), formula("a + b"), policy(Join::Union)),
            ("i".to_string(), formula("a + b"), policy(Join::Intersection)),
        ];
        let tables = evaluate(variables, &expressions).expect("tables");
        let expected = [(1, vec![6.0, 110.0]), (2, vec![102.0, 100.0]), (3, vec![7.0, 100.0])];
        assert_eq!(rows(&tables["e"]), expected);
        assert_eq!(rows(&tables["e2"])[0], (1, vec![12.0, 220.0]));
        assert_eq!(tables["i"].columns.len(), 1);
        assert_eq!(tables["e"].columns[0].metrics, [Arc::from("m"), Arc::from("n")]);
    }

    #[test]
    fn tables_are_refused_before_there_is_no_room_for_them() {
        // Series that have no instant in common: few points make a large table.
        let sparse = |count: i64| {
            let points: Vec<(String, [(i64, f64); 1])> = (0..count).map(|i| (i.to_string(), [(i, 1.0)])).collect();
            let series: Vec<(&str, &[(i64, f64)])> = points.iter().map(|(h, one)| (h.as_str(), &one[..])).collect();
            variable("m", &series, None)
        };
        let check = |counts: &[i64], formulas: &[&str], is_made: bool| {
            let names = ["a", "b", "c"].map(String::from).into_iter();
            let variables = names.zip(counts).map(|(name, count)| (name, sparse(*count))).collect();
            let expression = |text: &&str| {
                let formula = Formula::parse(text).expect("a formula");
                (format!("made by {text}"), formula, policy(Join::Union))
            };
            let expressions: Vec<_> = formulas.iter().map(expression).collect();
            let made = evaluate(variables, &expressions).map(|_| ());
            let is_refused = matches!(made, Err(OpentsdbError::TooManyPoints { .. }));
            assert_eq!((made.is_ok(), is_refused), (is_made, !is_made), "{counts:?} {formulas:?} {made:?}");
        };
        check(&[1500], &["a + 1"], true);
        check(&[2100], &[], false);
        check(&[1500, 1500], &[], false);
        check(&[1500], &["a + 1", "a + 2"], false);
    }

    #[test]
    fn an_expression_of_itself_is_refused() {
        let expressions = [("e".to_string(), Formula::parse("e + 1").expect("a formula"), policy(Join::Union))];
        assert!(evaluate(BTreeMap::new(), &expressions).is_err());
    }
}
