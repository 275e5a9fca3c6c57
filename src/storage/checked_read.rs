//! Reads of segments that are checked before anyone looks at them.
//!
//! Owns: which bytes are fetched, that none is handed out unchecked, that a read that came damaged is tried once more.
//! Segments from before checksums are only checked for their size.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};

use super::checksums::BlockChecksums;
use super::damage::{Damage, DamagedSegment, DamagedSegments};
use super::segment::Segment;

/// Why bytes of a segment are not there.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Damaged(#[from] DamagedSegment),
    /// The store does not have the object: damage while the segment is live, and no news for one that was merged away. Whoever
    /// reads knows which, and calls it [`Damage::Missing`] through [`SegmentObject::damaged`].
    #[error("the store does not have it")]
    Missing,
    #[error(transparent)]
    Store(#[from] object_store::Error),
}

/// What follows a segment's body.
#[derive(Debug)]
pub struct Tail {
    /// The last [`Segment::footer_bytes`] of the object.
    pub bytes: Bytes,
    /// `None` for a segment from before checksums.
    pub checksums: Option<BlockChecksums>,
}

/// One segment's object.
#[derive(Debug, Clone)]
pub struct SegmentObject {
    store: Arc<dyn ObjectStore>,
    segment: Arc<Segment>,
    path: Path,
    damaged: Arc<DamagedSegments>,
}

impl SegmentObject {
    pub fn new(
        store: Arc<dyn ObjectStore>,
        segment: Arc<Segment>,
        damaged: Arc<DamagedSegments>,
    ) -> Result<Self, object_store::Error> {
        let path = Path::parse(&segment.path)?;
        Ok(SegmentObject { store, segment, path, damaged })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the tail starts.
    fn body_bytes(&self) -> u64 {
        self.segment.size_bytes.saturating_sub(self.segment.footer_bytes)
    }

    /// The damage as an error that names the segment; it is counted and logged.
    pub fn damaged(&self, damage: Damage) -> DamagedSegment {
        let damaged = DamagedSegment { path: self.segment.path.clone(), damage };
        self.damaged.report(&damaged);
        damaged
    }

    /// Reads page indexes, checksums and footer: one request.
    pub async fn tail(&self) -> Result<Tail, ReadError> {
        match self.try_tail().await? {
            Ok(tail) => Ok(tail),
            Err(first) => match self.try_tail().await? {
                Ok(tail) => {
                    self.damaged.report_repeated(&self.segment.path, &first);
                    Ok(tail)
                }
                Err(damage) => Err(self.damaged(damage).into()),
            },
        }
    }

    async fn try_tail(&self) -> Result<Result<Tail, Damage>, ReadError> {
        let range = self.body_bytes()..self.segment.size_bytes;
        let options = GetOptions::new().with_range(Some(range.clone()));
        let found = match self.store.get_opts(&self.path, options).await {
            Ok(found) => found,
            Err(error) => return self.explain(error).await.map(Err),
        };
        let size = found.meta.size;
        if size != self.segment.size_bytes {
            return Ok(Err(Damage::Size { expected: self.segment.size_bytes, found: size }));
        }
        let bytes = found.bytes().await?;
        if let Err(damage) = check_length(&range, &bytes) {
            return Ok(Err(damage));
        }
        let Some(checks) = &self.segment.checks else { return Ok(Ok(Tail { bytes, checksums: None })) };
        let checksums = BlockChecksums::read(checks, self.body_bytes(), &bytes);
        Ok(checksums.map(|checksums| Tail { bytes, checksums: Some(checksums) }))
    }

    /// Reads `ranges` of the body: no more requests than for the ranges themselves. Returns them, and how many bytes were fetched.
    pub async fn ranges(
        &self,
        checksums: Option<&BlockChecksums>,
        ranges: &[Range<u64>],
    ) -> Result<(Vec<Bytes>, u64), ReadError> {
        let Some(checksums) = checksums else {
            let found = self.fetch(ranges).await?;
            for (range, bytes) in ranges.iter().zip(&found) {
                check_length(range, bytes).map_err(|damage| self.damaged(damage))?;
            }
            return Ok((found, ranges.iter().map(|range| range.end - range.start).sum()));
        };
        if let Some(beyond) = ranges.iter().find(|range| range.start > range.end || range.end > checksums.body_bytes())
        {
            let what = format!("its footer speaks of bytes {}..{}", beyond.start, beyond.end);
            return Err(self.damaged(Damage::Unreadable(what)).into());
        }
        let blocks = merged(ranges.iter().map(|range| checksums.cover(range)).collect());
        let mut found = self.fetch(&blocks).await?;
        for (range, bytes) in blocks.iter().zip(&mut found) {
            self.check_or_repeat(checksums, range, bytes).await?;
        }
        let wanted = ranges.iter().map(|range| slice(&blocks, &found, range)).collect();
        Ok((wanted, blocks.iter().map(|range| range.end - range.start).sum()))
    }

    async fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        match self.store.get_ranges(&self.path, ranges).await {
            Ok(found) => Ok(found),
            Err(error) => {
                let damage = self.explain(error).await?;
                Err(self.damaged(damage).into())
            }
        }
    }

