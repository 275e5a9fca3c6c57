//! Expressions of `/api/query/exp`: arithmetic and logic over names, a small part of JEXL's language.
//!
//! `+ - * / %`, comparisons, `&& || !` and their words, `a ? b : c`, parentheses, numbers. Everything is a float; what is true
//! is 1, and a number is true unless it is 0 or NaN.

use std::collections::BTreeSet;

use super::super::error::OpentsdbError;

/// Parentheses and operators inside each other.
const DEPTH_MAX: usize = 64;
/// Longest expression, bytes.
const BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub struct Formula(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(f64),
    Name(String),
    Negative(Box<Node>),
    Not(Box<Node>),
    Pair(Operator, Box<Node>, Box<Node>),
    Choice(Box<(Node, Node, Node)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// The higher, the tighter.
    fn binding(self) -> u8 {
        match self {
            Operator::Or => 1,
            Operator::And => 2,
            Operator::Equal | Operator::Unequal => 3,
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => 4,
            Operator::Add | Operator::Subtract => 5,
            Operator::Multiply | Operator::Divide | Operator::Remainder => 6,
        }
    }

    fn apply(self, a: f64, b: f64) -> f64 {
        let truth = |truth: bool| f64::from(u8::from(truth));
        match self {
            Operator::Or => truth(is_true(a) || is_true(b)),
            Operator::And => truth(is_true(a) && is_true(b)),
            Operator::Equal => truth(a == b),
            Operator::Unequal => truth(a != b),
            Operator::Less => truth(a < b),
            Operator::LessOrEqual => truth(a <= b),
            Operator::Greater => truth(a > b),
            Operator::GreaterOrEqual => truth(a >= b),
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            // A division by zero gives 0 there too.
            Operator::Divide if b == 0.0 => 0.0,
            Operator::Divide => a / b,
            Operator::Remainder if b == 0.0 => 0.0,
            Operator::Remainder => a % b,
        }
    }
}

fn is_true(value: f64) -> bool {
    value != 0.0 && !value.is_nan()
}

impl Formula {
    pub fn parse(text: &str) -> Result<Formula, OpentsdbError> {
        let invalid = || OpentsdbError::Refused(format!("unable to parse the expression: {text}"));
        if text.len() > BYTES_MAX {
            return Err(OpentsdbError::Refused(format!("an expression may have {BYTES_MAX} bytes")));
        }
        let tokens = tokens(text).ok_or_else(invalid)?;
        let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
        let node = parser.choice().ok_or_else(invalid)?;
        if parser.at < tokens.len() { Err(invalid()) } else { Ok(Formula(node)) }
    }

    /// The names it speaks of.
    pub fn names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.0.names(&mut names);
        names
    }

    /// Its value, from the values of its names.
    pub fn value(&self, of: &dyn Fn(&str) -> f64) -> f64 {
        self.0.value(of)
    }
}

