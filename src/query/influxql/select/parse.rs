//! Text → SELECT.

use super::{Explain, Field, Fill, Select};
use crate::query::influxql::ast::Statement;
use crate::query::influxql::clauses::{OrderBy, Page, parse_group_by, parse_where};
use crate::query::influxql::duration::Duration;
use crate::query::influxql::error::{ParseError, ShapeError};
use crate::query::influxql::expr::{Call, Expr, Literal};
use crate::query::influxql::parser::Parser;
use crate::query::influxql::source::{Source, Target};
use crate::query::influxql::token::{Keyword, Token};
use crate::query::influxql::zone::TimeZone;

/// What follows `SELECT`.
pub fn parse_select(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::Select(Box::new(Select::parse(parser, TargetIs::Optional)?)))
}

/// What follows the `SELECT` of a continuous query.
pub(in super::super) fn parse_with_target(parser: &mut Parser<'_>) -> Result<Select, ParseError> {
    Select::parse(parser, TargetIs::Required)
}

/// What follows `EXPLAIN`.
pub(in super::super) fn parse_explain(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let analyze = parser.take(Keyword::Analyze);
    parser.expect(Keyword::Select)?;
    let select = Box::new(Select::parse(parser, TargetIs::Optional)?);
    Ok(Statement::Explain(Explain { analyze, select }))
}

enum TargetIs {
    Required,
    Optional,
}

impl Select {
    /// What follows the `SELECT` of a subquery. The server reads INTO there, too.
    pub(in super::super) fn parse_subquery(parser: &mut Parser<'_>) -> Result<Select, ParseError> {
        Select::parse(parser, TargetIs::Optional)
    }

    fn parse(parser: &mut Parser<'_>, target: TargetIs) -> Result<Select, ParseError> {
        let fields = parse_fields(parser)?;
        let target = match target {
            _ if parser.take(Keyword::Into) => Some(Target::parse(parser)?),
            TargetIs::Required => return Err(ParseError::unexpected(parser.peek(), &["INTO"])),
            TargetIs::Optional => None,
        };
        parser.expect(Keyword::From)?;
        let mut sources = vec![Source::parse(parser)?];
        while parser.take_token(&Token::Comma) {
            sources.push(Source::parse(parser)?);
        }
        Ok(Select {
            fields,
            target,
            sources,
            condition: parse_where(parser)?,
            dimensions: parse_group_by(parser)?,
            fill: parse_fill(parser)?,
            order: OrderBy::parse(parser)?,
            rows: Page::parse_rows(parser)?,
            series: Page::parse_series(parser)?,
            zone: parse_zone(parser)?,
        })
    }

    /// The interval of the first `time(…)` among the dimensions, as written; zero without one.
    pub fn written_interval(&self) -> Result<Duration, ShapeError> {
        let time = self.dimensions.iter().find_map(|dimension| match dimension {
            Expr::Call(call) if call.name == "time" => Some(call),
            _ => None,
        });
        let Some(Call { args, .. }) = time else { return Ok(Duration(0)) };
        match args.first() {
            None => Err(ShapeError::TimeArguments),
            Some(_) if args.len() > 2 => Err(ShapeError::TimeArguments),
            Some(Expr::Literal(Literal::Duration(interval))) => Ok(*interval),
            Some(_) => Err(ShapeError::TimeWithoutDuration),
        }
    }
}

fn parse_fields(parser: &mut Parser<'_>) -> Result<Vec<Field>, ParseError> {
    let mut fields = Vec::new();
    loop {
        fields.push(parse_field(parser)?);
        if parser.scan().token != Token::Comma {
            parser.unscan();
            return Ok(fields);
        }
    }
}

fn parse_field(parser: &mut Parser<'_>) -> Result<Field, ParseError> {
    let expr = match parser.regex()? {
        Some(regex) => Expr::Literal(Literal::Regex(regex)),
        None => {
            let at = parser.peek().at;
            let expr = Expr::parse(parser)?;
            if let Some(op) = condition_operator(&expr) {
                return Err(ParseError::ConditionInFields { op, at });
            }
            expr
        }
    };
    let alias = if parser.take(Keyword::As) { parser.ident()?.non_empty() } else { None };
    parser.take_whitespace();
    Ok(Field { expr, alias })
}

/// The last of the outermost operators in `expr` that make a boolean, which only WHERE may have.
fn condition_operator(expr: &Expr) -> Option<&'static str> {
    let mut found = None;
    expr.walk(&mut |part| {
        let op = match part {
            Expr::Logic(logic, _) => Some(logic.as_str()),
            Expr::Binary(binary) if binary.op.is_comparison() => Some(binary.op.as_str()),
            _ => None,
        };
        found = op.or(found);
        op.is_none()
    });
    found
}

/// `fill(…)`, if it is next.
fn parse_fill(parser: &mut Parser<'_>) -> Result<Fill, ParseError> {
    if !is_word(parser, "fill") {
        return Ok(Fill::Null);
    }
    let Expr::Call(call) = Expr::parse(parser)? else { return Err(ParseError::FillNoCall) };
    let [argument] = call.args.as_slice() else { return Err(ParseError::FillArguments) };
    match argument.to_string().as_str() {
        "null" => Ok(Fill::Null),
        "none" => Ok(Fill::None),
        "previous" => Ok(Fill::Previous),
        "linear" => Ok(Fill::Linear),
        _ => match argument {
            Expr::Literal(Literal::Integer(value)) => Ok(Fill::Integer(*value)),
            Expr::Literal(Literal::Number(value)) => Ok(Fill::Number(*value)),
            _ => Err(ParseError::FillValue),
        },
    }
}

/// `tz('…')`, if it is next.
fn parse_zone(parser: &mut Parser<'_>) -> Result<Option<TimeZone>, ParseError> {
    if !is_word(parser, "tz") {
        return Ok(None);
    }
    let Expr::Call(call) = Expr::parse(parser)? else { return Err(ParseError::ZoneNoCall) };
    let [argument] = call.args.as_slice() else { return Err(ParseError::ZoneArguments) };
    let Expr::Literal(Literal::String(name)) = argument else { return Err(ParseError::ZoneNotString) };
    TimeZone::named(name).map(Some).ok_or_else(|| ParseError::UnknownZone { name: name.clone() })
}

fn is_word(parser: &mut Parser<'_>, word: &str) -> bool {
    matches!(&parser.peek().token, Token::Ident(name) if name.eq_ignore_ascii_case(word))
}
