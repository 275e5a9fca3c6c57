//! Expanding a request body under a limit: a bomb is refused while it is inflated, never after.
//!
//! Memory stays within a small multiple of the limit, besides at most 16 MiB of window.

use std::fmt;
use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::Encoding;

/// Windows above this (8 MiB) are refused: no HTTP client needs one (RFC 9659), and each costs its size up front.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// First guess at how far bytes expand, and how much of that guess is reserved on trust.
const RATIO_GUESS: usize = 4;
const RESERVE_MAX: usize = 1 << 20;

/// Why bytes could not be expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    #[error("expands to more than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("{0}")]
    Damaged(Damage),
}

/// What is wrong with a compressed stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// No byte at all, not even a header.
    Empty,
    /// It does not begin as the format does.
    NotThisFormat,
    /// It ends early.
    Truncated,
    /// It cannot be decoded, its checksum is wrong, or something follows its end.
    Corrupt,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Empty => "empty stream",
            Damage::NotThisFormat => "invalid header",
            Damage::Truncated => "unexpected end of stream",
            Damage::Corrupt => "corrupt stream",
        })
    }
}

/// The bytes that `packed` stands for, at most `limit` of them.
///
/// Gzip and Zstandard may be several streams one after the other, which mean their concatenation; whatever else follows
/// the end of a stream is an error. A stream without its end is one too, so that a cut body never passes for whole.
pub fn expand(encoding: Encoding, packed: &[u8], limit: usize) -> Result<Vec<u8>, ExpandError> {
    if packed.is_empty() && encoding != Encoding::Identity {
        return Err(ExpandError::Damaged(Damage::Empty));
    }
    let guess = packed.len().saturating_mul(RATIO_GUESS).min(limit).min(RESERVE_MAX);
    let mut out = Vec::with_capacity(guess);
    match encoding {
        Encoding::Identity => read_all(packed, &mut out, limit)?,
        Encoding::Gzip => gzip(packed, &mut out, limit)?,
        Encoding::Deflate => deflate(packed, &mut out, limit)?,
        Encoding::Br => br(packed, &mut out, limit)?,
        Encoding::Zstd => zstd(packed, &mut out, limit)?,
        Encoding::Lz4 => lz4(packed, &mut out, limit)?,
    }
    Ok(out)
}

/// RFC 1952. The header is looked at here, because what is wrong with it is told apart: too short, or not gzip.
fn gzip(packed: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), ExpandError> {
    const HEADER_BYTES: usize = 10;
    if packed.len() < HEADER_BYTES {
        return Err(ExpandError::Damaged(Damage::Truncated));
    }
    if !packed.starts_with(&[0x1f, 0x8b, 8]) {
        return Err(ExpandError::Damaged(Damage::NotThisFormat));
    }
    read_all(flate2::bufread::MultiGzDecoder::new(packed), out, limit)
}

/// RFC 1950 (zlib) or RFC 1951 (raw). A raw stream never begins like zlib: the low four bits of zlib's first byte are
/// 8, which as raw deflate is a stored block with a padding bit set, and no encoder sets it.
fn deflate(packed: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), ExpandError> {
    let wrapped = matches!(packed, [cmf, flags, ..]
        if cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flags]).is_multiple_of(31));
    let mut stream = Decompress::new(wrapped);
    loop {
        if out.len() == out.capacity() {
            out.reserve(out.len().clamp(1024, limit.saturating_sub(out.len()).max(1024)));
        }
        let consumed = stream.total_in();
        let produced = out.len();
        let rest = &packed[usize::try_from(consumed).expect("no more is consumed than there is")..];
        let status = stream
            .decompress_vec(rest, out, FlushDecompress::None)
            .map_err(|_| ExpandError::Damaged(Damage::Corrupt))?;
        if out.len() > limit {
            return Err(ExpandError::TooLarge { limit });
        }
        let stuck = stream.total_in() == consumed && out.len() == produced;
        match status {
            Status::StreamEnd if stream.total_in() == packed.len() as u64 => return Ok(()),
            Status::StreamEnd => return Err(ExpandError::Damaged(Damage::Corrupt)),
            Status::Ok | Status::BufError if stuck => return Err(ExpandError::Damaged(Damage::Truncated)),
            Status::Ok | Status::BufError => {}
        }
    }
}

