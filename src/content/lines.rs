//! The connections to download hosts: a fixed number, shared by all readers.
//!
//! The service grants 30 to an account (API notes 4.4). Reading ahead may take all of
//! them, so that one reader can fill the line; who reads ahead hands its
//! connection over as soon as a reader waits for one ([`Line::hand_over`]), and whatever
//! comes free goes to readers first.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

/// The pool.
#[derive(Clone)]
pub(super) struct Lines {
    queue: Arc<Mutex<Queue>>,
    total: usize,
}

struct Queue {
    free: usize,
    /// Somebody waits for the bytes.
    urgent: VecDeque<oneshot::Sender<Line>>,
    /// Nobody does yet.
    ahead: VecDeque<oneshot::Sender<Line>>,
}

/// A connection's permit; it goes back when dropped.
pub(super) struct Line {
    /// `None` once it was handed over.
    queue: Option<Arc<Mutex<Queue>>>,
}

/// Who asks for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    Reader,
    Ahead,
}

impl Lines {
    /// A pool of `total` connections, at least one.
    pub(super) fn new(total: usize) -> Lines {
        let total = total.max(1);
        Lines {
            queue: Arc::new(Mutex::new(Queue {
                free: total,
                urgent: VecDeque::new(),
                ahead: VecDeque::new(),
            })),
            total,
        }
    }

    /// Waits for a connection. `waiters` says how many readers wait for the
    /// run: a run fetched ahead becomes urgent when the first one comes.
    pub(super) async fn acquire(&self, waiters: &mut watch::Receiver<usize>) -> Line {
        loop {
            let who = match *waiters.borrow_and_update() {
                0 => Who::Ahead,
                _ => Who::Reader,
            };
            let granted = match self.ask(who) {
                Ok(line) => return line,
                Err(granted) => granted,
            };
            tokio::select! {
                // The sender is dropped with the queue only, which we hold.
                Ok(line) = granted => return line,
                Ok(()) = waiters.changed() => {}
            }
        }
    }

    fn ask(&self, who: Who) -> Result<Line, oneshot::Receiver<Line>> {
        let mut queue = self.queue.lock();
        if let Some(line) = self.free(&mut queue) {
            return Ok(line);
        }
        let (grant, granted) = oneshot::channel();
        match who {
            Who::Reader => queue.urgent.push_back(grant),
            Who::Ahead => queue.ahead.push_back(grant),
        }
        Err(granted)
    }

    /// A connection, if one is free.
    pub(super) fn try_acquire(&self) -> Option<Line> {
        self.free(&mut self.queue.lock())
    }

    fn free(&self, queue: &mut Queue) -> Option<Line> {
        queue.free = queue.free.checked_sub(1)?;
        Some(Line {
            queue: Some(Arc::clone(&self.queue)),
        })
    }

    /// Connections in all.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Connections in use.
    pub(super) fn in_use(&self) -> usize {
        self.total - self.queue.lock().free
    }
}

impl Line {
    /// Gives the connection to a reader who waits for one, if there is one;
    /// then it is ours no more.
    pub(super) fn hand_over(&mut self) -> bool {
        let Some(queue) = &self.queue else {
            return true;
        };
        let Some(reader) = next(&mut queue.lock().urgent) else {
            return false;
        };
        give(reader, self.queue.take());
        true
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some(queue) = self.queue.take() else {
            return;
        };
        let heir = {
            let mut queue = queue.lock();
            let heir = next(&mut queue.urgent).or_else(|| next(&mut queue.ahead));
            if heir.is_none() {
                queue.free += 1;
            }
            heir
        };
        if let Some(heir) = heir {
            give(heir, Some(queue));
        }
    }
}

/// The next who still waits.
fn next(waiting: &mut VecDeque<oneshot::Sender<Line>>) -> Option<oneshot::Sender<Line>> {
    std::iter::from_fn(|| waiting.pop_front()).find(|grant| !grant.is_closed())
}

/// Gives a connection; one whose taker has just gone is dropped, and so passed on.
fn give(heir: oneshot::Sender<Line>, queue: Option<Arc<Mutex<Queue>>>) {
    drop(heir.send(Line { queue }));
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn readers(count: usize) -> watch::Receiver<usize> {
        // A receiver outlives its sender and keeps the last value.
        watch::channel(count).1
    }

    #[tokio::test]
    async fn reading_ahead_takes_all_and_hands_one_over_to_who_waits() {
        let lines = Lines::new(3);
        let mut held = Vec::new();
        let (_sender, mut nobody) = watch::channel(0);
        while let Some(line) = lines.acquire(&mut nobody).now_or_never() {
            held.push(line);
        }
        assert_eq!(held.len(), 3);
        assert!(!held[0].hand_over(), "nobody waits");
        let (_sender, mut somebody) = watch::channel(1);
        let mut urgent = Box::pin(lines.acquire(&mut somebody));
        assert!((&mut urgent).now_or_never().is_none());
        assert!(held[0].hand_over());
        assert!(!held[1].hand_over(), "one is enough");
        let line = urgent.await;
        drop(held);
        assert_eq!(lines.in_use(), 1);
        drop(line);
        assert_eq!(lines.in_use(), 0);
    }

    #[tokio::test]
    async fn what_comes_free_goes_to_readers_first() {
        let lines = Lines::new(1);
        let (_a, mut nobody) = watch::channel(0);
        let (_b, mut somebody) = watch::channel(1);
        let held = lines.acquire(&mut nobody).await;
        let mut later = nobody.clone();
        let mut ahead = Box::pin(lines.acquire(&mut later));
        assert!((&mut ahead).now_or_never().is_none());
        let mut urgent = Box::pin(lines.acquire(&mut somebody));
        assert!((&mut urgent).now_or_never().is_none());
        drop(held);
        assert!((&mut ahead).now_or_never().is_none());
        drop(urgent.await);
        drop(ahead.await);
        assert_eq!(lines.in_use(), 0);
    }

    #[tokio::test]
    async fn a_run_becomes_urgent_when_a_reader_comes() {
        let lines = Lines::new(1);
        let (_sender, mut nobody) = watch::channel(0);
        let mut held = lines.acquire(&mut nobody).await;
        let (sender, mut waiters) = watch::channel(0);
        let mut run = Box::pin(lines.acquire(&mut waiters));
        assert!((&mut run).now_or_never().is_none());
        assert!(!held.hand_over());
        sender.send_replace(1);
        assert!((&mut run).now_or_never().is_none());
        assert!(held.hand_over());
        let _line = run.await;
        assert_eq!(lines.in_use(), 1);
    }

    #[tokio::test]
    async fn who_gave_up_waiting_costs_no_connection() {
        let lines = Lines::new(1);
        let held = lines.acquire(&mut readers(1)).await;
        let (_sender, mut waiters) = watch::channel(1);
        let gone = lines.acquire(&mut waiters).now_or_never();
        assert!(gone.is_none());
        drop(held);
        assert_eq!(lines.in_use(), 0);
        drop(lines.acquire(&mut readers(0)).await);
    }
}
