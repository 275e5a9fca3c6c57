//! The power goes: what was not synced is lost, at any operation on the disk. Whole gateways over a file system that keeps
//! only what was synced (and, by seed, some of what was not): every acknowledged point is there exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidegate::catalog::Change;
use tidegate::catalog::databases::{IfExists, NewDatabase};
use tidegate::config::Settings;
use tidegate::ingest::{BadPoints, Ingest, IngestError, Rules, Target};
use tidegate::model::{Classify, ColumnKind, FieldType, Kind, Precision, RowIdentity, TableSchema};
use tidegate::protocol::format::line_protocol::{Dialect, Options, parse};
use tidegate::query::sql::{SqlAnswer, SqlRequest};
use tidegate::server::gateway::{Gateway, StartError, Surroundings};

use super::lossy_fs::LossyFileSystem;

const RULES: Rules = Rules { bad_points: BadPoints::Drop, tag_and_field_may_share_a_name: true };
/// `journal` is an append table.
const TABLES: [&str; 2] = ["m", "journal"];
const WRITERS: usize = 4;

fn settings(folder: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.storage.url = format!("file://{}", folder.join("store").display());
    settings.wal.dir = folder.join("wal");
    settings.wal.file_bytes = 4096;
    settings.query.temp_dir = folder.join("tmp");
    settings.buffer.flush_age_ms = 20;
    settings.buffer.flush_small_age_ms = 20;
    settings.buffer.window_secs = 3600;
    settings.compaction.interval_ms = 30;
    settings.compaction.files_min = 2;
    settings.catalog.snapshot_every = 3;
    settings
}

async fn open(folder: &Path, fs: &LossyFileSystem) -> Result<Gateway, StartError> {
    let with = Surroundings {
        fs: Arc::new(fs.clone()),
        clock: Arc::new(|| 1_700_000_000_000_000_000),
        registry: prometheus::Registry::new(),
        store: None,
        runtime: tokio::runtime::Handle::current(),
    };
    Gateway::open(&settings(folder), with).await
}

async fn make_tables(gateway: &Gateway) {
    let catalog = &gateway.core.catalog;
    let new = NewDatabase { tenant: "cnosdb".into(), name: "d".into(), precision: Precision::Ns, policy: None };
    catalog.create_database(new, IfExists::Keep).await.unwrap();
    catalog
        .update(|state| {
            let mut changes = Vec::new();
            for (table, identity) in TABLES.into_iter().zip([RowIdentity::Series, RowIdentity::Append]) {
                let mut schema = TableSchema::new(identity);
                schema.add("host", ColumnKind::Tag, None);
                schema.add("n", ColumnKind::Field, Some(FieldType::Integer));
                let mut id = state.next_table_id();
                id.0 += changes.len() as u64;
                changes.push(Change::CreateTable {
                    id,
                    tenant: "cnosdb".into(),
                    database: "d".into(),
                    policy: "autogen".into(),
                    table: table.into(),
                    schema,
                    folder_with_id: false,
                });
            }
            Ok(changes)
        })
        .await
        .unwrap();
}

/// A request: one row in each table for each number.
type Batch = (String, std::ops::Range<i64>);

async fn accept(ingest: &Ingest, (host, numbers): &Batch) -> Result<(), IngestError> {
    let line = |table: &str, n: i64| format!("{table},host={host} n={n}i {}\n", (n % 2) * 3_600_000_000_000 + n);
    let lines: String = numbers.clone().flat_map(|n| TABLES.map(|table| line(table, n))).collect();
    let options = Options { dialect: Dialect::INFLUXDB, precision: Precision::Ns, now_ns: 0 };
    let target = Target { tenant: "cnosdb".into(), database: "d".into(), policy: None };
    ingest.accept(&target, parse(lines.as_bytes(), &options).points, RULES).await.map(|_| ())
}

/// Rows of a table: (host, n) as often as it is there.
async fn rows(gateway: &Gateway, table: &str) -> BTreeMap<(String, i64), u32> {
    let request = SqlRequest {
        tenant: "cnosdb".into(),
        database: "d".into(),
        text: format!("select host, n from {table}"),
        target_partitions: None,
    };
    let SqlAnswer::Rows(mut answer) = gateway.core.queries.run(request).await.unwrap() else { unreachable!() };
    let mut rows = BTreeMap::new();
    while let Some(batch) = answer.next().await {
        let batch = batch.unwrap();
        let hosts = cast(batch.column(0), &DataType::Utf8).unwrap();
        let numbers = batch.column(1).as_primitive::<Int64Type>();
        for (host, n) in hosts.as_string::<i32>().iter().zip(numbers.values()) {
            *rows.entry((host.unwrap().to_string(), *n)).or_default() += 1;
        }
    }
    rows
}

#[derive(Default)]
struct Ledger {
    acknowledged: Vec<Batch>,
    open: Vec<Batch>,
}

