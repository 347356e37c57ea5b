//! What the account could not take is refused before it is accepted.
//!
//! The service tells its figures seldom, so they are carried on: what was confirmed
//! since then and what is unsent takes of what was free. Of a file that is changed in one
//! place all is unsent, and what it replaces stays until it is there. Where no limit is told,
//! there is none.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::statfs::AccountFigures;
use crate::staging::StagedFile;

/// Figures younger than this are not asked for again (API notes 7), and so believed.
const BELIEVED: Duration = Duration::from_secs(600);

/// The figures, with by how much we had let the account grow when they came.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub figures: AccountFigures,
    pub growth: i64,
    /// When we took them in, ...
    pub at: Instant,
    /// ... and how old they were then.
    pub age: Duration,
}

impl Told {
    /// Whether `more` bytes still fit, beyond what came and went since and what is
    /// `unsent`.
    fn has_room(&self, growth: i64, unsent: u64, more: u64) -> bool {
        let taken = self.taken(growth, unsent) + i128::from(more);
        !self.figures.limited || taken <= i128::from(self.figures.free)
    }

    /// The bytes that our own changes take beyond what the figures tell.
    fn taken(&self, growth: i64, unsent: u64) -> i128 {
        i128::from(growth) - i128::from(self.growth) + i128::from(unsent)
    }

    /// The figures as they will be once our own changes are in them.
    fn with_changes(&self, growth: i64, unsent: u64) -> AccountFigures {
        let taken = self.taken(growth, unsent);
        let bytes = |n: i128| u64::try_from(n.max(0)).unwrap_or(u64::MAX);
        AccountFigures {
            used: bytes(i128::from(self.figures.used) + taken),
            free: bytes(i128::from(self.figures.free) - taken),
            ..self.figures
        }
    }
}

impl Vfs {
    /// Whether something seems not to fit, by figures that are too old to say so.
    pub fn wants_figures(&self) -> bool {
        self.inner.wants_figures.load(Ordering::Relaxed)
    }

    /// The account's figures with our own changes, as far as they are known.
    pub(super) fn account_now(&self) -> Option<AccountFigures> {
        let told = *self.inner.account.read();
        let staging = self.staging();
        told.map(|told| told.with_changes(staging.growth(), staging.unsent()))
    }

    /// Refuses a change that lets a file be `size` bytes long where no changes are taken or
    /// the account has no room for it as a whole.
    pub(super) fn check_change(&self, content: &StagedFile, size: u64) -> Result<(), Error> {
        self.check_writable()?;
        self.check_account(content.more_unsent(size))
    }

