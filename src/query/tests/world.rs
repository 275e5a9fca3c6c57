//! A catalog, a buffer and a store that tests fill by hand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use uuid::Uuid;

use crate::catalog::{CatalogState, Change};
use crate::model::schema::{META_FIELD_ID, META_KIND};
use crate::model::{ColumnId, ColumnKind, FieldType, RowIdentity, TableId, TableSchema};
use crate::query::sql::{Asker, SqlAnswer, SqlRequest};
use crate::query::{
    LiveChunk, LiveRows, LiveTagSets, QueryEngine, QueryError, QueryOptions, Tables, Unflushed, key_columns,
    sort_and_fold,
};
use crate::storage::damage::DamagedSegments;
use crate::storage::segment::{Segment, SegmentLabel, SequenceRange, encode_segment};

pub(super) const TENANT: &str = "cnosdb";
pub(super) const DATABASE: &str = "public";

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Float(f64),
    Integer(i64),
    Boolean(bool),
    Text(String),
}

/// A row: time, and a value or none for each column of a schema.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub time: i64,
    pub values: Vec<Option<Value>>,
}

#[derive(Debug, Default)]
pub(super) struct FakeCatalog(Mutex<Arc<CatalogState>>, pub Mutex<Vec<Change>>);

impl FakeCatalog {
    pub(super) fn apply(&self, change: &Change) {
        let mut state = self.0.lock().unwrap();
        Arc::make_mut(&mut state).apply(change);
    }
}

impl Tables for FakeCatalog {
    fn state(&self) -> Arc<CatalogState> {
        self.0.lock().unwrap().clone()
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        futures::future::ready(()).boxed()
    }

    /// Then the changes that waited for it are known.
    fn follow(&self) -> BoxFuture<'_, ()> {
        for change in std::mem::take(&mut *self.1.lock().unwrap()) {
            self.apply(&change);
        }
        futures::future::ready(()).boxed()
    }
}

type Hook = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
pub(super) struct FakeBuffer {
    pub rows: Mutex<HashMap<TableId, LiveRows>>,
    /// Runs right after a snapshot was taken.
    pub after_snapshot: Mutex<Option<Hook>>,
}

impl std::fmt::Debug for FakeBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeBuffer")
    }
}

pub(super) const WRITER: Uuid = Uuid::from_u128(7);

impl Unflushed for FakeBuffer {
    fn snapshot(&self, table: TableId) -> Result<LiveRows, ArrowError> {
        let rows = self.rows.lock().unwrap().get(&table).cloned().unwrap_or_default();
        if let Some(hook) = &*self.after_snapshot.lock().unwrap() {
            hook();
        }
        Ok(rows)
    }

    fn tag_sets(&self, table: TableId) -> Vec<LiveTagSets> {
        let rows = self.rows.lock().unwrap().get(&table).cloned().unwrap_or_default();
        let sets = |chunk: LiveChunk| {
            let schema = chunk.rows.schema();
            let of_tag = |at: usize| {
                let metadata = schema.field(at).metadata();
                let is_tag = metadata.get(META_KIND).is_some_and(|kind| kind == "tag");
                is_tag.then(|| (ColumnId(metadata[META_FIELD_ID].parse().unwrap()), chunk.rows.column(at).clone()))
            };
            let tags = (0..chunk.rows.num_columns()).filter_map(of_tag).collect();
            LiveTagSets { count: chunk.rows.num_rows(), tags }
        };
        rows.chunks.into_iter().map(sets).collect()
    }

    fn writer(&self) -> Uuid {
        WRITER
    }
}

pub(super) struct World {
    pub store: Arc<InMemory>,
    pub catalog: Arc<FakeCatalog>,
    pub buffer: Arc<FakeBuffer>,
    pub registry: prometheus::Registry,
    pub engine: Arc<QueryEngine>,
    /// Whether segments of documents get filters of words.
    pub words: bool,
}

impl World {
    pub(super) fn new(options: QueryOptions) -> World {
        let store = Arc::new(InMemory::new());
        World::over(options, store.clone(), store)
    }

