//! Each operation over a store that fails once: at request 1, 2, 3 … until there is none left, in every way that such a
//! request can fail. The operation is tried again until it succeeds. Then, and after a restart, each acknowledged
//! batch is there exactly once, and nothing that no commit speaks of is served or left behind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use object_store::{ObjectStoreExt, PutPayload};
use tidegate::catalog::databases::{IfExists, NewDatabase};
use tidegate::model::Precision;
use tidegate::model::names::DEFAULT_TENANT;
use tidegate::storage::layout;
use uuid::Uuid;

use super::ledger::{DATABASE, JOURNAL, Settle, Writer};
use super::machine::{send, write};
use super::sick_world::World;
use crate::sick_store::{Asked, Plan, Sickness};

/// Requests that an outage swallows: more than the catalog tries to settle one commit with.
const OUTAGE: usize = 14;
/// Scenarios at a time: they mostly wait.
const AT_ONCE: usize = 8;
/// Another database, for what happens to a whole one.
const OTHER: &str = "other";
/// With this in the environment every request fails in every way, else in one, by turns.
const ALL: &str = "TIDEGATE_FAULTS_ALL";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    StartEmpty,
    StartAgain,
    FirstWrite,
    NewColumn,
    Flush,
    Merge,
    CollectOrphans,
    DropDatabase,
    CommitsAndSnapshots,
    Query,
    Stop,
}

const QUESTIONS: [&str; 3] = [
    "select count(*), sum(n) from journal",
    "select host, batch, max(n), min(c0) from alpha group by host, batch order by host, batch",
    "select * from latest order by host",
];

#[test]
fn starts_are_made_up_for() {
    check(Operation::StartEmpty, 5);
    check(Operation::StartAgain, 8);
}

#[test]
fn writes_that_need_a_commit_are_made_up_for() {
    check(Operation::FirstWrite, 1);
    check(Operation::NewColumn, 1);
}

#[test]
fn flushes_are_made_up_for() {
    check(Operation::Flush, 9);
}

#[test]
fn merges_are_made_up_for() {
    check(Operation::Merge, 12);
}

#[test]
fn removals_are_made_up_for() {
    check(Operation::CollectOrphans, 4);
    check(Operation::DropDatabase, 1);
}

#[test]
fn commits_snapshots_and_their_removal_are_made_up_for() {
    check(Operation::CommitsAndSnapshots, 20);
}

#[test]
fn questions_are_answered_right_or_not_at_all() {
    check(Operation::Query, 6);
}

#[test]
fn a_stop_loses_nothing() {
    check(Operation::Stop, 9);
}

/// `requests`: that the operation makes at least, else nothing is shown.
fn check(operation: Operation, requests: usize) {
    let (trace, _) = scenario(operation, Plan::Healthy, 0);
    assert!(trace.len() >= requests, "{operation:?} makes only {} requests: {trace:?}", trace.len());
    let all = std::env::var_os(ALL).is_some();
    let mut plans = Vec::new();
    for (i, asked) in trace.iter().enumerate() {
        let possible = Sickness::of(*asked);
        for (k, sickness) in possible.iter().enumerate() {
            let turn = all || k == i % possible.len();
            // Alone, and at the start of an outage.
            plans.extend(turn.then_some(Plan::Nth { n: i + 1, sickness: *sickness, then: 0 }));
            let outage = all || (turn && i % 8 == 3);
            plans.extend(outage.then_some(Plan::Nth { n: i + 1, sickness: *sickness, then: OUTAGE }));
        }
    }
    let (planned, befell) = (plans.len(), AtomicUsize::new(0));
    // Failing plans name themselves, so the order does not matter.
    let plans = Mutex::new(plans.into_iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((i, plan)) = { plans.lock().unwrap().next() } {
                    let (_, failed) = scenario(operation, plan, if i % 2 == 0 { 0 } else { 2 });
                    befell.fetch_add(usize::from(failed > 0), Ordering::Relaxed);
                }
            });
        }
    });
    // Some operations make a few requests less at times, and on a busy machine the healthy run saw some of what goes on behind.
    let befell = befell.into_inner();
    assert!(befell * 3 >= planned * 2, "{operation:?}: only {befell} of {planned} plans came to anything");
}

/// Returns what the operation asked the store, and how many requests failed.
fn scenario(operation: Operation, plan: Plan, retries: usize) -> (Vec<Asked>, usize) {
    let mut world = World::new(retries, format!("{operation:?}, {plan:?}, {retries} retries"));
    let mut writers = Writer::several(1, 7);
    let answers = get_ready(&mut world, operation, &mut writers);
    // What the preparation left to be done is not the operation's.
    world.settle();
    world.fall_ill(plan);
    operate(&mut world, operation, &mut writers, &answers);
    let trace = world.sick.trace();
    let failed = world.recover();
    if operation != Operation::Stop {
        prepare(&world);
        check_rows(&world, &mut writers, Settle::No);
        world.check_store();
        write_some(&world, &mut writers, 1);
        world.cut_off();
    }
    world.open();
    check_rows(&world, &mut writers, Settle::Yes);
    world.flush();
    while world.merge() > 0 {}
    check_rows(&world, &mut writers, Settle::No);
    world.check_store();
    world.cut_off();
    (trace, failed)
}

