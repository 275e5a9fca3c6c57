//! In what form rows are asked for.

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::model::Kind;

use super::refusal::Refusal;

/// What rows can become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueryFormat {
    Json,
    JsonLines,
    Csv,
    Pretty,
    Parquet,
}

impl QueryFormat {
    /// By the name that `format` gives it.
    pub(super) fn named(name: &str) -> Result<QueryFormat, Refusal> {
        match name {
            "json" => Ok(QueryFormat::Json),
            "jsonl" | "json_lines" => Ok(QueryFormat::JsonLines),
            "csv" => Ok(QueryFormat::Csv),
            "pretty" => Ok(QueryFormat::Pretty),
            "parquet" => Ok(QueryFormat::Parquet),
            other => {
                let expected = "expected one of `parquet`, `csv`, `pretty`, `json`, `jsonl`";
                Err(Refusal::new(Kind::Invalid, format!("serde error: unknown variant `{other}`, {expected}")))
            }
        }
    }

    /// By `Accept`: the first of the list that is known, else JSON.
    pub(super) fn of_header(request: &HttpRequest) -> QueryFormat {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut types = accept.split(',').map(|element| element.split(';').next().unwrap_or_default().trim());
        let known = types.find_map(|name| match name {
            "application/json" | "*/*" => Some(QueryFormat::Json),
            "application/jsonl" => Some(QueryFormat::JsonLines),
            "text/csv" => Some(QueryFormat::Csv),
            "text/plain" => Some(QueryFormat::Pretty),
            "application/vnd.apache.parquet" => Some(QueryFormat::Parquet),
            _ => None,
        });
        known.unwrap_or(QueryFormat::Json)
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            QueryFormat::Json => "application/json",
            QueryFormat::JsonLines => "application/jsonl",
            QueryFormat::Csv => "text/csv",
            QueryFormat::Pretty => "text/plain; charset=utf-8",
            QueryFormat::Parquet => "application/vnd.apache.parquet",
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_first_known_type_is_taken() {
        for (accept, expected) in [
            ("", QueryFormat::Json),
            ("*/*", QueryFormat::Json),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", QueryFormat::Json),
            ("text/csv", QueryFormat::Csv),
            ("text/html, text/plain; charset=utf-8", QueryFormat::Pretty),
            ("application/vnd.apache.parquet", QueryFormat::Parquet),
            ("application/jsonl", QueryFormat::JsonLines),
        ] {
            let request = TestRequest::default().insert_header((header::ACCEPT, accept)).to_http_request();
            assert_eq!(QueryFormat::of_header(&request), expected, "{accept}");
        }
        assert_eq!(QueryFormat::named("jsonl").unwrap(), QueryFormat::JsonLines);
        assert!(QueryFormat::named("xml").unwrap_err().to_string().contains("unknown variant `xml`"));
    }
}
