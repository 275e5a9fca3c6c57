//! TDengine through REST, as taosAdapter 3.x serves it: `/rest/sql`, login, CSV upload, ping, and its doors for line protocol and
//! OpenTSDB's points.
//!
//! Spec: TDengine REST API, taosAdapter's sources. Left out: WebSocket, `/rest/sqlt` and `/rest/sqlutc` of 2.x (404, as there).
//! The language is `query::tdsql`; what it asks of catalog and log is carried out in `execute`.

mod answer;
mod auth;
pub mod error;
mod execute;
mod line_protocol;
mod lines;
mod login;
mod numbers;
mod opentsdb;
mod params;
mod ping;
mod sql;
mod upload;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};

use crate::protocol::routes::Routes;

/// How this door is set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether errors of statements are told by HTTP status too.
    pub http_code_server_error: bool,
}

/// Paths that browsers may ask about before they ask them.
const CORS_PATHS: [&str; 6] =
    ["/rest/sql", "/rest/sql/{db}", "/rest/sql/{db}/vgid", "/rest/login/{user}/{password}", "/rest/upload", "/-/ping"];

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];

/// Paths that are found with a slash behind them too: the answer shows the way to the one without.
const SLASHED_PATHS: [(&[Method], &str); 9] = [
    (POST, "/rest/sql"),
    (POST, "/rest/sql/{db}"),
    (POST, "/rest/sql/{db}/vgid"),
    (GET, "/rest/login/{user}/{password}"),
    (POST, "/rest/upload"),
    (GET, "/-/ping"),
    (POST, "/influxdb/v1/write"),
    (POST, "/opentsdb/v1/put/json/{db}"),
    (POST, "/opentsdb/v1/put/telnet/{db}"),
];

pub fn routes(routes: &mut Routes<'_>) {
    routes
        .checked(POST, "/rest/sql", sql::sql)
        .checked(POST, "/rest/sql/{db}", sql::sql)
        .checked(POST, "/rest/sql/{db}/vgid", sql::groups)
        .checked(GET, "/rest/login/{user}/{password}", login::login)
        .checked(POST, "/rest/upload", upload::upload)
        .open(GET, "/-/ping", ping::ping)
        .checked(POST, "/influxdb/v1/write", lines::write)
        .checked(POST, "/opentsdb/v1/put/json/{db}", opentsdb::json)
        .checked(POST, "/opentsdb/v1/put/telnet/{db}", opentsdb::telnet);
    for path in CORS_PATHS {
        routes.open(&[Method::OPTIONS], path, preflight);
    }
    for (methods, path) in SLASHED_PATHS {
        routes.open(methods, &format!("{path}/"), without_slash);
    }
}

/// Shows the way to the path without its last slash, with the query as it is: 301 for GET, else 307, which keeps method and body.
///
/// Some clients ask for `/rest/sql/`. Spec: gin, `RedirectTrailingSlash`, which taosAdapter leaves on; credentials are not looked at.
async fn without_slash(request: HttpRequest) -> HttpResponse {
    let uri = request.uri();
    let path = uri.path().strip_suffix('/').unwrap_or(uri.path());
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let status = match *request.method() {
        Method::GET => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::TEMPORARY_REDIRECT,
    };
    HttpResponse::build(status).insert_header((header::LOCATION, format!("{path}{query}"))).finish()
}

async fn preflight(request: HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::NO_CONTENT);
    response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"));
    response.insert_header((header::ACCESS_CONTROL_MAX_AGE, "43200"));
    if let Some(wanted) = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone()));
    }
    stamped(&request, response.finish())
}

/// What browsers want on every answer.
fn stamped(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    if request.headers().contains_key(header::ORIGIN) {
        let any = header::HeaderValue::from_static("*");
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    }
    response
}
