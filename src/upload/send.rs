//! One upload request: the last closed versions of some files of one folder.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use whirlpool::Digest;

use super::plan::Sending;
use super::transfers::Meter;
use super::{Context, UploadError};
use crate::api::limits::FILE_SIZE;
use crate::api::{Class, Fate, PartStream, UploadForm, UploadPart};
use crate::ids::{Ino, Time, Whirlpool};
use crate::staging::Version;
use crate::tree::journal::Underway;

/// A file of a request: what is sent of it.
struct Part {
    sending: Sending,
    content: Content,
    digest: Arc<Mutex<whirlpool::Whirlpool>>,
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
    fn stream(&self, meter: Meter) -> PartStream {
        let digest = self.digest.clone();
        let bytes: PartStream = match &self.content {
            Content::Version(version) => version
                .clone()
                .read_stream()
                .map_err(|e| io::Error::other(e.to_string()))
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
        let mut parts = Vec::with_capacity(sends.len());
        for sending in sends {
            parts.extend(self.part(sending)?);
        }
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
        self.tree.uploads_begin(&underway)?;

        let form = UploadForm {
            folder,
            parts: parts
                .iter()
                .map(|part| UploadPart {
                    name: part.sending.at.name.clone(),
                    len: part.content.size(),
                    body: part.stream(self.transfers.begin(part.sending.ino, part.content.size())),
                })
                .collect(),
        };
        let ticket = match self.api.upload(&node, form).await {
            Ok(ticket) => ticket,
            Err(failure) if failure.fate == Fate::NotStored => {
                for &ino in &inos {
                    self.tree.upload_failed(ino)?;
                }
                return self.all_failed(&inos, &failure.error);
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
        }))
    }

    fn all_failed(&self, inos: &[Ino], e: &crate::api::ApiError) -> Result<(), UploadError> {
        for &ino in inos {
            self.intent_failed(ino, e)?;
        }
        Ok(())
    }
}
