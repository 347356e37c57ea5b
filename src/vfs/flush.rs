//! Versions that go to the service while their file is open: for an `fsync` that waits for
//! the service, and of files that stay open for long.
//!
//! Both seal what was written, as a close does, and let it be sent at once. From then on the
//! sealed version is what it is: what is written meanwhile is the next one. A crash at any
//! moment finds either version whole, as after a close.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::handles::FileHandle;
use super::types::{Answer, DirFh, Fh, SyncScope};
use super::wait::within;
use crate::ids::Ino;
use crate::tree::FileState;

/// What an `fsync` that returned 0 says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Reach {
    /// The file survives a power cut of this machine.
    #[default]
    Local,
    /// The service has it, too.
    Remote,
}

/// How often a waiting `fsync` looks: first, and at last.
const GLANCES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(250)];

impl Vfs {
    /// Brings a file to the disk and, where that is wanted, to the service.
    ///
    /// The wait for the service ends with the deadline for data, as [`ErrorKind::TimedOut`]:
    /// nothing is wrong then, the file is on this machine's disk and is being sent, and
    /// who calls again goes on waiting. [`ErrorKind::Io`] means that it failed for good.
    pub fn fsync(&self, fh: Fh, _scope: SyncScope) -> Answer<()> {
        let handle = match self.inner.handles.file(fh) {
            Ok(handle) => handle,
            Err(e) => return Answer::Now(Err(e)),
        };
        match self.options().fsync {
            Reach::Local => self.sync(handle),
            Reach::Remote => self.sync_to_the_service(handle),
        }
    }

    fn sync_to_the_service(&self, handle: Arc<FileHandle>) -> Answer<()> {
        let vfs = self.clone();
        Answer::disk(async move {
            let ino = handle.hold.ino;
            vfs.sync(handle.clone()).wait().await?;
            // Though it is open.
            vfs.tree().flush(ino)?;
            vfs.wake();
            let sent = vfs.until(|| vfs.is_there(ino));
            within(vfs.options().data_deadline, sent).await
        })
    }

    /// Brings the changes of a folder to the disk, and lets what rests in it be sent now; waits
    /// for that where [`Vfs::fsync`] would.
    pub fn fsyncdir(&self, fh: DirFh, _scope: SyncScope) -> Answer<()> {
        let folder = match self.inner.handles.folder(fh) {
            Ok(handle) => handle.ino,
            Err(e) => return Answer::Now(Err(e)),
        };
        let vfs = self.clone();
        let stored = self.blocking(move || {
            match vfs.options().fsync {
                Reach::Local => vfs.queue_closed(),
                // Or it would not be seen that a file waits.
                Reach::Remote => vfs.await_queued()?,
            }
            vfs.tree().hurry_folder(folder)?;
            vfs.store().sync()?;
            vfs.wake();
            Ok(())
        });
        if self.options().fsync == Reach::Local {
            return stored;
        }
        let vfs = self.clone();
        Answer::disk(async move {
            stored.wait().await?;
            let sent =
                vfs.until(|| Ok(vfs.is_there(folder)? && vfs.tree().waiting_in(folder)? == 0));
            within(vfs.options().data_deadline, sent).await
        })
    }

