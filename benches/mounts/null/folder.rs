//! One folder of many files, all of whose attributes are known.

use super::{TTL, attributes};
use fuser::{
    Errno, FileHandle, Filesystem, Generation, INodeNo, InitFlags, KernelConfig, ReplyAttr,
    ReplyDirectoryPlus, ReplyEntry, Request,
};
use std::ffi::OsStr;
use std::io;

/// See the module.
pub struct OneFolder {
    names: Vec<String>,
}

/// Inode of the first file.
const FIRST: u64 = 2;

impl OneFolder {
    pub fn new(entries: u64) -> OneFolder {
        let names = (0..entries).map(|n| format!("file-{n:06}.bin")).collect();
        OneFolder { names }
    }
}

impl Filesystem for OneFolder {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        config
            .add_capabilities(InitFlags::FUSE_DO_READDIRPLUS)
            .map_err(|_| io::Error::other("the kernel has no READDIRPLUS"))
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let place = self.names.iter().position(|known| name == known.as_str());
        match place {
            Some(n) => {
                let attributes = attributes(INodeNo(FIRST + n as u64), 1);
                reply.entry(&TTL, &attributes, Generation(0));
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attributes(ino, 1));
    }

    fn readdirplus(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        for (n, name) in self.names.iter().enumerate().skip(offset as usize) {
            let n = n as u64;
            let ino = INodeNo(FIRST + n);
            let full = reply.add(ino, n + 1, name, &TTL, &attributes(ino, 1), Generation(0));
            if full {
                break;
            }
        }
        reply.ok();
    }
}
