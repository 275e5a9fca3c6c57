//! What the catalog says of itself: `information_schema`, `performance_schema`, SHOW and DESCRIBE.
//!
//! Lists are made whole when they are asked for, and asked like tables.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int8Array, Int16Array, Int32Array, Int64Array, StringArray, TimestampNanosecondArray,
};

use crate::catalog::Database;
use crate::model::{DeclaredType as T, NamedSeries};

use super::ast::{Databases as Which, Show, TableKind, TableName};
use super::error::TdError;
use super::kinds::{length_of, type_text};
use super::options::{DEFAULTS, Options, create_text, keep_text};
use super::tables::{Databases, View, is_system};
use super::time::precision_text;

/// Rows of a list, as columns.
pub(super) struct Listing {
    pub columns: Vec<(String, T, ArrayRef)>,
    pub rows: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Text(String),
    Number(i64),
    Bool(bool),
    /// Nanoseconds.
    Time(i64),
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

/// A list in the making.
struct List {
    columns: Vec<(&'static str, T)>,
    rows: Vec<Vec<Cell>>,
}

impl List {
    fn new(columns: &[(&'static str, T)]) -> List {
        List { columns: columns.to_vec(), rows: Vec::new() }
    }

    fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    fn done(self) -> Listing {
        let rows = self.rows.len();
        let column = |(at, (name, kind)): (usize, &(&'static str, T))| {
            let cells = self.rows.iter().map(|row| &row[at]);
            (name.to_string(), *kind, array(*kind, cells))
        };
        Listing { columns: self.columns.iter().enumerate().map(column).collect(), rows }
    }
}

fn array<'a>(kind: T, cells: impl Iterator<Item = &'a Cell>) -> ArrayRef {
    let number = |cell: &Cell| if let Cell::Number(number) = cell { Some(*number) } else { None };
    match kind {
        T::TinyInt => Arc::new(cells.map(|cell| number(cell).map(|n| n as i8)).collect::<Int8Array>()),
        T::SmallInt => Arc::new(cells.map(|cell| number(cell).map(|n| n as i16)).collect::<Int16Array>()),
        T::Int => Arc::new(cells.map(|cell| number(cell).map(|n| n as i32)).collect::<Int32Array>()),
        T::BigInt => Arc::new(cells.map(number).collect::<Int64Array>()),
        T::Bool => {
            let of = |cell: &Cell| if let Cell::Bool(value) = cell { Some(*value) } else { None };
            Arc::new(cells.map(of).collect::<BooleanArray>())
        }
        T::Timestamp => {
            let of = |cell: &Cell| if let Cell::Time(time) = cell { Some(*time) } else { None };
            Arc::new(cells.map(of).collect::<TimestampNanosecondArray>())
        }
        _ => {
            let of = |cell: &'a Cell| if let Cell::Text(text) = cell { Some(text.as_str()) } else { None };
            Arc::new(cells.map(of).collect::<StringArray>())
        }
    }
}

const NAME: T = T::Varchar(192);
const DATABASE: T = T::Varchar(64);

/// One column of text, a row a line.
pub(super) fn lines(name: &'static str, lines: &[String]) -> Listing {
    let mut list = List::new(&[(name, T::Varchar(4096))]);
    lines.iter().for_each(|line| list.row(vec![text(line.as_str())]));
    list.done()
}

pub(super) fn show(databases: &Databases<'_>, show: &Show) -> Result<Listing, TdError> {
    match show {
        Show::Databases(which) => {
            let mut list = List::new(&[("name", DATABASE)]);
            if *which != Which::User {
                ["information_schema", "performance_schema"].iter().for_each(|name| list.row(vec![text(*name)]));
            }
            if *which != Which::System {
                let all = databases.all();
                all.iter().for_each(|database| list.row(vec![text(&*database.name)]));
            }
            Ok(list.done())
        }
        Show::Supers { database, like } => {
            let mut list = List::new(&[("stable_name", NAME)]);
            for view in tables_of(databases, database.as_deref())?.iter().filter(|view| view.is_super()) {
                if fits(view.name(), like) {
                    list.row(vec![text(view.name())]);
                }
            }
            Ok(list.done())
        }
        Show::Tables { kind, database, like } => {
            let mut list = List::new(&[("table_name", NAME)]);
            for view in tables_of(databases, database.as_deref())? {
                if view.is_plain() && *kind != TableKind::Child && fits(view.name(), like) {
                    list.row(vec![text(view.name())]);
                }
                if *kind != TableKind::Normal {
                    let names = view.table.series.keys().filter(|name| fits(name, like));
                    names.for_each(|name| list.row(vec![text(&**name)]));
                }
            }
            Ok(list.done())
        }
        Show::Views { database } => {
            check_database(databases, database.as_deref())?;
            Ok(List::new(&[("view_name", NAME)]).done())
        }
        Show::CreateDatabase(name) => {
            let mut list = List::new(&[("Database", DATABASE), ("Create Database", T::Varchar(4096))]);
            let statement = match is_system(name) {
                true => format!("CREATE DATABASE `{name}`"),
                false => create_text(databases.state, databases.database(name)?),
            };
            list.row(vec![text(name.as_str()), text(statement)]);
            Ok(list.done())
        }
        Show::CreateTable { table, stable } => {
            let view = databases.table(table)?;
            if *stable != view.is_super() {
                return Err(if *stable { TdError::Super } else { TdError::Table(table.table.clone()) });
            }
            let mut list = List::new(&[("Table", NAME), ("Create Table", T::Varchar(65_517))]);
            list.row(vec![text(view.name()), text(create_statement(&view))]);
            Ok(list.done())
        }
        Show::Tags { table } => {
            let view = databases.table(table)?;
            let mut list = List::new(&TAG_COLUMNS);
            if let Some(series) = view.series {
                tags_of(&mut list, &view, series);
            } else if view.is_super() {
                view.table.series.values().for_each(|series| tags_of(&mut list, &view, series));
            } else {
                return Err(TdError::Target);
            }
            Ok(list.done())
        }
        Show::TableTags { table, tags } => table_tags(&databases.table(table)?, tags),
        Show::Alive { database } => {
            check_database(databases, database.as_deref())?;
            Ok(alive())
        }
        Show::ClusterAlive => Ok(alive()),
        Show::Indexes { table } => {
            databases.table(table)?;
            self::table(databases, "information_schema", "ins_indexes")
        }
        Show::List { schema, table } => self::table(databases, schema, table),
    }
}

/// That all is well.
fn alive() -> Listing {
    let mut list = List::new(&[("status", T::Int)]);
    list.row(vec![Cell::Number(1)]);
    list.done()
}

fn check_database(databases: &Databases<'_>, database: Option<&str>) -> Result<(), TdError> {
    let name = database.or(databases.default).ok_or(TdError::NoDatabase)?;
    if is_system(name) { Ok(()) } else { databases.database(name).map(|_| ()) }
}

/// The tables of a database, or of the one that is meant; those of the system are none.
fn tables_of<'a>(databases: &Databases<'a>, database: Option<&str>) -> Result<Vec<View<'a>>, TdError> {
    let name = database.or(databases.default).ok_or(TdError::NoDatabase)?;
    if is_system(name) {
        return Ok(Vec::new());
    }
    let database = databases.database(name)?;
    Ok(databases.tables(database).collect())
}

/// LIKE: `%` any text, `_` any character.
fn fits(name: &str, pattern: &Option<String>) -> bool {
    let Some(pattern) = pattern else { return true };
    let mut regex = String::from("^(?s)");
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '%' if !escaped => regex.push_str(".*"),
            '_' if !escaped => regex.push('.'),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
        escaped = false;
    }
    regex.push('$');
    regex::Regex::new(&regex).is_ok_and(|regex| regex.is_match(name))
}

pub(super) fn describe(databases: &Databases<'_>, name: &TableName) -> Result<Listing, TdError> {
    let mut list = List::new(&[
        ("field", T::Varchar(64)),
        ("type", T::Varchar(20)),
        ("length", T::Int),
        ("note", T::Varchar(12)),
        ("encode", T::Varchar(12)),
        ("compress", T::Varchar(12)),
        ("level", T::Varchar(12)),
    ]);
    let mut add = |name: &str, kind: T, note: &str| {
        let (encode, compress, level) = match (note, kind) {
            ("TAG", _) => ("disabled", "disabled", "disabled"),
            (_, T::Timestamp) => ("delta-i", "lz4", "medium"),
            (_, kind) if kind.is_integer() => ("simple8b", "lz4", "medium"),
            (_, kind) if kind.is_float() => ("delta-d", "lz4", "medium"),
            (_, T::Bool) => ("bit-packing", "lz4", "medium"),
            _ => ("disabled", "lz4", "medium"),
        };
        let length = Cell::Number(i64::from(length_of(Some(kind))));
        list.row(vec![
            text(name),
            text(type_text(Some(kind))),
            length,
            text(note),
            text(encode),
            text(compress),
            text(level),
        ]);
    };
    let database = databases.database_of(name)?.to_lowercase();
    if is_system(&database) {
        for (name, kind, _) in table(databases, &database, &name.table.to_lowercase())?.columns {
            add(&name, kind, "");
        }
        return Ok(list.done());
    }
    let view = databases.table(name)?;
    add(view.time_name(), T::Timestamp, "");
    view.columns().for_each(|column| add(&column.column.name, column.kind, ""));
    view.tags().for_each(|tag| add(&tag.column.name, tag.kind, "TAG"));
    Ok(list.done())
}

fn create_statement(view: &View<'_>) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    if let Some(series) = view.series {
        let names: Vec<String> = view.tags().map(|tag| format!("`{}`", tag.column.name)).collect();
        let value = |tag: super::tables::ViewColumn<'_>| match series.tags.get(&tag.column.id.0) {
            None => "NULL".to_string(),
            Some(value) if tag.kind.is_number() || tag.kind == T::Bool || tag.kind == T::Timestamp => value.clone(),
            Some(value) => quoted(value),
        };
        let values: Vec<String> = view.tags().map(value).collect();
        let (name, of) = (&series.name, &view.table.name.table);
        return format!("CREATE TABLE `{name}` USING `{of}` ({}) TAGS ({})", names.join(", "), values.join(", "));
    }
    let column = |name: &str, kind: T| format!("`{name}` {kind}");
    let mut columns = vec![column(view.time_name(), T::Timestamp)];
    columns.extend(view.columns().map(|found| column(&found.column.name, found.kind)));
    let verb = if view.is_super() { "STABLE" } else { "TABLE" };
    let mut statement = format!("CREATE {verb} `{}` ({})", view.name(), columns.join(", "));
    if view.is_super() {
        let tags: Vec<String> = view.tags().map(|tag| column(&tag.column.name, tag.kind)).collect();
        statement.push_str(&format!(" TAGS ({})", tags.join(", ")));
    }
    if let Some(declaration) = &view.table.schema.declaration {
        if let Some(comment) = &declaration.comment {
            statement.push_str(&format!(" COMMENT {}", quoted(comment)));
        }
        if declaration.ttl_days > 0 {
            statement.push_str(&format!(" TTL {}", declaration.ttl_days));
        }
    }
    statement
}

