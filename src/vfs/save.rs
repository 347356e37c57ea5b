//! How what was written gets into the database.
//!
//! Closing a file that was open for writing (each `close` of each duplicate: `flush`) seals
//! its content as a version and stores that, its size and times, and the intent to send it, in one
//! transaction. After that the process may be killed. For `fsync` the bytes go to the
//! disk first and the transaction is one that survives a power cut.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Transaction;

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::handles::{FileHandle, Hold};
use super::types::{Answer, Fh};
use crate::content::ContentError;
use crate::ids::{Ino, Time};
use crate::staging::{StagedFile, StagingError, Survive};
use crate::tree::{self, FileState, TreeError, attributes, journal};

/// What can fail inside the transaction of a save.
pub(super) enum SaveError {
    Staging(StagingError),
    Tree(TreeError),
}

impl From<StagingError> for SaveError {
    fn from(e: StagingError) -> Self {
        SaveError::Staging(e)
    }
}

impl<E: Into<TreeError>> From<E> for SaveError {
    fn from(e: E) -> Self {
        SaveError::Tree(e.into())
    }
}

impl From<SaveError> for Error {
    fn from(e: SaveError) -> Self {
        match e {
            SaveError::Staging(e) => e.into(),
            SaveError::Tree(e) => e.into(),
        }
    }
}

impl From<StagingError> for Error {
    fn from(e: StagingError) -> Self {
        let kind = match &e {
            full if full.is_full() => ErrorKind::NoSpace,
            StagingError::TooBig => ErrorKind::TooBig,
            StagingError::Content(e) => match e {
                ContentError::Gone(_) => ErrorKind::Stale,
                ContentError::Refused(_) | ContentError::NoKey(_) => ErrorKind::Access,
                ContentError::Timeout(_) => ErrorKind::TimedOut,
                _ => ErrorKind::Io,
            },
            _ => ErrorKind::Io,
        };
        Error::from_source(kind, "the file's content", e)
    }
}

impl Vfs {
    /// A descriptor of this handle was closed.
    pub fn flush(&self, fh: Fh) -> Answer<()> {
        match self.inner.handles.file(fh) {
            Ok(handle) if closes_a_version(&handle.hold) => {
                let ino = handle.hold.ino;
                // As with any change of the tree: to find a thread that may wait takes longer.
                if !handle.hold.content.seals_to_disk()
                    && let Some(turn) = self.inner.saving.free(ino)
                {
                    let content = &handle.hold.content;
                    return self
                        .save_in(turn, ino, content, Survive::Kill)
                        .map(drop)
                        .into();
                }
                let vfs = self.clone();
                // Bytes that replace others go to the disk first.
                self.blocking(move || vfs.save(&handle.hold))
            }
            // Who only read has nothing to lose.
            Ok(handle) if handle.hold.access.writes() => self.check_sent(handle.hold.ino).into(),
            Ok(_) => Answer::Now(Ok(())),
            Err(e) => Answer::Now(Err(e)),
        }
    }

    /// Brings a file to the disk.
    pub(super) fn sync(&self, handle: Arc<FileHandle>) -> Answer<()> {
        let vfs = self.clone();
        self.blocking(move || {
            let Hold { ino, content, .. } = &handle.hold;
            // First the bytes, then the row that says they are there.
            content.sync()?;
            if vfs.save_content(*ino, content, Survive::PowerCut)? == Saved::Nothing {
                // An earlier close may have stored it, and may not be on the disk yet.
                vfs.store().sync()?;
                vfs.check_sent(*ino)?;
            }
            Ok(())
        })
    }

