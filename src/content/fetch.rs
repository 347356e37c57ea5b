//! Flying a flight: one range request after another, streamed block by block
//! to readers and into the cache, until the run is here.
//!
//! A block is in memory, and so with its readers, as soon as it is whole; to disk they go
//! several at a time while the next ones come.
//!
//! A connection that breaks is taken up again at the byte where it broke, after
//! a pause that grows; a link that fails is replaced. The flight is given up
//! when nobody waits for it or counts on it any more, and fails when nothing
//! has come for as long as a reader waits. Every wait for the network ends when
//! the flight is given up, so no task, connection or link outlives the wish.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::assemble::{Arrived, Assembler};
use super::blocks::{self, BLOCK_SIZE};
use super::error::{ContentError, Reason};
use super::file::{CacheFile, Stored};
use super::flight::{Flight, Progress};
use super::hedge::{Hedged, Second};
use super::lines::{Heirs, Line, Wish};
use super::links::{Issued, Refused};
use super::origin::{Chunks, Fault, Need};
use super::window::Price;
use super::{Core, MEMORY};
use crate::throttle::Turn;

/// How often a flight looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(250);

/// How long a link that nobody waits for may be on its way: its call lets all others pass.
const NO_HURRY: Duration = Duration::from_secs(300);

/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Blocks that go to disk together: fewer and larger writes cost less.
const BATCH: usize = (2 * 1024 * 1024 / BLOCK_SIZE) as usize;

/// Batches that may wait for the disk, besides one of each flight: a disk stands still for some
/// tenths of a second when it syncs, and the line goes on meanwhile.
pub(super) const BATCHES_BEHIND: usize = MEMORY as usize / 2 / (BATCH * BLOCK_SIZE as usize);

/// Bytes that come to disk before the row is brought up to date: what a crash costs is
/// fetched again, and each time costs a sync.
const SAVE_EVERY: u64 = 256 * 1024 * 1024;

/// Starts a flight that is on the table of `file`.
pub(super) fn launch(core: &Arc<Core>, file: &Arc<CacheFile>, flight: Arc<Flight>) {
    launch_with(core, file, flight, None);
}

/// The same, with what it needs for its first request.
fn launch_with(
    core: &Arc<Core>,
    file: &Arc<CacheFile>,
    flight: Arc<Flight>,
    given: Option<(Arc<Issued>, Line)>,
) {
    let pilot = Pilot {
        waiters: flight.waiters(),
        assembler: Assembler::new(flight.run().start, file.size, core.buffers.clone()),
        unwritten: Vec::new(),
        writing: VecDeque::new(),
        core: Arc::clone(core),
        file: Arc::clone(file),
        flight,
        given,
        kept: None,
        over: None,
    };
    core.counters.flights.add(1);
    core.runtime.spawn(pilot.fly());
}

/// Why an attempt ended before its time.
enum Stop {
    /// Nobody wants the rest of the flight.
    GivenUp,
    /// A reader has taken the connection; the flight waits for another one.
    HandedOver,
    /// Something failed.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

struct Pilot {
    core: Arc<Core>,
    file: Arc<CacheFile>,
    flight: Arc<Flight>,
    waiters: watch::Receiver<usize>,
    assembler: Assembler,
    /// Blocks that came and are not on their way to disk yet.
    unwritten: Vec<Arrived>,
    /// The writes under way, in order.
    writing: VecDeque<oneshot::Receiver<()>>,
    /// A link and a connection for the first request.
    given: Option<(Arc<Issued>, Line)>,
    /// A link that was refused though it does not seem to be its fault: it is used again.
    kept: Option<Arc<Issued>>,
    over: Option<Progress>,
}

impl Pilot {
    async fn fly(mut self) {
        let patience = self.core.options.data_deadline;
        let mut pauses = self.pauses();
        let mut failing_since = None;
        loop {
            let before = self.assembler.position();
            let attempt = self.attempt().await;
            self.write().await;
            self.written().await;
            let fault = match attempt {
                Ok(()) | Err(Stop::GivenUp) => {
                    self.over = Some(Progress::Ended);
                    return;
                }
                Err(Stop::HandedOver) => continue,
                Err(Stop::Fault(fault)) => fault,
            };
            if self.assembler.position() > before {
                pauses = self.pauses();
                failing_since = None;
            }
            let reason = match fault {
                Fault::Final(error) => {
                    self.over = Some(Progress::Failed(error));
                    return;
                }
                // How many links that may cost, the links see to.
                Fault::BadLink(reason) | Fault::Again(reason) => reason,
            };
            // Not from its start: a link that nobody waits for may take its time.
            let since = *failing_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= patience {
                self.over = Some(Progress::Failed(ContentError::Unavailable(reason)));
                return;
            }
            tracing::debug!(file = %self.file.id, %reason, "a download broke off and is taken up again");
            self.core.counters.retries.add(1);
            let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
            if self
                .unless_given_up(tokio::time::sleep(pause))
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// The pauses between attempts.
    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.core.options.retry_pause)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .without_max_times()
            .build()
    }

