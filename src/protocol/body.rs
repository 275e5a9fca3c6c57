//! Request bodies: read whole, under limits of size and time, and expanded.
//!
//! Owns: what is refused before, while and after reading. Does not own: what a body means, and the words in which a
//! client is told (each protocol's `error.rs`).

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::encoding::{Damage, Encoding, ExpandError, expand};
use crate::model::{Classify, Kind};

/// How much a body may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// As sent, compressed or not.
    pub wire_bytes_max: usize,
    /// After expanding. A body that is not compressed is held to this too.
    pub expanded_bytes_max: usize,
    /// From the first look to the last byte.
    pub read_timeout: Duration,
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("request body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("content encoding `{0}` is not supported")]
    UnknownEncoding(String),
    #[error("request body is not valid {encoding}: {cause}")]
    Corrupt { encoding: Encoding, cause: Damage },
    #[error("request body broke off")]
    Disconnected(#[source] PayloadError),
    #[error("request body did not arrive within {} ms", limit.as_millis())]
    TimedOut { limit: Duration },
}

impl Classify for BodyError {
    fn kind(&self) -> Kind {
        match self {
            BodyError::TooLarge { .. } => Kind::TooLarge,
            BodyError::UnknownEncoding(_) => Kind::Unsupported,
            BodyError::Corrupt { .. } | BodyError::Disconnected(_) => Kind::Invalid,
            BodyError::TimedOut { .. } => Kind::Timeout,
        }
    }
}

/// How much is reserved on the word of `Content-Length`; more is reserved as bytes arrive.
const RESERVE_MAX: usize = 1 << 20;

/// The request's body, expanded as its `Content-Encoding` says.
///
/// An unknown encoding, and a `Content-Length` beyond the limit, are refused before a byte is read. A header that
/// names several encodings is unknown. Holds at most both limits at once.
pub async fn read(payload: Payload, headers: &HeaderMap, limits: BodyLimits) -> Result<Bytes, BodyError> {
    let encoding = content_encoding(headers)?;
    let wire_limit = match encoding {
        Encoding::Identity => limits.wire_bytes_max.min(limits.expanded_bytes_max),
        _ => limits.wire_bytes_max,
    };
    let announced = content_length(headers);
    if announced.is_some_and(|length| length > wire_limit as u64) {
        return Err(BodyError::TooLarge { limit: wire_limit });
    }
    let reserve = announced.map_or(0, |length| length.min(RESERVE_MAX as u64) as usize);
    let sent = tokio::time::timeout(limits.read_timeout, collect(payload, wire_limit, reserve))
        .await
        .map_err(|_| BodyError::TimedOut { limit: limits.read_timeout })??;
    if encoding == Encoding::Identity {
        return Ok(sent);
    }
    match expand(encoding, &sent, limits.expanded_bytes_max) {
        Ok(expanded) => Ok(Bytes::from(expanded)),
        Err(ExpandError::TooLarge { limit }) => Err(BodyError::TooLarge { limit }),
        Err(ExpandError::Damaged(cause)) => Err(BodyError::Corrupt { encoding, cause }),
    }
}

/// All of `payload`, at most `limit` bytes. A body that arrives in one piece is not copied.
async fn collect(mut payload: Payload, limit: usize, reserve: usize) -> Result<Bytes, BodyError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(BodyError::Disconnected)?;
        let length = first.len().max(all.len());
        if piece.len() > limit - length {
            return Err(BodyError::TooLarge { limit });
        }
        if length == 0 {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.reserve(reserve.max(length + piece.len()));
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn content_encoding(headers: &HeaderMap) -> Result<Encoding, BodyError> {
    let named: Vec<_> = headers
        .get_all(header::CONTENT_ENCODING)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_string())
        .filter(|name| !name.is_empty())
        .collect();
    match named.as_slice() {
        [] => Ok(Encoding::Identity),
        [name] => Encoding::from_name(name).ok_or_else(|| BodyError::UnknownEncoding(name.clone())),
        several => Err(BodyError::UnknownEncoding(several.join(", "))),
    }
}

/// What the client announced; a value that is no number was refused by the HTTP parser already.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use actix_web::FromRequest;
    use actix_web::dev;
    use actix_web::test::TestRequest;
    use futures::{Stream, stream};

    use super::super::encoding::Compressor;
    use super::*;

    const LIMITS: BodyLimits =
        BodyLimits { wire_bytes_max: 100, expanded_bytes_max: 1_000, read_timeout: Duration::from_secs(60) };

    type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

    async fn read_with(
        pieces: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
        headers: &[(&'static str, &str)],
        limits: BodyLimits,
    ) -> Result<Bytes, BodyError> {
        let mut request = TestRequest::post();
        for &header in headers {
            request = request.append_header(header);
        }
        let request = request.to_http_request();
        let pieces: Pieces = Box::pin(pieces);
        let payload = Payload::from_request(&request, &mut dev::Payload::from(pieces)).await.unwrap();
        read(payload, request.headers(), limits).await
    }

    fn pieces(pieces: &[&[u8]]) -> impl Stream<Item = Result<Bytes, PayloadError>> + use<> {
        stream::iter(pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>())
    }

    async fn check(sent: &[&[u8]], headers: &[(&'static str, &str)], expected: Result<&[u8], &str>) {
        let body = read_with(pieces(sent), headers, LIMITS).await.map_err(|e| e.to_string());
        assert_eq!(body.as_ref().map(|b| b.as_ref()).map_err(String::as_str), expected, "{headers:?}");
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(Encoding::Gzip);
        let mut packed = compressor.write(Bytes::copy_from_slice(bytes)).to_vec();
        packed.extend(compressor.finish());
        packed
    }

    #[actix_web::test]
    async fn pieces_are_put_together() {
        check(&[], &[], Ok(b"")).await;
        check(&[b"one"], &[], Ok(b"one")).await;
        check(&[b"", b"one", b"", b" two", b" three"], &[("content-length", "13")], Ok(b"one two three")).await;
    }

    #[actix_web::test]
    async fn the_size_limit_holds_with_and_without_an_announcement() {
        const REFUSED: Result<&[u8], &str> = Err("request body is larger than 100 bytes");
        let (whole, beyond) = ([7; 100], [7; 101]);
        check(&[&whole], &[("content-length", "100")], Ok(&whole)).await;
        check(&[&whole[..60], &whole[60..]], &[], Ok(&whole)).await;
        check(&[&beyond], &[], REFUSED).await;
        check(&[&beyond[..60], &beyond[60..]], &[], REFUSED).await;
        check(&[b"small"], &[("content-length", "101")], REFUSED).await;
        check(&[b"small"], &[("content-length", "99999999999999999999")], Ok(b"small")).await;
    }

    #[actix_web::test]
    async fn an_announced_giant_is_refused_before_it_is_read() {
        let never = stream::poll_fn(|_| -> std::task::Poll<Option<Result<Bytes, PayloadError>>> {
            panic!("the body was read");
        });
        let refused = read_with(never, &[("content-length", "101")], LIMITS).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::TooLarge);
    }

    #[actix_web::test]
    async fn packed_bodies_are_expanded_up_to_their_own_limit() {
        for name in ["gzip", " GZIP ", "x-gzip"] {
            check(&[&gzip(&[1; 1_000])], &[("content-encoding", name)], Ok(&[1; 1_000])).await;
        }
        let packed = gzip(&[1; 1_001]);
        let (head, tail) = packed.split_at(8);
        check(&[head, tail], &[("content-encoding", "gzip")], Err("request body is larger than 1000 bytes")).await;
    }

    #[actix_web::test]
    async fn a_plain_body_is_held_to_the_smaller_limit() {
        let limits = BodyLimits { expanded_bytes_max: 3, ..LIMITS };
        let refused = read_with(pieces(&[b"four"]), &[], limits).await.unwrap_err();
        assert!(matches!(refused, BodyError::TooLarge { limit: 3 }), "{refused}");
    }

    #[actix_web::test]
    async fn encodings_are_named_in_the_refusal() {
        for (header, expected) in [
            ("identity", Ok(&b"x"[..])),
            ("", Ok(b"x")),
            ("snappy", Err("content encoding `snappy` is not supported")),
            ("gzip, br", Err("content encoding `gzip, br` is not supported")),
            ("gzip", Err("request body is not valid gzip: unexpected end of stream")),
            ("zstd", Err("request body is not valid zstd: corrupt stream")),
        ] {
            check(&[b"x"], &[("content-encoding", header)], expected).await;
        }
        let twice = [("content-encoding", "gzip"), ("content-encoding", "gzip")];
        check(&[b"x"], &twice, Err("content encoding `gzip, gzip` is not supported")).await;
        check(&[], &[("content-encoding", "gzip")], Err("request body is not valid gzip: empty stream")).await;
    }

    #[actix_web::test]
    async fn a_client_that_goes_away_or_dawdles_is_told_apart() {
        let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(PayloadError::Incomplete(None))]);
        let error = read_with(broken, &[], LIMITS).await.unwrap_err();
        assert!(matches!(error, BodyError::Disconnected(_)), "{error}");

        let limits = BodyLimits { read_timeout: Duration::ZERO, ..LIMITS };
        let error = read_with(stream::pending(), &[], limits).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (Kind::Timeout, "request body did not arrive within 0 ms")
        );
    }
}
