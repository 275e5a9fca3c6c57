//! SELECT … INTO: rows that become points.
//!
//! Owns: which column becomes what. Does not own: how points are stored, which is for who implements [`PointSink`].

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, TimestampNanosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use futures::StreamExt;
use futures::future::BoxFuture;

use crate::model::{FieldType, Points};
use crate::query::QueryError;
use crate::query::influxql::answer::{SeriesPiece, SeriesStream, StatementError};
use crate::query::influxql::select::Select;
use crate::query::influxql::source::Target;
use crate::query::session::QueryEngine;

use super::execute::Asker;

/// Points that are handed over at once, about.
const BATCH_POINTS: usize = 10_000;

/// Where the points of an INTO go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub tenant: String,
    pub database: String,
    /// The database's default policy when `None`.
    pub policy: Option<String>,
}

/// Stores points for those who cannot do it themselves.
pub trait PointSink: Send + Sync {
    /// On `Ok` all points are stored for good.
    fn write<'a>(&'a self, to: &'a Destination, points: Points) -> BoxFuture<'a, Result<(), StatementError>>;
}

impl QueryEngine {
    /// Runs a SELECT that has an INTO and writes its rows through `sink`. The answer is the number of points written.
    pub async fn select_into(
        &self,
        asker: &Asker,
        select: &Select,
        target: &Target,
        sink: &dyn PointSink,
    ) -> Result<SeriesStream, StatementError> {
        let to = self.destination(asker, target)?;
        let tags = top_tag_columns(select);
        let mut rows = self.select(asker, select).await?;
        let mut written = 0;
        let mut points = Points::default();
        while let Some(piece) = rows.next().await {
            let piece = piece?;
            let name = target.name.as_ref().map(|name| name.0.as_str()).or(piece.head.name.as_deref());
            add(&piece, name.unwrap_or_default(), &tags, &mut points)?;
            if points.rows() >= BATCH_POINTS {
                written += points.rows();
                sink.write(&to, std::mem::take(&mut points)).await?;
            }
        }
        if points.rows() > 0 {
            written += points.rows();
            sink.write(&to, points).await?;
        }
        let time: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![0]));
        let count: ArrayRef = Arc::new(Int64Array::from(vec![i64::try_from(written).unwrap_or(i64::MAX)]));
        Ok(SeriesStream::of(vec![SeriesPiece::of(Some("result"), &["time", "written"], vec![time, count])]))
    }

    fn destination(&self, asker: &Asker, target: &Target) -> Result<Destination, StatementError> {
        let database = target.database.as_ref().map(|name| name.0.clone()).or_else(|| asker.database.clone());
        let database = database.ok_or(StatementError::DatabaseRequired)?;
        let names = self.names(&asker.tenant);
        let Some(known) = names.state.database(&asker.tenant, &database) else {
            return Err(StatementError::DatabaseNotFound(database));
        };
        let policy = target.policy.as_ref().map(|name| name.0.clone()).or_else(|| asker.policy.clone());
        match policy {
            Some(policy) if known.policy(&policy).is_none() => Err(StatementError::PolicyNotFound(policy)),
            policy => Ok(Destination { tenant: asker.tenant.clone(), database, policy }),
        }
    }
}

/// Names of the columns that `top(f, tag, n)` adds for its tags: they are written as tags.
fn top_tag_columns(select: &Select) -> Vec<String> {
    let mut tags = Vec::new();
    for field in &select.fields {
        if let crate::query::influxql::expr::Expr::Call(call) = &field.expr {
            tags.extend(super::resolve::top_tags(call).map(|tag| tag.name.0.clone()));
        }
    }
    tags
}

/// A column of values by type.
enum Values<'a> {
    Tag(&'a str, ArrayRef),
    Field(&'a str, FieldType, ArrayRef),
}

/// Adds the rows of a piece as points of table `name`. Rows without a value are no points; numbers that are none are no
/// values.
fn add(piece: &SeriesPiece, name: &str, tag_columns: &[String], points: &mut Points) -> Result<(), QueryError> {
    let Some((times, columns)) = piece.rows.columns().split_first() else { return Ok(()) };
    let times = times.as_primitive::<TimestampNanosecondType>();
    let mut values = Vec::with_capacity(columns.len());
    for (name, column) in piece.head.columns.iter().skip(1).zip(columns) {
        let (field_type, column) = match column.data_type() {
            DataType::Float64 => (FieldType::Float, column.clone()),
            DataType::Int64 => (FieldType::Integer, column.clone()),
            DataType::UInt64 => (FieldType::Unsigned, column.clone()),
            DataType::Boolean => (FieldType::Boolean, column.clone()),
            _ => (FieldType::String, cast(column, &DataType::Utf8).map_err(|e| QueryError::internal(e.to_string()))?),
        };
        let is_tag = tag_columns.iter().any(|tag| **tag == **name);
        values.push(if is_tag { Values::Tag(name, column) } else { Values::Field(name, field_type, column) });
    }
    let table = points.table_index(name);
    let table = points.table_mut(table);
    let grouped: Vec<(u32, String)> = piece
        .head
        .tags
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (table.tag_key_index(key), value.to_string()))
        .collect();
    let has_row_tags = values.iter().any(|values| matches!(values, Values::Tag(..)));
    let mut series = None;
    for row in 0..piece.rows.num_rows() {
        if !values.iter().any(|values| is_value(values, row)) {
            continue;
        }
        let number = match series.filter(|_| !has_row_tags) {
            Some(number) => number,
            None => {
                let mut tags = grouped.clone();
                for value in &values {
                    if let Values::Tag(key, texts) = value
                        && texts.is_valid(row)
                    {
                        tags.push((table.tag_key_index(key), texts.as_string::<i32>().value(row).to_string()));
                    }
                }
                table.series.push(tags.iter().map(|(key, value)| (*key, value.as_str())))
            }
        };
        series = Some(number);
        table.begin_row(number, times.value(row));
        for value in &values {
            let Values::Field(name, field_type, column) = value else { continue };
            if !is_value(value, row) {
                continue;
            }
            let field = table.field_index(name, *field_type);
            match field_type {
                FieldType::Float => table.set_float(field, column.as_primitive::<Float64Type>().value(row)),
                FieldType::Integer => table.set_integer(field, column.as_primitive::<Int64Type>().value(row)),
                FieldType::Unsigned => table.set_unsigned(field, column.as_primitive::<UInt64Type>().value(row)),
                FieldType::Boolean => table.set_boolean(field, column.as_boolean().value(row)),
                FieldType::String => table.set_string(field, column.as_string::<i32>().value(row)),
            }
        }
    }
    Ok(())
}

/// Whether a field has a value in a row.
fn is_value(values: &Values<'_>, row: usize) -> bool {
    match values {
        Values::Tag(..) => false,
        Values::Field(_, FieldType::Float, column) => {
            column.is_valid(row) && column.as_primitive::<Float64Type>().value(row).is_finite()
        }
        Values::Field(_, _, column) => column.is_valid(row),
    }
}
