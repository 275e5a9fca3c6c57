//! `/api/v2/buckets`: databases and their policies.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::catalog::{CatalogState, Database, RetentionPolicy};
use crate::model::Kind;
use crate::model::names::DEFAULT_TENANT;
use crate::protocol::Gate;
use crate::protocol::auth::Principal;
use crate::protocol::influxdb::credentials::{self, Door};
use crate::protocol::influxdb::error::{ErrorForm, WireError};
use crate::protocol::influxdb::stamped;
use crate::protocol::params::Params;

const NANOS_PER_SEC: i64 = 1_000_000_000;
/// Buckets of an answer: when none are asked for, and at most.
const LIMIT: usize = 20;
const LIMIT_MAX: usize = 100;

/// `GET /api/v2/buckets`: the buckets that the one who asks has a right to.
///
/// Query: `name` or `id` (a bucket's id is its name), `limit` (1 to 100, default 20), `offset`; the organization is ignored.
/// Spec: InfluxDB 2 API, list buckets.
pub(super) async fn list(request: HttpRequest, params: Params, gate: Data<Gate>) -> HttpResponse {
    let listed = async {
        let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
        let principal = credentials::principal(core, &request, &params, Door::V2).await?;
        if principal == Principal::Nobody {
            return Err(credentials::unreadable());
        }
        let page = Page::read(&params)?;
        let wanted = params.get("name").or(params.get("id"));
        let all = names(&core.catalog.state(), &principal).into_iter();
        let found = all.filter(|bucket| wanted.is_none_or(|wanted| bucket["name"] == wanted));
        let buckets: Vec<Value> = found.skip(page.offset).take(page.limit).collect();
        let link = format!("/api/v2/buckets?descending=false&limit={}&offset={}", page.limit, page.offset);
        Ok(HttpResponse::Ok().json(json!({"links": {"self": link}, "buckets": buckets})))
    };
    stamped(&request, listed.await.unwrap_or_else(|error: WireError| error.into_response(ErrorForm::Json)))
}

#[derive(Debug, PartialEq)]
struct Page {
    limit: usize,
    offset: usize,
}

impl Page {
    fn read(params: &Params) -> Result<Page, WireError> {
        let number = |name: &str, default: usize| match params.text(name) {
            "" => Ok(default),
            text => text.parse().map_err(|_| WireError::new(Kind::Invalid, format!("{name} is invalid"))),
        };
        let page = Page { limit: number("limit", LIMIT)?, offset: number("offset", 0)? };
        match (1..=LIMIT_MAX).contains(&page.limit) {
            true => Ok(page),
            false => Err(WireError::new(Kind::Invalid, format!("limit must be between 1 and {LIMIT_MAX}"))),
        }
    }
}

fn names(state: &CatalogState, principal: &Principal) -> Vec<Value> {
    let databases = state.databases(DEFAULT_TENANT).into_iter();
    let visible =
        databases.filter(|database| principal.may_read(&database.name) || principal.may_write(&database.name));
    visible.flat_map(|database| database.policies.iter().map(|policy| bucket(database, policy))).collect()
}

fn bucket(database: &Database, policy: &RetentionPolicy) -> Value {
    let name = format!("{}/{}", database.name, policy.name);
    let rule = json!({
        "type": "expire",
        "everySeconds": policy.duration_ns / NANOS_PER_SEC,
        "shardGroupDurationSeconds": policy.shard_duration_ns / NANOS_PER_SEC,
    });
    json!({"id": name, "orgID": "", "type": "user", "name": name, "retentionRules": [rule]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_bounds() {
        let page = |query: &str| Page::read(&Params::parse(query)).map_err(|error| error.text().to_string());
        assert_eq!(page(""), Ok(Page { limit: 20, offset: 0 }));
        assert_eq!(page("limit=100&offset=7"), Ok(Page { limit: 100, offset: 7 }));
        for wrong in ["limit=0", "limit=101", "limit=x", "offset=-1"] {
            assert!(page(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_policy_is_a_bucket() {
        let state = CatalogState::initial();
        let buckets = names(&state, &Principal::Anyone);
        assert_eq!(buckets.len(), 1);
        assert_eq!(buckets[0]["name"], "public/autogen");
        assert_eq!(buckets[0]["retentionRules"][0]["everySeconds"], 0);
        assert!(names(&state, &Principal::Nobody).is_empty());
    }
}
