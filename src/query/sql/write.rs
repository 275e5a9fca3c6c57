//! INSERT and UPDATE: questions whose rows become points.
//!
//! Owns: which column of an answer becomes what. Does not own: how points are stored, which is for whoever carries it out.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::kernels::cast::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Insert, ObjectName, Query, Statement as SqlStatement,
    TableFactor, TableObject, TableWithJoins, UnaryOperator, Update,
};

use crate::model::schema::{TIME_COLUMN, time_type};
use crate::model::{Column, ColumnKind, FieldType, Points, Precision, RowIdentity, TableSchema};
use crate::query::answer::RowStream;
use crate::query::error::QueryError;

use super::refusal::Refusal;
use super::show::{identifiers, quoted};
use super::statement::parse_text;

/// Rows on their way into a table.
#[derive(Debug)]
pub struct RowsToWrite {
    pub tenant: String,
    pub database: String,
    pub table: String,
    pub rows: RowStream,
    /// What each column of the rows becomes.
    pub columns: Vec<Target>,
    /// The unit of times that are given as numbers.
    pub precision: Precision,
    /// Whether times that are texts may be numbers, as in files.
    pub times_may_be_numbers: bool,
    /// Whether a row without a value for any field is left out; else it is an error.
    pub may_be_empty: bool,
}

/// A column that is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Time,
    /// By its written name.
    Tag(String),
    Field(String, FieldType),
    /// A field of times, by its written name.
    TimeField(String),
}

impl Target {
    fn field(column: &Column) -> Target {
        match column.holds_times() {
            true => Target::TimeField(column.name.clone()),
            false => Target::Field(column.name.clone(), column.field_type.unwrap_or(FieldType::String)),
        }
    }
}

/// A question and where its columns go.
#[derive(Debug)]
pub(super) struct Source {
    pub question: EngineStatement,
    pub columns: Vec<Target>,
}

/// A table's name of one, two or three parts.
pub(super) fn table_reference(name: &ObjectName) -> Result<TableReference, QueryError> {
    let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(|i| i.value.clone())).collect();
    match parts.unwrap_or_default().as_slice() {
        [table] => Ok(TableReference::bare(table.as_str())),
        [database, table] => Ok(TableReference::partial(database.as_str(), table.as_str())),
        [tenant, database, table] => Ok(TableReference::full(tenant.as_str(), database.as_str(), table.as_str())),
        _ => Err(QueryError::Syntax(format!("{name} is no name of a table"))),
    }
}

/// The table of an INSERT.
pub(super) fn inserted_table(insert: &Insert) -> Result<TableReference, QueryError> {
    match &insert.table {
        TableObject::TableName(name) => table_reference(name),
        other => Err(QueryError::NotSupported(format!("INSERT INTO {other}"))),
    }
}

/// The table of an UPDATE or a DELETE: its name, which may have an alias beside it.
pub(super) fn changed_table(table: &TableWithJoins) -> Result<TableReference, QueryError> {
    let TableWithJoins { relation, joins } = table;
    match relation {
        TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } if alias.as_ref().is_none_or(|alias| alias.columns.is_empty() && alias.at.is_none())
            && joins.is_empty()
            && with_hints.is_empty()
            && partitions.is_empty()
            && index_hints.is_empty() =>
        {
            table_reference(name)
        }
        _ => Err(QueryError::NotSupported(format!("a change of {table}"))),
    }
}

/// Refuses a statement that has a part which the parser reads and nothing here carries out.
fn refuse_parts(statement: &str, parts: &[(&str, bool)]) -> Result<(), QueryError> {
    match parts.iter().find(|(_, is_there)| *is_there) {
        Some((part, _)) => Err(QueryError::NotSupported(format!("{statement} with {part}"))),
        None => Ok(()),
    }
}

