//! Functions of one row's values.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{Case, Expr as Plan, ExprFunctionExt, Operator, lit};

use crate::model::{DeclaredType as T, Precision};
use crate::query::tdsql::SERVER_VERSION;
use crate::query::tdsql::ast::{BinaryOp, Expr};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::functions::{texts, times};

use super::Planner;
use super::expr::{Names, balanced};
use super::types::{Typed, arrow_type, cast_to, null_of, text_literal, time_literal, units_of, varchar_of};

type Planned = Result<Typed, TdError>;

impl Planner<'_> {
    /// A function of the engine by its name.
    pub(super) fn engine(&self, name: &str, args: Vec<Plan>) -> Result<Plan, TdError> {
        match self.session.state().scalar_functions().get(name) {
            Some(function) => Ok(function.call(args)),
            None => Err(TdError::Function(name.to_string())),
        }
    }

    pub(super) fn aggregate_function(&self, name: &str, args: Vec<Plan>) -> Result<Plan, TdError> {
        match self.session.state().aggregate_functions().get(name) {
            Some(function) => Ok(function.call(args)),
            None => Err(TdError::Function(name.to_string())),
        }
    }

    /// A window function of the engine over rows of equal `keys` in the order of `order`.
    pub(super) fn window_function(
        &self,
        name: &str,
        args: Vec<Plan>,
        keys: &[Plan],
        order: Vec<datafusion::logical_expr::SortExpr>,
        ignore_nulls: bool,
    ) -> Result<Plan, TdError> {
        use datafusion::logical_expr::{WindowFunctionDefinition, expr::WindowFunction};
        let Some(function) = self.session.state().window_functions().get(name).cloned() else {
            return Err(TdError::Function(name.to_string()));
        };
        let call = Plan::from(WindowFunction::new(WindowFunctionDefinition::WindowUDF(function), args));
        let treatment = ignore_nulls.then_some(datafusion::logical_expr::expr::NullTreatment::IgnoreNulls);
        let call = call.partition_by(keys.to_vec()).null_treatment(treatment);
        Ok(if order.is_empty() { call.build()? } else { call.order_by(order).build()? })
    }

    pub(super) fn scalar(&self, name: &str, args: &[Expr], names: &mut dyn Names) -> Planned {
        let precision = names.precision();
        if let Some(known) = self.of_session(name, args, precision)? {
            return Ok(known);
        }
        // Units are durations, which mean something else elsewhere.
        match name {
            "timediff" => return self.timediff(args, names),
            "timetruncate" => return self.timetruncate(args, names),
            _ => {}
        }
        if let Some(written_out) = written_out(name, args)? {
            self.repeat(args.iter().map(Expr::size).sum())?;
            return self.expr(&written_out, names);
        }
        let typed = args.iter().map(|arg| self.expr(arg, names)).collect::<Result<Vec<_>, _>>()?;
        let planned = match name {
            "abs" | "ceil" | "floor" | "sign" => self.same_type(name, &typed)?,
            "round" | "truncate" | "trunc" => self.rounded(name, &typed)?,
            "sqrt" | "exp" | "ln" | "sin" | "cos" | "tan" | "asin" | "acos" | "atan" | "degrees" | "radians" => {
                self.count(name, &typed, 1..=1)?;
                let number = self.number(typed[0].clone())?;
                Some(Typed::of(self.engine(name, vec![number])?, T::Double))
            }
            "pow" | "power" => {
                self.count(name, &typed, 2..=2)?;
                let args = vec![self.number(typed[0].clone())?, self.number(typed[1].clone())?];
                Some(Typed::of(self.engine("power", args)?, T::Double))
            }
            "log" => {
                self.count(name, &typed, 1..=2)?;
                let number = self.engine("ln", vec![self.number(typed[0].clone())?])?;
                Some(Typed::of(
                    match typed.get(1) {
                        None => number,
                        Some(base) => number / self.engine("ln", vec![self.number(base.clone())?])?,
                    },
                    T::Double,
                ))
            }
            "mod" => {
                self.count(name, &typed, 2..=2)?;
                let (number, by) = (self.number(typed[0].clone())?, self.number(typed[1].clone())?);
                self.repeat_plan(&by, 1)?;
                let zero = by.clone().eq(lit(0.0));
                let rest = number % by;
                let null = null_of(Some(T::Double));
                Some(Typed::of(
                    Plan::Case(Case::new(None, vec![(Box::new(zero), Box::new(null))], Some(Box::new(rest)))),
                    T::Double,
                ))
            }
            "greatest" | "least" => self.extreme(name, typed.clone(), precision)?,
            _ => None,
        };
        let planned = match planned {
            Some(planned) => planned,
            None => match self.of_texts(name, &typed)? {
                Some(planned) => planned,
                None => self.of_times(name, &typed, precision)?.ok_or_else(|| TdError::Function(name.to_string()))?,
            },
        };
        Ok(planned)
    }

    fn count(&self, name: &str, args: &[Typed], wanted: std::ops::RangeInclusive<usize>) -> Result<(), TdError> {
        if wanted.contains(&args.len()) { Ok(()) } else { Err(TdError::ArgumentCount(name.to_string())) }
    }

    /// What hangs on the session alone.
    fn of_session(&self, name: &str, args: &[Expr], precision: Precision) -> Result<Option<Typed>, TdError> {
        let text = |text: &str| Typed::of(text_literal(text), varchar_of(text));
        let moment = |nanos: i64| Typed::of(time_literal(precision.floor(nanos)), T::Timestamp);
        let found = match name {
            "now" => moment(self.question.now_ns),
            "today" => {
                let at =
                    super::super::values::Moment { now_ns: self.question.now_ns, zone: self.question.zone, precision };
                moment(at.today_ns())
            }
            "timezone" => {
                let local =
                    chrono::DateTime::from_timestamp_nanos(self.question.now_ns).with_timezone(&self.question.zone);
                text(&format!("{} ({}, {})", self.question.zone.name(), local.format("%Z"), local.format("%z")))
            }
            "server_version" | "client_version" => text(SERVER_VERSION),
            "server_status" => Typed::of(lit(1i32), T::Int),
            "database" => match &self.question.database {
                Some(database) => text(database),
                None => Typed::of(null_of(Some(T::Varchar(64))), T::Varchar(64)),
            },
            "current_user" | "user" => text(&format!("{}@127.0.0.1", self.question.user)),
            "pi" => Typed::of(lit(std::f64::consts::PI), T::Double),
            "rand" => {
                let argument = args.first();
                if args.len() > 1 {
                    return Err(TdError::ArgumentCount(name.to_string()));
                }
                let _ = argument;
                Typed::of(self.engine("random", Vec::new())?, T::Double)
            }
            _ => return Ok(None),
        };
        if args.is_empty() || name == "rand" {
            return Ok(Some(found));
        }
        Err(TdError::ArgumentCount(name.to_string()))
    }

    /// Functions of one number that keep its type.
    fn same_type(&self, name: &str, args: &[Typed]) -> Result<Option<Typed>, TdError> {
        self.count(name, args, 1..=1)?;
        let typed = &args[0];
        let Some(kind) = typed.kind else { return Ok(Some(Typed::null())) };
        if !kind.is_number() {
            return Err(TdError::ArgumentType(name.to_string()));
        }
        if kind.is_unsigned() && name != "sign" || kind.is_integer() && matches!(name, "ceil" | "floor") {
            return Ok(Some(typed.clone()));
        }
        let function = if name == "sign" { "signum" } else { name };
        let value = match (name, kind) {
            ("abs", kind) if kind.is_integer() => cast_to(typed.expr.clone(), DataType::Int64),
            _ => super::types::double(typed.expr.clone()),
        };
        let value = self.engine(function, vec![value])?;
        Ok(Some(Typed::of(cast_to(value, arrow_type(Some(kind))), kind)))
    }

    fn rounded(&self, name: &str, args: &[Typed]) -> Result<Option<Typed>, TdError> {
        self.count(name, args, 1..=2)?;
        let typed = &args[0];
        let Some(kind) = typed.kind else { return Ok(Some(Typed::null())) };
        if !kind.is_number() {
            return Err(TdError::ArgumentType(name.to_string()));
        }
        let function = if name == "round" { "round" } else { "trunc" };
        let mut engine_args = vec![super::types::double(typed.expr.clone())];
        if let Some(digits) = args.get(1) {
            let digits = cast_to(self.number(digits.clone())?, DataType::Int64);
            engine_args.push(if function == "round" { cast_to(digits, DataType::Int32) } else { digits });
        }
        let value = self.engine(function, engine_args)?;
        Ok(Some(Typed::of(cast_to(value, arrow_type(Some(kind))), kind)))
    }

    fn extreme(&self, name: &str, args: Vec<Typed>, precision: Precision) -> Result<Option<Typed>, TdError> {
        if args.len() < 2 {
            return Err(TdError::ArgumentCount(name.to_string()));
        }
        let kind = args.iter().fold(None, |kind, arg| super::types::common(kind, arg.kind));
        let Some(kind) = kind else { return Ok(Some(Typed::null())) };
        let any_null = self.any_null(&args)?;
        let values = args.into_iter().map(|arg| Ok(self.cast(arg, kind, precision)?.expr));
        let value = self.engine(name, values.collect::<Result<_, TdError>>()?)?;
        Ok(Some(Typed::of(null_if(any_null, value, kind), kind)))
    }

    /// That one of the arguments is null; `None`: none can be.
    fn any_null(&self, args: &[Typed]) -> Result<Option<Plan>, TdError> {
        let may_be = |arg: &&Typed| !matches!(&arg.expr, Plan::Literal(value, _) if !value.is_null());
        let mut nulls = Vec::with_capacity(args.len());
        for arg in args.iter().filter(may_be) {
            self.repeat_plan(&arg.expr, 1)?;
            nulls.push(arg.expr.clone().is_null());
        }
        Ok(balanced(nulls, Operator::Or))
    }

    /// Functions of texts. A null argument makes null.
    fn of_texts(&self, name: &str, args: &[Typed]) -> Result<Option<Typed>, TdError> {
        let text = |at: usize| -> Result<Plan, TdError> {
            match args.get(at) {
                None => Err(TdError::ArgumentCount(name.to_string())),
                Some(arg) if arg.kind.is_none() => Ok(null_of(Some(T::Varchar(1)))),
                Some(arg) if arg.is_text() || arg.is(|kind| matches!(kind, T::Varbinary(_))) => Ok(arg.plain()),
                Some(_) => Err(TdError::ArgumentType(name.to_string())),
            }
        };
        let whole = |at: usize| -> Result<Plan, TdError> {
            match args.get(at) {
                None => Err(TdError::ArgumentCount(name.to_string())),
                Some(arg) if arg.kind.is_none() || arg.is_number() => Ok(cast_to(arg.expr.clone(), DataType::Int64)),
                Some(_) => Err(TdError::ArgumentType(name.to_string())),
            }
        };
        let kind = args.first().and_then(|arg| arg.kind).filter(|kind| kind.is_text()).unwrap_or(T::Varchar(64));
        let planned = match name {
            "length" | "char_length" => {
                self.count(name, args, 1..=1)?;
                let binary = args[0].is(|kind| matches!(kind, T::Varbinary(_)));
                let function = if name == "length" { "octet_length" } else { "character_length" };
                let length = cast_to(self.engine(function, vec![text(0)?])?, DataType::Int64);
                Typed::of(if binary { length / lit(2i64) } else { length }, T::BigInt)
            }
            "lower" | "upper" => {
                self.count(name, args, 1..=1)?;
                Typed::of(self.engine(name, vec![text(0)?])?, kind)
            }
            "ltrim" | "rtrim" => {
                self.count(name, args, 1..=1)?;
                Typed::of(self.engine(name, vec![text(0)?])?, kind)
            }
            "trim" => {
                let function = match args.get(1).and_then(Typed::literal_text) {
                    Some("leading") => "ltrim",
                    Some("trailing") => "rtrim",
                    _ => "btrim",
                };
                let mut engine_args = vec![text(0)?];
                if args.len() == 3 {
                    engine_args.push(text(2)?);
                }
                Typed::of(self.engine(function, engine_args)?, kind)
            }
            "concat" => {
                if args.len() < 2 {
                    return Err(TdError::ArgumentCount(name.to_string()));
                }
                let parts = (0..args.len()).map(text).collect::<Result<Vec<_>, _>>()?;
                let all = joined_kind(args);
                Typed::of(null_if(self.any_null(args)?, self.engine("concat", parts)?, all), all)
            }
            "concat_ws" => {
                if args.len() < 3 {
                    return Err(TdError::ArgumentCount(name.to_string()));
                }
                let parts = (0..args.len()).map(text).collect::<Result<Vec<_>, _>>()?;
                let all = joined_kind(args);
                Typed::of(null_if(self.any_null(args)?, self.engine("concat_ws", parts)?, all), all)
            }
            "substr" | "substring" => {
                self.count(name, args, 2..=3)?;
                let length = if args.len() == 3 { Some(whole(2)?) } else { None };
                Typed::of(texts::part(text(0)?, whole(1)?, length), kind)
            }
            "replace" => {
                self.count(name, args, 3..=3)?;
                Typed::of(self.engine(name, vec![text(0)?, text(1)?, text(2)?])?, kind)
            }
            "repeat" => {
                self.count(name, args, 2..=2)?;
                Typed::of(self.engine(name, vec![text(0)?, whole(1)?])?, kind)
            }
            "position" => {
                self.count(name, args, 2..=2)?;
                let at = self.engine("strpos", vec![text(1)?, text(0)?])?;
                Typed::of(cast_to(at, DataType::Int64), T::BigInt)
            }
            "substring_index" => {
                self.count(name, args, 3..=3)?;
                Typed::of(self.engine("substr_index", vec![text(0)?, text(1)?, whole(2)?])?, kind)
            }
            "ascii" => {
                self.count(name, args, 1..=1)?;
                Typed::of(cast_to(self.engine(name, vec![text(0)?])?, DataType::Int64), T::BigInt)
            }
            "char" => {
                if args.is_empty() {
                    return Err(TdError::ArgumentCount(name.to_string()));
                }
                let parts = (0..args.len()).map(|at| self.engine("chr", vec![whole(at)?]));
                let parts = parts.collect::<Result<Vec<_>, TdError>>()?;
                Typed::of(self.engine("concat", parts)?, T::Varchar(args.len() as u32 * 4))
            }
            _ => return Ok(None),
        };
        Ok(Some(planned))
    }

    fn of_times(&self, name: &str, args: &[Typed], precision: Precision) -> Result<Option<Typed>, TdError> {
        let zone = self.question.zone;
        let time = |at: usize| -> Result<Plan, TdError> {
            let arg = args.get(at).ok_or_else(|| TdError::ArgumentCount(name.to_string()))?;
            self.time(arg.clone(), precision)
        };
        let pattern = |at: usize| -> Result<String, TdError> {
            let literal = args.get(at).and_then(Typed::literal_text);
            literal.map(str::to_string).ok_or_else(|| TdError::ArgumentType(name.to_string()))
        };
        let planned = match name {
            "to_iso8601" => {
                self.count(name, args, 1..=2)?;
                let shown = match args.get(1) {
                    None => None,
                    Some(arg) => Some(arg.literal_text().ok_or_else(|| TdError::ArgumentType(name.to_string()))?),
                };
                if shown.is_some_and(|zone| super::super::time::offset_seconds(zone).is_none()) {
                    return Err(TdError::ArgumentValue(name.to_string()));
                }
                Typed::of(times::iso8601(time(0)?, precision, zone, shown), T::Varchar(64))
            }
            "to_unixtimestamp" => {
                self.count(name, args, 1..=2)?;
                if !args[0].is_text() {
                    return Err(TdError::ArgumentType(name.to_string()));
                }
                let parsed = times::floored(times::parsed(args[0].plain(), zone), precision);
                match args.get(1).and_then(Typed::literal_integer) {
                    Some(1) => Typed::of(parsed, T::Timestamp),
                    _ => Typed::of(units_of(parsed, precision), T::BigInt),
                }
            }
            "to_char" => {
                self.count(name, args, 2..=2)?;
                Typed::of(times::formatted(time(0)?, zone, &pattern(1)?), T::Varchar(4096))
            }
            "to_timestamp" => {
                self.count(name, args, 2..=2)?;
                Typed::of(times::read_by(args[0].plain(), zone, &pattern(1)?), T::Timestamp)
            }
            "week" | "weekofyear" | "weekday" | "dayofweek" => {
                self.count(name, args, 1..=2)?;
                let mode = args.get(1).and_then(Typed::literal_integer).unwrap_or(0);
                Typed::of(times::of_calendar(name, time(0)?, zone, mode), T::BigInt)
            }
            _ => return Ok(None),
        };
        Ok(Some(planned))
    }

    /// A unit given as a duration; `None`: that of the database.
    pub(super) fn unit(&self, name: &str, arg: Option<&Expr>, precision: Precision) -> Result<i64, TdError> {
        let wrong = || TdError::ArgumentValue(name.to_string());
        let nanos = match arg {
            None | Some(Expr::Null) => precision.nanos(),
            Some(Expr::Duration(unit)) => unit.nanos().ok_or_else(wrong)?,
            Some(_) => return Err(wrong()),
        };
        if nanos < precision.nanos() || nanos <= 0 { Err(wrong()) } else { Ok(nanos) }
    }

    fn timediff(&self, args: &[Expr], names: &mut dyn Names) -> Planned {
        let [a, b, rest @ ..] = args else { return Err(TdError::ArgumentCount("timediff".to_string())) };
        if rest.len() > 1 {
            return Err(TdError::ArgumentCount("timediff".to_string()));
        }
        let precision = names.precision();
        let unit = self.unit("timediff", rest.first(), precision)?;
        let a = self.expr(a, names)?;
        let a = cast_to(self.time(a, precision)?, DataType::Int64);
        let b = self.expr(b, names)?;
        let b = cast_to(self.time(b, precision)?, DataType::Int64);
        Ok(Typed::of((a - b) / lit(unit), T::BigInt))
    }

    fn timetruncate(&self, args: &[Expr], names: &mut dyn Names) -> Planned {
        let [time, unit, rest @ ..] = args else { return Err(TdError::ArgumentCount("timetruncate".to_string())) };
        if rest.len() > 1 {
            return Err(TdError::ArgumentCount("timetruncate".to_string()));
        }
        let precision = names.precision();
        let Expr::Duration(unit) = unit else { return Err(TdError::ArgumentType("timetruncate".to_string())) };
        let nanos = self.unit("timetruncate", Some(&Expr::Duration(*unit)), precision)?;
        let local = !matches!(rest.first(), Some(Expr::Number(digits)) if digits == "0");
        let time = self.expr(time, names)?;
        let time = self.time(time, precision)?;
        let days = matches!(unit.unit, super::super::time::Unit::Day | super::super::time::Unit::Week);
        let zone = if local && days { Some(self.question.zone) } else { None };
        let windows = crate::query::series::Windows::new(nanos, 0, zone);
        let windows = windows.ok_or_else(|| TdError::ArgumentValue("timetruncate".to_string()))?;
        Ok(Typed::of(crate::query::functions::series::window_start(time, &windows), T::Timestamp))
    }
}

