//! Damage of every kind, over stores that answer in their own ways.

#![allow(clippy::single_range_in_vec_init, reason = "what is read is a list of ranges, of one sometimes")]

use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use prometheus::Registry;
use uuid::Uuid;

use super::*;
use crate::storage::checksums::{BLOCK_BYTES, SegmentChecks, seal};
use crate::storage::segment::SequenceRange;

const BLOCK: u64 = BLOCK_BYTES as u64;
const BODY: u64 = 3 * BLOCK + 500;

/// Notes what was asked for; the first answers may come damaged.
#[derive(Debug, Default)]
struct Shaky {
    inner: InMemory,
    asked: Mutex<Vec<Vec<Range<u64>>>>,
    damaged_answers: Mutex<usize>,
}

impl fmt::Display for Shaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shaky")
    }
}

impl Shaky {
    fn disturb(&self, bytes: Bytes) -> Bytes {
        let mut left = self.damaged_answers.lock().unwrap();
        if *left == 0 {
            return bytes;
        }
        *left -= 1;
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        bytes.into()
    }
}

#[async_trait]
impl ObjectStore for Shaky {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let mut found = self.inner.get_opts(location, options).await?;
        if !head {
            self.asked.lock().unwrap().push(vec![found.range.clone()]);
            let (range, meta, attributes) = (found.range.clone(), found.meta.clone(), found.attributes.clone());
            let bytes = self.disturb(found.bytes().await?);
            let payload = object_store::GetResultPayload::Stream(Box::pin(futures::stream::iter([Ok(bytes)])));
            found = GetResult { payload, meta, range, attributes };
        }
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.asked.lock().unwrap().push(ranges.to_vec());
        let found = self.inner.get_ranges(location, ranges).await?;
        Ok(found.into_iter().map(|bytes| self.disturb(bytes)).collect())
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A body, and in place of Parquet's ends some bytes of the same shape.
fn sealed() -> (Bytes, SegmentChecks) {
    let mut object: Vec<u8> = (0..BODY).map(|i| (i % 253) as u8).collect();
    object.extend(b"page indexes and footer\x06\0\0\0PAR1");
    seal(object, BODY as usize).unwrap()
}

struct Case {
    store: Arc<Shaky>,
    object: SegmentObject,
    metrics: Registry,
}

impl Case {
    /// A segment whose entry is of the sound object; `stored` is what the store has.
    async fn new(stored: Option<Bytes>, checked: bool) -> Case {
        let (sound, checks) = sealed();
        let store = Arc::new(Shaky::default());
        let path = Path::from("data/s.parquet");
        if let Some(stored) = stored {
            store.inner.put(&path, stored.into()).await.unwrap();
        }
        let segment = Segment {
            id: Uuid::nil(),
            path: path.to_string(),
            size_bytes: sound.len() as u64,
            rows: 1,
            window_ns: 0,
            time_min_ns: 0,
            time_max_ns: 0,
            sequence: SequenceRange { first: 1, last: 1 },
            published: 0,
            tombstones_applied: 0,
            level: 0,
            footer_bytes: sound.len() as u64 - BODY,
            checks: checked.then_some(checks),
            columns: Vec::new(),
        };
        let metrics = Registry::new();
        let damaged = Arc::new(DamagedSegments::new(&metrics).unwrap());
        let object = SegmentObject::new(store.clone(), Arc::new(segment), damaged).unwrap();
        Case { store, object, metrics }
    }

    /// As a query reads: the tail, then `ranges` of the body.
    async fn read(&self, ranges: &[Range<u64>]) -> std::result::Result<Vec<Bytes>, ReadError> {
        let tail = self.object.tail().await?;
        Ok(self.object.ranges(tail.checksums.as_ref(), ranges).await?.0)
    }

