//! Content: versions, handles, holes.

use crate::harness::{Mounted, World, errno, eventually, names, sample, shell, text, tree};
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, fallocate, fcntl};
use nix::unistd::{Whence, lseek, truncate};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

const MIB: usize = 1 << 20;

/// Returns when the queue went on to something that was queued after this call; not all
/// before it need be done, as what an open handle reads is not removed.
fn let_work_go_on(world: &World, mounted: &Mounted<'_>) {
    let later = mounted.join("later");
    fs::write(&later, "later").unwrap();
    eventually("the queue going on", || {
        let flushed = mounted.verb(&["queue", "flush"]);
        assert!(flushed.status.success(), "{}", shell::show(&flushed));
        world.account().file_id("later").is_some()
    });
}

#[test]
fn a_file_that_is_removed_while_open_keeps_its_bytes() {
    let world = World::new();
    let bytes = sample::bytes(1, 3 * MIB);
    world.account().add_file("remote", &bytes).unwrap();
    let mounted = world.mount();
    fs::write(mounted.join("local"), &bytes).unwrap();
    for name in ["remote", "local"] {
        let mut file = File::options()
            .read(true)
            .write(true)
            .open(mounted.join(name))
            .unwrap();
        let mut start = vec![0; 1_000];
        file.read_exact(&mut start).unwrap();
        fs::remove_file(mounted.join(name)).unwrap();
        let_work_go_on(&world, &mounted);
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).unwrap();
        assert_eq!([start, rest].concat(), bytes, "{name}");
        // It is still a file, to whoever has it.
        file.write_all_at(b"changed", 10).unwrap();
        let mut changed = [0; 7];
        file.read_exact_at(&mut changed, 10).unwrap();
        assert_eq!(&changed, b"changed");
        assert_eq!(file.metadata().unwrap().nlink(), 0, "{name}");
    }
    mounted.drain();
    assert_eq!(names(mounted.path()), ["later"]);
    assert_eq!(world.account().file_paths(), ["later"]);
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn a_file_that_is_replaced_while_open_keeps_its_bytes() {
    let world = World::new();
    let bytes = sample::bytes(2, 3 * MIB);
    world.account().add_file("file", &bytes).unwrap();
    let mounted = world.mount();
    let mut old = File::open(mounted.join("file")).unwrap();
    let mut start = vec![0; 1_000];
    old.read_exact(&mut start).unwrap();
    fs::write(mounted.join("new"), "replaced").unwrap();
    fs::rename(mounted.join("new"), mounted.join("file")).unwrap();
    let_work_go_on(&world, &mounted);
    assert_eq!(text(mounted.join("file")), "replaced");
    let mut rest = Vec::new();
    old.read_to_end(&mut rest).unwrap();
    assert_eq!([start, rest].concat(), bytes);
    drop(old);
    // The old one was kept for the handle, and only for it.
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["file", "later"]);
    assert_eq!(world.account().content("file").unwrap(), b"replaced");
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn a_change_behind_our_back_shows_and_never_mixes_versions() {
    let world = World::new();
    let (old, new) = (sample::bytes(3, 2 * MIB), sample::bytes(4, 2 * MIB));
    world.account().add_file("file", &old).unwrap();
    let mounted = world.mount();
    let before = File::open(mounted.join("file")).unwrap();
    let mut start = vec![0; 1_000];
    before.read_exact_at(&mut start, 0).unwrap();
    assert_eq!(start, old[..1_000]);
    world.account().replace("file", &new).unwrap();
    world
        .account()
        .add_file("added", b"behind our back")
        .unwrap();
    eventually("the change", || {
        let refreshed = mounted.verb(&["refresh"]);
        assert!(refreshed.status.success(), "{}", shell::show(&refreshed));
        names(mounted.path()) == ["added", "file"]
    });
    assert_eq!(fs::read(mounted.join("file")).unwrap(), new);
    // The service has the old bytes no more, so they may fail; they may not be others.
    let mut end = vec![0; 1_000];
    match before.read_exact_at(&mut end, (2 * MIB - 1_000) as u64) {
        Ok(()) => assert_eq!(end, old[2 * MIB - 1_000..]),
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ESTALE)),
    }
    drop(before);
    mounted.unmount();
}

#[test]
fn truncation_by_path_changes_the_file() {
    let world = World::new();
    let bytes = sample::bytes(5, MIB);
    world.account().add_file("remote", &bytes).unwrap();
    let mounted = world.mount();
    fs::write(mounted.join("local"), &bytes).unwrap();
    for name in ["remote", "local"] {
        let path = mounted.join(name);
        truncate(&path, 700_000).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes[..700_000], "{name}");
        truncate(&path, 800_000).unwrap();
        let longer = fs::read(&path).unwrap();
        assert_eq!(longer[..700_000], bytes[..700_000], "{name}");
        assert_eq!(longer[700_000..], [0; 100_000], "{name}");
    }
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn appends_by_two_handles_do_not_overwrite_each_other() {
    let world = World::new();
    let mounted = world.mount();
    let open = || {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(mounted.join("log"))
            .unwrap()
    };
    let (one, two) = (open(), open());
    std::thread::scope(|scope| {
        for (mut file, mark) in [(one, b'1'), (two, b'2')] {
            scope.spawn(move || {
                for _ in 0..500 {
                    let line = [mark, mark, mark, b'\n'];
                    assert_eq!(file.write(&line).unwrap(), line.len());
                }
            });
        }
    });
    let lines = text(mounted.join("log"));
    let count = |line: &str| lines.lines().filter(|found| *found == line).count();
    assert_eq!((count("111"), count("222")), (500, 500));
    assert_eq!(lines.len(), 4_000);
}

