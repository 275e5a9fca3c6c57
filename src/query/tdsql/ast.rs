//! Statements as they are written. Names are folded already; nothing here knows whether what it names exists.

use crate::model::DeclaredType;

use super::time::Duration;

/// A table's name, perhaps with its database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    pub database: Option<String>,
    pub table: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    Query(Box<Query>),
    /// The plan of a query, as text.
    Explain {
        query: Box<Query>,
        run: bool,
    },
    Insert(Insert),
    Delete(Delete),
    CreateDatabase(CreateDatabase),
    AlterDatabase {
        name: String,
        options: Vec<DatabaseOption>,
    },
    DropDatabase {
        name: String,
        if_exists: bool,
    },
    Use(String),
    CreateTable(CreateTable),
    CreateSeries(Vec<CreateSeries>),
    AlterTable {
        table: TableName,
        change: TableChange,
    },
    DropTables {
        tables: Vec<(TableName, bool)>,
        supers_only: bool,
    },
    Describe(TableName),
    Show(Show),
    CreateUser {
        name: String,
        password: String,
    },
    AlterUser {
        name: String,
        password: Option<String>,
    },
    DropUser(String),
    /// Taken and without effect here.
    Grant,
    /// Flushes, balances and the like: what a server does for itself.
    Maintenance,
}

