//! What a query reads: tables, sub tables, lists of the system, inner queries.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, lit};

use crate::model::schema::TIME_COLUMN;
use crate::model::{DeclaredType, Precision};
use crate::query::provider::TableRows;
use crate::query::tdsql::ast::{Source, TableName};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::functions::series_name;
use crate::query::tdsql::system::{self, Listing};
use crate::query::tdsql::tables::{View, ViewColumn, is_system};

use super::Planner;
use super::types::{Kind, Typed, arrow_type, cast_to, column, text_literal};

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Time,
    Field,
    Tag,
    SeriesName,
}

/// A column of a relation.
#[derive(Debug, Clone)]
pub(super) struct RelationColumn {
    /// What its table is called in the query.
    pub table: Option<String>,
    pub name: String,
    /// Its name in the plan.
    pub id: String,
    pub kind: Kind,
    pub role: Role,
    /// Whether `*` means it.
    pub in_star: bool,
}

/// Rows to ask something of.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub plan: LogicalPlan,
    pub columns: Vec<RelationColumn>,
    /// The column that a row's time is in.
    pub time: Option<String>,
    pub precision: Precision,
    /// All rows are of one series: clients count on their order.
    pub ordered: bool,
    pub joined: bool,
}

/// What a query comes to: its columns, and beside them the time of a row where it has one.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    pub plan: LogicalPlan,
    pub columns: Vec<RelationColumn>,
    pub time: Option<String>,
    pub precision: Precision,
    pub ordered: bool,
}

impl Relation {
    /// The column that a name means.
    pub(super) fn find(&self, table: Option<&str>, name: &str) -> Result<&RelationColumn, TdError> {
        let known = table.is_none_or(|table| self.columns.iter().any(|c| c.table.as_deref() == Some(table)));
        let mut found = self
            .columns
            .iter()
            .filter(|column| column.name == name && table.is_none_or(|table| column.table.as_deref() == Some(table)));
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column),
            (Some(_), Some(_)) => Err(TdError::Ambiguous(name.to_string())),
            (None, _) if !known => Err(TdError::Table(table.unwrap_or_default().to_string())),
            (None, _) => Err(TdError::Column(name.to_string())),
        }
    }

    pub(super) fn typed(&self, table: Option<&str>, name: &str) -> Result<Typed, TdError> {
        if matches!(name, "_rowts" | "_c0") {
            let Some(time) = &self.time else { return Err(TdError::Column(name.to_string())) };
            return Ok(Typed::of(column(time), DeclaredType::Timestamp));
        }
        let found = self.find(table, name)?;
        Ok(Typed { expr: column(&found.id), kind: found.kind })
    }

    /// One row without columns.
    pub(super) fn nothing(precision: Precision) -> Result<Relation, TdError> {
        let plan = LogicalPlanBuilder::empty(true).build()?;
        Ok(Relation { plan, columns: Vec::new(), time: None, precision, ordered: false, joined: false })
    }
}

