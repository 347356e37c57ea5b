//! Attributes: times, owners, modes, the user's own, and what the mount's options say.

use crate::harness::{Mounted, World, errno, names, sample, shell, text};
use nix::unistd::geteuid;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

fn attribute(world: &World, path: &Path, name: &str) -> String {
    let script = format!(r#"getfattr --only-values -n {name} "$P""#);
    shell::script(world, &script, &[("P", path)]).unwrap_or_else(|e| panic!("{e}"))
}

fn set_attribute(world: &World, path: &Path, name: &str, value: &str) -> Result<String, String> {
    let script = format!(r#"setfattr -n {name} -v "{value}" "$P""#);
    shell::script(world, &script, &[("P", path)])
}

fn modified() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789)
}

fn assert_kept(world: &World, mounted: &Mounted<'_>, owner: u32) {
    for name in ["file", "folder", "empty", "folder/remote"] {
        let path = mounted.join(name);
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.modified().unwrap(), modified(), "{name}");
        assert_eq!(metadata.mode() & 0o7777, 0o740, "{name}");
        assert_eq!((metadata.uid(), metadata.gid()), (owner, owner), "{name}");
        assert_eq!(attribute(world, &path, "user.note"), "for later", "{name}");
    }
    assert_eq!(
        fs::read_link(mounted.join("link")).unwrap(),
        Path::new("../no such target")
    );
}

/// The service has none of these, so each lasts with us, or would have to fail.
#[test]
fn what_was_set_lasts() {
    let world = World::new();
    world
        .account()
        .add_file("folder/remote", b"remote")
        .unwrap();
    let mounted = world.mount();
    fs::write(mounted.join("file"), "content").unwrap();
    File::create(mounted.join("empty")).unwrap();
    symlink("../no such target", mounted.join("link")).unwrap();
    // An ordinary user can give files to nobody else.
    let owner = if geteuid().is_root() {
        12_345
    } else {
        geteuid().as_raw()
    };
    for name in ["file", "empty", "folder/remote", "folder"] {
        let path = mounted.join(name);
        set_attribute(&world, &path, "user.note", "for later").unwrap_or_else(|e| panic!("{e}"));
        chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o740)).unwrap();
        let times = FileTimes::new().set_modified(modified());
        File::open(&path).unwrap().set_times(times).unwrap();
    }
    assert_kept(&world, &mounted, owner);
    mounted.drain();
    assert_kept(&world, &mounted, owner);
    mounted.unmount();
    let again = world.mount();
    assert_kept(&world, &again, owner);
    again.crash();
    let again = world.mount();
    assert_kept(&world, &again, owner);

    // They go with the file when it is written anew, which gives it a new id.
    let id = attribute(&world, &again.join("file"), "user.1fichier.id");
    fs::write(again.join("file"), "other content").unwrap();
    again.drain();
    assert_ne!(
        attribute(&world, &again.join("file"), "user.1fichier.id"),
        id
    );
    assert_eq!(
        attribute(&world, &again.join("file"), "user.note"),
        "for later"
    );
    assert_eq!(fs::metadata(again.join("file")).unwrap().uid(), owner);
    again.unmount();
    world.assert_well_behaved();
}

#[test]
fn what_the_mount_tells_is_true_and_cannot_be_set() {
    let world = World::new();
    let id = world.account().add_file("file", b"content").unwrap();
    let mounted = world.mount();
    let path = mounted.join("file");
    assert_eq!(attribute(&world, &path, "user.1fichier.id"), id);
    let url = attribute(&world, &path, "user.1fichier.url");
    assert!(url.ends_with(&format!("/?{id}")), "{url}");
    assert_eq!(
        attribute(&world, &path, "user.1fichier.whirlpool"),
        world.account().whirlpool_of(&id).unwrap()
    );
    for name in [
        "user.1fichier.id",
        "user.1fichier.state",
        "trusted.x",
        "system.y",
    ] {
        set_attribute(&world, &path, name, "x").expect_err(name);
    }
    // Nothing is said of a content that the service does not have.
    fs::write(&path, "changed").unwrap();
    for name in ["id", "url", "whirlpool"] {
        let none = format!(r#"! getfattr -n user.1fichier.{name} "$P""#);
        shell::script(&world, &none, &[("P", &path)]).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    mounted.unmount();
}

#[test]
fn files_of_the_service_have_the_times_of_the_service() {
    let world = World::new();
    world.account().add_file("file", b"content").unwrap();
    let mounted = world.mount();
    let listed = world.account().entries().remove(0).date;
    // The service tells its own clock's time, which is that of Paris.
    let seen = r#"TZ=Europe/Paris date -r "$P" '+%F %T'"#;
    let seen = shell::script(&world, seen, &[("P", &mounted.join("file"))]);
    assert_eq!(seen.unwrap_or_else(|e| panic!("{e}")).trim(), listed);
}

#[test]
fn a_mount_for_reading_refuses_all_changes() {
    let world = World::new();
    world.account().add_file("folder/file", b"content").unwrap();
    let mounted = world.mount_with("a", &["-o", "ro"]);
    let file = mounted.join("folder/file");
    assert_eq!(text(&file), "content");
    assert_eq!(errno(fs::write(&file, "x")), libc::EROFS);
    assert_eq!(errno(fs::remove_file(&file)), libc::EROFS);
    assert_eq!(errno(fs::create_dir(mounted.join("new"))), libc::EROFS);
    assert_eq!(errno(fs::rename(&file, mounted.join("x"))), libc::EROFS);
    let mode = fs::set_permissions(&file, Permissions::from_mode(0o600));
    assert_eq!(errno(mode), libc::EROFS);
    mounted.unmount();
    assert_eq!(world.account().file_paths(), ["folder/file"]);
}

#[test]
fn owner_and_mode_are_as_the_options_say() {
    let world = World::new();
    world.account().add_file("folder/file", b"content").unwrap();
    let mounted = world.mount_with("a", &["-o", "uid=1234,gid=2345,umask=027"]);
    for (name, mode) in [("folder", 0o750), ("folder/file", 0o640)] {
        let metadata = fs::metadata(mounted.join(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (1_234, 2_345), "{name}");
        assert_eq!(metadata.mode() & 0o7777, mode, "{name}");
    }
    mounted.unmount();
}

#[test]
fn a_folder_of_the_account_can_be_the_root() {
    let world = World::new();
    let account = world.account();
    account.add_file("music/albums/one/song", b"la la").unwrap();
    account.add_file("private", b"elsewhere").unwrap();
    let mounted = world.mount_with("a", &["--root-folder", "music/albums"]);
    assert_eq!(names(mounted.path()), ["one"]);
    assert_eq!(text(mounted.join("one/song")), "la la");
    fs::write(mounted.join("new"), sample::bytes(1, 5_000)).unwrap();
    mounted.unmount();
    let files = ["music/albums/new", "music/albums/one/song", "private"];
    assert_eq!(account.file_paths(), files);
    world.assert_well_behaved();
}
