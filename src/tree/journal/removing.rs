//! What became of removals. That one is asked for is noted before the call is made, and stays noted
//! until an answer, or a listing that cannot lag behind it any more, tells what came of it: what
//! is gone already would be a failing call, and the service bans who has many (API notes 1.5).
//!
//! When it was asked for is kept over restarts, not renewed: a process that is killed again and
//! again finds out what became of it all the same. All is written by the batch.

use super::Result;
use crate::ids::Time;
use crate::tree::removals::{self, Removal};
use crate::tree::{Known, Tree, rows};

/// A removal that is put off.
pub struct Postponed<'a> {
    /// Which one.
    pub removal: &'a Removal,
    /// It is not tried, or looked for, before.
    pub until: Time,
    /// Until when the service may have removed it; `None`: it surely did not.
    pub asked_at: Option<Time>,
    /// What people are told of it.
    pub why: String,
}

impl Tree {
    /// The service is about to be asked to remove these.
    pub fn asks_to_remove(&self, removals: &[Removal], now: Time) -> Result<()> {
        self.set_asked(removals, Some(now))
    }

    /// The service shows these: they were not removed, and may be asked for again.
    pub fn still_there(&self, removals: &[Removal]) -> Result<()> {
        self.set_asked(removals, None)
    }

    fn set_asked(&self, removals: &[Removal], asked: Option<Time>) -> Result<()> {
        if removals.is_empty() {
            return Ok(());
        }
        self.store.write(|tx| {
            for removal in removals {
                removals::set_asked(tx, removal.id, asked)?;
            }
            Ok(())
        })
    }

    /// Objects were removed.
    pub fn removed(&self, removals: &[Removal], now: Time) -> Result<()> {
        if removals.is_empty() {
            return Ok(());
        }
        self.store.write(|tx| {
            removals::sweep(tx, now)?;
            // At once the service would say that the folder is not empty.
            let seen = now.after(self.listing_lag / 30);
            for removal in removals {
                removals::done(tx, removal, now.after(self.listing_lag))?;
                removals::hold_folder(tx, removal.place.folder, seen)?;
            }
            Ok(())
        })
    }

    /// Removals failed, or what became of them is not known: they are tried or looked for later.
    pub fn postpone_removals(&self, postponed: &[Postponed<'_>]) -> Result<()> {
        if postponed.is_empty() {
            return Ok(());
        }
        self.store.write(|tx| {
            for Postponed {
                removal,
                until,
                asked_at,
                why,
            } in postponed
            {
                removals::set_asked(tx, removal.id, *asked_at)?;
                removals::postpone(tx, removal.id, *until, why)?;
            }
            Ok(())
        })
    }

    /// The service refused a removal for good: the wish is given up, and the
    /// folder is listed again so that the object shows.
    pub fn give_up_removal(&self, removal: &Removal) -> Result<()> {
        self.store.write(|tx| {
            removals::drop_row(tx, removal)?;
            if let Some(folder) = rows::by_folder_id(tx, removal.place.folder)?
                && folder.known.is_complete()
            {
                rows::set_known(tx, folder.ino, Known::Whole(Time(0)))?;
            }
            Ok(())
        })
    }
}
