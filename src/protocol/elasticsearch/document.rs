//! One document a request: `_doc` and `_create`.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::protocol::format::documents::bulk::{Action, Item};
use crate::protocol::params::Params;
use crate::protocol::{Gate, RequestLimits, body};

use super::caller::Caller;
use super::error::WireError;
use super::indices::database_name;
use super::respond::answer;
use super::take::{Destination, take};
use super::{Options, media_type, names};

/// `POST /{index}/_doc`, `PUT|POST /{index}/_doc/{id}`, `PUT|POST /{index}/_create/{id}`: the body is one document.
///
/// Query: as for bulk. Replies 201 with the members of a bulk item, once the document is stored, synced and visible; 400 with the
/// reason when it never can be. An id is echoed and means nothing: two documents of one id are two rows.
pub(super) async fn document(
    caller: Caller,
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
    options: Data<Options>,
) -> Result<HttpResponse, WireError> {
    let core = gate.core().ok_or_else(WireError::starting)?;
    caller.may_write(database_name(&params, &options))?;
    media_type::check(request.headers().get(header::CONTENT_TYPE))?;
    let body = body::read(payload, request.headers(), limits.body_of(options.body_bytes_max)).await?;
    let index = names::in_path(&request, "index").unwrap_or_default();
    let id = names::in_path(&request, "id");
    let action = Item { action: Action::Index, index, id, source: Some(&body) };
    let items = take(core, vec![action], &Destination::of(&params, &options)).await?;
    let Some(item) = items.first() else { return Err(WireError::starting()) };
    match &item.outcome {
        Ok(_) => Ok(answer(&request, item.status(), &item.body())),
        Err(failure) => Err(WireError::named(item.status(), failure.kind, failure.reason.clone())),
    }
}
