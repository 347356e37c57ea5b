//! Real mounts and unmounts of a file system with one file: what `fichierfs::fuse`
//! does around the requests. Needs /dev/fuse and fusermount3.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use fichierfs::fuse::{
    Change, Deadlines, End, FS_TYPE, FuseOptions, Mount, MountError, MountOptions, Mountpoint,
    News, Session, Ttl, Unmount, mountinfo, notifier,
};
use fichierfs::ids::Ino;
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, Request,
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::geteuid;

const HELLO: INodeNo = INodeNo(2);
const TEXT: &[u8] = b"hello\n";
const HOUR: Duration = Duration::from_secs(3600);

/// An end that does not come is a failure, not a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with one file, `hello`.
struct OneFile;

fn attr(ino: INodeNo) -> FileAttr {
    let (kind, perm, size) = match ino {
        HELLO => (FileType::RegularFile, 0o444, TEXT.len() as u64),
        _ => (FileType::Directory, 0o755, 0),
    };
    FileAttr {
        ino,
        size,
        blocks: 1,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: geteuid().as_raw(),
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

impl Filesystem for OneFile {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == "hello" {
            reply.entry(&HOUR, &attr(HELLO), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&HOUR, &attr(ino));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        reply.data(TEXT);
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        if offset == 0 {
            assert!(!reply.add(HELLO, 1, FileType::RegularFile, "hello"));
        }
        reply.ok();
    }
}

/// A temporary folder whose `m` is the mountpoint.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("m")).unwrap();
        Place { dir }
    }

    fn point(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("m")
    }

    fn prepare(&self) -> Result<Mountpoint, MountError> {
        Mountpoint::prepare(&self.point(), &[])
    }

    fn serve(&self) -> Session {
        serve_at(&self.point())
    }

    /// The type of what is mounted there.
    fn mounted(&self) -> Option<String> {
        let mounts = mountinfo::current().unwrap();
        let top = mountinfo::top_at(&mounts, &self.point())?;
        Some(top.fs_type.to_str().unwrap().to_owned())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only what a failed test left behind.
        while self.mounted().is_some() {
            if umount2(&self.point(), MntFlags::MNT_DETACH).is_err() {
                break;
            }
        }
    }
}

fn options() -> FuseOptions {
    FuseOptions {
        root: Ino(1),
        ttl: Ttl::default(),
        deadlines: Deadlines::default(),
        passthrough: false,
        messenger: None,
    }
}

fn serve_at(point: &Path) -> Session {
    let point = Mountpoint::prepare(point, &[]).unwrap();
    let made = Mount::new(&point, MountOptions::default()).unwrap();
    let (notifier, queue) = notifier();
    Session::serve(OneFile, made, &options(), News { notifier, queue }).unwrap()
}

fn end_of(session: &Session) -> End {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, session.ended()).await })
        .expect("the session ends")
}

/// Runs one test of this file again in a mount namespace of its own, where it
/// may mount. A namespace that any process makes meanwhile copies the mounts of
/// its parent, and a copy keeps a mount alive that was unmounted here.
/// Returns whether it did.
fn in_own_namespace(test: &str) -> bool {
    const INSIDE: &str = "FICHIERFS_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let kind = if geteuid().is_root() { "-m" } else { "-rm" };
    let mut command = Command::new("unshare");
    command
        .args([kind, "--"])
        .arg(std::env::current_exe().unwrap());
    passes(command.env(INSIDE, "1"), test);
    true
}

/// Runs one test of this file again as an ordinary user, where this is root:
/// in a mount namespace of its own, whose /dev/fuse is open to all as
/// distributions have it. Returns whether it did.
fn again_as_nobody(test: &str) -> bool {
    if !geteuid().is_root() {
        return false;
    }
    const NOBODY: u32 = 65534;
    const SCRIPT: &str = r#"
        set -e
        mount -t tmpfs none "$TMPDIR/dev"
        mknod -m 666 "$TMPDIR/dev/fuse" c 10 229
        mount --bind "$TMPDIR/dev/fuse" /dev/fuse
        exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
    "#;
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("dev")).unwrap();
    chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    // The original may lie where nobody may go.
    let copy = dir.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", SCRIPT, "sh"]).arg(&copy);
    passes(command.env("TMPDIR", dir.path()).current_dir("/"), test);
    true
}

