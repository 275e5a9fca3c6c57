//! What a value is by the server's rules.

use std::fmt;

use datafusion::arrow::datatypes::DataType;

use crate::model::FieldType;
use crate::model::schema::tag_type;

/// The type of a name or an expression. `Unknown` is what a name has that stands for nothing: its values are null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    Unknown,
    Float,
    Integer,
    Unsigned,
    String,
    Boolean,
    Tag,
}

impl Type {
    pub(super) fn is_number(self) -> bool {
        matches!(self, Type::Float | Type::Integer | Type::Unsigned)
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Type::String | Type::Tag)
    }

    /// How a column of it is held. Of `Unknown` there are only nulls.
    pub(super) fn arrow(self) -> DataType {
        match self {
            Type::Float => DataType::Float64,
            Type::Integer => DataType::Int64,
            Type::Unsigned => DataType::UInt64,
            Type::String => DataType::Utf8,
            Type::Boolean | Type::Unknown => DataType::Boolean,
            Type::Tag => tag_type(),
        }
    }

    /// The type of a name that has several: float before integer before unsigned, then strings, booleans, tags.
    pub(super) fn most_general(self, other: Type) -> Type {
        const ORDER: [Type; 7] =
            [Type::Float, Type::Integer, Type::Unsigned, Type::String, Type::Boolean, Type::Tag, Type::Unknown];
        ORDER.into_iter().find(|t| *t == self || *t == other).unwrap_or(Type::Unknown)
    }
}

/// The type of a computed column.
pub(super) fn type_of_arrow(data_type: &DataType) -> Type {
    match data_type {
        DataType::Float64 => Type::Float,
        DataType::Int64 => Type::Integer,
        DataType::UInt64 => Type::Unsigned,
        DataType::Boolean => Type::Boolean,
        DataType::Dictionary(..) => Type::Tag,
        _ => Type::String,
    }
}

impl From<FieldType> for Type {
    fn from(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Float => Type::Float,
            FieldType::Integer => Type::Integer,
            FieldType::Unsigned => Type::Unsigned,
            FieldType::Boolean => Type::Boolean,
            FieldType::String => Type::String,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Unknown => "unknown",
            Type::Float => "float",
            Type::Integer => "integer",
            Type::Unsigned => "unsigned",
            Type::String => "string",
            Type::Boolean => "boolean",
            Type::Tag => "tag",
        })
    }
}
