//! SELECT, and EXPLAIN of one.
//!
//! Parsed in `parse`, printed here. Which selects make sense is for [`check`](super::check) to say.

mod parse;

use std::fmt::{self, Display};

use super::clauses::{Direction, OrderBy, Page};
use super::expr::Expr;
use super::ident::Ident;
use super::print::{clause, list_clause, separated};
use super::source::{Source, Target};
use super::token::Keyword;
use super::zone::TimeZone;

pub use parse::parse_select;
pub(super) use parse::{parse_explain, parse_with_target};

/// `SELECT fields [INTO target] FROM sources [WHERE …] [GROUP BY …] [fill(…)] [ORDER BY …] [LIMIT …] … [tz('…')]`
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    pub fields: Vec<Field>,
    pub target: Option<Target>,
    pub sources: Vec<Source>,
    pub condition: Option<Expr>,
    /// As written: `time(…)`, names, `*`, regular expressions; anything else is found out by the check.
    pub dimensions: Vec<Expr>,
    pub fill: Fill,
    pub order: Option<OrderBy>,
    /// LIMIT and OFFSET: rows of each series.
    pub rows: Page,
    /// SLIMIT and SOFFSET: series of each measurement.
    pub series: Page,
    pub zone: Option<TimeZone>,
}

/// `expr [AS alias]`
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub expr: Expr,
    pub alias: Option<Ident>,
}

/// What a window without rows becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Fill {
    /// A row of nulls; also when nothing is said.
    #[default]
    Null,
    /// No row.
    None,
    Integer(i64),
    Number(f64),
    Previous,
    Linear,
}

/// `EXPLAIN [ANALYZE] SELECT …`
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    pub analyze: bool,
    pub select: Box<Select>,
}

impl Select {
    /// In which order rows come.
    pub fn direction(&self) -> Direction {
        self.order.map_or(Direction::Ascending, |order| order.direction)
    }

    /// Whether rows are taken as they are: there is no call in the fields. `DISTINCT f` is no call yet.
    pub fn is_raw(&self) -> bool {
        !self.fields.iter().any(|field| field.expr.has_call())
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        separated(f, &self.fields)?;
        clause(f, " ", self.target.as_ref())?;
        list_clause(f, " FROM ", &self.sources)?;
        clause(f, " WHERE ", self.condition.as_ref())?;
        list_clause(f, " GROUP BY ", &self.dimensions)?;
        self.fill.fmt(f)?;
        clause(f, " ORDER BY ", self.order.as_ref())?;
        self.rows.print_rows(f)?;
        self.series.print(f, Keyword::Slimit, Keyword::Soffset)?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, " TZ('{}')", zone.name()))
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        clause(f, " AS ", self.alias.as_ref())
    }
}

/// With a blank before it; nothing for null.
impl Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fill::Null => Ok(()),
            Fill::None => f.write_str(" fill(none)"),
            Fill::Integer(value) => write!(f, " fill({value})"),
            Fill::Number(value) if f.alternate() => {
                f.write_str(" fill(")?;
                super::expr::Literal::Number(*value).fmt(f)?;
                f.write_str(")")
            }
            Fill::Number(value) => write!(f, " fill({})", shortest(*value)),
            Fill::Previous => f.write_str(" fill(previous)"),
            Fill::Linear => f.write_str(" fill(linear)"),
        }
    }
}

/// The fewest digits that read as the same number; with an exponent of at least two digits below 1e-4 and from 1e21.
fn shortest(value: f64) -> String {
    if value == 0.0 || (1e-4..1e21).contains(&value.abs()) {
        return value.to_string();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

impl Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.analyze { "EXPLAIN ANALYZE " } else { "EXPLAIN " })?;
        self.select.fmt(f)
    }
}
