//! SHOW STATS and SHOW DIAGNOSTICS.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array};
use serde_json::Value;

use crate::protocol::Core;
use crate::protocol::influxdb::{diagnostics, statistics};
use crate::query::influxql::answer::{SeriesHead, SeriesPiece, SeriesStream, texts_array};

/// A series of one row a module; `only`: of this one.
pub(super) fn stats(core: &Core, only: Option<&str>) -> SeriesStream {
    let modules = statistics::modules(&core.influxdb.registry, &core.catalog.state(), "");
    let wanted = modules.iter().filter(|module| only.is_none_or(|only| only == module.name));
    SeriesStream::of(wanted.map(series).collect())
}

fn series(module: &statistics::Module) -> SeriesPiece {
    let columns: Vec<&str> = module.values.keys().copied().collect();
    let value = |value: &i64| Arc::new(Int64Array::from(vec![*value])) as ArrayRef;
    let made = SeriesPiece::of(Some(module.name), &columns, module.values.values().map(value).collect());
    let tags = module.tags.iter().filter(|(_, tag)| !tag.is_empty());
    let tags = tags.map(|(key, tag)| (Arc::from(*key), Arc::from(tag.as_str()))).collect();
    SeriesPiece { head: Arc::new(SeriesHead { tags, ..(*made.head).clone() }), rows: made.rows }
}

/// A series of one row a part; `only`: of this one.
pub(super) fn diagnostics(core: &Core, only: Option<&str>) -> SeriesStream {
    let parts = diagnostics::all(&core.influxdb.about, (core.ingest.clock)());
    let wanted = parts.iter().filter(|(name, _)| only.is_none_or(|only| only == name));
    let series = wanted.map(|(name, said)| {
        let columns: Vec<&str> = said.iter().map(|(name, _)| name.as_str()).collect();
        SeriesPiece::of(Some(name), &columns, said.iter().map(|(_, value)| array(value)).collect())
    });
    SeriesStream::of(series.collect())
}

fn array(value: &Value) -> ArrayRef {
    match value {
        Value::Bool(value) => Arc::new(BooleanArray::from(vec![*value])),
        Value::Number(number) => match number.as_i64() {
            Some(value) => Arc::new(Int64Array::from(vec![value])),
            None => Arc::new(Float64Array::from(vec![number.as_f64().unwrap_or(f64::NAN)])),
        },
        Value::String(text) => texts_array([text]),
        other => texts_array([other.to_string()]),
    }
}
