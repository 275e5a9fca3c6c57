//! `/debug/vars` and `/debug/requests`: the server about itself, for administrators.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::model::Kind;
use crate::protocol::params::Params;
use crate::protocol::{Core, Gate};

use super::credentials::{self, Door};
use super::error::{ErrorForm, WireError};
use super::{diagnostics, headers, statistics};

/// How long requests are counted when nobody says how long, and at most.
const LOOK: Duration = Duration::from_secs(10);
const LOOK_MAX: Duration = Duration::from_secs(6 * 3600);

/// `GET /debug/vars`: numbers of the process, as Telegraf's `influxdb` input reads them: one object of `name`, `tags` and `values` a
/// module, beside `system`, `cmdline` and `memstats`.
pub(super) async fn vars(request: HttpRequest, params: Params, gate: Data<Gate>) -> HttpResponse {
    answer(enter(&request, &params, &gate).await.map(|core| {
        let bind = request.app_config().local_addr().to_string();
        let modules = statistics::modules(&core.influxdb.registry, &core.catalog.state(), &bind);
        // Members stand in this order; a map of this library would sort them.
        let mut members = vec![
            ("system".to_string(), diagnostics::system(&core.influxdb.about, (core.ingest.clock)())),
            ("cmdline".to_string(), json!([env!("CARGO_PKG_NAME")])),
            ("memstats".to_string(), memory(&modules)),
        ];
        let of = |module: &statistics::Module| {
            (module.key(), json!({"name": module.name, "tags": module.tags, "values": module.values}))
        };
        members.extend(modules.iter().map(of));
        object(&members)
    }))
}

/// The runtime's numbers once more, under the names that readers of memory statistics know.
fn memory(modules: &[statistics::Module]) -> Value {
    let runtime = modules.iter().find(|module| module.name == "runtime");
    let of = |name: &str| runtime.and_then(|module| module.values.get(name)).copied();
    json!({"Alloc": of("Alloc"), "HeapAlloc": of("HeapAlloc"), "HeapInuse": of("HeapInUse"), "Sys": of("Sys")})
}

/// `GET /debug/requests`: who sent how many writes and queries within the next `seconds` (default 10, at most six hours).
pub(super) async fn requests(request: HttpRequest, params: Params, gate: Data<Gate>) -> HttpResponse {
    let looked = async {
        let core = enter(&request, &params, &gate).await?;
        let patience = patience(params.text("seconds"))?;
        let look = core.influxdb.tracker.look();
        tokio::time::sleep(patience).await;
        let counts = look.counted().into_iter();
        let of = |(sender, counts): (String, super::tracker::Counts)| {
            (sender, json!({"writes": counts.writes, "queries": counts.queries}))
        };
        Ok(object(&counts.map(of).collect::<Vec<_>>()))
    };
    answer(looked.await)
}

fn patience(seconds: &str) -> Result<Duration, WireError> {
    let invalid = |text: String| WireError::new(Kind::Invalid, text);
    if seconds.is_empty() {
        return Ok(LOOK);
    }
    let parsed = seconds.parse::<u64>();
    let patience = parsed.map_err(|_| invalid(format!("strconv.ParseInt: parsing {seconds:?}: invalid syntax")))?;
    let patience = Duration::from_secs(patience);
    match patience > LOOK_MAX {
        true => Err(invalid(format!("exceeded maximum interval time: {}s > 6h", patience.as_secs()))),
        false => Ok(patience),
    }
}

/// Lets administrators in.
async fn enter<'a>(request: &HttpRequest, params: &Params, gate: &'a Gate) -> Result<&'a Core, WireError> {
    let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
    let principal = credentials::principal(core, request, params, Door::V2).await?;
    match (principal.is_admin(), principal.name()) {
        (true, _) => Ok(core),
        (false, None) => Err(credentials::unreadable()),
        (false, Some(name)) => {
            Err(WireError::new(Kind::Forbidden, format!("{name} is not authorized, requires admin privilege")))
        }
    }
}

/// An object with a member a line, as the server writes it.
fn object(members: &[(String, Value)]) -> String {
    let member = |(name, value): &(String, Value)| format!("{}: {value}", Value::from(name.as_str()));
    format!("{{\n{}\n}}\n", members.iter().map(member).collect::<Vec<_>>().join(",\n"))
}

fn answer(answered: Result<String, WireError>) -> HttpResponse {
    let mut response = match answered {
        Ok(text) => HttpResponse::Ok().content_type("application/json; charset=utf-8").body(text),
        Err(error) => error.into_response(ErrorForm::Json),
    };
    headers::stamp_version(response.headers_mut());
    response
}

/// What this protocol keeps for the whole process.
#[derive(Debug, Default)]
pub struct Inside {
    pub about: diagnostics::About,
    pub registry: prometheus::Registry,
    pub tracker: Arc<super::tracker::RequestTracker>,
    pub limits: Limits,
}

/// Bounds of queries that this protocol adds to those of all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Rows of an answer in one document.
    pub rows_max: Option<usize>,
    /// Requests that run at once.
    pub queries_max: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_has_bounds() {
        let of = |text: &str| patience(text).map_err(|error| error.text().to_string());
        assert_eq!((of(""), of("3"), of("0")), (Ok(LOOK), Ok(Duration::from_secs(3)), Ok(Duration::ZERO)));
        assert_eq!(of("x").unwrap_err(), "strconv.ParseInt: parsing \"x\": invalid syntax");
        assert!(of("-1").is_err() && of("21601").is_err());
    }

    #[test]
    fn an_object_has_a_member_a_line() {
        assert_eq!(object(&[]), "{\n\n}\n");
        let members = [("b\"".to_string(), json!(1)), ("a".to_string(), json!({"x": [2]}))];
        assert_eq!(object(&members), "{\n\"b\\\"\": 1,\n\"a\": {\"x\":[2]}\n}\n");
    }
}
