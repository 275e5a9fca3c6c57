//! Object keys: the only place where they are spelled, each printer beside its parser.
//!
//! ```text
//! tidegate.json                                     which store this is
//! catalog/00000000000000000017                      commit 17
//! snapshots/00000000000000000100                    the catalog as of commit 100
//! data/cnosdb/public/autogen/cpu/20261122T000000Z/0198….parquet
//! probe/…                                           objects of a start-up check, removed at once
//! ```
//! Every key is plain ASCII and means the same to each way that the `object_store` crate has of making a path
//! (`Path::from` escapes `%`, `~`, `#` and all that is not ASCII once more: a key with any of them would name another
//! object after a round trip through a `String`). So escapes are spelled `!2F`, and `!` with a small letter marks what
//! is no name: `!h…` a hash in place of the end of a long name, `!t7` the id of a table, `!empty` the empty name.
//!
//! Names are for people: nothing is ever read back out of them. Two tables may even share a folder, since each
//! segment's own name is unique.

use std::fmt::Write;

use chrono::DateTime;
use object_store::path::Path;
use uuid::Uuid;

use crate::model::{TableId, TableName};

const IDENTITY: &str = "tidegate.json";
const COMMITS: &str = "catalog";
const SNAPSHOTS: &str = "snapshots";
const SEGMENTS: &str = "data";
const PROBES: &str = "probe";
const SEGMENT_EXTENSION: &str = ".parquet";
/// Digits of a number in a key: as many as `u64::MAX` has, so that keys sort as numbers do.
const NUMBER_DIGITS: usize = 20;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Longest name, escapes included, that is spelled out. File systems allow 255 bytes, object stores 1024 a key.
const NAME_BYTES_MAX: usize = 120;
/// `!h` and 16 hex digits.
const HASH_MARK_BYTES: usize = 18;

/// The object that says which store this is.
pub fn identity_key() -> Path {
    Path::from(IDENTITY)
}

/// An object that only a start-up check writes.
pub fn probe_key(id: Uuid) -> Path {
    Path::from(format!("{PROBES}/{id}"))
}

/// Prefix of what start-up checks write.
pub fn probes_prefix() -> Path {
    Path::from(PROBES)
}

/// Catalog commit `number`.
pub fn commit_key(number: u64) -> Path {
    numbered_key(COMMITS, number)
}

/// The number of a commit's key; `None` for every other key.
pub fn parse_commit_key(key: &Path) -> Option<u64> {
    parse_numbered_key(COMMITS, key)
}

/// Prefix of all commits.
pub fn commits_prefix() -> Path {
    Path::from(COMMITS)
}

/// The catalog as it was after commit `number`.
pub fn snapshot_key(number: u64) -> Path {
    numbered_key(SNAPSHOTS, number)
}

/// The number of a snapshot's key; `None` for every other key.
pub fn parse_snapshot_key(key: &Path) -> Option<u64> {
    parse_numbered_key(SNAPSHOTS, key)
}

/// Prefix of all snapshots.
pub fn snapshots_prefix() -> Path {
    Path::from(SNAPSHOTS)
}

/// Segment `id` of table `name`, whose rows lie in the time window that starts at `window_ns`.
///
/// `table_dir_suffix` keeps a table out of the folder of another one whose name differs only by case, for those who
/// look at the store through a file system that knows no case.
pub fn segment_key(name: &TableName, table_dir_suffix: Option<TableId>, window_ns: i64, id: Uuid) -> Path {
    let mut key = SEGMENTS.to_string();
    for part in [&name.tenant, &name.database, &name.policy, &name.table] {
        key.push('/');
        key.push_str(&escape_name(part));
    }
    if let Some(table) = table_dir_suffix {
        write!(key, "!t{table}").expect("a String takes all that is written");
    }
    write!(key, "/{}/{id}{SEGMENT_EXTENSION}", window_name(window_ns)).expect("a String takes all that is written");
    Path::from(key)
}

