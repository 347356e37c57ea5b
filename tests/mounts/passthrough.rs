//! Files that the kernel reads by itself, where that is asked for (`passthrough`).

use crate::harness::{Mounted, World, errno, sample, shell};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::{Whence, lseek};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Barrier;

const SIZE: usize = (1 << 20) + 77;
const ON: [&str; 1] = ["--passthrough"];

fn as_root() -> World {
    assert!(
        nix::unistd::geteuid().is_root(),
        "the kernel takes files from root alone: run the tests as root"
    );
    World::new()
}

/// How many opens there were of files that the kernel reads by itself.
fn passed(mounted: &Mounted<'_>) -> u64 {
    let output = mounted.verb(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    status["cache"]["passed_opens"].as_u64().unwrap()
}

/// Opens a file and sees that it is passed through.
fn pass(mounted: &Mounted<'_>, name: impl AsRef<Path>) -> File {
    let before = passed(mounted);
    let file = File::open(mounted.join(name)).unwrap();
    assert_eq!(passed(mounted), before + 1, "it is not passed through");
    file
}

/// Has everything in the cache, compared with its checksum.
fn verify(world: &World, mounted: &Mounted<'_>) {
    let found = shell::script(world, "find $F > /dev/null", &[("F", mounted.path())]);
    assert!(found.is_ok(), "{found:?}");
    let output = shell::output(world.fichierfs().arg("verify").arg(mounted.path()));
    assert!(output.status.success(), "{}", shell::show(&output));
}

fn read_all(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; 4 * SIZE];
    let mut len = 0;
    loop {
        match file.read_at(&mut bytes[len..], len as u64).unwrap() {
            0 => break,
            read => len += read,
        }
    }
    bytes.truncate(len);
    bytes
}

