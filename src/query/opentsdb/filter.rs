//! Filters over tags: which values they take, how they are written in braces.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::error::OpentsdbError;

/// Bytes of a compiled regular expression: a request may have several.
const REGEX_BYTES_MAX: usize = 2 << 20;

/// What is asked of a tag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilterKind {
    LiteralOr,
    ILiteralOr,
    NotLiteralOr,
    NotILiteralOr,
    Wildcard,
    IWildcard,
    /// `web*` without a function: ignores case, and is called `wildcard`.
    ShortWildcard,
    Regexp,
}

impl FilterKind {
    /// Names are case-sensitive here.
    pub fn named(name: &str) -> Option<FilterKind> {
        Some(match name {
            "literal_or" => FilterKind::LiteralOr,
            "iliteral_or" => FilterKind::ILiteralOr,
            "not_literal_or" => FilterKind::NotLiteralOr,
            "not_iliteral_or" => FilterKind::NotILiteralOr,
            "wildcard" => FilterKind::Wildcard,
            "iwildcard" => FilterKind::IWildcard,
            "regexp" => FilterKind::Regexp,
            _ => return None,
        })
    }

    /// Of a value as `tags` and braces have it the kind and the filter: `*`, a function `type(filter)`, a pattern with `*`, or
    /// alternatives.
    pub fn of_short(value: &str) -> Result<(FilterKind, &str), OpentsdbError> {
        if value == "*" {
            return Ok((FilterKind::ShortWildcard, value));
        }
        if let Some(open) = value.find('(') {
            let name = value[..open].to_lowercase();
            let Some(filter) = value[open + 1..].strip_suffix(')') else {
                return Err(OpentsdbError::Refused(format!("Filter must end with a ')': {value}")));
            };
            let kind = FilterKind::named(&name).ok_or_else(|| {
                OpentsdbError::Refused(format!("Could not find a tag value filter of the type: {name}"))
            })?;
            return Ok((kind, filter));
        }
        Ok((if value.contains('*') { FilterKind::ShortWildcard } else { FilterKind::LiteralOr }, value))
    }

    pub fn name(self) -> &'static str {
        match self {
            FilterKind::LiteralOr => "literal_or",
            FilterKind::ILiteralOr => "iliteral_or",
            FilterKind::NotLiteralOr => "not_literal_or",
            FilterKind::NotILiteralOr => "not_iliteral_or",
            FilterKind::Wildcard | FilterKind::ShortWildcard => "wildcard",
            FilterKind::IWildcard => "iwildcard",
            FilterKind::Regexp => "regexp",
        }
    }
}

/// A filter over one tag. Whatever its kind, series without the tag do not pass.
#[derive(Debug, Clone)]
pub struct TagFilter {
    pub tagk: String,
    pub kind: FilterKind,
    /// As written: alternatives with `|` between them, a pattern with `*`, a regular expression.
    pub filter: String,
    /// Each value makes a group of its own.
    pub group_by: bool,
    /// What `kind` and `filter` say, made once for all who run it.
    matcher: Arc<Matcher>,
}

impl PartialEq for TagFilter {
    fn eq(&self, other: &Self) -> bool {
        let parts = |of: &TagFilter| (of.kind, of.group_by);
        parts(self) == parts(other) && self.tagk == other.tagk && self.filter == other.filter
    }
}

impl Eq for TagFilter {}

impl Hash for TagFilter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.tagk, self.kind, &self.filter, self.group_by).hash(state);
    }
}

impl TagFilter {
    /// A filter that can be run.
    pub fn new(tagk: &str, kind: FilterKind, filter: &str, group_by: bool) -> Result<TagFilter, OpentsdbError> {
        if tagk.is_empty() {
            return Err(OpentsdbError::refused("Tagk cannot be null or empty"));
        }
        if filter.is_empty() {
            return Err(OpentsdbError::refused("Filter cannot be null or empty"));
        }
        let matcher = Arc::new(Matcher::new(kind, filter)?);
        Ok(TagFilter { tagk: tagk.to_string(), kind, filter: filter.to_string(), group_by, matcher })
    }

