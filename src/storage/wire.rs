//! Requests to a remote store as they go over the wire: what the store sees, throttles and sends a bill for.
//!
//! [`super::metered`] counts what the gateway wants; the client below it repeats requests, lists page by page and asks
//! for credentials. Here each HTTP request counts once, with the answer it got.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// What is asked, as stores bill it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Get,
    Head,
    /// One page of a listing.
    List,
    Put,
    /// Uploads in parts, deletions in bulk, credentials.
    Post,
    Delete,
}

const ASKED: [(Asked, &str); 6] = [
    (Asked::Get, "get"),
    (Asked::Head, "head"),
    (Asked::List, "list"),
    (Asked::Put, "put"),
    (Asked::Post, "post"),
    (Asked::Delete, "delete"),
];

/// How it was answered: everyday refusals, throttling and silence have names of their own.
const ANSWERS: [&str; 12] =
    ["2xx", "3xx", "404", "409", "412", "429", "4xx", "500", "503", "5xx", "timeout", "no_answer"];
const TIMEOUT: usize = 10;
/// The connection failed, or the request was given up.
const NO_ANSWER: usize = 11;

impl Asked {
    fn of(request: &HttpRequest) -> Asked {
        let lists = request.uri().query().is_some_and(|query| {
            // S3's and Google's, and Azure's.
            query.split('&').any(|pair| pair == "list-type=2" || pair == "comp=list")
        });
        match request.method().as_str() {
            "GET" if lists => Asked::List,
            "HEAD" => Asked::Head,
            "PUT" => Asked::Put,
            "POST" => Asked::Post,
            "DELETE" => Asked::Delete,
            _ => Asked::Get,
        }
    }
}

/// Position in [`ANSWERS`].
fn answer_of(status: u16) -> usize {
    let exact = status.to_string();
    let class = format!("{}xx", status / 100);
    let found = ANSWERS.iter().position(|name| *name == exact);
    found.or_else(|| ANSWERS.iter().position(|name| *name == class)).unwrap_or(NO_ANSWER)
}

/// The counters, resolved once.
#[derive(Debug, Clone)]
pub struct WireMetrics {
    /// By [`ASKED`], then [`ANSWERS`].
    requests: Arc<Vec<Vec<IntCounter>>>,
    repeated: Arc<Vec<IntCounter>>,
}

impl WireMetrics {
    /// Registers them with `registry`, which must not have another one's yet.
    pub fn new(registry: &Registry) -> prometheus::Result<WireMetrics> {
        let requests = IntCounterVec::new(
            Opts::new(
                "tidegate_object_store_http_requests_total",
                "HTTP requests to a remote object store, each try and each page, by what was asked and the answer",
            ),
            &["request", "answer"],
        )?;
        let repeated = IntCounterVec::new(
            Opts::new(
                "tidegate_object_store_retries_total",
                "HTTP requests that repeat one that failed or whose answer got lost",
            ),
            &["request"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(repeated.clone()))?;
        let by_answer = |asked: &str| ANSWERS.map(|answer| requests.with_label_values(&[asked, answer])).to_vec();
        Ok(WireMetrics {
            requests: Arc::new(ASKED.iter().map(|(_, name)| by_answer(name)).collect()),
            repeated: Arc::new(ASKED.iter().map(|(_, name)| repeated.with_label_values(&[*name])).collect()),
        })
    }
}

/// Goes along with a put or get through all its tries (as an extension of the request), so that the second one is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Tries(Arc<AtomicBool>);

/// Makes the usual HTTP clients, counted.
#[derive(Debug)]
pub struct CountingConnector {
    metrics: WireMetrics,
}

impl CountingConnector {
    pub fn new(metrics: WireMetrics) -> CountingConnector {
        CountingConnector { metrics }
    }
}

impl HttpConnector for CountingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(CountingClient { inner, metrics: self.metrics.clone() }))
    }
}

#[derive(Debug)]
struct CountingClient {
    inner: HttpClient,
    metrics: WireMetrics,
}

/// A request under way; counted when dropped.
struct Pending<'a> {
    metrics: &'a WireMetrics,
    asked: Asked,
    answer: usize,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.metrics.requests[self.asked as usize][self.answer].inc();
    }
}

#[async_trait]
impl HttpService for CountingClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asked = Asked::of(&request);
        if request.extensions().get::<Tries>().is_some_and(|tries| tries.0.swap(true, Ordering::Relaxed)) {
            self.metrics.repeated[asked as usize].inc();
        }
        let mut pending = Pending { metrics: &self.metrics, asked, answer: NO_ANSWER };
        let answer = self.inner.execute(request).await;
        pending.answer = match &answer {
            Ok(response) => answer_of(response.status().as_u16()),
            Err(error) if error.kind() == HttpErrorKind::Timeout => TIMEOUT,
            Err(_) => NO_ANSWER,
        };
        answer
    }
}

#[cfg(test)]
mod tests {
    use object_store::client::HttpRequestBody;

    use super::*;

    #[test]
    fn the_tables_are_in_the_order_of_their_indices() {
        for (i, (asked, _)) in ASKED.into_iter().enumerate() {
            assert_eq!(asked as usize, i);
        }
        assert_eq!((ANSWERS[TIMEOUT], ANSWERS[NO_ANSWER]), ("timeout", "no_answer"));
    }

    #[test]
    fn statuses_fall_into_the_narrowest_class() {
        let check = |status: u16, expected: &str| assert_eq!(ANSWERS[answer_of(status)], expected, "{status}");
        check(200, "2xx");
        check(206, "2xx");
        check(304, "3xx");
        check(404, "404");
        check(403, "4xx");
        check(412, "412");
        check(429, "429");
        check(500, "500");
        check(503, "503");
        check(502, "5xx");
        check(99, "no_answer");
    }

    #[test]
    fn a_page_of_a_listing_is_no_get() {
        let check = |method: &str, uri: &str, expected: Asked| {
            let mut request = HttpRequest::new(HttpRequestBody::empty());
            *request.method_mut() = method.parse().unwrap();
            *request.uri_mut() = uri.parse().unwrap();
            assert_eq!(Asked::of(&request), expected, "{method} {uri}");
        };
        check("GET", "http://s/bucket?list-type=2&prefix=data%2F", Asked::List);
        check("GET", "http://s/container?restype=container&comp=list", Asked::List);
        check("GET", "http://s/bucket/list-type=2", Asked::Get);
        check("PUT", "http://s/bucket/a", Asked::Put);
        check("POST", "http://s/bucket?delete", Asked::Post);
        check("DELETE", "http://s/bucket/a", Asked::Delete);
        check("HEAD", "http://s/bucket/a", Asked::Head);
    }
}
