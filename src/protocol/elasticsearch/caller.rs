//! Who asks: `Authorization: Basic`, `ApiKey` (user and password under another name) or `Bearer`.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use crate::model::{Classify, Kind};
use crate::protocol::auth::{Login, Principal};
use crate::protocol::{Core, Gate, auth};

use super::error::WireError;

/// The one a request is for. As an argument of a handler it refuses those who do not prove who they are.
pub(super) struct Caller(pub(super) Principal);

impl Caller {
    /// Refuses who may not write into `database`.
    pub(super) fn may_write(&self, database: &str) -> Result<(), WireError> {
        self.allowed(self.0.may_write(database), "indices:data/write/bulk")
    }

    /// Refuses who may not read `database`.
    pub(super) fn may_read(&self, database: &str) -> Result<(), WireError> {
        self.allowed(self.0.may_read(database), "indices:data/read/search")
    }

    fn allowed(&self, allowed: bool, action: &str) -> Result<(), WireError> {
        if allowed {
            return Ok(());
        }
        let user = self.0.name().unwrap_or_default();
        Err(WireError::new(Kind::Forbidden, format!("action [{action}] is unauthorized for user [{user}]")))
    }
}

impl FromRequest for Caller {
    type Error = WireError;
    type Future = LocalBoxFuture<'static, Result<Self, WireError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            let gate = request.app_data::<Data<Gate>>().ok_or_else(WireError::starting)?;
            let core = gate.core().ok_or_else(WireError::starting)?;
            find(core, &request).await.map(Caller)
        }
        .boxed_local()
    }
}

async fn find(core: &Core, request: &HttpRequest) -> Result<Principal, WireError> {
    if !core.auth.is_on() {
        return Ok(Principal::Anyone);
    }
    let state = core.catalog.state();
    let text = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let missing = || {
        let path = request.path();
        WireError::unauthenticated(format!("missing authentication credentials for REST request [{path}]"))
    };
    let (scheme, rest) = text.and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    let found = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => core.auth.bearer(&state, rest.trim(), (core.ingest.clock)()),
        "apikey" => core.auth.login(&state, &api_key(rest).ok_or_else(missing)?).await,
        _ => core.auth.login(&state, &auth::basic(request.headers()).ok_or_else(missing)?).await,
    };
    found.map_err(|error| match error.kind() {
        Kind::Overloaded => WireError::new(Kind::Overloaded, error.to_string()),
        _ => WireError::unauthenticated("unable to authenticate with provided credentials"),
    })
}

/// `base64(id:key)`
fn api_key(text: &str) -> Option<Login> {
    let plain = STANDARD.decode(text.trim()).ok()?;
    Login::parse(std::str::from_utf8(&plain).ok()?)
}
