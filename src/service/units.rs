//! The texts of the units, and the names of their instances.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The file name of both units.
pub const TEMPLATE: &str = "fichierfs@.service";

const USER: &str = include_str!("user.service");
const SYSTEM: &str = include_str!("system.service");

/// Which systemd the service belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manager {
    /// The user's own, with the user's configuration; it mounts through fusermount3.
    User,
    /// The machine's, with `/etc/fichierfs/config.toml`; it mounts for all users.
    System,
}

/// The unit of a manager that starts `program`, an absolute path.
pub fn unit(manager: Manager, program: &Path) -> String {
    let text = match manager {
        Manager::User => USER,
        Manager::System => SYSTEM,
    };
    text.replace("@PROGRAM@", &word(program.as_os_str()))
}

/// What makes one instance use a profile of the configuration.
pub fn drop_in(profile: &str) -> String {
    let variable = word(OsStr::new(&format!("FICHIERFS_PROFILE={profile}")));
    format!("[Service]\nEnvironment={variable}\n")
}

/// A text as one word of a unit: quoted, and no specifier or escape in it (systemd.syntax(7)).
fn word(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=".contains(c);
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%");
    match text.chars().all(plain) {
        true => escaped,
        false => format!("\"{escaped}\""),
    }
}

/// A mountpoint, absolute, as the instance of a template: what `systemd-escape --path` prints.
pub fn instance(mountpoint: &Path) -> String {
    let mut out = String::new();
    for part in mountpoint.components() {
        let std::path::Component::Normal(name) = part else {
            continue;
        };
        if !out.is_empty() {
            out.push('-');
        }
        for byte in name.as_bytes() {
            let leading_dot = out.is_empty() && *byte == b'.';
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' if !leading_dot => {
                    out.push(char::from(*byte));
                }
                // Writing to a string cannot fail.
                other => drop(write!(out, "\\x{other:02x}")),
            }
        }
    }
    match out.is_empty() {
        true => "-".to_owned(),
        false => out,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn an_instance_is_what_systemd_escape_prints() {
        for path in [
            "/",
            "/mnt/1fichier",
            "/home/u/My files",
            "/home/u/.hidden/a-b",
            "/.x",
            "/é/ü%",
        ] {
            let printed = Command::new("systemd-escape")
                .args(["--path", path])
                .output()
                .expect("systemd-escape is missing; run: tests/setup");
            let printed = String::from_utf8(printed.stdout).unwrap();
            assert_eq!(instance(Path::new(path)), printed.trim_end(), "{path}");
        }
    }

    #[test]
    fn a_strange_path_is_one_word_without_specifiers() {
        let text = unit(Manager::User, Path::new("/opt/my \"%h\" tools/fichierfs"));
        assert!(text.contains("ExecStart=\"/opt/my \\\"%%h\\\" tools/fichierfs\" mount %f\n"));
        assert!(!text.contains("@PROGRAM@"));
        assert_eq!(
            drop_in("my work"),
            "[Service]\nEnvironment=\"FICHIERFS_PROFILE=my work\"\n"
        );
    }

    /// Options that give a service a mount namespace (systemd.exec(5)): nobody else would
    /// see the mount.
    const OWN_NAMESPACE: [&str; 11] = [
        "ProtectSystem=",
        "ProtectHome=",
        "PrivateTmp=",
        "PrivateDevices=",
        "PrivateMounts=",
        "ProtectKernelTunables=",
        "ProtectKernelModules=",
        "ProtectKernelLogs=",
        "ProtectControlGroups=",
        "ReadOnlyPaths=",
        "DynamicUser=",
    ];

    /// And those that keep a set-user-ID program from its power in a user's manager.
    const NO_SET_UID: [&str; 4] = [
        "NoNewPrivileges=",
        "SystemCallFilter=",
        "RestrictAddressFamilies=",
        "MemoryDenyWriteExecute=",
    ];

    #[test]
    fn no_hardening_hides_the_mount_or_stops_fusermount3() {
        let set = |text: &str, name: &str| text.lines().any(|line| line.starts_with(name));
        for name in OWN_NAMESPACE {
            assert!(!set(USER, name) && !set(SYSTEM, name), "{name}");
        }
        for name in NO_SET_UID {
            assert!(!set(USER, name) && set(SYSTEM, name), "{name}");
        }
    }
}
