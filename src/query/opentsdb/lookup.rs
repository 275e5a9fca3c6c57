//! Names and series that are there: what completion, look-ups and TSUIDs ask for.
//!
//! Metrics and tag keys are in the catalog. Series, and so tag values, are kept a segment (which never changes) once they were
//! looked for, and come from the buffer's own list for rows that are in no segment yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::Table;
use crate::model::metric::{VALUE_FIELD, VALUE_INT_FIELD};
use crate::model::{ColumnKind, FieldType};
use crate::query::QueryError;
use crate::query::influxql::show::series::{Bounds, TagSets, tag_sets};
use crate::query::session::{QueryEngine, QueryScope, QuerySession};

use super::answer::TagSet;
use super::execute::{Asker, LANGUAGE};
use super::resolve::numbers;

/// A series of a metric; its tags sorted by key, without those it lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundSeries {
    pub metric: Arc<str>,
    pub tags: TagSet,
}

/// What a look-up wants of a series: a tag with this key and this value, where they are given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedTag {
    pub key: Option<String>,
    pub value: Option<String>,
}

/// A look-up that finds nothing because it names something that was never written.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    #[error("no such name for '{kind}': '{name}'")]
    NoSuchName { kind: &'static str, name: String },
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl QueryEngine {
    /// Names of metrics that begin with `prefix`, in the order of their bytes: tables of the metrics' database, and what else can be asked
    /// for by name: `table.field` for numbers of other tables.
    pub fn opentsdb_metrics(&self, asker: &Asker, prefix: &str) -> BTreeSet<String> {
        let state = self.state();
        let mut names = BTreeSet::new();
        for database in asker.metrics(&state).databases() {
            for table in state.tables_of(database, &database.default_policy) {
                let name = &*table.name.table;
                // Neither the name nor what is longer begins with it.
                if !name.starts_with(prefix) && !prefix.starts_with(name) {
                    continue;
                }
                let is_metric = numbers(table, VALUE_FIELD).is_some();
                if is_metric && name.starts_with(prefix) {
                    names.insert(name.to_string());
                }
                let of_metric = |field: &str| is_metric && (field == VALUE_FIELD || field == VALUE_INT_FIELD);
                let fields = table.schema.columns.iter().filter(|column| {
                    column.kind == ColumnKind::Field
                        && !matches!(column.field_type, None | Some(FieldType::String))
                        && !of_metric(&column.name)
                });
                let named = fields.map(|column| format!("{name}.{}", column.name));
                names.extend(named.filter(|name| name.starts_with(prefix)));
            }
        }
        names
    }

    /// Keys of tags that begin with `prefix`.
    pub fn opentsdb_tagks(&self, asker: &Asker, prefix: &str) -> BTreeSet<String> {
        let state = self.state();
        let mut keys = BTreeSet::new();
        for database in asker.metrics(&state).databases() {
            for table in state.tables_of(database, &database.default_policy) {
                let of_table = table.schema.tags().filter(|tag| tag.name.starts_with(prefix));
                for tag in of_table {
                    if !keys.contains(&tag.name) {
                        keys.insert(tag.name.clone());
                    }
                }
            }
        }
        keys
    }

    /// Values that tags of metrics have and that begin with `prefix`.
    pub async fn opentsdb_tagvs(&self, asker: &Asker, prefix: &str) -> Result<BTreeSet<String>, QueryError> {
        let mut look = Look::new(self, asker).await?;
        let mut values = BTreeSet::new();
        for table in look.all_metrics() {
            let sets = look.tag_sets(&table).await?;
            for tag in table.schema.tags() {
                let of_tag = sets.values(&tag.name).into_iter().filter(|value| value.starts_with(prefix));
                values.extend(of_tag);
            }
        }
        Ok(values)
    }

    /// Those of `names` that no tag of a metric has as its value.
    pub async fn opentsdb_unknown_tagvs(
        &self,
        asker: &Asker,
        mut names: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, QueryError> {
        Look::new(self, asker).await?.remove_known_tagvs(&mut names).await?;
        Ok(names)
    }

    /// Whether there is a series of this metric with these tags and no others.
    pub async fn opentsdb_has_series(&self, asker: &Asker, metric: &str, tags: &TagSet) -> Result<bool, QueryError> {
        let mut look = Look::new(self, asker).await?;
        let Ok(table) = look.named(metric) else { return Ok(false) };
        if tags.iter().any(|(key, _)| table.schema.find(key, ColumnKind::Tag).is_none()) {
            return Ok(false);
        }
        let sets = look.tag_sets(&table).await?;
        let value_of = |name: &str| tags.iter().find(|(key, _)| **key == *name).map_or("", |(_, value)| value);
        let columns: Vec<(&str, Vec<&str>)> =
            table.schema.tags().map(|tag| (value_of(&tag.name), sets.texts(&tag.name))).collect();
        Ok((0..sets.rows).any(|row| columns.iter().all(|(value, values)| values[row] == *value)))
    }

    /// Series of a metric, or of every metric, that have all of the tags wanted; `limit` at most, by name.
    pub async fn opentsdb_series(
        &self,
        asker: &Asker,
        metric: Option<&str>,
        wanted: &[WantedTag],
        limit: usize,
    ) -> Result<Vec<FoundSeries>, LookupError> {
        let mut look = Look::new(self, asker).await?;
        let tables: Vec<(Arc<str>, Arc<Table>)> = match metric {
            Some(metric) => vec![(Arc::from(metric), look.named(metric)?)],
            None => look.all_metrics().into_iter().map(|table| (table.name.table.clone(), table)).collect(),
        };
        let wanted_keys: BTreeSet<&str> = wanted.iter().filter_map(|tag| tag.key.as_deref()).collect();
        for key in wanted_keys {
            look.check_tagk(key)?;
        }
        let mut found = Vec::new();
        for (metric, table) in tables {
            let known = |key: &String| table.schema.find(key, ColumnKind::Tag).is_some();
            if !wanted.iter().filter_map(|tag| tag.key.as_ref()).all(known) {
                continue;
            }
            let sets = look.tag_sets(&table).await?;
            found.extend(matching(&metric, &table, &sets, wanted, limit.saturating_sub(found.len())));
            if found.len() >= limit {
                break;
            }
        }
        if found.is_empty() {
            let mut unknown: BTreeSet<String> = wanted.iter().filter_map(|tag| tag.value.clone()).collect();
            look.remove_known_tagvs(&mut unknown).await?;
            if let Some(name) = unknown.pop_first() {
                return Err(LookupError::NoSuchName { kind: "tagv", name });
            }
        }
        Ok(found)
    }
}

/// The series of one table that have the tags wanted.
fn matching(metric: &Arc<str>, table: &Table, sets: &TagSets, wanted: &[WantedTag], limit: usize) -> Vec<FoundSeries> {
    let mut keys: Vec<Arc<str>> = table.schema.tags().map(|tag| Arc::from(tag.name.as_str())).collect();
    keys.sort_unstable();
    let mut wanted: Vec<&WantedTag> = wanted.iter().collect();
    wanted.sort_unstable();
    wanted.dedup();
    // Of each kind of tag (key and value, key, value) a series has one a key at most; and whatever is open on both sides is one more.
    if wanted.len() > 3 * keys.len() + 1 {
        return Vec::new();
    }
    let columns: Vec<(Arc<str>, Vec<&str>)> = keys.into_iter().map(|key| (key.clone(), sets.texts(&key))).collect();
    let has = |row: usize, tag: &WantedTag| {
        columns.iter().any(|(key, values)| {
            let value = values[row];
            tag.key.as_deref().is_none_or(|wanted| wanted == &**key)
                && !value.is_empty()
                && tag.value.as_deref().is_none_or(|wanted| wanted == value)
        })
    };
    let rows = (0..sets.rows).filter(|row| wanted.iter().all(|tag| has(*row, tag)));
    let mut texts = BTreeMap::<&str, Arc<str>>::new();
    let series = |row: usize| {
        let tags = columns.iter().map(|(key, values)| (key, values[row])).filter(|(_, value)| !value.is_empty());
        let tags = tags.map(|(key, value)| (key.clone(), texts.entry(value).or_insert_with(|| value.into()).clone()));
        FoundSeries { metric: metric.clone(), tags: tags.collect() }
    };
    let mut found: Vec<FoundSeries> = rows.map(series).collect();
    found.sort_unstable();
    found.truncate(limit);
    found
}

/// One look at the names, in one session.
struct Look<'a> {
    engine: &'a QueryEngine,
    asker: &'a Asker,
    session: QuerySession,
}

impl<'a> Look<'a> {
    async fn new(engine: &'a QueryEngine, asker: &'a Asker) -> Result<Self, QueryError> {
        let scope =
            QueryScope { tenant: asker.tenant.clone(), database: asker.database.clone(), target_partitions: None };
        let session = engine.session(LANGUAGE, &scope).await?;
        Ok(Look { engine, asker, session })
    }

    fn all_metrics(&self) -> Vec<Arc<Table>> {
        let state = self.session.names().state.clone();
        self.asker.metrics(&state).metrics().cloned().collect()
    }

    fn named(&self, metric: &str) -> Result<Arc<Table>, LookupError> {
        let state = self.session.names().state.clone();
        let unknown = || LookupError::NoSuchName { kind: "metrics", name: metric.to_string() };
        Ok(self.asker.metrics(&state).find(metric).ok_or_else(unknown)?.table)
    }

    async fn tag_sets(&mut self, table: &Arc<Table>) -> Result<TagSets, QueryError> {
        tag_sets(&mut self.session, self.engine, std::slice::from_ref(table), Bounds::ALL).await
    }

    fn check_tagk(&self, key: &str) -> Result<(), LookupError> {
        match self.engine.opentsdb_tagks(self.asker, key).contains(key) {
            true => Ok(()),
            false => Err(LookupError::NoSuchName { kind: "tagk", name: key.to_string() }),
        }
    }

    /// Leaves the values that no tag of any metric has.
    async fn remove_known_tagvs(&mut self, unknown: &mut BTreeSet<String>) -> Result<(), QueryError> {
        for table in self.all_metrics() {
            if unknown.is_empty() {
                return Ok(());
            }
            let sets = self.tag_sets(&table).await?;
            for tag in table.schema.tags() {
                for value in sets.values(&tag.name) {
                    unknown.remove(&value);
                }
            }
        }
        Ok(())
    }
}
