//! What became of an upload: asked of the upload node, then looked for in the
//! folder ([`super::look`]), and only then sent again.
//!
//! An upload is settled in the same way right after it was sent, after a broken
//! connection and after a crash: from its journaled row alone. The service keeps
//! the result of an upload for two hours (API notes 3.4). What it tells is ours, and goes
//! from there if it is not what was sent.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::task::block_in_place;
use whirlpool::Digest;

use super::failure::{Failure, judge};
use super::look::{ASKED_ABOUT, NotShown};
use super::{Context, UploadError};
use crate::api::{Class, UploadOutcome, UploadTicket, UploadedFile};
use crate::content;
use crate::ids::{Time, Whirlpool};
use crate::staging::{self, Version};
use crate::tree::journal::{self, Underway, Way};
use crate::tree::{RemoteFile, RemotePlace};

/// How long the service keeps the result of an upload.
const RESULT_KEPT: Duration = Duration::from_secs(2 * 3600);

/// How often a file may be taken as anybody's: each time leaves a copy that everybody can read.
const STRAYS: u32 = 2;

/// Why an upload left nothing of use.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum InVain {
    #[error("it did not arrive")]
    NotThere,
    #[error("it arrived damaged")]
    Damaged,
    #[error("the service took it as anybody's: the account did not get it")]
    Strayed,
}

impl Context {
    /// Settles the files of one upload request.
    pub(super) async fn settle(&self, group: &[Underway]) -> Result<(), UploadError> {
        let Some(first) = group.first() else {
            return Ok(());
        };
        let ticket = match &first.way {
            Way::Upload { node, xid } => UploadTicket {
                host: node.clone(),
                xid: xid.clone(),
            },
            // Nobody keeps the answer for us.
            Way::Copy { .. } => return self.settle_copies(group).await,
        };
        match self.api.upload_result(&ticket).await {
            Ok(UploadOutcome::Links(files)) if !files.is_empty() => self.take(group, files).await,
            Ok(UploadOutcome::Links(_) | UploadOutcome::Untold) => {
                self.look_for(group, NotShown::SentAgain).await
            }
            Ok(UploadOutcome::Strayed) => {
                tracing::warn!(
                    files = group.len(),
                    "taken as if it were anybody's: it is looked for in the account, and nothing is sent until the service takes the key"
                );
                self.doubt.arise(Time::now());
                self.look_for(group, NotShown::Strayed).await
            }
            Ok(UploadOutcome::Pending) => {
                self.ask_later(group, "the service is still checking the upload")
                    .await
            }
            Err(e) if judge(&e) == Failure::Passing => {
                self.ask_later(group, &e.to_string()).await?;
                for upload in group {
                    if let Some(queued) = self.tree.queued(upload.ino)? {
                        self.troubled(upload.ino, queued.not_before, &e);
                    }
                }
                Ok(())
            }
            Err(e) => {
                tracing::debug!("the result of an upload is not told: {e}");
                self.look_for(group, NotShown::SentAgain).await
            }
        }
    }

    /// The node is asked again, for as long as it may know. What arrived shows in its folder
    /// meanwhile, once listings have caught up.
    async fn ask_later(&self, group: &[Underway], why: &str) -> Result<(), UploadError> {
        let now = Time::now();
        let older = |age: Duration| group.iter().all(|u| now.since(u.started) > age);
        if older(self.scaled(RESULT_KEPT)) {
            return self.look_for(group, NotShown::SentAgain).await;
        }
        if older(self.api.limits().listing_lag) {
            return self.look_for(group, NotShown::AskedAgain(why)).await;
        }
        for upload in group {
            self.tree
                .postpone(upload.ino, self.later(upload.attempts + 1), why)?;
        }
        Ok(())
    }