    /// A filter for the values between bars, whatever they are.
    pub fn literal_or(tagk: &str, values: &str) -> TagFilter {
        let (tagk, filter) = (tagk.to_string(), values.to_string());
        let matcher = Arc::new(Matcher::literals(values, false, false));
        TagFilter { tagk, kind: FilterKind::LiteralOr, filter, group_by: false, matcher }
    }

    /// The values that a filter names, when it names them.
    pub fn literals(&self) -> Option<Vec<&str>> {
        (self.kind == FilterKind::LiteralOr).then(|| self.filter.split('|').collect())
    }

    /// What decides over values.
    pub fn matcher(&self) -> Arc<Matcher> {
        self.matcher.clone()
    }
}

impl fmt::Display for TagFilter {
    /// As it stands in braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FilterKind::ShortWildcard => write!(f, "{}={}", self.tagk, self.filter),
            kind => write!(f, "{}={}({})", self.tagk, kind.name(), self.filter),
        }
    }
}

/// Decides whether a tag's value passes.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// `values` are sorted, each once.
    Literals {
        values: Vec<String>,
        lower: bool,
        not: bool,
    },
    Glob(Glob),
    Regex(Regex),
}

impl Matcher {
    fn new(kind: FilterKind, filter: &str) -> Result<Matcher, OpentsdbError> {
        Ok(match kind {
            FilterKind::LiteralOr => Matcher::literals(filter, false, false),
            FilterKind::NotLiteralOr => Matcher::literals(filter, false, true),
            FilterKind::ILiteralOr => Matcher::literals(filter, true, false),
            FilterKind::NotILiteralOr => Matcher::literals(filter, true, true),
            FilterKind::Wildcard => Matcher::Glob(Glob::new(filter, false)?),
            FilterKind::IWildcard | FilterKind::ShortWildcard => Matcher::Glob(Glob::new(filter, true)?),
            FilterKind::Regexp => {
                let regex = RegexBuilder::new(filter).size_limit(REGEX_BYTES_MAX).build();
                let refused =
                    |error: regex::Error| OpentsdbError::Refused(format!("Invalid regular expression: {error}"));
                Matcher::Regex(regex.map_err(refused)?)
            }
        })
    }

    fn literals(filter: &str, lower: bool, not: bool) -> Matcher {
        let alternatives = filter.split('|');
        let mut values: Vec<String> =
            alternatives.map(|value| if lower { value.to_lowercase() } else { value.to_string() }).collect();
        values.sort_unstable();
        values.dedup();
        Matcher::Literals { values, lower, not }
    }

    /// Values, or patterns, that it compares with.
    pub fn alternatives(&self) -> usize {
        match self {
            Matcher::Literals { values, .. } => values.len(),
            Matcher::Glob(_) | Matcher::Regex(_) => 1,
        }
    }

    pub fn is_match(&self, value: &str) -> bool {
        match self {
            Matcher::Literals { values, lower: false, not } => {
                values.binary_search_by(|known| known.as_str().cmp(value)).is_ok() != *not
            }
            Matcher::Literals { values, lower: true, not } => {
                values.binary_search(&value.to_lowercase()).is_ok() != *not
            }
            Matcher::Glob(glob) => glob.is_match(value),
            Matcher::Regex(regex) => regex.is_match(value),
        }
    }
}

/// A pattern with `*`, with the corners of OpenTSDB's `TagVWildcardFilter`: the text before the first and after the last
/// asterisk is anchored only when the other side is open, and each part between is looked for behind as many characters as
/// the parts before it have, not behind where they were found.
#[derive(Debug, Clone)]
pub struct Glob {
    /// `None`: everything matches.
    parts: Option<Vec<String>>,
    open_front: bool,
    open_end: bool,
    lower: bool,
}

impl Glob {
    fn new(pattern: &str, lower: bool) -> Result<Glob, OpentsdbError> {
        if !pattern.contains('*') {
            return Err(OpentsdbError::refused("Filter must contain an asterisk"));
        }
        let pattern = if lower { pattern.to_lowercase() } else { pattern.to_string() };
        let inner = pattern.trim_matches('*');
        let parts = (!inner.is_empty()).then(|| inner.split('*').map(str::to_string).collect());
        let (open_front, open_end) = (pattern.starts_with('*'), pattern.ends_with('*'));
        Ok(Glob { parts, open_front, open_end, lower })
    }

