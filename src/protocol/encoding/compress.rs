//! Compressing an answer while it is made.

use std::fmt;
use std::io::Write;

use bytes::Bytes;

use super::Encoding;

/// Speed over size: an answer is made once, read once, and the network is rarely the narrow place.
const GZIP_LEVEL: flate2::Compression = flate2::Compression::fast();
const BROTLI_QUALITY: u32 = 3;
/// 1 MiB of window.
const BROTLI_WINDOW_BITS: u32 = 20;
const BROTLI_BUFFER_BYTES: usize = 16 * 1024;
const ZSTD_LEVEL: i32 = 1;

/// Turns the pieces of one answer into the pieces of one compressed stream. All that went into
/// [`write`](Self::write) can be read from what has come out, so rows reach a reader as they are made.
pub struct Compressor(Stream);

enum Stream {
    Identity,
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Deflate(flate2::write::DeflateEncoder<Vec<u8>>),
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<Vec<u8>>>),
}

impl Compressor {
    pub fn new(encoding: Encoding) -> Self {
        let out = Vec::new();
        Compressor(match encoding {
            Encoding::Identity => Stream::Identity,
            Encoding::Gzip => Stream::Gzip(flate2::write::GzEncoder::new(out, GZIP_LEVEL)),
            Encoding::Deflate => Stream::Deflate(flate2::write::DeflateEncoder::new(out, GZIP_LEVEL)),
            Encoding::Br => Stream::Br(Box::new(brotli::CompressorWriter::new(
                out,
                BROTLI_BUFFER_BYTES,
                BROTLI_QUALITY,
                BROTLI_WINDOW_BITS,
            ))),
            Encoding::Zstd => Stream::Zstd(
                zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)
                    .expect("the level exists and there is no dictionary"),
            ),
            Encoding::Lz4 => Stream::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(out))),
        })
    }

    /// What to send for `bytes`. Nothing for nothing; with `Identity` the bytes themselves.
    pub fn write(&mut self, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        match &mut self.0 {
            Stream::Identity => return bytes,
            Stream::Gzip(stream) => push(stream, &bytes),
            Stream::Deflate(stream) => push(stream, &bytes),
            Stream::Br(stream) => push(stream, &bytes),
            Stream::Zstd(stream) => push(stream, &bytes),
            Stream::Lz4(stream) => push(stream, &bytes),
        }
        Bytes::from(std::mem::take(match &mut self.0 {
            Stream::Identity => return Bytes::new(),
            Stream::Gzip(stream) => stream.get_mut(),
            Stream::Deflate(stream) => stream.get_mut(),
            Stream::Br(stream) => stream.get_mut(),
            Stream::Zstd(stream) => stream.get_mut(),
            Stream::Lz4(stream) => stream.get_mut(),
        }))
    }

    /// The end of the stream. Needed even when nothing was written: an empty stream has an end too.
    pub fn finish(self) -> Bytes {
        const WHY: &str = "a Vec takes every byte";
        Bytes::from(match self.0 {
            Stream::Identity => Vec::new(),
            Stream::Gzip(stream) => stream.finish().expect(WHY),
            Stream::Deflate(stream) => stream.finish().expect(WHY),
            Stream::Br(stream) => stream.into_inner(),
            Stream::Zstd(stream) => stream.finish().expect(WHY),
            Stream::Lz4(stream) => stream.finish().expect(WHY),
        })
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Compressor").finish_non_exhaustive()
    }
}

fn push(stream: &mut impl Write, bytes: &[u8]) {
    stream.write_all(bytes).and_then(|()| stream.flush()).expect("a Vec takes every byte");
}

#[cfg(test)]
mod tests {
    use super::super::expand;
    use super::*;

    const ALL: [Encoding; 6] =
        [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Br, Encoding::Zstd, Encoding::Lz4];

    fn pieces() -> Vec<Bytes> {
        let row = "2024-01-31T10:00:00,oslo,1.5\n";
        [1, 0, 3_000, 2].iter().map(|&rows| Bytes::from(row.repeat(rows))).collect()
    }

    #[test]
    fn pieces_come_back_as_they_went_in() {
        for encoding in ALL {
            let mut compressor = Compressor::new(encoding);
            let mut sent: Vec<u8> = pieces().into_iter().flat_map(|piece| compressor.write(piece)).collect();
            sent.extend(compressor.finish());
            assert_eq!(expand(encoding, &sent, 1 << 20).unwrap(), pieces().concat(), "{encoding}");
            assert!(encoding == Encoding::Identity || sent.len() < 5_000, "{encoding} packs: {}", sent.len());
        }
    }

    #[test]
    fn an_answer_without_bytes_is_a_whole_stream() {
        for encoding in ALL {
            let sent = Compressor::new(encoding).finish();
            assert_eq!(sent.is_empty(), encoding == Encoding::Identity, "{encoding}");
            if !sent.is_empty() {
                assert_eq!(expand(encoding, &sent, 10).unwrap(), b"", "{encoding}");
            }
        }
    }

    /// Reads what a cut-off stream has delivered so far.
    fn readable(encoding: Encoding, sent: &[u8]) -> Vec<u8> {
        use std::io::Read;
        let mut stream: Box<dyn Read> = match encoding {
            Encoding::Identity => Box::new(sent),
            Encoding::Gzip => Box::new(flate2::read::GzDecoder::new(sent)),
            Encoding::Deflate => Box::new(flate2::read::DeflateDecoder::new(sent)),
            Encoding::Br => Box::new(brotli::Decompressor::new(sent, 4096)),
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(sent).unwrap()),
            Encoding::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(sent)),
        };
        let (mut read, mut byte) = (Vec::new(), [0]);
        while matches!(stream.read(&mut byte), Ok(1)) {
            read.push(byte[0]);
        }
        read
    }

    #[test]
    fn each_piece_is_readable_before_the_next_is_made() {
        for encoding in ALL {
            let mut compressor = Compressor::new(encoding);
            let mut sent = compressor.write(Bytes::from_static(b"first row\n")).to_vec();
            assert_eq!(readable(encoding, &sent), b"first row\n", "{encoding}");
            sent.extend(compressor.write(Bytes::from_static(b"second row\n")));
            assert_eq!(readable(encoding, &sent), b"first row\nsecond row\n", "{encoding}");
        }
    }

    #[test]
    fn a_compressor_may_move_to_another_thread() {
        fn movable<T: Send>() {}
        movable::<Compressor>();
    }
}
