//! Tokens of InfluxQL, and where they stand.

use std::fmt;

/// Line and character of a token, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub char: usize,
}

impl Position {
    pub const START: Position = Position { line: 1, char: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, char {}", self.line, self.char)
    }
}

/// A token and the place that error messages name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexeme {
    pub token: Token,
    pub at: Position,
}

/// The smallest piece of InfluxQL. Quotes and escapes are gone; numbers are still text, because how large one may be
/// depends on where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Eof,
    /// Blanks, tabs and line ends; a carriage return reads as a line end.
    Whitespace(String),
    Comment,
    UnterminatedComment,
    /// A character that begins no token.
    Illegal(char),

    Ident(String),
    Keyword(Keyword),
    /// The name after `$`.
    BoundParam(String),
    /// What stands for `$name` when the request bound something to it that is no literal: why.
    UnusableParam(String),
    String(String),
    /// `'…` or `"…` that does not end on its line: what there is of it.
    BadString(String),
    /// A backslash before a character that needs none: the two of them.
    BadEscape(String),
    /// Digits with a point.
    Number(String),
    /// Digits.
    Integer(String),
    /// Digits and letters, such as `1h30m`. Whether it is a duration is not looked at yet.
    Duration(String),
    Regex(String),
    /// `/…` that does not end on its line.
    BadRegex,

    Add,
    Sub,
    Mul,
    Div,
    Mod,
    BitAnd,
    BitOr,
    BitXor,
    Eq,
    NotEq,
    EqRegex,
    NotEqRegex,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    LeftParen,
    RightParen,
    Comma,
    Colon,
    DoubleColon,
    Semicolon,
    Dot,
}

/// The token as error messages quote it: literals without quotes, an empty one by the name of its kind, keywords in
/// capitals.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let literal =
            |f: &mut fmt::Formatter<'_>, text: &str, kind| f.write_str(if text.is_empty() { kind } else { text });
        match self {
            Token::Eof => f.write_str("EOF"),
            Token::Whitespace(text) => f.write_str(text),
            // The server has no name for it.
            Token::Comment => Ok(()),
            Token::UnterminatedComment => f.write_str("ILLEGAL"),
            Token::Illegal(c) => write!(f, "{c}"),

            Token::Ident(name) => literal(f, name, "IDENT"),
            Token::Keyword(keyword) => f.write_str(keyword.as_str()),
            Token::BoundParam(name) => write!(f, "${name}"),
            Token::UnusableParam(why) => f.write_str(why),
            Token::String(text) => literal(f, text, "STRING"),
            Token::BadString(text) => literal(f, text, "BADSTRING"),
            Token::BadEscape(text) => literal(f, text, "BADESCAPE"),
            Token::Number(text) => literal(f, text, "NUMBER"),
            Token::Integer(text) => f.write_str(text),
            Token::Duration(text) => literal(f, text, "DURATIONVAL"),
            Token::Regex(text) => literal(f, text, "REGEX"),
            Token::BadRegex => f.write_str("BADREGEX"),

            Token::Add => f.write_str("+"),
            Token::Sub => f.write_str("-"),
            Token::Mul => f.write_str("*"),
            Token::Div => f.write_str("/"),
            Token::Mod => f.write_str("%"),
            Token::BitAnd => f.write_str("&"),
            Token::BitOr => f.write_str("|"),
            Token::BitXor => f.write_str("^"),
            Token::Eq => f.write_str("="),
            Token::NotEq => f.write_str("!="),
            Token::EqRegex => f.write_str("=~"),
            Token::NotEqRegex => f.write_str("!~"),
            Token::Less => f.write_str("<"),
            Token::LessEq => f.write_str("<="),
            Token::Greater => f.write_str(">"),
            Token::GreaterEq => f.write_str(">="),
            Token::LeftParen => f.write_str("("),
            Token::RightParen => f.write_str(")"),
            Token::Comma => f.write_str(","),
            Token::Colon => f.write_str(":"),
            Token::DoubleColon => f.write_str("::"),
            Token::Semicolon => f.write_str(";"),
            Token::Dot => f.write_str("."),
        }
    }
}

/// Writes the words once: each becomes a variant, its spelling, and an entry in the list of all.
macro_rules! keywords {
    ($($variant:ident = $word:literal,)*) => {
        /// A word that is no identifier unless it is quoted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Keyword { $($variant,)* }

        impl Keyword {
            pub const ALL: &[Keyword] = &[$(Keyword::$variant,)*];

            /// The word in capitals.
            pub fn as_str(self) -> &'static str {
                match self { $(Keyword::$variant => $word,)* }
            }
        }
    };
}

keywords! {
    All = "ALL",
    Alter = "ALTER",
    Analyze = "ANALYZE",
    And = "AND",
    Any = "ANY",
    As = "AS",
    Asc = "ASC",
    Begin = "BEGIN",
    By = "BY",
    Cardinality = "CARDINALITY",
    Continuous = "CONTINUOUS",
    Create = "CREATE",
    Database = "DATABASE",
    Databases = "DATABASES",
    Default = "DEFAULT",
    Delete = "DELETE",
    Desc = "DESC",
    Destinations = "DESTINATIONS",
    Diagnostics = "DIAGNOSTICS",
    Distinct = "DISTINCT",
    Drop = "DROP",
    Duration = "DURATION",
    End = "END",
    Every = "EVERY",
    Exact = "EXACT",
    Explain = "EXPLAIN",
    False = "FALSE",
    Field = "FIELD",
    For = "FOR",
    From = "FROM",
    Grant = "GRANT",
    Grants = "GRANTS",
    Group = "GROUP",
    Groups = "GROUPS",
    In = "IN",
    Inf = "INF",
    Insert = "INSERT",
    Into = "INTO",
    Key = "KEY",
    Keys = "KEYS",
    Kill = "KILL",
    Limit = "LIMIT",
    Measurement = "MEASUREMENT",
    Measurements = "MEASUREMENTS",
    Name = "NAME",
    Offset = "OFFSET",
    On = "ON",
    Or = "OR",
    Order = "ORDER",
    Password = "PASSWORD",
    Policies = "POLICIES",
    Policy = "POLICY",
    Privileges = "PRIVILEGES",
    Queries = "QUERIES",
    Query = "QUERY",
    Read = "READ",
    Replication = "REPLICATION",
    Resample = "RESAMPLE",
    Retention = "RETENTION",
    Revoke = "REVOKE",
    Select = "SELECT",
    Series = "SERIES",
    Set = "SET",
    Shard = "SHARD",
    Shards = "SHARDS",
    Show = "SHOW",
    Slimit = "SLIMIT",
    Soffset = "SOFFSET",
    Stats = "STATS",
    Subscription = "SUBSCRIPTION",
    Subscriptions = "SUBSCRIPTIONS",
    Tag = "TAG",
    To = "TO",
    True = "TRUE",
    User = "USER",
    Users = "USERS",
    Values = "VALUES",
    Where = "WHERE",
    With = "WITH",
    Write = "WRITE",
}

impl Keyword {
    /// The keyword that `word` spells, in any mixture of cases.
    pub fn of(word: &str) -> Option<Keyword> {
        Keyword::ALL.iter().copied().find(|keyword| keyword.as_str().eq_ignore_ascii_case(word))
    }
}
