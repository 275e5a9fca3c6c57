//! The points of SELECT … INTO: stored by the write path that `/write` uses.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::ingest::Ingest;
use crate::ingest::accept::Target;
use crate::model::Points;
use crate::protocol::format::line_protocol::BadLines;
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::plan::into::{Destination, PointSink};

use super::error::WireError;
use super::refusal;
use super::write::RULES;

/// Writes through the front of the write path.
pub(super) struct IngestSink<'a>(pub &'a Ingest);

impl PointSink for IngestSink<'_> {
    fn write<'a>(&'a self, to: &'a Destination, points: Points) -> BoxFuture<'a, Result<(), StatementError>> {
        async move {
            let target = Target { tenant: to.tenant.clone(), database: to.database.clone(), policy: to.policy.clone() };
            let count = points.rows();
            let refused = |error: WireError| StatementError::Refused(error.text().to_string());
            let receipt = self.0.accept(&target, points, RULES).await.map_err(|error| refused(error.into()))?;
            refusal::partial_write(&BadLines::default(), &receipt.rejected, count).map_or(Ok(()), |e| Err(refused(e)))
        }
        .boxed()
    }
}
