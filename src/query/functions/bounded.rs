//! A function of the engine that is asked how much it would make before it makes it.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::cast::as_int64_array;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{ExprSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, StructFieldMapping,
};

use super::growth::Growth;
use super::joined::Joined;
use super::values::{Reserved, ValueMemory};
use super::{bounded_expr, sizes};

/// What one call may make, for all rows of its batch. With it, no offset of 32 bits runs over.
pub(super) const CALL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What one call of constants may make: it becomes a constant of the plan, which is copied while it is planned. A text
/// that is written into a statement can be about as long.
pub(super) const CONSTANT_BYTES_MAX: u64 = 1024 * 1024;

/// A function that makes at most [`CALL_BYTES_MAX`] a call, and at most what its query's [`ValueMemory`] has left.
/// Else it is the function inside: the same name, types, results and errors.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Bounded {
    inner: ScalarUDF,
    growth: Growth,
}

impl Bounded {
    /// The function with its bound; `None` when it has one or needs none.
    pub(super) fn of(function: &Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
        if function.inner().is::<Bounded>() {
            return None;
        }
        let growth = Growth::of(function.name())?;
        Some(Arc::new(Bounded { inner: function.as_ref().clone(), growth }.into()))
    }

    /// `a || b`
    pub(super) fn joined() -> ScalarUDF {
        Bounded { inner: Joined::default().into(), growth: Growth::Sum }.into()
    }

    /// A call of constants makes one value. The optimizer calls for one row, and the value becomes a constant of the
    /// plan; what it leaves is called for each batch, and made into a column, as a constant is in the end.
    fn call_constants(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows.max(1);
        let bytes = self.growth.bytes(&args.args, 0..1);
        self.check(bytes, CONSTANT_BYTES_MAX)?;
        let all_bytes = bytes.saturating_mul(rows as u64);
        self.check(all_bytes, CALL_BYTES_MAX)?;
        if let (Some(memory), 1) = (memory(&args), rows) {
            memory.keep(self.name(), bytes)?;
        }
        let reserved = reserve(&args, self.name(), all_bytes)?;
        let value = match self.inner.invoke_with_args(ScalarFunctionArgs { number_rows: 1, ..args })? {
            ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0)?,
            ColumnarValue::Scalar(value) => value,
        };
        if rows == 1 {
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(held(reserved, value.to_array_of_size(rows)?)))
    }

    /// A call of so many rows at a time as surely stay within the bound, because what a call may make at most can be
    /// much more than what it makes.
    fn call_in_parts(&self, args: &ScalarFunctionArgs) -> Result<ArrayRef> {
        let (mut parts, mut made, mut next) = (Vec::new(), 0, 0);
        while next < args.number_rows {
            let (rows, bytes) = self.part(&args.args, next..args.number_rows)?;
            let part = self.call(slice(args, &rows), bytes)?.into_array_of_size(rows.len())?;
            made += sizes::array_bytes(part.as_ref(), 0..rows.len());
            self.check(made, CALL_BYTES_MAX)?;
            parts.push(part);
            next = rows.end;
        }
        let reserved = reserve(args, self.name(), made)?;
        let all = concat(&parts.iter().map(|part| part.as_ref()).collect::<Vec<&dyn Array>>())?;
        Ok(held(reserved, all))
    }

    /// The first rows that fit into one call, and what they make at most.
    fn part(&self, args: &[ColumnarValue], rows: Range<usize>) -> Result<(Range<usize>, u64)> {
        let (mut end, mut bytes) = (rows.start, 0);
        while end < rows.end {
            let row_bytes = self.growth.bytes(args, end..end + 1);
            if end > rows.start && row_bytes.saturating_add(bytes) > CALL_BYTES_MAX {
                break;
            }
            self.check(row_bytes, CALL_BYTES_MAX)?;
            bytes += row_bytes;
            end += 1;
        }
        Ok((rows.start..end, bytes))
    }

    fn call(&self, args: ScalarFunctionArgs, bytes: u64) -> Result<ColumnarValue> {
        let reserved = reserve(&args, self.name(), bytes)?;
        Ok(match self.inner.invoke_with_args(args)? {
            ColumnarValue::Array(array) => ColumnarValue::Array(held(reserved, array)),
            // NULL, whatever the rows hold.
            scalar => scalar,
        })
    }

    fn check(&self, bytes: u64, bytes_max: u64) -> Result<()> {
        if bytes <= bytes_max {
            return Ok(());
        }
        let name = self.name();
        exec_err!("`{name}` would make up to {bytes} bytes at once, {bytes_max} are allowed")
    }
}

/// The book of the query that the call belongs to, if there is one.
fn memory(args: &ScalarFunctionArgs) -> Option<&ValueMemory> {
    args.config_options.extensions.get()
}

fn reserve(args: &ScalarFunctionArgs, function: &str, bytes: u64) -> Result<Option<Reserved>> {
    memory(args).map(|memory| memory.reserve(function, bytes)).transpose()
}

fn held(reserved: Option<Reserved>, array: ArrayRef) -> ArrayRef {
    if let Some(reserved) = reserved {
        reserved.hold(array.as_ref());
    }
    array
}

fn slice(args: &ScalarFunctionArgs, rows: &Range<usize>) -> ScalarFunctionArgs {
    let slice = |arg: &ColumnarValue| match arg {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(rows.start, rows.len())),
        ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
    };
    ScalarFunctionArgs { args: args.args.iter().map(slice).collect(), number_rows: rows.len(), ..args.clone() }
}

/// A width as it is meant: the engine takes a negative one for 0, but in a column for a huge capacity first.
fn not_negative(width: &ColumnarValue) -> Result<ColumnarValue> {
    Ok(match width {
        ColumnarValue::Array(widths) => {
            let widths = as_int64_array(widths)?;
            ColumnarValue::Array(Arc::new(widths.unary::<_, Int64Type>(|width| width.max(0))))
        }
        ColumnarValue::Scalar(ScalarValue::Int64(Some(width))) => ScalarValue::from((*width).max(0)).into(),
        other => other.clone(),
    })
}

// A method that is forgotten here would silently differ from the function inside.
#[warn(clippy::missing_trait_methods)]
impl ScalarUDFImpl for Bounded {
    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let (Growth::Pad, Some(width)) = (self.growth, args.args.get_mut(1)) {
            *width = not_negative(width)?;
        }
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            return self.call_constants(args);
        }
        let bytes = self.growth.bytes(&args.args, 0..args.number_rows);
        if bytes <= CALL_BYTES_MAX {
            return self.call(args, bytes);
        }
        self.call_in_parts(&args).map(ColumnarValue::Array)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match self.inner.simplify(args, info)? {
            ExprSimplifyResult::Simplified(expr) => ExprSimplifyResult::Simplified(bounded_expr(expr)?),
            original => original,
        })
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = self.inner.inner().with_updated_config(config)?;
        Some(Bounded { inner, growth: self.growth }.into())
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        #[expect(deprecated)]
        self.inner.display_name(args)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_nullable(&self, args: &[Expr], schema: &dyn ExprSchema) -> bool {
        #[expect(deprecated)]
        self.inner.is_nullable(args, schema)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner.preimage(args, literal, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(input)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.inner.propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn struct_field_mapping(&self, literal_args: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.inner.struct_field_mapping(literal_args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.placement(args)
    }
}
