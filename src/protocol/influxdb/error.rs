//! The only place this protocol turns our errors into its bytes: a status, `{"error":"…"}` and the same text in
//! `X-Influxdb-Error`. (What goes wrong inside one statement of a query is no such error: it is a member of a 200.)
//!
//! Spec: InfluxDB 1.8 HTTP API, as its server answers.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};

use super::answer::push_json_text;
use super::headers;
use crate::model::Kind;
use crate::protocol::body::BodyError;
use crate::protocol::encoding::Damage;

const X_INFLUXDB_ERROR: HeaderName = HeaderName::from_static("x-influxdb-error");
const HEADER_BYTES_MAX: usize = 1024;
const CHALLENGE: &str = r#"Basic realm="InfluxDB""#;

/// An error as InfluxDB says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    status: StatusCode,
    text: String,
    retry_after_seconds: Option<u32>,
}

/// In what a client wants its answers, errors too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorForm {
    #[default]
    Json,
    Csv,
    MessagePack,
}

impl WireError {
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        let (status, retry_after_seconds) = match kind {
            // A type conflict is a partial write here, which collectors know by its words and a 400.
            Kind::Invalid | Kind::Unsupported | Kind::Conflict | Kind::AlreadyExists => (StatusCode::BAD_REQUEST, None),
            Kind::NotFound => (StatusCode::NOT_FOUND, None),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
            Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, None),
            Kind::Forbidden => (StatusCode::FORBIDDEN, None),
            Kind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Some(5)),
            Kind::Timeout | Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        WireError { status, text: text.into(), retry_after_seconds }
    }

    /// For the few errors whose status InfluxDB does not choose by their meaning.
    pub fn with_status(status: StatusCode, text: impl Into<String>) -> Self {
        WireError { status, text: text.into(), retry_after_seconds: None }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn into_response(self, form: ErrorForm) -> HttpResponse {
        let (content_type, body) = match form {
            ErrorForm::Json => ("application/json", self.json()),
            ErrorForm::Csv => ("text/csv", self.csv().into_bytes()),
            ErrorForm::MessagePack => ("application/x-msgpack", self.message_pack()),
        };
        let mut response = HttpResponse::build(self.status).content_type(content_type).body(body);
        let headers = response.headers_mut();
        headers::stamp_version(headers);
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        } else {
            headers.insert(X_INFLUXDB_ERROR, header_safe(&self.text));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn json(&self) -> Vec<u8> {
        let mut body = br#"{"error":"#.to_vec();
        push_json_text(&self.text, &mut body);
        body.extend_from_slice(b"}\n");
        body
    }

    /// Quoted as Go quotes: also when it begins with a space.
    fn csv(&self) -> String {
        let text = &self.text;
        if text.contains([',', '"', '\n', '\r']) || text.starts_with(char::is_whitespace) || text == r"\." {
            return format!("error\n\"{}\"\n", text.replace('"', "\"\""));
        }
        format!("error\n{text}\n")
    }

    /// A map of one pair.
    fn message_pack(&self) -> Vec<u8> {
        let mut body = b"\x81\xa5error".to_vec();
        let length = self.text.len();
        match length {
            0..=31 => body.push(0xa0 | length as u8),
            32..=0xff => body.extend([0xd9, length as u8]),
            0x100..=0xffff => {
                body.push(0xda);
                body.extend((length as u16).to_be_bytes());
            }
            _ => {
                body.push(0xdb);
                body.extend(u32::try_from(length).expect("no error text has 4 GiB").to_be_bytes());
            }
        }
        body.extend_from_slice(self.text.as_bytes());
        body
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for WireError {}

impl actix_web::ResponseError for WireError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.clone().into_response(ErrorForm::Json)
    }
}

impl From<BodyError> for WireError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { .. } => WireError::new(Kind::TooLarge, "Request Entity Too Large"),
            BodyError::UnknownEncoding(name) => {
                WireError::new(Kind::Unsupported, format!("unsupported content encoding {name:?}"))
            }
            BodyError::Corrupt { encoding, cause } => {
                let text = match cause {
                    Damage::Empty => "EOF".to_string(),
                    Damage::Truncated => "unexpected EOF".to_string(),
                    Damage::NotThisFormat => format!("{encoding}: invalid header"),
                    Damage::Corrupt => format!("{encoding}: corrupt input"),
                };
                WireError::new(Kind::Invalid, text)
            }
            BodyError::Disconnected(_) => WireError::new(Kind::Invalid, "unexpected EOF"),
            BodyError::TimedOut { .. } => WireError::with_status(StatusCode::REQUEST_TIMEOUT, "timeout"),
        }
    }
}

