//! `/write` and `/api/v2/write`: line protocol into one database.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::ingest::{BadPoints, Rules, Target};
use crate::model::names::DEFAULT_TENANT;
use crate::model::{Kind, Precision};
use crate::protocol::auth::Principal;
use crate::protocol::body;
use crate::protocol::format::line_protocol::{Dialect, Options, parse};
use crate::protocol::params::Params;
use crate::protocol::{Core, Gate, RequestLimits};

use super::credentials::{self, Door};
use super::error::WireError;
use super::tracker::Sent;
use super::{accept, authorization, peer, refusal, stamped};

pub(super) const RULES: Rules =
    Rules { bad_points: BadPoints::Drop, tag_and_field_may_share_a_name: true, tag_may_be_called_time: false };

/// `POST /write`: line protocol into one database.
///
/// Query: `db` (required); `rp` (default: the database's default policy); `precision` one of `n ns u ms s m h`
/// (default `n`); `consistency` one of `any one quorum all`, without effect.
/// Replies 204 when every line is stored and synced. Good lines are stored beside bad ones: then 400
/// `partial write: … dropped=N`; 400 without that prefix if no line could be parsed.
/// Spec: InfluxDB 1.8 HTTP API, write endpoint.
pub(super) async fn write(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let written = async {
        let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
        let principal = credentials::principal(core, &request, &params, Door::V1).await?;
        core.influxdb.tracker.note(&principal, peer(&request), Sent::Write);
        let precision = precision(params.text("precision"))?;
        let database = params.text("db");
        if database.is_empty() {
            return Err(WireError::new(Kind::Invalid, "database is required"));
        }
        let consistency = params.text("consistency").to_lowercase();
        let known = matches!(consistency.as_str(), "" | "any" | "one" | "quorum" | "all");
        let write = Write { database, policy: params.text("rp"), precision, consistency_is_known: known };
        write.run(core, &principal, &request, payload, &limits).await
    };
    answer(&request, written.await)
}

/// `POST /api/v2/write`: the same under InfluxDB 2's names.
///
/// Query: `bucket` (required) is `db` or `db/rp`; `precision` one of `ns us ms s` (default `ns`); `org` is ignored.
/// Spec: InfluxDB 1.8 HTTP API, 2.0 compatibility endpoints.
pub(super) async fn write_v2(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let written = async {
        let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
        let principal = credentials::principal(core, &request, &params, Door::V2).await?;
        core.influxdb.tracker.note(&principal, peer(&request), Sent::Write);
        let precision = precision_v2(params.text("precision"))?;
        let (database, policy) = split_bucket(params.text("bucket"))?;
        let write = Write { database, policy, precision, consistency_is_known: true };
        write.run(core, &principal, &request, payload, &limits).await
    };
    answer(&request, written.await)
}

fn answer(request: &HttpRequest, written: Result<(), WireError>) -> HttpResponse {
    let response = match written {
        Ok(()) => HttpResponse::NoContent().content_type("application/json").finish(),
        Err(error) => error.into_response(accept::form_of(request).of_errors()),
    };
    stamped(request, response)
}

struct Write<'a> {
    database: &'a str,
    policy: &'a str,
    precision: Precision,
    consistency_is_known: bool,
}

impl Write<'_> {
    /// The checks come in the real server's order: database, rights, body, lines, consistency, points.
    async fn run(
        self,
        core: &Core,
        principal: &Principal,
        request: &HttpRequest,
        payload: Payload,
        limits: &RequestLimits,
    ) -> Result<(), WireError> {
        let now_ns = self.now_in_database(core)?;
        authorization::may_write(principal, self.database)?;
        let limits = limits.body_of(limits.body_bytes_max);
        let body = body::read(payload, request.headers(), limits).await?;
        let parsed = parse(&body, &Options { dialect: Dialect::INFLUXDB, precision: self.precision, now_ns });
        if !self.consistency_is_known {
            return Err(WireError::new(Kind::Invalid, "invalid consistency level"));
        }
        let target = Target {
            tenant: DEFAULT_TENANT.to_string(),
            database: self.database.to_string(),
            policy: (!self.policy.is_empty()).then(|| self.policy.to_string()),
        };
        let count = parsed.points.rows();
        let receipt = core.ingest.accept(&target, parsed.points, RULES).await?;
        core.ingest.metrics.points_rejected.inc_by(parsed.bad_lines.count() as u64);
        refusal::partial_write(&parsed.bad_lines, &receipt.rejected, count).map_or(Ok(()), Err)
    }

    /// The time for points that have none: now, cut to the request's unit.
    fn now_in_database(&self, core: &Core) -> Result<i64, WireError> {
        let state = core.catalog.state();
        match state.database(DEFAULT_TENANT, self.database) {
            Some(_) => Ok(self.precision.floor((core.ingest.clock)())),
            None => Err(WireError::new(Kind::NotFound, format!("database not found: {:?}", self.database))),
        }
    }
}

fn precision(text: &str) -> Result<Precision, WireError> {
    match text {
        "" | "n" | "ns" => Ok(Precision::Ns),
        "u" => Ok(Precision::Us),
        "ms" => Ok(Precision::Ms),
        "s" => Ok(Precision::S),
        "m" => Ok(Precision::M),
        "h" => Ok(Precision::H),
        other => Err(WireError::new(Kind::Invalid, format!("invalid precision {other:?} (use n, u, ms, s, m or h)"))),
    }
}

fn precision_v2(text: &str) -> Result<Precision, WireError> {
    match text {
        "" | "ns" => Ok(Precision::Ns),
        "us" => Ok(Precision::Us),
        "ms" => Ok(Precision::Ms),
        "s" => Ok(Precision::S),
        other => Err(WireError::new(Kind::Invalid, format!("invalid precision {other:?} (use ns, us, ms or s)"))),
    }
}

/// `db` or `db/policy`.
pub(super) fn split_bucket(bucket: &str) -> Result<(&str, &str), WireError> {
    let refuse = |why: &str| Err(WireError::new(Kind::Invalid, format!("bucket name {bucket:?} {why}")));
    match bucket.split_once('/') {
        None if bucket.is_empty() => refuse("is missing; it is \"database\" or \"database/retention-policy\""),
        None => Ok((bucket, "")),
        Some(("", _)) => refuse("has an empty database"),
        Some((_, "")) => refuse("has an empty retention policy"),
        Some(parts) => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_database_with_or_without_a_policy() {
        assert_eq!(split_bucket("db").unwrap(), ("db", ""));
        assert_eq!(split_bucket("db/rp").unwrap(), ("db", "rp"));
        assert_eq!(split_bucket("db/rp/x").unwrap(), ("db", "rp/x"));
        for wrong in ["", "/rp", "db/"] {
            assert!(split_bucket(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_two_doors_have_their_own_units() {
        assert_eq!(precision("u").unwrap(), Precision::Us);
        assert!(precision("us").is_err());
        assert_eq!(precision_v2("us").unwrap(), Precision::Us);
        assert!(precision_v2("u").is_err());
    }
}
