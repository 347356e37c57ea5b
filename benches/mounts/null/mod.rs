//! Mounts that do nothing: what the kernel, FUSE and fuser allow at most on this machine
//! at this moment. This program runs itself as one.
//!
//! - [`file`]: one file, answered inline from memory: the ceiling of small reads.
//! - [`folder`]: one folder of many entries, answered by READDIRPLUS.
//! - [`bare`]: one file that a plain HTTP client fetches with several ranges at a time into
//!   a sparse file, copied from there: the ceiling of reading through a disk cache.

mod bare;
mod file;
mod folder;

use super::Result;
use super::peer::{Mount, Place};
use fuser::{FileAttr, FileType, INodeNo};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

/// The first argument of this program run as a null mount.
const WORD: &str = "null-mount";

/// How long the kernel may remember names and attributes.
const TTL: Duration = Duration::from_secs(60);

/// Threads that take requests, as many as fichierfs has.
const THREADS: usize = 4;

/// What to be.
#[derive(Clone, PartialEq, Debug)]
pub enum Null {
    /// A file `file` of so many bytes.
    File(u64),
    /// A folder of so many files.
    Folder(u64),
    /// A file `file` of so many bytes at an address, by way of a file in the cache.
    Bare(bare::Source),
}

pub use bare::Source;

/// A null mount and where it is to be.
pub struct Request {
    null: Null,
    point: String,
}

/// What this program was asked to be, if it was.
pub fn requested() -> Option<Request> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (null, point) = match *words.as_slice() {
        [WORD, point, "file", size] => (Null::File(size.parse().ok()?), point),
        [WORD, point, "folder", entries] => (Null::Folder(entries.parse().ok()?), point),
        [WORD, point, "bare", url, size, cache] => {
            let source = bare::Source {
                url: url.to_owned(),
                size: size.parse().ok()?,
                cache: cache.into(),
            };
            (Null::Bare(source), point)
        }
        _ => return None,
    };
    let point = point.to_owned();
    Some(Request { null, point })
}

impl Request {
    /// Serves the mount until it is taken away or the process is killed.
    pub fn serve(self) -> Result<()> {
        let mut config = fuser::Config::default();
        config.n_threads = Some(THREADS);
        match self.null {
            Null::File(size) => fuser::mount(file::OneFile::new(size), self.point, &config)?,
            Null::Folder(entries) => {
                fuser::mount(folder::OneFolder::new(entries), self.point, &config)?;
            }
            Null::Bare(source) => {
                fuser::mount(bare::BareFile::new(source)?, self.point, &config)?;
            }
        }
        Ok(())
    }
}

/// Mounts it at a place. `variables` go to its environment.
pub fn mount(null: &Null, place: &Place, variables: &[(&str, &std::path::Path)]) -> Result<Mount> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(place.point());
    match null {
        Null::File(size) => command.args(["file", &size.to_string()]),
        Null::Folder(entries) => command.args(["folder", &entries.to_string()]),
        Null::Bare(source) => command
            .args(["bare", &source.url, &source.size.to_string()])
            .arg(&source.cache),
    };
    command.envs(variables.iter().copied());
    Mount::of(command, place)
}

/// The inode of the only file.
const FILE: INodeNo = INodeNo(2);

fn attributes(ino: INodeNo, size: u64) -> FileAttr {
    let kind = if ino == INodeNo::ROOT {
        FileType::Directory
    } else {
        FileType::RegularFile
    };
    FileAttr {
        ino,
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: 0o755,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}
