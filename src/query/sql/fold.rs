//! Names in any case: one that is not quoted and not known as it is written means the known one that is like it in lower case.
//! And variables of the server, which are constants.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Ident, Query, Select, SelectItem, TableFactor, TimezoneInfo, TypedString,
    UnaryOperator, Value, VisitMut, VisitorMut, visit_expressions_mut,
};

use crate::model::Precision;
use crate::query::error::QueryError;

/// Gives names in `statement` the case in which they are known. `known`: names of columns of the tables it speaks of.
pub(super) fn fold<S: VisitMut>(statement: &mut S, known: &HashSet<String>) -> Result<(), QueryError> {
    let mut refused = None;
    let relations = relations(statement);
    name_variables(statement);
    let _ = visit_expressions_mut(statement, |expr: &mut Expr| {
        match expr {
            Expr::Identifier(name) if name.quote_style.is_none() && name.value.starts_with("@@") => {
                match variable(&name.value[2..]) {
                    Some(text) => *expr = Expr::Value(Value::SingleQuotedString(text).into()),
                    None => refused = Some(format!("variable [\"{}\"] not found", name.value)),
                }
            }
            Expr::Identifier(name) => fold_name(name, known),
            Expr::CompoundIdentifier(parts) => {
                if let Some((name, qualifiers)) = parts.split_last_mut() {
                    fold_name(name, known);
                    // It may be a column with fields of its own.
                    let table = qualifiers.last_mut().filter(|name| !known.contains(&name.value));
                    table.into_iter().for_each(|table| fold_relation(table, &relations));
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    refused.map_or(Ok(()), |what| Err(QueryError::Plan(what)))
}

/// A variable that is selected gives the column its name.
fn name_variables<S: VisitMut>(statement: &mut S) {
    struct Variables;
    impl VisitorMut for Variables {
        type Break = ();
        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
                    && name.quote_style.is_none()
                    && name.value.starts_with("@@")
                {
                    let alias = Ident::with_quote('"', name.value.clone());
                    *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(name.clone()), alias };
                }
            }
            ControlFlow::Continue(())
        }
    }
    let _ = statement.visit(&mut Variables);
}

fn fold_name(name: &mut Ident, known: &HashSet<String>) {
    if name.quote_style.is_some() || known.contains(&name.value) {
        return;
    }
    let lower = name.value.to_lowercase();
    if known.contains(&lower) {
        name.value = lower;
    }
}

/// A table that is not called as it is written here is called by the only name that differs from that in case.
fn fold_relation(name: &mut Ident, relations: &HashSet<String>) {
    if name.quote_style.is_some() || relations.contains(&name.value) {
        return;
    }
    let mut alike = relations.iter().filter(|known| known.eq_ignore_ascii_case(&name.value));
    if let (Some(known), None) = (alike.next(), alike.next()) {
        name.value.clone_from(known);
    }
}

/// The names by which a statement's columns can speak of its tables.
fn relations<S: VisitMut>(statement: &mut S) -> HashSet<String> {
    struct Relations(HashSet<String>);
    impl VisitorMut for Relations {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            let (name, alias) = match factor {
                TableFactor::Table { name, alias, .. } => (name.0.last().and_then(|part| part.as_ident()), alias),
                TableFactor::Derived { alias, .. } | TableFactor::NestedJoin { alias, .. } => (None, alias),
                _ => return ControlFlow::Continue(()),
            };
            let called = alias.as_ref().map(|alias| &alias.name).or(name);
            self.0.extend(called.map(|name| name.value.clone()));
            ControlFlow::Continue(())
        }
    }
    let mut relations = Relations(HashSet::new());
    let _ = statement.visit(&mut relations);
    relations.0
}

/// Makes times of integers that columns of times, `times`, are compared with; they are in `precision`.
pub(super) fn compare_times<S: VisitMut>(statement: &mut S, times: &HashSet<String>, precision: Precision) {
    let is_time = |expr: &Expr| is_one_of(expr, times);
    let _ = visit_expressions_mut(statement, |expr: &mut Expr| {
        match expr {
            Expr::BinaryOp { left, op, right } if is_comparison(op) => {
                if is_time(left) {
                    make_time(right, precision);
                } else if is_time(right) {
                    make_time(left, precision);
                }
            }
            Expr::Between { expr, low, high, .. } if is_time(expr) => {
                make_time(low, precision);
                make_time(high, precision);
            }
            Expr::InList { expr, list, .. } if is_time(expr) => {
                list.iter_mut().for_each(|item| make_time(item, precision));
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

fn is_one_of(expr: &Expr, columns: &HashSet<String>) -> bool {
    match expr {
        Expr::Identifier(name) => columns.contains(&name.value),
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|name| columns.contains(&name.value)),
        _ => false,
    }
}

fn make_time(expr: &mut Expr, precision: Precision) {
    let (digits, sign) = match &*expr {
        Expr::Value(value) => (value, 1),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(value) => (value, -1),
            _ => return,
        },
        _ => return,
    };
    let Value::Number(digits, _) = &digits.value else { return };
    let number: Option<i64> = digits.parse().ok();
    if let Some(time_ns) = number.and_then(|number: i64| precision.to_nanos(sign * number)) {
        let text = Value::SingleQuotedString(chrono::DateTime::from_timestamp_nanos(time_ns).naive_utc().to_string());
        *expr = Expr::TypedString(TypedString {
            data_type: DataType::Timestamp(None, TimezoneInfo::None),
            value: text.into(),
            uses_odbc_syntax: false,
        });
    }
}

/// Names that a statement gives to its own columns: they are known as they are written.
pub(super) fn aliases<S: VisitMut>(statement: &mut S) -> HashSet<String> {
    struct Aliases(HashSet<String>);
    impl VisitorMut for Aliases {
        type Break = ();
        fn pre_visit_select(&mut self, select: &mut datafusion::sql::sqlparser::ast::Select) -> ControlFlow<()> {
            for item in &select.projection {
                if let SelectItem::ExprWithAlias { alias, .. } = item {
                    self.0.insert(alias.value.clone());
                }
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } =
                factor
            {
                self.0.extend(alias.columns.iter().map(|column| column.name.value.clone()));
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            for table in query.with.iter().flat_map(|with| &with.cte_tables) {
                self.0.extend(table.alias.columns.iter().map(|column| column.name.value.clone()));
            }
            ControlFlow::Continue(())
        }
    }
    let mut aliases = Aliases(HashSet::new());
    let _ = statement.visit(&mut aliases);
    aliases.0
}

/// Variables of the server.
fn variable(name: &str) -> Option<String> {
    match name.to_ascii_lowercase().as_str() {
        "server_version" => Some(format!("tidegate {}", env!("CARGO_PKG_VERSION"))),
        "cluster_name" => Some("tidegate".to_string()),
        "node_id" => Some("1".to_string()),
        "deployment_mode" => Some("singleton".to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_text;
    use super::*;
    use datafusion::sql::parser::Statement as EngineStatement;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let Ok(EngineStatement::Statement(mut statement)) = parse_text(text) else { panic!("{text}") };
        let mut known = HashSet::from(["time", "a", "B"].map(str::to_string));
        known.extend(aliases(statement.as_mut()));
        let folded = fold(statement.as_mut(), &known).map(|()| {
            compare_times(statement.as_mut(), &HashSet::from(["time", "B"].map(str::to_string)), Precision::Ms);
            statement.to_string()
        });
        assert_eq!(folded.unwrap_or_else(|error| error.to_string()), expected);
    }

    #[test]
    fn names_have_the_case_in_which_they_are_known() {
        check("SELECT TIME, A, B, t.A, b FROM t", "SELECT time, a, B, t.a, b FROM t");
        check("SELECT T.A, \"T\".A FROM t", "SELECT t.a, \"T\".a FROM t");
        check("SELECT x.a, X.a, Y.a FROM t AS X, t AS y", "SELECT X.a, X.a, y.a FROM t AS X, t AS y");
        check("SELECT TIME FROM (VALUES (1)) AS v (TIME)", "SELECT TIME FROM (VALUES (1)) AS v (TIME)");
        check("SELECT \"A\", C AS A FROM t ORDER BY A", "SELECT \"A\", C AS A FROM t ORDER BY A");
    }

    #[test]
    fn integers_beside_times_are_times() {
        check("SELECT a FROM t WHERE Time >= 1000", "SELECT a FROM t WHERE time >= TIMESTAMP '1970-01-01 00:00:01'");
        check(
            "SELECT a FROM t WHERE B = 1000 OR a = 1",
            "SELECT a FROM t WHERE B = TIMESTAMP '1970-01-01 00:00:01' OR a = 1",
        );
        check(
            "SELECT a FROM t WHERE -1 < t.time",
            "SELECT a FROM t WHERE TIMESTAMP '1969-12-31 23:59:59.999' < t.time",
        );
        check(
            "SELECT a FROM t WHERE time BETWEEN 0 AND 1 AND a = 1",
            "SELECT a FROM t WHERE time BETWEEN TIMESTAMP '1970-01-01 00:00:00' AND TIMESTAMP '1970-01-01 00:00:00.001' AND a = 1",
        );
    }

    #[test]
    fn variables_of_the_server_are_constants() {
        check("SELECT @@cluster_name AS c", "SELECT 'tidegate' AS c");
        check("SELECT @@cluster_name", "SELECT 'tidegate' AS \"@@cluster_name\"");
        check("SELECT @@nothing", "variable [\"@@nothing\"] not found");
    }
}