/// The table of a DELETE, which has a condition and nothing else.
pub(super) fn deleted_table(delete: &Delete) -> Result<TableReference, QueryError> {
    // Every part is named, so that a new one of the parser's is noticed.
    let Delete {
        delete_token: _,
        optimizer_hints: _,
        tables,
        from: FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from),
        using,
        selection: _,
        returning,
        output,
        order_by,
        limit,
    } = delete;
    let [from] = &from[..] else {
        return Err(QueryError::NotSupported("DELETE from several tables".to_string()));
    };
    refuse_parts(
        "DELETE",
        &[
            ("a list of tables", !tables.is_empty()),
            ("USING", using.is_some()),
            ("RETURNING", returning.is_some()),
            ("OUTPUT", output.is_some()),
            ("ORDER BY", !order_by.is_empty()),
            ("LIMIT", limit.is_some()),
        ],
    )?;
    changed_table(from)
}

/// What an INSERT asks, and where the answer goes. Without a list of columns: time, tags and fields as `SELECT *` has them.
pub(super) fn inserted(insert: Insert, schema: &TableSchema) -> Result<Source, QueryError> {
    let Insert {
        insert_token: _,
        optimizer_hints: _,
        or,
        ignore,
        into: _,
        table: _,
        table_alias: _,
        columns,
        overwrite,
        source,
        assignments,
        partitioned,
        after_columns,
        has_table_keyword: _,
        on,
        returning,
        output,
        replace_into,
        priority,
        insert_alias,
        settings,
        format_clause,
        multi_table_insert_type,
        multi_table_into_clauses,
        multi_table_when_clauses,
        multi_table_else_clause,
    } = insert;
    let several = multi_table_insert_type.is_some()
        || !multi_table_into_clauses.is_empty()
        || !multi_table_when_clauses.is_empty()
        || multi_table_else_clause.is_some();
    refuse_parts(
        "INSERT",
        &[
            ("OR", or.is_some()),
            ("IGNORE", ignore),
            ("OVERWRITE", overwrite),
            ("SET", !assignments.is_empty()),
            ("PARTITION", partitioned.is_some() || !after_columns.is_empty()),
            ("ON", on.is_some()),
            ("RETURNING", returning.is_some()),
            ("OUTPUT", output.is_some()),
            ("REPLACE", replace_into),
            ("a priority", priority.is_some()),
            ("names of its rows", insert_alias.is_some()),
            ("SETTINGS", settings.is_some()),
            ("FORMAT", format_clause.is_some()),
            ("several tables", several),
        ],
    )?;
    let Some(source) = source else { return Err(QueryError::Syntax("Expected: VALUES or SELECT".to_string())) };
    let names: Vec<String> = match columns.is_empty() {
        true => schema.sql_schema().fields().iter().map(|field| field.name().clone()).collect(),
        false => columns.iter().map(last_part).collect(),
    };
    let columns = names.iter().map(|name| target(schema, name)).collect::<Result<Vec<_>, _>>()?;
    if !columns.contains(&Target::Time) {
        return Err(QueryError::Plan("Column time is required, and must not be null".to_string()));
    }
    let question = EngineStatement::Statement(Box::new(SqlStatement::Query(source)));
    Ok(Source { question, columns })
}

/// A value for a column without a name of its own fits one that is known.
pub(super) fn target(schema: &TableSchema, name: &str) -> Result<Target, QueryError> {
    let missing = || QueryError::Plan(format!("No field named {name}"));
    let (name, kind) = super::find_column(schema, name).ok_or_else(missing)?;
    let column = schema.columns.iter().find(|column| column.sql_name == name);
    match (kind, column) {
        (ColumnKind::Time, _) => Ok(Target::Time),
        (ColumnKind::Field, Some(column)) => Ok(Target::field(column)),
        (ColumnKind::Tag, Some(column)) => Ok(Target::Tag(column.name.clone())),
        _ => Err(missing()),
    }
}

fn last_part(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map_or(name.to_string(), |ident| ident.value.clone())
}

/// An UPDATE as a question for the rows that it changes.
#[derive(Debug)]
pub(super) struct Updated {
    pub source: Source,
    /// New values of tags; the rows move to other series then, and the old ones go.
    pub tags: Vec<(String, Option<String>)>,
}

