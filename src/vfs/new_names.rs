//! Names that were not seen where the user said that such names count as new: where this mount takes
//! changes, and nowhere else.

use super::{Access, Vfs};
use crate::ids::Ino;
use crate::tree::{self, Node, TreeError};

impl Vfs {
    /// Whether the mount takes changes at all.
    pub(super) fn takes_changes(&self) -> bool {
        self.options().access == Access::ReadWrite
    }

    /// Whether names that were not seen in a folder count as new.
    ///
    /// # Errors
    /// When the database fails.
    pub fn allows_new(&self, folder: Ino) -> Result<bool, TreeError> {
        Ok(self.takes_changes() && self.tree().allows_new(folder)?)
    }

    /// Whether the user may say so of a folder: where something can be made in it.
    pub fn may_allow_new(&self, folder: &Node) -> bool {
        self.takes_changes() && folder.access != tree::Access::Reading
    }
}
