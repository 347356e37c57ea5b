//! Fetching a file whole, for who wants it at hand without the network.
//!
//! The flights are those of reading ahead: they give way to readers, and all
//! rules of the cache hold. A file that is filled is wanted to its end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::blocks::BLOCK_SIZE;
use super::error::{ContentError, Reason};
use super::file::CacheFile;
use super::window::Price;
use super::{Content, LONGEST_RUN, RemoteFile, fetch};
use crate::ids::FileId;

/// Runs that are asked for at a time: more would keep the connections from
/// other readers' read-ahead.
const RUNS: usize = 4;

/// How long to wait for runs that somebody else fetches.
const GLANCE: Duration = Duration::from_millis(100);

/// Counts as a reader of the whole file as long as it lives.
struct Filling<'a>(&'a CacheFile);

impl<'a> Filling<'a> {
    fn new(file: &'a CacheFile) -> Filling<'a> {
        file.begin_filling();
        Filling(file)
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        self.0.end_filling();
    }
}

/// The longest run, in bytes, that a file of `size` bytes is filled by. Where each costs a
/// call of the API, there are only as many as are under way at a time.
fn longest_run(size: u64, price: Price) -> u64 {
    match price {
        Price::Free => LONGEST_RUN,
        Price::Link => LONGEST_RUN.max(size.div_ceil(RUNS as u64)),
    }
}

impl Content {
    /// Fetches what is absent of a file; returns once all of it is on disk.
    /// Dropping the future ends the wish.
    ///
    /// # Errors
    /// Those of a read, without its deadline; [`ContentError::Unavailable`] where the
    /// cache has no room for the file.
    pub async fn fill(&self, file: &RemoteFile) -> Result<(), ContentError> {
        let core = &self.core;
        core.checks.may_check(file);
        let cached = core.find(file).await?;
        let _filling = Filling::new(&cached);
        loop {
            let before = cached.cached_bytes();
            if before == file.size {
                return Ok(());
            }
            let longest = longest_run(file.size, core.price()).div_ceil(BLOCK_SIZE);
            let flights = cached.plan_fill(longest, RUNS)?;
            for flight in &flights {
                fetch::launch(core, &cached, Arc::clone(flight));
            }
            for flight in &flights {
                flight.over().await?;
            }
            if flights.is_empty() {
                tokio::time::sleep(GLANCE).await;
            } else if cached.cached_bytes() <= before {
                let reason = Reason::new(
                    &"the cache has no room for all of the file",
                    "Raise cache_size, or make room on the cache disk.",
                );
                return Err(ContentError::Unavailable(reason));
            }
        }
    }

    /// Bytes of a file that are on disk.
    pub fn cached(&self, file: &RemoteFile) -> u64 {
        self.core.shelf.cached_of(file)
    }

    /// Says which files are never dropped to make room or for their age, in place of those
    /// named before. Until it is said for the first time, none is.
    pub fn keep(&self, ids: HashSet<FileId>) {
        self.core.shelf.keep_always(ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_each_run_costs_a_link_a_file_costs_few() {
        let film: u64 = 50 << 30;
        let runs = |price| film.div_ceil(longest_run(film, price));
        assert_eq!(runs(Price::Link), RUNS as u64);
        assert_eq!(longest_run(film, Price::Free), LONGEST_RUN);
        assert_eq!(longest_run(1, Price::Link), LONGEST_RUN);
    }
}
