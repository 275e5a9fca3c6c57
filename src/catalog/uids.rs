//! Numbers for names: OpenTSDB's UIDs of metrics, tag keys and tag values, and the TSUIDs made of them.
//!
//! A name gets its number when someone first asks for it, many at once and in the order of the names, in one commit; from then on it
//! keeps it, on every process of the store. Writing points asks for none. Numbers are kept as documents of a
//! thousand names, so that a new name costs a small commit however many there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::change::Change;
use super::error::CatalogError;
use super::handle::Catalog;
use super::renames::Renamed;
use super::state::CatalogState;

const COLLECTION: &str = "opentsdb.uids";
/// Names a document.
const BLOCK: usize = 1_000;
/// OpenTSDB's numbers have three bytes, and 0 is none.
const UID_MAX: usize = 0xFF_FFFF;
/// Hexadecimal digits of a number.
const DIGITS: usize = 6;

/// What a number stands for; the three count apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UidKind {
    Metric,
    Tagk,
    Tagv,
}

impl UidKind {
    pub const ALL: [UidKind; 3] = [UidKind::Metric, UidKind::Tagk, UidKind::Tagv];

    /// As requests say it, and keys of documents.
    pub fn as_str(self) -> &'static str {
        match self {
            UidKind::Metric => "metric",
            UidKind::Tagk => "tagk",
            UidKind::Tagv => "tagv",
        }
    }

    /// As messages about unknown names say it.
    pub fn plural(self) -> &'static str {
        match self {
            UidKind::Metric => "metrics",
            UidKind::Tagk => "tagk",
            UidKind::Tagv => "tagv",
        }
    }
}

/// A name's number. Prints as six upper-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(u32);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06X}", self.0)
    }
}

/// The text is no number of a name or series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not made of numbers of six hexadecimal digits")]
pub struct NotAUid;

impl FromStr for Uid {
    type Err = NotAUid;

    fn from_str(text: &str) -> Result<Self, NotAUid> {
        let is_hex = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, 16).ok().filter(|number| is_hex && *number > 0);
        number.map(Uid).ok_or(NotAUid)
    }
}

/// A series by numbers: its metric, and its tags in the order of their keys' numbers. Prints as one hexadecimal text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tsuid {
    pub metric: Uid,
    pub tags: Vec<(Uid, Uid)>,
}

impl Tsuid {
    pub fn new(metric: Uid, mut tags: Vec<(Uid, Uid)>) -> Self {
        tags.sort_unstable();
        Tsuid { metric, tags }
    }
}

impl fmt::Display for Tsuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.metric.fmt(f)?;
        self.tags.iter().try_for_each(|(key, value)| write!(f, "{key}{value}"))
    }
}

impl FromStr for Tsuid {
    type Err = NotAUid;

    /// Takes digits of either case.
    fn from_str(text: &str) -> Result<Self, NotAUid> {
        if !text.is_ascii() {
            return Err(NotAUid);
        }
        let numbers =
            text.as_bytes().chunks(DIGITS).map(|digits| std::str::from_utf8(digits).map_err(|_| NotAUid)?.parse());
        let numbers = numbers.collect::<Result<Vec<Uid>, _>>()?;
        let (metric, tags) = numbers.split_first().ok_or(NotAUid)?;
        if tags.len() % 2 != 0 {
            return Err(NotAUid);
        }
        Ok(Tsuid::new(*metric, tags.chunks(2).map(|pair| (pair[0], pair[1])).collect()))
    }
}

/// Metric and tags of a series by name.
pub type NamedSeries = (Arc<str>, Vec<(Arc<str>, Arc<str>)>);

/// All numbers of a store, looked up from memory.
#[derive(Debug)]
pub struct Uids {
    catalog: Arc<Catalog>,
    index: RwLock<Index>,
}

#[derive(Debug, Default)]
struct Index {
    /// Of the state that was read last.
    version: u64,
    kinds: BTreeMap<UidKind, Names>,
    blocks: BTreeMap<String, Arc<Value>>,
}

