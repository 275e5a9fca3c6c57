//! The words of a text, as full text search sees them.
//!
//! A search looks for words twice: in the filters that segments carry, and in the texts themselves. Both take a text
//! apart here, so that no filter denies what its texts hold.

use memchr::memchr2;

/// The words of `text` as they stand in it: its longest runs of letters and digits, of any script.
pub fn words(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// What follows `wanted`, which is [`folded`], each time that it stands in `text` as a word.
pub fn behind<'a>(text: &'a str, wanted: &'a str) -> impl Iterator<Item = &'a str> {
    // Letters of other scripts may fold to plain ones. Without them a letter can be looked for, which is several times as fast.
    let (plain, first) = (text.is_ascii(), wanted.as_bytes().first().copied().unwrap_or_default());
    let mut at = 0;
    std::iter::from_fn(move || {
        at = if plain { plain_end(text, wanted, first, at) } else { end(text, wanted, at) }?;
        text.get(at..)
    })
}

/// The end of the next word that is `wanted`; `at` is no place within a word.
fn end(text: &str, wanted: &str, at: usize) -> Option<usize> {
    let found = words(text.get(at..)?).find(|word| is_word(word, wanted))?;
    Some(found.as_ptr().addr() - text.as_ptr().addr() + found.len())
}

/// The same where `text` is ASCII.
fn plain_end(text: &str, wanted: &str, first: u8, mut at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_edge = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    loop {
        let start = at + memchr2(first, first.to_ascii_uppercase(), bytes.get(at..)?)?;
        let end = start + wanted.len();
        let is_it = bytes.get(start..end).is_some_and(|word| word.eq_ignore_ascii_case(wanted.as_bytes()));
        if is_it && is_edge(bytes.get(end)) && is_edge(start.checked_sub(1).and_then(|before| bytes.get(before))) {
            return Some(end);
        }
        at = start + 1;
    }
}

/// A word as it is compared: in lower case.
pub fn folded(word: &str) -> String {
    word.to_lowercase()
}

/// Whether `word`, as it stands in a text, is the same as `wanted`, which is [`folded`].
pub fn is_word(word: &str, wanted: &str) -> bool {
    if word.is_ascii() { word.eq_ignore_ascii_case(wanted) } else { folded(word) == wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let check = |text: &str, expected: &[&str]| assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text:?}");
        check("", &[]);
        check(" -\n\t…", &[]);
        check("one", &["one"]);
        check("GET /api/v1/users?id=42 200", &["GET", "api", "v1", "users", "id", "42", "200"]);
        check("user_id=7; 10.0.3.44:80", &["user", "id", "7", "10", "0", "3", "44", "80"]);
        check("Łódź,naïve ١٢ 東京 №", &["Łódź", "naïve", "١٢", "東京"]);
    }

    #[test]
    fn a_word_is_found_where_it_stands_alone() {
        let check = |text: &str, word: &str, expected: &[&str]| {
            assert_eq!(behind(text, word).collect::<Vec<_>>(), expected, "{word:?} in {text:?}");
            // The other way of looking, which holds for any text.
            let text = format!("{text} é");
            let expected: Vec<String> = expected.iter().map(|rest| format!("{rest} é")).collect();
            assert_eq!(behind(&text, word).collect::<Vec<_>>(), expected, "{word:?} in {text:?}");
        };
        check("", "a", &[]);
        check("a", "a", &[""]);
        check("Aa a-A", "a", &["-A", ""]);
        check("error, errors ERROR!", "error", &[", errors ERROR!", "!"]);
        check("terror", "error", &[]);
        check("x7 7 77", "7", &[" 77"]);
        check("abab ab", "ab", &[""]);
        check("a_b", "b", &[""]);
        assert_eq!(behind("plain", "é").count(), 0);
        assert_eq!(behind("1 \u{212a}", "k").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn words_are_the_same_in_any_case() {
        let check = |word: &str, other: &str, same: bool| assert_eq!(is_word(word, &folded(other)), same, "{word:?}");
        check("ERROR", "error", true);
        check("error", "eRRor", true);
        check("errors", "error", false);
        check("Łódź", "ŁÓDŹ", true);
        check("Łodz", "łódź", false);
        check("ΟΔΟΣ", "οδος", true);
        // The sign for kelvin is a K.
        check("\u{212a}", "k", true);
        check("k", "\u{212a}", true);
    }
}