/// What an UPDATE asks: time and tags of the rows it changes, and the new values of fields, or of all fields where tags change.
pub(super) fn updated(update: Update, from: &str, schema: &TableSchema) -> Result<Updated, QueryError> {
    let refuse = |what: &str| QueryError::from(Refusal::Update(what.to_string()));
    if schema.identity == RowIdentity::Append {
        return Err(QueryError::NotSupported("UPDATE of a table whose rows are only appended".to_string()));
    }
    let Update {
        update_token: _,
        optimizer_hints: _,
        table,
        assignments,
        from: source,
        selection,
        returning,
        output,
        or,
        order_by,
        limit,
    } = update;
    refuse_parts(
        "UPDATE",
        &[
            ("FROM", source.is_some()),
            ("RETURNING", returning.is_some()),
            ("OUTPUT", output.is_some()),
            ("OR", or.is_some()),
            ("ORDER BY", !order_by.is_empty()),
            ("LIMIT", limit.is_some()),
        ],
    )?;
    let Some(selection) = selection else { return Err(refuse("Where clause is required in update statement")) };
    let mut tags = Vec::new();
    let mut fields = Vec::new();
    for Assignment { target: assigned, value } in &assignments {
        let AssignmentTarget::ColumnName(name) = assigned else {
            return Err(QueryError::NotSupported("UPDATE of several columns by one value".to_string()));
        };
        match target(schema, &last_part(name))? {
            Target::Time => return Err(refuse("Update the time column is not supported")),
            Target::Tag(tag) => tags.push((tag, constant(value)?)),
            field => fields.push((field, value.to_string())),
        }
    }
    if !tags.is_empty() && !fields.is_empty() {
        return Err(refuse("Update the time/tag/field columns at the same statement is not supported"));
    }
    if !tags.is_empty() {
        let kind = |name: &String| super::find_column(schema, name);
        let other = identifiers(&selection).iter().filter_map(kind).find(|(_, kind)| *kind != ColumnKind::Tag);
        if let Some((name, _)) = other {
            return Err(refuse(&format!("Where clause cannot contain field/time column, but found: {name}")));
        }
    }
    let mut columns = vec![Target::Time];
    let mut shown = vec![quoted(TIME_COLUMN)];
    for tag in schema.tags() {
        columns.push(Target::Tag(tag.name.clone()));
        shown.push(quoted(&tag.sql_name));
    }
    if tags.is_empty() {
        for (field, value) in fields {
            shown.push(format!("{value} AS value_{}", columns.len()));
            columns.push(field);
        }
    } else {
        for field in schema.fields() {
            columns.push(Target::field(field));
            shown.push(quoted(&field.sql_name));
        }
    }
    let alias = match &table.relation {
        TableFactor::Table { alias: Some(alias), .. } => format!(" AS {}", alias.name),
        _ => String::new(),
    };
    let text = format!("SELECT {} FROM {from}{alias} WHERE {selection}", shown.join(", "));
    Ok(Updated { source: Source { question: parse_text(&text)?, columns }, tags })
}