/// RFC 7932. The decoder also takes "large window" streams (up to 1 GiB), which that RFC does not know.
fn br(packed: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), ExpandError> {
    if packed[0] & 0x7f == 0x11 {
        return Err(ExpandError::Damaged(Damage::Corrupt));
    }
    let mut stream = brotli::Decompressor::new(packed, 4096);
    read_all(&mut stream, out, limit)?;
    // What follows the end is told by the read after the last.
    read_all(stream, out, limit)
}

/// RFC 8878.
fn zstd(packed: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), ExpandError> {
    let mut stream = zstd::stream::read::Decoder::with_buffer(packed).map_err(damage)?;
    stream.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damage)?;
    read_all(stream, out, limit)
}

/// LZ4 frame format 1.6, one frame.
fn lz4(packed: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), ExpandError> {
    if lz4_frame_length(packed).map_err(ExpandError::Damaged)? != packed.len() {
        return Err(ExpandError::Damaged(Damage::Corrupt));
    }
    read_all(lz4_flex::frame::FrameDecoder::new(packed), out, limit)
}

/// Bytes of the frame that `packed` begins with. Walks it to its end mark, because the decoder takes a frame that is
/// cut between two blocks for whole.
fn lz4_frame_length(packed: &[u8]) -> Result<usize, Damage> {
    const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
    const UNCOMPRESSED: u32 = 1 << 31;
    if !packed.starts_with(&MAGIC[..packed.len().min(MAGIC.len())]) {
        return Err(Damage::NotThisFormat);
    }
    let flags = *packed.get(MAGIC.len()).ok_or(Damage::Truncated)?;
    let present = |flag: u8, bytes: usize| if flags & flag != 0 { bytes } else { 0 };
    let (dictionary_id, content_checksum) = (present(0x01, 4), present(0x04, 4));
    let (content_size, block_checksum) = (present(0x08, 8), present(0x10, 4));
    // Magic, flags, block descriptor, the optional fields, header checksum.
    let mut at = MAGIC.len() + 2 + content_size + dictionary_id + 1;
    loop {
        let size = packed.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Damage::Truncated)?;
        at += size.len();
        match u32::from_le_bytes(*size) & !UNCOMPRESSED {
            0 => break,
            size => at += size as usize + block_checksum,
        }
    }
    at += content_checksum;
    if at > packed.len() { Err(Damage::Truncated) } else { Ok(at) }
}

/// Appends all of `from` to `out`, unless that makes `out` longer than `limit`.
fn read_all(from: impl Read, out: &mut Vec<u8>, limit: usize) -> Result<(), ExpandError> {
    let room = (limit - out.len()) as u64;
    from.take(room.saturating_add(1)).read_to_end(out).map_err(damage)?;
    if out.len() > limit {
        return Err(ExpandError::TooLarge { limit });
    }
    Ok(())
}

