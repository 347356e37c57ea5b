//! The power is cut: what was synced is there, and nothing is half there.
//!
//! Names are one history: after a cut the mount shows the state after some
//! step, not earlier than the last sync. The content of a file that was never synced may be
//! lost with the power; it is then an error to read it, never other bytes.

use super::disk::Disk;
use super::work::{FOLDERS, Model, Step, shown};
use crate::harness::{World, eventually, sample, scaled, tree};
use fichierfs::sim::{Fault, FaultKind, Shape, SimConfig};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Cuts in one test. `FICHIERFS_CUTS` asks for more.
const CUTS: usize = 24;

/// The states that the mount may show after a cut: from the last sync on.
struct History {
    states: Vec<Model>,
    /// Files whose content may be lost, since no version of them was ever on the disk.
    fresh: BTreeSet<String>,
    /// What was done, in words.
    steps: Vec<String>,
}

impl History {
    fn new(state: Model) -> History {
        History {
            states: vec![state],
            fresh: BTreeSet::new(),
            steps: Vec::new(),
        }
    }

    fn last(&self) -> &Model {
        self.states.last().unwrap()
    }

    fn replaces_nothing(&self, name: &str) -> bool {
        self.last().get(name).is_none_or(Vec::is_empty)
    }

    /// The step may be done, and is done if `whole`.
    fn add(&mut self, step: &Step, whole: bool) {
        let end = if whole { "" } else { " (failed)" };
        self.steps.push(format!("{}{end}", step.told()));
        match step {
            Step::Create(name, _) => {
                self.fresh.insert(name.clone());
            }
            // What takes the place of other bytes is brought to the disk first.
            Step::Replace(name, _) | Step::Append(name, _) | Step::Overwrite(name, ..)
                if self.replaces_nothing(name) =>
            {
                self.fresh.insert(name.clone());
            }
            Step::Rename(from, to) if self.fresh.contains(from) && self.replaces_nothing(to) => {
                self.fresh.insert(to.clone());
            }
            _ => {}
        }
        // The last is the step done.
        let mut outcomes = step.outcomes(self.last());
        let done = outcomes.swap_remove(1);
        self.states.append(&mut outcomes);
        self.states.push(done);
        if let (true, Step::Sync(name)) = (whole, step) {
            self.states.drain(..self.states.len() - 1);
            self.fresh.remove(name);
        }
    }

    /// What differs from the state that is nearest to what is shown.
    fn nearest(&self, found: &BTreeMap<String, Option<Vec<u8>>>) -> String {
        let differences = |state: &Model| -> Vec<String> {
            let names: BTreeSet<&String> = state.keys().chain(found.keys()).collect();
            let differs = |name: &&String| match (state.get(*name), found.get(*name)) {
                (Some(expected), Some(Some(content))) => expected != content,
                (Some(_), Some(None)) => !self.fresh.contains(*name),
                _ => true,
            };
            let told = |name: &String| {
                let expected = state.get(name).map(Vec::len);
                let content = found.get(name).map(|c| c.as_ref().map(Vec::len));
                format!("{name}: expected {expected:?} bytes, found {content:?}")
            };
            names.into_iter().filter(differs).map(told).collect()
        };
        let all = self.states.iter().map(differences);
        all.min_by_key(Vec::len).unwrap_or_default().join("\n")
    }

    /// The state that is shown, without the files whose content is lost; their names.
    fn find(&self, found: &BTreeMap<String, Option<Vec<u8>>>) -> Option<(Model, Vec<String>)> {
        let fits = |state: &&Model| {
            state.len() == found.len()
                && found.iter().all(|(name, content)| match content {
                    Some(content) => state.get(name) == Some(content),
                    None => state.contains_key(name) && self.fresh.contains(name),
                })
        };
        let mut state = self.states.iter().rev().find(fits)?.clone();
        let lost = found.iter().filter(|(_, content)| content.is_none());
        let lost: Vec<String> = lost.map(|(name, _)| name.clone()).collect();
        state.retain(|name, _| !lost.contains(name));
        Some((state, lost))
    }
}

