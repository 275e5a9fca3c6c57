//! INSERT: values checked against what was declared, made into batches for the log and series for the registry.
//!
//! Everything is looked at before anything is written: one bad value refuses the statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use chrono_tz::Tz;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimestampNanosecondType};

use crate::catalog::{CatalogState, Change, Table};
use crate::model::{ColumnId, DeclaredType, FieldType, NamedSeries, SeriesKeys, TableBatch, TableId};

use super::ast::{InsertPart, InsertRows, InsertValue, MomentBase, TableName, Using};
use super::error::TdError;
use super::plan::OutputColumn;
use super::tables::{Databases, View, ViewColumn};
use super::values::{Moment, Stored};

/// What an INSERT comes to.
#[derive(Debug)]
pub struct Insertion {
    /// Series that are not there yet, by table.
    pub series: Vec<(TableId, Vec<NamedSeries>)>,
    pub batches: Vec<TableBatch>,
    /// Rows that were sent, which is what clients are told.
    pub rows: usize,
}

/// Plans the parts of an INSERT; rows of queries are values by now.
pub fn insertion(databases: &Databases<'_>, parts: &[InsertPart], now_ns: i64, zone: Tz) -> Result<Insertion, TdError> {
    let (tables, by_id, slots_of) = (Vec::new(), AHashMap::new(), AHashMap::new());
    let mut writer = Writer { databases, now_ns, zone, tables, by_id, slots_of, rows: 0 };
    for part in parts {
        writer.part(part)?;
    }
    let mut insertion = Insertion { series: Vec::new(), batches: Vec::new(), rows: writer.rows };
    for table in writer.tables {
        if !table.new_series.is_empty() {
            insertion.series.push((table.id, table.new_series.into_values().collect()));
        }
        insertion.batches.push(table.rows.into_batch(table.id));
    }
    Ok(insertion)
}

/// What registers the series of an insertion, in the catalog as it is by now: others may have made some of them, or given
/// their names to other tables. Errors: a table is gone, or a name stands for another table.
pub fn registration(state: &CatalogState, series: &[(TableId, Vec<NamedSeries>)]) -> Result<Vec<Change>, TdError> {
    let mut changes = Vec::new();
    let mut given = AHashSet::new();
    // A database may have many tables without series, and this runs while a commit waits.
    let mut with_series: AHashMap<_, Vec<&Arc<Table>>> = AHashMap::new();
    for (id, wanted) in series {
        let table = state.table(*id).ok_or(TdError::Super)?;
        let database = state.database(&table.name.tenant, &table.name.database).ok_or(TdError::Database)?;
        let policy = &*database.default_policy;
        let named = with_series.entry(database.ordinal);
        let named = named.or_insert_with(|| state.tables_with_series(database, policy).collect());
        let mut missing = Vec::new();
        for one in wanted {
            let name = one.name.as_str();
            if table.series.contains_key(name) {
                continue;
            }
            let taken = state.table_named(database, policy, name).is_some()
                || named.iter().any(|other| other.series.contains_key(name));
            if taken || !given.insert((database.ordinal, name)) {
                return Err(TdError::TableExists);
            }
            missing.push(one.clone());
        }
        if !missing.is_empty() {
            changes.push(Change::PutSeries { table: *id, series: missing });
        }
    }
    Ok(changes)
}

struct Writer<'a> {
    databases: &'a Databases<'a>,
    now_ns: i64,
    zone: Tz,
    tables: Vec<TableRows>,
    by_id: AHashMap<TableId, usize>,
    /// What names mean in a table: a statement may have a part for every row.
    slots_of: AHashMap<TableId, AHashMap<&'a str, Slot<'a>>>,
    rows: usize,
}

struct TableRows {
    id: TableId,
    new_series: BTreeMap<String, NamedSeries>,
    rows: Rows,
}

