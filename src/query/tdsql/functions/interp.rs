//! INTERP: values at given times, between or beside those that are there.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, StructArray, TimestampNanosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, internal_err, resources_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility};

/// What a time gets that has no row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::query::tdsql) enum Gap {
    Null,
    /// One of the value's type.
    Value(ScalarValue),
    Previous,
    Next,
    Linear,
    /// The nearer of both neighbours.
    Near,
}

/// `first`, `first + step`, … up to `last`, nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::query::tdsql) struct Interpolation {
    pub first: i64,
    pub last: i64,
    pub step: i64,
    pub gap: Gap,
    /// Times without a value are points too.
    pub whole: bool,
}

/// Most points that the calls of one query make together: each series has as many as the range.
const POINTS_MAX: usize = 10_000_000;
/// Most bytes of those points: a gap repeats the text beside it at every time.
const BYTES_MAX: usize = 256 << 20;
/// What a point takes besides a text.
const POINT_BYTES: usize = 16;

/// How many points the calls of one query have made, and bytes of them. No part of what a function is.
#[derive(Debug, Clone, Default)]
pub(in crate::query::tdsql) struct PointsMade {
    points: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

impl PointsMade {
    /// Points that are about to be made. Errors: more than a query may make.
    fn add(&self, points: usize) -> Result<()> {
        if self.points.fetch_add(points, Ordering::Relaxed).saturating_add(points) > POINTS_MAX {
            return resources_err!("INTERP of more than {POINTS_MAX} points");
        }
        Ok(())
    }

    /// A point with this value. Errors: more bytes than a query may make.
    fn charge(&self, value: &ScalarValue) -> Result<()> {
        let bytes = POINT_BYTES + text_bytes(value);
        if self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > BYTES_MAX {
            return resources_err!("INTERP of more than {BYTES_MAX} bytes");
        }
        Ok(())
    }
}

/// What a value holds besides itself.
fn text_bytes(value: &ScalarValue) -> usize {
    value.size().saturating_sub(size_of_val(value))
}

impl PartialEq for PointsMade {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for PointsMade {}

impl Hash for PointsMade {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Fields of the points that [`Interpolation::call`] lists.
pub(in crate::query::tdsql) const TIME: &str = "time";
pub(in crate::query::tdsql) const FILLED: &str = "filled";
pub(in crate::query::tdsql) const VALUE: &str = "value";

impl Interpolation {
    /// A list of points: `time`, `filled`, `value` (of the type `kind`).
    pub(in crate::query::tdsql) fn call(self, value: Expr, time: Expr, kind: DataType, made: &PointsMade) -> Expr {
        let signature = Signature::any(2, Volatility::Immutable);
        let name = format!("td_interp_{}_{}_{}_{:?}_{}", self.first, self.last, self.step, self.gap, self.whole);
        AggregateUDF::from(Interp { name, interpolation: self, kind, signature, made: made.clone() })
            .call(vec![value, time])
    }

    /// How many times it asks for.
    fn count(&self) -> usize {
        let length = self.last.saturating_sub(self.first);
        let steps = if self.step > 0 { length / self.step } else { 0 };
        usize::try_from(steps).unwrap_or(0) + 1
    }

    fn points(&self, rows: &[(i64, ScalarValue)], bound: &PointsMade) -> Result<Vec<(i64, bool, ScalarValue)>> {
        let mut made: Vec<(i64, bool, ScalarValue)> = Vec::new();
        let mut after = 0;
        let mut time = self.first;
        while time <= self.last {
            while after < rows.len() && rows[after].0 < time {
                after += 1;
            }
            let before = after.checked_sub(1).map(|at| &rows[at]);
            let next = rows.get(after);
            let point = match next {
                Some((at, value)) if *at == time => Some((time, false, value.clone())),
                _ => {
                    let value = self.value(time, before, next)?;
                    value.or(self.whole.then_some(ScalarValue::Null)).map(|value| (time, true, value))
                }
            };
            if let Some(point) = point {
                bound.charge(&point.2)?;
                made.push(point);
            }
            match time.checked_add(self.step) {
                Some(next) if self.step > 0 => time = next,
                _ => break,
            }
        }
        Ok(made)
    }

