//! Carries out the batches that change names and places: each is one call, and
//! what the service did is recorded as a fact.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use tokio::task::block_in_place;

use super::apart::Apart;
use super::failure::{Failure, is_about_one, judge};
use super::look::ASKED_ABOUT;
use super::plan::Batch;
use super::{Context, UploadError};
use crate::api::{ApiError, Class};
use crate::ids::{FileId, FolderId, Ino, Time};
use crate::tree::journal::{Detour, Put, Who};
use crate::tree::{Change, Kind, Node, Remote, RemotePlace};

/// How often it is believed that the service does not know what its listing shows: it was
/// asked for in company, and alone.
const UNKNOWN_TRIES: u32 = 1;

/// What the service said of objects that are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// That it does not know this one.
    Surely,
    /// That it does not know one of several, or something else.
    Perhaps,
}

/// What came of a look at the folder where objects were.
enum Seen {
    /// Some of them are gone from there.
    Gone,
    /// None of them is known to be.
    NotGone,
    /// It could not be looked at, which passes.
    Later(String),
}

impl Unknown {
    /// What it said of these by not knowing one of them.
    fn of(inos: &[Ino]) -> Unknown {
        match inos {
            [_] => Unknown::Surely,
            _ => Unknown::Perhaps,
        }
    }
}

impl Context {
    /// Carries out a batch other than an upload.
    ///
    /// What the user did goes to the disk before the service does it: after a power cut the
    /// tree would else show what was removed there, or an older name, until a listing tells.
    /// A call takes longer than that.
    pub(super) async fn change(&self, batch: Batch) -> Result<(), UploadError> {
        let Some(batch) = self.without_missing(batch).await? else {
            return Ok(());
        };
        self.tree.asks(&batch.puts(), Time::now())?;
        self.tree.asks_to_remove(batch.removes(), Time::now())?;
        block_in_place(|| self.store.sync())?;
        match batch {
            Batch::Upload(_) => Ok(()), // Has a lane of its own.
            Batch::Copy { to, files, named } => self.copy(to, files, named).await,
            Batch::Empty(ino) => Ok(self.tree.emptied(ino, Time::now())?),
            Batch::Make { ino, at } => self.make(ino, at).await,
            Batch::MoveFiles { to, files } => self.move_files(to, files).await,
            Batch::MoveFolder { ino, id, to } => {
                let moved = self.api.move_folder(id, to, Class::Upload).await;
                match moved {
                    Ok(()) => Ok(self.tree.moved(ino, to, Time::now())?),
                    Err(e) => self.place_failed(&[ino], &e).await,
                }
            }
            Batch::RenameFiles(files) => self.rename_files(files).await,
            Batch::RenameFolder { ino, id, name } => {
                let renamed = self.api.rename_folder(id, &name, Class::Upload).await;
                match renamed {
                    Ok(()) | Err(ApiError::Unchanged(_)) => {
                        Ok(self.tree.renamed(ino, &name, Time::now())?)
                    }
                    Err(e) => self.place_failed(&[ino], &e).await,
                }
            }
            Batch::Look(nodes) => self.look_where(&nodes).await,
            Batch::LookForLeaving(removals) => self.look_for_leaving(&removals).await,
            Batch::RemoveFiles(removals) => self.remove_files(removals).await,
            Batch::RemoveFolder(removal) => self.remove_folder(&removal).await,
        }
    }

    /// What the service said that it does not know is looked for before it is asked for again: a
    /// listing that was late may have caught up. Gives what is left of the batch.
    async fn without_missing(&self, batch: Batch) -> Result<Option<Batch>, UploadError> {
        Ok(match batch {
            Batch::MoveFiles { to, mut files } => {
                let gone = self.missing(files.iter().map(|(ino, _)| *ino)).await?;
                files.retain(|(ino, _)| !gone.contains(ino));
                (!files.is_empty()).then_some(Batch::MoveFiles { to, files })
            }
            Batch::RenameFiles(mut files) => {
                let gone = self.missing(files.iter().map(|(ino, ..)| *ino)).await?;
                files.retain(|(ino, ..)| !gone.contains(ino));
                (!files.is_empty()).then_some(Batch::RenameFiles(files))
            }
            Batch::MoveFolder { ino, .. } | Batch::RenameFolder { ino, .. } => {
                let gone = self.missing([ino].into_iter()).await?;
                gone.is_empty().then_some(batch)
            }
            other => Some(other),
        })
    }

