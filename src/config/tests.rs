use std::path::{Path, PathBuf};

use super::{Address, Listen, Listener, LogFormat, Problem, Settings, SettingsError, validate};

const SHIPPED: &str = include_str!("../../config/tidegate.toml");

/// Settings from a file with `text`, variables and flags.
fn load(text: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidegate.toml");
    std::fs::write(&file, text).unwrap();
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    Settings::load(Some(&file), owned(environment).into_iter(), owned(flags))
}

fn resolved_default() -> Settings {
    Settings::default().resolve(&std::env::current_dir().unwrap())
}

/// The settings are refused with a problem that says each of `parts`.
fn refused(result: Result<Settings, SettingsError>, parts: &[&str]) {
    let message = result.expect_err(&format!("should have been refused: {parts:?}")).to_string();
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

fn refused_flag(key: &str, value: &str, expected: &str) {
    refused(load("", &[], &[(key, value)]), &[&format!("`{key}` (the command line) is "), expected]);
}

#[test]
fn the_shipped_file_is_the_defaults() {
    assert_eq!(load(SHIPPED, &[], &[]).unwrap(), resolved_default());
    assert_eq!(load("", &[], &[]).unwrap(), resolved_default());
}

#[test]
fn the_shipped_file_shows_and_explains_every_setting() {
    let mut section = "";
    let mut shown = Vec::new();
    let mut before = "";
    for line in SHIPPED.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            assert!(before.starts_with('#'), "{section}.{key} is not explained");
            shown.push(format!("{section}.{key}"));
        }
        before = line;
    }
    shown.sort();
    let known: Vec<String> = Settings::default().by_name().into_keys().collect();
    assert_eq!(shown, known);
}

#[test]
fn the_fixed_defaults_are_what_scripts_rely_on() {
    let settings = Settings::load(None, std::iter::empty(), vec![]).unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(settings.storage.url, format!("file://{}/tidegate-data/store", here.display()));
    assert_eq!(settings.wal.dir, here.join("tidegate-data/wal"));
    let ports: Vec<(Listener, String)> = settings.listen.on().map(|(l, address)| (l, address.to_string())).collect();
    let expected = ["127.0.0.1:8086", "127.0.0.1:4242", "127.0.0.1:6041", "127.0.0.1:8902", "127.0.0.1:9200"];
    assert_eq!(ports, Listener::ALL.into_iter().zip(expected.map(String::from)).collect::<Vec<_>>());
    assert!(!settings.server.allow_open);
}

#[test]
fn the_command_line_wins_over_the_environment_over_the_file() {
    let file = "[buffer]\nflush_age_ms = 1001\nflush_concurrency = 3\nflush_bytes = 1_000_000\n";
    let environment = [("TIDEGATE__BUFFER__FLUSH_AGE_MS", "1002"), ("TIDEGATE__BUFFER__FLUSH_CONCURRENCY", "4")];
    let flags = [("buffer.flush_age_ms", "1003")];
    let buffer = load(&format!("{file}flush_small_bytes = 0"), &environment, &flags).unwrap().buffer;
    assert_eq!((buffer.flush_age_ms, buffer.flush_concurrency, buffer.flush_bytes), (1003, 4, 1_000_000));
    assert_eq!(buffer.window_secs, Settings::default().buffer.window_secs);
}

