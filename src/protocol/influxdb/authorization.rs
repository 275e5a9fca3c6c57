//! Who may run which statement, and write where.
//!
//! The rules are the server's, but for three where it lets people reach what they have no right to: lists and counts need the right
//! to every database that they name, also when they name it in FROM; exact counts without FROM need the right to read; and a
//! continuous query, which runs on nobody's behalf, needs the rights of the SELECT INTO that it is.

use crate::catalog::CatalogState;
use crate::model::Kind;
use crate::protocol::auth::Principal;
use crate::query::influxql::ident::Ident;
use crate::query::influxql::select::Select;
use crate::query::influxql::source::{Measurement, Source};
use crate::query::influxql::{Query, Statement};

use super::error::WireError;

/// What a statement asks for. An empty database is the request's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Need {
    Admin,
    Read(String),
    Write(String),
}

/// Refuses a query of which one statement is not allowed. `database` is the request's.
pub(super) fn check(
    principal: &Principal,
    state: &CatalogState,
    query: &Query,
    database: &str,
) -> Result<(), WireError> {
    let refusal = match principal {
        Principal::Anyone => None,
        Principal::Nobody => makes_the_first_user(state, query).err().map(str::to_string),
        Principal::User(account) => query.statements.iter().find_map(|statement| {
            let missing = missing(principal, statement, database)?;
            Some(format!("{} not authorized to execute statement '{statement}', requires {missing}", account.user.name))
        }),
    };
    match refusal {
        None => Ok(()),
        Some(why) => Err(WireError::new(Kind::Forbidden, format!("error authorizing query: {why}"))),
    }
}

/// Refuses a write into `database`.
pub(super) fn may_write(principal: &Principal, database: &str) -> Result<(), WireError> {
    let text = match principal {
        principal if principal.may_write(database) => return Ok(()),
        Principal::User(account) => {
            format!("{:?} user is not authorized to write to database {database:?}", account.user.name)
        }
        Principal::Nobody | Principal::Anyone => format!("user is required to write to database {database:?}"),
    };
    Err(WireError::new(Kind::Forbidden, text))
}

/// Where there is no user at all, whoever comes first may make the administrator.
fn makes_the_first_user(state: &CatalogState, query: &Query) -> Result<(), &'static str> {
    match query.statements.first() {
        _ if !state.users().is_empty() => Err("no user provided"),
        Some(Statement::CreateUser(create)) if create.admin => Ok(()),
        _ => Err("create admin user first or disable authentication"),
    }
}

/// The first right that is missing, in the server's words.
fn missing(principal: &Principal, statement: &Statement, database: &str) -> Option<String> {
    if principal.is_admin() {
        return None;
    }
    let of = |name: String| if name.is_empty() { database.to_string() } else { name };
    needs(statement).into_iter().find_map(|need| match need {
        Need::Admin => Some("admin privilege".to_string()),
        Need::Read(name) => {
            Some(of(name)).filter(|name| !principal.may_read(name)).map(|name| format!("READ on {name}"))
        }
        Need::Write(name) => {
            Some(of(name)).filter(|name| !principal.may_write(name)).map(|name| format!("WRITE on {name}"))
        }
    })
}

fn needs(statement: &Statement) -> Vec<Need> {
    match statement {
        Statement::ShowDatabases => Vec::new(),
        Statement::Select(select) => of_select(select, ""),
        Statement::Explain(explain) => of_select(&explain.select, ""),
        Statement::Delete(_) | Statement::DropSeries(_) => vec![Need::Write(String::new())],
        Statement::ShowContinuousQueries | Statement::ShowQueries => vec![Need::Read(String::new())],
        Statement::ShowRetentionPolicies(show) => of_list(show.database.as_ref(), &[]),
        Statement::ShowMeasurements(show) => of_list(show.database.as_ref(), &[]),
        Statement::ShowSeries(show) => of_list(show.database.as_ref(), &show.sources),
        Statement::ShowTagKeys(show) => of_list(show.database.as_ref(), &show.sources),
        Statement::ShowTagValues(show) => of_list(show.database.as_ref(), &show.sources),
        Statement::ShowFieldKeys(show) => of_list(show.database.as_ref(), &show.sources),
        Statement::ShowCardinality(show) => of_list(show.database.as_ref(), &show.sources),
        Statement::DropRetentionPolicy(drop) => vec![Need::Write(drop.database.0.clone())],
        Statement::DropContinuousQuery(drop) => vec![Need::Write(drop.database.0.clone())],
        Statement::CreateContinuousQuery(create) => {
            let database = &create.database.0;
            let mut needs = vec![Need::Read(database.clone())];
            needs.extend(of_select(&create.select, database));
            needs
        }
        // Whatever is not named above is for administrators: statements that come later are closed, not open.
        _ => vec![Need::Admin],
    }
}

