//! Commits and snapshots as objects: one header line, then JSON that a person can read.
//!
//! ```text
//! tidegate-commit 3 5f0c…-uuid crc32=89abcdef
//! {"number":17,"writer":"…","epoch":12,"changes":[{"do":"flushed",…},…]}
//! ```
//! The id tells a writer whose answer was lost whether the object under its number is its own. The checksum covers
//! the id and the JSON. Format 1 knew no epochs, writers and horizons; a commit of it reads as one of epoch 0. Format 2 knew
//! no declared columns and no named series, format 3 no renamed tables.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::change::Change;
use super::error::CatalogError;

/// Version of both forms; readers refuse what is newer.
pub const CHAIN_FORMAT: u32 = 4;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    Commit,
    Snapshot,
}

impl DocumentKind {
    fn magic(self) -> &'static str {
        match self {
            DocumentKind::Commit => "tidegate-commit",
            DocumentKind::Snapshot => "tidegate-snapshot",
        }
    }
}

/// One commit, or the whole state up to `number`.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub id: Uuid,
    pub number: u64,
    pub writer: Uuid,
    /// When the writer opened the chain, see [`Change::OpenWriter`].
    pub epoch: u64,
    pub changes: Vec<Change>,
}

#[derive(Serialize, Deserialize)]
struct Body<C> {
    number: u64,
    writer: Uuid,
    #[serde(default)]
    epoch: u64,
    changes: C,
}

impl Document {
    pub fn encode(&self, kind: DocumentKind) -> Bytes {
        let body = Body { number: self.number, writer: self.writer, epoch: self.epoch, changes: &self.changes };
        let json = serde_json::to_vec(&body).expect("changes are plain data with string keys");
        let crc = checksum(self.id, &json);
        let mut out = format!("{} {CHAIN_FORMAT} {} crc32={crc:08x}\n", kind.magic(), self.id).into_bytes();
        out.extend_from_slice(&json);
        out.push(b'\n');
        out.into()
    }

    /// Reads `bytes`, the object called `object`, which must hold number `number`.
    pub fn decode(kind: DocumentKind, object: &str, number: u64, bytes: &[u8]) -> Result<Document, CatalogError> {
        let corrupt = |what: &str| CatalogError::Corrupt { object: object.to_string(), what: what.to_string() };
        let line_end = memchr::memchr(b'\n', bytes).ok_or_else(|| corrupt("the header line is missing"))?;
        let header = std::str::from_utf8(&bytes[..line_end]).map_err(|_| corrupt("the header line is not text"))?;
        let json = bytes[line_end + 1..].strip_suffix(b"\n").ok_or_else(|| corrupt("its end is missing"))?;
        let words: Vec<&str> = header.split(' ').collect();
        let [magic, format, id, crc] = words[..] else { return Err(corrupt("the header line has another form")) };
        if magic != kind.magic() {
            return Err(corrupt("it is no such document"));
        }
        let found: u32 = format.parse().map_err(|_| corrupt("the format is not a number"))?;
        if found > CHAIN_FORMAT {
            return Err(CatalogError::NewerFormat { object: object.to_string(), found, known: CHAIN_FORMAT });
        }
        let id: Uuid = id.parse().map_err(|_| corrupt("the id is not a UUID"))?;
        let crc = crc.strip_prefix("crc32=").and_then(|c| u32::from_str_radix(c, 16).ok());
        if crc != Some(checksum(id, json)) {
            return Err(corrupt("the checksum does not match"));
        }
        let body: Body<Vec<Change>> = serde_json::from_slice(json).map_err(|e| corrupt(&e.to_string()))?;
        if body.number != number {
            return Err(corrupt(&format!("it says that it is number {}", body.number)));
        }
        Ok(Document { id, number, writer: body.writer, epoch: body.epoch, changes: body.changes })
    }
}

fn checksum(id: Uuid, json: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(id.as_bytes());
    hasher.update(json);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TableId;

    fn document() -> Document {
        let changes = vec![Change::Flushed { table: TableId(4), writer: Uuid::from_u128(7), through: 12 }];
        Document { id: Uuid::from_u128(1), number: 3, writer: Uuid::from_u128(2), epoch: 2, changes }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for kind in [DocumentKind::Commit, DocumentKind::Snapshot] {
            let bytes = document().encode(kind);
            assert_eq!(Document::decode(kind, "x", 3, &bytes).unwrap(), document());
        }
    }

    #[test]
    fn any_flipped_byte_is_noticed() {
        let bytes = document().encode(DocumentKind::Commit);
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x20;
            // Hex digits and UUIDs read the same in either case: then nothing was lost.
            if let Ok(read) = Document::decode(DocumentKind::Commit, "x", 3, &damaged) {
                assert_eq!(read, document(), "byte {at}");
            }
        }
    }

    #[test]
    fn a_cut_is_noticed_at_every_length() {
        let bytes = document().encode(DocumentKind::Commit);
        for length in 0..bytes.len() {
            assert!(Document::decode(DocumentKind::Commit, "x", 3, &bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn newer_formats_and_misplaced_documents_are_refused() {
        let text = String::from_utf8(document().encode(DocumentKind::Commit).to_vec()).unwrap();
        let newer = text.replacen("tidegate-commit 4", "tidegate-commit 5", 1);
        let error = Document::decode(DocumentKind::Commit, "x", 3, newer.as_bytes()).unwrap_err();
        assert!(matches!(error, CatalogError::NewerFormat { found: 5, .. }));
        assert!(Document::decode(DocumentKind::Commit, "x", 4, text.as_bytes()).is_err());
        assert!(Document::decode(DocumentKind::Snapshot, "x", 3, text.as_bytes()).is_err());
    }
}
