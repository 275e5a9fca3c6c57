//! Aggregates of a group's points in the order of time, or of its values: numbers that the engine's own do not give.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, StringArray, TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType,
};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility};

/// What becomes of the points. Numbers are held by their bits, so that functions can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::query::tdsql) enum Kind {
    /// Area below the line through the points, over their time.
    TimeWeightedAverage,
    /// Change per second between the last two points; of a fall, the last value counts as the change.
    InstantRate,
    /// The line through the values, their places being `start`, `start + step`, …; as a text.
    LeastSquares { start: u64, step: u64 },
    /// Between sorted neighbours, in a straight line.
    Percentile { percent: u64 },
    /// Several of them, as the text of a JSON array.
    Percentiles { percents: Vec<u64> },
    /// How many values lie in each bin `(lower, upper]`: a text a bin.
    Histogram { bounds: Vec<u64>, normalized: bool },
}

impl Kind {
    pub(in crate::query::tdsql) fn call(self, value: Expr, time: Expr) -> Expr {
        let types = vec![DataType::Float64, DataType::Timestamp(TimeUnit::Nanosecond, None)];
        let signature = Signature::exact(types, Volatility::Immutable);
        AggregateUDF::from(Ordered { name: format!("td_{self:?}"), kind: self, signature }).call(vec![value, time])
    }

    fn result_type(&self) -> DataType {
        match self {
            Kind::TimeWeightedAverage | Kind::InstantRate | Kind::Percentile { .. } => DataType::Float64,
            Kind::LeastSquares { .. } | Kind::Percentiles { .. } => DataType::Utf8,
            Kind::Histogram { .. } => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        }
    }

    fn evaluate(&self, mut points: Vec<(i64, f64)>) -> Result<ScalarValue> {
        points.sort_by_key(|(time, _)| *time);
        let number = |number: Option<f64>| Ok(ScalarValue::Float64(number));
        match self {
            Kind::TimeWeightedAverage => number(time_weighted_average(&points)),
            Kind::InstantRate => number(instant_rate(&points)),
            Kind::LeastSquares { start, step } => {
                let line = least_squares(&points, f64::from_bits(*start), f64::from_bits(*step));
                Ok(ScalarValue::Utf8(line.map(|(slope, base)| format!("{{slop:{slope:.6}, intercept:{base:.6}}}"))))
            }
            Kind::Percentile { percent } => number(percentile(&sorted(&points), f64::from_bits(*percent))),
            Kind::Percentiles { percents } => {
                let values = sorted(&points);
                if values.is_empty() {
                    return Ok(ScalarValue::Utf8(None));
                }
                let all = percents.iter().filter_map(|percent| percentile(&values, f64::from_bits(*percent)));
                let texts: Vec<String> = all.map(|value| format!("{value:.6}")).collect();
                Ok(ScalarValue::Utf8(Some(format!("[{}]", texts.join(", ")))))
            }
            Kind::Histogram { bounds, normalized } => {
                let bounds: Vec<f64> = bounds.iter().map(|bits| f64::from_bits(*bits)).collect();
                let texts: StringArray = histogram(&points, &bounds, *normalized).into_iter().map(Some).collect();
                Ok(ScalarValue::List(Arc::new(SingleRowListArrayBuilder::new(Arc::new(texts)).build_list_array())))
            }
        }
    }
}

fn sorted(points: &[(i64, f64)]) -> Vec<f64> {
    let mut values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn time_weighted_average(points: &[(i64, f64)]) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if first.0 == last.0 {
        return Some(first.1);
    }
    let area = |pair: &[(i64, f64)]| (pair[0].1 + pair[1].1) / 2.0 * pair[1].0.saturating_sub(pair[0].0) as f64;
    Some(points.windows(2).map(area).sum::<f64>() / last.0.saturating_sub(first.0) as f64)
}

fn instant_rate(points: &[(i64, f64)]) -> Option<f64> {
    let [.., before, last] = points else { return points.first().map(|_| 0.0) };
    let seconds = last.0.saturating_sub(before.0) as f64 / 1e9;
    if seconds == 0.0 {
        return Some(0.0);
    }
    Some(if last.1 < before.1 { last.1 / seconds } else { (last.1 - before.1) / seconds })
}