const TAG_COLUMNS: [(&str, T); 6] = [
    ("table_name", NAME),
    ("db_name", DATABASE),
    ("stable_name", NAME),
    ("tag_name", T::Varchar(64)),
    ("tag_type", T::Varchar(32)),
    ("tag_value", T::Varchar(16_384)),
];

fn tags_of(list: &mut List, view: &View<'_>, series: &NamedSeries) {
    for tag in view.tags() {
        let value = series.tags.get(&tag.column.id.0).map_or(Cell::Null, |value| text(value.as_str()));
        list.row(vec![
            text(series.name.as_str()),
            text(&*view.database.name),
            text(&*view.table.name.table),
            text(tag.column.name.as_str()),
            text(tag.kind.to_string()),
            value,
        ]);
    }
}

/// A row a series, a column a tag of its own type.
fn table_tags(view: &View<'_>, wanted: &[String]) -> Result<Listing, TdError> {
    let tags: Vec<_> = match wanted {
        [] => view.tags().collect(),
        names => {
            let tag = |name: &String| view.tag(name).ok_or_else(|| TdError::TagName(name.clone()));
            names.iter().map(tag).collect::<Result<_, _>>()?
        }
    };
    let series: Vec<_> = match view.series {
        Some(series) => vec![series],
        None => view.table.series.values().collect(),
    };
    let names: StringArray = series.iter().map(|series| Some(series.name.as_str())).collect();
    let mut columns: Vec<(String, T, ArrayRef)> = vec![("tbname".to_string(), NAME, Arc::new(names))];
    for tag in tags {
        let values: StringArray = series.iter().map(|s| s.tags.get(&tag.column.id.0).map(String::as_str)).collect();
        // Types are made of the texts where the list becomes a relation.
        let values: ArrayRef = Arc::new(values);
        columns.push((tag.column.name.clone(), tag.kind, values));
    }
    Ok(Listing { columns, rows: series.len() })
}

