//! Series of a table: its distinct tag sets.
//!
//! The tag sets of a segment never change, so they are looked for once and kept, within bounds; the rows that are in no
//! segment yet are looked through each time. All rows are read through the engine's own scan.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, RecordBatch, RecordBatchOptions, new_null_array,
};
use datafusion::arrow::compute::{cast, concat_batches, interleave_record_batch};
use datafusion::arrow::datatypes::{Field, Int32Type, Schema};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{Column, DataFusionError, Result, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::physical_plan::collect;
use datafusion::scalar::ScalarValue;
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use crate::catalog::{CatalogState, Table};
use crate::model::ColumnId;
use crate::model::schema::{META_FIELD_ID, TIME_COLUMN, tag_type};
use crate::query::QueryError;
use crate::query::provider::{Sources, TableRows};
use crate::query::session::{QueryEngine, QuerySession};
use crate::query::source::Snapshot;
use crate::storage::segment::Segment;

/// Segments that are looked through at once.
const SEGMENTS_AT_ONCE: usize = 4;

/// Tag sets of segments, by segment; the least used go when they take too much.
#[derive(Debug, Clone)]
pub(in crate::query) struct SeriesCache(moka::sync::Cache<Key, RecordBatch>);

/// A segment, and the numbers of the deletes that hold for it.
type Key = (Uuid, Vec<u64>);

impl SeriesCache {
    pub(in crate::query) fn new(bytes_max: u64) -> Self {
        let weigh = |_: &Key, sets: &RecordBatch| u32::try_from(sets.get_array_memory_size()).unwrap_or(u32::MAX);
        SeriesCache(moka::sync::Cache::builder().max_capacity(bytes_max).weigher(weigh).build())
    }
}

/// Distinct tag sets of one measurement, in no particular order.
pub(in crate::query) struct TagSets {
    /// By written name, and so in order. Dictionaries of strings; null where a series lacks the tag.
    pub columns: BTreeMap<Arc<str>, ArrayRef>,
    pub rows: usize,
    /// Holds the memory that they take.
    _memory: MemoryReservation,
}

/// First and last instant of the rows that count, both included, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) struct Bounds {
    pub min_ns: i64,
    pub max_ns: i64,
}

impl Bounds {
    pub(in crate::query) const ALL: Bounds = Bounds { min_ns: i64::MIN, max_ns: i64::MAX };

    /// Widened to whole stretches of `width_ns`, counted from 1970.
    pub(super) fn widened(self, width_ns: i64) -> Bounds {
        let width = width_ns.max(1);
        let after = (self.max_ns.div_euclid(width)).saturating_add(1).saturating_mul(width);
        Bounds { min_ns: self.min_ns.div_euclid(width).saturating_mul(width), max_ns: after.saturating_sub(1) }
    }

    fn filter(self) -> Expr {
        let time = || Expr::Column(Column::from_name(TIME_COLUMN));
        let instant = |ns| lit(ScalarValue::TimestampNanosecond(Some(ns), None));
        time().gt_eq(instant(self.min_ns)).and(time().lt_eq(instant(self.max_ns)))
    }
}

/// Looks for the tag sets of a measurement in all of its tables.
pub(in crate::query) async fn tag_sets(
    session: &mut QuerySession,
    engine: &QueryEngine,
    tables: &[Arc<Table>],
    bounds: Bounds,
) -> Result<TagSets, QueryError> {
    session
        .within(async |state| {
            let memory = MemoryConsumer::new("series").register(&state.runtime_env().memory_pool);
            let mut parts = Vec::new();
            for table in tables {
                parts.extend(parts_of(state, engine, table, bounds, &memory).await?);
            }
            merge(parts, memory)
        })
        .await
}

/// Takes those values out of `unknown` that some tag of a table's rows has.
pub(in crate::query) async fn remove_known_values(
    state: &SessionState,
    engine: &QueryEngine,
    table: &Table,
    unknown: &mut BTreeSet<String>,
) -> Result<()> {
    let memory = MemoryConsumer::new("series").register(&state.runtime_env().memory_pool);
    for part in parts_of(state, engine, table, Bounds::ALL, &memory).await? {
        for column in part.columns() {
            let column: &DictionaryArray<Int32Type> = column.as_dictionary();
            for value in column.values().as_string::<i32>().iter().flatten() {
                unknown.remove(value);
            }
        }
    }
    Ok(())
}

