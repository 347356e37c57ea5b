//! What the system calls mean here.
//!
//! The room owns what exists only while something is in use: the inodes that
//! the kernel looked up, the open handles, the times of writes that were not
//! saved. What lasts is the tree's and staging's; a system call becomes
//! one transaction there. So the invariant: **whatever returned success and is
//! to outlast the process is in the database before the answer goes out**.
//!
//! - [`entries`]: names: look-up, create, unlink, rename.
//! - [`attr`]: attributes: the tree's, under what memory knows better.
//! - [`cancel`]: giving up what is queued.
//! - [`files`]: content: open, read, write, cut.
//! - [`ranges`]: content: reserve, clear, look for data, copy.
//! - [`pressure`]: what a writer meets where there is no room.
//! - [`quota`]: what the account could not take is refused.
//! - [`save`]: how a closed version gets into the database.
//! - [`flush`]: versions that go to the service while their file is open.
//! - [`folders`], [`links`], [`xattrs`], [`statfs`]: the rest of the calls.
//! - [`known`]: what is known of names, without asking anybody.
//! - [`inodes`], [`handles`]: the two tables.
//! - [`wait`]: what to do where the tree says "not known".
//!
//! Every operation is an [`Answer`]: `Now` if memory or the database can give
//! it, `Later` only where the service is waited for, `Disk` where a sync of our own disk
//! is. Permission bits are the kernel's business (`default_permissions`).
//!
//! Only `fuse` calls this room, and `daemon` builds it. Nothing of HTTP and
//! nothing of FUSE's ABI is known here.

mod attr;
mod cancel;
mod closed;
mod entries;
mod error;
mod files;
mod flush;
mod folders;
mod handles;
mod inodes;
mod known;
mod links;
mod new_names;
mod pressure;
mod quota;
mod ranges;
mod save;
#[cfg(test)]
mod state_tests;
mod statfs;
#[cfg(test)]
mod testing;
mod types;
mod wait;
mod xattrs;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::runtime::Handle;

use crate::ids::{Ino, Time};
use crate::staging::{self, StagedFile, Staging};
use crate::store::Store;
use crate::tree::refresh::Refresher;
use crate::tree::{ROOT, Tree};
use handles::Handles;
use inodes::{Inodes, Left};

pub use crate::content::Lent;
pub use error::{Error, ErrorKind};
pub use flush::Reach;
pub use known::Sight;
pub use statfs::AccountFigures;
pub use types::{
    AllocateMode, Answer, Attr, Caller, DirEntry, DirFh, Entry, Fh, Fill, Kind, OpenAccess,
    OpenFlags, Opened, OpenedDir, Reading, RenameMode, SeekTo, SetAttr, SetTime, StatFs, SyncScope,
    XattrMode,
};

/// Whether changes are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// They are.
    ReadWrite,
    /// Each is refused (`ro`).
    ReadOnly,
}

/// How the mount behaves.
#[derive(Clone, Debug)]
pub struct VfsOptions {
    /// Owner of what nobody gave an owner.
    pub uid: u32,
    /// Group of what nobody gave a group.
    pub gid: u32,
    /// Permission bits that files and folders without own ones lack.
    pub umask: u32,
    /// Whether changes are taken.
    pub access: Access,
    /// The folder that the mount shows.
    pub root: Ino,
    /// How long a closed file waits before it is sent.
    pub write_back: Duration,
    /// How long a writer without room waits for a queue that makes no progress.
    pub write_wait: Duration,
    /// What an `fsync` waits for.
    pub fsync: Reach,
    /// How long the kernel reads a folder from its own memory, unless a name in it changes: less than
    /// it believes what it was told of the entries, since it would ask for each of them then.
    pub names_kept: Duration,
    /// How long an operation on names may wait for the service.
    pub metadata_deadline: Duration,
    /// How long a read may wait for the service.
    pub data_deadline: Duration,
}

impl Default for VfsOptions {
    fn default() -> VfsOptions {
        VfsOptions {
            uid: 0,
            gid: 0,
            umask: 0o022,
            access: Access::ReadWrite,
            root: ROOT,
            write_back: Duration::from_secs(5),
            write_wait: Duration::from_secs(600),
            fsync: Reach::Local,
            names_kept: Duration::from_secs(30),
            metadata_deadline: Duration::from_secs(10),
            data_deadline: Duration::from_secs(30),
        }
    }
}

/// The rooms below, and whom to tell of work.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Names and attributes.
    pub tree: Tree,
    /// Content.
    pub staging: Staging,
    /// Lists folders.
    pub refresher: Refresher,
    /// Called after each change that the service is to hear of. Must not block.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Whose threads wait for the disk where no caller should.
    pub runtime: Handle,
}

