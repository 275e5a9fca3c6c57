//! Types that a language declares and the store does not know apart: narrow numbers, lengths of texts, times beside the
//! row's own, decimals. A column keeps what it was declared as; its values are of the stored type that holds them all.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::schema::FieldType;

/// What a column was declared as. Lengths: bytes of `Varchar`, `Varbinary` and `Geometry`, characters of `NChar`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredType {
    Bool,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    UTinyInt,
    USmallInt,
    UInt,
    UBigInt,
    /// 32 bits. Stored as the number that its shortest decimal form stands for.
    Float,
    Double,
    /// Stored as nanoseconds since 1970.
    Timestamp,
    Varchar(u32),
    NChar(u32),
    /// Stored as lower-case hex digits.
    Varbinary(u32),
    /// Well-known binary, stored as lower-case hex digits.
    Geometry(u32),
    /// A JSON text; only tags are of this type.
    Json,
    /// Stored as its digits, padded to the scale.
    Decimal {
        precision: u8,
        scale: u8,
    },
}

impl DeclaredType {
    /// The type that its values are stored as in a field.
    pub fn stored(self) -> FieldType {
        use DeclaredType::*;
        match self {
            Bool => FieldType::Boolean,
            TinyInt | SmallInt | Int | BigInt | Timestamp => FieldType::Integer,
            UTinyInt | USmallInt | UInt | UBigInt => FieldType::Unsigned,
            Float | Double => FieldType::Float,
            Varchar(_) | NChar(_) | Varbinary(_) | Geometry(_) | Json | Decimal { .. } => FieldType::String,
        }
    }

    pub fn is_integer(self) -> bool {
        self.is_signed() || self.is_unsigned()
    }

    pub fn is_signed(self) -> bool {
        matches!(self, Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt)
    }

    pub fn is_unsigned(self) -> bool {
        matches!(self, Self::UTinyInt | Self::USmallInt | Self::UInt | Self::UBigInt)
    }

    pub fn is_float(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    pub fn is_number(self) -> bool {
        self.is_integer() || self.is_float() || matches!(self, Self::Decimal { .. })
    }

    /// Text that people read.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Varchar(_) | Self::NChar(_))
    }

    /// The length of types that have one.
    pub fn length(self) -> Option<u32> {
        match self {
            Self::Varchar(n) | Self::NChar(n) | Self::Varbinary(n) | Self::Geometry(n) => Some(n),
            _ => None,
        }
    }

    /// The same type with another length.
    pub fn with_length(self, length: u32) -> Self {
        match self {
            Self::Varchar(_) => Self::Varchar(length),
            Self::NChar(_) => Self::NChar(length),
            Self::Varbinary(_) => Self::Varbinary(length),
            Self::Geometry(_) => Self::Geometry(length),
            other => other,
        }
    }
}

/// As a declaration says it: `INT UNSIGNED`, `VARCHAR(32)`, `DECIMAL(10,2)`.
impl fmt::Display for DeclaredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use DeclaredType::*;
        match self {
            Bool => f.write_str("BOOL"),
            TinyInt => f.write_str("TINYINT"),
            SmallInt => f.write_str("SMALLINT"),
            Int => f.write_str("INT"),
            BigInt => f.write_str("BIGINT"),
            UTinyInt => f.write_str("TINYINT UNSIGNED"),
            USmallInt => f.write_str("SMALLINT UNSIGNED"),
            UInt => f.write_str("INT UNSIGNED"),
            UBigInt => f.write_str("BIGINT UNSIGNED"),
            Float => f.write_str("FLOAT"),
            Double => f.write_str("DOUBLE"),
            Timestamp => f.write_str("TIMESTAMP"),
            Varchar(n) => write!(f, "VARCHAR({n})"),
            NChar(n) => write!(f, "NCHAR({n})"),
            Varbinary(n) => write!(f, "VARBINARY({n})"),
            Geometry(n) => write!(f, "GEOMETRY({n})"),
            Json => f.write_str("JSON"),
            Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
        }
    }
}

/// What a table was declared as, by a language in which tables are declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    pub form: DeclaredForm,
    /// What its clients call the time column.
    pub time_name: String,
    pub created_ns: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Days after which the table may go; 0: never. Kept and shown.
    #[serde(default)]
    pub ttl_days: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredForm {
    /// One series, without tags.
    Plain,
    /// Any number of series, each with a name that is its key; their tags are in the registry of the table.
    NamedSeries,
}

/// The tag of a table of [`DeclaredForm::NamedSeries`] that names the series of a row.
pub const SERIES_NAME_TAG: &str = "tbname";

/// A series with a name. Its tags may change, and it may have no rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSeries {
    pub name: String,
    /// Values by column id, as text; a tag that is not listed is null.
    #[serde(with = "pairs")]
    pub tags: std::collections::BTreeMap<u32, String>,
    pub created_ns: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Kept and shown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ttl_days: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Tags as a list of pairs: within a tagged step, JSON's keys would be read as texts and be no numbers.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(tags: &BTreeMap<u32, String>, to: S) -> Result<S::Ok, S::Error> {
        tags.iter().collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<u32, String>, D::Error> {
        Ok(Vec::<(u32, String)>::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_keeps_its_form_in_json_and_its_words() {
        let kinds = [
            (DeclaredType::UTinyInt, "\"u_tiny_int\"", "TINYINT UNSIGNED"),
            (DeclaredType::Varchar(7), "{\"varchar\":7}", "VARCHAR(7)"),
            (
                DeclaredType::Decimal { precision: 10, scale: 2 },
                "{\"decimal\":{\"precision\":10,\"scale\":2}}",
                "DECIMAL(10,2)",
            ),
        ];
        for (kind, json, words) in kinds {
            assert_eq!(serde_json::to_string(&kind).unwrap(), json);
            assert_eq!(serde_json::from_str::<DeclaredType>(json).unwrap(), kind);
            assert_eq!(kind.to_string(), words);
        }
    }
}
