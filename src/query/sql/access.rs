//! Statements about tenants, users and roles, parsed for whoever carries them out.
//!
//! Spec: CnosDB SQL, tenant, user and role management. Left out: keys in place of passwords, limits of tenants, and dropping them later;
//! they say so.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::query::error::QueryError;

use super::statement::Words;
use super::tables::check_name;

/// A change of who may do what.
#[derive(Clone, PartialEq, Eq)]
pub enum AccessChange {
    CreateTenant {
        name: String,
        if_not_exists: bool,
        comment: Option<String>,
    },
    /// `None` forgets the comment.
    AlterTenant {
        name: String,
        comment: Option<String>,
    },
    DropTenant {
        name: String,
        if_exists: bool,
    },
    CreateUser {
        name: String,
        if_not_exists: bool,
        options: UserOptions,
    },
    AlterUser {
        name: String,
        options: UserOptions,
    },
    DropUser {
        name: String,
        if_exists: bool,
    },
    /// `inherits` is the name of a role that is always there; without one the role has the rights alone that it is given.
    CreateRole {
        name: String,
        if_not_exists: bool,
        inherits: Option<String>,
    },
    DropRole {
        name: String,
        if_exists: bool,
    },
    Grant {
        right: Right,
        database: String,
        role: String,
    },
    Revoke {
        right: Right,
        database: String,
        role: String,
    },
    /// Gives a user of the tenant a role; `None` takes it away.
    SetRole {
        tenant: String,
        user: String,
        role: Option<String>,
    },
}

/// What a role may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Read,
    Write,
    All,
}

/// What is said about a user.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserOptions {
    pub password: Option<String>,
    pub is_admin: Option<bool>,
    pub comment: Option<String>,
    pub must_change_password: Option<bool>,
}

/// Shows no password.
impl std::fmt::Debug for UserOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let password = self.password.as_ref().map(|_| "***");
        f.debug_struct("UserOptions")
            .field("password", &password)
            .field("is_admin", &self.is_admin)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AccessChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AccessChange::CreateTenant { name, if_not_exists, comment } => {
                write!(f, "CreateTenant {name} {if_not_exists} {comment:?}")
            }
            AccessChange::AlterTenant { name, comment } => write!(f, "AlterTenant {name} {comment:?}"),
            AccessChange::DropTenant { name, if_exists } => write!(f, "DropTenant {name} {if_exists}"),
            AccessChange::CreateUser { name, if_not_exists, options } => {
                write!(f, "CreateUser {name} {if_not_exists} {options:?}")
            }
            AccessChange::AlterUser { name, options } => write!(f, "AlterUser {name} {options:?}"),
            AccessChange::DropUser { name, if_exists } => write!(f, "DropUser {name} {if_exists}"),
            AccessChange::CreateRole { name, if_not_exists, inherits } => {
                write!(f, "CreateRole {name} {if_not_exists} {}", inherits.as_deref().unwrap_or("-"))
            }
            AccessChange::DropRole { name, if_exists } => write!(f, "DropRole {name} {if_exists}"),
            AccessChange::Grant { right, database, role } => write!(f, "Grant {right:?} {database} {role}"),
            AccessChange::Revoke { right, database, role } => write!(f, "Revoke {right:?} {database} {role}"),
            AccessChange::SetRole { tenant, user, role } => write!(f, "SetRole {tenant} {user} {role:?}"),
        }
    }
}

/// `[IF NOT EXISTS] name [WITH option = value, …]`
pub(super) fn create_tenant(mut words: Words<'_>) -> Result<AccessChange, QueryError> {
    let if_not_exists = words.take_if_not_exists()?;
    let name = words.name()?;
    check_name(&name)?;
    let mut comment = None;
    if words.take_keyword(&["WITH"]).is_some() {
        loop {
            tenant_option(&mut words)?;
            words.take(&Token::Eq);
            if comment.replace(words.value()?).is_some() {
                return Err(QueryError::Syntax("the option COMMENT is given twice".to_string()));
            }
            if !words.take(&Token::Comma) {
                break;
            }
        }
    }
    words.end()?;
    Ok(AccessChange::CreateTenant { name, if_not_exists, comment })
}

