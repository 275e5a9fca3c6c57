//! Statements that change databases and tables, as steps of the catalog.

use std::collections::BTreeMap;

use crate::catalog::databases::policy;
use crate::catalog::{CatalogState, Change, Delete};
use crate::model::{
    ColumnKind, Declaration, DeclaredForm, DeclaredType, NamedSeries, RowIdentity, SERIES_NAME_TAG, SeriesFilter,
    TableId, TableSchema,
};

use super::ast::{
    ColumnDefinition, CreateDatabase, CreateSeries, CreateTable, DatabaseOption, Statement, TableChange, TableName,
};
use super::error::TdError;
use super::insert::{check_table_name, new_series, put_tag};
use super::options::Options;
use super::tables::{Databases, View, is_system};
use super::values::Moment;

/// Most columns and tags of one table.
pub(super) const COLUMNS_MAX: usize = 4096;
pub const TAGS_MAX: usize = 128;
const NAME_BYTES_MAX: usize = 64;

type Changes = Result<Vec<Change>, TdError>;

/// The steps that a statement asks for, in the catalog as it is. `None`: it is no such statement.
pub fn change(databases: &Databases<'_>, statement: &Statement, now_ns: i64, zone: chrono_tz::Tz) -> Option<Changes> {
    let at = At { databases, now_ns, zone };
    Some(match statement {
        Statement::CreateDatabase(create) => at.create_database(create),
        Statement::AlterDatabase { name, options } => at.alter_database(name, options),
        Statement::DropDatabase { name, if_exists } => at.drop_database(name, *if_exists),
        Statement::CreateTable(create) => at.create_table(create),
        Statement::CreateSeries(all) => at.create_series(all),
        Statement::AlterTable { table, change } => at.alter_table(table, change),
        _ => return None,
    })
}

/// What a DROP TABLE comes to.
#[derive(Debug, Default)]
pub struct Dropping {
    pub changes: Vec<Change>,
    /// Rows of series that go: they must be in segments first.
    pub deletes: Vec<Delete>,
}

pub fn dropping(
    databases: &Databases<'_>,
    tables: &[(TableName, bool)],
    supers_only: bool,
) -> Result<Dropping, TdError> {
    let mut dropping = Dropping::default();
    let mut series: BTreeMap<TableId, Vec<String>> = BTreeMap::new();
    for (name, if_exists) in tables {
        let found = match databases.table(name) {
            Ok(found) => found,
            Err(TdError::Table(_)) if *if_exists => continue,
            Err(TdError::Table(_)) if supers_only => return Err(TdError::Super),
            Err(error) => return Err(error),
        };
        if supers_only && !found.is_super() {
            return Err(TdError::Super);
        }
        match found.series {
            Some(one) => series.entry(found.table.id).or_default().push(one.name.clone()),
            None => dropping.changes.push(Change::DropTable { table: found.table.id }),
        }
    }
    for (table, names) in series {
        let equal = |name: &String| SeriesFilter::Equal { tag: SERIES_NAME_TAG.to_string(), value: name.clone() };
        let series = SeriesFilter::Any(names.iter().map(equal).collect());
        dropping.deletes.push(Delete { table, time_min_ns: i64::MIN, time_max_ns: i64::MAX, series });
        dropping.changes.push(Change::DropSeries { table, names });
    }
    Ok(dropping)
}

struct At<'a> {
    databases: &'a Databases<'a>,
    now_ns: i64,
    zone: chrono_tz::Tz,
}