    async fn read_whole(&self) -> std::result::Result<Bytes, ReadError> {
        let bytes = self.object.whole().await?;
        self.object.check_whole(&bytes)?;
        Ok(bytes)
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.metrics.gather();
        let metric = &families.iter().find(|f| f.name() == name).unwrap().get_metric()[0];
        metric.get_gauge().get_value() + metric.get_counter().get_value()
    }
}

#[track_caller]
fn damage<T: fmt::Debug>(result: std::result::Result<T, ReadError>) -> Damage {
    match result.unwrap_err() {
        ReadError::Damaged(damaged) => {
            assert_eq!(damaged.path, "data/s.parquet");
            damaged.damage
        }
        other => panic!("{other}"),
    }
}

fn flipped(at: u64) -> Bytes {
    let mut object = sealed().0.to_vec();
    object[at as usize] ^= 0x40;
    object.into()
}

#[tokio::test]
async fn what_was_written_is_read_in_as_few_requests() {
    let (sound, _) = sealed();
    for checked in [true, false] {
        let case = Case::new(Some(sound.clone()), checked).await;
        // In no order, overlapping, over the edges of blocks, up to the end of the body.
        let ranges = [BLOCK + 5..BLOCK + 9, 0..3, BLOCK - 1..BLOCK + 1, 3 * BLOCK + 499..BODY, 2..2 + BLOCK];
        let found = case.read(&ranges).await.unwrap();
        for (range, bytes) in ranges.iter().zip(&found) {
            assert_eq!(bytes, &sound[range.start as usize..range.end as usize], "{range:?}");
        }
        assert_eq!(case.read_whole().await.unwrap(), sound);
        let asked = case.store.asked.lock().unwrap().clone();
        let body = if checked { vec![0..2 * BLOCK, 3 * BLOCK..BODY] } else { ranges.to_vec() };
        let size = sound.len() as u64;
        assert_eq!(asked, [vec![BODY..size], body, vec![0..size]]);
    }
}

#[tokio::test]
async fn damage_is_found_where_it_is_and_other_bytes_stay_readable() {
    let size = sealed().0.len() as u64;
    for at in [0, BLOCK - 1, BLOCK, 2 * BLOCK + 77, BODY - 1] {
        let case = Case::new(Some(flipped(at)), true).await;
        let block = at / BLOCK * BLOCK..(at / BLOCK * BLOCK + BLOCK).min(BODY);
        let expected = Damage::Checksum { bytes: block.clone() };
        assert_eq!(damage(case.read(&[block.start..block.start + 1]).await), expected, "byte {at}");
        assert_eq!(damage(case.read_whole().await), expected, "byte {at}");
        assert_eq!(case.metric("tidegate_corrupt_segments"), 1.0);
        let other = if at < BLOCK { 2 * BLOCK } else { 0 };
        case.read(&[other..other + 10]).await.unwrap();
    }
    // Indexes, checksums, footer, magic.
    for at in BODY..size {
        let case = Case::new(Some(flipped(at)), true).await;
        let expected = Damage::Checksum { bytes: BODY..size };
        assert_eq!(damage(case.read(std::slice::from_ref(&(0..1))).await), expected, "byte {at}");
        assert_eq!(damage(case.read_whole().await), expected, "byte {at}");
    }
}

#[tokio::test]
async fn objects_of_another_size_and_missing_ones_are_named() {
    let (sound, _) = sealed();
    let expected = sound.len() as u64;
    for checked in [true, false] {
        for found in [0, 1, BLOCK, BODY - 1, BODY, BODY + 1, expected - 1, expected + 1] {
            let mut bytes = sound.to_vec();
            bytes.resize(found as usize, 0);
            let case = Case::new(Some(bytes.into()), checked).await;
            let size = Damage::Size { expected, found };
            assert_eq!(damage(case.read(std::slice::from_ref(&(0..1))).await), size, "{found} bytes");
            assert_eq!(damage(case.read_whole().await), size, "{found} bytes");
            if found < BODY {
                // The footer was read before, and known.
                let tail = Case::new(Some(sound.clone()), checked).await.object.tail().await.unwrap();
                let last = BODY - 1..BODY;
                let read = case.object.ranges(tail.checksums.as_ref(), std::slice::from_ref(&last)).await;
                let found = damage(read);
                assert!(matches!(found, Damage::Size { .. } | Damage::Cut { .. }), "{found}");
            }
        }
        let case = Case::new(None, checked).await;
        let reads = [case.read(std::slice::from_ref(&(0..1))).await.map(|_| ()), case.read_whole().await.map(|_| ())];
        for read in reads {
            assert!(matches!(read, Err(ReadError::Missing)), "{read:?}");
        }
        assert_eq!(case.metric("tidegate_corrupt_segments"), 0.0, "it may have been merged away");
    }
}

#[tokio::test]
async fn a_read_that_comes_damaged_once_is_repeated() {
    let (sound, _) = sealed();
    let ranges = [5..6, 2 * BLOCK..2 * BLOCK + 9];
    let case = Case::new(Some(sound.clone()), true).await;
    let tail = case.object.tail().await.unwrap();
    *case.store.damaged_answers.lock().unwrap() = 1;
    let (found, _) = case.object.ranges(tail.checksums.as_ref(), &ranges).await.unwrap();
    assert_eq!(found[0], &sound[5..6]);
    *case.store.damaged_answers.lock().unwrap() = 1;
    case.object.tail().await.unwrap();
    assert_eq!(case.metric("tidegate_corrupt_reads_repeated_total"), 2.0);
    assert_eq!(case.metric("tidegate_corrupt_segments"), 0.0);
    // Both ranges, and the first of them again.
    *case.store.damaged_answers.lock().unwrap() = 3;
    let read = case.object.ranges(tail.checksums.as_ref(), &ranges).await;
    assert_eq!(damage(read.map(|(found, _)| found)), Damage::Checksum { bytes: 0..BLOCK });
    assert_eq!(case.metric("tidegate_corrupt_segments"), 1.0);
}

#[tokio::test]
async fn ranges_beyond_the_body_are_refused() {
    let case = Case::new(Some(sealed().0), true).await;
    let tail = case.object.tail().await.unwrap();
    #[allow(clippy::reversed_empty_ranges)]
    for range in [BODY - 1..BODY + 1, BODY + 5..BODY + 6, 7..6] {
        let read = case.object.ranges(tail.checksums.as_ref(), std::slice::from_ref(&range)).await;
        assert!(matches!(damage(read), Damage::Unreadable(_)), "{range:?}");
    }
}
