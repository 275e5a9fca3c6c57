//! `matches(text, query)`: full text search, as Elasticsearch's `match` with `operator: and` does it, without scores.

use std::iter::repeat_n;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::model::words::{behind, folded, is_word, words};

const NAME: &str = "matches";
/// Words of a query: a phrase is compared at each word of a text.
const WORDS_MAX: usize = 256;

/// Whether a text holds every word of a query, in any case and order; words within double quotes stand beside each other,
/// in their order. What a word is says [`crate::model::words`]. A query without words finds nothing. NULL when one of the
/// two is NULL; an error when the query has more than [`WORDS_MAX`] words.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::query) struct Matches {
    signature: Signature,
}

impl Default for Matches {
    fn default() -> Self {
        Matches { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Matches {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [text, query] = take_function_args(NAME, arg_types)?;
        let is_text = |data_type: &DataType| match data_type {
            DataType::Dictionary(_, values) => values.is_string(),
            DataType::Null => true,
            other => other.is_string(),
        };
        if !is_text(text) || !is_text(query) {
            return plan_err!("`{NAME}` wants a text and the words to look for, not {text} and {query}");
        }
        // A column stays as it is: the words of its texts can be looked up, and a dictionary takes no more room.
        let kept = |data_type: &DataType| if data_type.is_null() { DataType::Utf8 } else { data_type.clone() };
        Ok(vec![kept(text), kept(query)])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts, query] = take_function_args(NAME, args.args)?;
        match (texts, query) {
            (texts, ColumnarValue::Scalar(query)) => {
                let query = query.try_as_str().flatten().map(WordQuery::of).transpose()?;
                match texts {
                    ColumnarValue::Array(texts) => Ok(ColumnarValue::Array(Arc::new(matched(&texts, query.as_ref())?))),
                    ColumnarValue::Scalar(text) => {
                        let found = matched(&text.to_array()?, query.as_ref())?;
                        Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?))
                    }
                }
            }
            (ColumnarValue::Scalar(text), ColumnarValue::Array(queries)) => {
                each(repeat_n(text.try_as_str().flatten(), queries.len()), &queries)
            }
            (ColumnarValue::Array(texts), ColumnarValue::Array(queries)) => each(texts_of(&texts)?, &queries),
        }
    }
}

/// A query a row.
fn each<'a>(texts: impl Iterator<Item = Option<&'a str>>, queries: &ArrayRef) -> Result<ColumnarValue> {
    let found = texts.zip(texts_of(queries)?).map(|(text, query)| match (text, query) {
        (Some(text), Some(query)) => Ok(Some(WordQuery::of(query)?.finds(text))),
        _ => Ok(None),
    });
    Ok(ColumnarValue::Array(Arc::new(found.collect::<Result<BooleanArray>>()?)))
}

/// One query for all texts.
fn matched(texts: &ArrayRef, query: Option<&WordQuery>) -> Result<BooleanArray> {
    let Some(query) = query else { return Ok(BooleanArray::new_null(texts.len())) };
    if let Some(dictionary) = texts.as_any_dictionary_opt() {
        let found = matched(dictionary.values(), Some(query))?;
        return Ok(take(&found, dictionary.keys(), None)?.as_boolean().clone());
    }
    Ok(texts_of(texts)?.map(|text| text.map(|text| query.finds(text))).collect())
}

type Texts<'a> = Box<dyn Iterator<Item = Option<&'a str>> + 'a>;

/// The texts of an array of any form, without a copy of them.
fn texts_of(array: &ArrayRef) -> Result<Texts<'_>> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let values: Vec<Option<&str>> = texts_of(dictionary.values())?.collect();
        // Who has no values has no keys to normalize.
        let keys = if values.is_empty() { vec![0; array.len()] } else { dictionary.normalized_keys() };
        let text = move |(row, key): (usize, usize)| values.get(key).copied().flatten().filter(|_| array.is_valid(row));
        return Ok(Box::new(keys.into_iter().enumerate().map(text)));
    }
    Ok(match array.data_type() {
        DataType::Utf8 => Box::new(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => Box::new(array.as_string::<i64>().iter()),
        DataType::Utf8View => Box::new(array.as_string_view().iter()),
        other => return internal_err!("`{NAME}` of {other}"),
    })
}

/// What is looked for: phrases of one word or more, each folded. All of them are to be found.
#[derive(Debug)]
pub(in crate::query) struct WordQuery(Vec<Vec<String>>);

impl WordQuery {
    pub(in crate::query) fn of(text: &str) -> Result<WordQuery> {
        let mut phrases: Vec<Vec<String>> = Vec::new();
        let mut room = WORDS_MAX;
        for (at, part) in text.split('"').enumerate() {
            let found: Vec<String> = words(part).map(folded).take(room + 1).collect();
            room = match room.checked_sub(found.len()) {
                Some(left) => left,
                None => return exec_err!("`{NAME}` looks for {WORDS_MAX} words at most"),
            };
            // Every other part is within quotes.
            if at % 2 == 0 {
                phrases.extend(found.into_iter().map(|word| vec![word]));
            } else if !found.is_empty() {
                phrases.push(found);
            }
        }
        Ok(WordQuery(phrases))
    }