/// A table of the system, by its name in lower case.
pub(super) fn table(databases: &Databases<'_>, schema: &str, name: &str) -> Result<Listing, TdError> {
    let list = match (schema, name) {
        ("information_schema", "ins_databases") => ins_databases(databases),
        ("information_schema", "ins_stables") => ins_stables(databases),
        ("information_schema", "ins_tables") => ins_tables(databases),
        ("information_schema", "ins_tags") => {
            let mut list = List::new(&TAG_COLUMNS);
            for view in all_tables(databases) {
                view.table.series.values().for_each(|series| tags_of(&mut list, &view, series));
            }
            list
        }
        ("information_schema", "ins_columns") => ins_columns(databases),
        ("information_schema", "ins_users") => ins_users(databases),
        ("information_schema", "ins_dnodes") => {
            let mut list = List::new(&[
                ("id", T::SmallInt),
                ("endpoint", T::Varchar(134)),
                ("vnodes", T::SmallInt),
                ("support_vnodes", T::SmallInt),
                ("status", T::Varchar(10)),
                ("note", T::Varchar(256)),
            ]);
            let number = Cell::Number;
            list.row(vec![number(1), text("localhost:6030"), number(0), number(0), text("ready"), text("")]);
            list
        }
        ("information_schema", "ins_mnodes") => {
            let mut list = List::new(&[
                ("id", T::SmallInt),
                ("endpoint", T::Varchar(134)),
                ("role", T::Varchar(12)),
                ("status", T::Varchar(9)),
            ]);
            list.row(vec![Cell::Number(1), text("localhost:6030"), text("leader"), text("ready")]);
            list
        }
        ("information_schema", "ins_cluster") => {
            let mut list = List::new(&[("id", T::BigInt), ("name", T::Varchar(134)), ("version", T::Varchar(10))]);
            list.row(vec![Cell::Number(1), text("tidegate"), text("3.3")]);
            list
        }
        ("information_schema", "ins_configs") => {
            let mut list = List::new(&[("name", T::Varchar(32)), ("value", T::Varchar(64))]);
            list.row(vec![text("timezone"), text("UTC (UTC, +0000)")]);
            list.row(vec![text("charset"), text("UTF-8")]);
            list
        }
        _ => {
            let empty = EMPTY.iter().find(|(of, table, _)| *of == schema && *table == name);
            let Some((_, _, columns)) = empty else { return Err(TdError::Table(name.to_string())) };
            List::new(columns)
        }
    };
    Ok(list.done())
}

