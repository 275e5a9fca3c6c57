//! A writer's identity: which process's sequence numbers a flush mark speaks of.
//!
//! The file holds the UUID and its CRC-32 in hex digits: `0198… crc32=89abcdef`. Earlier versions wrote the UUID alone.
//! It lives beside the log, because the two only make sense together: whoever has the log may say what is flushed of it.

use std::io;
use std::path::Path;

use uuid::Uuid;

use crate::storage::fs::{FileSystem, create_dir_durably};

const FILE: &str = "writer";

/// Reads the identity in the log's folder `dir`; at the first start makes `fresh` the identity, durably.
pub fn read_or_create(fs: &dyn FileSystem, dir: &Path, fresh: Uuid) -> io::Result<Uuid> {
    let path = dir.join(FILE);
    match std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
        Ok(text) => decode(text.trim()).ok_or_else(|| {
            let what = format!(
                "{} is damaged: it should hold the writer's UUID and its checksum, but holds {:?}; restore it from a copy",
                path.display(),
                text.trim()
            );
            io::Error::new(io::ErrorKind::InvalidData, what)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_dir_durably(fs, dir)?;
            let staging = dir.join(format!("{FILE}.{fresh}"));
            let mut file = fs.create_new(&staging)?;
            file.write_all(encode(fresh).as_bytes())?;
            file.sync()?;
            fs.rename(&staging, &path)?;
            fs.sync_dir(dir)?;
            Ok(fresh)
        }
        Err(error) => Err(error),
    }
}

fn encode(writer: Uuid) -> String {
    format!("{writer} crc32={:08x}", crc32fast::hash(writer.as_bytes()))
}

fn decode(text: &str) -> Option<Uuid> {
    let (id, crc) = text.split_once(' ').map_or((text, None), |(id, crc)| (id, Some(crc)));
    let id: Uuid = id.parse().ok()?;
    let checked = crc.is_none_or(|_| encode(id).eq_ignore_ascii_case(text));
    checked.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fs::OsFileSystem;

    #[test]
    fn the_identity_stays() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("wal");
        let first = read_or_create(&OsFileSystem, &dir, Uuid::from_u128(1)).unwrap();
        assert_eq!(first, Uuid::from_u128(1));
        assert_eq!(read_or_create(&OsFileSystem, &dir, Uuid::from_u128(2)).unwrap(), first);
        for damaged in [&b"nonsense"[..], &Uuid::nil().to_string().as_bytes()[1..], b"\xff"] {
            std::fs::write(dir.join(FILE), damaged).unwrap();
            let error = read_or_create(&OsFileSystem, &dir, Uuid::from_u128(2)).unwrap_err().to_string();
            assert!(error.contains(dir.join(FILE).to_str().unwrap()), "{error}");
        }
        std::fs::write(dir.join(FILE), Uuid::from_u128(3).to_string()).unwrap();
        assert_eq!(
            read_or_create(&OsFileSystem, &dir, Uuid::nil()).unwrap(),
            Uuid::from_u128(3),
            "an earlier version's"
        );
    }

    #[test]
    fn a_flipped_byte_is_noticed_or_means_the_same() {
        let writer = Uuid::from_u128(0x0198_aaaa_bbbb_cccc_dddd_eeee_ffff_0123);
        let text = encode(writer);
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut damaged = text.clone().into_bytes();
                damaged[at] ^= 1 << bit;
                let read = decode(std::str::from_utf8(&damaged).unwrap().trim());
                assert!(read.is_none_or(|read| read == writer), "byte {at}, bit {bit}");
            }
        }
    }
}
