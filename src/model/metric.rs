//! A metric as a table: how one number a series and time, as OpenTSDB's clients write it, is kept.

/// The field that every point has: the number as Float64.
pub const VALUE_FIELD: &str = "value";
/// The field that points have whose number was written as an integer: the same number as Int64, to the last digit.
pub const VALUE_INT_FIELD: &str = "value_int";

/// The integer that a row's number is, or `None` when it is a float. A later write merges into its row field by field, so a float
/// that is written over an integer leaves the integer there: the row is an integer only as long as both say the same number.
pub fn integer_of(value: f64, integer: Option<i64>) -> Option<i64> {
    integer.filter(|integer| *integer as f64 == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_written_over_an_integer_wins() {
        assert_eq!(integer_of(2.0, Some(2)), Some(2));
        assert_eq!(integer_of(2.5, Some(2)), None);
        assert_eq!(integer_of(2.0, None), None);
        assert_eq!(integer_of(i64::MAX as f64, Some(i64::MAX)), Some(i64::MAX));
    }
}