/// The id of a segment's key; `None` for every other key.
pub fn parse_segment_key(key: &Path) -> Option<Uuid> {
    let parts: Vec<&str> = key.as_ref().split('/').collect();
    let [SEGMENTS, _tenant, _database, _policy, _table, window, file] = parts[..] else { return None };
    let is_window = window.len() == "20261122T000000Z".len() && window.ends_with('Z');
    let id = file.strip_suffix(SEGMENT_EXTENSION)?;
    let parsed = Uuid::try_parse(id).ok()?;
    (is_window && parsed.to_string() == id).then_some(parsed)
}

/// Prefix of all segments.
pub fn segments_prefix() -> Path {
    Path::from(SEGMENTS)
}

fn numbered_key(folder: &str, number: u64) -> Path {
    Path::from(format!("{folder}/{number:0NUMBER_DIGITS$}"))
}

fn parse_numbered_key(folder: &str, key: &Path) -> Option<u64> {
    let digits = key.as_ref().strip_prefix(folder)?.strip_prefix('/')?;
    let is_number = digits.len() == NUMBER_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

/// The second that a window starts in, UTC. Sorts by time: nanoseconds in an `i64` end before the year 2263.
fn window_name(window_ns: i64) -> String {
    let start = DateTime::from_timestamp(window_ns.div_euclid(NANOS_PER_SECOND), 0)
        .expect("any i64 of nanoseconds lies between the years 1677 and 2262");
    start.format("%Y%m%dT%H%M%SZ").to_string()
}

/// `name` as one part of a path: ASCII letters, digits, `_`, `-` and `.` as they are, all else escaped.
/// Different names are spelled differently (long ones but for a collision of 64-bit hashes).
fn escape_name(name: &str) -> String {
    if name.is_empty() {
        return "!empty".to_string();
    }
    let last = name.len() - 1;
    let reserved = is_reserved_on_windows(name);
    let mut escaped = String::with_capacity(name.len());
    // Where the spelled-out part of an over-long name ends: never within an escape.
    let mut cut = 0;
    for (at, byte) in name.bytes().enumerate() {
        // A leading point hides a file, a trailing one is lost on Windows.
        let keep = match byte {
            b'.' => at != 0 && at != last,
            b'_' | b'-' => true,
            _ => byte.is_ascii_alphanumeric() && !(reserved && at == 0),
        };
        if keep {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "!{byte:02X}").expect("a String takes all that is written");
        }
        if escaped.len() + HASH_MARK_BYTES <= NAME_BYTES_MAX && name.is_char_boundary(at + 1) {
            cut = escaped.len();
        }
    }
    if escaped.len() > NAME_BYTES_MAX {
        escaped.truncate(cut);
        write!(escaped, "!h{:016x}", fnv1a_64(name.as_bytes())).expect("a String takes all that is written");
    }
    escaped
}

/// Device names, which Windows takes for devices with any extension too.
fn is_reserved_on_windows(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    match stem.as_str() {
        "con" | "prn" | "aux" | "nul" => true,
        stem => match stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt")) {
            Some(port) => port.len() == 1 && port.bytes().all(|b| b.is_ascii_digit()),
            None => false,
        },
    }
}

