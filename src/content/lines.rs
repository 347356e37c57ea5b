//! The connections to download hosts: a fixed number, shared by all readers.
//!
//! The service grants 30 to an account (API notes 4.4). Reading ahead may take all of
//! them, so that one reader can fill the line; who reads ahead hands its
//! connection over as soon as a reader waits for one, or a file has two fewer
//! ([`Line::hand_over`]). Whatever comes free goes to readers first, as they came, and then
//! to the file that has the fewest, at its first place.
//!
//! Where other programs have the rest of the 30, what we ask for beyond is refused
//! ([`Lines::refused`]). Then only as many are used as were served, and one more is tried from
//! time to time: refusals in great number count against the account (API notes 1.5).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::blocks::Block;

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
    /// How many connections each file has.
    held: HashMap<u64, usize>,
    /// Somebody waits for the bytes.
    urgent: VecDeque<Waiting>,
    /// Nobody does yet.
    ahead: VecDeque<Waiting>,
}

/// What a connection is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wish {
    /// The number of the cache file.
    pub(super) file: u64,
    /// Where in it.
    pub(super) at: Block,
}

struct Waiting {
    wish: Wish,
    grant: oneshot::Sender<Line>,
}

/// A connection's permit; it goes back when dropped.
pub(super) struct Line {
    /// `None` once it was handed over.
    queue: Option<Arc<Mutex<Queue>>>,
    /// The file that it is for.
    file: u64,
}

