//! `queue cancel`: first what would be lost, then, if that is wanted, the deed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::answers::Handle;
use super::{GLANCE, Shared};
use crate::api::Class;
use crate::control::Refusal;
use crate::control::protocol::{Becomes, Cancelled, Loss, SCHEMA};
use crate::ids::Ino;
use crate::tree::journal::Queued;
use crate::tree::{Remote, TreeError};
use crate::vfs::ErrorKind;

/// How long an upload that is broken off may take to end.
const END: Duration = Duration::from_secs(10);

impl Handle {
    /// Gives up what is queued of `queued`. Nothing is done where bytes would be lost,
    /// unless `force` says that they may be.
    pub(super) async fn cancel_all(
        &self,
        queued: Vec<Queued>,
        force: bool,
    ) -> Result<Cancelled, Refusal> {
        let mut losses = Vec::new();
        for queued in &queued {
            losses.extend(self.loss(queued).map_err(Refusal::failed)?);
        }
        if !force && !losses.is_empty() {
            return Ok(Cancelled {
                schema: SCHEMA,
                count: 0,
                losses,
                left: Vec::new(),
            });
        }
        let shared = &self.shared;
        let mut inos: Vec<(usize, Ino)> = Vec::new();
        for queued in &queued {
            let path = shared.parts.below.tree.path(queued.ino);
            let depth = path
                .map_err(Refusal::failed)?
                .map_or(0, |p| p.iter().count());
            inos.push((depth, queued.ino));
            shared.parts.abandon(queued.ino, true);
        }
        let outcome = self.cancel_quiet(&mut inos, losses).await;
        for queued in &queued {
            shared.parts.abandon(queued.ino, false);
        }
        shared.parts.wake_uploads();
        outcome
    }

    /// Gives up what is queued of these, once nothing of them is being sent.
    async fn cancel_quiet(
        &self,
        inos: &mut [(usize, Ino)],
        losses: Vec<Loss>,
    ) -> Result<Cancelled, Refusal> {
        let shared = &self.shared;
        let until = Instant::now() + END;
        while self.is_sending(inos).map_err(Refusal::failed)? && Instant::now() < until {
            tokio::time::sleep(GLANCE).await;
        }
        // What is in a folder goes before it.
        inos.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
        let mut count = 0;
        let mut left: Vec<PathBuf> = Vec::new();
        for (_, ino) in inos.iter() {
            let path = self.shown(*ino).map_err(Refusal::failed)?;
            if self.is_sending(&[(0, *ino)]).map_err(Refusal::failed)? {
                left.push(path);
                continue;
            }
            match shared.parts.vfs.cancel(*ino) {
                Ok(done) => {
                    count += 1;
                    shared.parts.tell(done.changes);
                    for folder in done.look_again {
                        look_again(shared, folder);
                    }
                }
                // Done meanwhile: there is nothing to give up.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::info!(path = %path.display(), %error, "not cancelled");
                    left.push(path);
                }
            }
        }
        Ok(Cancelled {
            schema: SCHEMA,
            count,
            losses,
            left,
        })
    }

    fn is_sending(&self, inos: &[(usize, Ino)]) -> Result<bool, TreeError> {
        let tree = &self.shared.parts.below.tree;
        for (_, ino) in inos {
            if tree.is_underway(*ino)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The bytes that go with what is queued of a file.
    fn loss(&self, queued: &Queued) -> Result<Option<Loss>, TreeError> {
        let tree = &self.shared.parts.below.tree;
        let Some(node) = tree.node(queued.ino)?.filter(|node| node.pending.content) else {
            return Ok(None);
        };
        Ok(Some(Loss {
            path: self.shown(queued.ino)?,
            bytes: node.size,
            becomes: match node.remote {
                Remote::None => Becomes::Nothing,
                Remote::File(_) | Remote::Folder(_) => Becomes::Older,
            },
        }))
    }
}

/// Something shows again in a folder: the mount learns it from the next listing.
fn look_again(shared: &Shared, folder: crate::ids::FolderId) {
    let below = &shared.parts.below;
    let Ok(Some(node)) = below.tree.by_folder_id(folder) else {
        return; // It went meanwhile.
    };
    let refresher = below.refresher.clone();
    let deadline = Instant::now() + below.api.limits().folder_gap * 4;
    tokio::spawn(async move {
        if let Err(error) = refresher.refresh(node.ino, Class::Refresh, deadline).await {
            tracing::debug!(%error, "a folder is not listed again yet");
        }
    });
}