fn least_squares(points: &[(i64, f64)], start: f64, step: f64) -> Option<(f64, f64)> {
    let count = points.len() as f64;
    let (mut x_sum, mut y_sum, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0);
    for (at, (_, y)) in points.iter().enumerate() {
        let x = start + at as f64 * step;
        (x_sum, y_sum, xx, xy) = (x_sum + x, y_sum + y, xx + x * x, xy + x * y);
    }
    let below = count * xx - x_sum * x_sum;
    if points.is_empty() || below == 0.0 {
        return None;
    }
    let slope = (count * xy - x_sum * y_sum) / below;
    Some((slope, (y_sum - slope * x_sum) / count))
}

fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let place = (sorted.len().checked_sub(1)? as f64) * percent.clamp(0.0, 100.0) / 100.0;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64))
}

fn histogram(points: &[(i64, f64)], bounds: &[f64], normalized: bool) -> Vec<String> {
    let bins: Vec<(f64, f64)> = bounds.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let count = |(low, high): &(f64, f64)| points.iter().filter(|(_, value)| value > low && value <= high).count();
    let counts: Vec<usize> = bins.iter().map(count).collect();
    let total: usize = counts.iter().sum();
    let text = |((low, high), count): (&(f64, f64), &usize)| {
        let count =
            if normalized && total > 0 { format!("{:.6}", *count as f64 / total as f64) } else { count.to_string() };
        format!("{{\"lower_bin\":{low}, \"upper_bin\":{high}, \"count\":{count}}}")
    };
    bins.iter().zip(&counts).map(text).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ordered {
    name: String,
    kind: Kind,
    signature: Signature,
}

impl AggregateUDFImpl for Ordered {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.kind.result_type())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Points { kind: self.kind.clone(), points: Vec::new() }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |name: &str, item: DataType| {
            let item = Arc::new(Field::new_list_field(item, true));
            Arc::new(Field::new(format!("{}[{name}]", args.name), DataType::List(item), true))
        };
        Ok(vec![list("times", DataType::Int64), list("values", DataType::Float64)])
    }
}

/// Points of one group as they come.
#[derive(Debug)]
struct Points {
    kind: Kind,
    points: Vec<(i64, f64)>,
}

impl Accumulator for Points {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [values, times] = columns else { return internal_err!("a value and its time") };
        let values: &Float64Array = values.as_primitive::<Float64Type>();
        let times: &TimestampNanosecondArray = times.as_primitive::<TimestampNanosecondType>();
        for (value, time) in values.iter().zip(times) {
            self.points.extend(value.zip(time).map(|(value, time)| (time, value)));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.kind.evaluate(self.points.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.points.capacity() * size_of::<(i64, f64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let times: Int64Array = self.points.iter().map(|(time, _)| Some(*time)).collect();
        let values: Float64Array = self.points.iter().map(|(_, value)| Some(*value)).collect();
        let list =
            |array: ArrayRef| ScalarValue::List(Arc::new(SingleRowListArrayBuilder::new(array).build_list_array()));
        Ok(vec![list(Arc::new(times)), list(Arc::new(values))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [times, values] = states else { return internal_err!("times and values") };
        let (times, values): (&ListArray, &ListArray) = (times.as_list(), values.as_list());
        for row in 0..times.len() {
            if times.is_null(row) || values.is_null(row) {
                continue;
            }
            let (times, values) = (times.value(row), values.value(row));
            let times = times.as_primitive::<Int64Type>().values().iter().copied();
            self.points.extend(times.zip(values.as_primitive::<Float64Type>().values().iter().copied()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<(i64, f64)> {
        values.iter().enumerate().map(|(at, value)| (at as i64 * 1_000_000_000, *value)).collect()
    }

    #[test]
    fn a_line_has_its_mean_and_its_slope() {
        let line = points(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(time_weighted_average(&line), Some(2.5));
        assert_eq!(least_squares(&line, 1.0, 1.0), Some((1.0, 0.0)));
        assert_eq!(least_squares(&line[..1], 1.0, 1.0), None);
        assert_eq!(instant_rate(&line), Some(1.0));
        assert_eq!(instant_rate(&points(&[5.0, 3.0])), Some(3.0));
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        let values = [1.0, 2.0, 3.0, 4.0];
        for (percent, expected) in [(0.0, 1.0), (50.0, 2.5), (100.0, 4.0), (25.0, 1.75)] {
            assert_eq!(percentile(&values, percent), Some(expected));
        }
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn bins_are_open_below_and_closed_above() {
        let text = histogram(&points(&[1.0, 2.0, 2.0, 3.0]), &[1.0, 2.0, 4.0], false);
        assert_eq!(
            text,
            ["{\"lower_bin\":1, \"upper_bin\":2, \"count\":2}", "{\"lower_bin\":2, \"upper_bin\":4, \"count\":1}"]
        );
    }
}
