//! One upload request: the last closed versions of some files of one folder.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::task::block_in_place;
use whirlpool::Digest;

use super::plan::Sending;
use super::transfers::Meter;
use super::{Context, UploadError};
use crate::api::limits::FILE_SIZE;
use crate::api::{Class, Fate, PartStream, UploadForm, UploadPart};
use crate::ids::{Ino, Time, Whirlpool};
use crate::staging::{StagingError, Version};
use crate::tree::journal::Underway;

/// A file of a request: what is sent of it.
struct Part {
    sending: Sending,
    content: Content,
    digest: Arc<Mutex<whirlpool::Whirlpool>>,
    /// Why its bytes were not given, if so.
    withheld: Arc<Mutex<Option<Withheld>>>,
}

/// Why a request was broken off on our side.
enum Withheld {
    /// The bytes cannot be read.
    Unreadable(String),
    /// Nobody wants the file any more.
    Unwanted,
}

/// Where a part's bytes come from.
enum Content {
    Version(Version),
    Link(Bytes),
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Content::Version(version) => version.size(),
            Content::Link(target) => target.len() as u64,
        }
    }

    /// Links have one version only.
    fn version(&self) -> u64 {
        match self {
            Content::Version(version) => version.number(),
            Content::Link(_) => 0,
        }
    }
}

impl Part {
    /// The bytes, hashed and counted as they are taken.
    fn stream(&self, meter: Meter, stop: impl Fn() -> bool + Send + 'static) -> PartStream {
        let digest = self.digest.clone();
        let withheld = self.withheld.clone();
        let bytes: PartStream = match &self.content {
            Content::Version(version) => version
                .clone()
                .read_stream()
                .map(move |read| {
                    let why = match read {
                        Ok(_) if stop() => Withheld::Unwanted,
                        Ok(bytes) => return Ok(bytes),
                        Err(e) => Withheld::Unreadable(e.to_string()),
                    };
                    *withheld.lock() = Some(why);
                    Err(io::Error::other("broken off"))
                })
                .boxed(),
            Content::Link(target) => stream::iter([Ok(target.clone())]).boxed(),
        };
        bytes
            .inspect_ok(move |chunk| {
                digest.lock().update(chunk);
                meter.add(chunk.len());
            })
            .boxed()
    }

    /// Brings the bytes to the disk. Blocks.
    fn sync(&self) -> Result<(), StagingError> {
        match &self.content {
            Content::Version(version) => version.sync(),
            Content::Link(_) => Ok(()),
        }
    }

    fn whirlpool(&self) -> Whirlpool {
        Whirlpool(self.digest.lock().clone().finalize().into())
    }
}

/// Versions under way; they are let go with this.
struct Held<'a> {
    context: &'a Context,
    inos: Vec<Ino>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut sent = self.context.sent.lock();
        for ino in &self.inos {
            sent.remove(ino);
        }
    }
}

impl Context {
    /// Sends one request. Its result is journaled as unknown before the first
    /// byte leaves, and settled at the end.
    pub(super) async fn upload(&self, sends: Vec<Sending>) -> Result<(), UploadError> {
        let Some(folder) = sends.first().map(|s| s.at.folder) else {
            return Ok(());
        };
        let parts = block_in_place(|| self.parts(sends))?;
        if parts.is_empty() {
            return Ok(());
        }
        let inos: Vec<Ino> = parts.iter().map(|part| part.sending.ino).collect();

        let node = match self.api.upload_node(Class::Upload).await {
            Ok(node) => node,
            Err(e) => return self.all_failed(&inos, &e),
        };
        let _sent = self.hold(&parts);
        let mut underway: Vec<Underway> = parts
            .iter()
            .map(|part| Underway {
                ino: part.sending.ino,
                version: part.content.version(),
                at: part.sending.at.clone(),
                size: part.content.size(),
                whirlpool: None,
                node: node.host.clone(),
                xid: node.id.clone(),
                started: Time::now(),
                not_before: Time(0),
                attempts: 0,
            })
            .collect();
        // Waits for the disk.
        block_in_place(|| self.tree.uploads_begin(&underway))?;

        let alone = parts.len() == 1;
        let form = UploadForm {
            folder,
            parts: parts
                .iter()
                .map(|part| UploadPart {
                    name: part.sending.at.name.clone(),
                    len: part.content.size(),
                    body: part.stream(
                        self.transfers.begin(part.sending.ino, part.content.size()),
                        self.stop(part.sending.ino, alone),
                    ),
                })
                .collect(),
        };
        let ticket = match self.api.upload(&node, form).await {
            Ok(ticket) => ticket,
            Err(failure) if failure.fate == Fate::NotStored => {
                for &ino in &inos {
                    self.tree.upload_failed(ino)?;
                }
                return self.not_stored(&parts, &failure.error);
            }
            Err(failure) => {
                tracing::info!("an upload broke off, its result is unknown: {failure}");
                node.ticket()
            }
        };
        let sent: Vec<(Ino, Whirlpool)> = parts
            .iter()
            .map(|part| (part.sending.ino, part.whirlpool()))
            .collect();
        // Held by nobody else, the staged bytes of a confirmed version become cache.
        drop(parts);
        self.tree
            .uploads_were_sent(&ticket.xid, &sent, Time::now())?;
        for (upload, (_, whirlpool)) in underway.iter_mut().zip(&sent) {
            upload.whirlpool = Some(*whirlpool);
            upload.xid.clone_from(&ticket.xid);
            upload.started = Time::now();
        }
        self.settle(&underway).await
    }

