//! What columns are called.

use std::collections::HashMap;
use std::sync::Arc;

use crate::query::influxql::expr::Expr;
use crate::query::influxql::select::Field;

use super::resolve::top_tags;

/// The name of a field by itself: its alias, or what its expression is made of.
pub(super) fn field_name(field: &Field) -> String {
    field.alias.as_ref().map_or_else(|| expr_name(&field.expr), |alias| alias.0.clone())
}

fn expr_name(expr: &Expr) -> String {
    match expr {
        Expr::Call(call) => call.name.clone(),
        Expr::Ref(reference) => reference.name.0.clone(),
        Expr::Paren(inner) => expr_name(inner),
        Expr::Binary(_) => {
            let mut names = Vec::new();
            expr.walk(&mut |part| match part {
                Expr::Call(call) => {
                    names.push(call.name.as_str());
                    false
                }
                Expr::Ref(reference) => {
                    names.push(reference.name.0.as_str());
                    false
                }
                _ => true,
            });
            names.join("_")
        }
        _ => String::new(),
    }
}

/// Names of the columns behind time. Aliases stay as they are; of other names that are taken, the later ones are
/// numbered. The tags of `top` are columns of their own.
pub(super) fn column_names(fields: &[Field]) -> Vec<Arc<str>> {
    let mut columns: Vec<(Option<&str>, String)> = Vec::new();
    for field in fields {
        columns.push((field.alias.as_ref().map(|alias| alias.0.as_str()), field_name(field)));
        if let Expr::Call(call) = &field.expr {
            columns.extend(top_tags(call).map(|tag| (None, tag.name.0.clone())));
        }
    }
    let mut taken: HashMap<String, usize> =
        columns.iter().filter_map(|(alias, _)| alias.map(|alias| (alias.to_string(), 1))).collect();
    let mut names = Vec::with_capacity(columns.len());
    for (alias, name) in columns {
        if let Some(alias) = alias {
            names.push(Arc::from(alias));
            continue;
        }
        let free = match taken.get(&name).copied() {
            None => name,
            Some(mut count) => {
                while taken.contains_key(&format!("{name}_{count}")) {
                    count += 1;
                }
                taken.insert(name.clone(), count + 1);
                format!("{name}_{count}")
            }
        };
        *taken.entry(free.clone()).or_insert(0) += 1;
        names.push(Arc::from(free.as_str()));
    }
    names
}
