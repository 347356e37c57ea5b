//! What the user says of names that were not seen in a folder that is not known whole.

use std::time::Instant;

use super::answers::{Handle, PATIENCE, not_listed};
use super::overview::why;
use crate::control::protocol::{NewNames, NewNamesRequest, SCHEMA};
use crate::control::{Refusal, RefusalKind};
use crate::ids::Ino;
use crate::tree::{Access, Kind, Node, TreeError};

impl Handle {
    /// Has names that were not seen in a folder count as new, or takes that back.
    pub(super) async fn new_names_in(&self, ask: NewNamesRequest) -> Result<NewNames, Refusal> {
        let folder = self.find(&ask.path).await?;
        let below = &self.shared.parts.below;
        if folder.kind != Kind::Folder {
            let line = "it is no folder: give the folder in which new names are to be made";
            return Err(Refusal::new(RefusalKind::Failed, line));
        }
        if ask.off {
            below
                .tree
                .disallow_new(folder.ino)
                .map_err(Refusal::failed)?;
        } else {
            self.check_makes(&folder)?;
            // A folder of which nothing was seen may turn out to be known whole.
            below
                .refresher
                .ensure_known(folder.ino, Instant::now() + PATIENCE)
                .await
                .map_err(not_listed)?;
            below.tree.allow_new(folder.ino).map_err(Refusal::failed)?;
        }
        self.new_names_told(folder.ino).map_err(Refusal::failed)
    }

    /// Refuses where nothing can be made, whatever its names are.
    fn check_makes(&self, node: &Node) -> Result<(), Refusal> {
        let line = if self.shared.settings.is_read_only() {
            "the mount is read-only: nothing can be made in it"
        } else if node.access == Access::Reading {
            "its owner shares it for reading only: nothing can be made in it"
        } else {
            return Ok(());
        };
        Err(Refusal::new(RefusalKind::Failed, line))
    }

    fn new_names_told(&self, folder: Ino) -> Result<NewNames, TreeError> {
        let parts = &self.shared.parts;
        let (below, vfs) = (&parts.below, &parts.vfs);
        let node = below.tree.node(folder)?.ok_or(TreeError::NotFound)?;
        let whole = node.known.is_complete();
        let new_names = match whole {
            true => vfs.may_allow_new(&node),
            false => vfs.allows_new(folder)?,
        };
        let reason = (!whole).then(|| why(below.refresher.stands(&node)));
        Ok(NewNames {
            schema: SCHEMA,
            path: self.shown(folder)?,
            whole,
            new_names,
            new_folders: new_names && node.known.has_all_folders(),
            reason,
        })
    }
}
