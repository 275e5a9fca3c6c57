//! `/rest/login`.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::protocol::Gate;

use super::auth::Credentials;
use super::error::WireError;
use super::stamped;

/// `GET /rest/login/{user}/{password}`: a token for `Authorization: Taosd`.
///
/// 401 with code 3 for a wrong password, 400 for a name that no token can hold.
/// Spec: TDengine REST API, HTTP authentication.
pub(super) async fn login(request: HttpRequest, path: Path<(String, String)>, gate: Data<Gate>) -> HttpResponse {
    let (user, password) = path.into_inner();
    let answered = async {
        let core = gate.core().ok_or_else(WireError::starting)?;
        let refused = || WireError::new(StatusCode::UNAUTHORIZED, 3, "Authentication failure");
        let credentials = Credentials::new(&user, &password).ok_or_else(refused)?;
        let too_long = || WireError::new(StatusCode::BAD_REQUEST, 0x110A, "generate taosd token error");
        let token = credentials.to_token().ok_or_else(too_long)?;
        let found = credentials.principal(core).await;
        found.map_err(|error| if error.status == StatusCode::UNAUTHORIZED { refused() } else { error })?;
        let body = json!({"code": 0, "desc": token}).to_string();
        Ok(HttpResponse::Ok().content_type("application/json; charset=utf-8").body(body))
    };
    stamped(&request, answered.await.unwrap_or_else(WireError::into_response))
}