impl<'a> At<'a> {
    fn state(&self) -> &'a CatalogState {
        self.databases.state
    }

    fn create_database(&self, create: &CreateDatabase) -> Changes {
        let options = Options::of(&create.options)?;
        if is_system(&create.name) {
            return Err(TdError::DatabaseExists);
        }
        if create.name.is_empty() || create.name.len() > NAME_BYTES_MAX || create.name.contains(['.', '/', '\\']) {
            return Err(TdError::Syntax(create.name.clone()));
        }
        if self.state().database(self.databases.tenant, &create.name).is_some() {
            return if create.if_not_exists { Ok(Vec::new()) } else { Err(TdError::DatabaseExists) };
        }
        let ordinal = self.state().next_database_ordinal();
        let policy = policy(None, options.keep_ns()?, None, 1);
        let create = Change::CreateDatabase {
            tenant: self.databases.tenant.to_string(),
            database: create.name.clone(),
            ordinal,
            precision: options.precision()?,
            default_policy: policy.name.clone(),
            policies: vec![policy],
        };
        Ok(vec![create, options.put(ordinal)])
    }

    fn alter_database(&self, name: &str, options: &[DatabaseOption]) -> Changes {
        let database = self.databases.database(name)?;
        let newer = Options::of(options)?;
        if newer.has("precision") {
            return Err(TdError::Option("precision cannot be changed".to_string()));
        }
        let mut changes = Vec::new();
        if newer.has("keep") {
            let mut policies = database.policies.clone();
            for changed in policies.iter_mut().filter(|policy| *policy.name == *database.default_policy) {
                changed.duration_ns = newer.keep_ns()?;
            }
            changes.push(Change::SetPolicies {
                tenant: database.tenant.to_string(),
                database: database.name.to_string(),
                policies,
                default_policy: database.default_policy.to_string(),
            });
        }
        changes.push(Options::stored(self.state(), database).with(newer).put(database.ordinal));
        Ok(changes)
    }

    fn drop_database(&self, name: &str, if_exists: bool) -> Changes {
        if is_system(name) {
            return Err(TdError::Target);
        }
        match self.databases.database(name) {
            Ok(database) => Ok(vec![
                Options::forget(database.ordinal),
                Change::DropDatabase { tenant: database.tenant.to_string(), database: database.name.to_string() },
            ]),
            Err(_) if if_exists => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn create_table(&self, create: &CreateTable) -> Changes {
        let name = self.databases.database_of(&create.table)?;
        if is_system(name) {
            return Err(TdError::Target);
        }
        let database = self.databases.database(name)?;
        let schema = declared(create, self.now_ns)?;
        check_table_name(&create.table.table)?;
        if let Some(existing) = self.databases.table_in(database, &create.table.table) {
            let exists = if existing.is_super() { TdError::SuperExists } else { TdError::TableExists };
            return if create.if_not_exists { Ok(Vec::new()) } else { Err(exists) };
        }
        let policy = database.default_policy.to_string();
        Ok(vec![Change::CreateTable {
            id: self.state().next_table_id(),
            tenant: database.tenant.to_string(),
            database: database.name.to_string(),
            folder_with_id: self.state().has_case_twin(database, &policy, &create.table.table),
            folder: None,
            policy,
            table: create.table.table.clone(),
            schema,
        }])
    }

    fn create_series(&self, all: &[CreateSeries]) -> Changes {
        let mut made: BTreeMap<TableId, BTreeMap<String, NamedSeries>> = BTreeMap::new();
        for create in all {
            let database = create.using.table.database.clone().or_else(|| create.table.database.clone());
            let of = TableName { database, table: create.using.table.table.clone() };
            let view = match self.databases.table(&of) {
                Ok(view) => view,
                Err(TdError::Table(_)) => return Err(TdError::Super),
                Err(error) => return Err(error),
            };
            if !view.is_super() || !view.is_declared() {
                return Err(TdError::Super);
            }
            let moment = self.moment(&view);
            let mut series = new_series(&view, &create.table.table, &create.using, &moment, self.now_ns)?;
            create.options.apply(&mut series.comment, &mut series.ttl_days);
            let taken = self.databases.table_in(view.database, &create.table.table).is_some();
            if taken && !create.if_not_exists {
                return Err(TdError::TableExists);
            }
            if !taken {
                made.entry(view.table.id).or_default().entry(create.table.table.clone()).or_insert(series);
            }
        }
        let put = |(table, series): (TableId, BTreeMap<String, NamedSeries>)| Change::PutSeries {
            table,
            series: series.into_values().collect(),
        };
        Ok(made.into_iter().map(put).collect())
    }

    fn moment(&self, view: &View<'_>) -> Moment {
        Moment { now_ns: self.now_ns, zone: self.zone, precision: view.database.precision }
    }

    fn alter_table(&self, name: &TableName, change: &TableChange) -> Changes {
        let view = self.databases.table(name)?;
        if !view.is_declared() {
            return Err(TdError::Target);
        }
        if let TableChange::SetTags(tags) = change {
            return self.set_tags(&view, tags);
        }
        if let (TableChange::Options(options), Some(series)) = (change, view.series) {
            let mut series = (**series).clone();
            options.apply(&mut series.comment, &mut series.ttl_days);
            return Ok(vec![Change::PutSeries { table: view.table.id, series: vec![series] }]);
        }
        if view.series.is_some() {
            return Err(TdError::Target);
        }
        let mut schema = (*view.table.schema).clone();
        apply(&view, &mut schema, change)?;
        Ok(vec![Change::SetSchema { table: view.table.id, schema }])
    }

    fn set_tags(&self, view: &View<'_>, tags: &[(String, super::ast::InsertValue)]) -> Changes {
        let Some(series) = view.series else { return Err(TdError::Target) };
        let mut series = (**series).clone();
        for (name, value) in tags {
            let tag = view.tag(name).ok_or_else(|| TdError::TagName(name.clone()))?;
            put_tag(&mut series, &tag, value, &self.moment(view))?;
        }
        Ok(vec![Change::PutSeries { table: view.table.id, series: vec![series] }])
    }
}

/// The schema that a CREATE TABLE declares.
fn declared(create: &CreateTable, now_ns: i64) -> Result<TableSchema, TdError> {
    let (time, columns) = match &create.columns[..] {
        [first, rest @ ..] if first.kind == DeclaredType::Timestamp => (first, rest),
        _ => return Err(TdError::FirstColumn),
    };
    if columns.is_empty() {
        return Err(TdError::ColumnCount);
    }
    let tags = create.tags.as_deref().unwrap_or_default();
    if create.columns.len() + tags.len() > COLUMNS_MAX || tags.len() > TAGS_MAX {
        return Err(TdError::ColumnCount);
    }
    let all: Vec<&ColumnDefinition> = create.columns.iter().chain(tags).collect();
    for (at, column) in all.iter().enumerate() {
        check_column_name(&column.name)?;
        if all[..at].iter().any(|before| before.name == column.name) {
            return Err(TdError::Duplicated(column.name.clone()));
        }
    }
    if columns.iter().any(|column| column.kind == DeclaredType::Json) {
        return Err(TdError::JsonColumn);
    }
    if tags.len() > 1 && tags.iter().any(|tag| tag.kind == DeclaredType::Json) {
        return Err(TdError::OneJsonTag);
    }
    let form = if create.tags.is_some() { DeclaredForm::NamedSeries } else { DeclaredForm::Plain };
    let mut schema = TableSchema::new(RowIdentity::Series);
    let mut declaration =
        Declaration { form, time_name: time.name.clone(), created_ns: now_ns, comment: None, ttl_days: 0 };
    create.options.apply(&mut declaration.comment, &mut declaration.ttl_days);
    schema.declaration = Some(declaration);
    if form == DeclaredForm::NamedSeries {
        schema.add(SERIES_NAME_TAG, ColumnKind::Tag, None);
    }
    for tag in tags {
        schema.declare_tag(&tag.name, tag.kind);
    }
    for column in columns {
        schema.declare_field(&column.name, column.kind);
    }
    Ok(schema)
}

/// Whether a table has as many columns as it may: its time is one of them, the name of its series is none.
pub(super) fn is_full(schema: &TableSchema) -> bool {
    let names = usize::from(schema.series_name_tag().is_some());
    schema.columns.len() + 1 >= COLUMNS_MAX + names
}

fn check_column_name(name: &str) -> Result<(), TdError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name == SERIES_NAME_TAG {
        return Err(TdError::Column(name.to_string()));
    }
    Ok(())
}

