//! Reading: streams over a line and without one, jumps, what is cached, library scans,
//! and a standard set of jobs.

mod cached;
mod jobs;
mod jumps;
mod scan;
mod streams;

use super::row::{Family, Row};

pub use scan::{FILM, look};

pub const ROWS: Family = Family {
    title: "Reading",
    rows: &[
        Row {
            name: "cold-line",
            work: "A cold sequential read of 1 GiB over shape L.",
            run: streams::cold_line,
        },
        Row {
            name: "cold-unlimited",
            work: "A cold sequential read of 4 GiB without limits (shape U).",
            run: streams::cold_unlimited,
        },
        Row {
            name: "four-readers",
            work: "Four readers of four files of 256 MiB, cold, three seconds after mounting, over shape L.",
            run: streams::four_readers,
        },
        Row {
            name: "first-byte",
            work: "From open to the first byte of a file never read, over shape L.",
            run: jumps::first_byte,
        },
        Row {
            name: "random-1m",
            work: "200 random reads of 1 MiB in a file of 20 GiB, over shape L.",
            run: jumps::random,
        },
        Row {
            name: "skips",
            work: "Reads of 256 KiB, each 17 MiB after the last, then each 1 MiB before it, over shape L.",
            run: jumps::skips,
        },
        Row {
            name: "again-from-disk",
            work: "A second read of 1 GiB after its pages were dropped from memory.",
            run: cached::from_disk,
        },
        Row {
            name: "again-from-memory",
            work: "A second read of 1 GiB with its pages still in the kernel's cache.",
            run: cached::from_memory,
        },
        Row {
            name: "random-4k",
            work: "Random reads of 4 KiB with O_DIRECT in a cached file of 1 GiB, cores kept awake.",
            run: cached::random_direct,
        },
        Row {
            name: "library-scan",
            work: "A media server's look at 1,000 films (64 KiB of head, 1 MiB of tail), documented limits; again after a restart.",
            run: scan::library,
        },
        Row {
            name: "fifty-streams",
            work: "50 files read at once for 30 seconds, over shape L.",
            run: streams::fifty,
        },
        Row {
            name: "fio-sequential",
            work: "mountpoint-s3's sequential reading jobs (fio, 256 KiB reads, 10 s, shape U).",
            run: jobs::sequential,
        },
        Row {
            name: "fio-random",
            work: "mountpoint-s3's random reading jobs (fio, 256 KiB reads, 10 s, shape U).",
            run: jobs::random,
        },
        Row {
            name: "fio-write",
            work: "mountpoint-s3's writing and mixed jobs (fio, 256 KiB, 10 s, shape U).",
            run: jobs::write,
        },
    ],
};

/// Synthetic content: a file.
fn file(name: &str, size: u64) -> String {
    format!("file={name}:{size}")
}
