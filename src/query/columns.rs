//! Columns are known by id: files call them by their stored names, chunks by the names of their day.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};

use crate::model::schema::META_FIELD_ID;
use crate::model::{FieldType, TableSchema};
use crate::storage::segment::{Bound, ColumnStatistics, Segment};

/// The id in a field's metadata.
fn id_of(field: &Field) -> Option<u32> {
    field.metadata().get(META_FIELD_ID)?.parse().ok()
}

fn positions_by_id(schema: &Schema) -> HashMap<u32, usize> {
    schema.fields().iter().enumerate().filter_map(|(i, field)| Some((id_of(field)?, i))).collect()
}

/// `rows` with the columns of `schema`: matched by id, cast where the type was widened, null where they are missing.
pub(super) fn adapt_rows(rows: &RecordBatch, schema: &SchemaRef) -> std::result::Result<RecordBatch, ArrowError> {
    let positions = positions_by_id(&rows.schema());
    let column = |field: &FieldRef| -> std::result::Result<ArrayRef, ArrowError> {
        match id_of(field).and_then(|id| positions.get(&id)) {
            Some(&at) if rows.column(at).data_type() == field.data_type() => Ok(rows.column(at).clone()),
            Some(&at) => cast(rows.column(at), field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows.num_rows())),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<std::result::Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// The Arrow schema of a segment's file, as it was written. `None` when the file has a column that the table lost since:
/// then only the file itself knows.
pub(super) fn file_schema(segment: &Segment, table: &TableSchema) -> Option<SchemaRef> {
    let stored = table.stored_schema();
    let positions = positions_by_id(&stored);
    let mut fields: Vec<FieldRef> = vec![stored.fields()[0].clone()];
    for column in &segment.columns {
        let field = stored.field(*positions.get(&column.id.0)?);
        let data_type = written_type(column).unwrap_or_else(|| field.data_type().clone());
        fields.push(Arc::new(field.clone().with_data_type(data_type)));
    }
    Some(Arc::new(Schema::new(fields)))
}

/// The type a number has in the file; it may be narrower than the table's today.
fn written_type(column: &ColumnStatistics) -> Option<DataType> {
    match column.range.as_ref()?.0 {
        Bound::Float(_) => Some(FieldType::Float.arrow()),
        Bound::Integer(_) => Some(FieldType::Integer.arrow()),
        Bound::Unsigned(_) => Some(FieldType::Unsigned.arrow()),
        Bound::Boolean(_) | Bound::String(_) => None,
    }
}

/// Makes expressions over a table's columns into expressions over a file's columns of the same ids.
#[derive(Debug)]
pub(super) struct ByColumnId;

impl PhysicalExprAdapterFactory for ByColumnId {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let positions = positions_by_id(&file);
        Ok(Arc::new(FileColumns { table, file, positions }))
    }
}

#[derive(Debug)]
struct FileColumns {
    table: SchemaRef,
    file: SchemaRef,
    /// Where a column of an id is in the file.
    positions: HashMap<u32, usize>,
}

impl PhysicalExprAdapter for FileColumns {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform_down(|expr| match expr.downcast_ref::<Column>() {
            Some(column) => Ok(Transformed::yes(self.column(column)?).stop_here()),
            None => Ok(Transformed::no(expr)),
        })
        .data()
    }
}

impl FileColumns {
    fn column(&self, column: &Column) -> Result<Arc<dyn PhysicalExpr>> {
        let wanted = self.table.field_with_name(column.name())?;
        let Some(&at) = id_of(wanted).and_then(|id| self.positions.get(&id)) else {
            if !wanted.is_nullable() {
                return exec_err!("a segment lacks the column `{}`", wanted.name());
            }
            let null = ScalarValue::try_new_null(wanted.data_type())?;
            return Ok(Arc::new(Literal::new_with_metadata(null, Some(FieldMetadata::from(wanted)))));
        };
        let stored = self.file.field(at);
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(stored.name(), at));
        if stored.data_type() == wanted.data_type() {
            return Ok(column);
        }
        Ok(Arc::new(CastExpr::new_with_target_field(column, Arc::new(wanted.clone()), None)))
    }
}

/// Keeps a walk from descending into what has just been replaced.
trait StopHere {
    fn stop_here(self) -> Self;
}

impl StopHere for Transformed<Arc<dyn PhysicalExpr>> {
    fn stop_here(mut self) -> Self {
        self.tnr = datafusion::common::tree_node::TreeNodeRecursion::Jump;
        self
    }
}
