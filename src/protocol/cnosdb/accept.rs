//! `Accept` of a SQL request: the format of its result.
//!
//! CnosDB takes one media type; clients that send a list get the first element that is known. Weights are not
//! compared, but `q=0` refuses.

use crate::protocol::format::rows::Format;

/// The formats that were asked for are none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("accept type not support: {0}")]
pub struct NotAcceptable(pub String);

const CSV: Format = Format::Csv { header: true };

/// The format for this `Accept` header: CSV without one, and for `*/*` and `application/*`.
pub fn negotiate(accept: Option<&str>) -> Result<Format, NotAcceptable> {
    let accept = accept.unwrap_or_default().trim();
    if accept.is_empty() {
        return Ok(CSV);
    }
    accept.split(',').find_map(media_type).ok_or_else(|| NotAcceptable(accept.to_string()))
}

/// Value of `Content-Type`.
pub fn content_type(format: Format) -> &'static str {
    match format {
        Format::Csv { .. } => "text/csv",
        Format::Tsv => "text/tsv",
        Format::Json => "application/json",
        Format::NdJson => "application/nd-json",
        Format::Table => "text/table",
    }
}

fn media_type(element: &str) -> Option<Format> {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    if parts.any(refuses) {
        return None;
    }
    match name.split_once('/')? {
        ("*", "*") | ("application", "*") => Some(CSV),
        ("application" | "text", subtype) => match subtype {
            "csv" => Some(CSV),
            "tsv" => Some(Format::Tsv),
            "json" => Some(Format::Json),
            "nd-json" | "x-ndjson" => Some(Format::NdJson),
            "table" => Some(Format::Table),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a parameter is `q=0`.
fn refuses(parameter: &str) -> bool {
    let weight = parameter.split_once('=').filter(|(key, _)| key.trim().eq_ignore_ascii_case("q"));
    weight.is_some_and(|(_, value)| value.trim().parse() == Ok(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: Option<&str>, expected: Option<Format>) {
        let expected = expected.ok_or_else(|| NotAcceptable(accept.unwrap_or_default().trim().to_string()));
        assert_eq!(negotiate(accept), expected, "{accept:?}");
    }

    #[test]
    fn csv_is_for_those_who_do_not_mind() {
        for accept in [None, Some(""), Some(" "), Some("*/*"), Some("application/*"), Some("Application/* ; q=0.5")] {
            check(accept, Some(CSV));
        }
    }

    #[test]
    fn each_format_has_its_names_in_any_case() {
        for (subtype, format) in [
            ("csv", CSV),
            ("TSV", Format::Tsv),
            ("Json", Format::Json),
            ("nd-json", Format::NdJson),
            ("x-ndjson", Format::NdJson),
            ("table", Format::Table),
        ] {
            check(Some(&format!("application/{subtype}")), Some(format));
            check(Some(&format!("text/{subtype}")), Some(format));
            assert_eq!(negotiate(Some(content_type(format))), Ok(format));
        }
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for accept in ["*", "json", "image/json", "text/*", "text/html", "application/json;q=0", ", ,"] {
            check(Some(accept), None);
        }
        assert_eq!(negotiate(Some(" a/b ")).unwrap_err().to_string(), "accept type not support: a/b");
    }

    #[test]
    fn the_first_known_element_of_a_list_is_taken() {
        for (accept, format) in [
            ("application/json, text/plain, */*", Format::Json),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", CSV),
            ("application/json;q=0, text/tsv", Format::Tsv),
            ("text/plain;charset=utf-8, text/table;q=0.1, text/csv", Format::Table),
        ] {
            check(Some(accept), Some(format));
        }
    }
}
