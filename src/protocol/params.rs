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

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of `name`; empty when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
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
    fn the_first_value_counts_and_nothing_is_an_error() {
        let params = Params::parse("db=a&db=b&empty=&plus=1+2&hex=%C3%A9&%ZZ&x");
        assert_eq!((params.get("db"), params.get("empty"), params.get("none")), (Some("a"), Some(""), None));
        assert_eq!((params.text("plus"), params.text("hex"), params.text("x")), ("1 2", "é", ""));
    }
}
