//! Statements that create and drop databases.

use crate::catalog::databases::{IfExists, NewDatabase, policy};
use crate::model::{Kind, Precision};
use crate::protocol::Core;
use crate::protocol::auth::Principal;
use crate::query::sql::Ddl;

use super::error::WireError;
use super::{authorization, users};

const DAY_NS: i64 = 24 * 3_600_000_000_000;

/// Carries out a statement for a tenant; durable on `Ok`.
pub(super) async fn execute(core: &Core, principal: &Principal, tenant: &str, statement: Ddl) -> Result<(), WireError> {
    match statement {
        Ddl::Access(_) => authorization::administers(principal)?,
        Ddl::CreateDatabase { .. } | Ddl::DropDatabase { .. } => authorization::owns(principal, tenant)?,
    }
    match statement {
        Ddl::Access(change) => users::execute(core, change).await?,
        Ddl::CreateDatabase { name, if_not_exists, options } => {
            let ttl_ns = options.ttl.as_deref().map(ttl).transpose()?.unwrap_or(0);
            let new = NewDatabase {
                tenant: tenant.to_string(),
                name,
                precision: options.precision.as_deref().map(precision).transpose()?.unwrap_or_default(),
                policy: (ttl_ns > 0).then(|| policy(None, ttl_ns, None, 1)),
            };
            let if_exists = if if_not_exists { IfExists::Keep } else { IfExists::Fail };
            core.catalog.create_database(new, if_exists).await.map_err(WireError::of_catalog)?;
        }
        Ddl::DropDatabase { name, if_exists } => {
            let existed = core.catalog.drop_database(tenant, &name).await.map_err(WireError::of_catalog)?;
            if !existed && !if_exists {
                return Err(WireError::database_not_found(&name));
            }
        }
    }
    Ok(())
}

fn precision(text: &str) -> Result<Precision, WireError> {
    match text.to_ascii_lowercase().as_str() {
        "ns" => Ok(Precision::Ns),
        "us" => Ok(Precision::Us),
        "ms" => Ok(Precision::Ms),
        _ => Err(WireError::new(Kind::Invalid, format!("precision {text:?} is none of 'ns', 'us', 'ms'"))),
    }
}

/// How long rows live, nanoseconds; 0 is for ever. `inf`, or a number with a unit `d`, `h` or `m` (days without one).
fn ttl(text: &str) -> Result<i64, WireError> {
    let refuse = || WireError::new(Kind::Invalid, format!("ttl {text:?} is no duration such as '10d', '12h' or 'inf'"));
    let lower = text.trim().to_ascii_lowercase();
    if lower == "inf" {
        return Ok(0);
    }
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ns = match &lower[digits.len()..] {
        "" | "d" | "day" | "days" => DAY_NS,
        "h" | "hour" | "hours" => DAY_NS / 24,
        "m" | "min" | "minute" | "minutes" => DAY_NS / 24 / 60,
        _ => return Err(refuse()),
    };
    let count: i64 = digits.trim().parse().map_err(|_| refuse())?;
    count.checked_mul(unit_ns).filter(|ns| *ns > 0).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_has_a_unit_or_means_days() {
        assert_eq!(ttl("10d").unwrap(), 10 * DAY_NS);
        assert_eq!(ttl("10").unwrap(), 10 * DAY_NS);
        assert_eq!(ttl("12H").unwrap(), DAY_NS / 2);
        assert_eq!(ttl("INF").unwrap(), 0);
        for wrong in ["", "d", "-1d", "0d", "10y", "9999999999999d"] {
            assert!(ttl(wrong).is_err(), "{wrong}");
        }
    }
}
