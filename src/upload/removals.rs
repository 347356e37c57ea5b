//! Carries out removals: what was removed here goes from the service, and what that refuses to
//! remove is shown again.

use std::collections::HashSet;

use super::apart::Apart;
use super::failure::{Failure, is_about_one, judge};
use super::leaving::{Fate, Sights};
use super::{Context, UploadError};
use crate::api::{ApiError, Class};
use crate::ids::{FileId, FolderId, Time};
use crate::tree::Kind;
use crate::tree::journal::Postponed;
use crate::tree::removals::Removal;

impl Context {
    /// What of an array is not named as removed may have been gone before, or be refused, or
    /// nothing at all was done (API notes 10.17): the folders tell, once no listing lags behind.
    pub(super) async fn remove_files(&self, removals: Vec<Removal>) -> Result<(), UploadError> {
        let mut parts = Apart::of(removals, |removal| self.kept.has(removal.id));
        while let Some(removals) = parts.next() {
            let ids: Vec<FileId> = removals.iter().filter_map(|r| r.rid.parse().ok()).collect();
            match self.api.remove_files(&ids, Class::Upload).await {
                Ok(removed) => {
                    parts.taken();
                    let removed: HashSet<String> = removed.iter().map(FileId::to_string).collect();
                    let (gone, left_out): (Vec<_>, Vec<_>) = removals
                        .into_iter()
                        .partition(|removal| removed.contains(&removal.rid));
                    self.all_removed(&gone)?;
                    self.perhaps_removed(&left_out, &ApiError::left_out())?;
                }
                Err(e @ ApiError::NotFound(_)) => {
                    parts.taken();
                    self.not_known(&removals, &e)?;
                }
                Err(e) if is_about_one(&e) => {
                    let refused = parts.refused(removals);
                    self.removals_failed(&refused, &e).await?;
                }
                Err(e) => self.removals_failed(&removals, &e).await?,
            }
        }
        Ok(())
    }

    /// The service does not know what it was asked to remove: that is gone. Of several this is
    /// said of one, and what was put there a moment ago it may not know yet.
    fn not_known(&self, removals: &[Removal], e: &ApiError) -> Result<(), UploadError> {
        let lag = self.api.limits().listing_lag;
        let is_new = |made: Time| Time::now().since(made) < lag;
        match removals {
            [removal] if !removal.made_at.is_some_and(is_new) => self.all_removed(removals),
            _ => self.perhaps_removed(removals, e),
        }
    }

    /// The service did not remove all that it was asked for at once, and does not say which: they
    /// are looked for before any of them is asked for again, the second time in smaller company.
    fn perhaps_removed(&self, removals: &[Removal], e: &ApiError) -> Result<(), UploadError> {
        let mut postponed = Vec::new();
        for removal in removals {
            // Without those that are gone already the others may well go together.
            let company = match self.unclear.has(removal.id) {
                false => removals.len(),
                true => removals.len() / 2,
            };
            let times = self.unclear.add(removal.id, removal.attempts, company);
            if removals.len() == 1 && times > self.options.refusal_tries {
                self.stays(removal, e)?;
            } else {
                postponed.push(self.to_be_looked_for(removal, e));
            }
        }
        Ok(self.tree.postpone_removals(&postponed)?)
    }

    /// The service may have removed it by now.
    fn to_be_looked_for<'a>(&self, removal: &'a Removal, e: &ApiError) -> Postponed<'a> {
        let now = Time::now();
        let shown = now.after(self.api.limits().listing_lag);
        Postponed {
            removal,
            until: self.later(removal.attempts + 1).max(shown),
            asked_at: Some(now),
            why: format!("{e}; it is looked for first"),
        }
    }

    pub(super) async fn remove_folder(&self, removal: &Removal) -> Result<(), UploadError> {
        let Ok(id) = removal.rid.parse().map(FolderId) else {
            return Ok(self.tree.give_up_removal(removal)?);
        };
        match self.api.remove_folder(id, Class::Upload).await {
            Ok(()) => self.all_removed(std::slice::from_ref(removal)),
            Err(e @ ApiError::NotFound(_)) => self.not_known(std::slice::from_ref(removal), &e),
            Err(e) => {
                self.removals_failed(std::slice::from_ref(removal), &e)
                    .await
            }
        }
    }

    /// When listings show what is to be removed, were it made or moved there a moment before.
    fn listed_by(&self, removal: &Removal) -> Time {
        removal.queued_at.after(self.api.limits().listing_lag)
    }

    /// Whether the folders that this one may be in surely do not show it any more.
    async fn is_removed(&self, removal: &Removal) -> Result<bool, UploadError> {
        if Time::now() < self.listed_by(removal) {
            return Ok(false);
        }
        let mut sights = Sights::of(std::slice::from_ref(removal));
        Ok(self.fate(removal, &mut sights).await? == Fate::Gone)
    }

    pub(super) fn all_removed(&self, removals: &[Removal]) -> Result<(), UploadError> {
        self.tree.removed(removals, Time::now())?;
        for removal in removals {
            if let Ok(file) = removal.rid.parse() {
                self.staging.went(&file);
            }
            self.forget_refusals(removal);
        }
        Ok(())
    }

    /// The service keeps what was to go: that is told, and shown again.
    fn stays(&self, removal: &Removal, e: &ApiError) -> Result<(), UploadError> {
        self.forget_refusals(removal);
        tracing::warn!(
            name = removal.place.name,
            "not removed from the service, shown again: {e}"
        );
        self.tree.give_up_removal(removal)?;
        self.refresher.look_again(removal.place.folder);
        Ok(())
    }

    fn forget_refusals(&self, removal: &Removal) {
        self.kept.forget([removal.id]);
        self.unclear.forget([removal.id]);
    }

    /// Removals lag behind each other (API notes 2.7), so a folder that is said
    /// not to be empty is tried some more before that is believed. A folder that was removed
    /// already, by a call whose answer was lost, may be refused in words that nobody knows: the
    /// one above tells.
    async fn removals_failed(&self, removals: &[Removal], e: &ApiError) -> Result<(), UploadError> {
        let (mut gone, mut postponed) = (Vec::new(), Vec::new());
        for removal in removals {
            let tries = match removal.kind {
                Kind::Folder => self.options.refusal_tries,
                Kind::File | Kind::Symlink => self.options.permanent_tries,
            };
            let refused = judge(e) == Failure::Permanent
                && self.kept.add(removal.id, removal.attempts, removals.len()) > tries;
            let unclear = matches!(e, ApiError::Refused(_)) && removal.kind == Kind::Folder;
            if unclear && self.is_removed(removal).await? {
                gone.push(removal.clone());
            } else if refused {
                self.stays(removal, e)?;
            } else if e.may_be_done() {
                postponed.push(self.to_be_looked_for(removal, e));
            } else {
                let mut until = self.later(removal.attempts + 1);
                if unclear {
                    until = until.max(self.listed_by(removal));
                }
                postponed.push(Postponed {
                    removal,
                    until,
                    asked_at: None,
                    why: e.to_string(),
                });
            }
        }
        self.all_removed(&gone)?;
        Ok(self.tree.postpone_removals(&postponed)?)
    }
}
