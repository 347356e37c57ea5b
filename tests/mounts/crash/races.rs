//! A name or content is changed at each moment of an upload: the right content arrives
//! once, nothing is sent twice, and what was superseded is gone.

use crate::harness::{Mounted, World, eventually, sample, scaled, state, tree};
use fichierfs::sim::{Fault, FaultKind, Shape, SimConfig};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

const SIZE: usize = 400_000;

/// How far an upload has come when something happens to its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Queued,
    Sending,
    Confirming,
    Failed,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Rename,
    Unlink,
    Overwrite,
    Truncate,
    /// Opened again and written at its end.
    Append,
}

impl Act {
    fn carry_out(self, root: &Path) {
        let file = root.join("file");
        match self {
            Act::Rename => fs::rename(file, root.join("folder/renamed")).unwrap(),
            Act::Unlink => fs::remove_file(file).unwrap(),
            Act::Overwrite => fs::write(file, sample::bytes(2, SIZE / 2)).unwrap(),
            Act::Truncate => {
                let file = OpenOptions::new().write(true).open(file).unwrap();
                file.set_len(1000).unwrap();
            }
            Act::Append => {
                let mut file = OpenOptions::new().append(true).open(file).unwrap();
                file.write_all(b"more").unwrap();
            }
        }
    }

    /// How many versions may arrive at the service at most.
    fn arrivals(self, moment: Moment) -> u64 {
        match (moment, self) {
            // It never left.
            (Moment::Queued | Moment::Failed, Act::Unlink) => 0,
            (Moment::Queued | Moment::Failed, _) | (_, Act::Rename | Act::Unlink) => 1,
            (_, Act::Overwrite | Act::Truncate | Act::Append) => 2,
        }
    }
}

fn reach(moment: Moment, world: &World, mounted: &Mounted<'_>) {
    let faults = world.simulator().faults();
    match moment {
        Moment::Queued => {
            let down = FaultKind::Status { status: 503 };
            faults.add(Fault::new("upload/get_upload_server", down).always());
        }
        Moment::Confirming => {
            let wait = FaultKind::WaitPage { seconds: 60.0 };
            faults.add(Fault::new("end.pl", wait));
        }
        Moment::Failed => {
            let no = FaultKind::Ko {
                message: "Resource not allowed #631".to_owned(),
                status: 200,
            };
            faults.add(Fault::new("upload/get_upload_server", no).always());
        }
        Moment::Sending => {}
    }
    fs::write(mounted.join("file"), sample::bytes(1, SIZE)).unwrap();
    match moment {
        Moment::Queued => eventually("a call for an upload node", || {
            world.report().calls_of("upload/get_upload_server") > 0
        }),
        Moment::Failed => eventually("the end of the tries", || {
            state(&mounted.join("file")).starts_with("failed")
        }),
        Moment::Sending => eventually("the upload", || world.report().bytes_up > 50_000),
        Moment::Confirming => {
            eventually("the question for the result", || {
                world.report().calls_of("end.pl") > 0
            });
        }
    }
}

fn race(moment: Moment, act: Act) {
    let shape = Shape {
        // Slow enough to be met under way.
        upload_bps: Some(if moment == Moment::Sending {
            300_000
        } else {
            100_000_000
        }),
        ..Shape::default()
    };
    let world = World::with(SimConfig { shape, ..scaled() });
    let local = world.folder("local");
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    for root in [&local, mounted.path()] {
        fs::create_dir(root.join("folder")).unwrap();
    }
    mounted.drain();
    reach(moment, &world, &mounted);
    fs::write(local.join("file"), sample::bytes(1, SIZE)).unwrap();
    act.carry_out(&local);
    act.carry_out(mounted.path());
    world.simulator().faults().clear();
    mounted.drain();
    let what = format!("{act:?} while {moment:?}");
    tree::assert_same(&what, &tree::local(&local), &tree::account(&world));
    tree::assert_same(&what, &tree::local(&local), &tree::local(mounted.path()));
    let report = world.report();
    let most = act.arrivals(moment);
    assert!(report.uploads <= most, "{what}: {} uploads", report.uploads);
    assert_eq!(report.violation_count(), 0, "{what}: {report:#?}");
    mounted.unmount();
}

fn at(moment: Moment) {
    for act in [
        Act::Rename,
        Act::Unlink,
        Act::Overwrite,
        Act::Truncate,
        Act::Append,
    ] {
        race(moment, act);
    }
}

#[test]
fn what_happens_to_a_queued_file_is_what_arrives() {
    at(Moment::Queued);
}

#[test]
fn what_happens_to_a_file_that_is_being_sent_arrives_in_the_end() {
    at(Moment::Sending);
}

#[test]
fn what_happens_to_a_file_that_waits_for_its_result_arrives_in_the_end() {
    at(Moment::Confirming);
}

/// What the user does to it takes it up again.
#[test]
fn what_happens_to_a_file_whose_upload_failed_is_what_arrives() {
    at(Moment::Failed);
}

/// An editor's save: the temporary name never reaches the service.
#[test]
fn a_file_that_is_written_aside_and_renamed_arrives_once_under_its_last_name() {
    let world = World::new();
    world.account().add_file("text", b"before").unwrap();
    let mounted = world.mount();
    fs::write(mounted.join("text.new"), "after").unwrap();
    fs::rename(mounted.join("text.new"), mounted.join("text")).unwrap();
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["text"]);
    assert_eq!(world.account().content("text").unwrap(), b"after");
    let report = world.report();
    assert_eq!((report.uploads, report.calls_of("file/rename")), (1, 0));
    world.assert_well_behaved();
    mounted.unmount();
}

/// One byte of a file that is far too large to be fetched: nothing is, and after a kill the
/// file is whole, with the change.
#[test]
fn a_byte_changed_in_a_huge_file_fetches_nothing_and_survives_a_kill() {
    use std::os::unix::fs::FileExt;
    let world = World::new();
    let size = 20 << 30;
    world.account().add_synthetic("huge", 7, size).unwrap();
    let down = FaultKind::Status { status: 503 };
    let fault = Fault::new("upload/get_upload_server", down).always();
    world.simulator().faults().add(fault);
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    let at = 9_876_543_210;
    let mut expected = [0; 3];
    fichierfs::sim::synthetic_bytes(7, at - 1, &mut expected);
    expected[1] ^= 0xff;
    let file = OpenOptions::new()
        .write(true)
        .open(mounted.join("huge"))
        .unwrap();
    file.write_all_at(&expected[1..2], at).unwrap();
    nix::unistd::close(file).unwrap();
    let report = world.report();
    assert_eq!((report.bytes_down, report.calls_of("download")), (0, 0));
    assert_eq!(report.calls_of("download/get_token.cgi"), 0);
    mounted.crash();
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    let file = fs::File::open(mounted.join("huge")).unwrap();
    assert_eq!(file.metadata().unwrap().len(), size);
    let mut found = [0; 3];
    file.read_exact_at(&mut found, at - 1).unwrap();
    assert_eq!(found, expected);
    // The service still has what it had: the base is whole too.
    assert_eq!(world.account().file_paths(), ["huge"]);
}