    /// The node told what it stored: each file is found by its name, or, where
    /// the service changed that, by its content.
    async fn take(
        &self,
        group: &[Underway],
        mut files: Vec<UploadedFile>,
    ) -> Result<(), UploadError> {
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for upload in group {
            let by_name = |f: &UploadedFile| f.name == upload.at.name && f.size == upload.size;
            let by_content = |f: &UploadedFile| {
                f.size == upload.size && f.checksum.is_some() && f.checksum == upload.whirlpool
            };
            let at = files
                .iter()
                .position(by_name)
                .or_else(|| files.iter().position(by_content))
                .or_else(|| files.iter().position(|f| f.name == upload.at.name));
            match at {
                Some(at) => found.push((upload.clone(), files.swap_remove(at))),
                None => missing.push(upload.clone()),
            }
        }
        let untold = |(_, file): &(Underway, UploadedFile)| file.checksum.is_none();
        if found.iter().filter(|found| untold(found)).count() > ASKED_ABOUT {
            let (unsure, told): (Vec<_>, Vec<_>) = found.into_iter().partition(untold);
            missing.extend(unsure.into_iter().map(|(upload, _)| upload));
            found = told;
        }
        self.confirm(found).await?;
        if missing.is_empty() {
            Ok(())
        } else {
            self.look_for(&missing, NotShown::SentAgain).await
        }
    }

    /// An upload left nothing of use. It is sent again some times; content that never
    /// arrives (a name that the service drops, say) is left to the user.
    pub(super) fn sent_in_vain(&self, upload: &Underway, vain: InVain) -> Result<(), UploadError> {
        let path = self.path(upload.ino);
        let times = self.tree.upload_in_vain(upload.ino)?;
        let (most, advice) = match vain {
            InVain::Strayed => (STRAYS, "Is the API key good? A new one may help."),
            _ => (self.options.refusal_tries, "Another name may help."),
        };
        if times >= most {
            tracing::error!(path, times, "given up: {vain}");
            let text = format!("{vain}, {times} times. {advice}");
            Ok(self.tree.park(upload.ino, &text)?)
        } else {
            tracing::warn!(path, times, "sent again: {vain}");
            let later = self.later(times);
            Ok(self.tree.postpone(upload.ino, later, &vain.to_string())?)
        }
    }

    /// Compares what the service told of with what was sent, and commits what is right.
    pub(super) async fn confirm(
        &self,
        arrived: Vec<(Underway, UploadedFile)>,
    ) -> Result<(), UploadError> {
        let now = Time::now();
        let mut right = Vec::new();
        for (upload, mut file) in arrived {
            if file.checksum.is_none() {
                match self.api.file_info(&file.id, Class::Upload).await {
                    Ok(info) => file.checksum = info.checksum,
                    // Nothing is let go of on the size alone.
                    Err(e) => {
                        if matches!(upload.way, Way::Copy { .. }) && judge(&e) == Failure::Permanent
                        {
                            self.wait_for_listing(vec![upload])?;
                        } else {
                            let later = self.later(upload.attempts + 1);
                            self.tree.postpone(upload.ino, later, &e.to_string())?;
                        }
                        continue;
                    }
                }
            }
            let sent = match self.sent(&upload).await {
                Ok(sent) => sent,
                // The others of the request are not to blame.
                Err(UploadError::Staging(e)) => {
                    let later = self.later(upload.attempts + 1);
                    self.tree.postpone(upload.ino, later, &e.to_string())?;
                    continue;
                }
                Err(e) => return Err(e),
            };
            let same_content = match (sent, file.checksum) {
                (Some(sent), Some(there)) => sent == there,
                _ => true,
            };
            let remote = RemoteFile {
                id: file.id,
                place: RemotePlace {
                    folder: upload.at.folder,
                    name: file.name,
                },
                size: file.size,
                whirlpool: file.checksum.or(sent),
                date: None,
            };
            if file.size == upload.size && same_content {
                right.push((upload, remote));
            } else {
                tracing::warn!(
                    path = %self.path(upload.ino),
                    "arrived with other content than was sent; removed there and sent again"
                );
                self.tree.upload_was_spoilt(upload.ino, remote, now)?;
                self.sent_in_vain(&upload, InVain::Damaged)?;
            }
        }
        self.arrived(right)
    }

