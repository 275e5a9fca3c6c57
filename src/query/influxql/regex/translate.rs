//! RE2 syntax, as Go's library reads it, → the syntax of the `regex` crate.
//!
//! Groups do not capture: nobody asks what they matched. Classes become classes of code points, `\d` and its kin the
//! ASCII characters that they mean there, and everything that is no letter or digit is written as a code point, so that
//! nothing in the result can be read as an operator that the source did not have.

use std::fmt::Write as _;

use super::RegexError;

/// The largest count of a repetition, and of nested ones multiplied.
const REPEAT_MAX: u32 = 1_000;

/// What `(?…)` switches.
#[derive(Clone, Copy, PartialEq, Default)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_all: bool,
    swap_greed: bool,
}

/// Something that a repetition may follow, or a switch of flags, which it passes over.
struct Item {
    text: String,
    is_switch: bool,
    /// How many copies of its innermost part the repetitions in it ask for.
    copies: u32,
}

/// A group that is open; the outermost is the expression itself.
struct Group {
    /// Alternatives before the current one, each with its `|`.
    alternatives: String,
    items: Vec<Item>,
    copies: u32,
    /// Of what surrounds it.
    flags: Flags,
}

struct Translator<'a> {
    whole: &'a str,
    rest: &'a str,
    flags: Flags,
    outer: Vec<Group>,
    group: Group,
}

/// The pattern that means what `source` does.
pub(super) fn translate(source: &str) -> Result<String, RegexError> {
    let mut translator = Translator {
        whole: source,
        rest: source,
        flags: Flags::default(),
        outer: Vec::new(),
        group: Group::new(Flags::default()),
    };
    translator.run()?;
    if !translator.outer.is_empty() {
        return Err(error("missing closing )", source));
    }
    Ok(translator.group.close().0)
}

fn error(what: &'static str, part: &str) -> RegexError {
    RegexError { what, part: part.to_string() }
}

impl Group {
    fn new(flags: Flags) -> Group {
        Group { alternatives: String::new(), items: Vec::new(), copies: 1, flags }
    }

    /// Ends an alternative.
    fn flush(&mut self) {
        for item in self.items.drain(..) {
            self.alternatives.push_str(&item.text);
            self.copies = self.copies.max(item.copies);
        }
    }

    /// What is in the group, and its copies.
    fn close(mut self) -> (String, u32) {
        self.flush();
        (self.alternatives, self.copies)
    }
}

impl<'a> Translator<'a> {
    fn run(&mut self) -> Result<(), RegexError> {
        // The repetition that was read last, if nothing came after it.
        let mut repetition: Option<&'a str> = None;
        while let Some(first) = self.rest.chars().next() {
            let before = self.rest;
            let last = repetition.take();
            match first {
                '(' if before.starts_with("(?") => self.perl_group()?,
                '(' => {
                    self.rest = &before[1..];
                    self.open(self.flags);
                }
                ')' => self.close_group()?,
                '|' => {
                    self.rest = &before[1..];
                    self.group.flush();
                    self.group.alternatives.push('|');
                }
                '^' | '$' | '.' => {
                    self.rest = &before[1..];
                    self.push(first.to_string());
                }
                '[' => {
                    let class = self.class()?;
                    self.push(class);
                }
                '*' | '+' | '?' => {
                    self.rest = &before[1..];
                    self.repeat(before, last, None)?;
                    repetition = Some(last.unwrap_or(before));
                }
                '{' => match counts(before) {
                    Some((_, _, after)) => {
                        self.rest = after;
                        self.counted(before, last)?;
                        repetition = Some(last.unwrap_or(before));
                    }
                    None => self.literal(),
                },
                '\\' => self.escape()?,
                _ => self.literal(),
            }
        }
        Ok(())
    }

    fn push(&mut self, text: String) {
        self.group.items.push(Item { text, is_switch: false, copies: 1 });
    }

    /// Takes the next character as itself.
    fn literal(&mut self) {
        let mut chars = self.rest.chars();
        if let Some(c) = chars.next() {
            self.rest = chars.as_str();
            self.push(code_point(c));
        }
    }

