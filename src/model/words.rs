//! The words of a text, as full text search sees them.
//!
//! A search looks for words twice: in the filters that segments carry, and in the texts themselves. Both take a text
//! apart here, so that no filter denies what its texts hold.

/// The words of `text` as they stand in it: its longest runs of letters and digits, of any script.
pub fn words(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
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
