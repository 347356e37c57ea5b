//! `queue cancel`: first what would be lost, then, if that is wanted, the deed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::GLANCE;
use super::answers::Handle;
use crate::control::Refusal;
use crate::control::protocol::{Becomes, Cancelled, Loss, SCHEMA};
use crate::ids::Ino;
use crate::tree::journal::Queued;
use crate::tree::{FileState, Remote, TreeError};
use crate::vfs::ErrorKind;

/// How long an upload that is broken off may take to end.
const END: Duration = Duration::from_secs(10);

/// Something of which the queued change is to be given up.
struct Target {
    ino: Ino,
    /// Folders above it.
    depth: usize,
    /// The version that is listed as lost.
    agreed: Option<u64>,
}

impl Handle {
    /// Gives up what is queued of `queued`. Nothing is done where bytes would be lost,
    /// unless `force` says that they may be.
    pub(super) async fn cancel_all(
        &self,
        queued: Vec<Queued>,
        force: bool,
    ) -> Result<Cancelled, Refusal> {
        let shared = &self.shared;
        // Before the losses are told: what is closed in between is not agreed to.
        let mut targets = Vec::new();
        for queued in &queued {
            let path = shared.parts.below.tree.path(queued.ino);
            targets.push(Target {
                ino: queued.ino,
                depth: path
                    .map_err(Refusal::failed)?
                    .map_or(0, |p| p.iter().count()),
                agreed: shared
                    .parts
                    .vfs
                    .at_stake(queued.ino)
                    .map_err(Refusal::failed)?,
            });
        }
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
        // Until the end of this, however it ends: also when who asked goes away.
        let _abandoned = shared
            .parts
            .abandon(targets.iter().map(|target| target.ino).collect());
        self.cancel_quiet(targets, losses).await
    }

    /// Gives up what is queued of these, once nothing of them is being sent.
    async fn cancel_quiet(
        &self,
        mut targets: Vec<Target>,
        losses: Vec<Loss>,
    ) -> Result<Cancelled, Refusal> {
        let shared = &self.shared;
        let until = Instant::now() + END;
        while self.is_sending(&targets).map_err(Refusal::failed)? && Instant::now() < until {
            tokio::time::sleep(GLANCE).await;
        }
        // What is in a folder goes before it.
        targets.sort_by_key(|target| std::cmp::Reverse(target.depth));
        let mut count = 0;
        let mut left: Vec<PathBuf> = Vec::new();
        for target in &targets {
            let path = self.shown(target.ino).map_err(Refusal::failed)?;
            if self
                .is_sending(std::slice::from_ref(target))
                .map_err(Refusal::failed)?
            {
                left.push(path);
                continue;
            }
            match shared.parts.vfs.cancel(target.ino, target.agreed) {
                Ok(done) => {
                    count += 1;
                    shared.parts.tell(done.changes);
                    for folder in done.look_again {
                        shared.parts.below.refresher.look_again(folder);
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
        shared.relay.told().await;
        Ok(Cancelled {
            schema: SCHEMA,
            count,
            losses,
            left,
        })
    }

    fn is_sending(&self, targets: &[Target]) -> Result<bool, TreeError> {
        let tree = &self.shared.parts.below.tree;
        for target in targets {
            let state = tree.state(target.ino, false)?;
            if state.is_some_and(FileState::is_under_way) {
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