impl Ledger {
    async fn check(&mut self, gateway: &Gateway, what: &str) {
        let open = std::mem::take(&mut self.open);
        for table in TABLES {
            let rows = rows(gateway, table).await;
            let mut known = BTreeSet::new();
            for (host, numbers) in &self.acknowledged {
                for n in numbers.clone() {
                    let found = rows.get(&(host.clone(), n)).copied().unwrap_or(0);
                    assert_eq!(found, 1, "{what}: {table}, {host}, {n} was acknowledged");
                    known.insert((host.clone(), n));
                }
            }
            for (host, numbers) in &open {
                let found: Vec<u32> =
                    numbers.clone().map(|n| rows.get(&(host.clone(), n)).copied().unwrap_or(0)).collect();
                let whole = found.iter().all(|f| *f == 1) || found.iter().all(|f| *f == 0);
                assert!(whole, "{what}: {table}, {host}, {numbers:?} is there in part: {found:?}");
                known.extend(numbers.clone().map(|n| (host.clone(), n)));
            }
            let unknown: Vec<_> = rows.keys().filter(|key| !known.contains(key)).collect();
            assert!(unknown.is_empty(), "{what}: {table} has {unknown:?}");
        }
        let first = rows(gateway, TABLES[0]).await;
        let there = |(host, numbers): &Batch| first.contains_key(&(host.clone(), numbers.start));
        self.acknowledged.extend(open.into_iter().filter(there));
    }
}

/// Writes until the disk fails for everyone, or the time is up.
async fn write(gateway: &Gateway, random: &mut StdRng, next: &mut i64, ledger: &mut Ledger) {
    let writers = (0..WRITERS).map(|i| {
        let (ingest, mut random) = (gateway.core.ingest.clone(), StdRng::seed_from_u64(random.random()));
        let mut n = *next;
        tokio::spawn(async move {
            let mut ledger = Ledger::default();
            for _ in 0..30 {
                let batch = (format!("w{i}"), n..n + random.random_range(1..20));
                n = batch.1.end;
                match accept(&ingest, &batch).await {
                    Ok(()) => ledger.acknowledged.push(batch),
                    Err(_) => ledger.open.push(batch),
                }
                tokio::time::sleep(std::time::Duration::from_millis(random.random_range(0..4))).await;
            }
            (ledger, n)
        })
    });
    for written in futures::future::join_all(writers).await {
        let (mut written, n) = written.unwrap();
        ledger.acknowledged.append(&mut written.acknowledged);
        ledger.open.append(&mut written.open);
        *next = n.max(*next);
    }
}

#[test]
fn acknowledged_points_survive_the_loss_of_what_was_not_synced() {
    let seeds: u64 = std::env::var("TIDEGATE_POWER_LOSS_SEEDS").map_or(12, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    for seed in 0..seeds {
        runtime.block_on(lose_power(seed));
    }
}

async fn lose_power(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let fs = LossyFileSystem::new(folder.path()).unwrap();
    let gateway = open(folder.path(), &fs).await.unwrap();
    make_tables(&gateway).await;
    gateway.close().await;
    let (mut ledger, mut next) = (Ledger::default(), 0);
    for loss in 0..5 {
        let what = format!("seed {seed}, loss {loss}");
        if random.random_bool(0.3) {
            // The disk goes while the gateway starts.
            fs.fail_after(random.random_range(0..30));
            if let Ok(gateway) = open(folder.path(), &fs).await {
                gateway.close().await;
            }
            crash(&fs, &mut random);
        }
        let gateway = open(folder.path(), &fs).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        ledger.check(&gateway, &what).await;
        fs.fail_after(random.random_range(10..400));
        write(&gateway, &mut random, &mut next, &mut ledger).await;
        gateway.close().await;
        crash(&fs, &mut random);
    }
    let gateway = open(folder.path(), &fs).await.unwrap();
    ledger.check(&gateway, &format!("seed {seed}, at the end")).await;
    assert!(!ledger.acknowledged.is_empty(), "seed {seed}: nothing was ever acknowledged");
    gateway.close().await;
}

fn crash(fs: &LossyFileSystem, random: &mut StdRng) {
    match random.random_bool(0.5) {
        true => fs.crash().unwrap(),
        false => fs.crash_with(random.random()).unwrap(),
    }
    fs.heal();
}

#[test]
fn a_full_disk_sends_writers_away_and_loses_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let fs = LossyFileSystem::new(folder.path()).unwrap();
        let gateway = open(folder.path(), &fs).await.unwrap();
        make_tables(&gateway).await;
        let mut ledger = Ledger::default();
        fs.no_space_after(20_000);
        let mut refused = 0;
        for i in 0..200 {
            let batch = ("w".to_string(), i * 10..i * 10 + 10);
            match accept(&gateway.core.ingest, &batch).await {
                Ok(()) => ledger.acknowledged.push(batch),
                Err(error) => {
                    assert!(matches!(error.kind(), Kind::Overloaded | Kind::Unavailable), "{error}");
                    ledger.open.push(batch);
                    refused += 1;
                }
            }
        }
        assert!(refused > 0 && !ledger.acknowledged.is_empty(), "{refused} refused");
        fs.heal();
        let batch = ("after".to_string(), 0..10);
        accept(&gateway.core.ingest, &batch).await.unwrap();
        ledger.acknowledged.push(batch);
        ledger.check(&gateway, "with room again").await;
        gateway.close().await;
        fs.crash().unwrap();
        let gateway = open(folder.path(), &fs).await.unwrap();
        ledger.check(&gateway, "after a power loss").await;
        gateway.close().await;
    });
}