/// Refuses a plan with a function that is volatile, as `random()` is: it may come to other rows each time it runs. `now()` is
/// another time in each run too and passes here; what a second run comes to is for the caller to compare.
pub(super) fn repeatable(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut is_volatile = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            is_volatile |= expr.is_volatile();
            Ok(if is_volatile { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    if is_volatile {
        return Err(
            Refusal::Update("Where clause of an update of tags cannot contain a volatile function".into()).into()
        );
    }
    Ok(())
}

/// The text that a constant is as a tag.
fn constant(value: &Expr) -> Result<Option<String>, QueryError> {
    use datafusion::sql::sqlparser::ast::Value;
    match value {
        Expr::Value(value) => match &value.value {
            Value::Null => Ok(None),
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Ok(Some(text.clone())),
            Value::Number(digits, _) => Ok(Some(digits.clone())),
            Value::Boolean(value) => Ok(Some(value.to_string())),
            other => {
                Err(QueryError::from(Refusal::Update(format!("Tag value must be a constant, but found: {other}"))))
            }
        },
        Expr::UnaryOp { op: sign @ (UnaryOperator::Minus | UnaryOperator::Plus), expr } => match &**expr {
            Expr::Value(number) if matches!(number.value, Value::Number(..)) => {
                let sign = if *sign == UnaryOperator::Minus { "-" } else { "" };
                Ok(Some(format!("{sign}{number}")))
            }
            _ => Err(QueryError::from(Refusal::Update(format!("Tag value must be a constant, but found: {value}")))),
        },
        other => Err(QueryError::from(Refusal::Update(format!("Tag value must be a constant, but found: {other}")))),
    }
}

/// Whether a question without a body of its own has as many columns as it should.
pub(super) fn check_width(found: usize, source: &Source) -> Result<(), QueryError> {
    if found == source.columns.len() { Ok(()) } else { Err(Refusal::InsertColumns.into()) }
}

/// Rows of constants alone: how many columns they have. `None`: the engine must say.
pub(super) fn width_of_values(query: &Query) -> Option<usize> {
    use datafusion::sql::sqlparser::ast::SetExpr;
    match &*query.body {
        SetExpr::Values(values) => values.rows.first().map(|row| row.content.len()),
        _ => None,
    }
}

impl RowsToWrite {
    /// A batch of rows as points of the table. Values are cast to the types of their columns; what cannot be cast, a time
    /// that is missing, and a row without any field are errors, the last one unless such rows are left out.
    pub fn points(&self, batch: &RecordBatch) -> Result<Points, QueryError> {
        let mut points = Points::default();
        let index = points.table_index(&self.table);
        let table = points.table_mut(index);
        let mut times: Option<ArrayRef> = None;
        let mut tags: Vec<(u32, ArrayRef)> = Vec::new();
        let mut fields: Vec<(usize, ArrayRef)> = Vec::new();
        for (target, column) in self.columns.iter().zip(batch.columns()) {
            match target {
                Target::Time => times = Some(self.times(column)?),
                Target::TimeField(name) => {
                    fields.push((table.field_index(name, FieldType::Integer), self.time_values(column)?));
                }
                Target::Tag(name) => tags.push((table.tag_key_index(name), cast(column, &DataType::Utf8)?)),
                Target::Field(name, field_type) => {
                    fields.push((table.field_index(name, *field_type), cast(column, &field_type.arrow())?));
                }
            }
        }
        let missing = || QueryError::Execution("Column time is required, and must not be null".to_string());
        let times = times.ok_or_else(missing)?;
        let times = times.as_primitive::<TimestampNanosecondType>();
        if times.null_count() > 0 {
            return Err(missing());
        }
        for row in 0..batch.num_rows() {
            if fields.iter().all(|(_, values)| values.is_null(row)) {
                match self.may_be_empty {
                    true => continue,
                    false => return Err(Refusal::NoFields.into()),
                }
            }
            let key = tags.iter().filter(|(_, values)| values.is_valid(row));
            let series = table.series.push(key.map(|(tag, values)| (*tag, values.as_string::<i32>().value(row))));
            table.begin_row(series, times.value(row));
            for (field, values) in fields.iter().filter(|(_, values)| values.is_valid(row)) {
                match values.data_type() {
                    DataType::Float64 => table.set_float(*field, values.as_primitive::<Float64Type>().value(row)),
                    DataType::Int64 => table.set_integer(*field, values.as_primitive::<Int64Type>().value(row)),
                    DataType::UInt64 => table.set_unsigned(*field, values.as_primitive::<UInt64Type>().value(row)),
                    DataType::Boolean => table.set_boolean(*field, values.as_boolean().value(row)),
                    _ => table.set_string(*field, values.as_string::<i32>().value(row)),
                }
            }
        }
        Ok(points)
    }

    /// Times of a field as the integers that are stored, cut as the row's own is.
    fn time_values(&self, column: &ArrayRef) -> Result<ArrayRef, QueryError> {
        let times = self.times(column)?;
        let times = times.as_primitive::<TimestampNanosecondType>();
        Ok(std::sync::Arc::new(times.unary::<_, Int64Type>(|time_ns| self.precision.floor(time_ns))))
    }

    /// Times in nanoseconds: numbers are in the database's unit, text is read as a time.
    fn times(&self, column: &ArrayRef) -> Result<ArrayRef, QueryError> {
        let numbers = if self.times_may_be_numbers { numbers_in(column) } else { None };
        let column = numbers.as_ref().unwrap_or(column);
        if column.data_type().is_floating() {
            let what = format!("Unsupported CAST from {} to Timestamp(Nanosecond, None)", column.data_type());
            return Err(QueryError::NotSupported(what));
        }
        if !matches!(column.data_type(), DataType::Int64 | DataType::UInt64) {
            return cast(column, &time_type());
        }
        let numbers = cast(column, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        let beyond = |number| QueryError::Execution(format!("the time {number} is beyond what can be stored"));
        let nanos = |number: i64| self.precision.to_nanos(number).ok_or_else(|| beyond(number));
        Ok(std::sync::Arc::new(numbers.try_unary::<_, TimestampNanosecondType, _>(nanos)?))
    }
}

/// The numbers that all texts of a column are; `None` if one of them is none.
fn numbers_in(column: &ArrayRef) -> Option<ArrayRef> {
    let texts = column.as_string_opt::<i32>()?;
    let numbers = texts.iter().map(|text| text.map(|text| text.trim().parse()).transpose());
    let numbers = numbers.collect::<Result<Int64Array, std::num::ParseIntError>>().ok()?;
    Some(std::sync::Arc::new(numbers))
}

fn cast(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, QueryError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, data_type, &strict).map_err(|error| QueryError::Execution(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_text;
    use super::*;

    /// The refusal of a change of `t`.
    fn refusal(text: &str) -> Option<String> {
        let mut schema = TableSchema::new(RowIdentity::Series);
        schema.add_missing_tag("g");
        schema.add_missing_field("f", FieldType::Float);
        let Ok(EngineStatement::Statement(statement)) = parse_text(text) else { panic!("{text}") };
        let outcome = match *statement {
            SqlStatement::Insert(insert) => inserted(insert, &schema).map(|_| ()),
            SqlStatement::Delete(delete) => deleted_table(&delete).map(|_| ()),
            SqlStatement::Update(update) => {
                changed_table(&update.table).and_then(|_| updated(update, "t", &schema)).map(|_| ())
            }
            other => panic!("{other}"),
        };
        outcome.err().map(|error| error.to_string())
    }

    #[test]
    fn parts_that_nothing_carries_out_are_refused_by_name() {
        for text in [
            "DELETE FROM t",
            "DELETE FROM t AS x WHERE g = 'a'",
            "UPDATE t SET f = 1 WHERE g = 'a'",
            "UPDATE t AS x SET f = 1 WHERE g = 'a'",
            "INSERT INTO t (time, f) VALUES (1, 2)",
        ] {
            assert_eq!(refusal(text), None, "{text}");
        }
        for (text, part) in [
            ("DELETE FROM t LIMIT 1", "DELETE with LIMIT"),
            ("DELETE FROM t ORDER BY time", "DELETE with ORDER BY"),
            ("DELETE FROM t USING u WHERE t.g = u.g", "DELETE with USING"),
            ("DELETE FROM t RETURNING f", "DELETE with RETURNING"),
            ("DELETE FROM t, u", "DELETE from several tables"),
            ("UPDATE t SET f = 1 FROM u WHERE t.g = u.g", "UPDATE with FROM"),
            ("UPDATE OR REPLACE t SET f = 1 WHERE g = 'a'", "UPDATE with OR"),
            ("UPDATE t SET f = 1 WHERE g = 'a' RETURNING f", "UPDATE with RETURNING"),
            ("UPDATE t SET f = 1 WHERE g = 'a' LIMIT 1", "UPDATE with LIMIT"),
            ("UPDATE t JOIN u ON true SET f = 1 WHERE g = 'a'", "a change of t JOIN u ON true"),
            ("UPDATE t AS x (a) SET f = 1 WHERE a = 'a'", "a change of t AS x (a)"),
            ("INSERT OR REPLACE INTO t (time, f) VALUES (1, 2)", "INSERT with OR"),
            ("INSERT OVERWRITE t (time, f) VALUES (1, 2)", "INSERT with OVERWRITE"),
            ("INSERT INTO t (time, f) VALUES (1, 2) RETURNING f", "INSERT with RETURNING"),
        ] {
            assert_eq!(refusal(text), Some(format!("{part} is not supported")), "{text}");
        }
    }
}
