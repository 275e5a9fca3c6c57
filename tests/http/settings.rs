//! Settings that are wrong stop the start, and the message says which, what it is and what it should be.

use std::fs;
use std::net::TcpListener;

use crate::http_gate::{Gate, free_ports, refused_start, refused_start_with, run};

/// The start ends with status 1 and all of `expected` on standard error.
#[track_caller]
fn refused(arguments: &[&str], environment: &[(&str, &str)], expected: &[&str]) {
    let refused = refused_start_with(arguments, environment);
    assert_eq!(refused.code, Some(1), "{arguments:?}: {}", refused.stderr);
    for part in expected {
        assert!(refused.stderr.contains(part), "{arguments:?}: no {part:?} in {}", refused.stderr);
    }
    assert!(refused.stderr.starts_with("tidegate: "), "{}", refused.stderr);
}

#[test]
fn a_wrong_value_is_named_with_its_origin_and_what_was_expected() {
    let check = |setting: &str, expected: &[&str]| refused(&["serve", "--set", setting], &[], expected);
    let size =
        ["`wal.file_bytes` (the command line) is 0", "expected a whole number of bytes from 1048576 to 4294967296"];
    check("wal.file_bytes=0", &size);
    check("query.timeout_ms=soon", &["`query.timeout_ms` (the command line) is \"soon\"", "milliseconds"]);
    check("compaction.enabled=maybe", &["`compaction.enabled`", "\"maybe\"", "expected `true` or `false`"]);
    check("log.level=loud", &["`log.level`", "\"loud\"", "`debug`"]);
    check("log.format=xml", &["`log.format`", "\"xml\"", "expected `text` or `json`"]);
    check("storage.url=ftp://host/x", &["`storage.url`", "\"ftp://host/x\""]);
    check("listen.influxdb=8086", &["`listen.influxdb`", "\"8086\"", "expected `host:port`"]);
    check("wal.budget_bytes=2097152", &["`wal.budget_bytes`", "2097152", "at least twice `wal.file_bytes`"]);
    let variable = [("TIDEGATE__WAL__FILE_BYTES", "1")];
    refused(&["serve"], &variable, &["`wal.file_bytes` (TIDEGATE__WAL__FILE_BYTES) is 1", "expected"]);
}

#[test]
fn an_unknown_setting_is_named_with_what_is_near() {
    refused(&["serve", "--set", "wal.dirr=x"], &[], &["`wal.dirr` (the command line) is not a setting", "`wal.dir`"]);
    let variable = [("TIDEGATE__WAL__DIRR", "x")];
    refused(&["serve"], &variable, &["`TIDEGATE__WAL__DIRR`", "is not a setting", "`TIDEGATE__WAL__DIR`"]);
}

#[test]
fn a_file_is_held_to_the_same_rules() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("settings.toml");
    let path_text = path.to_str().unwrap();
    let check = |text: &str, expected: &[&str]| {
        fs::write(&path, text).unwrap();
        refused(&["serve", "--config", path_text], &[], expected);
    };
    check("[wal]\nfile_bytes = 1\n", &["`wal.file_bytes`", path_text, "is 1", "expected"]);
    check("[wall]\ndir = \"x\"\n", &["`wall`", path_text, "is not a setting"]);
    check("[wal]\ndirectory = \"x\"\n", &["`wal.directory`", "is not a setting", "`wal.dir`"]);
    check("[wal\n", &[path_text, "is not valid TOML"]);
    check(
        "[wal]\nfile_bytes = 1\n[query]\ntimeout_ms = 0\n",
        &["2 settings are wrong", "`wal.file_bytes`", "`query.timeout_ms`"],
    );
    refused(&["serve", "--config", "{folder}/missing.toml"], &[], &["cannot read the settings file", "missing.toml"]);
}

#[test]
fn two_listeners_on_one_port_are_refused() {
    let expected = ["`listen.cnosdb`", "127.0.0.1:8086", "a port of its own: `listen.influxdb` has 8086 too"];
    refused(&["serve", "--set", "listen.cnosdb=127.0.0.1:8086"], &[], &expected);
}

