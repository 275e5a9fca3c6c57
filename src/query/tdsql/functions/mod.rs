//! Functions that the engine and the other languages do not have: each a function of the engine, made where a plan needs it.

pub(super) mod interp;
pub(super) mod json;
pub(super) mod numbered;
pub(super) mod ordered;
pub(super) mod series_name;
pub(super) mod sliding;
pub(super) mod texts;
pub(super) mod times;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// What a function does to columns of equal length.
type Body = dyn Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync;

/// A function made of a closure; its name says all that the closure holds, so that two of one name are one.
struct Made {
    name: String,
    result: DataType,
    signature: Signature,
    body: Arc<Body>,
}

/// Calls `body` over `args`, whose types the caller has seen to. `name` tells it from every other function, its constants
/// included.
fn call(
    name: String,
    result: DataType,
    args: Vec<Expr>,
    body: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
) -> Expr {
    let signature = Signature::any(args.len(), Volatility::Immutable);
    ScalarUDF::from(Made { name, result, signature, body: Arc::new(body) }).call(args)
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Made {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.result == other.result
    }
}

impl Eq for Made {}

impl Hash for Made {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Made {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        if arrays.is_empty() || arrays[0].len() == args.number_rows || args.number_rows == 0 {
            return Ok(ColumnarValue::Array((self.body)(&arrays)?));
        }
        // All arguments are constants.
        let one = (self.body)(&arrays)?;
        Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&one, 0)?))
    }
}