    /// Which of these are not to be asked for now, of those that the service did not know: they
    /// are not where they were, or that could not be looked at. What it said may have been about
    /// another that they were with.
    async fn missing(&self, inos: impl Iterator<Item = Ino>) -> Result<HashSet<Ino>, UploadError> {
        let unknown: Vec<Ino> = inos.filter(|ino| self.unknown.has(*ino)).collect();
        let mut left_out = HashSet::new();
        for (folder, nodes) in self.where_they_were(&unknown)? {
            let inos: Vec<Ino> = nodes.iter().map(|node| node.ino).collect();
            let seen = self
                .vanish_unless_shown(folder, nodes, Unknown::Perhaps)
                .await?;
            if let Seen::Later(why) = seen {
                for ino in inos {
                    let later = self.later(self.attempts(ino)? + 1);
                    self.tree.postpone(ino, later, &why)?;
                    left_out.insert(ino);
                }
            }
        }
        for ino in unknown {
            if left_out.contains(&ino) {
                continue;
            }
            self.unknown.forget([ino]);
            let node = self.tree.node(ino)?;
            if !node.is_some_and(|node| node.pending.place) {
                left_out.insert(ino);
            }
        }
        Ok(left_out)
    }

    async fn make(&self, ino: Ino, at: RemotePlace) -> Result<(), UploadError> {
        match self
            .api
            .make_folder(at.folder, &at.name, Class::Upload)
            .await
        {
            Ok((id, name)) => {
                let at = RemotePlace { name, ..at };
                Ok(self.tree.made(ino, id, at, Time::now())?)
            }
            Err(e) => self.make_failed(ino, at.folder, &e).await,
        }
    }

    /// A folder was not made. It may exist: made by somebody else, or by us before a
    /// crash. The listing of the folder above tells, and takes it as this one; where
    /// it is late, the next one.
    async fn make_failed(
        &self,
        ino: Ino,
        above: FolderId,
        e: &ApiError,
    ) -> Result<(), UploadError> {
        self.answered(&[ino], e)?;
        if judge(e) == Failure::Passing || matches!(e, ApiError::RefusedName(_)) {
            return self.intent_failed(ino, e);
        }
        if matches!(e, ApiError::NotFound(_)) {
            if self.is_folder_gone(above).await? {
                // It is made anew first, and this one in it.
                return Ok(());
            }
        } else if let Some(folder) = self.tree.by_folder_id(above)? {
            self.list_after_refusal(folder.ino).await;
        }
        if !self.tree.node(ino)?.is_some_and(|node| node.pending.make) {
            return Ok(());
        }
        let attempts = self.attempts(ino)?;
        let text = format!("{e}. {}", e.advice());
        if self.refusals.add(ino, attempts, 1) <= self.options.refusal_tries {
            let later = match e {
                ApiError::NotFound(_) => self.once_shown(attempts + 1),
                _ => self.later(attempts + 1),
            };
            return Ok(self.tree.postpone(ino, later, &text)?);
        }
        tracing::error!(path = %self.path(ino), "failed for good: {text}");
        Ok(self.tree.park(ino, &text)?)
    }

    /// A call that was to put these somewhere failed: whether it may have done so is kept.
    fn answered(&self, inos: &[Ino], e: &ApiError) -> Result<(), UploadError> {
        match e.may_be_done() {
            true => self.tree.may_be_put(inos, Time::now())?,
            false => self.tree.not_put(inos)?,
        }
        Ok(())
    }

