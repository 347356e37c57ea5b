//! Disks that are full, refuse, or lose files, and databases that are held or damaged:
//! an error that says so, and nothing lost that was accepted.

use super::disk::Disk;
use crate::harness::{
    Mounted, World, errno, eventually, mount_command_on, names, sample, shell, text, tree,
};
use fichierfs::sim::{Fault, FaultKind};
use fichierfs::staging::salvage::{self, Why};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Nothing can be sent until this is cleared.
fn block_uploads(world: &World) {
    let down = FaultKind::Status { status: 503 };
    let fault = Fault::new("upload/get_upload_server", down).always();
    world.simulator().faults().add(fault);
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    Ok(nix::unistd::close(file)?)
}

fn assert_arrives(world: &World, mounted: Mounted<'_>) {
    mounted.drain();
    tree::assert_account_is(world, mounted.path());
    mounted.unmount();
}

/// What a mount that must fail says, in its one line.
fn refusal(world: &World, data: &Path) -> String {
    let output = shell::output(&mut mount_command_on(world, "a", data, &[]));
    assert!(!output.status.success(), "{}", shell::show(&output));
    let said = String::from_utf8(output.stderr).unwrap();
    let mut lines = said.lines().filter(|line| line.starts_with("fichierfs: "));
    let line = lines.next().unwrap_or_else(|| panic!("{said}"));
    assert_eq!(
        (lines.next(), said.lines().last()),
        (None, Some(line)),
        "{said}"
    );
    line.to_owned()
}

#[test]
fn a_full_disk_is_an_error_for_that_write_and_loses_nothing() {
    let world = World::new();
    let disk = Disk::new(world.path("disk"), 1);
    block_uploads(&world);
    let flags = ["--write-wait", "1s"];
    let mounted = world.mount_on("a", disk.path(), &flags);
    // Some room is kept for the database.
    disk.limit((32 << 20) + (6 << 20));
    let mut accepted = Vec::new();
    let refused = loop {
        let (name, seed) = (format!("f{}", accepted.len()), accepted.len() as u64);
        let bytes = sample::bytes(seed, 300_000);
        match write(&mounted.join(&name), &bytes) {
            Ok(()) => accepted.push((name, bytes)),
            Err(error) => break error,
        }
        assert!(accepted.len() < 100, "the disk does not fill");
    };
    assert_eq!(refused.raw_os_error(), Some(libc::ENOSPC));
    assert!(!accepted.is_empty());
    let check = |mounted: &Mounted<'_>, accepted: &[(String, Vec<u8>)]| {
        for (name, bytes) in accepted {
            assert!(fs::read(mounted.join(name)).unwrap() == *bytes, "{name}");
        }
    };
    check(&mounted, &accepted);
    // Others take the rest, until the database has no room.
    disk.limit(0);
    let full = [libc::ENOSPC, libc::EIO];
    let error = (0..1000)
        .find_map(|n| fs::create_dir(mounted.join(format!("d{n}"))).err())
        .expect("the database never fills the disk");
    assert!(full.contains(&error.raw_os_error().unwrap()), "{error}");
    check(&mounted, &accepted);
    // What was kept free for it lets room be made, here and by what is sent.
    let (name, _) = accepted.remove(0);
    fs::remove_file(mounted.join(name)).unwrap();
    mounted.crash();
    let mounted = world.mount_on("a", disk.path(), &flags);
    check(&mounted, &accepted);
    world.simulator().faults().clear();
    check(&mounted, &accepted);
    assert_arrives(&world, mounted);
}

#[test]
fn a_disk_that_turns_read_only_refuses_changes_and_keeps_what_was_accepted() {
    let world = World::new();
    let disk = Disk::new(world.path("disk"), 2);
    block_uploads(&world);
    let mounted = world.mount_on("a", disk.path(), &[]);
    write(&mounted.join("kept"), b"content").unwrap();
    disk.set_read_only(true);
    assert!(write(&mounted.join("refused"), b"content").is_err());
    assert_eq!(text(mounted.join("kept")), "content");
    mounted.crash();
    let said = refusal(&world, disk.path());
    assert!(said.contains(disk.path().to_str().unwrap()), "{said}");
    disk.set_read_only(false);
    world.simulator().faults().clear();
    let mounted = world.mount_on("a", disk.path(), &[]);
    assert_eq!(text(mounted.join("kept")), "content");
    assert_arrives(&world, mounted);
}

#[test]
fn a_database_that_another_process_holds_is_said_and_not_touched() {
    let world = World::new();
    let data = world.path("a");
    let mounted = world.mount();
    fs::write(mounted.join("file"), "content").unwrap();
    mounted.crash();
    let holder = rusqlite::Connection::open(data.join("state/fichierfs.db")).unwrap();
    holder
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE setting SET key = key;",
        )
        .unwrap();
    let said = refusal(&world, &data);
    assert!(said.contains("held by another process"), "{said}");
    drop(holder);
    let mounted = world.mount();
    assert_eq!(text(mounted.join("file")), "content");
    assert_arrives(&world, mounted);
}

/// Each way to damage a database, and whether it can be opened afterwards.
type Damage = fn(&Path);

fn truncate(database: &Path) {
    let length = fs::metadata(database).unwrap().len();
    let file = OpenOptions::new().write(true).open(database).unwrap();
    file.set_len(length / 2 + 100).unwrap();
}

fn overwrite_header(database: &Path) {
    let file = OpenOptions::new().write(true).open(database).unwrap();
    file.write_all_at(&[0; 100], 0).unwrap();
}

