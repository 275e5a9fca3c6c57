//! `/api/v2/delete`: rows of a bucket by time and tags.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use chrono::DateTime;
use serde::Deserialize;

use crate::model::Kind;
use crate::model::names::DEFAULT_TENANT;
use crate::protocol::influxdb::credentials::{self, Door};
use crate::protocol::influxdb::error::{ErrorForm, WireError};
use crate::protocol::influxdb::{authorization, stamped, statements, write};
use crate::protocol::params::Params;
use crate::protocol::{Core, Gate, RequestLimits, body};
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::deletion::Deletion;
use crate::query::influxql::ident::Ident;
use crate::query::influxql::source::Measurement;
use crate::query::influxql::{self, Statement};

use super::predicate::Predicate;

#[derive(Debug, Deserialize)]
struct Request {
    start: String,
    stop: String,
    #[serde(default)]
    predicate: String,
}

/// `POST /api/v2/delete`: removes the rows of a bucket from `start` to `stop` (RFC 3339, both included) that `predicate` holds for.
///
/// Query: `bucket` (required) is `db` or `db/rp`; the organization is ignored. Replies 204; the rows are gone for every later query.
/// Spec: InfluxDB 2 API, delete data.
pub(super) async fn delete(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let deleted = async {
        let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
        let principal = credentials::principal(core, &request, &params, Door::V2).await?;
        let (database, policy) = write::split_bucket(params.text("bucket"))?;
        if core.catalog.state().database(DEFAULT_TENANT, database).is_none() {
            return Err(WireError::new(Kind::NotFound, format!("database not found: {database:?}")));
        }
        authorization::may_write(&principal, database)?;
        let body = body::read(payload, request.headers(), limits.body_of(limits.body_bytes_max)).await?;
        let asked: Request = serde_json::from_slice(&body)
            .map_err(|error| WireError::new(Kind::Invalid, format!("error decoding json body: {error}")))?;
        run(core, database, policy, &asked).await?;
        Ok(HttpResponse::NoContent().finish())
    };
    stamped(&request, deleted.await.unwrap_or_else(|error: WireError| error.into_response(ErrorForm::Json)))
}

async fn run(core: &Core, database: &str, policy: &str, asked: &Request) -> Result<(), WireError> {
    let invalid = |text: String| WireError::new(Kind::Invalid, text);
    let (start, stop) = (time("start", &asked.start)?, time("stop", &asked.stop)?);
    let predicate = Predicate::parse(&asked.predicate).map_err(|error| invalid(error.to_string()))?;
    let sources: Vec<Measurement> = predicate.measurement.iter().map(|name| Measurement::named(name)).collect();
    let statement = condition(&predicate, start, stop);
    let parsed = influxql::parse(&statement).map_err(|error| invalid(error.to_string()))?;
    let [Statement::Delete(parsed)] = parsed.statements.as_slice() else {
        return Err(WireError::new(Kind::Internal, "a delete did not come out as one"));
    };
    let deletion = Deletion {
        tenant: DEFAULT_TENANT,
        database,
        policy: Some(policy).filter(|policy| !policy.is_empty()),
        sources: &sources,
        condition: parsed.condition.as_ref(),
        takes_time: true,
    };
    match statements::delete_rows(core, deletion).await {
        Ok(_) => Ok(()),
        Err(StatementError::PolicyNotFound(policy)) => {
            Err(WireError::new(Kind::NotFound, format!("retention policy not found: {policy}")))
        }
        Err(error) => Err(invalid(error.to_string())),
    }
}

/// The same condition in InfluxQL.
fn condition(predicate: &Predicate, start_ns: i64, stop_ns: i64) -> String {
    let text = |value: &str| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"));
    let tags = predicate.tags.iter().map(|(key, value)| format!("{}::tag = {} AND ", Ident(key.clone()), text(value)));
    format!("DELETE WHERE {}time >= {start_ns} AND time <= {stop_ns}", tags.collect::<String>())
}

/// A time in nanoseconds since 1970; what no such time can say is cut to the first and the last that can.
fn time(name: &str, text: &str) -> Result<i64, WireError> {
    let parsed = DateTime::parse_from_rfc3339(text);
    let time =
        parsed.map_err(|_| WireError::new(Kind::Invalid, format!("invalid {name} time {text:?}: use RFC 3339")))?;
    let ends = if time.timestamp() < 0 { i64::MIN + 2 } else { i64::MAX - 1 };
    Ok(time.timestamp_nanos_opt().unwrap_or(ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predicate_is_a_condition_of_influxql() {
        let predicate = Predicate::parse(r#"_measurement="m" AND "a b"="it's \\ here" AND time2="x""#).unwrap();
        let statement = condition(&predicate, -5, 7);
        assert_eq!(
            statement,
            r#"DELETE WHERE "a b"::tag = 'it\'s \\ here' AND time2::tag = 'x' AND time >= -5 AND time <= 7"#
        );
        let parsed = influxql::parse(&statement).unwrap();
        assert!(matches!(parsed.statements.as_slice(), [Statement::Delete(_)]));
    }

    #[test]
    fn times_are_read_and_cut() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1_000_000_000)),
            ("1970-01-01T01:00:00.000000001+01:00", Some(1)),
            ("0001-01-01T00:00:00Z", Some(i64::MIN + 2)),
            ("9999-01-01T00:00:00Z", Some(i64::MAX - 1)),
            ("yesterday", None),
        ] {
            assert_eq!(time("start", text).ok(), expected, "{text}");
        }
    }
}
