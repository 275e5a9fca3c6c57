//! The catalog over an in-memory store that can lose answers.

mod dropping;
mod following;
mod pruned;
mod tenants;
mod writers;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use uuid::Uuid;

use super::chain::{CHAIN_FORMAT, Document, DocumentKind};
use super::databases::{IfExists, NewDatabase, policy};
use super::*;
use crate::model::{
    ColumnKind, Declaration, DeclaredForm, DeclaredType, FieldType, NamedSeries, Precision, RowIdentity,
    SERIES_NAME_TAG, TableId, TableSchema,
};
use crate::model::{SeriesFilter, Tombstone};
use crate::storage::layout;
use crate::storage::segment::{Bound, ColumnStatistics, Segment, SequenceRange};

fn options() -> CatalogOptions {
    let clock: crate::model::Clock = Arc::new(|| 1_700_000_000_000_000_000);
    CatalogOptions { snapshot_every: 5, name: "test".into(), ..CatalogOptions::new(clock) }
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

async fn open(store: &Arc<dyn ObjectStore>, writer: u128) -> Catalog {
    Catalog::open(store.clone(), Uuid::from_u128(writer), options()).await.unwrap()
}

fn database(name: &str) -> NewDatabase {
    NewDatabase { tenant: "cnosdb".into(), name: name.into(), precision: Precision::Ns, policy: None }
}

fn names(catalog: &Catalog) -> Vec<String> {
    catalog.state().databases("cnosdb").iter().map(|d| d.name.to_string()).collect()
}

/// Waits until `done`, which must come to be so.
async fn eventually(done: impl Fn() -> bool) {
    let in_time = async {
        while !done() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), in_time).await.expect("it comes to be so");
}

#[tokio::test]
async fn what_was_committed_is_read_again_with_and_without_snapshots() {
    let store = memory();
    let catalog = open(&store, 1).await;
    for i in 0..12 {
        catalog.create_database(database(&format!("d{i}")), IfExists::Fail).await.unwrap();
    }
    let expected = names(&catalog);
    assert_eq!(expected.len(), 13);
    catalog.close().await;
    assert!(store.head(&layout::snapshot_key(10)).await.is_ok());
    assert_eq!(names(&open(&store, 2).await), expected);
    // The state after 10 was that of 13 commits and the two openings.
    for number in [5, 10, 15] {
        let _ = store.delete(&layout::snapshot_key(number)).await;
    }
    assert_eq!(names(&open(&store, 3).await), expected);
}

#[tokio::test]
async fn a_damaged_snapshot_is_passed_over_and_a_damaged_commit_is_named() {
    let store = memory();
    let catalog = open(&store, 1).await;
    for i in 0..7 {
        catalog.create_database(database(&format!("d{i}")), IfExists::Fail).await.unwrap();
    }
    catalog.close().await;
    let expected = names(&catalog);
    store.put(&layout::snapshot_key(5), PutPayload::from_static(b"damaged")).await.unwrap();
    let reader = Catalog::read(store.clone(), options()).await.unwrap();
    assert_eq!(names(&reader), expected);
    for number in [4, 8] {
        let key = layout::commit_key(number);
        let commit = store.get(&key).await.unwrap().bytes().await.unwrap();
        store.delete(&key).await.unwrap();
        let read = Catalog::read(store.clone(), options()).await;
        match number {
            // What the snapshot that cannot be read would have led to is not there.
            4 => assert!(matches!(read, Err(CatalogError::Corrupt { object, .. }) if object.contains("snapshots"))),
            // The chain ends a commit earlier: that is no sign of damage.
            _ => assert_eq!(read.unwrap().state().version, 7),
        }
        store.put(&key, PutPayload::from_bytes(commit)).await.unwrap();
    }
    store.put(&layout::commit_key(3), PutPayload::from_static(b"damaged")).await.unwrap();
    let error = Catalog::open(store.clone(), Uuid::from_u128(2), options()).await.unwrap_err();
    assert!(error.to_string().starts_with(layout::commit_key(3).as_ref()), "{error}");
}

