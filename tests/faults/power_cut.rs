//! The power is cut in the middle of everything: of accepting, flushing, merging, snapshots, of the start and the replay.
//!
//! The disk fails at a random operation, the gateway is dropped where it stands, and what was not synced is lost. Then
//! each acknowledged batch is there exactly once, in log or segments, and each other batch whole or not at all.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use object_store::ObjectStore;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidegate::ingest::orphans::OrphanCollector;
use tidegate::storage::layout;
use tidegate::storage::local::DurableLocal;
use tokio::task::JoinHandle;

use super::ledger::{Settle, Writer};
use super::machine::{Background, Machine, Running, send};

const WRITERS: usize = 3;
const CUTS: u64 = 4;
/// Seeds at a time: they wait for each other's disks and timers more than they compute.
const AT_ONCE: usize = 4;
/// Batches that a writer sends between two cuts, at most.
const BATCHES: usize = 12;

#[test]
fn acknowledged_batches_survive_power_cuts_at_any_moment() {
    let seeds: u64 = std::env::var("TIDEGATE_POWER_LOSS_SEEDS").map_or(40, |text| text.parse().unwrap());
    let first: u64 = std::env::var("TIDEGATE_POWER_LOSS_FIRST_SEED").map_or(1, |text| text.parse().unwrap());
    let last = first + seeds;
    let (next, acknowledged) = (AtomicU64::new(first), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let seeds = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                for seed in seeds.take_while(|seed| *seed < last) {
                    acknowledged.fetch_add(lose_power(seed), Ordering::Relaxed);
                }
            });
        }
    });
    let acknowledged = acknowledged.into_inner();
    eprintln!("{acknowledged} acknowledged batches, all there once");
    assert!(acknowledged as u64 > seeds * CUTS, "hardly anything was written");
}

/// Returns how many batches were acknowledged.
fn lose_power(seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let machine = Machine::new();
    let mut writers = Writer::several(WRITERS, seed);
    prepare(&machine, &mut random, seed);
    for cut in 0..CUTS {
        let context = format!("seed {seed}, before cut {cut}");
        if random.random_bool(0.3) {
            fail_at_start(&machine, &mut random);
        }
        machine.check_disk(&mut writers, &context);
        let running = machine.open(Background::Busy).unwrap_or_else(|error| panic!("{context}: {error}"));
        running.check(&mut writers, Settle::Yes, &context);
        if random.random_bool(0.3) {
            writers = write_through_a_failure(&machine, &running, writers, &mut random);
            running.check(&mut writers, Settle::No, &format!("seed {seed}, cut {cut}, after a failure that went by"));
        }
        writers = write_until_the_cut(&machine, running, writers, &mut random);
    }
    let context = format!("seed {seed}, at the end");
    machine.check_disk(&mut writers, &context);
    let running = machine.open(Background::Busy).unwrap_or_else(|error| panic!("{context}: {error}"));
    running.check(&mut writers, Settle::Yes, &context);
    running.close();
    cut_power(&machine, None, &mut random);
    machine.check_disk(&mut writers, &format!("{context}, after a stop in order"));
    check_orphans(&machine, &mut writers, &context);
    writers.iter().map(Writer::acknowledged_batches).sum()
}

/// Few as often as many: starts and first commits deserve their share.
fn operations(random: &mut StdRng) -> u64 {
    let most = 1 << random.random_range(3..10);
    random.random_range(0..most)
}

/// Makes the tables, with the first power cuts on the way there.
fn prepare(machine: &Machine, random: &mut StdRng, seed: u64) {
    for _ in 0..seed % 3 {
        machine.fs.fail_after(random.random_range(0..80));
        let running = machine.open(Background::Busy).ok();
        if let Some(running) = &running {
            let _ = running.prepare();
        }
        cut_power(machine, running, random);
    }
    let running = machine.open(Background::Busy).unwrap_or_else(|error| panic!("seed {seed}, first start: {error}"));
    running.prepare().unwrap();
    running.cut_off();
}

/// The power goes again while the gateway starts, or soon after.
fn fail_at_start(machine: &Machine, random: &mut StdRng) {
    let (before, allowed) = (machine.fs.operations(), random.random_range(0..60));
    machine.fs.fail_after(allowed);
    let running = match machine.open(Background::Busy) {
        Ok(running) => Some(running),
        Err(error) => {
            let after = machine.fs.operations() - before;
            assert!(after > allowed, "the disk was in order, {after} operations: {error}");
            None
        }
    };
    cut_power(machine, running, random);
}

fn cut_power(machine: &Machine, running: Option<Running>, random: &mut StdRng) {
    machine.fs.fail_after(0);
    if let Some(running) = running {
        running.cut_off();
    }
    match random.random_bool(0.5) {
        true => machine.fs.crash().unwrap(),
        false => machine.fs.crash_with(random.random()).unwrap(),
    }
}

