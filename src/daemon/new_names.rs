//! What the user says of names that were not seen in a folder that is not known whole.

use std::time::Instant;

use super::answers::{Handle, PATIENCE, not_listed};
use crate::control::protocol::{NewNames, NewNamesRequest, SCHEMA};
use crate::control::{Refusal, RefusalKind};
use crate::ids::Ino;
use crate::tree::{Access, Kind, Node, TreeError};

impl Handle {
    /// Has names that were not seen in a folder count as new, or takes that back.
    pub(super) async fn new_names_in(&self, ask: NewNamesRequest) -> Result<NewNames, Refusal> {
        let folder = self.find(&ask.path).await?;
        self.check_makes(&folder)?;
        let below = &self.shared.parts.below;
        if ask.off {
            below
                .tree
                .disallow_new(folder.ino)
                .map_err(Refusal::failed)?;
        } else {
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
        let line = if node.kind != Kind::Folder {
            "it is no folder: give the folder in which new names are to be made"
        } else if self.shared.settings.is_read_only() {
            "the mount is read-only: nothing can be made in it"
        } else if node.access == Access::Reading {
            "its owner shares it for reading only: nothing can be made in it"
        } else {
            return Ok(());
        };
        Err(Refusal::new(RefusalKind::Failed, line))
    }

    fn new_names_told(&self, folder: Ino) -> Result<NewNames, TreeError> {
        let tree = &self.shared.parts.below.tree;
        let node = tree.node(folder)?.ok_or(TreeError::NotFound)?;
        let whole = node.known.is_complete();
        Ok(NewNames {
            schema: SCHEMA,
            path: self.shown(folder)?,
            whole,
            new_names: whole || tree.allows_new(folder)?,
        })
    }
}
