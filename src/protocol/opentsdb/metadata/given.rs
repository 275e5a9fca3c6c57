//! What a request says of a name or a series: the members of its body, or of its query string.
//!
//! A member that is left out, or is what a member is when nobody said anything (`""`, 0), changes nothing; `null` takes a text
//! back. Members that nobody can set (`name`, `lastReceived`, …) are passed over.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::catalog::{NameMeta, SeriesMeta};
use crate::model::Kind;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::{Call, Params};

/// Bytes that a request may say something with. It bounds what is kept of a name or series, and with it answers.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The members of a request, by their names in a body.
#[derive(Debug)]
pub(super) struct Members {
    by_name: Map<String, Value>,
    /// They come from the query string.
    pub(super) of_params: bool,
}

impl Members {
    /// Those of the body, or where there is none of the query string.
    pub(super) async fn of(call: &mut Call) -> Result<Members, WireError> {
        let body = call.body().await?;
        if body.len() > BODY_BYTES_MAX {
            let message = format!("{} bytes of meta data are more than {BODY_BYTES_MAX}", body.len());
            return Err(WireError::new(Kind::TooLarge, message));
        }
        if body.is_empty() {
            return Ok(Members::of_params(&call.params));
        }
        let by_name = serde_json::from_slice(&body).map_err(|error| WireError::bad_json(&error))?;
        Ok(Members { by_name, of_params: false })
    }

    fn of_params(params: &Params) -> Members {
        const NAMES: [(&str, &str); 11] = [
            ("uid", "uid"),
            ("type", "type"),
            ("tsuid", "tsuid"),
            ("display_name", "displayName"),
            ("description", "description"),
            ("notes", "notes"),
            ("units", "units"),
            ("data_type", "dataType"),
            ("retention", "retention"),
            ("max", "max"),
            ("min", "min"),
        ];
        let given = |(param, name): (&str, &str)| Some((name.to_string(), params.get(param)?.into()));
        Members { by_name: NAMES.into_iter().filter_map(given).collect(), of_params: true }
    }

    fn wrong(&self, name: &str) -> WireError {
        if self.of_params {
            return WireError::bad_request(format!("Unable to parse '{name}' value"));
        }
        WireError::bad_request("Unable to parse the given JSON").details(format!("'{name}' has the wrong type"))
    }

    /// A member as a text; `None` where it is missing, empty or null.
    pub(super) fn word(&self, name: &str) -> Result<Option<String>, WireError> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// A text to be set; `""` takes back what is there.
    fn text(&self, name: &str) -> Result<Option<String>, WireError> {
        match self.by_name.get(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(String::new())),
            Some(value) => {
                text_of(value).map(|text| Some(text).filter(|t| !t.is_empty())).ok_or_else(|| self.wrong(name))
            }
        }
    }

    /// A number, also one in a text.
    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, WireError> {
        match self.by_name.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| self.wrong(name)),
            Some(Value::Number(number)) => number.to_string().parse().map(Some).map_err(|_| self.wrong(name)),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// A bound of a series' values; the inner `None` is `NaN`.
    fn bound(&self, name: &str) -> Result<Option<Option<f64>>, WireError> {
        match self.number::<f64>(name)? {
            None => Ok(None),
            Some(bound) if bound.is_infinite() => Err(self.wrong(name)),
            Some(bound) => Ok(Some(Some(bound).filter(|bound| !bound.is_nan()))),
        }
    }

    fn custom(&self) -> Result<Option<BTreeMap<String, String>>, WireError> {
        match self.by_name.get("custom") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(pairs)) => {
                let text = |value: &Value| if value.is_null() { Some(String::new()) } else { text_of(value) };
                let pair = |(key, value): (&String, &Value)| Some((key.clone(), text(value)?));
                let pairs = pairs.iter().map(pair).collect::<Option<_>>();
                pairs.map(Some).ok_or_else(|| self.wrong("custom"))
            }
            Some(_) => Err(self.wrong("custom")),
        }
    }

    pub(super) fn name_change(&self) -> Result<NameChange, WireError> {
        Ok(NameChange {
            display_name: self.text("displayName")?,
            description: self.text("description")?,
            notes: self.text("notes")?,
            created: self.number("created")?.filter(|created| *created != 0),
            custom: self.custom()?,
        })
    }

    pub(super) fn series_change(&self) -> Result<SeriesChange, WireError> {
        Ok(SeriesChange {
            about: self.name_change()?,
            units: self.text("units")?,
            data_type: self.text("dataType")?,
            retention: self.number("retention")?.filter(|retention| *retention != 0),
            max: self.bound("max")?,
            min: self.bound("min")?,
        })
    }
}

/// A text, or a number or truth value as one.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What becomes of what nobody set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unset {
    /// It stays: POST.
    Stays,
    /// It is taken back: PUT.
    Goes,
}

/// Members of [`NameMeta`] that are set.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct NameChange {
    display_name: Option<String>,
    description: Option<String>,
    notes: Option<String>,
    created: Option<i64>,
    custom: Option<BTreeMap<String, String>>,
}

