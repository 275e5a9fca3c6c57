//! Starting over what is on disk: torn tails, damage, other stores, locks.

use super::super::frame::FILE_HEADER_BYTES;
use super::super::reader::Scanned;
use super::*;
use crate::model::{Classify, Kind};

/// Where each frame starts, and at last the end, of a file whose frames hold one number each.
fn frames(path: &Path) -> Vec<usize> {
    let length = std::fs::metadata(path).unwrap().len() as usize;
    let frame = super::super::log::frame_bytes(&encode_payload(&[samples::numbered(1)]).unwrap()) as usize;
    (FILE_HEADER_BYTES..=length).step_by(frame).collect()
}

fn read_all(dir: &Path) -> Result<Vec<Record>, WalError> {
    read_dir(dir)?.collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_new_folder_is_empty_and_a_second_start_finds_what_the_first_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("a/b");
    assert_eq!(open(&below).unwrap().1.len(), 0);
    write_numbers(&below, 3);
    let (wal, records) = open(&below).unwrap();
    assert_eq!(numbers(&records), pairs(1..=3));
    assert_eq!(wal.next_sequence(), 4);
    assert_eq!(wal.recovery(), &Recovery { files: 1, records: 3, rows: 3, torn: None });
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_numbers(dir.path(), 3);
    let whole = std::fs::read(&path).unwrap();
    let frames = frames(&path);
    assert_eq!(frames.last(), Some(&whole.len()));
    for length in frames[2]..whole.len() {
        for tail in [0, 100] {
            // A lost block reads as zeros.
            let torn = [&whole[..length], &vec![0; tail]].concat();
            if torn.starts_with(&whole) {
                // The record itself ends in zeros: nothing of it is lost.
                continue;
            }
            std::fs::remove_dir_all(dir.path()).unwrap();
            std::fs::create_dir(dir.path()).unwrap();
            std::fs::write(&path, &torn).unwrap();

            assert_eq!(numbers(&read_all(dir.path()).unwrap()), pairs(1..=2), "cut at {length}");
            let (wal, records) = open(dir.path()).unwrap();
            assert_eq!(numbers(&records), pairs(1..=2), "cut at {length}");
            let bytes = (torn.len() - frames[2]) as u64;
            let expected = TornTail { file: path.clone(), offset: frames[2] as u64, bytes };
            assert_eq!(wal.recovery().torn, (bytes > 0).then_some(expected), "cut at {length}");
            assert_eq!(std::fs::read(&path).unwrap(), whole[..frames[2]], "cut at {length}");

            let wal = wal.start(Box::new(Applied::default()), metrics()).unwrap();
            assert_eq!(append_all(&wal, [3]), [3]);
            drop(wal);
            assert_eq!(numbers(&open(dir.path()).unwrap().1), pairs(1..=3), "cut at {length}");
        }
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_numbers(dir.path(), 3);
    let frames = frames(&path);
    for at in 0..frames[3] {
        flip(&path, at);
        let result = read_all(dir.path());
        if at < frames[0] {
            assert!(result.is_err(), "byte {at} of the file header");
        } else if at < frames[2] {
            let frame = frames.iter().rposition(|start| *start <= at).unwrap();
            match result.unwrap_err() {
                WalError::Corrupt { file, offset, what } => {
                    assert_eq!((&file, offset as usize), (&path, frames[frame]), "byte {at}: {what}");
                    let around = format!("with {frame} readable records before it and {} after it", 2 - frame);
                    assert!(what.contains(&around), "byte {at}: {what}");
                }
                other => panic!("byte {at}: {other}"),
            }
        } else {
            // The last record cannot be told from one that was never finished.
            assert_eq!(numbers(&result.unwrap()), pairs(1..=2), "byte {at}");
        }
        flip(&path, at);
    }
    assert_eq!(numbers(&read_all(dir.path()).unwrap()), pairs(1..=3));
}

#[test]
fn damage_in_the_middle_stops_the_start_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_numbers(dir.path(), 3);
    let before = std::fs::read(&path).unwrap();
    let at = frames(&path)[1];
    flip(&path, at + 60);
    let error = open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    let message = error.to_string();
    for part in [path.to_str().unwrap(), &format!("at byte {at}"), "record 2 does not match", "restore", "move it out"]
    {
        assert!(message.contains(part), "{message}");
    }
    flip(&path, at + 60);
    assert_eq!(std::fs::read(&path).unwrap(), before, "a refused start changes nothing");

    // As the message advises.
    std::fs::rename(&path, dir.path().join("aside")).unwrap();
    assert_eq!(open(dir.path()).unwrap().1.len(), 0);
}

#[test]
fn the_end_of_a_file_that_is_not_the_last_is_no_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_numbers(dir.path(), 3);
    append_all(&start(WalOptions::new(dir.path())), 4..=5);
    let whole = std::fs::read(&path).unwrap();
    let frames = frames(&path);
    let check = |bytes: &[u8], offset: usize, expected: &str| {
        std::fs::write(&path, bytes).unwrap();
        match read_all(dir.path()) {
            Err(WalError::Corrupt { file, offset: at, what }) => {
                assert_eq!((file, at as usize), (path.clone(), offset), "{what}");
                assert!(what.contains(expected), "{what}");
            }
            other => panic!("{expected}: {other:?}"),
        }
    };
    check(&whole[..frames[2]], frames[2], "the file ends here, but it was");
    check(&whole[..whole.len() - 1], whole.len() - 1, "the file ends here, but it was");
    check(
        &[&whole[..frames[2]], &vec![0; whole.len() - frames[2]]].concat(),
        frames[2],
        "record 3 has an unreadable header",
    );
    check(&whole[..10], 0, "the file header is incomplete");
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(numbers(&read_all(dir.path()).unwrap()), pairs(1..=5));
}

