//! INSERT, UPDATE and DELETE, carried out through the write path and the catalog.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use futures::StreamExt;

use crate::catalog::Delete;
use crate::ingest::{BadPoints, Rules, Target};
use crate::model::{Kind, Points, SeriesFilter, TableName, TablePoints};
use crate::protocol::Core;
use crate::protocol::auth::Principal;
use crate::query::sql::RowsToWrite;

use super::authorization;
use super::error::WireError;
use super::sql::refusal as query_refusal;
use super::write::refusal as write_refusal;

const RULES: Rules = Rules { bad_points: BadPoints::RefuseAll, tag_and_field_may_share_a_name: false };
/// Rows that an UPDATE of tags may move: they are held until all are known.
const MOVED_ROWS_MAX: usize = 1_000_000;
/// Series that an UPDATE of tags may empty: each is named by the delete that follows.
const MOVED_SERIES_MAX: usize = 1_000;

/// Stores rows; on `Ok` all of them are durable and visible. Returns how many there were. An error leaves what was stored before it.
pub(super) async fn store(core: &Core, mut rows: RowsToWrite, text: &str) -> Result<u64, WireError> {
    let target = target_of(&rows);
    let mut written = 0;
    while let Some(batch) = rows.rows.next().await {
        let batch = batch.map_err(|error| query_refusal(error, text))?;
        let points = rows.points(&batch).map_err(|error| query_refusal(error, text))?;
        written += points.rows() as u64;
        accept(core, &target, points).await?;
    }
    Ok(written)
}

fn target_of(rows: &RowsToWrite) -> Target {
    Target { tenant: rows.tenant.clone(), database: rows.database.clone(), policy: None }
}

async fn accept(core: &Core, target: &Target, points: Points) -> Result<(), WireError> {
    let accepted = core.ingest.accept(target, points, RULES).await;
    accepted.map(|_| ()).map_err(|error| write_refusal(error, target))
}

/// Gives rows other tags: they are stored under them, and then the series that they were of are deleted. A crash in between
/// leaves both, and loses none.
pub(super) async fn retag(
    core: &Core,
    mut rows: RowsToWrite,
    tags: Vec<(String, Option<String>)>,
    text: &str,
) -> Result<u64, WireError> {
    let mut batches: Vec<TablePoints> = Vec::new();
    let mut count = 0;
    while let Some(batch) = rows.rows.next().await {
        let batch = batch.map_err(|error| query_refusal(error, text))?;
        let points = rows.points(&batch).map_err(|error| query_refusal(error, text))?;
        count += points.rows();
        if count > MOVED_ROWS_MAX {
            let what = format!("an update of tags may move {MOVED_ROWS_MAX} rows");
            return Err(WireError::new(Kind::TooLarge, what));
        }
        batches.extend(points.into_tables());
    }
    let mut old: Vec<Vec<(String, String)>> = Vec::new();
    let mut moved = Points::default();
    for points in &batches {
        old.extend(keys(points));
        add_moved(points, &tags, &mut moved);
    }
    old.sort();
    old.dedup();
    let new: Vec<Vec<(String, String)>> = moved.tables().flat_map(keys).collect();
    if let Some(unchanged) = new.iter().find(|key| old.contains(key)) {
        return Err(WireError::new(Kind::Invalid, format!("the series {unchanged:?} exists already")));
    }
    if old.len() > MOVED_SERIES_MAX {
        return Err(WireError::new(Kind::TooLarge, format!("an update of tags may move {MOVED_SERIES_MAX} series")));
    }
    if count == 0 {
        return Ok(0);
    }
    let (table, target) = (table_id(core, &rows)?, target_of(&rows));
    drop(rows);
    accept(core, &target, moved).await?;
    // Every tag of the table is spoken of: a series with more tags is another one.
    let names: Vec<String> = core
        .catalog
        .state()
        .table(table)
        .map_or_else(Vec::new, |table| table.schema.tags().map(|tag| tag.name.clone()).collect());
    let series = old.iter().map(|key| {
        let value =
            |tag: &String| key.iter().find(|(name, _)| name == tag).map_or(String::new(), |(_, value)| value.clone());
        let equal = |tag: &String| SeriesFilter::Equal { tag: tag.clone(), value: value(tag) };
        SeriesFilter::Every(names.iter().map(equal).collect())
    });
    let series = SeriesFilter::Any(series.collect());
    remove(core, Delete { table, time_min_ns: i64::MIN, time_max_ns: i64::MAX, series }).await?;
    Ok(count as u64)
}

