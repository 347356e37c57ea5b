//! Carries out removals: what was removed here goes from the service, and what that refuses to
//! remove is shown again.

use std::collections::{HashMap, HashSet};

use super::apart::Apart;
use super::failure::{Failure, is_about_one, judge};
use super::{Context, UploadError};
use crate::api::{ApiError, Class};
use crate::ids::{FileId, FolderId, Time};
use crate::tree::Kind;
use crate::tree::removals::Removal;

impl Context {
    /// What of an array is not named as removed may have been gone before, or be refused, or
    /// nothing at all was done (API notes 10.17): the folders tell, once no listing lags behind.
    pub(super) async fn remove_files(&self, removals: Vec<Removal>) -> Result<(), UploadError> {
        let removals = self.not_gone(removals).await?;
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
                Err(ApiError::NotFound(_)) if removals.len() == 1 => {
                    parts.taken();
                    self.all_removed(&removals)?;
                }
                Err(e @ ApiError::NotFound(_)) => {
                    parts.taken();
                    self.perhaps_removed(&removals, &e)?;
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

    /// The service did not remove all that it was asked for at once, and does not say which: they
    /// are looked for before any of them is asked for again, the second time in smaller company.
    fn perhaps_removed(&self, removals: &[Removal], e: &ApiError) -> Result<(), UploadError> {
        let shown = Time::now().after(self.api.limits().listing_lag);
        for removal in removals {
            // Without those that are gone already the others may well go together.
            let company = match self.unclear.has(removal.id) {
                false => removals.len(),
                true => removals.len() / 2,
            };
            let times = self.unclear.add(removal.id, removal.attempts, company);
            if removals.len() == 1 && times > self.options.refusal_tries {
                self.stays(removal, e)?;
                continue;
            }
            self.looked_for_from.lock().insert(removal.id, shown);
            let later = self.later(removal.attempts + 1).max(shown);
            self.tree.postpone_removal(removal, later, &e.to_string())?;
        }
        Ok(())
    }

    /// Of what may have been removed, what can be looked for by now; the rest waits, whoever
    /// hurries.
    fn to_be_looked_for(&self, removals: Vec<Removal>) -> Result<Vec<Removal>, UploadError> {
        let now = Time::now();
        let mut due = Vec::new();
        for removal in removals {
            let from = self.looked_for_from.lock().get(&removal.id).copied();
            match from.filter(|from| *from > now) {
                None => due.push(removal),
                Some(from) => {
                    let why = "not all of several was removed, so it is looked for first";
                    self.tree.postpone_removal(&removal, from, why)?;
                }
            }
        }
        Ok(due)
    }

    /// These without those that may have been removed before and that their folders do not show
    /// any more. What cannot be looked for now is left for later.
    async fn not_gone(&self, removals: Vec<Removal>) -> Result<Vec<Removal>, UploadError> {
        let (unclear, mut rest): (Vec<_>, Vec<_>) = removals
            .into_iter()
            .partition(|removal| self.unclear.has(removal.id));
        let mut folders: HashMap<FolderId, Vec<Removal>> = HashMap::new();
        for removal in self.to_be_looked_for(unclear)? {
            folders
                .entry(removal.place.folder)
                .or_default()
                .push(removal);
        }
        for (folder, removals) in folders {
            let listing = match self.refresher.look_into(folder, Class::Upload).await {
                Ok(listing) => listing,
                // With all that was in it.
                Err(ApiError::NotFound(_)) => {
                    self.all_removed(&removals)?;
                    continue;
                }
                Err(e) => {
                    self.removals_failed(&removals, &e).await?;
                    continue;
                }
            };
            let shown: HashSet<String> = listing.files.iter().map(|f| f.id.to_string()).collect();
            let told = self.silence.tells(folder, &listing) && !listing.truncated;
            if !told && shown.is_empty() {
                let later = Time::now().after(self.api.limits().folder_gap);
                for removal in &removals {
                    let why = "the folder's listing is not clear";
                    self.tree.postpone_removal(removal, later, why)?;
                }
                continue;
            }
            let (there, gone): (Vec<_>, Vec<_>) = removals
                .into_iter()
                .partition(|removal| shown.contains(&removal.rid) || !told);
            self.all_removed(&gone)?;
            rest.extend(there);
        }
        Ok(rest)
    }

    pub(super) async fn remove_folder(&self, removal: &Removal) -> Result<(), UploadError> {
        let Ok(id) = removal.rid.parse().map(FolderId) else {
            return Ok(self.tree.give_up_removal(removal)?);
        };
        match self.api.remove_folder(id, Class::Upload).await {
            Ok(()) | Err(ApiError::NotFound(_)) => self.all_removed(std::slice::from_ref(removal)),
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
    async fn is_removed(&self, removal: &Removal) -> bool {
        if Time::now() < self.listed_by(removal) {
            return false;
        }
        for above in [Some(removal.place.folder), removal.may_be_in]
            .into_iter()
            .flatten()
        {
            if !self.has_left(removal, above).await {
                return false;
            }
        }
        true
    }

    async fn has_left(&self, removal: &Removal, above: FolderId) -> bool {
        let Ok(listing) = self.refresher.look_into(above, Class::Upload).await else {
            return false;
        };
        let doubted = listing.truncated
            || listing.lacks_folders
            || (listing.folders.is_empty() && listing.files.is_empty());
        let mut ids = listing.folders.iter().map(|folder| folder.id.to_string());
        !doubted && ids.all(|id| id != removal.rid)
    }

    fn all_removed(&self, removals: &[Removal]) -> Result<(), UploadError> {
        let now = Time::now();
        for removal in removals {
            self.tree.removed(removal, now)?;
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
        self.looked_for_from.lock().remove(&removal.id);
    }

    /// Removals lag behind each other (API notes 2.7), so a folder that is said
    /// not to be empty is tried some more before that is believed. A folder that was removed
    /// already, by a call whose answer was lost, may be refused in words that nobody knows: the
    /// one above tells.
    async fn removals_failed(&self, removals: &[Removal], e: &ApiError) -> Result<(), UploadError> {
        for removal in removals {
            let tries = match removal.kind {
                Kind::Folder => self.options.refusal_tries,
                Kind::File | Kind::Symlink => self.options.permanent_tries,
            };
            let refused = judge(e) == Failure::Permanent
                && self.kept.add(removal.id, removal.attempts, removals.len()) > tries;
            let unclear = matches!(e, ApiError::Refused(_)) && removal.kind == Kind::Folder;
            if unclear && self.is_removed(removal).await {
                self.all_removed(std::slice::from_ref(removal))?;
            } else if refused {
                self.stays(removal, e)?;
            } else {
                let mut later = self.later(removal.attempts + 1);
                if unclear {
                    later = later.max(self.listed_by(removal));
                }
                self.tree.postpone_removal(removal, later, &e.to_string())?;
            }
        }
        Ok(())
    }
}