    /// Requests what is left of the run and takes it in.
    async fn attempt(&mut self) -> Result<(), Stop> {
        if self.left().is_empty() {
            return Ok(());
        }
        let core = Arc::clone(&self.core);
        let (link, mut line) = self.board().await?;
        self.depart();
        let range = self.left();
        if range.is_empty() {
            return Ok(());
        }
        let nth = link.open();
        let chunks = Hedged::new(self.request(&link, range.clone()));
        let streamed = self.take_in(range, chunks, (&link, nth), &mut line).await;
        match streamed {
            Err(Stop::Fault(Fault::BadLink(reason))) => {
                let refused = core.links.refused(&self.file.id, &link, nth).await;
                if refused == Refused::NoFault {
                    core.lines.refused();
                    self.kept = Some(link);
                }
                Err(Fault::BadLink(reason).into())
            }
            other => other,
        }
    }

    /// A link and a connection.
    async fn board(&mut self) -> Result<(Arc<Issued>, Line), Stop> {
        let is_usable = |(link, _): &(Arc<Issued>, Line)| self.core.links.is_usable(link);
        if let Some(given) = self.given.take().filter(is_usable) {
            return Ok(given);
        }
        // The link first: it may have to wait for its turn among the calls of
        // the API, and a connection must not be held meanwhile.
        let link = self.link().await?;
        let mut waiters = self.waiters.clone();
        let wish = Wish {
            file: self.file.number,
            at: blocks::of(self.assembler.position()),
        };
        let line = self.core.lines.acquire(wish, &mut waiters);
        let line = self.unless_given_up(line).await?;
        Ok((link, line))
    }

    /// Decides how much of what waits comes by the connection that there is now.
    fn depart(&self) {
        if let Some(rest) = self.file.depart(&self.flight, self.core.finish()) {
            launch(&self.core, &self.file, rest);
        }
    }

    /// A link, asked for as urgently as the run is needed, also where that changes
    /// meanwhile.
    async fn link(&mut self) -> Result<Arc<Issued>, Stop> {
        let links = &self.core.links;
        if let Some(kept) = self.kept.take().filter(|kept| links.is_usable(kept)) {
            return Ok(kept);
        }
        let mut waiters = self.waiters.clone();
        loop {
            let need = self.flight.need();
            let patience = match need {
                Need::Reader | Need::Upload => self.core.options.data_deadline,
                Need::Nobody => NO_HURRY,
            };
            let link = links.get(&self.file.id, need, Instant::now() + patience);
            tokio::select! {
                link = self.unless_given_up(link) => return Ok(link??),
                // The sender is in the flight, which we hold.
                Ok(_) = waiters.wait_for(|_| self.flight.need() < need) => {}
            }
        }
    }

    /// The bytes of a range, asked for once they are looked at.
    fn request(&self, link: &Issued, range: Range<u64>) -> Chunks {
        self.core.counters.requests.add(1);
        let opened = link.link.open(range, self.file.size);
        stream::once(opened).try_flatten().boxed()
    }