/// Where a value of a row goes.
#[derive(Clone, Copy)]
enum Slot<'a> {
    Time,
    SeriesName,
    Column(ViewColumn<'a>),
    Tag(ViewColumn<'a>),
}

impl<'a> Writer<'a> {
    fn part(&mut self, part: &InsertPart) -> Result<(), TdError> {
        let InsertRows::Values(rows) = &part.rows else {
            return Err(TdError::NotSupported("INSERT of rows that were not read".to_string()));
        };
        match &part.using {
            Some(using) => {
                let view = self.super_table(&using.table, part.table.database.as_deref())?;
                let name = &part.table.table;
                let existing = self.databases.table_in(view.database, name);
                match existing {
                    Some(found) if found.series.is_some() && found.table.id == view.table.id => {}
                    Some(_) => return Err(TdError::TableExists),
                    None => {
                        let series = new_series(&view, name, using, &self.moment(&view), self.now_ns)?;
                        self.table(view.table).new_series.entry(name.clone()).or_insert(series);
                    }
                }
                self.rows_of_series(view, Some(name), &part.columns, rows)
            }
            None => {
                let view = self.databases.table(&part.table)?;
                if !view.is_declared() {
                    return Err(TdError::Target);
                }
                if view.is_super() {
                    return self.rows_of_super(view, &part.columns, rows);
                }
                let name = view.series.map(|series| series.name.clone());
                self.rows_of_series(view, name.as_deref(), &part.columns, rows)
            }
        }
    }

    fn super_table(&self, name: &TableName, database: Option<&str>) -> Result<View<'a>, TdError> {
        let database = name.database.as_deref().or(database);
        let name = TableName { database: database.map(str::to_string), table: name.table.clone() };
        let view = self.databases.table(&name)?;
        if view.is_super() && view.is_declared() { Ok(view) } else { Err(TdError::Super) }
    }

    fn moment(&self, view: &View<'_>) -> Moment {
        Moment { now_ns: self.now_ns, zone: self.zone, precision: view.database.precision }
    }

    fn table(&mut self, table: &Arc<Table>) -> &mut TableRows {
        let next = self.tables.len();
        let at = *self.by_id.entry(table.id).or_insert(next);
        if at == next {
            self.tables.push(TableRows { id: table.id, new_series: BTreeMap::new(), rows: Rows::default() });
        }
        &mut self.tables[at]
    }

    /// Rows of one series or of a table without series.
    fn rows_of_series(
        &mut self,
        view: View<'a>,
        series: Option<&str>,
        columns: &Option<Vec<String>>,
        rows: &[Vec<InsertValue>],
    ) -> Result<(), TdError> {
        let slots = match columns {
            None => std::iter::once(Slot::Time).chain(view.columns().map(Slot::Column)).collect(),
            Some(names) => self.slots(&view, names, false)?,
        };
        let moment = self.moment(&view);
        let oldest = oldest(&view, self.now_ns);
        let name = view.table.schema.series_name_tag().map(|tag| tag.id);
        let target = &mut self.table(view.table).rows;
        let key = target.series(name.zip(series));
        for row in rows {
            if row.len() != slots.len() {
                return Err(TdError::Syntax(format!("{}", row.len())));
            }
            let time = time_of(&slots, row, &moment, oldest)?;
            target.begin(key, time);
            for (slot, value) in slots.iter().zip(row) {
                if let Slot::Column(column) = slot {
                    target.put(column, moment.stored(&column.column.name, column.kind, value)?);
                }
            }
        }
        self.rows += rows.len();
        Ok(())
    }

    /// Rows that say themselves which series they are of.
    fn rows_of_super(
        &mut self,
        view: View<'a>,
        columns: &Option<Vec<String>>,
        rows: &[Vec<InsertValue>],
    ) -> Result<(), TdError> {
        let Some(names) = columns else { return Err(TdError::Column("tbname".to_string())) };
        let slots = self.slots(&view, names, true)?;
        let Some(name_at) = slots.iter().position(|slot| matches!(slot, Slot::SeriesName)) else {
            return Err(TdError::Column("tbname".to_string()));
        };
        let (moment, now_ns) = (self.moment(&view), self.now_ns);
        let oldest = oldest(&view, now_ns);
        let databases = self.databases;
        let name_tag = view.table.schema.series_name_tag().map(|tag| tag.id);
        let target = self.table(view.table);
        for row in rows {
            if row.len() != slots.len() {
                return Err(TdError::Syntax(format!("{}", row.len())));
            }
            let InsertValue::Text(name) = &row[name_at] else { return Err(TdError::ValueType("tbname".to_string())) };
            check_table_name(name)?;
            if !view.table.series.contains_key(name.as_str()) && !target.new_series.contains_key(name) {
                if databases.table_in(view.database, name).is_some() {
                    return Err(TdError::TableExists);
                }
                let mut series = fresh(name, now_ns);
                for (slot, value) in slots.iter().zip(row) {
                    if let Slot::Tag(tag) = slot {
                        put_tag(&mut series, tag, value, &moment)?;
                    }
                }
                target.new_series.insert(name.clone(), series);
            }
            let time = time_of(&slots, row, &moment, oldest)?;
            let key = target.rows.series(name_tag.map(|id| (id, name.as_str())));
            target.rows.begin(key, time);
            for (slot, value) in slots.iter().zip(row) {
                if let Slot::Column(column) = slot {
                    target.rows.put(column, moment.stored(&column.column.name, column.kind, value)?);
                }
            }
        }
        self.rows += rows.len();
        Ok(())
    }

    /// Where the values of `names` go; rows of one series set no tags.
    fn slots(&mut self, view: &View<'a>, names: &[String], with_tags: bool) -> Result<Vec<Slot<'a>>, TdError> {
        let meant = self.slots_of.entry(view.table.id).or_insert_with(|| meanings(view));
        let mut known = AHashSet::with_capacity(names.len());
        let mut slots = Vec::with_capacity(names.len());
        for name in names {
            if !known.insert(name) {
                return Err(TdError::Duplicated(name.clone()));
            }
            match meant.get(name.as_str()) {
                Some(slot @ (Slot::Time | Slot::Column(_))) => slots.push(*slot),
                Some(slot) if with_tags => slots.push(*slot),
                _ => return Err(TdError::Column(name.clone())),
            }
        }
        if !slots.iter().any(|slot| matches!(slot, Slot::Time)) {
            return Err(TdError::Syntax("primary timestamp column can not be null".to_string()));
        }
        Ok(slots)
    }
}

/// What names mean in a table: its time before a column, that before the name of the series, that before a tag.
fn meanings<'a>(view: &View<'a>) -> AHashMap<&'a str, Slot<'a>> {
    let tags = view.tags().map(|tag| (tag.column.name.as_str(), Slot::Tag(tag)));
    let columns = view.columns().map(|column| (column.column.name.as_str(), Slot::Column(column)));
    tags.chain([("tbname", Slot::SeriesName)]).chain(columns).chain([(view.time_name(), Slot::Time)]).collect()
}

