//! The daemon is killed in the middle of work and started again: what was closed is
//! there, once, here and in the account.
//!
//! A model of what must be there is kept beside the mount. The one call that the kill
//! interrupts may have happened or not; everything before it must have.

use super::work::{FOLDERS, Model, Step, outline, shown};
use crate::harness::{World, eventually, scaled, tree};
use fichierfs::sim::{Existing, Fault, FaultKind, Quirks, SimConfig};
use fichierfs::staging::salvage;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Kills in one test. `FICHIERFS_KILLS` asks for more.
const KILLS: usize = 8;

/// How long a mount after a kill may take, however busy the machine is.
const MOUNTED: Duration = Duration::from_secs(20);

/// A file that is open for writing at each kill.
const OPEN: &str = "open";

/// A process that has a file open and wrote to it. One of its own: the children that other
/// tests start have what this one has open until their exec, and close it then.
struct Writer(Child);

impl Writer {
    fn open(path: &Path, text: &str) -> Writer {
        let size = fs::metadata(path).unwrap().len() + text.len() as u64;
        let mut child = Command::new("sh")
            .args(["-ec", r#"exec cat >>"$0""#])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        eventually("the writer", || fs::metadata(path).unwrap().len() == size);
        Writer(child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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
        fs::write(mounted.join(OPEN), format!("closed {kill}")).unwrap();
        let later = format!("{kill:0>10}").repeat(500);
        let unclosed = Writer::open(&mounted.join(OPEN), &later);
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
        drop(unclosed);
        assert_kept(&world.path("a/state"), later.len() as u64);
        let start = Instant::now();
        mounted = world.mount_with("a", &flags);
        longest = longest.max(start.elapsed());
        let mut found: Model = shown(mounted.path())
            .into_iter()
            .map(|(name, content)| (name.clone(), content.unwrap_or_else(|| panic!("{name}"))))
            .collect();
        let closed = found.remove(OPEN).map(String::from_utf8);
        assert_eq!(closed, Some(Ok(format!("closed {kill}"))), "kill {kill}");
        assert!(
            cut_short.outcomes(&model).contains(&found),
            "after kill {kill} (seed {seed}), in the middle of {cut_short:?}:\n{:?}\nbut found\n{:?}",
            outline(&model),
            outline(&found),
        );
        model = found;
    }
    eprintln!("{kills} kills; mounted again within {longest:?}");
    assert!(longest < MOUNTED, "{longest:?}");
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

/// What was written and not closed is not shown, and can be restored.
fn assert_kept(state: &Path, bytes: u64) {
    let found = salvage::remains(&state.join("staging"), &state.join("fichierfs.db")).unwrap();
    let kept =
        |one: &salvage::Remains| one.path.as_deref() == Some(Path::new(OPEN)) && one.bytes >= bytes;
    assert!(found.remains.iter().any(kept), "{found:?}");
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
        ("file/rm", down()),
        ("folder/rm", FaultKind::LoseAnswer),
        ("folder/ls", down()),
    ];
    survive(5, lagging(), &faults);
}

/// Killed when a folder is being made, renamed or moved: the call was carried out and the answer
/// not seen, or it was on its way. A second call would make a second folder, or be refused.
#[test]
fn a_folder_call_that_a_kill_interrupts_is_carried_out_once() {
    let ways = [
        ("carried out", FaultKind::LoseAnswer),
        ("on its way", FaultKind::Delay { seconds: 600.0 }),
    ];
    type Act = (&'static str, &'static str, fn(&Path));
    let acts: [Act; 3] = [
        ("folder/mkdir", "new", |root| {
            fs::create_dir(root.join("new")).unwrap();
        }),
        ("folder/mv", "renamed", |root| {
            fs::rename(root.join("old"), root.join("renamed")).unwrap();
        }),
        ("folder/mv", "other/old", |root| {
            fs::rename(root.join("old"), root.join("other/old")).unwrap();
        }),
    ];
    for ((endpoint, to, act), (way, fault)) in acts
        .iter()
        .flat_map(|act| ways.iter().map(move |way| (act, way)))
    {
        let what = format!("{endpoint} to {to}, {way}");
        let world = World::with(SimConfig {
            quirks: Quirks {
                mkdir_existing: Existing::Duplicate,
                folders_lag: true,
                ..Quirks::default()
            },
            ..lagging()
        });
        world.account().add_file("old/file", b"content").unwrap();
        world.account().add_folder("other").unwrap();
        let mounted = world.mount_with("a", &["--write-back", "0s"]);
        for folder in ["old", "other"] {
            fs::read_dir(mounted.join(folder)).unwrap();
        }
        world
            .simulator()
            .faults()
            .add(Fault::new(endpoint, fault.clone()));
        act(mounted.path());
        eventually(&what, || world.simulator().faults().list().is_empty());
        mounted.crash();
        let mounted = world.mount_with("a", &["--write-back", "0s"]);
        // Its place is known here from the first moment.
        fs::write(mounted.join(to).join("later"), b"later").unwrap();
        mounted.drain();
        tree::assert_account_is(&world, mounted.path());
        let report = world.report();
        let done = u64::from(*way == "carried out");
        assert_eq!(report.calls_of(endpoint), 2 - done, "{what}");
        assert_eq!(report.violation_count(), 0, "{what}: {report:#?}");
        mounted.unmount();
    }
}

/// Killed when files or a folder are being removed. What is gone already is not asked for again:
/// that would be a failing call, and the service bans who has many.
#[test]
fn a_removal_that_a_kill_interrupts_is_asked_for_again_only_if_it_was_not_carried_out() {
    let ways = [
        ("carried out", FaultKind::LoseAnswer, 1),
        ("on its way", FaultKind::Delay { seconds: 600.0 }, 2),
    ];
    type Act = (&'static str, usize, fn(&Path));
    let acts: [Act; 2] = [
        ("file/rm", 1, |root| {
            for number in 0..30 {
                fs::remove_file(root.join(format!("folder/{number}"))).unwrap();
            }
        }),
        ("folder/rm", 30, |root| {
            fs::remove_dir(root.join("folder/empty")).unwrap();
        }),
    ];
    for ((endpoint, left_over, act), (way, fault, calls)) in acts
        .iter()
        .flat_map(|act| ways.iter().map(move |way| (act, way)))
    {
        let what = format!("{endpoint}, {way}");
        let world = World::with(SimConfig {
            quirks: Quirks {
                folders_lag: true,
                ..Quirks::default()
            },
            ..lagging()
        });
        for number in 0..30 {
            let path = format!("folder/{number}");
            world.account().add_file(&path, b"content").unwrap();
        }
        world.account().add_folder("folder/empty").unwrap();
        let mounted = world.mount();
        for folder in ["folder", "folder/empty"] {
            fs::read_dir(mounted.join(folder)).unwrap();
        }
        let fault = Fault::new(endpoint, fault.clone());
        world.simulator().faults().add(fault);
        act(mounted.path());
        eventually(&what, || world.simulator().faults().list().is_empty());
        mounted.crash();
        let mounted = world.mount();
        mounted.drain();
        tree::assert_account_is(&world, mounted.path());
        let report = world.report();
        assert_eq!(report.calls_of(endpoint), *calls, "{what}");
        assert!(report.failing.is_empty(), "{what}: {report:#?}");
        assert_eq!(report.violation_count(), 0, "{what}: {report:#?}");
        let left = fs::read_dir(mounted.join("folder")).unwrap().count();
        assert_eq!(left, *left_over, "{what}");
        mounted.unmount();
    }
}
