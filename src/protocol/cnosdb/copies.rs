//! COPY INTO: files that rows are written to and read from. The gateway's own rights reach farther than those of who asks, so only
//! administrators may.

use crate::protocol::Core;
use crate::protocol::auth::Principal;
use crate::query::sql::{Copy, SqlRequest};

use super::error::WireError;
use super::sql::refusal;
use super::{authorization, changes};

/// Carries out a COPY and returns the number of its rows. What was copied out is there as a whole; what is copied in is stored
/// batch by batch, and an error leaves what was stored before it.
pub(super) async fn copy(
    core: &Core,
    principal: &Principal,
    question: SqlRequest,
    copy: Copy,
    text: &str,
) -> Result<u64, WireError> {
    authorization::administers(principal)?;
    match copy {
        Copy::Out(copy) => core.queries.copy_out(question, copy).await.map_err(|error| refusal(error, text)),
        Copy::In(copy) => {
            let rows = core.queries.copy_in(question, copy).await.map_err(|error| refusal(error, text))?;
            authorization::may_write(principal, &rows.tenant, &rows.database)?;
            changes::store(core, rows, text).await
        }
    }
}
