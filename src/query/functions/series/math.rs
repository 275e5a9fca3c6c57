//! Functions of numbers as InfluxQL types and rounds them: integers stay integers under `abs`, `floor`, `ceil` and
//! `round`, everything else is done in 64 bit floats. What has no answer (`sqrt(-1)`, `ln(-1)`) is NaN, never an error.
//!
//! The computing is the engine's, but for the absolute value of integers, where the engine has an error for the least.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::math::expr_fn;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast, lit,
};

/// A call of `name` with arguments of these types (Float64, Int64 or UInt64) and the type of what it gives. `None` when
/// there is no such function of so many arguments.
pub fn math_call(name: &str, arguments: Vec<(Expr, DataType)>) -> Option<(Expr, DataType)> {
    let float = |(value, data_type): (Expr, DataType)| {
        if data_type == DataType::Float64 { value } else { cast(value, DataType::Float64) }
    };
    let mut arguments = arguments.into_iter();
    let (first, second) = (arguments.next()?, arguments.next());
    if arguments.next().is_some() {
        return None;
    }
    let call = match (name, second) {
        ("abs", None) if first.1 == DataType::Int64 => {
            return Some((ScalarUDF::from(WrappingAbs::new()).call(vec![first.0]), DataType::Int64));
        }
        ("abs" | "floor" | "ceil" | "round", None) if first.1 != DataType::Float64 => return Some(first),
        ("abs", None) => expr_fn::abs(float(first)),
        ("floor", None) => expr_fn::floor(float(first)),
        ("ceil", None) => expr_fn::ceil(float(first)),
        ("round", None) => expr_fn::round(vec![float(first)]),
        ("sin", None) => expr_fn::sin(float(first)),
        ("cos", None) => expr_fn::cos(float(first)),
        ("tan", None) => expr_fn::tan(float(first)),
        ("asin", None) => expr_fn::asin(float(first)),
        ("acos", None) => expr_fn::acos(float(first)),
        ("atan", None) => expr_fn::atan(float(first)),
        ("exp", None) => expr_fn::exp(float(first)),
        ("ln", None) => expr_fn::ln(float(first)),
        ("log2", None) => expr_fn::log2(float(first)),
        ("log10", None) => expr_fn::log10(float(first)),
        ("sqrt", None) => expr_fn::sqrt(float(first)),
        ("atan2", Some(second)) => expr_fn::atan2(float(first), float(second)),
        ("pow", Some(second)) => expr_fn::power(float(first), float(second)),
        ("log", Some(second)) => expr_fn::ln(float(first)) / expr_fn::ln(float(second)),
        _ => return None,
    };
    Some((call, DataType::Float64))
}

/// The sum of integers over their number, in the order in which InfluxQL rounds: the sum wraps, then both are floats.
/// The mean of floats is the engine's `avg`.
pub fn mean_of_integers(sum: Expr, count: Expr) -> Expr {
    cast(sum, DataType::Float64)
        / datafusion::functions::core::expr_fn::nullif(cast(count, DataType::Float64), lit(0.0))
}

/// `wrapping_abs(Int64)`: the absolute value; of the least integer itself.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct WrappingAbs {
    signature: Signature,
}

impl WrappingAbs {
    pub(super) fn new() -> Self {
        WrappingAbs { signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for WrappingAbs {
    fn name(&self) -> &str {
        "wrapping_abs"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(match &args.args[..] {
            [ColumnarValue::Array(values)] => {
                let values: Int64Array = values.as_primitive::<Int64Type>().unary(i64::wrapping_abs);
                let values: ArrayRef = Arc::new(values);
                ColumnarValue::Array(values)
            }
            [ColumnarValue::Scalar(ScalarValue::Int64(Some(value)))] => {
                ColumnarValue::Scalar(ScalarValue::Int64(Some(value.wrapping_abs())))
            }
            _ => ColumnarValue::Scalar(ScalarValue::Int64(None)),
        })
    }
}
