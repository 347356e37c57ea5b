//! What every reply and all news for the kernel need to know of a mount.

use std::sync::Arc;
use std::time::Duration;

use fuser::FileAttr;

use super::backed::Passing;
use super::options::{FuseOptions, Ttl};
use super::passing::Which;
use super::translate::RootMap;
use crate::ids::Ino;
use crate::vfs::Attr;

/// What every reply needs to know.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) root: RootMap,
    pub(super) ttl: Ttl,
    /// Handles that only write do so around the kernel's pages: it then copies each byte once
    /// instead of twice, and keeps nothing that nobody reads.
    pub(super) writes_around_pages: bool,
    /// Files that the kernel reads by itself, where that is wanted.
    pub(super) passing: Option<Arc<Passing>>,
}

impl Shape {
    /// That of a mount; what the kernel can is still to be heard.
    pub(super) fn new(options: &FuseOptions) -> Shape {
        Shape {
            root: RootMap::new(options.root),
            ttl: options.ttl,
            writes_around_pages: false,
            passing: options.passthrough.then(Arc::default),
        }
    }

    /// The inode that stands for a file now.
    pub(super) fn which(&self, ino: Ino) -> Which {
        self.passing
            .as_ref()
            .map_or(Which::First, |passing| passing.table.which(ino))
    }

    /// The attributes of a name as they are told with it, and how long they hold.
    pub(super) fn named(&self, attr: &Attr) -> (FileAttr, Duration) {
        self.numbered(attr, self.which(attr.ino))
    }

    /// fuser tells one number for the kernel's inode and for `stat`. Where they differ, the attributes
    /// hold for no time: the kernel asks for them, and is answered the file's own.
    pub(super) fn numbered(&self, attr: &Attr, which: Which) -> (FileAttr, Duration) {
        let mut told = self.root.attr(attr);
        told.ino = self.root.number(attr.ino, which);
        match which {
            Which::First => (told, self.ttl.attr),
            Which::Second => (told, Duration::ZERO),
        }
    }
}