    /// `\…` outside a class.
    fn escape(&mut self) -> Result<(), RegexError> {
        let rest = self.rest;
        let short = &rest[..rest.len().min(2)];
        let text = match rest[1..].chars().next() {
            Some('A') => "\\A",
            Some('z') => "\\z",
            Some('b') => "(?-u:\\b)",
            Some('B') => "(?-u:\\B)",
            Some('C') => return Err(error("invalid escape sequence", short)),
            Some('Q') => {
                let (quoted, after) = rest[2..].split_once("\\E").unwrap_or((&rest[2..], ""));
                self.rest = after;
                quoted.chars().for_each(|c| self.push(code_point(c)));
                return Ok(());
            }
            _ => {
                let class = match self.class_escape()? {
                    Some(class) => class,
                    None => self.character_escape()?.map_or_else(|| NOTHING.to_string(), code_point),
                };
                self.push(class);
                return Ok(());
            }
        };
        self.rest = &rest[2..];
        self.push(text.to_string());
        Ok(())
    }

    /// `\pN`, `\p{Greek}`, `\d` and the like, as a class.
    fn class_escape(&mut self) -> Result<Option<String>, RegexError> {
        let rest = self.rest;
        let class = match rest.get(1..2) {
            Some("d") => "[0-9]",
            Some("D") => "[^0-9]",
            Some("s") => "[\\t\\n\\f\\r\\x20]",
            Some("S") => "[^\\t\\n\\f\\r\\x20]",
            Some("w") => "[0-9A-Za-z_]",
            Some("W") => "[^0-9A-Za-z_]",
            Some("p" | "P") => return self.unicode_class().map(Some),
            _ => return Ok(None),
        };
        self.rest = &rest[2..];
        Ok(Some(class.to_string()))
    }

    /// `\pN`, `\p{name}`, `\p{^name}`, and with `P` the opposite.
    fn unicode_class(&mut self) -> Result<String, RegexError> {
        let rest = self.rest;
        let mut negated = rest.starts_with("\\P");
        let (name, length) = match rest[2..].chars().next() {
            Some('{') => {
                let end = rest.find('}').ok_or_else(|| error("invalid character class range", rest))?;
                (&rest[3..end], end + 1)
            }
            letter => (&rest[2..2 + letter.map_or(0, char::len_utf8)], 2 + letter.map_or(0, char::len_utf8)),
        };
        let written = &rest[..length];
        self.rest = &rest[length..];
        let plain = name.strip_prefix('^').inspect(|_| negated = !negated).unwrap_or(name);
        let class = format!("\\{}{{{plain}}}", if negated { 'P' } else { 'p' });
        let is_name = !plain.is_empty() && plain.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
        if is_name && ::regex::Regex::new(&class).is_ok() {
            Ok(class)
        } else {
            Err(error("invalid character class range", written))
        }
    }

    /// `\n`, `\x41`, `\.` and the like; nothing for a number that is no character.
    fn character_escape(&mut self) -> Result<Option<char>, RegexError> {
        let written = self.rest;
        let mut chars = written[1..].chars();
        let Some(first) = chars.next() else {
            return Err(error("trailing backslash at end of expression", ""));
        };
        let number = match first {
            '0'..='7' => octal(first, &mut chars),
            'x' => hexadecimal(&mut chars),
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        self.rest = chars.as_str();
        let taken = &written[..written.len() - self.rest.len()];
        number.map(char::from_u32).ok_or_else(|| error("invalid escape sequence", taken))
    }

    /// `[…]`
    fn class(&mut self) -> Result<String, RegexError> {
        let whole = self.rest;
        self.rest = &whole[1..];
        let mut class = String::from("[");
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
            class.push('^');
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.rest.starts_with("[:")
                && let Some(named) = self.named_class()?
            {
                class.push_str(named);
            } else if let Some(escape) = self.class_escape()? {
                class.push_str(&escape);
            } else {
                self.range(whole, &mut class)?;
            }
        }
        self.rest = &self.rest[1..];
        class.push(']');
        Ok(class)
    }

