//! A full disk: writers are sent away, questions are answered, nothing acknowledged is lost, and once there is room again
//! all goes on without a restart.

use std::sync::{Arc, Mutex};

use super::ledger::{Settle, Writer};
use super::machine::{Background, Machine, Running, send};

/// Batches sent while the disk is full.
const REFUSED: usize = 3;
/// More than ever fit in the room that is left.
const BATCHES_MAX: usize = 1000;

#[test]
fn a_full_disk_sends_writers_away_until_there_is_room() {
    // Room for nothing, for less than a batch, for some.
    for bytes in [0, 700, 20_000] {
        let context = format!("{bytes} bytes left");
        let machine = Machine::new();
        let running = machine.open(Background::Quiet).unwrap();
        running.prepare().unwrap();
        let mut writers = Writer::several(1, bytes);
        assert_eq!(send_until_refused(&running, &mut writers, 5), 5, "{context}");
        running.run(running.gateway.flush()).unwrap();
        assert_eq!(send_until_refused(&running, &mut writers, 5), 5, "{context}");

        machine.fs.no_space_after(bytes);
        let taken = send_until_refused(&running, &mut writers, BATCHES_MAX);
        assert!(taken < BATCHES_MAX, "{context}: the disk was never full");
        for _ in 0..REFUSED {
            assert_eq!(send_until_refused(&running, &mut writers, 1), 0, "{context}: taken by a full disk");
        }
        running.run(running.gateway.flush()).expect_err("a segment does not fit");
        running.check(&mut writers, Settle::No, &format!("{context}, full"));

        machine.fs.heal();
        assert_eq!(send_until_refused(&running, &mut writers, 5), 5, "{context}: refused although there is room");
        running.run(running.gateway.flush()).unwrap();
        assert_eq!(send_until_refused(&running, &mut writers, 5), 5, "{context}");
        running.check(&mut writers, Settle::No, &format!("{context}, with room again"));

        machine.fs.fail_after(0);
        running.cut_off();
        machine.fs.crash().unwrap();
        machine.check_disk(&mut writers, &format!("{context}, after a power cut"));
        let running = machine.open(Background::Quiet).unwrap();
        running.check(&mut writers, Settle::Yes, &format!("{context}, after a power cut"));
        running.cut_off();
    }
}

/// Sends up to `most` batches and returns how many were taken; [`send`] sees to how the others are refused.
fn send_until_refused(running: &Running, writers: &mut Vec<Writer>, most: usize) -> usize {
    let writer = Arc::new(Mutex::new(writers.pop().expect("there is one writer")));
    let taken = running.run(async {
        let mut taken = 0;
        while taken < most && send(&running.gateway, &writer).await.is_ok() {
            taken += 1;
        }
        taken
    });
    writers.push(Arc::into_inner(writer).expect("no one writes any more").into_inner().unwrap());
    taken
}