fn apply(view: &View<'_>, schema: &mut TableSchema, change: &TableChange) -> Result<(), TdError> {
    let taken = |name: &str| name == view.time_name() || view.column(name).is_some() || view.tag(name).is_some();
    let free = |name: &str| {
        check_column_name(name)?;
        if taken(name) { Err(TdError::Duplicated(name.to_string())) } else { Ok(()) }
    };
    let column = |name: &str| view.column(name).ok_or_else(|| TdError::Column(name.to_string()));
    let tag = |name: &str| match view.tag(name) {
        Some(tag) => Ok(tag),
        None => Err(TdError::TagName(name.to_string())),
    };
    let widen = |schema: &mut TableSchema, of: super::tables::ViewColumn<'_>, to: DeclaredType| {
        let wider = to.length() > of.kind.length() && of.kind.with_length(0) == to.with_length(0);
        if of.kind.length().is_none() || !wider {
            return Err(TdError::ModifyLength);
        }
        if let Some(column) = schema.columns.iter_mut().find(|column| column.id == of.column.id) {
            column.declared = Some(to);
        }
        Ok(())
    };
    match change {
        TableChange::AddColumn(definition) => {
            free(&definition.name)?;
            if definition.kind == DeclaredType::Json {
                return Err(TdError::JsonColumn);
            }
            if is_full(schema) {
                return Err(TdError::ColumnCount);
            }
            schema.declare_field(&definition.name, definition.kind);
        }
        TableChange::DropColumn(name) if name == view.time_name() => return Err(TdError::DropTime),
        TableChange::DropColumn(name) => {
            let dropped = column(name)?;
            if view.columns().count() <= 1 {
                return Err(TdError::ColumnCount);
            }
            schema.remove(dropped.column.id);
        }
        TableChange::ModifyColumn(definition) => widen(schema, column(&definition.name)?, definition.kind)?,
        TableChange::RenameColumn { from, to } => {
            if !view.is_plain() {
                return Err(TdError::Target);
            }
            free(to)?;
            match (&mut schema.declaration, from == view.time_name()) {
                (Some(declaration), true) => declaration.time_name.clone_from(to),
                _ => schema.rename_column(column(from)?.column.id, to),
            }
        }
        TableChange::AddTag(definition) => {
            if !view.is_super() {
                return Err(TdError::Target);
            }
            free(&definition.name)?;
            if definition.kind == DeclaredType::Json || view.tags().any(|tag| tag.kind == DeclaredType::Json) {
                return Err(TdError::OneJsonTag);
            }
            if is_full(schema) || view.tags().count() >= TAGS_MAX {
                return Err(TdError::ColumnCount);
            }
            schema.declare_tag(&definition.name, definition.kind);
        }
        TableChange::DropTag(name) => {
            let dropped = tag(name)?;
            if view.tags().count() <= 1 {
                return Err(TdError::ColumnCount);
            }
            schema.remove(dropped.column.id);
        }
        TableChange::ModifyTag(definition) => widen(schema, tag(&definition.name)?, definition.kind)?,
        TableChange::RenameTag { from, to } => {
            let renamed = tag(from)?;
            free(to)?;
            schema.rename_column(renamed.column.id, to);
        }
        TableChange::Options(options) => {
            if let Some(declaration) = &mut schema.declaration {
                options.apply(&mut declaration.comment, &mut declaration.ttl_days);
            }
        }
        TableChange::SetTags(_) => return Err(TdError::Target),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Readable;
    use crate::query::tdsql::parse;

    /// Carries out a statement in database `d`.
    #[track_caller]
    fn run(state: &mut CatalogState, text: &str) {
        let (visible, statement) = (Readable::All, parse(text).unwrap());
        let databases = Databases { state, tenant: "cnosdb", default: Some("d"), visible: &visible };
        let changes = change(&databases, &statement, 7, chrono_tz::Tz::UTC).unwrap().unwrap();
        changes.iter().for_each(|change| state.apply(change));
    }

    #[test]
    fn altering_makes_as_many_columns_as_creating() {
        let texts = |count: usize| {
            let fields: String = (2..count).map(|at| format!(", f{at} int")).collect();
            let tags = "tags (k int)";
            [
                (format!("create table t (ts timestamp{fields}, v int)"), "alter table t add column a int"),
                (format!("create stable t (ts timestamp{fields}) {tags}"), "alter stable t add column a int"),
                (format!("create stable t (ts timestamp{fields}) {tags}"), "alter stable t add tag a int"),
            ]
        };
        for (count, fits) in [(COLUMNS_MAX - 1, true), (COLUMNS_MAX, false)] {
            for (create, alter) in texts(count) {
                let mut state = CatalogState::initial();
                run(&mut state, "create database d");
                run(&mut state, &create);
                let (visible, statement) = (Readable::All, parse(alter).unwrap());
                let databases = Databases { state: &state, tenant: "cnosdb", default: Some("d"), visible: &visible };
                let altered = change(&databases, &statement, 7, chrono_tz::Tz::UTC).unwrap();
                assert_eq!(altered.is_ok(), fits, "{alter}, {count}: {:?}", altered.err());
            }
        }
    }

    #[test]
    fn comment_and_ttl_leave_each_other_alone() {
        let mut state = CatalogState::initial();
        for text in [
            "create database d",
            "create stable m (ts timestamp, v int) tags (k int) comment 'first' ttl 3",
            "create table one using m tags (1) comment 'first' ttl 3",
            "alter table m comment 'second'",
            "alter table one comment 'second'",
        ] {
            run(&mut state, text);
        }
        let check = |state: &CatalogState, comment: &str, ttl_days: u32| {
            let visible = Readable::All;
            let databases = Databases { state, tenant: "cnosdb", default: Some("d"), visible: &visible };
            let view = |table: &str| databases.table(&TableName { database: None, table: table.to_string() }).unwrap();
            let declared = view("m").table.schema.declaration.clone().unwrap();
            assert_eq!((declared.comment.as_deref(), declared.ttl_days), (Some(comment), ttl_days));
            let one = view("one").series.unwrap();
            assert_eq!((one.comment.as_deref(), one.ttl_days), (Some(comment), ttl_days));
        };
        check(&state, "second", 3);
        run(&mut state, "alter table m ttl 0");
        run(&mut state, "alter table one ttl 0");
        check(&state, "second", 0);
    }
}