    /// A character or a range of them, within `[…]`.
    fn range(&mut self, whole: &'a str, class: &mut String) -> Result<(), RegexError> {
        let written = self.rest;
        let low = self.class_character(whole)?;
        let mut high = low;
        if self.rest.len() >= 2 && self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.rest = &self.rest[1..];
            high = self.class_character(whole)?;
            if high < low {
                let range = &written[..written.len() - self.rest.len()];
                return Err(error("invalid character class range", range));
            }
        }
        // Numbers that are no characters (surrogates) are left out.
        let low = char::from_u32(low).unwrap_or('\u{e000}');
        let high = char::from_u32(high).unwrap_or('\u{d7ff}');
        if low <= high {
            write!(class, "\\x{{{:X}}}-\\x{{{:X}}}", u32::from(low), u32::from(high))
                .expect("writing to a string does not fail");
        } else {
            class.push_str(NOTHING);
        }
        Ok(())
    }

    fn class_character(&mut self, whole: &'a str) -> Result<u32, RegexError> {
        let mut chars = self.rest.chars();
        match chars.next() {
            None => Err(error("missing closing ]", whole)),
            Some('\\') => Ok(self.character_escape()?.map_or(0xd800, u32::from)),
            Some(c) => {
                self.rest = chars.as_str();
                Ok(u32::from(c))
            }
        }
    }

    /// `[:name:]` within `[…]`, unless it does not end.
    fn named_class(&mut self) -> Result<Option<&'a str>, RegexError> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
            "word", "xdigit",
        ];
        let rest = self.rest;
        let Some(end) = rest[2..].find(":]") else { return Ok(None) };
        let written = &rest[..end + 4];
        let name = &rest[2..end + 2];
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(error("invalid character class range", written));
        }
        self.rest = &rest[end + 4..];
        Ok(Some(written))
    }

    /// `(?P<name>`, `(?flags)`, `(?flags:`.
    fn perl_group(&mut self) -> Result<(), RegexError> {
        let written = self.rest;
        let name = written.strip_prefix("(?P<").filter(|name| !name.is_empty());
        if let Some(name) = name.or_else(|| written.strip_prefix("(?<").filter(|name| !name.is_empty())) {
            let end = name.find('>').ok_or_else(|| error("invalid named capture", written))?;
            let (name, rest) = (&name[..end], &name[end + 1..]);
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let capture = &written[..written.len() - rest.len()];
                return Err(error("invalid named capture", capture));
            }
            self.rest = rest;
            self.open(self.flags);
            return Ok(());
        }
        let mut flags = self.flags;
        let mut on = true;
        let mut chars = written[2..].chars();
        while let Some(c) = chars.next() {
            match c {
                'i' => flags.fold_case = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_all = on,
                'U' => flags.swap_greed = on,
                '-' if on => on = false,
                ':' | ')' if on || flag_before(written, chars.as_str()) => {
                    self.rest = chars.as_str();
                    if c == ':' {
                        self.open(self.flags);
                    }
                    self.switch(flags);
                    return Ok(());
                }
                _ => break,
            }
        }
        let taken = &written[..written.len() - chars.as_str().len()];
        Err(error("invalid or unsupported Perl syntax", taken))
    }

    /// Opens a group; `flags` hold again after it.
    fn open(&mut self, flags: Flags) {
        let outer = std::mem::replace(&mut self.group, Group::new(flags));
        self.outer.push(outer);
    }

    fn close_group(&mut self) -> Result<(), RegexError> {
        let Some(outer) = self.outer.pop() else { return Err(error("unexpected )", self.whole)) };
        self.rest = &self.rest[1..];
        let group = std::mem::replace(&mut self.group, outer);
        self.flags = group.flags;
        let (inner, copies) = group.close();
        self.group.items.push(Item { text: format!("(?:{inner})"), is_switch: false, copies });
        Ok(())
    }

    /// From here on `flags` hold.
    fn switch(&mut self, flags: Flags) {
        self.flags = flags;
        let letters = |on: bool| {
            let all = [('i', flags.fold_case), ('m', flags.multi_line), ('s', flags.dot_all), ('U', flags.swap_greed)];
            all.into_iter().filter(|(_, is_on)| *is_on == on).map(|(letter, _)| letter).collect::<String>()
        };
        let (on, off) = (letters(true), letters(false));
        let text = if off.is_empty() { format!("(?{on})") } else { format!("(?{on}-{off})") };
        self.group.items.push(Item { text, is_switch: true, copies: 1 });
    }

    /// `{n}`, `{n,}`, `{n,m}`; `before` begins with it.
    fn counted(&mut self, before: &'a str, last: Option<&'a str>) -> Result<(), RegexError> {
        let Some((least, most, after)) = counts(before) else { return Ok(()) };
        let written = &before[..before.len() - after.len()];
        let too_many = least > REPEAT_MAX || most.is_some_and(|most| most > REPEAT_MAX || most < least);
        if too_many {
            return Err(error("invalid repeat count", written));
        }
        self.repeat(before, last, Some((least, most)))
    }

    /// Repeats the last item. `before` is the text from the operator on, `rest` stands behind the operator.
    fn repeat(
        &mut self,
        before: &'a str,
        last: Option<&'a str>,
        counts: Option<(u32, Option<u32>)>,
    ) -> Result<(), RegexError> {
        let operator = &before[..before.len() - self.rest.len()];
        let lazy = self.rest.starts_with('?');
        if lazy {
            self.rest = &self.rest[1..];
        }
        if let Some(last) = last {
            let both = &last[..last.len() - self.rest.len()];
            return Err(error("invalid nested repetition operator", both));
        }
        let written = &before[..before.len() - self.rest.len()];
        let Some(item) = self.group.items.iter_mut().rev().find(|item| !item.is_switch) else {
            return Err(error("missing argument to repetition operator", written));
        };
        if let Some((least, most)) = counts {
            item.copies = match most.unwrap_or(least) {
                0 if most.is_some() => 1,
                0 => item.copies,
                times => times.saturating_mul(item.copies),
            };
            if item.copies > REPEAT_MAX && (least >= 2 || most.is_some_and(|most| most >= 2)) {
                return Err(error("invalid repeat count", written));
            }
        }
        item.text = format!("(?:{}){operator}{}", item.text, if lazy { "?" } else { "" });
        Ok(())
    }
}