    /// Looks for folders and files that an unanswered call may have put elsewhere. Who is not
    /// found where that was to be is looked for again once no listing can lag behind.
    async fn look_where(&self, inos: &[Ino]) -> Result<(), UploadError> {
        let mut folders = HashSet::new();
        for ino in inos {
            folders.extend(self.tree.may_be_in(*ino)?);
        }
        let mut listed = HashMap::new();
        for folder in folders {
            // One that is under way may be joined.
            let asked = Time::now().before(self.api.limits().folder_gap);
            if !self.list_after_refusal(folder).await {
                break; // Locks and outages are waited out elsewhere.
            }
            listed.insert(folder, asked);
        }
        // Others are asked about next time, which is no failure of theirs.
        let mut asked = 0;
        for &ino in inos {
            if let Some(shown) = self.tree.looked_for(ino, &listed)? {
                let late = |folder| listed.get(&folder).is_some_and(|asked| *asked > shown);
                let all_listed = self.tree.may_be_in(ino)?.into_iter().all(late);
                if all_listed && asked == ASKED_ABOUT {
                    let next = Time::now().after(self.api.limits().folder_gap);
                    self.tree.wait_until(ino, next)?;
                    continue;
                }
                if all_listed && self.is_told_where(ino, &mut asked).await? {
                    continue;
                }
                let later = self.later(self.attempts(ino)? + 1).max(shown);
                let why = "the service did not answer, so it is looked for first";
                self.tree.postpone(ino, later, why)?;
            }
        }
        Ok(())
    }

    /// Asks where a file or folder is of which no listing tells, since that where it may be is too
    /// large. Whether that said what is to be done; counts those that were `asked` about.
    async fn is_told_where(&self, ino: Ino, asked: &mut usize) -> Result<bool, UploadError> {
        let Some(node) = self.tree.node(ino)? else {
            return Ok(true);
        };
        let told = match &node.remote {
            Remote::File(file) => {
                let info = self.api.file_info(&file.id, Class::Upload).await;
                info.map(|info| {
                    let name = info.name;
                    info.folder.map(|folder| RemotePlace { folder, name })
                })
            }
            Remote::Folder(folder) => match self.tree.asked_place(ino)? {
                Some(asked) => self.told_of_folder(folder, asked.folder).await,
                None => return Ok(true),
            },
            Remote::None => return Ok(false),
        };
        *asked += 1;
        match told {
            Ok(Some(there)) => {
                self.tree.found_at(ino, there, Time::now())?;
                Ok(true)
            }
            Ok(None) => Ok(false),
            // No listing could bring it back: that is believed the second time, once any answer to
            // the first has caught up.
            Err(e @ ApiError::NotFound(_)) => {
                let attempts = self.attempts(ino)?;
                if self.refusals.add(ino, attempts, 1) > UNKNOWN_TRIES {
                    self.refusals.forget([ino]);
                    self.tell(self.tree.vanished(ino)?);
                } else {
                    let later = self.once_shown(attempts + 1);
                    self.tree.postpone(ino, later, &e.to_string())?;
                }
                Ok(true)
            }
            Err(e) => {
                tracing::debug!(path = %self.path(ino), "where it is was not told: {e}");
                Ok(false)
            }
        }
    }

    /// Whether it was listed.
    pub(super) async fn list_after_refusal(&self, folder: Ino) -> bool {
        let deadline = Instant::now() + self.api.limits().folder_gap * 4;
        let listed = self.refresher.refresh(folder, Class::Upload, deadline);
        match listed.await {
            Ok(_) => true,
            Err(e) => {
                tracing::debug!(%folder, "not listed after a refusal: {e}");
                false
            }
        }
    }

    /// The service says that a folder does not exist: whether it is gone. Of one that we made
    /// or moved a moment ago that says little, and of any other the folder above tells.
    pub(super) async fn is_folder_gone(&self, folder: FolderId) -> Result<bool, UploadError> {
        let node = self.tree.by_folder_id(folder)?;
        let Some(node) = node.filter(|node| node.place.is_some()) else {
            return Ok(true);
        };
        match node.remote.place().map(|there| there.folder) {
            Some(above) => {
                let seen = self.vanish_unless_shown(above, vec![node], Unknown::Surely);
                Ok(matches!(seen.await?, Seen::Gone))
            }
            None => Ok(false), // The root.
        }
    }

    /// When to try again what the service did not know, after the `attempts`-th failure: its
    /// listings may be older than what they would have to show.
    pub(super) fn once_shown(&self, attempts: u32) -> Time {
        let shown = Time::now().after(self.api.limits().listing_lag);
        self.later(attempts).max(shown)
    }

