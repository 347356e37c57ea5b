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
until that is known whole, also after a restart. So files can be made in it,
moved and copied into it. Should such a name turn up on the service, both
files are kept, one as `name (id).ext`: nothing was replaced, and nothing
appended to. Reading the folder still ends in an error until all of it is
seen.

Folders can be made in it too, unless the service does not show all of its
sub-folders, as where it has more than 5,000: a folder of that name may be
there, and stays an error.

Meanwhile, run no program on it that takes a name which is missing for one
that was deleted, such as Syncthing, Unison or `rclone bisync`: it would
delete what is there. `rsync` sends each file that was not seen once more, so
that there are two of it. What is said of the folder tells how far it has
come: to wait until it is whole may be the better way.";

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
