//! Opening files that the kernel reads by itself: what `passing` decides, done with fuser.

use std::sync::Arc;

use fuser::{FileHandle, FopenFlags, ReplyOpen};
use tokio::runtime::Handle;

use super::backed::{Backed, Pass, Passing};
use super::errno::errno;
use super::notifier::{Change, Notifier};
use super::passing::Wish;
use super::reply::{AttrReply, Reply, open_plainly};
use super::shape::Shape;
use crate::ids::Ino;
use crate::vfs::{Attr, ErrorKind, OpenAccess, OpenFlags, Opened, Vfs};

/// What is wanted by an open with `flags`, of which `raw` is what the kernel sent.
///
/// The one place that says who may be let through: what is written, or mapped for writing, by a
/// handle that is passed through would go into the clean cache. `O_DIRECT` would have to suit the
/// cache's disk.
pub(super) fn wish(flags: OpenFlags, raw: i32) -> Wish {
    let reads = matches!(flags.access, OpenAccess::Read | OpenAccess::Execute);
    match reads && !flags.truncate && raw & libc::O_DIRECT == 0 {
        true => Wish::Read,
        false => Wish::Other,
    }
}

/// The reply to an open where files may be passed through.
pub(super) struct OpenReply {
    pub(super) reply: ReplyOpen,
    pub(super) wish: Wish,
    pub(super) pass: Pass,
    pub(super) vfs: Vfs,
    pub(super) runtime: Handle,
}

impl Reply<Opened> for OpenReply {
    fn value(self, opened: Opened, shape: Shape) {
        if let Some(backed) = self.pass.through() {
            let backed = Arc::clone(backed);
            return self.give(&opened, &backed);
        }
        let passing = shape.passing.clone().filter(|passing| {
            self.wish == Wish::Read
                && !passing.is_refused()
                && self.pass.is_alone()
                && self.vfs.may_lend(opened.fh)
        });
        match passing {
            // The first time the disk is waited for.
            Some(passing) => {
                let runtime = self.runtime.clone();
                drop(runtime.spawn_blocking(move || self.try_pass(&passing, &opened, &shape)));
            }
            None => self.give_plainly(&opened, &shape),
        }
    }

    fn error(self, kind: ErrorKind, _: Shape) {
        self.reply.error(errno(kind));
    }
}

impl OpenReply {
    fn try_pass(mut self, passing: &Passing, opened: &Opened, shape: &Shape) {
        let backed = self.vfs.lend(opened.fh).and_then(|lent| {
            let answer = self.reply.open_backing(lent.disk());
            let id = passing.accepted(answer)?;
            Some(Arc::new(Backed { id, lent }))
        });
        match backed.map(|backed| (self.pass.pass(Arc::clone(&backed)), backed)) {
            Some((Ok(()), backed)) => self.give(opened, &backed),
            Some((Err(_), _)) | None => self.give_plainly(opened, shape),
        }
    }

    fn give(self, opened: &Opened, backed: &Backed) {
        backed.lent.note_opened();
        // Kept before the kernel can release it.
        self.pass.keep();
        // The kernel takes no other flag beside.
        let flags = FopenFlags::empty();
        self.reply
            .opened_passthrough(FileHandle(opened.fh.0), flags, &backed.id);
    }

    fn give_plainly(self, opened: &Opened, shape: &Shape) {
        self.pass.keep();
        open_plainly(self.reply, opened, shape);
    }
}

/// The reply to a change of attributes.
pub(super) struct Changed {
    pub(super) told: AttrReply,
    /// Who tells the kernel that its other inode of the file has changed too.
    pub(super) others: Option<(Notifier, Ino)>,
    /// Held until it is done: the content may have changed.
    pub(super) pass: Option<Pass>,
}

impl Reply<Attr> for Changed {
    fn value(self, attr: Attr, shape: Shape) {
        drop(self.pass);
        self.told.value(attr, shape);
        if let Some((news, ino)) = self.others {
            news.tell(Change::Attributes(ino));
        }
    }

    fn error(self, kind: ErrorKind, shape: Shape) {
        self.told.error(kind, shape);
    }
}

#[cfg(test)]
mod tests {
    use super::super::translate::open_flags;
    use super::*;

    #[test]
    fn only_who_reads_is_let_through() {
        let wish = |raw| wish(open_flags(raw), raw);
        // The second is what the kernel sends for a program that is run.
        for raw in [libc::O_RDONLY, 0x20, libc::O_RDONLY | libc::O_SYNC] {
            assert_eq!(wish(raw), Wish::Read, "{raw:#x}");
        }
        for raw in [
            libc::O_WRONLY,
            libc::O_RDWR,
            libc::O_RDONLY | libc::O_TRUNC,
            libc::O_RDONLY | libc::O_DIRECT,
        ] {
            assert_eq!(wish(raw), Wish::Other, "{raw:#x}");
        }
    }
}
