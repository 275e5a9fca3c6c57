//! `/api/v3/query_influxql`: series as one table, a column for each grouped tag.

use std::sync::Arc;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::{StreamExt, stream};
use serde_json::Value;

use crate::model::Kind;
use crate::model::names::DEFAULT_TENANT;
use crate::protocol::auth::Principal;
use crate::protocol::influxdb::statements::{self, Request};
use crate::protocol::influxdb::{authorization, bind};
use crate::protocol::params::Params;
use crate::protocol::{Core, Gate, RequestLimits};
use crate::query::influxql::answer::{SeriesPiece, SeriesStream};
use crate::query::influxql::{self, Query, Statement};

use super::query::{Question, answer, enter};
use super::refusal::Refusal;
use super::rows::{Sender, respond};

/// `GET|POST /api/v3/query_influxql`: one SELECT or SHOW in InfluxQL.
///
/// `q` (required), `db` (unless the statement names it), `format` and `params` as of query_sql. The first column, `iox::measurement`,
/// says which measurement a row is of; grouped tags are columns after the time.
/// Spec: InfluxDB 3 Core HTTP API, query_influxql.
pub(super) async fn query(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let answered = async {
        let (core, principal) = enter(&gate, &request, &params).await?;
        let question = Question::read(&request, &params, payload, &limits).await?;
        let query = parse(&question)?;
        authorization::check(&principal, &core.catalog.state(), &query, &question.database)?;
        let asked = Asked { core: core.clone(), principal, query, database: question.database };
        respond(core, question.format, |rows| asked.run(rows)).await
    };
    answer(&request, answered.await)
}

/// The one statement of a question. What changes something is not asked for here.
fn parse(question: &Question) -> Result<Query, Refusal> {
    let invalid = |text: String| Refusal::new(Kind::Invalid, text);
    let bound = match question.params.is_empty() {
        true => influxql::Params::default(),
        false => {
            let text = Value::Object(question.params.clone()).to_string();
            bind::parse(&text).map_err(|error| invalid(error.to_string()))?
        }
    };
    let query = influxql::parse_with_params(&question.text, &bound)
        .map_err(|error| invalid(format!("error in InfluxQL statement: {error}")))?;
    match query.statements.as_slice() {
        [Statement::Select(select)] if select.target.is_none() => Ok(query),
        [statement] if statement.words().starts_with("SHOW ") => Ok(query),
        [statement] => {
            let text = format!("error in InfluxQL statement: {} is not supported", statement.words());
            Err(invalid(text))
        }
        _ => Err(invalid("must provide only one InfluxQl statement per query".to_string())),
    }
}

struct Asked {
    core: Core,
    principal: Principal,
    query: Query,
    database: String,
}

impl Asked {
    async fn run(self, sender: Sender) -> Result<Bytes, Refusal> {
        let ticket = self.core.queries.running_queries.register(&self.query.to_string(), &self.database);
        let request = Request {
            tenant: DEFAULT_TENANT,
            database: self.database,
            policy: String::new(),
            is_read_only: false,
            principal: self.principal,
        };
        let work = async {
            let mut answer = SeriesStream::empty();
            for statement in &self.query.statements {
                answer = statements::execute(&self.core, &request, statement).await?;
            }
            let Some(first) = answer.next().await.transpose()? else {
                return sender.send_all(&Arc::new(Schema::empty()), stream::empty()).await;
            };
            let first = rows_of(&first)?;
            let schema = first.schema();
            let like = schema.clone();
            let rest = answer.map(move |piece| rows_like(&like, &rows_of(&piece?)?));
            sender.send_all(&schema, stream::iter([Ok(first)]).chain(rest)).await
        };
        tokio::select! {
            done = work => done,
            () = ticket.killed() => Err(Refusal::new(Kind::Timeout, "query interrupted")),
        }
    }
}

/// Rows of one series with its name and tags as columns.
fn rows_of(piece: &SeriesPiece) -> Result<RecordBatch, Refusal> {
    let count = piece.rows.num_rows();
    let same = |text: &str| Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count))) as ArrayRef;
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let name = piece.head.name.as_deref();
    let is_list_of_databases = name == Some("databases") && piece.head.columns.len() == 1;
    let mut fields: Vec<Field> = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    if let Some(name) = name.filter(|_| !is_list_of_databases) {
        fields.push(text("iox::measurement"));
        arrays.push(same(name));
    }
    let mut tags = piece.head.tags.iter().map(|(key, value)| (text(key), same(value)));
    for (index, (column, array)) in piece.head.columns.iter().zip(piece.rows.columns()).enumerate() {
        let column = if is_list_of_databases { "iox::database" } else { column.as_ref() };
        fields.push(Field::new(column, array.data_type().clone(), true));
        arrays.push(array.clone());
        // Tags stand between the time and the values.
        if index == 0 {
            for (field, array) in tags.by_ref() {
                fields.push(field);
                arrays.push(array);
            }
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(unwritable)
}

/// The same rows under another series' schema: a table has one.
fn rows_like(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, Refusal> {
    if rows.schema_ref() == schema {
        return Ok(rows.clone());
    }
    let names = |schema: &SchemaRef| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    if names(rows.schema_ref()) != names(schema) {
        return Err(Refusal::new(Kind::Unsupported, "the series of the answer have different columns"));
    }
    let arrays = rows.columns().iter().zip(schema.fields()).map(|(array, field)| cast(array, field.data_type()));
    let arrays = arrays.collect::<Result<_, _>>().map_err(unwritable)?;
    RecordBatch::try_new(schema.clone(), arrays).map_err(unwritable)
}

fn unwritable(error: datafusion::arrow::error::ArrowError) -> Refusal {
    Refusal::new(Kind::Internal, format!("arrow error: {error}"))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Float64Array, Int64Array};

    use super::*;
    use crate::query::influxql::answer::SeriesHead;

    fn piece(name: &str, tags: &[(&str, &str)], array: ArrayRef) -> SeriesPiece {
        let times = Arc::new(Int64Array::from_iter_values(0..array.len() as i64));
        let made = SeriesPiece::of(Some(name), &["time", "v"], vec![times, array]);
        let tags = tags.iter().map(|(key, value)| (Arc::from(*key), Arc::from(*value))).collect();
        SeriesPiece { head: Arc::new(SeriesHead { tags, ..(*made.head).clone() }), rows: made.rows }
    }

    fn columns(rows: &RecordBatch) -> Vec<String> {
        rows.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
    }

    #[test]
    fn a_series_becomes_rows_that_say_whose_they_are() {
        let first = rows_of(&piece("m", &[("h", "a")], Arc::new(Float64Array::from(vec![1.5])))).unwrap();
        assert_eq!(columns(&first), ["iox::measurement Utf8", "time Int64", "h Utf8", "v Float64"]);
        let other = rows_of(&piece("n", &[("h", "b")], Arc::new(Int64Array::from(vec![2, 3])))).unwrap();
        let alike = rows_like(&first.schema(), &other).unwrap();
        assert_eq!((alike.schema(), alike.num_rows()), (first.schema(), 2));
        let without = rows_of(&piece("n", &[], Arc::new(Int64Array::from(vec![2])))).unwrap();
        assert!(rows_like(&first.schema(), &without).is_err());
        let listed = rows_of(&SeriesPiece::of_texts(Some("databases"), "name", ["d"])).unwrap();
        assert_eq!(columns(&listed), ["iox::database Utf8"]);
    }
}