/// Selects, one or several put together.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub body: QueryBody,
    pub order: Vec<OrderItem>,
    pub series_limit: Option<Limit>,
    pub limit: Option<Limit>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum QueryBody {
    Select(Box<Select>),
    Union { left: Box<QueryBody>, right: Box<QueryBody>, all: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub count: u64,
    pub offset: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OrderItem {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: Option<bool>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    pub distinct: bool,
    /// `SELECT TAGS`: a row for each series.
    pub tags: bool,
    pub items: Vec<SelectItem>,
    pub from: Option<Source>,
    pub condition: Option<Expr>,
    pub partition: Vec<SelectItem>,
    pub range: Option<Range>,
    pub every: Option<Duration>,
    pub window: Option<Window>,
    pub fill: Option<Fill>,
    pub group: Vec<SelectItem>,
    pub having: Option<Expr>,
}

/// An expression of a list, and what its column is called.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectItem {
    pub expr: Expr,
    pub alias: Option<String>,
    /// The expression as it was written, folded: the column's name when it has no alias.
    pub text: String,
}

impl SelectItem {
    pub fn name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.text)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    Table { name: TableName, alias: Option<String> },
    Query { query: Box<Query>, alias: Option<String> },
    Join(Box<Join>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    pub left: Source,
    pub right: Source,
    pub kind: JoinKind,
    pub on: Option<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// A comma: the condition is in WHERE.
    Cross,
    Inner,
    Left,
    Right,
    Full,
    LeftSemi,
    RightSemi,
    LeftAnti,
    RightAnti,
    LeftAsof,
    RightAsof,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    pub from: Expr,
    pub to: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Window {
    Interval { every: Duration, offset: Option<Duration>, auto: bool, sliding: Option<Duration> },
    Session { column: Expr, gap: Duration },
    State { expr: Expr, at_least: Option<Duration> },
    Event { start: Expr, end: Expr, at_least: Option<Duration> },
    Count { rows: u64, sliding: Option<u64> },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    pub mode: FillMode,
    pub values: Vec<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FillMode {
    None,
    Null,
    /// Rows even where there are none at all.
    NullForced,
    Value,
    ValueForced,
    Previous,
    Next,
    Linear,
    Near,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Null,
    Bool(bool),
    /// Digits as written.
    Number(String),
    Text(String),
    Duration(Duration),
    Column {
        table: Option<String>,
        name: String,
    },
    Star {
        table: Option<String>,
    },
    Call {
        name: String,
        args: Vec<Expr>,
    },
    Cast {
        expr: Box<Expr>,
        to: DeclaredType,
    },
    Negative(Box<Expr>),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Binary {
        op: BinaryOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Between {
        expr: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    In {
        expr: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    Like {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        negated: bool,
    },
    Match {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        negated: bool,
    },
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    /// `json -> 'key'`
    Member {
        expr: Box<Expr>,
        key: String,
    },
    /// `json CONTAINS 'key'`
    Contains {
        expr: Box<Expr>,
        key: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    BitAnd,
    BitOr,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl BinaryOp {
    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    /// What says the same with its sides exchanged.
    pub fn mirrored(self) -> BinaryOp {
        use BinaryOp::*;
        match self {
            Less => Greater,
            LessEqual => GreaterEqual,
            Greater => Less,
            GreaterEqual => LessEqual,
            other => other,
        }
    }
}

impl Expr {
    /// The parts directly below.
    pub fn parts(&self) -> Vec<&Expr> {
        match self {
            Expr::Null
            | Expr::Bool(_)
            | Expr::Number(_)
            | Expr::Text(_)
            | Expr::Duration(_)
            | Expr::Column { .. }
            | Expr::Star { .. } => Vec::new(),
            Expr::Call { args, .. } => args.iter().collect(),
            Expr::Cast { expr, .. }
            | Expr::Negative(expr)
            | Expr::Not(expr)
            | Expr::IsNull { expr, .. }
            | Expr::Member { expr, .. }
            | Expr::Contains { expr, .. } => vec![expr],
            Expr::And(terms) | Expr::Or(terms) => terms.iter().collect(),
            Expr::Binary { left, right, .. } => vec![left, right],
            Expr::Between { expr, low, high, .. } => vec![expr, low, high],
            Expr::In { expr, list, .. } => std::iter::once(&**expr).chain(list).collect(),
            Expr::Like { expr, pattern, .. } | Expr::Match { expr, pattern, .. } => vec![expr, pattern],
            Expr::Case { operand, branches, otherwise } => {
                let operand = operand.iter().map(|e| &**e);
                let branches = branches.iter().flat_map(|(when, then)| [when, then]);
                operand.chain(branches).chain(otherwise.iter().map(|e| &**e)).collect()
            }
        }
    }

    /// Whether `wanted` holds for it or for a part of it.
    pub fn any(&self, wanted: &mut dyn FnMut(&Expr) -> bool) -> bool {
        wanted(self) || self.parts().into_iter().any(|part| part.any(wanted))
    }

    /// How many expressions it is made of, itself included.
    pub(super) fn size(&self) -> usize {
        let mut size = 0;
        self.any(&mut |_| {
            size += 1;
            false
        });
        size
    }

    pub fn column(name: &str) -> Expr {
        Expr::Column { table: None, name: name.to_string() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Insert {
    pub parts: Vec<InsertPart>,
}

/// The rows for one table.
#[derive(Debug, Clone, PartialEq)]
pub struct InsertPart {
    pub table: TableName,
    pub using: Option<Using>,
    pub columns: Option<Vec<String>>,
    pub rows: InsertRows,
}

#[derive(Debug, Clone, PartialEq)]
pub enum InsertRows {
    Values(Vec<Vec<InsertValue>>),
    Query(Box<Query>),
}

/// The table with the tags of a series that is made when it is missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Using {
    pub table: TableName,
    pub tag_names: Option<Vec<String>>,
    pub tags: Vec<InsertValue>,
}

/// A value of an INSERT: a literal, or a moment and durations added to it.
#[derive(Debug, Clone, PartialEq)]
pub enum InsertValue {
    Null,
    Bool(bool),
    /// With its sign.
    Number(String),
    Text(String),
    Moment {
        base: MomentBase,
        shifts: Vec<(i64, Duration)>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum MomentBase {
    Now,
    Today,
    /// A number in the database's unit.
    Number(i64),
    Text(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    pub table: TableName,
    pub condition: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateDatabase {
    pub name: String,
    pub if_not_exists: bool,
    pub options: Vec<DatabaseOption>,
}

/// An option and its values, as written.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseOption {
    pub name: String,
    pub values: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDefinition {
    pub name: String,
    pub kind: DeclaredType,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateTable {
    pub table: TableName,
    pub if_not_exists: bool,
    /// Written `CREATE STABLE`.
    pub stable: bool,
    pub columns: Vec<ColumnDefinition>,
    /// `None`: a table without series of its own.
    pub tags: Option<Vec<ColumnDefinition>>,
    pub options: TableOptions,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableOptions {
    pub comment: Option<String>,
    pub ttl_days: Option<u32>,
}

impl TableOptions {
    /// Sets what is said of a table or a series, and leaves the rest.
    pub(super) fn apply(&self, comment: &mut Option<String>, ttl_days: &mut u32) {
        if self.comment.is_some() {
            comment.clone_from(&self.comment);
        }
        *ttl_days = self.ttl_days.unwrap_or(*ttl_days);
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateSeries {
    pub table: TableName,
    pub if_not_exists: bool,
    pub using: Using,
    pub options: TableOptions,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TableChange {
    AddColumn(ColumnDefinition),
    DropColumn(String),
    ModifyColumn(ColumnDefinition),
    RenameColumn { from: String, to: String },
    AddTag(ColumnDefinition),
    DropTag(String),
    ModifyTag(ColumnDefinition),
    RenameTag { from: String, to: String },
    SetTags(Vec<(String, InsertValue)>),
    Options(TableOptions),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Show {
    Databases(Databases),
    Supers {
        database: Option<String>,
        like: Option<String>,
    },
    Tables {
        kind: TableKind,
        database: Option<String>,
        like: Option<String>,
    },
    Views {
        database: Option<String>,
    },
    CreateDatabase(String),
    CreateTable {
        table: TableName,
        stable: bool,
    },
    Tags {
        table: TableName,
    },
    TableTags {
        table: TableName,
        tags: Vec<String>,
    },
    Alive {
        database: Option<String>,
    },
    ClusterAlive,
    Indexes {
        table: TableName,
    },
    /// A list that the server keeps, by the name of its table in `information_schema` or `performance_schema`.
    List {
        schema: String,
        table: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Databases {
    All,
    User,
    System,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    All,
    Normal,
    Child,
}
