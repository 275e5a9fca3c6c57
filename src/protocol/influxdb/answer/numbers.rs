//! Numbers as Go writes them.

use std::io::Write;

/// Integral floats below this are integers exactly.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;
const WHY: &str = "a Vec takes every byte";

/// Appends an integer.
pub(super) fn push_integer(value: i64, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &value).expect(WHY);
}

/// Appends an unsigned integer.
pub(super) fn push_unsigned(value: u64, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &value).expect(WHY);
}

/// Appends a finite float as Go's JSON does: the shortest digits that read back the same, integral ones without a point,
/// with an exponent from `1e+21` on and below `1e-6`.
pub(super) fn push_json_float(value: f64, out: &mut Vec<u8>) {
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return push_plain_float(value, out);
    }
    let start = out.len();
    write!(out, "{value:e}").expect(WHY);
    let exponent = out[start..].iter().position(|&b| b == b'e').map(|at| start + at + 1);
    if let Some(at) = exponent.filter(|&at| out[at] != b'-') {
        out.insert(at, b'+');
    }
}

/// Appends a float with the shortest digits that read back the same and never an exponent; `+Inf`, `-Inf`, `NaN`.
pub(super) fn push_plain_float(value: f64, out: &mut Vec<u8>) {
    let size = value.abs();
    if size < EXACT_INTEGERS && value.fract() == 0.0 {
        if value == 0.0 && value.is_sign_negative() {
            out.push(b'-');
        }
        return push_integer(value as i64, out);
    }
    // Between these the fast printer uses no exponent.
    if (1e-5..1e16).contains(&size) {
        let start = out.len();
        serde_json::to_writer(&mut *out, &value).expect(WHY);
        if out[start..].ends_with(b".0") {
            out.truncate(out.len() - 2);
        }
        return;
    }
    match value {
        value if value.is_nan() => out.extend_from_slice(b"NaN"),
        f64::INFINITY => out.extend_from_slice(b"+Inf"),
        f64::NEG_INFINITY => out.extend_from_slice(b"-Inf"),
        value => write!(out, "{value}").expect(WHY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(push: fn(f64, &mut Vec<u8>), value: f64) -> String {
        let mut out = Vec::new();
        push(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_floats_have_an_exponent_where_go_gives_them_one() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (0.000_001, "0.000001"),
            (0.000_001_25, "0.00000125"),
            (0.000_000_1, "1e-7"),
            (-1.5e-10, "-1.5e-10"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (1e16, "10000000000000000"),
            (123_456_789_012_345_680.0, "123456789012345680"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.7976931348623157e308, "-1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (20.333333333333332, "20.333333333333332"),
        ] {
            assert_eq!(written(push_json_float, value), expected);
        }
    }

    #[test]
    fn plain_floats_have_none() {
        for (value, expected) in [
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (1.5, "1.5"),
            (-0.0, "-0"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(push_plain_float, value), expected);
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                for push in [push_json_float, push_plain_float] {
                    assert_eq!(written(push, value).parse::<f64>().unwrap().to_bits(), value.to_bits());
                }
            }
        }
    }
}
