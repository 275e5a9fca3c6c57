//! Selects that make groups of rows: keys, windows, aggregates, filled windows.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr as Plan, JoinType, LogicalPlan, LogicalPlanBuilder, lit};

use crate::model::DeclaredType as T;
use crate::query::series::{Fill as FillNode, FillRule, SeriesOperation, SeriesOrder, Windows, series_plan};
use crate::query::tdsql::ast::{Expr, Fill, FillMode, Select, SelectItem, Window};
use crate::query::tdsql::error::TdError;

use super::Planner;
use super::calls::{Nature, calls_of, has, has_bare_column};
use super::expr::{Names, RowNames, TimeRange};
use super::groups::{Groups, Key, WindowColumns, sole_selector};
use super::order::{Finish, Out};
use super::relation::{Relation, Role, Selected};
use super::types::{Typed, arrow_type, cast_to, column, time_type};
use super::window::Made;

/// Most windows that one series may be filled to.
const FILLED_WINDOWS_MAX: i64 = 10_000_000;

/// A select whose rows are read and filtered.
pub(super) struct Ready<'a> {
    pub select: &'a Select,
    pub items: &'a [SelectItem],
    pub relation: &'a Relation,
    pub range: TimeRange,
    pub finish: Finish<'a>,
}

impl Planner<'_> {
    /// PARTITION BY and GROUP BY: columns of the rows, by name, by position in the list, or by its alias.
    pub(super) fn keys(&self, ready: &Ready<'_>) -> Result<(Vec<Key>, Vec<Plan>), TdError> {
        let mut keys: Vec<Key> = Vec::new();
        let mut exprs = Vec::new();
        for written in ready.select.partition.iter().chain(&ready.select.group) {
            let written = self.listed_item(&written.expr, ready)?;
            if has(&written, Nature::Aggregate) {
                return Err(TdError::Aggregation);
            }
            let mut names = RowNames { relation: ready.relation, range: ready.range };
            let typed = self.expr(&written, &mut names)?;
            let (row_id, role) = match &written {
                Expr::Column { table, name } => match ready.relation.find(table.as_deref(), name) {
                    Ok(found) => (Some(found.id.clone()), found.role),
                    Err(_) => (None, Role::Field),
                },
                _ => (None, Role::Field),
            };
            if role == Role::Tag && typed.kind == Some(T::Json) {
                return Err(TdError::JsonGroup);
            }
            if keys.iter().any(|key| key.written == written) {
                continue;
            }
            let id = self.fresh("k");
            // Views into the dictionaries that tags come in are what the engine groups by fastest.
            let is_text = matches!(role, Role::Tag | Role::SeriesName) && typed.kind.is_some_and(T::is_text);
            let expr = if is_text { cast_to(typed.expr, DataType::Utf8View) } else { typed.expr };
            exprs.push(expr.alias(&id));
            keys.push(Key { written, row_id, id, kind: typed.kind, role });
        }
        Ok((keys, exprs))
    }

    /// The expression that a position or an alias of the list stands for; others stay what they are.
    fn listed_item(&self, written: &Expr, ready: &Ready<'_>) -> Result<Expr, TdError> {
        if let Expr::Number(digits) = written {
            let at: usize = digits.parse().map_err(|_| TdError::NotGrouped)?;
            let item = at.checked_sub(1).and_then(|at| ready.items.get(at));
            return item.map(|item| item.expr.clone()).ok_or(TdError::NotGrouped);
        }
        if let Expr::Column { table: None, name } = written
            && ready.relation.find(None, name).is_err()
            && let Some(item) = ready.items.iter().find(|item| item.alias.as_deref() == Some(name))
        {
            return Ok(item.expr.clone());
        }
        Ok(written.clone())
    }

    pub(super) fn aggregated(&self, ready: Ready<'_>) -> Result<Selected, TdError> {
        let Ready { select, items, relation, range, .. } = &ready;
        let (range, mut finish) = (*range, ready.finish.clone());
        let (keys, key_exprs) = self.keys(&ready)?;
        let mut groups = Groups::new(relation, range, keys);
        let made = match &select.window {
            None => Made {
                plan: relation.plan.clone(),
                keys: Vec::new(),
                calls: Vec::new(),
                columns: None,
                order: None,
                windows: None,
                at_least: None,
            },
            Some(window) => self.window(window, relation, &key_exprs, range)?,
        };
        let Made { plan: rows, keys: window_keys, calls: window_calls, columns, order, windows, at_least } = made;
        groups.window.clone_from(&columns);
        if let Some(Window::State { expr, .. }) = &select.window {
            groups.state = Some(expr.clone());
        }
        let mut calls = Vec::new();
        let all = items.iter().map(|item| &item.expr).chain(&select.having).chain(finish.order.iter().map(|o| &o.expr));
        all.for_each(|expr| calls_of(expr, Nature::Aggregate, &mut calls));
        let in_items = items.iter().any(|item| has_bare_column(&item.expr));
        let no_keys_fit = in_items.then(|| sole_selector(&calls)).flatten();
        groups.sole = no_keys_fit;

        // Everything over groups is planned first: it says which aggregates there are.
        let mut outs = Vec::with_capacity(items.len());
        for item in items.iter() {
            let typed = self.expr(&item.expr, &mut groups)?;
            let role = if matches!(&item.expr, Expr::Column { name, .. } if name == "_wstart") {
                Role::Time
            } else {
                Role::Field
            };
            outs.push(Out { name: item.name().to_string(), typed, role });
        }
        let having = select.having.as_ref().map(|having| self.condition(having, &mut groups)).transpose()?;
        let sorts = self.sort_keys(&finish, items, &mut groups)?;

        let group_by: Vec<Plan> = key_exprs.into_iter().chain(window_keys).collect();
        let mut aggregates = groups.calls.clone();
        aggregates.extend(window_calls);
        let mut plan = LogicalPlanBuilder::from(rows);
        if group_by.is_empty() && aggregates.is_empty() {
            // Constants over all rows are one row.
            aggregates.push(self.aggregate_function("count", vec![lit(1i64)])?.alias(self.fresh("a")));
        }
        plan = plan.aggregate(group_by, aggregates)?;
        for list in &groups.lists {
            plan = plan.unnest_column(Column::from_name(list))?;
        }
        if let (Some(least), Some(columns)) = (at_least, &columns) {
            let length =
                cast_to(columns.end.clone(), DataType::Int64) - cast_to(columns.start.clone(), DataType::Int64);
            plan = plan.filter(length.gt_eq(lit(least)))?;
        }
        let mut plan = plan.build()?;
        if let Some(having) = having {
            plan = LogicalPlanBuilder::from(plan).filter(having)?.build()?;
        }
        let key_columns: Vec<Plan> = groups.keys.iter().map(|key| column(&key.id)).collect();
        if let (Some(fill), Some(start)) = (&select.fill, &order)
            && fill.mode != FillMode::None
        {
            let windows = windows.ok_or_else(|| TdError::NotSupported("FILL of windows of months".to_string()))?;
            plan = self.filled(plan, fill, &groups, &windows, start, range, items, &mut outs)?;
        }
        if !select.partition.is_empty() || !select.group.is_empty() {
            finish.keys = key_columns.clone();
        }
        finish.default_order = match &order {
            Some(start) => key_columns.into_iter().chain([column(start)]).collect(),
            None => Vec::new(),
        };
        let time = order.as_deref().map(column);
        self.finish(plan, outs, sorts, &finish, time, relation.precision, order.is_some())
    }

    /// Rows for windows without rows. What is made of aggregates is filled, the rest is calculated as everywhere.
    #[expect(clippy::too_many_arguments, reason = "all of them are what is known of the select at this point")]
    fn filled(
        &self,
        plan: LogicalPlan,
        fill: &Fill,
        groups: &Groups<'_>,
        windows: &Windows,
        start: &str,
        range: TimeRange,
        items: &[SelectItem],
        outs: &mut [Out],
    ) -> Result<LogicalPlan, TdError> {
        let (Some(from), Some(to)) = (range.from, range.to) else { return Err(TdError::RangeRequired) };
        let length = to.checked_sub(from).filter(|length| *length >= 0).ok_or(TdError::RangeRequired)?;
        if length / windows.interval() > FILLED_WINDOWS_MAX {
            return Err(TdError::RangeRequired);
        }
        let mut exprs: Vec<Plan> = groups.keys.iter().map(|key| column(&key.id)).collect();
        exprs.push(column(start));
        let mut rules = Vec::new();
        let mut values = fill.values.iter();
        let mut last = None;
        for (item, out) in items.iter().zip(outs.iter_mut()) {
            if !has(&item.expr, Nature::Aggregate) {
                continue;
            }
            let id = self.fresh("f");
            let numeric = out.typed.kind.is_some_and(T::is_number);
            let wide = match out.typed.kind {
                Some(kind) if kind.is_signed() => DataType::Int64,
                Some(kind) if kind.is_unsigned() => DataType::UInt64,
                Some(kind) if kind.is_number() => DataType::Float64,
                other => arrow_type(other),
            };
            exprs.push(cast_to(out.typed.expr.clone(), wide.clone()).alias(&id));
            let rule = match fill.mode {
                FillMode::Previous | FillMode::Near => FillRule::Previous,
                FillMode::Next => FillRule::Next,
                FillMode::Linear if numeric => FillRule::Linear,
                FillMode::Value | FillMode::ValueForced => {
                    last = values.next().or(last);
                    let Some(value) = last else { return Err(TdError::ColumnCount) };
                    self.constant(value, &out.typed, &wide)?
                }
                _ => FillRule::Null,
            };
            rules.push((Column::from_name(&id), rule));
            out.typed.expr = cast_to(column(&id), arrow_type(out.typed.kind));
        }
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        let forced = matches!(fill.mode, FillMode::NullForced | FillMode::ValueForced) && groups.keys.is_empty();
        let keys = groups.keys.iter().map(|key| Column::from_name(&key.id)).collect();
        let time = Column::from_name(start);
        let order = SeriesOrder { keys, time, keys_descending: false, time_descending: false, then: Vec::new() };
        let operation =
            FillNode { windows: windows.clone(), from: Some(from), to: Some(to), rules: rules.clone(), rows_max: None };
        if forced {
            return self.forced(plan, windows, start, from, to, &rules);
        }
        Ok(series_plan(plan, order, SeriesOperation::Fill(operation))?)
    }

    /// All windows of the range, with their rows where there are any.
    fn forced(
        &self,
        plan: LogicalPlan,
        windows: &Windows,
        start: &str,
        from: i64,
        to: i64,
        rules: &[(Column, FillRule)],
    ) -> Result<LogicalPlan, TdError> {
        const LISTED_MAX: usize = 1_000_000;
        let mut clock = windows.clock();
        let mut walk = clock.clone().walk(clock.start(from));
        let mut starts = Vec::new();
        while let Some(at) = walk.start().filter(|at| *at <= to) {
            if starts.len() >= LISTED_MAX {
                return Err(TdError::RangeRequired);
            }
            starts.push(ScalarValue::TimestampNanosecond(Some(at), None));
            walk.forward();
        }
        let list = ScalarValue::List(ScalarValue::new_list(&starts, &time_type(), true));
        let id = self.fresh("w");
        let all = LogicalPlanBuilder::empty(true).project([lit(list).alias(&id)])?;
        let all = all.unnest_column(Column::from_name(&id))?;
        let joined = all.join_on(plan, JoinType::Left, [column(&id).eq(column(start))])?;
        let mut exprs = vec![column(&id).alias(start)];
        for (filled, rule) in rules {
            let value = Plan::Column(filled.clone());
            exprs.push(match rule {
                FillRule::Value(constant) => {
                    let made = column(start).is_null();
                    let case = datafusion::logical_expr::when(made, lit(constant.clone())).otherwise(value)?;
                    case.alias(&filled.name)
                }
                _ => value,
            });
        }
        // The start's name stands for the window from here on.
        Ok(joined.project(exprs)?.build()?)
    }

    /// The constant that fills a column, cast to its type.
    fn constant(&self, value: &Expr, out: &Typed, wide: &DataType) -> Result<FillRule, TdError> {
        let wrong = || TdError::ValueType("fill".to_string());
        let scalar = match value {
            Expr::Null => return Ok(FillRule::Null),
            Expr::Number(digits) => ScalarValue::Float64(Some(digits.parse().map_err(|_| wrong())?)),
            Expr::Bool(value) => ScalarValue::Boolean(Some(*value)),
            Expr::Text(text) => ScalarValue::Utf8(Some(text.clone())),
            _ => return Err(wrong()),
        };
        if out.kind.is_none() {
            return Ok(FillRule::Null);
        }
        Ok(FillRule::Value(scalar.cast_to(wide).map_err(|_| wrong())?))
    }

    /// Columns of a group that are there whether or not anything is asked of it.
    pub(super) fn window_bounds(&self, time: Plan) -> Result<(WindowColumns, Vec<Plan>), TdError> {
        let (start, end) = (self.fresh("w"), self.fresh("w"));
        let calls = vec![
            self.aggregate_function("min", vec![time.clone()])?.alias(&start),
            self.aggregate_function("max", vec![time])?.alias(&end),
        ];
        Ok((WindowColumns { start: column(&start), end: column(&end), duration: None }, calls))
    }
}