/// Runs a copy of this program with one test, which must pass.
fn passes(program: &mut Command, test: &str) {
    let output = program
        .args(["--exact", test, "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_mount_shows_its_files_under_its_own_type_until_it_is_unmounted() {
    if in_own_namespace("a_mount_shows_its_files_under_its_own_type_until_it_is_unmounted") {
        return;
    }
    let place = Place::new();
    let session = place.serve();
    assert_eq!(place.mounted().as_deref(), Some(FS_TYPE));
    assert_eq!(fs::read(place.point().join("hello")).unwrap(), TEXT);

    let open = File::open(place.point().join("hello")).unwrap();
    let refusal = session.unmount(Unmount::IfIdle).unwrap_err();
    assert!(matches!(refusal, MountError::Busy(_)), "{refusal:?}");
    assert_eq!(fs::read(place.point().join("hello")).unwrap(), TEXT);

    drop(open);
    session.unmount(Unmount::IfIdle).unwrap();
    assert_eq!(end_of(&session), End::Unmounted);
    assert_eq!(place.mounted(), None);
}

#[test]
fn who_looks_in_for_a_moment_does_not_keep_a_mount_from_going() {
    if in_own_namespace("who_looks_in_for_a_moment_does_not_keep_a_mount_from_going") {
        return;
    }
    let place = Place::new();
    let session = place.serve();
    let open = File::open(place.point().join("hello")).unwrap();
    assert!(umount2(&place.point(), MntFlags::empty()).is_err());
    let visitor = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(open);
    });
    session.unmount(Unmount::IfIdle).unwrap();
    visitor.join().unwrap();
    assert_eq!(end_of(&session), End::Unmounted);
    assert_eq!(place.mounted(), None);
}

#[test]
fn what_is_open_when_the_mount_is_detached_can_still_be_read() {
    if in_own_namespace("what_is_open_when_the_mount_is_detached_can_still_be_read") {
        return;
    }
    let place = Place::new();
    let session = place.serve();
    let open = File::open(place.point().join("hello")).unwrap();
    session.unmount(Unmount::Detach).unwrap();
    assert_eq!(place.mounted(), None);
    assert_eq!(std::io::read_to_string(&open).unwrap().as_bytes(), TEXT);
    drop(open);
    assert_eq!(end_of(&session), End::Unmounted);
}

#[test]
fn a_session_that_is_dropped_leaves_no_mount() {
    if in_own_namespace("a_session_that_is_dropped_leaves_no_mount") {
        return;
    }
    let place = Place::new();
    drop(place.serve());
    assert_eq!(place.mounted(), None);
}

#[test]
fn a_mount_that_lives_is_not_mounted_over() {
    if in_own_namespace("a_mount_that_lives_is_not_mounted_over") {
        return;
    }
    let place = Place::new();
    let _session = place.serve();
    let refusal = place.prepare().unwrap_err();
    assert!(
        matches!(refusal, MountError::AlreadyMounted(_)),
        "{refusal:?}"
    );
}

#[test]
fn a_pile_of_wrecks_is_cleared() {
    if in_own_namespace("a_pile_of_wrecks_is_cleared") {
        return;
    }
    let place = Place::new();
    let point = place.prepare().unwrap();
    for _ in 0..2 {
        // As when a daemon is killed: its device is closed, and nobody unmounts.
        let (mount, device) = Mount::new(&point, MountOptions::default()).unwrap();
        drop(device);
        std::mem::forget(mount);
    }
    let error = fs::metadata(place.point()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN));

    let session = place.serve();
    assert_eq!(fs::read(place.point().join("hello")).unwrap(), TEXT);
    session.unmount(Unmount::IfIdle).unwrap();
    assert_eq!(place.mounted(), None, "nothing is left below the new mount");
}

/// The kernel remembers the attributes of the folder and answers `stat` for the dead.
#[test]
fn the_wreck_of_a_killed_daemon_is_seen_and_cleared_though_it_was_just_in_use() {
    if in_own_namespace(
        "the_wreck_of_a_killed_daemon_is_seen_and_cleared_though_it_was_just_in_use",
    ) {
        return;
    }
    const POINT: &str = "FICHIERFS_TEST_POINT";
    if let Some(point) = std::env::var_os(POINT) {
        // This is the daemon.
        let _session = serve_at(Path::new(&point));
        println!("mounted");
        std::thread::sleep(2 * PATIENCE);
        return;
    }
    let place = Place::new();
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("the_wreck_of_a_killed_daemon_is_seen_and_cleared_though_it_was_just_in_use")
        .env(POINT, place.point())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(daemon.stdout.take().unwrap()).lines();
    let mounted = said.any(|line| line.unwrap().ends_with("mounted"));
    assert!(mounted, "the daemon mounts");
    fs::metadata(place.point()).unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();

    assert_eq!(place.mounted().as_deref(), Some(FS_TYPE));
    place.prepare().unwrap();
    assert_eq!(place.mounted(), None);
}

#[test]
fn news_about_a_mount_that_is_served_reaches_the_kernel_and_harms_nobody() {
    if in_own_namespace("news_about_a_mount_that_is_served_reaches_the_kernel_and_harms_nobody") {
        return;
    }
    let place = Place::new();
    let made = Mount::new(&place.prepare().unwrap(), MountOptions::default()).unwrap();
    let (teller, queue) = notifier();
    let news = News {
        notifier: teller.clone(),
        queue,
    };
    let session = Session::serve(OneFile, made, &options(), news).unwrap();
    let file = place.point().join("hello");
    assert_eq!(fs::read(&file).unwrap(), TEXT);
    for _ in 0..100 {
        teller.tell(Change::Content(Ino(HELLO.0)));
        teller.tell(Change::Gone {
            parent: Ino(1),
            child: Ino(HELLO.0),
            name: "hello".into(),
        });
        teller.tell(Change::Entry {
            parent: Ino(1),
            name: "never seen".into(),
        });
        assert_eq!(fs::read(&file).unwrap(), TEXT);
    }
    session.unmount(Unmount::Detach).unwrap();
    teller.tell(Change::Content(Ino(HELLO.0)));
    assert_eq!(end_of(&session), End::Unmounted);
}