    /// Fails if the last closed version failed to be sent for good: who closes or syncs
    /// the file is the one who can be told.
    fn check_sent(&self, ino: Ino) -> Result<(), Error> {
        match self.tree().queued(ino)? {
            Some(queued) if queued.state(false) == FileState::Failed && queued.pending.content => {
                Err(Error::new(
                    ErrorKind::Io,
                    format!("not uploaded: {}", queued.error.unwrap_or_default()),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Runs what waits for the disk on a thread that may wait.
    pub(super) fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        Answer::disk(async move {
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|e| Error::from_source(ErrorKind::Io, "a task of ours", e))?
        })
    }

    /// A handle ends. Its errors reach nobody, so they are logged; what could not be
    /// saved stays in memory for the next attempt.
    pub fn release(&self, fh: Fh) -> Answer<()> {
        let handle = match self.inner.handles.remove_file(fh) {
            Ok(handle) => handle,
            Err(e) => return Answer::Now(Err(e)),
        };
        if !closes_a_version(&handle.hold) {
            return Answer::Now(Ok(()));
        }
        // Pages of a mapping were written after the last close.
        let vfs = self.clone();
        self.blocking(move || {
            if let Err(e) = vfs.save(&handle.hold) {
                let ino = handle.hold.ino;
                tracing::error!(%ino, error = ?e, "closed file not saved, tried again later");
            }
            Ok(())
        })
    }

    /// Saves everything that is unsaved, also of files that are still open: before the
    /// process ends in good order.
    ///
    /// # Errors
    /// The last failure; the other files were saved all the same.
    pub fn save_all(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        self.queue_closed();
        for (ino, content) in self.inner.inodes.open_files() {
            if let Err(e) = self.save_content(ino, &content, Survive::Kill) {
                tracing::error!(%ino, error = ?e, "file not saved");
                outcome = Err(e);
            }
        }
        outcome
    }

    /// Stores and queues what the end of a file's last writer could not: to be called now and
    /// then, since a full disk may have room again. Blocks for the disk.
    pub fn catch_up(&self) {
        for (ino, unsaved) in self.inner.inodes.left_behind() {
            match unsaved.map(|content| self.save_open(&content)) {
                Some(Ok(())) => tracing::info!(%ino, "closed file saved"),
                Some(Err(e)) => tracing::error!(%ino, error = ?e, "closed file still not saved"),
                None => self.settle(ino, self.inner.inodes.let_go(ino)),
            }
        }
        self.queue_closed();
    }

    /// Stores what was written since the last save, so that it survives the
    /// process.
    pub(super) fn save(&self, hold: &Hold) -> Result<(), Error> {
        self.save_content(hold.ino, &hold.content, Survive::Kill)
            .map(drop)
    }

    /// Stores what was written to an open file.
    pub(super) fn save_open(&self, content: &Arc<StagedFile>) -> Result<(), Error> {
        self.save_content(content.ino(), content, Survive::Kill)
            .map(drop)
    }

    fn save_content(
        &self,
        ino: Ino,
        content: &Arc<StagedFile>,
        outlast: Survive,
    ) -> Result<Saved, Error> {
        self.save_in(self.inner.saving.of(ino), ino, content, outlast)
    }

    fn save_in(
        &self,
        turn: MutexGuard<'_, ()>,
        ino: Ino,
        content: &Arc<StagedFile>,
        outlast: Survive,
    ) -> Result<Saved, Error> {
        // Without a name there is nothing to come back to.
        if self.inner.inodes.is_unlinked(ino) {
            return Ok(Saved::Nothing);
        }
        let stamp = self.inner.inodes.stamp(ino);
        let Some(mut sealing) = content.seal(outlast)? else {
            return Ok(Saved::Nothing);
        };
        let now = Time::now();
        let due = if self.inner.inodes.hold_back(ino) {
            journal::WHILE_OPEN
        } else {
            now.after(self.options().write_back)
        };
        let durable = sealing.must_be_durable();
        let store = |tx: &Transaction<'_>| -> Result<Option<PathBuf>, SaveError> {
            sealing.store(tx)?;
            // The times that `stat` showed before the close are those it shows after.
            let changed = stamp.ctime.unwrap_or(now);
            attributes::content_closed(tx, ino, sealing.size(), stamp.mtime, changed)?;
            journal::content_due(tx, ino, due)?;
            Ok(tree::path_in(tx, ino)?)
        };
        let path = match durable {
            true => self.store().write_durable(store)?,
            false => self.store().write(store)?,
        };
        if let Some(path) = path {
            sealing.label(&path);
        }
        sealing.committed();
        let left = self.inner.inodes.saved(ino, stamp);
        drop(turn);
        self.settle(ino, left);
        self.wake();
        Ok(Saved::Version)
    }
}

/// Whether a close of this handle is the end of a version. That of a reader is none: what a
/// writer has half written is not for the next process.
fn closes_a_version(hold: &Hold) -> bool {
    hold.access.writes() && hold.content.is_dirty()
}

/// What a save stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Saved {
    Nothing,
    Version,
}

/// One save of a file at a time, so that the tree never gets the size of an older
/// version after that of a newer one. Held over the disk's work; the lock of the
/// inode table is taken within.
#[derive(Default)]
pub(super) struct Turns {
    turns: [Mutex<()>; TURNS],
}

impl Turns {
    fn of(&self, ino: Ino) -> MutexGuard<'_, ()> {
        self.turn(ino).lock()
    }

