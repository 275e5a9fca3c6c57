//! How the rows of series lie: by what names a series, then by time.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::common::{Column, DFSchema, Result, internal_err};
use datafusion::logical_expr::SortExpr;
use datafusion::logical_expr::expr::Expr;
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};

/// Rows sorted by `keys`, then `time` (a timestamp). Rows of equal keys are a series; without keys there is one.
/// Descending order has nulls first, ascending last. Rows of one time come upwards by `then`; equal ones stay as they come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SeriesOrder {
    pub keys: Vec<Column>,
    pub time: Column,
    pub keys_descending: bool,
    pub time_descending: bool,
    pub then: Vec<Column>,
}

impl SeriesOrder {
    /// What to sort by so that rows lie like this.
    pub fn sort_exprs(&self) -> Vec<SortExpr> {
        let sort = |column: &Column, descending: bool| Expr::Column(column.clone()).sort(!descending, descending);
        let keys = self.keys.iter().map(|key| sort(key, self.keys_descending));
        let then = self.then.iter().map(|column| sort(column, false));
        keys.chain([sort(&self.time, self.time_descending)]).chain(then).collect()
    }

    /// The positions of its columns in a schema.
    pub(super) fn resolve(&self, schema: &DFSchema) -> Result<Positions> {
        let all =
            |columns: &[Column]| columns.iter().map(|column| schema.index_of_column(column)).collect::<Result<_>>();
        let (keys, then) = (all(&self.keys)?, all(&self.then)?);
        let (keys_descending, time_descending) = (self.keys_descending, self.time_descending);
        Ok(Positions { keys, time: schema.index_of_column(&self.time)?, keys_descending, time_descending, then })
    }
}

/// A [`SeriesOrder`] of columns by position.
#[derive(Debug, Clone)]
pub(super) struct Positions {
    pub(super) keys: Vec<usize>,
    pub(super) time: usize,
    pub(super) keys_descending: bool,
    pub(super) time_descending: bool,
    then: Vec<usize>,
}

impl Positions {
    /// The same order of a schema that begins with keys and time, and tells no more.
    pub(super) fn first(&self) -> Positions {
        let Positions { keys_descending, time_descending, .. } = *self;
        let keys: Vec<usize> = (0..self.keys.len()).collect();
        Positions { time: keys.len(), keys, keys_descending, time_descending, then: Vec::new() }
    }

    pub(super) fn ordering(&self, schema: &datafusion::arrow::datatypes::Schema) -> Result<LexOrdering> {
        let sort = |&at: &usize, descending: bool| {
            let column: Arc<dyn PhysicalExpr> = Arc::new(PhysicalColumn::new(schema.field(at).name(), at));
            PhysicalSortExpr::new(column, SortOptions { descending, nulls_first: descending })
        };
        let keys = self.keys.iter().map(|key| sort(key, self.keys_descending));
        let then = self.then.iter().map(|column| sort(column, false));
        match LexOrdering::new(keys.chain([sort(&self.time, self.time_descending)]).chain(then)) {
            Some(ordering) => Ok(ordering),
            None => internal_err!("a series has a time"),
        }
    }
}
