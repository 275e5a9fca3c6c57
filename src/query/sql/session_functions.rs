//! Functions that say for whom a query runs, and where: `current_user()` and its like.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use crate::query::session::QueryScope;

pub(super) fn all(user: &str, role: Option<&str>, scope: &QueryScope) -> [ScalarUDF; 4] {
    [
        constant("current_user", Some(user)),
        constant("current_role", role),
        constant("current_tenant", Some(&scope.tenant)),
        constant("current_database", Some(&scope.database)),
    ]
}

fn constant(name: &str, value: Option<&str>) -> ScalarUDF {
    let value = ScalarValue::Utf8(value.map(str::to_string));
    let answer = move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(value.clone()));
    create_udf(name, Vec::new(), DataType::Utf8, Volatility::Stable, Arc::new(answer))
}
