//! What an answer does not show, where it lacks what it should have by its own words or says
//! nothing of files at all.
//!
//! A folder without files may be answered so, and so may one with many, in trouble (API notes
//! 2.2): that there is none is believed the second time. An answer that shows some of them says
//! nothing of the others, ever.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::api::Listing;
use crate::ids::FolderId;

/// Folders of which the last answer was such a one, and showed no file.
#[derive(Default)]
pub(super) struct Silence(Mutex<HashSet<FolderId>>);

impl Silence {
    /// Whether what this answer does not show is not there.
    pub fn tells(&self, folder: FolderId, listing: &Listing) -> bool {
        self.is_told(folder, listing.lacks_files, listing.files.is_empty())
    }

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

    #[test]
    fn an_empty_answer_that_lacks_some_is_believed_the_second_time() {
        let silence = Silence::default();
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
