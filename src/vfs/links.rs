//! Symbolic links: on the service small files that hold the target.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use bytes::Bytes;

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::types::{Answer, OpenAccess};
use super::wait::within;
use crate::ids::Ino;
use crate::staging::Read;
use crate::tree::Kind;

/// The longest target in bytes (`PATH_MAX` less its NUL).
pub(super) const MAX_TARGET: usize = 4095;

impl Vfs {
    /// The target of a symbolic link. That of a link seen in a listing is read from
    /// the service once and then remembered.
    pub fn readlink(&self, ino: Ino) -> Answer<Bytes> {
        let node = match self.node(ino) {
            Ok(node) => node,
            Err(e) => return Answer::Now(Err(e)),
        };
        if node.kind != Kind::Symlink {
            return Answer::Now(Err(ErrorKind::Invalid.into()));
        }
        if let Some(target) = node.target {
            return Answer::Now(Ok(Bytes::copy_from_slice(target.as_bytes())));
        }
        let hold = match self.hold(ino, OpenAccess::Read) {
            Ok(hold) => hold,
            Err(e) => return Answer::Now(Err(e)),
        };
        match hold.content.read(0, MAX_TARGET + 1) {
            Read::Now(bytes) => bytes
                .map_err(Error::from)
                .and_then(|bytes| self.remember(ino, bytes))
                .into(),
            Read::Later(bytes) => {
                let vfs = self.clone();
                Answer::later(async move {
                    let bytes = within(vfs.options().data_deadline, bytes).await?;
                    drop(hold);
                    vfs.remember(ino, bytes)
                })
            }
        }
    }

    fn remember(&self, ino: Ino, target: Bytes) -> Result<Bytes, Error> {
        if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) {
            return Err(Error::new(
                ErrorKind::Io,
                format!("the link file of inode {ino} holds no target"),
            ));
        }
        self.tree().set_target(ino, OsStr::from_bytes(&target))?;
        Ok(target)
    }
}