impl Node {
    fn names<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        match self {
            Node::Number(_) => {}
            Node::Name(name) => {
                names.insert(name);
            }
            Node::Negative(inner) | Node::Not(inner) => inner.names(names),
            Node::Pair(_, a, b) => {
                a.names(names);
                b.names(names);
            }
            Node::Choice(parts) => {
                parts.0.names(names);
                parts.1.names(names);
                parts.2.names(names);
            }
        }
    }

    fn value(&self, of: &dyn Fn(&str) -> f64) -> f64 {
        match self {
            Node::Number(number) => *number,
            Node::Name(name) => of(name),
            Node::Negative(inner) => -inner.value(of),
            Node::Not(inner) => f64::from(u8::from(!is_true(inner.value(of)))),
            Node::Pair(operator, a, b) => operator.apply(a.value(of), b.value(of)),
            Node::Choice(parts) if is_true(parts.0.value(of)) => parts.1.value(of),
            Node::Choice(parts) => parts.2.value(of),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Operator(Operator),
    Not,
    Open,
    Close,
    Question,
    Colon,
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first.is_ascii_digit() || first == '.' {
            number(rest)?
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(rest.len());
            (word(&rest[..length]), length)
        } else {
            symbol(rest)?
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

fn number(text: &str) -> Option<(Token, usize)> {
    let bytes = text.as_bytes();
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        let after_exponent = length > 0 && matches!(bytes[length - 1], b'e' | b'E');
        let belongs = byte.is_ascii_digit()
            || matches!(byte, b'.' | b'e' | b'E')
            || (after_exponent && matches!(byte, b'+' | b'-'));
        if !belongs {
            break;
        }
        length += 1;
    }
    text[..length].parse().ok().map(|number| (Token::Number(number), length))
}

fn word(word: &str) -> Token {
    match word {
        "and" => Token::Operator(Operator::And),
        "or" => Token::Operator(Operator::Or),
        "not" => Token::Not,
        "eq" => Token::Operator(Operator::Equal),
        "ne" => Token::Operator(Operator::Unequal),
        "lt" => Token::Operator(Operator::Less),
        "le" => Token::Operator(Operator::LessOrEqual),
        "gt" => Token::Operator(Operator::Greater),
        "ge" => Token::Operator(Operator::GreaterOrEqual),
        "div" => Token::Operator(Operator::Divide),
        "mod" => Token::Operator(Operator::Remainder),
        "true" => Token::Number(1.0),
        "false" => Token::Number(0.0),
        name => Token::Name(name.to_string()),
    }
}

fn symbol(text: &str) -> Option<(Token, usize)> {
    const SYMBOLS: [(&str, Token); 18] = [
        ("&&", Token::Operator(Operator::And)),
        ("||", Token::Operator(Operator::Or)),
        ("==", Token::Operator(Operator::Equal)),
        ("!=", Token::Operator(Operator::Unequal)),
        ("<=", Token::Operator(Operator::LessOrEqual)),
        (">=", Token::Operator(Operator::GreaterOrEqual)),
        ("<", Token::Operator(Operator::Less)),
        (">", Token::Operator(Operator::Greater)),
        ("+", Token::Operator(Operator::Add)),
        ("-", Token::Operator(Operator::Subtract)),
        ("*", Token::Operator(Operator::Multiply)),
        ("/", Token::Operator(Operator::Divide)),
        ("%", Token::Operator(Operator::Remainder)),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        ("?", Token::Question),
        (":", Token::Colon),
    ];
    SYMBOLS.into_iter().find(|(symbol, _)| text.starts_with(symbol)).map(|(symbol, token)| (token, symbol.len()))
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn take(&mut self, wanted: &Token) -> bool {
        let is_it = self.tokens.get(self.at) == Some(wanted);
        self.at += usize::from(is_it);
        is_it
    }

    fn choice(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let condition = self.pair(1)?;
        let node = if self.take(&Token::Question) {
            let yes = self.choice()?;
            if !self.take(&Token::Colon) {
                return None;
            }
            Node::Choice(Box::new((condition, yes, self.choice()?)))
        } else {
            condition
        };
        self.depth -= 1;
        Some(node)
    }

    /// Operators that bind at least so tightly; a chain of them is as deep as it is long, and as bounded.
    fn pair(&mut self, binding: u8) -> Option<Node> {
        let mut left = self.single()?;
        let mut links = 0;
        while let Some(Token::Operator(operator)) = self.tokens.get(self.at) {
            if operator.binding() < binding {
                break;
            }
            links += 1;
            if links > DEPTH_MAX {
                return None;
            }
            self.at += 1;
            let right = self.pair(operator.binding() + 1)?;
            left = Node::Pair(*operator, Box::new(left), Box::new(right));
        }
        Some(left)
    }

    fn single(&mut self) -> Option<Node> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        match token {
            Token::Number(number) => Some(Node::Number(*number)),
            Token::Name(name) => Some(Node::Name(name.clone())),
            Token::Open => {
                let inside = self.choice()?;
                self.take(&Token::Close).then_some(inside)
            }
            Token::Not | Token::Operator(Operator::Subtract | Operator::Add) => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return None;
                }
                let inner = self.single()?;
                self.depth -= 1;
                Some(match token {
                    Token::Not => Node::Not(Box::new(inner)),
                    Token::Operator(Operator::Subtract) => Node::Negative(Box::new(inner)),
                    _ => inner,
                })
            }
            Token::Operator(_) | Token::Close | Token::Question | Token::Colon => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn operators_bind_as_usual() {
        let check = |text: &str, expected: f64| {
            let of = |name: &str| if name == "a" { 6.0 } else { 4.0 };
            let found = Formula::parse(text).expect(text).value(&of);
            assert_eq!(found, expected, "{text}");
        };
        check("a + b * 2", 14.0);
        check("(a + b) * 2", 20.0);
        check("a - b - 1", 1.0);
        check("-a + 1.5e1", 9.0);
        check("a / 0", 0.0);
        check("a % b", 2.0);
        check("a > b && b >= 4", 1.0);
        check("a < b || !b", 0.0);
        check("a gt b ? a : b", 6.0);
        check("a == 1 ? 2 : b == 4 ? 3 : 5", 3.0);
        check("not a or 1 eq 1", 1.0);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["", "a +", "(a", "a b", "a $ b", "1.2.3", "? a : b", &"(".repeat(1000), &"-".repeat(1000)] {
            assert!(Formula::parse(text).is_err(), "{text}");
        }
        assert_eq!(Formula::parse("a + b.c * a").expect("a formula").names(), BTreeSet::from(["a", "b.c"]));
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "[a-c0-9.+*/()?:!<>=&| -]{0,40}") {
            if let Ok(formula) = Formula::parse(&text) {
                formula.value(&|_| 1.0);
            }
        }
    }
}
