//! Statements that make, change and drop tables, and what each does to a schema.

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::model::declared::DeclaredType;
use crate::model::schema::TIME_COLUMN;
use crate::model::{ColumnKind, FieldType, RowIdentity, TableSchema};
use crate::query::error::QueryError;

use super::external::NewExternal;
use super::refusal::Refusal;
use super::statement::Words;

/// A change of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableDdl {
    Create { table: TableReference, if_not_exists: bool, columns: NewColumns },
    Alter { table: TableReference, change: TableChange },
    Drop { table: TableReference, if_exists: bool },
    CreateExternal(Box<NewExternal>),
}

/// Columns of a new table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewColumns {
    pub fields: Vec<NewField>,
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewField {
    pub name: String,
    pub field_type: FieldType,
    /// More than its type says: that its integers are times.
    pub declared: Option<DeclaredType>,
    pub codec: Option<String>,
}

impl NewField {
    /// Adds the field to a table that has no column of its name.
    fn add_to(&self, schema: &mut TableSchema) -> Result<(), Refusal> {
        let codec = checked_codec(self.codec.as_deref(), self.field_type)?;
        match self.declared {
            Some(declared) => _ = schema.declare_field(&self.name, declared),
            None => schema.add_missing_field(&self.name, self.field_type),
        }
        schema.set_codec(&self.name, codec);
        Ok(())
    }
}

/// What an ALTER TABLE does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableChange {
    AddTag(String),
    AddField(NewField),
    Drop(String),
    SetCodec { column: String, codec: String },
    Rename { from: String, to: String },
}

impl NewColumns {
    /// The schema of a table with these columns; `table` is its full name.
    pub fn schema(&self, table: &str) -> Result<TableSchema, Refusal> {
        if self.fields.iter().any(|field| field.name == TIME_COLUMN && field.declared.is_some()) {
            return Err(Refusal::ColumnExists { column: TIME_COLUMN.to_string(), table: table.to_string() });
        }
        let mut schema = TableSchema::new(RowIdentity::Series);
        for tag in &self.tags {
            if tag == TIME_COLUMN || schema.find(tag, ColumnKind::Tag).is_some() {
                return Err(Refusal::SameName { column: tag.clone() });
            }
            schema.add_missing_tag(tag);
        }
        for field in &self.fields {
            let taken = |kind| schema.find(&field.name, kind).is_some();
            if field.name == TIME_COLUMN || taken(ColumnKind::Tag) || taken(ColumnKind::Field) {
                return Err(Refusal::SameName { column: field.name.clone() });
            }
            field.add_to(&mut schema)?;
        }
        Ok(schema)
    }
}

impl TableChange {
    /// Changes the schema of `table`. Names are found as written, or failing that regardless of case.
    pub fn apply(&self, table: &str, schema: &mut TableSchema) -> Result<(), Refusal> {
        let exists = |column: &str| Refusal::ColumnExists { column: column.to_string(), table: table.to_string() };
        match self {
            TableChange::AddTag(name) => {
                if kind_of(schema, name).is_some() {
                    return Err(exists(name));
                }
                schema.add_missing_tag(name);
            }
            TableChange::AddField(field) => {
                if kind_of(schema, &field.name).is_some() {
                    return Err(exists(&field.name));
                }
                field.add_to(schema)?;
            }
            TableChange::Drop(name) => match known(schema, table, name)? {
                (_, ColumnKind::Time) => return Err(Refusal::DropTime),
                (column, ColumnKind::Tag) => return Err(Refusal::DropTag { column }),
                (column, ColumnKind::Field) => {
                    if schema.fields().count() == 1 {
                        return Err(Refusal::LastField);
                    }
                    schema.drop_field(&column);
                }
            },
            TableChange::SetCodec { column, codec } => match known(schema, table, column)? {
                (_, ColumnKind::Time) => return Err(Refusal::TimeFixed),
                (_, ColumnKind::Tag) => return Err(Refusal::TagCodec),
                (column, ColumnKind::Field) => {
                    let field_type = schema.find(&column, ColumnKind::Field).and_then(|c| c.field_type);
                    let codec = checked_codec(Some(codec), field_type.unwrap_or(FieldType::Float))?;
                    schema.set_codec(&column, codec);
                }
            },
            TableChange::Rename { from, to } => {
                let (from, kind) = known(schema, table, from)?;
                match kind {
                    ColumnKind::Time => return Err(Refusal::TimeFixed),
                    _ if kind_of(schema, to).is_some() => return Err(exists(to)),
                    kind => schema.rename(&from, kind, to),
                }
            }
        }
        Ok(())
    }
}

