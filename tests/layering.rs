//! Arrows between the rooms of `src/` point one way: `server → protocol → {ingest, query} → {catalog, storage} → model`.
//!
//! Reads the sources as text: comments, strings and `#[cfg(test)] mod … { … }` blocks are taken out, then every path that
//! starts with `crate`, `self` or `super` is followed to the room it ends in, groups in `use` included. Sibling `tests.rs`
//! files are tests and are skipped. What only a compiler can see (a glob's names, a macro's output) is not followed.

use std::fs;
use std::path::{Path, PathBuf};

/// A room, the rooms it may use besides itself, and the words it must not know.
struct Room {
    name: &'static str,
    uses: &'static [&'static str],
    unknown: &'static [&'static str],
}

const HTTP: &str = "actix";
const WORLD: [&str; 6] = [HTTP, "object_store", "tokio", "std::fs", "std::net", "SystemTime"];

const ROOMS: [Room; 9] = [
    Room { name: "model", uses: &[], unknown: &WORLD },
    Room { name: "storage", uses: &["model"], unknown: &[HTTP] },
    Room { name: "catalog", uses: &["model", "storage"], unknown: &[HTTP] },
    Room { name: "ingest", uses: &["model", "catalog", "storage"], unknown: &[HTTP] },
    Room { name: "query", uses: &["model", "catalog", "storage"], unknown: &[HTTP] },
    Room {
        name: "protocol",
        uses: &["model", "catalog", "ingest", "query"],
        unknown: &["object_store", "datafusion::parquet"],
    },
    Room {
        name: "server",
        uses: &["model", "storage", "catalog", "ingest", "query", "protocol", "config", "cli"],
        unknown: &[],
    },
    Room { name: "config", uses: &["model"], unknown: &[HTTP, "tokio"] },
    Room { name: "cli", uses: &["model", "config"], unknown: &[HTTP] },
];

/// Rooms within rooms: their own short list of what they may use, and words they must not know on top of the outer room's.
const WIRE_FORMATS: Room = Room { name: "protocol::format", uses: &["model"], unknown: &[HTTP] };

/// The folders of `protocol/` that all protocols share; every other folder is a protocol.
const SHARED_FOLDERS: [&str; 3] = [WIRE_FORMATS_FOLDER, "auth", "encoding"];
const WIRE_FORMATS_FOLDER: &str = "format";

#[test]
fn no_arrow_between_rooms_bends() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src);
    let read = |file: &PathBuf| fs::read_to_string(file).expect("a source file is readable text");
    let sources: Vec<(String, String)> = files.iter().map(|file| (relative(&src, file), read(file))).collect();
    assert!(sources.iter().any(|(name, _)| name == "lib.rs"), "no sources found under {}", src.display());
    let protocols = protocol_folders(&sources);
    let bent: Vec<String> = sources.iter().flat_map(|(name, text)| bent_arrows(name, text, &protocols)).collect();
    assert!(bent.is_empty(), "arrows that bend:\n{}", bent.join("\n"));
}

#[test]
fn a_bent_arrow_is_found_and_named() {
    check("model/time.rs", "use crate::storage::Segment;", Some("src/model/time.rs:1: `model` may not use `storage`"));
    check("storage/fs.rs", "fn f() { crate::query::run() }", Some("`storage` may not use `query`"));
    check("storage/rows/fold.rs", "use super::super::super::catalog::State;", Some("`storage` may not use `catalog`"));
    check("ingest/mod.rs", "use crate::{model::{A, B}, query::C};", Some("`ingest` may not use `query`"));
    check("ingest/mod.rs", "use crate::{model::*, query::*};", Some("`ingest` may not use `query`"));
    check("query/mod.rs", "use\n  super::ingest::Buffer;", Some("src/query/mod.rs:2: `query` may not use `ingest`"));
    check("query/sql/plan.rs", "use actix_web::HttpResponse;", Some("`query` must not know `actix`"));
    check("protocol/format/telnet.rs", "use actix_web::web;", Some("`protocol::format` must not know `actix`"));
    check("protocol/format/telnet.rs", "use crate::ingest::X;", Some("`protocol::format` may not use `ingest`"));
    check("protocol/influxdb/write.rs", "use crate::storage::X;", Some("`protocol` may not use `storage`"));
    check("protocol/influxdb/write.rs", "use crate::protocol::cnosdb::Y;", Some("another protocol's folder, `cnosdb`"));
    check("protocol/influxdb/mod.rs", "use super::cnosdb::Y;", Some("another protocol's folder, `cnosdb`"));
    check("protocol/auth.rs", "use super::cnosdb::Y;", Some("another protocol's folder, `cnosdb`"));
    check(
        "protocol/influxdb/write.rs",
        "use object_store::path::Path;",
        Some("`protocol` must not know `object_store`"),
    );
    check("config.rs", "use crate::server::X;", Some("`config` may not use `server`"));
    check("config/mod.rs", "mod a { use super::super::server::X; }", Some("`config` may not use `server`"));
    check("attic/mod.rs", "", Some("src/attic/mod.rs: `attic` is no room"));
    check("query/a.rs", "#[cfg(not(test))] mod m { use crate::ingest::X; }", Some("`query` may not use `ingest`"));
}

