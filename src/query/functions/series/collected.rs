//! Aggregates that need all points of a group before they can tell.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Float64Type, Int64Type, IntervalUnit, TimeUnit, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;

use super::points::{Grouped, Points, list_item, point_fields, single_lists, wide, wide_point};
use super::quality::Quality;
use super::repair::{Repair, Repairing};
use super::single::{Lasting, Single};
use super::{choices, quality, repair, statistics};

/// What becomes of a group's points. Parameters come before the value and are constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `median_value(value)` → Float64: the middle one, or the mean of the middle two.
    Median,
    /// `stddev_value(value)` → Float64: of a sample; NaN for a single value.
    Stddev,
    /// `mode_value(descending, value, time)` → the value's type: see `statistics::mode`.
    Mode,
    /// `increase_value(value, time)` → the type of integers, else Float64: the steps upwards of a counter, see
    /// `statistics::increase`.
    Increase,
    /// `changes_value(value, time)` → Int64: how often the value is another one than before, in order of time.
    Changes,
    /// `gauge_value(value, time)` → what is kept of a gauge, see `statistics::gauge`.
    Gauge,
    /// `state_duration(state, from, until, value, time)` → Interval: how long the value was `state` between two times (null: without
    /// a bound), see `statistics::state_duration`.
    StateDuration,
    /// `completeness_value(value, time)`, `consistency_value`, `timeliness_value`, `validity_value` → Float64.
    Quality(Quality),
    /// `repaired_times(options, value, time, like)`, `filled_values`, `repaired_values` → list of points by time, their values of the type of
    /// `like`, which is not looked at otherwise.
    Repair(Repair),
    /// `percentile_point(p, descending, value, time, …)` → a point: nearest rank, equal values in order of time, backwards when
    /// descending; none when the rank lies outside the points.
    Percentile,
    /// `distinct_points(descending, value, time)` → list of points, one a value, by (time, value); the time is where the
    /// value is met first when going through the points that way.
    Distinct,
    /// `top_points(n, value, time, …)` → list of points by time: the `n` greatest, of equal ones the earliest.
    Top,
    /// `bottom_points(n, value, time, …)`: the `n` least, of equal ones the earliest.
    Bottom,
    /// `sample_points(n, seed, value, time, …)` → list of points by time: `n` drawn at random, all when there are fewer.
    Sample,
}

