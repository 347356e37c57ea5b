//! Extended attributes: the user's own, and those in which the mount tells what
//! it knows.
//!
//! `user.1fichier.*` are read-only, and answer to their name alone. They are not listed: what is
//! listed is copied to other disks, where it is not true, and removed here by who makes a
//! copy equal to its source.
//!
//! `id`, `url` and `whirlpool` are those of the content that is seen: a file
//! with newer content than the service's has none until it was sent.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use bytes::Bytes;

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::types::{Answer, Caller, XattrMode};
use crate::ids::{Ino, Time};
use crate::tree::attributes::XattrMode as TreeMode;
use crate::tree::{FileState, Kind, Node, Remote, TreeError};

const USER: &[u8] = b"user.";
const OURS: &[u8] = b"user.1fichier.";
/// Longest name, in bytes (Linux's XATTR_NAME_MAX).
const MAX_NAME: usize = 255;
/// Largest value, in bytes (Linux's XATTR_SIZE_MAX).
const MAX_VALUE: usize = 64 * 1024;

/// What the mount tells of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Virtual {
    Id,
    State,
    Url,
    Whirlpool,
}

impl Virtual {
    const ALL: [Virtual; 4] = [
        Virtual::Id,
        Virtual::State,
        Virtual::Url,
        Virtual::Whirlpool,
    ];

    fn name(self) -> &'static str {
        match self {
            Virtual::Id => "user.1fichier.id",
            Virtual::State => "user.1fichier.state",
            Virtual::Url => "user.1fichier.url",
            Virtual::Whirlpool => "user.1fichier.whirlpool",
        }
    }

    fn of(name: &OsStr) -> Option<Virtual> {
        Self::ALL.into_iter().find(|v| name == v.name())
    }
}

/// Who answers for a name.
enum Namespace {
    /// The tree.
    User,
    /// The mount; `None`: it never has such a value.
    Ours(Option<Virtual>),
}

fn namespace(name: &OsStr) -> Result<Namespace, Error> {
    let bytes = name.as_bytes();
    if bytes.len() > MAX_NAME {
        return Err(ErrorKind::Range.into());
    }
    if bytes.starts_with(OURS) {
        return Ok(Namespace::Ours(Virtual::of(name)));
    }
    match bytes.strip_prefix(USER) {
        Some(b"") => Err(ErrorKind::Invalid.into()),
        Some(_) => Ok(Namespace::User),
        // security.*, system.posix_acl_*, trusted.*: what is not kept is refused.
        None => Err(ErrorKind::Unsupported.into()),
    }
}

/// Such an attribute is not there.
fn no_data(e: TreeError) -> Error {
    match e {
        TreeError::NotFound => ErrorKind::NoData.into(),
        other => other.into(),
    }
}

impl Vfs {
    /// The value of an extended attribute.
    pub fn getxattr(&self, ino: Ino, name: &OsStr) -> Answer<Bytes> {
        self.xattr(ino, name).into()
    }

    fn xattr(&self, ino: Ino, name: &OsStr) -> Result<Bytes, Error> {
        let value = match namespace(name)? {
            Namespace::User => self.tree().xattr(ino, name)?.map(Bytes::from),
            Namespace::Ours(None) => None,
            Namespace::Ours(Some(which)) => self
                .virtual_value(&self.node(ino)?, which)?
                .map(Bytes::from),
        };
        value.ok_or_else(|| ErrorKind::NoData.into())
    }

    /// The names of the user's extended attributes, each closed by a NUL.
    pub fn listxattr(&self, ino: Ino) -> Answer<Bytes> {
        self.xattr_names(ino).into()
    }

