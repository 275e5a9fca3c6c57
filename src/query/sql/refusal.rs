//! What a statement must not do, told apart because CnosDB's clients do.

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("Field or Tag have the same name {column}")]
    SameName { column: String },
    #[error(" column {column} already exists in table {table}")]
    ColumnExists { column: String, table: String },
    #[error("Column {column} not exists in table {table}")]
    ColumnMissing { column: String, table: String },
    #[error("Can't drop tag column {column}.")]
    DropTag { column: String },
    #[error("Can't drop column time.")]
    DropTime,
    #[error("There must be at least one field column.")]
    LastField,
    #[error("Tag does not support compression")]
    TagCodec,
    #[error("Column time does not support modification")]
    TimeFixed,
    #[error("Unsupported encoding type {codec} for {of}")]
    Codec { codec: String, of: &'static str },
    #[error("Insert columns and Source columns not match")]
    InsertColumns,
    #[error("{statement} does not support where clause contains field {field}")]
    FieldInWhere { statement: &'static str, field: String },
    /// A row that has a time and tags and nothing else.
    #[error("Fields can't be empty")]
    NoFields,
    /// What an UPDATE must not do.
    #[error("{0}")]
    Update(String),
}
