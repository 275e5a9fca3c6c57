//! Text → expressions.
//!
//! Operators by strength, weak to strong: `OR`; `AND`; comparisons; `+ - | ^`; `* / % &`. All take their left side first.

use super::{BinaryOp, Call, Cast, Expr, Literal, Logic, VarRef, Wildcard};
use crate::query::influxql::duration::Duration;
use crate::query::influxql::error::ParseError;
use crate::query::influxql::ident::Ident;
use crate::query::influxql::parser::Parser;
use crate::query::influxql::regex::Regex;
use crate::query::influxql::source::parse_segments;
use crate::query::influxql::token::{Keyword, Lexeme, Position, Token};

/// How many levels an expression may have. A chain of `AND` or of `OR` is one level, however long it is; each operator
/// of a chain of any other kind is a level of its own.
pub const DEPTH_MAX: usize = 500;

/// An expression and how many levels it has.
struct Measured {
    expr: Expr,
    depth: usize,
}

/// What stands between two operands.
#[derive(Clone, Copy, PartialEq)]
enum Operator {
    Binary(BinaryOp),
    Logic(Logic),
}

impl Expr {
    /// The longest expression from here on.
    pub(in super::super) fn parse(parser: &mut Parser<'_>) -> Result<Expr, ParseError> {
        parse_operations(parser).map(|parsed| parsed.expr)
    }
}

/// Operands with operators between them.
fn parse_operations(parser: &mut Parser<'_>) -> Result<Measured, ParseError> {
    let mut operands = vec![parse_operand(parser)?];
    let mut waiting: Vec<(Operator, Position)> = Vec::new();
    loop {
        let Lexeme { token, at } = parser.peek();
        let next = operator(token);
        let at = *at;
        while let Some(&(last, last_at)) = waiting.last()
            && next.is_none_or(|next| last.strength() >= next.strength())
        {
            waiting.pop();
            combine(&mut operands, last, last_at)?;
        }
        let Some(next) = next else { break };
        parser.next_token();
        waiting.push((next, at));
        operands.push(match next {
            Operator::Binary(BinaryOp::EqRegex | BinaryOp::NotEqRegex) => {
                Measured::leaf(Literal::Regex(parser.expect_regex()?).into())
            }
            _ => parse_operand(parser)?,
        });
    }
    Ok(operands.pop().expect("operands are one more than operators, and no operator is left"))
}

/// Replaces the last two operands by what `op` makes of them.
fn combine(operands: &mut Vec<Measured>, op: Operator, at: Position) -> Result<(), ParseError> {
    let right = operands.pop().expect("every operator has an operand on its right");
    let left = operands.last_mut().expect("every operator has an operand on its left");
    let depth = left.depth.max(right.depth) + 1;
    match (op, &mut left.expr) {
        (Operator::Logic(op), Expr::Logic(of, terms)) if op == *of => {
            terms.push(right.expr);
            left.depth = left.depth.max(right.depth + 1);
        }
        (op, expr) => {
            let taken = std::mem::replace(expr, Expr::Wildcard(Wildcard::All));
            *expr = match op {
                Operator::Logic(op) => Expr::Logic(op, vec![taken, right.expr]),
                Operator::Binary(op) => Expr::binary(op, taken, right.expr),
            };
            left.depth = depth;
        }
    }
    if left.depth > DEPTH_MAX { Err(ParseError::TooDeep { max: DEPTH_MAX, at }) } else { Ok(()) }
}

impl Measured {
    fn leaf(expr: Expr) -> Self {
        Measured { expr, depth: 1 }
    }
}

impl Operator {
    fn strength(self) -> u8 {
        use BinaryOp::{Add, BitAnd, BitOr, BitXor, Div, Mod, Mul, Sub};
        match self {
            Operator::Logic(Logic::Or) => 1,
            Operator::Logic(Logic::And) => 2,
            Operator::Binary(Add | Sub | BitOr | BitXor) => 4,
            Operator::Binary(Mul | Div | Mod | BitAnd) => 5,
            Operator::Binary(_) => 3,
        }
    }
}

