//! Elasticsearch, as far as shippers of logs and metrics need it: bulk, single documents, and the questions they ask around them.
//!
//! Spec: Elasticsearch 8 REST API (bulk, document, and the handshakes of Beats, Logstash, Fluent Bit, Fluentd, Vector, Telegraf,
//! OpenTelemetry and the official clients). Documents are appended to tables and queried with SQL: updates, deletes and searches
//! beyond `match_all` are refused, each with its reason.

mod asked;
mod bulk;
mod caller;
mod chosen;
mod date_math;
mod document;
pub mod error;
mod filter;
mod handshake;
mod indices;
mod items;
mod media_type;
mod names;
mod remembered;
mod request;
mod respond;
mod search;
mod sort;
mod source;
mod streams;
mod take;
mod upkeep;

use actix_web::guard::{GuardContext, fn_guard};
use actix_web::http::{Method, StatusCode, header};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder, ResponseError};
use serde_json::json;

use crate::protocol::routes::{READS, Routes};

use caller::Caller;
use error::WireError;
use remembered::{Kind, remembered};
use respond::{PRODUCT, answer};

/// What the settings say about this protocol.
#[derive(Debug, Clone)]
pub struct Options {
    /// The version that clients are told.
    pub version: String,
    /// Where indices are unless a request says otherwise.
    pub database: String,
    /// Whether a value that does not fit goes into a column of its own instead of failing its document.
    pub siblings: bool,
    /// Most columns that documents may bring a table to.
    pub columns_max: usize,
    /// Bytes of a body, packed or unpacked.
    pub body_bytes_max: usize,
    /// Whether `DELETE /{index}` drops tables.
    pub allow_delete: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            version: "8.17.0".to_string(),
            database: "public".to_string(),
            siblings: false,
            columns_max: 1_000,
            body_bytes_max: 100 * 1024 * 1024,
            allow_delete: false,
        }
    }
}

const SEND: &[Method] = &[Method::POST, Method::PUT];
const ASK: &[Method] = &[Method::GET, Method::POST];
const KEEP: &[Method] = &[Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE];

/// Routes on every listener: all begin with an underscore, which no other protocol's do.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .checked(SEND, "/_bulk", bulk::bulk)
        .checked(READS, "/_license", handshake::license)
        .checked(READS, "/_xpack", handshake::xpack)
        .checked(READS, "/_cluster/health", handshake::health)
        .checked(READS, "/_cluster/health/{index}", handshake::health)
        .checked(&[Method::GET, Method::PUT], "/_cluster/settings", handshake::settings)
        .checked(READS, "/_cluster/{part}", handshake::state)
        .checked(READS, "/_nodes/stats", handshake::state)
        .checked(READS, "/_nodes", handshake::nodes)
        .checked(READS, "/_nodes/{part:.*}", handshake::nodes)
        .checked(READS, "/_security/_authenticate", handshake::authenticate)
        .checked(SEND, "/_monitoring/bulk", handshake::discarded)
        .checked(KEEP, "/_logstash/{part:.*}", handshake::discarded)
        .checked(READS, "/_cat/indices", indices::cat_indices)
        .checked(READS, "/_cat/indices/{index}", indices::cat_indices)
        .checked(READS, "/_cat/health", indices::cat_other)
        .checked(READS, "/_cat/nodes", indices::cat_other)
        .checked(READS, "/_cat/aliases", indices::cat_other)
        .checked(READS, "/_cat/templates", indices::cat_other)
        .checked(READS, "/_cat/templates/{name}", indices::cat_other)
        .checked(READS, "/_mapping", indices::index)
        .checked(READS, "/_settings", upkeep::settings)
        .checked(&[Method::PUT], "/_settings", upkeep::put_settings)
        .checked(ASK, "/_refresh", upkeep::refreshed)
        .checked(ASK, "/_flush", upkeep::refreshed)
        .checked(READS, "/_data_stream/_stats", streams::stats)
        .checked(READS, "/_data_stream/{name}/_stats", streams::stats)
        .checked(ASK, "/_count", search::count)
        .checked(ASK, "/_search", search::search)
        .checked(&[Method::POST], "/_ilm/start", acknowledged)
        .checked(&[Method::POST], "/_ilm/stop", acknowledged)
        .checked(&[Method::POST], "/_aliases", acknowledged);
    for (path, kind) in [
        ("/_index_template", Kind::IndexTemplate),
        ("/_component_template", Kind::ComponentTemplate),
        ("/_template", Kind::LegacyTemplate),
        ("/_ilm/policy", Kind::LifecyclePolicy),
        ("/_ingest/pipeline", Kind::Pipeline),
        ("/_data_stream", Kind::DataStream),
        ("/_scripts", Kind::Script),
        ("/_alias", Kind::Alias),
    ] {
        let keep = move |caller, request, payload, gate, limits, options| {
            remembered(kind, caller, request, payload, gate, limits, options)
        };
        routes.checked(READS, path, keep).checked(KEEP, &format!("{path}/{{name}}"), keep);
    }
}

