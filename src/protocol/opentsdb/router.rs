//! From a path to its end point, and the rules that hold for all of them: versions, verbs, serializers, CORS.

use actix_web::http::Method;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::percent_decode_str;

use crate::model::Kind;
use crate::protocol::{Gate, RequestLimits};

use super::cors::Origin;
use super::error::WireError;
use super::request::{Call, Params};
use super::response::{Form, finish};
use super::stats::add;
use super::verb::Verb;
use super::{Door, authorization, metadata, query, write};

/// The newest version of the API.
const VERSION_MAX: u32 = 1;

/// End points below `/api`.
const ENDPOINTS: [&str; 16] = [
    "aggregators",
    "annotation",
    "annotations",
    "config",
    "dropcaches",
    "histogram",
    "put",
    "query",
    "rollup",
    "search",
    "stats",
    "status",
    "suggest",
    "tree",
    "uid",
    "version",
];
/// The 1.x paths that are served on every listener.
const LEGACY: [&str; 5] = ["aggregators", "q", "stats", "suggest", "version"];

/// A path, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) form: PathForm,
    /// Below `/api` in lower case. Empty when the path ends before it.
    pub(super) endpoint: String,
    /// What follows.
    pub(super) rest: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathForm {
    /// `/api`; with `Some` the text of its version, without the `v`.
    Api(Option<String>),
    Legacy,
}

impl Path {
    pub(super) fn parse(path: &str) -> Path {
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let mut parts: Vec<String> = decoded.split('/').skip(1).map(str::to_string).collect();
        while parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        let mut parts = parts.into_iter().peekable();
        if !parts.peek().is_some_and(|first| first.eq_ignore_ascii_case("api")) {
            let endpoint = parts.next().unwrap_or_default();
            return Path { form: PathForm::Legacy, endpoint, rest: parts.collect() };
        }
        parts.next();
        let is_version = |part: &String| {
            let mut chars = part.chars();
            matches!(chars.next(), Some('v' | 'V')) && chars.next().is_some_and(|c| c.is_ascii_digit())
        };
        let version = parts.next_if(is_version).map(|part| part[1..].to_string());
        let endpoint = parts.next().unwrap_or_default().to_ascii_lowercase();
        Path { form: PathForm::Api(version), endpoint, rest: parts.collect() }
    }

    /// A path of each end point that is served on every listener.
    pub(super) fn examples() -> impl Iterator<Item = String> {
        let api = ENDPOINTS.iter().map(|endpoint| format!("/api/{endpoint}"));
        api.chain(LEGACY.iter().map(|endpoint| format!("/{endpoint}")))
    }

    /// Whether the path is served on every listener. Versions that we do not have are not: other protocols have them.
    pub(super) fn is_ours_everywhere(&self) -> bool {
        match &self.form {
            PathForm::Api(None) => ENDPOINTS.contains(&self.endpoint.as_str()),
            PathForm::Api(Some(version)) => {
                matches!(version.parse(), Ok(0..=VERSION_MAX)) && ENDPOINTS.contains(&self.endpoint.as_str())
            }
            PathForm::Legacy => LEGACY.contains(&self.endpoint.as_str()) && self.rest.is_empty(),
        }
    }

    fn check_version(&self) -> Result<(), WireError> {
        let PathForm::Api(Some(version)) = &self.form else { return Ok(()) };
        let number: u32 = version.parse().map_err(|_| {
            WireError::bad_request("Invalid API version format supplied")
                .details(format!("API version [{version}] cannot be parsed to an integer"))
        })?;
        if number <= VERSION_MAX {
            return Ok(());
        }
        let error = WireError::new(Kind::Unsupported, "Requested API version is greater than the max implemented");
        Err(error.details(format!("API version [{number}] is greater than the max [{VERSION_MAX}]")))
    }
}

/// What a request is, before its end point is asked.
struct Arrival {
    path: Path,
    form: Form,
    origin: Origin,
}

impl Arrival {
    fn of(request: &HttpRequest, door: &Door) -> Arrival {
        let path = Path::parse(request.path());
        let form = match path.form {
            PathForm::Api(_) => Form::Api,
            PathForm::Legacy => Form::Legacy { json: Params::parse(request.query_string()).has("json") },
        };
        Arrival { path, form, origin: Origin::of(request, &door.options.cors_domains) }
    }

