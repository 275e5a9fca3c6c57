//! Documents on their way from a request's actions into tables, and back as results.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::ingest::accept::REQUEST_TABLES_MAX;
use crate::ingest::documents::{DocumentRules, OnConflict};
use crate::ingest::{BadPoints, IngestError, Target};
use crate::model::Documents;
use crate::model::documents::NAMES_MAX;
use crate::model::names::DEFAULT_TENANT;
use crate::protocol::Core;
use crate::protocol::format::documents::bulk::{self, Action};
use crate::protocol::format::documents::time::{read as read_time, take_time};
use crate::protocol::format::documents::{Arrays, Shape, flatten};
use crate::protocol::params::Params;

use super::items::{Failure, Item, Stored};
use super::{Options, date_math, names};

/// Elasticsearch's own limit.
const DEPTH_MAX: usize = 20;
const SHAPE: Shape = Shape { arrays: Arrays::Text, depth_max: DEPTH_MAX };
/// Most distinct names that the documents of a request may have, those of all its tables together.
const REQUEST_NAMES_MAX: usize = 4 * NAMES_MAX;
/// Where a document's time must be readable if it is there.
const TIME: &str = "@timestamp";
/// Where else it is likely to be.
const LIKELY_TIMES: [&str; 3] = ["timestamp", "time", "date"];

/// Where a request's documents go and how they are read.
pub(super) struct Destination {
    target: Target,
    /// Names under which the time is looked for, and must be readable.
    times: Vec<String>,
    rules: DocumentRules,
}

impl Destination {
    /// Query: `db` (default: the setting `elastic.database`), `time_column`, `tag_columns` (a comma list).
    pub(super) fn of(params: &Params, options: &Options) -> Destination {
        let given = |name| params.get(name).filter(|value| !value.is_empty());
        let database = given("db").unwrap_or(&options.database).to_string();
        let tags = given("tag_columns").map(|list| list.split(',').map(|tag| tag.trim().to_string()).collect());
        Destination {
            target: Target { tenant: DEFAULT_TENANT.to_string(), database, policy: None },
            times: given("time_column").into_iter().chain([TIME]).map(str::to_string).collect(),
            rules: DocumentRules {
                bad_documents: BadPoints::Drop,
                on_conflict: if options.siblings { OnConflict::Sibling } else { OnConflict::Reject },
                columns_max: options.columns_max,
                tags: tags.unwrap_or_default(),
                numbers_are_floats: false,
                may_merge: false,
            },
        }
    }
}

/// Carries out a request's actions, each for itself: an item for each, in their order. On `Ok` every document whose item says so
/// is durable and visible; on `Err` none is, unless the log failed.
pub(super) async fn take(
    core: &Core,
    actions: Vec<bulk::Item<'_>>,
    to: &Destination,
) -> Result<Vec<Item>, IngestError> {
    let (mut items, tables, places) = read(actions, to, (core.ingest.clock)())?;
    let receipt = core.ingest.accept_documents(&to.target, tables, &to.rules).await?;
    for refused in &receipt.refused {
        let item = &mut items[places[refused.table][refused.row]];
        item.outcome = Err(Failure::unfit(&refused.why, &item.id));
    }
    Ok(items)
}

type Read = (Vec<Item>, Vec<Documents>, Vec<Vec<usize>>);

/// Items as if everything readable were stored, the documents by table, and of each document the position of its item.
/// `Err`: the actions are of more tables than a request may write to.
fn read(actions: Vec<bulk::Item<'_>>, to: &Destination, now_ns: i64) -> Result<Read, IngestError> {
    // Distinct names of all tables.
    let mut names = 0;
    let mut tables: Vec<Documents> = Vec::new();
    let mut places: Vec<Vec<usize>> = Vec::new();
    let mut by_index: HashMap<String, Result<usize, Failure>> = HashMap::new();
    let mut ids = Ids::new();
    let times: Vec<&str> = to.times.iter().map(String::as_str).collect();
    let mut items = Vec::with_capacity(actions.len());
    for (number, action) in actions.into_iter().enumerate() {
        let id = action.id.unwrap_or_else(|| ids.next());
        let resolved = date_math::resolve(&action.index, now_ns).map(|name| match name {
            Cow::Owned(name) => Some(name),
            Cow::Borrowed(_) => None,
        });
        let (index, bad_name) = match resolved {
            Ok(resolved) => (resolved.unwrap_or(action.index), None),
            Err(why) => (action.index, Some(Failure::bad_name(why))),
        };
        let outcome = match (action.action, action.source) {
            (Action::Update | Action::Delete, _) => Err(Failure::append_only(action.action)),
            (_, None) => Err(Failure::no_source()),
            (_, Some(source)) => {
                let table = match by_index.get(&index) {
                    Some(table) => table.clone(),
                    None => {
                        let table = match names::refusal(&index) {
                            Some(why) => Err(bad_name.unwrap_or_else(|| Failure::index_name(&index, why))),
                            None => {
                                if tables.len() == REQUEST_TABLES_MAX {
                                    let (tables, max) = (tables.len() + 1, REQUEST_TABLES_MAX);
                                    return Err(IngestError::TooManyTables { tables, max });
                                }
                                tables.push(Documents::new(&index));
                                places.push(Vec::new());
                                Ok(tables.len() - 1)
                            }
                        };
                        by_index.insert(index.clone(), table.clone());
                        table
                    }
                };
                table.and_then(|table| {
                    let documents = &mut tables[table];
                    let before = documents.names().len();
                    documents.limit_names(before + (REQUEST_NAMES_MAX - names));
                    let read = document(source, &times, now_ns, &id, documents);
                    names += documents.names().len() - before;
                    read?;
                    places[table].push(number);
                    Ok(Stored { number })
                })
            }
        };
        items.push(Item { action: action.action, index, id, outcome });
    }
    Ok((items, tables, places))
}