/// A class without characters.
const NOTHING: &str = "[^\\x{0}-\\x{10FFFF}]";

/// Whether a flag was written behind the `-` of `(?…-…`, of which `rest` is what follows the `:` or `)`.
fn flag_before(written: &str, rest: &str) -> bool {
    let flags = &written[..written.len() - rest.len() - 1];
    !flags.ends_with('-')
}

/// A character as itself, in a form that is no operator anywhere.
fn code_point(c: char) -> String {
    if c.is_ascii_alphanumeric() || !c.is_ascii() { c.to_string() } else { format!("\\x{{{:X}}}", u32::from(c)) }
}

/// The counts of `{n}`, `{n,}`, `{n,m}` and what follows it; nothing if `text` does not begin with one.
fn counts(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let (least, rest) = count(text.strip_prefix('{')?)?;
    let (most, rest) = match rest.strip_prefix(',') {
        None => (Some(least), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (most, rest) = count(rest)?;
            (Some(most), rest)
        }
    };
    Some((least, most, rest.strip_prefix('}')?))
}

/// Digits without zeros in front; a number that does not fit is too large anyway.
fn count(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}

/// Up to three octal digits, of which `first` is one. A single one that is not zero would be a reference.
fn octal(first: char, chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut number = first.to_digit(8)?;
    let mut digits = 1;
    while digits < 3
        && let Some(digit) = chars.clone().next().and_then(|c| c.to_digit(8))
    {
        chars.next();
        number = number * 8 + digit;
        digits += 1;
    }
    (digits > 1 || first == '0').then_some(number)
}

/// What follows `\x`: two digits, or any number of them in braces.
fn hexadecimal(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let first = chars.next()?;
    if first != '{' {
        let second = chars.next()?;
        return Some(first.to_digit(16)? * 16 + second.to_digit(16)?);
    }
    let mut number = None;
    loop {
        match chars.next()? {
            '}' => return number,
            digit => {
                let next = number.unwrap_or(0) * 16 + digit.to_digit(16)?;
                number = Some(next).filter(|next| *next <= 0x10_ffff);
                number?;
            }
        }
    }
}