#[derive(Debug, Default)]
struct Names {
    by_name: BTreeMap<Arc<str>, Uid>,
    by_uid: BTreeMap<Uid, Arc<str>>,
}

impl Uids {
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Uids { catalog, index: RwLock::default() }
    }

    /// The number of a name, if it has one.
    pub fn find(&self, kind: UidKind, name: &str) -> Option<Uid> {
        self.read(|index| index.kinds.get(&kind)?.by_name.get(name).copied())
    }

    pub fn name(&self, kind: UidKind, uid: Uid) -> Option<Arc<str>> {
        self.read(|index| index.kinds.get(&kind)?.by_uid.get(&uid).cloned())
    }

    /// Names that have a number and begin with `prefix`, sorted by bytes.
    pub fn starting_with(&self, kind: UidKind, prefix: &str) -> Vec<Arc<str>> {
        let found = |names: &Names| {
            let from = names.by_name.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
            from.take_while(|(name, _)| name.starts_with(prefix)).map(|(name, _)| name.clone()).collect()
        };
        self.read(|index| index.kinds.get(&kind).map(found)).unwrap_or_default()
    }

    /// How many names of a kind have a number.
    pub fn count(&self, kind: UidKind) -> usize {
        self.read(|index| index.kinds.get(&kind).map_or(0, |names| names.by_name.len()))
    }

    /// The names' numbers, in the order asked for. Those without one get the next ones, in the order of the names, in one
    /// commit; durable on `Ok`. Errors: those of the catalog, on a process that does not write too.
    pub async fn ensure(&self, wanted: &[(UidKind, &str)]) -> Result<Vec<Uid>, CatalogError> {
        let known = |this: &Self| wanted.iter().map(|(kind, name)| this.find(*kind, name)).collect::<Option<Vec<_>>>();
        if let Some(uids) = known(self) {
            return Ok(uids);
        }
        let missing = wanted.iter().filter(|(kind, name)| self.find(*kind, name).is_none());
        let missing: BTreeSet<(UidKind, String)> = missing.map(|(kind, name)| (*kind, name.to_string())).collect();
        self.catalog.check_writable()?;
        self.catalog.update(move |state| plan(state, &missing)).await?;
        known(self).ok_or(CatalogError::UidsUsedUp)
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The text of a series' TSUID; its names get numbers when they have none.
    pub async fn tsuids(&self, series: &[(&str, Vec<(&str, &str)>)]) -> Result<Vec<Tsuid>, CatalogError> {
        let mut wanted = Vec::new();
        for (metric, tags) in series {
            wanted.push((UidKind::Metric, *metric));
            wanted.extend(tags.iter().flat_map(|(key, value)| [(UidKind::Tagk, *key), (UidKind::Tagv, *value)]));
        }
        let mut uids = self.ensure(&wanted).await?.into_iter();
        let mut next = || uids.next().expect("a number for each name asked for");
        Ok(series.iter().map(|(_, tags)| Tsuid::new(next(), tags.iter().map(|_| (next(), next())).collect())).collect())
    }

    /// The names in a TSUID. `Err`: the number that stands for nothing, and what it should stand for.
    pub fn named(&self, tsuid: &Tsuid) -> Result<NamedSeries, (UidKind, Uid)> {
        let name = |kind, uid| self.name(kind, uid).ok_or((kind, uid));
        let tags = tsuid.tags.iter().map(|(key, value)| Ok((name(UidKind::Tagk, *key)?, name(UidKind::Tagv, *value)?)));
        Ok((name(UidKind::Metric, tsuid.metric)?, tags.collect::<Result<_, _>>()?))
    }

    fn read<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        let state = self.catalog.state();
        {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            if index.version >= state.version {
                return look(&index);
            }
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.follow(&state);
        look(&index)
    }
}

