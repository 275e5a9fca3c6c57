//! What requests name in their query string: tenant, database, unit of time.

use serde::Deserialize;

use crate::model::Precision;
use crate::model::names::{DEFAULT_TENANT, PUBLIC_DATABASE};

use super::error::{Code, WireError};

/// Parameters of the endpoints; those that an endpoint does not know are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Params {
    tenant: Option<String>,
    db: Option<String>,
    precision: Option<String>,
    chunked: Option<String>,
    target_partitions: Option<String>,
}

impl Params {
    pub(super) fn tenant(&self) -> &str {
        self.tenant.as_deref().filter(|t| !t.is_empty()).unwrap_or(DEFAULT_TENANT)
    }

    pub(super) fn database(&self) -> &str {
        self.db.as_deref().filter(|d| !d.is_empty()).unwrap_or(PUBLIC_DATABASE)
    }

    /// `ms`, `us` or `ns` in any case; nanoseconds when absent. Anything else is refused: CnosDB takes it for
    /// nanoseconds, which stores wrong times without a word.
    pub(super) fn precision(&self) -> Result<Precision, WireError> {
        let text = self.precision.as_deref().unwrap_or_default();
        match text.to_ascii_lowercase().as_str() {
            "" | "ns" => Ok(Precision::Ns),
            "us" => Ok(Precision::Us),
            "ms" => Ok(Precision::Ms),
            _ => Err(refuse("precision", text, "`ns`, `us` or `ms`")),
        }
    }

    /// Checked only: every result is streamed as it is made.
    pub(super) fn check_chunked(&self) -> Result<(), WireError> {
        match self.chunked.as_deref() {
            None | Some("true" | "false") => Ok(()),
            Some(other) => Err(refuse("chunked", other, "`true` or `false`")),
        }
    }

    pub(super) fn target_partitions(&self) -> Result<Option<usize>, WireError> {
        const MAX: usize = 256;
        let Some(text) = self.target_partitions.as_deref() else { return Ok(None) };
        match text.parse() {
            Ok(n) if (1..=MAX).contains(&n) => Ok(Some(n)),
            _ => Err(refuse("target_partitions", text, "a number from 1 to 256")),
        }
    }
}

fn refuse(name: &str, value: &str, expected: &str) -> WireError {
    WireError::coded(Code::Header, format_args!("parameter {name} is {value:?}, expected {expected}"))
}
