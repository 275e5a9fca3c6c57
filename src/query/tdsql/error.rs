//! What a statement may come to besides an answer: the engine's errors by number and text, as its clients know them.

use crate::catalog::CatalogError;
use crate::model::{Classify, Kind};
use crate::query::QueryError;

/// An error of the language. Numbers are the low 16 bits of the original's; texts begin as the original's do.
#[derive(Debug, thiserror::Error)]
pub enum TdError {
    #[error("syntax error near \"{0}\"")]
    Syntax(String),
    #[error("Incomplete SQL statement")]
    Incomplete,
    #[error("syntax error near '{near}' ({why})")]
    Value { near: String, why: &'static str },
    #[error("Invalid column name: {0}")]
    Column(String),
    #[error("Fail to get table info, error: Table does not exist: {0}")]
    Table(String),
    #[error("Database not exist")]
    Database,
    #[error("Database not specified")]
    NoDatabase,
    #[error("Database already exists")]
    DatabaseExists,
    #[error("STable already exists")]
    SuperExists,
    #[error("Table already exists")]
    TableExists,
    #[error("STable not exist")]
    Super,
    #[error("User already exists")]
    UserExists,
    #[error("User not exist")]
    User,
    #[error("Timestamp data out of range")]
    TimeRange,
    #[error("Value too long for column/tag: {0}")]
    TooLong(String),
    #[error("Column ambiguously defined: {0}")]
    Ambiguous(String),
    #[error("Invalid value type: {0}")]
    ValueType(String),
    #[error("There mustn't be aggregation")]
    Aggregation,
    #[error("ORDER BY item must be the number of a SELECT-list expression")]
    OrderPosition,
    #[error("Not a GROUP BY expression")]
    NotGrouped,
    #[error("Not a single-group group function")]
    NotSingleGroup,
    #[error("Tags number not matched")]
    TagCount,
    #[error("Invalid tag name: {0}")]
    TagName(String),
    #[error("Interval too small")]
    IntervalTooSmall,
    #[error("GROUP BY and WINDOW-clause can't be used together")]
    GroupAndWindow,
    #[error("Aggregate functions do not support nesting")]
    Nesting,
    #[error("Not support STATE_WINDOW on tag column")]
    StateOnTag,
    #[error("Only support SESSION on primary timestamp column")]
    SessionColumn,
    #[error("Interval offset should be shorter than interval")]
    IntervalOffset,
    #[error("sliding value no larger than the interval value")]
    Sliding,
    #[error("Only one tag if there is a json tag")]
    OneJsonTag,
    #[error("Query block has incorrect number of result columns")]
    UnionWidth,
    #[error("slimit/soffset only available for PARTITION/GROUP BY query")]
    SlimitWithoutPartition,
    #[error("Start(end) time of query range required or time range too large")]
    RangeRequired,
    #[error("Duplicated column names: {0}")]
    Duplicated(String),
    #[error("Illegal number of columns")]
    ColumnCount,
    #[error("First column must be timestamp")]
    FirstColumn,
    #[error("Permission denied or target object not exist")]
    Target,
    #[error("Primary timestamp column cannot be dropped")]
    DropTime,
    #[error(
        "Only varbinary/binary/nchar/geometry column length could be modified, and the length can only be increased, not decreased"
    )]
    ModifyLength,
    #[error("Invalid function name: {0}")]
    Function(String),
    #[error("Invalid number of parameters : {0}")]
    ArgumentCount(String),
    #[error("Invalid parameter data type : {0}")]
    ArgumentType(String),
    #[error("Invalid parameter value : {0}")]
    ArgumentValue(String),
    #[error("Only tag can be json type")]
    JsonColumn,
    #[error("Json not support in in/notin operator")]
    JsonIn,
    #[error("Json not support in group/partition by")]
    JsonGroup,
    #[error("The DELETE statement must only have a definite time window range")]
    DeleteRange,
    #[error("Invalid interp clause")]
    Interp,
    #[error("Invalid option {0}")]
    Option(String),
    #[error("Invalid windows pseudo column: {0}")]
    PseudoColumn(String),
    #[error("{0} is not supported")]
    NotSupported(String),
    #[error("{0}")]
    Query(QueryError),
    #[error("{0}")]
    Catalog(CatalogError),
    #[error("{text}")]
    Other { text: String, kind: Kind },
}

