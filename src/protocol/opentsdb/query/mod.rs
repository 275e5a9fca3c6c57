//! `/api/query` and what is below it, and the 1.x `/q`.

use actix_web::HttpResponse;

use super::error::WireError;
use super::request::Call;
use crate::model::Kind;

/// `/api/query`, `/api/query/last`, `/api/query/exp`, `/api/query/gexp`.
pub(super) async fn serve(_call: Call) -> Result<HttpResponse, WireError> {
    Err(WireError::new(Kind::Unsupported, "Queries are not served yet"))
}

/// `/q`: as `/api/query`, in the forms of 1.x.
pub(super) async fn serve_of_old(_call: Call) -> Result<HttpResponse, WireError> {
    Err(WireError::new(Kind::Unsupported, "Queries are not served yet"))
}
