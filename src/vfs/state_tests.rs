//! What each operation does to a file in each of its states: the state that follows, and
//! what the queue does next.

use std::ffi::OsStr;

use crate::ids::{FolderId, Ino, Time, Whirlpool};
use crate::tree::journal::{Task, Underway, Way};
use crate::tree::{FileState, ROOT, RemotePlace};
use crate::vfs::testing::{ANN, House, WRITE};
use crate::vfs::{Fh, RenameMode, SetAttr};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Rename,
    /// Written to, and not closed.
    Write,
    /// Written to, and closed.
    Overwrite,
    /// By its path.
    Truncate,
    Unlink,
    /// Opened for writing and closed unchanged.
    Reopen,
}

use Act::{Overwrite, Rename, Reopen, Truncate, Unlink, Write};
use FileState::{Clean, Committed, Confirming, Dirty, Failed, Local, Queued, Sending};

/// Before, what happens, after (`None`: gone), and what the queue then does. While something is
/// under way it does nothing else with that file; what follows is seen once it ended.
const TABLE: &[(FileState, Act, Option<FileState>, &str)] = &[
    (Clean, Rename, Some(Committed), "rename"),
    (Clean, Write, Some(Dirty), ""),
    (Clean, Overwrite, Some(Queued), "send"),
    (Clean, Truncate, Some(Queued), "send"),
    (Clean, Unlink, None, "remove"),
    (Clean, Reopen, Some(Clean), ""),
    (Local, Rename, Some(Local), ""),
    (Local, Write, Some(Dirty), ""),
    (Local, Overwrite, Some(Queued), "send"),
    (Local, Truncate, Some(Queued), "send"),
    (Local, Unlink, None, ""),
    (Local, Reopen, Some(Local), ""),
    // Stored before the rename, as by a close, for what it may replace.
    (Dirty, Rename, Some(Queued), ""),
    (Dirty, Write, Some(Dirty), ""),
    // A close stores what every handle wrote; it is sent when the last writer is gone.
    (Dirty, Overwrite, Some(Queued), ""),
    (Dirty, Truncate, Some(Dirty), ""),
    (Dirty, Unlink, None, ""),
    (Dirty, Reopen, Some(Queued), ""),
    (Queued, Rename, Some(Queued), "send"),
    (Queued, Write, Some(Dirty), "send"),
    (Queued, Overwrite, Some(Queued), "send"),
    (Queued, Truncate, Some(Queued), "send"),
    (Queued, Unlink, None, ""),
    (Queued, Reopen, Some(Queued), "send"),
    (Sending, Rename, Some(Sending), ""),
    (Sending, Write, Some(Dirty), ""),
    (Sending, Overwrite, Some(Sending), ""),
    (Sending, Truncate, Some(Sending), ""),
    (Sending, Unlink, None, ""),
    (Sending, Reopen, Some(Sending), ""),
    (Confirming, Rename, Some(Confirming), ""),
    (Confirming, Write, Some(Dirty), ""),
    (Confirming, Overwrite, Some(Confirming), ""),
    (Confirming, Truncate, Some(Confirming), ""),
    (Confirming, Unlink, None, ""),
    (Confirming, Reopen, Some(Confirming), ""),
    (Committed, Rename, Some(Committed), "rename"),
    // It is renamed there meanwhile.
    (Committed, Write, Some(Dirty), "rename"),
    // The new version goes to the new name.
    (Committed, Overwrite, Some(Queued), "send"),
    (Committed, Truncate, Some(Queued), "send"),
    (Committed, Unlink, None, "remove"),
    (Committed, Reopen, Some(Committed), "rename"),
    // Under another name it may go well.
    (Failed, Rename, Some(Queued), "send"),
    (Failed, Write, Some(Dirty), ""),
    (Failed, Overwrite, Some(Queued), "send"),
    (Failed, Truncate, Some(Queued), "send"),
    (Failed, Unlink, None, ""),
    // Who closes it is told.
    (Failed, Reopen, Some(Failed), ""),
];

