//! Where a folder is that was to be moved or renamed, and that a folder of too many sub-folders may
//! hide. No call tells it, but the folder itself can be listed if it is anywhere, and says its name.

use super::{Context, UploadError};
use crate::api::{ApiError, Class};
use crate::ids::FolderId;
use crate::tree::node::RemoteFolder;
use crate::tree::{Node, RemotePlace};

impl Context {
    /// Where a folder is that was to be moved to `to`, or renamed there: where it was, if that shows
    /// it, else there, if it is anywhere. `None` where the folder that it was in does not tell.
    pub(super) async fn told_of_folder(
        &self,
        folder: &RemoteFolder,
        to: FolderId,
    ) -> Result<Option<RemotePlace>, ApiError> {
        if let Some(was) = folder.place.as_ref().filter(|was| was.folder != to) {
            match self.refresher.look_into(was.folder, Class::Upload).await {
                Ok(listing) => {
                    if let Some(shown) = listing.folders.into_iter().find(|f| f.id == folder.id) {
                        let name = shown.name;
                        let folder = was.folder;
                        return Ok(Some(RemotePlace { folder, name }));
                    }
                    if listing.lacks_folders {
                        return Ok(None);
                    }
                }
                Err(ApiError::NotFound(_)) => {} // Then nothing is in it.
                Err(e) => return Err(e),
            }
        }
        self.told_by_itself(folder.id, to).await
    }

    /// Where a folder is that is nowhere else than in `to`, as its own listing tells. Should
    /// somebody have moved it elsewhere, the listing of that place tells later.
    pub(super) async fn told_by_itself(
        &self,
        id: FolderId,
        to: FolderId,
    ) -> Result<Option<RemotePlace>, ApiError> {
        let name = self.refresher.look_into(id, Class::Upload).await?.name;
        let there = RemotePlace { folder: to, name };
        Ok(Some(there).filter(|there| !there.name.is_empty()))
    }

    /// The id of a folder, and that of the one that it is to be moved to, where that does not show all
    /// that are in it.
    pub(super) fn may_be_hidden(
        &self,
        node: &Node,
    ) -> Result<Option<(FolderId, FolderId)>, UploadError> {
        let (Some(id), Some(place)) = (node.folder_id(), &node.place) else {
            return Ok(None);
        };
        let to = self.tree.node(place.parent)?;
        let to = to.filter(|to| !to.known.has_all_folders());
        let to = to.and_then(|to| to.folder_id());
        let was = node.remote.place().map(|was| was.folder);
        Ok(to.filter(|to| was != Some(*to)).map(|to| (id, to)))
    }
}