    /// The rest of the run on another connection, where somebody waits for it, a
    /// connection is free and the link good for it.
    fn second_request(&self, link: &Issued) -> Second {
        if !self.flight.is_awaited() {
            return Second::Unwanted;
        }
        if self.core.links.are_single() {
            return Second::NotNow;
        }
        let Some(line) = self.core.lines.try_acquire(self.file.number) else {
            return Second::NotNow;
        };
        tracing::debug!(file = %self.file.id, "a download stands still and is asked for once more");
        link.open();
        Second::Stream(self.request(link, self.left()), line)
    }

    async fn take_in(
        &mut self,
        range: Range<u64>,
        mut chunks: Hedged,
        (link, nth): (&Arc<Issued>, u32),
        line: &mut Line,
    ) -> Result<(), Stop> {
        let core = Arc::clone(&self.core);
        let mut trip = core.toll.begin();
        while !self.left().is_empty() {
            let next = chunks.next(self.core.options.hedge_after, || self.second_request(link));
            let Some(chunk) = self.unless_given_up(next).await? else {
                let reason = Reason::new(
                    &"the answer ended too early",
                    "It is tried again by itself.",
                );
                return Err(Fault::Again(reason).into());
            };
            let chunk = chunk?;
            self.core.links.gave(&self.file.id, link, nth);
            if self.assembler.position() + chunk.len() as u64 > range.end {
                let reason = Reason::new(
                    &"the answer is longer than the range",
                    "It is tried again by itself.",
                );
                return Err(Fault::Again(reason).into());
            }
            trip.came(chunk.len() as u64);
            self.core.counters.fetched_bytes.add(chunk.len() as u64);
            if !self.core.options.throttle.is_off() {
                let throttle = &self.core.options.throttle;
                let turn = throttle.take_in_turn(chunk.len() as u64, || self.turn());
                self.unless_given_up(turn).await?;
            }
            if self.take(&chunk)? {
                if self.unwritten.len() >= BATCH {
                    self.write().await;
                }
                self.share(link);
                self.reconsider(line)?;
            }
        }
        Ok(())
    }

    /// Readers' bytes go before those that are read ahead.
    fn turn(&self) -> Turn {
        match self.flight.is_awaited() {
            true => Turn::First,
            false => Turn::Later,
        }
    }

    /// A connection that stands idle while a reader waits takes over a half of what is left: at
    /// the end of a file, and where others have come to theirs.
    fn share(&self, link: &Arc<Issued>) {
        // The connection first, or all who come to see it would make halves for it.
        if self.core.idle() > 0
            && self.file.is_awaited()
            && let Some(line) = self.core.lines.try_acquire(self.file.number)
            && let Some(rest) = self.file.halve(&self.flight)
        {
            let given = (Arc::clone(link), line);
            launch_with(&self.core, &self.file, rest, Some(given));
        }
    }

    /// What nobody waits for is given up when nobody counts on it any more, and
    /// makes way for a reader who waits for a connection, or a file that has fewer.
    fn reconsider(&self, line: &mut Line) -> Result<(), Stop> {
        if self.flight.is_awaited() {
            return Ok(());
        }
        if self.file.give_up(&self.flight) {
            return Err(Stop::GivenUp);
        }
        // It goes on by another request, which should cost nothing.
        let heirs = match self.core.price() {
            Price::Free => Heirs::Poorer,
            Price::Link => Heirs::Readers,
        };
        match line.hand_over(heirs) {
            true => Err(Stop::HandedOver),
            false => Ok(()),
        }
    }

    /// The bytes of the run that have not come. The end of a run can come
    /// nearer while it is under way.
    fn left(&self) -> Range<u64> {
        let end = blocks::bytes_of(&self.flight.run(), self.file.size).end;
        let at = self.assembler.position();
        at..end.max(at)
    }

