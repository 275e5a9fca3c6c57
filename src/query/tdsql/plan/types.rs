//! Types of the language beside those of the engine.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, cast, lit};

use crate::model::{DeclaredType, Precision};

/// A type, or that of a bare NULL.
pub(in crate::query::tdsql) type Kind = Option<DeclaredType>;

/// An expression of the engine, and what the language says of its type.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub expr: Expr,
    pub kind: Kind,
}

impl Typed {
    pub(super) fn of(expr: Expr, kind: DeclaredType) -> Typed {
        Typed { expr, kind: Some(kind) }
    }

    pub(super) fn null() -> Typed {
        Typed { expr: lit(ScalarValue::Null), kind: None }
    }

    pub(super) fn is(&self, wanted: impl Fn(DeclaredType) -> bool) -> bool {
        self.kind.is_some_and(wanted)
    }

    pub(super) fn is_time(&self) -> bool {
        self.kind == Some(DeclaredType::Timestamp)
    }

    pub(super) fn is_text(&self) -> bool {
        self.is(DeclaredType::is_text)
    }

    pub(super) fn is_number(&self) -> bool {
        self.is(|kind| kind.is_number() || kind == DeclaredType::Bool)
    }

    /// The text of a literal.
    pub(super) fn literal_text(&self) -> Option<&str> {
        match &self.expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text),
            _ => None,
        }
    }

    /// The number of an integer literal.
    pub(super) fn literal_integer(&self) -> Option<i64> {
        match &self.expr {
            Expr::Literal(ScalarValue::Int64(Some(number)), _) => Some(*number),
            _ => None,
        }
    }

    /// As it is in the engine, with dictionaries unpacked.
    pub(super) fn plain(&self) -> Expr {
        cast_to(self.expr.clone(), arrow_type(self.kind))
    }
}

/// The engine's type for values of a kind.
pub(super) fn arrow_type(kind: Kind) -> DataType {
    use DeclaredType as T;
    match kind {
        None => DataType::Null,
        Some(T::Bool) => DataType::Boolean,
        Some(T::TinyInt) => DataType::Int8,
        Some(T::SmallInt) => DataType::Int16,
        Some(T::Int) => DataType::Int32,
        Some(T::BigInt) => DataType::Int64,
        Some(T::UTinyInt) => DataType::UInt8,
        Some(T::USmallInt) => DataType::UInt16,
        Some(T::UInt) => DataType::UInt32,
        Some(T::UBigInt) => DataType::UInt64,
        Some(T::Float) => DataType::Float32,
        Some(T::Double) => DataType::Float64,
        Some(T::Timestamp) => time_type(),
        Some(T::Varchar(_) | T::NChar(_) | T::Varbinary(_) | T::Geometry(_) | T::Json) => DataType::Utf8,
        Some(T::Decimal { precision, scale }) => DataType::Decimal128(precision, scale as i8),
    }
}

pub(super) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, None)
}

/// A cast, left out where a literal has the type already.
pub(super) fn cast_to(expr: Expr, data_type: DataType) -> Expr {
    match &expr {
        Expr::Literal(value, _) if value.data_type() == data_type => expr,
        Expr::Cast(inner) if *inner.field.data_type() == data_type => expr,
        _ => cast(expr, data_type),
    }
}

pub(super) fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

pub(super) fn time_literal(nanos: i64) -> Expr {
    lit(ScalarValue::TimestampNanosecond(Some(nanos), None))
}

pub(super) fn text_literal(text: &str) -> Expr {
    lit(ScalarValue::Utf8(Some(text.to_string())))
}

pub(super) fn double(expr: Expr) -> Expr {
    cast_to(expr, DataType::Float64)
}

/// A time as a number of the unit.
pub(super) fn units_of(time: Expr, precision: Precision) -> Expr {
    let nanos = cast_to(time, DataType::Int64);
    if precision.nanos() == 1 { nanos } else { floor_div(nanos, precision.nanos()) }
}

/// Divides times, which are whole multiples of what they are divided by.
fn floor_div(nanos: Expr, by: i64) -> Expr {
    nanos / lit(by)
}

/// A number of the unit as a time.
pub(super) fn time_of_units(number: Expr, precision: Precision) -> Expr {
    cast_to(cast_to(number, DataType::Int64) * lit(precision.nanos()), time_type())
}

/// `VARCHAR` long enough for a literal.
pub(super) fn varchar_of(text: &str) -> DeclaredType {
    DeclaredType::Varchar(u32::try_from(text.len()).unwrap_or(u32::MAX))
}

/// Null of a kind.
pub(super) fn null_of(kind: Kind) -> Expr {
    match ScalarValue::try_new_null(&arrow_type(kind)) {
        Ok(null) => lit(null),
        Err(_) => lit(ScalarValue::Null),
    }
}

/// The type that two branches of one expression share.
pub(super) fn common(left: Kind, right: Kind) -> Kind {
    use DeclaredType as T;
    let (Some(a), Some(b)) = (left, right) else { return left.or(right) };
    Some(match (a, b) {
        _ if a == b => a,
        (T::Varchar(m), T::Varchar(n)) => T::Varchar(m.max(n)),
        (T::NChar(m), T::NChar(n) | T::Varchar(n)) | (T::Varchar(m), T::NChar(n)) => T::NChar(m.max(n)),
        _ if a.is_text() || b.is_text() => T::Varchar(a.length().or(b.length()).unwrap_or(64).max(64)),
        (T::Timestamp, _) | (_, T::Timestamp) => T::Timestamp,
        _ if a.is_float() || b.is_float() => T::Double,
        (T::UBigInt, _) | (_, T::UBigInt) if a.is_unsigned() && b.is_unsigned() => T::UBigInt,
        _ if a.is_integer() && b.is_integer() => T::BigInt,
        _ => T::Double,
    })
}
