//! Names of tenants, databases, policies and tables, kept as written.

use std::fmt;
use std::sync::Arc;

/// The tenant of every protocol that knows none.
pub const DEFAULT_TENANT: &str = "cnosdb";
/// The database that always exists.
pub const PUBLIC_DATABASE: &str = "public";
/// The policy a database is created with.
pub const DEFAULT_POLICY: &str = "autogen";

/// Full name of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    pub tenant: Arc<str>,
    pub database: Arc<str>,
    pub policy: Arc<str>,
    pub table: Arc<str>,
}

impl TableName {
    pub fn new(tenant: &str, database: &str, policy: &str, table: &str) -> Self {
        TableName { tenant: tenant.into(), database: database.into(), policy: policy.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.tenant, self.database, self.policy, self.table)
    }
}

/// A name for `wanted` that no one in `taken` holds: itself, or with `_1`, `_2`, … appended.
pub fn unique_name(wanted: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(wanted) {
        return wanted.to_string();
    }
    (1u32..).map(|n| format!("{wanted}_{n}")).find(|name| !taken(name)).expect("the numbers outlast the names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_the_first_free_number() {
        let taken = ["t", "t_1"];
        assert_eq!(unique_name("t", |n| taken.contains(&n)), "t_2");
        assert_eq!(unique_name("u", |n| taken.contains(&n)), "u");
    }
}
