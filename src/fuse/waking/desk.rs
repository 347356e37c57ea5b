//! Who is the messenger, what it is on, and what it may be sent for.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

use fuser::INodeNo;
use parking_lot::Mutex;

use super::errand::{Act, Errand};

/// Known to the thread that sends the messenger, and asked at each request that it may make.
#[derive(Default)]
pub struct Desk {
    messenger: Mutex<Option<Sent>>,
    /// Names of which an event is due, and how often.
    due: Mutex<BTreeMap<(INodeNo, OsString), usize>>,
    hushed: AtomicUsize,
}

struct Sent {
    pid: u32,
    word: String,
    errand: Option<(INodeNo, OsString, Act)>,
}

/// Who asks about a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// Anybody else.
    Other,
    /// The messenger, about the name that it was sent for.
    Errand(Act),
    /// The messenger, about another name: on its way.
    OnTheWay,
    /// The messenger, whether it is known here.
    Doubt,
}

impl Desk {
    /// An event for this name is due from now, before the kernel is told of the change: what the
    /// kernel then remembers of the name would keep the messenger's call from coming to us.
    pub fn expect(&self, parent: INodeNo, name: &OsStr) {
        *self
            .due
            .lock()
            .entry((parent, name.to_owned()))
            .or_default() += 1;
    }

    /// So many of them are no longer due.
    pub fn settle(&self, parent: INodeNo, name: &OsStr, times: usize) {
        let mut all = self.due.lock();
        let key = (parent, name.to_owned());
        if let Some(due) = all.get_mut(&key) {
            *due = due.saturating_sub(times);
            if *due == 0 {
                all.remove(&key);
            }
        }
    }

    /// Whether one is.
    pub fn is_due(&self, parent: INodeNo, name: &OsStr) -> bool {
        let all = self.due.lock();
        !all.is_empty() && all.contains_key(&(parent, name.to_owned()))
    }

    /// There is a messenger, with its word.
    pub fn hire(&self, pid: u32, word: &str) {
        *self.messenger.lock() = Some(Sent {
            pid,
            word: word.to_owned(),
            errand: None,
        });
    }

    /// It is sent for this.
    pub fn send(&self, errand: &Errand) {
        if let Some(messenger) = &mut *self.messenger.lock() {
            messenger.errand = Some((INodeNo(errand.ino), errand.name.clone(), errand.act));
        }
    }

    /// It is back.
    pub fn back(&self) {
        if let Some(messenger) = &mut *self.messenger.lock() {
            messenger.errand = None;
        }
    }

    /// It has ended, and its number is to become another's.
    pub fn dismiss(&self) {
        *self.messenger.lock() = None;
    }

    /// Who a request comes from.
    pub fn asker(&self, pid: u32, parent: INodeNo, name: &OsStr) -> Asker {
        match &*self.messenger.lock() {
            Some(messenger) if messenger.pid == pid => match &messenger.errand {
                _ if *name == *messenger.word => Asker::Doubt,
                Some((folder, named, act)) if *folder == parent && named == name => {
                    Asker::Errand(*act)
                }
                _ => Asker::OnTheWay,
            },
            _ => Asker::Other,
        }
    }

    /// Nobody is sent as long as this is held: the mount is being taken away, and is not to be in use.
    /// Where it is gone this is kept.
    pub fn hush(&self) -> Hush<'_> {
        self.hushed.fetch_add(1, Ordering::Relaxed);
        Hush(self)
    }

    /// Whether nobody may be sent.
    pub fn is_hushed(&self) -> bool {
        self.hushed.load(Ordering::Relaxed) > 0
    }
}

/// See [`Desk::hush`].
pub struct Hush<'d>(&'d Desk);

impl Hush<'_> {
    /// Nobody is sent any more.
    pub fn keep(self) {
        mem::forget(self);
    }
}

impl Drop for Hush<'_> {
    fn drop(&mut self) {
        self.0.hushed.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuse::mountinfo::MountedDevice;
    use crate::vfs::Kind;

    #[test]
    fn the_messenger_is_known_by_its_number_and_its_errand_by_folder_and_name() {
        let desk = Desk::default();
        let asker = |pid, parent, name: &str| desk.asker(pid, INodeNo(parent), name.as_ref());
        assert_eq!(asker(7, 3, "a"), Asker::Other);
        desk.hire(7, "a word");
        assert_eq!(asker(7, 3, "a"), Asker::OnTheWay);
        let act = Act::Make(Kind::File);
        desk.send(&Errand {
            point: "/m".into(),
            device: MountedDevice { major: 0, minor: 1 },
            folder: "f".into(),
            ino: 3,
            name: "a".into(),
            act,
        });
        assert_eq!(asker(7, 3, "a"), Asker::Errand(act));
        assert_eq!(asker(7, 3, "b"), Asker::OnTheWay);
        assert_eq!(asker(7, 4, "a"), Asker::OnTheWay);
        assert_eq!(asker(8, 3, "a"), Asker::Other);
        assert_eq!(asker(7, 1, "a word"), Asker::Doubt);
        assert_eq!(asker(8, 1, "a word"), Asker::Other);
        desk.back();
        assert_eq!(asker(7, 3, "a"), Asker::OnTheWay);
        desk.dismiss();
        assert_eq!(asker(7, 3, "a"), Asker::Other);
    }

    #[test]
    fn a_name_is_due_until_each_of_its_changes_is_settled() {
        let desk = Desk::default();
        let (folder, name) = (INodeNo(3), OsStr::new("a"));
        for _ in 0..3 {
            desk.expect(folder, name);
        }
        desk.settle(folder, name, 2);
        assert!(desk.is_due(folder, name) && !desk.is_due(INodeNo(4), name));
        desk.settle(folder, name, 1);
        assert!(!desk.is_due(folder, name));
    }

    #[test]
    fn who_hushes_is_heard_until_the_last_has_gone() {
        let desk = Desk::default();
        let (one, two) = (desk.hush(), desk.hush());
        drop(one);
        assert!(desk.is_hushed());
        drop(two);
        assert!(!desk.is_hushed());
        desk.hush().keep();
        assert!(desk.is_hushed());
    }
}
