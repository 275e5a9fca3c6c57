//! The only place this protocol turns our errors into its bytes: `{"error_code":"MMCCCC","error_message":"…"}` as
//! `application/json`, whatever format the client accepts.
//!
//! MM is the part of CnosDB that speaks: 00 none, 01 query, 02 storage, 03 meta, 04 HTTP, 05 coordinator. Where we
//! leave CnosDB's statuses: a wrong password is 401 and a limit 429 (both 422 there), so that clients and proxies
//! understand them; 500 means a fault of ours and nothing else.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use serde_json::json;

use super::accept::NotAcceptable;
use crate::catalog::CatalogError;
use crate::model::{Classify, Kind};
use crate::protocol::body::BodyError;

/// What CnosDB's clients tell errors apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    Unknown,
    /// The planner refused: unknown columns and functions, types.
    Planner,
    Privileges,
    NotImplemented,
    SqlParser,
    MultiStatement,
    Authentication,
    /// A value's type is not its column's.
    ColumnType,
    UserExists,
    UserNotFound,
    TenantNotFound,
    RoleExists,
    RoleNotFound,
    DatabaseNotFound,
    DatabaseExists,
    TableNotFound,
    TableExists,
    Limit,
    LineProtocol,
    OpentsdbText,
    OpentsdbJson,
    Header,
    BasicAuth,
    Decode,
    Utf8,
    /// A document of a log, or a request of them.
    LogMessage,
    /// What only one kind of SQL statement says, by its digits.
    Sql(&'static str),
    Expired,
    NoFields,
}

impl Code {
    pub const fn digits(self) -> &'static str {
        match self {
            Code::Unknown => "000000",
            Code::Planner => "010001",
            Code::Privileges => "010004",
            Code::NotImplemented => "010005",
            Code::SqlParser => "010009",
            Code::MultiStatement => "010013",
            Code::Authentication => "010016",
            Code::ColumnType => "020004",
            Code::UserExists => "030007",
            Code::UserNotFound => "030008",
            Code::TenantNotFound => "030010",
            Code::RoleExists => "030015",
            Code::RoleNotFound => "030016",
            Code::DatabaseNotFound => "030017",
            Code::DatabaseExists => "030018",
            Code::TableNotFound => "030019",
            Code::TableExists => "030020",
            Code::Limit => "030024",
            Code::LineProtocol => "040004",
            Code::OpentsdbText => "040010",
            Code::OpentsdbJson => "040011",
            Code::Header => "040005",
            Code::BasicAuth => "040006",
            Code::Decode => "040013",
            Code::Utf8 => "040015",
            Code::LogMessage => "040016",
            Code::Sql(digits) => digits,
            Code::Expired => "050025",
            Code::NoFields => "050034",
        }
    }

    /// The status this code comes with, unless the kind of error asks for another.
    pub const fn status(self) -> StatusCode {
        match self {
            Code::Authentication => StatusCode::UNAUTHORIZED,
            Code::Limit => StatusCode::TOO_MANY_REQUESTS,
            Code::Header | Code::BasicAuth | Code::Decode | Code::OpentsdbText | Code::OpentsdbJson => {
                StatusCode::BAD_REQUEST
            }
            Code::Unknown
            | Code::Planner
            | Code::Privileges
            | Code::NotImplemented
            | Code::SqlParser
            | Code::MultiStatement
            | Code::ColumnType
            | Code::UserExists
            | Code::UserNotFound
            | Code::TenantNotFound
            | Code::RoleExists
            | Code::RoleNotFound
            | Code::DatabaseNotFound
            | Code::DatabaseExists
            | Code::TableNotFound
            | Code::TableExists
            | Code::LineProtocol
            | Code::Utf8
            | Code::LogMessage
            | Code::Sql(_)
            | Code::Expired
            | Code::NoFields => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// What CnosDB puts before the details.
    const fn prefix(self) -> &'static str {
        match self {
            Code::Privileges => "Insufficient privileges, expected ",
            Code::NotImplemented => "This feature is not implemented: ",
            Code::SqlParser => "sql parser error: ",
            Code::Authentication => "Auth error: ",
            Code::ColumnType => "DataSchemaError: ",
            Code::LineProtocol | Code::OpentsdbText | Code::OpentsdbJson => "Error parsing message: ",
            Code::Header => "Invalid header: ",
            Code::BasicAuth => "Parse auth, malformed basic auth encoding: ",
            Code::Decode => "Error decode request: ",
            Code::Utf8 => "Invalid utf-8 sequence: ",
            Code::LogMessage => "Error parsing log message: ",
            Code::Unknown
            | Code::Planner
            | Code::MultiStatement
            | Code::UserExists
            | Code::UserNotFound
            | Code::TenantNotFound
            | Code::RoleExists
            | Code::RoleNotFound
            | Code::DatabaseNotFound
            | Code::DatabaseExists
            | Code::TableNotFound
            | Code::TableExists
            | Code::Limit
            | Code::Sql(_)
            | Code::Expired
            | Code::NoFields => "",
        }
    }
}

