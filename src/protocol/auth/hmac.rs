//! Keyed hashes (HMAC, RFC 2104) over the hash functions of the TLS library.

use argon2::password_hash::Output;
use rustls::crypto::hash::Hash;
use rustls::crypto::ring::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384};

/// The functions that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Sha256,
    Sha384,
}

impl Function {
    fn hash(self) -> &'static dyn Hash {
        let suite = match self {
            Function::Sha256 => TLS13_AES_128_GCM_SHA256,
            Function::Sha384 => TLS13_AES_256_GCM_SHA384,
        };
        suite.tls13().expect("both are suites of TLS 1.3").common.hash_provider
    }

    fn block_bytes(self) -> usize {
        match self {
            Function::Sha256 => 64,
            Function::Sha384 => 128,
        }
    }
}

/// The tag of `parts`, one after the other.
pub(super) fn tag(function: Function, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let hash = function.hash();
    let mut block = vec![0; function.block_bytes()];
    if key.len() > block.len() {
        let short = hash.hash(key);
        block[..short.as_ref().len()].copy_from_slice(short.as_ref());
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let mut inner = hash.start();
    inner.update(&padded(0x36));
    for part in parts {
        inner.update(part);
    }
    let mut outer = hash.start();
    outer.update(&padded(0x5c));
    outer.update(inner.finish().as_ref());
    outer.finish().as_ref().to_vec()
}

/// Whether `sent` is that tag, in a time that does not tell how much of it is right.
pub(super) fn verify(function: Function, key: &[u8], parts: &[&[u8]], sent: &[u8]) -> bool {
    let right = tag(function, key, parts);
    match (Output::new(&right), Output::new(sent)) {
        (Ok(right), Ok(sent)) => right == sent,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    /// RFC 4231: short keys, and keys that are longer than a block.
    #[test]
    fn tags_are_those_of_the_specification() {
        let long = [0xaa; 131];
        let text: &[u8] = b"Test Using Larger Than Block-Size Key - Hash Key First";
        for (function, key, parts, expected) in [
            (
                Function::Sha256,
                &b"Jefe"[..],
                [&b"what do ya want "[..], b"for nothing?"],
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (Function::Sha256, &long, [text, b""], "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
            (
                Function::Sha384,
                b"Jefe",
                [b"what do ya want ", b"for nothing?"],
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Function::Sha384,
                &long,
                [text, b""],
                "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
            ),
        ] {
            let expected = hex(expected);
            assert_eq!(tag(function, key, &parts), expected, "{function:?}");
            assert!(verify(function, key, &parts, &expected));
            assert!(!verify(function, b"other", &parts, &expected));
            assert!(!verify(function, key, &parts, &expected[..20]));
            assert!(!verify(function, key, &parts, b""));
        }
    }
}