/// Lists of what there is none of here.
type Empty = (&'static str, &'static str, &'static [(&'static str, T)]);
const SYSTEM_TABLES: i64 = 33;
const EMPTY: [Empty; 22] = [
    (
        "information_schema",
        "ins_indexes",
        &[
            ("index_name", NAME),
            ("db_name", DATABASE),
            ("table_name", NAME),
            ("vgroup_id", T::Int),
            ("create_time", T::Timestamp),
            ("columns", NAME),
            ("index_type", T::Varchar(10)),
        ],
    ),
    (
        "information_schema",
        "ins_views",
        &[
            ("view_name", NAME),
            ("db_name", DATABASE),
            ("effective_user", T::Varchar(24)),
            ("create_time", T::Timestamp),
            ("type", T::Varchar(21)),
            ("query_sql", T::Varchar(65_517)),
        ],
    ),
    (
        "information_schema",
        "ins_vgroups",
        &[("vgroup_id", T::Int), ("db_name", DATABASE), ("tables", T::Int), ("status", T::Varchar(9))],
    ),
    (
        "information_schema",
        "ins_vnodes",
        &[("dnode_id", T::Int), ("vgroup_id", T::Int), ("db_name", DATABASE), ("status", T::Varchar(9))],
    ),
    (
        "information_schema",
        "ins_qnodes",
        &[("id", T::SmallInt), ("endpoint", T::Varchar(134)), ("create_time", T::Timestamp)],
    ),
    (
        "information_schema",
        "ins_snodes",
        &[("id", T::Int), ("endpoint", T::Varchar(134)), ("create_time", T::Timestamp)],
    ),
    (
        "information_schema",
        "ins_bnodes",
        &[("id", T::SmallInt), ("endpoint", T::Varchar(134)), ("create_time", T::Timestamp)],
    ),
    ("information_schema", "ins_anodes", &[("id", T::Int), ("url", T::Varchar(128)), ("status", T::Varchar(10))]),
    (
        "information_schema",
        "ins_functions",
        &[("name", DATABASE), ("comment", T::Varchar(255)), ("aggregate", T::Int), ("output_type", T::Varchar(31))],
    ),
    (
        "information_schema",
        "ins_streams",
        &[("stream_name", NAME), ("create_time", T::Timestamp), ("sql", T::Varchar(2048)), ("status", T::Varchar(20))],
    ),
    (
        "information_schema",
        "ins_topics",
        &[("topic_name", NAME), ("db_name", DATABASE), ("create_time", T::Timestamp), ("sql", T::Varchar(2048))],
    ),
    (
        "information_schema",
        "ins_subscriptions",
        &[
            ("topic_name", T::Varchar(204)),
            ("consumer_group", NAME),
            ("vgroup_id", T::Int),
            ("consumer_id", T::Varchar(32)),
        ],
    ),
    (
        "information_schema",
        "ins_grants",
        &[("version", T::Varchar(9)), ("expire_time", T::Varchar(19)), ("expired", T::Varchar(5))],
    ),
    (
        "information_schema",
        "ins_compacts",
        &[("compact_id", T::Int), ("db_name", DATABASE), ("start_time", T::Timestamp)],
    ),
    ("information_schema", "ins_tsmas", &[("tsma_name", NAME), ("db_name", DATABASE), ("table_name", NAME)]),
    (
        "information_schema",
        "ins_user_privileges",
        &[("user_name", T::Varchar(24)), ("privilege", T::Varchar(10)), ("db_name", DATABASE), ("table_name", NAME)],
    ),
    (
        "performance_schema",
        "perf_queries",
        &[
            ("kill_id", T::Varchar(26)),
            ("query_id", T::BigInt),
            ("conn_id", T::Int),
            ("app", T::Varchar(24)),
            ("user", T::Varchar(24)),
            ("create_time", T::Timestamp),
            ("exec_usec", T::BigInt),
            ("sql", T::Varchar(1024)),
        ],
    ),
    (
        "performance_schema",
        "perf_connections",
        &[
            ("conn_id", T::Int),
            ("user", T::Varchar(24)),
            ("app", T::Varchar(24)),
            ("end_point", T::Varchar(134)),
            ("login_time", T::Timestamp),
            ("last_access", T::Timestamp),
        ],
    ),
    (
        "performance_schema",
        "perf_consumers",
        &[("consumer_id", T::Varchar(32)), ("consumer_group", NAME), ("status", T::Varchar(20))],
    ),
    ("performance_schema", "perf_trans", &[("id", T::Int), ("create_time", T::Timestamp), ("stage", T::Varchar(12))]),
    ("performance_schema", "perf_apps", &[("app_id", T::BigInt), ("ip", T::Varchar(16)), ("name", T::Varchar(24))]),
    ("performance_schema", "perf_instances", &[("id", T::Varchar(256)), ("type", T::Varchar(64))]),
];