impl Kind {
    pub(super) const ALL: [Kind; 19] = [
        Kind::Median,
        Kind::Stddev,
        Kind::Mode,
        Kind::Increase,
        Kind::Changes,
        Kind::Gauge,
        Kind::StateDuration,
        Kind::Quality(Quality::Completeness),
        Kind::Quality(Quality::Consistency),
        Kind::Quality(Quality::Timeliness),
        Kind::Quality(Quality::Validity),
        Kind::Repair(Repair::Times),
        Kind::Repair(Repair::Fill),
        Kind::Repair(Repair::Values),
        Kind::Percentile,
        Kind::Distinct,
        Kind::Top,
        Kind::Bottom,
        Kind::Sample,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::Median => "median_value",
            Kind::Stddev => "stddev_value",
            Kind::Mode => "mode_value",
            Kind::Increase => "increase_value",
            Kind::Changes => "changes_value",
            Kind::Gauge => "gauge_value",
            Kind::StateDuration => "state_duration",
            Kind::Quality(Quality::Completeness) => "completeness_value",
            Kind::Quality(Quality::Consistency) => "consistency_value",
            Kind::Quality(Quality::Timeliness) => "timeliness_value",
            Kind::Quality(Quality::Validity) => "validity_value",
            Kind::Repair(Repair::Times) => "repaired_times",
            Kind::Repair(Repair::Fill) => "filled_values",
            Kind::Repair(Repair::Values) => "repaired_values",
            Kind::Percentile => "percentile_point",
            Kind::Distinct => "distinct_points",
            Kind::Top => "top_points",
            Kind::Bottom => "bottom_points",
            Kind::Sample => "sample_points",
        }
    }

    /// The types of the parameters.
    fn parameters(self) -> &'static [DataType] {
        const TIME: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);
        match self {
            Kind::Median | Kind::Stddev | Kind::Increase | Kind::Changes | Kind::Gauge | Kind::Quality(_) => &[],
            Kind::StateDuration => &[DataType::Utf8, TIME, TIME],
            Kind::Repair(_) => &[DataType::Utf8],
            Kind::Percentile => &[DataType::Float64, DataType::Boolean],
            Kind::Mode | Kind::Distinct => &[DataType::Boolean],
            Kind::Top | Kind::Bottom => &[DataType::UInt64],
            Kind::Sample => &[DataType::UInt64, DataType::UInt64],
        }
    }

    /// The types of parameters and points it works on.
    fn coerced(self, types: &[DataType]) -> Result<Vec<DataType>> {
        let parameters = self.parameters();
        let Some((given, point)) = types.split_at_checked(parameters.len()) else {
            return plan_err!("{} takes {} parameters before the value", self.name(), parameters.len());
        };
        debug_assert_eq!(given.len(), parameters.len());
        let point = match (self, point) {
            (Kind::Median | Kind::Stddev, [value]) => match wide(value) {
                Some(value) => vec![value],
                None => return plan_err!("{} does not take values of type {value}", self.name()),
            },
            (Kind::Median | Kind::Stddev, _) => return plan_err!("{} takes one value", self.name()),
            (Kind::Mode | Kind::Increase | Kind::Distinct, [_, _, _, ..]) => {
                return plan_err!("{} takes value and time", self.name());
            }
            (_, point) => wide_point(self.name(), point)?,
        };
        if matches!(self, Kind::Increase | Kind::Changes | Kind::Gauge | Kind::StateDuration | Kind::Quality(_))
            && point.len() != 2
        {
            return plan_err!("{} takes value and time", self.name());
        }
        if matches!(self, Kind::Repair(_)) && !matches!(&point[..], [_, _, like] if like.is_numeric()) {
            return plan_err!("{} takes value, time and a number like the result", self.name());
        }
        if matches!(
            self,
            Kind::Median | Kind::Stddev | Kind::Increase | Kind::Gauge | Kind::Quality(_) | Kind::Repair(_)
        ) && !(point[0].is_numeric() || point[0].is_null())
        {
            return plan_err!("{} takes numbers, not {}", self.name(), point[0]);
        }
        Ok(parameters.iter().cloned().chain(point).collect())
    }

    fn result_type(self, types: &[DataType]) -> Result<DataType> {
        let types = self.coerced(types)?;
        let point = &types[self.parameters().len()..];
        Ok(match self {
            Kind::Median | Kind::Stddev | Kind::Quality(_) => DataType::Float64,
            Kind::Mode => point[0].clone(),
            Kind::Changes => DataType::Int64,
            Kind::Gauge => DataType::Struct(statistics::gauge_fields()),
            Kind::Increase if matches!(point[0], DataType::Int64 | DataType::UInt64) => point[0].clone(),
            Kind::Increase => DataType::Float64,
            Kind::StateDuration => DataType::Interval(IntervalUnit::MonthDayNano),
            Kind::Repair(_) => repair::repaired_type(&point[2]),
            Kind::Percentile => DataType::Struct(point_fields(point)),
            Kind::Distinct | Kind::Top | Kind::Bottom | Kind::Sample => DataType::List(list_item(&point_fields(point))),
        })
    }

    /// The fields of the points collected. A sample's carry the number that was drawn for them.
    fn collected(self, point: &[DataType]) -> Fields {
        let point = if matches!(self, Kind::Repair(_)) { &point[..point.len().min(2)] } else { point };
        let mut fields = point_fields(point).to_vec();
        if self == Kind::Sample {
            fields.push(Arc::new(Field::new("drawn", DataType::UInt64, false)));
        }
        fields.into()
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CollectedFunction {
    kind: Kind,
    signature: Signature,
}

impl CollectedFunction {
    pub(super) fn new(kind: Kind) -> Self {
        CollectedFunction { kind, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn collector(&self, args: &AccumulatorArgs) -> Result<Collector> {
        let count = self.kind.parameters().len();
        let mut parameters = Vec::with_capacity(count);
        for parameter in &args.exprs[..count] {
            let Some(literal) = parameter.downcast_ref::<Literal>() else {
                return plan_err!("the parameters of {} are constants", self.name());
            };
            parameters.push(literal.value().clone());
        }
        let types: Vec<DataType> = args.expr_fields[count..].iter().map(|field| field.data_type().clone()).collect();
        Collector::new(self.kind, &parameters, &types)
    }
}

impl AggregateUDFImpl for CollectedFunction {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.kind.coerced(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.kind.result_type(types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single(self.collector(&args)?)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let point = args.input_fields.iter().skip(self.kind.parameters().len());
        let types: Vec<DataType> = point.map(|field| field.data_type().clone()).collect();
        let list = DataType::List(list_item(&self.kind.collected(&types)));
        Ok(vec![Arc::new(Field::new(format!("{}[points]", args.name), list, true))])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.collector(&args)?))
    }
}

/// A kind with its parameters.
#[derive(Debug)]
enum Reduction {
    Median,
    Stddev,
    Mode { descending: bool },
    Increase,
    Changes,
    Gauge,
    StateDuration { state: String, from_ns: i64, until_ns: i64 },
    Quality(Quality),
    Repair(Repairing, DataType),
    Percentile { p: f64, descending: bool },
    Distinct { descending: bool },
    Best { n: usize, greatest: bool },
    Sample { n: usize, draws: choices::Draws },
}

/// Rows collected before those that cannot win are dropped, at least.
const ROWS_BEFORE_DROP: usize = 64 * 1024;

#[derive(Debug)]
struct Collector {
    kind: Kind,
    reduction: Reduction,
    fields: Fields,
    points: Points,
    /// Rows from which on those that cannot win are dropped.
    drop_at: usize,
}

impl Collector {
    fn new(kind: Kind, parameters: &[ScalarValue], point: &[DataType]) -> Result<Self> {
        let count = |value: &ScalarValue| match value {
            ScalarValue::UInt64(Some(n)) => Ok(usize::try_from(*n).unwrap_or(usize::MAX)),
            other => plan_err!("{} takes a number of points, not {other}", kind.name()),
        };
        let reduction = match (kind, parameters) {
            (Kind::Median, []) => Reduction::Median,
            (Kind::Stddev, []) => Reduction::Stddev,
            (Kind::Mode, [ScalarValue::Boolean(Some(descending))]) => Reduction::Mode { descending: *descending },
            (Kind::Increase, []) => Reduction::Increase,
            (Kind::Changes, []) => Reduction::Changes,
            (Kind::Gauge, []) => Reduction::Gauge,
            (Kind::Repair(repair), [ScalarValue::Utf8(Some(options))]) => match point {
                [_, _, like] => Reduction::Repair(Repairing::new(repair, options)?, like.clone()),
                _ => return plan_err!("{} takes value, time and a number like the result", kind.name()),
            },
            (Kind::Quality(quality), []) => Reduction::Quality(quality),
            (
                Kind::StateDuration,
                [
                    ScalarValue::Utf8(Some(state)),
                    ScalarValue::TimestampNanosecond(from_ns, _),
                    ScalarValue::TimestampNanosecond(until_ns, _),
                ],
            ) => Reduction::StateDuration {
                state: state.clone(),
                from_ns: from_ns.unwrap_or(i64::MIN),
                until_ns: until_ns.unwrap_or(i64::MAX),
            },
            (Kind::Percentile, [ScalarValue::Float64(Some(p)), ScalarValue::Boolean(Some(descending))]) => {
                Reduction::Percentile { p: *p, descending: *descending }
            }
            (Kind::Distinct, [ScalarValue::Boolean(Some(descending))]) => {
                Reduction::Distinct { descending: *descending }
            }
            (Kind::Top, [n]) => Reduction::Best { n: count(n)?, greatest: true },
            (Kind::Bottom, [n]) => Reduction::Best { n: count(n)?, greatest: false },
            (Kind::Sample, [n, ScalarValue::UInt64(Some(seed))]) => {
                Reduction::Sample { n: count(n)?, draws: choices::Draws::new(*seed) }
            }
            _ => return plan_err!("the parameters of {} are not {parameters:?}", kind.name()),
        };
        let fields = kind.collected(point);
        Ok(Collector { kind, reduction, points: Points::new(fields.clone()), fields, drop_at: ROWS_BEFORE_DROP })
    }

    /// The arguments that are points.
    fn columns(&self, values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = values.iter().skip(self.kind.parameters().len()).cloned().collect();
        if matches!(self.reduction, Reduction::Repair(..)) {
            columns.truncate(2);
        }
        if let Reduction::Sample { draws, .. } = &self.reduction {
            columns.push(draws.draw(&columns)?);
        }
        Ok(columns)
    }

    /// The points that make the result; `None` when the result is not made of points.
    fn chosen(&self, grouped: &Grouped) -> Result<Option<Grouped>> {
        Ok(Some(match &self.reduction {
            Reduction::Median
            | Reduction::Stddev
            | Reduction::Mode { .. }
            | Reduction::Increase
            | Reduction::Changes
            | Reduction::Gauge
            | Reduction::StateDuration { .. }
            | Reduction::Quality(_)
            | Reduction::Repair(..) => return Ok(None),
            Reduction::Percentile { p, descending } => choices::percentile(grouped, *p, *descending)?,
            Reduction::Distinct { descending } => choices::distinct(grouped, *descending)?,
            Reduction::Best { n, greatest } => choices::best(grouped, *n, *greatest)?,
            Reduction::Sample { n, .. } => choices::sample(grouped, *n)?,
        }))
    }

    /// Drops rows that cannot be in the result whatever comes.
    fn drop_losers(&mut self) -> Result<()> {
        let may_lose =
            matches!(self.reduction, Reduction::Distinct { .. } | Reduction::Best { .. } | Reduction::Sample { .. });
        if self.points.rows() < self.drop_at || !may_lose {
            return Ok(());
        }
        let grouped = self.points.take(EmitTo::All)?;
        if let Some(kept) = self.chosen(&grouped)? {
            self.points.put_back(&grouped, kept)?;
        }
        self.drop_at = ROWS_BEFORE_DROP.max(self.points.rows() * 2);
        Ok(())
    }

    /// The result of each group.
    fn reduce(&self, grouped: &Grouped) -> Result<ArrayRef> {
        if let Some(chosen) = self.chosen(grouped)? {
            return match self.kind {
                Kind::Percentile => chosen.singles(),
                Kind::Sample => choices::without_draws(chosen)?.lists(),
                _ => chosen.lists(),
            };
        }
        match &self.reduction {
            Reduction::Mode { descending } => return statistics::mode(grouped, *descending),
            Reduction::Increase => return statistics::increase(grouped),
            Reduction::Changes => return statistics::changes(grouped),
            Reduction::Gauge => return statistics::gauge(grouped),
            Reduction::Quality(measured) => return quality::measure(grouped, *measured),
            Reduction::Repair(how, like) => return repair::repaired(grouped, *how, like),
            Reduction::StateDuration { state, from_ns, until_ns } => {
                return statistics::state_duration(grouped, state, *from_ns, *until_ns);
            }
            _ => {}
        }
        let median = matches!(self.reduction, Reduction::Median);
        let values = grouped.column(0);
        Ok(Arc::new(match values.data_type() {
            DataType::Int64 if median => {
                let values = values.as_primitive::<Int64Type>().values();
                numbers(grouped, |run| statistics::median_of_integers(run, values))
            }
            DataType::UInt64 if median => {
                let values = values.as_primitive::<UInt64Type>().values();
                numbers(grouped, |run| statistics::median_of_unsigned(run, values))
            }
            DataType::Null => Float64Array::new_null(grouped.groups()),
            _ => {
                let values = cast(values, &DataType::Float64)?;
                let values = values.as_primitive::<Float64Type>().values();
                let reduce = if median { statistics::median } else { statistics::stddev };
                numbers(grouped, |run| reduce(run, values))
            }
        }))
    }

    fn check_rows(&self) -> Result<()> {
        if self.points.rows() > u32::MAX as usize {
            return exec_err!("{} has more than {} points", self.kind.name(), u32::MAX);
        }
        Ok(())
    }
}

impl Lasting for Collector {
    fn result(&mut self) -> Result<ArrayRef> {
        let grouped = self.points.take(EmitTo::All)?;
        let result = self.reduce(&grouped)?;
        self.points.keep(grouped)?;
        Ok(result)
    }
}

impl GroupsAccumulator for Collector {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.points.grow(total);
        let columns = self.columns(values)?;
        self.points.add(&columns, groups, filter)?;
        self.check_rows()?;
        self.drop_losers()
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let grouped = self.points.take(emit)?;
        self.reduce(&grouped)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.points.take(emit)?.lists()?])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.points.grow(total);
        self.points.add_lists(values, groups)?;
        self.check_rows()?;
        self.drop_losers()
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        Ok(vec![single_lists(&self.fields, &self.columns(values)?, filter)?])
    }

    fn size(&self) -> usize {
        self.points.bytes()
    }
}

/// A number for each group that has points.
fn numbers(grouped: &Grouped, reduce: impl Fn(&mut [u32]) -> f64) -> Float64Array {
    grouped.runs().map(|run| (!run.is_empty()).then(|| reduce(&mut run.to_vec()))).collect()
}
