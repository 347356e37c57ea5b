//! Flying a flight: one range request after another, streamed block by block
//! into the cache, until the run is here.
//!
//! A connection that breaks is taken up again at the byte where it broke, after
//! a pause that grows; a link that fails is replaced. The flight is given up
//! when nobody waits for it or counts on it any more, and fails when nothing
//! has come for as long as a reader waits. Every wait for the network ends when
//! the flight is given up, so no task, connection or link outlives the wish.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Core;
use super::assemble::{Arrived, Assembler};
use super::blocks;
use super::error::{ContentError, Reason};
use super::file::{CacheFile, Stored};
use super::flight::{Flight, Progress};
use super::hedge::Hedged;
use super::lines::Line;
use super::links::{Issued, Refused};
use super::origin::{Chunks, Fault};
use crate::throttle::Turn;

/// How often a flight looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(250);

/// Fresh links tried without a byte coming. Each costs a call of the API, so
/// the reader's patience is not the limit.
const MOST_LINKS: u32 = 2;

/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Bytes that come to disk before the row is brought up to date.
const SAVE_EVERY: u64 = 32 * 1024 * 1024;

/// Starts a flight that is on the table of `file`.
pub(super) fn launch(core: &Arc<Core>, file: &Arc<CacheFile>, flight: Arc<Flight>) {
    let pilot = Pilot {
        waiters: flight.waiters(),
        assembler: Assembler::new(flight.run().start, file.size),
        core: Arc::clone(core),
        file: Arc::clone(file),
        asked: blocks::len_of(&flight.run(), file.size),
        flight,
        over: None,
    };
    core.counters.flights.add(1);
    core.counters.ahead_bytes.add(pilot.asked);
    core.runtime.spawn(pilot.fly());
}

/// Why an attempt ended before its time.
enum Stop {
    /// Nobody wants the flight; it is off the table.
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
    /// Bytes of the run when it was launched.
    asked: u64,
    over: Option<Progress>,
}

impl Pilot {
    async fn fly(mut self) {
        let patience = self.core.options.data_deadline;
        let mut pauses = self.pauses();
        let mut links = 1;
        let mut since = Instant::now();
        loop {
            let before = self.assembler.position();
            let fault = match self.attempt().await {
                Ok(()) => {
                    self.over = Some(Progress::Ended);
                    return;
                }
                Err(Stop::GivenUp) => return,
                Err(Stop::HandedOver) => continue,
                Err(Stop::Fault(fault)) => fault,
            };
            if self.assembler.position() > before {
                pauses = self.pauses();
                links = 1;
                since = Instant::now();
            }
            let reason = match fault {
                Fault::Final(error) => {
                    self.over = Some(Progress::Failed(error));
                    return;
                }
                Fault::BadLink(reason) if links >= MOST_LINKS => {
                    self.over = Some(Progress::Failed(ContentError::Unavailable(reason)));
                    return;
                }
                Fault::BadLink(reason) => {
                    links += 1;
                    reason
                }
                Fault::Again(reason) => reason,
            };
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
        let range = self.left();
        if range.is_empty() {
            return Ok(());
        }
        let core = Arc::clone(&self.core);
        let id = self.file.id.clone();
        let deadline = Instant::now() + core.options.data_deadline;
        // The link first: it may have to wait for its turn among the calls of
        // the API, and a connection must not be held meanwhile.
        let link = self
            .unless_given_up(core.links.get(&id, deadline))
            .await??;
        let mut waiters = self.waiters.clone();
        let mut line = self
            .unless_given_up(core.lines.acquire(&mut waiters))
            .await?;
        let nth = link.open();
        let chunks = Hedged::new(self.request(&link, range.clone()));
        let streamed = self.take_in(range, chunks, (&link, nth), &mut line).await;
        match streamed {
            Err(Stop::Fault(Fault::BadLink(reason))) => {
                Err(match core.links.refused(&id, &link, nth).await {
                    Refused::Fresh => Fault::BadLink(reason),
                    Refused::Used => Fault::Again(reason),
                }
                .into())
            }
            other => other,
        }
    }

    /// The bytes of a range, asked for once they are looked at.
    fn request(&self, link: &Issued, range: Range<u64>) -> Chunks {
        self.core.counters.requests.add(1);
        let opened = link.link.open(range, self.file.size);
        stream::once(opened).try_flatten().boxed()
    }

    /// The rest of the run on another connection, where somebody waits for it and a
    /// connection is free.
    fn second_request(&self, link: &Issued) -> Option<(Chunks, Line)> {
        if *self.waiters.borrow() == 0 || self.core.links.are_single() {
            return None;
        }
        let line = self.core.lines.try_acquire()?;
        tracing::debug!(file = %self.file.id, "a download stands still and is asked for once more");
        link.open();
        Some((self.request(link, self.left()), line))
    }

    async fn take_in(
        &mut self,
        range: Range<u64>,
        mut chunks: Hedged,
        (link, nth): (&Issued, u32),
        line: &mut Line,
    ) -> Result<(), Stop> {
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
            self.core.links.gave(link, nth);
            if self.assembler.position() + chunk.len() as u64 > range.end {
                let reason = Reason::new(
                    &"the answer is longer than the range",
                    "It is tried again by itself.",
                );
                return Err(Fault::Again(reason).into());
            }
            self.core.counters.fetched_bytes.add(chunk.len() as u64);
            if !self.core.options.throttle.is_off() {
                let throttle = &self.core.options.throttle;
                let turn = throttle.take_in_turn(chunk.len() as u64, || self.turn());
                self.unless_given_up(turn).await?;
            }
            self.assembler.push(chunk);
            let arrived = self.assembler.whole_blocks();
            if let Some(last) = arrived.last().map(|last| last.block) {
                self.store(arrived).await;
                self.flight.landed(last + 1);
                self.reconsider(line)?;
            }
        }
        Ok(())
    }

