//! SHOW.

use crate::query::tdsql::ast::{Databases, Show, Statement, TableKind, TableName};
use crate::query::tdsql::lexer::Token;

use super::{Parsed, Parser};

/// Lists that have no statement of their own, and the tables that hold them.
const LISTS: [(&str, &str, &str); 28] = [
    ("dnodes", "information_schema", "ins_dnodes"),
    ("mnodes", "information_schema", "ins_mnodes"),
    ("qnodes", "information_schema", "ins_qnodes"),
    ("snodes", "information_schema", "ins_snodes"),
    ("vnodes", "information_schema", "ins_vnodes"),
    ("vgroups", "information_schema", "ins_vgroups"),
    ("users", "information_schema", "ins_users"),
    ("functions", "information_schema", "ins_functions"),
    ("streams", "information_schema", "ins_streams"),
    ("topics", "information_schema", "ins_topics"),
    ("subscriptions", "information_schema", "ins_subscriptions"),
    ("cluster", "information_schema", "ins_cluster"),
    ("grants", "information_schema", "ins_grants"),
    ("licences", "information_schema", "ins_grants"),
    ("variables", "information_schema", "ins_configs"),
    ("configs", "information_schema", "ins_configs"),
    ("indexes", "information_schema", "ins_indexes"),
    ("compacts", "information_schema", "ins_compacts"),
    ("tsmas", "information_schema", "ins_tsmas"),
    ("anodes", "information_schema", "ins_anodes"),
    ("bnodes", "information_schema", "ins_bnodes"),
    ("views", "information_schema", "ins_views"),
    ("queries", "performance_schema", "perf_queries"),
    ("connections", "performance_schema", "perf_connections"),
    ("consumers", "performance_schema", "perf_consumers"),
    ("transactions", "performance_schema", "perf_trans"),
    ("apps", "performance_schema", "perf_apps"),
    ("instances", "performance_schema", "perf_instances"),
];

impl Parser<'_> {
    pub(super) fn show(&mut self) -> Parsed<Statement> {
        self.next();
        self.show_what().map(Statement::Show)
    }

    fn show_what(&mut self) -> Parsed<Show> {
        if self.accept("databases") {
            return Ok(Show::Databases(Databases::All));
        }
        for (word, which) in [("user", Databases::User), ("system", Databases::System)] {
            if self.is(word) && self.is_ahead(1, "databases") {
                self.at += 2;
                return Ok(Show::Databases(which));
            }
        }
        if self.accept("create") {
            return self.show_create();
        }
        if self.accept("tags") {
            return Ok(Show::Tags { table: self.table_of_show()? });
        }
        if self.is("table") && self.is_ahead(1, "tags") {
            self.at += 2;
            let mut tags = Vec::new();
            if !self.is("from") {
                tags = self.list(Self::name)?;
            }
            return Ok(Show::TableTags { table: self.table_of_show()?, tags });
        }
        if self.is("table") && self.is_ahead(1, "distributed") {
            self.at += 2;
            self.table_name()?;
            return Ok(Show::List { schema: "information_schema".to_string(), table: "ins_vnodes".to_string() });
        }
        if self.is("cluster")
            && (self.is_ahead(1, "alive") || self.is_ahead(1, "variables") || self.is_ahead(1, "machines"))
        {
            let alive = self.is_ahead(1, "alive");
            self.at += 2;
            if alive {
                return Ok(Show::ClusterAlive);
            }
            return Ok(Show::List { schema: "information_schema".to_string(), table: "ins_configs".to_string() });
        }
        if self.accept("indexes") {
            return Ok(Show::Indexes { table: self.table_of_show()? });
        }
        let mut kind = TableKind::All;
        for (word, which) in [("normal", TableKind::Normal), ("child", TableKind::Child)] {
            if self.accept(word) {
                kind = which;
            }
        }
        for word in ["local", "dnode", "cluster"] {
            if self.is(word) && self.is_ahead(1, "variables") {
                self.next();
            }
        }
        let database = if self.is_sign_ahead(1, ".") { self.name().map(Some)? } else { None };
        if database.is_some() {
            self.expect_sign(".")?;
        }
        let Token::Word(word) = self.peek().clone() else { return Err(self.unexpected()) };
        match word.as_str() {
            "stables" if kind == TableKind::All => {
                self.next();
                Ok(Show::Supers { database, like: self.like()? })
            }
            "tables" => {
                self.next();
                Ok(Show::Tables { kind, database, like: self.like()? })
            }
            "views" => {
                self.next();
                self.like()?;
                Ok(Show::Views { database })
            }
            "alive" => {
                self.next();
                Ok(Show::Alive { database })
            }
            _ => match LISTS.iter().find(|(list, _, _)| *list == word) {
                Some((_, schema, table)) => {
                    self.next();
                    self.skip_rest();
                    Ok(Show::List { schema: schema.to_string(), table: table.to_string() })
                }
                None => Err(self.unexpected()),
            },
        }
    }

    fn show_create(&mut self) -> Parsed<Show> {
        if self.accept("database") {
            return Ok(Show::CreateDatabase(self.name()?));
        }
        let stable = self.accept("stable");
        if !stable {
            self.expect("table")?;
        }
        Ok(Show::CreateTable { table: self.table_name()?, stable })
    }

    /// `FROM table [FROM database]`
    fn table_of_show(&mut self) -> Parsed<TableName> {
        self.expect("from")?;
        let mut table = self.table_name()?;
        if self.accept("from") {
            table.database = Some(self.name()?);
        }
        Ok(table)
    }

    fn like(&mut self) -> Parsed<Option<String>> {
        if self.accept("like") { self.text_literal().map(Some) } else { Ok(None) }
    }
}

/// The word that asks for a list.
pub(in crate::query::tdsql) fn list_word(table: &str) -> &'static str {
    LISTS.iter().find(|(_, _, of)| *of == table).map_or("DNODES", |(word, _, _)| word)
}
