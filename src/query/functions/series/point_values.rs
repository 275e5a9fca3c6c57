//! `point_values(points)`: the values of a list of points, without their times and what is beside them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// Shares what it is given; nothing is copied.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct PointValues {
    signature: Signature,
}

impl PointValues {
    pub(super) fn new() -> Self {
        PointValues { signature: Signature::any(1, Volatility::Immutable) }
    }
}

/// The first field of a point is its value.
fn value_field(points: &DataType) -> Option<FieldRef> {
    let DataType::List(item) = points else { return None };
    let DataType::Struct(fields) = item.data_type() else { return None };
    Some(Arc::new(Field::new_list_field(fields.first()?.data_type().clone(), true)))
}

impl ScalarUDFImpl for PointValues {
    fn name(&self) -> &str {
        "point_values"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first().and_then(value_field) {
            Some(value) => Ok(DataType::List(value)),
            None => plan_err!("point_values takes a list of points"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(points) = args.args.first() else { return plan_err!("point_values takes a list of points") };
        let is_scalar = matches!(points, ColumnarValue::Scalar(_));
        let values = values(&points.to_array(1)?)?;
        Ok(if is_scalar {
            ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&values, 0)?)
        } else {
            ColumnarValue::Array(values)
        })
    }
}

fn values(points: &ArrayRef) -> Result<ArrayRef> {
    let (Some(value), Some(lists)) = (value_field(points.data_type()), points.as_list_opt::<i32>()) else {
        return exec_err!("point_values takes a list of points");
    };
    let Some(items) = lists.values().as_struct_opt() else { return exec_err!("point_values takes a list of points") };
    let nulls = lists.nulls().cloned();
    Ok(Arc::new(ListArray::try_new(value, lists.offsets().clone(), items.column(0).clone(), nulls)?))
}
