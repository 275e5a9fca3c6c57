//! Regular expressions, in the syntax that the server takes.
//!
//! The server's library (RE2 syntax, in Go) and ours agree in most things. `translate` brings over the rest and says
//! what is wrong in the server's words; matching is the `regex` crate's, in time proportional to the text.

mod translate;

use std::fmt;

use thiserror::Error;

/// A compiled expression. Cheap to clone. Equal when written alike.
#[derive(Debug, Clone)]
pub struct Regex {
    source: String,
    compiled: ::regex::Regex,
}

/// Why text is no regular expression: what is wrong, and which part of the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("error parsing regexp: {what}: `{part}`")]
pub struct RegexError {
    pub what: &'static str,
    pub part: String,
}

impl Regex {
    pub fn new(source: &str) -> Result<Regex, RegexError> {
        let pattern = translate::translate(source)?;
        // What translates and still does not compile is too much for the library: too large, or nested too deeply.
        let too_large = |_| RegexError { what: "expression too large", part: source.to_string() };
        let compiled = ::regex::Regex::new(&pattern).map_err(too_large)?;
        Ok(Regex { source: source.to_string(), compiled })
    }

    /// As the client wrote it, without the slashes.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The same expression in the syntax of the `regex` crate, for engines that take one as text.
    pub fn pattern(&self) -> &str {
        self.compiled.as_str()
    }

    /// Whether it matches anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        self.source == other.source
    }
}

impl Eq for Regex {}

/// `/…/`
impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source.replace('/', "\\/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, matching: &[&str], other: &[&str]) {
        let regex = Regex::new(source).unwrap();
        for text in matching {
            assert!(regex.is_match(text), "/{source}/ should match {text:?} ({})", regex.pattern());
        }
        for text in other {
            assert!(!regex.is_match(text), "/{source}/ should not match {text:?} ({})", regex.pattern());
        }
    }

    #[track_caller]
    fn check_error(source: &str, what: &str, part: &str) {
        let expected = format!("error parsing regexp: {what}: `{part}`");
        assert_eq!(Regex::new(source).map_err(|e| e.to_string()), Err(expected), "{source:?}");
    }

    #[test]
    fn what_both_libraries_share_means_the_same() {
        check("", &["", "a"], &[]);
        check("^web\\d+$", &["web01"], &["web", "xweb01", "web01\n"]);
        check("a.c", &["abc", "xabcx"], &["a\nc"]);
        check("^(a|b|)c?$", &["a", "bc", "", "c"], &["d"]);
        check("(?i)CPU", &["cpu", "CpU"], &["gpu"]);
        check("(?i:a)b", &["Ab"], &["aB"]);
        check("(?s)a.c(?-s).", &["a\ncx"], &["a\nc\n"]);
        check("(?m)^b$", &["a\nb\nc"], &["ab"]);
        check("(?P<name>x){2}", &["xx"], &["x"]);
        check("[^/]+/[a-c-]", &["x/-", "x/b"], &["x/d"]);
        check("tür", &["tür"], &["tur"]);
    }

    #[test]
    fn classes_are_ascii_unless_they_name_a_group() {
        check("^\\w$", &["a", "_", "9"], &["é", "ß"]);
        check("^\\d$", &["7"], &["٣"]);
        check("^\\s$", &[" ", "\t"], &["\u{a0}", "\u{b}"]);
        check("^\\W$", &["é"], &["a"]);
        check("\\bx\\b", &["éxé"], &["axa"]);
        check("a\\B", &["ab"], &["a", "aé"]);
        check("^\\pL\\p{Lu}\\P{Lu}\\p{^Lu}$", &["éÉéé"], &["ÉÉÉÉ"]);
        check("^[[:alpha:]][[:^digit:]]$", &["ab"], &["éb", "a1"]);
    }

    #[test]
    fn what_only_the_server_writes_is_brought_over() {
        check("^\\Qa.b|\\E$", &["a.b|"], &["axb|"]);
        check("^a{,2}$", &["a{,2}"], &["a", "aa"]);
        check("^a{2$", &["a{2"], &["aa"]);
        check("^{$", &["{"], &[]);
        check("^\\101\\x42\\x{43}\\07$", &["ABC\u{7}"], &[]);
        check("^[a&&b]+$", &["a&b"], &["c"]);
        check("^[[a]+$", &["[a"], &["]"]);
        check("^[]a]+$", &["]a"], &["["]);
        check("^[\\d\\-_x-z]+$", &["1-_y"], &["a"]);
        check("^[^\\D]$", &["1"], &["a"]);
        check("a(?i)*$", &["aaa", ""], &[]);
        check("(?ii)a", &["A"], &[]);
        check("#x y", &["#x y"], &["y"]);
        check("(?U)a+", &["a"], &[]);
        check("\\/", &["/"], &[]);
        check("^*x", &["x"], &[]);
    }

    #[test]
    fn errors_are_the_servers() {
        check_error("a(b", "missing closing )", "a(b");
        check_error("a)b", "unexpected )", "a)b");
        check_error("x[a-", "missing closing ]", "[a-");
        check_error("[b-a]", "invalid character class range", "b-a");
        check_error("[a-\\d]", "invalid escape sequence", "\\d");
        check_error("[[:nope:]]", "invalid character class range", "[:nope:]");
        check_error("*a", "missing argument to repetition operator", "*");
        check_error("a|+?", "missing argument to repetition operator", "+?");
        check_error("(?i)*", "missing argument to repetition operator", "*");
        check_error("a**", "invalid nested repetition operator", "**");
        check_error("a{2}*?", "invalid nested repetition operator", "{2}*?");
        check_error("a{1001}", "invalid repeat count", "{1001}");
        check_error("a{2,1}", "invalid repeat count", "{2,1}");
        check_error("(a{100}){11}", "invalid repeat count", "{11}");
        check_error("\\", "trailing backslash at end of expression", "");
        check_error("a\\8", "invalid escape sequence", "\\8");
        check_error("(a)\\1", "invalid escape sequence", "\\1");
        check_error("\\C", "invalid escape sequence", "\\C");
        check_error("\\xg0", "invalid escape sequence", "\\xg0");
        check_error("\\p{Nope}", "invalid character class range", "\\p{Nope}");
        check_error("(?=a)", "invalid or unsupported Perl syntax", "(?=");
        check_error("(?P<a-b>x)", "invalid named capture", "(?P<a-b>");
        check_error("(?P<a", "invalid named capture", "(?P<a");
    }

    #[test]
    fn an_expression_that_is_too_much_is_an_error() {
        check_error(&"(".repeat(2_000), "missing closing )", &"(".repeat(2_000));
        let deep = format!("{}{}", "(".repeat(2_000), ")".repeat(2_000));
        check_error(&deep, "expression too large", &deep);
        let large = "\\pL{1000}".repeat(20);
        check_error(&large, "expression too large", &large);
    }

    #[test]
    fn printing_escapes_slashes() {
        assert_eq!(Regex::new("a/b\\d").unwrap().to_string(), "/a\\/b\\d/");
    }
}
