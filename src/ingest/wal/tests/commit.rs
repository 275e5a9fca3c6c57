//! Appending: groups, order, limits, rotation, trimming.

use std::collections::HashSet;

use futures::future::join_all;
use futures::poll;

use super::faults::{FaultyFs, Operation};
use super::*;
use crate::model::{Classify, Kind};

/// Length of a frame with one numbered batch.
fn numbered_frame() -> u64 {
    super::super::log::frame_bytes(&encode_payload(&[samples::numbered(1)]).unwrap())
}

#[test]
fn concurrent_appends_are_applied_in_order_and_all_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let options = WalOptions { file_bytes: 20 * numbered_frame(), ..WalOptions::new(dir.path()) };
    let (wal, _) = open(dir.path()).unwrap();
    drop(wal);
    let applied = Applied::default();
    let wal = open_with(Arc::new(OsFileSystem), options, &mut Vec::new()).unwrap();
    let wal = wal.start(Box::new(applied.clone()), metrics()).unwrap();

    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (wal, applied) = (&wal, &applied);
            scope.spawn(move || {
                for i in 0..40 {
                    let number = thread * 1000 + i;
                    let sequence = block_on(wal.append(vec![samples::numbered(number)])).unwrap();
                    assert!(applied.get().contains(&(sequence, number)), "acknowledged before it was applied");
                }
            });
        }
    });
    assert_eq!(wal.last_sequence(), 320);
    block_on(wal.shutdown());

    let applied = applied.get();
    assert!(applied.iter().map(|(sequence, _)| *sequence).eq(1..=320));
    assert_eq!(applied.iter().map(|(_, number)| number).collect::<HashSet<_>>().len(), 320);
    assert!(log_files(dir.path()).len() > 1);
    assert_eq!(numbers(&open(dir.path()).unwrap().1), applied);
}

#[test]
fn requests_that_arrive_during_a_sync_share_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let fs = FaultyFs::default();
    let wal = open_with(Arc::new(fs.clone()), WalOptions::new(dir.path()), &mut Vec::new()).unwrap();
    let metrics = metrics();
    let wal = wal.start(Box::new(Applied::default()), metrics.clone()).unwrap();
    let held = fs.hold_next_sync();
    block_on(async {
        let mut first = Box::pin(wal.append(vec![samples::numbered(1)]));
        assert!(poll!(&mut first).is_pending());
        held.wait_until_reached();
        let mut rest: Vec<_> = (2..=11).map(|n| Box::pin(wal.append(vec![samples::numbered(n)]))).collect();
        for append in &mut rest {
            assert!(poll!(append).is_pending());
        }
        let syncs = fs.count(Operation::Sync);
        held.release();
        assert_eq!(first.await.unwrap(), 1);
        let sequences: Vec<_> = join_all(rest).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(sequences, (2..=11).collect::<Vec<_>>());
        assert_eq!(fs.count(Operation::Sync) - syncs, 1);
    });
    assert_eq!(metrics.group_records.get_sample_count(), 2);
    assert_eq!(metrics.records.get(), 11);
    assert_eq!(metrics.bytes.get() as u64, wal.bytes());
    assert_eq!(metrics.appended_bytes.get(), 11 * numbered_frame());
}

#[test]
fn a_caller_that_stops_waiting_does_not_lose_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let wal = start(WalOptions::new(dir.path()));
    block_on(async {
        let mut append = Box::pin(wal.append(vec![samples::numbered(1)]));
        let _ = poll!(&mut append);
    });
    block_on(wal.shutdown());
    assert_eq!(numbers(&open(dir.path()).unwrap().1), [(1, 1)]);
}

#[test]
fn large_requests_come_back_next_to_small_ones() {
    let dir = tempfile::tempdir().unwrap();
    #[derive(Debug)]
    struct Ignore;
    impl Sink for Ignore {
        fn apply(&mut self, _: u64, _: Vec<TableBatch>) {}
    }
    let wal = open(dir.path()).unwrap().0.start(Box::new(Ignore), metrics()).unwrap();
    // Numbers that LZ4 cannot shrink: the payload stays larger than a write.
    let mut big = samples::numbered(1);
    let mut state = 1u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    big.times = (0..200_000).map(|_| next() as i64).collect();
    big.row_series = vec![0; big.times.len()];
    big.fields[0].1 = Arc::new((0..200_000).map(|_| Some(next())).collect::<datafusion::arrow::array::UInt64Array>());
    let requests = [vec![samples::numbered(1)], vec![big, samples::all_types(9)], vec![samples::numbered(2)], vec![]];
    for request in &requests {
        block_on(wal.append(request.clone())).unwrap();
    }
    drop(wal);
    let records: Vec<_> = read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(records.len(), requests.len());
    for ((_, got), expected) in records.iter().zip(&requests) {
        samples::assert_same(got, expected);
    }
}

