//! From a statement to what it means in one version of the catalog: tables for names, fields for wildcards, types for
//! references, the outer select's range and groups for inner ones.
//!
//! The order of the steps and their errors are the server's: databases of all sources, the check of the statement,
//! policies, fields, types.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono_tz::Tz;

use crate::catalog::{CatalogState, Database, Table};
use crate::model::schema::TIME_COLUMN;
use crate::model::{Column, ColumnKind, TableSchema};
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::check::{self, Checked, CheckedSource, Dimension};
use crate::query::influxql::clauses::{Direction, Page};
use crate::query::influxql::expr::{Call, Cast, Expr, Literal, VarRef, Wildcard};
use crate::query::influxql::select::{Field, Fill, Select};
use crate::query::influxql::source::{Measurement, MeasurementName, Source};
use crate::query::series::Windows;

use super::names::{column_names, field_name};
use super::range::{self, Range};
use super::types::Type;
use super::typing::{self, type_of};

/// Where a statement's names are looked up, and when it runs.
#[derive(Debug, Clone)]
pub(super) struct Scope<'a> {
    pub state: &'a CatalogState,
    pub tenant: &'a str,
    /// What a measurement without a database is of.
    pub database: Option<&'a str>,
    /// What a measurement without a policy is of; the database's default policy when `None`.
    pub policy: Option<&'a str>,
    /// Nanoseconds since 1970.
    pub now: i64,
}

/// A select with nothing left to look up. References carry their types as casts; one without a cast stands for nothing.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub fields: Vec<Field>,
    /// What the columns behind time are called: a field each, and for `top(f, tag, n)` its tags behind it.
    pub columns: Vec<Arc<str>>,
    pub time_column: Arc<str>,
    /// Keys of GROUP BY, in order.
    pub dimensions: Vec<Arc<str>>,
    pub windows: Option<Windows>,
    pub zone: Option<Tz>,
    pub fill: Fill,
    pub direction: Direction,
    pub rows: Page,
    pub series: Page,
    /// Without the bounds on time.
    pub condition: Option<Expr>,
    pub range: Range,
    /// What the whole statement reads, which is more where its calls look back: what is inside reads no more.
    pub bounds: Range,
    /// How many windows before the range its calls read, at most.
    pub look_back: i64,
    pub sources: Vec<Origin>,
    /// Whether rows are written somewhere: then nulls are nothing to keep.
    pub has_target: bool,
}

/// Where rows come from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Table(Arc<Table>),
    Query(Box<Query>),
}

impl Query {
    pub(super) fn is_raw(&self) -> bool {
        !self.fields.iter().any(|field| field.expr.any(&mut |part| is_aggregate_call(part)))
    }

    /// Whether it gives rows of tables as they are.
    pub(super) fn is_of_stored_rows(&self) -> bool {
        self.is_raw() && self.reads_tables_alone()
    }

    pub(super) fn reads_tables_alone(&self) -> bool {
        self.sources.iter().all(|source| matches!(source, Origin::Table(_)))
    }
}

/// Whether an expression is a call of anything but a function of one row.
pub(super) fn is_aggregate_call(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(call) if !super::values::MATH_FUNCTIONS.contains(&call.name.as_str()))
}

/// What a select hands to those inside it.
struct Outer {
    range: Range,
    bounds: Range,
    windows: Option<Windows>,
    dimensions: BTreeSet<Arc<str>>,
    direction: Direction,
    series: Page,
}

/// The meaning of a whole statement.
pub(super) fn resolve(select: &Select, scope: &Scope<'_>) -> Result<Query, StatementError> {
    databases(select, scope)?;
    let checked = check::select(select, scope.now).map_err(|error| StatementError::Refused(error.to_string()))?;
    let mut query = resolve_alone(&checked, scope)?;
    typing::check(&query)?;
    typing::settle(&mut query);
    if query.has_target && query.fill == Fill::Null {
        query.fill = Fill::None;
    }
    query.bounds = query.whole_range(checked.calls.extra_windows);
    hand_down(&mut query, scope.now);
    Ok(query)
}