/// The bounds of a histogram's bins: given one by one, or as a JSON object of `start`, `width` or `factor`, `count`,
/// `infinity`.
pub(super) fn bin_bounds(kind: &str, text: &str) -> Option<Vec<f64>> {
    const BINS_MAX: u64 = 1000;
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    if kind.eq_ignore_ascii_case("user_input") {
        let bounds: Vec<f64> = value.as_array()?.iter().map(serde_json::Value::as_f64).collect::<Option<_>>()?;
        let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        return (ascending && bounds.len() >= 2 && bounds.len() as u64 <= BINS_MAX).then_some(bounds);
    }
    let number = |name: &str| value.get(name).and_then(serde_json::Value::as_f64);
    let count =
        value.get("count").and_then(serde_json::Value::as_u64).filter(|count| (1..=BINS_MAX).contains(count))?;
    let start = number("start")?;
    let mut bounds = vec![start];
    for _ in 0..count {
        let last = *bounds.last()?;
        bounds.push(match kind.to_ascii_lowercase().as_str() {
            "linear_bin" => last + number("width").filter(|width| *width > 0.0)?,
            "log_bin" => last * number("factor").filter(|factor| *factor > 1.0)?,
            _ => return None,
        });
    }
    if value.get("infinity").and_then(serde_json::Value::as_bool).unwrap_or(false) {
        bounds.insert(0, f64::NEG_INFINITY);
        bounds.push(f64::INFINITY);
    }
    Some(bounds)
}

/// The time of a relation; what has none cannot be windowed.
pub(super) fn time_of(relation: &Relation) -> Result<Plan, TdError> {
    relation.time.as_deref().map(column).ok_or(TdError::SessionColumn)
}

/// Names are asked of rows here too.
pub(super) fn row_names(relation: &Relation, range: TimeRange) -> impl Names + '_ {
    RowNames { relation, range }
}
