//! Numbers as Go's JSON writes them, which clients of this protocol are used to.

use std::fmt::Write;

/// The shortest digits that give the number back; with an exponent below 1e-6 and from 1e21 on. What is no number is
/// null.
pub(super) fn double(out: &mut String, value: f64) {
    shortest(out, value.is_finite(), value.abs(), format_args!("{value}"), format_args!("{value:e}"));
}

/// The same of 32 bits: `10.3`, not what it is as 64.
pub(super) fn float(out: &mut String, value: f32) {
    shortest(out, value.is_finite(), f64::from(value.abs()), format_args!("{value}"), format_args!("{value:e}"));
}

fn shortest(
    out: &mut String,
    is_number: bool,
    size: f64,
    plain: std::fmt::Arguments<'_>,
    scientific: std::fmt::Arguments<'_>,
) {
    if !is_number {
        return out.push_str("null");
    }
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        // Writing to a string does not fail.
        let _ = out.write_fmt(plain);
        return;
    }
    let text = scientific.to_string();
    out.push_str(&text.replacen('e', if text.contains("e-") { "e" } else { "e+" }, 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_fewest_digits() {
        let double = |value: f64| {
            let mut out = String::new();
            super::double(&mut out, value);
            out
        };
        for (value, text) in [
            (231.0, "231"),
            (0.1, "0.1"),
            (-0.0025, "-0.0025"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (1e-7, "1e-7"),
            (0.0, "0"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(double(value), text);
        }
        let mut out = String::new();
        float(&mut out, 10.3);
        assert_eq!(out, "10.3");
    }
}