fn all_tables<'a>(databases: &Databases<'a>) -> Vec<View<'a>> {
    let all = databases.all().into_iter();
    all.flat_map(|database| databases.tables(database).collect::<Vec<_>>()).collect()
}

fn tables_in(databases: &Databases<'_>, database: &Arc<Database>) -> i64 {
    let all = databases.state.tables_of(database, &database.default_policy);
    let count = |table: &Arc<crate::catalog::Table>| {
        let plain = View { database, table, series: None }.is_plain();
        table.series.len() as i64 + i64::from(plain)
    };
    all.map(count).sum()
}

fn ins_databases(databases: &Databases<'_>) -> List {
    let mut list = List::new(&[
        ("name", DATABASE),
        ("create_time", T::Timestamp),
        ("vgroups", T::SmallInt),
        ("ntables", T::BigInt),
        ("replica", T::TinyInt),
        ("strict", T::Varchar(4)),
        ("duration", T::Varchar(10)),
        ("keep", T::Varchar(32)),
        ("buffer", T::Int),
        ("pagesize", T::Int),
        ("pages", T::Int),
        ("minrows", T::Int),
        ("maxrows", T::Int),
        ("comp", T::TinyInt),
        ("precision", T::Varchar(2)),
        ("status", T::Varchar(10)),
        ("retentions", T::Varchar(60)),
        ("single_stable", T::Bool),
        ("cachemodel", T::Varchar(11)),
        ("cachesize", T::Int),
        ("wal_level", T::TinyInt),
        ("wal_fsync_period", T::Int),
        ("wal_retention_period", T::Int),
        ("wal_retention_size", T::BigInt),
        ("stt_trigger", T::SmallInt),
        ("table_prefix", T::SmallInt),
        ("table_suffix", T::SmallInt),
        ("tsdb_pagesize", T::Int),
        ("keep_time_offset", T::Int),
    ]);
    for name in ["information_schema", "performance_schema"] {
        let tables = if name == "information_schema" { SYSTEM_TABLES } else { 6 };
        let row = list.columns.iter().map(|(column, _)| match *column {
            "name" => text(name),
            "ntables" => Cell::Number(tables),
            "status" => text("ready"),
            _ => Cell::Null,
        });
        let row = row.collect();
        list.row(row);
    }
    for database in databases.all() {
        let options = Options::stored(databases.state, database);
        let keep = database.policy(&database.default_policy).map_or(0, |policy| policy.duration_ns);
        let number = |name: &str| {
            let stored = options.get(name).and_then(|value| value.parse().ok());
            let default =
                || DEFAULTS.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.parse().ok());
            stored.or_else(default).map_or(Cell::Null, Cell::Number)
        };
        let row = list.columns.iter().map(|(column, kind)| match *column {
            "name" => text(&*database.name),
            "ntables" => Cell::Number(tables_in(databases, database)),
            "keep" => text(keep_text(keep)),
            "precision" => text(precision_text(database.precision)),
            "status" => text("ready"),
            "single_stable" => Cell::Bool(options.get("single_stable") == Some("1")),
            "create_time" | "retentions" => Cell::Null,
            name if matches!(kind, T::Varchar(_)) => options.get(name).map_or(Cell::Null, text),
            name => number(name),
        });
        let row = row.collect();
        list.row(row);
    }
    list
}

