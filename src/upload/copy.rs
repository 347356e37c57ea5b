//! Copies that the service makes itself: a version that is a whole, unchanged copy of a
//! file of the service is not sent.
//!
//! To the journal a copy is an upload whose bytes need no sending. Its row is stored before
//! the call; a lost answer, or a crash, leaves it, and then the folder's listing tells, once it
//! can have caught up, whether the copy is there ([`Context::settle`]). Until that is known it
//! is neither asked for again nor sent. The source cannot be removed by us meanwhile: the
//! stored version pins it.
//!
//! The answer tells the new id, and bytes never change under the source's, so size and
//! checksum are known. But where something is about to be removed on the strength of the copy,
//! the service is asked what it has first, as after an upload: the id is journaled, and the
//! copy settled as one of unknown result is, so that other changes need not wait.

use std::collections::HashMap;

use tokio::task::block_in_place;

use super::failure::{Failure, judge};
use super::look::{ASKED_ABOUT, NotShown};
use super::plan::{CopyOf, Named, Source};
use super::{Context, UploadError};
use crate::api::{ApiError, Class, UploadedFile};
use crate::ids::{FileId, FolderId, Ino, Time, Whirlpool};
use crate::staging::Version;
use crate::tree::journal::{Copying, Task, Underway, Way};
use crate::tree::{Access, ROOT, RemotePlace};

impl Context {
    /// Of what is to be sent, that which is a copy.
    pub(super) fn sources(&self, tasks: &[Task]) -> Result<HashMap<Ino, Source>, UploadError> {
        let sends = tasks.iter().filter_map(|task| match task {
            Task::Send { ino, copying, .. } if *copying != Copying::Never => Some(*ino),
            _ => None,
        });
        let mut sources = HashMap::new();
        for (ino, file) in self.staging.copies(sends)? {
            let node = self.tree.node(ino)?;
            let is_own = node.is_some_and(|node| node.access == Access::Own);
            if !file.id.has_link() || !is_own {
                continue; // By links alone the service copies, and surely to own folders only.
            }
            let name = self.tree.name_there(&file.id)?;
            sources.insert(ino, Source { file, name });
        }
        Ok(sources)
    }

    /// Has files copied into one folder.
    pub(super) async fn copy(
        &self,
        to: FolderId,
        files: Vec<CopyOf>,
        named: Named,
    ) -> Result<(), UploadError> {
        let mut copies = Vec::with_capacity(files.len());
        for file in files {
            copies.extend(self.still_a_copy(&file)?.map(|version| (file, version)));
        }
        let underway: Vec<Underway> = copies
            .iter()
            .map(|(copy, version)| begun(copy, version, to))
            .collect();
        // Waits for the disk.
        let begun = block_in_place(|| self.tree.uploads_begin(&underway))?;
        let underway: Vec<Underway> = underway
            .into_iter()
            .filter(|copy| begun.contains(&copy.ino))
            .collect();
        let ids: Vec<FileId> = copies
            .iter()
            .filter(|(copy, _)| begun.contains(&copy.ino))
            .map(|(copy, _)| copy.file.id.clone())
            .collect();
        let Some(first) = underway.first() else {
            return Ok(());
        };
        let name = (named == Named::Anew).then(|| first.at.name.clone());
        let _held = self.hold(copies.into_iter().map(|(_, version)| version));
        let copied = self
            .api
            .copy_files(&ids, to, name.as_deref(), Class::Upload)
            .await;
        match copied {
            Ok(copied) => {
                let mut made = Vec::new();
                let mut untold = Vec::new();
                // One time for all: they are settled together.
                let now = Time::now();
                for (copy, of) in underway.into_iter().zip(ids) {
                    let told = copied.iter().find(|told| told.from == of);
                    // One that we know already is no copy.
                    match told {
                        Some(told) if self.tree.may_be_new(&told.to, now)? => {
                            let asked_first = self.tree.frees(copy.ino, &of)?;
                            match copy.whirlpool {
                                Some(_) if !asked_first => {
                                    let file = made_there(&copy, &told.to, copy.whirlpool);
                                    made.push((copy, file));
                                }
                                _ => self.tree.copy_was_told(copy.ino, &told.to, now)?,
                            }
                        }
                        _ => untold.push(copy),
                    }
                }
                self.confirm(made).await?;
                self.wait_for_listing(untold)
            }
            Err(e) => self.not_copied(&underway, &e).await,
        }
    }