    /// All for which nobody has to be waited for.
    pub(super) fn all_free(&self) -> FreeTurns<'_> {
        FreeTurns(self.turns.each_ref().map(Mutex::try_lock))
    }

    /// The same, if nobody has to be waited for.
    fn free(&self, ino: Ino) -> Option<MutexGuard<'_, ()>> {
        self.turn(ino).try_lock()
    }

    fn turn(&self, ino: Ino) -> &Mutex<()> {
        // Below the length by construction.
        #[allow(clippy::indexing_slicing)]
        &self.turns[turn_of(ino)]
    }
}

const TURNS: usize = 16;

fn turn_of(ino: Ino) -> usize {
    ino.0 as usize % TURNS
}

/// The turns that nobody had.
pub(super) struct FreeTurns<'a>([Option<MutexGuard<'a, ()>>; TURNS]);

impl FreeTurns<'_> {
    /// Whether that of a file is among them.
    pub(super) fn has(&self, ino: Ino) -> bool {
        matches!(self.0.get(turn_of(ino)), Some(Some(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    use crate::tree::ROOT;
    use crate::tree::journal::Task;
    use crate::tree::listing::Listing;
    use crate::vfs::testing::{ANN, BOTH, House, READ, WRITE};
    use crate::vfs::{OpenFlags, SetAttr, SyncScope};

    fn due(house: &House, ino: Ino, later: std::time::Duration) -> bool {
        let at = Time::now().after(later);
        let tasks = house.tree.ready(at, 10, &|_| false).unwrap();
        tasks
            .iter()
            .any(|task| matches!(task, Task::Send { ino: sent, .. } if *sent == ino))
    }

    const DELAY: std::time::Duration = std::time::Duration::from_secs(6);

    #[test]
    fn what_was_closed_survives_a_kill_and_what_was_not_is_not_shown() {
        let mut house = House::new();
        let (_, fh) = house.create("a");
        house.write(fh, 0, b"closed");
        house.ok(house.vfs.flush(fh));
        house.write(fh, 0, b"unsaved, and longer");
        house.next_process();
        assert_eq!(house.node("a").size, 6);
        assert_eq!(house.content("a"), "closed");
    }

    #[test]
    fn a_closed_file_is_sent_after_the_delay_and_not_while_it_is_open() {
        let house = House::new();
        let (ino, first) = house.create("a");
        let second = house.open(ino, WRITE);
        house.write(first, 0, b"x");
        house.close(first);
        assert!(house.node("a").pending.content);
        assert!(!due(&house, ino, DELAY), "a writer is open");
        let woken = house.wakes();
        house.close(second);
        assert!(!due(&house, ino, DELAY / 2));
        assert!(due(&house, ino, DELAY));
        assert!(house.wakes() > woken);
    }

    #[test]
    fn a_reader_does_not_hold_a_version_back() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        let _reader = house.open(ino, READ);
        house.write(fh, 0, b"x");
        house.close(fh);
        assert!(due(&house, ino, DELAY));
    }

    #[test]
    fn what_was_open_when_the_process_was_killed_is_sent_by_the_next() {
        let mut house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"synced");
        house.ok(house.vfs.fsync(fh, SyncScope::All));
        assert!(!due(&house, ino, DELAY));
        house.next_process();
        assert!(due(&house, ino, DELAY));
    }

    #[test]
    fn a_readers_close_does_not_store_what_a_writer_has_half_written() {
        let mut house = House::new();
        let ino = house.remote("film", b"old version").ino;
        let writer = house.open(ino, BOTH);
        house.write(writer, 0, b"half");
        let reader = house.open(ino, READ);
        assert_eq!(house.read(reader), "halfversion");
        house.close(reader);
        assert!(house.node("film").pending.is_empty());
        house.next_process();
        assert_eq!(house.content("film"), "old version");
    }

    #[test]
    fn who_cuts_a_file_is_a_writer() {
        let mut house = House::new();
        let ino = house.file("a", b"content");
        let cut = OpenFlags {
            truncate: true,
            ..READ
        };
        let fh = house.open(ino, cut);
        house.ok(house.vfs.flush(fh));
        house.next_process();
        assert_eq!(house.content("a"), "");
    }

    #[test]
    fn closing_an_unchanged_file_stores_nothing() {
        let house = House::new();
        let ino = house.remote("film", b"bytes").ino;
        let fh = house.open(ino, BOTH);
        assert_eq!(house.read(fh), "bytes");
        let woken = house.wakes();
        house.ok(house.vfs.fsync(fh, SyncScope::Data));
        house.close(fh);
        assert!(house.node("film").pending.is_empty());
        assert_eq!(house.wakes(), woken);
    }

    #[test]
    fn the_times_seen_before_a_close_are_those_seen_after() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"x");
        let before = house.attr(ino);
        house.close(fh);
        assert_eq!(house.attr(ino), before);
        // So it is if something was set after the last write, as `cp -p` does.
        let fh = house.open(ino, WRITE);
        house.write(fh, 0, b"y");
        let mode = SetAttr {
            perm: Some(0o600),
            ..SetAttr::default()
        };
        let before = house.ok(house.vfs.setattr(ino, Some(fh), mode, ANN));
        house.close(fh);
        assert_eq!(house.attr(ino), before);
    }

    #[test]
    fn a_failure_is_told_to_who_syncs_or_closes_the_file() {
        let house = House::new();
        let ino = house.file("a", b"x");
        let (reader, writer) = (house.open(ino, READ), house.open(ino, BOTH));
        house.tree.park(ino, "the account is full").unwrap();
        assert_eq!(house.error(house.vfs.flush(writer)), ErrorKind::Io);
        let synced = house.vfs.fsync(writer, SyncScope::All);
        assert_eq!(house.error(synced), ErrorKind::Io);
        house.close(reader);
        // A new version is tried anew.
        house.write(writer, 0, b"y");
        house.close(writer);
    }

    #[test]
    fn the_end_of_an_unlinked_file_waits_for_the_disk_elsewhere() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        house.vfs.inner.inodes.looked_up(&[ino]);
        house.write(fh, 0, b"synced");
        house.ok(house.vfs.fsync(fh, SyncScope::All));
        house.close(fh);
        house.ok(house.unlink("a"));
        let gone = || house.tree.node(ino).unwrap().is_none();
        let (vfs, (told, returned)) = (house.vfs.clone(), std::sync::mpsc::channel());
        let busy = |_: &Transaction<'_>| -> Result<_, crate::store::StoreError> {
            std::thread::spawn(move || {
                vfs.forget(ino, 2);
                told.send(())
            });
            Ok(returned.recv_timeout(std::time::Duration::from_secs(10)))
        };
        let returned = house.store.write(busy).unwrap();
        assert!(returned.is_ok(), "it waited for the database");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !gone() && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(gone());
        assert!(!house.staged_path(1).exists());
    }

    #[test]
    fn who_cuts_a_file_by_its_path_lets_nobody_else_wait_for_the_disk() {
        let house = House::new();
        let ino = house.remote("film", b"content").ino;
        let cut = SetAttr {
            size: Some(3),
            ..SetAttr::default()
        };
        let answer = house.vfs.setattr(ino, None, cut, ANN);
        assert!(matches!(answer, Answer::Disk(_)));
        assert_eq!(house.ok(answer).size, 3);
    }

    #[test]
    fn an_unlinked_file_is_never_queued() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"x");
        house.ok(house.unlink("a"));
        house.write(fh, 1, b"y");
        house.close(fh);
        assert!(house.tree.queued(ino).unwrap().is_none());
    }

    #[test]
    fn pages_written_after_the_last_close_are_saved_with_the_handle() {
        let house = House::new();
        let (_, fh) = house.create("a");
        house.ok(house.vfs.flush(fh));
        house.write(fh, 0, b"mapped");
        house.ok(house.vfs.release(fh));
        assert_eq!(house.node("a").size, 6);
        assert_eq!(house.content("a"), "mapped");
    }

    #[test]
    fn everything_open_can_be_saved_at_once() {
        let mut house = House::new();
        for name in ["a", "b"] {
            let (_, fh) = house.create(name);
            house.write(fh, 0, name.as_bytes());
        }
        house.vfs.save_all().unwrap();
        house.next_process();
        assert_eq!(house.content("a"), "a");
        assert_eq!(house.content("b"), "b");
    }

    #[test]
    fn what_a_close_could_not_store_is_stored_once_that_goes() {
        let mut house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"x");
        house.refuse("INSERT ON staged");
        assert_eq!(house.error(house.vfs.flush(fh)), ErrorKind::Io);
        house.ok(house.vfs.release(fh));
        house.vfs.catch_up();
        assert_eq!(house.content("a"), "x", "in memory");
        house.accept();
        house.vfs.catch_up();
        assert!(due(&house, ino, DELAY));
        assert!(!house.vfs.is_dirty(ino));
        house.next_process();
        assert_eq!(house.content("a"), "x");
    }

    #[test]
    fn what_could_not_be_queued_is_queued_once_that_goes() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"x");
        house.ok(house.vfs.flush(fh));
        house.refuse("UPDATE ON attempt");
        house.ok(house.vfs.release(fh));
        house.vfs.catch_up();
        assert!(!due(&house, ino, DELAY));
        house.accept();
        house.vfs.catch_up();
        assert!(due(&house, ino, DELAY));
    }

    #[test]
    fn what_is_open_is_not_caught_up_with() {
        let mut house = House::new();
        let (_, fh) = house.create("a");
        house.write(fh, 0, b"half");
        house.vfs.catch_up();
        house.next_process();
        assert_eq!(house.content("a"), "");
    }

    #[test]
    fn what_is_written_to_a_file_that_vanishes_meanwhile_is_kept() {
        let mut house = House::new();
        let ino = house.remote("film", b"0123").ino;
        let fh = house.open(ino, BOTH);
        house.write(fh, 0, b"x");
        for _ in 0..2 {
            // An empty answer is believed the second time.
            house.list(ROOT, Listing::default());
        }
        let gone = house.vfs.lookup(ROOT, OsStr::new("film"));
        assert_eq!(house.error(gone), ErrorKind::NotFound);
        house.write(fh, 1, b"yz!");
        house.close(fh);
        assert_eq!(house.node("film").ino, ino);
        assert!(house.node("film").pending.content);
        house.next_process();
        assert_eq!(house.content("film"), "xyz!");
    }
}