/// Writes `groups`, each with one sync, into a new folder, and returns the file.
fn write_groups(dir: &Path, groups: &[&[u64]]) -> PathBuf {
    let scanned = Scanned { files: Vec::new(), torn: None, unfinished: None };
    let fs = Arc::new(OsFileSystem);
    let mut log = Log::resume(fs, dir.to_path_buf(), STORE, 1 << 30, scanned, 1).unwrap();
    for group in groups {
        let payloads: Vec<_> = group.iter().map(|n| encode_payload(&[samples::numbered(*n)]).unwrap()).collect();
        log.append(payloads.iter(), &metrics()).unwrap();
    }
    dir.join(file_name(1))
}

#[test]
fn a_hole_inside_the_last_group_is_torn_but_one_before_it_is_not() {
    let check = |groups: &[&[u64]], hole: usize, torn: bool| {
        let dir = tempfile::tempdir().unwrap();
        let path = write_groups(dir.path(), groups);
        let frames = frames(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[frames[hole]..frames[hole + 1]].fill(0);
        std::fs::write(&path, bytes).unwrap();
        match read_all(dir.path()) {
            Ok(records) => assert!(torn && numbers(&records) == pairs(1..=hole as u64), "{groups:?} {hole}"),
            Err(WalError::Corrupt { .. }) => assert!(!torn, "{groups:?} {hole}"),
            Err(other) => panic!("{groups:?} {hole}: {other}"),
        }
    };
    // Blocks of one unsynced group may reach the disk in any order.
    check(&[&[1], &[2, 3, 4]], 1, true);
    check(&[&[1], &[2, 3, 4]], 2, true);
    check(&[&[1], &[2, 3, 4]], 3, true);
    check(&[&[1], &[2, 3, 4]], 0, false);
    check(&[&[1, 2], &[3]], 1, false);
    check(&[&[1, 2], &[3]], 2, true);
}

#[test]
fn every_record_after_damage_is_found_however_far() {
    let dir = tempfile::tempdir().unwrap();
    let numbers: Vec<[u64; 1]> = (1..=20_000).map(|n| [n]).collect();
    let groups: Vec<&[u64]> = vec![numbers[..19_999].as_flattened(), numbers[19_999..].as_flattened()];
    let path = write_groups(dir.path(), &groups);
    let frames = frames(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    // The longer damage comes second; the file is read in pieces, whose edges fall into headers.
    for (end, after) in [(frames[2], 19_998), (frames[19_998], 2)] {
        bytes[frames[1]..end].fill(0xff);
        std::fs::write(&path, &bytes).unwrap();
        let error = read_all(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("1 readable records before it and {after} after it")), "{error}");
    }
}

#[test]
fn a_file_whose_creation_was_interrupted_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_numbers(dir.path(), 2);
    let header = std::fs::read(&path).unwrap()[..FILE_HEADER_BYTES].to_vec();
    for leftover in [&header[..0], &header[..5], &header[..FILE_HEADER_BYTES - 1], &[0; FILE_HEADER_BYTES]] {
        let unfinished = dir.path().join(file_name(9));
        std::fs::write(&unfinished, leftover).unwrap();
        assert_eq!(numbers(&read_all(dir.path()).unwrap()), pairs(1..=2));
        let (wal, records) = open(dir.path()).unwrap();
        assert_eq!((numbers(&records), wal.next_sequence()), (pairs(1..=2), 3));
        assert_eq!(log_files(dir.path()), [file_name(1), file_name(3)]);
    }
}

#[test]
fn files_without_records_do_not_pile_up() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        open(dir.path()).unwrap();
    }
    assert_eq!(log_files(dir.path()), [file_name(1)]);
}

#[test]
fn a_log_of_another_store_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    write_numbers(dir.path(), 1);
    let other = Uuid::from_u128(0x7777);
    let result = Wal::open(Arc::new(OsFileSystem), WalOptions::new(dir.path()), other, 0, &mut |_, _| {
        panic!("a record of another store must not be replayed")
    });
    let message = result.unwrap_err().to_string();
    assert!(message.contains(&STORE.to_string()) && message.contains(&other.to_string()), "{message}");
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_numbers(dir.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, WalError::NewerFormat { found: 2, supported: 1, .. }), "{error}");
}

#[test]
fn a_renamed_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_numbers(dir.path(), 1);
    std::fs::rename(&path, dir.path().join(file_name(7))).unwrap();
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(&format!("the name of this file is {}", file_name(1))), "{error}");
}

#[test]
fn a_second_process_stays_out_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(WalError::Locked { .. })));
    let wal = wal.start(Box::new(Applied::default()), metrics()).unwrap();
    assert!(matches!(open(dir.path()), Err(WalError::Locked { .. })));
    block_on(wal.shutdown());
    open(dir.path()).unwrap();
}

#[test]
fn a_record_that_cannot_be_replayed_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    write_numbers(dir.path(), 3);
    let result = Wal::open(Arc::new(OsFileSystem), WalOptions::new(dir.path()), STORE, 0, &mut |sequence, _| {
        if sequence == 2 { Err("no such table".into()) } else { Ok(()) }
    });
    assert!(matches!(result, Err(WalError::Replay { sequence: 2, .. })));
}