#[test]
fn a_full_log_refuses_before_it_writes_and_takes_more_after_a_trim() {
    let dir = tempfile::tempdir().unwrap();
    let options = WalOptions {
        file_bytes: 68 + 2 * numbered_frame(),
        budget_bytes: 2 * 68 + 4 * numbered_frame(),
        ..WalOptions::new(dir.path())
    };
    let wal = start(options.clone());
    append_all(&wal, 1..=4);
    assert_eq!(wal.bytes(), options.budget_bytes);
    let error = block_on(wal.append(vec![samples::numbered(5)])).unwrap_err();
    assert!(matches!(error, WalError::Full { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Overloaded);
    assert_eq!(wal.bytes(), options.budget_bytes);

    wal.trim(3);
    block_on(wal.shutdown());
    let wal = start(options);
    assert_eq!(append_all(&wal, [5]), [5]);
    drop(wal);
    assert_eq!(numbers(&open(dir.path()).unwrap().1), pairs(3..=5));
}

#[test]
fn a_request_beyond_the_budget_never_fits() {
    let dir = tempfile::tempdir().unwrap();
    let wal = start(WalOptions { budget_bytes: numbered_frame(), ..WalOptions::new(dir.path()) });
    let error = block_on(wal.append(vec![samples::numbered(5)])).unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge);
}

#[test]
fn the_queue_is_bounded_but_lets_one_request_in() {
    let dir = tempfile::tempdir().unwrap();
    let fs = FaultyFs::default();
    let options = WalOptions { queue_bytes: 1, ..WalOptions::new(dir.path()) };
    let wal = open_with(Arc::new(fs.clone()), options, &mut Vec::new()).unwrap();
    let wal = wal.start(Box::new(Applied::default()), metrics()).unwrap();
    let held = fs.hold_next_sync();
    block_on(async {
        let mut first = Box::pin(wal.append(vec![samples::numbered(1)]));
        assert!(poll!(&mut first).is_pending());
        let error = wal.append(vec![samples::numbered(2)]).await.unwrap_err();
        assert!(matches!(error, WalError::Busy { .. }), "{error}");
        held.release();
        first.await.unwrap();
        wal.append(vec![samples::numbered(3)]).await.unwrap();
    });
}

#[test]
fn files_rotate_and_are_trimmed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let options = WalOptions { file_bytes: 68 + 3 * numbered_frame(), ..WalOptions::new(dir.path()) };
    let check = |below: u64, expected: &[u64]| {
        let wal = start(options.clone());
        wal.trim(below);
        block_on(wal.shutdown());
        let expected: Vec<_> = expected.iter().map(|first| file_name(*first)).collect();
        assert_eq!(log_files(dir.path()), expected, "after a trim below {below}");
    };
    let wal = start(options.clone());
    append_all(&wal, 1..=7);
    drop(wal);
    assert_eq!(log_files(dir.path()), [file_name(1), file_name(4), file_name(7)]);
    // Each start begins a file of its own.
    check(0, &[1, 4, 7, 8]);
    check(3, &[1, 4, 7, 8]);
    check(4, &[4, 7, 8]);
    check(5, &[4, 7, 8]);
    check(8, &[8]);
    check(u64::MAX, &[8]);
}

#[test]
fn an_idle_log_keeps_nothing_that_is_obsolete() {
    let dir = tempfile::tempdir().unwrap();
    let wal = start(WalOptions::new(dir.path()));
    append_all(&wal, 1..=5);
    wal.trim(6);
    block_on(wal.shutdown());
    assert_eq!(wal.bytes(), 68);
    drop(wal);
    assert_eq!(log_files(dir.path()), [file_name(6)]);
    // The name of the empty file alone keeps the numbers from being used again.
    let (wal, records) = open(dir.path()).unwrap();
    assert_eq!((wal.next_sequence(), records.len()), (6, 0));
}

#[test]
fn sequence_numbers_start_where_the_owner_says_if_the_log_is_behind() {
    let dir = tempfile::tempdir().unwrap();
    write_numbers(dir.path(), 2);
    for (at_least, expected) in [(0, 3), (3, 3), (10, 10), (4, 10)] {
        let wal = Wal::open(Arc::new(OsFileSystem), WalOptions::new(dir.path()), STORE, at_least, &mut |_, _| Ok(()));
        let wal = wal.unwrap();
        assert_eq!(wal.next_sequence(), expected, "at least {at_least}");
    }
}

#[test]
fn a_closed_log_refuses_and_a_panicking_sink_closes_it() {
    let dir = tempfile::tempdir().unwrap();
    let wal = start(WalOptions::new(dir.path()));
    block_on(wal.shutdown());
    assert!(matches!(block_on(wal.append(vec![])), Err(WalError::Closed)));

    struct Panics;
    impl Sink for Panics {
        fn apply(&mut self, _: u64, _: Vec<TableBatch>) {
            panic!("told to");
        }
    }
    let wal = open(dir.path()).unwrap().0.start(Box::new(Panics), metrics()).unwrap();
    assert!(matches!(block_on(wal.append(vec![samples::numbered(1)])), Err(WalError::Closed)));
    assert!(matches!(block_on(wal.append(vec![samples::numbered(2)])), Err(WalError::Closed)), "nobody waits for ever");
    block_on(wal.shutdown());
    assert_eq!(numbers(&open(dir.path()).unwrap().1), [(1, 1)], "it was durable, so it is replayed");
}
