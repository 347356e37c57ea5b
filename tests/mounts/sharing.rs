//! The mount, exported to other machines: file handles that outlast what the kernel
//! remembers, a Samba server, and an NFS server.

use crate::harness::{Mounted, World, patience, shell, text, tree};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

fn handles(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mounts/sharing/handles.py");
    let mut python = Command::new("python3");
    let output = shell::output(python.arg(script).args(arguments));
    assert!(
        output.status.success(),
        "opening by a handle needs root: {}",
        shell::show(&output)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn file_handles_outlast_the_kernels_memory_and_the_daemon() {
    let world = World::new();
    world.account().add_file("a/b/far", b"remote").unwrap();
    let mounted = world.mount();
    fs::write(mounted.join("a/near"), "local").unwrap();
    let paths = ["a/b/far", "a/near", "a/b"];
    let path = |name: &str| mounted.join(name).to_str().unwrap().to_owned();
    let named = paths.map(|name| handles(&["name", &path(name)]));
    let shown = |mounted: &Mounted<'_>| {
        let top = mounted.path().to_str().unwrap();
        named
            .each_ref()
            .map(|handle| handles(&["read", top, handle]))
    };
    let expected = ["remote", "local", "far"];
    assert_eq!(shown(&mounted), expected);
    // The kernel forgets all that nobody uses.
    fs::write("/proc/sys/vm/drop_caches", "2").unwrap();
    assert_eq!(shown(&mounted), expected);
    mounted.unmount();
    let mounted = world.mount();
    assert_eq!(shown(&mounted), expected);
    mounted.unmount();
    world.assert_well_behaved();
}

/// A Samba server for one folder on a port of its own. Dropping it ends it.
struct Samba {
    server: Child,
    port: u16,
}

impl Samba {
    fn serve(world: &World, share: &Path) -> Samba {
        shell::need(&["smbclient"]);
        let program = ["/usr/sbin/smbd", "/usr/bin/smbd"].map(Path::new);
        let program = program.into_iter().find(|path| path.is_file());
        let program = program.expect("`smbd` is missing: run tests/setup");
        // Taken by nobody a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let own = world.folder("samba");
        let config = own.join("smb.conf");
        let places: String = ["private dir", "lock directory", "state directory"]
            .into_iter()
            .chain(["cache directory", "pid directory", "ncalrpc dir"])
            .map(|place| format!("{place} = {}\n", own.join("own").display()))
            .collect();
        let lines = format!(
            "[global]\nserver role = standalone server\nsmb ports = {port}\ninterfaces = lo\n\
             bind interfaces only = yes\nmap to guest = Bad User\nguest account = root\n\
             load printers = no\ndisable spoolss = yes\nlog file = {}\n{places}\
             [share]\npath = {}\nread only = no\nguest ok = yes\n",
            own.join("log").display(),
            share.display()
        );
        fs::create_dir_all(own.join("own")).unwrap();
        fs::write(&config, lines).unwrap();
        let server = Command::new(program)
            .args(["--foreground", "-s"])
            .arg(&config)
            .stdout(fs::File::create(own.join("out")).unwrap())
            .stderr(fs::File::create(own.join("err")).unwrap())
            .spawn()
            .unwrap();
        let samba = Samba { server, port };
        let end = Instant::now() + patience();
        while !samba.run("ls").status.success() {
            assert!(Instant::now() < end, "{}", text(own.join("err")));
            std::thread::sleep(Duration::from_millis(100));
        }
        samba
    }

    fn run(&self, commands: &str) -> Output {
        let port = self.port.to_string();
        let mut client = Command::new("smbclient");
        client.args(["-N", "-p", &port, "//127.0.0.1/share", "-c", commands]);
        client.env("PATH", shell::search_path());
        shell::output(&mut client)
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        // So asked, it ends its helpers, which are of its process group.
        let pid = i32::try_from(self.server.id()).unwrap();
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let _ = self.server.wait();
    }
}

#[test]
fn over_samba_files_come_and_go_as_on_any_disk() {
    let world = World::new();
    let account = world.account();
    let film: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    account.add_file("films/film.mkv", &film).unwrap();
    account.add_file("films/old name", b"old").unwrap();
    let mounted = world.mount();
    let samba = Samba::serve(&world, mounted.path());
    let here = world.folder("here");
    let file = |name: &str| -> PathBuf { here.join(name) };
    fs::write(file("sent"), &film[..1_000_000]).unwrap();
    let output = samba.run(&format!(
        "get films/film.mkv {}; mkdir new; put {} new/sent; \
         rename \"films/old name\" \"films/new name\"; \
         put {} new/gone; del new/gone; ls films/*",
        file("film").display(),
        file("sent").display(),
        file("sent").display(),
    ));
    let said = shell::show(&output);
    assert!(said.contains("new name"), "{said}");
    assert!(fs::read(file("film")).unwrap() == film);
    mounted.drain();
    let mut there = account.file_paths();
    there
        .iter_mut()
        .for_each(|path| *path = path.trim_start_matches('/').to_owned());
    assert_eq!(there, ["films/film.mkv", "films/new name", "new/sent"]);
    tree::assert_account_is(&world, mounted.path());
    drop(samba);
    mounted.unmount();
    world.assert_well_behaved();
}

/// An NFS server for one folder on a port of its own. Dropping it ends it.
struct Nfs {
    server: Child,
    port: u16,
    own: PathBuf,
}

impl Nfs {
    fn serve(world: &World, folder: &Path) -> Nfs {
        shell::need(&["ganesha.nfsd", "nfs-ls", "nfs-cat", "nfs-cp"]);
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let own = world.folder("nfs");
        let lines = format!(
            "NFS_CORE_PARAM {{ Protocols = 4; NFS_Port = {port}; Bind_addr = 127.0.0.1; \
             Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; \
             mount_path_pseudo = true; }}\n\
             NFS_KRB5 {{ Active_krb5 = false; }}\n\
             NFSv4 {{ Graceless = true; RecoveryBackend = fs; RecoveryRoot = {}; }}\n\
             EXPORT {{ Export_Id = 7; Path = {}; Pseudo = /m; Filesystem_id = 7.7; \
             Access_Type = RW; Squash = None; SecType = sys; FSAL {{ Name = VFS; }} }}\n",
            own.display(),
            folder.display()
        );
        let config = own.join("ganesha.conf");
        fs::write(&config, lines).unwrap();
        let server = Command::new("ganesha.nfsd")
            .env("PATH", shell::search_path())
            .arg("-F")
            .args(["-N", "EVENT", "-L"])
            .arg(own.join("log"))
            .arg("-f")
            .arg(&config)
            .arg("-p")
            .arg(own.join("pid"))
            .spawn()
            .unwrap();
        let nfs = Nfs { server, port, own };
        let end = Instant::now() + patience();
        while !nfs.run("nfs-ls", &[&nfs.url("")]).status.success() {
            assert!(Instant::now() < end, "{}", text(nfs.own.join("log")));
            std::thread::sleep(Duration::from_millis(100));
        }
        nfs
    }

    fn url(&self, path: &str) -> String {
        let port = self.port;
        format!("nfs://127.0.0.1/m{path}?version=4&nfsport={port}")
    }

    fn run(&self, program: &str, words: &[&str]) -> Output {
        let mut client = Command::new(program);
        client.args(words).env("PATH", shell::search_path());
        shell::output(&mut client)
    }
}

impl Drop for Nfs {
    fn drop(&mut self) {
        let pid = i32::try_from(self.server.id()).unwrap();
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let _ = self.server.wait();
    }
}

#[test]
fn over_nfs_files_are_listed_read_and_written() {
    let world = World::new();
    let account = world.account();
    let film: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    account.add_file("films/film.mkv", &film).unwrap();
    let mounted = world.mount();
    let nfs = Nfs::serve(&world, mounted.path());
    let listed = shell::show(&nfs.run("nfs-ls", &[&nfs.url("/films")]));
    assert!(listed.contains("film.mkv"), "{listed}");
    let read = nfs.run("nfs-cat", &[&nfs.url("/films/film.mkv")]);
    assert!(read.stdout == film, "{}", read.status);
    // The kernel forgets what the server does not hold open; its handles are good all the same.
    fs::write("/proc/sys/vm/drop_caches", "2").unwrap();
    let read = nfs.run("nfs-cat", &[&nfs.url("/films/film.mkv")]);
    assert!(read.stdout == film, "{}", read.status);
    let here = world.folder("here").join("sent");
    // This client writes no more at once than a few bytes over NFS 4, to any disk.
    fs::write(&here, "sent over NFS\n").unwrap();
    let sent = nfs.run("nfs-cp", &[here.to_str().unwrap(), &nfs.url("/films/sent")]);
    assert!(sent.status.success(), "{}", shell::show(&sent));
    assert_eq!(text(mounted.join("films/sent")), "sent over NFS\n");
    // The server keeps files open after their client is gone.
    drop(nfs);
    mounted.drain();
    assert_eq!(account.content("films/sent").unwrap(), b"sent over NFS\n");
    mounted.unmount();
    world.assert_well_behaved();
}
