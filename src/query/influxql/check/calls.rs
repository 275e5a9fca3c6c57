//! The functions, and the rules for their arguments.

use super::error::{CheckError, type_name};
use super::fields::Looked;
use crate::query::influxql::duration::Duration;
use crate::query::influxql::expr::{Call as Written, Expr, Literal};

/// A function that the language has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Of one row.
    Math {
        args: usize,
    },
    /// One argument; picks a point.
    Selector,
    /// One argument; one value of many.
    Aggregate,
    Percentile,
    Sample,
    Distinct,
    TopBottom(&'static str),
    /// `f(x[, unit])` over neighbours.
    PerUnit,
    /// `f(x)` over neighbours.
    Steps,
    MovingAverage,
    /// `f(x, period[, hold[, warmup]])`.
    Smoothed(Smoothing),
    Integral,
    HoltWinters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Smoothing {
    Exponential,
    /// Exponential, with its own rule for the hold period.
    Derivative,
    Kaufman,
    Chande,
}

impl Call {
    pub(super) fn of(name: &str) -> Option<Call> {
        Some(match name {
            "atan2" | "pow" | "log" => Call::Math { args: 2 },
            "abs" | "sin" | "cos" | "tan" | "asin" | "acos" | "atan" | "exp" | "ln" | "log2" | "log10" | "sqrt"
            | "floor" | "ceil" | "round" => Call::Math { args: 1 },
            "max" | "min" | "first" | "last" => Call::Selector,
            "count" | "sum" | "mean" | "median" | "mode" | "stddev" | "spread" => Call::Aggregate,
            "percentile" => Call::Percentile,
            "sample" => Call::Sample,
            "distinct" => Call::Distinct,
            "top" => Call::TopBottom("top"),
            "bottom" => Call::TopBottom("bottom"),
            "derivative" | "non_negative_derivative" | "elapsed" => Call::PerUnit,
            "difference" | "non_negative_difference" | "cumulative_sum" => Call::Steps,
            "moving_average" => Call::MovingAverage,
            "exponential_moving_average"
            | "double_exponential_moving_average"
            | "triple_exponential_moving_average"
            | "relative_strength_index" => Call::Smoothed(Smoothing::Exponential),
            "triple_exponential_derivative" => Call::Smoothed(Smoothing::Derivative),
            "kaufmans_efficiency_ratio" | "kaufmans_adaptive_moving_average" => Call::Smoothed(Smoothing::Kaufman),
            "chande_momentum_oscillator" => Call::Smoothed(Smoothing::Chande),
            "integral" => Call::Integral,
            "holt_winters" | "holt_winters_with_fit" => Call::HoltWinters,
            _ => return None,
        })
    }
}

/// Calls in a condition: functions of one row alone. As in the server, parentheses are not looked into.
pub(super) fn check_condition(condition: &Expr) -> Result<(), CheckError> {
    match condition {
        Expr::Logic(_, terms) => terms.iter().try_for_each(check_condition),
        Expr::Binary(binary) => {
            check_condition(&binary.left)?;
            check_condition(&binary.right)
        }
        Expr::Call(call) => {
            let Some(Call::Math { args }) = Call::of(&call.name) else {
                return Err(CheckError::CallInCondition { call: condition.to_string() });
            };
            // Here the server counts one argument for `log`.
            let expected = if call.name == "log" { 1 } else { args };
            exactly(call, expected)?;
            call.args.iter().try_for_each(check_condition)
        }
        _ => Ok(()),
    }
}

fn exactly(call: &Written, expected: usize) -> Result<(), CheckError> {
    let got = call.args.len();
    if got == expected { Ok(()) } else { Err(CheckError::ArgumentCount { name: call.name.clone(), expected, got }) }
}

fn between(call: &Written, least: usize, most: usize) -> Result<(), CheckError> {
    let got = call.args.len();
    if (least..=most).contains(&got) {
        Ok(())
    } else {
        Err(CheckError::ArgumentRange { name: call.name.clone(), least, most, got })
    }
}

fn integer(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(Literal::Integer(value)) => Some(*value),
        _ => None,
    }
}

