//! Expressions: what a SELECT computes, what a WHERE demands, what a GROUP BY divides by.
//!
//! Parsed in [`parse`], printed in [`print`]. How deep an expression nests is bounded by the parser
//! ([`DEPTH_MAX`](parse::DEPTH_MAX)), so walking one by recursion is safe.

pub mod parse;
mod print;

pub mod walk;

use super::duration::Duration;
use super::ident::Ident;
use super::regex::Regex;
pub(super) use print::rfc3339;

/// A piece of a statement that has a value, a row at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A field, a tag, `time`, or a name that turns out to be none of them.
    Ref(VarRef),
    Call(Call),
    /// `DISTINCT f`, which means the call `distinct(f)`.
    Distinct(Ident),
    Wildcard(Wildcard),
    Literal(Literal),
    /// As written: parentheses are kept, because the normal form shows them.
    Paren(Box<Expr>),
    Binary(Box<Binary>),
    /// `a AND b AND c …` or `a OR b OR c …`: at least two terms, and however many there are, they are not nested.
    Logic(Logic, Vec<Expr>),
}

/// `name` or `name::cast`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VarRef {
    /// Parts that were written with points between them (`"a"."b"`) are joined by points here, as the server does.
    pub name: Ident,
    pub cast: Option<Cast>,
}

/// What is written after `::`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cast {
    Float,
    Integer,
    Unsigned,
    String,
    Boolean,
    /// Any type, but a field.
    Field,
    Tag,
}

/// `name(args)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// In lower case.
    pub name: String,
    pub args: Vec<Expr>,
}

/// `*`, `*::field`, `*::tag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wildcard {
    All,
    Fields,
    Tags,
}

/// A value that stands in the text, or that constants were folded to.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Number(f64),
    Integer(i64),
    /// Above `i64::MAX`, unless folded.
    Unsigned(u64),
    String(String),
    Boolean(bool),
    Duration(Duration),
    Regex(Regex),
    /// A moment in nanoseconds since 1970 UTC, wide enough for any date that can be written. Only folding makes one.
    Time(i128),
    /// What folding gives where a function has no value.
    Nil,
}

/// `left op right`. Without parentheses in the tree, because [`Expr::Paren`] keeps them: `left` binds at least as
/// strongly as `op` and `right` more strongly.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub left: Expr,
    pub right: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    BitAnd,
    BitOr,
    BitXor,
    Eq,
    NotEq,
    /// The right side is a [`Literal::Regex`].
    EqRegex,
    /// The right side is a [`Literal::Regex`].
    NotEqRegex,
    Less,
    LessEq,
    Greater,
    GreaterEq,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Logic {
    And,
    Or,
}

impl BinaryOp {
    /// Whether the result is a boolean whatever the sides are.
    pub fn is_comparison(self) -> bool {
        use BinaryOp::{Eq, EqRegex, Greater, GreaterEq, Less, LessEq, NotEq, NotEqRegex};
        matches!(self, Eq | NotEq | EqRegex | NotEqRegex | Less | LessEq | Greater | GreaterEq)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::BitAnd => "&",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
            BinaryOp::Eq => "=",
            BinaryOp::NotEq => "!=",
            BinaryOp::EqRegex => "=~",
            BinaryOp::NotEqRegex => "!~",
            BinaryOp::Less => "<",
            BinaryOp::LessEq => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEq => ">=",
        }
    }
}

impl Logic {
    pub fn as_str(self) -> &'static str {
        match self {
            Logic::And => "AND",
            Logic::Or => "OR",
        }
    }
}

impl Cast {
    pub fn as_str(self) -> &'static str {
        match self {
            Cast::Float => "float",
            Cast::Integer => "integer",
            Cast::Unsigned => "unsigned",
            Cast::String => "string",
            Cast::Boolean => "boolean",
            Cast::Field => "field",
            Cast::Tag => "tag",
        }
    }
}

impl VarRef {
    /// A name without a cast.
    pub fn plain(name: &str) -> VarRef {
        VarRef { name: name.into(), cast: None }
    }

    /// Whether this is the time column: `time` in any case, where conditions and dimensions look for it.
    pub fn is_time(&self) -> bool {
        self.name.0.eq_ignore_ascii_case("time")
    }
}

impl Expr {
    pub fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
        Expr::Binary(Box::new(Binary { op, left, right }))
    }

    pub fn is_literal(&self) -> bool {
        matches!(self, Expr::Literal(_))
    }
}

impl From<Literal> for Expr {
    fn from(literal: Literal) -> Expr {
        Expr::Literal(literal)
    }
}