/// Tag sets of each segment of a table and of its live rows, under their written names.
async fn parts_of(
    state: &SessionState,
    engine: &QueryEngine,
    table: &Table,
    bounds: Bounds,
    memory: &MemoryReservation,
) -> Result<Vec<RecordBatch>> {
    let (sources, cache) = (engine.sources(), engine.series_cache());
    // Whatever its time, each live row counts: then nobody has to look at the rows.
    let all_live = bounds == Bounds::ALL && keeps_forever(&sources.tables.state(), table);
    let (snapshot, live_sets) = match all_live {
        true => {
            // In the order of a snapshot: what a flush publishes in between is in both, and counts once.
            let live = sources.unflushed.tag_sets(table.id);
            let table = sources.tables.state().table(table.id).cloned();
            (Snapshot { table, live: Vec::new() }, live)
        }
        false => (Snapshot::take(sources.tables.as_ref(), sources.unflushed.as_ref(), table.id)?, Vec::new()),
    };
    let Some(table) = &snapshot.table else { return Ok(Vec::new()) };
    let of_segment = |segment: &Arc<Segment>| {
        let part = Table { segments: vec![segment.clone()], ..(**table).clone() };
        let part = Snapshot { table: Some(Arc::new(part)), live: Vec::new() };
        let deletes = table.tombstones_of(segment).iter().map(|tombstone| tombstone.ordinal).collect();
        let key = (segment.id, deletes);
        let has_registry = table.schema.registered_tags().next().is_some();
        let is_whole = bounds.min_ns <= segment.time_min_ns && segment.time_max_ns <= bounds.max_ns;
        async move {
            // Tags that are in the registry change without the segment.
            if !is_whole || has_registry {
                return distinct(state, sources, part, bounds).await;
            }
            if let Some(known) = cache.0.get(&key) {
                return Ok(known);
            }
            let found = distinct(state, sources, part, Bounds::ALL).await?;
            cache.0.insert(key, found.clone());
            Ok::<_, DataFusionError>(found)
        }
    };
    let reaches_in =
        |segment: &&Arc<Segment>| segment.time_min_ns <= bounds.max_ns && bounds.min_ns <= segment.time_max_ns;
    let looking: Vec<_> = snapshot.segments().iter().filter(reaches_in).map(of_segment).collect();
    let mut parts: Vec<RecordBatch> = stream::iter(looking).buffer_unordered(SEGMENTS_AT_ONCE).try_collect().await?;
    if !snapshot.live.is_empty() {
        let part = Table { segments: Vec::new(), ..(**table).clone() };
        let part = Snapshot { table: Some(Arc::new(part)), live: snapshot.live.clone() };
        parts.push(distinct(state, sources, part, bounds).await?);
    }
    for sets in live_sets.into_iter().filter(|sets| sets.count > 0) {
        let options = RecordBatchOptions::new().with_row_count(Some(sets.count));
        let (fields, columns): (Vec<_>, Vec<_>) =
            sets.tags.into_iter().map(|(id, values)| (id_field(id), values)).unzip();
        parts.push(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?);
    }
    let mut named = Vec::with_capacity(parts.len());
    for part in parts {
        memory.try_grow(part.get_array_memory_size())?;
        named.push(under_written_names(&part, table)?);
    }
    Ok(named)
}

/// Whether no row of the table is ever too old to count.
fn keeps_forever(state: &CatalogState, table: &Table) -> bool {
    let database = state.database(&table.name.tenant, &table.name.database);
    let policy = database.and_then(|database| database.policy(&table.name.policy));
    policy.is_some_and(|policy| policy.duration_ns == 0)
}