    /// The version that is to be copied, unless another was closed meanwhile.
    fn still_a_copy(&self, copy: &CopyOf) -> Result<Option<Version>, UploadError> {
        let version = self.staging.file(copy.ino, None)?.snapshot();
        Ok(version.filter(|version| {
            let source = version.map().copy_of();
            source.is_some_and(|source| source.id == copy.file.id)
        }))
    }

    /// Settles copies in one folder: those whose ids the service told are asked about, the others
    /// looked for.
    pub(super) async fn settle_copies(&self, group: &[Underway]) -> Result<(), UploadError> {
        let (told, mut others): (Vec<_>, Vec<_>) = group
            .iter()
            .cloned()
            .partition(|copy| copy.way.told().is_some());
        if told.len() > ASKED_ABOUT {
            others.extend(told);
        } else {
            let told = told.into_iter().filter_map(|copy| {
                let file = made_there(&copy, copy.way.told()?, None);
                Some((copy, file))
            });
            self.confirm(told.collect()).await?;
        }
        self.look_for(&others, NotShown::SentAgain).await
    }

    /// A call for copies failed. Only where the service said no is it known that there
    /// are none.
    async fn not_copied(&self, copies: &[Underway], e: &ApiError) -> Result<(), UploadError> {
        match (judge(e), copies) {
            (Failure::Passing, _) if !e.may_be_done() => {
                for copy in copies {
                    self.tree.upload_failed(copy.ino)?;
                    self.intent_failed(copy.ino, e)?;
                }
                Ok(())
            }
            (Failure::Permanent, [copy]) => {
                if let (ApiError::NotFound(_), Way::Copy { of, .. }) = (e, &copy.way)
                    && self.is_there(copy.at.folder).await?
                {
                    self.content.is_not_there(of, e);
                }
                tracing::info!(path = %self.path(copy.ino), "not copied there, so it is sent: {e}");
                Ok(self.tree.copy_refused(copy.ino)?)
            }
            // Of several some may have been copied.
            _ => {
                tracing::info!("copies of unknown result: {e}");
                self.wait_for_listing(copies.to_vec())
            }
        }
    }

    /// Whether a folder is known to be there: a listing does not count against us as a call
    /// that fails does.
    async fn is_there(&self, folder: FolderId) -> Result<bool, UploadError> {
        match self.tree.by_folder_id(folder)? {
            Some(node) => Ok(node.ino == ROOT || self.list_after_refusal(node.ino).await),
            None => Ok(false),
        }
    }

    /// Copies that may have been made a moment ago: a listing tells, once it can show them.
    pub(super) fn wait_for_listing(&self, mut copies: Vec<Underway>) -> Result<(), UploadError> {
        let now = Time::now();
        let inos: Vec<Ino> = copies.iter().map(|copy| copy.ino).collect();
        self.tree.copies_may_be_made(Some(&inos), now)?;
        for copy in &mut copies {
            copy.started = now;
        }
        self.wait_for_lag(&copies)
    }
}

/// What is known of a copy: its id as told, and the rest by its source. Without the checksum the
/// service is asked.
fn made_there(copy: &Underway, id: &FileId, checksum: Option<Whirlpool>) -> UploadedFile {
    UploadedFile {
        id: id.clone(),
        name: copy.at.name.clone(),
        size: copy.size,
        checksum,
    }
}

fn begun(copy: &CopyOf, version: &Version, to: FolderId) -> Underway {
    Underway {
        ino: copy.ino,
        version: version.number(),
        at: RemotePlace {
            folder: to,
            name: copy.name.clone(),
        },
        size: version.size(),
        whirlpool: copy.file.whirlpool,
        way: Way::Copy {
            of: copy.file.id.clone(),
            told: None,
        },
        started: Time::now(),
        not_before: Time(0),
        attempts: 0,
    }
}
