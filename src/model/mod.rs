//! The nouns: names, columns, points, batches, time, error kinds. No I/O, no async, no clocks.

pub mod batch;
pub mod declared;
pub mod documents;
pub mod error;
pub mod metric;
pub mod names;
pub mod points;
pub mod schema;
pub mod text;
pub mod time;
pub mod tombstone;
pub mod words;

pub use batch::{SeriesKey, SeriesKeys, TableBatch};
pub use declared::{Declaration, DeclaredForm, DeclaredType, NamedSeries, SERIES_NAME_TAG};
pub use documents::{Documents, TooManyNames, Value};
pub use error::{Classify, Kind};
pub use names::TableName;
pub use points::{FieldColumn, FieldValues, Points, TablePoints};
pub use schema::{Column, ColumnId, ColumnKind, FieldType, RowIdentity, TableId, TableSchema};
pub use time::{Clock, Precision};
pub use tombstone::{DeletedRows, SeriesFilter, Tombstone};
