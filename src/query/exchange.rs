//! Files outside the gateway's store: written from rows, read as rows.
//!
//! Owns: the forms of files and what their columns are. Does not own: which files may be reached, which is
//! [`storage::exchange`](crate::storage::exchange).

mod external;
mod files;
mod shape;
mod stores;
mod told;
mod write;

pub(super) use external::External;
pub(super) use files::FileRows;
pub(super) use shape::{COLUMNS_MAX, Shape, headings, infer};
pub(super) use stores::SessionStores;
pub(super) use write::write;

/// What files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Parquet,
    /// Text in quotes may have line breaks; what is empty is NULL.
    Csv {
        delimiter: u8,
        /// The first line says what the columns are called.
        header: bool,
    },
    /// An object a line.
    Json,
}

impl Form {
    /// By its name, in any case.
    pub(super) fn named(name: &str) -> Option<Form> {
        match name.to_ascii_lowercase().as_str() {
            "parquet" => Some(Form::Parquet),
            "csv" => Some(Form::Csv { delimiter: b',', header: true }),
            "json" | "ndjson" => Some(Form::Json),
            _ => None,
        }
    }

    /// By the ending of a file's name.
    pub(super) fn of_file(url: &str) -> Option<Form> {
        let lower = url.to_ascii_lowercase();
        [Form::Parquet, Form::Csv { delimiter: b',', header: true }, Form::Json]
            .into_iter()
            .find(|form| form.endings().iter().any(|ending| lower.ends_with(ending)))
    }

    /// How names of such files end; the first one is that of files made here.
    pub(super) fn endings(self) -> &'static [&'static str] {
        match self {
            Form::Parquet => &[".parquet"],
            Form::Csv { .. } => &[".csv"],
            Form::Json => &[".json", ".ndjson", ".jsonl"],
        }
    }

    pub(super) fn ending(self) -> &'static str {
        match self {
            Form::Parquet => ".parquet",
            Form::Csv { .. } => ".csv",
            Form::Json => ".json",
        }
    }
}
