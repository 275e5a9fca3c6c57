//! Types as answers name them.

use crate::model::DeclaredType;

/// The length that JSON tags are said to have.
const JSON_BYTES: u32 = 4095;

/// The type's text, without a length; decimals with their digits.
pub fn type_text(kind: Option<DeclaredType>) -> String {
    use DeclaredType as T;
    match kind {
        None => "NULL".to_string(),
        Some(T::Varchar(_)) => "VARCHAR".to_string(),
        Some(T::NChar(_)) => "NCHAR".to_string(),
        Some(T::Varbinary(_)) => "VARBINARY".to_string(),
        Some(T::Geometry(_)) => "GEOMETRY".to_string(),
        Some(other) => other.to_string(),
    }
}

/// Bytes of a value; of NCHAR the characters.
pub fn length_of(kind: Option<DeclaredType>) -> u32 {
    use DeclaredType as T;
    match kind {
        None => 0,
        Some(T::Bool | T::TinyInt | T::UTinyInt) => 1,
        Some(T::SmallInt | T::USmallInt) => 2,
        Some(T::Int | T::UInt | T::Float) => 4,
        Some(T::BigInt | T::UBigInt | T::Double | T::Timestamp) => 8,
        Some(T::Varchar(n) | T::NChar(n) | T::Varbinary(n) | T::Geometry(n)) => n,
        Some(T::Json) => JSON_BYTES,
        Some(T::Decimal { precision, .. }) => {
            if precision <= 18 {
                8
            } else {
                16
            }
        }
    }
}
