//! The connections to download hosts: a fixed number, shared by all readers.
//!
//! The service grants 30 to an account (API notes 4.4). Reading ahead may not
//! take the last of them, so that a reader who waits finds one free.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The pool.
pub(super) struct Lines {
    all: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
    total: usize,
}

/// A connection's permit; it goes back when dropped.
pub(super) struct Line {
    _all: Option<OwnedSemaphorePermit>,
    _ahead: Option<OwnedSemaphorePermit>,
}

impl Lines {
    /// A pool of `total` connections, at least one.
    pub(super) fn new(total: usize) -> Lines {
        let total = total.max(1);
        let reserved = total.div_ceil(4).min(total - 1);
        Lines {
            all: Arc::new(Semaphore::new(total)),
            ahead: Arc::new(Semaphore::new(total - reserved)),
            total,
        }
    }

    /// Waits for a connection. `waiters` says how many readers wait for the
    /// run: a run fetched ahead becomes urgent when the first one comes.
    pub(super) async fn acquire(&self, waiters: &mut watch::Receiver<usize>) -> Line {
        loop {
            if *waiters.borrow_and_update() > 0 {
                return Line {
                    _all: permit(&self.all).await,
                    _ahead: None,
                };
            }
            let ahead = async {
                // In this order: while it waits here it stands in nobody's way.
                let ahead = permit(&self.ahead).await;
                Line {
                    _all: permit(&self.all).await,
                    _ahead: ahead,
                }
            };
            tokio::select! {
                line = ahead => return line,
                Ok(()) = waiters.changed() => {}
            }
        }
    }

    /// Connections in use.
    pub(super) fn in_use(&self) -> usize {
        self.total - self.all.available_permits()
    }
}

async fn permit(semaphore: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // It fails only for a closed semaphore, and these are never closed.
    Arc::clone(semaphore).acquire_owned().await.ok()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn reading_ahead_leaves_connections_for_who_waits() {
        let lines = Lines::new(8);
        let (_sender, mut nobody) = watch::channel(0);
        let mut held = Vec::new();
        while let Some(line) = lines.acquire(&mut nobody).now_or_never() {
            held.push(line);
        }
        assert_eq!(held.len(), 6);
        let (_sender, mut somebody) = watch::channel(1);
        assert!(lines.acquire(&mut somebody).now_or_never().is_some());
        drop(held);
        assert_eq!(lines.in_use(), 0);
    }

    #[tokio::test]
    async fn a_run_becomes_urgent_when_a_reader_comes() {
        let lines = Lines::new(2);
        let (_sender, mut nobody) = watch::channel(0);
        let _held = lines.acquire(&mut nobody).await;
        let (sender, mut waiters) = watch::channel(0);
        let mut urgent = Box::pin(lines.acquire(&mut waiters));
        assert!((&mut urgent).now_or_never().is_none());
        sender.send_replace(1);
        let _line = urgent.await;
        assert_eq!(lines.in_use(), 2);
    }

    #[tokio::test]
    async fn a_single_connection_serves_both() {
        let lines = Lines::new(0);
        let (_sender, mut nobody) = watch::channel(0);
        drop(lines.acquire(&mut nobody).await);
        let (_sender, mut somebody) = watch::channel(1);
        drop(lines.acquire(&mut somebody).await);
        assert_eq!(lines.in_use(), 0);
    }
}
