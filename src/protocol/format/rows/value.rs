//! One column of a batch, ready to be written a cell at a time: the type is looked at once a batch, and the common
//! types are written without allocating.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, LargeStringArray, RecordBatch, StringArray, StringViewArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, FieldRef, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::Serialize;

use crate::protocol::format::calendar::{civil, digits};

/// Where a column's cells go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Bare text; times with nine decimals.
    Text,
    /// A JSON value; times with as few decimals as are exact.
    Json,
}

/// How types without a writer of their own are spelled, in either form.
const TEXT_OPTIONS: FormatOptions<'static> = FormatOptions::new().with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.9f"));
const JSON_OPTIONS: FormatOptions<'static> = FormatOptions::new();

/// The columns of `batch`, each cast to [`plain`] of its type.
pub(super) fn plain_columns(batch: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
    let plain_column = |array: &ArrayRef| match plain(array.data_type()) {
        same if same == *array.data_type() => Ok(Arc::clone(array)),
        other => cast(array, &other),
    };
    batch.columns().iter().map(plain_column).collect()
}

/// The fewer types that the writers know: narrow numbers widened, time zones dropped (times are UTC), dictionaries
/// and run-ends unpacked unless they are dictionaries of strings. Values are the same.
pub(super) fn plain(data_type: &DataType) -> DataType {
    let plain_field =
        |field: &FieldRef| -> FieldRef { Arc::new(field.as_ref().clone().with_data_type(plain(field.data_type()))) };
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int64,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => DataType::UInt64,
        DataType::Float16 => DataType::Float32,
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, None),
        DataType::Dictionary(_, value) if !value.is_string() => plain(value),
        DataType::RunEndEncoded(_, value) => plain(value.data_type()),
        DataType::List(field) => DataType::List(plain_field(field)),
        DataType::LargeList(field) => DataType::LargeList(plain_field(field)),
        DataType::FixedSizeList(field, length) => DataType::FixedSizeList(plain_field(field), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    }
}

/// `"name":`, escaped.
pub(super) fn json_key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 3);
    json(&mut key, name);
    key.push(b':');
    key
}

/// A column whose type is [`plain`].
pub(super) struct Column<'a> {
    nulls: Option<NullBuffer>,
    form: Form,
    cells: Cells<'a>,
}

