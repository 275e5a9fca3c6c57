//! `/opentsdb/v1/put/json/{db}` and `/opentsdb/v1/put/telnet/{db}`: OpenTSDB's points as taosAdapter takes them, which makes super
//! tables of metrics. What OpenTSDB itself speaks is another protocol.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::model::{Classify, DeclaredType as T, Kind, Precision};
use crate::protocol::body;
use crate::protocol::params::Params;
use crate::protocol::{Gate, RequestLimits};
use crate::query::tdsql::InsertValue;
use crate::query::tdsql::schemaless::Line;

use super::auth::Credentials;
use super::execute::Session;
use super::{line_protocol, stamped};

/// What the value of a point is called.
const VALUE: &str = "_value";

/// `POST /opentsdb/v1/put/json/{db}`: a point, or a list of them. An empty body is fine.
///
/// Query: `ttl`, `req_id`, `table_name_key`; `app` without effect. Replies 204; else `{"code": status, "message"}`.
/// Spec: taosAdapter, OpenTSDB JSON.
pub(super) async fn json(
    request: HttpRequest,
    params: Params,
    path: Path<String>,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let written = put(&request, &params, &path, payload, &gate, &limits, documents).await;
    stamped(&request, written.map_or_else(|refusal| refusal, |()| HttpResponse::NoContent().finish()))
}

/// `POST /opentsdb/v1/put/telnet/{db}`: lines of `[put] metric time value tag=value …`.
///
/// Parameters and replies are those of [`json`].
/// Spec: taosAdapter, OpenTSDB Telnet.
pub(super) async fn telnet(
    request: HttpRequest,
    params: Params,
    path: Path<String>,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let written = put(&request, &params, &path, payload, &gate, &limits, lines).await;
    stamped(&request, written.map_or_else(|refusal| refusal, |()| HttpResponse::NoContent().finish()))
}

fn refusal(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({"code": status.as_u16(), "message": text}))
}

fn failed(text: &str) -> HttpResponse {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, text)
}

type Parse = fn(&Bytes, i64) -> Result<Vec<Line>, String>;

async fn put(
    request: &HttpRequest,
    params: &Params,
    database: &str,
    payload: Payload,
    gate: &Gate,
    limits: &RequestLimits,
    parse: Parse,
) -> Result<(), HttpResponse> {
    let credentials = Credentials::of(request).map_err(|error| {
        let text = if error.code == 0x1105 { "auth needed" } else { "unsupported auth type" };
        refusal(StatusCode::UNAUTHORIZED, text)
    })?;
    let number = |name: &str| match params.get(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text.parse::<i64>().map(Some).map_err(|_| {
            let why = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
            refusal(StatusCode::BAD_REQUEST, &format!("illegal param, {name} must be numeric {why}"))
        }),
    };
    number("req_id")?;
    let ttl = number("ttl")?;
    let limits = limits.body_of(limits.write_body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await.map_err(|error| failed(&error.to_string()))?;
    let busy = |text: &str| refusal(StatusCode::SERVICE_UNAVAILABLE, text);
    let core = gate.core().ok_or_else(|| busy("starting"))?;
    // The adapter logs in for each request; what TDengine says to that is an error of the engine.
    let principal = credentials.principal(core).await.map_err(|error| match error.status {
        StatusCode::UNAUTHORIZED => failed(&error.text),
        status => refusal(status, &error.text),
    })?;
    let mut lines = parse(&body, (core.ingest.clock)()).map_err(|error| failed(&error))?;
    if lines.is_empty() {
        return Ok(());
    }
    for line in &mut lines {
        line.name_key = params.get("table_name_key").filter(|key| !key.is_empty()).map(str::to_string);
    }
    let zone = chrono_tz::Tz::UTC;
    let session = Session::new(core, credentials.user, principal, Some(database.to_string()), zone);
    let ttl_days = ttl.and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or(0);
    match session.write_lines(database, lines, ttl_days).await {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), Kind::Overloaded | Kind::Unavailable) => Err(busy(&error.to_string())),
        Err(error) => Err(failed(&error.to_string())),
    }
}

/// Ten digits are seconds, thirteen milliseconds, 0 is now.
fn time(digits: &str, now_ns: i64) -> Result<i64, String> {
    let number: i64 = digits.parse().map_err(|_| format!("{digits} is no time"))?;
    let unit = match (number, digits.len()) {
        (0, _) => return Ok(now_ns),
        (_, 10) => Precision::S,
        (_, 13) => Precision::Ms,
        _ => return Err(format!("{digits} is no time: ten digits are seconds, thirteen milliseconds")),
    };
    unit.to_nanos(number).ok_or_else(|| format!("{digits} is no time: out of range"))
}

fn lines(body: &Bytes, now_ns: i64) -> Result<Vec<Line>, String> {
    let text = String::from_utf8_lossy(body);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| telnet_line(line, now_ns)).collect()
}

