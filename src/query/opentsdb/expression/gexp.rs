//! Graphite-like expressions: functions over sub queries, `scale(sum:1m-avg:cpu{host=*},10)`.

use super::super::error::OpentsdbError;
use super::super::metric_query::parse_metric_query;
use super::super::request::{Counts, RawSubQuery};
use super::Series;
use super::functions::Function;

/// Functions inside each other.
const DEPTH_MAX: usize = 32;
/// Sub queries of an expression.
const QUERIES_MAX: usize = 64;

/// A function and what it is applied to.
#[derive(Debug, Clone, PartialEq)]
pub struct Gexp {
    function: Function,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    /// A sub query, by its place among all of them.
    Query(usize),
    Nested(Gexp),
}

/// Reads an expression; the sub queries in it are added to `queries`, their filters to `counts`.
pub fn parse_gexp(text: &str, queries: &mut Vec<RawSubQuery>, counts: &mut Counts) -> Result<Gexp, OpentsdbError> {
    if text.is_empty() {
        return Err(OpentsdbError::refused("Expression may not be null or empty"));
    }
    parse(text, queries, counts, 0)
}

fn parse(text: &str, queries: &mut Vec<RawSubQuery>, counts: &mut Counts, depth: usize) -> Result<Gexp, OpentsdbError> {
    let text = text.trim();
    let invalid = || OpentsdbError::Refused(format!("Invalid Expression: {text}"));
    if depth > DEPTH_MAX {
        return Err(OpentsdbError::Refused(format!("Expressions may be nested {DEPTH_MAX} levels deep")));
    }
    let (name, rest) = text.split_once('(').ok_or_else(invalid)?;
    let inside = rest.strip_suffix(')').ok_or_else(invalid)?;
    let mut arguments = Vec::new();
    let mut parameters = Vec::new();
    for part in parts(inside).ok_or_else(invalid)? {
        if is_call(part) {
            arguments.push(Argument::Nested(parse(part, queries, counts, depth + 1)?));
        } else if part.contains(':') {
            if queries.len() == QUERIES_MAX {
                return Err(OpentsdbError::Refused(format!("Expressions may hold {QUERIES_MAX} metrics")));
            }
            arguments.push(Argument::Query(queries.len()));
            queries.push(parse_metric_query(part, counts)?);
        } else if !part.is_empty() {
            parameters.push(part);
        }
    }
    Ok(Gexp { function: Function::named(name.trim(), &parameters)?, arguments })
}

/// A name and an open parenthesis, and not a sub query with a filter function.
fn is_call(text: &str) -> bool {
    text.split_once('(').is_some_and(|(name, _)| !name.contains([':', '{', '\'', '"']))
}

/// What stands between commas that are in no parentheses and braces; `None` where those do not fit.
fn parts(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut from, mut open) = (0, 0_usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'{' | b'[' => open += 1,
            b')' | b'}' | b']' => open = open.checked_sub(1)?,
            b',' if open == 0 => {
                parts.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim());
    (open == 0).then_some(parts)
}

impl Gexp {
    /// The result, from the groups of each sub query.
    pub fn evaluate(&self, groups: &[Vec<Series>]) -> Result<Vec<Series>, OpentsdbError> {
        let of = |argument: &Argument| match argument {
            Argument::Query(at) => Ok(groups.get(*at).cloned().unwrap_or_default()),
            Argument::Nested(nested) => nested.evaluate(groups),
        };
        self.function.apply(self.arguments.iter().map(of).collect::<Result<_, _>>()?)
    }

    /// The first sub query in it.
    pub fn first_query(&self) -> Option<usize> {
        self.arguments.iter().find_map(|argument| match argument {
            Argument::Query(at) => Some(*at),
            Argument::Nested(nested) => nested.first_query(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_nest_over_sub_queries() {
        let mut queries = Vec::new();
        let text = "sumSeries( scale(sum:a{h=*,dc=literal_or(x)},10), alias(sum:1m-avg:b,'x (y),z') )";
        let gexp = parse_gexp(text, &mut queries, &mut Counts::default()).expect("an expression");
        assert_eq!(gexp.arguments.len(), 2);
        let metrics: Vec<_> = queries.iter().map(|query| query.metric.as_deref().unwrap_or_default()).collect();
        assert_eq!(metrics, ["a", "b"]);
        assert_eq!(gexp.first_query(), Some(0));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = parse_gexp(text, &mut Vec::new(), &mut Counts::default()).expect_err(text);
            assert_eq!(error.to_string(), expected);
        };
        check("", "Expression may not be null or empty");
        check("sum:a", "Invalid Expression: sum:a");
        check("scale(sum:a", "Invalid Expression: scale(sum:a");
        check("scale(sum:a}),1)", "Invalid Expression: scale(sum:a}),1)");
        check("bogus(sum:a)", "Function bogus has not been implemented");
        check(
            &format!("{}sum:a{}", "absolute(".repeat(40), ")".repeat(40)),
            "Expressions may be nested 32 levels deep",
        );
    }
}