/// The only option of a tenant that is carried out: its comment.
fn tenant_option(words: &mut Words<'_>) -> Result<(), QueryError> {
    let at = *words;
    match words.any_keyword().as_deref() {
        Some("COMMENT") => Ok(()),
        Some(option @ ("DROP_AFTER" | "_LIMITER")) => Err(QueryError::NotSupported(option.to_string())),
        _ => at.expected("an option of a tenant"),
    }
}

/// `[IF EXISTS] name`
pub(super) fn drop_tenant(mut words: Words<'_>) -> Result<AccessChange, QueryError> {
    let if_exists = words.take_if_exists()?;
    let name = words.name()?;
    if words.take_keyword(&["AFTER"]).is_some() {
        return Err(QueryError::NotSupported("DROP TENANT … AFTER".to_string()));
    }
    words.end()?;
    Ok(AccessChange::DropTenant { name, if_exists })
}

/// `[IF NOT EXISTS] name [WITH option = value, …]`
pub(super) fn create_user(mut words: Words<'_>) -> Result<AccessChange, QueryError> {
    let if_not_exists = words.take_if_not_exists()?;
    let name = words.name()?;
    check_name(&name)?;
    let mut options = UserOptions::default();
    if words.take_keyword(&["WITH"]).is_some() {
        user_options(&mut words, &mut options)?;
    }
    words.end()?;
    Ok(AccessChange::CreateUser { name, if_not_exists, options })
}

/// `name SET option = value, …`
pub(super) fn alter_user(mut words: Words<'_>) -> Result<AccessChange, QueryError> {
    let name = words.name()?;
    words.expect_keyword("SET")?;
    let mut options = UserOptions::default();
    user_options(&mut words, &mut options)?;
    words.end()?;
    Ok(AccessChange::AlterUser { name, options })
}

/// `[IF EXISTS] name`
pub(super) fn drop_user(mut words: Words<'_>) -> Result<AccessChange, QueryError> {
    let if_exists = words.take_if_exists()?;
    let name = words.name()?;
    words.end()?;
    Ok(AccessChange::DropUser { name, if_exists })
}

/// `[IF NOT EXISTS] name [INHERIT owner | member]`
pub(super) fn create_role(mut words: Words<'_>) -> Result<AccessChange, QueryError> {
    let if_not_exists = words.take_if_not_exists()?;
    let name = words.name()?;
    check_name(&name)?;
    let inherits = match words.take_keyword(&["INHERIT"]) {
        Some(_) => match words.take_keyword(&["OWNER", "MEMBER"]) {
            Some(base) => Some(base.to_lowercase()),
            None => return words.expected("owner or member"),
        },
        None => None,
    };
    words.end()?;
    Ok(AccessChange::CreateRole { name, if_not_exists, inherits })
}

/// `[IF EXISTS] name`
pub(super) fn drop_role(mut words: Words<'_>) -> Result<AccessChange, QueryError> {
    let if_exists = words.take_if_exists()?;
    let name = words.name()?;
    words.end()?;
    Ok(AccessChange::DropRole { name, if_exists })
}

/// `READ | WRITE | ALL ON DATABASE name TO ROLE name`
pub(super) fn grant(words: Words<'_>) -> Result<AccessChange, QueryError> {
    let (right, database, role) = right_of_role(words, "TO")?;
    Ok(AccessChange::Grant { right, database, role })
}

/// `READ | WRITE | ALL ON DATABASE name FROM ROLE name`
pub(super) fn revoke(words: Words<'_>) -> Result<AccessChange, QueryError> {
    let (right, database, role) = right_of_role(words, "FROM")?;
    Ok(AccessChange::Revoke { right, database, role })
}