#[test]
fn every_kind_of_value_can_come_from_the_environment() {
    let settings = load(
        "",
        &[
            ("TIDEGATE__STORAGE__URL", "memory:///"),
            ("TIDEGATE__WAL__DIR", "0123"),
            ("TIDEGATE__WAL__BUDGET_BYTES", "8589934592"),
            ("TIDEGATE__SERVER__ALLOW_OPEN", "true"),
            ("TIDEGATE__SERVER__TLS_LISTENERS", "influxdb, tdengine"),
            ("TIDEGATE__SERVER__TLS_CERTIFICATE", "/etc/c.pem"),
            ("TIDEGATE__SERVER__TLS_KEY", "/etc/k.pem"),
            ("TIDEGATE__LISTEN__INFLUXDB", "0.0.0.0:8087"),
            ("TIDEGATE__LISTEN__OPENTSDB", "off"),
            ("TIDEGATE__LOG__FORMAT", "json"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(settings.storage.url, "memory:///");
    assert_eq!(settings.wal.dir, std::env::current_dir().unwrap().join("0123"));
    assert_eq!(settings.wal.budget_bytes, 8_589_934_592);
    assert_eq!(settings.listen.influxdb, Listen::At(Address::new("0.0.0.0", 8087)));
    assert_eq!(settings.listen.opentsdb, Listen::Off);
    assert_eq!(settings.listen.cnosdb, Settings::default().listen.cnosdb);
    assert_eq!(settings.log.format, LogFormat::Json);
    let files = Some((Path::new("/etc/c.pem"), Path::new("/etc/k.pem")));
    assert_eq!(settings.server.tls_files(Listener::Tdengine), files);
    assert_eq!(settings.server.tls_files(Listener::Cnosdb), None);
}

#[test]
fn an_empty_variable_counts_as_not_set_and_an_empty_flag_as_empty() {
    let file = "[server]\ntls_certificate = \"c\"\ntls_key = \"k\"\n";
    let empty = [("TIDEGATE__SERVER__TLS_KEY", ""), ("TIDEGATE__WAL__BUDGET_BYTES", "")];
    let settings = load(file, &empty, &[]).unwrap();
    assert_eq!(settings.server.tls_key, Some(std::env::current_dir().unwrap().join("k")));
    let flags = [("server.tls_key", ""), ("server.tls_certificate", "")];
    assert_eq!(load(file, &[], &flags).unwrap().server.tls_key, None);
    refused(load("", &[("TIDEGATE__WAL__BUDGET", "")], &[]), &["`TIDEGATE__WAL__BUDGET`"]);
}

#[test]
fn a_wrong_value_is_refused_with_name_value_origin_and_expectation() {
    refused(
        load("", &[("TIDEGATE__WAL__BUDGET_BYTES", "lots")], &[]),
        &["`wal.budget_bytes` (TIDEGATE__WAL__BUDGET_BYTES) is \"lots\", expected a whole number of bytes from "],
    );
    refused(
        load("[compaction]\nenabled = 3\n", &[], &[]),
        &["`compaction.enabled` (", "tidegate.toml) is 3, expected `true` or `false`"],
    );
    refused_flag("query.timeout_ms", "-5", "is \"-5\", expected a whole number of milliseconds from 1 to ");
    refused_flag("buffer.window_secs", "1", "is 1, expected a whole number of seconds from 60 to ");
    refused_flag("listen.cnosdb", "8902", "is \"8902\", expected `host:port`");
    refused_flag("listen.cnosdb", "127.0.0.1:99999", "expected `host:port`");
    refused_flag("log.format", "xml", "is \"xml\", expected `text` or `json`");
    refused_flag("log.level", "inof", "is \"inof\", expected `off`, `error`");
    refused_flag("log.level", "info,tidegate=loud", "expected `off`, `error`");
    refused_flag("server.tls_listeners", "influxdb,mysql", "a list out of `influxdb`, `opentsdb`");
    refused_flag("server.allow_open", "maybe", "expected `true` or `false`");
    refused_flag("wal.dir", "", "is \"\", expected a folder");
    refused(load("storage = 5", &[], &[]), &["`storage` (", "is not a setting"]);
    refused(load("[storage.url]\nx = 1", &[], &[]), &["`storage.url` (", "is a section, expected text"]);
    refused(load("[log]\nlevel = 5", &[], &[]), &["`log.level` (", "is 5, expected text"]);
    refused(load("[query]\ntimeout_ms = 1.5", &[], &[]), &["`query.timeout_ms` (", "is 1.5, expected a whole"]);
    refused(load("[query]\ntimeout_ms = true", &[], &[]), &["`query.timeout_ms` (", "is true, expected a whole"]);
}

#[test]
fn an_unknown_name_is_refused_with_the_names_near_it() {
    refused(
        load("[storage]\nurll = \"x\"", &[], &[]),
        &["`storage.urll` (", "is not a setting; near it are `storage.url`"],
    );
    refused(load("[limits]\nflush_bytes = 1", &[], &[]), &["`limits.flush_bytes`", "near it are `buffer.flush_bytes`"]);
    refused(load("[bogus]", &[], &[]), &["`bogus` (", "is not a setting"]);
    refused(load("", &[], &[("wal.fsync", "off")]), &["`wal.fsync` (the command line) is not a setting", "`wal.dir`"]);
}

#[test]
fn a_misspelled_variable_is_refused() {
    let check = |name: &str, near: &str| {
        let message = format!("`{name}` (the environment) is not a setting; near it are `{near}`");
        refused(load("", &[(name, "x")], &[]), &[&message]);
    };
    check("TIDEGATE_STORAGE__URL", "TIDEGATE__STORAGE__URL");
    check("TIDEGATE__STORAGE_URL", "TIDEGATE__STORAGE__URL");
    check("TIDEGATE_STORAGE_URL", "TIDEGATE__STORAGE__URL");
    check("TIDEGATE_STORGE_URL", "TIDEGATE__STORAGE__URL");
    check("TIDEGATE___STORAGE__URL", "TIDEGATE__STORAGE__URL");
    check("tidegate__storage__url", "TIDEGATE__STORAGE__URL");
    check("TIDEGATE__WAL__FILE__BYTES", "TIDEGATE__WAL__FILE_BYTES");
    check("TIDEGATE__STORAGE__URLL", "TIDEGATE__STORAGE__URL");
    check("TIDEGATE_WAL_DIRECTORY", "TIDEGATE__WAL__DIR");
}

#[test]
fn variables_that_only_begin_like_ours_are_left_alone() {
    let others = [
        ("TIDEGATE_HOME", "/opt"),
        ("TIDEGATE_VERSION", "1"),
        ("TIDEGATES__X", "1"),
        ("TIDEGATE_SERVICE_HOST", "10.0.0.1"),
        ("TIDEGATE_PORT", "tcp://10.0.0.1:8086"),
        ("TIDEGATE_PORT_8086_TCP_ADDR", "10.0.0.1"),
        ("TIDEGATE_STORAGE_SERVICE_PORT_HTTP", "9000"),
        ("PATH", "/bin"),
    ];
    assert_eq!(load("", &others, &[]).unwrap(), resolved_default());
}

#[test]
fn all_problems_are_reported_at_once() {
    let file = "[wal]\nbudget_bytes = \"lots\"\n[bogus]\n";
    let environment = [("TIDEGATE_WAL_DIR", "x"), ("TIDEGATE__LOG__FORMAT", "xml"), ("TIDEGATE__QUERY__QUEUE", "x")];
    let flags = [("cache.metadata_bytes", "99999999999999"), ("listen.influxdb", "127.0.0.1:4242")];
    let Err(SettingsError::Wrong { problems }) = load(file, &environment, &flags) else { panic!("should be refused") };
    let mut names: Vec<&str> = problems
        .iter()
        .map(|problem| match problem {
            Problem::Unknown { name, .. } => name.as_str(),
            Problem::Value { key, .. } => key.as_str(),
        })
        .collect();
    names.sort_unstable();
    let expected = [
        "TIDEGATE_WAL_DIR",
        "bogus",
        "cache.metadata_bytes",
        "listen.opentsdb",
        "log.format",
        "query.queue",
        "wal.budget_bytes",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_value_that_is_overridden_must_be_right_all_the_same() {
    let overridden = load("[wal]\nbudget_bytes = \"lots\"", &[], &[("wal.budget_bytes", "8589934592")]);
    refused(overridden, &["`wal.budget_bytes` (", "is \"lots\""]);
}

#[test]
fn an_open_listener_is_refused_unless_allowed() {
    let open = ("TIDEGATE__LISTEN__INFLUXDB", "0.0.0.0:8086");
    let parts =
        ["`listen.influxdb` (TIDEGATE__LISTEN__INFLUXDB) is \"0.0.0.0:8086\"", "TIDEGATE__SERVER__ALLOW_OPEN=true"];
    refused(load("", &[open], &[]), &parts);
    refused(load("", &[open], &[]), &["`server.allow_open`", "authentication is off"]);
    refused_flag("listen.cnosdb", "[::]:8902", "`server.allow_open`");
    refused_flag("listen.cnosdb", "gateway.example:8902", "`server.allow_open`");
    load("", &[open, ("TIDEGATE__SERVER__ALLOW_OPEN", "true")], &[]).unwrap();
    load("", &[("TIDEGATE__LISTEN__INFLUXDB", "[::1]:8086")], &[]).unwrap();
}

#[test]
fn two_listeners_on_one_port_are_refused_but_any_free_port_is_not() {
    refused_flag("listen.cnosdb", "127.0.0.1:8086", "a port of its own: `listen.influxdb` has 8086 too");
    load("", &[], &[("listen.cnosdb", "127.0.0.1:0"), ("listen.influxdb", "127.0.0.1:0")]).unwrap();
    load("", &[], &[("listen.cnosdb", "127.0.0.1:8086"), ("listen.influxdb", "off")]).unwrap();
    let off: Vec<(String, String)> = Listener::ALL.iter().map(|l| (format!("listen.{l}"), "off".to_string())).collect();
    refused(Settings::load(None, std::iter::empty(), off), &["all of them are off"]);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    refused(
        load("", &[], &[("server.tls_certificate", "c")]),
        &["`server.tls_key` (the default) is \"\", expected a file"],
    );
    refused(load("", &[], &[("server.tls_key", "k")]), &["`server.tls_certificate` (the default)"]);
    let no_listener = [("server.tls_key", "k"), ("server.tls_certificate", "c"), ("server.tls_listeners", "")];
    refused(load("", &[], &no_listener), &["`server.tls_listeners`", "a listener at least"]);
    refused_flag("wal.budget_bytes", "67108864", "at least twice `wal.file_bytes`, which is 67108864");
    refused_flag("buffer.budget_bytes", "100000000", "such a request would never be accepted");
    refused_flag("buffer.flush_bytes", "1000000000", "at most `buffer.budget_bytes`");
    refused_flag("buffer.flush_small_bytes", "100000000", "at most `buffer.flush_bytes`");
    refused_flag("buffer.flush_small_age_ms", "9999", "at least `buffer.flush_age_ms`, which is 10000");
    refused_flag("query.memory_bytes_per_query", "2000000000", "at most `query.memory_bytes`");
    refused_flag("catalog.orphan_grace_secs", "300", "longer than `query.timeout_ms`, which is 300000");
    refused_flag("storage.endpoint", "http://127.0.0.1:9000", "`storage.allow_http`");
    refused_flag("storage.endpoint", "127.0.0.1:9000", "an `https://` or `http://` URL");
    load("", &[], &[("storage.endpoint", "http://127.0.0.1:9000"), ("storage.allow_http", "true")]).unwrap();
}

#[test]
fn credentials_never_show() {
    let secrets = [("storage.url", "s3://AKIA:hunter2/x@bucket"), ("storage.endpoint", "https://me:hunter2@host")];
    for (key, value) in secrets {
        let message = load("", &[], &[(key, value)]).unwrap_err().to_string();
        assert!(message.contains(key) && message.contains("***"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    for broken in ["[storage]\nurl = \"s3://me:hunter2@bucket\" oops", "[storage]\nurl = [\"s3://me:hunter2@bucket\"]"]
    {
        let error = load(broken, &[], &[]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let missing = Settings::load(Some(Path::new("/nowhere/tidegate.toml")), std::iter::empty(), vec![]);
    refused(missing, &["cannot read the settings file `/nowhere/tidegate.toml`"]);
    refused(load("[wal\n", &[], &[]), &["tidegate.toml` is not valid TOML", "line 1"]);
    refused(load("[wal]\ndir = \"a\"\ndir = \"b\"\n", &[], &[]), &["is not valid TOML", "duplicate key"]);
}

#[test]
fn every_number_has_a_range_that_its_default_is_in() {
    let defaults = Settings::default().by_name();
    let numbers: Vec<&str> = defaults.iter().filter(|(_, v)| v.is_number()).map(|(key, _)| key.as_str()).collect();
    let ranges: Vec<&str> = validate::RANGES.iter().map(|(key, _)| *key).collect();
    assert_eq!(numbers, ranges);
    resolved_default().validate().unwrap();
}

#[test]
fn settings_print_as_a_file_that_gives_them_again() {
    let flags = [("wal.dir", "/a \"b\"\\c"), ("server.tls_listeners", "cnosdb,influxdb"), ("listen.tdengine", "off")];
    let settings = load("", &[], &flags).unwrap();
    assert_eq!(settings.wal.dir, PathBuf::from("/a \"b\"\\c"));
    assert_eq!(load(&settings.to_toml(), &[], &[]).unwrap(), settings);
}

#[test]
fn secrets_are_shown_nowhere() {
    let set = [("auth.enabled", "true"), ("auth.jwt_secret", "s3cret"), ("auth.admin_user", "root")];
    let settings = load("", &[("TIDEGATE__AUTH__ADMIN_PASSWORD", "s3cret")], &set).unwrap();
    assert_eq!(settings.auth.jwt_secret.as_ref().map(|secret| secret.reveal()), Some("s3cret"));
    for shown in [settings.to_toml(), format!("{settings:?}"), format!("{:?}", settings.shown())] {
        assert!(shown.contains("***") && !shown.contains("s3cret"), "{shown}");
    }
    for wrong in [
        load("", &[], &[("auth.jwt_secret", "s3cret"), ("auth.jwt_secret_file", "/f")]),
        load("", &[], &[("auth.admin_password", "s3cret")]),
        load("[auth]\njwt_secret = s3cret\n", &[], &[]),
        load("[auth]\nadmin_password = [\"s3cret\"]\n", &[], &[]),
    ] {
        let message = wrong.expect_err("should have been refused").to_string();
        assert!(!message.contains("s3cret"), "{message}");
    }
    refused(
        load("", &[], &[("auth.admin_user", "root")]),
        &["`auth.admin_password`", "since `auth.admin_user` is set"],
    );
}

#[test]
fn with_authentication_others_may_reach_a_listener() {
    let open = ("listen.influxdb", "0.0.0.0:8086");
    refused(load("", &[], &[open]), &["`listen.influxdb`", "authentication is off", "`auth.enabled`"]);
    load("", &[], &[open, ("auth.enabled", "true")]).unwrap();
}