    async fn move_files(&self, to: FolderId, files: Vec<(Ino, FileId)>) -> Result<(), UploadError> {
        let mut parts = Apart::of(files, |(ino, _)| self.refusals.has(*ino));
        while let Some(files) = parts.next() {
            let ids: Vec<FileId> = files.iter().map(|(_, id)| id.clone()).collect();
            let (failed, e) = match self.api.move_files(&ids, to, Class::Upload).await {
                Ok(moved) => {
                    parts.taken();
                    let moved: HashSet<FileId> = moved.into_iter().collect();
                    let (done, left_out): (Vec<_>, Vec<_>) =
                        files.into_iter().partition(|(_, id)| moved.contains(id));
                    for (ino, _) in done {
                        self.tree.moved(ino, to, Time::now())?;
                        self.refusals.forget([ino]);
                    }
                    (left_out, ApiError::left_out())
                }
                Err(e) if is_about_one(&e) => (parts.refused(files), e),
                Err(e) => (files, e),
            };
            let inos: Vec<Ino> = failed.iter().map(|(ino, _)| *ino).collect();
            self.place_failed(&inos, &e).await?;
        }
        Ok(())
    }

    async fn rename_files(&self, files: Vec<(Ino, FileId, String)>) -> Result<(), UploadError> {
        let mut parts = Apart::of(files, |(ino, ..)| self.refusals.has(*ino));
        while let Some(files) = parts.next() {
            let request: Vec<(FileId, String)> = files
                .iter()
                .map(|(_, id, name)| (id.clone(), name.clone()))
                .collect();
            let (failed, e) = match self.api.rename_files(&request, Class::Upload).await {
                Ok(renamed) => {
                    parts.taken();
                    let mut left_out = Vec::new();
                    for file in files {
                        match renamed.iter().find(|r| r.id == file.1) {
                            Some(done) => {
                                self.tree.renamed(file.0, &done.name, Time::now())?;
                                self.refusals.forget([file.0]);
                            }
                            None => left_out.push(file),
                        }
                    }
                    (left_out, ApiError::left_out())
                }
                Err(e) if is_about_one(&e) => (parts.refused(files), e),
                Err(e) => (files, e),
            };
            let inos: Vec<Ino> = failed.iter().map(|(ino, ..)| *ino).collect();
            self.place_failed(&inos, &e).await?;
        }
        Ok(())
    }

    /// A move or rename failed. A refusal may mean that it was done already, by us before a
    /// crash or with an answer that was lost: the folder's listing tells, and where it is
    /// late, the next one. Where it was not, and a file is in the way that steps aside, it is
    /// asked for again. Only then the wish is given up and the truth shown: what its old
    /// folder does not show any more is gone. What the service does not know it is not asked
    /// about again before that was looked for.
    async fn place_failed(&self, inos: &[Ino], e: &ApiError) -> Result<(), UploadError> {
        self.answered(inos, e)?;
        if judge(e) == Failure::Passing {
            for &ino in inos {
                self.intent_failed(ino, e)?;
            }
            return Ok(());
        }
        // A listing that began earlier may be joined.
        let asked = Time::now().before(self.api.limits().folder_gap);
        let listed = self.list_wanted(inos).await?;
        let unknown = matches!(e, ApiError::NotFound(_));
        let found = unknown && self.vanish_where_missing(inos, Unknown::of(inos)).await?;
        for &ino in inos {
            let Some(node) = self.tree.node(ino)?.filter(|node| node.pending.place) else {
                continue;
            };
            if found {
                // That was meant; this one may go.
                self.tree.postpone(ino, Time::now(), &e.to_string())?;
                continue;
            }
            // What is gone, or may not be called so, needs no way round.
            let hopeless = unknown || matches!(e, ApiError::RefusedName(_));
            if !hopeless && self.take_detour(ino).await? {
                continue;
            }
            let attempts = self.attempts(ino)?;
            // Which one is not known is found out in smaller company.
            let company = if unknown { inos.len() / 2 } else { inos.len() };
            let times = self.refusals.add(ino, attempts, company);
            if unknown {
                self.unknown.add(ino, attempts, company);
            }
            let (tries, later) = match unknown {
                true => (UNKNOWN_TRIES, self.once_shown(attempts + 1)),
                false => (self.options.refusal_tries, self.later(attempts + 1)),
            };
            // The wish is given up only once a listing was seen that tells of this file: it may
            // lag behind what we did with it last, perhaps just this move before a crash.
            let told = node
                .place
                .as_ref()
                .is_some_and(|p| listed.contains(&p.parent))
                && !self.tree.is_ahead(ino, asked)?;
            if times <= tries || !told || (unknown && inos.len() > 1) {
                self.tree.postpone(ino, later, &e.to_string())?;
                continue;
            }
            if !unknown && self.vanish_where_missing(&[ino], Unknown::Perhaps).await? {
                continue;
            }
            if !self.give_name_back(ino).await? && times <= tries * 2 {
                // Else the file would be called so for good, since nobody knows of it then.
                self.tree.postpone(ino, later, &e.to_string())?;
                continue;
            }
            tracing::warn!(
                path = %self.path(ino),
                "not moved or renamed on the service, shown where it is: {e}"
            );
            self.refusals.forget([ino]);
            let restored = self.tree.restore_place(ino)?;
            if restored.changes.is_empty() && self.tree.node(ino)?.is_some_and(|n| n.pending.place)
            {
                // Not even the way back from a passing name is open: for the user to mend.
                self.tree.park(ino, &format!("{e}. {}", e.advice()))?;
            }
            self.tell(restored.changes);
            for folder in restored.look_again {
                self.refresher.look_again(folder);
            }
            if let Some(place) = node.place {
                self.refresher.again(place.parent);
            }
        }
        Ok(())
    }

