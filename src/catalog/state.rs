//! What the chain of commits adds up to. A state never changes: readers hold one as long as they like.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::names::{DEFAULT_POLICY, DEFAULT_TENANT, PUBLIC_DATABASE};
use crate::model::{NamedSeries, Precision, TableId, TableName, TableSchema, Tombstone};
use crate::storage::segment::Segment;
use crate::storage::upload::uploaded_ms;

use super::change::Change;
use super::databases::{OPTIONS, options_key};
use super::documents::{Documents, Held};
use super::dropping::DROPPING;
use super::external::{self, EXTERNAL};

/// How long a policy's rows live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPolicy {
    pub name: String,
    /// Nanoseconds; 0 keeps rows forever.
    pub duration_ns: i64,
    /// Width of InfluxDB's shard groups, nanoseconds: kept and shown, segments have windows of their own.
    pub shard_duration_ns: i64,
    pub replication: u32,
}

impl RetentionPolicy {
    /// `autogen`: forever, in shards of a week.
    pub fn autogen() -> Self {
        const WEEK_NS: i64 = 7 * 24 * 3600 * 1_000_000_000;
        RetentionPolicy { name: DEFAULT_POLICY.to_string(), duration_ns: 0, shard_duration_ns: WEEK_NS, replication: 1 }
    }
}

#[derive(Debug, Clone)]
pub struct Database {
    pub tenant: Arc<str>,
    pub name: Arc<str>,
    pub ordinal: u64,
    /// Times are cut to this unit when they are written.
    pub precision: Precision,
    pub policies: Vec<RetentionPolicy>,
    pub default_policy: Arc<str>,
    tables: BTreeMap<(Arc<str>, Arc<str>), TableId>,
}

impl Database {
    pub fn policy(&self, name: &str) -> Option<&RetentionPolicy> {
        self.policies.iter().find(|p| p.name == name)
    }
}

#[derive(Debug, Clone)]
pub struct Table {
    pub id: TableId,
    pub name: TableName,
    pub schema: Arc<TableSchema>,
    /// Live segments, in no particular order.
    pub segments: Vec<Arc<Segment>>,
    /// A writer's rows up to this sequence number are in segments (or were deleted).
    pub flushed: BTreeMap<Uuid, u64>,
    /// Deletes that some segment may still hold rows of.
    pub tombstones: Vec<Arc<Tombstone>>,
    pub folder_with_id: bool,
    /// What its folder is called after: the name that it was made with.
    pub folder: Arc<str>,
    /// Series that have a name, by it; empty for a table whose series are their tags.
    pub series: Arc<BTreeMap<Arc<str>, Arc<NamedSeries>>>,
}

impl Table {
    /// The name that its folder is called after.
    pub fn folder_name(&self) -> TableName {
        TableName { table: self.folder.clone(), ..self.name.clone() }
    }
}

/// A process that may commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The identity that its log carries.
    pub id: Uuid,
    /// The number of the commit that opened it; a process with an older one is fenced off.
    pub epoch: u64,
    /// Host and process, for people.
    pub name: Arc<str>,
    pub opened_ns: i64,
}

/// One version of the whole catalog.
#[derive(Debug, Clone, Default)]
pub struct CatalogState {
    /// Number of the last commit in it; 0 before the first.
    pub version: u64,
    databases: BTreeMap<(Arc<str>, Arc<str>), Arc<Database>>,
    tables: HashMap<TableId, Arc<Table>>,
    documents: Documents,
    next_table: u64,
    next_database: u64,
    /// Highest sequence number that any commit mentions.
    pub last_sequence: u64,
    writers: BTreeMap<Uuid, Arc<Writer>>,
    /// Uploads older than this that are not live are dead, see [`Change::Horizon`]; milliseconds since 1970.
    pub horizon_ms: u64,
}

impl CatalogState {
    /// What every store starts with: the database `public`.
    pub fn initial() -> Self {
        let mut state = CatalogState { next_table: 1, next_database: 1, ..CatalogState::default() };
        state.apply(&Change::CreateDatabase {
            tenant: DEFAULT_TENANT.to_string(),
            database: PUBLIC_DATABASE.to_string(),
            ordinal: 0,
            precision: Precision::Ns,
            policies: vec![RetentionPolicy::autogen()],
            default_policy: DEFAULT_POLICY.to_string(),
        });
        state
    }

    /// A database; none that waits to be dropped.
    pub fn database(&self, tenant: &str, database: &str) -> Option<&Arc<Database>> {
        self.any_database(tenant, database).filter(|database| self.dropped_at_ns(database).is_none())
    }