    fn is_match(&self, value: &str) -> bool {
        let Some(parts) = &self.parts else { return true };
        let lowered;
        let value = if self.lower {
            lowered = value.to_lowercase();
            &lowered
        } else {
            value
        };
        let (first, last) = (parts.first().map_or("", String::as_str), parts.last().map_or("", String::as_str));
        if self.open_front && !self.open_end && !value.ends_with(last) {
            return false;
        }
        if self.open_end && !self.open_front && !value.starts_with(first) {
            return false;
        }
        let mut behind = 0;
        for part in parts {
            let from = value.char_indices().nth(behind).map_or(value.len(), |(at, _)| at);
            if !value[from..].contains(part.as_str()) {
                return false;
            }
            behind += part.chars().count();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_pass_by_kind() {
        let check = |kind: &str, filter: &str, passes: &[&str], fails: &[&str]| {
            let kind = FilterKind::named(kind).expect("a kind");
            let matcher = TagFilter::new("k", kind, filter, false).expect("a filter").matcher();
            for value in passes {
                assert!(matcher.is_match(value), "{kind:?} {filter} {value}");
            }
            for value in fails {
                assert!(!matcher.is_match(value), "{kind:?} {filter} {value}");
            }
        };
        check("literal_or", "c|a|b|a", &["a", "b", "c"], &["", "d"]);
        check("iliteral_or", "z|B|a", &["A", "b", "Z"], &["c"]);
        check("literal_or", "a|b", &["a", "b"], &["c", "A", "a|b"]);
        check("iliteral_or", "a|B", &["A", "b"], &["c"]);
        check("not_literal_or", "a|b", &["c", "A"], &["a"]);
        check("not_iliteral_or", "a", &["b"], &["A"]);
        check("wildcard", "*", &["", "x"], &[]);
        check("wildcard", "**", &["", "x"], &[]);
        check("wildcard", "web*", &["web01"], &["Web01", "xweb"]);
        check("wildcard", "*01", &["web01"], &["web011"]);
        check("wildcard", "*.lga*", &["db.lga.x", "db.lga"], &["dblga"]);
        // Neither side is open: nothing is anchored.
        check("wildcard", "we*01", &["web01", "xweb01x"], &["b01"]);
        // Both may be the same letter.
        check("wildcard", "*a*a*", &["aba", "ba"], &["a", "xyz"]);
        check("iwildcard", "WEB*", &["web01"], &["db"]);
        check("regexp", "0[12]", &["web01", "x02y"], &["web03"]);
    }

    #[test]
    fn who_runs_a_filter_does_not_make_it_again() {
        let made = TagFilter::new("k", FilterKind::Regexp, "a+", false).expect("a filter");
        assert!(Arc::ptr_eq(&made.matcher(), &made.clone().matcher()));
        // Small as it is written, large when it is made.
        let large = TagFilter::new("k", FilterKind::Regexp, "(x{100}){1000}", false).map(|_| ());
        assert!(large.is_err_and(|error| error.to_string().starts_with("Invalid regular expression: ")));
    }

    #[test]
    fn short_forms_say_what_they_mean() {
        let check = |value: &str, expected: Result<(FilterKind, &str), &str>| {
            let found = FilterKind::of_short(value).and_then(|(kind, text)| TagFilter::new("h", kind, text, true));
            let found = found.map(|f| (f.kind, f.filter)).map_err(|error| error.to_string());
            assert_eq!(found, expected.map(|(k, f)| (k, f.to_string())).map_err(str::to_string), "{value}");
        };
        check("*", Ok((FilterKind::ShortWildcard, "*")));
        check("web*", Ok((FilterKind::ShortWildcard, "web*")));
        check("a|b", Ok((FilterKind::LiteralOr, "a|b")));
        check("Wildcard(a*)", Ok((FilterKind::Wildcard, "a*")));
        check("regexp(a(b))", Ok((FilterKind::Regexp, "a(b)")));
        check("bogus(a)", Err("Could not find a tag value filter of the type: bogus"));
        check("regexp(a", Err("Filter must end with a ')': regexp(a"));
        check("wildcard(a)", Err("Filter must contain an asterisk"));
    }
}