/// What a column is that is called exactly `name`.
fn kind_of(schema: &TableSchema, name: &str) -> Option<ColumnKind> {
    if name == TIME_COLUMN {
        return Some(ColumnKind::Time);
    }
    schema.columns.iter().find(|column| column.sql_name == name || column.name == name).map(|column| column.kind)
}

fn known(schema: &TableSchema, table: &str, name: &str) -> Result<(String, ColumnKind), Refusal> {
    let missing = || Refusal::ColumnMissing { column: name.to_string(), table: table.to_string() };
    let (name, kind) = super::find_column(schema, name).ok_or_else(missing)?;
    match kind {
        ColumnKind::Time => Ok((name, kind)),
        // Written names are what a schema is asked by.
        kind => schema
            .columns
            .iter()
            .find(|column| column.sql_name == name)
            .map(|column| (column.name.clone(), kind))
            .ok_or_else(missing),
    }
}

/// Names of codecs that fit a type; all but the default are remembered and change nothing here.
fn checked_codec(codec: Option<&str>, of: FieldType) -> Result<Option<String>, Refusal> {
    let Some(codec) = codec else { return Ok(None) };
    let (name, fitting): (_, &[&str]) = match of {
        FieldType::Integer => ("I64", &["DELTA", "QUANTILE"]),
        FieldType::Unsigned => ("U64", &["DELTA", "QUANTILE"]),
        FieldType::Float => ("F64", &["GORILLA", "QUANTILE"]),
        FieldType::String => ("String", &["SNAPPY", "ZSTD", "GZIP", "BZIP", "ZLIB"]),
        FieldType::Boolean => ("Bool", &["BITPACK"]),
    };
    match codec {
        "DEFAULT" => Ok(None),
        codec if codec == "NULL" || fitting.contains(&codec) => Ok(Some(codec.to_string())),
        codec => {
            let lower = codec.to_lowercase();
            let codec = lower[..1].to_uppercase() + &lower[1..];
            Err(Refusal::Codec { codec, of: name })
        }
    }
}

const CODECS: [&str; 11] =
    ["DEFAULT", "NULL", "DELTA", "QUANTILE", "GORILLA", "SNAPPY", "ZSTD", "GZIP", "BZIP", "ZLIB", "BITPACK"];

/// `[IF NOT EXISTS] table (field TYPE [CODEC(name)], …, [TAGS(tag, …)])`
pub(super) fn create(mut words: Words<'_>) -> Result<TableDdl, QueryError> {
    let if_not_exists = words.take_keyword(&["IF"]).is_some();
    if if_not_exists {
        words.expect_keyword("NOT")?;
        words.expect_keyword("EXISTS")?;
    }
    let table = words.table_name()?;
    check_name(table.table())?;
    let mut columns = NewColumns::default();
    words.expect_token(&Token::LParen)?;
    loop {
        if words.take_keyword(&["TAGS"]).is_some() {
            words.expect_token(&Token::LParen)?;
            loop {
                columns.tags.push(words.name()?);
                if !words.take(&Token::Comma) {
                    break;
                }
            }
            words.expect_token(&Token::RParen)?;
            break;
        }
        columns.fields.push(new_field(&mut words)?);
        if !words.take(&Token::Comma) {
            break;
        }
    }
    words.expect_token(&Token::RParen)?;
    words.end()?;
    if columns.fields.is_empty() {
        return Err(QueryError::Syntax("a table has at least one field".to_string()));
    }
    Ok(TableDdl::Create { table, if_not_exists, columns })
}

