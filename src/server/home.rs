//! What no exact route claims: unknown paths and wrong methods, answered as the listener's own protocol does.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::config::Listener;
use crate::protocol::{cnosdb, elasticsearch, influxdb, opentsdb};

use super::health;

/// 401 for a path that has no rule who may use it, in the words of listener `home`.
pub(super) fn unauthenticated(home: Listener) -> HttpResponse {
    let status = StatusCode::UNAUTHORIZED;
    match home {
        Listener::Influxdb => influxdb::unauthenticated(),
        Listener::Cnosdb => cnosdb::unauthenticated(),
        Listener::Opentsdb => {
            let mut answer = HttpResponse::build(status);
            answer.insert_header(CHALLENGE).json(json!({"error": {"code": 401, "message": "Authentication required"}}))
        }
        Listener::Tdengine => HttpResponse::build(status)
            .insert_header(CHALLENGE)
            .json(json!({"code": 0x357, "desc": "Authentication failure"})),
        Listener::Elasticsearch => elasticsearch::unauthenticated(),
    }
}

/// Browsers ask for a password when they see it.
pub(super) const CHALLENGE: (&str, &str) = ("WWW-Authenticate", "Basic realm=\"tidegate\"");

/// Answers for listener `home`; what is known by path but not by method is 405, the rest 404.
pub(super) async fn answer(
    request: HttpRequest,
    home: web::Data<Listener>,
    door: web::Data<opentsdb::Door>,
) -> HttpResponse {
    let path = request.path();
    let known = influxdb::PATHS.iter().chain(cnosdb::PATHS).chain(&health::PATHS).any(|p| *p == path);
    let status = if known { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
    match **home {
        Listener::Influxdb => influxdb::router_error(status),
        Listener::Cnosdb => HttpResponse::new(status),
        Listener::Opentsdb => opentsdb::unclaimed(request, door, known).await,
        Listener::Tdengine => HttpResponse::build(status).content_type("text/plain").body(reason(status)),
        Listener::Elasticsearch => elasticsearch::unclaimed(&request, known),
    }
}

fn reason(status: StatusCode) -> &'static str {
    if status == StatusCode::NOT_FOUND { "404 page not found" } else { "405 method not allowed" }
}
