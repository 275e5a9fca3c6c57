//! Headers as bytes: one at the start of each file, one before each payload. Little endian, checksummed.
//!
//! ```text
//! file:  magic 8, version u32, zero u32, store id 16, first sequence u64, marker 8,
//!        previous file: its first sequence u64, its length u64 (0: there is none); CRC-32 of all that
//! frame: marker 8, sequence u64, synced u64, payload length u32, payload CRC-32, rows u32,
//!        plain length u32, codec u8, zero 3; CRC-32 of all that; payload
//! ```

use uuid::Uuid;

use super::codec::PayloadShape;

pub(super) const FORMAT_VERSION: u32 = 1;
pub(super) const FILE_HEADER_BYTES: usize = 68;
pub(super) const FRAME_HEADER_BYTES: usize = 48;

const MAGIC: [u8; 8] = *b"tidewal\n";

/// Eight random bytes, drawn for each file, that start each of its frames. Neither a value that a client wrote
/// nor a disk block that once belonged to another log file can pass for a frame.
pub(super) type Marker = [u8; 8];

/// The file that was written before this one, as it was when it was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Predecessor {
    pub(super) first_sequence: u64,
    /// Where its records end. What lies beyond was never acknowledged.
    pub(super) length: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) store_id: Uuid,
    pub(super) first_sequence: u64,
    pub(super) marker: Marker,
    pub(super) previous: Option<Predecessor>,
}

/// Why bytes are no file header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoFileHeader {
    NewerFormat(u32),
    /// Too short, not our magic, or a wrong checksum.
    Unreadable,
}

impl FileHeader {
    pub(super) fn encode(&self) -> [u8; FILE_HEADER_BYTES] {
        let previous = self.previous.unwrap_or(Predecessor { first_sequence: 0, length: 0 });
        let mut out = Writer::default();
        out.put(MAGIC);
        out.put(FORMAT_VERSION.to_le_bytes());
        out.put([0; 4]);
        out.put(self.store_id.into_bytes());
        out.put(self.first_sequence.to_le_bytes());
        out.put(self.marker);
        out.put(previous.first_sequence.to_le_bytes());
        out.put(previous.length.to_le_bytes());
        out.seal()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, NoFileHeader> {
        let mut input = Reader(bytes);
        if input.take() != Some(MAGIC) {
            return Err(NoFileHeader::Unreadable);
        }
        match input.take().map(u32::from_le_bytes) {
            Some(FORMAT_VERSION) => Self::decode_v1(bytes).ok_or(NoFileHeader::Unreadable),
            Some(version) if version > FORMAT_VERSION => Err(NoFileHeader::NewerFormat(version)),
            _ => Err(NoFileHeader::Unreadable),
        }
    }

    fn decode_v1(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader(unseal(bytes.first_chunk::<FILE_HEADER_BYTES>()?)?);
        input.take::<12>()?;
        let [0, 0, 0, 0] = input.take()? else { return None };
        let store_id = Uuid::from_bytes(input.take()?);
        let first_sequence = u64::from_le_bytes(input.take()?);
        let marker = input.take()?;
        let previous_first = u64::from_le_bytes(input.take()?);
        let length = u64::from_le_bytes(input.take()?);
        let previous = (length > 0).then_some(Predecessor { first_sequence: previous_first, length });
        Some(FileHeader { store_id, first_sequence, marker, previous })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) sequence: u64,
    /// Length to which the file was synced before this frame was written, that is: where its group starts.
    /// Damage before it is corruption; damage after it may be a write that a power loss cut short.
    pub(super) synced: u64,
    pub(super) payload: PayloadShape,
}

impl FrameHeader {
    pub(super) fn encode(&self, marker: Marker) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = Writer::default();
        out.put(marker);
        out.put(self.sequence.to_le_bytes());
        out.put(self.synced.to_le_bytes());
        out.put(self.payload.length.to_le_bytes());
        out.put(self.payload.crc.to_le_bytes());
        out.put(self.payload.rows.to_le_bytes());
        out.put(self.payload.plain_length.to_le_bytes());
        out.put([self.payload.codec, 0, 0, 0]);
        out.seal()
    }

    /// `None` when `bytes` are no whole header of a frame of this file.
    pub(super) fn decode(bytes: &[u8], expected: Marker) -> Option<Self> {
        let mut input = Reader(unseal(bytes.first_chunk::<FRAME_HEADER_BYTES>()?)?);
        let marker: Marker = input.take()?;
        let sequence = u64::from_le_bytes(input.take()?);
        let synced = u64::from_le_bytes(input.take()?);
        let length = u32::from_le_bytes(input.take()?);
        let crc = u32::from_le_bytes(input.take()?);
        let rows = u32::from_le_bytes(input.take()?);
        let plain_length = u32::from_le_bytes(input.take()?);
        let [codec, 0, 0, 0] = input.take()? else { return None };
        let payload = PayloadShape { length, crc, codec, plain_length, rows };
        (marker == expected).then_some(FrameHeader { sequence, synced, payload })
    }
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.0.extend_from_slice(&bytes);
    }

    fn seal<const N: usize>(mut self) -> [u8; N] {
        self.put(crc32fast::hash(&self.0).to_le_bytes());
        self.0.try_into().expect("a header has one length")
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }
}

/// What comes before the checksum, if that is right.
fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (body, crc) = bytes.split_last_chunk()?;
    (u32::from_le_bytes(*crc) == crc32fast::hash(body)).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_header() -> FileHeader {
        let previous = Some(Predecessor { first_sequence: 3, length: 999 });
        FileHeader { store_id: Uuid::from_u128(77), first_sequence: 12, marker: *b"8 random", previous }
    }

    fn frame_header() -> FrameHeader {
        let payload = PayloadShape { length: 5, crc: 6, codec: 1, plain_length: 7, rows: 8 };
        FrameHeader { sequence: 3, synced: 4, payload }
    }

    #[test]
    fn headers_come_back() {
        let file = file_header();
        assert_eq!(FileHeader::decode(&file.encode()), Ok(file));
        let first = FileHeader { previous: None, ..file };
        assert_eq!(FileHeader::decode(&first.encode()), Ok(first));
        let frame = frame_header();
        assert_eq!(FrameHeader::decode(&frame.encode(*b"12345678"), *b"12345678"), Some(frame));
    }

    #[test]
    fn a_frame_of_another_file_is_none_of_ours() {
        assert_eq!(FrameHeader::decode(&frame_header().encode(*b"12345678"), *b"12345679"), None);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let file = file_header().encode();
        let frame = frame_header().encode(*b"12345678");
        for bit in 0..file.len() * 8 {
            let mut bytes = file;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHeader::decode(&bytes).is_err(), "file header, bit {bit}");
        }
        for bit in 0..frame.len() * 8 {
            let mut bytes = frame;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&bytes, *b"12345678"), None, "frame header, bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = file_header().encode();
        bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
        assert_eq!(FileHeader::decode(&bytes), Err(NoFileHeader::NewerFormat(2)));
        assert_eq!(FileHeader::decode(&bytes[..12]), Err(NoFileHeader::NewerFormat(2)));
        bytes[8..12].copy_from_slice(&0u32.to_le_bytes());
        assert_eq!(FileHeader::decode(&bytes), Err(NoFileHeader::Unreadable));
    }
}