    /// Checks blocks; those that came damaged are read once more.
    async fn check_or_repeat(
        &self,
        checksums: &BlockChecksums,
        range: &Range<u64>,
        bytes: &mut Bytes,
    ) -> Result<(), ReadError> {
        let check = |bytes: &Bytes| check_length(range, bytes).and_then(|()| checksums.check(range.start, bytes));
        let Err(first) = check(bytes) else { return Ok(()) };
        *bytes = self.fetch(std::slice::from_ref(range)).await?.into_iter().next().unwrap_or_default();
        check(bytes).map_err(|damage| self.damaged(damage))?;
        self.damaged.report_repeated(&self.segment.path, &first);
        Ok(())
    }

    /// Reads the whole object. Its bytes are checked by [`check_whole`](Self::check_whole).
    pub async fn whole(&self) -> Result<Bytes, ReadError> {
        match self.store.get(&self.path).await {
            Ok(found) => Ok(found.bytes().await?),
            Err(error) => {
                let damage = self.explain(error).await?;
                Err(self.damaged(damage).into())
            }
        }
    }

    /// Checks every byte of the object. Work for a thread that may compute.
    pub fn check_whole(&self, object: &Bytes) -> Result<(), DamagedSegment> {
        let check = || {
            let (expected, found) = (self.segment.size_bytes, object.len() as u64);
            if found != expected {
                return Err(Damage::Size { expected, found });
            }
            let Some(checks) = &self.segment.checks else { return Ok(()) };
            let (body, tail) = object.split_at(self.body_bytes() as usize);
            BlockChecksums::read(checks, body.len() as u64, tail)?.check(0, body)
        };
        check().map_err(|damage| self.damaged(damage))?;
        self.damaged.report_whole(&self.segment.path);
        Ok(())
    }

    /// What a failed request says of the object: a store that was asked for bytes beyond an object's end says so in many ways.
    async fn explain(&self, error: object_store::Error) -> Result<Damage, ReadError> {
        if matches!(error, object_store::Error::NotFound { .. }) {
            return Err(ReadError::Missing);
        }
        match self.store.head(&self.path).await {
            Ok(meta) if meta.size != self.segment.size_bytes => {
                Ok(Damage::Size { expected: self.segment.size_bytes, found: meta.size })
            }
            Err(object_store::Error::NotFound { .. }) => Err(ReadError::Missing),
            _ => Err(error.into()),
        }
    }
}

fn check_length(range: &Range<u64>, bytes: &Bytes) -> Result<(), Damage> {
    let found = bytes.len() as u64;
    if found == range.end - range.start { Ok(()) } else { Err(Damage::Cut { bytes: range.clone(), found }) }
}

/// The same bytes in ranges that neither overlap nor touch, in order.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Takes `range` out of `found`, the bytes of `blocks`, one of which holds it.
fn slice(blocks: &[Range<u64>], found: &[Bytes], range: &Range<u64>) -> Bytes {
    let at = blocks.partition_point(|block| block.start <= range.start).saturating_sub(1);
    let offset = (range.start - blocks[at].start) as usize;
    found[at].slice(offset..offset + (range.end - range.start) as usize)
}

#[cfg(test)]
mod tests;
