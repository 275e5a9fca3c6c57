//! Names for series that nobody named: `t_` and the MD5 of measurement and tags, as taosAdapter makes them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;
use md5::{Digest, Md5};

use super::call;

/// The name of each row's series; `tags` are the keys and their columns.
pub(in crate::query::tdsql) fn of(measurement: &str, mut tags: Vec<(String, Expr)>) -> Expr {
    tags.sort_by(|a, b| a.0.cmp(&b.0));
    let (keys, columns): (Vec<String>, Vec<Expr>) = tags.into_iter().unzip();
    let measurement = measurement.to_string();
    let name = format!("td_series_name_{measurement}_{}", keys.join(","));
    call(name, DataType::Utf8, columns, move |columns| {
        let texts = columns.iter().map(|column| cast(column, &DataType::Utf8)).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<&StringArray> = texts.iter().map(|column| column.as_string::<i32>()).collect();
        let rows = texts.first().map_or(0, |column| column.len());
        let names = (0..rows).map(|row| {
            let value = |column: &&StringArray| column.is_valid(row).then(|| column.value(row).to_string());
            let tags = keys.iter().zip(&texts).filter_map(|(key, column)| Some((key.as_str(), value(column)?)));
            Some(series_name(&measurement, tags))
        });
        Ok(Arc::new(names.collect::<StringArray>()) as ArrayRef)
    })
}

/// The name of one series; `tags` in the order of their keys.
pub(crate) fn series_name<'a>(measurement: &str, tags: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut text = measurement.to_string();
    for (key, value) in tags {
        text.extend([",", key, "=", &value]);
    }
    format!("t_{:x}", Md5::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_hangs_on_measurement_and_tags() {
        let name = |m: &str, v: &str| series_name(m, [("k1", v.to_string())].into_iter());
        assert_eq!(name("m", "v1").len(), 34);
        assert_ne!(name("m", "v1"), name("m", "v2"));
        assert_ne!(name("m", "v1"), name("n", "v1"));
    }
}
