//! What requests name in their query string: tenant, database, unit of time.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::model::Precision;
use crate::model::names::{DEFAULT_TENANT, PUBLIC_DATABASE};
use crate::protocol::params as shared;

use super::error::{Code, WireError};

/// Parameters of the endpoints.
pub(super) struct Params(shared::Params);

impl FromRequest for Params {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Params(shared::Params::parse(request.query_string()))))
    }
}

impl Params {
    pub(super) fn tenant(&self) -> &str {
        self.0.get("tenant").filter(|t| !t.is_empty()).unwrap_or(DEFAULT_TENANT)
    }

    pub(super) fn database(&self) -> &str {
        self.0.get("db").filter(|d| !d.is_empty()).unwrap_or(PUBLIC_DATABASE)
    }

    /// A parameter of one endpoint; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).filter(|value| !value.is_empty())
    }

    /// `ms`, `us` or `ns` in any case; nanoseconds when absent. Anything else is refused: CnosDB takes it for
    /// nanoseconds, which stores wrong times without a word.
    pub(super) fn precision(&self) -> Result<Precision, WireError> {
        let text = self.0.text("precision");
        match text.to_ascii_lowercase().as_str() {
            "" | "ns" => Ok(Precision::Ns),
            "us" => Ok(Precision::Us),
            "ms" => Ok(Precision::Ms),
            _ => Err(refuse("precision", text, "`ns`, `us` or `ms`")),
        }
    }

    /// Checked only: every result is streamed as it is made.
    pub(super) fn check_chunked(&self) -> Result<(), WireError> {
        match self.0.get("chunked") {
            None | Some("true" | "false") => Ok(()),
            Some(other) => Err(refuse("chunked", other, "`true` or `false`")),
        }
    }

    pub(super) fn target_partitions(&self) -> Result<Option<usize>, WireError> {
        const MAX: usize = 256;
        let Some(text) = self.0.get("target_partitions") else { return Ok(None) };
        match text.parse() {
            Ok(n) if (1..=MAX).contains(&n) => Ok(Some(n)),
            _ => Err(refuse("target_partitions", text, "a number from 1 to 256")),
        }
    }
}

fn refuse(name: &str, value: &str, expected: &str) -> WireError {
    WireError::coded(Code::Header, format_args!("parameter {name} is {value:?}, expected {expected}"))
}
