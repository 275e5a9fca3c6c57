//! How much a call can make at most, told by the sizes of what it is given.
//!
//! A bound is never too small. It may be too large for many rows at once; the fewer rows it is asked about, the closer
//! it is.

use std::ops::Range;

use datafusion::logical_expr::ColumnarValue;
use memchr::memmem;

use super::sizes;

/// Room for one value or one element besides its bytes: an offset or a view, and its share of a null mask.
pub(super) const SLOT_BYTES: u64 = 17;
/// Longest text of one character of a time format, as in `%c` or `%+`.
const FORMAT_FACTOR: u64 = 20;

/// What a function's result is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Growth {
    /// Its arguments, once each.
    Sum,
    /// Its arguments, the first one twice.
    FirstTwice,
    /// `repeat(text, times)`
    Repeat,
    /// `lpad(text, characters, fill)`
    Pad,
    /// `replace(text, from, to)`
    Replace,
    /// `regexp_replace(text, pattern, replacement, flags)`
    RegexReplace,
    /// `regexp_match(text, pattern)`: the text once for each group
    RegexMatch,
    /// `translate(text, from, to)`: other characters, as many
    Translate,
    /// `concat_ws(separator, text, …)`
    JoinWith,
    /// `to_char(time, format)`
    Format,
    /// `array_to_string(list, separator, null)`
    ListText,
    /// `string_to_array(text, separator)`
    Split,
    /// `array_replace_all(list, from, to)`
    ListReplace,
    /// `arrays_zip(list, …)`: every list as long as the longest
    ListZip,
    /// A number for each element.
    Numbers,
}

/// The functions that may make more than they are given. A function that is not here makes at most a few bytes for each
/// byte or row that it gets, and cannot be chained to make more.
pub(super) const GROWING: [(&str, Growth); 28] = [
    ("array_append", Growth::Sum),
    ("array_concat", Growth::Sum),
    ("array_positions", Growth::Numbers),
    ("array_prepend", Growth::Sum),
    ("array_replace", Growth::Sum),
    ("array_replace_all", Growth::ListReplace),
    ("array_replace_n", Growth::ListReplace),
    ("array_to_string", Growth::ListText),
    ("array_union", Growth::Sum),
    ("arrays_zip", Growth::ListZip),
    // These two become casts; what they become is looked at then.
    ("arrow_cast", Growth::Sum),
    ("arrow_try_cast", Growth::Sum),
    ("concat", Growth::Sum),
    ("concat_ws", Growth::JoinWith),
    ("encode", Growth::FirstTwice),
    ("lpad", Growth::Pad),
    ("make_array", Growth::Sum),
    ("map", Growth::Sum),
    ("overlay", Growth::FirstTwice),
    ("regexp_match", Growth::RegexMatch),
    ("regexp_replace", Growth::RegexReplace),
    ("repeat", Growth::Repeat),
    ("replace", Growth::Replace),
    ("rpad", Growth::Pad),
    ("string_to_array", Growth::Split),
    ("to_char", Growth::Format),
    ("translate", Growth::Translate),
    (super::joined::NAME, Growth::Sum),
];

impl Growth {
    pub(super) fn of(function: &str) -> Option<Growth> {
        GROWING.iter().find(|(name, _)| *name == function).map(|(_, growth)| *growth)
    }

    /// Bytes that a call with some rows of these arguments makes, at most.
    pub(super) fn bytes(self, args: &[ColumnarValue], rows: Range<usize>) -> u64 {
        let call = Call { args, rows };
        let sum = (0..args.len()).map(|arg| call.total(arg)).fold(call.slots(), u64::saturating_add);
        let more = match self {
            Growth::Sum => 0,
            Growth::FirstTwice => call.total(0),
            Growth::Repeat => call.one(0).saturating_mul(call.number(1)).saturating_mul(call.beside(0)),
            Growth::Pad => call.rows().saturating_mul(call.number(1)).saturating_mul(call.char_bytes(&[0, 2])),
            Growth::Replace => call.occurrences(0, 1).saturating_mul(call.one(2)),
            Growth::RegexReplace => {
                let matches =
                    if call.has_flag(3, b'g') { call.total(0).saturating_add(call.rows()) } else { call.rows() };
                let groups = call.count(2, b"$\\").saturating_mul(call.total(0));
                matches.saturating_mul(call.one(2)).saturating_add(groups)
            }
            Growth::RegexMatch => call.count(1, b"(").saturating_mul(call.total(0).saturating_add(call.slots())),
            Growth::Translate => call.total(0).saturating_mul(3),
            Growth::JoinWith => call.total(0).saturating_mul(args.len() as u64),
            Growth::Format => call.total(1).saturating_mul(FORMAT_FACTOR),
            Growth::ListText => {
                let between = call.one(1).saturating_add(call.one(2));
                call.elements(0).saturating_mul(between).saturating_add(call.list_text(0))
            }
            Growth::Split => call.occurrences(0, 1).saturating_add(call.rows()).saturating_mul(SLOT_BYTES),
            Growth::ListReplace => call.elements(0).saturating_mul(call.one(2).saturating_add(SLOT_BYTES)),
            Growth::ListZip => {
                let longest = (0..args.len()).map(|arg| call.elements(arg)).fold(0, u64::saturating_add);
                longest.saturating_mul(args.len() as u64).saturating_mul(SLOT_BYTES)
            }
            Growth::Numbers => call.elements(0).saturating_mul(SLOT_BYTES),
        };
        sum.saturating_add(more)
    }
}

