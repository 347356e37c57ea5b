//! What a listing of the service does to the tree.
//!
//! The confirmed half follows the listing, except where a change of our own was
//! confirmed so recently that the listing may lag behind it (the `listing_lag`
//! of the tree), or is queued ([`removals`]). The wanted half follows the
//! confirmed one where the user has no pending wish.
//!
//! Nothing is believed to be gone on weak evidence: a listing cut off at the
//! service's cap removes nothing of what it may lack, and one that is empty where
//! entries were known is asked for a second time first, and makes no folder known whole that was
//! not. A cut listing is completed by
//! slices ([`Tree::merge_slice`], [`Tree::complete`]). What does go takes no staged content with
//! it: a file with unsent changes becomes a file to be sent anew.

use std::collections::HashSet;
use std::ffi::OsString;
use std::time::Duration;

use rusqlite::Transaction;

use super::events::Change;
use super::listing::{Extent, ListedFile, Listing};
use super::node::{
    Access, Attributes, Kind, Known, Node, Pending, Place, ROOT, Remote, RemoteFile, RemoteFolder,
    RemotePlace,
};
use super::strays::{self, Sight};
use super::twins;
use super::vanished::{distinct_name, revive, vanish};
use super::wanted::{place_seen, shown_name};
use super::{Tree, TreeError, attempts, names, removals, rows, unanswered};
use crate::ids::{FileId, FolderId, Ino, Time};

type Result<T> = std::result::Result<T, TreeError>;

/// How far the service's clock may be from ours.
const CLOCKS: Duration = Duration::from_secs(600);

/// An entry of either kind.
struct Entry {
    kind: Kind,
    rid: String,
    place: RemotePlace,
    remote: Remote,
    size: u64,
    date: Option<Time>,
    protected: bool,
    display: OsString,
}

impl Tree {
    /// Takes in a listing of `folder` that was asked for at `asked`. Returns what
    /// the kernel must hear of.
    ///
    /// # Errors
    /// [`TreeError::NotFound`] when the folder is no longer in the tree.
    pub fn merge(
        &self,
        folder: Ino,
        listing: Listing,
        asked: Time,
        now: Time,
    ) -> Result<Vec<Change>> {
        self.merging(folder, asked, now, |merge| merge.run(listing))
    }

    /// Takes in files of a folder that lists more of them than a listing holds. What
    /// is not among them stays as it is.
    ///
    /// # Errors
    /// As [`Tree::merge`].
    pub fn merge_slice(
        &self,
        folder: Ino,
        files: Vec<ListedFile>,
        asked: Time,
        now: Time,
    ) -> Result<Vec<Change>> {
        self.merging(folder, asked, now, |merge| {
            let entries = merge.entries(Listing {
                files,
                ..Listing::default()
            });
            entries.iter().try_for_each(|entry| merge.take(entry))
        })
    }

    /// All files of a folder were seen, in slices that were asked for from `asked` on:
    /// the others are gone.
    ///
    /// # Errors
    /// As [`Tree::merge`].
    pub fn complete(
        &self,
        folder: Ino,
        seen: impl FnOnce() -> HashSet<FileId>,
        asked: Time,
        now: Time,
    ) -> Result<Vec<Change>> {
        self.merging(folder, asked, now, |merge| {
            // Within the transaction: no listing comes in between.
            let seen = seen();
            let gone = merge.missing(|node| match &node.remote {
                Remote::File(file) => !seen.contains(&file.id),
                Remote::Folder(_) | Remote::None => false,
            })?;
            merge.remove(&gone)?;
            Ok(rows::set_known(merge.tx, folder, Known::Whole(now))?)
        })
    }

    fn merging(
        &self,
        folder: Ino,
        asked: Time,
        now: Time,
        work: impl FnOnce(&mut Merge<'_>) -> Result<()>,
    ) -> Result<Vec<Change>> {
        self.store.write(|tx| {
            let node = rows::by_ino(tx, folder)?.ok_or(TreeError::NotFound)?;
            let id = node.folder_id().ok_or(TreeError::NotFound)?;
            let mut merge = Merge {
                tx,
                folder: node,
                id,
                asked,
                now,
                lag: self.listing_lag,
                misnamed: Vec::new(),
                changes: Vec::new(),
            };
            work(&mut merge)?;
            // All dates that the listing tells are known only now.
            for ino in merge.misnamed {
                merge.changes.extend(twins::name_anew(tx, ino)?);
            }
            Ok(merge.changes)
        })
    }
}

struct Merge<'a> {
    tx: &'a Transaction<'a>,
    folder: Node,
    id: FolderId,
    asked: Time,
    now: Time,
    lag: Duration,
    /// Files that have not the name here that they have there: something else had it.
    misnamed: Vec<Ino>,
    changes: Vec<Change>,
}