#[test]
fn listeners_that_others_can_reach_ask_for_a_word() {
    let open = ["--set", "listen.influxdb=0.0.0.0:8086"];
    let expected = ["`listen.influxdb`", "0.0.0.0:8086", "TIDEGATE__SERVER__ALLOW_OPEN=true"];
    refused(&["serve", open[0], open[1]], &[], &expected);
    let (status, stdout, stderr) =
        run(&["check-config", open[0], open[1]], &[("TIDEGATE__SERVER__ALLOW_OPEN", "true")]);
    assert!(status.success(), "{stdout}{stderr}");
}

#[test]
fn a_port_that_is_taken_refuses_the_start_by_the_listeners_name() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let setting = format!("listen.influxdb={address}");
    let mut arguments = vec!["serve", "--storage", "memory:///", "--wal", "{folder}/wal", "--set", &setting];
    for setting in ["listen.opentsdb=off", "listen.tdengine=off", "listen.cnosdb=off", "listen.elasticsearch=off"] {
        arguments.extend(["--set", setting]);
    }
    let refused = refused_start(&arguments);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    for part in ["tidegate: ", "listen.influxdb", &address.to_string(), "in use"] {
        assert!(refused.stderr.contains(part), "no {part:?} in {}", refused.stderr);
    }
}

/// Arguments of a gateway with one listener, over this store and log.
fn only_influxdb(store: &str, wal: &str, port: u16) -> Vec<String> {
    let mut arguments: Vec<String> = ["serve", "--storage", store, "--wal", wal].map(String::from).into();
    for setting in ["listen.opentsdb=off", "listen.tdengine=off", "listen.cnosdb=off", "listen.elasticsearch=off"] {
        arguments.extend(["--set".to_string(), setting.to_string()]);
    }
    arguments.extend(["--set".to_string(), format!("listen.influxdb=127.0.0.1:{port}")]);
    arguments
}

#[test]
fn a_log_belongs_to_one_gateway_and_one_store() {
    let mut gate = Gate::start();
    let (store, wal) = (format!("file://{}", gate.store().display()), gate.folder().join("wal").display().to_string());
    let check = |store: &str, expected: &[&str]| {
        let arguments = only_influxdb(store, &wal, free_ports(1)[0]);
        let refused = refused_start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        for part in expected {
            assert!(refused.stderr.contains(part), "no {part:?} in {}", refused.stderr);
        }
    };
    check(&store, &[&wal, "in use by another process"]);
    gate.write("public", "m f=1 1");
    gate.ask_to_stop();
    gate.wait_for_exit();
    gate.start_again();
    gate.write("public", "m f=2 2");
    gate.kill_and_restart();
    assert_eq!(gate.sql("public", "select f from m order by time"), "f\n1.0\n2.0\n");
    gate.ask_to_stop();
    gate.wait_for_exit();
    check("file://{folder}/other", &["belongs to store", &wal]);
}

#[test]
fn folders_that_cannot_be_made_refuse_the_start_by_their_settings_name() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let inside = file.join("inside").display().to_string();
    let check = |store: &str, wal: &str, expected: &str| {
        let arguments = only_influxdb(store, wal, free_ports(1)[0]);
        let refused = refused_start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains(expected), "no {expected:?} in {}", refused.stderr);
    };
    check("memory:///", &inside, "wal.dir");
    check("memory:///", &inside, &inside);
    check(&format!("file://{inside}"), "{folder}/wal", &inside);
}

#[test]
fn a_check_needs_no_start_and_shows_what_holds() {
    let (status, stdout, stderr) =
        run(&["check-config", "--set", "query.timeout_ms=1234"], &[("TIDEGATE__LOG__LEVEL", "warn")]);
    assert!(status.success(), "{stderr}");
    assert!(stdout.starts_with("OK\n"), "{stdout}");
    assert!(stdout.contains("timeout_ms = 1234") && stdout.contains("level = \"warn\""), "{stdout}");
    let refused = refused_start(&["check-config", "--set", "query.timeout_ms=0"]);
    assert!(refused.stderr.contains("`query.timeout_ms`"), "{}", refused.stderr);
    let (status, stdout, _) = run(&["version"], &[]);
    assert!(status.success() && stdout.starts_with("tidegate "), "{stdout}");
    assert_eq!(refused_start(&["serve", "--prot", "1"]).code, Some(2));
}