#[test]
fn an_open_file_can_begin_and_cease_to_append() {
    let world = World::new();
    let mounted = world.mount();
    let path = mounted.join("file");
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .unwrap();
    let set = |flags| fcntl(&file, FcntlArg::F_SETFL(flags)).unwrap();
    file.write_all_at(b"abc", 0).unwrap();
    set(OFlag::empty());
    file.write_all_at(b"Z", 5).unwrap();
    assert_eq!(text(&path), "abc\0\0Z");
    set(OFlag::O_APPEND);
    file.write_all_at(b"end", 0).unwrap();
    assert_eq!(text(&path), "abc\0\0Zend");
    drop(file);
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
    world.assert_well_behaved();
}

/// Where the file has data, as the system tells it.
fn data(file: &File) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Ok(start) = lseek(file, at, Whence::SeekData) {
        at = lseek(file, start, Whence::SeekHole).unwrap();
        found.push((start, at));
    }
    found
}

#[test]
fn holes_are_holes() {
    let world = World::new();
    let mounted = world.mount();
    let path = mounted.join("sparse");
    let file = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let mib = MIB as i64;
    file.write_all_at(&sample::bytes(6, MIB), 3 * MIB as u64)
        .unwrap();
    file.set_len(8 * MIB as u64).unwrap();
    assert_eq!(data(&file), [(3 * mib, 4 * mib)]);

    // A hole in the middle of what there is: zeros, and no data.
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(&file, punch, 3 * mib + 65_536, 131_072).unwrap();
    let expected = [
        (3 * mib, 3 * mib + 65_536),
        (3 * mib + 65_536 + 131_072, 4 * mib),
    ];
    assert_eq!(data(&file), expected);
    let mut hole = vec![1; 131_072];
    file.read_exact_at(&mut hole, (3 * MIB + 65_536) as u64)
        .unwrap();
    assert!(hole.iter().all(|byte| *byte == 0));

    // Room that is asked for changes neither size nor bytes.
    let before = fs::read(&path).unwrap();
    fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, 16 * mib).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
    fallocate(&file, FallocateFlags::empty(), 0, 9 * mib).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 9 * MIB as u64);
    let collapse = fallocate(&file, FallocateFlags::FALLOC_FL_COLLAPSE_RANGE, 0, mib);
    assert_eq!(collapse, Err(nix::Error::EOPNOTSUPP));

    drop(file);
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn copies_within_the_mount_are_exact() {
    let world = World::new();
    let bytes = sample::bytes(7, 5 * MIB);
    world.account().add_file("remote", &bytes).unwrap();
    let mounted = world.mount();
    // Python's name for the system call, without a fallback to reading and writing.
    let script = r#"python3 -c '
import os, sys
mount = sys.argv[1]
with open(mount + "/remote", "rb") as source, open(mount + "/copy", "wb") as target:
    done = 0
    while done < 4_000_000:
        done += os.copy_file_range(source.fileno(), target.fileno(), 4_000_000 - done, 1_000_000 + done, 500 + done)
' "$M""#;
    shell::script(&world, script, &[("M", mounted.path())]).unwrap_or_else(|e| panic!("{e}"));
    let copy = fs::read(mounted.join("copy")).unwrap();
    assert_eq!(copy.len(), 4_000_500);
    assert!(copy[..500].iter().all(|byte| *byte == 0));
    assert!(copy[500..] == bytes[1_000_000..5_000_000]);
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn an_edit_in_place_of_a_large_remote_file_keeps_the_rest() {
    let world = World::new();
    let size = 24 * MIB;
    world
        .account()
        .add_synthetic("large", 8, size as u64)
        .unwrap();
    let mounted = world.mount();
    let mut expected = sample::bytes(8, size);
    let mut file = File::options()
        .read(true)
        .write(true)
        .open(mounted.join("large"))
        .unwrap();
    let before = world.report().bytes_down;
    for (at, edit) in [(0, "start"), (9 * MIB + 1, "middle"), (size - 3, "end!")] {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(edit.as_bytes()).unwrap();
        let end = at + edit.len();
        expected.resize(expected.len().max(end), 0);
        expected[at..end].copy_from_slice(edit.as_bytes());
    }
    // Opening and changing a file fetches nothing but the pages that change in part.
    let fetched = world.report().bytes_down - before;
    assert!(fetched < size as u64, "{fetched} bytes were fetched");
    drop(file);
    assert!(fs::read(mounted.join("large")).unwrap() == expected);
    mounted.drain();
    assert!(world.account().content("large").unwrap() == expected);
    assert_eq!(world.account().file_paths(), ["large"]);
    mounted.unmount();
    world.assert_well_behaved();
}

fn is_empty_file(mounted: &Mounted<'_>, name: &str) -> bool {
    let metadata = fs::metadata(mounted.join(name)).unwrap();
    metadata.is_file() && metadata.len() == 0 && fs::read(mounted.join(name)).unwrap().is_empty()
}

/// The service refuses them, so they live with us.
#[test]
fn empty_files_last() {
    let world = World::new();
    world.account().add_folder("folder").unwrap();
    let mounted = world.mount();
    File::create(mounted.join("folder/empty")).unwrap();
    fs::write(mounted.join("emptied"), "not yet").unwrap();
    mounted.drain();
    File::create(mounted.join("emptied")).unwrap();
    mounted.drain();
    // The service cannot have what the file is now, and must not have what it was.
    assert_eq!(world.account().file_paths(), Vec::<String>::new());
    mounted.unmount();
    let again = world.mount();
    assert!(is_empty_file(&again, "folder/empty") && is_empty_file(&again, "emptied"));
    again.crash();
    let again = world.mount();
    assert!(is_empty_file(&again, "folder/empty") && is_empty_file(&again, "emptied"));
    fs::write(again.join("folder/empty"), "no more").unwrap();
    fs::remove_file(again.join("emptied")).unwrap();
    again.drain();
    tree::assert_account_is(&world, again.path());
    again.unmount();
    world.assert_well_behaved();
}

#[test]
fn a_closed_write_is_seen_by_readers_with_old_handles() {
    let world = World::new();
    world.account().add_file("file", b"old content").unwrap();
    let mounted = world.mount();
    let reader = File::open(mounted.join("file")).unwrap();
    let mut seen = [0; 3];
    reader.read_exact_at(&mut seen, 0).unwrap();
    let writer = File::options()
        .write(true)
        .open(mounted.join("file"))
        .unwrap();
    writer.write_all_at(b"new", 0).unwrap();
    // A write that returned is there for everybody, closed or not.
    reader.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"new");
    assert_eq!(errno(reader.write_at(b"x", 0)), libc::EBADF);
    drop(writer);
    assert_eq!(text(mounted.join("file")), "new content");
}

