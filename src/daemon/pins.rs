//! What the user wants at hand without the network: fetched, kept, and told.
//!
//! One task goes over all pins, again and again: it lists folders that are not known, tells the
//! content room what to keep, and fetches what is absent, one file after another. What
//! comes new into a pinned folder is found by the next round.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::answers::Handle;
use super::parts::Below;
use crate::content::RemoteFile;
use crate::control::{Refusal, RefusalKind, protocol};
use crate::ids::{FileId, Ino};
use crate::tree::{Kind, Node, TreeError};

/// How often pins are looked at without being told to.
const ROUND: Duration = Duration::from_secs(60);

/// How long a folder may take to be listed.
const LISTING: Duration = Duration::from_secs(120);

/// The keeper of pins. Cheap to clone.
#[derive(Clone, Default)]
pub struct Keeper {
    shared: Arc<KeeperState>,
}

#[derive(Default)]
struct KeeperState {
    bell: Notify,
    /// Why a pin is not complete, from its last round.
    trouble: Mutex<HashMap<Ino, String>>,
}

/// How far a pin is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Extent {
    /// Files that the service has, below the pin.
    files: u64,
    /// Their bytes.
    size: u64,
    /// Bytes that are at hand.
    cached: u64,
    /// Folders of which it is not known what is in them.
    unlisted: u64,
}

impl Keeper {
    /// Something was pinned or released: looks at once.
    pub fn ring(&self) {
        self.shared.bell.notify_one();
    }

    /// Why a pin is not complete, where its last round failed.
    pub fn trouble(&self, pin: Ino) -> Option<String> {
        self.shared.trouble.lock().get(&pin).cloned()
    }

    /// Works until it is aborted.
    pub async fn keep(self, below: Arc<Below>) {
        loop {
            if let Err(error) = self.round(&below).await {
                tracing::warn!(%error, "pins cannot be looked at");
            }
            // Rung meanwhile, it returns at once.
            let _ = tokio::time::timeout(ROUND, self.shared.bell.notified()).await;
        }
    }

    async fn round(&self, below: &Below) -> Result<(), TreeError> {
        let pins = below.tree.pinned()?;
        // First, so that nothing of them is dropped while the rest comes.
        below.content.keep(ids(below, &pins)?);
        self.shared
            .trouble
            .lock()
            .retain(|ino, _| pins.iter().any(|pin| pin.ino == *ino));
        for pin in &pins {
            match self.complete(below, pin).await? {
                Some(why) => {
                    tracing::debug!(pin = %pin.ino, why, "a pin is not complete");
                    self.shared.trouble.lock().insert(pin.ino, why);
                }
                None => {
                    self.shared.trouble.lock().remove(&pin.ino);
                }
            }
        }
        Ok(())
    }

    /// Fetches what a pin lacks; says why not all of it could be had.
    async fn complete(&self, below: &Below, pin: &Node) -> Result<Option<String>, TreeError> {
        let mut trouble = None;
        let mut tried = HashSet::new();
        // A listing may bring folders that are not listed.
        loop {
            let (_, unlisted) = below.tree.files_below(pin)?;
            let Some(folder) = unlisted.into_iter().find(|folder| tried.insert(*folder)) else {
                break;
            };
            let listed = below
                .refresher
                .ensure_known(folder, Instant::now() + LISTING)
                .await;
            if let Err(error) = listed {
                trouble = Some(format!("a folder cannot be listed now: {error}"));
            }
        }
        let (files, _) = below.tree.files_below(pin)?;
        below.content.keep(ids(below, &below.tree.pinned()?)?);
        for file in files.iter().filter_map(remote) {
            if !below
                .tree
                .pinned()?
                .iter()
                .any(|other| other.ino == pin.ino)
            {
                return Ok(None);
            }
            if let Err(error) = below.content.fill(&file).await {
                trouble = Some(error.to_string());
            }
        }
        Ok(trouble)
    }
}