    fn xattr_names(&self, ino: Ino) -> Result<Bytes, Error> {
        let mut names = Vec::new();
        for name in self.tree().xattrs(ino)? {
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
        Ok(names.into())
    }

    /// Sets an extended attribute.
    pub fn setxattr(
        &self,
        ino: Ino,
        name: &OsStr,
        value: &[u8],
        mode: XattrMode,
        _caller: Caller,
    ) -> Answer<()> {
        self.set_xattr(ino, name, value, mode).into()
    }

    fn set_xattr(
        &self,
        ino: Ino,
        name: &OsStr,
        value: &[u8],
        mode: XattrMode,
    ) -> Result<(), Error> {
        self.check_own(name)?;
        if value.len() > MAX_VALUE {
            return Err(ErrorKind::NoSpace.into());
        }
        let mode = match mode {
            XattrMode::Set => TreeMode::Set,
            XattrMode::Create => TreeMode::Create,
            XattrMode::Replace => TreeMode::Replace,
        };
        self.tree()
            .set_xattr(ino, name, value, mode, Time::now())
            .map_err(no_data)
    }

    /// Removes an extended attribute.
    pub fn removexattr(&self, ino: Ino, name: &OsStr, _caller: Caller) -> Answer<()> {
        self.check_own(name)
            .and_then(|()| {
                self.tree()
                    .remove_xattr(ino, name, Time::now())
                    .map_err(no_data)
            })
            .into()
    }

    /// Whether the user may change this attribute.
    fn check_own(&self, name: &OsStr) -> Result<(), Error> {
        self.check_writable()?;
        match namespace(name)? {
            Namespace::User => Ok(()),
            // `cp` and `mv` take that for what a file system may lack.
            Namespace::Ours(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    fn virtual_value(&self, node: &Node, which: Virtual) -> Result<Option<String>, Error> {
        if which == Virtual::State {
            return Ok(Some(self.state(node)?));
        }
        let is_current = !node.pending.content && !self.is_dirty(node.ino);
        Ok(match (which, &node.remote) {
            (Virtual::Id, Remote::Folder(folder)) => Some(folder.id.to_string()),
            // Those of a file whose owner hides its link are ours alone.
            (Virtual::Id | Virtual::Url, Remote::File(file)) if !file.id.has_link() => None,
            (Virtual::Id, Remote::File(file)) if is_current => Some(file.id.to_string()),
            (Virtual::Url, Remote::File(file)) if is_current => Some(file.id.link()),
            (Virtual::Whirlpool, Remote::File(file)) if is_current => {
                file.whirlpool.map(|digest| digest.to_string())
            }
            _ => None,
        })
    }

    /// How far it has come, in the words of [`FileState`]; of what failed also why.
    fn state(&self, node: &Node) -> Result<String, Error> {
        let dirty = node.kind == Kind::File && self.is_dirty(node.ino);
        let state = self.tree().state(node.ino, dirty)?;
        let state = state.ok_or(ErrorKind::NotFound)?;
        Ok(match (state, self.tree().queued(node.ino)?) {
            (FileState::Failed, Some(queued)) => {
                format!("failed: {}", queued.error.unwrap_or_default())
            }
            (state, _) => state.name().to_owned(),
        })
    }

    pub(super) fn is_dirty(&self, ino: Ino) -> bool {
        self.inner
            .inodes
            .content(ino)
            .is_some_and(|content| content.is_dirty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::testing::{ANN, House, WRITE};

    fn refusal(name: &str) -> Option<ErrorKind> {
        namespace(OsStr::new(name)).err().map(|e| e.kind())
    }

    #[test]
    fn only_what_is_kept_is_taken() {
        assert_eq!(refusal("user.note"), None);
        assert_eq!(refusal("user."), Some(ErrorKind::Invalid));
        for other in ["security.selinux", "system.posix_acl_access", "trusted.x"] {
            assert_eq!(refusal(other), Some(ErrorKind::Unsupported), "{other}");
        }
        let long = format!("user.{}", "x".repeat(251));
        assert_eq!(refusal(&long), Some(ErrorKind::Range));
    }

    #[test]
    fn ours_are_told_apart_from_the_users() {
        let ours = |name: &str| match namespace(OsStr::new(name)) {
            Ok(Namespace::Ours(which)) => which,
            _ => panic!("{name} is ours"),
        };
        for which in Virtual::ALL {
            assert_eq!(ours(which.name()), Some(which));
        }
        assert_eq!(ours("user.1fichier.other"), None);
    }

    #[test]
    fn the_users_own_last_and_obey_their_mode() {
        let mut house = House::new();
        let ino = house.file("a", b"");
        let name = OsStr::new("user.note");
        let set = |house: &House, mode| house.vfs.setxattr(ino, name, b"v", mode, ANN);
        let missing = house.error(set(&house, XattrMode::Replace));
        assert_eq!(missing, ErrorKind::NoData);
        house.ok(set(&house, XattrMode::Create));
        assert_eq!(
            house.error(set(&house, XattrMode::Create)),
            ErrorKind::Exists
        );
        house.next_process();
        assert_eq!(house.ok(house.vfs.getxattr(ino, name)), "v");
        let large = vec![0; MAX_VALUE + 1];
        let refused = house.vfs.setxattr(ino, name, &large, XattrMode::Set, ANN);
        assert_eq!(house.error(refused), ErrorKind::NoSpace);
        house.ok(house.vfs.removexattr(ino, name, ANN));
        let gone = house.error(house.vfs.getxattr(ino, name));
        assert_eq!(gone, ErrorKind::NoData);
    }

    #[test]
    fn ours_tell_of_what_is_seen_and_cannot_be_set() {
        let house = House::new();
        let node = house.remote("film", b"bytes");
        let id = node.remote_file().unwrap().id.to_string();
        let get = |name: &str| house.wait(house.vfs.getxattr(node.ino, OsStr::new(name)));
        assert_eq!(get("user.1fichier.id").unwrap(), id);
        let url = get("user.1fichier.url").unwrap();
        assert_eq!(url, format!("https://1fichier.com/?{id}"));
        assert_eq!(get("user.1fichier.state").unwrap(), "clean");
        // Who copies what is listed would copy words that are true of this file alone, and
        // remove here what its source lacks.
        let own = OsStr::new("user.note");
        house.ok(house.vfs.setxattr(node.ino, own, b"v", XattrMode::Set, ANN));
        let listed = house.ok(house.vfs.listxattr(node.ino));
        assert_eq!(listed, "user.note\0");

        let fh = house.open(node.ino, WRITE);
        house.write(fh, 0, b"B");
        assert_eq!(get("user.1fichier.state").unwrap(), "dirty");
        assert_eq!(
            get("user.1fichier.id").unwrap_err().kind(),
            ErrorKind::NoData
        );
        house.close(fh);
        assert_eq!(get("user.1fichier.state").unwrap(), "queued");
        house.tree.park(node.ino, "the account is full").unwrap();
        assert_eq!(
            get("user.1fichier.state").unwrap(),
            "failed: the account is full"
        );
        let name = OsStr::new("user.1fichier.id");
        let set = house
            .vfs
            .setxattr(node.ino, name, b"x", XattrMode::Set, ANN);
        assert_eq!(house.error(set), ErrorKind::Unsupported);
        let remove = house.vfs.removexattr(node.ino, name, ANN);
        assert_eq!(house.error(remove), ErrorKind::Unsupported);
    }
}
