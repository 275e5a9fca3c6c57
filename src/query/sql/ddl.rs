//! Statements that make and remove databases, parsed for whoever carries them out.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::query::error::QueryError;

use super::access::AccessChange;
use super::statement::Words;
use super::tables::{TableDdl, check_name};

/// A change of databases, or of who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ddl {
    CreateDatabase {
        name: String,
        if_not_exists: bool,
        options: DatabaseOptions,
    },
    DropDatabase {
        name: String,
        if_exists: bool,
        /// How long from now, as written.
        after: Option<String>,
    },
    /// Lets a database stay that was dropped for later.
    RecoverDatabase {
        name: String,
        if_exists: bool,
    },
    /// One of the options TTL, SHARD, VNODE_DURATION and REPLICA, by name in upper case, and its value without quotes.
    AlterDatabase {
        name: String,
        option: String,
        value: String,
    },
    Table(TableDdl),
    Access(AccessChange),
}

/// What a database is created with: the text of each option as written, without quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseOptions {
    pub ttl: Option<String>,
    pub shard: Option<String>,
    pub vnode_duration: Option<String>,
    pub replica: Option<String>,
    pub precision: Option<String>,
    /// Options that change nothing here, by name in upper case.
    pub others: Vec<(String, String)>,
}

/// Options of the kind that only its old server has a use for.
const OTHER_OPTIONS: [&str; 6] =
    ["MAX_MEMCACHE_SIZE", "MEMCACHE_PARTITIONS", "WAL_MAX_FILE_SIZE", "WAL_SYNC", "STRICT_WRITE", "MAX_CACHE_READERS"];

/// `[IF NOT EXISTS] name [WITH option value …]`
pub(super) fn create_database(mut words: Words<'_>) -> Result<Ddl, QueryError> {
    let if_not_exists = words.take_if_not_exists()?;
    let name = database_name(&mut words)?;
    let mut options = DatabaseOptions::default();
    if words.take_keyword(&["WITH"]).is_some() {
        loop {
            option(&mut words, &mut options)?;
            if words.end().is_ok() {
                break;
            }
        }
    }
    words.end()?;
    Ok(Ddl::CreateDatabase { name, if_not_exists, options })
}

/// `[IF EXISTS] name [AFTER duration]`
pub(super) fn drop_database(mut words: Words<'_>) -> Result<Ddl, QueryError> {
    let if_exists = words.take_if_exists()?;
    let name = database_name(&mut words)?;
    let after = words.take_keyword(&["AFTER"]).map(|_| words.value()).transpose()?;
    words.end()?;
    Ok(Ddl::DropDatabase { name, if_exists, after })
}

/// `[IF EXISTS] name`
pub(super) fn recover_database(mut words: Words<'_>) -> Result<Ddl, QueryError> {
    let if_exists = words.take_if_exists()?;
    let name = database_name(&mut words)?;
    words.end()?;
    Ok(Ddl::RecoverDatabase { name, if_exists })
}

/// `name SET option value`
pub(super) fn alter_database(mut words: Words<'_>) -> Result<Ddl, QueryError> {
    let name = database_name(&mut words)?;
    words.expect_keyword("SET")?;
    let Some(option) = words.any_keyword() else { return words.expected("a database option") };
    if !["TTL", "SHARD", "VNODE_DURATION", "REPLICA"].contains(&option.as_str()) {
        let text =
            "database config is unmodifiable, only can modify database option: TTL, SHARD, VNODE_DURATION, REPLICA";
        return Err(QueryError::Syntax(text.to_string()));
    }
    words.take(&Token::Eq);
    let value = words.value()?;
    words.end()?;
    Ok(Ddl::AlterDatabase { name, option, value })
}

fn database_name(words: &mut Words<'_>) -> Result<String, QueryError> {
    let name = words.name()?;
    check_name(&name)?;
    Ok(name)
}