    pub(super) fn any_database(&self, tenant: &str, database: &str) -> Option<&Arc<Database>> {
        self.databases.get(&(Arc::from(tenant), Arc::from(database)))
    }

    /// Databases of a tenant in order of creation, without those that wait to be dropped.
    pub fn databases(&self, tenant: &str) -> Vec<&Arc<Database>> {
        let mut found = self.all_databases(tenant);
        found.retain(|database| self.dropped_at_ns(database).is_none());
        found
    }

    pub(super) fn all_databases(&self, tenant: &str) -> Vec<&Arc<Database>> {
        let mut found: Vec<_> = self.databases.values().filter(|d| &*d.tenant == tenant).collect();
        found.sort_by_key(|d| d.ordinal);
        found
    }

    pub(super) fn tenants_with_databases(&self) -> impl Iterator<Item = Arc<str>> {
        self.databases.keys().map(|(tenant, _)| tenant.clone())
    }

    pub(super) fn has_databases(&self, tenant: &str) -> bool {
        self.databases.keys().any(|(owner, _)| **owner == *tenant)
    }

    pub fn table(&self, id: TableId) -> Option<&Arc<Table>> {
        self.tables.get(&id)
    }

    /// The table called `table` under a policy of a database.
    pub fn table_named(&self, database: &Database, policy: &str, table: &str) -> Option<&Arc<Table>> {
        database.tables.get(&(Arc::from(policy), Arc::from(table))).and_then(|id| self.tables.get(id))
    }

