//! Parameters of a request's query string, as every protocol of ours reads them: of a name given twice the first value
//! counts, names that an endpoint does not know are ignored, and nothing in a query string is an error by itself.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

/// Names and values in the order of the query string, decoded.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    pub fn parse(query: &str) -> Self {
        Params(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The parts of a `multipart/form-data` body (RFC 7578) that have a name; file parts count like others.
    pub fn parse_multipart(body: &[u8], boundary: &str) -> Self {
        let delimiter = format!("--{boundary}");
        let body = String::from_utf8_lossy(body);
        Params(body.split(&delimiter).skip(1).filter_map(part).collect())
    }

    /// Names and values in their order, repeated names too.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of `name`; empty when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

/// Name and value of one part: header lines, an empty line, the value, a line break.
fn part(text: &str) -> Option<(String, String)> {
    let (head, value) = text.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
    let is_disposition = |line: &&str| line.to_ascii_lowercase().starts_with("content-disposition:");
    let disposition = head.lines().find(is_disposition)?;
    let name = disposition.split(';').find_map(|parameter| parameter.trim().strip_prefix("name="))?;
    Some((name.trim_matches('"').to_string(), value.strip_suffix("\r\n")?.to_string()))
}

impl FromRequest for Params {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Params::parse(request.query_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_form_have_names_and_values() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nline 1\r\nline 2\r\n\
                    --b\r\ncontent-disposition: form-data; name=file; filename=\"x\"\r\nContent-Type: text/plain\r\n\r\n\r\n\
                    --b\r\nno headers\r\n--b--\r\n";
        let params = Params::parse_multipart(body.as_bytes(), "b");
        assert_eq!((params.get("q"), params.get("file")), (Some("line 1\r\nline 2"), Some("")));
        assert_eq!(params.0.len(), 2);
    }

    #[test]
    fn the_first_value_counts_and_nothing_is_an_error() {
        let params = Params::parse("db=a&db=b&empty=&plus=1+2&hex=%C3%A9&%ZZ&x");
        assert_eq!((params.get("db"), params.get("empty"), params.get("none")), (Some("a"), Some(""), None));
        assert_eq!((params.text("plus"), params.text("hex"), params.text("x")), ("1 2", "é", ""));
    }
}