/// The file system. Cheap to clone.
#[derive(Clone)]
pub struct Vfs {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    options: VfsOptions,
    inodes: Inodes,
    saving: save::Turns,
    closed: closed::Closed,
    handles: Handles,
    stall: pressure::Stall,
    account: RwLock<Option<quota::Told>>,
    wants_figures: AtomicBool,
    /// The mount ends: no more changes are taken.
    ending: AtomicBool,
}

impl Vfs {
    /// A file system over these parts. What the last process left is put in order:
    /// files that were open count as closed, unlinked ones are cleared away.
    ///
    /// # Errors
    /// When the database fails.
    pub fn new(parts: Parts, options: VfsOptions) -> Result<Vfs, Error> {
        let vfs = Vfs {
            inner: Arc::new(Inner {
                parts,
                options,
                inodes: Inodes::default(),
                saving: save::Turns::default(),
                closed: closed::Closed::default(),
                handles: Handles::default(),
                stall: pressure::Stall::default(),
                account: RwLock::default(),
                wants_figures: AtomicBool::new(false),
                ending: AtomicBool::new(false),
            }),
        };
        vfs.tree().nothing_is_open(Time::now())?;
        for node in vfs.tree().unlinked()? {
            vfs.settle(node.ino, Left::Orphan);
        }
        Ok(vfs)
    }

    /// The folder that the mount shows as its root.
    pub fn root(&self) -> Ino {
        self.inner.options.root
    }

    /// What the account holds, as told by the service `age` ago.
    pub fn set_account(&self, figures: AccountFigures, age: Duration) {
        *self.inner.account.write() = Some(quota::Told {
            figures,
            growth: self.staging().growth(),
            at: Instant::now(),
            age,
        });
        self.inner.wants_figures.store(false, Ordering::Relaxed);
    }

    /// The mount ends: whoever still has something open is refused further changes, so
    /// that what is queued has an end. What was written before is kept.
    pub fn refuse_changes(&self) {
        self.inner.ending.store(true, Ordering::Relaxed);
    }

    /// Whether a file or folder is open.
    pub fn is_in_use(&self) -> bool {
        !self.inner.handles.is_empty()
    }

    fn options(&self) -> &VfsOptions {
        &self.inner.options
    }

    fn tree(&self) -> &Tree {
        &self.inner.parts.tree
    }

    fn staging(&self) -> &Staging {
        &self.inner.parts.staging
    }

    fn refresher(&self) -> &Refresher {
        &self.inner.parts.refresher
    }

    fn store(&self) -> &Store {
        &self.inner.parts.store
    }

    /// Tells that there is work for the queue.
    fn wake(&self) {
        (self.inner.parts.wake)();
    }

    /// Refuses changes where none are taken.
    fn check_writable(&self) -> Result<(), Error> {
        match self.options().access {
            Access::ReadWrite if self.inner.ending.load(Ordering::Relaxed) => {
                Err(Error::new(ErrorKind::ReadOnly, "the mount ends"))
            }
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(ErrorKind::ReadOnly.into()),
        }
    }

    /// Does what is left to do after somebody let go of an inode.
    fn settle(&self, ino: Ino, left: Left) {
        match left {
            Left::Nothing => {}
            Left::Due => self.queue(ino),
            Left::Orphan => self.clear(ino),
        }
    }

    /// Clears away what nobody can reach any more. The last to let go of it may be a thread that
    /// answers the kernel, so a sync of the disk is waited for by another; until then the next
    /// start would do it.
    fn clear(&self, ino: Ino) {
        match self.staging().file(ino, None) {
            Ok(content) if content.discard().must_be_durable() => {
                let vfs = self.clone();
                // Whether it ends well is logged there.
                drop(self.inner.parts.runtime.spawn_blocking(move || {
                    vfs.cleared(ino, vfs.discard(&content));
                }));
            }
            Ok(content) => self.cleared(ino, self.discard(&content)),
            Err(e) => {
                tracing::warn!(%ino, error = ?e, "of a removed file bytes are left that cannot be read");
                let forgotten = self.store().write(|tx| staging::forget(tx, ino));
                self.cleared(ino, forgotten.map_err(Error::from));
            }
        }
    }

    /// Lets go of the content of an unlinked file.
    fn discard(&self, content: &Arc<StagedFile>) -> Result<(), Error> {
        let discarding = content.discard();
        if discarding.must_be_durable() {
            self.store().write_durable(|tx| discarding.store(tx))?;
        } else {
            self.store().write(|tx| discarding.store(tx))?;
        }
        discarding.committed();
        Ok(())
    }

    /// Nothing of the content of an unlinked file is stored any more, if that went well.
    fn cleared(&self, ino: Ino, content: Result<(), Error>) {
        match content.and_then(|()| Ok(self.tree().purge(ino)?)) {
            Ok(true) => {}
            // An upload of it is not settled; the tree forgets it then.
            Ok(false) => tracing::debug!(%ino, "unlinked inode is still being sent"),
            Err(e) => {
                tracing::warn!(%ino, error = ?e, "unlinked inode not cleared, next start will");
            }
        }
    }
}
