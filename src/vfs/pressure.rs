//! What a writer meets where there is no room for its bytes.
//!
//! Room comes with each upload that ends, so a writer is slowed down and not
//! refused: it waits for room, in steps of two seconds, since a process that was
//! killed ends only when its call is answered. A step that found no room takes a
//! page all the same, and the writer comes again with the rest. So what is staged
//! stays within the budget and about a block for each writer.
//!
//! It is refused where waiting leads nowhere: the file alone is larger than the
//! budget, or nothing came nearer to being sent for as long as `write_wait`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::types::Answer;
use crate::staging::{StagedFile, StagingError, Within};

/// How long one call holds a writer back at most.
const STEP: Duration = Duration::from_secs(2);

/// What a step that found no room takes: a page.
pub(super) const TRICKLE: usize = 4096;

/// Why a change of a file's content was not made.
pub(super) enum Fault {
    /// There is no room for it now.
    Full(StagingError),
    /// It cannot be made.
    Failed(Error),
}

impl From<StagingError> for Fault {
    fn from(e: StagingError) -> Self {
        if e.is_full() {
            Fault::Full(e)
        } else {
            Fault::Failed(e.into())
        }
    }
}

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Fault::Failed(e)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full(e) => e.into(),
            Fault::Failed(e) => e,
        }
    }
}

/// Since when the queue has made no progress while writers waited.
#[derive(Default)]
pub(super) struct Stall(Mutex<Option<(Instant, u64)>>);

impl Stall {
    /// Whether nothing moved for `patience`, by the counter `progress`.
    fn lasts(&self, progress: u64, patience: Duration) -> bool {
        let mut seen = self.0.lock();
        match *seen {
            Some((since, then)) if then == progress => since.elapsed() >= patience,
            _ => {
                *seen = Some((Instant::now(), progress));
                patience.is_zero()
            }
        }
    }

    fn is_over(&self) {
        *self.0.lock() = None;
    }
}

impl Vfs {
    /// Answers with `change`, which is held back while there is no room for it; with
    /// [`Within::Anything`] it must make do with a page. `more` is how many bytes it adds
    /// to the file at most.
    pub(super) fn when_there_is_room<T: Send + 'static>(
        &self,
        content: &std::sync::Arc<StagedFile>,
        more: u64,
        mut change: impl FnMut(&Vfs, Within) -> Result<T, Fault> + Send + 'static,
    ) -> Answer<T> {
        let full = match change(self, Within::Budget) {
            Ok(value) => return Answer::Now(Ok(value)),
            Err(Fault::Failed(e)) => return Answer::Now(Err(e)),
            Err(Fault::Full(e)) => e,
        };
        if content.outgrows_budget(more) {
            return Answer::Now(Err(full.into()));
        }
        let vfs = self.clone();
        Answer::later(async move { vfs.hold_back(full, change).await })
    }

    async fn hold_back<T>(
        &self,
        full: StagingError,
        mut change: impl FnMut(&Vfs, Within) -> Result<T, Fault> + Send,
    ) -> Result<T, Error> {
        // What rests after its close goes now.
        self.queue_closed();
        if let Err(error) = self.tree().hurry_closed() {
            tracing::warn!(%error, "delays before uploads stay");
        }
        self.wake();
        if !matches!(full, StagingError::Budget { .. }) {
            self.staging().drop_clean();
        }
        let end = tokio::time::Instant::now() + STEP;
        loop {
            let room = self.staging().room();
            tokio::pin!(room);
            let full = match change(self, Within::Budget) {
                Ok(value) => {
                    self.inner.stall.is_over();
                    return Ok(value);
                }
                Err(Fault::Failed(e)) => return Err(e),
                Err(Fault::Full(e)) => e,
            };
            let patience = self.options().write_wait;
            if self.inner.stall.lasts(self.staging().progress(), patience) {
                return Err(full.into());
            }
            // A short wait now and then: a ring between the look and the wait is missed.
            let glance = tokio::time::Instant::now() + STEP / 20;
            if tokio::time::timeout_at(end.min(glance), room)
                .await
                .is_err()
                && tokio::time::Instant::now() >= end
            {
                break;
            }
        }
        change(self, Within::Anything).map_err(Error::from)
    }

    /// Refuses a size that the budget can never hold: it is known now, and the writer
    /// had better hear of it now.
    pub(super) fn check_growth(&self, content: &StagedFile, size: u64) -> Result<(), Error> {
        let grows = size.saturating_sub(content.size());
        if grows > 0 && content.outgrows_budget(grows) {
            return Err(Error::new(
                ErrorKind::NoSpace,
                format!("{size} bytes are more than the staging budget has"),
            ));
        }
        Ok(())
    }
}