/// Cuts the power while all write and someone flushes.
fn write_until_the_cut(machine: &Machine, running: Running, writers: Vec<Writer>, random: &mut StdRng) -> Vec<Writer> {
    let shared = shared(writers);
    let failing = Failing::after(machine, operations(random));
    let work = Work::start(&running, &shared, random);
    running.run(async {
        tokio::select! {
            () = work.written() => {}
            () = failing.wait() => {}
        }
    });
    cut_power(machine, Some(running), random);
    taken_back(shared)
}

/// The disk fails for a moment while all write and someone flushes; the gateway goes on.
fn write_through_a_failure(
    machine: &Machine,
    running: &Running,
    writers: Vec<Writer>,
    random: &mut StdRng,
) -> Vec<Writer> {
    let shared = shared(writers);
    let failing = Failing::after(machine, random.random_range(0..100));
    let lasts = Duration::from_millis(random.random_range(0..40));
    let work = Work::start(running, &shared, random);
    let heal = async {
        failing.wait().await;
        tokio::time::sleep(lasts).await;
        machine.fs.heal();
        std::future::pending::<()>().await;
    };
    running.run(async {
        tokio::select! {
            () = work.written() => machine.fs.heal(),
            () = heal => {}
        }
    });
    taken_back(shared)
}

fn shared(writers: Vec<Writer>) -> Vec<Arc<Mutex<Writer>>> {
    writers.into_iter().map(|writer| Arc::new(Mutex::new(writer))).collect()
}

fn taken_back(writers: Vec<Arc<Mutex<Writer>>>) -> Vec<Writer> {
    let take =
        |writer: Arc<Mutex<Writer>>| Arc::into_inner(writer).expect("no one writes any more").into_inner().unwrap();
    writers.into_iter().map(take).collect()
}

/// A disk that was told to fail.
struct Failing<'a> {
    machine: &'a Machine,
    /// It fails once there were more operations than these.
    operations: u64,
}

impl Failing<'_> {
    fn after(machine: &Machine, operations: u64) -> Failing<'_> {
        let failing = Failing { machine, operations: machine.fs.operations() + operations };
        machine.fs.fail_after(operations);
        failing
    }

    async fn wait(&self) {
        while self.machine.fs.operations() <= self.operations {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
}

/// Writers and one who flushes, at work.
struct Work {
    writers: Vec<JoinHandle<()>>,
    flusher: JoinHandle<()>,
}

impl Work {
    fn start(running: &Running, writers: &[Arc<Mutex<Writer>>], random: &mut StdRng) -> Work {
        let write = |writer: &Arc<Mutex<Writer>>| {
            let (gateway, writer) = (running.gateway.clone(), writer.clone());
            let mut pauses = StdRng::seed_from_u64(random.random());
            running.spawn(async move {
                for _ in 0..BATCHES {
                    let _ = send(&gateway, &writer).await;
                    pause(&mut pauses, 3).await;
                }
            })
        };
        let writers = writers.iter().map(write).collect();
        let (gateway, mut pauses) = (running.gateway.clone(), StdRng::seed_from_u64(random.random()));
        let flusher = running.spawn(async move {
            loop {
                pause(&mut pauses, 10).await;
                let _ = gateway.flush().await;
            }
        });
        Work { writers, flusher }
    }

    /// Returns when all writers have sent all.
    async fn written(self) {
        for writer in self.writers {
            writer.await.unwrap();
        }
        self.flusher.abort();
        let _ = self.flusher.await;
    }
}

async fn pause(random: &mut StdRng, most_ms: u64) {
    tokio::time::sleep(Duration::from_micros(random.random_range(0..most_ms * 1000))).await;
}

/// What no commit speaks of is removed, and nothing else.
fn check_orphans(machine: &Machine, writers: &mut [Writer], context: &str) {
    let running = machine.open(Background::Quiet).unwrap();
    let store: Arc<dyn ObjectStore> =
        Arc::new(DurableLocal::open(&machine.store_folder(), Arc::new(machine.fs.clone())).unwrap());
    let core = &running.gateway.core;
    let collector = OrphanCollector::new(
        core.catalog.clone(),
        store.clone(),
        Duration::ZERO,
        core.ingest.metrics.clone(),
        core.ingest.clock.clone(),
    );
    let mut objects: Vec<String> = running.run(async {
        collector.collect(i64::MAX).await.unwrap();
        let prefix = layout::segments_prefix();
        store.list(Some(&prefix)).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap()
    });
    let state = core.catalog.state();
    let mut live: Vec<String> = state.tables().flat_map(|t| t.segments.iter().map(|s| s.path.clone())).collect();
    objects.sort();
    live.sort();
    assert_eq!(objects, live, "{context}: objects, and those that the catalog speaks of");
    running.check(writers, Settle::Yes, &format!("{context}, without orphans"));
    running.cut_off();
}
