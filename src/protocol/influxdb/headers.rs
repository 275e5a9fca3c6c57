//! Headers that every InfluxDB answer carries: the product's version and build, and the request's id.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The version we answer as: clients choose their behaviour by it.
pub const VERSION: &str = "1.8.10";
pub const BUILD: &str = "OSS";

const X_INFLUXDB_VERSION: HeaderName = HeaderName::from_static("x-influxdb-version");
const X_INFLUXDB_BUILD: HeaderName = HeaderName::from_static("x-influxdb-build");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// By what name a client finds its request in our logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The client's own id (`X-Request-Id`, else `Request-Id`), else a fresh one.
    pub fn of(request: &HeaderMap, fresh: impl FnOnce() -> Uuid) -> Self {
        let mut given = [X_REQUEST_ID, REQUEST_ID].into_iter().filter_map(|name| request.get(name));
        let given = given.find(|value| !value.is_empty()).cloned();
        RequestId(given.unwrap_or_else(|| {
            HeaderValue::try_from(fresh().to_string()).expect("an id is hexadecimal digits and hyphens")
        }))
    }

    /// Marks an answer with the id, in both spellings.
    pub fn stamp(&self, response: &mut HeaderMap) {
        response.insert(REQUEST_ID, self.0.clone());
        response.insert(X_REQUEST_ID, self.0.clone());
    }
}

/// Marks an answer as InfluxDB's.
pub fn stamp_version(response: &mut HeaderMap) {
    response.insert(X_INFLUXDB_VERSION, HeaderValue::from_static(VERSION));
    response.insert(X_INFLUXDB_BUILD, HeaderValue::from_static(BUILD));
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

    fn check(request: &[(HeaderName, &'static str)], expected: &str) {
        let request = request.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        let mut response = HeaderMap::new();
        RequestId::of(&request, || FRESH).stamp(&mut response);
        assert_eq!(response.get("Request-Id").unwrap(), expected);
        assert_eq!(response.get("X-Request-Id").unwrap(), expected);
    }

    #[test]
    fn the_clients_id_is_echoed_under_both_names() {
        check(&[(X_REQUEST_ID, "mine")], "mine");
        check(&[(REQUEST_ID, "mine")], "mine");
        check(&[(REQUEST_ID, "old"), (X_REQUEST_ID, "new")], "new");
        check(&[(REQUEST_ID, "old"), (X_REQUEST_ID, "")], "old");
    }

    #[test]
    fn a_request_without_an_id_gets_one() {
        check(&[], "01234567-89ab-cdef-0123-456789abcdef");
        check(&[(REQUEST_ID, "")], "01234567-89ab-cdef-0123-456789abcdef");
    }

    #[test]
    fn the_version_replaces_what_was_there() {
        let mut response = HeaderMap::new();
        stamp_version(&mut response);
        stamp_version(&mut response);
        assert_eq!(response.get_all("X-Influxdb-Version").collect::<Vec<_>>(), ["1.8.10"]);
        assert_eq!(response.get_all("X-Influxdb-Build").collect::<Vec<_>>(), ["OSS"]);
    }
}
