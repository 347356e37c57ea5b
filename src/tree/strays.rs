//! Files that lie in the root of the account, since the folder that they were sent to was gone: the
//! service says nothing of it (API notes 3.2).
//!
//! The root's listing shows such a file though nothing ever showed it in its folder. Whether that
//! is gone its own listing tells: until then the file stays where it hangs, as lying in the root
//! there. If it is gone, it is made anew and the file moved to it, as with what was not sent yet; if
//! not, somebody moved the file, and the next listing of the root has it. So did somebody if the root
//! was listed whole since the file was sent and did not show it.

use std::time::Duration;

use rusqlite::{Connection, Transaction};

use super::node::{Known, Node, ROOT, Remote};
use super::wanted::place_seen;
use super::{Tree, TreeError, rows};
use crate::ids::{FolderId, Ino};

type Result<T> = std::result::Result<T, TreeError>;

/// What the root's listing says of a file by showing it.
pub(super) enum Sight {
    /// Where it is.
    There,
    /// Whether the folder that it was sent to is gone is to be found out first.
    Unsure,
    /// That the folder is gone.
    Strayed,
}

/// What it says of `node`, as that and the `root` were known before. A listing tells of what we did a
/// `lag` before.
pub(super) fn sight(c: &Connection, node: &Node, root: Known, lag: Duration) -> Result<Sight> {
    let hangs = match &node.place {
        Some(place) => Some(place.clone()),
        None => rows::gone_from(c, node.ino)?,
    };
    let Some(hangs) = hangs.filter(|place| place.parent != ROOT) else {
        return Ok(Sight::There);
    };
    let (Some(folder), Some(sent)) = (
        rows::by_ino(c, hangs.parent)?,
        rows::confirmed_at(c, node.ino)?,
    ) else {
        return Ok(Sight::There);
    };
    if folder.known.at().is_some_and(|at| at.before(lag) >= sent) {
        return Ok(Sight::There);
    }
    let there = node.remote.place().map(|place| place.folder);
    // Twice, since a listing is taken in a while after it was asked for.
    if let Known::Whole(at) = root
        && at.before(lag).before(lag) >= sent
        && there != Some(FolderId::ROOT)
    {
        return Ok(Sight::There);
    }
    let same = there == Some(FolderId::ROOT) || there == folder.folder_id();
    let exists = folder.folder_id().is_some() && same && rows::is_within(c, folder.ino, ROOT)?;
    Ok(match (exists, &node.place) {
        (false, _) => Sight::Strayed,
        (true, Some(_)) => Sight::Unsure,
        (true, None) => Sight::There,
    })
}

/// The file is `remote`, in the root, and its folder, which was gone, is to be made anew: it is moved there.
pub(super) fn bring_back(tx: &Transaction<'_>, ino: Ino, remote: &Remote) -> Result<()> {
    rows::set_remote(tx, ino, remote, None)?;
    let Some(node) = rows::by_ino(tx, ino)? else {
        return Ok(());
    };
    if !node.pending.place {
        is_moved(tx, &node)?;
    }
    Ok(())
}

/// Files that strayed from a folder that is to be made anew are moved to it.
pub(super) fn follow_folder(tx: &Transaction<'_>, folder: Ino) -> Result<()> {
    for node in rows::strays_in(tx, folder)? {
        is_moved(tx, &node)?;
    }
    Ok(())
}

fn is_moved(tx: &Transaction<'_>, node: &Node) -> Result<()> {
    if let Some(path) = rows::path(tx, node.ino)? {
        tracing::warn!(
            path = %format!("/{}", path.display()),
            "the folder was gone when this was sent to it: the service put the file in the root of \
             the account. The folder is made anew, and the file moved to it"
        );
    }
    place_seen(tx, node)
}

impl Tree {
    /// Folders that may be gone, since files that were sent to them are in the root.
    pub fn folders_of_strays(&self) -> Result<Vec<Ino>> {
        self.store.read(|c| Ok(rows::folders_of_strays(c)?))
    }
}