/// Routes of the listener of this protocol: the front page, and indices, whose names could be anything.
pub fn index_routes(routes: &mut Routes<'_>) {
    routes.checked(READS, "/", handshake::root);
    let mut add = IndexRoutes(routes);
    add.at("_bulk", SEND, bulk::bulk);
    add.at("_doc/_bulk", SEND, bulk::bulk);
    add.at("_doc", &[Method::POST], document::document);
    add.at("_doc/{id}", SEND, document::document);
    add.at("_create/{id}", SEND, document::document);
    for mapping in ["_mapping", "_mappings"] {
        add.at(mapping, READS, indices::index);
        add.at(mapping, SEND, upkeep::put_mapping);
    }
    add.at("_settings", READS, upkeep::settings);
    add.at("_settings", &[Method::PUT], upkeep::put_settings);
    add.at("_count", ASK, search::count);
    add.at("_search", ASK, search::search);
    add.at("_refresh", ASK, upkeep::refreshed);
    add.at("_flush", ASK, upkeep::refreshed);
    add.at("_ilm/explain", READS, explained);
    add.at("_alias/{name}", KEEP, acknowledged);
    add.at("{type}/_bulk", SEND, bulk::bulk);
    add.not_here();
    add.whole(&[Method::GET, Method::HEAD, Method::PUT, Method::DELETE], indices::index);
}

/// Registers what begins with the name of an index, which never begins with an underscore, or with `_all`.
struct IndexRoutes<'a, 'r>(&'r mut Routes<'a>);

impl IndexRoutes<'_, '_> {
    fn at<F, Args>(&mut self, below: &str, methods: &'static [Method], handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let pattern = format!("/{{index}}/{below}");
        let example = format!("/example/{}", below.replace(['{', '}'], ""));
        let ours = fn_guard(move |request| is_index(request) && methods.contains(&request.head().method));
        self.0.checked_where(ours, methods, &pattern, std::iter::once(example), handler);
    }

    fn whole<F, Args>(&mut self, methods: &'static [Method], handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let ours = fn_guard(move |request| is_index(request) && methods.contains(&request.head().method));
        self.0.checked_where(ours, methods, "/{index}", std::iter::once("/example".to_string()), handler);
    }

    /// Everything else that Elasticsearch has below an index.
    fn not_here(&mut self) {
        let ours =
            fn_guard(|request| is_index(request) && is_api(request) && !request.head().uri.path().ends_with("/_bulk"));
        let example = std::iter::once("/example/_update/1".to_string());
        self.0.checked_where(ours, KEEP, "/{index}/{part:.*}", example, not_here);
    }
}

/// What other protocols and the process itself have at this place: an index of such a name is written to through `/_bulk`.
const TAKEN: [&str; 9] = ["api", "debug", "health", "metrics", "ping", "query", "ready", "status", "write"];

fn is_index(request: &GuardContext<'_>) -> bool {
    let name = request.head().uri.path().split('/').nth(1).unwrap_or_default();
    !name.is_empty() && (!name.starts_with('_') || name == "_all") && !TAKEN.contains(&name)
}

/// Whether the second part of a path is one of Elasticsearch's own.
fn is_api(request: &GuardContext<'_>) -> bool {
    request.head().uri.path().split('/').nth(2).is_some_and(|part| part.starts_with('_'))
}

/// What the listener says to a path, or to a method of a path, that it does not know. `known`: another protocol knows the path.
pub fn unclaimed(request: &HttpRequest, known: bool) -> HttpResponse {
    let (path, method) = (request.path(), request.method());
    let shown = request.uri().path_and_query().map_or(path, |path| path.as_str());
    let allowed = match path {
        "/" => Some("GET, HEAD"),
        _ if path == "/_bulk" || path.ends_with("/_bulk") => Some("POST, PUT"),
        _ => None,
    };
    if allowed.is_none() && !known {
        let error = format!("no handler found for uri [{shown}] and method [{method}]");
        return HttpResponse::BadRequest().insert_header(PRODUCT).json(json!({"error": error, "status": 400}));
    }
    let mut answer = HttpResponse::MethodNotAllowed();
    let mut error = format!("Incorrect HTTP method for uri [{shown}] and method [{method}]");
    if let Some(allowed) = allowed {
        error.push_str(&format!(", allowed: [{allowed}]"));
        answer.insert_header((header::ALLOW, allowed));
    }
    answer.insert_header(PRODUCT).json(json!({"error": error, "status": 405}))
}

/// What a path answers that nobody said a rule for, with authentication on.
pub fn unauthenticated() -> HttpResponse {
    WireError::unauthenticated("missing authentication credentials for REST request").error_response()
}

/// What is known to Elasticsearch and has no meaning for rows that are only appended.
async fn not_here(_: Caller, request: HttpRequest) -> Result<HttpResponse, WireError> {
    Err(WireError::not_here(&format!("[{}]", request.match_info().get("part").unwrap_or_default())))
}

async fn acknowledged(_: Caller, request: HttpRequest) -> HttpResponse {
    match *request.method() {
        Method::GET | Method::HEAD => answer(&request, StatusCode::NOT_FOUND, &json!({})),
        _ => respond::acknowledged(&request),
    }
}

async fn explained(_: Caller, request: HttpRequest) -> HttpResponse {
    answer(&request, StatusCode::OK, &json!({"indices": {}}))
}
