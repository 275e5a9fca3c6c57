//! Gateways over stores and logs in which something is not what was written: they refuse to start and name the object or file, or their
//! answers are right, or a query that needs the damaged segment fails and names it. Never a wrong answer, never a gap.
//!
//! `TIDEGATE_DAMAGE_SEEDS` says how many cases are tried, `TIDEGATE_DAMAGE_FIRST_SEED` where to begin.

use std::path::PathBuf;

use bytes::Bytes;
use object_store::path::Path as Key;

use super::*;
use crate::model::{Classify, Kind};

const WINDOW_NS: i64 = 100_000_000_000;
/// Cases over one store.
const CASES_PER_STORE: u64 = 40;

#[derive(Debug, Clone, PartialEq)]
enum Victim {
    Object(Key),
    /// A file in the log's folder.
    Log(PathBuf),
}

/// A store and a log as a killed gateway left them, and what they must answer.
struct Left {
    objects: Vec<(Key, Bytes)>,
    log: Vec<(PathBuf, Vec<u8>)>,
    /// The file of the log that holds records, and where its last one starts.
    tail: (PathBuf, usize),
    m: Model,
    /// Without the last record.
    m_before: Model,
    /// Rows of `n`.
    n: usize,
}

fn log_of(house: &House) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(house.folder.path().join("wal")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.map(|path| (path.file_name().unwrap().into(), std::fs::read(path).unwrap())).collect();
    files.sort();
    files
}

impl Left {
    async fn new(seed: u64) -> Left {
        let mut random = StdRng::seed_from_u64(seed);
        let house = House::new().await;
        let mut m = Model::new();
        house.write("m,host=h0,dc=d0 a=1,b=\"s\" 0").await;
        m.insert((Some("h0".into()), Some("d0".into()), 0), (Some(1.0), Some("s".into())));
        for round in 0..4 {
            house.write(&lines(&mut random, &mut m)).await;
            house.write(&format!("n,host=x c={round}i {round}")).await;
            house.gateway.flush().await.unwrap();
            if round == 1 {
                house.compactor.round().await.unwrap();
            }
        }
        house.write("n,host=x c=9i 900").await;
        house.write(&lines(&mut random, &mut m)).await;
        let before = log_of(&house);
        let m_before = m.clone();
        house.write("m,host=h0 a=-1 7").await;
        m.entry((Some("h0".into()), None, 7)).or_default().0 = Some(-1.0);
        let log = log_of(&house);
        let grown = before.iter().zip(&log).find(|(before, after)| before.1.len() < after.1.len());
        let tail = grown.map(|(before, _)| (before.0.clone(), before.1.len())).unwrap();
        house.stop().await;
        let mut objects = Vec::new();
        for meta in house.store.list(None).try_collect::<Vec<_>>().await.unwrap() {
            let bytes = house.store.get(&meta.location).await.unwrap().bytes().await.unwrap();
            objects.push((meta.location, bytes));
        }
        Left { objects, log, tail, m, m_before, n: 5 }
    }

    fn bytes_of(&self, victim: &Victim) -> &[u8] {
        match victim {
            Victim::Object(key) => &self.objects.iter().find(|(k, _)| k == key).unwrap().1,
            Victim::Log(name) => &self.log.iter().find(|(n, _)| n == name).unwrap().1,
        }
    }

    /// Things to damage, by kind: commits, snapshots, segments, the identity, files of the log.
    fn victims(&self) -> Vec<Vec<Victim>> {
        let mut kinds: BTreeMap<String, Vec<Victim>> = BTreeMap::new();
        for (key, _) in &self.objects {
            let kind = key.parts().next().unwrap().as_ref().to_string();
            kinds.entry(kind).or_default().push(Victim::Object(key.clone()));
        }
        let mut kinds: Vec<_> = kinds.into_values().collect();
        let log = self.log.iter().filter(|(_, bytes)| !bytes.is_empty());
        kinds.push(log.map(|(name, _)| Victim::Log(name.clone())).collect());
        kinds
    }