/// The first time that the database keeps.
fn oldest(view: &View<'_>, now_ns: i64) -> Option<i64> {
    let policy = view.database.policy(&view.database.default_policy)?;
    (policy.duration_ns > 0).then(|| now_ns.saturating_sub(policy.duration_ns))
}

fn time_of(slots: &[Slot<'_>], row: &[InsertValue], moment: &Moment, oldest: Option<i64>) -> Result<i64, TdError> {
    let at = slots.iter().position(|slot| matches!(slot, Slot::Time)).unwrap_or(0);
    let time = moment.time(&row[at])?;
    let time = time.ok_or(TdError::Syntax("primary timestamp column can not be null".to_string()))?;
    if oldest.is_some_and(|oldest| time < oldest) {
        return Err(TdError::TimeRange);
    }
    Ok(time)
}

fn fresh(name: &str, now_ns: i64) -> NamedSeries {
    NamedSeries { name: name.to_string(), tags: BTreeMap::new(), created_ns: now_ns, comment: None, ttl_days: 0 }
}

/// The name of a table: at most 192 bytes, and something that a tag may hold.
pub(super) fn check_table_name(name: &str) -> Result<(), TdError> {
    if name.is_empty() || name.len() > 192 || name.contains('.') {
        return Err(TdError::Syntax(name.to_string()));
    }
    Ok(())
}

/// A series that does not exist yet, with the tags that `using` gives it.
pub(super) fn new_series(
    view: &View<'_>,
    name: &str,
    using: &Using,
    moment: &Moment,
    now_ns: i64,
) -> Result<NamedSeries, TdError> {
    check_table_name(name)?;
    let tags: Vec<ViewColumn<'_>> = match &using.tag_names {
        None => view.tags().collect(),
        Some(names) => {
            let tag = |name: &String| view.tag(name).ok_or_else(|| TdError::TagName(name.clone()));
            names.iter().map(tag).collect::<Result<_, _>>()?
        }
    };
    if tags.len() != using.tags.len() {
        return Err(TdError::TagCount);
    }
    let mut series = fresh(name, now_ns);
    for (tag, value) in tags.iter().zip(&using.tags) {
        put_tag(&mut series, tag, value, moment)?;
    }
    Ok(series)
}

