//! `tag_text(tag)`: a tag as a text, empty where it is absent.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Scalar, StringViewArray};
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::{cast, is_not_null};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::model::schema::tag_type;

/// The texts are views of the tag's dictionary: none is copied for a row.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TagText {
    signature: Signature,
}

impl TagText {
    pub(super) fn new() -> Self {
        TagText { signature: Signature::exact(vec![tag_type()], Volatility::Immutable) }
    }
}

/// A tag (a dictionary of texts) as a Utf8View, which is empty where the tag is absent, and never null.
pub fn tag_text(tag: Expr) -> Expr {
    ScalarUDF::from(TagText::new()).call(vec![tag])
}

impl ScalarUDFImpl for TagText {
    fn name(&self) -> &str {
        "tag_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8View, false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(tag) = args.args.first() else { return plan_err!("tag_text takes a tag") };
        let is_scalar = matches!(tag, ColumnarValue::Scalar(_));
        let texts = texts(&tag.to_array(1)?)?;
        Ok(if is_scalar {
            ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&texts, 0)?)
        } else {
            ColumnarValue::Array(texts)
        })
    }
}

fn texts(tags: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(tags, &DataType::Utf8View)?;
    if texts.null_count() == 0 {
        return Ok(texts);
    }
    let absent = Scalar::new(StringViewArray::from_iter_values([""]));
    Ok(zip(&is_not_null(&texts)?, &texts, &absent)?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, DictionaryArray};
    use datafusion::arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn absent_tags_are_empty_texts() {
        let check = |tags: &[Option<&str>], expected: &[&str]| {
            let tags: DictionaryArray<Int32Type> = tags.iter().copied().collect();
            let found = texts(&(Arc::new(tags) as ArrayRef)).unwrap();
            assert_eq!(found.null_count(), 0);
            assert_eq!(found.as_string_view().iter().flatten().collect::<Vec<_>>(), expected);
        };
        check(&[Some("a"), Some("longer than a view holds"), Some("a")], &["a", "longer than a view holds", "a"]);
        check(&[Some("a"), None, Some("")], &["a", "", ""]);
        check(&[None], &[""]);
        check(&[], &[]);
    }
}