fn damage(error: io::Error) -> ExpandError {
    ExpandError::Damaged(match error.kind() {
        io::ErrorKind::UnexpectedEof => Damage::Truncated,
        _ => Damage::Corrupt,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use bytes::Bytes;

    use super::super::Compressor;
    use super::Encoding::*;
    use super::*;

    const PACKED: [Encoding; 5] = [Gzip, Deflate, Br, Zstd, Lz4];
    const TEXT: &[u8] = b"a stream of some bytes, bytes, bytes";

    fn pack(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(encoding);
        let mut packed = compressor.write(Bytes::copy_from_slice(bytes)).to_vec();
        packed.extend(compressor.finish());
        packed
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        stream.write_all(bytes).unwrap();
        stream.finish().unwrap()
    }

    fn check(encoding: Encoding, packed: &[u8], expected: Result<&[u8], Damage>) {
        let expected = expected.map(<[u8]>::to_vec).map_err(ExpandError::Damaged);
        assert_eq!(expand(encoding, packed, 1 << 20), expected, "{encoding}, {} bytes", packed.len());
    }

    #[test]
    fn every_encoding_is_expanded() {
        for encoding in PACKED {
            check(encoding, &pack(encoding, TEXT), Ok(TEXT));
        }
        check(Identity, TEXT, Ok(TEXT));
        check(Identity, b"", Ok(b""));
    }

    #[test]
    fn deflate_is_taken_raw_and_in_a_zlib_wrapper() {
        check(Deflate, &pack(Deflate, TEXT), Ok(TEXT));
        check(Deflate, &zlib(TEXT), Ok(TEXT));
        // A stored block, as an encoder at level 0 writes it.
        check(Deflate, b"\x01\x02\x00\xfd\xffhi", Ok(b"hi"));
    }

    #[test]
    fn several_streams_are_one_body() {
        for encoding in [Gzip, Zstd] {
            check(
                encoding,
                &[pack(encoding, TEXT), pack(encoding, b" and more")].concat(),
                Ok(&[TEXT, b" and more"].concat()),
            );
        }
    }

    #[test]
    fn a_body_that_is_cut_anywhere_is_never_taken_for_whole() {
        let long: Vec<u8> = (0..20_000u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        let wrapped = zlib(&long);
        let bodies = PACKED.map(|encoding| (encoding, pack(encoding, &long)));
        for (encoding, packed) in bodies.iter().chain([&(Deflate, wrapped)]) {
            for length in (1..packed.len()).step_by(packed.len() / 50).chain([packed.len() - 1]) {
                let cut = expand(*encoding, &packed[..length], 1 << 20);
                assert!(matches!(cut, Err(ExpandError::Damaged(_))), "{encoding} cut to {length} of {}", packed.len());
            }
        }
    }

    #[test]
    fn lz4_is_taken_with_all_its_optional_fields() {
        let info = lz4_flex::frame::FrameInfo::new()
            .content_size(Some(TEXT.len() as u64))
            .content_checksum(true)
            .block_checksums(true);
        let mut stream = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        stream.write_all(TEXT).unwrap();
        let packed = stream.finish().unwrap();
        check(Lz4, &packed, Ok(TEXT));
        for length in 1..packed.len() {
            check(Lz4, &packed[..length], Err(Damage::Truncated));
        }
        check(Lz4, b"plain text", Err(Damage::NotThisFormat));
    }

    #[test]
    fn what_is_wrong_with_gzip_is_told_apart() {
        let whole = pack(Gzip, TEXT);
        let mut flipped = whole.clone();
        flipped[whole.len() - 6] ^= 1; // in the checksum
        check(Gzip, b"", Err(Damage::Empty));
        check(Gzip, b"nine byte", Err(Damage::Truncated));
        check(Gzip, b"plain text, not packed", Err(Damage::NotThisFormat));
        check(Gzip, &whole[..whole.len() - 9], Err(Damage::Truncated));
        check(Gzip, &flipped, Err(Damage::Corrupt));
    }

    #[test]
    fn garbage_and_bytes_after_the_end_are_refused() {
        let garbage = [0xff; 64];
        for encoding in PACKED {
            assert!(expand(encoding, &garbage, 1 << 20).is_err(), "{encoding}");
            check(encoding, b"", Err(Damage::Empty));
            let trailed = [pack(encoding, TEXT), garbage.to_vec()].concat();
            assert!(expand(encoding, &trailed, 1 << 20).is_err(), "{encoding}");
        }
    }

    #[test]
    fn the_limit_is_the_last_length_allowed() {
        for encoding in PACKED.into_iter().chain([Identity]) {
            let packed = if encoding == Identity { TEXT.to_vec() } else { pack(encoding, TEXT) };
            assert_eq!(expand(encoding, &packed, TEXT.len()).as_deref(), Ok(TEXT), "{encoding}");
            let limit = TEXT.len() - 1;
            assert_eq!(expand(encoding, &packed, limit), Err(ExpandError::TooLarge { limit }), "{encoding}");
        }
    }

    #[test]
    fn a_bomb_is_refused_early() {
        let zeros = vec![0; 8 << 20];
        for encoding in PACKED {
            let bomb = pack(encoding, &zeros);
            assert!(bomb.len() < 1 << 20, "{encoding} packs zeros: {}", bomb.len());
            assert_eq!(expand(encoding, &bomb, 100_000), Err(ExpandError::TooLarge { limit: 100_000 }), "{encoding}");
        }
    }

    #[test]
    fn windows_that_cost_memory_up_front_are_refused() {
        let mut stream = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        stream.window_log(24).unwrap();
        stream.write_all(&vec![7; 1 << 20]).unwrap();
        stream.flush().unwrap();
        check(Zstd, &stream.finish().unwrap(), Err(Damage::Corrupt));
        // "Large window" brotli: 0x11, then the number of bits.
        check(Br, &[0x11, 30, 0x03], Err(Damage::Corrupt));
    }
}
