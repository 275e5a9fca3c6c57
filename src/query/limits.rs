//! How much queries may use: how many run, how long, how much memory. Each limit says so in its own error.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::QueryError;

/// Lets so many queries run, so many wait, and each wait so long.
#[derive(Debug)]
pub struct Admission {
    running: Arc<Semaphore>,
    waiting: Semaphore,
    running_max: usize,
    waiting_max: usize,
    wait_max: Duration,
    running_gauge: IntGauge,
    waiting_gauge: IntGauge,
}

/// The right to run one query, given back when dropped.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Admission {
    /// The gauges follow how many queries run and wait.
    pub fn new(
        running_max: usize,
        waiting_max: usize,
        wait_max: Duration,
        running_gauge: IntGauge,
        waiting_gauge: IntGauge,
    ) -> Self {
        Admission {
            running: Arc::new(Semaphore::new(running_max)),
            waiting: Semaphore::new(waiting_max),
            running_max,
            waiting_max,
            wait_max,
            running_gauge,
            waiting_gauge,
        }
    }

    /// Waits for a turn, in order of arrival. Dropping the future leaves the queue.
    pub async fn turn(&self) -> std::result::Result<Turn, QueryError> {
        if let Ok(permit) = self.running.clone().try_acquire_owned() {
            return Ok(self.started(permit));
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(QueryError::QueueFull { running: self.running_max, waiting: self.waiting_max });
        };
        let _counted = Counted::new(&self.waiting_gauge);
        match tokio::time::timeout(self.wait_max, self.running.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(self.started(permit)),
            Ok(Err(_)) => Err(QueryError::internal("the gate for queries is closed")),
            Err(_) => Err(QueryError::QueueTimeout { waited: self.wait_max }),
        }
    }

    fn started(&self, permit: OwnedSemaphorePermit) -> Turn {
        Turn { _permit: permit, _counted: Counted::new(&self.running_gauge) }
    }
}

/// One more in a gauge for as long as it lives.
#[derive(Debug)]
struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The memory of all queries together.
#[derive(Debug, Clone)]
pub struct SharedMemory {
    pool: Arc<GreedyMemoryPool>,
}

impl SharedMemory {
    pub fn new(bytes_max: usize) -> Self {
        SharedMemory { pool: Arc::new(GreedyMemoryPool::new(bytes_max)) }
    }

    /// Bytes reserved now.
    pub fn reserved(&self) -> usize {
        self.pool.reserved()
    }

    /// The memory of one query: at most `bytes_max`, and at most what the others leave.
    pub(super) fn for_query(&self, bytes_max: usize) -> Arc<QueryMemory> {
        Arc::new(QueryMemory {
            own: FairSpillPool::new(bytes_max),
            shared: self.pool.clone(),
            bytes_max,
            refused_by_shared: AtomicBool::new(false),
        })
    }
}

/// A pool of one query's own, backed by the pool of all.
#[derive(Debug)]
pub(super) struct QueryMemory {
    own: FairSpillPool,
    shared: Arc<GreedyMemoryPool>,
    bytes_max: usize,
    /// Whether the last refusal came from the shared pool.
    refused_by_shared: AtomicBool,
}

impl QueryMemory {
    /// The error of a query that ran out of memory, told by which of the two pools refused.
    pub(super) fn explain(&self, error: QueryError) -> QueryError {
        match error {
            QueryError::TooMuchMemory { .. } if self.refused_by_shared.load(Ordering::Relaxed) => {
                QueryError::MemoryBusy
            }
            QueryError::TooMuchMemory { detail, .. } => {
                QueryError::TooMuchMemory { limit_bytes: self.bytes_max, detail }
            }
            other => other,
        }
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.shared.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional).map_err(|error| self.refused(error, false))?;
        self.shared.try_grow(reservation, additional).map_err(|error| {
            self.own.shrink(reservation, additional);
            self.refused(error, true)
        })
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

impl QueryMemory {
    fn refused(&self, error: DataFusionError, by_shared: bool) -> DataFusionError {
        self.refused_by_shared.store(by_shared, Ordering::Relaxed);
        error
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query(reserved: {}, pool_size: {})", self.reserved(), self.bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Classify, Kind};

    fn admission(running: usize, waiting: usize, wait_ms: u64) -> Admission {
        let gauge = |name: &str| IntGauge::new(name, "help").unwrap();
        Admission::new(running, waiting, Duration::from_millis(wait_ms), gauge("r"), gauge("w"))
    }

    #[tokio::test]
    async fn a_full_house_lets_some_wait_and_turns_the_rest_away() {
        let admission = Arc::new(admission(1, 1, 20));
        let first = admission.turn().await.unwrap();
        assert_eq!(admission.running_gauge.get(), 1);
        let waits = tokio::spawn({
            let admission = admission.clone();
            async move { admission.turn().await.map(|_| ()) }
        });
        while admission.waiting_gauge.get() == 0 {
            tokio::task::yield_now().await;
        }
        let turned_away = admission.turn().await.unwrap_err();
        assert!(matches!(turned_away, QueryError::QueueFull { running: 1, waiting: 1 }), "{turned_away}");
        let waited = waits.await.unwrap().unwrap_err();
        assert_eq!((waited.kind(), admission.waiting_gauge.get()), (Kind::Overloaded, 0));
        drop(first);
        assert_eq!(admission.running_gauge.get(), 0);
        admission.turn().await.unwrap();
    }

    #[test]
    fn a_refusal_names_the_pool_that_refused_and_leaves_nothing_behind() {
        let shared = SharedMemory::new(100);
        let check = |own: usize, first: usize, more: usize, kind: Kind| {
            let memory = shared.for_query(own);
            let pool: Arc<dyn MemoryPool> = memory.clone();
            let reservation = MemoryConsumer::new("test").register(&pool);
            reservation.try_grow(first).unwrap();
            let refused = reservation.try_grow(more).unwrap_err();
            assert_eq!(memory.explain(refused.into()).kind(), kind);
            assert_eq!((memory.reserved(), shared.reserved()), (first, first));
        };
        check(50, 40, 20, Kind::TooLarge);
        check(500, 40, 80, Kind::Overloaded);
        assert_eq!(shared.reserved(), 0);
    }
}
