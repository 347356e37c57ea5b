//! The daemon is killed in the middle of work and started again: what was closed is
//! there, once, here and in the account.
//!
//! A model of what must be there is kept beside the mount. The one call that the kill
//! interrupts may have happened or not; everything before it must have.

use super::work::{FOLDERS, Model, Step, outline, shown};
use crate::harness::{World, scaled, tree};
use fichierfs::sim::{Fault, FaultKind, SimConfig};
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Kills in one test. `FICHIERFS_KILLS` asks for more.
const KILLS: usize = 8;

fn survive(seed: u64, config: SimConfig, faults: &[(&str, FaultKind)]) {
    let kills = std::env::var("FICHIERFS_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let world = World::with(config);
    for (endpoint, kind) in faults {
        let fault = Fault::new(endpoint, kind.clone()).always();
        let now_and_then = fault.probability(0.2);
        world.simulator().faults().add(now_and_then);
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut model = Model::new();
    let mut longest = Duration::ZERO;
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
        let start = Instant::now();
        mounted = world.mount_with("a", &flags);
        longest = longest.max(start.elapsed());
        let found: Model = shown(mounted.path())
            .into_iter()
            .map(|(name, content)| (name.clone(), content.unwrap_or_else(|| panic!("{name}"))))
            .collect();
        assert!(
            cut_short.outcomes(&model).contains(&found),
            "after kill {kill} (seed {seed}), in the middle of {cut_short:?}:\n{:?}\nbut found\n{:?}",
            outline(&model),
            outline(&found),
        );
        model = found;
    }
    eprintln!("{kills} kills; mounted again within {longest:?}");
    world.simulator().faults().clear();
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
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
    survive(1, scaled(), &[]);
}

/// Results are told late, and listings show late what happened.
fn lagging() -> SimConfig {
    SimConfig {
        listing_lag: Duration::from_secs(60),
        end_delay: Duration::from_secs(10),
        ..scaled()
    }
}

#[test]
fn what_was_closed_survives_kills_while_the_service_lags() {
    survive(2, lagging(), &[]);
}

/// A call in five goes wrong, and half of those were carried out.
#[test]
fn what_was_closed_survives_kills_amid_faults_of_a_service_that_lags() {
    let down = || FaultKind::Status { status: 503 };
    let faults = [
        ("upload/get_upload_server", down()),
        ("upload/get_upload_server", FaultKind::NodeDown),
        ("upload", FaultKind::LoseAnswer),
        ("upload", FaultKind::Reset { after_bytes: 3_000 }),
        ("end.pl", FaultKind::LoseAnswer),
        ("end.pl", FaultKind::EmptyLinks),
        ("end.pl", FaultKind::WrongChecksum),
        ("folder/mkdir", FaultKind::LoseAnswer),
        ("file/mv", FaultKind::LoseAnswer),
        ("file/rename", FaultKind::LoseAnswer),
        ("file/rename", down()),
        ("file/rm", FaultKind::LoseAnswer),
        ("folder/ls", down()),
    ];
    survive(5, lagging(), &faults);
}
