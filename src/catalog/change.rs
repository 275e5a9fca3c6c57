//! The steps that the catalog moves in. A commit is a list of them, and so is a snapshot.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{NamedSeries, Precision, TableId, TableSchema, Tombstone};
use crate::storage::segment::Segment;

use super::state::RetentionPolicy;

/// Lists and objects that a value in a change may nest. The parser that reads commits gives up at 128, of which the commit around
/// a change takes four.
const NESTING_MAX: usize = 120;

/// One step. Applying a step twice is the same as applying it once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Change {
    CreateDatabase {
        tenant: String,
        database: String,
        /// Creation order, which listings follow.
        ordinal: u64,
        precision: Precision,
        policies: Vec<RetentionPolicy>,
        default_policy: String,
    },
    /// Drops the database and every table in it.
    DropDatabase {
        tenant: String,
        database: String,
    },
    /// Replaces the policies of a database. Tables of those that are gone are dropped.
    SetPolicies {
        tenant: String,
        database: String,
        policies: Vec<RetentionPolicy>,
        /// It need not be one of them: a database can be without a usable default.
        default_policy: String,
    },
    CreateTable {
        id: TableId,
        tenant: String,
        database: String,
        policy: String,
        table: String,
        schema: TableSchema,
        /// The table's folder carries the id, because another table's name differs only by case.
        #[serde(default)]
        folder_with_id: bool,
        /// What the table's folder is called after, where it is not its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder: Option<String>,
    },
    /// Gives a table another name in its policy; its folder stays. Does nothing when another table has the name.
    RenameTable {
        table: TableId,
        name: String,
    },
    /// Drops a table and all its rows.
    DropTable {
        table: TableId,
    },
    /// Rows of a table are gone.
    AddTombstone {
        table: TableId,
        tombstone: Tombstone,
    },
    /// Deletes that no segment needs any more.
    DropTombstones {
        table: TableId,
        ids: Vec<Uuid>,
    },
    /// Replaces the schema of a table; ids of columns mean what they meant.
    SetSchema {
        table: TableId,
        schema: TableSchema,
    },
    /// Adds series to a table's registry; one of the same name is replaced.
    PutSeries {
        table: TableId,
        series: Vec<NamedSeries>,
    },
    /// Takes series out of a table's registry. Their rows are gone by a tombstone of their own.
    DropSeries {
        table: TableId,
        names: Vec<String>,
    },
    AddSegments {
        table: TableId,
        segments: Vec<Segment>,
    },
    RemoveSegments {
        table: TableId,
        ids: Vec<Uuid>,
    },
    /// Rows of `writer` up to sequence `through` are in segments: neither buffer nor log needs them.
    Flushed {
        table: TableId,
        writer: Uuid,
        through: u64,
    },
    /// Numbers up to these were given away, whether or not what got them still exists.
    Numbers {
        tables: u64,
        databases: u64,
        sequence: u64,
    },
    /// A process begins to write as `writer`. Its commits carry `epoch`, the number of the commit that holds this step:
    /// no two openings share one. Who opened the same writer before may commit no more.
    OpenWriter {
        writer: Uuid,
        epoch: u64,
        /// Host and process, for people.
        name: String,
        opened_ns: i64,
    },
    /// `writer` stopped with all its rows in segments. Does nothing when it was opened again since `epoch`.
    CloseWriter {
        writer: Uuid,
        epoch: u64,
    },
    /// Uploads older than this (by the time in their id, milliseconds since 1970) that no commit speaks of by now are
    /// dead: no later commit may add them.
    Horizon {
        before_ms: u64,
    },
    PutDocument {
        collection: String,
        key: String,
        value: serde_json::Value,
    },
    DeleteDocument {
        collection: String,
        key: String,
    },
}

impl Change {
    /// Whether no process could read a commit with it.
    pub(super) fn nests_too_deep(&self) -> bool {
        let nesting = match self {
            Change::PutDocument { value, .. } => nesting(value),
            Change::AddTombstone { tombstone, .. } => tombstone.series.nesting(),
            // The others are records of fixed shape.
            _ => 0,
        };
        nesting > NESTING_MAX
    }
}

fn nesting(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}