/// Some rows of a call's arguments.
struct Call<'a> {
    args: &'a [ColumnarValue],
    rows: Range<usize>,
}

impl Call<'_> {
    fn rows(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Each argument may become an element of a list.
    fn slots(&self) -> u64 {
        self.rows().saturating_mul(self.args.len() as u64 + 1).saturating_mul(SLOT_BYTES)
    }

    /// How often a constant stands beside the rows: once for each; a column's values are told together.
    fn beside(&self, arg: usize) -> u64 {
        if matches!(self.args.get(arg), Some(ColumnarValue::Scalar(_))) { self.rows() } else { 1 }
    }

    /// Bytes of an argument in all rows; 0 when it is not there.
    fn total(&self, arg: usize) -> u64 {
        self.one(arg).saturating_mul(self.beside(arg))
    }

    /// Bytes of an argument in one row: a column's longest value is no longer than all its values.
    fn one(&self, arg: usize) -> u64 {
        match self.args.get(arg) {
            Some(ColumnarValue::Array(array)) => sizes::array_bytes(array.as_ref(), self.rows.clone()),
            Some(ColumnarValue::Scalar(value)) => sizes::scalar_bytes(value),
            None => 0,
        }
    }

    /// Elements of a list in all rows, the innermost ones.
    fn elements(&self, arg: usize) -> u64 {
        let one = match self.args.get(arg) {
            Some(ColumnarValue::Array(array)) => sizes::elements(array.as_ref(), self.rows.clone()),
            Some(ColumnarValue::Scalar(value)) => match value.to_array() {
                Ok(array) => sizes::elements(array.as_ref(), 0..1),
                Err(_) => u64::MAX,
            },
            None => 0,
        };
        one.saturating_mul(self.beside(arg))
    }

    /// Text of a list's elements, without what is in strings already.
    fn list_text(&self, arg: usize) -> u64 {
        let one = match self.args.get(arg) {
            Some(ColumnarValue::Array(array)) => sizes::text_bytes(array.as_ref(), self.rows.clone()),
            Some(ColumnarValue::Scalar(value)) => match value.to_array() {
                Ok(array) => sizes::text_bytes(array.as_ref(), 0..1),
                Err(_) => u64::MAX,
            },
            None => 0,
        };
        one.saturating_mul(self.beside(arg))
    }

    /// The largest value of an integer argument.
    fn number(&self, arg: usize) -> u64 {
        match self.args.get(arg) {
            Some(ColumnarValue::Array(array)) => sizes::largest(array.as_ref(), self.rows.clone()),
            Some(ColumnarValue::Scalar(value)) => match value.to_array() {
                Ok(array) => sizes::largest(array.as_ref(), 0..1),
                Err(_) => u64::MAX,
            },
            None => 0,
        }
    }

    /// The bytes of an argument if it has one value in these rows. NULL is empty.
    fn value(&self, arg: usize) -> Option<&[u8]> {
        match self.args.get(arg)? {
            ColumnarValue::Scalar(value) => sizes::scalar_value(value),
            ColumnarValue::Array(array) if self.rows.len() == 1 => sizes::array_value(array.as_ref(), self.rows.start),
            ColumnarValue::Array(_) => None,
        }
    }

    /// How often one of some bytes is in a value of an argument.
    fn count(&self, arg: usize, bytes: &[u8]) -> u64 {
        match self.value(arg) {
            Some(value) => value.iter().filter(|byte| bytes.contains(byte)).count() as u64,
            None => self.one(arg),
        }
    }

    fn has_flag(&self, arg: usize, flag: u8) -> bool {
        self.count(arg, &[flag]) > 0
    }

    /// Bytes of a character that is taken from one of some arguments, or is a space. A character of one of them next to
    /// wider ones of another counts as wide.
    fn char_bytes(&self, args: &[usize]) -> u64 {
        let ascii = args.iter().all(|arg| match self.args.get(*arg) {
            Some(ColumnarValue::Array(array)) => sizes::is_ascii(array.as_ref(), self.rows.clone()),
            Some(ColumnarValue::Scalar(value)) => sizes::scalar_value(value).is_some_and(<[u8]>::is_ascii),
            None => true,
        });
        if ascii { 1 } else { 4 }
    }

    /// How often one text is in another. Counted where there is one of each, else no more than would fit.
    fn occurrences(&self, text: usize, part: usize) -> u64 {
        match (self.value(text), self.value(part)) {
            (Some(text), Some(part)) if self.rows.len() <= 1 && !part.is_empty() => {
                memmem::find_iter(text, part).count() as u64
            }
            (_, Some(part)) => self.total(text) / part.len().max(1) as u64,
            (_, None) => self.total(text),
        }
    }
}