/// Functions that are short for a CASE or a test.
fn written_out(name: &str, args: &[Expr]) -> Result<Option<Expr>, TdError> {
    let is_null = |expr: &Expr, negated| Expr::IsNull { expr: Box::new(expr.clone()), negated };
    let case = |branches: Vec<(Expr, Expr)>, otherwise: Option<&Expr>| Expr::Case {
        operand: None,
        branches,
        otherwise: otherwise.map(|expr| Box::new(expr.clone())),
    };
    Ok(Some(match (name, args) {
        ("if", [when, then, otherwise]) => case(vec![(when.clone(), then.clone())], Some(otherwise)),
        ("ifnull" | "nvl", [value, otherwise]) => case(vec![(is_null(value, true), value.clone())], Some(otherwise)),
        ("nvl2", [value, then, otherwise]) => case(vec![(is_null(value, true), then.clone())], Some(otherwise)),
        ("nullif", [value, other]) => {
            let equal =
                Expr::Binary { op: BinaryOp::Equal, left: Box::new(value.clone()), right: Box::new(other.clone()) };
            case(vec![(equal, Expr::Null)], Some(value))
        }
        ("coalesce", [only]) => only.clone(),
        ("coalesce", [first @ .., last]) => {
            case(first.iter().map(|value| (is_null(value, true), value.clone())).collect(), Some(last))
        }
        ("isnull", [value]) => is_null(value, false),
        ("isnotnull", [value]) => is_null(value, true),
        ("if" | "ifnull" | "nvl" | "nvl2" | "nullif" | "coalesce" | "isnull" | "isnotnull", _) => {
            return Err(TdError::ArgumentCount(name.to_string()));
        }
        _ => return Ok(None),
    }))
}

/// `value`, or null where the condition holds.
fn null_if(condition: Option<Plan>, value: Plan, kind: T) -> Plan {
    match condition {
        None => value,
        Some(condition) => {
            let null = Box::new(null_of(Some(kind)));
            Plan::Case(Case::new(None, vec![(Box::new(condition), null)], Some(Box::new(value))))
        }
    }
}

/// The type of texts put together.
fn joined_kind(args: &[Typed]) -> T {
    let length = args.iter().filter_map(|arg| arg.kind.and_then(T::length)).fold(0u32, u32::saturating_add);
    if args.iter().any(|arg| arg.is(|kind| matches!(kind, T::NChar(_)))) {
        T::NChar(length)
    } else {
        T::Varchar(length)
    }
}
