//! Giving up what is queued of a file or folder, for `fichierfs queue cancel`.

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::save::SaveError;
use crate::ids::{Ino, Time};
use crate::staging;
use crate::tree::Remote;
use crate::tree::cancel::{self, Cancelled};

impl Vfs {
    /// The stored version of `ino` that giving up would lose; `None` if there is none.
    ///
    /// # Errors
    /// That of the database.
    pub fn at_stake(&self, ino: Ino) -> Result<Option<u64>, Error> {
        Ok(self.staging().stored_version(ino)?)
    }

    /// Gives up what is queued of `ino`: its content, its making, or its move. No upload
    /// of it may be under way. Only the version that was `agreed` to goes.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] while it is open, or when another version was closed meanwhile,
    /// [`ErrorKind::NotEmpty`] for a folder in which
    /// something is left, [`ErrorKind::NotFound`] when nothing is queued.
    pub fn cancel(&self, ino: Ino, agreed: Option<u64>) -> Result<Cancelled, Error> {
        let mut node = self.node(ino)?;
        if node.pending.is_empty() {
            return Err(ErrorKind::NotFound.into());
        }
        if !node.pending.content && !node.pending.make {
            return Ok(self.tree().restore_place(ino)?);
        }
        if self.inner.inodes.content(ino).is_some() {
            return Err(ErrorKind::Busy.into());
        }
        let discarding = self
            .staging()
            .file(ino, None)
            .map_err(Error::from)?
            .discard();
        let cancelled = self.store().write(|tx| -> Result<_, SaveError> {
            if staging::stored_version(tx, ino)? != agreed {
                return Ok(None);
            }
            discarding.store(tx)?;
            Ok(Some(cancel::cancel(tx, ino, Time::now())?))
        })?;
        let Some(cancelled) = cancelled else {
            return Err(ErrorKind::Busy.into());
        };
        discarding.committed();
        // What the service has of it stays.
        node.remote = Remote::None;
        self.lost_its_name(&node);
        Ok(cancelled)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::tree::ROOT;
    use crate::vfs::RenameMode;
    use crate::vfs::testing::{House, WRITE};

    fn cancel(house: &House, ino: Ino) -> Result<Cancelled, Error> {
        house.vfs.cancel(ino, house.vfs.at_stake(ino)?)
    }

    #[test]
    fn a_version_that_was_closed_meanwhile_is_kept() {
        let house = House::new();
        let ino = house.file("a", b"first");
        let agreed = house.vfs.at_stake(ino).unwrap();
        let fh = house.open(ino, WRITE);
        house.write(fh, 0, b"second");
        house.close(fh);
        let refused = house.vfs.cancel(ino, agreed).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert_eq!(house.content("a"), "second");
        let refused = house.vfs.cancel(ino, None).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
    }

    fn is_gone(house: &House, name: &str) -> bool {
        let found = house.wait(house.vfs.lookup(ROOT, OsStr::new(name)));
        matches!(found, Err(e) if e.kind() == ErrorKind::NotFound)
    }

    #[test]
    fn what_never_was_on_the_service_goes() {
        let mut house = House::new();
        let ino = house.file("new", b"bytes");
        cancel(&house, ino).unwrap();
        assert!(is_gone(&house, "new"));
        house.vfs.forget(ino, 1);
        assert_eq!(house.vfs.staging().usage().staged, 0);
        assert!(house.tree.backlog().unwrap().is_drained());
        house.next_process();
        assert!(is_gone(&house, "new"));
    }

    #[test]
    fn an_edited_file_becomes_what_the_service_has() {
        let house = House::new();
        let before = house.remote("film", b"0123456789");
        let fh = house.open(before.ino, WRITE);
        house.write(fh, 0, b"xxxxxxxxxxxxxxxx");
        house.close(fh);
        cancel(&house, before.ino).unwrap();
        let after = house.node("film");
        assert_ne!(after.ino, before.ino, "other bytes are another inode");
        assert!(after.pending.is_empty());
        assert_eq!(after.remote, before.remote);
        assert_eq!(house.content("film"), "0123456789");
        assert!(house.tree.backlog().unwrap().is_drained());
    }

    #[test]
    fn what_was_to_be_replaced_is_not_removed() {
        let house = House::new();
        house.remote("film", b"old");
        let ino = house.file("new", b"newer");
        house.ok(house.rename("new", "film", RenameMode::Replace));
        let cancelled = cancel(&house, ino).unwrap();
        assert_eq!(cancelled.look_again.len(), 1, "it shows again");
        assert!(house.tree.backlog().unwrap().is_drained());
    }

    #[test]
    fn a_rename_is_taken_back() {
        let house = House::new();
        let ino = house.remote("a", b"x").ino;
        house.ok(house.rename("a", "b", RenameMode::Replace));
        cancel(&house, ino).unwrap();
        assert_eq!(house.node("a").ino, ino);
        assert!(house.tree.backlog().unwrap().is_drained());
    }

    #[test]
    fn what_a_rename_was_to_replace_shows_again_once_it_is_taken_back() {
        let house = House::new();
        house.remotes(&[("a", b"x"), ("b", b"theirs")]);
        let ino = house.node("a").ino;
        house.ok(house.rename("a", "b", RenameMode::Replace));
        let cancelled = cancel(&house, ino).unwrap();
        assert_eq!(cancelled.look_again.len(), 1);
        assert_eq!(house.node("a").ino, ino);
        assert!(house.tree.backlog().unwrap().is_drained());
    }

    #[test]
    fn what_is_open_or_not_queued_stays() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"x");
        house.ok(house.vfs.flush(fh));
        let refused = cancel(&house, ino).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        house.close(fh);
        assert_eq!(house.content("a"), "x");
        let clean = house.remote("clean", b"x").ino;
        let refused = cancel(&house, clean).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        let folder = house.mkdir(ROOT, "d");
        house.mkdir(folder, "sub");
        let refused = cancel(&house, folder).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotEmpty);
    }
}