    /// Lists the folders where these are wanted; returns those that were.
    async fn list_wanted(&self, inos: &[Ino]) -> Result<HashSet<Ino>, UploadError> {
        let mut folders = HashSet::new();
        for &ino in inos {
            folders.extend(self.tree.node(ino)?.and_then(|n| n.place).map(|p| p.parent));
        }
        let mut listed = HashSet::new();
        for folder in folders {
            if self.list_after_refusal(folder).await {
                listed.insert(folder);
            }
        }
        Ok(listed)
    }

    /// Of what was to be moved or renamed and was not, that is gone which the folder where it
    /// was does not show. Returns whether anything is.
    async fn vanish_where_missing(
        &self,
        inos: &[Ino],
        unknown: Unknown,
    ) -> Result<bool, UploadError> {
        let mut found = false;
        for (folder, nodes) in self.where_they_were(inos)? {
            let seen = self.vanish_unless_shown(folder, nodes, unknown).await?;
            found |= matches!(seen, Seen::Gone);
        }
        Ok(found)
    }

    /// What of these is still to be moved or renamed, by the folder where the service had it.
    fn where_they_were(&self, inos: &[Ino]) -> Result<HashMap<FolderId, Vec<Node>>, UploadError> {
        let mut folders: HashMap<FolderId, Vec<Node>> = HashMap::new();
        for &ino in inos {
            if let Some(node) = self.tree.node(ino)?.filter(|node| node.pending.place)
                && let Some(there) = node.remote.place()
            {
                folders.entry(there.folder).or_default().push(node);
            }
        }
        Ok(folders)
    }

    /// The service may not know these, which were in `folder`: gone is what that does not show
    /// any more. The tree does not hear of the
    /// listing, which may show what was sent there and is not known to be ours yet.
    async fn vanish_unless_shown(
        &self,
        folder: FolderId,
        nodes: Vec<Node>,
        unknown: Unknown,
    ) -> Result<Seen, UploadError> {
        let asked = Time::now();
        let listing = match self.refresher.look_into(folder, Class::Upload).await {
            Ok(listing) => listing,
            Err(e) => {
                tracing::debug!(%folder, "not listed after a refusal: {e}");
                return Ok(match judge(&e) {
                    Failure::Passing => Seen::Later(e.to_string()),
                    Failure::Permanent => Seen::NotGone,
                });
            }
        };
        // Where not all of it came, what was said of the node alone decides.
        let lacks = |kind| match kind {
            Kind::Folder => listing.lacks_folders,
            Kind::File | Kind::Symlink => listing.lacks_files,
        };
        let told = |kind| unknown == Unknown::Surely || !(listing.truncated || lacks(kind));
        let mut seen = Seen::NotGone;
        for node in nodes {
            let shown = match &node.remote {
                Remote::File(file) => listing.files.iter().any(|f| f.id == file.id),
                Remote::Folder(folder) => listing.folders.iter().any(|f| f.id == folder.id),
                Remote::None => continue,
            };
            if !shown && told(node.kind) && !self.tree.is_ahead(node.ino, asked)? {
                // That folder alone does not tell where the one that it was to go to may hide it.
                if unknown == Unknown::Perhaps
                    && let Some((id, to)) = self.may_be_hidden(&node)?
                {
                    match self.told_by_itself(id, to).await {
                        Ok(Some(there)) => {
                            self.tree.found_at(node.ino, there, Time::now())?;
                            seen = Seen::Gone;
                            continue;
                        }
                        Err(ApiError::NotFound(_)) => {}
                        Ok(None) | Err(_) => continue,
                    }
                }
                tracing::info!(path = %self.path(node.ino), "gone from the service");
                self.tell(self.tree.vanished(node.ino)?);
                seen = Seen::Gone;
            }
        }
        Ok(seen)
    }

