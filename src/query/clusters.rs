//! Which segments and live rows may share keys: those whose times overlap.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::TimestampNanosecondType;
use datafusion::arrow::error::ArrowError;

use crate::storage::segment::Segment;

/// Segments connected by overlaps of their closed time intervals, and the live rows inside that stretch of time.
#[derive(Debug)]
pub(super) struct Cluster {
    pub segments: Vec<Arc<Segment>>,
    pub live: Vec<RecordBatch>,
    first_ns: i64,
    last_ns: i64,
}

impl Cluster {
    /// Whether its rows need no merge.
    pub(super) fn is_plain(&self) -> bool {
        self.segments.len() == 1 && self.live.is_empty()
    }
}

/// Clusters in order of time; no two overlap.
pub(super) fn clusters(mut segments: Vec<Arc<Segment>>) -> Vec<Cluster> {
    segments.sort_by_key(|s| (s.time_min_ns, s.age()));
    let mut clusters: Vec<Cluster> = Vec::new();
    for segment in segments {
        let (first_ns, last_ns) = (segment.time_min_ns, segment.time_max_ns);
        match clusters.last_mut() {
            Some(cluster) if first_ns <= cluster.last_ns => {
                cluster.last_ns = cluster.last_ns.max(last_ns);
                cluster.segments.push(segment);
            }
            _ => clusters.push(Cluster { segments: vec![segment], live: Vec::new(), first_ns, last_ns }),
        }
    }
    clusters
}

/// Gives each cluster the rows that fall into it, in their order; `time` is the time column's position. Returns the rows
/// that fall into none.
pub(super) fn distribute(
    live: Vec<RecordBatch>,
    time: usize,
    clusters: &mut [Cluster],
) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut free = Vec::new();
    for rows in live {
        let places: Vec<Option<usize>> = {
            let times = rows.column(time).as_primitive::<TimestampNanosecondType>().values();
            times.iter().map(|&t| place(clusters, t)).collect()
        };
        let mut distinct = places.clone();
        distinct.sort_unstable();
        distinct.dedup();
        for place in &distinct {
            let part = if distinct.len() == 1 {
                rows.clone()
            } else {
                let mask: BooleanArray = places.iter().map(|p| Some(p == place)).collect();
                filter_record_batch(&rows, &mask)?
            };
            match place {
                Some(cluster) => clusters[*cluster].live.push(part),
                None => free.push(part),
            }
        }
    }
    Ok(free)
}

fn place(clusters: &[Cluster], time_ns: i64) -> Option<usize> {
    let at = clusters.partition_point(|c| c.last_ns < time_ns);
    clusters.get(at).filter(|c| c.first_ns <= time_ns).map(|_| at)
}