fn operator(token: &Token) -> Option<Operator> {
    Some(Operator::Binary(match token {
        Token::Keyword(Keyword::And) => return Some(Operator::Logic(Logic::And)),
        Token::Keyword(Keyword::Or) => return Some(Operator::Logic(Logic::Or)),
        Token::Add => BinaryOp::Add,
        Token::Sub => BinaryOp::Sub,
        Token::Mul => BinaryOp::Mul,
        Token::Div => BinaryOp::Div,
        Token::Mod => BinaryOp::Mod,
        Token::BitAnd => BinaryOp::BitAnd,
        Token::BitOr => BinaryOp::BitOr,
        Token::BitXor => BinaryOp::BitXor,
        Token::Eq => BinaryOp::Eq,
        Token::NotEq => BinaryOp::NotEq,
        Token::EqRegex => BinaryOp::EqRegex,
        Token::NotEqRegex => BinaryOp::NotEqRegex,
        Token::Less => BinaryOp::Less,
        Token::LessEq => BinaryOp::LessEq,
        Token::Greater => BinaryOp::Greater,
        Token::GreaterEq => BinaryOp::GreaterEq,
        _ => return None,
    }))
}

/// What stands between operators: a name, a literal, a call, something in parentheses; with or without a sign.
fn parse_operand(parser: &mut Parser<'_>) -> Result<Measured, ParseError> {
    let Lexeme { token, at } = parser.next_token();
    let literal = match token {
        Token::LeftParen => return parse_parenthesis(parser),
        Token::Ident(name) => {
            if parser.scan().token == Token::LeftParen {
                return parse_call(parser, name.to_lowercase());
            }
            parser.unscan();
            parser.unscan();
            return parse_reference(parser).map(|reference| Measured::leaf(Expr::Ref(reference)));
        }
        Token::Keyword(Keyword::Distinct) => return parse_distinct(parser),
        Token::Mul => return parse_wildcard(parser).map(|wildcard| Measured::leaf(Expr::Wildcard(wildcard))),
        Token::Add => return parse_signed(parser, 1),
        Token::Sub => return parse_signed(parser, -1),
        Token::String(text) => Literal::String(text),
        Token::Number(digits) => Literal::Number(number(&digits, at)?),
        Token::Integer(digits) => integer(&digits, at)?,
        Token::Keyword(Keyword::True) => Literal::Boolean(true),
        Token::Keyword(Keyword::False) => Literal::Boolean(false),
        Token::Duration(text) => Literal::Duration(text.parse::<Duration>().map_err(ParseError::DurationValue)?),
        Token::Regex(source) => Literal::Regex(Regex::new(&source).map_err(|cause| ParseError::Regex { cause, at })?),
        Token::BoundParam(name) if name.is_empty() => return Err(ParseError::EmptyParameter),
        Token::BoundParam(name) | Token::UnusableParam(name) => return Err(ParseError::MissingParameter { name }),
        token => {
            let found = Lexeme { token, at };
            return Err(ParseError::unexpected(&found, &["identifier", "string", "number", "bool"]));
        }
    };
    Ok(Measured::leaf(literal.into()))
}

fn number(digits: &str, at: Position) -> Result<f64, ParseError> {
    digits.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(ParseError::NotANumber { at })
}

/// Beyond `i64::MAX` it is unsigned.
fn integer(digits: &str, at: Position) -> Result<Literal, ParseError> {
    let signed = digits.parse().map(Literal::Integer).ok();
    signed.or_else(|| digits.parse().map(Literal::Unsigned).ok()).ok_or(ParseError::NotAnInteger { at })
}

/// What follows `(`.
fn parse_parenthesis(parser: &mut Parser<'_>) -> Result<Measured, ParseError> {
    let inner = parser.nested(parse_operations)?;
    parser.expect_token(&Token::RightParen, ")")?;
    Ok(Measured { expr: Expr::Paren(Box::new(inner.expr)), depth: inner.depth + 1 })
}

/// What follows `name(`.
fn parse_call(parser: &mut Parser<'_>, name: String) -> Result<Measured, ParseError> {
    let mut args = Vec::new();
    let mut depth = 0;
    let mut first = parser.regex()?;
    if first.is_none() {
        if parser.scan().token == Token::RightParen {
            return Ok(Measured::leaf(Expr::Call(Call { name, args })));
        }
        parser.unscan();
    }
    loop {
        let argument = match first.take() {
            Some(regex) => Measured::leaf(Literal::Regex(regex).into()),
            None => parser.nested(parse_operations)?,
        };
        depth = depth.max(argument.depth);
        args.push(argument.expr);
        if !parser.take_token(&Token::Comma) {
            break;
        }
        first = parser.regex()?;
    }
    parser.expect_token(&Token::RightParen, ")")?;
    Ok(Measured { expr: Expr::Call(Call { name, args }), depth: depth + 1 })
}

