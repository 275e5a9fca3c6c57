//! What is kept of an external table: where its files are, and what is in them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::query::error::QueryError;

use super::Form;

/// An external table as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::query) struct External {
    pub(in crate::query) form: Form,
    pub(in crate::query) url: String,
    pub(in crate::query) schema: SchemaRef,
}

/// Its document.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    stored_as: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delimiter: Option<u8>,
    location: String,
    /// Names, and types in Arrow's words.
    columns: Vec<(String, String)>,
}

impl External {
    /// What a document says; `None` if this program does not understand it.
    pub(in crate::query) fn read(document: &Json) -> Option<External> {
        let kept = Kept::deserialize(document).ok()?;
        let form = match Form::named(&kept.stored_as)? {
            Form::Csv { .. } => Form::Csv { delimiter: kept.delimiter?, header: kept.header? },
            other => other,
        };
        let field = |(name, of): (String, String)| Some(Field::new(name, of.parse::<DataType>().ok()?, true));
        let fields = kept.columns.into_iter().map(field).collect::<Option<Vec<_>>>()?;
        Some(External { form, url: kept.location, schema: Arc::new(Schema::new(fields)) })
    }

    /// Refuses types that cannot be written down.
    pub(in crate::query) fn document(&self) -> Result<Json, QueryError> {
        let (stored_as, header, delimiter) = match self.form {
            Form::Parquet => ("PARQUET", None, None),
            Form::Csv { delimiter, header } => ("CSV", Some(header), Some(delimiter)),
            Form::Json => ("NDJSON", None, None),
        };
        let column = |field: &Arc<Field>| {
            let of = field.data_type().to_string();
            match of.parse::<DataType>() {
                Ok(known) if known == *field.data_type() && !known.is_nested() => Ok((field.name().clone(), of)),
                _ => Err(QueryError::NotSupported(format!("a column of type {of}, as {} is,", field.name()))),
            }
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<_, _>>()?;
        let kept = Kept { stored_as: stored_as.to_string(), header, delimiter, location: self.url.clone(), columns };
        serde_json::to_value(kept).map_err(|error| QueryError::internal(error.to_string()))
    }

    /// Names of columns and CnosDB's names of their types.
    pub(in crate::query) fn columns(&self) -> impl Iterator<Item = (&str, String)> {
        self.schema.fields().iter().map(|field| (field.name().as_str(), type_name(field.data_type())))
    }
}

fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => "BIGINT",
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "DOUBLE",
        DataType::Boolean => "BOOLEAN",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING",
        DataType::Dictionary(_, of) => return type_name(of),
        DataType::Timestamp(TimeUnit::Second, _) => "TIMESTAMP(SECOND)",
        DataType::Timestamp(TimeUnit::Millisecond, _) => "TIMESTAMP(MILLISECOND)",
        DataType::Timestamp(TimeUnit::Microsecond, _) => "TIMESTAMP(MICROSECOND)",
        DataType::Timestamp(TimeUnit::Nanosecond, _) => "TIMESTAMP(NANOSECOND)",
        decimal @ DataType::Decimal128(..) => return decimal.to_string(),
        other => return other.to_string().to_uppercase(),
    };
    name.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_back_and_what_could_not_is_refused() {
        let types = [
            DataType::Int64,
            DataType::UInt8,
            DataType::Float32,
            DataType::Boolean,
            DataType::Utf8,
            DataType::Date32,
            DataType::Decimal128(10, 2),
            DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        ];
        let of = |types: &[DataType], form| {
            let field = |(at, of): (usize, &DataType)| Field::new(format!("c{at}"), of.clone(), true);
            let schema = Arc::new(Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>()));
            External { form, url: "file:///x/".to_string(), schema }
        };
        for form in [Form::Parquet, Form::Json, Form::Csv { delimiter: b';', header: false }] {
            let external = of(&types, form);
            assert_eq!(External::read(&external.document().unwrap()), Some(external));
        }
        let list = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
        assert!(of(&[list], Form::Parquet).document().is_err());
        assert_eq!(External::read(&serde_json::json!({"stored_as": "AVRO"})), None);
    }
}
