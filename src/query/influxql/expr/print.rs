//! Expressions in the server's normal form; see [`Statement`](crate::query::influxql::Statement) for what `{:#}` adds.

use std::fmt::{self, Display};

use chrono::{DateTime, SecondsFormat};

use super::{Binary, BinaryOp, Call, Expr, Literal, VarRef, Wildcard};
use crate::query::influxql::ident::Quoted;
use crate::query::influxql::print::separated;

const SECOND: i128 = 1_000_000_000;

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Ref(reference) => reference.fmt(f),
            Expr::Call(call) => call.fmt(f),
            Expr::Distinct(name) => {
                f.write_str("DISTINCT ")?;
                if f.alternate() { name.fmt(f) } else { f.write_str(&name.0) }
            }
            Expr::Wildcard(wildcard) => wildcard.fmt(f),
            Expr::Literal(literal) => literal.fmt(f),
            Expr::Paren(inner) => {
                f.write_str("(")?;
                inner.fmt(f)?;
                f.write_str(")")
            }
            Expr::Binary(binary) => binary.fmt(f),
            Expr::Logic(logic, terms) => {
                for (i, term) in terms.iter().enumerate() {
                    if i > 0 {
                        write!(f, " {} ", logic.as_str())?;
                    }
                    term.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl Display for VarRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        self.cast.map_or(Ok(()), |cast| write!(f, "::{}", cast.as_str()))
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        separated(f, &self.args)?;
        f.write_str(")")
    }
}

impl Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wildcard::All => "*",
            Wildcard::Fields => "*::field",
            Wildcard::Tags => "*::tag",
        })
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate()
            && let Some(sign) = self.sign()
        {
            f.write_str(sign)?;
            return self.right.fmt(f);
        }
        self.left.fmt(f)?;
        write!(f, " {} ", self.op.as_str())?;
        self.right.fmt(f)
    }
}

impl Binary {
    /// A sign before a name, a call or a parenthesis is a multiplication, and binds stronger than one that is written
    /// out. The normal form does not tell the two apart.
    fn sign(&self) -> Option<&'static str> {
        let takes_sign = match &self.right {
            Expr::Ref(_) | Expr::Paren(_) => true,
            // This word is no name, and a sign may not stand before it.
            Expr::Call(call) => call.name != "distinct",
            _ => false,
        };
        match (self.op, &self.left) {
            (BinaryOp::Mul, Expr::Literal(Literal::Integer(1))) if takes_sign => Some("+"),
            (BinaryOp::Mul, Expr::Literal(Literal::Integer(-1))) if takes_sign => Some("-"),
            _ => None,
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Number(value) if f.alternate() => full_number(f, *value),
            Literal::Number(value) => write!(f, "{value:.3}"),
            Literal::Integer(value) => write!(f, "{value}"),
            Literal::Unsigned(value) => write!(f, "{value}"),
            Literal::String(text) => Quoted(text).fmt(f),
            Literal::Boolean(value) => write!(f, "{value}"),
            Literal::Duration(duration) => duration.fmt(f),
            Literal::Regex(regex) => regex.fmt(f),
            Literal::Time(nanoseconds) => write!(f, "'{}'", rfc3339(*nanoseconds)),
            Literal::Nil => f.write_str("nil"),
        }
    }
}

/// All digits and a point, never an exponent: the language has none.
fn full_number(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    let digits = value.to_string();
    write!(f, "{digits}{}", if digits.contains('.') { "" } else { ".0" })
}

/// A moment in UTC with as many digits of the second as it has.
pub(crate) fn rfc3339(nanoseconds: i128) -> String {
    let (seconds, fraction) = (nanoseconds.div_euclid(SECOND), nanoseconds.rem_euclid(SECOND));
    let whole = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let Some(whole) = whole else { return format!("{seconds}s") };
    let whole = whole.to_rfc3339_opts(SecondsFormat::Secs, true);
    if fraction == 0 {
        return whole;
    }
    let digits = format!("{fraction:09}");
    format!("{}.{}Z", whole.trim_end_matches('Z'), digits.trim_end_matches('0'))
}
