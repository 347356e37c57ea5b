//! `allow-new`.

use std::path::PathBuf;

use clap::Args;

pub(super) const ABOUT: &str = "\
Have names that were not seen in a folder count as new, so that they can be
made

The service lists 5,000 files of a folder at once. Until the others are seen,
or for ever where it has more than 5,000 sub-folders or 5,000 files of one
second, a name that was not seen may be there: to look for it is an error
(EIO), and so is to make it. `fichierfs status` names such folders.

With this, such a name counts as one that is not there, in this folder alone,
until that is known whole, also after a restart. So files and folders can be
made in it, moved and copied into it. Should such a name turn up on the
service, both files are kept, one as `name (id).ext`: nothing was replaced,
and nothing appended to. A folder that turns out to be there is the one that
was made; while it is not shown, it cannot be made and shows as failed.
Reading the folder still ends in an error until all of it is seen.";

/// `allow-new`.
#[derive(Args, Debug)]
pub struct AllowNewArgs {
    /// Take it back
    #[arg(long)]
    pub off: bool,
    /// As JSON, one object a path; the schema is versioned
    #[arg(long)]
    pub json: bool,
    /// Folders of a mount
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}