    /// Refuses content that could never be sent: uploads are forbidden, or the account
    /// has no room for `more` bytes. A wrong refusal is worse than an upload that waits,
    /// so old figures refuse nothing: newer ones are asked for.
    pub(super) fn check_account(&self, more: u64) -> Result<(), Error> {
        let Some(told) = *self.inner.account.read() else {
            return Ok(());
        };
        let old = told.at.elapsed() + told.age > BELIEVED;
        if told.figures.upload_forbidden {
            // Nothing could be sent, so that is believed; but it may have passed.
            self.inner.wants_figures.fetch_or(old, Ordering::Relaxed);
            return Err(Error::new(
                ErrorKind::ReadOnly,
                "the service forbids uploads of this account",
            ));
        }
        let staging = self.staging();
        if told.has_room(staging.growth(), staging.unsent(), more) {
            return Ok(());
        }
        if old {
            self.inner.wants_figures.store(true, Ordering::Relaxed);
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
    use crate::vfs::{AllocateMode, RenameMode, SetAttr};

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
        house.vfs.set_account(figures(100), Duration::ZERO);
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
        let there = house.remote("there", &[3; 50]);
        house.ok(house.unlink("there"));
        house.vfs.forget(there.ino, 1);
        let (_, fh) = house.create("c");
        house.write(fh, 0, &[4; 40]);
    }

    #[test]
    fn what_came_and_went_since_counts_and_no_limit_is_none() {
        let told = Told {
            figures: figures(100),
            growth: 1000,
            at: Instant::now(),
            age: Duration::ZERO,
        };
        assert!(told.has_room(1050, 25, 25));
        assert!(!told.has_room(1050, 25, 26));
        let free = Told {
            figures: AccountFigures {
                limited: false,
                ..figures(0)
            },
            growth: 0,
            at: Instant::now(),
            age: Duration::ZERO,
        };
        assert!(free.has_room(i64::MAX, u64::MAX, 1));
        assert!(told.has_room(500, 25, 575), "500 bytes went");
    }

    #[test]
    fn own_changes_show_in_the_free_room_before_the_service_tells_of_them() {
        let house = House::new();
        house.file("before", &[1; 10]);
        let told = AccountFigures {
            used: 1 << 20,
            ..figures(1 << 30)
        };
        house.vfs.set_account(told, Duration::ZERO);
        let free = || house.vfs.account_now().unwrap().free;
        let used = || house.vfs.account_now().unwrap().used;
        let (before, used_before) = (free(), used());
        house.file("a", &[2; 5000]);
        assert_eq!((before - free(), used() - used_before), (5000, 5000));
        let there = house.remote("there", &[3; 700]);
        house.ok(house.unlink("there"));
        house.vfs.forget(there.ino, 1);
        assert_eq!(before - free(), 4300);
    }

    #[test]
    fn old_figures_refuse_nothing_and_newer_ones_are_asked_for() {
        let house = House::new();
        house.vfs.set_account(figures(0), BELIEVED);
        house.file("a", b"taken");
        assert!(house.vfs.wants_figures());
        house.vfs.set_account(figures(0), Duration::ZERO);
        assert!(!house.vfs.wants_figures());
    }

    #[test]
    fn where_uploads_are_forbidden_nothing_is_written() {
        let house = House::new();
        let ino = house.file("a", b"x");
        let forbidden = AccountFigures {
            upload_forbidden: true,
            ..figures(100)
        };
        house.vfs.set_account(forbidden, Duration::ZERO);
        assert_eq!(
            house.error(house.vfs.open(ino, WRITE, ANN)),
            ErrorKind::ReadOnly
        );
        assert!(!house.vfs.wants_figures());
        let made = house.vfs.create(ROOT, OsStr::new("b"), 0o644, BOTH, ANN);
        assert_eq!(house.error(made), ErrorKind::ReadOnly);
        assert_eq!(house.read(house.open(ino, READ)), "x");
        house.ok(house.unlink("a"));
        // It may have passed since.
        house.vfs.set_account(forbidden, BELIEVED);
        let made = house.vfs.create(ROOT, OsStr::new("b"), 0o644, BOTH, ANN);
        assert_eq!(house.error(made), ErrorKind::ReadOnly);
        assert!(house.vfs.wants_figures());
    }

    #[test]
    fn what_is_queued_counts_whole_wherever_its_bytes_are() {
        let house = House::new();
        let film = house.remote("film", &[1; 60]);
        let source = house.open(film.ino, READ);
        house.vfs.set_account(figures(100), Duration::ZERO);
        let copy = |fh| house.vfs.copy_file_range(source, 0, fh, 0, 60);
        let (gone, first) = house.create("first");
        assert_eq!(house.ok(copy(first)), 60);
        house.close(first);
        let (_, second) = house.create("second");
        assert_eq!(house.error(copy(second)), ErrorKind::Quota);
        house.close(second);
        assert_eq!(house.vfs.account_now().unwrap().free, 40);
        // All of a file is sent again for a byte of it, before the old one goes.
        let editor = house.open(film.ino, WRITE);
        let edited = house.vfs.write(editor, 0, b"x");
        assert_eq!(house.error(edited), ErrorKind::Quota);
        house.ok(house.unlink("first"));
        house.vfs.forget(gone, 1);
        house.write(editor, 0, b"x");
        assert_eq!(house.vfs.account_now().unwrap().free, 40);
        // What is unsent already counts once, and a hole counts as what it will be.
        house.write(editor, 0, &[2; 60]);
        let (_, fh) = house.create("holes");
        let hole = |len| house.vfs.fallocate(fh, 0, len, AllocateMode::Extend);
        assert_eq!(house.error(hole(41)), ErrorKind::Quota);
        house.ok(hole(40));
        assert_eq!(house.vfs.account_now().unwrap().free, 0);
    }

    #[test]
    fn what_is_queued_counts_after_a_restart_and_what_is_replaced_until_it_goes() {
        let mut house = House::new();
        let film = house.remote("film", &[1; 60]);
        let editor = house.open(film.ino, WRITE);
        house.write(editor, 0, b"x");
        house.close(editor);
        house.next_process();
        house.vfs.set_account(figures(100), Duration::ZERO);
        let free = |house: &House| house.vfs.account_now().unwrap().free;
        assert_eq!(free(&house), 40);
        house.file("new", &[2; 10]);
        house.remote("old", &[3; 30]);
        let rename = house.rename("new", "old", RenameMode::Replace);
        house.ok(rename);
        assert_eq!(free(&house), 30, "the old one is still there");
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

    #[test]
    fn no_way_of_growing_goes_around_the_account_or_the_end_of_the_mount() {
        let house = House::new();
        let source = house.open(house.remote("film", &[1; 100]).ino, READ);
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"x");
        let extend = |len| house.vfs.fallocate(fh, 0, len, AllocateMode::Extend);
        let punch = || house.vfs.fallocate(fh, 0, 1, AllocateMode::PunchHole);
        let copy = |len| house.vfs.copy_file_range(source, 0, fh, 0, len);
        let cut = |fh, size| {
            let size = SetAttr {
                size: Some(size),
                ..SetAttr::default()
            };
            house.vfs.setattr(ino, fh, size, ANN)
        };
        house.vfs.set_account(figures(50), Duration::ZERO);
        assert_eq!(house.error(extend(100)), ErrorKind::Quota);
        for way in [None, Some(fh)] {
            assert_eq!(house.error(cut(way, 100)), ErrorKind::Quota);
            house.ok(cut(way, 10));
        }
        assert_eq!(house.error(copy(100)), ErrorKind::Quota);
        house.ok(extend(20));
        house.ok(punch());
        assert_eq!(house.ok(copy(20)), 20);
        house.vfs.refuse_changes();
        for refused in [extend(1), punch()] {
            assert_eq!(house.error(refused), ErrorKind::ReadOnly);
        }
        assert_eq!(house.error(copy(1)), ErrorKind::ReadOnly);
    }
}
