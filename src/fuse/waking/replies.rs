//! What the messenger is answered. Each function answers it, and gives the reply back where somebody
//! else asks.

use std::ffi::OsStr;
use std::time::Duration;

use fuser::{Errno, FileAttr, Generation, INodeNo, ReplyEmpty, ReplyEntry, Request};

use super::desk::Asker;
use super::errand::Act;
use super::messenger::KNOWN;
use crate::fuse::errno::errno;
use crate::fuse::filesystem::Adapter;
use crate::fuse::reply::{Absence, LookupReply, MadeReply, Reply};
use crate::fuse::shape::Shape;
use crate::fuse::translate::{PHANTOM, no_attr};
use crate::vfs::{ErrorKind, Kind, Sight};

impl Adapter {
    fn asker(&self, request: &Request, parent: INodeNo, name: &OsStr) -> Asker {
        let desk = self.desk.as_ref();
        desk.map_or(Asker::Other, |desk| desk.asker(request.pid(), parent, name))
    }

    /// Whether the kernel may remember that a name is gone: not while the messenger may be sent for that.
    pub(in crate::fuse) fn absence(&self, parent: INodeNo, name: &OsStr) -> Absence {
        match &self.desk {
            Some(desk) if desk.is_due(parent, name) => Absence::Forgotten,
            _ => Absence::Kept,
        }
    }

    /// A call that is answered without that anything is done, if the name is still what it was to be.
    fn appear(&self, reply: impl Reply<()>, (parent, name): (INodeNo, &OsStr), expected: Sight) {
        self.meta("event", reply, |vfs| {
            vfs.is_still(self.ino(parent), name, expected)
        });
    }

    pub(in crate::fuse) fn messenger_looks(
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
            Asker::Errand(Act::Remove) => {
                let phantom = PhantomReply::new(reply, request);
                self.appear(phantom, (parent, name), Sight::Gone);
            }
            Asker::Doubt => reply.error(Errno::from_i32(KNOWN)),
        }
        None
    }

    pub(in crate::fuse) fn messenger_makes(
        &self,
        request: &Request,
        (parent, name, kind): (INodeNo, &OsStr, Kind),
        reply: ReplyEntry,
    ) -> Option<ReplyEntry> {
        let asker = self.asker(request, parent, name);
        if asker == Asker::Other {
            return Some(reply);
        }
        match told_of(asker, kind) {
            Some(Told::Nothing) => {
                let phantom = PhantomReply::new(reply, request);
                self.appear(phantom, (parent, name), Sight::There(kind));
            }
            Some(Told::WhatIsThere) => self.meta("event", MadeReply(reply), |vfs| {
                vfs.lookup_known(self.ino(parent), name, Some(kind))
            }),
            None => reply.error(Errno::EPERM),
        }
        None
    }

    pub(in crate::fuse) fn messenger_removes(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        reply: ReplyEmpty,
    ) -> Option<ReplyEmpty> {
        match self.asker(request, parent, name) {
            Asker::Other => return Some(reply),
            Asker::Errand(Act::Remove) => self.appear(reply, (parent, name), Sight::Gone),
            Asker::Errand(_) | Asker::OnTheWay | Asker::Doubt => reply.error(Errno::EPERM),
        }
        None
    }
}

/// What the messenger is told of what it makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// That it is done, by a phantom. The kernel takes the attributes of what was made for the newest:
    /// where it has a file, it would set back the size that writes gave that meanwhile.
    Nothing,
    /// What the name stands for.
    WhatIsThere,
}

/// What the messenger is told; `None` where it was not sent for that.
fn told_of(asker: Asker, made: Kind) -> Option<Told> {
    match asker {
        Asker::Errand(Act::Make(wanted)) if wanted == made => Some(match made {
            Kind::File => Told::Nothing,
            Kind::Dir | Kind::Symlink => Told::WhatIsThere,
        }),
        Asker::Errand(_) | Asker::OnTheWay | Asker::Doubt | Asker::Other => None,
    }
}

/// The reply that tells of a phantom, for no time.
struct PhantomReply(ReplyEntry, FileAttr);

impl PhantomReply {
    fn new(reply: ReplyEntry, request: &Request) -> PhantomReply {
        PhantomReply(reply, phantom(request))
    }
}

impl Reply<()> for PhantomReply {
    fn value(self, (): (), _: Shape) {
        let PhantomReply(reply, attr) = self;
        reply.entry_with_ttls(&Duration::ZERO, &Duration::ZERO, &attr, Generation(0));
    }

    fn error(self, kind: ErrorKind, _: Shape) {
        self.0.error(errno(kind));
    }
}

/// A file that stands for one that is made or removed in appearance. It is the messenger's own, since a
/// folder may let its entries be removed by their owners alone.
fn phantom(request: &Request) -> FileAttr {
    FileAttr {
        ino: PHANTOM,
        perm: 0o600,
        nlink: 1,
        uid: request.uid(),
        gid: request.gid(),
        blksize: 512,
        ..no_attr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_that_it_makes_the_messenger_is_told_nothing_that_the_kernel_might_believe() {
        let told = |wanted, made| told_of(Asker::Errand(Act::Make(wanted)), made);
        assert_eq!(told(Kind::File, Kind::File), Some(Told::Nothing));
        assert_eq!(told(Kind::Dir, Kind::Dir), Some(Told::WhatIsThere));
        assert_eq!(told(Kind::Symlink, Kind::Symlink), Some(Told::WhatIsThere));
        assert_eq!(told(Kind::Dir, Kind::File), None);
        for asker in [Asker::Errand(Act::Remove), Asker::OnTheWay, Asker::Doubt] {
            assert_eq!(told_of(asker, Kind::File), None);
        }
    }
}
