//! What the columns of files are, looked up in the files.

use std::sync::Arc;

use datafusion::arrow::csv::reader::Format as CsvReader;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::json::reader::infer_json_schema;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStoreExt};

use crate::query::error::QueryError;
use crate::storage::exchange::Found;

use super::Form;

/// Bytes at the beginning of a file that a header must fit into.
const HEADER_BYTES_MAX: u64 = 64 * 1024;
/// Bytes at the beginning of a file that types are guessed from.
const SAMPLE_BYTES: u64 = 1024 * 1024;
/// Columns that files may have.
pub(in crate::query) const COLUMNS_MAX: usize = 4_096;
/// Files that are looked at at once.
const LOOKS_AT_ONCE: usize = 8;

/// The columns of files, in their order.
pub(in crate::query) type Shape = SchemaRef;

/// What all files say of their columns: Parquet's names and types, and the names in CSV's first lines, as text. `None`: files of
/// this form say nothing. Files that differ are refused.
pub(in crate::query) async fn headings(found: &Found, form: Form) -> Result<Option<Shape>, QueryError> {
    if !matches!(form, Form::Parquet | Form::Csv { header: true, .. }) {
        return Ok(None);
    }
    let look = |file: ObjectMeta| {
        let found = Found { store: found.store.clone(), files: Vec::new() };
        async move { heading(&found, &file, form).await }.boxed()
    };
    let looks: Vec<_> = found.files.iter().cloned().map(look).collect();
    let shapes: Vec<Shape> = stream::iter(looks).buffered(LOOKS_AT_ONCE).try_collect().await?;
    let mut shapes = shapes.into_iter();
    let Some(first) = shapes.next() else { return Ok(None) };
    match shapes.any(|other| other != first) {
        true => Err(QueryError::Execution("the files differ in their columns".to_string())),
        false => Ok(Some(first)),
    }
}

async fn heading(found: &Found, file: &ObjectMeta, form: Form) -> Result<Shape, QueryError> {
    match form {
        Form::Csv { delimiter, .. } => {
            let start = beginning(found, file, HEADER_BYTES_MAX).await?;
            let names = header(&start, delimiter, start.len() as u64 == file.size);
            let names = names.ok_or_else(|| broken(file, "has no line with the names of its columns"))?;
            checked(names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect(), file)
        }
        _ => {
            // Without the cache of footers, which knows files by their path in the gateway's own store.
            let schema = DFParquetMetadata::new(&*found.store, file).fetch_schema().await;
            let schema = schema.map_err(|error| match QueryError::from(error) {
                QueryError::Internal { message, .. } => broken(file, &format!("is no Parquet file: {message}")),
                other => other,
            })?;
            let plain = |field: &Arc<Field>| Field::new(field.name(), field.data_type().clone(), true);
            checked(schema.fields().iter().map(plain).collect(), file)
        }
    }
}

/// The columns that files of a form seem to have, told by the first of them.
pub(in crate::query) async fn infer(found: &Found, form: Form) -> Result<Shape, QueryError> {
    let file = found.files.iter().find(|file| file.size > 0).or(found.files.first());
    let file = file.ok_or_else(|| QueryError::internal("no files to look at"))?;
    if form == Form::Parquet {
        return heading(found, file, form).await;
    }
    let mut sample = beginning(found, file, SAMPLE_BYTES).await?;
    if (sample.len() as u64) < file.size {
        let end = memchr::memrchr(b'\n', &sample).ok_or_else(|| broken(file, "has a first line that is too long"))?;
        sample.truncate(end + 1);
    }
    let guessed = match form {
        Form::Csv { delimiter, header } => {
            let reader = CsvReader::default().with_header(header).with_delimiter(delimiter);
            reader.infer_schema(sample.as_slice(), None).map(|(schema, _)| schema)
        }
        _ => infer_json_schema(sample.as_slice(), None).map(|(schema, _)| schema),
    };
    let guessed = guessed.map_err(|error| broken(file, &format!("has no columns that can be told: {error}")))?;
    checked(guessed.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect(), file)
}

fn checked(fields: Vec<Field>, file: &ObjectMeta) -> Result<Shape, QueryError> {
    if fields.is_empty() || fields.len() > COLUMNS_MAX {
        return Err(broken(file, &format!("has {} columns; 1 to {COLUMNS_MAX} can be read", fields.len())));
    }
    let mut names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(broken(file, &format!("has two columns called {:?}", twice[0])));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn broken(file: &ObjectMeta, what: &str) -> QueryError {
    QueryError::Execution(format!("the file {:?} {what}", file.location.filename().unwrap_or_default()))
}

async fn beginning(found: &Found, file: &ObjectMeta, bytes_max: u64) -> Result<Vec<u8>, QueryError> {
    if file.size == 0 {
        return Ok(Vec::new());
    }
    let range = 0..file.size.min(bytes_max);
    let bytes = found.store.get_range(&file.location, range).await;
    let bytes = bytes.map_err(|error| datafusion::common::DataFusionError::ObjectStore(Box::new(error)))?;
    Ok(bytes.to_vec())
}

/// The names in the first line of a CSV file, whose beginning is `start`. `None`: there is no whole line.
fn header(start: &[u8], delimiter: u8, is_all: bool) -> Option<Vec<String>> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(start);
    let mut record = csv::StringRecord::new();
    let found = reader.read_record(&mut record).ok()?;
    // A record that reaches to the end of what was read may go on.
    let is_whole = is_all || (reader.position().byte() as usize) < start.len();
    (found && is_whole).then(|| record.iter().map(str::to_string).collect())
}
