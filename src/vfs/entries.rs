//! Names: finding, making, removing and moving them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::Vfs;
use super::attr::SET_GID;
use super::error::{Error, ErrorKind};
use super::handles::Hold;
use super::types::{Answer, Caller, Entry, OpenAccess, OpenFlags, Opened, RenameMode};
use super::wait::Fault;
use crate::ids::{Ino, Time};
use crate::staging::StagedFile;
use crate::tree::changes::{NewNode, Over, Ownership};
use crate::tree::names::MAX_TARGET;
use crate::tree::{Kind, Lookup, Node, Remote};

impl Vfs {
    /// The entry `name` of a folder; also `.` and `..`, for file handles that
    /// outlive the kernel's cache.
    pub fn lookup(&self, parent: Ino, name: &OsStr) -> Answer<Entry> {
        let name = name.to_owned();
        self.listing(move |vfs| {
            let node = vfs.find(parent, &name)?;
            Ok(vfs.entry(&node)?)
        })
    }

    fn find(&self, parent: Ino, name: &OsStr) -> Result<Node, Fault> {
        match name.as_bytes() {
            b"." => return Ok(self.node(parent)?),
            b".." => return Ok(self.node(self.parent_of(parent)?)?),
            _ => {}
        }
        let (folder, lookup) = self.tree().look_into(parent, name)?;
        self.refresher().touch(&folder);
        match lookup {
            Lookup::Exists(node) => Ok(*node),
            Lookup::Gone => Err(ErrorKind::NotFound.into()),
            Lookup::New if self.takes_changes() => Err(ErrorKind::NotSeen.into()),
            Lookup::New | Lookup::Unknown => Err(Fault::Unseen(parent)),
        }
    }

    /// The folder above; the mount's root is above itself.
    pub(super) fn parent_of(&self, ino: Ino) -> Result<Ino, Error> {
        if ino == self.root() {
            return Ok(ino);
        }
        Ok(self.node(ino)?.place.map_or(ino, |place| place.parent))
    }

    /// The kernel gives look-ups back.
    pub fn forget(&self, ino: Ino, lookups: u64) {
        let left = self.inner.inodes.forget(ino, lookups);
        self.settle(ino, left);
    }

    /// Makes a folder. `perm` has the umask applied, here and below.
    pub fn mkdir(&self, parent: Ino, name: &OsStr, perm: u16, caller: Caller) -> Answer<Entry> {
        self.make(parent, name, NewNode::Folder, perm, caller)
    }

    /// Makes an empty regular file.
    pub fn mknod(&self, parent: Ino, name: &OsStr, perm: u16, caller: Caller) -> Answer<Entry> {
        self.make(parent, name, NewNode::File, perm, caller)
    }

    /// Makes a symbolic link.
    pub fn symlink(
        &self,
        parent: Ino,
        name: &OsStr,
        target: &OsStr,
        caller: Caller,
    ) -> Answer<Entry> {
        if target.len() > MAX_TARGET {
            return Answer::Now(Err(ErrorKind::NameTooLong.into()));
        }
        let new = NewNode::Symlink(target.to_owned());
        self.make(parent, name, new, 0o777, caller)
    }

    fn make(
        &self,
        parent: Ino,
        name: &OsStr,
        new: NewNode,
        perm: u16,
        caller: Caller,
    ) -> Answer<Entry> {
        let name = name.to_owned();
        self.listing(move |vfs| {
            let (node, ()) = vfs.make_node(parent, &name, &new, perm, caller, |_| ())?;
            Ok(vfs.entry(&node)?)
        })
    }

    /// Makes a node; `made` is called before anybody else can know of it.
    fn make_node<T>(
        &self,
        parent: Ino,
        name: &OsStr,
        new: &NewNode,
        perm: u16,
        caller: Caller,
        made: impl FnOnce(Ino) -> T,
    ) -> Result<(Node, T), Fault> {
        self.check_writable()?;
        if !matches!(new, NewNode::Folder) {
            self.check_account(1)?;
        }
        let gid = self.options().gid;
        let owner = |folder: &Node| ownership(folder, new, perm, caller, gid);
        let made = self
            .tree()
            .create(parent, name, new, owner, Time::now(), made)?;
        if !matches!(new, NewNode::File) {
            self.wake();
        }
        Ok(made)
    }