#[test]
fn what_a_handle_writes_that_cannot_read_is_at_once_what_all_others_read_and_have_mapped() {
    const PAGE: usize = 4096;
    let world = World::new();
    let mounted = world.mount();
    let path = mounted.join("file");
    fs::write(&path, vec![0; 3 * PAGE]).unwrap();
    let reader = File::open(&path).unwrap();
    // SAFETY: nobody cuts the file, and bytes that change meanwhile are no references.
    let mapped = unsafe { memmap2::Mmap::map(&reader).unwrap() };
    let writer = File::options().write(true).open(&path).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Has the kernel take in pages all the time, so also while they are written.
        scope.spawn(|| {
            let mut all = vec![0; 3 * PAGE];
            while !over.load(Ordering::Relaxed) {
                reader.read_exact_at(&mut all, 0).unwrap();
            }
        });
        for round in 0..3000u32 {
            let value = (round % 251) as u8 + 1;
            // Over the border of two pages, parts of both and neither of them whole.
            let at = PAGE / 2 + round as usize % PAGE;
            writer.write_all_at(&[value; PAGE], at as u64).unwrap();
            let (mut first, mut last) = ([0], [0]);
            reader.read_exact_at(&mut first, at as u64).unwrap();
            let end = at + PAGE - 1;
            reader.read_exact_at(&mut last, end as u64).unwrap();
            let seen = [first[0], last[0], mapped[at], mapped[end]];
            assert_eq!(seen, [value; 4], "round {round}");
        }
        over.store(true, Ordering::Relaxed);
    });
    drop(writer);
    assert_eq!(fs::read(&path).unwrap(), &mapped[..]);
    drop(mapped);
}

#[test]
fn a_running_program_is_not_changed() {
    let world = World::new();
    let mounted = world.mount();
    let program = mounted.join("sleep");
    // By another process: a child of another test could inherit our descriptor of it.
    let copied = Command::new("cp").arg("/bin/sleep").arg(&program).status();
    assert!(copied.unwrap().success());
    let size = fs::metadata(&program).unwrap().len();
    let mut running = Command::new(&program).arg("1000").spawn().unwrap();
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_TRUNC] {
        let opened = fs::OpenOptions::new()
            .read(flags != libc::O_WRONLY)
            .write(flags != libc::O_TRUNC)
            .custom_flags(flags & libc::O_TRUNC)
            .open(&program);
        assert_eq!(errno(opened), libc::ETXTBSY, "{flags:o}");
    }
    assert_eq!(running.try_wait().unwrap(), None);
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(fs::metadata(&program).unwrap().len(), size);
    mounted.unmount();
}
