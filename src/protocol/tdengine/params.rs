//! Parameters of `/rest/sql`.

use chrono_tz::Tz;

use crate::protocol::params::Params;

use super::error::WireError;

/// What the query string says.
#[derive(Debug, Clone, Copy)]
pub(super) struct SqlParams {
    /// Texts without a zone are read in it.
    pub session_zone: Tz,
    /// Times are shown in it.
    pub shown_zone: Tz,
    /// Rows are objects.
    pub row_with_meta: bool,
    /// The answer says how long it took.
    pub timing: bool,
}

/// `req_id` is only checked: nothing is traced by it.
pub(super) fn check_request_id(params: &Params) -> Result<(), WireError> {
    match params.get("req_id") {
        Some(text) if text.parse::<i64>().is_err() => Err(WireError::parameter(format!(
            "illegal param, req_id must be numeric strconv.ParseInt: parsing {text:?}: invalid syntax"
        ))),
        _ => Ok(()),
    }
}

impl SqlParams {
    pub(super) fn read(params: &Params) -> Result<SqlParams, WireError> {
        let zone = |name: &str| match params.get(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => {
                text.parse::<Tz>().map(Some).map_err(|_| WireError::parameter(format!("unknown time zone {text}")))
            }
        };
        let (session, shown) = (zone("conn_tz")?, zone("tz")?);
        let row_with_meta = match params.get("row_with_meta") {
            None | Some("") => false,
            Some(text) => boolean(text).ok_or_else(|| {
                let why = format!("strconv.ParseBool: parsing {text:?}: invalid syntax");
                WireError::parameter(format!("illegal param, row_with_meta must be boolean {why}"))
            })?,
        };
        let timing = boolean(params.text("timing")).unwrap_or(false);
        let session_zone = session.unwrap_or(Tz::UTC);
        Ok(SqlParams { session_zone, shown_zone: session.or(shown).unwrap_or(Tz::UTC), row_with_meta, timing })
    }
}

/// Go's boolean texts.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sessions_zone_wins_over_the_one_of_the_answer() {
        let read = |query: &str| SqlParams::read(&Params::parse(query));
        let both = read("conn_tz=Europe/Moscow&tz=Asia/Shanghai").unwrap();
        assert_eq!((both.session_zone, both.shown_zone), (Tz::Europe__Moscow, Tz::Europe__Moscow));
        let one = read("tz=Etc%2FGMT%2B10").unwrap();
        assert_eq!((one.session_zone, one.shown_zone), (Tz::UTC, Tz::Etc__GMTPlus10));
        assert_eq!(read("tz=Etc/GMT+10").unwrap_err().text, "unknown time zone Etc/GMT 10");
        assert!(read("row_with_meta=T").unwrap().row_with_meta);
        assert!(read("row_with_meta=wrong").is_err());
        assert!(check_request_id(&Params::parse("req_id=-5")).is_ok());
        assert!(check_request_id(&Params::parse("req_id=x")).is_err());
    }
}
