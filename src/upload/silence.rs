//! What an answer does not show, where it lacks what it should have by its own words or says
//! nothing of files, or of sub-folders, at all.
//!
//! A folder without any may be answered so, and so may one with many, in trouble (API notes
//! 2.2): that there is none is believed the second time. An answer that shows some of them says
//! nothing of the others, ever.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::api::Listing;
use crate::ids::FolderId;

/// Folders of which the last answer was such a one, and showed none.
#[derive(Default)]
pub(super) struct Silence {
    files: Silent,
    folders: Silent,
}

impl Silence {
    /// Whether files that this answer does not show are not there.
    pub fn tells_of_files(&self, folder: FolderId, listing: &Listing) -> bool {
        let empty = listing.files.is_empty();
        self.files.is_told(folder, listing.lacks_files, empty)
    }

    /// The same of sub-folders. Where it shows nothing at all, they are doubted too.
    pub fn tells_of_folders(&self, folder: FolderId, listing: &Listing) -> bool {
        // Those of ours the service did not show.
        let empty = listing.folders.iter().all(|folder| folder.id.is_ours());
        let lacks = listing.lacks_folders || (empty && listing.files.is_empty());
        self.folders.is_told(folder, lacks, empty)
    }
}

#[derive(Default)]
struct Silent(Mutex<HashSet<FolderId>>);

impl Silent {
    fn is_told(&self, folder: FolderId, lacks: bool, empty: bool) -> bool {
        let mut once = self.0.lock();
        if lacks && empty && once.insert(folder) {
            return false;
        }
        once.remove(&folder);
        !lacks || empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::FolderItem;

    #[test]
    fn that_there_is_no_folder_any_more_is_believed_the_second_time() {
        let silence = Silence::default();
        let id = FolderId(1);
        let listing = Listing::default();
        assert!(silence.tells_of_files(id, &listing), "it does not lack any");
        assert!(!silence.tells_of_folders(id, &listing));
        assert!(silence.tells_of_folders(id, &listing));
        let lacks = Listing {
            lacks_folders: true,
            ..Listing::default()
        };
        assert!(!silence.tells_of_folders(id, &lacks));
        assert!(silence.tells_of_folders(id, &lacks));
        let mut cut = lacks;
        cut.folders.push(FolderItem {
            id: FolderId(2),
            name: "x".to_owned(),
            created: None,
            protected: false,
        });
        for _ in ["once", "again"] {
            assert!(!silence.tells_of_folders(id, &cut), "it shows some");
        }
    }

    #[test]
    fn an_empty_answer_that_lacks_some_is_believed_the_second_time() {
        let silence = Silent::default();
        let (one, other) = (FolderId(1), FolderId(2));
        assert!(silence.is_told(one, false, true) && silence.is_told(one, false, false));
        assert!(!silence.is_told(one, true, false) && !silence.is_told(one, true, false));
        assert!(!silence.is_told(one, true, true));
        assert!(!silence.is_told(other, true, true));
        assert!(silence.is_told(one, true, true));
        // A clear answer in between, and it begins anew.
        assert!(!silence.is_told(one, true, true));
        assert!(silence.is_told(one, false, false));
        assert!(!silence.is_told(one, true, true));
    }
}
