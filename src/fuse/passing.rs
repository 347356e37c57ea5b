//! Which files the kernel reads by itself (passthrough), and which of its inodes stands for a file.
//! Pure.
//!
//! The kernel holds an inode to one way of reading at a time: while a handle is passed through, each
//! further one must be so too, with the same backing file, and otherwise none may. What it holds
//! open lies within what is counted here: from before our answer to its open until its release,
//! which it sends when it is done (a mapping alone it goes on reading without).
//!
//! A handle that is passed through reads the cache file and never what is written later, so nobody
//! may change the file by the same inode. Who wants to is answered ESTALE. The kernel then looks the
//! path up again, once, and is given another number, so that what follows goes to a second
//! inode. **Once that has happened the first inode is never opened again, and the second is never
//! passed through**, as long as the mount lives: so the second try of whoever was turned away finds
//! nothing in its way, whatever others do in between. Who opened the file before goes on reading
//! what it was, as one reads a file that was replaced.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ids::Ino;

/// One of the two inodes that the kernel may have of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    /// The one that every file begins with.
    First,
    /// The one of a file that somebody wanted to change while the first was passed through.
    Second,
}

/// What somebody wants of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// To read it, as the kernel could by itself.
    Read,
    /// Anything else.
    Other,
}

/// What the kernel reads in place of the file.
pub(super) trait Backing: Clone {
    /// Its bytes.
    fn size(&self) -> u64;
    /// Whether it may be given to one more.
    fn is_current(&self) -> bool;
}

/// Every file that is open or has a second inode.
pub(super) struct Table<B> {
    files: Mutex<HashMap<Ino, File<B>>>,
}

struct File<B> {
    /// Handles of the first inode, and answers under way that concern it.
    open: u32,
    /// How many of those there ever were while it was open.
    turns: u64,
    through: Option<B>,
    replaced: bool,
}

impl<B> Default for Table<B> {
    fn default() -> Table<B> {
        Table {
            files: Mutex::default(),
        }
    }
}

impl<B> Default for File<B> {
    fn default() -> File<B> {
        File {
            open: 0,
            turns: 0,
            through: None,
            replaced: false,
        }
    }
}

/// A place among those that have the file open: given back when this is dropped, unless it is kept
/// until the release.
pub(super) struct Ticket<B> {
    table: Arc<Table<B>>,
    ino: Ino,
    way: Way<B>,
}

enum Way<B> {
    /// Of the second inode: nothing is counted.
    Free,
    /// Read by us; so many came before.
    Plain {
        turn: u64,
    },
    Through(B),
}

impl<B> Table<B> {
    /// A handle that was kept is released.
    pub(super) fn leave(&self, ino: Ino, which: Which) {
        if which == Which::Second {
            return;
        }
        let mut files = self.files.lock();
        let Entry::Occupied(mut entry) = files.entry(ino) else {
            return;
        };
        let file = entry.get_mut();
        file.open = file.open.saturating_sub(1);
        let mut over = None;
        if file.open == 0 {
            over = file.through.take();
            if !file.replaced {
                entry.remove();
            }
        }
        // Giving a backing file back takes the kernel's time.
        drop(files);
        drop(over);
    }
}

impl<B: Backing> Table<B> {
    /// The inode that stands for a file to whoever looks it up.
    pub(super) fn which(&self, ino: Ino) -> Which {
        match self.files.lock().get(&ino) {
            Some(file) if file.replaced => Which::Second,
            _ => Which::First,
        }
    }

    /// Somebody wants to open the file, or to change it without. `None`: look it up anew.
    pub(super) fn enter(self: &Arc<Self>, ino: Ino, which: Which, wish: Wish) -> Option<Ticket<B>> {
        let mut files = self.files.lock();
        let way = match which {
            Which::Second => files
                .get(&ino)
                .is_some_and(|file| file.replaced)
                .then_some(Way::Free)?,
            Which::First => files.entry(ino).or_default().enter(wish)?,
        };
        drop(files);
        Some(Ticket {
            table: Arc::clone(self),
            ino,
            way,
        })
    }

    /// A name was made or opened by one call, and its inode is still to be told to the kernel: it
    /// has the file open in another way than through. The handle counts from now on.
    pub(super) fn created(&self, ino: Ino) -> Which {
        let mut files = self.files.lock();
        match files.entry(ino).or_default().enter(Wish::Other) {
            Some(_) => Which::First,
            None => Which::Second,
        }
    }

    /// How long the file is for who has that inode open, where that is not how long it is now.
    pub(super) fn frozen(&self, ino: Ino, which: Which) -> Option<u64> {
        if which == Which::Second {
            return None;
        }
        let files = self.files.lock();
        let file = files.get(&ino).filter(|file| file.replaced)?;
        file.through.as_ref().map(B::size)
    }
}

impl<B: Backing> File<B> {
    fn enter(&mut self, wish: Wish) -> Option<Way<B>> {
        if self.replaced {
            return None;
        }
        if let Some(backing) = &self.through {
            if wish != Wish::Read || !backing.is_current() {
                self.replaced = true;
                return None;
            }
            self.open += 1;
            return Some(Way::Through(backing.clone()));
        }
        self.open += 1;
        self.turns += 1;
        Some(Way::Plain { turn: self.turns })
    }
}

impl<B: Backing> Ticket<B> {
    /// What the file is read from, where it is passed through already.
    pub(super) fn through(&self) -> Option<&B> {
        match &self.way {
            Way::Through(backing) => Some(backing),
            Way::Free | Way::Plain { .. } => None,
        }
    }

    /// Whether the file could be passed through: nobody else has it open, and it has one inode.
    pub(super) fn is_alone(&self) -> bool {
        match self.way {
            Way::Plain { turn } => self.is_alone_since(turn, &self.table.files.lock()),
            Way::Free | Way::Through(_) => false,
        }
    }

    fn is_alone_since(&self, turn: u64, files: &HashMap<Ino, File<B>>) -> bool {
        files.get(&self.ino).is_some_and(|file| {
            file.open == 1 && file.turns == turn && file.through.is_none() && !file.replaced
        })
    }

    /// From now on the file is read from `backing`, which holds what it was at some time since
    /// this ticket was given; gives `backing` back where somebody else came meanwhile.
    pub(super) fn pass(&mut self, backing: B) -> Result<(), B> {
        let Way::Plain { turn } = self.way else {
            return Err(backing);
        };
        let mut files = self.table.files.lock();
        if !self.is_alone_since(turn, &files) {
            return Err(backing);
        }
        if let Some(file) = files.get_mut(&self.ino) {
            file.through = Some(backing.clone());
        }
        drop(files);
        self.way = Way::Through(backing);
        Ok(())
    }

    /// The kernel has a handle, until its release.
    pub(super) fn keep(mut self) {
        self.way = Way::Free;
    }
}

impl<B> Drop for Ticket<B> {
    fn drop(&mut self) {
        match self.way {
            Way::Free => {}
            Way::Plain { .. } | Way::Through(_) => self.table.leave(self.ino, Which::First),
        }
    }
}

#[cfg(test)]
mod tests;