/// `text` as a header's value: cut, line breaks and other control bytes as spaces, none at either end.
fn header_safe(text: &str) -> HeaderValue {
    let cut = &text.as_bytes()[..text.len().min(HEADER_BYTES_MAX)];
    let safe: Vec<u8> = cut.iter().map(|&b| if b.is_ascii_control() && b != b'\t' { b' ' } else { b }).collect();
    HeaderValue::from_bytes(safe.trim_ascii()).expect("no control byte is left")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::ResponseError;
    use actix_web::body::to_bytes;
    use actix_web::error::PayloadError;

    use super::*;
    use crate::protocol::encoding::Encoding;

    fn header(response: &HttpResponse, name: &str) -> Option<String> {
        response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    async fn body(response: HttpResponse) -> Vec<u8> {
        to_bytes(response.into_body()).await.unwrap().to_vec()
    }

    #[test]
    fn every_kind_has_its_status() {
        for (kind, status, retry_after) in [
            (Kind::Invalid, 400, None),
            (Kind::NotFound, 404, None),
            (Kind::AlreadyExists, 400, None),
            (Kind::Conflict, 400, None),
            (Kind::TooLarge, 413, None),
            (Kind::Unsupported, 400, None),
            (Kind::Unauthenticated, 401, None),
            (Kind::Forbidden, 403, None),
            (Kind::Overloaded, 503, Some("1")),
            (Kind::Timeout, 500, None),
            (Kind::Unavailable, 503, Some("5")),
            (Kind::Internal, 500, None),
        ] {
            let response = WireError::new(kind, "words").error_response();
            assert_eq!(response.status().as_u16(), status, "{kind:?}");
            assert_eq!(header(&response, "retry-after").as_deref(), retry_after, "{kind:?}");
        }
    }

    #[actix_web::test]
    async fn an_error_is_said_in_the_body_and_in_a_header() {
        let response = WireError::new(Kind::NotFound, r#"database not found: "db""#).error_response();
        assert_eq!(header(&response, "content-type").unwrap(), "application/json");
        assert_eq!(header(&response, "x-influxdb-error").unwrap(), r#"database not found: "db""#);
        assert_eq!(header(&response, "x-influxdb-version").unwrap(), "1.8.10");
        assert_eq!(header(&response, "x-influxdb-build").unwrap(), "OSS");
        assert_eq!(header(&response, "www-authenticate"), None);
        assert_eq!(body(response).await, b"{\"error\":\"database not found: \\\"db\\\"\"}\n");
    }

    #[test]
    fn a_stranger_is_challenged_instead() {
        let response = WireError::new(Kind::Unauthenticated, "authorization failed").error_response();
        assert_eq!(header(&response, "www-authenticate").unwrap(), r#"Basic realm="InfluxDB""#);
        assert_eq!(header(&response, "x-influxdb-error"), None);
    }

    #[test]
    fn the_header_holds_what_a_header_can() {
        let long = "é".repeat(600);
        for (text, expected) in [
            ("plain", "plain".to_string()),
            (" a\nb\r\nc\u{1}d\te\u{7f}\n", "a b  c d\te".to_string()),
            ("é", "é".to_string()),
            ("", String::new()),
            (&long, "é".repeat(512)),
        ] {
            let response = WireError::new(Kind::Invalid, text).error_response();
            assert_eq!(header(&response, "x-influxdb-error"), Some(expected), "{text:?}");
        }
        // The cut counts bytes, not characters.
        assert_eq!(header_safe(&format!("x{long}")).len(), 1024);
    }

    async fn check_form(form: ErrorForm, text: &str, content_type: &str, expected: &[u8]) {
        let response = WireError::new(Kind::Invalid, text).into_response(form);
        assert_eq!(header(&response, "content-type").unwrap(), content_type);
        assert_eq!(body(response).await, expected, "{text:?}");
    }

    #[actix_web::test]
    async fn csv_is_quoted_where_needed() {
        for (text, line) in [
            ("plain words", "plain words"),
            ("a, b", "\"a, b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (" indented", "\" indented\""),
        ] {
            check_form(ErrorForm::Csv, text, "text/csv", format!("error\n{line}\n").as_bytes()).await;
        }
    }

    #[actix_web::test]
    async fn message_pack_has_a_header_for_each_length() {
        for (length, header) in [
            (0, &b"\xa0"[..]),
            (31, b"\xbf"),
            (32, b"\xd9\x20"),
            (255, b"\xd9\xff"),
            (256, b"\xda\x01\x00"),
            (65_536, b"\xdb\x00\x01\x00\x00"),
        ] {
            let text = "x".repeat(length);
            let expected = [b"\x81\xa5error", header, text.as_bytes()].concat();
            check_form(ErrorForm::MessagePack, &text, "application/x-msgpack", &expected).await;
        }
    }

    #[test]
    fn refused_bodies_speak_as_go_does() {
        let corrupt = |cause| BodyError::Corrupt { encoding: Encoding::Gzip, cause };
        for (error, status, text) in [
            (corrupt(Damage::Empty), 400, "EOF"),
            (corrupt(Damage::Truncated), 400, "unexpected EOF"),
            (corrupt(Damage::NotThisFormat), 400, "gzip: invalid header"),
            (corrupt(Damage::Corrupt), 400, "gzip: corrupt input"),
            (BodyError::TooLarge { limit: 1 }, 413, "Request Entity Too Large"),
            (BodyError::UnknownEncoding("zip".to_string()), 400, "unsupported content encoding \"zip\""),
            (BodyError::Disconnected(PayloadError::Incomplete(None)), 400, "unexpected EOF"),
            (BodyError::TimedOut { limit: Duration::from_secs(1) }, 408, "timeout"),
        ] {
            let error = WireError::from(error);
            assert_eq!((error.status().as_u16(), error.text()), (status, text));
        }
    }
}