#[tokio::test]
async fn two_writers_never_lose_each_others_commits() {
    let store = memory();
    let (one, two) = (open(&store, 1).await, open(&store, 2).await);
    for i in 0..20 {
        let (a, b) = tokio::join!(
            one.create_database(database(&format!("a{i}")), IfExists::Fail),
            two.create_database(database(&format!("b{i}")), IfExists::Fail),
        );
        a.unwrap();
        b.unwrap();
    }
    let all = names(&open(&store, 3).await);
    for i in 0..20 {
        assert!(all.contains(&format!("a{i}")) && all.contains(&format!("b{i}")), "{i}: {all:?}");
    }
    // Both asked for the same name: one is told that it exists.
    let (a, b) = tokio::join!(
        one.create_database(database("same"), IfExists::Fail),
        two.create_database(database("same"), IfExists::Fail),
    );
    assert!(a.is_ok() != b.is_ok());
    assert!(matches!(a.err().or(b.err()), Some(CatalogError::DatabaseExists { .. })));
}

#[tokio::test]
async fn changes_asked_for_at_once_share_commits() {
    let store = memory();
    let catalog = open(&store, 1).await;
    let all = (0..100).map(|i| catalog.create_database(database(&format!("d{i}")), IfExists::Fail));
    for created in futures::future::join_all(all).await {
        created.unwrap();
    }
    let state = catalog.state();
    assert_eq!(state.databases("cnosdb").len(), 101);
    assert!(state.version < 50, "{} commits", state.version);
}

#[tokio::test]
async fn an_error_of_one_change_leaves_the_others_alone() {
    let catalog = open(&memory(), 1).await;
    let (good, bad) = tokio::join!(
        catalog.create_database(database("good"), IfExists::Fail),
        catalog.create_database(database("public"), IfExists::Fail),
    );
    assert!(good.is_ok());
    assert!(matches!(bad, Err(CatalogError::DatabaseExists { .. })));
}

/// Loses the answers of some puts: they take effect and say that they failed.
#[derive(Debug)]
struct LostAnswers {
    inner: InMemory,
    puts: AtomicUsize,
    lost: fn(usize) -> bool,
}

impl fmt::Display for LostAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lost answers")
    }
}