/// An error as CnosDB says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    status: StatusCode,
    code: Code,
    message: String,
    retry_after_seconds: Option<u32>,
}

impl WireError {
    /// An error that has no code of its own: `text` is the whole message.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        let (status, code, retry_after_seconds) = match kind {
            Kind::Invalid | Kind::NotFound | Kind::AlreadyExists => {
                (StatusCode::UNPROCESSABLE_ENTITY, Code::Unknown, None)
            }
            Kind::Conflict => (StatusCode::UNPROCESSABLE_ENTITY, Code::ColumnType, None),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::Unknown, None),
            Kind::Unsupported => (StatusCode::UNPROCESSABLE_ENTITY, Code::NotImplemented, None),
            Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, Code::Authentication, None),
            Kind::Forbidden => (StatusCode::UNPROCESSABLE_ENTITY, Code::Privileges, None),
            Kind::Overloaded => (StatusCode::TOO_MANY_REQUESTS, Code::Limit, Some(1)),
            Kind::Timeout => (StatusCode::GATEWAY_TIMEOUT, Code::Unknown, None),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Code::Unknown, Some(5)),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown, None),
        };
        WireError { status, code, message: text.into(), retry_after_seconds }
    }

    /// The sentence of `code` about `details`, with the status of `code`.
    pub fn coded(code: Code, details: impl fmt::Display) -> Self {
        let retry_after_seconds = (code == Code::Limit).then_some(1);
        WireError { status: code.status(), code, message: format!("{}{details}", code.prefix()), retry_after_seconds }
    }

    /// Authentication is on and the request says nothing of who asks.
    pub fn authorization_missing() -> Self {
        let message = r#"Missing request header "authorization""#.to_string();
        WireError { status: StatusCode::UNAUTHORIZED, code: Code::Unknown, message, retry_after_seconds: None }
    }

    /// One answer for an unknown user and for a wrong password. The password is never shown, not even its length.
    pub fn access_denied(user: &str) -> Self {
        let why = "username or password invalid";
        WireError::coded(Code::Authentication, format_args!("Access denied for user '{user}' (using xxx) {why}"))
    }

    /// `count` statements came in one body.
    pub fn multi_statement(count: usize, sql: &str) -> Self {
        WireError::coded(Code::MultiStatement, format_args!("Multi-statement not allow, found num:{count}, sql:{sql}"))
    }

    pub fn user_exists(user: &str) -> Self {
        WireError::coded(Code::UserExists, format_args!("User {user} already exists"))
    }

    pub fn user_not_found(user: &str) -> Self {
        WireError::coded(Code::UserNotFound, format_args!("The user {user} not found"))
    }

    pub fn tenant_not_found(tenant: &str) -> Self {
        WireError::coded(Code::TenantNotFound, format_args!("The tenant {tenant} not found"))
    }

    /// A change that the catalog refused.
    pub fn of_catalog(error: CatalogError) -> Self {
        match error {
            CatalogError::DatabaseExists { database } => WireError::database_exists(&database),
            CatalogError::DatabaseDropping { .. } => WireError::coded(Code::DatabaseExists, error),
            CatalogError::DatabaseNotFound { database } => WireError::database_not_found(&database),
            CatalogError::TenantExists { tenant } => {
                WireError::coded(Code::Sql("030009"), format_args!("Tenant {tenant} already exists"))
            }
            CatalogError::TenantNotFound { tenant } => WireError::tenant_not_found(&tenant),
            CatalogError::RoleExists { role } => {
                WireError::coded(Code::RoleExists, format_args!("Role {role} already exists"))
            }
            CatalogError::RoleNotFound { role } => {
                WireError::coded(Code::RoleNotFound, format_args!("The role {role} not found"))
            }
            error => WireError::new(error.kind(), error.to_string()),
        }
    }

    pub fn database_not_found(database: &str) -> Self {
        WireError::coded(Code::DatabaseNotFound, format_args!("Database not found: {database:?}"))
    }

    pub fn database_exists(database: &str) -> Self {
        WireError::coded(Code::DatabaseExists, format_args!("Database {database:?} already exists"))
    }

    pub fn table_not_found(tenant: &str, database: &str, table: &str) -> Self {
        let name = format!("{tenant}.{database}.{table}");
        WireError::coded(Code::TableNotFound, format_args!("Table not found: {name:?}"))
    }

    /// A column is written to that is not there and that no write may make.
    pub fn column_not_found(column: &str) -> Self {
        WireError::coded(Code::ColumnType, format_args!("Column '{column}' not found"))
    }

    pub fn table_exists(table: &str) -> Self {
        WireError::coded(Code::TableExists, format_args!("Table {table} already exists."))
    }

    /// A point carries another type than its column has.
    pub fn column_type(column: &str, found: impl fmt::Display, expected: impl fmt::Display) -> Self {
        let types = format!("found {found} expected {expected}");
        WireError::coded(Code::ColumnType, format_args!("Column '{column}' type error, {types}"))
    }

    /// A point is older than its database keeps; both times in nanoseconds.
    pub fn expired(timestamp: i64, oldest: i64, database: &str) -> Self {
        let which = format!("{timestamp} which is less than {oldest}");
        WireError::coded(Code::Expired, format_args!("Writing expired timestamp {which} to database '{database}'"))
    }

    pub fn no_fields() -> Self {
        WireError::coded(Code::NoFields, "Fields can't be empty")
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The JSON document, which is also what a streamed result that fails half-way ends with.
    pub fn body(&self) -> String {
        json!({ "error_code": self.code.digits(), "error_message": self.message }).to_string()
    }

    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response.content_type("application/json").body(self.body())
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.digits(), self.message)
    }
}