    /// Starts a gateway over copies, in which `victim` holds `damaged`. Returns the victim's name too.
    async fn start(&self, victim: &Victim, damaged: &[u8]) -> (String, Result<House, StartError>) {
        let folder = tempfile::tempdir().unwrap();
        let wal = folder.path().join("wal");
        std::fs::create_dir(&wal).unwrap();
        for (name, bytes) in &self.log {
            let is_it = *victim == Victim::Log(name.clone());
            std::fs::write(wal.join(name), if is_it { damaged } else { bytes }).unwrap();
        }
        let store = InMemory::new();
        for (key, bytes) in &self.objects {
            let is_it = *victim == Victim::Object(key.clone());
            let bytes = if is_it { Bytes::copy_from_slice(damaged) } else { bytes.clone() };
            store.put(key, bytes.into()).await.unwrap();
        }
        let name = match victim {
            Victim::Object(key) => key.to_string(),
            Victim::Log(name) => wal.join(name).display().to_string(),
        };
        (name, House::try_open(Arc::new(store), folder).await)
    }

    /// One case. Returns whether the damage was noticed by someone who asked.
    async fn check(&self, victim: &Victim, damaged: &[u8], context: &str) -> bool {
        let (name, house) = self.start(victim, damaged).await;
        let house = match house {
            Ok(house) => house,
            Err(refused) => {
                assert!(refused.to_string().contains(&name), "{context}: {name} is not named: {refused}");
                return true;
            }
        };
        let mut m = &self.m;
        if *victim == Victim::Log(self.tail.0.clone()) && rows_where(&house, "true").await.unwrap() != self.m {
            // A record that was never finished cannot be told from the last one, damaged.
            m = &self.m_before;
        }
        // The table and window of the damaged segment, if it is a live one.
        let state = house.gateway.core.catalog.state();
        let live =
            state.tables().flat_map(|table| table.segments.iter().map(|s| (table.name.table.clone(), s.clone())));
        let live = live.into_iter().find(|(_, segment)| segment.path == name).map(|(t, s)| (t, s.window_ns));
        let needed = |table: &str, window: Option<i64>| {
            live.as_ref().is_some_and(|(t, w)| **t == *table && window.is_none_or(|window| window == *w))
        };
        // A query may do without the damaged bytes: values that the catalog knows are not read.
        let mut failed = false;
        for pass in ["before", "after"] {
            let context = format!("{context}, {pass} compaction");
            let mut fails = |error: QueryError| {
                failed = true;
                let text = error.to_string();
                assert!(text.contains(&name) && error.kind() == Kind::Internal, "{context}: {text}");
            };
            match house.ask("select c from n where c >= 0").await {
                Ok(rows) => {
                    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), self.n, "{context}");
                }
                Err(error) => {
                    assert!(needed("n", None), "{context}: {error}");
                    fails(error);
                }
            }
            match rows_where(&house, "true").await {
                Ok(rows) => {
                    assert_eq!(rows, *m, "{context}");
                }
                Err(error) => {
                    assert!(needed("m", None), "{context}: {error}");
                    fails(error);
                }
            }
            for window in (-3..4).map(|number| number * WINDOW_NS) {
                let end = window + WINDOW_NS;
                let filter = format!("time >= to_timestamp_nanos({window}) and time < to_timestamp_nanos({end})");
                match rows_where(&house, &filter).await {
                    Ok(rows) => {
                        let expected = m.iter().filter(|((_, _, time), _)| (window..end).contains(time));
                        assert!(rows.iter().eq(expected), "{context}: {rows:?} in window {window}");
                    }
                    Err(error) => {
                        assert!(needed("m", Some(window)), "{context}: window {window}: {error}");
                        fails(error);
                    }
                }
            }
            house.compactor.round().await.unwrap();
        }
        if live.is_some() {
            let state = house.gateway.core.catalog.state();
            assert!(state.tables().any(|t| t.segments.iter().any(|s| s.path == name)), "{context}: {name} is lost");
        }
        house.stop().await;
        failed
    }
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Damages `bytes`, and says how. Objects may also be cut, longer or empty; a log that is cut has a torn tail.
fn harm(random: &mut StdRng, victim: &Victim, bytes: &mut Vec<u8>) -> String {
    let length = bytes.len();
    match random.random_range(0..10) {
        0 if matches!(victim, Victim::Object(_)) => {
            bytes.truncate(random.random_range(0..length));
            format!("cut from {length} to {} bytes", bytes.len())
        }
        1 if matches!(victim, Victim::Object(_)) => {
            bytes.resize(length + random.random_range(1..20), random.random());
            format!("grown from {length} to {} bytes", bytes.len())
        }
        _ => {
            let (at, change) = (random.random_range(0..length), random.random_range(1..=255));
            bytes[at] ^= change;
            format!("byte {at} of {length} changed by {change:#x}")
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_anywhere_is_named_or_does_no_harm() {
    let first = from_environment("TIDEGATE_DAMAGE_FIRST_SEED", 0);
    let seeds = from_environment("TIDEGATE_DAMAGE_SEEDS", 40);
    let mut left = Left::new(first / CASES_PER_STORE).await;
    let mut noticed = 0;
    for seed in first..first + seeds {
        if seed > first && seed % CASES_PER_STORE == 0 {
            left = Left::new(seed / CASES_PER_STORE).await;
        }
        let mut random = StdRng::seed_from_u64(seed);
        let victims = left.victims();
        let kind = &victims[random.random_range(0..victims.len())];
        let victim = &kind[random.random_range(0..kind.len())];
        let mut damaged = left.bytes_of(victim).to_vec();
        let how = harm(&mut random, victim, &mut damaged);
        let context = format!("seed {seed}: {victim:?}: {how}");
        noticed += u64::from(left.check(victim, &damaged, &context).await);
    }
    // Some are in replaced segments, in commits that a snapshot stands for, in the last record of the log.
    assert!(noticed * 4 > seeds, "only {noticed} of {seeds} were noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_record_torn_at_any_byte_is_cut_off_and_all_before_it_answers() {
    let left = Left::new(2).await;
    let (name, start) = left.tail.clone();
    let victim = Victim::Log(name);
    let whole = left.bytes_of(&victim).to_vec();
    assert_ne!(left.m, left.m_before);
    for length in start..=whole.len() {
        let (_, house) = left.start(&victim, &whole[..length]).await;
        let house = house.unwrap();
        let expected = if length == whole.len() { &left.m } else { &left.m_before };
        assert_eq!(rows(&house).await, *expected, "record {start}..{} cut at {length}", whole.len());
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_tries_a_damaged_segment_once_and_then_merges_its_neighbours() {
    let house = House::new().await;
    for i in 0..5 {
        // Two values: a column of one is known from its statistics and never read.
        house.write(&format!("m,host=x a={i} {i}\nm,host=y a=100 {i}")).await;
        house.gateway.flush().await.unwrap();
    }
    let state = house.gateway.core.catalog.state();
    let mut segments = state.tables().next().unwrap().segments.clone();
    segments.sort_by_key(|segment| segment.sequence.last);
    let key = Key::parse(&segments[1].path).unwrap();
    let whole = house.store.get(&key).await.unwrap().bytes().await.unwrap();
    let mut damaged = whole.to_vec();
    damaged[10] ^= 1;
    house.store.put(&key, damaged.into()).await.unwrap();
    assert_eq!(house.compactor.round().await.unwrap(), 0, "all five are one run");
    assert_eq!(house.compactor.round().await.unwrap(), 1, "the three behind it; the one before it is alone");
    assert_eq!(house.compactor.round().await.unwrap(), 0);
    assert!(house.ask("select sum(a) from m").await.is_err());
    house.store.put(&key, whole.into()).await.unwrap();
    assert_eq!(house.count("select cast(sum(a) as bigint) from m").await, 510, "restored, it answers at once");
}
