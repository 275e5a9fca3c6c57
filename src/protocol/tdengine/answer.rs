//! Answers as JSON: rows of values, or of objects, under the columns' names and types.

use std::fmt::Write;

use chrono_tz::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::model::{DeclaredType, Precision};
use crate::query::tdsql::{OutputColumn, length_of, rfc3339, type_text};

use super::numbers::{double, float};

/// What updates answer: how many rows they changed.
pub(super) fn affected(rows: u64, row_with_meta: bool) -> String {
    let row = if row_with_meta { format!("{{\"affected_rows\":{rows}}}") } else { format!("[{rows}]") };
    format!("{{\"code\":0,\"column_meta\":[[\"affected_rows\",\"INT\",4]],\"data\":[{row}],\"rows\":1")
}

/// The end of an answer, behind its last member. `took_ns`: how long it took, when that is wanted.
pub(super) fn end(out: &mut String, took_ns: Option<u128>) {
    if let Some(took_ns) = took_ns {
        let _ = write!(out, ",\"timing\":{took_ns}");
    }
    out.push('}');
}

/// Writes the rows of one answer.
pub(super) struct RowWriter {
    columns: Vec<OutputColumn>,
    /// The names as JSON strings, when rows are objects.
    keys: Option<Vec<String>>,
    precision: Precision,
    zone: Tz,
    rows: u64,
}

impl RowWriter {
    pub(super) fn new(columns: Vec<OutputColumn>, precision: Precision, zone: Tz, row_with_meta: bool) -> RowWriter {
        let keys = row_with_meta.then(|| columns.iter().map(|column| quoted(&column.name)).collect());
        RowWriter { columns, keys, precision, zone, rows: 0 }
    }

    pub(super) fn begin(&self, out: &mut String) {
        out.push_str("{\"code\":0,\"column_meta\":[");
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            let (name, kind) = (quoted(&column.name), type_text(column.kind));
            let _ = write!(out, "[{name},\"{kind}\",{}]", length_of(column.kind));
        }
        out.push_str("],\"data\":[");
    }

    pub(super) fn rows(&mut self, out: &mut String, batch: &RecordBatch) {
        let cells: Vec<Cells<'_>> =
            self.columns.iter().zip(batch.columns()).map(|(column, array)| Cells::new(column.kind, array)).collect();
        for row in 0..batch.num_rows() {
            if self.rows > 0 {
                out.push(',');
            }
            self.rows += 1;
            out.push(if self.keys.is_some() { '{' } else { '[' });
            for (at, cells) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                if let Some(keys) = &self.keys {
                    out.push_str(&keys[at]);
                    out.push(':');
                }
                cells.write(out, row, self.precision, self.zone);
            }
            out.push(if self.keys.is_some() { '}' } else { ']' });
        }
    }

    pub(super) fn end(&self, out: &mut String) {
        let _ = write!(out, "],\"rows\":{}", self.rows);
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON tag itself, not a text of it. Rows that came through other protocols may carry what is no JSON: that is a text.
fn json(out: &mut String, text: &str) {
    if text.is_empty() {
        out.push_str("null");
    } else if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        out.push_str(text);
    } else {
        out.push_str(&quoted(text));
    }
}

/// One column of a batch.
struct Cells<'a> {
    kind: Option<DeclaredType>,
    array: &'a ArrayRef,
}

impl<'a> Cells<'a> {
    fn new(kind: Option<DeclaredType>, array: &'a ArrayRef) -> Self {
        Cells { kind, array }
    }

    fn write(&self, out: &mut String, row: usize, precision: Precision, zone: Tz) {
        use DeclaredType as T;
        let Some(kind) = self.kind.filter(|_| self.array.is_valid(row)) else { return out.push_str("null") };
        let array = self.array;
        let _ = match kind {
            T::Bool => write!(out, "{}", array.as_boolean().value(row)),
            T::TinyInt => write!(out, "{}", array.as_primitive::<Int8Type>().value(row)),
            T::SmallInt => write!(out, "{}", array.as_primitive::<Int16Type>().value(row)),
            T::Int => write!(out, "{}", array.as_primitive::<Int32Type>().value(row)),
            T::BigInt => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)),
            T::UTinyInt => write!(out, "{}", array.as_primitive::<UInt8Type>().value(row)),
            T::USmallInt => write!(out, "{}", array.as_primitive::<UInt16Type>().value(row)),
            T::UInt => write!(out, "{}", array.as_primitive::<UInt32Type>().value(row)),
            T::UBigInt => write!(out, "{}", array.as_primitive::<UInt64Type>().value(row)),
            T::Float => {
                float(out, array.as_primitive::<Float32Type>().value(row));
                Ok(())
            }
            T::Double => {
                double(out, array.as_primitive::<Float64Type>().value(row));
                Ok(())
            }
            T::Timestamp => {
                let time = array.as_primitive::<TimestampNanosecondType>().value(row);
                write!(out, "\"{}\"", rfc3339(time, precision, zone))
            }
            T::Decimal { .. } => write!(out, "\"{}\"", array.as_primitive::<Decimal128Type>().value_as_string(row)),
            T::Json => {
                json(out, array.as_string::<i32>().value(row));
                Ok(())
            }
            T::Varchar(_) | T::NChar(_) | T::Varbinary(_) | T::Geometry(_) => {
                out.push_str(&quoted(array.as_string::<i32>().value(row)));
                Ok(())
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_a_text_of_the_answer() {
        for (tag, written) in [
            ("{\"a\":[1,\"x\"]}", "{\"a\":[1,\"x\"]}"),
            ("", "null"),
            ("1]],\"rows\":7", "\"1]],\\\"rows\\\":7\""),
            ("{\"a\":1} 2", "\"{\\\"a\\\":1} 2\""),
            ("plain", "\"plain\""),
        ] {
            let mut out = String::new();
            json(&mut out, tag);
            assert_eq!(out, written);
            assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
        }
    }
}