impl Planner<'_> {
    pub(super) fn source(&self, source: &Source) -> Result<Relation, TdError> {
        match source {
            Source::Table { name, alias } => self.table(name, alias.as_deref(), |rows, _| Ok(rows)),
            Source::Query { query, alias } => {
                let selected = self.query(query)?;
                let columns = selected.columns.into_iter().map(|column| RelationColumn {
                    table: alias.clone(),
                    in_star: true,
                    ..column
                });
                Ok(Relation {
                    plan: selected.plan,
                    columns: columns.collect(),
                    time: selected.time,
                    precision: selected.precision,
                    ordered: selected.ordered,
                    joined: false,
                })
            }
            Source::Join(join) => self.join(join),
        }
    }

    /// The rows of a table that `narrowed` leaves.
    pub(super) fn table(
        &self,
        name: &TableName,
        alias: Option<&str>,
        narrowed: impl FnOnce(TableRows, &View<'_>) -> Result<TableRows, TdError>,
    ) -> Result<Relation, TdError> {
        let database = self.databases.database_of(name)?;
        if is_system(&database.to_lowercase()) {
            let listing = system::table(&self.databases, &database.to_lowercase(), &name.table.to_lowercase())?;
            return self.listed(listing, Some(alias.unwrap_or(&name.table)));
        }
        let view = self.databases.table(name)?;
        let rows = narrowed(self.session.table_rows(view.table), &view)?;
        self.view(&view, rows, alias.unwrap_or(&name.table))
    }

    /// The rows of a table under fresh names. Columns that nobody asks for cost nothing.
    fn view(&self, view: &View<'_>, rows: TableRows, alias: &str) -> Result<Relation, TdError> {
        let scan = LogicalPlanBuilder::scan("rows", provider_as_source(Arc::new(rows)), None)?;
        let name_tag = view.table.schema.series_name_tag();
        let scan = match (view.series, name_tag) {
            (Some(series), Some(tag)) => scan.filter(column(&tag.sql_name).eq(lit(series.name.as_str())))?,
            _ => scan,
        };
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        let mut add =
            |expr: datafusion::logical_expr::Expr, name: &str, kind: DeclaredType, role: Role, in_star: bool| {
                let id = self.fresh("r");
                exprs.push(expr.alias(&id));
                let (table, name) = (Some(alias.to_string()), name.to_string());
                columns.push(RelationColumn { table, name, id, kind: Some(kind), role, in_star });
            };
        add(column(TIME_COLUMN), view.time_name(), DeclaredType::Timestamp, Role::Time, true);
        for found in view.columns() {
            add(read(&found), &found.column.name, found.kind, Role::Field, true);
        }
        for tag in view.tags() {
            add(read_tag(&tag), &tag.column.name, tag.kind, Role::Tag, view.is_super());
        }
        let series_name = match name_tag {
            Some(tag) => column(&tag.sql_name),
            None if view.is_plain() => text_literal(&view.table.name.table),
            None => {
                let tags = view.tags().map(|tag| (tag.column.name.clone(), column(&tag.column.sql_name)));
                series_name::of(&view.table.name.table, tags.collect())
            }
        };
        add(series_name, "tbname", DeclaredType::Varchar(192), Role::SeriesName, false);
        let time = columns.first().map(|column| column.id.clone());
        let ordered = view.series.is_some() || view.is_plain();
        let precision = view.database.precision;
        Ok(Relation { plan: scan.project(exprs)?.build()?, columns, time, precision, ordered, joined: false })
    }

    /// A row for each series of a table, with its name and tags; for tables of which the registry knows the series.
    pub(super) fn series_of(&self, name: &TableName, alias: Option<&str>) -> Result<Option<Relation>, TdError> {
        let database = self.databases.database_of(name)?;
        if is_system(database) {
            return Ok(None);
        }
        let view = self.databases.table(name)?;
        if view.table.schema.series_name_tag().is_none() {
            return Ok(None);
        }
        let listed: Vec<_> = match view.series {
            Some(series) => vec![series.clone()],
            None => view.table.series.values().cloned().collect(),
        };
        let text = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
        let mut arrays = Vec::new();
        let alias = alias.unwrap_or(&name.table);
        for tag in view.tags() {
            let values = listed.iter().map(|series| series.tags.get(&tag.column.id.0).map(String::as_str)).collect();
            arrays.push((tag.column.name.clone(), tag.kind, Role::Tag, text(values)));
        }
        let names = listed.iter().map(|series| Some(series.name.as_str())).collect();
        arrays.push(("tbname".to_string(), DeclaredType::Varchar(192), Role::SeriesName, text(names)));
        let fields: Vec<Field> =
            (0..arrays.len()).map(|at| Field::new(format!("s{at}"), DataType::Utf8, true)).collect();
        let batch = batch(fields, arrays.iter().map(|(.., array)| array.clone()).collect(), listed.len())?;
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        for (at, (name, kind, role, _)) in arrays.into_iter().enumerate() {
            let id = self.fresh("r");
            exprs.push(of_text(column(&format!("s{at}")), kind).alias(&id));
            let table = Some(alias.to_string());
            columns.push(RelationColumn { table, name, id, kind: Some(kind), role, in_star: true });
        }
        let plan = LogicalPlanBuilder::from(memory(batch)?).project(exprs)?.build()?;
        let precision = view.database.precision;
        Ok(Some(Relation { plan, columns, time: None, precision, ordered: false, joined: false }))
    }

    /// A list of the system as a relation.
    pub(super) fn listed(&self, listing: Listing, alias: Option<&str>) -> Result<Relation, TdError> {
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        let mut columns = Vec::new();
        let mut exprs = Vec::new();
        for (at, (name, kind, array)) in listing.columns.into_iter().enumerate() {
            let id = self.fresh("r");
            let (given, wanted) = (column(&format!("s{at}")), arrow_type(Some(kind)));
            exprs.push(if *array.data_type() == wanted { given } else { of_text(given, kind) }.alias(&id));
            fields.push(Field::new(format!("s{at}"), array.data_type().clone(), true));
            arrays.push(array);
            let table = alias.map(str::to_string);
            columns.push(RelationColumn { table, name, id, kind: Some(kind), role: Role::Field, in_star: true });
        }
        let plan = LogicalPlanBuilder::from(memory(batch(fields, arrays, listing.rows)?)?).project(exprs)?.build()?;
        Ok(Relation { plan, columns, time: None, precision: Precision::Ms, ordered: false, joined: false })
    }
}

fn batch(fields: Vec<Field>, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, TdError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options);
    Ok(batch.map_err(datafusion::common::DataFusionError::from)?)
}

fn memory(batch: RecordBatch) -> Result<LogicalPlan, TdError> {
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    Ok(LogicalPlanBuilder::scan("listed", provider_as_source(Arc::new(table)), None)?.build()?)
}

/// A field as the type that it was declared as.
fn read(found: &ViewColumn<'_>) -> datafusion::logical_expr::Expr {
    let stored = column(&found.column.sql_name);
    let stored_type = found.column.data_type();
    let wanted = arrow_type(Some(found.kind));
    if stored_type == wanted { stored } else { cast_to(stored, wanted) }
}

/// A tag as the type that it was declared as; texts stay the dictionaries that they are.
fn read_tag(tag: &ViewColumn<'_>) -> datafusion::logical_expr::Expr {
    let stored = column(&tag.column.sql_name);
    if tag.kind.is_text() { stored } else { of_text(stored, tag.kind) }
}

/// A registered text as the type that it stands for.
fn of_text(text: datafusion::logical_expr::Expr, kind: DeclaredType) -> datafusion::logical_expr::Expr {
    match kind {
        DeclaredType::Timestamp => cast_to(cast_to(text, DataType::Int64), arrow_type(Some(kind))),
        _ if arrow_type(Some(kind)) == DataType::Utf8 => cast_to(text, DataType::Utf8),
        _ => cast_to(text, arrow_type(Some(kind))),
    }
}
