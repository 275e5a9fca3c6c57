//! A request after the general rules of the API: its verb, path, parameters and body.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{Data, Payload};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::model::Kind;
use crate::protocol::auth::Principal;
use crate::protocol::encoding::{Encoding, Preference, choose};
use crate::protocol::{Core, RequestLimits, body};

use super::Door;
use super::error::WireError;
use super::verb::Verb;

/// A query string: of a name given twice the last value counts, unless all are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn parse(query: &str) -> Self {
        Params(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// A flag: there, with whatever value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// The last value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The last value of `name`, which must not be empty.
    pub(super) fn required(&self, name: &str) -> Result<&str, WireError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| WireError::missing_parameter(name))
    }

    /// Every value of `name`, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The verb that counts: of a GET what `method_override` puts in its place, of any other request its own. Errors: the override
/// names no verb.
pub(super) fn effective(verb: Verb, params: &Params) -> Result<Verb, WireError> {
    let (Verb::Get, Some(name)) = (verb, params.get("method_override")) else { return Ok(verb) };
    let refuse = |message: &str| WireError::with_status(StatusCode::METHOD_NOT_ALLOWED, message);
    if name.is_empty() {
        return Err(refuse("Missing method override value"));
    }
    Verb::from_name(name).ok_or_else(|| refuse("Unknown or unsupported method override value"))
}

/// One request to an end point.
pub(super) struct Call {
    pub(super) request: HttpRequest,
    payload: Option<Payload>,
    pub(super) verb: Verb,
    pub(super) params: Params,
    /// What follows the end point in the path, decoded, without empty parts at the end.
    pub(super) rest: Vec<String>,
    pub(super) core: Core,
    pub(super) door: Data<Door>,
    /// Nobody, until [`Call::asked_by`] says who.
    pub(super) principal: Principal,
    limits: RequestLimits,
}

/// Bytes as text; what is not UTF-8 in them is replaced.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // The plain check is the faster one, and nearly all texts pass it.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

impl Call {
    pub(super) fn new(
        request: HttpRequest,
        payload: Payload,
        verb: Verb,
        rest: Vec<String>,
        core: Core,
        limits: RequestLimits,
        door: Data<Door>,
    ) -> Self {
        let params = Params::parse(request.query_string());
        Call { request, payload: Some(payload), verb, params, rest, core, door, principal: Principal::Nobody, limits }
    }

    pub(super) fn asked_by(self, principal: Principal) -> Self {
        Call { principal, ..self }
    }

    /// Refuses every verb but these.
    pub(super) fn allow(&self, verbs: &[Verb]) -> Result<(), WireError> {
        if verbs.contains(&self.verb) { Ok(()) } else { Err(WireError::verb_not_permitted(self.verb)) }
    }

    /// See [`effective`].
    pub(super) fn overridden_verb(&self) -> Result<Verb, WireError> {
        effective(self.verb, &self.params)
    }

    /// Bytes that a body may have.
    pub(super) fn body_bytes_max(&self) -> usize {
        self.limits.body_bytes_max
    }

    /// The body, unpacked. It is read once: a second time it is empty.
    pub(super) async fn body(&mut self) -> Result<Bytes, WireError> {
        let Some(payload) = self.payload.take() else { return Ok(Bytes::new()) };
        let limits = self.limits.body_of(self.limits.body_bytes_max);
        let bytes = body::read(payload, self.request.headers(), limits).await?;
        Ok(if self.is_latin1() { bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into() } else { bytes })
    }

    /// The body as JSON; `empty` is the message when there is none.
    pub(super) async fn json<T: DeserializeOwned>(&mut self, empty: &str) -> Result<T, WireError> {
        let body = self.body().await?;
        if body.is_empty() {
            return Err(WireError::bad_request(empty));
        }
        serde_json::from_slice(&body).map_err(|error| WireError::bad_json(&error))
    }

    /// Does something with the parameters beside the queries: making filters is work that the HTTP worker has no time for.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Params) -> Result<T, WireError> + Send + 'static,
    ) -> Result<T, WireError> {
        let params = self.params.clone();
        let done = self.core.runtime.spawn(async move { work(&params) }).await;
        done.map_err(|error| WireError::new(Kind::Internal, error.to_string()))?
    }

    /// What an answer that is made piece by piece should be packed in. Whole answers are packed by the router.
    pub(super) fn answer_encoding(&self) -> Encoding {
        answer_encoding(&self.request)
    }

    fn is_latin1(&self) -> bool {
        let kind = self.request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let charset =
            kind.into_iter().flat_map(|kind| kind.split(';')).find_map(|part| part.trim().strip_prefix("charset="));
        charset.is_some_and(|name| {
            let name = name.trim_matches('"');
            name.eq_ignore_ascii_case("iso-8859-1") || name.eq_ignore_ascii_case("latin1")
        })
    }
}

/// Gzip for those who take it.
pub(super) fn answer_encoding(request: &HttpRequest) -> Encoding {
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    choose(accepted, &[Encoding::Gzip, Encoding::Deflate], Preference::Weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_and_all_can_be_asked_for() {
        let params = Params::parse("m=a&m=b{h%3D*}&flag&empty=&plus=1+2");
        assert_eq!((params.get("m"), params.get("none")), (Some("b{h=*}"), None));
        assert_eq!(params.all("m").collect::<Vec<_>>(), ["a", "b{h=*}"]);
        assert!(params.has("flag") && !params.has("Flag"));
        assert_eq!(params.required("plus").unwrap(), "1 2");
        assert_eq!(params.required("empty").unwrap_err().message(), "Missing parameter <code>empty</code>");
    }
}