/// Sets one tag of a series, or takes it away.
pub(super) fn put_tag(
    series: &mut NamedSeries,
    tag: &ViewColumn<'_>,
    value: &InsertValue,
    moment: &Moment,
) -> Result<(), TdError> {
    let text = match moment.stored(&tag.column.name, tag.kind, value)? {
        Stored::Null => None,
        Stored::Bool(value) => Some(value.to_string()),
        Stored::Integer(value) => Some(value.to_string()),
        Stored::Unsigned(value) => Some(value.to_string()),
        Stored::Float(value) => Some(value.to_string()),
        Stored::Text(text) if text.is_empty() && tag.kind == DeclaredType::Json => None,
        Stored::Text(text) => Some(text),
    };
    match text {
        Some(text) => series.tags.insert(tag.column.id.0, text),
        None => series.tags.remove(&tag.column.id.0),
    };
    Ok(())
}

/// Rows of one table in the making.
#[derive(Default)]
struct Rows {
    keys: SeriesKeys,
    key_of: AHashMap<String, u32>,
    plain_key: Option<u32>,
    row_series: Vec<u32>,
    times: Vec<i64>,
    columns: BTreeMap<ColumnId, (FieldType, Vec<Stored>)>,
}

impl Rows {
    /// The number of the series with this name under the tag of this id; of the only one when there is none.
    fn series(&mut self, name: Option<(ColumnId, &str)>) -> u32 {
        let Some((id, name)) = name else {
            return *self.plain_key.get_or_insert_with(|| self.keys.push([]));
        };
        if let Some(&key) = self.key_of.get(name) {
            return key;
        }
        let key = self.keys.push([(id.0, name)]);
        self.key_of.insert(name.to_string(), key);
        key
    }

    fn begin(&mut self, series: u32, time: i64) {
        self.row_series.push(series);
        self.times.push(time);
    }

    fn put(&mut self, column: &ViewColumn<'_>, value: Stored) {
        let row = self.times.len() - 1;
        let stored = column.column.field_type.unwrap_or_else(|| column.kind.stored());
        let (_, values) = self.columns.entry(column.column.id).or_insert_with(|| (stored, Vec::new()));
        values.resize(row, Stored::Null);
        values.push(value);
    }

    fn into_batch(self, table: TableId) -> TableBatch {
        let rows = self.times.len();
        let fields = self.columns.into_iter().map(|(id, (stored, mut values))| {
            values.resize(rows, Stored::Null);
            (id, array(stored, values))
        });
        let fields = fields.collect();
        TableBatch { table, series: self.keys, row_series: self.row_series, times: self.times, fields }
    }
}

fn array(stored: FieldType, values: Vec<Stored>) -> ArrayRef {
    match stored {
        FieldType::Boolean => {
            let one = |value| if let Stored::Bool(value) = value { Some(value) } else { None };
            Arc::new(values.into_iter().map(one).collect::<BooleanArray>())
        }
        FieldType::Integer => {
            let one = |value| if let Stored::Integer(value) = value { Some(value) } else { None };
            Arc::new(values.into_iter().map(one).collect::<Int64Array>())
        }
        FieldType::Unsigned => {
            let one = |value| if let Stored::Unsigned(value) = value { Some(value) } else { None };
            Arc::new(values.into_iter().map(one).collect::<UInt64Array>())
        }
        FieldType::Float => {
            let one = |value| if let Stored::Float(value) = value { Some(value) } else { None };
            Arc::new(values.into_iter().map(one).collect::<Float64Array>())
        }
        FieldType::String => {
            let one = |value| if let Stored::Text(value) = value { Some(value) } else { None };
            Arc::new(values.into_iter().map(one).collect::<StringArray>())
        }
    }
}