fn created(view: &View<'_>) -> Cell {
    let of_table = view.table.schema.declaration.as_ref().map(|declaration| declaration.created_ns);
    view.series.map(|series| series.created_ns).or(of_table).map_or(Cell::Null, Cell::Time)
}

fn comment(of: Option<&String>) -> Cell {
    of.map_or(Cell::Null, |comment| text(comment.as_str()))
}

fn count(columns: impl Iterator) -> i64 {
    columns.count() as i64
}

fn ins_stables(databases: &Databases<'_>) -> List {
    let mut list = List::new(&[
        ("stable_name", NAME),
        ("db_name", DATABASE),
        ("create_time", T::Timestamp),
        ("columns", T::Int),
        ("tags", T::Int),
        ("last_update", T::Timestamp),
        ("table_comment", T::Varchar(1024)),
        ("watermark", T::Varchar(64)),
        ("max_delay", T::Varchar(64)),
        ("rollup", T::Varchar(128)),
        ("uid", T::BigInt),
    ]);
    for view in all_tables(databases).iter().filter(|view| view.is_super()) {
        let declaration = view.table.schema.declaration.as_ref();
        list.row(vec![
            text(view.name()),
            text(&*view.database.name),
            created(view),
            Cell::Number(count(view.columns()) + 1),
            Cell::Number(count(view.tags())),
            created(view),
            comment(declaration.and_then(|declaration| declaration.comment.as_ref())),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Number(view.table.id.0 as i64),
        ]);
    }
    list
}