    fn value(
        &self,
        time: i64,
        before: Option<&(i64, ScalarValue)>,
        next: Option<&(i64, ScalarValue)>,
    ) -> Result<Option<ScalarValue>> {
        let of = |row: Option<&(i64, ScalarValue)>| row.map(|(_, value)| value.clone());
        Ok(match (&self.gap, before, next) {
            (Gap::Null, _, _) => {
                let kind = before.or(next).map_or(DataType::Null, |(_, value)| value.data_type());
                Some(ScalarValue::try_new_null(&kind)?)
            }
            (Gap::Value(value), _, _) => Some(value.clone()),
            (Gap::Previous, before, _) => of(before),
            (Gap::Next, _, next) => of(next),
            (Gap::Near, Some(before), Some(next)) => {
                Some(if time.saturating_sub(before.0) <= next.0.saturating_sub(time) {
                    before.1.clone()
                } else {
                    next.1.clone()
                })
            }
            (Gap::Near, before, next) => of(before.or(next)),
            (Gap::Linear, Some(before), Some(next)) => {
                let number = |value: &ScalarValue| value.cast_to(&DataType::Float64);
                let (ScalarValue::Float64(Some(low)), ScalarValue::Float64(Some(high))) =
                    (number(&before.1)?, number(&next.1)?)
                else {
                    return Ok(None);
                };
                let part = time.saturating_sub(before.0) as f64 / next.0.saturating_sub(before.0) as f64;
                Some(ScalarValue::Float64(Some(low + (high - low) * part)).cast_to(&before.1.data_type())?)
            }
            (Gap::Linear, _, _) => None,
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Interp {
    name: String,
    interpolation: Interpolation,
    kind: DataType,
    signature: Signature,
    made: PointsMade,
}

fn point_fields(kind: &DataType) -> Fields {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    Fields::from(vec![
        Field::new(TIME, time, true),
        Field::new(FILLED, DataType::Boolean, true),
        Field::new(VALUE, kind.clone(), true),
    ])
}

impl AggregateUDFImpl for Interp {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        let item = DataType::Struct(point_fields(&self.kind));
        Ok(DataType::List(Arc::new(Field::new_list_field(item, true))))
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let (interpolation, kind, made) = (self.interpolation.clone(), self.kind.clone(), self.made.clone());
        Ok(Box::new(Rows { interpolation, kind, made, rows: Vec::new(), texts: 0 }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |name: &str, item: DataType| {
            let item = Arc::new(Field::new_list_field(item, true));
            Arc::new(Field::new(format!("{}[{name}]", args.name), DataType::List(item), true))
        };
        let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
        Ok(vec![list("times", time), list("values", self.kind.clone())])
    }
}

#[derive(Debug)]
struct Rows {
    interpolation: Interpolation,
    kind: DataType,
    made: PointsMade,
    rows: Vec<(i64, ScalarValue)>,
    /// Bytes that the values of the rows hold besides themselves.
    texts: usize,
}

impl Rows {
    fn take(&mut self, values: &ArrayRef, times: &ArrayRef) -> Result<()> {
        for row in 0..values.len() {
            if let ScalarValue::TimestampNanosecond(Some(time), _) = ScalarValue::try_from_array(times, row)?
                && values.is_valid(row)
            {
                let value = ScalarValue::try_from_array(values, row)?;
                self.texts += text_bytes(&value);
                self.rows.push((time, value));
            }
        }
        Ok(())
    }
}

/// Errors: texts of more bytes than an array may hold.
fn array_of(values: impl IntoIterator<Item = ScalarValue>, kind: &DataType) -> Result<ArrayRef> {
    let values = values
        .into_iter()
        .map(|value| if value.is_null() { ScalarValue::try_new_null(kind) } else { value.cast_to(kind) })
        .collect::<Result<Vec<_>>>()?;
    if values.is_empty() {
        return Ok(datafusion::arrow::array::new_empty_array(kind));
    }
    if values.iter().map(text_bytes).sum::<usize>() > i32::MAX as usize {
        return resources_err!("INTERP of more than {} bytes of one series", i32::MAX);
    }
    ScalarValue::iter_to_array(values)
}

impl Accumulator for Rows {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [values, times] = columns else { return internal_err!("a value and its time") };
        self.take(values, times)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.made.add(self.interpolation.count())?;
        self.texts = 0;
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_by_key(|(time, _)| *time);
        rows.dedup_by_key(|(time, _)| *time);
        let points = self.interpolation.points(&rows, &self.made)?;
        let times: TimestampNanosecondArray = points.iter().map(|(time, _, _)| Some(*time)).collect();
        let filled: BooleanArray = points.iter().map(|(_, filled, _)| Some(*filled)).collect();
        let values = array_of(points.into_iter().map(|(_, _, value)| value), &self.kind)?;
        let columns: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(filled), values];
        let points = StructArray::try_new(point_fields(&self.kind), columns, None)?;
        Ok(ScalarValue::List(Arc::new(SingleRowListArrayBuilder::new(Arc::new(points)).build_list_array())))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.rows.capacity() * size_of::<(i64, ScalarValue)>() + self.texts
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let times: TimestampNanosecondArray = self.rows.iter().map(|(time, _)| Some(*time)).collect();
        let values = array_of(self.rows.iter().map(|(_, value)| value.clone()), &self.kind)?;
        let list =
            |array: ArrayRef| ScalarValue::List(Arc::new(SingleRowListArrayBuilder::new(array).build_list_array()));
        Ok(vec![list(Arc::new(times)), list(values)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        use datafusion::arrow::array::AsArray;
        let [times, values] = states else { return internal_err!("times and values") };
        for row in 0..times.len() {
            if times.is_valid(row) && values.is_valid(row) {
                let (times, values) = (times.as_list::<i32>().value(row), values.as_list::<i32>().value(row));
                self.take(&values, &times)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringArray;
    use datafusion::common::DataFusionError;

    use super::*;

    #[track_caller]
    fn check(gap: Gap, expected: &[(i64, Option<i32>)]) {
        let rows = [(5, ScalarValue::Int32(Some(5))), (10, ScalarValue::Int32(Some(10)))];
        let interpolation = Interpolation { first: 3, last: 12, step: 3, gap, whole: false };
        let points = interpolation.points(&rows, &PointsMade::default()).unwrap();
        let found: Vec<(i64, Option<i32>)> = points
            .into_iter()
            .map(|(time, _, value)| (time, if let ScalarValue::Int32(value) = value { value } else { None }))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn gaps_are_filled_from_the_side_that_is_asked_for() {
        check(Gap::Null, &[(3, None), (6, None), (9, None), (12, None)]);
        check(Gap::Previous, &[(6, Some(5)), (9, Some(5)), (12, Some(10))]);
        check(Gap::Next, &[(3, Some(5)), (6, Some(10)), (9, Some(10))]);
        check(Gap::Linear, &[(6, Some(6)), (9, Some(9))]);
        check(Gap::Near, &[(3, Some(5)), (6, Some(5)), (9, Some(10)), (12, Some(10))]);
    }

    #[test]
    fn the_points_of_a_query_have_a_bound() {
        let ranged = |first, last, step| Interpolation { first, last, step, gap: Gap::Null, whole: false }.count();
        assert_eq!([ranged(3, 12, 3), ranged(3, 3, 0), ranged(i64::MIN, i64::MAX, i64::MAX)], [4, 1, 2]);
        let made = PointsMade::default();
        assert!(made.add(POINTS_MAX - 1).is_ok() && made.clone().add(1).is_ok());
        assert!(made.add(1).is_err());
        assert!(PointsMade::default().add(usize::MAX).is_err());
    }

    #[test]
    fn texts_that_gaps_repeat_have_a_bound() {
        let text = ScalarValue::Utf8(Some("x".repeat(1 << 20)));
        let times = |last, gap| Interpolation { first: 1, last, step: 1, gap, whole: false };
        let rows = [(0, text.clone())];
        for gap in [Gap::Previous, Gap::Near, Gap::Value(text.clone())] {
            let made = PointsMade::default();
            assert!(times(10, gap.clone()).points(&rows, &made).is_ok());
            // All calls of a query together.
            let refused = times(250, gap).points(&rows, &made.clone()).unwrap_err();
            assert!(matches!(refused, DataFusionError::ResourcesExhausted(_)), "{refused}");
        }
        assert!(times(1000, Gap::Null).points(&rows, &PointsMade::default()).is_ok());
    }

    #[test]
    fn rows_take_the_room_of_their_texts() {
        let interpolation = Interpolation { first: 1, last: 2, step: 1, gap: Gap::Null, whole: false };
        let (kind, made) = (DataType::Utf8, PointsMade::default());
        let mut rows = Rows { interpolation, kind, made, rows: Vec::new(), texts: 0 };
        let values: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(10_000); 3]));
        let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1, 2, 3]));
        rows.update_batch(&[values, times]).unwrap();
        assert!(rows.size() > 30_000);
    }
}