impl Looked<'_> {
    pub(super) fn math(&mut self, call: &Written, args: usize) -> Result<(), CheckError> {
        exactly(call, args)?;
        call.args.iter().filter(|arg| !arg.is_literal()).try_for_each(|arg| self.expr(arg))
    }

    /// A call of anything but a function of one row.
    pub(super) fn call(&mut self, call: &Written, known: Option<Call>) -> Result<(), CheckError> {
        match known {
            Some(Call::Selector | Call::Aggregate) => self.function(call, known == Some(Call::Aggregate)),
            Some(Call::Percentile) => self.percentile(call),
            Some(Call::Sample) => self.sample(call),
            Some(Call::Distinct) => self.distinct(&call.args, false),
            Some(Call::TopBottom(name)) => self.top_bottom(call, name),
            Some(Call::PerUnit) => self.per_unit(call),
            Some(Call::Steps) => {
                if call.args.len() != 1 {
                    return exactly(call, 1);
                }
                self.over_windows(call, 1, Self::nested)
            }
            Some(Call::MovingAverage) => self.moving_average(call),
            Some(Call::Smoothed(smoothing)) => self.smoothed(call, smoothing),
            Some(Call::Integral) => self.integral(call),
            Some(Call::HoltWinters) => self.holt_winters(call),
            Some(Call::Math { .. }) | None => Err(CheckError::UndefinedFunction { name: call.name.clone() }),
        }
    }

    fn function(&mut self, call: &Written, aggregate: bool) -> Result<(), CheckError> {
        if aggregate {
            self.state.calls.only_selectors = false;
        }
        exactly(call, 1)?;
        let argument = &call.args[0];
        let counts_distinct = match argument {
            Expr::Distinct(_) => true,
            Expr::Call(inner) => inner.name == "distinct",
            _ => false,
        };
        if call.name == "count" && counts_distinct { self.nested(argument) } else { self.symbol(&call.name, argument) }
    }

    fn percentile(&mut self, call: &Written) -> Result<(), CheckError> {
        exactly(call, 2)?;
        if !matches!(call.args[1], Expr::Literal(Literal::Integer(_) | Literal::Number(_))) {
            return Err(CheckError::PercentileArgument);
        }
        self.symbol("percentile", &call.args[0])
    }

    fn sample(&mut self, call: &Written) -> Result<(), CheckError> {
        exactly(call, 2)?;
        match integer(&call.args[1]) {
            None => return Err(CheckError::SampleArgument),
            Some(size) if size <= 0 => return Err(CheckError::SampleSize { got: size }),
            Some(_) => {}
        }
        self.symbol("sample", &call.args[0])
    }

    fn top_bottom(&mut self, call: &Written, name: &'static str) -> Result<(), CheckError> {
        if let Some(name) = self.state.calls.top_bottom {
            return Err(CheckError::NotAlone { name });
        }
        let (first, tags, last) = match call.args.as_slice() {
            [first, tags @ .., last] => (first, tags, last),
            args => return Err(CheckError::TooFewArguments { name, expected: 2, got: args.len() }),
        };
        let Some(rows) = integer(last) else {
            return Err(CheckError::TopBottomCount { name, found: last.to_string() });
        };
        if rows <= 0 {
            return Err(CheckError::TopBottomTooFew { name, rows });
        }
        if self.state.limit > 0 && rows.unsigned_abs() > self.state.limit {
            return Err(CheckError::TopBottomBeyondLimit { name, rows, limit: self.state.limit });
        }
        if !matches!(first, Expr::Ref(_)) {
            return Err(CheckError::TopBottomField { name, found: first.to_string() });
        }
        for tag in tags {
            if !matches!(tag, Expr::Ref(_)) {
                return Err(CheckError::TopBottomTag { name, found: tag.to_string() });
            }
            self.state.calls.has_references |= !self.state.has_target;
        }
        self.state.calls.top_bottom = Some(name);
        Ok(())
    }

    fn per_unit(&mut self, call: &Written) -> Result<(), CheckError> {
        between(call, 1, 2)?;
        if let Some(unit) = call.args.get(1) {
            let no_duration = |kind| CheckError::UnitNoDuration { name: call.name.clone(), kind };
            positive_duration(unit, no_duration)?;
        }
        self.over_windows(call, 1, Self::nested)
    }

    fn moving_average(&mut self, call: &Written) -> Result<(), CheckError> {
        exactly(call, 2)?;
        let Some(window) = integer(&call.args[1]) else {
            return Err(CheckError::MovingAverageArgument { kind: type_name(&call.args[1]) });
        };
        if window <= 1 {
            return Err(CheckError::MovingAverageWindow { got: window });
        }
        self.over_windows(call, window, Self::nested)
    }

    fn smoothed(&mut self, call: &Written, smoothing: Smoothing) -> Result<(), CheckError> {
        let name = || call.name.clone();
        between(call, 2, if smoothing == Smoothing::Kaufman { 3 } else { 4 })?;
        let period = integer(&call.args[1]).ok_or_else(|| CheckError::PeriodNoInteger { name: name() })?;
        if period < 1 {
            return Err(CheckError::PeriodTooShort { name: name() });
        }
        if let Some(hold) = call.args.get(2) {
            let hold = integer(hold).ok_or_else(|| CheckError::HoldNoInteger { name: name() })?;
            let least = i64::from(smoothing == Smoothing::Derivative);
            if hold < least && hold != -1 {
                return Err(CheckError::HoldTooShort { name: name(), least });
            }
        }
        if let Some(warmup) = call.args.get(3) {
            let Expr::Literal(Literal::String(warmup)) = warmup else {
                return Err(CheckError::WarmupNoString { name: name() });
            };
            let known = match smoothing {
                Smoothing::Chande => "'none' 'exponential' 'simple'",
                _ => "'exponential' 'simple'",
            };
            if !known.split(' ').any(|known| known.trim_matches('\'') == warmup) {
                return Err(CheckError::WarmupUnknown { name: name(), known });
            }
        }
        self.over_windows(call, period, Self::expr)
    }

    fn integral(&mut self, call: &Written) -> Result<(), CheckError> {
        between(call, 1, 2)?;
        if let Some(unit) = call.args.get(1) {
            positive_duration(unit, |_| CheckError::IntegralUnit)?;
        }
        self.state.calls.only_selectors = false;
        self.symbol("integral", &call.args[0])
    }

    fn holt_winters(&mut self, call: &Written) -> Result<(), CheckError> {
        let name = || call.name.clone();
        exactly(call, 3)?;
        let count =
            integer(&call.args[1]).ok_or_else(|| CheckError::HoltWintersNoInteger { name: name(), nth: "second" })?;
        if count <= 0 {
            return Err(CheckError::HoltWintersCount { name: name(), got: count });
        }
        let season =
            integer(&call.args[2]).ok_or_else(|| CheckError::HoltWintersNoInteger { name: name(), nth: "third" })?;
        if season < 0 {
            return Err(CheckError::HoltWintersSeason { name: name(), got: season });
        }
        self.state.calls.only_selectors = false;
        if !matches!(call.args[0], Expr::Call(_)) {
            return Err(CheckError::HoltWintersNoAggregate { name: name() });
        }
        if !self.state.windows.any {
            return Err(CheckError::IntervalRequired { name: name() });
        }
        self.nested(&call.args[0])
    }

    /// A function over neighbours, of a call's windows or of a field's points. `inner` checks the call.
    fn over_windows(
        &mut self,
        call: &Written,
        extra_windows: i64,
        inner: fn(&mut Self, &Expr) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        let calls = &mut self.state.calls;
        calls.only_selectors = false;
        calls.extra_windows = calls.extra_windows.max(extra_windows);
        let windows = self.state.windows;
        match &call.args[0] {
            Expr::Call(_) if !windows.any => Err(CheckError::IntervalRequired { name: call.name.clone() }),
            argument @ Expr::Call(_) => inner(self, argument),
            _ if windows.any && windows.own => Err(CheckError::AggregateRequired { name: call.name.clone() }),
            argument => self.symbol(&call.name, argument),
        }
    }
}

fn positive_duration(unit: &Expr, no_duration: impl FnOnce(&'static str) -> CheckError) -> Result<(), CheckError> {
    match unit {
        Expr::Literal(Literal::Duration(duration)) if *duration <= Duration(0) => {
            Err(CheckError::DurationNotPositive { got: *duration })
        }
        Expr::Literal(Literal::Duration(_)) => Ok(()),
        other => Err(no_duration(type_name(other))),
    }
}
