//! What requests about indices have in common: who asks, in which database, about which indices.

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use crate::catalog::{CatalogState, Table};
use crate::protocol::params::Params;
use crate::protocol::{Core, Gate};

use super::caller::Caller;
use super::chosen::Chosen;
use super::error::WireError;
use super::indices::database_name;
use super::{Options, names};

/// A request about the indices that its path names. As an argument of a handler it refuses those who do not prove who they are.
pub(super) struct Asked {
    pub(super) request: HttpRequest,
    pub(super) params: Params,
    pub(super) options: Data<Options>,
    caller: Caller,
    gate: Data<Gate>,
}

impl Asked {
    /// The gateway, and the database for who may read it.
    pub(super) fn to_read(&self) -> Result<(&Core, &str), WireError> {
        let (core, database) = self.place()?;
        self.caller.may_read(database)?;
        Ok((core, database))
    }

    /// The gateway, and the database for who may write into it.
    pub(super) fn to_write(&self) -> Result<(&Core, &str), WireError> {
        let (core, database) = self.place()?;
        self.caller.may_write(database)?;
        Ok((core, database))
    }

    fn place(&self) -> Result<(&Core, &str), WireError> {
        let core = self.gate.core().ok_or_else(WireError::starting)?;
        Ok((core, database_name(&self.params, &self.options)))
    }

    /// The names and patterns in the path, with their dates; all where there are none.
    pub(super) fn names(&self) -> Result<String, WireError> {
        let (core, _) = self.place()?;
        names::expression(&self.request, (core.ingest.clock)())
    }

    /// The tables that the path means, as the query's `ignore_unavailable` and `allow_no_indices` have it.
    pub(super) fn tables<'a>(&self, state: &'a CatalogState) -> Result<Vec<&'a Table>, WireError> {
        let (_, database) = self.place()?;
        Chosen::of(&self.params).tables(state, database, &self.names()?)
    }
}

impl FromRequest for Asked {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let parts = <(Caller, HttpRequest, Params, Data<Gate>, Data<Options>)>::from_request(request, payload);
        async move {
            let (caller, request, params, gate, options) = parts.await?;
            Ok(Asked { request, params, options, caller, gate })
        }
        .boxed_local()
    }
}
