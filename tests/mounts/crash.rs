//! The daemon is killed in the middle of work and started again: what was closed is
//! there, once, here and in the account.
//!
//! A model of what must be there is kept beside the mount. The one call that the kill
//! interrupts may have happened or not; everything before it must have.

use crate::harness::{Mounted, World, sample, scaled, tree};
use fichierfs::sim::SimConfig;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;
use std::{fs, io, thread};

/// Kills in one test. `FICHIERFS_KILLS` asks for more.
const KILLS: usize = 8;

type Model = BTreeMap<String, Vec<u8>>;

/// One step of the work. All of it is over when its last call returned.
#[derive(Debug)]
enum Step {
    Create(String, Vec<u8>),
    Overwrite(String, usize, Vec<u8>),
    Append(String, Vec<u8>),
    Replace(String, Vec<u8>),
    Rename(String, String),
    Unlink(String),
    MakeFolder(String),
}

const FOLDERS: [&str; 3] = ["", "d1/", "d2/"];

/// Writes and closes. Dropping a file hides the error of its close, and only a
/// close that returned 0 promises anything.
fn write(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    Ok(nix::unistd::close(file)?)
}

impl Step {
    fn choose(random: &mut StdRng, model: &Model) -> Step {
        let new = format!(
            "{}f{}",
            FOLDERS[random.random_range(0..FOLDERS.len())],
            random.random_range(0..40)
        );
        let bytes = |random: &mut StdRng, most: usize| {
            let size = random.random_range(0..most);
            sample::bytes(random.random_range(0..u64::MAX), size)
        };
        let old = match model.len() {
            0 => None,
            n => model.keys().nth(random.random_range(0..n)).cloned(),
        };
        match (random.random_range(0..8), old) {
            (2, Some(old)) => {
                let at = random.random_range(0..=model[&old].len());
                Step::Overwrite(old, at, bytes(random, 5000))
            }
            (3, Some(old)) => Step::Append(old, bytes(random, 500)),
            (4, Some(old)) => Step::Replace(old, bytes(random, 5000)),
            (5, Some(old)) if old != new => Step::Rename(old, new),
            (6, Some(old)) => Step::Unlink(old),
            (7, _) => Step::MakeFolder(format!("e{}", random.random_range(0..5))),
            _ => Step::Create(new, bytes(random, 100_000)),
        }
    }

    fn carry_out(&self, mount: &Path) -> io::Result<()> {
        let at = |name: &String| mount.join(name);
        match self {
            Step::Create(name, bytes) => write(File::create(at(name))?, bytes),
            Step::Overwrite(name, offset, bytes) => {
                let mut file = File::options().write(true).open(at(name))?;
                file.seek(SeekFrom::Start(*offset as u64))?;
                write(file, bytes)
            }
            Step::Append(name, bytes) => write(File::options().append(true).open(at(name))?, bytes),
            Step::Replace(name, bytes) => {
                let temporary = at(&format!("{name}.tmp"));
                write(File::create(&temporary)?, bytes)?;
                fs::rename(temporary, at(name))
            }
            Step::Rename(from, to) => fs::rename(at(from), at(to)),
            Step::Unlink(name) => fs::remove_file(at(name)),
            Step::MakeFolder(name) => fs::create_dir_all(at(name)),
        }
    }

    fn apply(&self, model: &mut Model) {
        match self {
            Step::Create(name, bytes) | Step::Replace(name, bytes) => {
                model.insert(name.clone(), bytes.clone());
            }
            Step::Overwrite(name, offset, bytes) => {
                let old = model.get_mut(name).unwrap();
                let end = offset + bytes.len();
                old.resize(old.len().max(end), 0);
                old[*offset..end].copy_from_slice(bytes);
            }
            Step::Append(name, bytes) => model.get_mut(name).unwrap().extend(bytes),
            Step::Rename(from, to) => {
                let moved = model.remove(from).unwrap();
                model.insert(to.clone(), moved);
            }
            Step::Unlink(name) => drop(model.remove(name)),
            Step::MakeFolder(_) => {}
        }
    }

    /// What may be there after the step was cut short: as before, as after, or, for a
    /// file written in place of another, empty between the two.
    fn outcomes(&self, before: &Model) -> Vec<Model> {
        let mut after = before.clone();
        self.apply(&mut after);
        let mut outcomes = vec![before.clone(), after];
        if let Step::Create(name, _) = self {
            let mut emptied = before.clone();
            emptied.insert(name.clone(), Vec::new());
            outcomes.push(emptied);
        }
        outcomes
    }
}

/// What the mount shows, without what a replacement left unfinished.
fn shown(mounted: &Mounted<'_>) -> Model {
    let mut model = Model::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(mounted.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}{}", entry.file_name().to_str().unwrap());
            if !entry.file_type().unwrap().is_file() {
                continue;
            }
            if name.ends_with(".tmp") {
                fs::remove_file(entry.path()).unwrap();
            } else {
                model.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    model
}

/// Names and sizes: what a person can compare.
fn outline(model: &Model) -> BTreeMap<&str, usize> {
    model.iter().map(|(n, b)| (n.as_str(), b.len())).collect()
}

fn survive(seed: u64, config: SimConfig) {
    let kills = std::env::var("FICHIERFS_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let world = World::with(config);
    let mut random = StdRng::seed_from_u64(seed);
    let mut model = Model::new();
    let flags = ["--write-back", "200ms"];
    let mut mounted = world.mount_with("a", &flags);
    for folder in FOLDERS {
        fs::create_dir_all(mounted.join(folder)).unwrap();
    }
    for kill in 0..kills {
        let after = Duration::from_millis(random.random_range(20..1200));
        let daemon = mounted.pid();
        let killer = thread::spawn(move || {
            thread::sleep(after);
            nix::sys::signal::kill(daemon, Signal::SIGKILL).unwrap();
        });
        let cut_short = loop {
            let step = Step::choose(&mut random, &model);
            match step.carry_out(mounted.path()) {
                Ok(()) => step.apply(&mut model),
                Err(_) => break step,
            }
        };
        killer.join().unwrap();
        mounted.crash();
        mounted = world.mount_with("a", &flags);
        let found = shown(&mounted);
        assert!(
            cut_short.outcomes(&model).contains(&found),
            "after kill {kill} (seed {seed}), in the middle of {cut_short:?}:\n{:?}\nbut found\n{:?}",
            outline(&model),
            outline(&found),
        );
        model = found;
    }
    mounted.drain();
    let seen = tree::local(mounted.path());
    tree::assert_same(
        "the account",
        &tree::without_empty_files(seen),
        &tree::account(&world),
    );
    mounted.unmount();
    let report = world.report();
    assert_eq!(
        (report.violation_count(), report.locks),
        (0, 0),
        "{report:#?}"
    );
}

#[test]
fn what_was_closed_survives_kills() {
    survive(1, scaled());
}

/// The service tells results late and lists late.
#[test]
fn what_was_closed_survives_kills_while_the_service_lags() {
    let config = SimConfig {
        listing_lag: Duration::from_secs(60),
        end_delay: Duration::from_secs(10),
        ..scaled()
    };
    survive(2, config);
}
