//! Which row groups of segments may hold the words that a query looks for.
//!
//! `matches(column, 'words')` is exact by itself; what is found out here only saves reading. The filters of a segment
//! ([`crate::storage::words`]) are asked a word at a time, and their answers are kept: segments never change.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use uuid::Uuid;

use crate::model::{ColumnId, ColumnKind, FieldType, TableSchema};
use crate::storage::segment::Segment;
use crate::storage::words::WordHash;

use super::functions::matches::{Matches, WordQuery};

/// Words that one call of `matches` looks up, the longest ones: they are the rarest.
const WORDS_A_CALL_MAX: usize = 8;
/// Words that a scan looks up. What would be more is not looked up.
const LOOK_UPS_MAX: usize = 16;
/// Conditions within conditions that are looked into.
const DEPTH_MAX: usize = 16;

/// A word in a column.
pub(super) type LookUp = (ColumnId, WordHash);

/// Whether each row group may hold a word. `None`: no filter says.
pub(super) type Groups = Option<Arc<[bool]>>;

/// What of a condition can be asked of filters. Rows that the condition is true for are in row groups that this finds.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    Words(Vec<LookUp>),
    All(Vec<Wanted>),
    Any(Vec<Wanted>),
}

impl Wanted {
    /// `None`: nothing.
    pub(super) fn of(filters: &[Expr], table: &TableSchema) -> Option<Wanted> {
        let all: Vec<Wanted> = filters.iter().filter_map(|filter| Wanted::of_expr(filter, table, 0)).collect();
        let wanted = Wanted::All(all);
        (1..=LOOK_UPS_MAX).contains(&wanted.look_ups().len()).then_some(wanted)
    }

    fn of_expr(expr: &Expr, table: &TableSchema, depth: usize) -> Option<Wanted> {
        match expr {
            _ if depth > DEPTH_MAX => None,
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                let sides = [left, right].into_iter().filter_map(|side| Wanted::of_expr(side, table, depth + 1));
                Some(Wanted::All(sides.collect()))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                let sides = [left, right].into_iter().map(|side| Wanted::of_expr(side, table, depth + 1));
                sides.collect::<Option<_>>().map(Wanted::Any)
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.inner().is::<Matches>() => {
                let [Expr::Column(column), Expr::Literal(query, _)] = args.as_slice() else { return None };
                let is_it = |known: &&crate::model::Column| {
                    let is_text = known.kind == ColumnKind::Field && known.field_type == Some(FieldType::String);
                    is_text && known.sql_name == column.name
                };
                let column = table.columns.iter().find(is_it)?.id;
                // What cannot be understood is told by the function.
                let query = WordQuery::of(query.try_as_str()??).ok()?;
                let mut words: Vec<&str> = query.words().collect();
                words.sort_unstable_by_key(|word| (std::cmp::Reverse(word.len()), *word));
                words.dedup();
                words.truncate(WORDS_A_CALL_MAX);
                Some(Wanted::Words(words.into_iter().map(|word| (column, WordHash::of(word))).collect()))
            }
            _ => None,
        }
    }

    /// All that is to be looked up.
    pub(super) fn look_ups(&self) -> Vec<LookUp> {
        let mut found: Vec<LookUp> = match self {
            Wanted::Words(words) => words.clone(),
            Wanted::All(parts) | Wanted::Any(parts) => parts.iter().flat_map(Wanted::look_ups).collect(),
        };
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The row groups to be read; `None`: all of them.
    pub(super) fn groups(&self, known: &HashMap<LookUp, Groups>) -> Option<Vec<bool>> {
        match self {
            Wanted::Words(words) => {
                let found = words.iter().filter_map(|word| known.get(word)?.as_deref().map(<[bool]>::to_vec));
                found.reduce(|a, b| joined(a, &b, |a, b| a && b))
            }
            Wanted::All(parts) => {
                parts.iter().filter_map(|part| part.groups(known)).reduce(|a, b| joined(a, &b, |a, b| a && b))
            }
            Wanted::Any(parts) => {
                let found: Option<Vec<_>> = parts.iter().map(|part| part.groups(known)).collect();
                found?.into_iter().reduce(|a, b| joined(a, &b, |a, b| a || b))
            }
        }
    }
}

fn joined(mut a: Vec<bool>, b: &[bool], join: impl Fn(bool, bool) -> bool) -> Vec<bool> {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = join(*a, *b));
    a
}

/// What filters said, the least used going when it takes too much; and how much that saved.
#[derive(Debug, Clone)]
pub(super) struct WordGroups {
    known: moka::sync::Cache<(Uuid, LookUp), Groups>,
    read: IntCounter,
    skipped: IntCounter,
}

