//! The verbs that OpenTSDB's end points know.

use std::fmt;

use actix_web::http::Method;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    /// `None` for `OPTIONS` and for what the server does not answer.
    pub(super) fn of(method: &Method) -> Option<Verb> {
        match method.as_str() {
            "GET" => Some(Verb::Get),
            "POST" => Some(Verb::Post),
            "PUT" => Some(Verb::Put),
            "DELETE" => Some(Verb::Delete),
            _ => None,
        }
    }

    /// As `method_override` names it, in any case.
    pub(super) fn from_name(name: &str) -> Option<Verb> {
        Verb::of(&Method::from_bytes(name.to_ascii_uppercase().as_bytes()).ok()?)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
        })
    }
}
