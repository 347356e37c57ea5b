//! A run of blocks on its way: how far it has come, and who waits for it.
//!
//! Punching blocks out of the cache is a flight too: whoever wants them meanwhile waits for its
//! end and fetches them anew.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::watch;

use super::blocks::{BLOCK_SIZE, Block};
use super::error::ContentError;
use super::origin::Need;
use super::stats::Counters;

/// How far a flight has come.
#[derive(Clone)]
pub(super) enum Progress {
    /// On its way: all blocks before this one have landed.
    Until(Block),
    /// Over: what it did not bring, a reader asks for anew.
    Ended,
    /// Failed for good: that is the answer to all who wait.
    Failed(ContentError),
}

/// A run of blocks that is being fetched, or punched out.
pub(super) struct Flight {
    start: Block,
    end: AtomicU64,
    /// Blocks that it departs with at most; 0 once that is decided.
    part: AtomicU64,
    progress: watch::Sender<Progress>,
    waiters: watch::Sender<usize>,
    /// How many of these are uploads.
    uploads: AtomicUsize,
    /// What it is to bring; `None` where it punches.
    debt: Option<Debt>,
}

/// The length of a flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Length {
    /// As planned.
    Fixed,
    /// Decided when it departs, with so many blocks at most.
    Open(Block),
}

/// Bytes that are to come, counted among those of all files.
pub(super) struct Debt {
    counted: AtomicU64,
    counters: Arc<Counters>,
}

impl Debt {
    pub(super) fn new(counters: &Arc<Counters>) -> Debt {
        Debt {
            counted: AtomicU64::new(0),
            counters: Arc::clone(counters),
        }
    }

    fn is(&self, bytes: u64) {
        let counted = self.counted.swap(bytes, Ordering::SeqCst);
        self.counters.ahead_bytes.add(bytes);
        self.counters.ahead_bytes.sub(counted);
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.is(0);
    }
}

impl Flight {
    pub(super) fn new(run: &Range<Block>, length: Length, debt: Option<Debt>) -> Arc<Flight> {
        let flight = Flight {
            start: run.start,
            end: AtomicU64::new(run.end),
            part: AtomicU64::new(match length {
                Length::Fixed => 0,
                Length::Open(part) => part.max(1),
            }),
            progress: watch::Sender::new(Progress::Until(run.start)),
            waiters: watch::Sender::new(0),
            uploads: AtomicUsize::new(0),
            debt,
        };
        flight.count();
        Arc::new(flight)
    }

    /// Brings what is counted as to come up to date. Where two do so at once it may stay behind until
    /// the next time, and never for good.
    fn count(&self) {
        if let Some(debt) = &self.debt {
            debt.is(len(&self.remaining()) * BLOCK_SIZE);
        }
    }

    /// Whether its length is still to be decided.
    pub(super) fn is_open(&self) -> bool {
        self.part.load(Ordering::SeqCst) > 0
    }

    /// Its length is decided; gives the blocks that it may have if it was not before.
    pub(super) fn close(&self) -> Option<Block> {
        let part = self.part.swap(0, Ordering::SeqCst);
        (part > 0).then_some(part)
    }

    /// Makes it longer, while its length is to be decided.
    pub(super) fn grow(&self, end: Block, part: Block) {
        self.part.store(part.max(1), Ordering::SeqCst);
        self.end_at(end);
    }

    /// Whether it brings something: otherwise it punches.
    pub(super) fn brings(&self) -> bool {
        self.debt.is_some()
    }

    /// Moves its end.
    pub(super) fn end_at(&self, block: Block) {
        self.end.store(block, Ordering::SeqCst);
        self.count();
    }

    /// Tells the waiters how far it has come.
    pub(super) fn progressed(&self, progress: Progress) {
        self.progress.send_replace(progress);
        self.count();
    }

    /// The blocks it is to bring. Its end moves: it becomes longer while its length is open, and
    /// another may take the rest over.
    pub(super) fn run(&self) -> Range<Block> {
        self.start..self.end.load(Ordering::SeqCst)
    }

    /// The blocks that have not landed yet.
    pub(super) fn remaining(&self) -> Range<Block> {
        let run = self.run();
        match *self.progress.borrow() {
            Progress::Until(block) => block.min(run.end)..run.end,
            _ => run.end..run.end,
        }
    }

    /// Tells the waiters that all blocks before `block` have landed.
    pub(super) fn landed(&self, block: Block) {
        self.progressed(Progress::Until(block));
    }

    /// How many readers wait for it, to be watched.
    pub(super) fn waiters(&self) -> watch::Receiver<usize> {
        self.waiters.subscribe()
    }

    /// Whether a reader waits for it.
    pub(super) fn is_awaited(&self) -> bool {
        *self.waiters.borrow() > 0
    }

    /// Who needs its bytes most.
    pub(super) fn need(&self) -> Need {
        let waiters = *self.waiters.borrow();
        match self.uploads.load(Ordering::SeqCst) {
            _ if waiters == 0 => Need::Nobody,
            uploads if uploads < waiters => Need::Reader,
            _ => Need::Upload,
        }
    }

    /// Waits for the end, without the interest of a reader.
    ///
    /// # Errors
    /// The failure that ended it.
    pub(super) async fn over(&self) -> Result<(), ContentError> {
        let mut progress = self.progress.subscribe();
        let over = |progress: &Progress| !matches!(progress, Progress::Until(_));
        // The sender is ours, so this cannot fail.
        match progress.wait_for(over).await.as_deref() {
            Ok(Progress::Failed(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Ends the run where it has landed, if no reader waits for it: what came is kept,
    /// and who wants the rest asks anew.
    pub(super) fn cut_unless_awaited(&self) -> bool {
        let unwanted = !self.is_awaited();
        if unwanted {
            self.close();
            self.end_at(self.remaining().start);
        }
        unwanted
    }
}

/// A reader's interest in a flight; it counts as long as it lives.
pub(super) struct Waiter {
    flight: Arc<Flight>,
    progress: watch::Receiver<Progress>,
    need: Need,
}

impl Waiter {
    pub(super) fn new(flight: &Arc<Flight>) -> Waiter {
        flight.waiters.send_modify(|count| *count += 1);
        Waiter {
            flight: Arc::clone(flight),
            progress: flight.progress.subscribe(),
            need: Need::Reader,
        }
    }

    /// It is an upload that waits, which makes way for readers.
    pub(super) fn for_upload(&mut self) {
        if self.need == Need::Reader {
            self.need = Need::Upload;
            self.flight.uploads.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until `block` has landed or the flight is over.
    ///
    /// # Errors
    /// The failure that ended the flight.
    pub(super) async fn wait(&mut self, block: Block) -> Result<(), ContentError> {
        let over = |progress: &Progress| !matches!(progress, Progress::Until(b) if *b <= block);
        // The sender lives in the flight that we hold, so this cannot fail.
        match self.progress.wait_for(over).await.as_deref() {
            Ok(Progress::Failed(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.flight.waiters.send_modify(|count| *count -= 1);
        if self.need == Need::Upload {
            self.flight.uploads.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Blocks of a run.
pub(super) fn len(run: &Range<Block>) -> u64 {
    run.end.saturating_sub(run.start)
}
