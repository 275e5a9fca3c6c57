//! Users, their passwords and their rights.

use std::fmt::{self, Debug, Display};

use super::ast::Statement;
use super::error::ParseError;
use super::ident::{Ident, Quoted};
use super::parser::Parser;
use super::print::clause;
use super::token::{Keyword, Token};

/// `CREATE USER name WITH PASSWORD 'p' [WITH ALL PRIVILEGES]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateUser {
    pub name: Ident,
    pub password: Password,
    pub admin: bool,
}

/// `DROP USER name`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropUser {
    pub name: Ident,
}

/// `SET PASSWORD FOR name = 'p'`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPassword {
    pub name: Ident,
    pub password: Password,
}

/// A password in plain text. Shown as `[REDACTED]`, but by `{:#}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

/// `GRANT privilege ON db TO user`, or `GRANT ALL PRIVILEGES TO user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub privilege: Privilege,
    /// Absent: the user becomes an administrator; the privilege is ALL then.
    pub database: Option<Ident>,
    pub user: Ident,
}

/// `REVOKE privilege ON db FROM user`, or `REVOKE ALL PRIVILEGES FROM user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    pub privilege: Privilege,
    /// Absent: the user is no administrator any more; the privilege is ALL then.
    pub database: Option<Ident>,
    pub user: Ident,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Privilege {
    Read,
    Write,
    All,
}

/// `SHOW GRANTS FOR user`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowGrants {
    pub user: Ident,
}

/// What follows `CREATE USER`.
pub fn parse_create(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let name = parser.ident()?;
    parser.expect(Keyword::With)?;
    parser.expect(Keyword::Password)?;
    let password = Password(parser.string()?);
    let admin = parser.take(Keyword::With);
    if admin {
        parser.expect(Keyword::All)?;
        parser.expect(Keyword::Privileges)?;
    }
    Ok(Statement::CreateUser(CreateUser { name, password, admin }))
}

/// What follows `DROP USER`.
pub fn parse_drop(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::DropUser(DropUser { name: parser.ident()? }))
}

/// What follows `SET PASSWORD FOR`.
pub fn parse_set_password(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let name = parser.ident()?;
    parser.expect_token(&Token::Eq, "=")?;
    Ok(Statement::SetPassword(SetPassword { name, password: Password(parser.string()?) }))
}

/// What follows `SHOW USERS`: nothing.
pub fn parse_show(_: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowUsers)
}

/// What follows `GRANT`.
pub fn parse_grant(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let (privilege, database, user) = parse_right(parser, Keyword::To)?;
    Ok(Statement::Grant(Grant { privilege, database, user }))
}

/// What follows `REVOKE`.
pub fn parse_revoke(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let (privilege, database, user) = parse_right(parser, Keyword::From)?;
    Ok(Statement::Revoke(Revoke { privilege, database, user }))
}

/// What follows `SHOW GRANTS FOR`.
pub fn parse_show_grants(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowGrants(ShowGrants { user: parser.ident()? }))
}

/// `privilege [ON db] preposition user`; without a database only ALL.
fn parse_right(parser: &mut Parser<'_>, preposition: Keyword) -> Result<(Privilege, Option<Ident>, Ident), ParseError> {
    let privilege = parse_privilege(parser)?;
    if parser.take(Keyword::On) {
        let database = parser.ident()?;
        parser.expect(preposition)?;
        return Ok((privilege, Some(database), parser.ident()?));
    }
    if privilege != Privilege::All {
        return Err(ParseError::unexpected(parser.peek(), &["ON"]));
    }
    if !parser.take(preposition) {
        return Err(ParseError::unexpected(parser.peek(), &["ON", preposition.as_str()]));
    }
    Ok((privilege, None, parser.ident()?))
}

fn parse_privilege(parser: &mut Parser<'_>) -> Result<Privilege, ParseError> {
    let found = parser.next_token();
    match found.token {
        Token::Keyword(Keyword::Read) => Ok(Privilege::Read),
        Token::Keyword(Keyword::Write) => Ok(Privilege::Write),
        Token::Keyword(Keyword::All) => {
            parser.take(Keyword::Privileges);
            Ok(Privilege::All)
        }
        _ => Err(ParseError::unexpected(&found, &["READ", "WRITE", "ALL [PRIVILEGES]"])),
    }
}

impl Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() { Display::fmt(&Quoted(&self.0), f) } else { f.write_str("[REDACTED]") }
    }
}

impl Display for CreateUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE USER {} WITH PASSWORD ", self.name)?;
        Display::fmt(&self.password, f)?;
        f.write_str(if self.admin { " WITH ALL PRIVILEGES" } else { "" })
    }
}

impl Display for DropUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DROP USER {}", self.name)
    }
}

impl Display for SetPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SET PASSWORD FOR {} = ", self.name)?;
        Display::fmt(&self.password, f)
    }
}

impl Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Privilege::Read => "READ",
            Privilege::Write => "WRITE",
            Privilege::All => "ALL PRIVILEGES",
        })
    }
}

impl Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GRANT {}", self.privilege)?;
        clause(f, " ON ", self.database.as_ref())?;
        write!(f, " TO {}", self.user)
    }
}

impl Display for Revoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "REVOKE {}", self.privilege)?;
        clause(f, " ON ", self.database.as_ref())?;
        write!(f, " FROM {}", self.user)
    }
}

impl Display for ShowGrants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHOW GRANTS FOR {}", self.user)
    }
}