/// The database is whole. As far as it can know, the machine was started anew since it
/// was written.
fn check_and_age(state_dir: &Path) {
    let database = rusqlite::Connection::open(state_dir.join("fichierfs.db")).unwrap();
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    database
        .execute(
            "UPDATE staged SET unsynced = 'an earlier boot' WHERE unsynced IS NOT NULL",
            [],
        )
        .unwrap();
}

fn survive(seed: u64) {
    let cuts = std::env::var("FICHIERFS_CUTS").map_or(CUTS, |n| n.parse().unwrap());
    let world = World::with(scaled());
    let mut disk = Disk::new(world.path("disk"), seed);
    let mut random = StdRng::seed_from_u64(seed);
    let flags = ["--write-back", "200ms"];
    let data = disk.path().to_owned();
    let mut mounted = world.mount_on("a", &data, &flags);
    for folder in FOLDERS {
        fs::create_dir_all(mounted.join(folder)).unwrap();
    }
    Step::Sync(String::new()).carry_out(mounted.path()).unwrap();
    let mut state = Model::new();
    let mut lost_in_all = 0;
    for cut in 0..cuts {
        let mut history = History::new(state);
        let (switch, after) = (disk.switch(), random.random_range(20..800));
        let cutter = thread::spawn(move || {
            thread::sleep(Duration::from_millis(after));
            switch.cut();
        });
        loop {
            let step = Step::choose(&mut random, history.last());
            let outcome = step.carry_out(mounted.path());
            history.add(&step, outcome.is_ok());
            if outcome.is_err() {
                break;
            }
        }
        cutter.join().unwrap();
        mounted.crash();
        disk.restart();
        world.forget_calls();
        check_and_age(&data.join("state"));
        mounted = world.mount_on("a", &data, &flags);
        let found = shown(mounted.path());
        let Some((there, lost)) = history.find(&found) else {
            panic!(
                "cut {cut} (seed {seed}): {}\nafter:\n{}",
                history.nearest(&found),
                history.steps.join("\n")
            );
        };
        // What cannot be read can be removed.
        for name in &lost {
            fs::remove_file(mounted.join(name)).unwrap();
        }
        lost_in_all += lost.len();
        state = there;
        Step::Sync(String::new()).carry_out(mounted.path()).unwrap();
    }
    eprintln!("{cuts} power cuts; {lost_in_all} files that were never synced are lost");
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
}

#[test]
fn what_was_synced_survives_power_cuts() {
    let seed = std::env::var("FICHIERFS_SEED").map_or(3, |n| n.parse().unwrap());
    survive(seed);
}

/// A newer version was closed while the one before it was sent, so that only the journal knows what
/// arrived.
#[test]
fn what_arrived_as_the_power_went_is_not_left_beside_its_successor() {
    let world = World::with(SimConfig {
        shape: Shape {
            // With more than the sockets hold under way.
            upload_bps: Some(8 << 20),
            ..Shape::default()
        },
        ..scaled()
    });
    // Nor does the node tell.
    let untold = Fault::new("end.pl", FaultKind::EmptyLinks).always();
    world.simulator().faults().add(untold);
    // One that keeps little of what was not synced.
    let mut disk = Disk::new(world.path("disk"), 2);
    let flags = ["--write-back", "0s"];
    let data = disk.path().to_owned();
    let mounted = world.mount_on("a", &data, &flags);
    fs::write(mounted.join("file"), sample::bytes(1, 24 << 20)).unwrap();
    eventually("the upload", || world.report().bytes_up > 50_000);
    fs::write(mounted.join("file"), sample::bytes(2, 1000)).unwrap();
    eventually("its arrival", || !world.account().file_paths().is_empty());
    disk.switch().cut();
    mounted.crash();
    disk.restart();
    world.forget_calls();
    check_and_age(&data.join("state"));
    let mounted = world.mount_on("a", &data, &flags);
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    assert_eq!(world.account().file_paths(), ["file"]);
    mounted.unmount();
}
