//! `Accept` of a query: the form of its answer, and of its errors.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::answer::Form;
use super::error::ErrorForm;

/// What we make, in the order in which wildcards choose.
const OFFERED: [(&str, &str, Form); 4] = [
    ("application", "json", Form::Json),
    ("application", "csv", Form::Csv),
    ("text", "csv", Form::Csv),
    ("application", "x-msgpack", Form::MessagePack),
];

/// The form for this `Accept` header: of what is listed the one with the highest weight, then the most exact, then the
/// first that we make; JSON if there is none.
fn negotiate(accept: Option<&str>) -> Form {
    let mut ranges: Vec<Range<'_>> = accept.unwrap_or_default().split(',').filter_map(Range::parse).collect();
    ranges.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.wildcards().cmp(&b.wildcards())));
    let offered = |range: &Range<'_>| OFFERED.iter().find(|(kind, subtype, _)| range.takes(kind, subtype));
    ranges.iter().find_map(offered).map_or(Form::Json, |(_, _, form)| *form)
}

/// The form that a request's answer has.
pub(super) fn form_of(request: &HttpRequest) -> Form {
    negotiate(request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()))
}

impl Form {
    /// Value of `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Form::Json | Form::PrettyJson => "application/json",
            Form::Csv => "text/csv",
            Form::MessagePack => "application/x-msgpack",
        }
    }

    pub(super) fn of_errors(self) -> ErrorForm {
        match self {
            Form::Json | Form::PrettyJson => ErrorForm::Json,
            Form::Csv => ErrorForm::Csv,
            Form::MessagePack => ErrorForm::MessagePack,
        }
    }
}

/// One element of the list.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    weight: f32,
}

impl<'a> Range<'a> {
    fn parse(element: &'a str) -> Option<Range<'a>> {
        let mut parts = element.split(';').map(str::trim);
        let (kind, subtype) = match parts.next()? {
            "*" => ("*", "*"),
            name => name.split_once('/')?,
        };
        let weight = parts.find_map(|parameter| parameter.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
        Some(Range { kind: kind.trim(), subtype: subtype.trim(), weight: weight.unwrap_or(1.0) })
    }

    fn wildcards(&self) -> usize {
        usize::from(self.kind == "*") + usize::from(self.subtype == "*")
    }

    fn takes(&self, kind: &str, subtype: &str) -> bool {
        (self.kind == "*" || self.kind.eq_ignore_ascii_case(kind))
            && (self.subtype == "*" || self.subtype.eq_ignore_ascii_case(subtype))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_form_that_we_make_is_taken() {
        for (accept, expected) in [
            (None, Form::Json),
            (Some(""), Form::Json),
            (Some("*/*"), Form::Json),
            (Some("text/html"), Form::Json),
            (Some("text/csv"), Form::Csv),
            (Some("application/csv"), Form::Csv),
            (Some("Text/CSV; charset=utf-8"), Form::Csv),
            (Some("text/*"), Form::Csv),
            (Some("text/html, application/x-msgpack"), Form::MessagePack),
            (Some("application/json;q=0.5, text/csv;q=0.8"), Form::Csv),
            (Some("*/*, application/x-msgpack"), Form::MessagePack),
            (Some("application/x-msgpack;q=0.1, */*"), Form::Json),
            (Some("nonsense,;q=1"), Form::Json),
        ] {
            assert_eq!(negotiate(accept), expected, "{accept:?}");
        }
    }
}