/// Distinct tag sets of some rows of a table. Columns keep their ids; a table without tags has one empty set, or no row.
async fn distinct(state: &SessionState, sources: &Sources, part: Snapshot, bounds: Bounds) -> Result<RecordBatch> {
    let Some(table) = part.table.clone() else { return Ok(RecordBatch::new_empty(Arc::new(Schema::empty()))) };
    let rows = provider_as_source(Arc::new(TableRows::of_part(table.clone(), sources.clone(), part)));
    let plan = LogicalPlanBuilder::scan(TableReference::bare("rows"), rows, None)?;
    let plan = if bounds == Bounds::ALL { plan } else { plan.filter(bounds.filter())? };
    let tags: Vec<Expr> = table.schema.tags().map(|tag| Expr::Column(Column::from_name(&tag.sql_name))).collect();
    if tags.is_empty() {
        let time = Expr::Column(Column::from_name(TIME_COLUMN));
        let plan = plan.project([time])?.limit(0, Some(1))?.build()?;
        let found = run(state, &plan).await?.iter().any(|batch| batch.num_rows() > 0);
        let options = RecordBatchOptions::new().with_row_count(Some(usize::from(found)));
        return Ok(RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?);
    }
    let plan = plan.aggregate(tags, Vec::<Expr>::new())?.build()?;
    let batches = run(state, &plan).await?;
    let fields: Vec<_> = table.schema.tags().map(|tag| id_field(tag.id)).collect();
    let schema = Arc::new(Schema::new(fields));
    let retyped = batches.iter().map(|batch| {
        let columns = batch.columns().iter().map(|column| cast(column, &tag_type()));
        RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)
    });
    Ok(concat_batches(&schema, &retyped.collect::<Result<Vec<_>, _>>()?)?)
}

fn id_field(id: ColumnId) -> Field {
    let metadata = [(META_FIELD_ID.to_string(), id.0.to_string())];
    Field::new(id.0.to_string(), tag_type(), true).with_metadata(metadata.into())
}

async fn run(state: &SessionState, plan: &LogicalPlan) -> Result<Vec<RecordBatch>> {
    let plan = state.create_physical_plan(plan).await?;
    collect(plan, state.task_ctx()).await
}