/// The rows of a query as values of an INSERT.
pub fn query_rows(columns: &[OutputColumn], rows: &RecordBatch) -> Result<Vec<Vec<InsertValue>>, TdError> {
    let mut all: Vec<Vec<InsertValue>> = (0..rows.num_rows()).map(|_| Vec::with_capacity(columns.len())).collect();
    for (at, column) in columns.iter().enumerate() {
        let array = rows.column(at);
        if column.kind == Some(DeclaredType::Timestamp) {
            let times = array.as_primitive::<TimestampNanosecondType>();
            for (row, time) in all.iter_mut().zip(times) {
                // A time says its unit itself.
                let text = |time| MomentBase::Text(super::time::rfc3339(time, crate::model::Precision::Ns, Tz::UTC));
                row.push(time.map_or(InsertValue::Null, |t| InsertValue::Moment { base: text(t), shifts: Vec::new() }));
            }
            continue;
        }
        let texts = cast(array, &DataType::Utf8)
            .map_err(|error| TdError::Query(datafusion::common::DataFusionError::from(error).into()))?;
        let hex = matches!(column.kind, Some(DeclaredType::Varbinary(_)));
        for (row, text) in all.iter_mut().zip(texts.as_string::<i32>()) {
            row.push(match text {
                None => InsertValue::Null,
                Some(text) if hex => InsertValue::Text(format!("\\x{text}")),
                Some(text) => InsertValue::Text(text.to_string()),
            });
        }
    }
    debug_assert!(
        all.iter().all(|row| row.len() == columns.len()) && rows.columns().iter().all(|c| c.len() == all.len())
    );
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Readable;
    use crate::query::tdsql::{Statement, change, parse};

    fn databases<'a>(state: &'a CatalogState, visible: &'a Readable) -> Databases<'a> {
        Databases { state, tenant: "cnosdb", default: Some("d"), visible }
    }

    /// The series that an INSERT makes in a state.
    fn series(state: &CatalogState, text: &str) -> Vec<(TableId, Vec<NamedSeries>)> {
        let Statement::Insert(insert) = parse(text).unwrap() else { panic!("{text}") };
        insertion(&databases(state, &Readable::All), &insert.parts, 0, Tz::UTC).unwrap().series
    }

    fn apply(state: &mut CatalogState, changes: &[Change]) {
        changes.iter().for_each(|change| state.apply(change));
    }

    fn state(statements: &[&str]) -> CatalogState {
        let mut state = CatalogState::initial();
        for text in statements {
            let statement = parse(text).unwrap();
            let changes = change(&databases(&state, &Readable::All), &statement, 0, Tz::UTC).unwrap().unwrap();
            apply(&mut state, &changes);
        }
        state
    }

    #[test]
    fn names_of_columns_mean_the_same_in_each_part() {
        let state = state(&["create database d", "create stable m (ts timestamp, v int, w int) tags (k int)"]);
        let of_super = "m (tbname, ts, k, v) values ('x', 1, 5, 2)";
        let of_series = "y using m tags (1) (w, ts) values (3, 4)";
        let with_tag = "y using m tags (1) (k, ts) values (3, 4)";
        let with_name = "y using m tags (1) (tbname, ts) values ('y', 4)";
        let rows = |parts: &[&str]| {
            let Statement::Insert(insert) = parse(&format!("insert into {}", parts.join(" "))).unwrap() else {
                panic!("{parts:?}")
            };
            insertion(&databases(&state, &Readable::All), &insert.parts, 0, Tz::UTC).map(|made| made.rows)
        };
        assert_eq!(rows(&[of_super, of_series, of_super, of_series]).unwrap(), 4);
        for refused in [with_tag, with_name] {
            for parts in [&[refused][..], &[of_super, refused], &[of_series, refused]] {
                assert!(matches!(rows(parts), Err(TdError::Column(_))), "{parts:?}");
            }
        }
    }

    #[test]
    fn a_name_is_registered_once_in_its_database() {
        let mut state = state(&[
            "create database d",
            "create database e",
            "create stable d.m (ts timestamp, v int) tags (k int)",
            "create stable d.n (ts timestamp, v int) tags (k int)",
            "create stable e.m (ts timestamp, v int) tags (k int)",
        ]);
        let of_m = series(&state, "insert into x using m tags (1) values (1, 1)");
        let of_n = series(&state, "insert into x using n tags (2) values (1, 1)");
        let elsewhere = series(&state, "insert into e.x using e.m tags (3) values (1, 1)");
        let both = series(&state, "insert into y using m tags (1) values (1, 1) y using n tags (2) values (1, 1)");
        let made = registration(&state, &of_m).unwrap();
        assert_eq!(made.len(), 1);
        apply(&mut state, &made);
        // The answer of a commit may be lost: what is there already is nothing to do.
        assert_eq!(registration(&state, &of_m).unwrap(), []);
        for taken in [of_n, both] {
            assert!(matches!(registration(&state, &taken), Err(TdError::TableExists)));
        }
        assert_eq!(registration(&state, &elsewhere).unwrap().len(), 1);
    }
}
