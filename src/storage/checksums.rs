//! Checksums of a segment: the Parquet writer sets none, so a flipped bit in a page could decode to another value.
//!
//! ```text
//! body   pages, filters of words: blocks of `block_bytes`, the last one shorter
//! tail   page indexes
//!        CRC-32 of each block of the body, little endian
//!        Parquet footer, its length, "PAR1"
//! ```
//! The catalog entry holds the CRC-32 of the tail, and the commit that holds the entry has its own: so every byte is
//! vouched for. Parquet's offsets count from the start and its footer is found from the end, so other readers step over
//! the checksums without knowing of them.
//!
//! Pure functions over bytes; who fetches them is [`checked_read`](super::checked_read).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::damage::Damage;

/// Block size of new segments. A reader fetches whole blocks, so each stretch it wants grows by about one block; smaller ones
/// would save bytes that cost no time beside a request, and make the checksums, which are read with every footer, longer.
pub const BLOCK_BYTES: u32 = 32 * 1024;
const CRC_BYTES: usize = 4;
/// Length of the footer, and the magic.
const TRAILER_BYTES: usize = 8;

/// What a segment's catalog entry says of its checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentChecks {
    pub block_bytes: u32,
    /// Of everything behind the body, the blocks' checksums included.
    pub tail_crc32: u32,
}

/// Puts the checksums of `object[..body]` in front of the footer of a whole Parquet file. `None` when it is no such file.
pub(super) fn seal(mut object: Vec<u8>, body: usize) -> Option<(Bytes, SegmentChecks)> {
    let footer = footer_start(&object).filter(|start| *start >= body)?;
    let crcs = object[..body].chunks(BLOCK_BYTES as usize).flat_map(|block| crc32fast::hash(block).to_le_bytes());
    let crcs: Vec<u8> = crcs.collect();
    object.splice(footer..footer, crcs);
    let checks = SegmentChecks { block_bytes: BLOCK_BYTES, tail_crc32: crc32fast::hash(&object[body..]) };
    Some((object.into(), checks))
}

/// Where the footer starts in `tail`, the end of a Parquet file.
fn footer_start(tail: &[u8]) -> Option<usize> {
    let trailer = tail.last_chunk::<TRAILER_BYTES>()?;
    let footer_bytes = u32::from_le_bytes(*trailer.first_chunk()?) as usize;
    tail.len().checked_sub(TRAILER_BYTES)?.checked_sub(footer_bytes)
}

/// The checksums of a body, themselves known to be right.
#[derive(Debug, Clone)]
pub struct BlockChecksums {
    block_bytes: u64,
    body_bytes: u64,
    crcs: Arc<[u32]>,
}