#[test]
fn an_ordinary_user_mounts_through_the_helper() {
    if again_as_nobody("an_ordinary_user_mounts_through_the_helper") {
        return;
    }
    let place = Place::new();
    let session = place.serve();
    let mounts = mountinfo::current().unwrap();
    let listed = mountinfo::top_at(&mounts, &place.point()).unwrap();
    assert_eq!(listed.fs_type, FS_TYPE);
    assert_eq!(listed.fuse_owner(), Some(geteuid().as_raw()));
    assert_eq!(fs::read(place.point().join("hello")).unwrap(), TEXT);

    let open = File::open(place.point().join("hello")).unwrap();
    let refusal = session.unmount(Unmount::IfIdle).unwrap_err();
    assert!(matches!(refusal, MountError::Busy(_)), "{refusal:?}");
    drop(open);
    session.unmount(Unmount::IfIdle).unwrap();
    assert_eq!(end_of(&session), End::Unmounted);

    // And the wreck of a daemon of this user is cleared the same way.
    let (mount, device) = Mount::new(&place.prepare().unwrap(), MountOptions::default()).unwrap();
    drop(device);
    std::mem::forget(mount);
    place.prepare().unwrap();
    assert_eq!(place.mounted(), None);
}

#[test]
fn an_ordinary_user_learns_what_allow_other_needs() {
    if again_as_nobody("an_ordinary_user_learns_what_allow_other_needs") {
        return;
    }
    let place = Place::new();
    let options = MountOptions {
        allow_other: true,
        ..MountOptions::default()
    };
    let result = Mount::new(&place.prepare().unwrap(), options);
    let allowed = fs::read_to_string("/etc/fuse.conf")
        .is_ok_and(|conf| conf.lines().any(|line| line.trim() == "user_allow_other"));
    match result {
        Ok(_) => assert!(allowed),
        Err(error) => {
            assert!(
                matches!(error, MountError::AllowOther) && !allowed,
                "{error:?}"
            );
            assert!(error.to_string().contains("/etc/fuse.conf"));
        }
    }
}

#[test]
fn an_unmount_from_outside_ends_the_session_and_what_came_after_is_left_alone() {
    if in_own_namespace(
        "an_unmount_from_outside_ends_the_session_and_what_came_after_is_left_alone",
    ) {
        return;
    }
    let place = Place::new();
    let session = place.serve();
    umount2(&place.point(), MntFlags::empty()).unwrap();
    assert_eq!(end_of(&session), End::Unmounted);

    tmpfs_on(&place.point());
    session.unmount(Unmount::Detach).unwrap();
    drop(session);
    assert_eq!(place.mounted().as_deref(), Some("tmpfs"));
}

/// The kernel gives the number of a mount that is gone to the next one.
#[test]
fn a_session_that_ends_leaves_its_successor_alone() {
    if in_own_namespace("a_session_that_ends_leaves_its_successor_alone") {
        return;
    }
    let place = Place::new();
    for _ in 0..10 {
        let old = place.serve();
        umount2(&place.point(), MntFlags::empty()).unwrap();
        let new = place.serve();
        assert_eq!(end_of(&old), End::Unmounted);
        old.unmount(Unmount::Detach).unwrap();
        drop(old);
        assert_eq!(fs::read(place.point().join("hello")).unwrap(), TEXT);
        new.unmount(Unmount::IfIdle).unwrap();
        assert_eq!(end_of(&new), End::Unmounted);
    }
}

#[test]
fn what_is_mounted_over_ours_is_not_taken_away() {
    if in_own_namespace("what_is_mounted_over_ours_is_not_taken_away") {
        return;
    }
    let place = Place::new();
    let session = place.serve();
    tmpfs_on(&place.point());
    let refusal = session.unmount(Unmount::Detach).unwrap_err();
    assert!(matches!(refusal, MountError::Covered(_)), "{refusal:?}");
    assert_eq!(place.mounted().as_deref(), Some("tmpfs"));
    umount2(&place.point(), MntFlags::empty()).unwrap();
    assert_eq!(fs::read(place.point().join("hello")).unwrap(), TEXT);
    session.unmount(Unmount::IfIdle).unwrap();
    assert_eq!(end_of(&session), End::Unmounted);
}

fn tmpfs_on(point: &Path) {
    let none: Option<&str> = None;
    mount(none, point, Some("tmpfs"), MsFlags::empty(), none).unwrap();
}
