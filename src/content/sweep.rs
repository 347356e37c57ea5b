//! Forgetting files that are gone: their bytes, and what was found out about them.

use super::Content;
use crate::ids::FileId;

impl Content {
    /// Drops all that is kept of files which `known` does not know and nobody reads;
    /// returns how many those are. Blocks for the removal of files.
    ///
    /// # Errors
    /// Those of `known`, and of the database; the rest is kept.
    pub fn keep_only<E>(
        &self,
        mut known: impl FnMut(&FileId) -> Result<bool, E>,
    ) -> Result<usize, E>
    where
        E: From<super::ContentError>,
    {
        let core = &self.core;
        let mut ids = core.shelf.ids();
        ids.extend(core.checks.ids());
        ids.sort_unstable();
        ids.dedup();
        let mut gone = 0;
        for id in &ids {
            if core.pins.is_pinned(id) || known(id)? {
                continue;
            }
            core.shelf.forget(id);
            core.checks.forget(id)?;
            gone += 1;
        }
        Ok(gone)
    }
}