/// Of a statement that lists what `on` holds, narrowed to `sources`.
fn of_list(on: Option<&Ident>, sources: &[Measurement]) -> Vec<Need> {
    let elsewhere = sources.iter().filter(|source| source.database.is_some());
    let elsewhere = elsewhere.map(|source| Need::Read(named(source.database.as_ref(), "")));
    std::iter::once(Need::Read(named(on, ""))).chain(elsewhere).collect()
}

/// `database` is what names without one mean.
fn of_select(select: &Select, database: &str) -> Vec<Need> {
    let mut needs = Vec::new();
    for source in &select.sources {
        match source {
            Source::Measurement(measurement) => needs.push(Need::Read(named(measurement.database.as_ref(), database))),
            Source::Subquery(inner) => needs.extend(of_select(inner, database)),
        }
    }
    needs.extend(select.target.iter().map(|target| Need::Write(named(target.database.as_ref(), database))));
    needs
}

fn named(name: Option<&Ident>, otherwise: &str) -> String {
    name.map(|name| name.0.as_str()).filter(|name| !name.is_empty()).unwrap_or(otherwise).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::Change;
    use crate::catalog::roles::Account;
    use crate::catalog::users::{Privilege, User};
    use crate::query::influxql::parse;

    fn ann(is_admin: bool) -> Principal {
        let privileges = [("d", Privilege::Read), ("w", Privilege::Write), ("b", Privilege::All)];
        let privileges = privileges.map(|(name, privilege)| (name.to_string(), privilege)).into();
        Principal::User(Arc::new(Account::of(User {
            name: "ann".into(),
            password_hash: String::new(),
            is_admin,
            privileges,
            role: None,
            memberships: Default::default(),
            comment: None,
            must_change_password: false,
            ordinal: 0,
        })))
    }

    /// What is missing when ann, who may read `d`, write `w` and both with `b`, asks in `database`.
    #[track_caller]
    fn check_one(database: &str, text: &str, expected: &str) {
        let query = parse(text).unwrap();
        let found = check(&ann(false), &CatalogState::initial(), &query, database);
        let found = found.map_err(|error| error.text().to_string());
        let expected = match expected {
            "" => Ok(()),
            missing => Err(format!(
                "error authorizing query: ann not authorized to execute statement '{query}', requires {missing}"
            )),
        };
        assert_eq!(found, expected, "{text}");
        assert!(check(&ann(true), &CatalogState::initial(), &query, database).is_ok());
        assert!(check(&Principal::Anyone, &CatalogState::initial(), &query, database).is_ok());
    }

    #[test]
    fn reading_needs_the_right_to_every_database_that_is_read() {
        for text in ["SELECT a FROM m", "SHOW SERIES", "SHOW DATABASES", "SHOW QUERIES", "SHOW CONTINUOUS QUERIES"] {
            check_one("d", text, "");
            check_one("b", text, "");
            check_one("w", text, if text == "SHOW DATABASES" { "" } else { "READ on w" });
        }
        check_one("d", "SELECT a FROM m, x..m", "READ on x");
        check_one("d", "SELECT a FROM (SELECT a FROM w..m)", "READ on w");
        check_one("x", "SELECT a FROM d..m", "");
        check_one("d", "EXPLAIN ANALYZE SELECT a FROM x..m", "READ on x");
        check_one("", "SELECT a FROM m", "READ on ");
        for list in ["SERIES", "TAG KEYS", "FIELD KEYS", "TAG KEY CARDINALITY", "SERIES EXACT CARDINALITY"] {
            check_one("d", &format!("SHOW {list}"), "");
            check_one("w", &format!("SHOW {list}"), "READ on w");
            check_one("d", &format!("SHOW {list} ON x"), "READ on x");
            check_one("d", &format!("SHOW {list} FROM x..m"), "READ on x");
        }
        check_one("d", "SHOW TAG VALUES FROM x..m WITH KEY = t", "READ on x");
        check_one("d", "SHOW MEASUREMENTS ON x", "READ on x");
        check_one("d", "SHOW RETENTION POLICIES ON x", "READ on x");
    }

    #[test]
    fn changing_rows_needs_the_right_to_write() {
        for text in ["DELETE FROM m", "DROP SERIES FROM m"] {
            check_one("d", text, "WRITE on d");
            check_one("w", text, "");
        }
        check_one("d", "SELECT a INTO w..t FROM m", "");
        check_one("d", "SELECT a INTO t FROM m", "WRITE on d");
        check_one("w", "SELECT a INTO t FROM m", "READ on w");
        check_one("d", "DROP RETENTION POLICY p ON d", "WRITE on d");
        check_one("d", "DROP RETENTION POLICY p ON w", "");
        check_one("d", "DROP CONTINUOUS QUERY q ON d", "WRITE on d");
    }

    #[test]
    fn a_continuous_query_needs_what_it_does() {
        let create = |database: &str, target: &str, source: &str| {
            format!(
                "CREATE CONTINUOUS QUERY q ON {database} BEGIN SELECT mean(v) INTO {target} FROM {source} GROUP BY time(1m) END"
            )
        };
        check_one("d", &create("b", "t", "m"), "");
        check_one("d", &create("d", "t", "m"), "WRITE on d");
        check_one("d", &create("d", "w..t", "m"), "");
        check_one("b", &create("b", "t", "x..m"), "READ on x");
        check_one("d", &create("w", "t", "m"), "READ on w");
    }

    #[test]
    fn everything_else_is_for_administrators() {
        for text in [
            "CREATE DATABASE d",
            "DROP DATABASE d",
            "DROP MEASUREMENT m",
            "DROP SHARD 1",
            "CREATE RETENTION POLICY p ON b DURATION 1d REPLICATION 1",
            "ALTER RETENTION POLICY p ON b DEFAULT",
            "CREATE SUBSCRIPTION s ON b.p DESTINATIONS ALL 'http://h:1'",
            "DROP SUBSCRIPTION s ON b.p",
            "CREATE USER u WITH PASSWORD 'p'",
            "DROP USER u",
            "SET PASSWORD FOR ann = 'p'",
            "GRANT ALL ON b TO ann",
            "REVOKE ALL ON b FROM ann",
            "GRANT ALL TO ann",
            "SHOW USERS",
            "SHOW GRANTS FOR ann",
            "SHOW SUBSCRIPTIONS",
            "SHOW SHARDS",
            "SHOW SHARD GROUPS",
            "SHOW STATS",
            "SHOW DIAGNOSTICS",
            "KILL QUERY 1",
        ] {
            check_one("b", text, "admin privilege");
        }
        let secret = parse("SELECT a FROM m; SET PASSWORD FOR ann = 'secret'").unwrap();
        let refused = check(&ann(false), &CatalogState::initial(), &secret, "d").unwrap_err();
        assert!(refused.text().contains("'SET PASSWORD FOR ann = [REDACTED]'"), "{}", refused.text());
    }

    #[test]
    fn without_users_an_administrator_can_be_made_and_nothing_else() {
        let mut state = CatalogState::initial();
        let refusal = |state: &CatalogState, text: &str| {
            check(&Principal::Nobody, state, &parse(text).unwrap(), "").err().map(|error| error.text().to_string())
        };
        let create = "CREATE USER a WITH PASSWORD 'p' WITH ALL PRIVILEGES";
        assert_eq!(refusal(&state, create), None);
        for text in ["SHOW DATABASES", "CREATE USER a WITH PASSWORD 'p'"] {
            let expected = "error authorizing query: create admin user first or disable authentication";
            assert_eq!(refusal(&state, text).as_deref(), Some(expected));
        }
        let value = serde_json::json!({"name": "ann", "password_hash": ""});
        state.apply(&Change::PutDocument { collection: "users".into(), key: "ann".into(), value });
        assert_eq!(refusal(&state, create).as_deref(), Some("error authorizing query: no user provided"));
        let write = may_write(&Principal::Nobody, "d").unwrap_err();
        assert_eq!(write.text(), r#"user is required to write to database "d""#);
        let write = may_write(&ann(false), "d").unwrap_err();
        assert_eq!(write.text(), r#""ann" user is not authorized to write to database "d""#);
        assert!(may_write(&ann(false), "w").is_ok() && may_write(&Principal::Anyone, "d").is_ok());
    }
}