#[test]
fn a_straight_arrow_is_left_alone() {
    check("lib.rs", "pub mod model; use crate::server::X;", None);
    check("main.rs", "use tidegate::server::X;", None);
    check("catalog/mod.rs", "use crate::storage::Segment; use crate::model::TableId;", None);
    check("catalog/mod.rs", "mod x; pub(crate) use self::x::Y; pub(in crate::catalog) fn f() {}", None);
    check("protocol/influxdb/write.rs", "use crate::protocol::format::line_protocol; use super::super::auth;", None);
    check("protocol/mod.rs", "use self::influxdb::routes; pub mod cnosdb;", None);
    check("server/app.rs", "use crate::{config::Settings, protocol::{cnosdb, influxdb}, query};", None);
    check("model/time.rs", "// crate::server is above\n/* crate::server */ const S: &str = \"crate::server\";", None);
    check("model/time.rs", "const S: &str = r#\"a \" crate::server\"#; const C: char = '\"';", None);
    check("model/time.rs", "fn f<'a>(x: &'a str) {} #[cfg(test)] mod tests { use super::super::storage::X; }", None);
    check("storage/tests.rs", "use crate::query::X;", None);
    check("storage/x.rs", "mod inner { use super::super::fs::File; }", None);
    check("query/factor.rs", "let actixish = 1;", None);
}

fn check(file: &str, text: &str, expected: Option<&str>) {
    let protocols = ["influxdb", "cnosdb"].map(String::from);
    let found = bent_arrows(file, text, &protocols);
    match expected {
        None => assert!(found.is_empty(), "{file}: {text}\nfound {found:?}"),
        Some(part) => assert!(found.iter().any(|f| f.contains(part)), "{file}: {text}\nfound {found:?}, not {part}"),
    }
}

/// One line for every bent arrow in the file `name` (relative to `src/`, `/` between parts) with the content `text`.
fn bent_arrows(name: &str, text: &str, protocols: &[String]) -> Vec<String> {
    let module = module_of(name);
    let Some(top) = module.first() else { return Vec::new() };
    if name.ends_with("tests.rs") {
        return Vec::new();
    }
    let Some(room) = ROOMS.iter().find(|room| room.name == top) else {
        return vec![format!("src/{name}: `{top}` is no room that tests/layering.rs knows")];
    };
    let in_formats = module.len() > 1 && top == "protocol" && module[1] == WIRE_FORMATS_FOLDER;
    let room = if in_formats { &WIRE_FORMATS } else { room };

    let tokens = without_tests(tokens(text));
    let mut bent = Vec::new();
    for path in paths(&tokens, &module) {
        let at = format!("src/{name}:{}", path.line);
        match path.segments.first() {
            Some(target) if target != top => {
                let known = ROOMS.iter().any(|room| room.name == target);
                if known && !room.uses.contains(&target.as_str()) {
                    bent.push(format!("{at}: `{}` may not use `{target}`", room.name));
                }
            }
            Some(_) if top == "protocol" => {
                if let Some(folder) = foreign_protocol(&module, &path.segments, protocols) {
                    bent.push(format!("{at}: it may not use another protocol's folder, `{folder}`"));
                }
            }
            _ => {}
        }
    }
    for word in room.unknown {
        if let Some(line) = first_use(&tokens, word) {
            bent.push(format!("src/{name}:{line}: `{}` must not know `{word}`", room.name));
        }
    }
    bent.dedup();
    bent
}

/// The protocol folder that `target` reaches into from `module`, if it is not its own.
fn foreign_protocol<'a>(module: &[String], target: &'a [String], protocols: &[String]) -> Option<&'a str> {
    let folder = target.get(1).filter(|folder| protocols.contains(folder))?;
    // protocol/mod.rs declares them all
    let own = module.len() == 1 || module[1] == *folder;
    (!own).then_some(folder)
}

/// `a/b/c.rs` is module `a::b::c`, `a/b/mod.rs` is `a::b`; `lib.rs` and `main.rs` are the root.
fn module_of(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = name.trim_end_matches(".rs").split('/').map(String::from).collect();
    if parts.last().is_some_and(|last| last == "mod") || ["lib.rs", "main.rs"].contains(&name) {
        parts.pop();
    }
    parts
}

