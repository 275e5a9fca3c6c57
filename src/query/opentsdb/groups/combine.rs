//! Series of a group made one: at each instant that any of them has, the aggregator over all that are alive.
//!
//! A series is alive from its first point to its last. Where it has no point it stands for itself by a value in between, as
//! the aggregator says; with rates by the last one it had. This is OpenTSDB's `AggregationIterator`, series in the order given.

use crate::query::opentsdb::aggregator::{Function, Missing};

use super::column::{Column, Number};

const NONE: usize = usize::MAX;

/// A group on its way to one series.
#[derive(Debug)]
pub(super) struct Combination {
    columns: Vec<Column>,
    function: Function,
    missing: Missing,
    is_rate: bool,
    /// The point each series was at last; [`NONE`] before its first and after its last.
    current: Vec<usize>,
    /// The point each series comes to next.
    next: Vec<usize>,
    only_floats: bool,
    integers: Vec<i64>,
    floats: Vec<f64>,
}

impl Combination {
    /// `columns` in series order, none of them empty.
    pub(super) fn new(columns: Vec<Column>, function: Function, missing: Missing, is_rate: bool) -> Self {
        let count = columns.len();
        let mut combination = Combination {
            only_floats: is_rate || columns.iter().all(Column::has_only_floats),
            columns,
            function,
            missing,
            is_rate,
            current: vec![NONE; count],
            next: vec![0; count],
            integers: Vec::new(),
            floats: Vec::new(),
        };
        if is_rate {
            // The first rate stands for the series until the second, and is not shown. A series without a second is never alive.
            for i in 0..count {
                combination.next[i] = combination.columns[i].len().min(1);
                combination.current[i] = if combination.columns[i].len() > 1 { 0 } else { NONE };
            }
        }
        combination
    }

    /// Memory held.
    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    /// The next instant and what the group comes to there; `None` at the end. Instants before `from` are passed over without
    /// being computed.
    pub(super) fn step(&mut self, from: i64) -> Option<(i64, Option<Number>)> {
        let mut x = i64::MAX;
        for (column, next) in self.columns.iter().zip(&self.next) {
            if let Some(&time) = column.times.get(*next) {
                x = x.min(time);
            }
        }
        let mut is_alive = false;
        let mut is_integer = !self.only_floats;
        for (i, column) in self.columns.iter().enumerate() {
            match column.times.get(self.next[i]) {
                Some(&time) if time == x => {
                    self.current[i] = self.next[i];
                    self.next[i] += 1;
                    is_alive = true;
                }
                // It has ended before.
                None => self.current[i] = NONE,
                Some(_) => {}
            }
            if is_integer {
                let is_float = |at: usize| at < column.len() && column.is_float(at);
                is_integer = !is_float(self.current[i]) && !is_float(self.next[i]);
            }
        }
        if !is_alive {
            return None;
        }
        if x < from {
            return Some((x, None));
        }
        let value = if is_integer { self.integers_at(x) } else { self.floats_at(x) };
        Some((x, Some(value)))
    }

    fn integers_at(&mut self, x: i64) -> Number {
        self.integers.clear();
        for (i, column) in self.columns.iter().enumerate().filter(|(i, _)| self.current[*i] != NONE) {
            let (at, next) = (self.current[i], self.next[i]);
            let (x0, y0) = (column.times[at], column.integer(at));
            if x0 == x || next >= column.len() {
                self.integers.push(y0);
                continue;
            }
            let (x1, y1) = (column.times[next], column.integer(next));
            self.integers.push(match self.missing {
                Missing::Linear => y0.wrapping_add((x - x0).wrapping_mul(y1.wrapping_sub(y0)).wrapping_div(x1 - x0)),
                Missing::Zero => 0,
                Missing::Largest => i64::MAX,
                Missing::Smallest => i64::MIN,
                Missing::Previous => y0,
            });
        }
        Number::Integer(self.function.of_integers(&self.integers))
    }

    fn floats_at(&mut self, x: i64) -> Number {
        self.floats.clear();
        for (i, column) in self.columns.iter().enumerate().filter(|(i, _)| self.current[*i] != NONE) {
            let (at, next) = (self.current[i], self.next[i]);
            let (x0, y0) = (column.times[at], column.float(at));
            if x0 == x || self.is_rate || next >= column.len() {
                self.floats.push(y0);
                continue;
            }
            let (x1, y1) = (column.times[next], column.float(next));
            self.floats.push(match self.missing {
                Missing::Linear => y0 + (x - x0) as f64 * (y1 - y0) / (x1 - x0) as f64,
                Missing::Zero => 0.0,
                Missing::Largest => f64::MAX,
                Missing::Smallest => -f64::MAX,
                Missing::Previous => y0,
            });
        }
        Number::Float(self.function.of_floats(&self.floats))
    }
}

#[cfg(test)]
mod tests;
