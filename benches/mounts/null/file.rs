//! One file of zeros, answered on the spot.

use super::{FILE, TTL, attributes};
use fuser::{
    Errno, FileHandle, Filesystem, Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData,
    ReplyEntry, Request,
};
use std::ffi::OsStr;

/// No request is larger.
const LARGEST: usize = 1 << 20;

/// See the module.
pub struct OneFile {
    size: u64,
    zeros: Vec<u8>,
}

impl OneFile {
    pub fn new(size: u64) -> OneFile {
        OneFile {
            size,
            zeros: vec![0; LARGEST],
        }
    }
}

impl Filesystem for OneFile {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == "file" {
            reply.entry(&TTL, &attributes(FILE, self.size), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attributes(ino, self.size));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let left = self.size.saturating_sub(offset).min(u64::from(size));
        match self.zeros.get(..left as usize) {
            Some(zeros) => reply.data(zeros),
            None => reply.error(Errno::EINVAL),
        }
    }
}