impl Index {
    /// Reads the documents that are new since the last time.
    fn follow(&mut self, state: &CatalogState) {
        if state.version <= self.version && self.version > 0 {
            return;
        }
        self.version = state.version;
        for (key, document) in state.documents(COLLECTION) {
            let old = self.blocks.get(key);
            if old.is_some_and(|old| Arc::ptr_eq(old, document)) {
                continue;
            }
            let Some((kind, number)) = parse_key(key) else { continue };
            let names = self.kinds.entry(kind).or_default();
            let (old, new) = (old.map(|old| texts(old)).unwrap_or_default(), texts(document));
            for (at, name) in new.iter().enumerate() {
                if old.get(at) == Some(name) {
                    continue;
                }
                let (name, uid) = (Arc::<str>::from(*name), Uid((number * BLOCK + at + 1) as u32));
                // Another one may have been given the old name since.
                if let Some(renamed) = old.get(at).filter(|renamed| names.by_name.get(**renamed) == Some(&uid)) {
                    names.by_name.remove(*renamed);
                }
                names.by_name.insert(name.clone(), uid);
                names.by_uid.insert(uid, name);
            }
            self.blocks.insert(key.to_string(), document.clone());
        }
    }
}

fn texts(document: &Value) -> Vec<&str> {
    document.as_array().map(|names| names.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn block_key(kind: UidKind, number: usize) -> String {
    format!("{}/{number:05}", kind.as_str())
}

fn parse_key(key: &str) -> Option<(UidKind, usize)> {
    let (kind, number) = key.split_once('/')?;
    Some((UidKind::ALL.into_iter().find(|known| known.as_str() == kind)?, number.parse().ok()?))
}

fn block(state: &CatalogState, kind: UidKind, number: usize) -> Vec<String> {
    let document = state.document(COLLECTION, &block_key(kind, number));
    document.map(|document| texts(document).into_iter().map(String::from).collect()).unwrap_or_default()
}

/// The documents of a kind.
fn blocks(state: &CatalogState, kind: UidKind) -> impl Iterator<Item = &Arc<Value>> {
    state.documents(COLLECTION).filter(move |(key, _)| parse_key(key).is_some_and(|(of, _)| of == kind)).map(|(_, b)| b)
}

fn put_block(kind: UidKind, number: usize, names: &[String]) -> Change {
    let value = Value::from(names.to_vec());
    Change::PutDocument { collection: COLLECTION.to_string(), key: block_key(kind, number), value }
}

/// The step that gives a name's number to another name; `None` when it has it already.
pub(super) fn renamed_uid(
    state: &CatalogState,
    kind: UidKind,
    uid: Uid,
    old: &str,
    new: &str,
) -> Result<Option<Change>, Renamed> {
    let place = uid.0 as usize - 1;
    let mut names = block(state, kind, place / BLOCK);
    match names.get_mut(place % BLOCK) {
        Some(name) if *name == new => return Ok(None),
        Some(name) if *name == old => name.replace_range(.., new),
        _ => return Err(Renamed::Missing),
    }
    if blocks(state, kind).any(|document| texts(document).contains(&new)) {
        return Err(Renamed::Taken);
    }
    Ok(Some(put_block(kind, place / BLOCK, &names)))
}

/// The steps that give the next numbers to those of `wanted` that have none in `state`.
fn plan(state: &CatalogState, wanted: &BTreeSet<(UidKind, String)>) -> Result<Vec<Change>, CatalogError> {
    let mut changes = Vec::new();
    for kind in UidKind::ALL {
        let blocks: Vec<_> = blocks(state, kind).collect();
        let known: BTreeSet<&str> = blocks.iter().flat_map(|document| texts(document)).collect();
        let mut fresh = wanted.iter().filter(|(of, name)| *of == kind && !known.contains(name.as_str())).peekable();
        let mut number = blocks.len().saturating_sub(1);
        while fresh.peek().is_some() {
            let mut names = block(state, kind, number);
            names.extend(fresh.by_ref().take(BLOCK - names.len()).map(|(_, name)| name.clone()));
            if number * BLOCK + names.len() > UID_MAX {
                return Err(CatalogError::UidsUsedUp);
            }
            changes.push(put_block(kind, number, &names));
            number += 1;
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests;