    /// The rules that come before the end point. `Ok(None)`: the browser's question is answered by the headers alone.
    fn admit(&self, request: &HttpRequest) -> Result<Option<Verb>, WireError> {
        let is_options = request.method() == Method::OPTIONS;
        let verb = Verb::of(request.method());
        if verb.is_none() && !is_options {
            return Err(WireError::unknown_verb());
        }
        self.path.check_version()?;
        let serializer = Params::parse(request.query_string()).get("serializer").map(str::to_string);
        if let (Form::Api, Some(name)) = (self.form, serializer)
            && name != "json"
        {
            return Err(WireError::bad_request("Requested serializer was not found")
                .details(format!("Could not find a serializer with the name: {name}")));
        }
        if let Some(refusal) = self.origin.refusal() {
            return Err(match self.form {
                Form::Api => refusal,
                Form::Legacy { .. } => WireError::bad_request(refusal.message()),
            });
        }
        match (&self.origin, is_options) {
            (Origin::Allowed(_), true) => Ok(None),
            (_, true) => Err(WireError::options_not_permitted()),
            _ => Ok(verb),
        }
    }
}

pub(super) async fn serve(
    request: HttpRequest,
    payload: Payload,
    gate: &Gate,
    limits: &RequestLimits,
    door: Data<Door>,
) -> HttpResponse {
    let arrival = Arrival::of(&request, &door);
    add(&door.stats.http_requests, 1);
    let answer = match arrival.admit(&request) {
        Ok(Some(verb)) => match gate.core() {
            Some(core) => {
                let (endpoint, database) = (&arrival.path.endpoint, &door.options.database);
                match authorization::check(core, &request, verb, endpoint, database).await {
                    Ok(principal) => {
                        let (core, rest) = (core.clone(), arrival.path.rest.clone());
                        let call = Call::new(request.clone(), payload, verb, rest, core, limits.clone(), door.clone());
                        dispatch(&arrival, call.asked_by(principal)).await
                    }
                    Err(error) => Err(error),
                }
            }
            None => Err(WireError::new(Kind::Unavailable, "The gateway is starting")),
        },
        Ok(None) => Ok(HttpResponse::Ok().finish()),
        Err(error) => Err(error),
    };
    add(&door.stats.http_errors, usize::from(answer.is_err()));
    finish(&request, &door, arrival.form, &arrival.origin, answer)
}

pub(super) async fn unclaimed(request: HttpRequest, door: Data<Door>, is_known: bool) -> HttpResponse {
    let arrival = Arrival::of(&request, &door);
    let answer = match (is_known, Verb::of(request.method())) {
        // Whatever the path looks like to us, another protocol knows it.
        (true, Some(verb)) => Err(WireError::verb_not_permitted(verb)),
        _ => match arrival.admit(&request) {
            Ok(Some(_)) => Err(WireError::not_found()),
            Ok(None) => Ok(HttpResponse::Ok().finish()),
            Err(error) => Err(error),
        },
    };
    finish(&request, &door, arrival.form, &arrival.origin, answer)
}

/// The end point's answer. Every end point that is served here is in [`ENDPOINTS`] or [`LEGACY`], or in `home_routes`.
async fn dispatch(arrival: &Arrival, call: Call) -> Result<HttpResponse, WireError> {
    let Path { form, endpoint, .. } = &arrival.path;
    match (form, endpoint.as_str()) {
        (PathForm::Api(_), "aggregators") => metadata::aggregators(&call),
        (PathForm::Api(_), "annotation") => metadata::annotation(call).await,
        (PathForm::Api(_), "annotations") => metadata::annotations(call).await,
        (PathForm::Api(_), "config") => metadata::config(&call),
        (PathForm::Api(_), "dropcaches") => metadata::drop_caches(&call),
        (PathForm::Api(_), "histogram") => write::histogram(&call),
        (PathForm::Api(_), "put") => write::put(call).await,
        (PathForm::Api(_), "query") => query::serve(call).await,
        (PathForm::Api(_), "rollup") => write::rollup(call).await,
        (PathForm::Api(_), "search") => metadata::search(call).await,
        (PathForm::Api(_), "stats") => metadata::stats(&call),
        (PathForm::Api(_), "status") => metadata::status(&call),
        (PathForm::Api(_), "suggest") => metadata::suggest(call).await,
        (PathForm::Api(_), "tree") => metadata::trees(&call),
        (PathForm::Api(_), "uid") => metadata::uid(call).await,
        (PathForm::Api(_), "version") => metadata::version(&call),
        (PathForm::Legacy, "aggregators") => metadata::aggregators_of_old(&call),
        (PathForm::Legacy, "logs") => metadata::logs_of_old(&call),
        (PathForm::Legacy, "q") => query::serve_of_old(call).await,
        (PathForm::Legacy, "stats") => metadata::stats_of_old(&call),
        (PathForm::Legacy, "suggest") => metadata::suggest_of_old(call).await,
        (PathForm::Legacy, "version") => metadata::version_of_old(&call),
        _ => Err(WireError::not_found()),
    }
}