#[async_trait::async_trait]
impl ObjectStore for LostAnswers {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let answer = self.inner.put_opts(path, payload, options).await;
        if (self.lost)(self.puts.fetch_add(1, Ordering::Relaxed)) {
            return Err(object_store::Error::Generic { store: "test", source: "connection reset".into() });
        }
        answer
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_counts_once() {
    let lossy = LostAnswers { inner: InMemory::new(), puts: AtomicUsize::new(0), lost: |n| n % 2 == 0 };
    let store: Arc<dyn ObjectStore> = Arc::new(lossy);
    let catalog = open(&store, 1).await;
    for i in 0..8 {
        catalog.create_database(database(&format!("d{i}")), IfExists::Fail).await.unwrap();
    }
    assert_eq!(catalog.state().version, 9, "that of the opening, and one each");
    assert_eq!(names(&open(&store, 2).await), names(&catalog));
}

fn full_state() -> CatalogState {
    let mut schema = TableSchema::new(RowIdentity::Series);
    let host = schema.add("host", ColumnKind::Tag, None);
    let usage = schema.add("usage", ColumnKind::Field, Some(FieldType::Float));
    let mut state = CatalogState::initial();
    let changes = [
        Change::CreateDatabase {
            tenant: "cnosdb".into(),
            database: "metrics".into(),
            ordinal: 1,
            precision: Precision::Ms,
            policies: vec![policy(Some("short"), 7_200_000_000_000, None, 1)],
            default_policy: "short".into(),
        },
        Change::CreateTable {
            id: TableId(1),
            tenant: "cnosdb".into(),
            database: "metrics".into(),
            policy: "short".into(),
            table: "cpu".into(),
            schema,
            folder_with_id: true,
            folder: None,
        },
        Change::AddSegments {
            table: TableId(1),
            segments: vec![Segment {
                id: Uuid::from_u128(5),
                path: "data/x.parquet".into(),
                size_bytes: 1234,
                rows: 10,
                window_ns: -86_400_000_000_000,
                time_min_ns: -5,
                time_max_ns: -1,
                sequence: SequenceRange { first: 3, last: 9 },
                published: 0,
                tombstones_applied: 0,
                level: 1,
                footer_bytes: 300,
                checks: None,
                columns: vec![
                    ColumnStatistics {
                        id: host,
                        nulls: 0,
                        range: Some((Bound::String("a".into()), Bound::String("é".into()))),
                    },
                    ColumnStatistics { id: usage, nulls: 10, range: None },
                ],
            }],
        },
        Change::Flushed { table: TableId(1), writer: Uuid::from_u128(7), through: 9 },
        Change::PutDocument {
            collection: "users".into(),
            key: "ann".into(),
            value: serde_json::json!({"admin": true}),
        },
    ];
    for change in &changes {
        state.apply(change);
    }
    state.version = 6;
    state
}

#[test]
fn a_snapshot_leads_to_the_same_state() {
    let mut state = full_state_2();
    state.apply(&Change::RenameTable { table: TableId(1), name: "load".into() });
    let again = CatalogState::from_changes(state.version, &state.as_changes());
    assert_eq!(format!("{again:?}"), format!("{state:?}"));
}

/// The state of format 2, which knows who writes and which uploads are dead.
fn full_state_2() -> CatalogState {
    let mut state = full_state();
    let writer = Uuid::from_u128(7);
    state.apply(&Change::OpenWriter { writer, epoch: 4, name: "host:1".into(), opened_ns: 1_700_000_000_000_000_000 });
    state.apply(&Change::Horizon { before_ms: 1_700_000_000_000 });
    state
}

/// And named series, with the columns that they were declared with.
fn full_state_3() -> CatalogState {
    let mut state = full_state_2();
    let mut schema = TableSchema::new(RowIdentity::Series);
    schema.declaration = Some(Declaration {
        form: DeclaredForm::NamedSeries,
        time_name: "ts".into(),
        created_ns: 5,
        comment: Some("meters".into()),
        ttl_days: 0,
    });
    schema.add(SERIES_NAME_TAG, ColumnKind::Tag, None);
    let tag = schema.declare_tag("location", DeclaredType::NChar(8));
    schema.declare_field("voltage", DeclaredType::Int);
    schema.declare_field("cost", DeclaredType::Decimal { precision: 10, scale: 2 });
    let id = state.next_table_id();
    state.apply(&Change::CreateTable {
        id,
        tenant: "cnosdb".into(),
        database: "metrics".into(),
        policy: "autogen".into(),
        table: "meters".into(),
        schema,
        folder_with_id: false,
        folder: None,
    });
    let series = |name: &str| NamedSeries {
        name: name.into(),
        tags: [(tag.0, "Sunnyvale".to_string())].into(),
        created_ns: 7,
        comment: None,
        ttl_days: 3,
    };
    state.apply(&Change::PutSeries { table: id, series: vec![series("d1"), series("d2"), series("d3")] });
    state.apply(&Change::DropSeries { table: id, names: vec!["d2".into()] });
    state
}

/// And a renamed table, whose folder has its first name.
fn full_state_4() -> CatalogState {
    let mut state = full_state_3();
    state.apply(&Change::RenameTable { table: TableId(1), name: "load".into() });
    state
}

#[test]
fn series_go_with_their_table_and_come_back_with_a_snapshot() {
    let mut state = full_state_3();
    let names = |state: &CatalogState| {
        let tables = state.tables().flat_map(|table| table.series.keys().map(|name| name.to_string()));
        tables.collect::<Vec<_>>()
    };
    assert_eq!(names(&state), ["d1", "d3"]);
    let again = CatalogState::from_changes(7, &state.as_changes());
    assert_eq!((names(&again), again.as_changes()), (names(&state), state.as_changes()));
    let id = state.tables().find(|table| &*table.name.table == "meters").unwrap().id;
    state.apply(&Change::DropTable { table: id });
    state.apply(&Change::PutSeries { table: id, series: vec![] });
    assert_eq!(names(&state), Vec::<String>::new());
}

/// Files that a released version wrote must stay readable. `UPDATE_FIXTURES=1` writes those of the newest version.
#[test]
fn every_version_of_commits_and_snapshots_is_readable() {
    for (version, epoch, state) in
        [(1, 0, full_state()), (2, 4, full_state_2()), (3, 4, full_state_3()), (CHAIN_FORMAT, 4, full_state_4())]
    {
        for (kind, name) in [(DocumentKind::Commit, "commit"), (DocumentKind::Snapshot, "snapshot")] {
            let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
            let path = fixtures.join(format!("v{version}/catalog/{name}"));
            let (id, writer, mut changes) = (Uuid::from_u128(11), Uuid::from_u128(7), state.as_changes());
            if version >= 4 {
                changes.push(Change::RenameTable { table: TableId(1), name: "load".into() });
            }
            let expected = Document { id, number: 6, writer, epoch, changes };
            if std::env::var_os("UPDATE_FIXTURES").is_some() && version == CHAIN_FORMAT {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, expected.encode(kind)).unwrap();
            }
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(Document::decode(kind, name, 6, &bytes).unwrap(), expected, "{}", path.display());
        }
    }
}

