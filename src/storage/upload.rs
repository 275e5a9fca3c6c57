//! Ids of uploads: UUIDs of version 7, whose first bits are the time they were made. The catalog declares old ones dead
//! by that time, so that collecting what no commit speaks of never takes what a commit is about to speak of.

use uuid::{NoContext, Timestamp, Uuid};

/// An id never used before, whose time is not before `earliest_ms`, whatever the machine's clock says.
pub fn fresh_upload_id(earliest_ms: u64) -> Uuid {
    let id = Uuid::now_v7();
    if uploaded_ms(id) >= earliest_ms {
        return id;
    }
    let nanos = (earliest_ms % 1_000) as u32 * 1_000_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, earliest_ms / 1_000, nanos))
}

/// When an upload got its id, milliseconds since 1970; 0 for an id that does not say.
pub fn uploaded_ms(id: Uuid) -> u64 {
    let Some(time) = id.get_timestamp() else { return 0 };
    let (seconds, nanos) = time.to_unix();
    seconds.saturating_mul(1_000).saturating_add(u64::from(nanos) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_never_before_the_horizon() {
        let now = uploaded_ms(fresh_upload_id(0));
        assert!(now > 1_700_000_000_000, "{now}");
        for earliest in [now + 3_600_123, 9_223_372_036_854] {
            assert_eq!(uploaded_ms(fresh_upload_id(earliest)), earliest);
            assert_ne!(fresh_upload_id(earliest), fresh_upload_id(earliest));
        }
        assert_eq!(uploaded_ms(Uuid::from_u128(5)), 0);
    }
}
