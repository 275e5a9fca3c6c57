//! Where a gateway finds its credentials, and what it says when they are of no use.

use std::fs;

use tempfile::TempDir;

use crate::http_gate::{Gate, eventually, refused_start_with};
use crate::minio::Minio;

const FLUSH_SOON: [(&str, &str); 2] = [("buffer.flush_age_ms", "200"), ("buffer.flush_small_age_ms", "200")];

/// A gateway over `minio` that flushes soon and finds its credentials in `environment`.
fn gate(minio: &Minio, environment: &[(&str, &str)]) -> Gate {
    let settings = minio.settings("prefix");
    let gate = Gate::start_not_ready(&[&borrowed(&settings)[..], &FLUSH_SOON].concat(), environment);
    gate.wait_until_ready();
    gate
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Arguments of a start over `minio` that uses no port of ours.
fn arguments(minio: &Minio, changed: &[(&str, &str)]) -> Vec<String> {
    let mut settings = minio.settings("prefix");
    let off = ["influxdb", "opentsdb", "tdengine", "elasticsearch"].map(|name| (format!("listen.{name}"), "off"));
    settings.extend(off.map(|(name, value)| (name, value.to_string())));
    settings.push(("listen.cnosdb".to_string(), "127.0.0.1:0".to_string()));
    settings.extend(changed.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    let set = settings.iter().flat_map(|(name, value)| ["--set".to_string(), format!("{name}={value}")]);
    ["serve", "--wal", "{folder}/wal"].map(str::to_string).into_iter().chain(set).collect()
}

/// The start ends with an error that has all of `expected` and no secret in it.
#[track_caller]
fn refused(minio: &Minio, changed: &[(&str, &str)], environment: &[(&str, &str)], expected: &[&str]) {
    let arguments = arguments(minio, changed);
    let refused = refused_start_with(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), environment);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let message = refused.stderr.lines().rfind(|line| line.starts_with("tidegate: ")).unwrap_or_default();
    for part in expected {
        assert!(message.contains(part), "{environment:?}: no {part:?} in {}", refused.stderr);
    }
    for secret in [minio.secret_key(), "wr0ng-hush"] {
        assert!(!refused.stderr.contains(secret), "{environment:?}: {}", refused.stderr);
    }
}

#[test]
fn credentials_that_are_refused_or_missing_end_the_start_with_the_setting_and_no_secret() {
    let minio = Minio::start();
    let with = |key: &str, secret: &str, expected: &[&str]| {
        let environment = [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)];
        refused(&minio, &[], &environment, expected);
    };
    let refusal = "storage.url s3://bucket/prefix: the store refuses the credentials";
    with("nobody", "wr0ng-hush", &[refusal]);
    with(minio.access_key(), "wr0ng-hush", &[refusal]);
    let token = [
        ("AWS_ACCESS_KEY_ID", minio.access_key()),
        ("AWS_SECRET_ACCESS_KEY", minio.secret_key()),
        ("AWS_SESSION_TOKEN", "wr0ng-hush"),
    ];
    refused(&minio, &[], &token, &[refusal]);
    refused(
        &minio,
        &[],
        &[("AWS_ACCESS_KEY_ID", "half")],
        &["storage.url s3://bucket/prefix", "Missing SecretAccessKey"],
    );
    // Where a machine's role would be asked for, nobody answers.
    let nowhere = [("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9"), ("HOME", "/nowhere")];
    let quick = [("storage.retries_max", "0")];
    refused(&minio, &quick, &nowhere, &[refusal, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"]);
    let profile = [("AWS_PROFILE", "work"), ("HOME", "/nowhere")];
    refused(&minio, &[], &profile, &["no credentials: profile \"work\" is in none of /nowhere/.aws/credentials"]);
    let good = minio.credentials();
    let absent = [("storage.url", "s3://absent/prefix")];
    refused(&minio, &absent, &borrowed(&good), &["storage.url names a bucket that does not exist"]);
}

#[test]
fn a_gateway_takes_a_profile_of_the_shared_files_and_keys_that_change_there() {
    let minio = Minio::start();
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    let file = home.path().join(".aws/credentials");
    let write = |key: &str, secret: &str| {
        let text = format!(
            "[default]\naws_access_key_id = none\naws_secret_access_key = none\n\n[work]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
        );
        fs::write(&file, text).unwrap();
    };
    write(minio.access_key(), minio.secret_key());
    let home_path = home.path().display().to_string();
    let gate = gate(&minio, &[("HOME", &home_path), ("AWS_PROFILE", "work")]);
    gate.create_database("d");
    gate.write("d", "m v=1i 1\n");
    gate.wait_until_flushed();
    // Rotated away, and back: what fails meanwhile is tried again with the new keys.
    write("gone", "gone");
    eventually("the store refuses a flush", || {
        gate.write("d", "m v=2i 2\n");
        gate.metric("tidegate_flush_failures_total", "") >= 1.0
    });
    write(minio.access_key(), minio.secret_key());
    gate.wait_until_flushed();
    assert_eq!(gate.sql("d", "select count(*) as n from m"), "n\n2\n");
}

#[test]
fn a_gateway_takes_a_session_token() {
    let minio = Minio::start();
    let (key, secret, token) = minio.session();
    let keys = [("AWS_ACCESS_KEY_ID", key.as_str()), ("AWS_SECRET_ACCESS_KEY", &secret)];
    // A setting outweighs what variables say.
    let elsewhere = ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    let gate = gate(&minio, &[keys[0], keys[1], ("AWS_SESSION_TOKEN", &token), elsewhere]);
    gate.create_database("d");
    gate.write("d", "m v=1i 1\n");
    gate.wait_until_flushed();
    let refusal = "storage.url s3://bucket/prefix: the store refuses the credentials";
    refused(&minio, &[], &keys, &[refusal]);
}