/// The files of the cache folder, with what is in them.
fn cache(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = fs::read_dir(world.path("a/cache")).unwrap();
    folder
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn stat(path: &Path) -> (u64, u64) {
    let about = fs::metadata(path).unwrap();
    (about.ino(), about.size())
}

#[test]
fn a_verified_file_is_read_by_the_kernel_itself_to_its_last_byte_and_no_further() {
    let world = as_root();
    let bytes = sample::bytes(1, SIZE);
    world.account().add_file("film", &bytes).unwrap();
    let mounted = world.mount_with("a", &ON);
    drop(File::open(mounted.join("film")).unwrap());
    assert_eq!(passed(&mounted), 0, "it is not there yet");
    verify(&world, &mounted);
    let film = pass(&mounted, "film");
    let again = pass(&mounted, "film");
    // Nobody is there to be asked.
    mounted.signal(Signal::SIGSTOP);
    let read = read_all(&film);
    let mut end = [1; 100];
    let beyond = film.read_at(&mut end, SIZE as u64).unwrap();
    let last = again.read_at(&mut end, SIZE as u64 - 9).unwrap();
    mounted.signal(Signal::SIGCONT);
    assert!(read == bytes);
    assert_eq!((beyond, last), (0, 9));
    assert_eq!(film.metadata().unwrap().len(), SIZE as u64);
    drop((film, again));
    for bytes_in_cache in cache(&world).values() {
        assert!(*bytes_in_cache == bytes, "nothing is behind its end");
    }
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn without_the_option_nothing_is_passed_through() {
    let world = as_root();
    let bytes = sample::bytes(1, SIZE);
    world.account().add_file("film", &bytes).unwrap();
    let mounted = world.mount();
    verify(&world, &mounted);
    assert!(fs::read(mounted.join("film")).unwrap() == bytes);
    assert_eq!(passed(&mounted), 0);
    for bytes_in_cache in cache(&world).values() {
        assert!(bytes_in_cache.len() > SIZE, "its checksums are behind it");
    }
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn what_was_passed_through_is_so_again_after_a_restart_once_it_was_read() {
    let world = as_root();
    let bytes = sample::bytes(1, SIZE);
    world.account().add_file("film", &bytes).unwrap();
    let mounted = world.mount_with("a", &ON);
    verify(&world, &mounted);
    let film = pass(&mounted, "film");
    mounted.crash();
    // The kernel goes on by itself.
    assert!(read_all(&film) == bytes);
    let before = cache(&world);
    let mounted = world.mount_with("a", &ON);
    assert!(fs::read(mounted.join("film")).unwrap() == bytes);
    assert!(read_all(&pass(&mounted, "film")) == bytes);
    assert!(read_all(&film) == bytes);
    assert!(cache(&world) == before);
    let report = world.report();
    assert_eq!(report.calls_of("download/get_token"), 1);
    mounted.unmount();
    // Without the option it is read as any other.
    let mounted = world.mount();
    assert!(fs::read(mounted.join("film")).unwrap() == bytes);
    assert!(cache(&world) == before);
    mounted.unmount();
    world.assert_well_behaved();
}

/// What people do to a file, and what it is then.
const CHANGES: [(&str, &str); 10] = [
    ("truncate -s 5 $F", "cut"),
    ("printf new > $F", "anew"),
    ("printf end >> $F", "appended"),
    (
        "printf xyz | dd of=$F bs=1 seek=2 conv=notrunc status=none",
        "patched",
    ),
    ("sed -i s/^...../sed../ $F", "replaced"),
    ("printf moved > $F.new && mv $F.new $F", "moved"),
    ("rm $F", "gone"),
    ("rm $F && printf again > $F", "again"),
    (
        "python3 -c 'import sys,mmap; f=open(sys.argv[1],\"r+b\"); mmap.mmap(f.fileno(),0)[0:3]=b\"map\"' $F",
        "mapped",
    ),
    (
        "cp --reflink=never $F $F.copy && cat $F.copy >> $F && rm $F.copy",
        "doubled",
    ),
];

fn changed(what: &str, old: &[u8]) -> Option<Vec<u8>> {
    let over = |at: usize, new: &[u8]| [&old[..at], new, &old[at + new.len()..]].concat();
    Some(match what {
        "cut" => old[..5].to_vec(),
        "anew" => b"new".to_vec(),
        "appended" => [old, b"end"].concat(),
        "patched" => over(2, b"xyz"),
        "replaced" => over(0, b"sed.."),
        "moved" => b"moved".to_vec(),
        "gone" => return None,
        "again" => b"again".to_vec(),
        "mapped" => over(0, b"map"),
        "doubled" => [old, old].concat(),
        other => panic!("{other}"),
    })
}

#[test]
fn every_change_succeeds_and_who_had_the_file_open_reads_on_what_it_was() {
    let world = as_root();
    // A line of letters, so that sed can do something with it.
    let old: Vec<u8> = sample::bytes(1, SIZE)
        .iter()
        .map(|b| b'a' + b % 26)
        .collect();
    for (_, name) in CHANGES {
        let path = format!("folder/{name}");
        world
            .account()
            .add_file(&path, &[name.as_bytes(), &old[..]].concat())
            .unwrap();
    }
    let mounted = world.mount_with("a", &ON);
    verify(&world, &mounted);
    let before = cache(&world);
    for (change, name) in CHANGES {
        let old = [name.as_bytes(), &old[..]].concat();
        let path = mounted.join(format!("folder/{name}"));
        let (ino, _) = stat(&path);
        let reader = pass(&mounted, &path);
        // SAFETY: nobody changes what the kernel reads by itself.
        let mapped = unsafe { memmap2::Mmap::map(&reader).unwrap() };
        let done = shell::script(&world, change, &[("F", &path)]);
        assert!(done.is_ok(), "{name}: {done:?}");
        let wanted = changed(name, &old);
        match &wanted {
            Some(wanted) => {
                assert!(fs::read(&path).unwrap() == *wanted, "{name}");
                let replaced = ["replaced", "moved", "again"].contains(&name);
                // Asked for, and then from the kernel's memory.
                let [(now, size), again] = [stat(&path), stat(&path)];
                assert_eq!(again, (now, size), "{name}");
                assert_eq!(size, wanted.len() as u64, "{name}");
                assert!(
                    replaced || now == ino,
                    "{name} has another inode: {ino}, {now}"
                );
                assert!(replaced || reader.metadata().unwrap().ino() == ino);
            }
            None => assert_eq!(errno(File::open(&path)), libc::ENOENT),
        }
        // Whoever has it open sees none of it, whichever way it is asked for.
        assert!(read_all(&reader) == old && mapped[..] == old, "{name}");
        assert_eq!(reader.metadata().unwrap().len(), old.len() as u64, "{name}");
        let end = lseek(&reader, 0, Whence::SeekHole).unwrap();
        assert_eq!(end, old.len() as i64, "{name}");
        let beyond = lseek(&reader, old.len() as i64, Whence::SeekData);
        assert_eq!(beyond, Err(Errno::ENXIO), "{name}");
        let copy = mounted.join("copy");
        let mut to = File::create(&copy).unwrap();
        let copied = std::io::copy(&mut &reader_at_start(&reader), &mut to).unwrap();
        assert_eq!(copied, old.len() as u64, "{name}");
        assert!(fs::read(&copy).unwrap() == old, "{name}");
    }
    assert!(before.iter().all(|(path, bytes)| {
        // What is gone from the account may be gone from the cache.
        fs::read(path).map_or(true, |now| {
            now == *bytes || (now.len() < bytes.len() && bytes.starts_with(&now))
        })
    }));
    mounted.drain();
    for (_, name) in CHANGES {
        let path = format!("folder/{name}");
        let old = [name.as_bytes(), &old[..]].concat();
        assert!(
            world.account().content(&path).ok() == changed(name, &old),
            "{name}"
        );
    }
    mounted.unmount();
    // With another process they are files as any other.
    let mounted = world.mount_with("a", &ON);
    verify(&world, &mounted);
    drop(pass(&mounted, "folder/patched"));
    mounted.unmount();
    world.assert_well_behaved();
}

/// Another handle on what this one reads.
fn reader_at_start(reader: &File) -> File {
    let same = reader.try_clone().unwrap();
    lseek(&same, 0, Whence::SeekSet).unwrap();
    same
}

/// How one of several begins with a file that nobody has open.
#[derive(Clone, Copy)]
enum Begin {
    Read,
    ReadDirectly,
    Write,
    ReadAndWrite,
    Append,
    Empty,
    Cut,
}

const BEGINNINGS: [Begin; 10] = [
    Begin::Read,
    Begin::Read,
    Begin::Read,
    Begin::Read,
    Begin::ReadDirectly,
    Begin::Write,
    Begin::ReadAndWrite,
    Begin::Append,
    Begin::Empty,
    Begin::Cut,
];

const BLOCK: usize = 16 << 10;
const BLOCKS: usize = 4;

/// Nobody wrote anything but letters, and what is skipped is zeros.
fn check(bytes: &[u8], known: &[u8]) {
    let strange = bytes.iter().find(|byte| !known.contains(byte));
    assert_eq!(strange, None, "nobody wrote that");
}

fn begin(path: &Path, how: Begin, letter: u8, known: &[u8]) {
    let block = vec![letter; BLOCK];
    let open = |options: &mut OpenOptions| options.open(path).unwrap();
    match how {
        Begin::Read | Begin::ReadDirectly => {
            let direct = match how {
                Begin::ReadDirectly => libc::O_DIRECT,
                _ => 0,
            };
            let file = open(OpenOptions::new().read(true).custom_flags(direct));
            for _ in 0..3 {
                check(&read_all(&file), known);
            }
        }
        Begin::Write => {
            let mut file = open(OpenOptions::new().write(true));
            file.write_all(&block).unwrap();
        }
        Begin::ReadAndWrite => {
            let file = open(OpenOptions::new().read(true).write(true));
            check(&read_all(&file), known);
            file.write_all_at(&block, BLOCK as u64).unwrap();
        }
        Begin::Append => {
            let mut file = open(OpenOptions::new().append(true));
            file.write_all(&block).unwrap();
        }
        Begin::Empty => {
            let mut file = open(OpenOptions::new().write(true).truncate(true));
            file.write_all(&block).unwrap();
        }
        Begin::Cut => nix::unistd::truncate(path, BLOCK as i64).unwrap(),
    }
}

#[test]
fn readers_and_writers_that_open_a_file_in_any_order_meet_no_error_and_no_other_bytes() {
    const FILES: usize = 60;
    const THREADS: usize = 4;
    let world = as_root();
    let original = vec![b'o'; BLOCK * BLOCKS];
    for nth in 0..FILES {
        let name = format!("{nth}");
        world.account().add_file(&name, &original).unwrap();
    }
    let mounted = world.mount_with("a", &ON);
    verify(&world, &mounted);
    // Each is sealed by being opened once.
    for nth in 0..FILES {
        drop(File::open(mounted.join(nth.to_string())).unwrap());
    }
    let before = cache(&world);
    assert!(before.values().all(|bytes| *bytes == original));
    let known: Vec<u8> = [0, b'o']
        .into_iter()
        .chain((0..THREADS as u8).map(|t| b'A' + t))
        .collect();
    let mut dice = 1_u64;
    let mut throw = move || {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        BEGINNINGS[(dice >> 33) as usize % BEGINNINGS.len()]
    };
    for nth in 0..FILES {
        let path = mounted.join(nth.to_string());
        // Half of them while it is passed through for sure; of the others whoever comes first
        // decides.
        let held = (nth % 2 == 0).then(|| pass(&mounted, nth.to_string()));
        let start = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for thread in 0..THREADS as u8 {
                let (path, known, start) = (&path, &known, &start);
                let hows: [Begin; 6] = std::array::from_fn(|_| throw());
                scope.spawn(move || {
                    start.wait();
                    for how in hows {
                        begin(path, how, b'A' + thread, known);
                    }
                });
            }
        });
        check(&fs::read(&path).unwrap(), &known);
        drop(held);
        // Whoever opens it after a writer has closed it reads what that wrote.
        fs::write(&path, vec![b'A'; BLOCK]).unwrap();
        assert!(fs::read(&path).unwrap() == vec![b'A'; BLOCK]);
        assert_eq!(fs::metadata(&path).unwrap().len(), BLOCK as u64);
    }
    for (path, bytes) in &before {
        assert!(
            fs::read(path).map_or(true, |now| now == *bytes),
            "the clean cache was written"
        );
    }
    assert!(!mounted.log().contains("failed"), "{}", mounted.log());
    mounted.drain();
    for nth in 0..FILES {
        let content = world.account().content(&nth.to_string()).unwrap();
        assert!(content == vec![b'A'; BLOCK]);
    }
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn who_cannot_look_the_file_up_anew_is_told_that_it_is_stale() {
    let world = as_root();
    let bytes = sample::bytes(1, SIZE);
    world.account().add_file("film", &bytes).unwrap();
    let mounted = world.mount_with("a", &ON);
    verify(&world, &mounted);
    let film = pass(&mounted, "film");
    let link = format!("/proc/self/fd/{}", film.as_raw_fd());
    let same = File::open(&link).unwrap();
    assert!(read_all(&same) == bytes);
    assert_eq!(
        errno(OpenOptions::new().write(true).open(&link)),
        libc::ESTALE
    );
    assert_eq!(errno(File::open(&link)), libc::ESTALE);
    // By its name it can be changed, and those who have it open read on.
    fs::write(mounted.join("film"), "new").unwrap();
    assert_eq!(fs::read(mounted.join("film")).unwrap(), b"new");
    assert!(read_all(&film) == bytes && read_all(&same) == bytes);
    drop((film, same));
    mounted.drain();
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn what_the_kernel_reads_stays_when_the_cache_is_cleared() {
    let world = as_root();
    let bytes = sample::bytes(1, SIZE);
    world.account().add_file("film", &bytes).unwrap();
    let mounted = world.mount_with("a", &ON);
    verify(&world, &mounted);
    let film = pass(&mounted, "film");
    let cleared = mounted.verb(&["cache", "clear"]);
    assert!(cleared.status.success(), "{}", shell::show(&cleared));
    assert!(read_all(&film) == bytes);
    assert!(read_all(&pass(&mounted, "film")) == bytes);
    drop(film);
    mounted.unmount();
    world.assert_well_behaved();
}
