//! A writer's identity: which process's sequence numbers a flush mark speaks of.
//!
//! It lives beside the log, because the two only make sense together: whoever has the log may say what is flushed of it.

use std::io;
use std::path::Path;

use uuid::Uuid;

use crate::storage::fs::{FileSystem, create_dir_durably};

const FILE: &str = "writer";

/// Reads the identity in the log's folder `dir`; at the first start makes `fresh` the identity, durably.
pub fn read_or_create(fs: &dyn FileSystem, dir: &Path, fresh: Uuid) -> io::Result<Uuid> {
    let path = dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| {
            let what = format!("{} should hold the writer's UUID, but holds {:?}", path.display(), text.trim());
            io::Error::new(io::ErrorKind::InvalidData, what)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_dir_durably(fs, dir)?;
            let staging = dir.join(format!("{FILE}.{fresh}"));
            let mut file = fs.create_new(&staging)?;
            file.write_all(fresh.to_string().as_bytes())?;
            file.sync()?;
            fs.rename(&staging, &path)?;
            fs.sync_dir(dir)?;
            Ok(fresh)
        }
        Err(error) => Err(error),
    }
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
        std::fs::write(dir.join(FILE), "nonsense").unwrap();
        assert!(read_or_create(&OsFileSystem, &dir, Uuid::from_u128(2)).is_err());
    }
}
