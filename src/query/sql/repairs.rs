//! `timestamp_repair(time, x[, options])`, `value_fill`, `value_repair`: a SELECT of such a call alone gives the rows of a series put right.
//!
//! `SELECT value_fill(t, x, 'o') AS v FROM …` becomes
//!
//! ```sql
//! SELECT get_field(point, 'time') AS time, get_field(point, 'value') AS v FROM (
//!     SELECT unnest(filled_values('o', x as double or NaN, time, x)) AS point FROM (SELECT t AS time, x FROM …))
//! ```
//!
//! so that conditions and groups choose what is repaired, and ORDER BY and LIMIT what is shown of it.
//! Spec: CnosDB SQL, data repair functions: two columns, the first of which is `time`, whose values are of the type of `x`.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Select, SelectItem, SetExpr, Statement as SqlStatement, VisitMut, VisitorMut,
};

use crate::query::error::QueryError;

use super::series_calls::call;
use super::show::quoted;
use super::statement::parse_text;

/// CnosDB's sentences.
pub(super) const MISPLACED: &str = "Time series generation function must be used in projection";
const NOT_ALONE: &str = "Projection must have only one expression when using time series generation function";

/// The function of the library behind a function of this language.
pub(super) fn function(name: &str) -> Option<&'static str> {
    Some(match name {
        "timestamp_repair" => "repaired_times",
        "value_fill" => "filled_values",
        "value_repair" => "repaired_values",
        _ => return None,
    })
}

/// Rewrites every SELECT of such a call, wherever it is in a statement.
pub(super) fn rewrite<S: VisitMut>(statement: &mut S) -> Result<(), QueryError> {
    struct Selects;
    impl VisitorMut for Selects {
        type Break = QueryError;
        fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<QueryError> {
            match repaired(select) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        }
    }
    match statement.visit(&mut Selects) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The call that an item of a SELECT is, with the name that it has there.
fn called(item: &SelectItem) -> Option<(Call, Ident)> {
    let (expr, alias) = match item {
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
        _ => return None,
    };
    let (name, args) = call(expr)?;
    let function = function(&name)?;
    let alias = alias.cloned().unwrap_or_else(|| Ident::with_quote('"', expr.to_string()));
    Some((Call { name, function, args: args.into_iter().cloned().collect() }, alias))
}

struct Call {
    name: String,
    function: &'static str,
    args: Vec<Expr>,
}

fn repaired(select: &mut Select) -> Result<(), QueryError> {
    let Some((Call { name, function, args }, alias)) = select.projection.iter().find_map(called) else {
        return Ok(());
    };
    if select.projection.len() != 1 {
        return Err(QueryError::Plan(NOT_ALONE.to_string()));
    }
    let (time, value, options) = match &args[..] {
        [time, value] => (time, value, "''".to_string()),
        [time, value, options @ Expr::Value(_)] => (time, value, options.to_string()),
        [_, _, _] => return Err(QueryError::Plan("Expected argument to be a string literal".to_string())),
        _ => {
            let what = format!("The function \"{name}\" does not accept {} function arguments.", args.len());
            return Err(QueryError::Plan(what));
        }
    };
    let item =
        |expr: &Expr, name| SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) };
    let mut source = select.clone();
    let distinct = source.distinct.take();
    source.projection = vec![item(time, "time"), item(value, "value")];
    let text = format!(
        "SELECT get_field(point, 'time') AS \"time\", get_field(point, 'value') AS {} FROM (\
         SELECT unnest({function}({options}, coalesce(CAST(\"value\" AS DOUBLE), CAST('NaN' AS DOUBLE)), \
         CAST(\"time\" AS TIMESTAMP), \"value\")) AS point FROM ({source}) AS source) AS points",
        quoted(&alias.value)
    );
    *select = parsed(&text)?;
    select.distinct = distinct;
    Ok(())
}

fn parsed(text: &str) -> Result<Select, QueryError> {
    let broken = || QueryError::internal("a SELECT of ours is none");
    let EngineStatement::Statement(statement) = parse_text(text)? else { return Err(broken()) };
    let SqlStatement::Query(query) = *statement else { return Err(broken()) };
    match *query.body {
        SetExpr::Select(select) => Ok(*select),
        _ => Err(broken()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> Result<String, String> {
        let Ok(EngineStatement::Statement(mut statement)) = parse_text(text) else { panic!("{text}") };
        rewrite(statement.as_mut()).map(|()| statement.to_string()).map_err(|error| error.to_string())
    }

    /// What a call in `SELECT call AS v FROM t` becomes.
    fn points(options: &str) -> String {
        format!(
            "SELECT get_field(point, 'time') AS \"time\", get_field(point, 'value') AS \"v\" FROM (SELECT unnest(filled_values({options}, \
             coalesce(CAST(\"value\" AS DOUBLE), CAST('NaN' AS DOUBLE)), CAST(\"time\" AS TIMESTAMP), \"value\")) AS point FROM (\
             SELECT time AS \"time\", x AS \"value\" FROM t WHERE x > 1) AS source) AS points"
        )
    }

    #[test]
    fn a_call_becomes_rows() {
        let text = "SELECT value_fill(time, x) AS v FROM t WHERE x > 1 ORDER BY time LIMIT 3";
        assert_eq!(rewritten(text), Ok(points("''") + " ORDER BY time LIMIT 3"));
        let inner = "SELECT VALUE_FILL(time, x, 'method=it''s') AS v FROM t WHERE x > 1";
        let expected = format!("SELECT max(v) FROM ({}) AS f", points("'method=it''s'"));
        assert_eq!(rewritten(&format!("SELECT max(v) FROM ({inner}) AS f")), Ok(expected));
        let named = rewritten("SELECT value_repair(time, x) FROM t").unwrap();
        assert!(named.contains("AS \"value_repair(time, x)\" FROM (SELECT unnest(repaired_values('',"), "{named}");
    }

    #[test]
    fn what_stands_elsewhere_or_beside_others_is_refused() {
        for (text, expected) in [
            ("SELECT time, value_fill(time, x) FROM t", NOT_ALONE),
            ("SELECT value_fill(time) FROM t", "The function \"value_fill\" does not accept 1 function arguments."),
            (
                "SELECT value_fill(time, x, '', '') FROM t",
                "The function \"value_fill\" does not accept 4 function arguments.",
            ),
            ("SELECT value_fill(time, x, y) FROM t", "Expected argument to be a string literal"),
        ] {
            assert_eq!(rewritten(text), Err(expected.to_string()), "{text}");
        }
    }
}
