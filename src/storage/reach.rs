//! The first word with a remote store: who starts together with it waits for it, who may not enter is told why.

use std::error::Error as StdError;
use std::time::Duration;

use object_store::{Error, ObjectStore, ObjectStoreExt};
use tracing::{info, warn};

use super::layout;
use super::open::{StoreError, StoreUrl};

/// Pauses between tries double from the first to the last of these.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// Asks `store` for one object until there is an answer, whatever it is.
///
/// A store that does not answer, or that says it cannot now, is asked again without end, and the log says so each time. An
/// error means that asking again is of no use: the credentials are refused or missing.
pub async fn wait_for_answer(store: &dyn ObjectStore, url: &StoreUrl) -> Result<(), StoreError> {
    let mut pause = PAUSE.0;
    loop {
        let error = match store.head(&layout::identity_key()).await {
            Ok(_) | Err(Error::NotFound { .. }) => break,
            Err(source @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. })) => {
                return Err(StoreError::Refused { url: url.clone(), source });
            }
            Err(error) => error,
        };
        let error = with_causes(&error);
        warn!(%url, error, pause_ms = pause.as_millis(), "the store does not answer; the start waits for it");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
    info!(%url, "the store answers");
    Ok(())
}

/// The error's text, and below it what it does not say itself: HTTP errors keep "connection refused" and "unknown issuer"
/// to their sources.
fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn causes_are_told_once() {
        let layer = |text, source: Option<Layer>| Layer { text, source: source.map(Box::new) };
        let error = layer("sent: refused", Some(layer("refused", Some(layer("port 1", None)))));
        assert_eq!(with_causes(&error), "sent: refused: port 1");
        assert_eq!(with_causes(&layer("alone", None)), "alone");
    }
}