/// A file `f` in this state.
fn file_in(house: &House, state: FileState) -> Ino {
    match state {
        Clean => house.remote("f", b"0123").ino,
        Local => house.file("f", b""),
        Dirty => {
            let (ino, fh) = house.create("f");
            house.write(fh, 0, b"0123");
            ino
        }
        Queued => house.file("f", b"0123"),
        Sending | Confirming => {
            let ino = house.file("f", b"0123");
            let upload = Underway {
                ino,
                version: 1,
                at: RemotePlace {
                    folder: FolderId::ROOT,
                    name: "f".to_owned(),
                },
                size: 4,
                whirlpool: None,
                way: Way::Upload {
                    node: "up1.1fichier.com".to_owned(),
                    xid: "a1B2c3D4e5".to_owned(),
                },
                started: Time::now(),
                not_before: Time(0),
                attempts: 0,
            };
            let way = upload.way.clone();
            house.tree.uploads_begin(&[upload]).unwrap();
            if state == Confirming {
                let sent = [(ino, Whirlpool([7; 64]))];
                let now = Time::now();
                house.tree.uploads_were_sent(&way, &sent, now).unwrap();
            }
            ino
        }
        Committed => {
            let ino = house.remote("elsewhere", b"0123").ino;
            house.ok(house.rename("elsewhere", "f", RenameMode::Replace));
            ino
        }
        Failed => {
            let ino = house.file("f", b"0123");
            house.tree.park(ino, "the name is refused").unwrap();
            ino
        }
    }
}

/// Closes a handle; a failure to be told is no concern here.
fn close(house: &House, fh: Fh) {
    let _told = house.wait(house.vfs.flush(fh));
    house.ok(house.vfs.release(fh));
}

fn carry_out(house: &House, ino: Ino, act: Act) {
    match act {
        Rename => house.ok(house.rename("f", "g", RenameMode::Replace)),
        Write | Overwrite => {
            let fh = house.open(ino, WRITE);
            house.write(fh, 0, b"ab");
            if act == Overwrite {
                close(house, fh);
            }
        }
        Truncate => {
            let cut = SetAttr {
                size: Some(2),
                ..SetAttr::default()
            };
            house.ok(house.vfs.setattr(ino, None, cut, ANN));
        }
        Unlink => house.ok(house.unlink("f")),
        Reopen => close(house, house.open(ino, WRITE)),
    }
}

fn state_of(house: &House, ino: Ino) -> Option<String> {
    let name = match house.wait(house.vfs.lookup(ROOT, OsStr::new("f"))) {
        Ok(_) => "f",
        Err(_) => "g",
    };
    let found = house.wait(house.vfs.lookup(ROOT, OsStr::new(name))).ok()?;
    assert_eq!(found.attr.ino, ino);
    let state = house.vfs.getxattr(ino, OsStr::new("user.1fichier.state"));
    let state = String::from_utf8(house.ok(state).to_vec()).unwrap();
    Some(state.split(':').next().unwrap_or_default().to_owned())
}

/// What the queue does about the file when all delays are over.
fn next(house: &House) -> String {
    house.vfs.queue_closed();
    let later = Time::now().after(std::time::Duration::from_secs(3600));
    let tasks = house.tree.ready(later, 10, &|_| false).unwrap();
    let words: Vec<&str> = tasks
        .iter()
        .map(|task| match task {
            Task::Send { .. } => "send",
            Task::Rename { .. } => "rename",
            Task::Remove(_) => "remove",
            Task::Make { .. } | Task::Move { .. } | Task::Empty { .. } | Task::Look { .. } => {
                "other"
            }
        })
        .collect();
    words.join(" ")
}

#[test]
fn every_operation_has_a_defined_effect_in_every_state() {
    for &(before, act, after, does) in TABLE {
        let house = House::new();
        let ino = file_in(&house, before);
        assert_eq!(state_of(&house, ino).as_deref(), Some(before.name()));
        carry_out(&house, ino, act);
        let found = (state_of(&house, ino), next(&house));
        let expected = (after.map(|s| s.name().to_owned()), does.to_owned());
        assert_eq!(found, expected, "{act:?} of a file that is {before:?}");
    }
}
