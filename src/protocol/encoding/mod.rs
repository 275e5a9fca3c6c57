//! Content encodings: their names, which one an answer gets, compressing ([`Compressor`]) and expanding ([`expand`]).
//!
//! Knows no HTTP beyond the text of its headers. Left out: `snappy` (framed), `compress`.

mod compress;
mod expand;

use std::fmt;

pub use compress::Compressor;
pub use expand::{Damage, ExpandError, expand};

/// How bytes are packed on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    Identity,
    Gzip,
    /// Raw deflate when we send it; raw or in a zlib wrapper when we receive it.
    Deflate,
    Br,
    Zstd,
    /// The LZ4 frame format.
    Lz4,
}

impl Encoding {
    /// The encoding called `name` in a header, in any case; `None` for one we do not speak.
    pub fn from_name(name: &str) -> Option<Self> {
        const NAMES: [(&str, Encoding); 7] = [
            ("identity", Encoding::Identity),
            ("gzip", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("deflate", Encoding::Deflate),
            ("br", Encoding::Br),
            ("zstd", Encoding::Zstd),
            ("lz4", Encoding::Lz4),
        ];
        NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|&(_, encoding)| encoding)
    }

    pub fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
            Encoding::Br => "br",
            Encoding::Zstd => "zstd",
            Encoding::Lz4 => "lz4",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who decides when a client accepts several encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// The highest weight (`q`) wins, then the order in which we offer. `*` stands for all that is not named.
    Weight,
    /// The first one in the client's list that is offered wins, whatever its weight. `*` is skipped.
    ClientOrder,
}

/// The encoding of an answer to a request with this `Accept-Encoding`. `q=0` refuses an encoding; unknown names are
/// skipped; `Identity` when nothing else fits, even if the client refuses it.
pub fn choose(accept_encoding: Option<&str>, offered: &[Encoding], preference: Preference) -> Encoding {
    let accepted = accept_encoding.unwrap_or_default();
    match preference {
        Preference::Weight => heaviest(accepted, offered),
        Preference::ClientOrder => items(accepted)
            .filter(|&(_, weight)| weight > 0.0)
            .filter_map(|(name, _)| Encoding::from_name(name))
            .find(|&encoding| encoding == Encoding::Identity || offered.contains(&encoding))
            .unwrap_or(Encoding::Identity),
    }
}

fn heaviest(accepted: &str, offered: &[Encoding]) -> Encoding {
    let named = |wanted| items(accepted).find(|&(name, _)| Encoding::from_name(name) == Some(wanted));
    let others = items(accepted).find(|&(name, _)| name == "*").map_or(0.0, |(_, weight)| weight);
    let mut best = (Encoding::Identity, named(Encoding::Identity).map_or(0.0, |(_, weight)| weight));
    for &encoding in offered.iter().filter(|&&e| e != Encoding::Identity) {
        let weight = named(encoding).map_or(others, |(_, weight)| weight);
        // Packed beats plain at equal weight.
        let beats = if best.0 == Encoding::Identity { weight >= best.1 } else { weight > best.1 };
        if weight > 0.0 && beats {
            best = (encoding, weight);
        }
    }
    best.0
}

/// Names and weights of an `Accept-Encoding` list; a weight that cannot be read is 1.
fn items(list: &str) -> impl Iterator<Item = (&str, f32)> {
    list.split(',').map(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().ok())?
        });
        (name.trim(), weight.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::Encoding::*;
    use super::*;

    const OFFERED: [Encoding; 4] = [Gzip, Br, Zstd, Deflate];

    #[test]
    fn names_are_read_in_any_case_and_written_in_lower_case() {
        for (name, expected) in [("GZIP", Some(Gzip)), ("x-gzip", Some(Gzip)), ("Br", Some(Br)), ("lzma", None)] {
            assert_eq!(Encoding::from_name(name), expected, "{name}");
        }
        for encoding in [Identity, Gzip, Deflate, Br, Zstd, Lz4] {
            assert_eq!(Encoding::from_name(encoding.name()), Some(encoding));
        }
    }

    fn check(preference: Preference, cases: &[(Option<&str>, Encoding)]) {
        for &(accept, expected) in cases {
            assert_eq!(choose(accept, &OFFERED, preference), expected, "{preference:?} of {accept:?}");
        }
    }

    #[test]
    fn the_heaviest_offered_encoding_wins() {
        check(
            Preference::Weight,
            &[
                (None, Identity),
                (Some(""), Identity),
                (Some("gzip"), Gzip),
                (Some(" GZip ; q=1.0 "), Gzip),
                (Some("deflate, br, gzip"), Gzip), // equal weights: our order
                (Some("gzip;q=0.5, br;q=0.8"), Br),
                (Some("gzip;q=0, br"), Br),
                (Some("gzip;q=0"), Identity),
                (Some("gzip;q=0.000"), Identity),
                (Some("*"), Gzip),
                (Some("*;q=0"), Identity),
                (Some("*, gzip;q=0"), Br),
                (Some("gzip;q=0.1, *;q=0.5"), Br),
                (Some("identity, gzip;q=0.5"), Identity),
                (Some("identity, gzip"), Gzip),
                (Some("identity;q=0"), Identity),
                (Some("lz4, snappy, lzma"), Identity),
                (Some("gzip;q=high"), Gzip),
                (Some("gzip;level=3;q=0"), Identity),
                (Some(",;,q=0,"), Identity),
            ],
        );
    }

    #[test]
    fn in_the_clients_order_the_first_offered_wins() {
        check(
            Preference::ClientOrder,
            &[
                (None, Identity),
                (Some("deflate, gzip"), Deflate),
                (Some("snappy, br;q=0.1, gzip;q=1"), Br),
                (Some("br;q=0, gzip"), Gzip),
                (Some("identity, gzip"), Identity),
                (Some("*"), Identity),
                (Some("lzma"), Identity),
            ],
        );
    }
}
