//! What can be known of a table's rows before they are read: which columns have a value in every row, and whether the
//! first or the last row of each series is all that a select asks for.

use crate::query::edges::Edge;
use crate::query::functions::series::Choice;
use crate::query::influxql::clauses::Direction;
use crate::query::influxql::expr::{Expr, VarRef};

use super::calls::{Aggregate, Function, Planned};
use super::resolve::Query;
use super::rows::Known;
use super::select::wanted_rows;
use super::types::Type;
use super::typing::type_of_ref;

/// The edge of series that a select wants to read, if its rows are such that no other row matters.
#[derive(Debug)]
pub(super) struct WantedEdge<'a> {
    pub edge: Edge,
    needed: Needed<'a>,
}

/// Which fields must have a value in every row: else the row at the edge may be none that counts.
#[derive(Debug)]
enum Needed<'a> {
    All(Vec<&'a VarRef>),
    OneOf(Vec<&'a VarRef>),
}

impl<'a> WantedEdge<'a> {
    /// Of rows as they are one a series, or fewer, in order of time. `drivers`: rows with a value of one of these count.
    pub(super) fn of_rows(query: &Query, drivers: Vec<&'a VarRef>) -> Option<WantedEdge<'a>> {
        let edge = match query.direction {
            Direction::Ascending => Edge::First(query.range.start),
            Direction::Descending => Edge::Last(query.range.end),
        };
        let one = wanted_rows(query) == (0, Some(1));
        (one && is_about_tags(query)).then_some(WantedEdge { edge, needed: Needed::OneOf(drivers) })
    }

    /// `first(f)` or `last(f)` of whole series, and of several fields if there are several.
    pub(super) fn of_calls(query: &Query, calls: &'a [Planned]) -> Option<WantedEdge<'a>> {
        let chosen = |call: &Planned| match call.function {
            Function::Aggregate(Aggregate::Selector(choice)) => Some(choice),
            _ => None,
        };
        let choice = calls.first().and_then(chosen)?;
        let edge = match choice {
            Choice::First => Edge::First(query.range.start),
            Choice::Last => Edge::Last(query.range.end),
            Choice::Min | Choice::Max => return None,
        };
        let alike = calls.iter().all(|call| chosen(call) == Some(choice));
        let needed = Needed::All(calls.iter().map(|call| &call.field).collect());
        (alike && query.windows.is_none() && is_about_tags(query)).then_some(WantedEdge { edge, needed })
    }

    /// Whether the rows of a table are such.
    pub(super) fn is_enough(&self, fields: &[Known]) -> bool {
        match &self.needed {
            Needed::All(needed) => needed.iter().all(|reference| is_complete(reference, fields)),
            Needed::OneOf(needed) => needed.iter().any(|reference| is_complete(reference, fields)),
        }
    }
}

/// Whether a reference is known to have a value in every row.
pub(super) fn is_complete(reference: &VarRef, fields: &[Known]) -> bool {
    let field = fields.iter().find(|known| *known.name == *reference.name.0);
    field.is_some_and(|known| known.is_complete && known.kind == type_of_ref(reference))
}

/// Whether a condition chooses series whole.
fn is_about_tags(query: &Query) -> bool {
    let is_other = |part: &Expr| matches!(part, Expr::Ref(reference) if type_of_ref(reference) != Type::Tag);
    !query.condition.as_ref().is_some_and(|condition| condition.any(&mut |part| is_other(part)))
}
