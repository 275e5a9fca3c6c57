//! `window_start(time, interval, offset, zone)`: the start of the window of time that a row is in.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{DataType, TimestampNanosecondType};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use super::points::time_type;
use crate::query::series::Windows;

/// Interval and offset are Int64 nanoseconds, the zone a name of the time zone database or empty for UTC; all three are
/// constants. See [`Windows`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct WindowStart {
    signature: Signature,
}

impl WindowStart {
    pub(super) fn new() -> Self {
        let types = vec![time_type(), DataType::Int64, DataType::Int64, DataType::Utf8];
        WindowStart { signature: Signature::exact(types, Volatility::Immutable) }
    }
}

/// The start of the window that `time` (a timestamp) is in.
pub fn window_start(time: Expr, windows: &Windows) -> Expr {
    let zone = windows.zone().map_or("", |zone| zone.name());
    ScalarUDF::from(WindowStart::new()).call(vec![time, lit(windows.interval()), lit(windows.offset()), lit(zone)])
}

fn windows(constants: &[ColumnarValue]) -> Result<Windows> {
    let [
        ColumnarValue::Scalar(ScalarValue::Int64(Some(interval))),
        ColumnarValue::Scalar(ScalarValue::Int64(Some(offset))),
        ColumnarValue::Scalar(ScalarValue::Utf8(Some(zone))),
    ] = constants
    else {
        return plan_err!("interval, offset and zone of window_start are constants");
    };
    let zone = match zone.as_str() {
        "" => None,
        name => match name.parse() {
            Ok(zone) => Some(zone),
            Err(_) => return plan_err!("unable to find time zone {name}"),
        },
    };
    match Windows::new(*interval, *offset, zone) {
        Some(windows) => Ok(windows),
        None => plan_err!("the interval of window_start is {interval}, not positive"),
    }
}

impl ScalarUDFImpl for WindowStart {
    fn name(&self) -> &str {
        "window_start"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(time_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((time, constants)) = args.args.split_first() else { return plan_err!("window_start takes a time") };
        let windows = windows(constants)?;
        let (in_zone, mut clock) = (windows.zone().is_some(), windows.clock());
        let mut held = 0..0;
        let mut start = |time: i64| {
            // Neighbours are mostly of one window; where clocks change, windows may overlap.
            if in_zone || !held.contains(&time) {
                let (from, to) = clock.window(time);
                held = from..to;
            }
            held.start
        };
        Ok(match time {
            ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(time, _)) => {
                ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(time.map(start), None))
            }
            ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(None, None)),
            ColumnarValue::Array(times) => {
                let times = times.as_primitive::<TimestampNanosecondType>();
                let values = times.values().iter().map(|time| start(*time)).collect();
                let starts = PrimitiveArray::<TimestampNanosecondType>::new(values, times.nulls().cloned());
                let starts: ArrayRef = Arc::new(starts);
                ColumnarValue::Array(starts)
            }
        })
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(inputs.first().map_or(SortProperties::Unordered, |time| time.sort_properties))
    }

    fn preserves_lex_ordering(&self, _: &[ExprProperties]) -> Result<bool> {
        Ok(true)
    }
}