/// Adds one document to those of its table. `times`: names under which its time must be readable.
fn document(source: &[u8], times: &[&str], now_ns: i64, id: &str, into: &mut Documents) -> Result<(), Failure> {
    let read = flatten(source, SHAPE, into)
        .map_err(|error| Failure::document(&error))
        .and_then(|()| take_time(into, times, read_time, &LIKELY_TIMES).map_err(|bad| Failure::time(&bad, id)));
    match read {
        Ok(time_ns) => {
            into.finish(time_ns.unwrap_or(now_ns));
            Ok(())
        }
        Err(failure) => {
            into.abort();
            Err(failure)
        }
    }
}

/// Ids for documents that come without one: 20 characters, unlike any others.
struct Ids {
    start: [u8; 9],
    count: u64,
}

impl Ids {
    fn new() -> Ids {
        let mut start = [0; 9];
        start.copy_from_slice(&Uuid::new_v4().into_bytes()[..9]);
        Ids { start, count: 0 }
    }

    fn next(&mut self) -> String {
        let mut bytes = [0; 15];
        bytes[..9].copy_from_slice(&self.start);
        bytes[9..].copy_from_slice(&self.count.to_be_bytes()[2..]);
        self.count += 1;
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(query: &str) -> Destination {
        Destination::of(&Params::parse(query), &Options::default())
    }

    #[test]
    fn documents_go_to_their_tables_and_items_stay_in_order() {
        let body = b"{\"index\":{\"_index\":\"a\"}}\n{\"@timestamp\":1,\"x\":1}\n{\"delete\":{\"_index\":\"a\",\"_id\":\"1\"}}\n\
            {\"create\":{\"_index\":\"b\"}}\n{bad\n{\"index\":{\"_index\":\"b/c\"}}\n{}\n{\"create\":{\"_index\":\"b\",\"_id\":\"7\"}}\n{}\n";
        let actions = bulk::parse(body, None).unwrap();
        let (items, tables, places) = read(actions, &destination(""), 99).unwrap();
        let kinds: Vec<_> =
            items.iter().map(|item| item.outcome.as_ref().map(|s| s.number).map_err(|f| f.kind)).collect();
        let parsing = "document_parsing_exception";
        assert_eq!(
            kinds,
            [Ok(0), Err("illegal_argument_exception"), Err(parsing), Err("invalid_index_name_exception"), Ok(4)]
        );
        assert_eq!(places, [vec![0], vec![4]]);
        assert_eq!((tables[0].times(), tables[1].times()), (&[1_000_000_000][..], &[99][..]));
        assert_eq!(items[4].id, "7");
        assert!(items[0].id.len() == 20 && items[0].id != items[2].id);
    }

    #[test]
    fn a_request_is_of_a_bounded_number_of_tables_and_names() {
        let tables = |count: usize| {
            let line = |n| format!("{{\"index\":{{\"_index\":\"t{n}\"}}}}\n{{}}\n");
            let body: String = (0..count).map(line).collect();
            let actions = bulk::parse(body.as_bytes(), None).unwrap();
            read(actions, &destination(""), 99).map(|(_, tables, _)| tables.len())
        };
        assert_eq!(tables(REQUEST_TABLES_MAX).unwrap(), REQUEST_TABLES_MAX);
        let refused = tables(REQUEST_TABLES_MAX + 5).unwrap_err();
        assert!(matches!(refused, IngestError::TooManyTables { tables, .. } if tables == REQUEST_TABLES_MAX + 1));

        let names: String = (1..NAMES_MAX).map(|n| format!("\"{n}\":1,")).collect();
        let line = |n| format!("{{\"index\":{{\"_index\":\"t{n}\"}}}}\n{{{names}\"n\":1}}\n");
        let body: String = (0..5).map(line).collect();
        let (items, ..) = read(bulk::parse(body.as_bytes(), None).unwrap(), &destination(""), 99).unwrap();
        assert_eq!(items.iter().map(|item| item.outcome.is_ok()).collect::<Vec<_>>(), [true, true, true, true, false]);
    }

    #[test]
    fn the_time_is_where_the_request_says_and_then_where_it_usually_is() {
        let time = |query: &str, json: &str| {
            let mut documents = Documents::new("t");
            let to = destination(query);
            let times: Vec<&str> = to.times.iter().map(String::as_str).collect();
            document(json.as_bytes(), &times, 99, "i", &mut documents).map(|()| documents.times()[0])
        };
        assert_eq!(time("time_column=t", r#"{"t":"1970-01-01T00:00:01Z","@timestamp":5}"#), Ok(1_000_000_000));
        assert_eq!(time("time_column=t", r#"{"@timestamp":5}"#), Ok(5_000_000_000));
        assert_eq!(time("", r#"{"timestamp":"1970-01-01T00:00:02Z"}"#), Ok(2_000_000_000));
        assert_eq!(time("", r#"{"time":"soon"}"#), Ok(99));
        let failure = time("", r#"{"@timestamp":"yesterday"}"#).unwrap_err();
        assert!(failure.reason.contains("[@timestamp] of type [date]"), "{}", failure.reason);
    }
}