/// What has happened before, while the store was healthy. Returns the right answers to the questions.
fn get_ready(world: &mut World, operation: Operation, writers: &mut Vec<Writer>) -> Vec<String> {
    if operation == Operation::StartEmpty {
        return Vec::new();
    }
    world.open();
    prepare(world);
    match operation {
        Operation::StartEmpty | Operation::FirstWrite | Operation::CommitsAndSnapshots => {}
        // The ninth batch brings a column.
        Operation::NewColumn => write_some(world, writers, 8),
        Operation::Flush | Operation::Stop => write_some(world, writers, 4),
        Operation::Merge => write_and_flush(world, writers),
        Operation::StartAgain | Operation::Query => {
            write_and_flush(world, writers);
            write_some(world, writers, 2);
        }
        Operation::CollectOrphans => {
            write_and_flush(world, writers);
            assert!(world.merge() > 0);
            let state = world.running().gateway.core.catalog.state();
            let table = state.tables().find(|table| &*table.name.table == JOURNAL).expect("it was prepared");
            let orphan = layout::segment_key(&table.name, None, 0, Uuid::from_u128(1));
            let left = world.healthy.put(&orphan, PutPayload::from_static(b"left behind"));
            futures::executor::block_on(left).unwrap();
        }
        Operation::DropDatabase => {
            write_and_flush(world, writers);
            create(world, OTHER);
            let running = world.running();
            running.run(write(&running.gateway, OTHER, "m f=1 1\nm f=2 2")).unwrap();
            world.flush();
            running.run(write(&running.gateway, OTHER, "m f=3 3\nunflushed f=4 4")).unwrap();
        }
    }
    let mut answers = Vec::new();
    if operation == Operation::Query {
        let ask = |question| world.running().ask(DATABASE, question, &world.context).unwrap();
        answers.extend(QUESTIONS.map(ask));
    }
    if matches!(operation, Operation::StartAgain | Operation::Query) {
        world.settle();
        world.cut_off();
    }
    if operation == Operation::Query {
        world.open();
    }
    answers
}

/// What is done while the store is sick.
fn operate(world: &mut World, operation: Operation, writers: &mut Vec<Writer>, answers: &[String]) {
    match operation {
        Operation::StartEmpty | Operation::StartAgain => {
            world.open();
            world.settle();
        }
        Operation::FirstWrite | Operation::NewColumn => {
            write_some(world, writers, 1);
            world.settle();
        }
        Operation::Flush => world.flush(),
        Operation::Merge => {
            world.merge();
            // The commit may have come through a try that was given up.
            let state = world.running().gateway.core.catalog.state();
            let merged = state.tables().flat_map(|table| &table.segments).filter(|segment| segment.level > 0).count();
            assert!(merged > 0, "{}: nothing was merged", world.context);
        }
        Operation::CollectOrphans => {
            world.remove_replaced();
            world.collect_orphans();
        }
        Operation::DropDatabase => {
            let catalog = world.running().gateway.core.catalog.clone();
            world.retried("drop", || world.running().run(catalog.drop_database(DEFAULT_TENANT, OTHER)));
            world.settle();
            let state = catalog.state();
            assert!(state.database(DEFAULT_TENANT, OTHER).is_none(), "{}", world.context);
            assert!(state.tables().all(|table| &*table.name.database == DATABASE), "{}", world.context);
        }
        // A snapshot is written every fourth commit, and the third one makes commits and the first one needless.
        Operation::CommitsAndSnapshots => {
            // One snapshot after the other, or some are left out, now these and now those.
            for i in 0..14 {
                create(world, &format!("d{i}"));
                world.settle();
            }
        }
        Operation::Query => {
            for (question, right) in QUESTIONS.iter().zip(answers) {
                let answer = world.retried(question, || world.running().ask(DATABASE, question, &world.context));
                assert_eq!(answer, *right, "{}: {question}", world.context);
            }
        }
        Operation::Stop => world.close(),
    }
}

fn prepare(world: &World) {
    world.retried("prepare", || world.running().prepare());
}

fn create(world: &World, name: &str) {
    let running = world.running();
    world.retried("create", || {
        let database = NewDatabase {
            tenant: DEFAULT_TENANT.to_string(),
            name: name.to_string(),
            precision: Precision::Ns,
            policy: None,
        };
        running.run(running.gateway.core.catalog.create_database(database, IfExists::Keep))
    });
}

fn write_some(world: &World, writers: &mut Vec<Writer>, batches: usize) {
    let writer = Arc::new(Mutex::new(writers.pop().expect("there is one writer")));
    for _ in 0..batches {
        world.retried("write", || world.running().run(send(&world.running().gateway, &writer)));
    }
    writers.push(Arc::into_inner(writer).expect("no one writes any more").into_inner().unwrap());
}

fn write_and_flush(world: &World, writers: &mut Vec<Writer>) {
    for _ in 0..3 {
        write_some(world, writers, 2);
        world.flush();
    }
}

fn check_rows(world: &World, writers: &mut [Writer], settle: Settle) {
    world.running().check(writers, settle, &world.context);
}