    /// What was sent is there.
    pub(super) fn arrived(&self, right: Vec<(Underway, RemoteFile)>) -> Result<(), UploadError> {
        if right.is_empty() {
            return Ok(());
        }
        // The staged bytes are let go of: what replaces them must be on disk.
        block_in_place(|| self.commit(right, Time::now()))
    }

    fn commit(&self, right: Vec<(Underway, RemoteFile)>, now: Time) -> Result<(), UploadError> {
        let mut files = Vec::with_capacity(right.len());
        for (upload, remote) in right {
            let version = self.version(&upload)?;
            let confirming = match version {
                Some(version) => Some(version.confirmed(content::RemoteFile {
                    id: remote.id.clone(),
                    size: remote.size,
                    whirlpool: remote.whirlpool,
                })?),
                None => None,
            };
            files.push((upload, remote, confirming));
        }
        for (upload, remote, _) in &files {
            // The version before it goes.
            let old = self.tree.node(upload.ino)?;
            let old = old.as_ref().and_then(|node| node.remote_file());
            if let Some(old) = old.filter(|old| old.id != remote.id) {
                self.staging.shrinks(old.size);
            }
        }
        self.store.write_durable(|tx| {
            for (upload, remote, confirming) in &mut files {
                if let Some(confirming) = confirming {
                    confirming.store(tx)?;
                }
                // What is still stored was closed after the version that was sent.
                let newer = staging::stored_version(tx, upload.ino)?.is_some();
                journal::content_confirmed(tx, upload.ino, remote.clone(), newer, now)?;
            }
            Ok::<_, UploadError>(())
        })?;
        let mut folders = HashSet::new();
        for (upload, _, confirming) in files {
            if let Some(confirming) = confirming {
                confirming.committed();
            }
            tracing::info!(path = %self.path(upload.ino), bytes = upload.size, "uploaded");
            folders.insert(upload.at.folder);
        }
        for folder in folders {
            // One that was not seen for long may be gone; what is sent to it is in the root then.
            if let Some(folder) = self.tree.by_folder_id(folder)? {
                self.refresher.touch(&folder);
            }
        }
        Ok(())
    }

    /// The version that was sent, if it still exists; no longer held for us.
    fn version(&self, upload: &Underway) -> Result<Option<Version>, UploadError> {
        let same = |version: &Version| version.number() == upload.version;
        if let Some(version) = self.sent.lock().remove(&upload.ino).filter(same) {
            return Ok(Some(version));
        }
        let file = self.staging.file(upload.ino, None)?;
        Ok(file.snapshot().filter(same))
    }

    /// The checksum of what was sent, as far as it is known.
    pub(super) async fn sent(&self, upload: &Underway) -> Result<Option<Whirlpool>, UploadError> {
        match (upload.whirlpool, &upload.way) {
            (Some(whirlpool), _) => Ok(Some(whirlpool)),
            // The service never told it of the source, and the bytes are not here.
            (None, Way::Copy { .. }) => Ok(None),
            // Sent by a process that died, and the machine with it, before that was noted.
            (None, Way::Upload { .. }) => self.digest(upload).await,
        }
    }

    /// The checksum of what was sent, if that still exists.
    async fn digest(&self, upload: &Underway) -> Result<Option<Whirlpool>, UploadError> {
        let mut digest = whirlpool::Whirlpool::new();
        if let Some(target) = self.tree.node(upload.ino)?.and_then(|node| node.target) {
            digest.update(target.as_bytes());
            return Ok(Some(Whirlpool(digest.finalize().into())));
        }
        let Some(version) = self.version(upload)? else {
            return Ok(None);
        };
        let mut bytes = std::pin::pin!(version.read_stream());
        while let Some(chunk) = bytes.try_next().await? {
            digest.update(&chunk);
        }
        Ok(Some(Whirlpool(digest.finalize().into())))
    }
}
