//! Who may ask from a browser (`cors_domains`).
//!
//! Spec: OpenTSDB HTTP API, CORS: origins are compared whole and without regard to case.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

use super::error::WireError;

const METHODS: &str = "GET, POST, PUT, DELETE";
const HEADERS: &str = "Authorization, Content-Type, Accept, Origin, User-Agent, DNT, Cache-Control, X-Mx-ReqToken, \
                       Keep-Alive, X-Requested-With, If-Modified-Since";

/// What a request's `Origin` is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// CORS is off, or the request comes from no page.
    Unasked,
    /// To be let in, with headers that say so.
    Allowed(HeaderValue),
    Refused(String),
}

impl Origin {
    pub(super) fn of(request: &HttpRequest, domains: &[String]) -> Origin {
        let given = request.headers().get(header::ORIGIN).filter(|origin| !origin.is_empty());
        let (false, Some(given)) = (domains.is_empty(), given) else { return Origin::Unasked };
        let text = String::from_utf8_lossy(given.as_bytes());
        match domains.iter().any(|domain| domain == "*" || domain.eq_ignore_ascii_case(&text)) {
            true => Origin::Allowed(given.clone()),
            false => Origin::Refused(text.into_owned()),
        }
    }

    /// What a refused page is told: with status 200, so that it can read it.
    pub(super) fn refusal(&self) -> Option<WireError> {
        let Origin::Refused(domain) = self else { return None };
        let error = WireError::with_status(StatusCode::OK, "CORS domain not allowed");
        Some(error.details(format!("The domain [{domain}] is not permitted access")))
    }

    pub(super) fn stamp(&self, headers: &mut HeaderMap) {
        let Origin::Allowed(origin) = self else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(domains: &[&str], origin: Option<&str>, expected: &Origin) {
        let mut request = TestRequest::get();
        if let Some(origin) = origin {
            request = request.insert_header((header::ORIGIN, origin));
        }
        let domains: Vec<String> = domains.iter().map(|domain| domain.to_string()).collect();
        assert_eq!(&Origin::of(&request.to_http_request(), &domains), expected, "{domains:?} {origin:?}");
    }

    #[test]
    fn origins_are_compared_whole_and_in_any_case() {
        let allowed = |text| Origin::Allowed(HeaderValue::from_static(text));
        check(&[], Some("http://a"), &Origin::Unasked);
        check(&["http://a"], None, &Origin::Unasked);
        check(&["http://a"], Some(""), &Origin::Unasked);
        check(&["http://b", "http://a"], Some("HTTP://A"), &allowed("HTTP://A"));
        check(&["*"], Some("http://c"), &allowed("http://c"));
        check(&["http://a"], Some("http://a.b"), &Origin::Refused("http://a.b".to_string()));
    }
}