    /// Segments are written to `store`; queries read `seen`.
    pub(super) fn over(options: QueryOptions, store: Arc<InMemory>, seen: Arc<dyn ObjectStore>) -> World {
        let catalog = Arc::new(FakeCatalog(Mutex::new(Arc::new(CatalogState::initial())), Mutex::default()));
        let buffer = Arc::new(FakeBuffer::default());
        let registry = prometheus::Registry::new();
        let damaged = Arc::new(DamagedSegments::new(&registry).unwrap());
        let engine = QueryEngine::new(options, seen, catalog.clone(), buffer.clone(), damaged, &registry).unwrap();
        World { store, catalog, buffer, registry, engine: Arc::new(engine), words: true }
    }

    pub(super) fn create_table(&self, name: &str, schema: &TableSchema) -> TableId {
        let id = self.catalog.state().next_table_id();
        self.catalog.apply(&Change::CreateTable {
            id,
            tenant: TENANT.to_string(),
            database: DATABASE.to_string(),
            policy: "autogen".to_string(),
            table: name.to_string(),
            schema: schema.clone(),
            folder_with_id: false,
            folder: None,
        });
        id
    }

    pub(super) fn set_schema(&self, table: TableId, schema: &TableSchema) {
        self.catalog.apply(&Change::SetSchema { table, schema: schema.clone() });
    }

    /// Writes rows (in order of writing) as a segment and publishes it.
    pub(super) async fn add_segment(&self, table: TableId, schema: &TableSchema, rows: &[Row], sequence: (u64, u64)) {
        let mut segment = self.put_segment(table, schema, rows, sequence).await;
        segment.tombstones_applied = self.catalog.state().table(table).unwrap().last_tombstone();
        self.catalog.apply(&Change::AddSegments { table, segments: vec![segment] });
    }

    /// Writes rows as a segment that nobody knows of yet.
    pub(super) async fn put_segment(
        &self,
        table: TableId,
        schema: &TableSchema,
        rows: &[Row],
        sequence: (u64, u64),
    ) -> Segment {
        let sql = schema.sql_schema();
        let mut batch = to_batch(schema, rows);
        if schema.identity == RowIdentity::Series {
            batch = sort_and_fold(&[batch], &sql, &key_columns(schema)).unwrap();
        } else {
            // Sorted as segments are, nothing folded: one row at a time makes every key its own.
            let mut sorted = rows.to_vec();
            let tags: Vec<usize> = key_columns(schema).into_iter().filter(|k| *k > 0).map(|k| k - 1).collect();
            let key = |row: &Row| {
                let text = |t: &usize| match row.values.get(*t) {
                    Some(Some(Value::Text(text))) => (false, text.clone()),
                    _ => (true, String::new()),
                };
                (tags.iter().map(text).collect::<Vec<_>>(), row.time)
            };
            sorted.sort_by_key(key);
            batch = to_batch(schema, &sorted);
        }
        let stored = RecordBatch::try_new(schema.stored_schema(), batch.columns().to_vec()).unwrap();
        let sequence = SequenceRange { first: sequence.0, last: sequence.1 };
        let words = self.words && schema.identity == RowIdentity::Append;
        let label = SegmentLabel { table: "t", table_id: table.0, window_ns: 0, sequence, words };
        let encoded = encode_segment(&stored, &label).unwrap();
        let id = Uuid::new_v4();
        let path = format!("data/a%2Fb/{id}.parquet");
        let size_bytes = encoded.bytes.len() as u64;
        let location = object_store::path::Path::parse(&path).unwrap();
        self.store.put(&location, encoded.bytes.into()).await.unwrap();
        Segment {
            id,
            path,
            size_bytes,
            rows: stored.num_rows() as u64,
            window_ns: 0,
            time_min_ns: encoded.time_min_ns,
            time_max_ns: encoded.time_max_ns,
            sequence,
            published: 0,
            tombstones_applied: 0,
            level: 0,
            footer_bytes: encoded.footer_bytes,
            checks: Some(encoded.checks),
            columns: encoded.columns,
        }
    }