/// FNV-1a: keys must be the same in every version and on every machine, which the standard hasher does not promise.
fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use object_store::memory::InMemory;
    use object_store::prefix::PrefixStore;
    use object_store::{ObjectStore, ObjectStoreExt};
    use proptest::prelude::*;

    use super::*;

    const ID: Uuid = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);

    fn key_of_table(table: &str) -> Path {
        segment_key(&TableName::new("t", "d", "p", table), None, 0, ID)
    }

    fn nasty_names() -> Vec<String> {
        let mut names: Vec<String> = [
            "",
            ".",
            "..",
            "...",
            "/",
            "a/b",
            "/a",
            "a/",
            "//",
            "\\",
            "a\\b",
            "%",
            "%2F",
            "!2F",
            "!",
            "!t7",
            "!empty",
            "!h0000000000000000",
            "empty",
            "~",
            "a~1",
            "#",
            "a#1",
            "#12",
            "a b",
            " a",
            "a ",
            "a.",
            ".a",
            "a..b",
            "\0",
            "a\nb",
            "\r",
            "\u{7f}",
            "größe",
            "gro\u{308}ße",
            "温度",
            "🌊",
            "\u{202e}x",
            "\u{feff}",
            "con",
            "CON",
            "con.txt",
            "con.",
            "lpt9",
            "com0",
            "com10",
            "console",
            "a:b",
            "a|b",
            "a?b",
            "a*b",
            "a\"b",
            "a<b>",
            "a{b}",
            "a[b]",
            "a`b",
            "a^b",
            "a=b",
            "a&b",
            "a+b",
            "a,b",
            "a;b",
            "a@b",
            "$a",
            "-rf",
            "_internal",
            "Cpu",
            "cpu",
        ]
        .map(str::to_string)
        .to_vec();
        for length in [101, 102, 103, 119, 120, 121, 200, 100_000] {
            names.push("x".repeat(length));
            names.push("/".repeat(length));
            names.push("ö".repeat(length));
            names.push(format!("{}y", "x".repeat(length)));
        }
        names
    }

    #[test]
    fn keys_are_spelled_so() {
        let check = |key: Path, expected: &str| assert_eq!(key.as_ref(), expected);
        check(identity_key(), "tidegate.json");
        check(commit_key(17), "catalog/00000000000000000017");
        check(snapshot_key(u64::MAX), "snapshots/18446744073709551615");
        let cpu = TableName::new("cnosdb", "public", "autogen", "cpu");
        let day = 1_795_305_600_000_000_000;
        check(
            segment_key(&cpu, None, day, ID),
            "data/cnosdb/public/autogen/cpu/20261122T000000Z/01980000-0000-7000-8000-000000000001.parquet",
        );
        check(
            segment_key(&cpu, Some(TableId(7)), day, ID),
            "data/cnosdb/public/autogen/cpu!t7/20261122T000000Z/01980000-0000-7000-8000-000000000001.parquet",
        );
    }

    #[test]
    fn names_are_escaped_so() {
        let check = |name: &str, expected: &str| assert_eq!(escape_name(name), expected, "{name:?}");
        check("sys.cpu.user_pct-1", "sys.cpu.user_pct-1");
        check("a/b", "a!2Fb");
        check("..", "!2E!2E");
        check("a.", "a!2E");
        check("a!2Fb", "a!212Fb");
        check("größe", "gr!C3!B6!C3!9Fe");
        check("con.txt", "!63on.txt");
        check("console", "console");
        check("", "!empty");
        check(&"x".repeat(120), &"x".repeat(120));
        check(&"x".repeat(121), &format!("{}!h{:016x}", "x".repeat(102), fnv1a_64(&[b'x'; 121])));
        check(&"ö".repeat(60), &format!("{}!h{:016x}", "!C3!B6".repeat(17), fnv1a_64("ö".repeat(60).as_bytes())));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // Test vectors of FNV-1a: keys of older versions must not change.
        assert_eq!(fnv1a_64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a_64(b"foobar"), 0x8594_4171_f739_67e8);
    }

    fn check_name(name: &str) {
        let key = key_of_table(name);
        assert_eq!(parse_segment_key(&key), Some(ID), "{name:?}");
        assert_eq!(key.parts().count(), 7, "{name:?}: {key}");
        assert_eq!(Path::from(key.to_string()), key, "{name:?}: made again from a string");
        assert_eq!(Path::parse(key.as_ref()).unwrap(), key, "{name:?}: parsed");
        assert!(key.parts().all(|part| part.as_ref().len() <= NAME_BYTES_MAX), "{name:?}: {key}");
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.!/".contains(&b);
        assert!(key.as_ref().bytes().all(is_plain), "{name:?}: {key}");
    }

    #[test]
    fn any_name_makes_one_plain_part_of_its_own() {
        let mut seen = HashSet::new();
        for name in nasty_names() {
            check_name(&name);
            assert!(seen.insert(key_of_table(&name)), "{name:?} shares a folder");
        }
    }

    proptest! {
        #[test]
        fn random_names_make_one_plain_part_of_their_own(a in any::<String>(), b in any::<String>()) {
            check_name(&a);
            prop_assert_eq!(a == b, key_of_table(&a) == key_of_table(&b));
        }

        #[test]
        fn window_names_sort_by_time(a in any::<i64>(), b in any::<i64>()) {
            let seconds = |ns: i64| ns.div_euclid(NANOS_PER_SECOND);
            prop_assert_eq!(seconds(a).cmp(&seconds(b)), window_name(a).cmp(&window_name(b)));
        }
    }

    #[test]
    fn windows_are_named_by_their_first_second() {
        let check = |ns: i64, expected: &str| assert_eq!(window_name(ns), expected, "{ns}");
        check(0, "19700101T000000Z");
        check(-1, "19691231T235959Z");
        check(-86_400_000_000_000, "19691231T000000Z");
        check(i64::MIN, "16770921T001243Z");
        check(i64::MAX, "22620411T234716Z");
    }

    #[test]
    fn numbers_come_back_and_other_keys_do_not() {
        for number in [0, 1, 17, u64::MAX] {
            assert_eq!(parse_commit_key(&commit_key(number)), Some(number));
            assert_eq!(parse_snapshot_key(&snapshot_key(number)), Some(number));
            assert_eq!(parse_commit_key(&snapshot_key(number)), None);
            assert_eq!(parse_segment_key(&commit_key(number)), None);
            assert!(commit_key(number).prefix_matches(&commits_prefix()));
            assert!(snapshot_key(number).prefix_matches(&snapshots_prefix()));
        }
        assert!(commit_key(9) < commit_key(10));
        for other in [
            "",
            "catalog",
            "catalog/17",
            "catalog/+0000000000000000017",
            "catalog/99999999999999999999",
            "catalog/00000000000000000017/x",
            "x/catalog/00000000000000000017",
            "catalogs/00000000000000000017",
        ] {
            assert_eq!(parse_commit_key(&Path::from(other)), None, "{other}");
        }
        for other in [
            "data/t/d/p/m/19700101T000000Z/x.parquet",
            "data/t/d/p/m/19700101T000000Z/01980000-0000-7000-8000-000000000001.csv",
            "data/t/d/p/m/19700101T000000Z/01980000000070008000000000000001.parquet",
            "data/t/d/p/m/now/01980000-0000-7000-8000-000000000001.parquet",
            "data/t/d/p/19700101T000000Z/01980000-0000-7000-8000-000000000001.parquet",
            "elsewhere/t/d/p/m/19700101T000000Z/01980000-0000-7000-8000-000000000001.parquet",
        ] {
            assert_eq!(parse_segment_key(&Path::from(other)), None, "{other}");
        }
        assert!(key_of_table("m").prefix_matches(&segments_prefix()));
    }

    /// Puts, lists, reads and deletes an object for each nasty name.
    async fn check_round_trip(store: &dyn ObjectStore) {
        let keys: HashSet<Path> = nasty_names().iter().map(|name| key_of_table(name)).collect();
        for key in &keys {
            store.put(key, key.to_string().into()).await.unwrap();
        }
        let listing = store.list_with_delimiter(Some(&Path::from("data/t/d/p"))).await.unwrap();
        assert_eq!(listing.common_prefixes.len(), keys.len());
        let listed: Vec<_> = futures::TryStreamExt::try_collect(store.list(Some(&segments_prefix()))).await.unwrap();
        let listed: HashSet<Path> = listed.into_iter().map(|meta| meta.location).collect();
        assert_eq!(listed, keys);
        for key in &keys {
            let body = store.get(key).await.unwrap().bytes().await.unwrap();
            assert_eq!(body, key.to_string().as_bytes());
            store.delete(key).await.unwrap();
        }
    }

    #[tokio::test]
    async fn nasty_names_survive_every_store() {
        check_round_trip(&InMemory::new()).await;
        check_round_trip(&PrefixStore::new(InMemory::new(), "a/b")).await;
        let folder = tempfile::tempdir().unwrap();
        check_round_trip(&object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap()).await;
    }
}
