//! Becoming a writer.

use tracing::info;
use uuid::Uuid;

use super::chain::Document;
use super::change::Change;
use super::committer::Me;
use super::error::CatalogError;
use super::head::{Extended, Found, Head};
use super::options::CatalogOptions;

/// Commits that `writer` is opened. Of several that do so at once under one name, the last to commit is the one that
/// may go on.
pub(super) async fn register(head: &mut Head, writer: Uuid, options: &CatalogOptions) -> Result<Me, CatalogError> {
    loop {
        while head.next().await? == Found::More {}
        if let Some(before) = head.state().writer(writer) {
            info!(name = %before.name, epoch = before.epoch, "this writer was not closed; taking it over");
        }
        let epoch = head.state().version + 1;
        let opened_ns = (options.clock)();
        let open = Change::OpenWriter { writer, epoch, name: options.name.clone(), opened_ns };
        let mut next = (**head.state()).clone();
        next.apply(&open);
        next.version = epoch;
        let commit = Document { id: Uuid::now_v7(), number: epoch, writer, epoch, changes: vec![open] };
        match head.extend(&commit, next).await? {
            Extended::Won => {
                let others: Vec<_> = head.state().writers().filter(|w| w.id != writer).collect();
                if !others.is_empty() {
                    let names: Vec<&str> = others.iter().map(|w| &*w.name).collect();
                    info!(?names, "other writers are open in this store, or ended without being stopped");
                }
                return Ok(Me { writer, epoch });
            }
            Extended::Overtaken => options.metrics.conflicts.inc(),
        }
    }
}