/// The files of all pins.
fn ids(below: &Below, pins: &[Node]) -> Result<HashSet<FileId>, TreeError> {
    let mut ids = HashSet::new();
    for pin in pins {
        let (files, _) = below.tree.files_below(pin)?;
        ids.extend(files.iter().filter_map(remote).map(|file| file.id));
    }
    Ok(ids)
}

/// How far a pin is, from what is known.
fn extent(below: &Below, pin: &Node) -> Result<Extent, TreeError> {
    let (files, unlisted) = below.tree.files_below(pin)?;
    let mut extent = Extent {
        unlisted: unlisted.len() as u64,
        ..Extent::default()
    };
    for file in files.iter().filter_map(remote) {
        extent.files += 1;
        extent.size += file.size;
        extent.cached += below.content.cached(&file);
    }
    Ok(extent)
}

/// The service's version of a file that has no newer one here: the newer one is at
/// hand anyway.
pub(super) fn remote(node: &Node) -> Option<RemoteFile> {
    node.remote_file()
        .filter(|_| !node.pending.content)
        .map(|file| RemoteFile {
            id: file.id.clone(),
            size: file.size,
            whirlpool: file.whirlpool,
        })
}

impl Handle {
    /// Pins a file or folder.
    pub(super) fn pin_node(&self, node: &Node) -> Result<protocol::Pin, Refusal> {
        if node.kind == Kind::Symlink {
            let line = "it is a symbolic link: pin what it points to";
            return Err(Refusal::new(RefusalKind::Failed, line));
        }
        let below = &self.shared.parts.below;
        let new = below.tree.pin(node.ino).map_err(Refusal::failed)?;
        let pinned = below.tree.pinned().map_err(Refusal::failed)?;
        let needed = needed(below, &pinned).map_err(Refusal::failed)?;
        let limit = below.content.stats().cache_limit;
        if new && needed > limit {
            // Nothing shall have changed.
            below.tree.unpin(node.ino).map_err(Refusal::failed)?;
            let line = format!(
                "all that is pinned would take {needed} bytes, and the cache may take {limit}: raise cache_size or make room on its disk"
            );
            return Err(Refusal::new(RefusalKind::Failed, line));
        }
        self.shared.pins.ring();
        self.pin_told(node).map_err(Refusal::failed)
    }

    /// Releases a file or folder.
    pub(super) fn unpin_node(&self, node: &Node) -> Result<(), Refusal> {
        let tree = &self.shared.parts.below.tree;
        if tree.unpin(node.ino).map_err(Refusal::failed)? {
            self.shared.pins.ring();
            return Ok(());
        }
        let path = self.shown(node.ino).map_err(Refusal::failed)?;
        let line = format!(
            "/{} is not pinned itself; `fichierfs pin --list` shows what is",
            path.display()
        );
        Err(Refusal::new(RefusalKind::NotFound, line))
    }

    /// All pins and how far they are.
    pub(super) fn pins_told(&self) -> Result<protocol::Pins, TreeError> {
        let pinned = self.shared.parts.below.tree.pinned()?;
        let pins: Result<_, _> = pinned.iter().map(|node| self.pin_told(node)).collect();
        Ok(protocol::Pins {
            schema: protocol::SCHEMA,
            pins: pins?,
        })
    }

    fn pin_told(&self, node: &Node) -> Result<protocol::Pin, TreeError> {
        let extent = extent(&self.shared.parts.below, node)?;
        Ok(protocol::Pin {
            path: self.shown(node.ino)?,
            files: extent.files,
            size: extent.size,
            cached: extent.cached,
            complete: extent.unlisted == 0 && extent.cached == extent.size,
            error: self.shared.pins.trouble(node.ino),
        })
    }
}

/// Bytes that all pins take.
fn needed(below: &Below, pins: &[Node]) -> Result<u64, TreeError> {
    let mut sizes = HashMap::new();
    for pin in pins {
        let (files, _) = below.tree.files_below(pin)?;
        sizes.extend(
            files
                .iter()
                .filter_map(remote)
                .map(|file| (file.id, file.size)),
        );
    }
    Ok(sizes.values().sum())
}
