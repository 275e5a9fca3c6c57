//! Names in full: where a statement leaves out database and policy, those of the request are filled in.

use crate::catalog::{CatalogState, Database};

use super::answer::StatementError;
use super::ast::Statement;
use super::ident::Ident;
use super::select::Select;
use super::source::Source;

/// What names without database and policy mean.
#[derive(Debug, Clone, Copy)]
pub struct Defaults<'a> {
    pub tenant: &'a str,
    /// Empty: none.
    pub database: &'a str,
    /// Empty: the database's own default.
    pub policy: &'a str,
}

/// The statement with the names of its measurements in full. Statements whose measurements have no database are as they were.
pub fn statement(
    statement: &Statement,
    state: &CatalogState,
    defaults: &Defaults<'_>,
) -> Result<Statement, StatementError> {
    let mut full = statement.clone();
    match &mut full {
        Statement::Select(inner) => select(inner, state, defaults)?,
        Statement::Explain(explain) => select(&mut explain.select, state, defaults)?,
        Statement::CreateContinuousQuery(create) => {
            let own = Defaults { database: &create.database.0, ..*defaults };
            select(&mut create.select, state, if defaults.database.is_empty() { &own } else { defaults })?;
        }
        _ => {}
    }
    Ok(full)
}

fn select(select: &mut Select, state: &CatalogState, defaults: &Defaults<'_>) -> Result<(), StatementError> {
    if let Some(target) = &mut select.target {
        fill(&mut target.database, &mut target.policy, state, defaults)?;
    }
    for source in &mut select.sources {
        match source {
            Source::Measurement(measurement) => {
                fill(&mut measurement.database, &mut measurement.policy, state, defaults)?;
            }
            Source::Subquery(inner) => self::select(inner, state, defaults)?,
        }
    }
    Ok(())
}

fn fill(
    database: &mut Option<Ident>,
    policy: &mut Option<Ident>,
    state: &CatalogState,
    defaults: &Defaults<'_>,
) -> Result<(), StatementError> {
    let name = database.as_ref().map_or(defaults.database, |name| name.0.as_str()).to_string();
    if name.is_empty() {
        return Err(StatementError::DatabaseRequired);
    }
    let owner = find(state, defaults.tenant, &name)?;
    if policy.is_none() {
        let default = if defaults.policy.is_empty() { &*owner.default_policy } else { defaults.policy };
        *policy = Some(Ident::from(default));
    }
    *database = Some(Ident(name));
    Ok(())
}

fn find<'a>(state: &'a CatalogState, tenant: &str, name: &str) -> Result<&'a Database, StatementError> {
    let not_found = || StatementError::DatabaseNotFound(name.to_string());
    state.database(tenant, name).map(|database| &**database).ok_or_else(not_found)
}

/// Whether the policies that a select with full names speaks of are there.
pub fn check_policies(select: &Select, state: &CatalogState, tenant: &str) -> Result<(), StatementError> {
    let check = |database: &Option<Ident>, policy: &Option<Ident>| {
        let (Some(database), Some(policy)) = (database, policy) else { return Ok(()) };
        match find(state, tenant, &database.0)?.policy(&policy.0) {
            Some(_) => Ok(()),
            None => Err(StatementError::PolicyNotFound(format!("{}.{}", database.0, policy.0))),
        }
    };
    if let Some(target) = &select.target {
        check(&target.database, &target.policy)?;
    }
    for source in &select.sources {
        match source {
            Source::Measurement(measurement) => check(&measurement.database, &measurement.policy)?,
            Source::Subquery(inner) => check_policies(inner, state, tenant)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[track_caller]
    fn check(text: &str, database: &str, policy: &str, expected: &str) {
        let query = parse(text).unwrap();
        let defaults = Defaults { tenant: "cnosdb", database, policy };
        let full = statement(&query.statements[0], &CatalogState::initial(), &defaults);
        let text = full.map_or_else(|error| error.to_string(), |full| full.to_string());
        assert_eq!(text, expected);
    }

    #[test]
    fn measurements_get_the_database_and_policy_of_the_request() {
        let text = "SELECT a INTO t FROM m, x.y.z, (SELECT b FROM /n/)";
        let full = "SELECT a INTO public.autogen.t FROM public.autogen.m, x.y.z";
        check(text, "public", "", "database not found: x");
        check(
            "SELECT a INTO t FROM m, (SELECT b FROM /n/)",
            "public",
            "",
            &format!("{}, (SELECT b FROM public.autogen./n/)", full.trim_end_matches(", x.y.z")),
        );
        check("SELECT a FROM m", "public", "p", "SELECT a FROM public.p.m");
        check("SELECT a FROM public..m", "", "", "SELECT a FROM public.autogen.m");
        check("SELECT a FROM m", "", "", "database name required");
        check("SHOW SERIES FROM m", "", "", "SHOW SERIES FROM m");
    }
}