    /// Tables under a policy, by name.
    pub fn tables_of<'a>(&'a self, database: &'a Database, policy: &'a str) -> impl Iterator<Item = &'a Arc<Table>> {
        database.tables.iter().filter(move |((p, _), _)| &**p == policy).filter_map(|(_, id)| self.tables.get(id))
    }

    /// Those of them that have series with names.
    pub fn tables_with_series<'a>(
        &'a self,
        database: &'a Database,
        policy: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Table>> {
        self.tables_of(database, policy).filter(|table| !table.series.is_empty())
    }

    /// All tables, in no particular order.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    pub fn document(&self, collection: &str, key: &str) -> Option<&Arc<serde_json::Value>> {
        self.documents.get(collection, key)
    }

    /// Documents of a collection by key.
    pub fn documents<'a>(&'a self, collection: &'a str) -> impl Iterator<Item = (&'a str, &'a Arc<serde_json::Value>)> {
        self.documents.of(collection)
    }

    /// What a collection holds.
    pub(super) fn held(&self, collection: &str) -> Held {
        self.documents.held(collection)
    }

    /// Documents of a collection with keys from `first` to `last`, both included, by key.
    pub fn documents_between<'a>(
        &'a self,
        collection: &str,
        first: &str,
        last: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Arc<serde_json::Value>)> + use<'a> {
        self.documents.between(collection, first, last)
    }

    /// Who writes here: opened, and not closed since with all rows in segments. One that crashed for good stays.
    pub fn writers(&self) -> impl Iterator<Item = &Arc<Writer>> {
        self.writers.values()
    }

    pub fn writer(&self, id: Uuid) -> Option<&Arc<Writer>> {
        self.writers.get(&id)
    }

    /// Whether any writer but `me` may commit to this store.
    pub fn is_shared(&self, me: Uuid) -> bool {
        self.writers.keys().any(|id| *id != me)
    }

    /// Whether a segment uploaded under `id` may still be added. `false`: its object may be gone.
    pub fn admits_upload(&self, id: Uuid) -> bool {
        uploaded_ms(id) >= self.horizon_ms
    }

    /// The id for the next table.
    pub fn next_table_id(&self) -> TableId {
        TableId(self.next_table)
    }

    /// The ordinal for the next database.
    pub fn next_database_ordinal(&self) -> u64 {
        self.next_database
    }

    /// Whether a table's folder needs the id in its name: that of another one of the policy differs only by case, or not at all
    /// because that one was renamed.
    pub fn has_case_twin(&self, database: &Database, policy: &str, table: &str) -> bool {
        let lower = table.to_lowercase();
        self.tables_of(database, policy).any(|t| *t.name.table != *table && t.folder.to_lowercase() == lower)
    }

    /// Takes one step. A step that speaks of something dropped meanwhile does nothing.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::CreateDatabase { tenant, database, ordinal, precision, policies, default_policy } => {
                self.next_database = self.next_database.max(ordinal + 1);
                let (tenant, name): (Arc<str>, Arc<str>) = (tenant.as_str().into(), database.as_str().into());
                let tables = self.any_database(&tenant, &name).map(|d| d.tables.clone()).unwrap_or_default();
                let database = Database {
                    tenant: tenant.clone(),
                    name: name.clone(),
                    ordinal: *ordinal,
                    precision: *precision,
                    policies: policies.clone(),
                    default_policy: default_policy.as_str().into(),
                    tables,
                };
                self.databases.insert((tenant, name), Arc::new(database));
            }
            Change::DropDatabase { tenant, database } => {
                if let Some(dropped) = self.databases.remove(&(tenant.as_str().into(), database.as_str().into())) {
                    for id in dropped.tables.values() {
                        self.tables.remove(id);
                    }
                    self.documents.remove(OPTIONS, &options_key(tenant, database));
                    self.documents.remove(DROPPING, &options_key(tenant, database));
                    self.documents.remove_below(EXTERNAL, &external::prefix(tenant, database));
                }
            }
            Change::SetPolicies { tenant, database, policies, default_policy } => {
                let key: (Arc<str>, Arc<str>) = (tenant.as_str().into(), database.as_str().into());
                let Some(owner) = self.databases.get_mut(&key) else { return };
                let owner = Arc::make_mut(owner);
                owner.policies.clone_from(policies);
                owner.default_policy = default_policy.as_str().into();
                let tables = &mut self.tables;
                owner.tables.retain(|(policy, _), id| {
                    let stays = policies.iter().any(|p| *p.name == **policy);
                    if !stays {
                        tables.remove(id);
                    }
                    stays
                });
            }
            Change::DropTable { table } => {
                let Some(dropped) = self.tables.remove(table) else { return };
                let name = &dropped.name;
                if let Some(owner) = self.databases.get_mut(&(name.tenant.clone(), name.database.clone())) {
                    Arc::make_mut(owner).tables.retain(|_, id| id != table);
                }
            }
            Change::CreateTable { id, tenant, database, policy, table, schema, folder_with_id, folder } => {
                self.next_table = self.next_table.max(id.0 + 1);
                let name = TableName::new(tenant, database, policy, table);
                let Some(owner) = self.databases.get_mut(&(name.tenant.clone(), name.database.clone())) else { return };
                Arc::make_mut(owner).tables.insert((name.policy.clone(), name.table.clone()), *id);
                self.tables.entry(*id).or_insert_with(|| {
                    Arc::new(Table {
                        id: *id,
                        folder: folder.as_deref().map_or_else(|| name.table.clone(), Arc::from),
                        name,
                        schema: Arc::new(schema.clone()),
                        segments: Vec::new(),
                        flushed: BTreeMap::new(),
                        tombstones: Vec::new(),
                        folder_with_id: *folder_with_id,
                        series: Arc::default(),
                    })
                });
            }
            Change::RenameTable { table, name } => {
                let Some(known) = self.tables.get_mut(table) else { return };
                let old = known.name.clone();
                let Some(owner) = self.databases.get_mut(&(old.tenant, old.database)) else { return };
                let key = (old.policy.clone(), Arc::<str>::from(name.as_str()));
                if owner.tables.contains_key(&key) {
                    return;
                }
                let owner = Arc::make_mut(owner);
                owner.tables.remove(&(old.policy, old.table));
                Arc::make_mut(known).name.table = key.1.clone();
                owner.tables.insert(key, *table);
            }
            Change::AddTombstone { table, tombstone } => {
                if let Some(table) = self.tables.get_mut(table)
                    && table.tombstones.iter().all(|known| known.id != tombstone.id)
                {
                    Arc::make_mut(table).tombstones.push(Arc::new(tombstone.clone()));
                }
            }
            Change::DropTombstones { table, ids } => {
                if let Some(table) = self.tables.get_mut(table) {
                    Arc::make_mut(table).tombstones.retain(|tombstone| !ids.contains(&tombstone.id));
                }
            }
            Change::SetSchema { table, schema } => {
                if let Some(table) = self.tables.get_mut(table) {
                    Arc::make_mut(table).schema = Arc::new(schema.clone());
                }
            }
            Change::PutSeries { table, series } => {
                if let Some(table) = self.tables.get_mut(table) {
                    let known = Arc::make_mut(&mut Arc::make_mut(table).series);
                    known.extend(series.iter().map(|one| (one.name.as_str().into(), Arc::new(one.clone()))));
                }
            }
            Change::DropSeries { table, names } => {
                if let Some(table) = self.tables.get_mut(table) {
                    let known = Arc::make_mut(&mut Arc::make_mut(table).series);
                    names.iter().for_each(|name| drop(known.remove(name.as_str())));
                }
            }
            Change::AddSegments { table, segments } => {
                for segment in segments {
                    self.last_sequence = self.last_sequence.max(segment.sequence.last);
                }
                if let Some(table) = self.tables.get_mut(table) {
                    let table = Arc::make_mut(table);
                    table.segments.retain(|old| segments.iter().all(|new| new.id != old.id));
                    table.segments.extend(segments.iter().cloned().map(Arc::new));
                }
            }
            Change::RemoveSegments { table, ids } => {
                if let Some(table) = self.tables.get_mut(table) {
                    Arc::make_mut(table).segments.retain(|s| !ids.contains(&s.id));
                }
            }
            Change::Flushed { table, writer, through } => {
                self.last_sequence = self.last_sequence.max(*through);
                if let Some(table) = self.tables.get_mut(table) {
                    let mark = Arc::make_mut(table).flushed.entry(*writer).or_default();
                    *mark = (*mark).max(*through);
                }
            }
            Change::Numbers { tables, databases, sequence } => {
                self.next_table = self.next_table.max(*tables);
                self.next_database = self.next_database.max(*databases);
                self.last_sequence = self.last_sequence.max(*sequence);
            }
            Change::OpenWriter { writer, epoch, name, opened_ns } => {
                let opened = Writer { id: *writer, epoch: *epoch, name: name.as_str().into(), opened_ns: *opened_ns };
                self.writers.insert(*writer, Arc::new(opened));
            }
            Change::CloseWriter { writer, epoch } => {
                if self.writers.get(writer).is_some_and(|open| open.epoch == *epoch) {
                    self.writers.remove(writer);
                }
            }
            Change::Horizon { before_ms } => self.horizon_ms = self.horizon_ms.max(*before_ms),
            Change::PutDocument { collection, key, value } => {
                self.documents.put(collection, key, value.clone());
            }
            Change::DeleteDocument { collection, key } => {
                self.documents.remove(collection, key);
            }
        }
    }

    /// Steps that lead from nothing to this state: what a snapshot holds.
    pub fn as_changes(&self) -> Vec<Change> {
        let mut changes = vec![Change::Numbers {
            tables: self.next_table,
            databases: self.next_database,
            sequence: self.last_sequence,
        }];
        for database in self.databases.values() {
            changes.push(Change::CreateDatabase {
                tenant: database.tenant.to_string(),
                database: database.name.to_string(),
                ordinal: database.ordinal,
                precision: database.precision,
                policies: database.policies.clone(),
                default_policy: database.default_policy.to_string(),
            });
        }
        let mut tables: Vec<_> = self.tables.values().collect();
        tables.sort_by_key(|t| t.id);
        for table in tables {
            changes.push(Change::CreateTable {
                id: table.id,
                tenant: table.name.tenant.to_string(),
                database: table.name.database.to_string(),
                policy: table.name.policy.to_string(),
                table: table.name.table.to_string(),
                schema: (*table.schema).clone(),
                folder_with_id: table.folder_with_id,
                folder: (table.folder != table.name.table).then(|| table.folder.to_string()),
            });
            if !table.series.is_empty() {
                let series = table.series.values().map(|one| (**one).clone()).collect();
                changes.push(Change::PutSeries { table: table.id, series });
            }
            if !table.segments.is_empty() {
                let segments = table.segments.iter().map(|s| (**s).clone()).collect();
                changes.push(Change::AddSegments { table: table.id, segments });
            }
            for tombstone in &table.tombstones {
                changes.push(Change::AddTombstone { table: table.id, tombstone: (**tombstone).clone() });
            }
            for (writer, through) in &table.flushed {
                changes.push(Change::Flushed { table: table.id, writer: *writer, through: *through });
            }
        }
        if self.horizon_ms > 0 {
            changes.push(Change::Horizon { before_ms: self.horizon_ms });
        }
        for writer in self.writers.values() {
            changes.push(Change::OpenWriter {
                writer: writer.id,
                epoch: writer.epoch,
                name: writer.name.to_string(),
                opened_ns: writer.opened_ns,
            });
        }
        for (collection, key, value) in self.documents.iter() {
            changes.push(Change::PutDocument {
                collection: collection.to_string(),
                key: key.to_string(),
                value: (**value).clone(),
            });
        }
        changes
    }

    /// The state that a snapshot's steps lead to.
    pub fn from_changes(version: u64, changes: &[Change]) -> Self {
        let mut state = CatalogState { version, ..CatalogState::default() };
        for change in changes {
            state.apply(change);
        }
        state
    }
}