/// `table ADD TAG a | ADD FIELD f TYPE [CODEC(name)] | DROP c | ALTER c SET CODEC(name) | RENAME COLUMN a TO b`
pub(super) fn alter(mut words: Words<'_>) -> Result<TableDdl, QueryError> {
    let table = words.table_name()?;
    let change = match words.take_keyword(&["ADD", "DROP", "ALTER", "RENAME"]) {
        Some("ADD") => match words.take_keyword(&["TAG", "FIELD"]) {
            Some("TAG") => TableChange::AddTag(words.name()?),
            Some(_) => TableChange::AddField(new_field(&mut words)?),
            None => return words.expected("TAG or FIELD"),
        },
        Some("DROP") => {
            words.take_keyword(&["COLUMN"]);
            TableChange::Drop(words.name()?)
        }
        Some("ALTER") => {
            words.take_keyword(&["COLUMN"]);
            let column = words.name()?;
            words.expect_keyword("SET")?;
            let Some(codec) = codec(&mut words)? else { return words.expected("CODEC") };
            TableChange::SetCodec { column, codec }
        }
        Some(_) => {
            words.expect_keyword("COLUMN")?;
            let from = words.name()?;
            words.expect_keyword("TO")?;
            TableChange::Rename { from, to: words.name()? }
        }
        None => return words.expected("ADD, DROP, ALTER or RENAME"),
    };
    words.end()?;
    Ok(TableDdl::Alter { table, change })
}

/// `[IF EXISTS] table`
pub(super) fn drop(mut words: Words<'_>) -> Result<TableDdl, QueryError> {
    let if_exists = words.take_keyword(&["IF"]).is_some();
    if if_exists {
        words.expect_keyword("EXISTS")?;
    }
    let table = words.table_name()?;
    words.end()?;
    Ok(TableDdl::Drop { table, if_exists })
}

fn new_field(words: &mut Words<'_>) -> Result<NewField, QueryError> {
    let name = words.name()?;
    let at = *words;
    let field_type = match words.any_keyword().as_deref() {
        Some("BIGINT") if words.take_keyword(&["UNSIGNED"]).is_some() => FieldType::Unsigned,
        Some("BIGINT") => FieldType::Integer,
        Some("DOUBLE") => FieldType::Float,
        Some("BOOLEAN") => FieldType::Boolean,
        Some("STRING") => FieldType::String,
        Some("TIMESTAMP") => FieldType::Integer,
        Some("GEOMETRY") => return Err(QueryError::NotSupported("a field of type GEOMETRY".to_string())),
        _ => return at.expected("BIGINT, BIGINT UNSIGNED, DOUBLE, BOOLEAN, STRING or TIMESTAMP"),
    };
    let mut word = at;
    let declared = word.take_keyword(&["TIMESTAMP"]).map(|_| DeclaredType::Timestamp);
    Ok(NewField { name, field_type, declared, codec: codec(words)? })
}

/// `CODEC(name)`
fn codec(words: &mut Words<'_>) -> Result<Option<String>, QueryError> {
    if words.take_keyword(&["CODEC"]).is_none() {
        return Ok(None);
    }
    words.expect_token(&Token::LParen)?;
    let at = *words;
    let Some(name) = words.any_keyword().filter(|name| CODECS.contains(&name.as_str())) else {
        return at.expected("a codec");
    };
    words.expect_token(&Token::RParen)?;
    Ok(Some(name))
}