impl std::error::Error for WireError {}

impl actix_web::ResponseError for WireError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.clone().into_response()
    }
}

impl From<NotAcceptable> for WireError {
    fn from(error: NotAcceptable) -> Self {
        // CnosDB says it twice.
        WireError::coded(Code::Header, format_args!("Invalid header: {error}"))
    }
}

impl From<BodyError> for WireError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::UnknownEncoding(name) => {
                WireError::coded(Code::Header, format_args!("content encoding not support: {name}"))
            }
            BodyError::Corrupt { encoding, cause } => {
                WireError::coded(Code::Decode, format_args!("{encoding}: {cause}"))
            }
            BodyError::Disconnected(_) => WireError::coded(Code::Decode, "body broke off"),
            BodyError::TooLarge { .. } => WireError::new(Kind::TooLarge, error.to_string()),
            BodyError::TimedOut { .. } => {
                WireError { status: StatusCode::REQUEST_TIMEOUT, ..WireError::new(Kind::Timeout, error.to_string()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::ResponseError;
    use actix_web::body::to_bytes;

    use super::*;
    use crate::protocol::encoding::{Damage, Encoding};

    fn check(error: WireError, status: u16, code: &str, message: &str) {
        let expected = json!({ "error_code": code, "error_message": message });
        assert_eq!((error.status().as_u16(), error.body()), (status, expected.to_string()));
    }

    #[test]
    fn each_sentence_has_its_code_and_status() {
        check(WireError::database_not_found("d\"b"), 422, "030017", r#"Database not found: "d\"b""#);
        check(WireError::database_exists("db"), 422, "030018", r#"Database "db" already exists"#);
        check(WireError::table_not_found("cnosdb", "db", "t"), 422, "030019", r#"Table not found: "cnosdb.db.t""#);
        check(WireError::table_exists("t"), 422, "030020", "Table t already exists.");
        check(
            WireError::multi_statement(2, "drop table a; drop table b"),
            422,
            "010013",
            "Multi-statement not allow, found num:2, sql:drop table a; drop table b",
        );
        check(
            WireError::column_type("f", "DOUBLE", "BIGINT"),
            422,
            "020004",
            "DataSchemaError: Column 'f' type error, found DOUBLE expected BIGINT",
        );
        check(
            WireError::expired(1, 20, "db"),
            422,
            "050025",
            "Writing expired timestamp 1 which is less than 20 to database 'db'",
        );
        check(WireError::no_fields(), 422, "050034", "Fields can't be empty");
        check(WireError::authorization_missing(), 401, "000000", r#"Missing request header "authorization""#);
        check(
            WireError::access_denied("u"),
            401,
            "010016",
            "Auth error: Access denied for user 'u' (using xxx) username or password invalid",
        );
    }

    #[test]
    fn a_code_puts_its_words_before_the_details() {
        for (code, status, digits, message) in [
            (Code::Planner, 422, "010001", "x"),
            (Code::NotImplemented, 422, "010005", "This feature is not implemented: x"),
            (Code::SqlParser, 422, "010009", "sql parser error: x"),
            (Code::Privileges, 422, "010004", "Insufficient privileges, expected x"),
            (Code::Limit, 429, "030024", "x"),
            (Code::LineProtocol, 422, "040004", "Error parsing message: x"),
            (Code::OpentsdbText, 400, "040010", "Error parsing message: x"),
            (Code::OpentsdbJson, 400, "040011", "Error parsing message: x"),
            (Code::Header, 400, "040005", "Invalid header: x"),
            (Code::BasicAuth, 400, "040006", "Parse auth, malformed basic auth encoding: x"),
            (Code::Decode, 400, "040013", "Error decode request: x"),
            (Code::Utf8, 422, "040015", "Invalid utf-8 sequence: x"),
        ] {
            check(WireError::coded(code, "x"), status, digits, message);
        }
    }

    #[test]
    fn a_kind_without_a_code_keeps_its_text() {
        for (kind, status, digits) in [
            (Kind::Invalid, 422, "000000"),
            (Kind::NotFound, 422, "000000"),
            (Kind::AlreadyExists, 422, "000000"),
            (Kind::Conflict, 422, "020004"),
            (Kind::TooLarge, 413, "000000"),
            (Kind::Unsupported, 422, "010005"),
            (Kind::Unauthenticated, 401, "010016"),
            (Kind::Forbidden, 422, "010004"),
            (Kind::Overloaded, 429, "030024"),
            (Kind::Timeout, 504, "000000"),
            (Kind::Unavailable, 503, "000000"),
            (Kind::Internal, 500, "000000"),
        ] {
            check(WireError::new(kind, "words"), status, digits, "words");
        }
    }

    #[test]
    fn refused_bodies_and_headers_speak_as_cnosdb_does() {
        check(
            NotAcceptable("a/b".to_string()).into(),
            400,
            "040005",
            "Invalid header: Invalid header: accept type not support: a/b",
        );
        check(
            BodyError::UnknownEncoding("zip".to_string()).into(),
            400,
            "040005",
            "Invalid header: content encoding not support: zip",
        );
        check(
            BodyError::Corrupt { encoding: Encoding::Gzip, cause: Damage::NotThisFormat }.into(),
            400,
            "040013",
            "Error decode request: gzip: invalid header",
        );
        check(BodyError::TooLarge { limit: 9 }.into(), 413, "000000", "request body is larger than 9 bytes");
        check(
            BodyError::TimedOut { limit: Duration::from_secs(1) }.into(),
            408,
            "000000",
            "request body did not arrive within 1000 ms",
        );
    }

    #[actix_web::test]
    async fn the_response_is_json_and_says_when_to_come_back() {
        for (kind, retry_after) in
            [(Kind::Overloaded, Some("1")), (Kind::Unavailable, Some("5")), (Kind::Invalid, None)]
        {
            let error = WireError::new(kind, "quoted \"words\"");
            let response = error.error_response();
            assert_eq!(response.status(), error.status());
            assert_eq!(response.headers().get("content-type").unwrap(), "application/json");
            assert_eq!(response.headers().get("retry-after").map(|v| v.to_str().unwrap()), retry_after);
            let body = to_bytes(response.into_body()).await.unwrap();
            let tail = br#""error_message":"quoted \"words\""}"#;
            assert!(body.ends_with(tail), "{body:?}");
        }
    }
}