impl NameChange {
    pub(super) fn is_nothing(&self) -> bool {
        *self == NameChange::default()
    }

    pub(super) fn over(&self, known: NameMeta, unset: Unset) -> NameMeta {
        let created = earlier(known.created, self.created.unwrap_or_default());
        let base = if unset == Unset::Stays { known } else { NameMeta::default() };
        NameMeta {
            display_name: self.display_name.clone().unwrap_or(base.display_name),
            description: self.description.clone().unwrap_or(base.description),
            notes: self.notes.clone().unwrap_or(base.notes),
            created,
            custom: self.custom.clone().or(base.custom),
        }
    }
}

/// The earlier of two instants, of which 0 is none.
fn earlier(known: i64, given: i64) -> i64 {
    if known > 0 && (known < given || given == 0) { known } else { given }
}

/// Members of [`SeriesMeta`] that are set.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct SeriesChange {
    about: NameChange,
    units: Option<String>,
    data_type: Option<String>,
    retention: Option<i32>,
    max: Option<Option<f64>>,
    min: Option<Option<f64>>,
}

impl SeriesChange {
    pub(super) fn is_nothing(&self) -> bool {
        *self == SeriesChange::default()
    }

    pub(super) fn over(&self, known: SeriesMeta, unset: Unset) -> SeriesMeta {
        let about = self.about.over(known.about.clone(), unset);
        let base = if unset == Unset::Stays { known } else { SeriesMeta::default() };
        SeriesMeta {
            about,
            units: self.units.clone().unwrap_or(base.units),
            data_type: self.data_type.clone().unwrap_or(base.data_type),
            retention: self.retention.unwrap_or(base.retention),
            max: self.max.unwrap_or(base.max),
            min: self.min.unwrap_or(base.min),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: Value) -> Members {
        let Value::Object(by_name) = value else { panic!("{value} has no members") };
        Members { by_name, of_params: false }
    }

    fn known() -> SeriesMeta {
        let about = NameMeta {
            display_name: "shown".to_string(),
            description: "known".to_string(),
            notes: "kept".to_string(),
            created: 100,
            custom: Some([("a".to_string(), "b".to_string())].into()),
        };
        SeriesMeta { about, units: "ms".to_string(), retention: 7, max: Some(1.5), ..SeriesMeta::default() }
    }

    #[track_caller]
    fn check(given: Value, stays: SeriesMeta, goes: SeriesMeta) {
        let change = members(given).series_change().unwrap();
        assert!(!change.is_nothing());
        assert_eq!(change.over(known(), Unset::Stays), stays);
        assert_eq!(change.over(known(), Unset::Goes), goes);
    }

    #[test]
    fn what_is_not_set_stays_or_goes() {
        let mut stays = known();
        stays.about.description = "new".to_string();
        let mut goes = SeriesMeta::default();
        (goes.about.description, goes.about.created) = ("new".to_string(), 100);
        check(json!({"description": "new", "notes": "", "name": "passed over"}), stays, goes);
        let mut stays = known();
        (stays.about.notes, stays.max, stays.min, stays.retention) = (String::new(), None, Some(2.0), -1);
        let mut goes = SeriesMeta { min: Some(2.0), retention: -1, ..SeriesMeta::default() };
        goes.about.created = 100;
        check(json!({"notes": null, "max": "NaN", "min": 2, "retention": "-1"}), stays, goes);
        let mut stays = known();
        (stays.about.custom, stays.about.created) = (Some([("n".to_string(), "1".to_string())].into()), 99);
        let about = NameMeta { custom: stays.about.custom.clone(), created: 99, ..NameMeta::default() };
        let goes = SeriesMeta { about, ..SeriesMeta::default() };
        check(json!({"custom": {"n": 1}, "created": 99}), stays, goes);
    }

    #[test]
    fn what_nobody_would_miss_is_nothing() {
        for nothing in [
            json!({}),
            json!({"displayName": "", "created": 0, "custom": null, "retention": 0, "max": null}),
            json!({"name": "x", "lastReceived": 5, "metric": {"description": "x"}}),
        ] {
            assert!(members(nothing.clone()).series_change().unwrap().is_nothing(), "{nothing}");
        }
    }

    #[test]
    fn members_of_the_wrong_type_are_refused() {
        for wrong in [
            json!({"notes": []}),
            json!({"custom": "x"}),
            json!({"custom": {"a": {}}}),
            json!({"retention": "x"}),
            json!({"retention": 3_000_000_000_i64}),
            json!({"max": "Infinity"}),
            json!({"created": true}),
        ] {
            let error = members(wrong.clone()).series_change().unwrap_err();
            assert_eq!(error.message(), "Unable to parse the given JSON", "{wrong}");
        }
        let given = Members::of_params(&Params::parse("retention=x"));
        assert_eq!(given.series_change().unwrap_err().message(), "Unable to parse 'retention' value");
    }
}
