//! mountpoint-s3's set of fio jobs, its sizes cut to what a simulator serves.

use super::super::Result;
use super::super::bench::{Bench, discard};
use super::super::measure::median;
use super::super::outcome::{Outcome, rate};
use super::super::peer::{Mount, Peer};
use super::super::peers::two;
use super::super::service::{Plan, Shape};
use super::super::shell;
use super::file;
use std::path::Path;
use std::time::Duration;

/// No cell may be worse than this part of rclone's.
const LEAST: f64 = 0.9;

/// A job: its name and fio's words for it.
struct Job {
    name: &'static str,
    words: &'static [&'static str],
    /// Readers, each with a large file of its own.
    readers: u64,
    /// The same, with a small one.
    small: u64,
    /// Bytes that a large file has at least.
    least: u64,
}

const fn large(name: &'static str, words: &'static [&'static str], readers: u64) -> Job {
    Job {
        name,
        words,
        readers,
        small: 0,
        least: 0,
    }
}

/// With files of at least so many bytes.
const fn with_least(job: Job, least: u64) -> Job {
    Job { least, ..job }
}

const fn small(name: &'static str, words: &'static [&'static str], readers: u64) -> Job {
    Job {
        name,
        words,
        readers: 0,
        small: readers,
        least: 0,
    }
}

const SEQUENTIAL: &[Job] = &[
    large("seq_read", &["--rw=read"], 1),
    large("seq_read_4t", &["--rw=read", "--numjobs=4"], 4),
    large("seq_read_direct", &["--rw=read", "--direct=1"], 1),
    large(
        "seq_read_4t_direct",
        &["--rw=read", "--direct=1", "--numjobs=4"],
        4,
    ),
    small("seq_read_small", &["--rw=read"], 1),
    small("seq_read_4t_small", &["--rw=read", "--numjobs=4"], 4),
    small("seq_read_direct_small", &["--rw=read", "--direct=1"], 1),
    small(
        "seq_read_4t_direct_small",
        &["--rw=read", "--direct=1", "--numjobs=4"],
        4,
    ),
    with_least(
        large("seq_read_skip_17m", &["--rw=read:17m", "--bs=256m"], 1),
        1 << 30,
    ),
];

const RANDOM: &[Job] = &[
    large("rand_read", &["--rw=randread"], 1),
    large("rand_read_4t", &["--rw=randread", "--numjobs=4"], 4),
    large("rand_read_direct", &["--rw=randread", "--direct=1"], 1),
    large(
        "rand_read_4t_direct",
        &["--rw=randread", "--direct=1", "--numjobs=4"],
        4,
    ),
    small("rand_read_small", &["--rw=randread"], 1),
    small("rand_read_4t_small", &["--rw=randread", "--numjobs=4"], 4),
    small(
        "rand_read_direct_small",
        &["--rw=randread", "--direct=1"],
        1,
    ),
    small(
        "rand_read_4t_direct_small",
        &["--rw=randread", "--direct=1", "--numjobs=4"],
        4,
    ),
];

const NEW_FILE: [&str; 3] = ["--create_on_open=1", "--fsync_on_close=1", "--unlink=1"];

const WRITE: &[Job] = &[
    large(
        "seq_write",
        &["--rw=write", NEW_FILE[0], NEW_FILE[1], NEW_FILE[2]],
        0,
    ),
    large(
        "seq_write_direct",
        &[
            "--rw=write",
            "--direct=1",
            NEW_FILE[0],
            NEW_FILE[1],
            NEW_FILE[2],
        ],
        0,
    ),
    mix("mix_1r4w", 1, "4"),
    mix("mix_2r2w", 2, "2"),
    mix("mix_4r1w", 4, "1"),
];

/// Readers and, as a second job of the same run, writers.
const fn mix(name: &'static str, readers: u64, writers: &'static str) -> Job {
    // The words of the writers; those of the readers follow from their number.
    Job {
        name,
        words: match writers.as_bytes() {
            b"4" => &["--numjobs=4"],
            b"2" => &["--numjobs=2"],
            _ => &["--numjobs=1"],
        },
        readers,
        small: 0,
        least: 0,
    }
}

pub fn sequential(bench: &Bench) -> Result<Outcome> {
    run(bench, SEQUENTIAL)
}

pub fn random(bench: &Bench) -> Result<Outcome> {
    run(bench, RANDOM)
}

pub fn write(bench: &Bench) -> Result<Outcome> {
    run(bench, WRITE)
}

fn run(bench: &Bench, jobs: &[Job]) -> Result<Outcome> {
    shell::need(&["fio"])?;
    let mut outcome = Outcome::default();
    for job in jobs {
        let size = bench.size(1 << 30, 16 << 20).max(job.least);
        // fio's names of files: job, number of the job, number of the file.
        let content = (0..job.readers)
            .map(|n| file(&format!("{}.{n}.0", job.name), size))
            .chain((0..job.small).map(|n| file(&format!("{}.{n}.0", job.name), 5 << 20)));
        let service = bench.service(&Plan::new(Shape::Unlimited, content))?;
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..bench.runs(3) {
            for (peer, rates) in two().iter().zip(&mut rates) {
                let place = bench.place()?;
                let mount = Mount::start(*peer, &service, &place)?;
                std::fs::read_dir(mount.path("."))?.count();
                rates.push(fio(bench, job, &mount.path("."), size)?);
                mount.stop()?;
                discard(place.dir())?;
            }
        }
        let [ours, theirs] = rates.map(median);
        let [name, other] = two().map(Peer::name);
        outcome.plain(
            job.name,
            format!("{name} {}, {other} {}", rate(ours), rate(theirs)),
        );
        outcome.at_least(
            &format!("{} ÷ {other}", job.name),
            ours / theirs,
            LEAST,
            " ×",
        );
    }
    Ok(outcome)
}

/// Bytes a second of all its jobs together.
fn fio(bench: &Bench, job: &Job, directory: &Path, size: u64) -> Result<f64> {
    let time = bench.size(10, 2);
    let size = if job.small > 0 { 5 << 20 } else { size };
    let mut words = vec![
        "--thread".to_owned(),
        "--output-format=json".to_owned(),
        "--eta=never".to_owned(),
        "--bs=256k".to_owned(),
        format!("--runtime={time}"),
        "--time_based".to_owned(),
        "--ioengine=sync".to_owned(),
        "--fallocate=none".to_owned(),
        format!("--directory={}", directory.display()),
        format!("--size={size}"),
    ];
    if job.name.starts_with("mix_") {
        // The options of the first job end where the second's name begins.
        words.extend([
            format!("--name={}", job.name),
            "--rw=read".to_owned(),
            format!("--numjobs={}", job.readers),
            "--name=writers".to_owned(),
            "--rw=write".to_owned(),
        ]);
        words.extend(NEW_FILE.map(str::to_owned));
    } else {
        words.push(format!("--name={}", job.name));
    }
    words.extend(job.words.iter().map(|word| (*word).to_owned()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let text = shell::output("fio", &words, Duration::from_secs(time * 3 + 30))?;
    // fio may write notes before its JSON.
    let json = text.find('{').and_then(|start| text.get(start..));
    let found: serde_json::Value = serde_json::from_str(json.ok_or("fio said nothing")?)?;
    let jobs = found["jobs"].as_array().ok_or("fio did nothing")?;
    let sum = jobs
        .iter()
        .flat_map(|job| ["read", "write"].map(|way| &job[way]["bw_bytes"]));
    Ok(sum.filter_map(serde_json::Value::as_f64).sum())
}