fn overwrite_pages(database: &Path) {
    let length = fs::metadata(database).unwrap().len();
    let file = OpenOptions::new().write(true).open(database).unwrap();
    let garbage = sample::bytes(7, length as usize - 100);
    file.write_all_at(&garbage, 100).unwrap();
}

fn empty(database: &Path) {
    fs::write(database, "").unwrap();
}

#[test]
fn from_a_damaged_database_all_that_waits_for_its_upload_is_restored() {
    let damages: [(&str, Damage); 4] = [
        ("truncated", truncate),
        ("header", overwrite_header),
        ("pages", overwrite_pages),
        ("empty", empty),
    ];
    for (name, damage) in damages {
        let world = World::new();
        world
            .account()
            .add_file("remote", b"of the service")
            .unwrap();
        block_uploads(&world);
        let mounted = world.mount();
        fs::create_dir(mounted.join("folder")).unwrap();
        let written: Vec<_> = (0..5)
            .map(|n| (format!("folder/file {n}"), sample::bytes(n, 50_000)))
            .collect();
        for (file, bytes) in &written {
            write(&mounted.join(file), bytes).unwrap();
        }
        mounted.crash();
        let state = world.path("a/state");
        let database = state.join("fichierfs.db");
        // All of it is in the one file that gets damaged.
        rusqlite::Connection::open(&database)
            .unwrap()
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        damage(&database);
        if name != "empty" {
            let said = refusal(&world, &world.path("a"));
            assert!(said.contains("damaged"), "{name}: {said}");
            assert!(said.contains("fichierfs doctor"), "{name}: {said}");
        }
        let found = salvage::remains(&state.join("staging"), &database).unwrap();
        for (file, bytes) in &written {
            let of_it = |r: &&salvage::Remains| r.path.as_deref() == Some(Path::new(file));
            let remains = found.remains.iter().find(of_it);
            let remains = remains.unwrap_or_else(|| panic!("{name}: {file}: {found:?}"));
            assert_eq!(remains.why, Why::NoDatabase, "{name}");
            let to = world.path(&format!("restored {}", remains.number));
            remains.restore(&to).unwrap();
            assert!(fs::read(&to).unwrap() == *bytes, "{name}: {file}");
        }
        // The way out that the message names.
        fs::rename(&database, state.join("damaged.db")).unwrap();
        world.forget_calls();
        let mounted = world.mount();
        assert_eq!(text(mounted.join("remote")), "of the service");
        write(&mounted.join("new"), b"new").unwrap();
        world.simulator().faults().clear();
        assert_arrives(&world, mounted);
        let found = salvage::remains(&state.join("staging"), &database).unwrap();
        assert_eq!(found.remains.len(), written.len(), "{name}");
    }
}

/// Without its log the database is an older one; what is newer is listed.
#[test]
fn without_the_log_of_the_database_what_is_newer_is_restored() {
    let world = World::new();
    block_uploads(&world);
    let mounted = world.mount();
    write(&mounted.join("file"), b"content").unwrap();
    mounted.crash();
    let state = world.path("a/state");
    fs::remove_file(state.join("fichierfs.db-wal")).unwrap();
    let found = salvage::remains(&state.join("staging"), &state.join("fichierfs.db")).unwrap();
    assert_eq!(found.remains.len(), 1, "{found:?}");
    let to = world.path("restored");
    found.remains[0].restore(&to).unwrap();
    assert_eq!(text(to), "content");
    world.simulator().faults().clear();
    let mounted = world.mount();
    mounted.drain();
    mounted.unmount();
}

#[test]
fn a_cache_that_is_wiped_under_a_mount_costs_no_change() {
    let world = World::new();
    let account = world.account();
    account.add_file("edited", &[b'a'; 100_000]).unwrap();
    account.add_file("read", b"of the service").unwrap();
    block_uploads(&world);
    let mounted = world.mount();
    assert_eq!(text(mounted.join("read")), "of the service");
    write(&mounted.join("new"), b"new").unwrap();
    let edited = OpenOptions::new()
        .read(true)
        .write(true)
        .open(mounted.join("edited"))
        .unwrap();
    edited.write_all_at(b"bbb", 50_000).unwrap();
    drop(edited);
    let mut expected = vec![b'a'; 100_000];
    expected[50_000..50_003].fill(b'b');
    fs::remove_dir_all(world.path("a/cache")).unwrap();
    assert!(fs::read(mounted.join("edited")).unwrap() == expected);
    assert_eq!(text(mounted.join("new")), "new");
    assert_eq!(text(mounted.join("read")), "of the service");
    world.simulator().faults().clear();
    assert_arrives(&world, mounted);
}

#[test]
fn a_staged_file_that_somebody_removed_fails_alone() {
    let world = World::new();
    block_uploads(&world);
    let mounted = world.mount();
    write(&mounted.join("broken"), b"lost").unwrap();
    write(&mounted.join("whole"), b"kept").unwrap();
    mounted.crash();
    let staging = world.path("a/state/staging");
    for name in names(&staging) {
        if text(staging.join(&name)) == "lost" {
            fs::remove_file(staging.join(&name)).unwrap();
        }
    }
    world.simulator().faults().clear();
    let mounted = world.mount();
    assert_eq!(errno(fs::read(mounted.join("broken"))), libc::EIO);
    eventually("the other file in the account", || {
        tree::account(&world).contains_key("whole")
    });
    eventually("that the queue tells of it", || {
        let list = mounted.verb(&["queue", "list"]);
        String::from_utf8_lossy(&list.stdout).contains("broken")
    });
    // What cannot be had back can be removed, or written again.
    fs::remove_file(mounted.join("broken")).unwrap();
    write(&mounted.join("broken"), b"again").unwrap();
    assert_arrives(&world, mounted);
}