/// The same rows with the table's tags as columns, a column for each.
fn under_written_names(part: &RecordBatch, table: &Table) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for tag in table.schema.tags() {
        fields.push(Field::new(&tag.name, tag_type(), true));
        let known = part.column_by_name(&tag.id.0.to_string());
        columns.push(known.cloned().unwrap_or_else(|| new_null_array(&tag_type(), part.num_rows())));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(part.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

/// Each tag set once.
fn merge(mut parts: Vec<RecordBatch>, memory: MemoryReservation) -> Result<TagSets> {
    parts.retain(|part| part.num_rows() > 0);
    let names_of = |part: &RecordBatch| -> Vec<Arc<str>> {
        part.schema().fields().iter().map(|field| Arc::from(field.name().as_str())).collect()
    };
    let names: BTreeSet<Arc<str>> = parts.iter().flat_map(names_of).collect();
    if names.is_empty() {
        return Ok(TagSets { columns: BTreeMap::new(), rows: usize::from(!parts.is_empty()), _memory: memory });
    }
    let schema =
        Arc::new(Schema::new(names.iter().map(|name| Field::new(&**name, tag_type(), true)).collect::<Vec<_>>()));
    let aligned = parts.iter().map(|part| {
        let column = |name: &Arc<str>| {
            part.column_by_name(name).cloned().unwrap_or_else(|| new_null_array(&tag_type(), part.num_rows()))
        };
        RecordBatch::try_new(schema.clone(), names.iter().map(column).collect())
    });
    let aligned = aligned.collect::<Result<Vec<_>, _>>()?;
    let merged = match aligned.as_slice() {
        [one] => one.clone(),
        many => unique(many, &memory)?,
    };
    let columns = names.into_iter().zip(merged.columns().iter().cloned()).collect();
    Ok(TagSets { columns, rows: merged.num_rows(), _memory: memory })
}

fn unique(parts: &[RecordBatch], memory: &MemoryReservation) -> Result<RecordBatch> {
    let fields = parts[0].columns().iter().map(|column| SortField::new(column.data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    let mut rows = Vec::with_capacity(parts.len());
    for part in parts {
        let converted = converter.convert_columns(part.columns())?;
        memory.try_grow(converted.size())?;
        rows.push(converted);
    }
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for (part, rows) in rows.iter().enumerate() {
        for (at, row) in rows.iter().enumerate() {
            if seen.insert(row) {
                kept.push((part, at));
            }
        }
    }
    Ok(interleave_record_batch(&parts.iter().collect::<Vec<_>>(), &kept)?)
}

impl TagSets {
    /// Only the sets that `keep` says yes to.
    pub(super) fn filtered(self, keep: &BooleanArray) -> Result<TagSets, QueryError> {
        let rows = keep.true_count();
        if rows == self.rows {
            return Ok(self);
        }
        let TagSets { mut columns, _memory, .. } = self;
        for column in columns.values_mut() {
            *column = datafusion::arrow::compute::filter(&*column, keep).map_err(DataFusionError::from)?;
        }
        Ok(TagSets { columns, rows, _memory })
    }

    /// The values of a tag that series have, sorted.
    pub(in crate::query) fn values(&self, tag: &str) -> Vec<String> {
        let Some(column) = self.columns.get(tag) else { return Vec::new() };
        let column: &DictionaryArray<Int32Type> = column.as_dictionary();
        let texts = column.values().as_string::<i32>();
        let mut used = vec![false; texts.len()];
        column.keys().iter().flatten().for_each(|key| used[key as usize] = true);
        let used = used.iter().enumerate().filter(|(_, used)| **used).map(|(key, _)| key);
        // An empty value and a missing tag are one to InfluxQL.
        let mut values: Vec<String> = used
            .filter(|&key| texts.is_valid(key) && !texts.value(key).is_empty())
            .map(|key| texts.value(key).to_string())
            .collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// What `each` says of each set's tag; a missing one is `""`. It is asked once a value.
    pub(in crate::query) fn mask(&self, tag: &str, each: impl Fn(&str) -> bool) -> BooleanArray {
        let missing = each("");
        let Some(column) = self.columns.get(tag) else { return BooleanArray::from(vec![missing; self.rows]) };
        let column: &DictionaryArray<Int32Type> = column.as_dictionary();
        let texts = column.values().as_string::<i32>();
        let verdicts: Vec<bool> = texts.iter().map(|text| text.map_or(missing, &each)).collect();
        column.keys().iter().map(|key| Some(key.map_or(missing, |key| verdicts[key as usize]))).collect()
    }

    /// The value of each set's tag; a missing one is `""`.
    pub(in crate::query) fn texts(&self, tag: &str) -> Vec<&str> {
        let Some(column) = self.columns.get(tag) else { return vec![""; self.rows] };
        let column: &DictionaryArray<Int32Type> = column.as_dictionary();
        let texts = column.values().as_string::<i32>();
        column.keys().iter().map(|key| key.map_or("", |key| texts.value(key as usize))).collect()
    }

    /// `measurement,tag=value,…` of each series, with the escapes of line protocol.
    pub(super) fn keys(&self, measurement: &str) -> Vec<String> {
        let measurement = escaped(measurement, &[',', ' ']);
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|(name, column)| {
                let column: &DictionaryArray<Int32Type> = column.as_dictionary();
                let texts = column.values().as_string::<i32>();
                let values = texts.iter().map(|text| {
                    let text = text.filter(|text| !text.is_empty())?;
                    Some(format!(",{}={}", escaped(name, &[',', '=', ' ']), escaped(text, &[',', '=', ' '])))
                });
                (column.keys(), values.collect::<Vec<_>>())
            })
            .collect();
        let key_of = |row: usize| {
            let mut key = measurement.clone();
            for (keys, values) in &columns {
                if keys.is_valid(row)
                    && let Some(value) = &values[keys.value(row) as usize]
                {
                    key.push_str(value);
                }
            }
            key
        };
        let mut keys: Vec<String> = (0..self.rows).map(key_of).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

fn escaped(text: &str, special: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if special.contains(&character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}