/// To whom a connection is handed over that is used to read ahead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heirs {
    /// A reader who waits.
    Readers,
    /// A reader, or a file that is then still no better off.
    Poorer,
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
                held: HashMap::new(),
                urgent: VecDeque::new(),
                ahead: VecDeque::new(),
            })),
            total,
        }
    }

    /// Waits for a connection. `waiters` says how many readers wait for the
    /// run: a run fetched ahead becomes urgent when the first one comes.
    pub(super) async fn acquire(&self, wish: Wish, waiters: &mut watch::Receiver<usize>) -> Line {
        loop {
            let who = match *waiters.borrow_and_update() {
                0 => Who::Ahead,
                _ => Who::Reader,
            };
            let granted = match self.ask(wish, who) {
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

    fn ask(&self, wish: Wish, who: Who) -> Result<Line, oneshot::Receiver<Line>> {
        let mut queue = self.queue.lock();
        if let Some(line) = self.free(&mut queue, wish.file) {
            return Ok(line);
        }
        let (grant, granted) = oneshot::channel();
        let waiting = Waiting { wish, grant };
        match who {
            Who::Reader => queue.urgent.push_back(waiting),
            Who::Ahead => queue.ahead.push_back(waiting),
        }
        Err(granted)
    }

    /// A connection for a file, if one is free.
    pub(super) fn try_acquire(&self, file: u64) -> Option<Line> {
        self.free(&mut self.queue.lock(), file)
    }

    fn free(&self, queue: &mut Queue, file: u64) -> Option<Line> {
        if queue.used >= queue.most {
            return None;
        }
        queue.used += 1;
        queue.count(file);
        let queue = Some(Arc::clone(&self.queue));
        Some(Line { queue, file })
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

    /// Connections that could be used now and are not.
    pub(super) fn idle(&self) -> usize {
        let queue = self.queue.lock();
        queue.most.saturating_sub(queue.used)
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
    fn heirs(&mut self) -> Vec<Waiting> {
        let mut heirs = Vec::new();
        while self.used < self.most {
            let Some(heir) = self.next() else {
                break;
            };
            self.used += 1;
            self.count(heir.wish.file);
            heirs.push(heir);
        }
        heirs
    }

    fn count(&mut self, file: u64) {
        *self.held.entry(file).or_default() += 1;
    }

    fn uncount(&mut self, file: u64) {
        if let Entry::Occupied(mut held) = self.held.entry(file) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }

    fn held(&self, file: u64) -> usize {
        self.held.get(&file).copied().unwrap_or(0)
    }

    /// Who is to have the next connection: readers as they came, then those who read ahead.
    fn next(&mut self) -> Option<Waiting> {
        std::iter::from_fn(|| self.urgent.pop_front())
            .find(|reader| !reader.grant.is_closed())
            .or_else(|| self.next_ahead())
    }

    /// Of the file with the fewest connections, the one for its first place.
    fn next_ahead(&mut self) -> Option<Waiting> {
        self.ahead.retain(|waiting| !waiting.grant.is_closed());
        let wishes = || self.ahead.iter().map(|waiting| waiting.wish);
        let poorest = wishes().min_by_key(|wish| self.held(wish.file))?.file;
        let (first, _) = wishes()
            .enumerate()
            .filter(|(_, wish)| wish.file == poorest)
            .min_by_key(|(_, wish)| wish.at)?;
        self.ahead.remove(first)
    }

    /// Whether one of `heirs` waits for a connection of `file`.
    fn is_due(&self, file: u64, heirs: Heirs) -> bool {
        let waits = |waiting: &&Waiting| !waiting.grant.is_closed();
        // A host that is at its limit may still count the old connection when it refuses the
        // new one: then only who waits is worth it.
        let may_be_poorer = heirs == Heirs::Poorer && self.rested.is_none();
        let held = self.held(file);
        let is_poorer = |waiting: &Waiting| self.held(waiting.wish.file) + 2 <= held;
        self.urgent.iter().any(|waiting| waits(&waiting))
            || may_be_poorer && self.ahead.iter().filter(waits).any(is_poorer)
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
            give(heir, Arc::clone(&queue));
        }
        let Some(until) = until else {
            return;
        };
        drop(queue);
        tokio::time::sleep_until(until).await;
    }
}

impl Line {
    /// Gives the connection to one of `heirs` who waits for it, if there is one; then it is
    /// ours no more.
    pub(super) fn hand_over(&mut self, heirs: Heirs) -> bool {
        let Some(shared) = &self.queue else {
            return true;
        };
        let mut queue = shared.lock();
        if !queue.is_due(self.file, heirs) {
            return false;
        }
        let Some(heir) = queue.next() else {
            return false;
        };
        queue.uncount(self.file);
        queue.count(heir.wish.file);
        drop(queue);
        if let Some(shared) = self.queue.take() {
            give(heir, shared);
        }
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
            queue.uncount(self.file);
            queue.heirs()
        };
        for heir in heirs {
            give(heir, Arc::clone(&queue));
        }
    }
}

/// Gives a connection; one whose taker has just gone is dropped, and so passed on.
fn give(heir: Waiting, queue: Arc<Mutex<Queue>>) {
    let line = Line {
        queue: Some(queue),
        file: heir.wish.file,
    };
    drop(heir.grant.send(line));
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const FILM: Wish = Wish { file: 1, at: 0 };

    fn readers(count: usize) -> watch::Receiver<usize> {
        // A receiver outlives its sender and keeps the last value.
        watch::channel(count).1
    }

    async fn acquire(lines: &Lines, wish: Wish, waiters: &watch::Receiver<usize>) -> Line {
        lines.acquire(wish, &mut waiters.clone()).await
    }

    /// Four connections, from the first place of a file on.
    async fn all_for_one_file(lines: &Lines, waiters: &watch::Receiver<usize>) -> Vec<Line> {
        let mut held = Vec::new();
        for at in 0..4 {
            held.push(acquire(lines, Wish { file: 1, at }, waiters).await);
        }
        held
    }

    #[tokio::test]
    async fn reading_ahead_takes_all_and_hands_one_over_to_who_waits() {
        let lines = Lines::new(3);
        let mut held = Vec::new();
        let (_sender, mut nobody) = watch::channel(0);
        while let Some(line) = lines.acquire(FILM, &mut nobody).now_or_never() {
            held.push(line);
        }
        assert_eq!(held.len(), 3);
        assert!(!held[0].hand_over(Heirs::Poorer), "nobody waits");
        let (_sender, mut somebody) = watch::channel(1);
        let mut urgent = Box::pin(lines.acquire(FILM, &mut somebody));
        assert!((&mut urgent).now_or_never().is_none());
        assert!(held[0].hand_over(Heirs::Poorer));
        assert!(!held[1].hand_over(Heirs::Poorer), "one is enough");
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
        let held = lines.acquire(FILM, &mut nobody).await;
        let mut later = nobody.clone();
        let mut ahead = Box::pin(lines.acquire(FILM, &mut later));
        assert!((&mut ahead).now_or_never().is_none());
        let mut urgent = Box::pin(lines.acquire(FILM, &mut somebody));
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
        let mut held = lines.acquire(FILM, &mut nobody).await;
        let (sender, mut waiters) = watch::channel(0);
        let mut run = Box::pin(lines.acquire(FILM, &mut waiters));
        assert!((&mut run).now_or_never().is_none());
        assert!(!held.hand_over(Heirs::Poorer));
        sender.send_replace(1);
        assert!((&mut run).now_or_never().is_none());
        assert!(held.hand_over(Heirs::Poorer));
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
        let line = lines.acquire(FILM, &mut waiters).await;
        lines.refused();
        drop(line);
        let mut other = waiters.clone();
        let mut first = Box::pin(lines.acquire(FILM, &mut waiters));
        let mut second = Box::pin(lines.acquire(FILM, &mut other));
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
        let held = lines.acquire(FILM, &mut readers(1)).await;
        let (_sender, mut waiters) = watch::channel(1);
        let gone = lines.acquire(FILM, &mut waiters).now_or_never();
        assert!(gone.is_none());
        drop(held);
        assert_eq!(lines.in_use(), 0);
        drop(lines.acquire(FILM, &mut readers(0)).await);
    }

    #[tokio::test]
    async fn files_that_are_read_ahead_come_to_as_many_each_from_their_first_places_on() {
        let lines = Lines::new(4);
        let (_sender, nobody) = watch::channel(0);
        let mut held = all_for_one_file(&lines, &nobody).await;
        let wanted = |file, at| acquire(&lines, Wish { file, at }, &nobody);
        let mut more = Box::pin(wanted(1, 4));
        let mut last = Box::pin(wanted(2, 9));
        let mut first = Box::pin(wanted(2, 3));
        for waiting in [&mut more, &mut last, &mut first] {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        assert!(!held[0].hand_over(Heirs::Readers));
        assert!(held[0].hand_over(Heirs::Poorer), "four and none");
        let _first = first.now_or_never().unwrap();
        assert!(held[1].hand_over(Heirs::Poorer), "three and one");
        let _last = last.now_or_never().unwrap();
        assert!(!held[2].hand_over(Heirs::Poorer), "two each");
        drop(held);
        let _more = more.now_or_never().unwrap();
        assert_eq!(lines.in_use(), 3);
    }

    #[tokio::test]
    async fn readers_get_connections_as_they_came_wherever_they_read() {
        let lines = Lines::new(2);
        let (_sender, somebody) = watch::channel(1);
        let wanted = |file, at| acquire(&lines, Wish { file, at }, &somebody);
        let held = [wanted(1, 0).await, wanted(2, 0).await];
        let mut far = Box::pin(wanted(1, 900));
        let mut near = Box::pin(wanted(1, 1));
        let mut other = Box::pin(wanted(3, 0));
        for waiting in [&mut far, &mut near, &mut other] {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let [first, second] = held;
        drop(second);
        let _far = far.now_or_never().unwrap();
        drop(first);
        let _near = near.now_or_never().unwrap();
        assert!(other.now_or_never().is_none());
    }

    #[tokio::test]
    async fn at_the_limit_of_the_host_only_who_waits_is_handed_a_connection() {
        let lines = Lines::new(4);
        let (_sender, nobody) = watch::channel(0);
        let mut held = all_for_one_file(&lines, &nobody).await;
        lines.refused();
        let mut other = Box::pin(acquire(&lines, Wish { file: 2, at: 0 }, &nobody));
        assert!((&mut other).now_or_never().is_none());
        assert!(!held[0].hand_over(Heirs::Poorer));
        let (_sender, somebody) = watch::channel(1);
        let mut reader = Box::pin(acquire(&lines, Wish { file: 3, at: 0 }, &somebody));
        assert!((&mut reader).now_or_never().is_none());
        assert!(held[0].hand_over(Heirs::Poorer));
        let _reader = reader.now_or_never().unwrap();
    }
}