    pub(super) fn add_live(&self, table: TableId, schema: &TableSchema, rows: &[Row], sequence: (u64, u64)) {
        let chunk = LiveChunk { first_sequence: sequence.0, last_sequence: sequence.1, rows: to_batch(schema, rows) };
        self.buffer.rows.lock().unwrap().entry(table).or_default().chunks.push(chunk);
    }

    pub(super) fn flushed(&self, table: TableId, through: u64) {
        self.catalog.apply(&Change::Flushed { table, writer: WRITER, through });
    }

    pub(super) async fn run(&self, text: &str) -> Result<SqlAnswer, QueryError> {
        let request = SqlRequest::new(TENANT, DATABASE, text, Asker::root());
        self.engine.run(request).await
    }

    /// The rows of an answer, each value as text, nulls as `∅`.
    pub(super) async fn rows(&self, text: &str) -> Result<Vec<String>, QueryError> {
        let SqlAnswer::Rows(mut stream) = self.run(text).await? else { panic!("{text} has no rows") };
        let mut rows = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            assert_eq!(batch.schema().fields().len(), stream.schema().fields().len());
            rows.extend(to_text(&batch));
        }
        Ok(rows)
    }

    #[track_caller]
    pub(super) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|f| f.name() == name).unwrap_or_else(|| panic!("no metric {name}"));
        let wanted = |m: &&prometheus::proto::Metric| {
            labels.iter().all(|(k, v)| m.get_label().iter().any(|l| l.name() == *k && l.value() == *v))
        };
        let found = family.get_metric().iter().filter(wanted);
        found
            .map(|m| {
                m.get_counter().get_value() + m.get_gauge().get_value() + m.get_histogram().get_sample_count() as f64
            })
            .sum()
    }
}

pub(super) fn to_text(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("∅");
    let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"))
        .collect()
}

/// Rows under the table's SQL schema.
pub(super) fn to_batch(schema: &TableSchema, rows: &[Row]) -> RecordBatch {
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(|r| r.time)))];
    for (i, column) in schema.columns.iter().enumerate() {
        let values = || rows.iter().map(|r| r.values.get(i).cloned().flatten());
        let text = || values().map(|v| v.map(|v| if let Value::Text(t) = v { t } else { panic!("{v:?} is no text") }));
        columns.push(match (column.kind, column.field_type) {
            (ColumnKind::Tag, _) => {
                let tags: Vec<Option<String>> = text().collect();
                Arc::new(tags.iter().map(|t| t.as_deref()).collect::<DictionaryArray<Int32Type>>())
            }
            (_, Some(FieldType::Float)) => Arc::new(
                values()
                    .map(|v| v.map(|v| if let Value::Float(x) = v { x } else { panic!() }))
                    .collect::<Float64Array>(),
            ),
            (_, Some(FieldType::Integer)) => Arc::new(
                values()
                    .map(|v| v.map(|v| if let Value::Integer(x) = v { x } else { panic!() }))
                    .collect::<Int64Array>(),
            ),
            (_, Some(FieldType::Boolean)) => Arc::new(
                values()
                    .map(|v| v.map(|v| if let Value::Boolean(x) = v { x } else { panic!() }))
                    .collect::<BooleanArray>(),
            ),
            _ => Arc::new(text().collect::<StringArray>()),
        });
    }
    RecordBatch::try_new(schema.sql_schema(), columns).unwrap()
}

/// `host` and one float field `usage`.
pub(super) fn cpu_schema(identity: RowIdentity) -> TableSchema {
    let mut schema = TableSchema::new(identity);
    schema.add("host", ColumnKind::Tag, None);
    schema.add("usage", ColumnKind::Field, Some(FieldType::Float));
    schema
}

pub(super) fn cpu(host: &str, time: i64, usage: f64) -> Row {
    Row { time, values: vec![Some(Value::Text(host.to_string())), Some(Value::Float(usage))] }
}