/// `name[::cast]`, without blanks in it.
fn parse_reference(parser: &mut Parser<'_>) -> Result<VarRef, ParseError> {
    let segments: Vec<String> = parse_segments(parser)?.into_iter().map(|Ident(segment)| segment).collect();
    let name = Ident(segments.join("."));
    if parser.scan().token != Token::DoubleColon {
        parser.unscan();
        return Ok(VarRef { name, cast: None });
    }
    let found = parser.scan();
    let cast = match &found.token {
        Token::Keyword(Keyword::Field) => Cast::Field,
        Token::Keyword(Keyword::Tag) => Cast::Tag,
        Token::Ident(word) => match word.to_lowercase().as_str() {
            "float" => Cast::Float,
            "integer" => Cast::Integer,
            "unsigned" => Cast::Unsigned,
            "string" => Cast::String,
            "boolean" => Cast::Boolean,
            _ => {
                let casts = ["float", "integer", "unsigned", "string", "boolean", "field", "tag"];
                return Err(ParseError::unexpected(&found, &casts));
            }
        },
        _ => return Err(ParseError::unexpected(&found, &["float", "integer", "string", "boolean", "field", "tag"])),
    };
    Ok(VarRef { name, cast: Some(cast) })
}

/// What follows `DISTINCT`: a name after a blank, or a call's arguments without one.
fn parse_distinct(parser: &mut Parser<'_>) -> Result<Measured, ParseError> {
    let found = parser.scan();
    match found.token {
        Token::LeftParen => parse_call(parser, "distinct".to_string()),
        Token::Whitespace(_) => parser.ident().map(|name| Measured::leaf(Expr::Distinct(name))),
        _ => Err(ParseError::unexpected(&found, &["(", "identifier"])),
    }
}

/// What follows `*`.
fn parse_wildcard(parser: &mut Parser<'_>) -> Result<Wildcard, ParseError> {
    if parser.scan().token != Token::DoubleColon {
        parser.unscan();
        return Ok(Wildcard::All);
    }
    let found = parser.scan();
    match found.token {
        Token::Keyword(Keyword::Field) => Ok(Wildcard::Fields),
        Token::Keyword(Keyword::Tag) => Ok(Wildcard::Tags),
        _ => Err(ParseError::unexpected(&found, &["field", "tag"])),
    }
}

/// What follows a sign: a literal takes it, anything else is multiplied by it.
fn parse_signed(parser: &mut Parser<'_>, sign: i64) -> Result<Measured, ParseError> {
    let next = parser.peek();
    if !matches!(
        next.token,
        Token::Number(_) | Token::Integer(_) | Token::Duration(_) | Token::LeftParen | Token::Ident(_)
    ) {
        return Err(ParseError::unexpected(next, &["identifier", "number", "duration", "("]));
    }
    let operand = parse_operand(parser)?;
    let literal = match operand.expr {
        Expr::Literal(literal) => literal,
        expr => {
            let expr = Expr::binary(BinaryOp::Mul, Literal::Integer(sign).into(), expr);
            return Ok(Measured { expr, depth: operand.depth + 1 });
        }
    };
    let signed = match literal {
        #[expect(clippy::cast_precision_loss, reason = "it is 1 or -1")]
        Literal::Number(value) => Literal::Number(value * sign as f64),
        Literal::Integer(value) => Literal::Integer(value.wrapping_mul(sign)),
        Literal::Duration(Duration(value)) => Literal::Duration(Duration(value.wrapping_mul(sign))),
        Literal::Unsigned(value) if sign < 0 && value == i64::MIN.unsigned_abs() => Literal::Integer(i64::MIN),
        Literal::Unsigned(value) if sign < 0 => return Err(ParseError::ConstantUnderflows { value }),
        other => other,
    };
    Ok(Measured::leaf(signed.into()))
}
