//! What the account could not take is refused before it is accepted.
//!
//! The service tells its figures seldom, so they are carried on: what was confirmed
//! since then and what is staged takes of what was free. Where no limit is told,
//! there is none.

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::statfs::AccountFigures;

/// The figures with what was confirmed in all when they came.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub figures: AccountFigures,
    pub confirmed: u64,
}

impl Told {
    /// Whether `more` bytes still fit, beyond what was confirmed since and what is
    /// `staged`.
    fn has_room(&self, confirmed: u64, staged: u64, more: u64) -> bool {
        let since = confirmed.saturating_sub(self.confirmed);
        let taken = since.saturating_add(staged).saturating_add(more);
        !self.figures.limited || taken <= self.figures.free
    }
}

impl Vfs {
    /// Refuses content that could never be sent: uploads are forbidden, or the account
    /// has no room for `more` bytes.
    pub(super) fn check_account(&self, more: u64) -> Result<(), Error> {
        let Some(told) = *self.inner.account.read() else {
            return Ok(());
        };
        if told.figures.upload_forbidden {
            return Err(Error::new(
                ErrorKind::ReadOnly,
                "the service forbids uploads of this account",
            ));
        }
        let staging = self.staging();
        if told.has_room(staging.confirmed(), staging.usage().staged, more) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Quota,
            format!("{} bytes were free in the account", told.figures.free),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::tree::ROOT;
    use crate::vfs::testing::{ANN, BOTH, House, READ, WRITE};

    fn figures(free: u64) -> AccountFigures {
        AccountFigures {
            used: 0,
            free,
            limited: true,
            upload_forbidden: false,
        }
    }

    #[test]
    fn what_the_account_cannot_take_is_refused_and_what_was_accepted_stays() {
        let house = House::new();
        house.file("before", &[1; 60]);
        house.vfs.set_account(figures(100));
        let (_, fh) = house.create("a");
        house.write(fh, 0, &[2; 40]);
        let refused = house.error(house.vfs.write(fh, 40, b"x"));
        assert_eq!(refused, ErrorKind::Quota);
        house.close(fh);
        assert_eq!(house.content("a"), [2; 40][..]);
        let made = house.vfs.create(ROOT, OsStr::new("b"), 0o644, BOTH, ANN);
        assert_eq!(house.error(made), ErrorKind::Quota);
        // Making room is always possible.
        house.ok(house.unlink("before"));
    }

    #[test]
    fn what_was_confirmed_since_counts_and_no_limit_is_none() {
        let told = Told {
            figures: figures(100),
            confirmed: 1000,
        };
        assert!(told.has_room(1050, 25, 25));
        assert!(!told.has_room(1050, 25, 26));
        let free = Told {
            figures: AccountFigures {
                limited: false,
                ..figures(0)
            },
            confirmed: 0,
        };
        assert!(free.has_room(u64::MAX, u64::MAX, 1));
    }

    #[test]
    fn where_uploads_are_forbidden_nothing_is_written() {
        let house = House::new();
        let ino = house.file("a", b"x");
        house.vfs.set_account(AccountFigures {
            upload_forbidden: true,
            ..figures(100)
        });
        assert_eq!(
            house.error(house.vfs.open(ino, WRITE, ANN)),
            ErrorKind::ReadOnly
        );
        let made = house.vfs.create(ROOT, OsStr::new("b"), 0o644, BOTH, ANN);
        assert_eq!(house.error(made), ErrorKind::ReadOnly);
        assert_eq!(house.read(house.open(ino, READ)), "x");
        house.ok(house.unlink("a"));
    }

    #[test]
    fn a_mount_that_ends_takes_no_more_and_keeps_what_it_has() {
        let house = House::new();
        let (_, fh) = house.create("a");
        house.write(fh, 0, b"kept");
        house.vfs.refuse_changes();
        assert_eq!(
            house.error(house.vfs.write(fh, 4, b"x")),
            ErrorKind::ReadOnly
        );
        let made = house.vfs.mkdir(ROOT, OsStr::new("d"), 0o755, ANN);
        assert_eq!(house.error(made), ErrorKind::ReadOnly);
        house.close(fh);
        assert_eq!(house.content("a"), "kept");
    }
}
