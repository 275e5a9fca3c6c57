//! What was wrong with a SELECT, said as the server says it.

use thiserror::Error;

use crate::query::influxql::duration::Duration;
use crate::query::influxql::error::ShapeError;
use crate::query::influxql::expr::{Expr, Literal};

/// Why a SELECT makes no sense: the request is wrong. The text of each is the server's own.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckError {
    // The condition and the bounds on time.
    #[error("invalid condition expression: {expr}")]
    NoCondition { expr: String },
    #[error("invalid function call in condition: {call}")]
    CallInCondition { call: String },
    #[error("invalid operation: time and {kind} are not compatible")]
    NoTime { kind: &'static str },
    #[error("invalid time comparison operator: {op}")]
    TimeOperator { op: &'static str },
    #[error("invalid timestamp string")]
    InvalidTime,
    #[error("time {time} overflows time literal")]
    TimeOverflows { time: String },
    #[error("time {time} underflows time literal")]
    TimeUnderflows { time: String },

    // GROUP BY.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error("time() is a function and expects at least one argument")]
    TimeIsNoDimension,
    #[error("only time() calls allowed in dimensions")]
    DimensionCall,
    #[error("only time and tag dimensions allowed")]
    Dimension,
    #[error("multiple time dimensions not allowed")]
    SecondInterval,
    #[error("time dimension offset must be duration or now()")]
    Offset,
    #[error("time dimension offset function must be now()")]
    OffsetCall,
    #[error("time dimension offset now() function requires no arguments")]
    OffsetNowArguments,
    #[error("invalid time dimension offset: {offset}")]
    OffsetText { offset: String },

    // What may stand beside what.
    #[error("at least 1 non-time field must be queried")]
    NoFields,
    #[error("field must contain at least one variable")]
    NoVariable,
    #[error("unimplemented")]
    NoField,
    #[error("cannot perform a binary expression on two literals")]
    TwoLiterals,
    #[error("unable to use wildcard in a binary expression")]
    WildcardBesideOperator,
    #[error("unable to use regex in a binary expression")]
    RegexBesideOperator,
    #[error("selector function {name}() cannot be combined with other functions")]
    NotAlone { name: &'static str },
    #[error("aggregate function distinct() cannot be combined with other functions or fields")]
    DistinctNotAlone,
    #[error("mixing aggregate and non-aggregate queries is not supported")]
    MixedWithAggregates,
    #[error("mixing multiple selector functions with tags or fields is not supported")]
    MixedWithSelectors,
    #[error("fill({fill}) must be used with a function")]
    FillWithoutCall { fill: &'static str },
    #[error("GROUP BY requires at least one aggregate function")]
    WindowsWithoutCall,
    #[error("{name} aggregate requires a GROUP BY interval")]
    IntervalRequired { name: String },
    #[error("aggregate function required inside the call to {name}")]
    AggregateRequired { name: String },
    #[error("subqueries must be ordered in the same direction as the query itself")]
    SubqueryDirection,

    // Functions and their arguments.
    #[error("undefined function {name}()")]
    UndefinedFunction { name: String },
    #[error("invalid number of arguments for {name}, expected {expected}, got {got}")]
    ArgumentCount { name: String, expected: usize, got: usize },
    #[error("invalid number of arguments for {name}, expected at least {least} but no more than {most}, got {got}")]
    ArgumentRange { name: String, least: usize, most: usize, got: usize },
    #[error("invalid number of arguments for {name}, expected at least {expected}, got {got}")]
    TooFewArguments { name: &'static str, expected: usize, got: usize },
    #[error("expected field argument in {name}()")]
    NoFieldArgument { name: String },
    #[error("unsupported expression with wildcard: {name}()")]
    WildcardArgument { name: String },
    #[error("unsupported expression with regex field: {name}()")]
    RegexArgument { name: String },
    #[error("duration argument must be positive, got {got}")]
    DurationNotPositive { got: Duration },
    #[error("second argument to {name} must be a duration, got {kind}")]
    UnitNoDuration { name: String, kind: &'static str },
    #[error("second argument must be a duration")]
    IntegralUnit,
    #[error("expected float argument in percentile()")]
    PercentileArgument,
    #[error("expected integer argument in sample()")]
    SampleArgument,
    #[error("sample window must be greater than 1, got {got}")]
    SampleSize { got: i64 },
    #[error("distinct function requires at least one argument")]
    DistinctOfNothing,
    #[error("distinct function can only have one argument")]
    DistinctOfSeveral,
    #[error("expected integer as last argument in {name}(), found {found}")]
    TopBottomCount { name: &'static str, found: String },
    #[error("limit ({rows}) in {name} function must be at least 1")]
    TopBottomTooFew { name: &'static str, rows: i64 },
    #[error("limit ({rows}) in {name} function can not be larger than the LIMIT ({limit}) in the select statement")]
    TopBottomBeyondLimit { name: &'static str, rows: i64, limit: u64 },
    #[error("expected first argument to be a field in {name}(), found {found}")]
    TopBottomField { name: &'static str, found: String },
    #[error("only fields or tags are allowed in {name}(), found {found}")]
    TopBottomTag { name: &'static str, found: String },
    #[error("second argument for moving_average must be an integer, got {kind}")]
    MovingAverageArgument { kind: &'static str },
    #[error("moving_average window must be greater than 1, got {got}")]
    MovingAverageWindow { got: i64 },
    #[error("{name} period must be an integer")]
    PeriodNoInteger { name: String },
    #[error("{name} period must be greater than or equal to 1")]
    PeriodTooShort { name: String },
    #[error("{name} hold period must be an integer")]
    HoldNoInteger { name: String },
    #[error("{name} hold period must be greater than or equal to {least}")]
    HoldTooShort { name: String, least: i64 },
    #[error("{name} warmup type must be a string")]
    WarmupNoString { name: String },
    #[error("{name} warmup type must be one of: {known}")]
    WarmupUnknown { name: String, known: &'static str },
    #[error("expected integer argument as {nth} arg in {name}")]
    HoltWintersNoInteger { name: String, nth: &'static str },
    #[error("second arg to {name} must be greater than 0, got {got}")]
    HoltWintersCount { name: String, got: i64 },
    #[error("third arg to {name} cannot be negative, got {got}")]
    HoltWintersSeason { name: String, got: i64 },
    #[error("must use aggregate function with {name}")]
    HoltWintersNoAggregate { name: String },
}

/// What the server calls a kind of expression: it lets the names of its types through.
pub(super) fn type_name(expr: &Expr) -> &'static str {
    match expr {
        Expr::Ref(_) => "*influxql.VarRef",
        Expr::Call(_) => "*influxql.Call",
        Expr::Distinct(_) => "*influxql.Distinct",
        Expr::Wildcard(_) => "*influxql.Wildcard",
        Expr::Paren(_) => "*influxql.ParenExpr",
        Expr::Binary(_) | Expr::Logic(..) => "*influxql.BinaryExpr",
        Expr::Literal(literal) => match literal {
            Literal::Number(_) => "*influxql.NumberLiteral",
            Literal::Integer(_) => "*influxql.IntegerLiteral",
            Literal::Unsigned(_) => "*influxql.UnsignedLiteral",
            Literal::String(_) => "*influxql.StringLiteral",
            Literal::Boolean(_) => "*influxql.BooleanLiteral",
            Literal::Duration(_) => "*influxql.DurationLiteral",
            Literal::Regex(_) => "*influxql.RegexLiteral",
            Literal::Time(_) => "*influxql.TimeLiteral",
            Literal::Nil => "*influxql.NilLiteral",
        },
    }
}
