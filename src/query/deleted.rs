//! Rows that deletes have taken, as the engine leaves them out of a scan.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;

use crate::model::schema::TIME_COLUMN;
use crate::model::{ColumnKind, DeletedRows, TableSchema};

/// `plan` without deleted rows. It has the time column and every tag that a delete speaks of, under their SQL names.
pub(super) fn without_deleted(
    plan: Arc<dyn ExecutionPlan>,
    deleted: Arc<DeletedRows>,
    table: &TableSchema,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    let mut columns: Vec<Arc<dyn PhysicalExpr>> = vec![Arc::new(Column::new_with_schema(TIME_COLUMN, &schema)?)];
    let mut names = Vec::new();
    for name in deleted.tags() {
        let Some(tag) = table.find(name, ColumnKind::Tag) else { continue };
        columns.push(Arc::new(Column::new_with_schema(&tag.sql_name, &schema)?));
        names.push(name.to_string());
    }
    let kept = Kept { deleted, names, columns };
    Ok(Arc::new(FilterExec::try_new(Arc::new(kept), plan)?))
}

/// Whether a row is still there.
#[derive(Debug)]
struct Kept {
    deleted: Arc<DeletedRows>,
    /// Written names of the tags in `columns`.
    names: Vec<String>,
    /// Time, then tags.
    columns: Vec<Arc<dyn PhysicalExpr>>,
}

impl PhysicalExpr for Kept {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let evaluated = self.columns.iter().map(|column| column.evaluate(batch)?.into_array(batch.num_rows()));
        let arrays: Vec<ArrayRef> = evaluated.collect::<Result<_>>()?;
        let Some((times, tags)) = arrays.split_first() else { return internal_err!("time is the first column") };
        let tag = |name: &str| self.names.iter().position(|known| known == name).map(|at| tags[at].clone());
        Ok(ColumnarValue::Array(Arc::new(self.deleted.kept(times, &tag)?)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.columns.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, columns: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Kept { deleted: self.deleted.clone(), names: self.names.clone(), columns }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not_deleted")
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.deleted == other.deleted && self.columns == other.columns
    }
}

impl Eq for Kept {}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.deleted.hash(state);
        self.columns.hash(state);
    }
}
