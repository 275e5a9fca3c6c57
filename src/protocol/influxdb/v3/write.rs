//! `/api/v3/write_lp`.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::catalog::databases::{IfExists, NewDatabase};
use crate::ingest::{BadPoints, IngestError, Rules, Target};
use crate::model::names::DEFAULT_TENANT;
use crate::model::{Classify, Kind, Points, Precision};
use crate::protocol::auth::Principal;
use crate::protocol::format::line_protocol::{BadLines, Dialect, Options, parse};
use crate::protocol::influxdb::refusal;
use crate::protocol::params::Params;
use crate::protocol::{Core, Gate, RequestLimits, body};

use super::query::{answer, enter};
use super::refusal::Refusal;

/// `POST /api/v3/write_lp`: line protocol into one database, which is made if it is not there.
///
/// Query: `db` (required); `precision` one of `auto nanosecond microsecond millisecond second` (default `auto`: by how large a time
/// is); `accept_partial` (default true): whether good lines are stored beside bad ones. Replies 204 when every line is stored and
/// synced, else 400 with the lines that are not.
/// Spec: InfluxDB 3 Core HTTP API, write_lp.
pub(super) async fn write(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let written = async {
        let (core, principal) = enter(&gate, &request, &params).await?;
        let invalid = |text: &str| Refusal::new(Kind::Invalid, text);
        let database = params.text("db");
        if database.is_empty() {
            return Err(invalid("missing query parameter 'db'"));
        }
        let precision = Unit::named(params.text("precision"))?;
        let accept_partial = match params.text("accept_partial") {
            "" | "true" => true,
            "false" => false,
            _ => return Err(invalid("serde error: provided string was not `true` or `false`")),
        };
        make_database(core, &principal, database).await?;
        if !principal.may_write(database) {
            return Err(Refusal::new(Kind::Forbidden, "no right to write into the database"));
        }
        let body = body::read(payload, request.headers(), limits.body_of(limits.body_bytes_max)).await?;
        store(core, database, &body, precision, accept_partial).await?;
        Ok(HttpResponse::NoContent().finish())
    };
    answer(&request, written.await)
}

/// Makes the database unless it is there. Those who may not make one are told that there is none.
async fn make_database(core: &Core, principal: &Principal, database: &str) -> Result<(), Refusal> {
    if core.catalog.state().database(DEFAULT_TENANT, database).is_some() {
        return Ok(());
    }
    if !principal.owns(DEFAULT_TENANT) {
        return Err(Refusal::new(Kind::NotFound, format!("database not found: {database}")));
    }
    let new = NewDatabase {
        tenant: DEFAULT_TENANT.to_string(),
        name: database.to_string(),
        precision: Precision::Ns,
        policy: None,
    };
    core.catalog.create_database(new, IfExists::Keep).await?;
    Ok(())
}

async fn store(core: &Core, database: &str, body: &[u8], unit: Unit, accept_partial: bool) -> Result<(), Refusal> {
    let precision = unit.precision();
    let now_ns = precision.floor((core.ingest.clock)());
    let mut parsed = parse(body, &Options { dialect: Dialect::INFLUXDB, precision, now_ns });
    if unit == Unit::Auto {
        scale_by_size(&mut parsed.points);
    }
    if !accept_partial && !parsed.bad_lines.is_empty() {
        core.ingest.metrics.points_rejected.inc_by(parsed.bad_lines.count() as u64);
        let mut lines = lines(&parsed.bad_lines);
        return Err(Refusal::with_data("parsing failed for write_lp endpoint", lines.swap_remove(0)));
    }
    let bad_points = if accept_partial { BadPoints::Drop } else { BadPoints::RefuseAll };
    let rules = Rules { bad_points, tag_and_field_may_share_a_name: true, tag_may_be_called_time: false };
    let target = Target { tenant: DEFAULT_TENANT.to_string(), database: database.to_string(), policy: None };
    let receipt = match core.ingest.accept(&target, parsed.points, rules).await {
        Ok(receipt) => receipt,
        Err(IngestError::Rejected { rejection, .. }) => {
            let data = json!({"error_message": refusal::sentence(&rejection)});
            return Err(Refusal::with_data("parsing failed for write_lp endpoint", data));
        }
        Err(error) => return Err(Refusal::new(error.kind(), error.to_string())),
    };
    core.ingest.metrics.points_rejected.inc_by(parsed.bad_lines.count() as u64);
    let mut refused = lines(&parsed.bad_lines);
    if let Some(first) = &receipt.rejected.first {
        let text = format!("{} ({} points are refused)", refusal::sentence(first), receipt.rejected.points);
        refused.push(json!({"error_message": text}));
    }
    match refused.is_empty() {
        true => Ok(()),
        false => Err(Refusal::with_data("partial write of line protocol occurred", Value::Array(refused))),
    }
}

fn lines(bad: &BadLines) -> Vec<Value> {
    let line = bad.kept().iter().map(|error| {
        json!({"original_line": error.line, "line_number": error.number, "error_message": error.reason.to_string()})
    });
    line.collect()
}

/// What a time without a unit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Auto,
    Of(Precision),
}

impl Unit {
    fn named(name: &str) -> Result<Unit, Refusal> {
        match name {
            "" | "auto" => Ok(Unit::Auto),
            "nanosecond" | "ns" | "n" => Ok(Unit::Of(Precision::Ns)),
            "microsecond" | "us" | "u" => Ok(Unit::Of(Precision::Us)),
            "millisecond" | "ms" => Ok(Unit::Of(Precision::Ms)),
            "second" | "s" => Ok(Unit::Of(Precision::S)),
            other => {
                let expected = "expected one of `auto`, `second`, `millisecond`, `microsecond`, `nanosecond`";
                Err(Refusal::new(Kind::Invalid, format!("serde error: unknown variant `{other}`, {expected}")))
            }
        }
    }

    fn precision(self) -> Precision {
        match self {
            Unit::Auto => Precision::Ns,
            Unit::Of(precision) => precision,
        }
    }
}

/// Reads each time that was taken for nanoseconds as what its size makes likely: seconds below 5e9, milliseconds below 5e12,
/// microseconds below 5e15.
fn scale_by_size(points: &mut Points) {
    for table in points.tables_mut() {
        for time in &mut table.times {
            *time *= match time.unsigned_abs() {
                0..5_000_000_000 => 1_000_000_000,
                5_000_000_000..5_000_000_000_000 => 1_000_000,
                5_000_000_000_000..5_000_000_000_000_000 => 1_000,
                _ => 1,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_time_says_its_unit() {
        let body =
            b"m v=1 1700000000\nm v=1 1700000000001\nm v=1 1700000000000002\nm v=1 1700000000000000003\nm v=1 -5";
        let mut parsed = parse(body, &Options { dialect: Dialect::INFLUXDB, precision: Precision::Ns, now_ns: 0 });
        scale_by_size(&mut parsed.points);
        let times: Vec<i64> = parsed.points.tables_mut().flat_map(|table| table.times.clone()).collect();
        let start = 1_700_000_000_000_000_000;
        assert_eq!(times, [start, start + 1_000_000, start + 2_000, start + 3, -5_000_000_000]);
    }

    #[test]
    fn units_have_long_and_short_names() {
        assert_eq!(Unit::named("").unwrap(), Unit::Auto);
        assert_eq!(Unit::named("second").unwrap(), Unit::named("s").unwrap());
        assert!(Unit::named("hour").is_err());
    }
}
