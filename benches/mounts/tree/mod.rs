//! The tree: walks, large folders, a large account, a day of a media server.

mod days;
mod large;
mod walks;

use super::row::{Family, Row};

pub const ROWS: Family = Family {
    title: "The tree",
    rows: &[
        Row {
            name: "first-walk",
            work: "A first `find` over 2,000 folders of 20 files each, documented limits, scaled.",
            run: walks::first,
        },
        Row {
            name: "first-walk-unscaled",
            work: "A first `find` over 100 folders of 20 files each, documented limits at true speed.",
            run: walks::first_unscaled,
        },
        Row {
            name: "first-walk-observed",
            work: "A first walk over 2,000 folders of 20 files each, and one after a restart, observed limits, scaled.",
            run: walks::first_observed,
        },
        Row {
            name: "walk-again",
            work: "`find` with a stat of each of 40,000 files after a restart, network down.",
            run: walks::again,
        },
        Row {
            name: "large-folder",
            work: "`ls -f` of a folder of 100,000 entries.",
            run: large::folder,
        },
        Row {
            name: "million-files",
            work: "An account of 1,000,000 files in 50,000 folders.",
            run: large::account,
        },
        Row {
            name: "media-server-day",
            work: "A media server's scan of 5,000 films and its rescan every hour of a day, documented limits, scaled.",
            run: days::day,
        },
        Row {
            name: "media-server-rclone",
            work: "The same scan with rclone for 20 real minutes, documented limits.",
            run: days::rclone,
        },
    ],
};