    /// The words that a text has to hold.
    pub(in crate::query) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(String::as_str)
    }

    fn finds(&self, text: &str) -> bool {
        !self.0.is_empty() && self.0.iter().all(|phrase| holds(text, phrase))
    }
}

fn holds(text: &str, phrase: &[String]) -> bool {
    let Some((first, others)) = phrase.split_first() else { return true };
    behind(text, first).any(|rest| {
        let mut rest = words(rest);
        others.iter().all(|other| rest.next().is_some_and(|word| is_word(word, other)))
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{DictionaryArray, LargeStringArray, StringArray, StringViewArray};
    use datafusion::arrow::datatypes::{Field, Int32Type};
    use datafusion::common::config::ConfigOptions;

    use super::*;

    #[test]
    fn a_text_is_found_by_all_of_its_words() {
        let check = |text: &str, query: &str, expected: bool| {
            assert_eq!(WordQuery::of(query).unwrap().finds(text), expected, "{query:?} in {text:?}");
        };
        let text = "GET /api/v1/orders/4711 failed: Connection reset by peer (Łódź)";
        check(text, "reset", true);
        check(text, "RESET connection", true);
        check(text, "reset timeout", false);
        check(text, "rese", false);
        check(text, "4711", true);
        check(text, "471", false);
        check(text, "orders/4711", true);
        check(text, "łÓDŹ", true);
        check(text, "lodz", false);
        check(text, r#""connection reset""#, true);
        check(text, r#""reset connection""#, false);
        check(text, r#""connection by""#, false);
        check(text, r#"failed "by peer""#, true);
        check(text, r#""by peer" missing"#, false);
        check(text, r#""by peer"#, true);
        check(text, r#""by-peer""#, true);
        check("a a b", r#""a b""#, true);
        check("é a a b", r#""a b""#, true);
        check(r#"{"user_id":7,"ok":true}"#, "ID true", true);
        check("a b", r#""b a b""#, false);
        check("b a", r#""a b""#, false);
        check("peer", r#""peer timeout""#, false);
        for nothing in ["", " ", "*", r#""""#] {
            check(text, nothing, false);
        }
    }

    #[test]
    fn queries_have_a_bounded_number_of_words() {
        let of = |count: usize| WordQuery::of(&"a \"b\" ".repeat(count / 2));
        assert_eq!(of(WORDS_MAX).unwrap().words().count(), WORDS_MAX);
        assert!(of(WORDS_MAX + 2).unwrap_err().to_string().contains("256 words at most"));
    }

    fn call(text: ColumnarValue, query: ColumnarValue, rows: usize) -> Vec<Option<bool>> {
        let field = |name: &str, value: &ColumnarValue| Arc::new(Field::new(name, value.data_type(), true));
        let args = ScalarFunctionArgs {
            arg_fields: vec![field("text", &text), field("query", &query)],
            args: vec![text, query],
            number_rows: rows,
            return_field: Arc::new(Field::new("found", DataType::Boolean, true)),
            config_options: Arc::new(ConfigOptions::new()),
        };
        let found = Matches::default().invoke_with_args(args).unwrap().into_array(rows).unwrap();
        found.as_boolean().iter().collect()
    }

    #[test]
    fn texts_of_every_form_are_searched() {
        let texts = [Some("one two"), None, Some("two"), Some("one")];
        let forms: [ArrayRef; 4] = [
            Arc::new(StringArray::from_iter(texts)),
            Arc::new(LargeStringArray::from_iter(texts)),
            Arc::new(StringViewArray::from_iter(texts)),
            Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>()),
        ];
        let queries = [Some("one"), Some("one"), Some("one"), None];
        let coded: ArrayRef = Arc::new(queries.into_iter().collect::<DictionaryArray<Int32Type>>());
        let queries: ArrayRef = Arc::new(StringArray::from_iter(queries));
        let query = |text: Option<&str>| ColumnarValue::Scalar(ScalarValue::from(text));
        for texts in forms {
            let data_type = texts.data_type().clone();
            let texts = ColumnarValue::Array(texts);
            let found = call(texts.clone(), query(Some("one")), 4);
            assert_eq!(found, [Some(true), None, Some(false), Some(true)], "{data_type}");
            assert_eq!(call(texts.clone(), query(None), 4), [None; 4], "{data_type}");
            for queries in [&queries, &coded] {
                let found = call(texts.clone(), ColumnarValue::Array(queries.clone()), 4);
                assert_eq!(found, [Some(true), None, Some(false), None], "{data_type}");
            }
        }
        let text = query(Some("one two"));
        assert_eq!(call(text.clone(), query(Some("two")), 3), [Some(true); 3]);
        let found = call(text, ColumnarValue::Array(queries), 4);
        assert_eq!(found, [Some(true), Some(true), Some(true), None]);
        assert_eq!(call(query(None), query(Some("two")), 1), [None]);
        let nothing: ArrayRef = Arc::new([None; 2].into_iter().collect::<DictionaryArray<Int32Type>>());
        let nothing = ColumnarValue::Array(nothing);
        assert_eq!(call(nothing.clone(), query(Some("two")), 2), [None; 2]);
        assert_eq!(call(nothing.clone(), nothing, 2), [None; 2]);
    }
}
