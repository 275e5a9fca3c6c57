//! Numbers: digits at speed, every value exactly what the standard parser gives.

use super::Dialect;
use super::error::{Reason, quoted};
use super::fields::{Value, ends_value, value_end};

/// Reads the number that starts at `start` and takes all up to the next comma, space or end; returns it with its end.
///
/// `None` when it is no number of the dialect: [`complaint`] says why.
#[inline]
pub(super) fn read(line: &str, start: usize, dialect: Dialect) -> Option<(Value<'static>, usize)> {
    let bytes = line.as_bytes();
    let negative = bytes[start] == b'-';
    let plus = bytes[start] == b'+' && dialect.plus_sign;
    let first = start + usize::from(negative || plus);

    let (whole, whole_digits) = digits(&bytes[first..], 0);
    let mut at = first + whole_digits;
    if whole_digits > 0 && !plus && ends_value(bytes, at + 1) {
        match bytes.get(at) {
            Some(b'i') => return Some((Value::Integer(signed(whole, negative)?), at + 1)),
            Some(b'u') if dialect.unsigned && !negative => return Some((Value::Unsigned(whole?), at + 1)),
            _ => {}
        }
    }

    let (mut mantissa, mut decimals) = (whole, 0);
    if bytes.get(at) == Some(&b'.') {
        (mantissa, decimals) = match whole {
            Some(whole) => digits(&bytes[at + 1..], whole),
            None => (None, digits(&bytes[at + 1..], 0).1),
        };
        at += 1 + decimals;
    }
    if whole_digits + decimals == 0 {
        return None;
    }
    if ends_value(bytes, at)
        && let Some(magnitude) = exact_float(mantissa, decimals)
    {
        return Some((Value::Float(if negative { -magnitude } else { magnitude }), at));
    }
    // A long number, an exponent, or no number at all. (The words that the standard parser takes for floats do not
    // start with a digit.)
    let end = value_end(bytes, at);
    let value: f64 = line[start..end].parse().ok()?;
    value.is_finite().then_some((Value::Float(value), end))
}

/// What is wrong with `text`, which [`read`] refused.
pub(super) fn complaint(text: &str, dialect: Dialect) -> Reason {
    let bytes = text.as_bytes();
    let (mut integer, mut unsigned, mut decimal, mut scientific) = (false, false, false, false);
    let negative = bytes.first() == Some(&b'-');
    let plus = bytes.first() == Some(&b'+') && dialect.plus_sign;
    let signs = usize::from(negative || plus);
    for (at, &byte) in bytes.iter().enumerate().skip(signs) {
        match byte {
            b'i' if at > 0 && !integer && !unsigned => integer = true,
            b'u' if at > 0 && !integer && !unsigned => unsigned = true,
            b'.' if !decimal => decimal = true,
            b'e' | b'E' if at > 0 => scientific = true,
            b'+' | b'-' if at > 0 && matches!(bytes[at - 1], b'e' | b'E') => {}
            b'0'..=b'9' => {}
            _ => return Reason::InvalidNumber,
        }
    }
    let no_digits = bytes.len() == signs + usize::from(integer) + usize::from(decimal);
    let whole = !decimal && !scientific && !no_digits && !plus;
    match (integer, unsigned, bytes.last()) {
        (true, _, Some(b'i')) if whole => Reason::IntegerOutOfRange(quoted(&text[..text.len() - 1])),
        (_, true, Some(b'u')) if whole && dialect.unsigned && !negative && bytes.len() > 1 => {
            Reason::UnsignedOutOfRange(quoted(&text[..text.len() - 1]))
        }
        (false, false, _) if !no_digits => Reason::InvalidFloat,
        _ => Reason::InvalidNumber,
    }
}

/// Appends the decimal digits at the start of `bytes` to `value`: the new value, `None` when it does not fit, and how
/// many digits there are.
#[inline]
pub(super) fn digits(bytes: &[u8], value: u64) -> (Option<u64>, usize) {
    let (mut value, mut count) = (Some(value), 0);
    let append = |value: Option<u64>, scale, more| value?.checked_mul(scale)?.checked_add(more);
    while let Some(eight) = bytes[count..].first_chunk().and_then(eight_digits) {
        value = append(value, 100_000_000, eight);
        count += 8;
    }
    while let Some(digit) = bytes.get(count).filter(|byte| byte.is_ascii_digit()) {
        value = append(value, 10, u64::from(digit - b'0'));
        count += 1;
    }
    (value, count)
}

/// The value of eight digits, all lanes at once; `None` when one is no digit.
#[inline]
fn eight_digits(chunk: &[u8; 8]) -> Option<u64> {
    const HIGH: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    // The first digit is the lowest byte.
    let lanes = u64::from_le_bytes(*chunk);
    // A digit's high half is 3, and still is when 6 is added.
    if lanes & HIGH != ZEROS || (lanes + 0x0606_0606_0606_0606) & HIGH != ZEROS {
        return None;
    }
    let ones = lanes - ZEROS;
    let pairs = (ones * 10 + (ones >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((fours * 10_000 + (fours >> 32)) & 0xFFFF_FFFF)
}

/// `magnitude` with a sign, unless it does not fit.
#[inline]
pub(super) fn signed(magnitude: Option<u64>, negative: bool) -> Option<i64> {
    let magnitude = magnitude?;
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Integers up to this have a float of their own.
const MANTISSA_MAX: u64 = 1 << 53;

/// The powers of ten that have a float of their own.
const TEN_TO: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// `mantissa` / 10^`decimals` when one division of exact floats gives it: that rounds once, as it should.
#[inline]
fn exact_float(mantissa: Option<u64>, decimals: usize) -> Option<f64> {
    let mantissa = mantissa.filter(|&mantissa| mantissa <= MANTISSA_MAX)?;
    Some(mantissa as f64 / TEN_TO.get(decimals)?)
}
