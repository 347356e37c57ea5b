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
//! the service is asked what it has first, as after an upload.

use std::collections::HashMap;

use tokio::task::block_in_place;

use super::failure::{Failure, judge};
use super::plan::{CopyOf, Named, Source};
use super::{Context, UploadError};
use crate::api::{ApiError, Class, UploadedFile};
use crate::ids::{FileId, FolderId, Ino, Time};
use crate::staging::Version;
use crate::tree::RemotePlace;
use crate::tree::journal::{Copying, Task, Underway, Way};

impl Context {
    /// Of what is to be sent, that which is a copy.
    pub(super) fn sources(&self, tasks: &[Task]) -> Result<HashMap<Ino, Source>, UploadError> {
        let sends = tasks.iter().filter_map(|task| match task {
            Task::Send { ino, copying, .. } if *copying != Copying::Never => Some(*ino),
            _ => None,
        });
        let mut sources = HashMap::new();
        for (ino, file) in self.staging.copies(sends)? {
            if !file.id.has_link() {
                continue; // By its link alone the service copies a file.
            }
            let known = self.tree.by_file_id(&file.id)?;
            let name = known
                .as_ref()
                .and_then(|node| node.remote_file())
                .map(|file| file.place.name.clone());
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
                for (copy, of) in underway.into_iter().zip(ids) {
                    let told = copied.iter().find(|told| told.from == of);
                    let now = Time::now();
                    // One that we know already is no copy.
                    match told {
                        Some(told) if self.tree.may_be_new(&told.to, now)? => {
                            let file = self.arrived(&copy, &of, &told.to)?;
                            made.push((copy, file));
                        }
                        _ => untold.push(copy),
                    }
                }
                self.confirm(made).await?;
                self.wait_for_listing(untold).await
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

    /// What is known of a copy: its id as told, and the rest by its source.
    fn arrived(
        &self,
        copy: &Underway,
        of: &FileId,
        id: &FileId,
    ) -> Result<UploadedFile, UploadError> {
        let asked_first = self.tree.frees(copy.ino, of)?;
        Ok(UploadedFile {
            id: id.clone(),
            name: copy.at.name.clone(),
            size: copy.size,
            // Without it the service is asked.
            checksum: copy.whirlpool.filter(|_| !asked_first),
        })
    }

    /// A call for copies failed. Only where the service said no is it known that there
    /// are none.
    async fn not_copied(&self, copies: &[Underway], e: &ApiError) -> Result<(), UploadError> {
        let may_be_done = matches!(
            e,
            ApiError::Transient(_) | ApiError::Unparsable(_) | ApiError::Maintenance(_)
        );
        match (judge(e), copies) {
            (Failure::Passing, _) if !may_be_done => {
                for copy in copies {
                    self.tree.upload_failed(copy.ino)?;
                    self.intent_failed(copy.ino, e)?;
                }
                Ok(())
            }
            (Failure::Permanent, [copy]) => {
                tracing::info!(path = %self.path(copy.ino), "not copied there, so it is sent: {e}");
                Ok(self.tree.copy_refused(copy.ino)?)
            }
            // Of several some may have been copied.
            _ => {
                tracing::info!("copies of unknown result: {e}");
                self.wait_for_listing(copies.to_vec()).await
            }
        }
    }

    /// Copies that may have been made a moment ago: a listing tells, once it can show them.
    async fn wait_for_listing(&self, mut copies: Vec<Underway>) -> Result<(), UploadError> {
        let now = Time::now();
        let inos: Vec<Ino> = copies.iter().map(|copy| copy.ino).collect();
        self.tree.copies_may_be_made(Some(&inos), now)?;
        for copy in &mut copies {
            copy.started = now;
        }
        self.look_for(&copies).await
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
        },
        started: Time::now(),
        not_before: Time(0),
        attempts: 0,
    }
}
