//! SHOW QUERIES.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, UInt64Array};

use crate::query::influxql::answer::{SeriesPiece, texts_array};

use super::{Pieces, Show};

impl Show<'_> {
    pub(super) fn queries(&self) -> Pieces {
        let mut running = self.engine.running_queries.list();
        running.retain(|query| self.scope.readable.allows(&query.database));
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from_iter_values(running.iter().map(|query| query.id))),
            texts_array(running.iter().map(|query| &query.text)),
            texts_array(running.iter().map(|query| &query.database)),
            texts_array(running.iter().map(|query| elapsed(query.elapsed))),
            texts_array(running.iter().map(|query| if query.is_killed { "killed" } else { "running" })),
        ];
        vec![SeriesPiece::of(None, &["qid", "query", "database", "duration", "status"], arrays)]
    }
}

/// In the largest unit that is filled, cut to whole ones.
fn elapsed(elapsed: Duration) -> String {
    match elapsed {
        long if long.as_secs() >= 3600 => {
            let seconds = long.as_secs();
            format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
        long if long.as_secs() >= 60 => format!("{}m{}s", long.as_secs() / 60, long.as_secs() % 60),
        short if short.as_secs() >= 1 => format!("{}s", short.as_secs()),
        short if short.as_millis() >= 1 => format!("{}ms", short.as_millis()),
        short => format!("{}µs", short.as_micros()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_its_largest_unit() {
        for (ms, expected) in [(0, "0µs"), (7, "7ms"), (1_999, "1s"), (61_000, "1m1s"), (3_601_000, "1h0m1s")] {
            assert_eq!(elapsed(Duration::from_millis(ms)), expected);
        }
    }
}
