//! Queries that run now, for those who want to look at them or end them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Every query of every door that has one to show, by number.
#[derive(Debug, Default, Clone)]
pub struct RunningQueries(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    last_id: u64,
    queries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    user: Arc<str>,
    text: Arc<str>,
    database: Arc<str>,
    started: Instant,
    killed: CancellationToken,
}

/// One query as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningQuery {
    pub id: u64,
    /// Who asked, `root` where nobody says who he is.
    pub user: Arc<str>,
    /// Without passwords.
    pub text: Arc<str>,
    pub database: Arc<str>,
    pub elapsed: Duration,
    /// It was told to end and has not ended yet.
    pub is_killed: bool,
}

impl RunningQueries {
    /// Lists a query until its ticket is dropped. Numbers are never used again.
    pub fn register(&self, text: &str, database: &str) -> Ticket {
        self.register_for("root", text, database)
    }

    /// The same, for somebody in particular.
    pub fn register_for(&self, user: &str, text: &str, database: &str) -> Ticket {
        let mut table = self.table();
        table.last_id += 1;
        let id = table.last_id;
        let killed = CancellationToken::new();
        let entry = Entry {
            user: user.into(),
            text: text.into(),
            database: database.into(),
            started: Instant::now(),
            killed: killed.clone(),
        };
        table.queries.insert(id, entry);
        Ticket { id, queries: self.clone(), killed }
    }

    /// In order of their numbers.
    pub fn list(&self) -> Vec<RunningQuery> {
        let of = |(id, entry): (&u64, &Entry)| RunningQuery {
            id: *id,
            user: entry.user.clone(),
            text: entry.text.clone(),
            database: entry.database.clone(),
            elapsed: entry.started.elapsed(),
            is_killed: entry.killed.is_cancelled(),
        };
        self.table().queries.iter().map(of).collect()
    }

    /// Tells a query to end. `false`: there is no such query.
    pub fn kill(&self, id: u64) -> bool {
        let table = self.table();
        let entry = table.queries.get(&id);
        entry.inspect(|entry| entry.killed.cancel()).is_some()
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by who runs a query.
pub struct Ticket {
    id: u64,
    queries: RunningQueries,
    killed: CancellationToken,
}

impl Ticket {
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Waits until the query is told to end.
    pub async fn killed(&self) {
        self.killed.cancelled().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queries.table().queries.remove(&self.id);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_query_is_listed_while_it_runs_and_told_when_it_is_killed() {
        let queries = RunningQueries::default();
        let first = queries.register("SELECT a", "db");
        let second = queries.register("SELECT b", "");
        assert_eq!(
            queries.list().iter().map(|q| (q.id, &*q.text)).collect::<Vec<_>>(),
            [(1, "SELECT a"), (2, "SELECT b")]
        );
        drop(first);
        assert!(!queries.kill(1) && queries.kill(2));
        second.killed().await;
        assert!(queries.list()[0].is_killed);
        drop(second);
        assert!(queries.list().is_empty());
        assert_eq!(queries.register("SELECT c", "").id(), 3);
    }
}