/// Whether all databases exist; subqueries after the measurements beside them.
fn databases(select: &Select, scope: &Scope<'_>) -> Result<(), StatementError> {
    for source in &select.sources {
        match source {
            Source::Measurement(measurement) => drop(database(measurement, scope)?),
            Source::Subquery(inner) => databases(inner, scope)?,
        }
    }
    Ok(())
}

fn database<'a>(measurement: &Measurement, scope: &'a Scope<'_>) -> Result<&'a Arc<Database>, StatementError> {
    let name = measurement.database.as_ref().map(|name| name.0.as_str()).or(scope.database);
    let name = name.filter(|name| !name.is_empty()).ok_or(StatementError::DatabaseRequired)?;
    let found = scope.state.database(scope.tenant, name);
    found.ok_or_else(|| StatementError::DatabaseNotFound(name.to_string()))
}

/// The meaning of a select that is inside no other.
fn resolve_alone(checked: &Checked, scope: &Scope<'_>) -> Result<Query, StatementError> {
    let sources = sources(checked, scope)?;
    let (field_types, tags) = columns_of(&sources);
    let dimensions = dimensions(checked, &tags);
    let mut fields = checked.fields.clone();
    expand(&mut fields, checked, &field_types, &tags, &dimensions)?;
    for field in &mut fields {
        typing::assign(&mut field.expr, &sources);
    }
    let mut condition = checked.condition.clone();
    if let Some(condition) = &mut condition {
        typing::assign(condition, &sources);
    }
    let has_target = checked.target.is_some();
    let windows = checked.interval.as_ref().and_then(|interval| range::windows(interval, checked.zone));
    Ok(Query {
        columns: column_names(&fields),
        look_back: range::look_back(&fields),
        fields,
        time_column: checked.time_name.0.as_str().into(),
        dimensions,
        zone: checked.zone.map(|zone| zone.rules),
        fill: checked.fill,
        direction: checked.direction,
        rows: checked.rows,
        series: checked.series,
        condition,
        range: range::of(checked.range, checked.interval.is_some(), scope.now),
        bounds: Range::ALL,
        windows,
        sources,
        has_target,
    })
}

/// Gives the selects inside a select what they have from it.
fn hand_down(query: &mut Query, now: i64) {
    let mut dimensions: BTreeSet<Arc<str>> = query.dimensions.iter().cloned().collect();
    for field in &query.fields {
        if let Expr::Call(call) = &field.expr {
            dimensions.extend(top_tags(call).map(|tag| Arc::from(tag.name.0.as_str())));
        }
    }
    let outer = Outer {
        range: query.read_range(),
        bounds: query.bounds,
        windows: query.windows.clone(),
        dimensions,
        direction: query.direction,
        series: query.series,
    };
    for source in &mut query.sources {
        if let Origin::Query(inner) = source {
            inherit(inner, &outer, now);
            hand_down(inner, now);
        }
    }
}

fn inherit(query: &mut Query, outer: &Outer, now: i64) {
    query.range = query.range.intersect(outer.range);
    query.bounds = outer.bounds;
    if query.windows.is_some() && query.range.is_unbounded_above() {
        query.range.end = now;
    }
    // Nulls of empty windows are nothing to the outer.
    if !query.is_raw() && query.fill == Fill::Null {
        query.fill = Fill::None;
    }
    if query.windows.is_none() {
        query.windows.clone_from(&outer.windows);
    }
    let own = query.dimensions.drain(..);
    let all: BTreeSet<Arc<str>> = own.chain(outer.dimensions.iter().cloned()).collect();
    query.dimensions = all.into_iter().collect();
    query.direction = outer.direction;
    query.series.limit += outer.series.limit;
    query.series.offset += outer.series.offset;
}

/// The tags in `top(f, tag, …, n)` and `bottom`.
pub(super) fn top_tags(call: &Call) -> impl Iterator<Item = &VarRef> {
    let is_top = matches!(call.name.as_str(), "top" | "bottom") && call.args.len() > 2;
    let args = if is_top { &call.args[1..call.args.len() - 1] } else { &[] };
    args.iter().filter_map(|arg| if let Expr::Ref(reference) = arg { Some(reference) } else { None })
}