/// Tags of each series, in order of their names.
fn keys(points: &TablePoints) -> Vec<Vec<(String, String)>> {
    let named = |key| {
        let tags = crate::model::batch::tags_of(key);
        let mut tags: Vec<(String, String)> =
            tags.map(|(tag, value)| (points.tag_keys[tag as usize].clone(), value.to_string())).collect();
        tags.sort();
        tags
    };
    points.series.iter().map(named).collect()
}

/// The points with other values of `tags`.
fn add_moved(points: &TablePoints, tags: &[(String, Option<String>)], into: &mut Points) {
    use crate::model::FieldValues;
    let index = into.table_index(&points.name);
    let table = into.table_mut(index);
    for (row, series) in points.row_series.iter().enumerate() {
        let key = crate::model::batch::tags_of(points.series.key(*series as usize));
        let old = key.map(|(tag, value)| (points.tag_keys[tag as usize].as_str(), value));
        let kept = old.filter(|(tag, _)| !tags.iter().any(|(changed, _)| changed == tag));
        let new = tags.iter().filter_map(|(tag, value)| Some((tag.as_str(), value.as_deref()?)));
        let all: Vec<(u32, &str)> = kept.chain(new).map(|(tag, value)| (table.tag_key_index(tag), value)).collect();
        let series = table.series.push(all);
        table.begin_row(series, points.times[row]);
        for field in &points.fields {
            let Some(at) = field.position(row) else { continue };
            let column = table.field_index(&field.name, field.field_type());
            match &field.values {
                FieldValues::Float(values) => table.set_float(column, values[at]),
                FieldValues::Integer(values) => table.set_integer(column, values[at]),
                FieldValues::Unsigned(values) => table.set_unsigned(column, values[at]),
                FieldValues::Boolean(values) => table.set_boolean(column, values[at]),
                FieldValues::String { bytes, ends } => {
                    let start = if at == 0 { 0 } else { ends[at - 1] as usize };
                    table.set_string(column, &String::from_utf8_lossy(&bytes[start..ends[at] as usize]));
                }
            }
        }
    }
}

fn table_id(core: &Core, rows: &RowsToWrite) -> Result<crate::model::TableId, WireError> {
    let state = core.catalog.state();
    let owner = state.database(&rows.tenant, &rows.database);
    let table = owner.and_then(|owner| state.table_named(owner, &owner.default_policy, &rows.table));
    let not_found = || WireError::table_not_found(&rows.tenant, &rows.database, &rows.table);
    table.map(|table| table.id).ok_or_else(not_found)
}

/// Refuses who may not write into the table that a delete is of.
pub(super) fn check_delete(core: &Core, principal: &Principal, delete: &Delete) -> Result<(), WireError> {
    match core.catalog.state().table(delete.table) {
        Some(table) => authorization::may_write(principal, &table.name.tenant, &table.name.database),
        None => Ok(()),
    }
}

/// Removes rows. A delete is recorded for rows in segments, so what is not in one yet goes there first; what is written meanwhile
/// is written later than the delete.
pub(super) async fn remove(core: &Core, delete: Delete) -> Result<(), WireError> {
    let only_reads = || WireError::new(Kind::Forbidden, "this node only reads");
    let flusher = core.flusher.as_ref().ok_or_else(only_reads)?;
    flusher.flush_all().await.map_err(|error| WireError::new(Kind::Unavailable, error.to_string()))?;
    core.catalog.delete_rows(vec![delete]).await.map_err(super::ddl::refusal)?;
    Ok(())
}

/// The answer that tells how many rows a statement wrote.
pub(super) fn counted(rows: u64) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("rows", DataType::UInt64, false)]);
    let column = Arc::new(UInt64Array::from(vec![rows]));
    RecordBatch::try_new(Arc::new(schema), vec![column]).expect("one column of one row")
}

/// For messages.
pub(super) fn not_found(table: &TableName) -> WireError {
    WireError::table_not_found(&table.tenant, &table.database, &table.table)
}
