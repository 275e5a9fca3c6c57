//! Names of metrics, tag keys and tag values.

use std::fmt::Display;
use std::sync::LazyLock;

use regex::Regex;

use super::error::{PointError, quotable};

/// Whether `name` may be one; `what` begins the sentence that says why not, and is made for that alone: names of points are
/// many.
pub fn check_name<W: Display>(what: impl FnOnce() -> W, name: &str) -> Result<(), PointError> {
    if name.is_empty() {
        return Err(PointError::illegal(format!("Invalid {}: empty string", what())));
    }
    if name.bytes().all(is_plain) {
        return Ok(());
    }
    match name.chars().find(|c| !is_legal(*c)) {
        None => Ok(()),
        Some(c) => {
            let (what, name) = (what(), quotable(name));
            Err(PointError::illegal(format!("Invalid {what} (\"{name}\"): illegal character: {c}")))
        }
    }
}

#[inline]
fn is_plain(byte: u8) -> bool {
    PLAIN[byte as usize]
}

static PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], 0);
    while byte < 256 {
        plain[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'_' | b'.' | b'/');
        byte += 1;
    }
    plain
};

#[inline]
fn is_legal(c: char) -> bool {
    u8::try_from(c).is_ok_and(|byte| byte.is_ascii() && is_plain(byte)) || (!c.is_ascii() && is_letter(c))
}

/// A letter of any script that Java's `char` can hold.
fn is_letter(c: char) -> bool {
    static LETTER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\p{L}$").expect("the pattern is fixed"));
    let mut bytes = [0; 4];
    u32::from(c) <= 0xFFFF && LETTER.is_match(c.encode_utf8(&mut bytes))
}

/// The tags as Java prints a `HashMap` of them: by bucket, in order of insertion within one.
pub(super) fn printed<'a>(tags: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let mut tags: Vec<_> = tags.collect();
    let mut buckets: u32 = 16;
    while tags.len() as u32 > buckets / 4 * 3 {
        buckets *= 2;
    }
    tags.sort_by_key(|(key, _)| bucket(key) & (buckets - 1));
    let tags: Vec<String> =
        tags.iter().map(|(key, value)| format!("{}={}", quotable(key), quotable(value.unwrap_or("null")))).collect();
    format!("{{{}}}", tags.join(", "))
}

/// Java's hash of a text, spread as `HashMap` does.
fn bucket(key: &str) -> u32 {
    let hash = key.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<&str>) {
        let error = check_name(|| "metric name", name).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expected, "{name:?}");
    }

    #[test]
    fn letters_digits_and_four_signs_are_legal() {
        for name in ["a", "sys.cpu-0_x/Y", "größe", "温度", "é"] {
            check(name, None);
        }
        check("", Some("Invalid metric name: empty string"));
        check("a b", Some("Invalid metric name (\"a b\"): illegal character:  "));
        check("a:b=c", Some("Invalid metric name (\"a:b=c\"): illegal character: :"));
        // A number that is written with a letter, a combining mark, and a letter beyond the first plane.
        for c in ["Ⅷ", "\u{301}", "𝒜"] {
            check(c, Some(&format!("Invalid metric name (\"{c}\"): illegal character: {c}")));
        }
    }

    #[test]
    fn maps_are_printed_as_java_prints_them() {
        let print =
            |tags: &[(&'static str, &'static str)]| printed(tags.iter().map(|(key, value)| (*key, Some(*value))));
        assert_eq!(print(&[("host", "a")]), "{host=a}");
        // "colo" falls into bucket 1, "host" into 8, "dc" into 15.
        assert_eq!(print(&[("dc", "x"), ("host", "a"), ("colo", "z")]), "{colo=z, host=a, dc=x}");
        assert_eq!(printed([("k", None)].into_iter()), "{k=null}");
    }
}