    /// Opens a file, and makes it if the name is free.
    pub fn create(
        &self,
        parent: Ino,
        name: &OsStr,
        perm: u16,
        flags: OpenFlags,
        caller: Caller,
    ) -> Answer<(Entry, Opened)> {
        let name = name.to_owned();
        self.listing(move |vfs| {
            let content = |ino| vfs.staging().made(ino);
            let made = vfs.make_node(parent, &name, &NewNode::File, perm, caller, content);
            match made {
                Err(Fault::Failed(e)) if e.kind() == ErrorKind::Exists && !flags.exclusive => {
                    let found = vfs.find(parent, &name)?;
                    let opened = vfs.open_node(&found, flags)?;
                    // As it is after O_TRUNC.
                    let node = vfs.node(found.ino)?;
                    Ok((vfs.entry(&node)?, opened))
                }
                made => {
                    let (node, content) = made?;
                    let hold = Hold::new(vfs, node.ino, content, flags.access);
                    let opened = vfs.opened(&node, hold, flags);
                    Ok((vfs.entry(&node)?, opened))
                }
            }
        })
    }

    /// Removes a file or link. Handles that are open on it keep its bytes.
    pub fn unlink(&self, parent: Ino, name: &OsStr, _caller: Caller) -> Answer<()> {
        let name = name.to_owned();
        self.listing(move |vfs| {
            vfs.check_writable()?;
            let node = vfs.tree().unlink(parent, &name, Time::now())?;
            vfs.lost_its_name(&node);
            Ok(())
        })
    }

    /// Removes an empty folder.
    pub fn rmdir(&self, parent: Ino, name: &OsStr, _caller: Caller) -> Answer<()> {
        let name = name.to_owned();
        self.listing(move |vfs| {
            vfs.check_writable()?;
            let node = vfs.tree().rmdir(parent, &name, Time::now())?;
            vfs.lost_its_name(&node);
            Ok(())
        })
    }

    /// Moves or renames. A file that is replaced keeps its bytes for handles that
    /// are open on it.
    pub fn rename(
        &self,
        parent: Ino,
        name: &OsStr,
        new_parent: Ino,
        new_name: &OsStr,
        mode: RenameMode,
        _caller: Caller,
    ) -> Answer<()> {
        let over = match mode {
            RenameMode::Replace => Over::Replace,
            RenameMode::NoReplace => Over::Refuse,
            // The service has no such step, and two renames would show a moment in
            // which a name is missing.
            RenameMode::Exchange => return Answer::Now(Err(ErrorKind::Invalid.into())),
        };
        let before = self.before_rename((parent, name), (new_parent, new_name));
        let (name, new_name): (OsString, OsString) = (name.to_owned(), new_name.to_owned());
        let rename = move |vfs: &Vfs| {
            vfs.check_writable()?;
            let renamed =
                vfs.tree()
                    .rename(parent, &name, new_parent, &new_name, over, Time::now())?;
            match &renamed.replaced {
                Some(replaced) => vfs.was_replaced(replaced),
                None => vfs.wake(),
            }
            Ok(())
        };
        let Some(before) = before else {
            return self.listing(rename);
        };
        let vfs = self.clone();
        let done = self.blocking(move || before.carry_out(&vfs));
        let vfs = self.clone();
        Answer::disk(async move {
            done.wait().await?;
            vfs.listing(rename).wait().await
        })
    }

    /// What must be done to a file before it is renamed.
    fn before_rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr)) -> Option<BeforeRename> {
        let node = match self.tree().lookup(from.0, from.1) {
            Ok(Lookup::Exists(node)) if node.kind == Kind::File => node,
            _ => return None,
        };
        let unsaved = self.inner.inodes.unsaved(node.ino);
        // What is not known may be there.
        let replaces = match self.tree().lookup(to.0, to.1) {
            Ok(Lookup::Exists(old)) => old.ino != node.ino && old.has_content(),
            // Should it turn up, both are there.
            Ok(Lookup::Gone | Lookup::New) => false,
            Ok(Lookup::Unknown) | Err(_) => true,
        };
        // Of what the service has as it is seen here nothing is on our disk alone; a file that
        // stays here is never pending.
        let here = node.pending.content || node.remote == Remote::None;
        let stored = replaces && (unsaved.is_some() || here);
        (unsaved.is_some() || stored).then_some(BeforeRename {
            ino: node.ino,
            unsaved,
            stored,
        })
    }

    pub(super) fn lost_its_name(&self, node: &Node) {
        if let Some(file) = node.remote_file() {
            self.staging().goes(&file.id, file.size);
        }
        self.let_go_of(node);
    }

    /// The service keeps its file until it has the one that took its place.
    fn was_replaced(&self, node: &Node) {
        if let Some(file) = node.remote_file() {
            self.staging().shrinks_with(file.id.clone(), file.size);
        }
        self.let_go_of(node);
    }

    fn let_go_of(&self, node: &Node) {
        let left = self.inner.inodes.unlinked(node.ino);
        self.settle(node.ino, left);
        self.wake();
    }
}

