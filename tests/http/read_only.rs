//! A gateway that only reads, beside one that writes.

use std::fs;

use crate::http_gate::{Gate, encoded, eventually, refused_start};

/// A reader of what `writer` flushes.
fn reader_of(writer: &Gate) -> Gate {
    let url = format!("file://{}", writer.store().display());
    Gate::with(&[("storage.url", &url), ("server.role", "read-only"), ("catalog.poll_ms", "20")])
}

#[test]
fn a_reader_shows_what_is_flushed_and_refuses_what_changes_anything_in_each_doors_words() {
    let writer = Gate::with(&[("buffer.flush_age_ms", "10"), ("buffer.flush_small_age_ms", "10")]);
    writer.create_database("d");
    writer.write("d", "m,host=a f=1 1");
    writer.wait_until_flushed();
    let in_store = || writer.files().into_iter().filter(|file| file.starts_with("store/")).collect::<Vec<_>>();
    let before = in_store();
    let reader = reader_of(&writer);
    assert_eq!(reader.sql("d", "select host, f from m"), "host,f\na,1.0\n");
    let only_reads =
        "this gateway only reads (server.role = \"read-only\"); send what changes anything to one that writes";
    for path in ["/write?db=d", "/api/v2/write?bucket=d"] {
        let answer = reader.post(path, "m f=2 2").send().expect(403);
        assert_eq!(answer.influxdb_error(), only_reads, "{answer}");
    }
    let answer = reader.post("/api/v1/write?db=d", "m f=2 2").send().expect(422);
    assert_eq!(answer.cnosdb_error(), ("010004".to_string(), only_reads.to_string()), "{answer}");
    for statement in ["CREATE DATABASE e", "DROP DATABASE d"] {
        let answer = reader.post(&format!("/query?q={}", encoded(statement)), "").send().expect(200);
        assert_eq!(answer.json()["results"][0]["error"], only_reads, "{answer}");
        let (status, code, message) = reader.sql_error("d", statement);
        assert_eq!((status, code.as_str(), message.as_str()), (422, "010004", only_reads), "{statement}");
    }
    reader.get("/ready").send().expect(200);
    assert_eq!(in_store(), before, "nothing in the store has changed");
    assert!(!reader.folder().join("wal").exists());

    writer.write("d", "m,host=b f=2 2");
    eventually("the reader shows it", || reader.sql("d", "select host from m order by host") == "host\na\nb\n");
}

#[test]
fn there_must_be_something_to_read() {
    let refused = refused_start(&["serve", "--set", "server.role=read-only", "--set", "storage.url=file://{folder}"]);
    assert!(refused.stderr.contains("there is nothing to read yet"), "{}", refused.stderr);
    let refused = refused_start(&["serve", "--set", "server.role=read-only", "--set", "storage.url=file:///nowhere/x"]);
    assert!(refused.stderr.contains("/nowhere/x"), "{}", refused.stderr);
}

#[test]
fn a_gateway_whose_log_was_copied_and_opened_elsewhere_says_that_it_was_taken_over() {
    let old = Gate::with(&[("catalog.poll_alone_ms", "50")]);
    old.create_database("d");
    old.write("d", "m f=1 1");
    let elsewhere = tempfile::TempDir::new().unwrap();
    let copy = elsewhere.path().join("wal");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(old.folder().join("wal")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let url = format!("file://{}", old.store().display());
    let new = Gate::with(&[("storage.url", &url), ("wal.dir", copy.to_str().unwrap())]);
    assert_eq!(new.sql("d", "select f from m"), "f\n1.0\n");
    eventually("the old one has noticed", || old.get("/ready").send().status == 503);
    let answer = old.get("/ready").send();
    assert!(answer.text().contains("was taken over by another process"), "{answer}");
    let answer = old.post("/write?db=d", "m f=2 2").send().expect(503);
    assert!(answer.influxdb_error().contains("was taken over by another process"), "{answer}");
    assert!(answer.header("retry-after").is_some(), "{answer}");
    assert_eq!(old.log().matches("the catalog is not followed any more").count(), 1, "{}", old.log());
}