fn sources(checked: &Checked, scope: &Scope<'_>) -> Result<Vec<Origin>, StatementError> {
    let mut origins = Vec::new();
    for source in &checked.sources {
        match source {
            CheckedSource::Subquery(inner) => origins.push(Origin::Query(Box::new(resolve_alone(inner, scope)?))),
            CheckedSource::Measurement(measurement) => {
                let database = database(measurement, scope)?;
                let policy = measurement.policy.as_ref().map(|policy| policy.0.as_str()).or(scope.policy);
                let policy = policy.filter(|policy| !policy.is_empty()).unwrap_or(&database.default_policy);
                if database.policy(policy).is_none() {
                    return Err(StatementError::PolicyNotFound(policy.to_string()));
                }
                match &measurement.name {
                    MeasurementName::Name(name) => {
                        let table = scope.state.table_named(database, policy, &name.0);
                        origins.extend(table.cloned().map(Origin::Table));
                    }
                    MeasurementName::Regex(regex) => {
                        let tables = scope.state.tables_of(database, policy);
                        let matching = tables.filter(|table| regex.is_match(&table.name.table));
                        origins.extend(matching.cloned().map(Origin::Table));
                    }
                }
            }
        }
    }
    Ok(origins)
}

/// Columns that can be named: `time` is always the time, and a tag of that name (OpenTSDB's points may have one) is out of reach.
pub(super) fn columns_by_name(schema: &TableSchema) -> impl Iterator<Item = &Column> {
    schema.columns.iter().filter(|column| column.name != TIME_COLUMN)
}

/// Fields with their types and tags of all sources together.
fn columns_of(sources: &[Origin]) -> (BTreeMap<String, Type>, BTreeSet<Arc<str>>) {
    let mut fields: BTreeMap<String, Type> = BTreeMap::new();
    let mut tags = BTreeSet::new();
    let mut add = |name: &str, kind: Type| {
        let known = fields.entry(name.to_string()).or_insert(Type::Unknown);
        *known = known.most_general(kind);
    };
    for source in sources {
        match source {
            Origin::Table(table) => {
                for column in columns_by_name(&table.schema) {
                    match column.kind {
                        ColumnKind::Tag => drop(tags.insert(Arc::from(column.name.as_str()))),
                        ColumnKind::Field => add(&column.name, column.field_type.map_or(Type::Unknown, Type::from)),
                        ColumnKind::Time => {}
                    }
                }
            }
            Origin::Query(inner) => {
                for field in &inner.fields {
                    add(&field_name(field), type_of(&field.expr));
                }
                tags.extend(inner.dimensions.iter().cloned());
            }
        }
    }
    (fields, tags)
}

fn dimensions(checked: &Checked, tags: &BTreeSet<Arc<str>>) -> Vec<Arc<str>> {
    let mut keys = BTreeSet::new();
    for dimension in &checked.dimensions {
        match dimension {
            Dimension::Tag(reference) => drop(keys.insert(Arc::from(reference.name.0.as_str()))),
            Dimension::All => keys.extend(tags.iter().cloned()),
            Dimension::Matching(regex) => keys.extend(tags.iter().filter(|tag| regex.is_match(tag)).cloned()),
        }
    }
    keys.into_iter().collect()
}

