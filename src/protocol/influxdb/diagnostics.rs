//! What the server is and how it is set: SHOW DIAGNOSTICS, and the head of `/debug/vars`.

use chrono::{DateTime, SecondsFormat};
use serde_json::Value;

use super::VERSION;

const NANOS_PER_SEC: i64 = 1_000_000_000;

/// What does not change while the process runs.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// When it started, nanoseconds since 1970.
    pub started_ns: i64,
    pub hostname: String,
    /// Settings by section and name, without secrets.
    pub settings: Vec<(String, Vec<(String, Value)>)>,
}

/// One part of the diagnostics: its name, and what is said of it in the order of the names.
pub(super) type Diagnostic = (String, Vec<(String, Value)>);

/// Everything, by the names of the parts. `now_ns` since 1970.
pub(super) fn all(about: &About, now_ns: i64) -> Vec<Diagnostic> {
    let part = |name: &str, said: &[(&str, Value)]| {
        (name.to_string(), said.iter().map(|(name, value)| (name.to_string(), value.clone())).collect::<Vec<_>>())
    };
    let mut parts = vec![
        part("build", &[("Commit", env!("CARGO_PKG_VERSION").into()), ("Version", VERSION.into())]),
        part("network", &[("hostname", about.hostname.clone().into())]),
        part("runtime", &[("GOARCH", std::env::consts::ARCH.into()), ("GOOS", std::env::consts::OS.into())]),
        part(
            "system",
            &[
                ("PID", std::process::id().into()),
                ("currentTime", time(now_ns).into()),
                ("started", time(about.started_ns).into()),
                ("uptime", uptime(about, now_ns).into()),
            ],
        ),
    ];
    let settings = about.settings.iter().map(|(section, values)| (format!("config-{section}"), values.clone()));
    parts.extend(settings);
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    parts
}

/// `currentTime`, `started` and `uptime` (seconds) for `/debug/vars`.
pub(super) fn system(about: &About, now_ns: i64) -> Value {
    let uptime_secs = (now_ns - about.started_ns) / NANOS_PER_SEC;
    serde_json::json!({"currentTime": time(now_ns), "started": time(about.started_ns), "uptime": uptime_secs})
}

fn time(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn uptime(about: &About, now_ns: i64) -> String {
    let seconds = (now_ns - about.started_ns).max(0) / NANOS_PER_SEC;
    crate::query::influxql::Duration(seconds * NANOS_PER_SEC).as_clock().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_sorted_and_hold_the_settings() {
        let settings = vec![("wal".to_string(), vec![("dir".to_string(), Value::from("/w"))])];
        let about = About { started_ns: 1_000_000_000, hostname: "here".to_string(), settings };
        let parts = all(&about, 62_500_000_000);
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["build", "config-wal", "network", "runtime", "system"]);
        assert_eq!(parts[1].1, [("dir".to_string(), Value::from("/w"))]);
        let uptime = parts[4].1.iter().find(|(name, _)| name == "uptime").map(|(_, value)| value.clone());
        assert_eq!(uptime, Some(Value::from("1m1s")));
        assert_eq!(system(&about, 62_500_000_000)["uptime"], 61);
        assert_eq!(system(&about, 62_500_000_000)["started"], "1970-01-01T00:00:01Z");
    }
}
