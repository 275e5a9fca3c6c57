//! INSERT, UPDATE of fields and DELETE, carried out through the write path and the catalog.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use futures::StreamExt;

use crate::catalog::Delete;
use crate::ingest::{BadPoints, Rules, Target};
use crate::model::{Kind, Points, TableName};
use crate::protocol::Core;
use crate::protocol::auth::Principal;
use crate::query::sql::RowsToWrite;

use super::authorization;
use super::error::WireError;
use super::sql::refusal as query_refusal;
use super::write::refusal as write_refusal;

const RULES: Rules =
    Rules { bad_points: BadPoints::RefuseAll, tag_and_field_may_share_a_name: false, tag_may_be_called_time: false };

/// Stores rows; on `Ok` all of them are durable and visible. Returns how many there were. An error leaves what was stored before it.
pub(super) async fn store(core: &Core, mut rows: RowsToWrite, text: &str) -> Result<u64, WireError> {
    let target = target_of(&rows);
    let mut written = 0;
    while let Some(batch) = rows.rows.next().await {
        let batch = batch.map_err(|error| query_refusal(error, text))?;
        let points = rows.points(&batch).map_err(|error| query_refusal(error, text))?;
        written += batch.num_rows() as u64;
        if points.rows() > 0 {
            accept(core, &target, points).await?;
        }
    }
    Ok(written)
}

pub(super) fn target_of(rows: &RowsToWrite) -> Target {
    Target { tenant: rows.tenant.clone(), database: rows.database.clone(), policy: None }
}

pub(super) async fn accept(core: &Core, target: &Target, points: Points) -> Result<(), WireError> {
    let accepted = core.ingest.accept(target, points, RULES).await;
    accepted.map(|_| ()).map_err(|error| write_refusal(error, target))
}

pub(super) fn table_id(core: &Core, rows: &RowsToWrite) -> Result<crate::model::TableId, WireError> {
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
    flush(core).await?;
    core.catalog.delete_rows(vec![delete]).await.map_err(super::ddl::refusal)?;
    Ok(())
}

/// Brings every row that is known now into segments.
pub(super) async fn flush(core: &Core) -> Result<(), WireError> {
    let only_reads = || WireError::new(Kind::Forbidden, "this node only reads");
    let flusher = core.flusher.as_ref().ok_or_else(only_reads)?;
    flusher.flush_all().await.map_err(|error| WireError::new(Kind::Unavailable, error.to_string()))
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