/// What a rename waits for.
struct BeforeRename {
    ino: Ino,
    /// What was written and not closed yet is stored first: what it replaces may go only once
    /// the service has it, and so it must be known to be sent.
    unsaved: Option<Arc<StagedFile>>,
    /// What replaces another file goes to the disk first, as ext4 does it (`auto_da_alloc`):
    /// a power cut that keeps the rename then keeps the bytes too, for the rename's
    /// transaction follows that which says so.
    stored: bool,
}

impl BeforeRename {
    fn carry_out(self, vfs: &Vfs) -> Result<(), Error> {
        if let Some(content) = &self.unsaved {
            vfs.save_open(content)?;
        }
        // Content that cannot be loaded has no bytes that could be lost.
        if self.stored
            && let Ok(node) = vfs.node(self.ino)
            && let Ok(hold) = vfs.hold(&node, OpenAccess::Read)
            && let Some(version) = hold.content.snapshot()
            && !version.is_on_disk()
        {
            version.sync()?;
        }
        Ok(())
    }
}

/// Who owns a new entry: its maker, and the folder's group if the folder hands
/// it on.
fn ownership(
    folder: &Node,
    new: &NewNode,
    perm: u16,
    caller: Caller,
    default_gid: u32,
) -> Ownership {
    let inherits =
        folder.kind == Kind::Folder && folder.attributes.mode.unwrap_or_default() & SET_GID != 0;
    let hands_on = inherits && matches!(new, NewNode::Folder);
    Ownership {
        mode: Some(u32::from(perm) | if hands_on { SET_GID } else { 0 }),
        uid: Some(caller.uid),
        gid: Some(if inherits {
            folder.attributes.gid.unwrap_or(default_gid)
        } else {
            caller.gid
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tree::listing::{Extent, Listing};
    use crate::tree::{self, ROOT};
    use crate::vfs::testing::{ANN, BOTH, House, READ, WRITE};
    use crate::vfs::{Access, SetAttr, Sight, VfsOptions};

    fn name(name: &str) -> &OsStr {
        OsStr::new(name)
    }

    #[test]
    fn a_name_is_there_gone_or_not_known() {
        let house = House::new();
        let ino = house.file("a", b"");
        let lookup = |folder, n| house.vfs.lookup(folder, name(n));
        assert_eq!(house.ok(lookup(ROOT, "a")).attr.ino, ino);
        assert_eq!(house.error(lookup(ROOT, "b")), ErrorKind::NotFound);
        assert_eq!(house.error(lookup(ino, "b")), ErrorKind::NotDir);
        // The service does not answer: nobody can say what is in there.
        let folder = house.remote_folder("far").ino;
        let unknown = house.error(lookup(folder, "b"));
        assert!(matches!(unknown, ErrorKind::Io | ErrorKind::TimedOut));
        let made = house.vfs.mkdir(folder, name("b"), 0o755, ANN);
        assert!(matches!(
            house.error(made),
            ErrorKind::Io | ErrorKind::TimedOut
        ));
        let removed = house.vfs.rmdir(ROOT, name("far"), ANN);
        assert!(matches!(
            house.error(removed),
            ErrorKind::Io | ErrorKind::TimedOut
        ));
    }

    /// A folder of which a part was listed.
    fn half_seen(house: &House, extent: Extent) -> Ino {
        let far = house.remote_folder("far").ino;
        let part = Listing {
            extent,
            ..Listing::default()
        };
        house.list(far, part);
        far
    }

    #[test]
    fn a_name_not_seen_can_be_made_where_the_user_says_that_such_names_are_new() {
        let house = House::new();
        let far = half_seen(&house, Extent::FilesCut);
        house.file("f", b"bytes");
        let vfs = &house.vfs;
        let lookup = |n| house.error(vfs.lookup(far, name(n)));
        assert_eq!(lookup("x"), ErrorKind::Io);
        house.tree.allow_new(far).unwrap();
        // Nobody waits for what may turn up, nor remembers that it did not.
        let Answer::Now(Err(now)) = vfs.lookup(far, name("x")) else {
            panic!("it waits")
        };
        assert_eq!(now.kind(), ErrorKind::NotSeen);
        // That is no proof that it is gone, for who tells others or removes it.
        assert_eq!(vfs.sight(far, name("x")).unwrap(), Sight::Unknown);
        let known = house.error(vfs.lookup_known(far, name("x"), None));
        assert_eq!(known, ErrorKind::Busy);
        assert_eq!(house.error(vfs.unlink(far, name("x"), ANN)), ErrorKind::Io);
        assert_eq!(
            house.error(vfs.rmdir(ROOT, name("far"), ANN)),
            ErrorKind::Io
        );

        house.ok(vfs.mkdir(far, name("d"), 0o755, ANN));
        house.ok(vfs.symlink(far, name("l"), name("target"), ANN));
        let exclusive = OpenFlags {
            exclusive: true,
            ..WRITE
        };
        house.ok(vfs.create(far, name("x"), 0o644, exclusive, ANN));
        let mode = RenameMode::Replace;
        house.ok(vfs.rename(ROOT, name("f"), far, name("f"), mode, ANN));
        for made in ["d", "l", "x", "f"] {
            house.ok(vfs.lookup(far, name(made)));
        }
        house.tree.disallow_new(far).unwrap();
        assert_eq!(lookup("y"), ErrorKind::Io);
        house.ok(vfs.lookup(far, name("x")));
    }

    #[test]
    fn where_nothing_can_be_made_names_not_seen_are_not_new_and_nobody_is_told_how() {
        let way_out = "fichierfs allow-new";
        for (access, shared, takes) in [
            (Access::ReadWrite, None, true),
            (Access::ReadOnly, None, false),
            (Access::ReadWrite, Some(tree::Access::Reading), false),
        ] {
            let house = House::with(VfsOptions {
                access,
                metadata_deadline: Duration::from_millis(50),
                ..VfsOptions::default()
            });
            let far = half_seen(&house, Extent::FilesCut);
            house.tree.allow_new(far).unwrap();
            let part = Listing {
                extent: Extent::FilesCut,
                access: shared,
                ..Listing::default()
            };
            house.list(far, part);
            assert_eq!(house.vfs.allows_new(far).unwrap(), takes);
            let expected = match takes {
                true => ErrorKind::NotSeen,
                false => ErrorKind::Io,
            };
            let error = || house.failure(house.vfs.lookup(far, name("x")));
            assert_eq!(error().kind(), expected);
            house.tree.disallow_new(far).unwrap();
            assert_eq!(error().kind(), ErrorKind::Io);
            assert_eq!(error().to_string().contains(way_out), takes);
            // Nor is who reads the folder, or removes from it.
            let removed = house.failure(house.vfs.unlink(far, name("x"), ANN));
            assert!(!removed.to_string().contains(way_out), "{removed}");
        }
    }

    #[test]
    fn a_folder_is_not_made_where_the_service_does_not_show_all_and_that_is_said() {
        let house = House::new();
        let far = half_seen(&house, Extent::Cut);
        house.tree.allow_new(far).unwrap();
        let error = house.failure(house.vfs.mkdir(far, name("d"), 0o755, ANN));
        assert_eq!(error.kind(), ErrorKind::Io);
        let reason = "does not show all sub-folders of this folder";
        assert!(error.to_string().contains(reason), "{error}");
        house.ok(house.vfs.create(far, name("f"), 0o644, WRITE, ANN));
    }

    #[test]
    fn what_replaces_other_bytes_is_on_the_disk_before_it_does() {
        let house = House::new();
        house.tree.keep_here(&[".goutput*".to_owned()]).unwrap();
        let is_on_disk = |ino: Ino| -> bool {
            let query = "SELECT unsynced IS NULL FROM staged WHERE ino = ?1";
            let found: Result<bool, crate::tree::TreeError> = house
                .store
                .read(|c| Ok(c.query_row(query, [ino.0 as i64], |row| row.get(0))?));
            found.unwrap()
        };
        // Nothing is lost by what takes a free name.
        let first = house.file("a.tmp", b"new");
        house.ok(house.rename("a.tmp", "a", RenameMode::Replace));
        assert!(!is_on_disk(first));
        for aside in ["b.tmp", ".goutputstream-B"] {
            let ino = house.file(aside, b"newer");
            assert!(!is_on_disk(ino), "{aside}");
            house.ok(house.rename(aside, "a", RenameMode::Replace));
            assert!(is_on_disk(ino), "{aside}");
        }
    }

    #[test]
    fn dots_are_names() {
        let house = House::new();
        let a = house.mkdir(ROOT, "a");
        let b = house.mkdir(a, "b");
        let ino = |folder, n| house.ok(house.vfs.lookup(folder, name(n))).attr.ino;
        assert_eq!(ino(b, "."), b);
        assert_eq!(ino(b, ".."), a);
        assert_eq!(ino(ROOT, ".."), ROOT);
    }

    #[test]
    fn what_is_made_is_its_makers_and_survives_a_kill() {
        let mut house = House::new();
        let made = house.ok(house.vfs.mkdir(ROOT, name("d"), 0o750, ANN));
        let node = house.ok(house.vfs.mknod(ROOT, name("f"), 0o640, ANN));
        house.next_process();
        let folder = house.attr(made.attr.ino);
        assert_eq!((folder.uid, folder.gid, folder.perm), (1000, 100, 0o750));
        assert_eq!(house.attr(node.attr.ino).perm, 0o640);
        assert!(house.wakes() > 0, "the folder is to be made there");
    }

    #[test]
    fn a_set_gid_folder_hands_its_group_on() {
        let house = House::new();
        let folder = house.mkdir(ROOT, "d");
        let shared = SetAttr {
            perm: Some(0o2775),
            gid: Some(77),
            ..SetAttr::default()
        };
        house.ok(house.vfs.setattr(folder, None, shared, ANN));
        let sub = house.ok(house.vfs.mkdir(folder, name("s"), 0o755, ANN));
        assert_eq!((sub.attr.gid, sub.attr.perm), (77, 0o2755));
        let file = house.ok(house.vfs.mknod(folder, name("f"), 0o644, ANN));
        assert_eq!((file.attr.gid, file.attr.perm), (77, 0o644));
    }

    #[test]
    fn creating_opens_what_exists_unless_it_must_not() {
        let house = House::new();
        let ino = house.file("a", b"content");
        let create = |flags| house.vfs.create(ROOT, name("a"), 0o600, flags, ANN);
        let (entry, opened) = house.ok(create(BOTH));
        assert_eq!(entry.attr.ino, ino);
        assert_eq!(house.read(opened.fh), "content");
        let cut = OpenFlags {
            truncate: true,
            ..BOTH
        };
        assert_eq!(house.ok(create(cut)).0.attr.size, 0);
        let exclusive = OpenFlags {
            exclusive: true,
            ..WRITE
        };
        assert_eq!(house.error(create(exclusive)), ErrorKind::Exists);
        house.mkdir(ROOT, "d");
        let folder = house.vfs.create(ROOT, name("d"), 0o600, WRITE, ANN);
        assert_eq!(house.error(folder), ErrorKind::IsDir);
    }

    #[test]
    fn names_over_the_limits_are_refused() {
        let house = House::new();
        let long = "x".repeat(251);
        let made = house.vfs.mkdir(ROOT, name(&long), 0o755, ANN);
        assert_eq!(house.error(made), ErrorKind::NameTooLong);
        house.file("a", b"");
        let renamed = house.rename("a", &long, RenameMode::Replace);
        assert_eq!(house.error(renamed), ErrorKind::NameTooLong);
    }

    #[test]
    fn folders_go_when_they_are_empty() {
        let house = House::new();
        let d = house.mkdir(ROOT, "d");
        house.mkdir(d, "sub");
        house.file("f", b"");
        let rmdir = |n| house.vfs.rmdir(ROOT, name(n), ANN);
        assert_eq!(house.error(rmdir("d")), ErrorKind::NotEmpty);
        assert_eq!(house.error(rmdir("f")), ErrorKind::NotDir);
        assert_eq!(house.error(house.unlink("d")), ErrorKind::IsDir);
        house.ok(house.vfs.rmdir(d, name("sub"), ANN));
        house.ok(rmdir("d"));
        assert_eq!(house.error(rmdir("d")), ErrorKind::NotFound);
    }

    #[test]
    fn renames_obey_their_mode() {
        let house = House::new();
        let a = house.file("a", b"a");
        house.file("b", b"b");
        let refused = house.rename("a", "b", RenameMode::NoReplace);
        assert_eq!(house.error(refused), ErrorKind::Exists);
        let swapped = house.rename("a", "b", RenameMode::Exchange);
        assert_eq!(house.error(swapped), ErrorKind::Invalid);
        assert_eq!(house.content("b"), "b");
        house.ok(house.rename("a", "b", RenameMode::Replace));
        assert_eq!(house.node("b").ino, a);
        assert_eq!(
            house.error(house.vfs.lookup(ROOT, name("a"))),
            ErrorKind::NotFound
        );
    }

    #[test]
    fn what_an_unclosed_file_replaces_stays_until_that_was_sent() {
        let mut house = House::new();
        house.remote("film", b"old");
        let (_, fh) = house.create("new");
        house.write(fh, 0, b"newer");
        house.ok(house.rename("new", "film", RenameMode::Replace));
        let ready = house.tree.ready(Time::now(), 10, &|_| false).unwrap();
        assert_eq!(ready, [], "the old file is not removed yet");
        house.next_process();
        assert_eq!(house.content("film"), "newer");
    }

    #[test]
    fn what_an_open_file_holds_is_stored_by_a_rename_also_to_a_free_name() {
        let mut house = House::new();
        let (ino, fh) = house.create("new");
        house.write(fh, 0, b"before");
        house.ok(house.rename("new", "free", RenameMode::Replace));
        house.write(fh, 0, b"after it");
        house.next_process();
        assert_eq!(house.node("free").ino, ino);
        assert_eq!(house.content("free"), "before");
    }

    #[test]
    fn a_folder_does_not_go_over_a_full_one_or_into_itself() {
        let house = House::new();
        let d = house.mkdir(ROOT, "d");
        let full = house.mkdir(ROOT, "full");
        house.mkdir(full, "x");
        let over = house.rename("d", "full", RenameMode::Replace);
        assert_eq!(house.error(over), ErrorKind::NotEmpty);
        let mode = RenameMode::Replace;
        let within = house.vfs.rename(ROOT, name("d"), d, name("d"), mode, ANN);
        assert_eq!(house.error(within), ErrorKind::Invalid);
    }

    #[test]
    fn an_unlinked_name_stays_unlinked_after_a_kill() {
        let mut house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"x");
        house.ok(house.unlink("a"));
        house.next_process();
        assert_eq!(
            house.error(house.vfs.lookup(ROOT, name("a"))),
            ErrorKind::NotFound
        );
        assert!(house.tree.node(ino).unwrap().is_none(), "cleared at start");
    }

    #[test]
    fn a_read_only_mount_takes_no_change() {
        let house = House::with(VfsOptions {
            access: Access::ReadOnly,
            ..VfsOptions::default()
        });
        let ino = house.remote("film", b"bytes").ino;
        let vfs = &house.vfs;
        let film = name("film");
        let mode = RenameMode::Replace;
        let refusals = [
            house.error(vfs.mkdir(ROOT, name("d"), 0o755, ANN)),
            house.error(vfs.symlink(ROOT, name("l"), name("t"), ANN)),
            house.error(vfs.create(ROOT, name("f"), 0o644, WRITE, ANN)),
            house.error(vfs.unlink(ROOT, film, ANN)),
            house.error(vfs.rename(ROOT, film, ROOT, name("x"), mode, ANN)),
            house.error(vfs.open(ino, WRITE, ANN)),
            house.error(vfs.setattr(ino, None, SetAttr::default(), ANN)),
            house.error(vfs.removexattr(ino, name("user.x"), ANN)),
        ];
        assert_eq!(refusals, [ErrorKind::ReadOnly; 8]);
        assert_eq!(house.read(house.open(ino, READ)), "bytes");
    }
}