    /// Has a file step aside for the place that `ino` was refused, if there is one.
    async fn take_detour(&self, ino: Ino) -> Result<bool, UploadError> {
        let Some(detour) = self.tree.detour(ino)? else {
            return Ok(false);
        };
        if !self.step(&detour).await? {
            return Ok(false);
        }
        let now = Time::now();
        match &detour.who {
            Who::Leaving(removal) => self.tree.stepped_aside(removal, &detour.name)?,
            Who::Itself(ino) => self.tree.renamed(*ino, &detour.name, now)?,
        }
        self.tree.postpone(ino, now, "the name was taken")?;
        Ok(true)
    }

    /// The file that stepped aside for `ino` gets its name again: it stays. Whether it has it.
    async fn give_name_back(&self, ino: Ino) -> Result<bool, UploadError> {
        let Some(back) = self.tree.aside_for(ino)? else {
            return Ok(true);
        };
        let given = self.step(&back).await?;
        if let (true, Who::Leaving(removal)) = (given, &back.who) {
            self.tree.stepped_aside(removal, &back.name)?;
        }
        Ok(given)
    }

    async fn step(&self, detour: &Detour) -> Result<bool, UploadError> {
        if let Who::Itself(ino) = detour.who {
            let put = Put::Named(detour.name.clone());
            self.tree.asks(&[(ino, put)], Time::now())?;
        }
        let request = [(detour.id.clone(), detour.name.clone())];
        match self.api.rename_files(&request, Class::Upload).await {
            Ok(renamed) => Ok(!renamed.is_empty()),
            Err(e) => {
                if let Who::Itself(ino) = detour.who {
                    self.answered(&[ino], &e)?;
                }
                tracing::debug!("a file that was to step aside did not: {e}");
                Ok(false)
            }
        }
    }

    /// An intent failed: tried again later, or parked for the user.
    pub(super) fn intent_failed(&self, ino: Ino, e: &ApiError) -> Result<(), UploadError> {
        self.failed_in(1, ino, e)
    }

    /// The same for one of `company` that may be together again.
    pub(super) fn failed_in(
        &self,
        company: usize,
        ino: Ino,
        e: &ApiError,
    ) -> Result<(), UploadError> {
        let text = format!("{e}. {}", e.advice());
        let attempts = self.attempts(ino)?;
        let tries = match e {
            // Words that nobody knows: it may be trouble that passes.
            ApiError::Refused(_) => self.options.unclear_tries,
            _ => self.options.permanent_tries,
        };
        if judge(e) == Failure::Permanent && self.refusals.add(ino, attempts, company) > tries {
            tracing::error!(path = %self.path(ino), "failed for good: {text}");
            return Ok(self.tree.park(ino, &text)?);
        }
        tracing::info!(path = %self.path(ino), "will be tried again: {e}");
        let later = self.later(attempts + 1);
        self.troubled(ino, later, e);
        Ok(self.tree.postpone(ino, later, &text)?)
    }

    pub(super) fn tell(&self, changes: Vec<Change>) {
        for change in changes {
            // The receiver goes first when the mount ends; nobody caches then.
            let _ = self.changes.send(change);
        }
    }
}
