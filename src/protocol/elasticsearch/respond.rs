//! Answers: JSON, the product's header, and the parts that `filter_path` asks for.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;

use crate::protocol::params::Params;

use super::filter::Filter;

/// Clients of the product refuse an answer without it.
pub(super) const PRODUCT: (&str, &str) = ("X-Elastic-Product", "Elasticsearch");

/// A body as JSON, cut down to what `filter_path` asks for, on several lines with `pretty`.
pub(super) fn answer(request: &HttpRequest, status: StatusCode, body: &impl Serialize) -> HttpResponse {
    let params = Params::parse(request.query_string());
    let filter = params.get("filter_path").map(Filter::parse).filter(|filter| !filter.is_empty());
    let pretty = matches!(params.get("pretty"), Some("" | "true"));
    const PLAIN: &str = "answers are plain values under string keys";
    let bytes = match (filter, pretty) {
        (None, false) => serde_json::to_vec(body).expect(PLAIN),
        (None, true) => serde_json::to_vec_pretty(body).expect(PLAIN),
        (Some(filter), pretty) => {
            let kept = filter.apply(&serde_json::to_value(body).expect(PLAIN));
            if pretty { serde_json::to_vec_pretty(&kept) } else { serde_json::to_vec(&kept) }.expect(PLAIN)
        }
    };
    HttpResponse::build(status).insert_header(PRODUCT).content_type(content_type(request)).body(bytes)
}

/// The same with status 200.
pub(super) fn ok(request: &HttpRequest, body: &impl Serialize) -> HttpResponse {
    answer(request, StatusCode::OK, body)
}

/// `{"acknowledged":true}`
pub(super) fn acknowledged(request: &HttpRequest) -> HttpResponse {
    ok(request, &json!({"acknowledged": true}))
}

/// A status alone, for HEAD.
pub(super) fn bare(status: StatusCode) -> HttpResponse {
    HttpResponse::build(status).insert_header(PRODUCT).content_type("application/json").finish()
}

/// Who asks in the product's own media type is answered in it.
fn content_type(request: &HttpRequest) -> String {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let vendored = accept.split(',').map(str::trim).find(|a| a.starts_with("application/vnd.elasticsearch+"));
    let Some(vendored) = vendored else { return "application/json".to_string() };
    let version = vendored.split(';').find_map(|part| part.trim().strip_prefix("compatible-with="));
    match version {
        Some(version @ ("7" | "8" | "9")) => format!("application/vnd.elasticsearch+json;compatible-with={version}"),
        _ => "application/vnd.elasticsearch+json".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_content_type_is_the_one_asked_for() {
        for (accept, expected) in [
            ("", "application/json"),
            ("*/*", "application/json"),
            (
                "application/vnd.elasticsearch+json; compatible-with=8",
                "application/vnd.elasticsearch+json;compatible-with=8",
            ),
            (
                "text/plain, application/vnd.elasticsearch+x-ndjson;compatible-with=9",
                "application/vnd.elasticsearch+json;compatible-with=9",
            ),
            ("application/vnd.elasticsearch+json;compatible-with=evil", "application/vnd.elasticsearch+json"),
        ] {
            let request = TestRequest::get().insert_header((header::ACCEPT, accept)).to_http_request();
            assert_eq!(content_type(&request), expected, "{accept}");
        }
    }
}