enum Cells<'a> {
    Boolean(&'a BooleanArray),
    Int64(&'a [i64]),
    UInt64(&'a [u64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Timestamp(&'a [i64], TimeUnit),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    /// The position in the values of each row.
    Dictionary(Vec<usize>, Box<Column<'a>>),
    /// JSON only: `"name":` and column of each field.
    Struct(Vec<(Vec<u8>, Column<'a>)>),
    /// JSON only.
    List(Slices<'a>, Box<Column<'a>>),
    /// JSON only: keys, values.
    Map(Slices<'a>, Box<Column<'a>>, Box<Column<'a>>),
    /// As Arrow prints it; in JSON a number.
    Digits(ArrayFormatter<'a>),
    /// As Arrow prints it; in JSON a string.
    Printed(ArrayFormatter<'a>),
    /// All rows are null.
    Nothing,
}

/// Which rows of its child a row of a list holds.
type Slices<'a> = Box<dyn Fn(usize) -> Range<usize> + 'a>;

impl<'a> Column<'a> {
    pub(super) fn new(array: &'a ArrayRef, form: Form) -> Result<Self, ArrowError> {
        Ok(Column { nulls: array.logical_nulls(), form, cells: Cells::new(array, form)? })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Whether a cell's text may hold anything: delimiters, quotes, line breaks.
    pub(super) fn is_free_text(&self) -> bool {
        match &self.cells {
            Cells::Boolean(_) | Cells::Int64(_) | Cells::UInt64(_) | Cells::Float32(_) | Cells::Float64(_) => false,
            Cells::Timestamp(..) | Cells::Digits(_) | Cells::Nothing => false,
            Cells::Dictionary(_, values) => values.is_free_text(),
            Cells::Utf8(_) | Cells::LargeUtf8(_) | Cells::Utf8View(_) | Cells::Printed(_) => true,
            Cells::Struct(_) | Cells::List(..) | Cells::Map(..) => true,
        }
    }

    /// Appends the text of a cell that is not null. `Form::Text` only, or a column without children.
    pub(super) fn write_text(&self, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        match &self.cells {
            Cells::Boolean(values) => out.extend_from_slice(boolean(values.value(row))),
            Cells::Int64(values) => json(out, &values[row]),
            Cells::UInt64(values) => json(out, &values[row]),
            Cells::Float32(values) if values[row].is_finite() => finite(out, &values[row]),
            Cells::Float32(values) => out.extend_from_slice(not_finite(values[row].into())),
            Cells::Float64(values) if values[row].is_finite() => finite(out, &values[row]),
            Cells::Float64(values) => out.extend_from_slice(not_finite(values[row])),
            Cells::Timestamp(values, unit) => write_time(values[row], *unit, self.form, out),
            Cells::Utf8(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Cells::LargeUtf8(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Cells::Utf8View(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Cells::Dictionary(keys, values) => values.write_text(keys[row], out)?,
            Cells::Digits(formatter) | Cells::Printed(formatter) => formatter.value(row).write(&mut Sink(out))?,
            Cells::Nothing => {}
            Cells::Struct(_) | Cells::List(..) | Cells::Map(..) => {
                return Err(ArrowError::NotYetImplemented("a nested value as a JSON key".to_string()));
            }
        }
        Ok(())
    }

    /// Appends the JSON value of a cell that is not null. `Form::Json` only.
    pub(super) fn write_json(&self, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        match &self.cells {
            Cells::Boolean(_) | Cells::Int64(_) | Cells::UInt64(_) | Cells::Digits(_) => self.write_text(row, out)?,
            Cells::Float32(values) if !values[row].is_finite() => out.extend_from_slice(b"null"),
            Cells::Float64(values) if !values[row].is_finite() => out.extend_from_slice(b"null"),
            Cells::Float32(_) | Cells::Float64(_) => self.write_text(row, out)?,
            Cells::Timestamp(..) => {
                out.push(b'"');
                self.write_text(row, out)?;
                out.push(b'"');
            }
            Cells::Utf8(values) => json(out, values.value(row)),
            Cells::LargeUtf8(values) => json(out, values.value(row)),
            Cells::Utf8View(values) => json(out, values.value(row)),
            Cells::Dictionary(keys, values) => values.write_json(keys[row], out)?,
            Cells::Struct(fields) => {
                out.push(b'{');
                let mut separator: &[u8] = b"";
                for (key, field) in fields.iter().filter(|(_, field)| !field.is_null(row)) {
                    out.extend_from_slice(separator);
                    out.extend_from_slice(key);
                    field.write_json(row, out)?;
                    separator = b",";
                }
                out.push(b'}');
            }
            Cells::List(slices, items) => {
                out.push(b'[');
                let mut separator: &[u8] = b"";
                for item in slices(row) {
                    out.extend_from_slice(separator);
                    items.write_json_or_null(item, out)?;
                    separator = b",";
                }
                out.push(b']');
            }
            Cells::Map(slices, keys, values) => {
                out.push(b'{');
                let mut separator: &[u8] = b"";
                for entry in slices(row).filter(|&entry| !values.is_null(entry)) {
                    out.extend_from_slice(separator);
                    keys.write_json_key(entry, out)?;
                    values.write_json(entry, out)?;
                    separator = b",";
                }
                out.push(b'}');
            }
            Cells::Printed(formatter) => json(out, &formatter.value(row).try_to_string()?),
            Cells::Nothing => out.extend_from_slice(b"null"),
        }
        Ok(())
    }

    fn write_json_or_null(&self, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        self.write_json(row, out)
    }

    fn write_json_key(&self, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let mut text = Vec::new();
        self.write_text(row, &mut text)?;
        out.append(&mut json_key(&String::from_utf8_lossy(&text)));
        Ok(())
    }
}

impl<'a> Cells<'a> {
    fn new(array: &'a ArrayRef, form: Form) -> Result<Self, ArrowError> {
        let options = match form {
            Form::Text => &TEXT_OPTIONS,
            Form::Json => &JSON_OPTIONS,
        };
        let child = |array: &'a ArrayRef| Column::new(array, form).map(Box::new);
        Ok(match array.data_type() {
            DataType::Null => Cells::Nothing,
            DataType::Boolean => Cells::Boolean(array.as_boolean()),
            DataType::Int64 => Cells::Int64(array.as_primitive::<Int64Type>().values()),
            DataType::UInt64 => Cells::UInt64(array.as_primitive::<UInt64Type>().values()),
            DataType::Float32 => Cells::Float32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Cells::Float64(array.as_primitive::<Float64Type>().values()),
            DataType::Timestamp(unit, _) => Cells::Timestamp(ticks(array, *unit), *unit),
            DataType::Utf8 => Cells::Utf8(array.as_string()),
            DataType::LargeUtf8 => Cells::LargeUtf8(array.as_string()),
            DataType::Utf8View => Cells::Utf8View(array.as_string_view()),
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                if dictionary.values().is_empty() {
                    return Ok(Cells::Nothing);
                }
                Cells::Dictionary(dictionary.normalized_keys(), child(dictionary.values())?)
            }
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
                Cells::Digits(ArrayFormatter::try_new(array.as_ref(), options)?)
            }
            DataType::Struct(fields) if form == Form::Json => {
                let columns = fields.iter().zip(array.as_struct().columns());
                let columns = columns.map(|(field, column)| Ok((json_key(field.name()), Column::new(column, form)?)));
                Cells::Struct(columns.collect::<Result<_, ArrowError>>()?)
            }
            DataType::List(_) if form == Form::Json => {
                let list = array.as_list::<i32>();
                Cells::List(slices(list.value_offsets()), child(list.values())?)
            }
            DataType::LargeList(_) if form == Form::Json => {
                let list = array.as_list::<i64>();
                Cells::List(slices(list.value_offsets()), child(list.values())?)
            }
            DataType::FixedSizeList(_, length) if form == Form::Json => {
                let length = usize::try_from(*length).expect("a list's length is not negative");
                let list = array.as_fixed_size_list();
                Cells::List(Box::new(move |row| row * length..(row + 1) * length), child(list.values())?)
            }
            DataType::Map(_, _) if form == Form::Json => {
                let map = array.as_map();
                Cells::Map(slices(map.value_offsets()), child(map.keys())?, child(map.values())?)
            }
            _ => Cells::Printed(ArrayFormatter::try_new(array.as_ref(), options)?),
        })
    }
}

/// The numbers in an array of timestamps.
fn ticks(array: &ArrayRef, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
    }
}

fn slices<'a, O: Copy + TryInto<usize>>(offsets: &'a [O]) -> Slices<'a> {
    let at = |index: usize| offsets[index].try_into().ok().expect("an offset is not negative");
    Box::new(move |row| at(row)..at(row + 1))
}

/// Appends a finite float: the shortest digits that read back the same, with a decimal point, or in exponent form
/// from `1e16` on and below `1e-5`.
fn finite<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    json(out, value);
    // `1e+16` is JSON too, but Rust and Arrow leave the plus out.
    if let Some(plus) = out[start..].iter().position(|&b| b == b'+') {
        out.remove(start + plus);
    }
}

/// Appends an integer or a string.
fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("a Vec takes every byte, numbers and strings are JSON");
}

fn boolean(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

fn not_finite(value: f64) -> &'static [u8] {
    match value {
        value if value.is_nan() => b"NaN",
        value if value > 0.0 => b"inf",
        _ => b"-inf",
    }
}

/// Appends `2024-01-31T23:59:59` and decimals. Years beyond four digits carry a sign.
fn write_time(value: i64, unit: TimeUnit, form: Form, out: &mut Vec<u8>) {
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let seconds = value.div_euclid(per_second);
    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second_of_day = seconds.rem_euclid(86_400);
    if !(0..=9_999).contains(&year) {
        out.push(if year < 0 { b'-' } else { b'+' });
    }
    digits(year.abs(), 4, out);
    for (mark, number) in [
        (b'-', month),
        (b'-', day),
        (b'T', second_of_day / 3_600),
        (b':', second_of_day / 60 % 60),
        (b':', second_of_day % 60),
    ] {
        out.push(mark);
        digits(number, 2, out);
    }
    match form {
        Form::Json if nanos == 0 => {}
        Form::Json if nanos % 1_000_000 == 0 => decimals(nanos / 1_000_000, 3, out),
        Form::Json if nanos % 1_000 == 0 => decimals(nanos / 1_000, 6, out),
        Form::Json | Form::Text => decimals(nanos, 9, out),
    }
}

fn decimals(value: i64, width: usize, out: &mut Vec<u8>) {
    out.push(b'.');
    digits(value, width, out);
}

/// Bytes as a place to print to.
struct Sink<'a>(&'a mut Vec<u8>);

impl fmt::Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