fn telnet_line(text: &str, now_ns: i64) -> Result<Line, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.strip_prefix(&["put"]).unwrap_or(&words);
    let [metric, time_text, value, tags @ ..] = words else { return Err(format!("metric, time and value: {text:?}")) };
    let mut line = Line {
        measurement: metric.to_string(),
        tags: Vec::new(),
        fields: Vec::new(),
        time_ns: time(time_text, now_ns)?,
        name_key: None,
    };
    let (kind, value) = line_protocol::field(value).ok_or_else(|| format!("the value is none: {value:?}"))?;
    line.fields.push((VALUE.to_string(), kind, value));
    for tag in tags {
        let (key, value) = tag.split_once('=').ok_or_else(|| format!("a tag has no value: {tag:?}"))?;
        line.tags.push((key.to_string(), value.to_string()));
    }
    Ok(line)
}

fn documents(body: &Bytes, now_ns: i64) -> Result<Vec<Line>, String> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match value {
        Value::Array(all) => all.iter().map(|one| document(one, now_ns)).collect(),
        one => Ok(vec![document(&one, now_ns)?]),
    }
}

fn document(point: &Value, now_ns: i64) -> Result<Line, String> {
    let member = |name: &str| point.get(name).ok_or_else(|| format!("{name} is missing"));
    let metric = member("metric")?.as_str().ok_or("metric is no text")?;
    let given = member("timestamp")?;
    let digits = match typed(given).0 {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (value, kind) = typed(member("value")?);
    let mut line = Line {
        measurement: metric.to_string(),
        tags: Vec::new(),
        fields: Vec::new(),
        time_ns: time(&digits, now_ns)?,
        name_key: None,
    };
    line.fields.push(field(value, kind)?);
    let tags = member("tags")?.as_object().ok_or("tags are no object")?;
    for (key, value) in tags {
        let text = match typed(value).0 {
            Value::String(text) => text.clone(),
            Value::Null => continue,
            other => other.to_string(),
        };
        line.tags.push((key.clone(), text));
    }
    Ok(line)
}

/// A value, or `{"value": …, "type": …}`.
fn typed(value: &Value) -> (&Value, Option<&str>) {
    match (value.get("value"), value.get("type").and_then(Value::as_str)) {
        (Some(inner), kind) => (inner, kind),
        (None, _) => (value, None),
    }
}

fn field(value: &Value, kind: Option<&str>) -> Result<(String, T, InsertValue), String> {
    const TEXT_MIN: u32 = 16;
    let named = |kind: T, value: InsertValue| Ok((VALUE.to_string(), kind, value));
    match value {
        Value::Number(number) => {
            let kind = match kind.map(str::to_ascii_lowercase).as_deref() {
                Some("tinyint" | "i8") => T::TinyInt,
                Some("smallint" | "i16") => T::SmallInt,
                Some("int" | "i32") => T::Int,
                Some("bigint" | "i64") => T::BigInt,
                Some("float" | "f32") => T::Float,
                _ => T::Double,
            };
            named(kind, InsertValue::Number(number.to_string()))
        }
        Value::Bool(value) => named(T::Bool, InsertValue::Bool(*value)),
        Value::String(text) => {
            let length = TEXT_MIN.max(text.len() as u32);
            let is_bytes = kind.is_some_and(|kind| matches!(kind.to_ascii_lowercase().as_str(), "binary" | "varchar"));
            named(if is_bytes { T::Varchar(length) } else { T::NChar(length) }, InsertValue::Text(text.clone()))
        }
        other => Err(format!("the value is none: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 42;

    #[test]
    fn times_are_told_by_their_digits() {
        assert_eq!(time("1709251200", NOW), Ok(1_709_251_200_000_000_000));
        assert_eq!(time("1709251200001", NOW), Ok(1_709_251_200_001_000_000));
        assert_eq!(time("0", NOW), Ok(NOW));
        for wrong in ["163653962000", "x", "", "-1"] {
            assert!(time(wrong, NOW).is_err(), "{wrong}");
        }
    }

    #[test]
    fn both_forms_make_the_same_line() {
        let telnet =
            lines(&Bytes::from_static(b"put a.b 1709251200 1.5 h=x\n\na.b 1709251200 1.5 h=x\n"), NOW).unwrap();
        let json = br#"[{"metric":"a.b","timestamp":"1709251200","value":1.5,"tags":{"h":"x"}}]"#;
        let json = documents(&Bytes::from_static(json), NOW).unwrap();
        assert_eq!((telnet.len(), &telnet[0], &telnet[1]), (2, &json[0], &json[0]));
        for wrong in [&b"{"[..], b"{}", b"[1]", br#"{"metric":"m","timestamp":1709251200,"value":null,"tags":{}}"#] {
            assert!(documents(&Bytes::from_static(wrong), NOW).is_err());
        }
        for wrong in ["put", "m 1709251200", "m 1709251200 x", "m 1709251200 1 a"] {
            assert!(telnet_line(wrong, NOW).is_err(), "{wrong}");
        }
    }
}
