//! Keyed hashes (HMAC, RFC 2104).

use argon2::password_hash::Output;
use ring::hmac;

/// The functions that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Sha256,
    Sha384,
    Sha512,
}

impl Function {
    fn algorithm(self) -> hmac::Algorithm {
        match self {
            Function::Sha256 => hmac::HMAC_SHA256,
            Function::Sha384 => hmac::HMAC_SHA384,
            Function::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

/// The tag of `parts`, one after the other.
pub(super) fn tag(function: Function, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(function.algorithm(), key));
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
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
            (
                Function::Sha512,
                b"Jefe",
                [b"what do ya want ", b"for nothing?"],
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
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
