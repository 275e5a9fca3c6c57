//! Numbers as Java prints them, which is what clients of OpenTSDB have always read.

use std::io::Write;

const WHY: &str = "a Vec takes every byte";
/// Floats between these are printed without an exponent.
const PLAIN: std::ops::Range<f64> = 1e-3..1e7;

pub(super) fn push_integer(value: i64, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &value).expect(WHY);
}

/// A finite float as `Double.toString` does: the shortest digits that read back the same, at least one behind the point,
/// and an exponent where the number is small or large.
pub(super) fn push_float(value: f64, out: &mut Vec<u8>) {
    let size = value.abs();
    if size == 0.0 || PLAIN.contains(&size) {
        // Plain in this range, with `.0` behind whole numbers.
        return serde_json::to_writer(out, &value).expect(WHY);
    }
    let start = out.len();
    write!(out, "{value:e}").expect(WHY);
    let Some(exponent) = out[start..].iter().position(|&byte| byte == b'e').map(|at| start + at) else { return };
    out[exponent] = b'E';
    if !out[start..exponent].contains(&b'.') {
        out.splice(exponent..exponent, *b".0");
    }
}

/// The same as a text.
pub(super) fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_string();
    }
    let mut out = Vec::new();
    push_float(value, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_like_javas() {
        let check = |value: f64, expected: &str| assert_eq!(float_text(value), expected);
        check(1.0, "1.0");
        check(-0.5, "-0.5");
        check(0.0, "0.0");
        check(-0.0, "-0.0");
        check(0.03333333333333333, "0.03333333333333333");
        check(0.001, "0.001");
        check(0.0001, "1.0E-4");
        check(0.000_012_5, "1.25E-5");
        check(1_234_567.5, "1234567.5");
        check(1e7, "1.0E7");
        check(9.223372036854776e17, "9.223372036854776E17");
        check(-123_456_789.0, "-1.23456789E8");
        check(f64::MAX, "1.7976931348623157E308");
        check(f64::NAN, "NaN");
    }
}