    /// Says when a file that is sent `alone` is not wanted any more. Where others travel
    /// with it, it is small, and they shall arrive.
    fn stop(&self, ino: Ino, alone: bool) -> impl Fn() -> bool + Send + 'static {
        let tree = self.tree.clone();
        let abandoned = self.abandoned.clone();
        move || {
            alone && (abandoned.lock().contains(&ino) || matches!(tree.is_wanted(ino), Ok(false)))
        }
    }

    /// Keeps the versions that are being sent for [`Context::settle`], until
    /// the result is dropped.
    fn hold(&self, parts: &[Part]) -> Held<'_> {
        let mut sent = self.sent.lock();
        let mut inos = Vec::new();
        for part in parts {
            if let Content::Version(version) = &part.content {
                sent.insert(part.sending.ino, version.clone());
                inos.push(part.sending.ino);
            }
        }
        Held {
            context: self,
            inos,
        }
    }

    /// What is to be sent, with its staged bytes on the disk: they must outlast a
    /// power cut as the journal does, or what arrives whole would be compared with
    /// what the cut left of them. What cannot be sent at all is left out. Blocks for
    /// the disk.
    fn parts(&self, sends: Vec<Sending>) -> Result<Vec<Part>, UploadError> {
        let mut parts = Vec::with_capacity(sends.len());
        for sending in sends {
            let ino = sending.ino;
            let synced = match self.part(sending) {
                Ok(Some(part)) => part.sync().map(|()| part),
                Ok(None) => continue,
                Err(UploadError::Staging(e)) => Err(e),
                Err(e) => return Err(e),
            };
            match synced {
                Ok(part) => parts.push(part),
                Err(e) => self.unreadable(ino, &e.to_string())?,
            }
        }
        Ok(parts)
    }

    /// What is to be sent of a node; `None` when there is nothing, or it cannot
    /// be sent at all.
    fn part(&self, sending: Sending) -> Result<Option<Part>, UploadError> {
        let content = match &sending.link {
            Some(target) => {
                use std::os::unix::ffi::OsStrExt;
                Content::Link(Bytes::copy_from_slice(target.as_bytes()))
            }
            None => {
                let file = self.staging.file(sending.ino, None)?;
                match file.snapshot() {
                    Some(version) => Content::Version(version),
                    None => {
                        tracing::error!(
                            path = %self.path(sending.ino),
                            "nothing is staged of a file that is to be sent"
                        );
                        self.tree
                            .park(sending.ino, "its staged content is missing")?;
                        return Ok(None);
                    }
                }
            }
        };
        if content.size() > FILE_SIZE {
            self.tree
                .park(sending.ino, "larger than the service takes (300 GB)")?;
            return Ok(None);
        }
        Ok(Some(Part {
            sending,
            content,
            digest: Arc::default(),
            withheld: Arc::default(),
        }))
    }

    /// The service has nothing of a request. Where that is the fault of files which
    /// cannot be read on our side, the others of the request are not to blame.
    fn not_stored(&self, parts: &[Part], e: &crate::api::ApiError) -> Result<(), UploadError> {
        let inos: Vec<Ino> = parts.iter().map(|part| part.sending.ino).collect();
        let mut ours = false;
        for part in parts {
            let withheld = part.withheld.lock().take();
            ours |= withheld.is_some();
            match withheld {
                Some(Withheld::Unreadable(why)) => self.unreadable(part.sending.ino, &why)?,
                Some(Withheld::Unwanted) => {
                    tracing::info!(ino = %part.sending.ino, "broken off: removed meanwhile");
                }
                None => {}
            }
        }
        if ours {
            return Ok(());
        }
        self.all_failed(&inos, e)
    }

    /// The content of a file cannot be read here: tried again some times, for it may
    /// be the network or the disk, and then left to the user.
    fn unreadable(&self, ino: Ino, why: &str) -> Result<(), UploadError> {
        let text = format!("its content cannot be read: {why}");
        let attempts = self.tree.queued(ino)?.map_or(0, |q| q.attempts);
        tracing::error!(path = %self.path(ino), attempts, "{text}");
        if attempts >= self.options.refusal_tries {
            Ok(self.tree.park(ino, &text)?)
        } else {
            Ok(self.tree.postpone(ino, self.later(attempts + 1), &text)?)
        }
    }

    fn all_failed(&self, inos: &[Ino], e: &crate::api::ApiError) -> Result<(), UploadError> {
        for &ino in inos {
            self.intent_failed(ino, e)?;
        }
        Ok(())
    }
}
