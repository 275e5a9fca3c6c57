//! Rows on their way through a plan, and how their columns are called there.
//!
//! Names of clients may be anything and clash; inside a plan columns have names of ours.

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr, cast, lit};

use crate::model::schema::{TIME_COLUMN, tag_type};
use crate::query::influxql::clauses::Direction;

use super::types::Type;

/// Where the measurement stands when rows are of several.
pub(super) const NAME: &str = "measurement";
pub(super) const TIME: &str = TIME_COLUMN;

/// A grouped tag, by its place in the dimensions: a text (Utf8View), empty where the tag is absent.
pub(super) fn tag_column(i: usize) -> String {
    format!("tag_{i}")
}

/// A column that only tells in which order rows come.
pub(super) fn order_column(i: usize) -> String {
    format!("order_{i}")
}

/// A column that tells in which order rows of one time come, in whichever direction times run.
pub(super) fn rank_column(i: usize) -> String {
    format!("{RANK}{i}")
}

const RANK: &str = "rank_";

/// Whether a column is a rank.
pub(super) fn is_rank(name: &str) -> bool {
    name.starts_with(RANK)
}

/// What a reference of the fields stands for.
pub(super) fn value_column(i: usize) -> String {
    format!("value_{i}")
}

/// What a call gives.
pub(super) fn call_column(i: usize) -> String {
    format!("call_{i}")
}

/// A column of the answer, by its place behind time.
pub(super) fn field_column(i: usize) -> String {
    format!("field_{i}")
}

/// The column called `name`, whatever characters that has.
pub(super) fn column(name: impl Into<String>) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// A column of rows that clients know by another name.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub name: Arc<str>,
    pub column: String,
    pub kind: Type,
    /// Known to have a value in every row.
    pub is_complete: bool,
}

/// Rows as a select reads them.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub plan: LogicalPlan,
    /// `None`: it stands in the column [`NAME`].
    pub measurement: Option<Arc<str>>,
    /// Of a table null where absent, of an inner select as [`tag_column`] has it.
    pub tags: Vec<Known>,
    pub fields: Vec<Known>,
    /// By what rows follow each other within a group of who reads them.
    pub order: Vec<String>,
}

impl Rows {
    pub(super) fn field(&self, name: &str) -> Option<&Known> {
        self.fields.iter().find(|known| *known.name == *name)
    }

    pub(super) fn tag(&self, name: &str) -> Option<&Known> {
        self.tags.iter().find(|known| *known.name == *name)
    }
}

/// The columns that tell output series apart, in the order of the answer.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// Whether there is a column [`NAME`].
    pub has_name: bool,
    pub tags: usize,
}

impl Keys {
    pub(super) fn names(&self) -> Vec<String> {
        let name = self.has_name.then(|| NAME.to_string());
        name.into_iter().chain((0..self.tags).map(tag_column)).collect()
    }

    pub(super) fn columns(&self) -> Vec<Expr> {
        self.names().into_iter().map(column).collect()
    }
}

/// `names` in the direction of a select, ranks upwards.
///
/// Ranks are no bare columns: the engine holds that a group's key decides about all else in its rows, also when the rows
/// have become several, and would leave them out.
pub(super) fn sorted_by(names: impl IntoIterator<Item = String>, direction: Direction) -> Vec<SortExpr> {
    let sorted = |name: String| {
        let is_rank = is_rank(&name);
        let ascending = direction == Direction::Ascending || is_rank;
        let by = if is_rank { coalesce(vec![column(&name), column(&name)]) } else { column(name) };
        by.sort(ascending, !ascending)
    };
    names.into_iter().map(sorted).collect()
}

/// A tag that no row has.
pub(super) fn no_tag() -> Expr {
    lit(ScalarValue::try_new_null(&tag_type()).unwrap_or(ScalarValue::Null))
}

/// The text of an absent tag, of the type of the others.
pub(super) fn no_text() -> Expr {
    lit(ScalarValue::Utf8View(Some(String::new())))
}

/// The tag that such a text stands for: of an inner select, where it is absent, the empty one.
pub(super) fn text_tag(text: Expr) -> Expr {
    cast(text, tag_type())
}

pub(super) fn timestamp(nanoseconds: i64) -> Expr {
    lit(ScalarValue::TimestampNanosecond(Some(nanoseconds), None))
}
