//! `/ping`: is the server up, and which version is it.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::model::Kind;
use crate::protocol::Gate;
use crate::protocol::params::Params;

use super::error::{ErrorForm, WireError};
use super::headers::VERSION;
use super::stamped;

/// `GET|HEAD /ping`: 204; with `verbose` set to anything but an empty string, `0` or `false` 200 and the version.
/// 503 until the log is replayed.
pub(super) async fn ping(request: HttpRequest, params: Params, gate: Data<Gate>) -> HttpResponse {
    let response = match params.text("verbose") {
        _ if gate.core().is_none() => WireError::new(Kind::Unavailable, "starting").into_response(ErrorForm::Json),
        "" | "0" | "false" => HttpResponse::NoContent().content_type("application/json").finish(),
        _ => HttpResponse::Ok().json(json!({"version": VERSION})),
    };
    stamped(&request, response)
}