fn right_of_role(mut words: Words<'_>, preposition: &'static str) -> Result<(Right, String, String), QueryError> {
    let right = match words.take_keyword(&["READ", "WRITE", "ALL"]) {
        Some("READ") => Right::Read,
        Some("WRITE") => Right::Write,
        Some(_) => Right::All,
        None => return words.expected("READ, WRITE or ALL"),
    };
    words.expect_keyword("ON")?;
    words.expect_keyword("DATABASE")?;
    let database = words.name()?;
    words.expect_keyword(preposition)?;
    words.take_keyword(&["ROLE"]);
    let role = words.name()?;
    words.end()?;
    Ok((right, database, role))
}

/// `name ADD USER name AS role`, `name SET USER name AS role`, `name REMOVE USER name`, `name SET option = value`, `name UNSET option`
pub(super) fn alter_tenant(mut words: Words<'_>) -> Result<AccessChange, QueryError> {
    let tenant = words.name()?;
    let verb = words.take_keyword(&["ADD", "SET", "REMOVE", "UNSET"]);
    if verb.is_none() {
        return words.expected("ADD, SET, REMOVE or UNSET");
    }
    if words.take_keyword(&["USER"]).is_none() {
        let comment = match verb {
            Some("SET") => {
                tenant_option(&mut words)?;
                words.take(&Token::Eq);
                Some(words.value()?)
            }
            Some("UNSET") => {
                tenant_option(&mut words)?;
                None
            }
            _ => return words.expected("USER"),
        };
        words.end()?;
        return Ok(AccessChange::AlterTenant { name: tenant, comment });
    }
    if verb == Some("UNSET") {
        return words.expected("an option of a tenant");
    }
    let user = words.name()?;
    let role = match verb {
        Some("REMOVE") => None,
        _ => {
            words.expect_keyword("AS")?;
            Some(words.name()?)
        }
    };
    words.end()?;
    Ok(AccessChange::SetRole { tenant, user, role })
}

fn user_options(words: &mut Words<'_>, options: &mut UserOptions) -> Result<(), QueryError> {
    loop {
        let at = *words;
        let Some(key) = words.any_keyword() else { return at.expected("an option of a user") };
        if !words.take(&Token::Eq) {
            // What stands there may be the password.
            return Err(QueryError::Syntax(format!("Expected: = after {key}")));
        }
        let value = words.value()?;
        match key.as_str() {
            "PASSWORD" => options.password = Some(value),
            "COMMENT" => options.comment = Some(value),
            "GRANTED_ADMIN" => options.is_admin = Some(truth(&value)?),
            "MUST_CHANGE_PASSWORD" => options.must_change_password = Some(truth(&value)?),
            "RSA_PUBLIC_KEY" => return Err(QueryError::NotSupported(key)),
            _ => return at.expected("an option of a user"),
        }
        if !words.take(&Token::Comma) {
            return Ok(());
        }
    }
}