impl WordGroups {
    /// Registers `tidegate_word_filter_row_groups_total` with `registry`.
    pub(super) fn new(bytes_max: u64, registry: &Registry) -> Result<Self, prometheus::Error> {
        let about = "Row groups that filters of words were asked about, by whether they were read then";
        let groups = IntCounterVec::new(Opts::new("tidegate_word_filter_row_groups_total", about), &["result"])?;
        registry.register(Box::new(groups.clone()))?;
        let weigh = |_: &(Uuid, LookUp), groups: &Groups| {
            let bytes = groups.as_ref().map_or(0, |groups| groups.len()) + size_of::<(Uuid, LookUp, Groups)>();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Ok(WordGroups {
            known: moka::sync::Cache::builder().max_capacity(bytes_max).weigher(weigh).build(),
            read: groups.with_label_values(&["read"]),
            skipped: groups.with_label_values(&["skipped"]),
        })
    }

    pub(super) fn get(&self, segment: &Segment, word: LookUp) -> Option<Groups> {
        self.known.get(&(segment.id, word))
    }

    pub(super) fn keep(&self, segment: &Segment, word: LookUp, groups: Groups) {
        self.known.insert((segment.id, word), groups);
    }

    /// Counts what a scan does.
    pub(super) fn count(&self, groups: &[bool]) {
        let read = groups.iter().filter(|read| **read).count();
        self.read.inc_by(read as u64);
        self.skipped.inc_by((groups.len() - read) as u64);
    }
}

/// The row groups to be read of segments, for those of which not all are.
#[derive(Debug, Default)]
pub(super) struct RowGroups(HashMap<Uuid, Vec<bool>>);

impl RowGroups {
    pub(super) fn add(&mut self, segment: &Segment, groups: Vec<bool>) {
        if groups.contains(&false) {
            self.0.insert(segment.id, groups);
        }
    }

    /// Whether nothing of the segment is read.
    pub(super) fn leave_out(&self, segment: &Segment) -> bool {
        self.0.get(&segment.id).is_some_and(|groups| !groups.contains(&true))
    }

    /// What a segment's file carries so that only these row groups are read.
    pub(super) fn access(&self, segment: &Segment) -> Option<ParquetAccessPlan> {
        let access = |read: &bool| if *read { RowGroupAccess::Scan } else { RowGroupAccess::Skip };
        Some(ParquetAccessPlan::new(self.0.get(&segment.id)?.iter().map(access).collect()))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{ScalarUDF, col, lit};

    use super::*;
    use crate::model::RowIdentity;

    fn schema() -> (TableSchema, ColumnId) {
        let mut schema = TableSchema::new(RowIdentity::Append);
        schema.add("n", ColumnKind::Field, Some(FieldType::Integer));
        let text = schema.add("text", ColumnKind::Field, Some(FieldType::String));
        schema.add("tag", ColumnKind::Tag, None);
        (schema, text)
    }

    fn matches(column: &str, query: &str) -> Expr {
        ScalarUDF::from(Matches::default()).call(vec![col(column), lit(query)])
    }

    #[test]
    fn words_of_a_condition_are_looked_up_where_they_decide() {
        let (schema, text) = schema();
        let known = |word: &str| {
            let groups: [bool; 3] = match word {
                "one" => [true, false, false],
                "two" => [true, true, false],
                _ => [false, false, true],
            };
            ((text, WordHash::of(word)), Some(Arc::from(groups)))
        };
        let known: HashMap<LookUp, Groups> = ["one", "two", "three"].map(known).into();
        let check = |filters: &[Expr], expected: Option<[bool; 3]>| {
            let found = Wanted::of(filters, &schema).and_then(|wanted| wanted.groups(&known));
            assert_eq!(found, expected.map(|groups| groups.to_vec()), "{filters:?}");
        };
        let other = || col("n").gt(lit(1));
        check(&[matches("text", "two")], Some([true, true, false]));
        check(&[matches("text", "TWO \"one\"")], Some([true, false, false]));
        check(&[matches("text", "one"), matches("text", "three"), other()], Some([false; 3]));
        check(&[matches("text", "one").and(other())], Some([true, false, false]));
        check(&[matches("text", "one").or(matches("text", "three"))], Some([true, false, true]));
        check(&[matches("text", "one").or(other())], None);
        check(&[matches("text", "one").or(matches("text", "unknown"))], None);
        check(&[matches("text", "one unknown")], Some([true, false, false]));
        check(&[matches("text", "one").is_null()], None);
        check(&[Expr::Not(Box::new(matches("text", "one")))], None);
        check(&[matches("tag", "one")], None);
        check(&[matches("text", "…")], None);
        check(&[other()], None);
        check(&[], None);
    }

    #[test]
    fn only_so_much_is_looked_up() {
        let (schema, text) = schema();
        let query: Vec<String> = (0..100).map(|word| "x".repeat(word + 1)).collect();
        let wanted = Wanted::of(&[matches("text", &query.join(" "))], &schema).unwrap();
        let longest = |word: &String| (text, WordHash::of(word));
        let mut expected: Vec<LookUp> = query[92..].iter().map(longest).collect();
        expected.sort_unstable();
        assert_eq!(wanted.look_ups(), expected);
        let many: Vec<Expr> = query[..LOOK_UPS_MAX].iter().map(|word| matches("text", word)).collect();
        assert!(Wanted::of(&many, &schema).is_some());
        let many: Vec<Expr> = query[..=LOOK_UPS_MAX].iter().map(|word| matches("text", word)).collect();
        assert_eq!(Wanted::of(&many, &schema), None);
    }
}
