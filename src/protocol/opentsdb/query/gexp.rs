//! `/api/query/gexp`: functions over sub queries.
//!
//! Spec: OpenTSDB HTTP API, query/gexp. The series are held whole, and answered with in the shape of `/api/query`.

use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpResponse;

use crate::model::Kind;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::{Call, Params};
use crate::protocol::opentsdb::response::JSON;
use crate::protocol::opentsdb::verb::Verb;
use crate::query::opentsdb::expression::{Budget, Gexp, gathered, parse_gexp};
use crate::query::opentsdb::request::{Counts, RawQuery};

use super::asked::Asked;
use super::targets::targets;
use super::writer::{AnswerWriter, Extras};
use super::{asker, now_ms};

/// `GET /api/query/gexp?start=…&exp=…`.
pub(super) async fn serve(call: Call) -> Result<HttpResponse, WireError> {
    if call.verb != Verb::Get {
        return Err(WireError::bad_request("Method is not allowed").details("Expressions are asked for with GET"));
    }
    let started = Instant::now();
    let (expressions, query) = call.aside(of_params).await?;
    let query = query.validate(now_ms(&call))?;
    let targets = targets(&call.core.uids, &query.queries)?;
    let (engine, asker) = (call.core.queries.clone(), asker(&call));
    let presentation = Asked::presentation_of(&call.params);
    let made = call.core.runtime.spawn(async move {
        let answer = engine.opentsdb(&asker, &query, &targets).await?;
        let groups = gathered(answer.groups, query.queries.len(), &mut Budget::default()).await?;
        let mut writer = AnswerWriter::new(presentation, Arc::new(query.queries));
        for expression in &expressions {
            let place = expression.first_query().unwrap_or_default();
            for series in expression.evaluate(&groups)? {
                writer.begin(&series.head(place), &Extras::default(), series.is_combined);
                series.points.iter().for_each(|(time, value)| writer.point(*time, *value));
            }
        }
        writer.finish(started.elapsed());
        Ok::<_, WireError>(writer.take())
    });
    let body = made.await.map_err(|error| WireError::new(Kind::Internal, error.to_string()))??;
    Ok(HttpResponse::Ok().content_type(JSON).body(body))
}

fn of_params(params: &Params) -> Result<(Vec<Gexp>, RawQuery), WireError> {
    let start = params.required("start")?.to_string();
    let (mut queries, mut counts) = (Vec::new(), Counts::default());
    let expressions: Vec<Gexp> =
        params.all("exp").map(|text| parse_gexp(text, &mut queries, &mut counts)).collect::<Result<_, _>>()?;
    if expressions.is_empty() {
        return Err(WireError::missing_parameter("exp"));
    }
    let end = params.get("end").map(str::to_string);
    Ok((expressions, RawQuery { start: Some(start), end, queries, ..RawQuery::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_all_expressions_are_counted_before_they_are_made() {
        let check = |expressions: &[String], expected: Result<usize, &str>| {
            let asked = of_params(&Params::parse(&format!("start=1&exp={}", expressions.join("&exp="))));
            let found = asked.map(|(_, query)| query.queries.len());
            assert_eq!(found.as_ref().map_err(WireError::message), expected.as_ref().map_err(|text| *text));
        };
        let mut expressions: Vec<String> = (0..32).map(|i| format!("absolute(sum:m{{a=regexp({i})}})")).collect();
        check(&expressions, Ok(32));
        // One that could not be made.
        expressions.push("absolute(sum:m{a=regexp(*)})".to_string());
        check(&expressions, Err("33 regular expressions are more than the 32 that a request may have"));
    }
}
