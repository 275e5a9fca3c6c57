//! Any document is values of bounded names, or refused and forgotten; never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::model::Documents;
use tidegate::protocol::format::documents::flatten::NAME_BYTES_MAX;
use tidegate::protocol::format::documents::time::{read, take_time};
use tidegate::protocol::format::documents::{Arrays, Shape, flatten};

fuzz_target!(|source: &[u8]| {
    for arrays in [Arrays::Text, Arrays::ByPosition] {
        let mut documents = Documents::new("t");
        if flatten(source, Shape { arrays, depth_max: 20 }, &mut documents).is_err() {
            documents.abort();
            assert_eq!(documents.open_values().count(), 0);
            continue;
        }
        assert!(documents.open_values().all(|(name, _)| !name.is_empty() && name.len() <= NAME_BYTES_MAX));
        let time = take_time(&mut documents, &["@timestamp"], read, &["time"]);
        documents.finish(time.ok().flatten().unwrap_or(0));
        assert_eq!(documents.rows(), 1);
    }
});