impl BlockChecksums {
    /// Takes the checksums out of `tail`, which is all that follows a body of `body_bytes`, after checking it.
    pub fn read(checks: &SegmentChecks, body_bytes: u64, tail: &[u8]) -> Result<BlockChecksums, Damage> {
        if crc32fast::hash(tail) != checks.tail_crc32 {
            return Err(Damage::Checksum { bytes: body_bytes..body_bytes + tail.len() as u64 });
        }
        let odd = || Damage::Unreadable("the checksums are not where they should be".to_string());
        let block_bytes = u64::from(checks.block_bytes);
        let blocks =
            body_bytes.checked_div(block_bytes).ok_or_else(odd)? + u64::from(!body_bytes.is_multiple_of(block_bytes));
        let length = usize::try_from(blocks).ok().and_then(|blocks| blocks.checked_mul(CRC_BYTES)).ok_or_else(odd)?;
        let end = footer_start(tail).ok_or_else(odd)?;
        let start = end.checked_sub(length).ok_or_else(odd)?;
        let (crcs, _) = tail[start..end].as_chunks::<CRC_BYTES>();
        Ok(BlockChecksums { block_bytes, body_bytes, crcs: crcs.iter().map(|crc| u32::from_le_bytes(*crc)).collect() })
    }

    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Bytes of memory.
    pub fn memory_size(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.crcs)
    }

    /// The blocks that `range`, a part of the body, lies in.
    pub fn cover(&self, range: &Range<u64>) -> Range<u64> {
        let start = range.start - range.start % self.block_bytes;
        let end = range.end.div_ceil(self.block_bytes) * self.block_bytes;
        start..end.min(self.body_bytes)
    }

    /// Checks `bytes`, the whole blocks that start at `offset`.
    pub fn check(&self, offset: u64, bytes: &[u8]) -> Result<(), Damage> {
        let first = (offset / self.block_bytes) as usize;
        for (at, block) in bytes.chunks(self.block_bytes as usize).enumerate() {
            if self.crcs.get(first + at) != Some(&crc32fast::hash(block)) {
                let start = (first + at) as u64 * self.block_bytes;
                return Err(Damage::Checksum { bytes: start..start + block.len() as u64 });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of `body` bytes, an "index" and a footer.
    fn object(body: usize) -> (Vec<u8>, SegmentChecks) {
        let mut plain: Vec<u8> = (0..body).map(|i| (i % 251) as u8).collect();
        plain.extend(b"index");
        plain.extend(b"footer");
        plain.extend(6u32.to_le_bytes());
        plain.extend(b"PAR1");
        let (sealed, checks) = seal(plain, body).unwrap();
        (sealed.to_vec(), checks)
    }

    const BLOCK: usize = BLOCK_BYTES as usize;

    fn check(object: &[u8], body: usize, checks: &SegmentChecks) -> Result<(), Damage> {
        let crcs = BlockChecksums::read(checks, body as u64, &object[body..])?;
        crcs.check(0, &object[..body])
    }

    #[test]
    fn checksums_stand_between_the_body_and_the_footer() {
        for (body, blocks) in [(0, 0), (1, 1), (BLOCK, 1), (BLOCK + 1, 2), (3 * BLOCK - 1, 3)] {
            let (object, checks) = object(body);
            assert_eq!(object.len(), body + "index".len() + 4 * blocks + "footer".len() + 8, "{body}");
            assert!(object[body..].starts_with(b"index") && object.ends_with(b"footer\x06\0\0\0PAR1"), "{body}");
            check(&object, body, &checks).unwrap();
        }
    }

    #[test]
    fn every_flipped_bit_is_found_and_its_block_is_named() {
        let body = 2 * BLOCK + 100;
        let (mut object, checks) = object(body);
        // Every byte of the shorter parts, and some of each block.
        let places = (0..2 * BLOCK).step_by(997).chain(2 * BLOCK..object.len());
        for at in places {
            for bit in 0..8 {
                object[at] ^= 1 << bit;
                let start = at / BLOCK * BLOCK;
                let named = if at < body { start..(start + BLOCK).min(body) } else { body..object.len() };
                let found = check(&object, body, &checks).unwrap_err();
                assert_eq!(found, Damage::Checksum { bytes: named.start as u64..named.end as u64 }, "byte {at}");
                object[at] ^= 1 << bit;
            }
        }
        check(&object, body, &checks).unwrap();
    }

    #[test]
    fn what_is_read_is_widened_to_whole_blocks() {
        let body = 2 * BLOCK + 100;
        let (object, checks) = object(body);
        let crcs = BlockChecksums::read(&checks, body as u64, &object[body..]).unwrap();
        let block = BLOCK as u64;
        for (range, expected) in [
            (0..1, 0..block),
            (block - 1..block + 1, 0..2 * block),
            (block..2 * block, block..2 * block),
            (2 * block + 5..2 * block + 6, 2 * block..2 * block + 100),
        ] {
            assert_eq!(crcs.cover(&range), expected, "{range:?}");
            crcs.check(expected.start, &object[expected.start as usize..expected.end as usize]).unwrap();
        }
        // A block in the place of another one is damage too.
        crcs.check(block, &object[..BLOCK]).unwrap_err();
        crcs.check(2 * block, &object[2 * BLOCK..2 * BLOCK + 99]).unwrap_err();
    }

    #[test]
    fn entries_that_cannot_be_true_are_damage_and_no_panic() {
        let (object, checks) = object(100);
        let tail_crc32 = |tail: &[u8]| crc32fast::hash(tail);
        for block_bytes in [0, 1, 2] {
            let checks = SegmentChecks { block_bytes, ..checks };
            let read = BlockChecksums::read(&checks, 100, &object[100..]);
            assert!(matches!(read, Err(Damage::Unreadable(_))), "{block_bytes}");
        }
        for tail in [&b""[..], b"short", b"\xff\xff\xff\xffPAR1"] {
            let checks = SegmentChecks { block_bytes: 10, tail_crc32: tail_crc32(tail) };
            assert!(matches!(BlockChecksums::read(&checks, 100, tail), Err(Damage::Unreadable(_))), "{tail:?}");
            assert!(seal(tail.to_vec(), 0).is_none() || tail.is_empty());
        }
    }
}