    /// Takes a chunk in and hands the blocks that it made whole to their readers. Says
    /// whether there were any.
    fn take(&mut self, chunk: &[u8]) -> Result<bool, Stop> {
        let before = self.unwritten.len();
        let taken = self.assembler.push(chunk, &mut self.unwritten);
        let come = &self.unwritten[before..];
        for arrived in come {
            let bytes = arrived.bytes.clone();
            self.core
                .memory
                .insert(self.file.number, arrived.block, bytes);
        }
        if let Some(last) = come.last() {
            self.flight.landed(last.block + 1);
        }
        taken.map_err(|error| {
            let reason = Reason::new(&error, "Free some memory; it is tried again by itself.");
            Stop::from(Fault::Again(reason))
        })?;
        Ok(self.unwritten.len() > before)
    }

    /// Sends what came on its way to disk, after what is on its way already. Where much is, of
    /// all flights, it waits for the first of its own.
    async fn write(&mut self) {
        let arrived = std::mem::take(&mut self.unwritten);
        if arrived.is_empty() {
            return;
        }
        self.writing
            .retain_mut(|writing| writing.try_recv() == Err(TryRecvError::Empty));
        let mut more = None;
        while !self.writing.is_empty() {
            more = Arc::clone(&self.core.behind).try_acquire_owned().ok();
            if more.is_some() {
                break;
            }
            self.first_written().await;
        }
        let (core, file, flight) = (
            Arc::clone(&self.core),
            Arc::clone(&self.file),
            Arc::clone(&self.flight),
        );
        let behind = &self.file.behind;
        let writing = behind.after_others(&self.core.runtime, move || {
            store(&core, &file, &flight, &arrived);
            drop((arrived, more));
            if file.unsaved() >= SAVE_EVERY {
                // Not here: the sync would hold up the stream.
                let (core, file) = (Arc::clone(&core), Arc::clone(&file));
                core.runtime
                    .clone()
                    .spawn_blocking(move || core.shelf.save(&file));
            }
        });
        self.writing.push_back(writing);
    }

    /// Waits for the writes under way.
    async fn written(&mut self) {
        while !self.writing.is_empty() {
            self.first_written().await;
        }
    }

    async fn first_written(&mut self) {
        if let Some(writing) = self.writing.pop_front()
            && let Err(error) = writing.await
        {
            // The blocks are not found on disk, and are fetched again if need be.
            tracing::error!(%error, "writing to the cache broke off");
        }
    }

    /// Waits for `future`, or until the flight is given up.
    async fn unless_given_up<T>(&self, future: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::pin!(future);
        loop {
            tokio::select! {
                biased;
                value = &mut future => return Ok(value),
                () = tokio::time::sleep(LOOK) => {
                    if self.file.give_up(&self.flight) {
                        return Err(Stop::GivenUp);
                    }
                }
            }
        }
    }
}

impl Drop for Pilot {
    /// Whatever ends the task answers its waiters.
    fn drop(&mut self) {
        let how = self.over.take().unwrap_or(Progress::Ended);
        self.file.end_flight(&self.flight, how);
        self.core.counters.flights.sub(1);
    }
}

/// Writes blocks that follow one another to disk. Where the disk does not take them, they
/// stay in memory for as long as there is room.
fn store(core: &Core, file: &CacheFile, flight: &Arc<Flight>, arrived: &[Arrived]) {
    let len = arrived.iter().map(|block| block.bytes.len() as u64).sum();
    let mut refused = None;
    if core.shelf.reserve(len) {
        match file.store(flight, arrived) {
            Stored::Added(added) => {
                for block in arrived {
                    core.memory.written(file.number, block.block);
                }
                core.shelf.added(len, added);
                file.set_spilling(false);
                return;
            }
            Stored::Unwanted => {
                core.shelf.added(len, 0);
                return;
            }
            Stored::Refused(error) => {
                core.shelf.added(len, 0);
                refused = Some(error);
            }
        }
    }
    if !file.is_spilling() {
        let why = refused.map_or_else(
            || "all of it is in use".to_owned(),
            |error| error.to_string(),
        );
        tracing::debug!(file = %file.id, why, "the cache takes no more: reading through memory");
        file.set_spilling(true);
    }
}
