//! Files whose last writer is gone: what they hold is sent after the write-back delay.
//!
//! The version itself was stored by the close, as one whose file is open, and a process
//! that starts finds no file open. So nothing is lost if the end of its writers is written
//! down a moment later, that of many files at once: who copies a thousand small files waits
//! for a few such transactions, not for a thousand.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Vfs;
use crate::ids::{Ino, Time};
use crate::tree::{TreeError, journal};

/// Files gather for so long.
const GATHER: Duration = Duration::from_millis(25);

/// Those that gather, and when each may be sent.
#[derive(Default)]
pub(super) struct Closed {
    due: Mutex<Vec<(Ino, Time)>>,
    /// Held from when they leave the list until they are written down. Taken before any other.
    writing: Mutex<()>,
}

impl Vfs {
    /// The last writer of a file is gone: its version is sent after the delay.
    pub(super) fn queue(&self, ino: Ino) {
        let due = Time::now().after(self.options().write_back);
        self.gather(vec![(ino, due)]);
    }

    fn gather(&self, closed: Vec<(Ino, Time)>) {
        let mut gathered = self.inner.closed.due.lock();
        let others = !gathered.is_empty();
        gathered.extend(closed);
        if others || gathered.is_empty() {
            return;
        }
        drop(gathered);
        let inner = Arc::downgrade(&self.inner);
        self.inner.parts.runtime.spawn(async move {
            tokio::time::sleep(GATHER).await;
            // A transaction may have to wait for a long one.
            drop(tokio::task::spawn_blocking(move || {
                if let Some(inner) = inner.upgrade() {
                    Vfs { inner }.queue_closed();
                }
            }));
        });
    }

    /// Whether it is written down of every file that its last writer is gone.
    pub(super) fn all_closed_are_queued(&self) -> bool {
        match self.inner.closed.writing.try_lock() {
            None => false,
            Some(_nobody_writes) => {
                self.inner.closed.due.lock().is_empty()
                    && self.inner.inodes.left_behind().is_empty()
            }
        }
    }

    /// Writes down which files are closed, as far as nobody opened them again meanwhile.
    pub(super) fn queue_closed(&self) {
        let _alone = self.inner.closed.writing.lock();
        let closed = std::mem::take(&mut *self.inner.closed.due.lock());
        if closed.is_empty() {
            return;
        }
        // A save that met a writer notes that, and must not do so after this: one that is
        // under way is waited for another time.
        let turns = self.inner.saving.all_free();
        let (closed, later): (Vec<_>, Vec<_>) =
            closed.into_iter().partition(|&(ino, _)| turns.has(ino));
        let queued = self.store().write(|tx| -> Result<(), TreeError> {
            for &(ino, due) in &closed {
                if !self.inner.inodes.hold_back(ino) {
                    journal::content_closed(tx, ino, due)?;
                }
            }
            Ok(())
        });
        drop(turns);
        self.gather(later);
        if let Err(e) = queued {
            for &(ino, _) in &closed {
                self.inner.inodes.still_held_back(ino);
            }
            tracing::error!(
                files = closed.len(),
                error = ?e,
                "closed files not queued, tried again later"
            );
            return;
        }
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::journal::Task;
    use crate::vfs::testing::{House, WRITE};

    fn sent(house: &House) -> Vec<Ino> {
        let later = Time::now().after(Duration::from_secs(6));
        let tasks = house.tree.ready(later, 10, &|_| false).unwrap();
        let sent = |task: &Task| match task {
            Task::Send { ino, .. } => Some(*ino),
            _ => None,
        };
        tasks.iter().filter_map(sent).collect()
    }

    /// Closes without waiting until that is written down.
    fn let_go(house: &House, fh: crate::vfs::Fh) {
        house.ok(house.vfs.flush(fh));
        house.ok(house.vfs.release(fh));
    }

    #[test]
    fn what_was_closed_and_not_written_down_is_sent_by_the_next_process() {
        let mut house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"x");
        let_go(&house, fh);
        house.next_process();
        assert_eq!(sent(&house), [ino]);
    }

    #[test]
    fn one_that_is_opened_again_meanwhile_waits_for_that_writer() {
        let house = House::new();
        let (again, fh) = house.create("again");
        house.write(fh, 0, b"x");
        let_go(&house, fh);
        let writer = house.open(again, WRITE);
        let (other, fh) = house.create("other");
        house.write(fh, 0, b"y");
        let_go(&house, fh);
        house.vfs.queue_closed();
        // Closed before the other was opened, it may have been written down already.
        assert!(sent(&house).contains(&other));
        house.write(writer, 0, b"z");
        house.ok(house.vfs.flush(writer));
        house.vfs.queue_closed();
        assert!(!sent(&house).contains(&again));
        let_go(&house, writer);
        house.vfs.queue_closed();
        assert!(sent(&house).contains(&again));
    }

    #[test]
    fn one_that_is_being_saved_is_written_down_later() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"x");
        house.ok(house.vfs.flush(fh));
        let turns = house.vfs.inner.saving.all_free();
        house.ok(house.vfs.release(fh));
        house.vfs.queue_closed();
        assert!(sent(&house).is_empty());
        drop(turns);
        house.vfs.queue_closed();
        assert_eq!(sent(&house), [ino]);
    }
}