/// What a step may take of `data`.
pub(super) fn portion(within: Within, data: &Bytes) -> &[u8] {
    match within {
        Within::Budget => data,
        Within::Anything => data.get(..TRICKLE).unwrap_or(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::VfsOptions;
    use crate::vfs::testing::House;

    const BUDGET: u64 = 64 << 10;

    fn house(write_wait: Duration) -> House {
        let options = VfsOptions {
            write_wait,
            ..VfsOptions::default()
        };
        House::with_budget(options, BUDGET)
    }

    #[test]
    fn a_file_larger_than_the_budget_is_refused_where_it_crosses_it() {
        let house = house(Duration::from_secs(600));
        let (_, fh) = house.create("a");
        let block = vec![1; 32 << 10];
        house.write(fh, 0, &block);
        house.write(fh, 32 << 10, &block);
        let refused = house.error(house.vfs.write(fh, BUDGET, b"x"));
        assert_eq!(refused, ErrorKind::NoSpace);
        let (ino, _) = house.create("b");
        let cut = crate::vfs::SetAttr {
            size: Some(BUDGET + 1),
            ..crate::vfs::SetAttr::default()
        };
        let refused = house.error(house.vfs.setattr(ino, None, cut, crate::vfs::testing::ANN));
        assert_eq!(refused, ErrorKind::NoSpace);
        house.close(fh);
        assert_eq!(house.content("a").len(), BUDGET as usize);
    }

    #[test]
    fn a_writer_without_room_is_slowed_down_and_then_refused() {
        let slow = house(Duration::from_secs(600));
        slow.file("a", &vec![1; BUDGET as usize]);
        let (_, fh) = slow.create("b");
        let taken = slow.ok(slow.vfs.write(fh, 0, &[2; 10_000]));
        assert_eq!(taken as usize, TRICKLE, "a page, and the rest later");

        let none = house(Duration::ZERO);
        none.file("a", &vec![1; BUDGET as usize]);
        let (_, fh) = none.create("b");
        let refused = none.error(none.vfs.write(fh, 0, &[2; 10_000]));
        assert_eq!(refused, ErrorKind::NoSpace);
        assert_eq!(none.content("a").len(), BUDGET as usize);
    }

    #[test]
    fn a_writer_goes_on_as_soon_as_there_is_room() {
        let house = house(Duration::from_secs(600));
        house.file("a", &vec![1; BUDGET as usize]);
        let (_, fh) = house.create("b");
        let answer = house.vfs.write(fh, 0, &[2; 10_000]);
        assert!(matches!(answer, Answer::Later(_)));
        let vfs = house.vfs.clone();
        let a = house.node("a").ino;
        let unlinked = std::thread::spawn(move || {
            let gone = vfs.unlink(
                crate::tree::ROOT,
                std::ffi::OsStr::new("a"),
                crate::vfs::testing::ANN,
            );
            assert!(matches!(gone, Answer::Now(Ok(()))));
            vfs.forget(a, 1);
        });
        assert_eq!(house.ok(answer), 10_000);
        unlinked.join().unwrap();
    }

    #[test]
    fn pages_of_a_mapping_are_never_refused() {
        let house = house(Duration::ZERO);
        house.file("a", &vec![1; BUDGET as usize]);
        let (_, fh) = house.create("b");
        assert_eq!(house.ok(house.vfs.write_page(fh, 0, &[2; 10_000])), 10_000);
    }
}
