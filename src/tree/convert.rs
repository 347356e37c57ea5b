//! A listing of the API in the tree's terms.

use super::listing::{Extent, Lacks, ListedFile, ListedFolder, Listing};
use super::node::Access;
use crate::api;
use crate::api::limits::LISTING_CAP;
use crate::ids::Time;

fn time(at: jiff::Timestamp) -> Time {
    Time(i64::try_from(at.as_nanosecond()).unwrap_or_default())
}

pub(super) fn convert(listing: api::Listing) -> Listing {
    Listing {
        extent: match listing.truncated {
            _ if listing.folders.len() >= LISTING_CAP => Extent::Cut,
            true => Extent::FilesCut,
            false => Extent::Whole,
        },
        lacks: Lacks {
            files: listing.lacks_files,
            counted: listing.lacks_counted,
            folders: listing.lacks_folders,
        },
        folders: listing
            .folders
            .into_iter()
            .map(|folder| ListedFolder {
                id: folder.id,
                name: folder.name,
                created: folder.created.map(time),
                protected: folder.protected,
            })
            .collect(),
        files: listing.files.into_iter().map(listed).collect(),
        access: listing.grant.map(|grant| match grant.may_change {
            true => Access::Changes,
            false => Access::Reading,
        }),
    }
}

pub(super) fn listed(file: api::FileItem) -> ListedFile {
    ListedFile {
        id: file.id,
        name: file.name,
        size: file.size,
        date: file.date.map(time),
        whirlpool: file.checksum,
        protected: file.protected,
    }
}
