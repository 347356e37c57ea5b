//! The connections to download hosts: a fixed number, shared by all readers.
//!
//! The service grants 30 to an account (API notes 4.4). Reading ahead may take all of
//! them, so that one reader can fill the line; who reads ahead hands its
//! connection over as soon as a reader waits for one ([`Line::hand_over`]), and whatever
//! comes free goes to readers first.
//!
//! Where other programs have the rest of the 30, what we ask for beyond is refused
//! ([`Lines::refused`]). Then only as many are used as were served, and one more is tried from
//! time to time: refusals in great number count against the account (API notes 1.5).

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// How long it takes at least until one more connection is tried after a refusal.
const SHORTEST_REST: Duration = Duration::from_millis(500);

/// And at most, while others are served; it doubles while the one more is refused.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// And at most, while none is: readers wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The pool.
#[derive(Clone)]
pub(super) struct Lines {
    queue: Arc<Mutex<Queue>>,
    total: usize,
}

struct Queue {
    total: usize,
    /// In use.
    used: usize,
    /// So many may be: fewer than there are for a while after a refusal.
    most: usize,
    /// When one more may be tried, while there are fewer.
    rested: Option<Instant>,
    rest: Duration,
    /// Whether one more was tried since the last refusal.
    tried: bool,
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
                total,
                used: 0,
                most: total,
                rested: None,
                rest: SHORTEST_REST,
                tried: false,
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
        if queue.used >= queue.most {
            return None;
        }
        queue.used += 1;
        Some(Line {
            queue: Some(Arc::clone(&self.queue)),
        })
    }

    /// The host refused one of the connections in use, and it was not its link's fault.
    pub(super) fn refused(&self) {
        let mut queue = self.queue.lock();
        let is_known = queue.rested.is_some();
        queue.refused(Instant::now());
        drop(queue);
        if !is_known {
            tracing::debug!("the service grants fewer connections than we may use");
            tokio::spawn(recover(Arc::downgrade(&self.queue)));
        }
    }

    /// Connections in all.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Connections in use.
    pub(super) fn in_use(&self) -> usize {
        self.queue.lock().used
    }
}

impl Queue {
    fn refused(&mut self, now: Instant) {
        self.most = self.most.min(self.used.saturating_sub(1));
        let longest = match self.most {
            0 => LONGEST_WAIT,
            _ => LONGEST_REST,
        };
        // Several that were begun together are refused together: that is one refusal.
        if std::mem::take(&mut self.tried) {
            self.rest *= 2;
        }
        self.rest = self.rest.min(longest);
        self.rested = Some(now + self.rest);
    }

    /// Admits one more, if it is time; says until when to rest then, while there are fewer
    /// than there could be.
    fn raise(&mut self, now: Instant) -> Option<Instant> {
        if self.rested.is_some_and(|at| at <= now) {
            self.most += 1;
            if std::mem::replace(&mut self.tried, true) {
                self.rest = (self.rest / 2).max(SHORTEST_REST);
            }
            self.rested = Some(now + self.rest);
            if self.most >= self.total {
                (self.rested, self.rest, self.tried) = (None, SHORTEST_REST, false);
            }
        }
        self.rested
    }

    /// Those who get a connection now.
    fn heirs(&mut self) -> Vec<oneshot::Sender<Line>> {
        let mut heirs = Vec::new();
        while self.used < self.most {
            let Some(heir) = next(&mut self.urgent).or_else(|| next(&mut self.ahead)) else {
                break;
            };
            self.used += 1;
            heirs.push(heir);
        }
        heirs
    }
}

/// Admits one connection after another again, until all are.
async fn recover(queue: Weak<Mutex<Queue>>) {
    while let Some(queue) = queue.upgrade() {
        let (until, heirs) = {
            let mut queue = queue.lock();
            (queue.raise(Instant::now()), queue.heirs())
        };
        for heir in heirs {
            give(heir, Some(Arc::clone(&queue)));
        }
        let Some(until) = until else {
            return;
        };
        drop(queue);
        tokio::time::sleep_until(until).await;
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
        let heirs = {
            let mut queue = queue.lock();
            queue.used -= 1;
            queue.heirs()
        };
        for heir in heirs {
            give(heir, Some(Arc::clone(&queue)));
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
    async fn after_refusals_only_what_is_served_is_used_and_more_is_tried_seldom() {
        let lines = Lines::new(4);
        let mut queue = lines.queue.lock();
        let mut now = Instant::now();
        queue.used = 4;
        // Two of the four are refused, at the same time.
        for _ in 0..2 {
            queue.refused(now);
            queue.used -= 1;
        }
        assert_eq!(queue.most, 2);
        let begun = now;
        let mut refusals = 0;
        while now - begun < Duration::from_secs(600) {
            now = queue.rested.unwrap();
            queue.raise(now);
            assert_eq!(queue.most, 3);
            queue.used = 3;
            queue.refused(now);
            queue.used = 2;
            refusals += 1;
        }
        assert!((15..40).contains(&refusals), "{refusals}");
        // Nobody else has any more: within a minute or so all are used again.
        let begun = now;
        while let Some(rested) = queue.rested {
            now = rested;
            queue.raise(now);
        }
        assert_eq!(queue.most, 4);
        assert!(now - begun < Duration::from_secs(90));
    }

    #[tokio::test]
    async fn where_none_is_served_the_first_in_the_queue_tries_next() {
        let lines = Lines::new(8);
        let (_sender, mut waiters) = watch::channel(1);
        let line = lines.acquire(&mut waiters).await;
        lines.refused();
        drop(line);
        let mut other = waiters.clone();
        let mut first = Box::pin(lines.acquire(&mut waiters));
        let mut second = Box::pin(lines.acquire(&mut other));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        let line = first.await;
        assert_eq!(lines.in_use(), 1);
        lines.refused();
        drop(line);
        assert!((&mut second).now_or_never().is_none());
        drop(second.await);
        assert_eq!(lines.in_use(), 0);
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