impl Merge<'_> {
    fn run(&mut self, listing: Listing) -> Result<()> {
        let (extent, lacks) = (listing.extent, listing.lacks);
        self.note_access(listing.access)?;
        let entries = self.entries(listing);
        let seen: HashSet<(bool, &str)> = entries
            .iter()
            .map(|e| (e.kind == Kind::Folder, e.rid.as_str()))
            .collect();
        let missing = self.missing(|node| {
            let listed = |rid: String| seen.contains(&(node.kind == Kind::Folder, rid.as_str()));
            extent.shows_all(node.kind) && !node.remote.rid().is_some_and(listed)
        })?;
        // Empty where entries were known, or not all that it counts: asked again before it is
        // believed.
        let again = extent == Extent::Whole
            && matches!(self.folder.known, Known::Doubted(_) | Known::DoubtedPart(_));
        let (doubted, gone): (Vec<Node>, Vec<Node>) = missing
            .into_iter()
            .partition(|node| !again && (entries.is_empty() || lacks.some(node.kind)));
        self.remove(&gone)?;
        for entry in &entries {
            self.take(entry)?;
        }
        let state = match (extent, self.folder.known) {
            (Extent::Whole, Known::Whole(_)) if !doubted.is_empty() => Known::Doubted(self.now),
            // Not known whole by what came before, nor by an answer that is not believed.
            (Extent::Whole, _) if !doubted.is_empty() => Known::DoubtedPart(self.now),
            (Extent::Whole, Known::Never | Known::FilesCut(_) | Known::Cut(_)) if lacks.counted => {
                Known::Lacking(self.now)
            }
            (Extent::Whole, _) => Known::Whole(self.now),
            // Seen whole before: that holds until the slices are in.
            (Extent::FilesCut, Known::Whole(at)) => Known::Whole(at),
            // No word of sub-folders is believed where none were known, as of a whole folder.
            (Extent::FilesCut, _) if doubted.is_empty() => Known::FilesCut(self.now),
            (Extent::FilesCut | Extent::Cut, _) => Known::Cut(self.now),
        };
        if self.folder.ino == ROOT {
            rows::date_root(self.tx, self.now)?;
        }
        Ok(rows::set_known(self.tx, self.folder.ino, state)?)
    }

    fn note_access(&mut self, access: Option<Access>) -> Result<()> {
        // Where nothing is told, it is as the folder above: of one's own no answer says so.
        let above = self.folder.place.as_ref().map(|place| place.parent);
        let above = match above {
            Some(above) => rows::by_ino(self.tx, above)?.map(|folder| folder.access),
            None => Some(Access::Own),
        };
        let own = above.filter(|above| *above == Access::Own);
        let Some(access) = access
            .or(own)
            .filter(|access| *access != self.folder.access)
        else {
            return Ok(());
        };
        self.folder.access = access;
        self.changes.push(Change::Attributes(self.folder.ino));
        rows::set_access(self.tx, self.folder.ino, access)?;
        if access == Access::Reading {
            // What holds here holds below, unless a listing there says otherwise.
            let closed = rows::close_below(self.tx, self.folder.ino)?;
            self.changes
                .extend(closed.into_iter().map(Change::Attributes));
        }
        Ok(())
    }

    /// Nodes that the service had in the folder, and that it would show if it still
    /// had them, as far as `unseen` says so.
    fn missing(&self, unseen: impl Fn(&Node) -> bool) -> Result<Vec<Node>> {
        let mut missing = Vec::new();
        for node in rows::confirmed_in(self.tx, self.id)? {
            // What the user moved away may have left by our own call, of which we
            // are yet to be told: how that ends decides.
            let leaving = node.pending.place;
            if unseen(&node) && !leaving && node.place.is_some() && !self.is_fresh(node.ino)? {
                missing.push(node);
            }
        }
        Ok(missing)
    }

    fn remove(&mut self, gone: &[Node]) -> Result<()> {
        for node in gone {
            self.changes.extend(vanish(self.tx, node)?);
        }
        Ok(())
    }

    /// The listing's entries in the order in which they take names: folders
    /// first, then the newest of each name.
    fn entries(&self, listing: Listing) -> Vec<Entry> {
        let folders = listing.folders.into_iter().map(|f| {
            let place = RemotePlace {
                folder: self.id,
                name: f.name,
            };
            Entry {
                kind: Kind::Folder,
                rid: f.id.to_string(),
                display: shown_name(Kind::Folder, &place.name),
                remote: Remote::Folder(RemoteFolder {
                    id: f.id,
                    place: Some(place.clone()),
                }),
                place,
                size: 0,
                date: f.created,
                protected: f.protected,
            }
        });
        let files = listing.files.into_iter().map(|f| {
            let place = RemotePlace {
                folder: self.id,
                name: f.name,
            };
            let kind = match names::is_links(&place.name) && names::holds_target(f.size) {
                true => Kind::Symlink,
                false => Kind::File,
            };
            Entry {
                kind,
                rid: f.id.to_string(),
                display: shown_name(kind, &place.name),
                remote: Remote::File(RemoteFile {
                    id: f.id,
                    place: place.clone(),
                    size: f.size,
                    whirlpool: f.whirlpool,
                    date: f.date,
                }),
                place,
                size: f.size,
                date: f.date,
                protected: f.protected,
            }
        });
        let mut entries: Vec<Entry> = folders.chain(files).collect();
        entries.sort_by(|a, b| {
            (b.kind == Kind::Folder)
                .cmp(&(a.kind == Kind::Folder))
                .then(b.date.cmp(&a.date))
                .then_with(|| a.rid.cmp(&b.rid))
        });
        entries
    }

    /// Whether a change of our own is so recent that the listing may not show it.
    fn is_fresh(&self, ino: Ino) -> Result<bool> {
        let confirmed = rows::confirmed_at(self.tx, ino)?;
        Ok(confirmed.is_some_and(|at| at > self.asked.before(self.lag)))
    }

    fn take(&mut self, entry: &Entry) -> Result<()> {
        if removals::hides(self.tx, entry.kind, &entry.rid, self.now)? {
            return Ok(());
        }
        let known = match &entry.remote {
            Remote::Folder(folder) => rows::by_folder_id(self.tx, folder.id)?,
            _ => rows::by_file_id(self.tx, &entry.rid)?,
        };
        match known {
            // Its removal was given up. The inode that was unlinked stays so.
            Some(node) if node.place.is_none() && rows::gone_from(self.tx, node.ino)?.is_none() => {
                rows::set_remote(self.tx, node.ino, &Remote::None, None)?;
            }
            Some(node) => return self.follow(&node, entry),
            None => {}
        }
        match &entry.remote {
            // The result of an upload of ours, seen before we were told of it.
            Remote::File(file) if attempts::is_being_sent(self.tx, file)? => Ok(()),
            Remote::Folder(_) => match self.unmade(entry)? {
                Some(node) => self.adopt(&node, entry),
                None => match self.made_in_vain(entry)? {
                    Some(ino) => self.refuse(ino, entry),
                    None => self.insert(entry),
                },
            },
            _ => self.insert(entry),
        }
    }

    /// A folder made here under this name, or asked to be made so before it was renamed here, of
    /// which the service is not known to have anything.
    fn unmade(&self, entry: &Entry) -> Result<Option<Node>> {
        if let Some(ino) = unanswered::made_at(self.tx, &entry.place)? {
            return Ok(rows::by_ino(self.tx, ino)?);
        }
        let holder = rows::by_name(self.tx, self.folder.ino, &entry.display)?;
        Ok(holder.filter(|node| node.pending.make))
    }

    /// Made here and there: by somebody else, or by ourselves before a crash.
    /// Both are one from now on, and what is in it there has not been seen.
    fn adopt(&mut self, node: &Node, entry: &Entry) -> Result<()> {
        // Older listings do not show it yet.
        let asked = unanswered::of(self.tx, node.ino)?.map(|asked| asked.at);
        rows::set_remote(self.tx, node.ino, &entry.remote, asked)?;
        unanswered::forget(self.tx, node.ino)?;
        // One that was removed here before may have left it: it serves this one.
        if let Some(ino) = unanswered::unmade_at(self.tx, &entry.place)? {
            unanswered::forget(self.tx, ino)?;
            rows::delete_orphan(self.tx, ino)?;
        }
        let made = Node {
            remote: entry.remote.clone(),
            pending: Pending::default(),
            ..node.clone()
        };
        place_seen(self.tx, &made)?;
        Ok(rows::set_known(self.tx, node.ino, Known::Never)?)
    }

    /// The folder that we asked for and removed here before we knew of it, if this is it by its
    /// date: somebody else may have made one since.
    fn made_in_vain(&self, entry: &Entry) -> Result<Option<Ino>> {
        let Some(ino) = unanswered::unmade_at(self.tx, &entry.place)? else {
            return Ok(None);
        };
        let node = rows::by_ino(self.tx, ino)?;
        let begun = node.map(|node| node.attributes.btime.before(CLOCKS));
        let asked = unanswered::of(self.tx, ino)?.map(|asked| asked.at.after(CLOCKS));
        let ours = |((begun, asked), date)| begun <= date && date <= asked;
        Ok(begun
            .zip(asked)
            .zip(entry.date)
            .is_some_and(ours)
            .then_some(ino))
    }

    /// Made by us after all, and removed here before that was known: it goes there too, if nothing
    /// is in it.
    fn refuse(&mut self, ino: Ino, entry: &Entry) -> Result<()> {
        let made = removals::Object {
            kind: entry.kind,
            rid: &entry.rid,
            place: &entry.place,
            made_at: None,
        };
        removals::queue_object(self.tx, &made, None, self.now)?;
        unanswered::forget(self.tx, ino)?;
        Ok(rows::delete_orphan(self.tx, ino)?)
    }

    /// A node that we know: here as before, moved or renamed by somebody else, or
    /// back again.
    fn follow(&mut self, node: &Node, entry: &Entry) -> Result<()> {
        if self.shows_elsewhere(node)? {
            return Ok(());
        }
        let moved = node.remote.place() != Some(&entry.place);
        if moved && node.place.is_some() && self.is_fresh(node.ino)? {
            return Ok(()); // The listing lags behind our own move.
        }
        let asked = unanswered::of(self.tx, node.ino)?;
        let arrived = asked.filter(|asked| asked.place == entry.place);
        if node.remote != entry.remote || arrived.is_some() {
            // Listings that are older than the call do not show it there yet.
            let since = arrived.as_ref().map(|asked| asked.at);
            rows::set_remote(self.tx, node.ino, &entry.remote, since)?;
        }
        if arrived.is_some() {
            unanswered::forget(self.tx, node.ino)?;
        }
        if node.protected != entry.protected {
            rows::set_protected(self.tx, node.ino, entry.protected)?;
        }
        // A folder's own listing tells of it.
        if entry.kind != Kind::Folder && node.access != self.folder.access {
            rows::set_access(self.tx, node.ino, self.folder.access)?;
            self.changes.push(Change::Attributes(node.ino));
        }
        if node.pending.place {
            // The user's own wish wins, and may have come true.
            let node = rows::by_ino(self.tx, node.ino)?.ok_or(TreeError::NotFound)?;
            return place_seen(self.tx, &node);
        }
        if self.folder.ino == ROOT && entry.kind != Kind::Folder {
            match strays::sight(self.tx, node, self.folder.known, self.lag)? {
                Sight::There => {}
                Sight::Unsure => return Ok(()),
                Sight::Strayed => {
                    revive(self.tx, node.ino)?;
                    strays::bring_back(self.tx, node.ino, &entry.remote)?;
                    return self.tell_above(node.ino);
                }
            }
        }
        if node.kind == Kind::Symlink && entry.kind == Kind::File && node.target.is_none() {
            return self.come_anew(node, entry);
        }
        // What is unsent goes under the name that it has here.
        let stays = node.place.as_ref().is_some_and(|place| {
            let named = place.name == entry.display || node.pending.content;
            place.parent == self.folder.ino && !moved && named
        });
        if stays {
            return Ok(());
        }
        if entry.kind == Kind::Folder && rows::is_within(self.tx, self.folder.ino, node.ino)? {
            // Two listings of different age can seem to put a folder below
            // itself; the next ones will agree.
            return Ok(());
        }
        let name = self.free_name(entry, node.ino)?;
        if name != entry.display {
            self.misnamed.push(node.ino);
        }
        let place = Place {
            parent: self.folder.ino,
            name,
        };
        if node.place.as_ref() == Some(&place) {
            return Ok(());
        }
        rows::set_place(self.tx, node.ino, Some(&place))?;
        if let Some(old) = &node.place {
            self.tell_entry(old);
        }
        self.tell_entry(&place);
        Ok(())
    }

    /// What was taken for a symbolic link, and holds no target: the kernel does not bear that an inode
    /// becomes something else.
    fn come_anew(&mut self, node: &Node, entry: &Entry) -> Result<()> {
        rows::set_place(self.tx, node.ino, None)?;
        rows::set_remote(self.tx, node.ino, &Remote::None, None)?;
        self.changes
            .extend(node.place.iter().map(|place| Change::Gone {
                parent: place.parent,
                child: node.ino,
                name: place.name.clone(),
            }));
        self.insert(entry)
    }

    /// A folder is in one place. Where several list it, one's own folders go before the folder of
    /// what is named as shared, and that before those of others.
    fn shows_elsewhere(&self, node: &Node) -> Result<bool> {
        let claim = |folder: &Node| match folder.access {
            Access::Own => 2,
            _ if folder.folder_id() == Some(FolderId::shared()) => 1,
            Access::Changes | Access::Reading => 0,
        };
        if node.kind != Kind::Folder || claim(&self.folder) == 2 {
            return Ok(false);
        }
        let above = node.place.as_ref().map(|place| place.parent);
        let above = above
            .map(|above| rows::by_ino(self.tx, above))
            .transpose()?;
        Ok(above
            .flatten()
            .is_some_and(|above| claim(&above) > claim(&self.folder)))
    }

    fn insert(&mut self, entry: &Entry) -> Result<()> {
        let name = self.free_name(entry, Ino(0))?;
        let misnamed = name != entry.display;
        let date = entry.date.unwrap_or(self.now);
        let place = Place {
            parent: self.folder.ino,
            name,
        };
        // What the kernel can have kept of a new name is that it does not exist, and of a folder
        // never listed it has not even that. The news would cost a file that was opened
        // meanwhile its pages.
        if self.folder.known != Known::Never {
            self.tell_entry(&place);
        }
        let ino = rows::insert(
            self.tx,
            &Node {
                ino: Ino(0),
                place: Some(place),
                kind: entry.kind,
                attributes: Attributes {
                    mode: None,
                    uid: None,
                    gid: None,
                    atime: date,
                    mtime: date,
                    ctime: date,
                    btime: date,
                },
                size: entry.size,
                target: None,
                remote: entry.remote.clone(),
                pending: Pending::default(),
                known: Known::Never,
                name_changes: 0,
                protected: entry.protected,
                access: self.folder.access,
            },
        )?;
        if misnamed {
            self.misnamed.push(ino);
        }
        Ok(())
    }

    /// The name for an entry: its own if that is free, else one with its id.
    fn free_name(&self, entry: &Entry, me: Ino) -> Result<OsString> {
        let folder = self.folder.ino;
        let holder = rows::by_name(self.tx, folder, &entry.display)?;
        if names::fits(&entry.display) && holder.is_none_or(|holder| holder.ino == me) {
            return Ok(entry.display.clone());
        }
        distinct_name(self.tx, folder, &entry.display, &entry.rid, me)
    }

    /// Tells of a node and of the folders above it.
    fn tell_above(&mut self, ino: Ino) -> Result<()> {
        let mut at = ino;
        while let Some(place) = rows::by_ino(self.tx, at)?.and_then(|node| node.place) {
            self.tell_entry(&place);
            at = place.parent;
        }
        Ok(())
    }

    fn tell_entry(&mut self, place: &Place) {
        self.changes.push(Change::Entry {
            parent: place.parent,
            name: place.name.clone(),
        });
    }
}