    /// Returns once it is written down of every closed file that it is closed. Blocks, but not
    /// longer than the deadline for data.
    fn await_queued(&self) -> Result<(), Error> {
        let end = Instant::now() + self.options().data_deadline;
        let [mut pause, longest] = GLANCES;
        loop {
            self.queue_closed();
            if self.all_closed_are_queued() {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(ErrorKind::TimedOut.into());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(longest);
        }
    }

    /// Whether the service has what is stored of a node.
    fn is_there(&self, ino: Ino) -> Result<bool, Error> {
        match self.tree().state(ino, false)? {
            Some(FileState::Failed) => {
                let why = self.tree().queued(ino)?.and_then(|queued| queued.error);
                Err(Error::new(ErrorKind::Io, why.unwrap_or_default()))
            }
            // One that was removed meanwhile has nothing to wait for.
            state => Ok(state.is_none_or(FileState::is_settled)),
        }
    }

    /// Waits; whoever calls it bounds it.
    async fn until(&self, done: impl Fn() -> Result<bool, Error>) -> Result<(), Error> {
        let [mut pause, longest] = GLANCES;
        while !done()? {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
        Ok(())
    }

    /// Has what was written to files sent that have been open for writing for `long`, or so
    /// long since this was last done. Blocks for the disk. Returns of how many.
    pub fn flush_open(&self, long: Duration) -> usize {
        let mut flushed = 0;
        for (ino, content) in self.inner.inodes.open_for(long, Instant::now()) {
            let sent = self
                .save_open(&content)
                .and_then(|()| Ok(self.tree().flush(ino)?));
            match sent {
                Ok(()) => flushed += 1,
                Err(e) => tracing::warn!(%ino, error = ?e, "an open file is not sent yet"),
            }
        }
        if flushed > 0 {
            self.wake();
        }
        flushed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Time;
    use crate::vfs::VfsOptions;
    use crate::vfs::testing::{House, WRITE};

    fn due(house: &House) -> usize {
        let now = Time::now();
        house.tree.ready(now, 10, &|_| false).unwrap().len()
    }

    #[test]
    fn what_stays_open_for_long_is_sent_and_again_after_as_long() {
        let mut house = House::new();
        let (_, fh) = house.create("log");
        let long = Duration::from_millis(50);
        house.write(fh, 0, b"first");
        assert_eq!(house.vfs.flush_open(Duration::from_secs(60)), 0);
        std::thread::sleep(long);
        assert_eq!(house.vfs.flush_open(long), 1);
        assert_eq!(due(&house), 1);
        assert_eq!(house.vfs.flush_open(long), 0, "just done");
        house.write(fh, 5, b", second");
        std::thread::sleep(long);
        assert_eq!(house.vfs.flush_open(long), 1);
        house.next_process();
        assert_eq!(house.content("log"), "first, second");
    }

    #[test]
    fn a_folders_sync_to_the_service_waits_for_what_was_closed_and_is_not_written_down_as_such() {
        let house = House::with(VfsOptions {
            fsync: Reach::Remote,
            data_deadline: Duration::from_millis(50),
            ..VfsOptions::default()
        });
        let root = house.ok(house.vfs.opendir(crate::tree::ROOT)).fh;
        let sync = || house.wait(house.vfs.fsyncdir(root, SyncScope::All));
        sync().unwrap();
        let (_, fh) = house.create("a");
        house.write(fh, 0, b"x");
        house.ok(house.vfs.flush(fh));
        // As while it, or one that shares its turn, is being saved.
        let turns = house.vfs.inner.saving.all_free();
        house.ok(house.vfs.release(fh));
        assert_eq!(sync().unwrap_err().kind(), ErrorKind::TimedOut);
        drop(turns);
        assert_eq!(sync().unwrap_err().kind(), ErrorKind::TimedOut, "not sent");
    }

    #[test]
    fn what_is_open_and_unchanged_is_not_sent() {
        let house = House::new();
        let ino = house.remote("film", b"bytes").ino;
        let _fh = house.open(ino, WRITE);
        assert_eq!(house.vfs.flush_open(Duration::ZERO), 0);
    }

    #[test]
    fn a_sync_to_the_service_ends_when_that_has_it_and_fails_when_it_never_will() {
        let house = House::with(VfsOptions {
            fsync: Reach::Remote,
            ..VfsOptions::default()
        });
        let (ino, fh) = house.create("a");
        // Empty: the service takes none.
        house.ok(house.vfs.fsync(fh, SyncScope::All));
        house.write(fh, 0, b"x");
        let waits = house.vfs.fsync(fh, SyncScope::All);
        let tree = house.tree.clone();
        let park = std::thread::spawn(move || {
            while tree.ready(Time::now(), 10, &|_| false).unwrap().is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
            tree.park(ino, "the name is refused").unwrap();
        });
        assert_eq!(house.error(waits), ErrorKind::Io);
        park.join().unwrap();
    }
}
