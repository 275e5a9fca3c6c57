//! CREATE, ALTER and DROP.

use crate::query::tdsql::ast::{
    ColumnDefinition, CreateDatabase, CreateSeries, CreateTable, DatabaseOption, Statement, TableChange, TableOptions,
};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::lexer::Token;

use super::{Parsed, Parser};

/// The options of a database that are taken; all but two are kept and shown without further effect.
const DATABASE_OPTIONS: [&str; 34] = [
    "vgroups",
    "buffer",
    "pages",
    "pagesize",
    "cachemodel",
    "cachesize",
    "comp",
    "duration",
    "maxrows",
    "minrows",
    "keep",
    "precision",
    "replica",
    "stt_trigger",
    "single_stable",
    "table_prefix",
    "table_suffix",
    "tsdb_pagesize",
    "wal_level",
    "wal_fsync_period",
    "wal_retention_period",
    "wal_retention_size",
    "wal_roll_period",
    "wal_segment_size",
    "keep_time_offset",
    "schemaless",
    "strict",
    "cachelast",
    "blocks",
    "days",
    "s3_keeplocal",
    "s3_compact",
    "encrypt_algorithm",
    "dnodes",
];

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Parsed<Statement> {
        self.next();
        if self.accept("database") {
            let if_not_exists = self.if_exists(true)?;
            let name = self.name()?;
            return Ok(Statement::CreateDatabase(CreateDatabase {
                name,
                if_not_exists,
                options: self.database_options()?,
            }));
        }
        if self.accept("user") {
            let name = self.name()?;
            self.expect("pass")?;
            let password = self.text_literal()?;
            self.skip_rest();
            return Ok(Statement::CreateUser { name, password });
        }
        if self.accept("stable") {
            let if_not_exists = self.if_exists(true)?;
            return self.create_table(if_not_exists, true);
        }
        if self.accept("table") {
            let if_not_exists = self.if_exists(true)?;
            return self.create_table(if_not_exists, false);
        }
        let kinds =
            ["stream", "topic", "view", "index", "sma", "function", "dnode", "mnode", "qnode", "snode", "tsma", "or"];
        if let Some(kind) = kinds.into_iter().find(|kind| self.is(kind)) {
            return Err(TdError::NotSupported(format!("CREATE {}", kind.to_uppercase())));
        }
        Err(self.unexpected())
    }

    fn database_options(&mut self) -> Parsed<Vec<DatabaseOption>> {
        let mut options = Vec::new();
        while let Token::Word(word) = self.peek() {
            if !DATABASE_OPTIONS.contains(&word.as_str()) {
                return Err(self.unexpected());
            }
            let name = word.clone();
            self.next();
            let values = self.list(Self::option_value)?;
            options.push(DatabaseOption { name, values });
        }
        Ok(options)
    }

    fn option_value(&mut self) -> Parsed<String> {
        let negative = self.accept_sign("-");
        let value = match self.peek() {
            Token::Number(digits) if negative => format!("-{digits}"),
            Token::Number(digits) => digits.clone(),
            Token::Duration(duration) => duration.to_string(),
            Token::Text(text) => text.clone(),
            _ => return Err(self.unexpected()),
        };
        self.next();
        Ok(value)
    }

    fn create_table(&mut self, if_not_exists: bool, stable: bool) -> Parsed<Statement> {
        let table = self.table_name()?;
        if self.is("using") && !stable {
            return self.create_series(table, if_not_exists);
        }
        let columns = self.column_definitions()?;
        let tags = if self.accept("tags") { Some(self.column_definitions()?) } else { None };
        if stable && tags.is_none() {
            return Err(self.unexpected());
        }
        let options = self.table_options()?;
        Ok(Statement::CreateTable(CreateTable { table, if_not_exists, stable, columns, tags, options }))
    }

    fn create_series(
        &mut self,
        mut table: crate::query::tdsql::ast::TableName,
        mut if_not_exists: bool,
    ) -> Parsed<Statement> {
        let mut all = Vec::new();
        loop {
            self.expect("using")?;
            let using = self.using()?;
            let options = self.table_options()?;
            all.push(CreateSeries { table, if_not_exists, using, options });
            if matches!(self.peek(), Token::End | Token::Sign(";")) {
                return Ok(Statement::CreateSeries(all));
            }
            self.accept_sign(",");
            if_not_exists = self.if_exists(true)?;
            table = self.table_name()?;
        }
    }

    fn column_definitions(&mut self) -> Parsed<Vec<ColumnDefinition>> {
        self.expect_sign("(")?;
        let definitions = self.list(Self::column_definition)?;
        self.expect_sign(")")?;
        Ok(definitions)
    }

    fn column_definition(&mut self) -> Parsed<ColumnDefinition> {
        let definition = ColumnDefinition { name: self.name()?, kind: self.type_name(false)? };
        // How a column is encoded is for the store to decide.
        loop {
            if self.accept("encode") || self.accept("compress") || self.accept("level") || self.accept("comment") {
                self.text_literal()?;
            } else if self.accept("primary") || self.accept("composite") {
                self.expect("key")?;
            } else {
                return Ok(definition);
            }
        }
    }

    fn table_options(&mut self) -> Parsed<TableOptions> {
        let mut options = TableOptions::default();
        loop {
            if self.accept("comment") {
                options.comment = Some(self.text_literal()?);
            } else if self.accept("ttl") {
                options.ttl_days = Some(u32::try_from(self.integer()?).map_err(|_| self.unexpected())?);
            } else if self.accept("sma") {
                self.names_in_brackets()?;
            } else if self.accept("keep") || self.accept("max_delay") || self.accept("watermark") {
                self.list(Self::option_value)?;
            } else if self.accept("rollup") {
                self.names_in_brackets()?;
            } else {
                return Ok(options);
            }
        }
    }

    pub(super) fn alter(&mut self) -> Parsed<Statement> {
        self.next();
        if self.accept("database") {
            let name = self.name()?;
            return Ok(Statement::AlterDatabase { name, options: self.database_options()? });
        }
        if self.accept("user") {
            let name = self.name()?;
            let password = if self.accept("pass") { Some(self.text_literal()?) } else { None };
            self.skip_rest();
            return Ok(Statement::AlterUser { name, password });
        }
        if !self.accept("table") && !self.accept("stable") {
            if ["dnode", "local", "all", "cluster"].iter().any(|word| self.is(word)) {
                self.skip_rest();
                return Ok(Statement::Maintenance);
            }
            return Err(self.unexpected());
        }
        let table = self.table_name()?;
        Ok(Statement::AlterTable { table, change: self.table_change()? })
    }

    fn table_change(&mut self) -> Parsed<TableChange> {
        if self.accept("set") {
            self.expect("tag")?;
            let tags = self.list(|parser| {
                let name = parser.name()?;
                parser.expect_sign("=")?;
                Ok((name, parser.value()?))
            })?;
            return Ok(TableChange::SetTags(tags));
        }
        let verb = ["add", "drop", "modify", "rename"].into_iter().find(|verb| self.accept(verb));
        let Some(verb) = verb else {
            let before = self.at;
            let options = self.table_options()?;
            return if self.at > before { Ok(TableChange::Options(options)) } else { Err(self.unexpected()) };
        };
        let tag = self.accept("tag");
        if !tag {
            self.accept("column");
        }
        Ok(match (verb, tag) {
            ("add", false) => TableChange::AddColumn(self.column_definition()?),
            ("add", true) => TableChange::AddTag(self.column_definition()?),
            ("drop", false) => TableChange::DropColumn(self.name()?),
            ("drop", true) => TableChange::DropTag(self.name()?),
            ("modify", false) => TableChange::ModifyColumn(self.column_definition()?),
            ("modify", true) => TableChange::ModifyTag(self.column_definition()?),
            (_, false) => TableChange::RenameColumn { from: self.name()?, to: self.name()? },
            (_, true) => TableChange::RenameTag { from: self.name()?, to: self.name()? },
        })
    }

    pub(super) fn drop(&mut self) -> Parsed<Statement> {
        self.next();
        if self.accept("database") {
            let if_exists = self.if_exists(false)?;
            return Ok(Statement::DropDatabase { if_exists, name: self.name()? });
        }
        if self.accept("user") {
            self.if_exists(false)?;
            return Ok(Statement::DropUser(self.name()?));
        }
        let supers_only = self.accept("stable");
        if !supers_only && !self.accept("table") {
            if ["stream", "topic", "view", "index", "function", "dnode"].iter().any(|word| self.is(word)) {
                return Err(TdError::Target);
            }
            return Err(self.unexpected());
        }
        self.accept("with");
        let tables = self.list(|parser| {
            let if_exists = parser.if_exists(false)?;
            Ok((parser.table_name()?, if_exists))
        })?;
        Ok(Statement::DropTables { tables, supers_only })
    }
}
