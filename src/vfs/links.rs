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
use crate::tree::names::MAX_TARGET;

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
        if let Some(target) = &node.target {
            return Answer::Now(Ok(Bytes::copy_from_slice(target.as_bytes())));
        }
        let hold = match self.hold(&node, OpenAccess::Read) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::ROOT;
    use crate::vfs::testing::{ANN, House};

    #[test]
    fn a_link_made_here_is_known_and_queued() {
        let house = House::new();
        let name = OsStr::new("l");
        let target = OsStr::from_bytes(b"../caf\xe9");
        let link = house.ok(house.vfs.symlink(ROOT, name, target, ANN));
        assert_eq!(link.attr.size, 7);
        let read = house.ok(house.vfs.readlink(link.attr.ino));
        assert_eq!(read, target.as_bytes());
        assert!(house.node("l").pending.content);
        let long = "x".repeat(MAX_TARGET + 1);
        let refused = house
            .vfs
            .symlink(ROOT, OsStr::new("m"), OsStr::new(&long), ANN);
        assert_eq!(house.error(refused), ErrorKind::NameTooLong);
    }

    #[test]
    fn the_target_of_a_listed_link_is_read_once() {
        let house = House::new();
        let node = house.remote("l.rclonelink", b"there/it/is");
        assert_eq!(node.target, None);
        assert_eq!(house.ok(house.vfs.readlink(node.ino)), "there/it/is");
        assert_eq!(house.node("l").target.unwrap(), "there/it/is");
        house.service.remove(&node.remote_file().unwrap().id);
        assert_eq!(house.ok(house.vfs.readlink(node.ino)), "there/it/is");
    }

    #[test]
    fn a_link_file_without_a_target_is_an_error() {
        let house = House::new();
        let ino = house.remote("a.rclonelink", b"x\0y").ino;
        assert_eq!(house.error(house.vfs.readlink(ino)), ErrorKind::Io);
        let file = house.file("f", b"");
        assert_eq!(house.error(house.vfs.readlink(file)), ErrorKind::Invalid);
    }
}