fn option(words: &mut Words<'_>, options: &mut DatabaseOptions) -> Result<(), QueryError> {
    let at = *words;
    let Some(key) = words.any_keyword() else { return at.expected("a database option") };
    words.take(&Token::Eq);
    let slot = match key.as_str() {
        "TTL" => &mut options.ttl,
        "SHARD" => &mut options.shard,
        "VNODE_DURATION" => &mut options.vnode_duration,
        "REPLICA" => &mut options.replica,
        "PRECISION" => &mut options.precision,
        other if OTHER_OPTIONS.contains(&other) => {
            let value = words.value()?;
            options.others.push((key, value));
            return Ok(());
        }
        _ => return at.expected("a database option"),
    };
    if slot.is_some() {
        return Err(QueryError::Syntax(format!("the option {key} is given twice")));
    }
    *slot = Some(words.value()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::statement::{Statement, parse};
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Ddl, &str>) {
        match (parse(text), expected) {
            (Ok(Statement::Ddl(seen)), Ok(expected)) => assert_eq!(seen, expected, "{text}"),
            (Err(seen), Err(expected)) => assert_eq!(seen.to_string(), expected, "{text}"),
            (seen, _) => panic!("{text}: {seen:?}"),
        }
    }

    fn create(name: &str, if_not_exists: bool, options: DatabaseOptions) -> Result<Ddl, &'static str> {
        Ok(Ddl::CreateDatabase { name: name.to_string(), if_not_exists, options })
    }

    #[test]
    fn databases_are_created() {
        check("create database Rooms", create("Rooms", false, DatabaseOptions::default()));
        check("CREATE DATABASE IF NOT EXISTS \"a b\";", create("a b", true, DatabaseOptions::default()));
        check("create database 'a b'", create("a b", false, DatabaseOptions::default()));
        let options = DatabaseOptions {
            ttl: Some("7d".to_string()),
            shard: Some("3".to_string()),
            vnode_duration: Some("1y".to_string()),
            replica: Some("2".to_string()),
            precision: Some("ms".to_string()),
            others: vec![("WAL_SYNC".to_string(), "true".to_string())],
        };
        let text = "create database d with vnode_duration '1y' Ttl='7d' /* c */ SHARD 3 replica 2 wal_sync true\nprecision 'ms'";
        check(text, create("d", false, options));
    }

    #[test]
    fn databases_are_dropped() {
        let drop = |if_exists, after: Option<&str>| {
            Ok(Ddl::DropDatabase { name: "d".to_string(), if_exists, after: after.map(str::to_string) })
        };
        check("drop database d", drop(false, None));
        check("drop database if exists `d`", drop(true, None));
        check("drop database d after '7d'", drop(false, Some("7d")));
        check("drop database if exists d AFTER 2", drop(true, Some("2")));
        check("drop database d after", Err("Expected: a value, found: EOF"));
        check("recover database d", Ok(Ddl::RecoverDatabase { name: "d".to_string(), if_exists: false }));
        check("RECOVER database IF EXISTS d", Ok(Ddl::RecoverDatabase { name: "d".to_string(), if_exists: true }));
        check("recover tenant d", Err("RECOVER is not supported"));
        let (name, option, value) = ("d".to_string(), "TTL".to_string(), "1d".to_string());
        check("alter database d Set ttl '1d'", Ok(Ddl::AlterDatabase { name, option, value }));
    }

    #[test]
    fn mistakes_are_told() {
        check("create database ''", Err("Name cannot be empty or contain only spaces"));
        check("create database \"a/b\"", Err("not supported keyword contains '/': a/b"));
        check("create database", Err("Expected: a name, found: EOF"));
        check("create database if exists d", Err("Expected: NOT, found: exists"));
        check("create database d with", Err("Expected: a database option, found: EOF"));
        check("create database d with colour 'red'", Err("Expected: a database option, found: colour"));
        check("create database d with ttl", Err("Expected: a value, found: EOF"));
        check("create database d with ttl = ", Err("Expected: a value, found: EOF"));
        check("create database d with ttl '1d' ttl '2d'", Err("the option TTL is given twice"));
        check("create database d ttl '1d'", Err("Expected: end of statement, found: ttl"));
        let unmodifiable =
            "database config is unmodifiable, only can modify database option: TTL, SHARD, VNODE_DURATION, REPLICA";
        check("alter database d set precision 'ms'", Err(unmodifiable));
        check("alter database d set ttl '1d' shard 2", Err("Expected: end of statement, found: shard"));
        check("drop database d e", Err("Expected: end of statement, found: e"));
    }
}
