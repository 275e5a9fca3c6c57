//! Files that earlier versions wrote stay readable.

use super::*;

fn fixture_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1/wal")
}

/// The requests in the fixture of version 1. Never change them: write a new fixture.
fn requests_v1() -> Vec<Vec<TableBatch>> {
    samples::requests()
}

/// `UPDATE_FIXTURES=1` writes the fixture anew, for a new version of the format only.
fn write_fixture() {
    let _ = std::fs::remove_dir_all(fixture_dir());
    std::fs::create_dir_all(fixture_dir()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let scanned = super::super::reader::Scanned { files: Vec::new(), torn: None, unfinished: None };
    let mut log = Log::resume(Arc::new(OsFileSystem), dir.path().to_path_buf(), STORE, 1 << 20, scanned, 1).unwrap();
    for request in requests_v1() {
        log.append([encode_payload(&request).unwrap()].iter(), &metrics()).unwrap();
    }
    std::fs::copy(dir.path().join(file_name(1)), fixture_dir().join(file_name(1))).unwrap();
}

#[test]
fn version_1_is_readable() {
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        write_fixture();
    }
    let records: Vec<_> = read_dir(&fixture_dir()).unwrap().map(Result::unwrap).collect();
    let expected = requests_v1();
    assert_eq!(records.len(), expected.len());
    for ((sequence, got), (number, expected)) in records.iter().zip((1..).zip(&expected)) {
        assert_eq!(*sequence, number);
        samples::assert_same(got, expected);
    }
}