/// Puts a field for every name in the place of each wildcard and regular expression.
fn expand(
    fields: &mut Vec<Field>,
    checked: &Checked,
    types: &BTreeMap<String, Type>,
    tags: &BTreeSet<Arc<str>>,
    dimensions: &[Arc<str>],
) -> Result<(), StatementError> {
    let groups_by_wildcard = checked.dimensions.iter().any(|d| !matches!(d, Dimension::Tag(_)));
    let mut names: Vec<(&str, Type)> = types.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    if !groups_by_wildcard && !names.is_empty() {
        let free = tags.iter().filter(|tag| !dimensions.contains(tag));
        names.extend(free.map(|tag| (tag.as_ref(), Type::Tag)));
    }
    // By name; a field comes before the tag of its name.
    names.sort_by_key(|(name, kind)| (*name, *kind == Type::Tag));
    let reference = |name: &str, kind: Type| Expr::Ref(VarRef { name: name.into(), cast: typing::cast_of(kind) });
    let mut expanded = Vec::with_capacity(fields.len());
    for field in fields.drain(..) {
        match &field.expr {
            Expr::Wildcard(wildcard) => {
                let wanted = names.iter().filter(|(_, kind)| match wildcard {
                    Wildcard::All => true,
                    Wildcard::Fields => *kind != Type::Tag,
                    Wildcard::Tags => *kind == Type::Tag,
                });
                expanded.extend(wanted.map(|(name, kind)| Field { expr: reference(name, *kind), alias: None }));
            }
            Expr::Literal(Literal::Regex(regex)) => {
                let wanted = names.iter().filter(|(name, _)| regex.is_match(name));
                expanded.extend(wanted.map(|(name, kind)| Field { expr: reference(name, *kind), alias: None }));
            }
            Expr::Call(call) => match innermost(call) {
                Some((inner, pattern)) => {
                    if matches!(pattern, Expr::Wildcard(Wildcard::Tags)) {
                        let text = format!("unable to use tag wildcard in {}()", inner.name);
                        return Err(StatementError::Refused(text));
                    }
                    let supported = supported_types(&inner.name);
                    for (name, kind) in names.iter().filter(|(_, kind)| supported.contains(kind)) {
                        if let Expr::Literal(Literal::Regex(regex)) = pattern
                            && !regex.is_match(name)
                        {
                            continue;
                        }
                        let alias = Some(format!("{}_{name}", field_name(&field)).as_str().into());
                        let expr = Expr::Call(with_innermost(call, &reference(name, *kind)));
                        expanded.push(Field { expr, alias });
                    }
                }
                None => expanded.push(field),
            },
            Expr::Binary(_) => {
                let has = |wanted: fn(&Expr) -> bool| field.expr.any(&mut |part| wanted(part));
                let kind = if has(|part| matches!(part, Expr::Wildcard(_))) {
                    "wildcard"
                } else if has(|part| matches!(part, Expr::Literal(Literal::Regex(_)))) {
                    "regex field"
                } else {
                    expanded.push(field);
                    continue;
                };
                return Err(StatementError::Refused(format!("unsupported expression with {kind}: {}", field.expr)));
            }
            _ => expanded.push(field),
        }
    }
    *fields = expanded;
    Ok(())
}

/// The call inside all calls, if its first argument is a wildcard or a pattern, and that argument.
fn innermost(call: &Call) -> Option<(&Call, &Expr)> {
    match call.args.first()? {
        Expr::Call(inner) => innermost(inner),
        pattern @ (Expr::Wildcard(_) | Expr::Literal(Literal::Regex(_))) => Some((call, pattern)),
        _ => None,
    }
}

fn with_innermost(call: &Call, argument: &Expr) -> Call {
    let mut call = call.clone();
    if let Some(first) = call.args.first_mut() {
        *first = match &*first {
            Expr::Call(inner) => Expr::Call(with_innermost(inner, argument)),
            _ => argument.clone(),
        };
    }
    call
}

/// Types of the fields that a function takes when it is asked for all.
fn supported_types(function: &str) -> &'static [Type] {
    use Type::{Boolean, Float, Integer, String, Unsigned};
    match function {
        "count" | "first" | "last" | "distinct" | "elapsed" | "mode" | "sample" => {
            &[Float, Integer, Unsigned, String, Boolean]
        }
        "min" | "max" => &[Float, Integer, Unsigned, Boolean],
        "holt_winters" | "holt_winters_with_fit" => &[Float, Integer],
        _ => &[Float, Integer, Unsigned],
    }
}

impl From<Cast> for Type {
    fn from(cast: Cast) -> Type {
        match cast {
            Cast::Float => Type::Float,
            Cast::Integer => Type::Integer,
            Cast::Unsigned => Type::Unsigned,
            Cast::String => Type::String,
            Cast::Boolean => Type::Boolean,
            Cast::Field => Type::Unknown,
            Cast::Tag => Type::Tag,
        }
    }
}