impl TdError {
    /// A value that is wrong. Of what stands there the first 63 bytes are told.
    pub(super) fn value(near: &str, why: &'static str) -> TdError {
        let ends = near.char_indices().map(|(at, character)| at + character.len_utf8());
        let end = ends.take_while(|end| *end <= 63).last().unwrap_or(0);
        TdError::Value { near: near[..end].to_string(), why }
    }

    /// The number that clients look at.
    pub fn code(&self) -> u16 {
        use TdError::*;
        match self {
            Syntax(_) | NotSupported(_) => 0x2600,
            Incomplete => 0x2601,
            Value { .. } => 0x0216,
            Column(_) => 0x2602,
            Table(_) => 0x2603,
            Database => 0x0388,
            NoDatabase => 0x2616,
            DatabaseExists => 0x0381,
            SuperExists => 0x0360,
            TableExists => 0x0603,
            Super => 0x0362,
            UserExists => 0x0350,
            User => 0x0351,
            TimeRange => 0x060B,
            TooLong(_) => 0x2653,
            Ambiguous(_) => 0x2604,
            ValueType(_) => 0x2605,
            Aggregation => 0x2608,
            OrderPosition => 0x2609,
            NotGrouped => 0x260A,
            NotSingleGroup => 0x260C,
            TagCount => 0x260D,
            TagName(_) => 0x260E,
            IntervalTooSmall => 0x2615,
            GroupAndWindow => 0x2624,
            Nesting => 0x2627,
            StateOnTag => 0x2629,
            SessionColumn => 0x262C,
            IntervalOffset => 0x262F,
            Sliding => 0x2631,
            OneJsonTag => 0x2633,
            UnionWidth => 0x2634,
            SlimitWithoutPartition => 0x2638,
            RangeRequired => 0x263B,
            Duplicated(_) => 0x263C,
            ColumnCount => 0x263F,
            FirstColumn => 0x2641,
            Target => 0x2644,
            DropTime => 0x264A,
            ModifyLength => 0x264B,
            Function(_) => 0x264D,
            JsonColumn => 0x2652,
            JsonIn => 0x072C,
            JsonGroup => 0x072E,
            DeleteRange => 0x2655,
            PseudoColumn(_) => 0x2620,
            Interp => 0x265D,
            ArgumentCount(_) => 0x2801,
            ArgumentType(_) => 0x2802,
            ArgumentValue(_) => 0x2803,
            Option(_) => 0x2610,
            Catalog(error) => of_kind(error.kind()),
            Query(error) => of_kind(error.kind()),
            Other { kind, .. } => of_kind(*kind),
        }
    }
}

/// What a failure without a number of its own goes by.
fn of_kind(kind: Kind) -> u16 {
    match kind {
        Kind::Invalid | Kind::NotFound | Kind::AlreadyExists | Kind::Conflict | Kind::Unsupported => 0x2600,
        Kind::Unauthenticated => 0x0357,
        Kind::Forbidden => 0x2644,
        Kind::Timeout => 0x0129,
        Kind::Unavailable => 0x000B,
        Kind::Overloaded | Kind::TooLarge => 0x0102,
        Kind::Internal => 0x0101,
    }
}

impl Classify for TdError {
    fn kind(&self) -> Kind {
        use TdError::*;
        match self {
            Table(_) | Database | Super | User => Kind::NotFound,
            DatabaseExists | SuperExists | TableExists | UserExists => Kind::AlreadyExists,
            NotSupported(_) => Kind::Unsupported,
            Target => Kind::Forbidden,
            Query(error) => error.kind(),
            Catalog(error) => error.kind(),
            Other { kind, .. } => *kind,
            _ => Kind::Invalid,
        }
    }
}

impl From<QueryError> for TdError {
    fn from(error: QueryError) -> Self {
        TdError::Query(error)
    }
}

impl From<datafusion::common::DataFusionError> for TdError {
    fn from(error: datafusion::common::DataFusionError) -> Self {
        TdError::Query(error.into())
    }
}

impl From<CatalogError> for TdError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::DatabaseNotFound { .. } => TdError::Database,
            CatalogError::DatabaseExists { .. } | CatalogError::DatabaseDropping { .. } => TdError::DatabaseExists,
            CatalogError::UserExists => TdError::UserExists,
            CatalogError::UserNotFound => TdError::User,
            CatalogError::TableNotFound { table } => TdError::Table(table.table.to_string()),
            other => TdError::Catalog(other),
        }
    }
}