#[test]
fn dropping_a_database_drops_its_tables_and_numbers_go_on() {
    let mut state = full_state();
    state.apply(&Change::DropDatabase { tenant: "cnosdb".into(), database: "metrics".into() });
    assert!(state.table(TableId(1)).is_none() && state.database("cnosdb", "metrics").is_none());
    let again = CatalogState::from_changes(7, &state.as_changes());
    assert_eq!((again.next_table_id(), again.last_sequence), (TableId(2), 9));
    // Late steps about what is gone change nothing.
    state.apply(&Change::Flushed { table: TableId(1), writer: Uuid::from_u128(7), through: 20 });
    assert_eq!(state.tables().count(), 0);
}

#[tokio::test]
async fn names_that_no_folder_can_bear_are_refused() {
    let catalog = open(&memory(), 1).await;
    let long = "x".repeat(256);
    for name in ["", ".", "..", "a/b", "a\\b", "a\nb", &long] {
        let refused = catalog.create_database(database(name), IfExists::Keep).await;
        assert!(matches!(refused, Err(CatalogError::InvalidName { .. })), "{name:?}");
    }
}

#[tokio::test]
async fn creating_again_compares_the_policy_if_asked_to() {
    let catalog = open(&memory(), 1).await;
    let with = |hours: i64| NewDatabase {
        policy: Some(policy(Some("p"), hours * 3_600_000_000_000, None, 1)),
        ..database("d")
    };
    catalog.create_database(with(2), IfExists::Compare).await.unwrap();
    catalog.create_database(with(2), IfExists::Compare).await.unwrap();
    catalog.create_database(database("d"), IfExists::Compare).await.unwrap();
    let conflict = catalog.create_database(with(3), IfExists::Compare).await;
    assert!(matches!(conflict, Err(CatalogError::PolicyConflict)));
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_committed() {
    let store = memory();
    let catalog = open(&store, 1).await;
    let nested = |depth: usize| (1..depth).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner]));
    let filter = |depth: usize| {
        let equal = SeriesFilter::Equal { tag: "a".into(), value: "1".into() };
        (0..depth).fold(equal, |inner, i| match i % 2 {
            0 => SeriesFilter::Every(vec![SeriesFilter::All, inner]),
            _ => SeriesFilter::Any(vec![inner]),
        })
    };
    let (mut kept, mut refused) = (0, 0);
    for depth in [1, 50, 100, 119, 120, 121, 125, 126, 127, 200] {
        let tombstone = |id: u128| {
            let series = filter(depth / 2);
            let (time_min_ns, time_max_ns) = (0, 1);
            Tombstone { id: Uuid::from_u128(id), ordinal: 1, time_min_ns, time_max_ns, series }
        };
        let changes = [
            Change::PutDocument { collection: "c".into(), key: depth.to_string(), value: nested(depth) },
            Change::AddTombstone { table: TableId(77), tombstone: tombstone(depth as u128) },
        ];
        for change in changes {
            match catalog.update(move |_| Ok(vec![change.clone()])).await {
                Ok(_) => kept += 1,
                Err(CatalogError::TooDeep) => refused += 1,
                Err(error) => panic!("{depth}: {error}"),
            }
        }
        let state = Catalog::read(store.clone(), options()).await.unwrap().state();
        assert_eq!(state.version, catalog.state().version, "{depth}");
    }
    assert!(kept >= 8 && refused >= 4, "{kept} kept, {refused} refused");
}