fn truth(value: &str) -> Result<bool, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(QueryError::Syntax(format!("Expected: true or false, found: {value}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ddl;
    use super::super::statement::{Statement, parse};

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        match (parse(text), expected) {
            (Ok(Statement::Ddl(Ddl::Access(change))), Ok(expected)) => {
                assert_eq!(format!("{change:?}"), expected, "{text}")
            }
            (Err(seen), Err(expected)) => assert_eq!(seen.to_string(), expected, "{text}"),
            (seen, _) => panic!("{text}: {seen:?}"),
        }
    }

    #[test]
    fn users_are_made_changed_and_dropped() {
        let options = "UserOptions { password: Some(\"***\"), is_admin: None, .. }";
        let text = "create user u with password='Secret-1', must_change_password=false, comment='a test'";
        check(text, Ok(&format!("CreateUser u false {options}")));
        check(
            "CREATE USER IF NOT EXISTS \"U 2\";",
            Ok("CreateUser U 2 true UserOptions { password: None, is_admin: None, .. }"),
        );
        check("alter user u set password = 'Secret-2'", Ok(&format!("AlterUser u {options}")));
        let admin = "AlterUser u UserOptions { password: None, is_admin: Some(true), .. }";
        check("alter user u set granted_admin = true", Ok(admin));
        check("drop user u", Ok("DropUser u false"));
        check("drop user if exists u", Ok("DropUser u true"));
        check("create user u with rsa_public_key='k'", Err("RSA_PUBLIC_KEY is not supported"));
        check("create user u with must_change_password=maybe", Err("Expected: true or false, found: maybe"));
        check("create user u with colour='red'", Err("Expected: an option of a user, found: colour"));
        check("create user u password='p'", Err("Expected: end of statement, found: password"));
        check("alter user u set password 'p'", Err("Expected: = after PASSWORD"));
    }

    #[test]
    fn roles_are_made_given_and_taken() {
        check("create role r inherit member", Ok("CreateRole r false member"));
        check("create role if not exists r INHERIT Owner", Ok("CreateRole r true owner"));
        check("create role r", Ok("CreateRole r false -"));
        check("create role r member", Err("Expected: end of statement, found: member"));
        check("create role \"r/1\" inherit owner", Err("not supported keyword contains '/': r/1"));
        check("create role ' ' inherit owner", Err("Name cannot be empty or contain only spaces"));
        check("create user \"u/1\"", Err("not supported keyword contains '/': u/1"));
        check("create role r inherit admin", Err("Expected: owner or member, found: admin"));
        check("drop role r", Ok("DropRole r false"));
        check("grant write on database public to role r", Ok("Grant Write public r"));
        check("grant all on database d to r", Ok("Grant All d r"));
        check("revoke read on database d from role r", Ok("Revoke Read d r"));
        check("grant write on table t to role r", Err("Expected: DATABASE, found: table"));
        check("alter tenant cnosdb add user u as member", Ok("SetRole cnosdb u Some(\"member\")"));
        check("alter tenant cnosdb set user u as r", Ok("SetRole cnosdb u Some(\"r\")"));
        check("alter tenant cnosdb remove user u", Ok("SetRole cnosdb u None"));
    }

    #[test]
    fn tenants_are_made_changed_and_dropped() {
        check("create tenant t", Ok("CreateTenant t false None"));
        check(
            "CREATE TENANT IF NOT EXISTS \"T 2\" WITH Comment='a test'",
            Ok("CreateTenant T 2 true Some(\"a test\")"),
        );
        check("alter tenant t set comment = 'x'", Ok("AlterTenant t Some(\"x\")"));
        check("alter tenant t set comment 'x'", Ok("AlterTenant t Some(\"x\")"));
        check("alter tenant t unset comment", Ok("AlterTenant t None"));
        check("drop tenant t", Ok("DropTenant t false"));
        check("drop tenant if exists t", Ok("DropTenant t true"));
        check("create tenant \"a/b\"", Err("not supported keyword contains '/': a/b"));
        check("create tenant t with _limiter = '{}'", Err("_LIMITER is not supported"));
        check("alter tenant t set drop_after = '7d'", Err("DROP_AFTER is not supported"));
        check("create tenant t with comment='a', comment='b'", Err("the option COMMENT is given twice"));
        check("create tenant t with colour='a'", Err("Expected: an option of a tenant, found: colour"));
        check("alter tenant t add comment = 'x'", Err("Expected: USER, found: comment"));
        check("alter tenant t unset user", Err("Expected: an option of a tenant, found: EOF"));
        check("alter tenant t", Err("Expected: ADD, SET, REMOVE or UNSET, found: EOF"));
        check("drop tenant t after '7d'", Err("DROP TENANT … AFTER is not supported"));
    }
}
