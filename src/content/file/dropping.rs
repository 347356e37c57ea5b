//! Dropping blocks of a file: to make room, or because the disk lost them.

use std::ops::Range;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::blocks::{self, BLOCK_SIZE, Block, BlockMap};
use super::super::error::ContentError;
use super::super::flight::{Flight, Progress};
use super::super::rows;
use super::{CacheFile, State};
use crate::store::Store;

impl CacheFile {
    /// Drops about `wanted` bytes from disk, from the start of the file on, but
    /// nothing that is `spared`, near a reader or under way. Returns how many it dropped.
    ///
    /// # Errors
    /// The disk cannot punch or the database failed; nothing is lost.
    pub(in crate::content) fn punch(
        &self,
        wanted: u64,
        spared: &[Range<Block>],
        store: &Store,
    ) -> Result<u64, ContentError> {
        let _saving = self.saving.lock();
        self.drop_blocks(store, |state, map| {
            let mut spared = spared.to_vec();
            spared.extend(state.cursors.attended(Instant::now()));
            spared.extend(state.flights.runs());
            droppable(map, wanted, &spared)
        })
    }

    /// Drops one block, whose bytes are not what was written; it will be fetched anew.
    /// Returns how many bytes that are.
    ///
    /// # Errors
    /// Those of [`CacheFile::punch`]; the block stays.
    #[expect(clippy::single_range_in_vec_init, reason = "one run")]
    pub(in crate::content) fn drop_bad(
        &self,
        block: Block,
        store: &Store,
    ) -> Result<u64, ContentError> {
        let _saving = self.saving.lock();
        // Who saw it as well may have dropped it, and another have brought it anew.
        self.drop_blocks(store, |_, map| {
            match map.contains(block) && !self.sums.is_sound(block) {
                true => vec![block..block + 1],
                false => Vec::new(),
            }
        })
    }

    /// Drops the runs that `choose` names, none of which is under way. Called with `saving`
    /// held.
    fn drop_blocks(
        &self,
        store: &Store,
        choose: impl FnOnce(&State, &BlockMap) -> Vec<Range<Block>>,
    ) -> Result<u64, ContentError> {
        let Some(disk) = self.disk.as_ref().filter(|_| !self.is_sealed()) else {
            return Ok(0);
        };
        let (runs, flights, removed) = self.take_off(choose);
        if runs.is_empty() {
            return Ok(0);
        }
        // A power cut must not bring back a row that speaks of punched blocks.
        let punched = self
            .save_row(|row, bits| store.write_durable(|tx| rows::put(tx, row, bits)))
            .map(|()| {
                for run in &runs {
                    let bytes = blocks::bytes_of(run, self.size);
                    // Blocks that stay on disk unnamed cost room, nothing else.
                    if let Err(error) = disk.punch_out(&bytes) {
                        tracing::debug!(file = %self.id, %error, "cannot punch out cached blocks");
                    }
                }
                removed
            });
        if punched.is_err() {
            for run in &runs {
                self.map.insert(run);
            }
        }
        let mut state = self.state.lock();
        for flight in &flights {
            state.flights.end(flight, Progress::Ended);
        }
        punched
    }

    /// Marks blocks as absent, behind flights that keep others off; returns how many
    /// bytes they are.
    fn take_off(
        &self,
        choose: impl FnOnce(&State, &BlockMap) -> Vec<Range<Block>>,
    ) -> (Vec<Range<Block>>, Vec<Arc<Flight>>, u64) {
        let mut state = self.state.lock();
        if state.retired {
            return (Vec::new(), Vec::new(), 0);
        }
        let runs = choose(&state, &self.map);
        let flights = runs.iter().map(|run| state.flights.punch(run)).collect();
        let removed = runs.iter().map(|run| self.map.remove(run)).sum();
        for run in &runs {
            self.sums.forget(run);
        }
        (runs, flights, removed)
    }
}

/// Runs of present blocks, about `wanted` bytes from the start on, outside of `spared`.
fn droppable(map: &BlockMap, wanted: u64, spared: &[Range<Block>]) -> Vec<Range<Block>> {
    let free =
        |block: &Block| map.contains(*block) && !spared.iter().any(|run| run.contains(block));
    // No more blocks than a file has, so it fits in usize.
    let most = wanted.div_ceil(BLOCK_SIZE).min(map.blocks()) as usize;
    blocks::runs((0..map.blocks()).filter(free).take(most))
}