fn ins_tables(databases: &Databases<'_>) -> List {
    let mut list = List::new(&[
        ("table_name", NAME),
        ("db_name", DATABASE),
        ("create_time", T::Timestamp),
        ("columns", T::Int),
        ("stable_name", NAME),
        ("uid", T::BigInt),
        ("vgroup_id", T::Int),
        ("ttl", T::Int),
        ("table_comment", T::Varchar(1024)),
        ("type", T::Varchar(21)),
    ]);
    for view in all_tables(databases) {
        let columns = Cell::Number(count(view.columns()) + 1);
        let (database, id) = (text(&*view.database.name), Cell::Number(view.table.id.0 as i64));
        if view.is_plain() {
            let declaration = view.table.schema.declaration.as_ref();
            let ttl = Cell::Number(declaration.map_or(0, |declaration| i64::from(declaration.ttl_days)));
            let comment = comment(declaration.and_then(|declaration| declaration.comment.as_ref()));
            let kind = text("NORMAL_TABLE");
            list.row(vec![
                text(view.name()),
                database.clone(),
                created(&view),
                columns.clone(),
                Cell::Null,
                id.clone(),
                Cell::Number(1),
                ttl,
                comment,
                kind,
            ]);
        }
        for series in view.table.series.values() {
            let ttl = Cell::Number(i64::from(series.ttl_days));
            let (of, kind) = (text(&*view.table.name.table), text("CHILD_TABLE"));
            let (name, created) = (text(series.name.as_str()), Cell::Time(series.created_ns));
            let comment = comment(series.comment.as_ref());
            list.row(vec![
                name,
                database.clone(),
                created,
                columns.clone(),
                of,
                id.clone(),
                Cell::Number(1),
                ttl,
                comment,
                kind,
            ]);
        }
    }
    list
}

fn ins_columns(databases: &Databases<'_>) -> List {
    let mut list = List::new(&[
        ("table_name", NAME),
        ("db_name", DATABASE),
        ("table_type", T::Varchar(21)),
        ("col_name", T::Varchar(64)),
        ("col_type", T::Varchar(32)),
        ("col_length", T::Int),
        ("col_precision", T::Int),
        ("col_scale", T::Int),
        ("col_nullable", T::Int),
    ]);
    for view in all_tables(databases) {
        let own = if view.is_super() { "SUPER_TABLE" } else { "NORMAL_TABLE" };
        let names = std::iter::once((view.name(), own));
        let names = names.chain(view.table.series.keys().map(|name| (&**name, "CHILD_TABLE")));
        for (name, kind) in names {
            let time = (view.time_name(), T::Timestamp);
            let columns = std::iter::once(time).chain(view.columns().map(|c| (c.column.name.as_str(), c.kind)));
            for (column, of) in columns {
                list.row(vec![
                    text(name),
                    text(&*view.database.name),
                    text(kind),
                    text(column),
                    text(of.to_string()),
                    Cell::Number(i64::from(length_of(Some(of)))),
                    Cell::Null,
                    Cell::Null,
                    Cell::Null,
                ]);
            }
        }
    }
    list
}

fn ins_users(databases: &Databases<'_>) -> List {
    let mut list = List::new(&[
        ("name", T::Varchar(24)),
        ("super", T::TinyInt),
        ("enable", T::TinyInt),
        ("sysinfo", T::TinyInt),
        ("create_time", T::Timestamp),
        ("allowed_host", T::Varchar(49_152)),
    ]);
    let row = |name: &str, is_admin: bool| {
        let admin = Cell::Number(i64::from(is_admin));
        vec![text(name), admin, Cell::Number(1), Cell::Number(1), Cell::Null, text("+0.0.0.0/0")]
    };
    list.row(row("root", true));
    for user in databases.state.users().iter().filter(|user| user.name != "root") {
        list.row(row(&user.name, user.is_admin));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_as_like_does() {
        let fits = |name: &str, pattern: &str| fits(name, &Some(pattern.to_string()));
        assert!(fits("d1001", "d100_") && fits("meters", "met%") && fits("a%b", "a\\%b"));
        assert!(!fits("d10011", "d100_") && !fits("meters", "ters") && !fits("axb", "a\\%b"));
    }
}
