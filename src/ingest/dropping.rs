//! Databases that were dropped for later go when their time has come.
//!
//! Owns: when that is looked at. What goes is the catalog's (`catalog::dropping`); objects of dropped segments are removed as orphans.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::catalog::{Catalog, CatalogError};
use crate::model::Clock;

/// Between two looks. A look costs nothing while no database waits.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failed one.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Drops what is due, over and over, until the task is dropped or this process is no writer any more.
pub async fn drop_when_due(catalog: Arc<Catalog>, clock: Clock) {
    loop {
        let pause = match catalog.drop_due(clock()).await {
            Ok(dropped) => {
                if dropped > 0 {
                    info!(databases = dropped, "databases dropped whose time has come");
                }
                LOOK_EVERY
            }
            Err(CatalogError::Fenced { .. }) => return,
            Err(error) => {
                warn!(%error, "databases whose time has come were not dropped, will be tried again");
                TRY_AGAIN_AFTER
            }
        };
        tokio::time::sleep(pause).await;
    }
}
