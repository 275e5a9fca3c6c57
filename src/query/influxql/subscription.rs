//! CREATE, DROP SUBSCRIPTION, SHOW SUBSCRIPTIONS.

use std::fmt::{self, Display};

use super::ast::Statement;
use super::error::ParseError;
use super::ident::{Ident, Quoted};
use super::parser::Parser;
use super::token::{Keyword, Token};

/// `CREATE SUBSCRIPTION name ON db.policy DESTINATIONS ALL | ANY 'url', …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSubscription {
    pub name: Ident,
    pub database: Ident,
    pub policy: Ident,
    pub mode: SubscriptionMode,
    /// At least one.
    pub destinations: Vec<String>,
}

/// Whether every destination gets every point, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionMode {
    All,
    Any,
}

/// `DROP SUBSCRIPTION name ON db.policy`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropSubscription {
    pub name: Ident,
    pub database: Ident,
    pub policy: Ident,
}

/// What follows `CREATE SUBSCRIPTION`.
pub fn parse_create(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let (name, database, policy) = parse_place(parser)?;
    parser.expect(Keyword::Destinations)?;
    let mode = if parser.take(Keyword::All) {
        SubscriptionMode::All
    } else if parser.take(Keyword::Any) {
        SubscriptionMode::Any
    } else {
        return Err(ParseError::unexpected(parser.peek(), &["ALL", "ANY"]));
    };
    let mut destinations = vec![parser.string()?];
    while parser.take_token(&Token::Comma) {
        destinations.push(parser.string()?);
    }
    Ok(Statement::CreateSubscription(CreateSubscription { name, database, policy, mode, destinations }))
}

/// What follows `DROP SUBSCRIPTION`.
pub fn parse_drop(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let (name, database, policy) = parse_place(parser)?;
    Ok(Statement::DropSubscription(DropSubscription { name, database, policy }))
}

/// What follows `SHOW SUBSCRIPTIONS`: nothing.
pub fn parse_show(_: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowSubscriptions)
}

/// `name ON db.policy`, without a blank before the point.
fn parse_place(parser: &mut Parser<'_>) -> Result<(Ident, Ident, Ident), ParseError> {
    let name = parser.ident()?;
    parser.expect(Keyword::On)?;
    let database = parser.ident()?;
    let found = parser.scan();
    if found.token != Token::Dot {
        return Err(ParseError::unexpected(&found, &["."]));
    }
    Ok((name, database, parser.ident()?))
}

impl SubscriptionMode {
    pub fn as_str(self) -> &'static str {
        match self {
            SubscriptionMode::All => "ALL",
            SubscriptionMode::Any => "ANY",
        }
    }
}

impl Display for CreateSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CreateSubscription { name, database, policy, mode, destinations } = self;
        write!(f, "CREATE SUBSCRIPTION {name} ON {database}.{policy} DESTINATIONS {} ", mode.as_str())?;
        for (i, destination) in destinations.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, Quoted(destination))?;
        }
        Ok(())
    }
}

impl Display for DropSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DROP SUBSCRIPTION {} ON {}.{}", self.name, self.database, self.policy)
    }
}
