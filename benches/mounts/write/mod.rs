//! Writing: many small files, one large one, little room, changes and removals.

mod change;
mod large;
mod queue;
mod small;

use super::row::{Family, Row};

pub const ROWS: Family = Family {
    title: "Writing",
    rows: &[
        Row {
            name: "small-files",
            work: "`cp -r` of 1,000 files of 4 KiB into one folder, documented limits.",
            run: small::one_folder,
        },
        Row {
            name: "hundred-folders",
            work: "`cp -r` of 1,000 files of 4 KiB in 100 folders, documented limits.",
            run: small::hundred_folders,
        },
        Row {
            name: "big-upload",
            work: "One file of 8 GiB, shape L with 50 MB/s up.",
            run: large::upload,
        },
        Row {
            name: "budget",
            work: "64 files of 16 MiB into a staging budget of 256 MiB, shape L; then one of 1 GiB.",
            run: large::budget,
        },
        Row {
            name: "one-byte",
            work: "One byte changed in a file of 20 GiB that the service has.",
            run: change::one_byte,
        },
        Row {
            name: "staged-write",
            work: "`dd bs=1M conv=fsync` of 500 MB.",
            run: large::staged,
        },
        Row {
            name: "remove-tree",
            work: "`rm -r` of 2,000 files in 20 folders, documented limits.",
            run: change::remove_tree,
        },
        Row {
            name: "rename-while-sending",
            work: "A file of 2 GiB renamed while it is being sent, 50 MB/s up.",
            run: change::rename_while_sending,
        },
        Row {
            name: "queue-start",
            work: "The daemon is killed with 100,000 files in its queue, and mounts again.",
            run: queue::start,
        },
    ],
};