pub(super) fn check_name(name: &str) -> Result<(), QueryError> {
    if name.trim().is_empty() {
        return Err(QueryError::Syntax("Name cannot be empty or contain only spaces".to_string()));
    }
    if name.contains('/') {
        return Err(QueryError::Syntax(format!("not supported keyword contains '/': {name}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Ddl;
    use super::super::statement::{Statement, parse};
    use super::*;

    #[track_caller]
    fn ddl(text: &str) -> Result<TableDdl, String> {
        match parse(text) {
            Ok(Statement::Ddl(Ddl::Table(ddl))) => Ok(ddl),
            Ok(other) => panic!("{text}: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn schema(text: &str) -> TableSchema {
        let Ok(TableDdl::Create { columns, .. }) = ddl(text) else { panic!("{text}") };
        columns.schema("t").unwrap()
    }

    /// Columns as `kind name type codec`.
    fn shown(schema: &TableSchema) -> Vec<String> {
        let column = |c: &crate::model::Column| {
            let field_type = c.field_type.map_or("string", FieldType::as_str);
            format!("{} {} {field_type} {}", c.kind.as_str(), c.sql_name, c.codec.as_deref().unwrap_or("-"))
        };
        schema.columns.iter().map(column).collect()
    }

    #[test]
    fn tables_have_fields_of_every_type_and_tags() {
        let text = "create table t(a bigint codec(delta), \"B c\" bigint unsigned, d double, e boolean, f string codec(gzip), tags(g, h))";
        let expected = [
            "tag g string -",
            "tag h string -",
            "field a integer DELTA",
            "field B c unsigned -",
            "field d float -",
            "field e boolean -",
            "field f string GZIP",
        ];
        assert_eq!(shown(&schema(text)), expected);
        let Ok(TableDdl::Create { table, if_not_exists: true, .. }) = ddl("create table if not exists d.t(a double)")
        else {
            panic!()
        };
        assert_eq!(table, TableReference::partial("d", "t"));
    }

    #[test]
    fn mistakes_are_told() {
        for (text, expected) in [
            ("create table t", "Expected: (, found: EOF"),
            ("create table t(a bigint,)", "Expected: a name, found: )"),
            ("create table t(tags(a))", "a table has at least one field"),
            (
                "create table t(a boole)",
                "Expected: BIGINT, BIGINT UNSIGNED, DOUBLE, BOOLEAN, STRING or TIMESTAMP, found: boole",
            ),
            ("create table t(a bigint codec(del))", "Expected: a codec, found: del"),
            ("create table \"a/b\"(a bigint)", "not supported keyword contains '/': a/b"),
            ("alter table t add a", "Expected: TAG or FIELD, found: a"),
            ("drop table t u", "Expected: end of statement, found: u"),
        ] {
            assert_eq!(ddl(text).unwrap_err(), expected, "{text}");
        }
        for (text, expected) in [
            ("create table t(a bigint, a double)", "Field or Tag have the same name a"),
            ("create table t(a bigint, tags(a))", "Field or Tag have the same name a"),
            ("create table t(time bigint)", "Field or Tag have the same name time"),
            ("create table t(a double, time timestamp)", " column time already exists in table t"),
            ("create table t(a double codec(snappy))", "Unsupported encoding type Snappy for F64"),
        ] {
            let Ok(TableDdl::Create { columns, .. }) = ddl(text) else { panic!("{text}") };
            assert_eq!(columns.schema("t").unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn columns_come_and_go_but_tags_and_time_stay() {
        let mut table = schema("create table t(a bigint, tags(g))");
        let mut check = |text: &str, expected: Result<&str, &str>| {
            let Ok(TableDdl::Alter { change, .. }) = ddl(text) else { panic!("{text}") };
            let seen = change.apply("t", &mut table).map(|()| shown(&table).join(", ")).map_err(|e| e.to_string());
            assert_eq!(seen.as_deref().map_err(String::as_str), expected, "{text}");
        };
        check("alter table t drop a", Err("There must be at least one field column."));
        check("alter table t drop g", Err("Can't drop tag column g."));
        check("alter table t drop time", Err("Can't drop column time."));
        check("alter table t drop x", Err("Column x not exists in table t"));
        check("alter table t add field time double", Err(" column time already exists in table t"));
        check("alter table t add tag a", Err(" column a already exists in table t"));
        check("alter table t add tag h", Ok("tag g string -, field a integer -, tag h string -"));
        check(
            "alter table t alter a set codec(quantile)",
            Ok("tag g string -, field a integer QUANTILE, tag h string -"),
        );
        check("alter table t alter g set codec(null)", Err("Tag does not support compression"));
        check("alter table t alter time set codec(null)", Err("Column time does not support modification"));
        check("alter table t rename column A to b", Ok("tag g string -, field b integer QUANTILE, tag h string -"));
        check("alter table t rename column b to h", Err(" column h already exists in table t"));
        check(
            "alter table t add field a double",
            Ok("tag g string -, field b integer QUANTILE, tag h string -, field a float -"),
        );
        check("alter table t drop b", Ok("tag g string -, tag h string -, field a float -"));
    }
}
