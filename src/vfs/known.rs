//! What is known of names, for who tells others of changes: nothing is waited for, and nothing
//! asked of the service.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::Vfs;
use super::attr::kind;
use super::error::{Error, ErrorKind};
use super::types::{Answer, Entry, Kind};
use crate::ids::Ino;
use crate::tree::{Lookup, Node};

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// Something of this kind.
    There(Kind),
    /// Nothing.
    Gone,
    /// The folder was not seen whole.
    Unknown,
}

impl Vfs {
    /// What a name stands for, as far as it is known.
    ///
    /// # Errors
    /// Where the folder is none, or the database fails.
    pub fn sight(&self, folder: Ino, name: &OsStr) -> Result<Sight, Error> {
        Ok(match self.tree().lookup(folder, name)? {
            Lookup::Exists(node) => Sight::There(kind(node.kind)),
            Lookup::Gone => Sight::Gone,
            Lookup::Unknown | Lookup::New => Sight::Unknown,
        })
    }

    /// As [`Vfs::lookup`], of what is known: what is not known is an error at once, as is what is
    /// not of the kind that is wanted.
    pub fn lookup_known(&self, folder: Ino, name: &OsStr, wanted: Option<Kind>) -> Answer<Entry> {
        let found = || -> Result<Entry, Error> {
            let node: Node = match self.tree().lookup(folder, name)? {
                Lookup::Exists(node) => *node,
                Lookup::Gone => return Err(ErrorKind::NotFound.into()),
                Lookup::Unknown | Lookup::New => return Err(ErrorKind::Busy.into()),
            };
            if wanted.is_some_and(|wanted| wanted != kind(node.kind)) {
                return Err(ErrorKind::Exists.into());
            }
            self.entry(&node)
        };
        found().into()
    }

    /// That a name stands for this: an error where it does not, or it is not known.
    pub fn is_still(&self, folder: Ino, name: &OsStr, expected: Sight) -> Answer<()> {
        let is_so = self.sight(folder, name).map(|sight| sight == expected);
        match is_so {
            Ok(true) => Ok(()),
            Ok(false) => Err(ErrorKind::Busy.into()),
            Err(error) => Err(error),
        }
        .into()
    }

    /// Whether the kernel has a folder, as it does where somebody watches it.
    pub fn is_held(&self, folder: Ino) -> bool {
        folder == self.root() || self.inner.inodes.is_looked_up(folder)
    }

    /// Where a folder is below the mountpoint; `None` where it is not.
    ///
    /// # Errors
    /// Those of the database.
    pub fn path_shown(&self, folder: Ino) -> Result<Option<PathBuf>, Error> {
        let (root, path) = (self.tree().path(self.root())?, self.tree().path(folder)?);
        Ok(root.zip(path).and_then(|(root, path)| {
            let below = path.strip_prefix(root).ok()?;
            Some(below.to_owned())
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::VfsOptions;
    use super::super::testing::House;
    use super::*;
    use crate::tree::ROOT;

    #[test]
    fn what_is_known_is_told_and_what_is_not_is_neither_waited_for_nor_said_to_be_gone() {
        let house = House::new();
        let folder = house.remote_folder("folder").ino;
        let sight = |folder, name: &str| house.vfs.sight(folder, name.as_ref()).unwrap();
        assert_eq!(sight(ROOT, "folder"), Sight::There(Kind::Dir));
        assert_eq!(sight(ROOT, "file"), Sight::Gone);
        assert_eq!(sight(folder, "file"), Sight::Unknown);

        let now = |folder, name: &str, wanted| {
            let answer = house.vfs.lookup_known(folder, name.as_ref(), wanted);
            let Answer::Now(found) = answer else {
                panic!("it waits")
            };
            found.map(|entry| entry.attr.ino).map_err(|e| e.kind())
        };
        assert_eq!(now(ROOT, "folder", None), Ok(folder));
        assert_eq!(now(ROOT, "folder", Some(Kind::Dir)), Ok(folder));
        let other = now(ROOT, "folder", Some(Kind::File));
        assert_eq!(other, Err(ErrorKind::Exists));
        assert_eq!(now(ROOT, "file", None), Err(ErrorKind::NotFound));
        assert_eq!(now(folder, "file", None), Err(ErrorKind::Busy));

        let still = |folder, name: &str, sight| {
            let answer = house.vfs.is_still(folder, name.as_ref(), sight);
            matches!(answer, Answer::Now(Ok(())))
        };
        assert!(still(ROOT, "folder", Sight::There(Kind::Dir)));
        assert!(!still(ROOT, "folder", Sight::There(Kind::File)));
        assert!(still(ROOT, "file", Sight::Gone));
        assert!(!still(folder, "file", Sight::Gone));
    }

    #[test]
    fn a_folder_is_held_from_its_look_up_until_it_is_forgotten_and_the_root_always() {
        let house = House::new();
        let folder = house.remote_folder("folder").ino;
        assert!(house.vfs.is_held(ROOT) && !house.vfs.is_held(folder));
        let Answer::Now(Ok(_)) = house.vfs.lookup(ROOT, "folder".as_ref()) else {
            panic!("it is known")
        };
        assert!(house.vfs.is_held(folder));
        house.vfs.forget(folder, 1);
        assert!(!house.vfs.is_held(folder));
    }

    #[test]
    fn a_folder_has_a_path_below_the_mountpoint_where_it_is_below_what_is_shown() {
        let house = House::new();
        let shown = house.mkdir(ROOT, "shown");
        let inner = house.mkdir(shown, "inner");
        let vfs = &house.vfs;
        let path = |folder| vfs.path_shown(folder).unwrap();
        assert_eq!(path(ROOT).as_deref(), Some(Path::new("")));
        assert_eq!(path(inner).as_deref(), Some(Path::new("shown/inner")));

        let house = House::with(VfsOptions {
            root: shown,
            ..VfsOptions::default()
        });
        let (shown, beside) = (house.mkdir(ROOT, "shown"), house.mkdir(ROOT, "beside"));
        let inner = house.mkdir(shown, "inner");
        assert_eq!(shown, house.vfs.root());
        let path = |folder| house.vfs.path_shown(folder).unwrap();
        assert_eq!(path(shown).as_deref(), Some(Path::new("")));
        assert_eq!(path(inner).as_deref(), Some(Path::new("inner")));
        assert_eq!(path(beside), None);
    }
}