fn protocol_folders(sources: &[(String, String)]) -> Vec<String> {
    let inside = sources.iter().filter_map(|(name, _)| name.strip_prefix("protocol/"));
    let folders = inside.filter_map(|rest| rest.split_once('/')).map(|(folder, _)| folder);
    folders.filter(|folder| !SHARED_FOLDERS.contains(folder)).map(String::from).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder is readable") {
        let path = entry.expect("a folder's entry is readable").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn relative(src: &Path, file: &Path) -> String {
    let inner = file.strip_prefix(src).expect("the file was found under src");
    inner.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// A word, `::`, or one other character, and the line it is on.
#[derive(Clone, Debug)]
struct Token {
    text: String,
    line: usize,
}

impl Token {
    fn is(&self, text: &str) -> bool {
        self.text == text
    }

    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    }
}

/// Splits Rust text into tokens, without comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(c) = rest.chars().next() {
        let skipped = skipped_length(rest);
        let length = if skipped > 0 {
            skipped
        } else if c.is_alphanumeric() || c == '_' {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            c.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        if skipped == 0 && !c.is_whitespace() {
            out.push(Token { text: token.to_string(), line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    out
}

/// Bytes of the comment, string, character or lifetime that `text` starts with; 0 if it starts with none.
fn skipped_length(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment_length(text);
    }
    let after_prefix = ["br", "cr", "r", "b", "c"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    let prefix = text.len() - after_prefix.len();
    let raw = text[..prefix].ends_with('r');
    let hashes = after_prefix.len() - after_prefix.trim_start_matches('#').len();
    if raw && after_prefix[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let body = prefix + hashes + 1;
        return text[body..].find(&end).map_or(text.len(), |at| body + at + end.len());
    }
    if !raw && after_prefix.starts_with('"') {
        return prefix + quoted_length(after_prefix, '"');
    }
    if let Some(inside) = text.strip_prefix('\'') {
        let mut inside = inside.chars();
        let (first, second) = (inside.next(), inside.next());
        let is_character = first == Some('\\') || second == Some('\'');
        return if is_character { quoted_length(text, '\'') } else { 1 };
    }
    0
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(next) = text[at..].find(['/', '*']).map(|found| at + found) {
        at = next + 1;
        if text[next..].starts_with("/*") {
            (depth, at) = (depth + 1, next + 2);
        } else if text[next..].starts_with("*/") {
            (depth, at) = (depth - 1, next + 2);
            if depth == 0 {
                return at;
            }
        }
    }
    text.len()
}

/// Takes `#[cfg(test)] mod name { … }` out. Other uses of `#[cfg(test)]` stay: they are part of the room.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const MARK: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let marked = tokens[at..].iter().map(|token| token.text.as_str()).take(MARK.len()).eq(MARK);
        let block = at + MARK.len() + 1;
        if marked && tokens.get(block).is_some_and(|token| token.is("{")) {
            at = block + block_length(&tokens[block..]);
        } else {
            out.push(tokens[at].clone());
            at += 1;
        }
    }
    out
}

/// Tokens up to the brace that closes the one `tokens` starts with.
fn block_length(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        depth += i32::from(token.is("{")) - i32::from(token.is("}"));
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// A path from the crate's root.
struct Found {
    segments: Vec<String>,
    line: usize,
}

/// Every path in `tokens` that starts with `crate`, `self` or `super`, made absolute from `module`.
fn paths(tokens: &[Token], module: &[String]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut inline: Vec<(String, i32)> = Vec::new(); // inline modules we are in, and the depth they opened at
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inline.retain(|(_, opened)| depth > *opened);
            }
            "mod" if tokens.get(at + 2).is_some_and(|token| token.is("{")) => {
                inline.push((tokens[at + 1].text.clone(), depth));
            }
            "crate" | "self" | "super"
                if at.checked_sub(1).is_none_or(|before| !tokens[before].is("::"))
                    && tokens.get(at + 1).is_some_and(|token| token.is("::")) =>
            {
                let here: Vec<String> =
                    module.iter().cloned().chain(inline.iter().map(|(name, _)| name.clone())).collect();
                follow(tokens, at, here, true, &mut found);
            }
            _ => {}
        }
    }
    found
}

/// Reads one path, or one group of a `use` tree, from `at` on, below `base`; answers where it ended.
fn follow(tokens: &[Token], mut at: usize, mut base: Vec<String>, mut first: bool, found: &mut Vec<Found>) -> usize {
    let line = tokens[at].line;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "crate" if first => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
            }
            "{" => {
                at += 1;
                while let Some(token) = tokens.get(at).filter(|token| !token.is("}")) {
                    let starts_path = token.is_word() || token.is("{");
                    at = if starts_path { follow(tokens, at, base.clone(), false, found) } else { at + 1 };
                }
                return at + 1;
            }
            _ if token.is_word() => base.push(token.text.clone()),
            _ => break,
        }
        first = false;
        at += 1;
        if tokens.get(at).is_some_and(|token| token.is("as")) {
            at += 2;
        }
        if tokens.get(at).is_none_or(|token| !token.is("::")) {
            break;
        }
        at += 1;
    }
    found.push(Found { segments: base, line });
    at
}

/// Line of the first path that holds `word`: `a::b` in full, or a single word as a name's beginning up to `_` or its end.
fn first_use(tokens: &[Token], word: &str) -> Option<usize> {
    let parts: Vec<&str> = word.split("::").collect();
    let wanted: Vec<&str> = parts.iter().flat_map(|part| ["::", *part]).skip(1).collect();
    let same = |token: &Token, wanted: &str| {
        token
            .text
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || (parts.len() == 1 && rest.starts_with('_')))
    };
    let here = |window: &&[Token]| window.iter().zip(&wanted).all(|(token, wanted)| same(token, wanted));
    tokens.windows(wanted.len()).find(here).map(|window| window[0].line)
}