    /// Readers' bytes go before those that are read ahead.
    fn turn(&self) -> Turn {
        match *self.waiters.borrow() {
            0 => Turn::Later,
            _ => Turn::First,
        }
    }

    /// What nobody waits for is given up when nobody counts on it any more, and
    /// makes way for a reader who waits for a connection.
    fn reconsider(&self, line: &mut Line) -> Result<(), Stop> {
        if *self.waiters.borrow() > 0 {
            return Ok(());
        }
        if self.file.give_up(&self.flight) {
            return Err(Stop::GivenUp);
        }
        match line.hand_over() {
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

    /// Writes blocks to disk, or to memory if the disk does not take them.
    async fn store(&self, arrived: Vec<Arrived>) {
        let (core, file, flight) = (
            Arc::clone(&self.core),
            Arc::clone(&self.file),
            Arc::clone(&self.flight),
        );
        let stored = self.core.runtime.spawn_blocking(move || {
            for block in &arrived {
                store_block(&core, &file, &flight, block);
            }
            if file.unsaved() >= SAVE_EVERY {
                // Not here: the sync would hold up the stream.
                let (core, file) = (Arc::clone(&core), Arc::clone(&file));
                core.runtime
                    .clone()
                    .spawn_blocking(move || core.shelf.save(&file));
            }
        });
        if let Err(error) = stored.await {
            // The blocks count as landed, are not found, and are fetched again.
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
        self.core.counters.ahead_bytes.sub(self.asked);
    }
}

fn store_block(core: &Core, file: &CacheFile, flight: &Arc<Flight>, arrived: &Arrived) {
    let run = arrived.block..arrived.block + 1;
    let len = blocks::len_of(&run, file.size);
    let mut refused = None;
    if core.shelf.reserve(len) {
        match file.store_block(flight, arrived) {
            Stored::Added(added) => {
                core.shelf.added(len, added);
                file.set_spilling(false);
                return;
            }
            Stored::Unwanted => core.shelf.added(len, 0),
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
    core.memory
        .insert(file.number, arrived.block, arrived.joined());
}
