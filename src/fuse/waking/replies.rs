//! What the helper is answered. Each function answers it, and gives the reply back where somebody
//! else asks.

use std::ffi::OsStr;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{Errno, FileAttr, FileType, Generation, INodeNo, ReplyEmpty, ReplyEntry, Request};

use super::desk::Asker;
use super::errand::Act;
use crate::fuse::filesystem::Adapter;
use crate::fuse::reply::{Absence, LookupReply};
use crate::fuse::translate::PHANTOM;
use crate::vfs::{Kind, Sight};

impl Adapter {
    fn asker(&self, request: &Request, parent: INodeNo, name: &OsStr) -> Asker {
        let desk = self.desk.as_ref();
        desk.map_or(Asker::Other, |desk| desk.asker(request.pid(), parent, name))
    }

    /// Whether the kernel may remember that a name is gone: not while the helper may be sent for that.
    pub(in crate::fuse) fn absence(&self, parent: INodeNo, name: &OsStr) -> Absence {
        match &self.desk {
            Some(desk) if desk.is_due(parent, name) => Absence::Forgotten,
            _ => Absence::Kept,
        }
    }

    /// Whether the name is known to be gone now.
    fn is_gone(&self, parent: INodeNo, name: &OsStr) -> bool {
        let sight = self.vfs.sight(self.ino(parent), name);
        matches!(sight, Ok(Sight::Gone))
    }

    pub(in crate::fuse) fn helper_looks(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        reply: ReplyEntry,
    ) -> Option<ReplyEntry> {
        match self.asker(request, parent, name) {
            Asker::Other => return Some(reply),
            Asker::OnTheWay => self.meta("lookup", LookupReply(reply, Absence::Forgotten), |vfs| {
                vfs.lookup_known(self.ino(parent), name, None)
            }),
            // An error, and not inode 0: it is remembered for no time.
            Asker::Errand(Act::Make(_)) => reply.error(Errno::ENOENT),
            Asker::Errand(Act::Remove) if self.is_gone(parent, name) => {
                let nothing = Duration::ZERO;
                reply.entry_with_ttls(&nothing, &nothing, &phantom(request), Generation(0));
            }
            Asker::Errand(Act::Remove) => reply.error(Errno::EBUSY),
        }
        None
    }

    pub(in crate::fuse) fn helper_makes(
        &self,
        request: &Request,
        (parent, name, kind): (INodeNo, &OsStr, Kind),
        reply: ReplyEntry,
    ) -> Option<ReplyEntry> {
        match self.asker(request, parent, name) {
            Asker::Other => return Some(reply),
            Asker::Errand(Act::Make(wanted)) if wanted == kind => {
                self.meta("event", reply, |vfs| {
                    vfs.lookup_known(self.ino(parent), name, Some(kind))
                });
            }
            Asker::Errand(_) | Asker::OnTheWay => reply.error(Errno::EPERM),
        }
        None
    }

    pub(in crate::fuse) fn helper_removes(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        reply: ReplyEmpty,
    ) -> Option<ReplyEmpty> {
        match self.asker(request, parent, name) {
            Asker::Other => return Some(reply),
            Asker::Errand(Act::Remove) if self.is_gone(parent, name) => reply.ok(),
            Asker::Errand(Act::Remove) => reply.error(Errno::EBUSY),
            Asker::Errand(_) | Asker::OnTheWay => reply.error(Errno::EPERM),
        }
        None
    }
}

/// A file that is there for the helper to remove. It is the helper's own, since a folder may let its
/// entries be removed by their owners alone.
fn phantom(request: &Request) -> FileAttr {
    FileAttr {
        ino: PHANTOM,
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0o600,
        nlink: 1,
        uid: request.uid(),
        gid: request.gid(),
        rdev: 0,
        blksize: 512,
        flags: 0,
    }
}
