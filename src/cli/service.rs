//! `service`: writes the unit and says what to run; systemd is not asked for anything.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::args::{ServicePlace, ServiceVerb};
use super::exit::{Exit, Failure};
use super::{Outcome, show};
use crate::service::{
    Change, Edited, Manager, Place, ServiceError, install, instance, uninstall, unit,
};

pub(super) fn run(verb: ServiceVerb) -> Outcome {
    match verb {
        ServiceVerb::Install {
            place,
            profile,
            force,
            mountpoint,
        } => {
            let at = std::path::absolute(mountpoint)?;
            let wanted = files(&place)?;
            let program = program()?;
            if place.system && place.root.is_none() {
                only_roots(&program)?;
            }
            let edited = edited(force);
            let changes = install(&wanted, &program, &at, profile.as_deref(), edited)?;
            if place.root.is_none() {
                make(&at)?;
            }
            show::print(&(listed(&changes) + &next(wanted.manager, &at, profile.as_deref())))?;
        }
        ServiceVerb::Uninstall {
            place,
            force,
            mountpoint,
        } => {
            let at = std::path::absolute(mountpoint)?;
            let wanted = files(&place)?;
            let changes = uninstall(&wanted, &at, edited(force))?;
            let systemctl = systemctl(wanted.manager);
            let unit = instance(&at);
            show::print(&format!(
                "{}Next:\n  {systemctl} stop 'fichierfs@{unit}.service'\n  {systemctl} daemon-reload\n",
                listed(&changes),
            ))?;
        }
        ServiceVerb::Show { place } => {
            show::print(&unit(manager(&place), &program()?))?;
        }
    }
    Ok(Exit::Done)
}

fn manager(place: &ServicePlace) -> Manager {
    match place.system {
        true => Manager::System,
        false => Manager::User,
    }
}

fn edited(force: bool) -> Edited {
    match force {
        true => Edited::MayGo,
        false => Edited::Stay,
    }
}

/// Where the files go.
fn files(place: &ServicePlace) -> Result<Place, Failure> {
    let manager = manager(place);
    let (units, helpers) = match manager {
        Manager::User => {
            let base = dirs::config_dir().ok_or(crate::config::ConfigError::NoHome)?;
            (base.join("systemd/user"), None)
        }
        Manager::System => {
            let root = place.root.as_deref().unwrap_or(Path::new("/"));
            let helpers = root.join("sbin");
            (root.join("etc/systemd/system"), Some(helpers))
        }
    };
    Ok(Place {
        manager,
        units,
        helpers,
    })
}

/// This program, as a service is to start it.
fn program() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?)
}

/// Refuses to have root start what somebody else can change.
fn only_roots(program: &Path) -> Result<(), Failure> {
    let Some(theirs) = program.ancestors().find(|path| !is_roots(path)) else {
        return Ok(());
    };
    let line = format!(
        "a service of the machine must not run {}: others than root can change {}; run: sudo install -m 755 {} /usr/local/bin/ && sudo /usr/local/bin/fichierfs service install --system …",
        program.display(),
        theirs.display(),
        program.display(),
    );
    Err(Failure::new(Exit::Failed, line))
}

/// Whether root alone can change it; in a folder with the sticky bit others can add, not replace.
fn is_roots(path: &Path) -> bool {
    let Ok(facts) = path.symlink_metadata() else {
        return false;
    };
    let open = facts.mode() & 0o022 != 0 && facts.mode() & 0o1000 == 0;
    facts.uid() == 0 && !open
}

fn make(mountpoint: &Path) -> Result<(), Failure> {
    // One that is mounted already, or a wreck, is there.
    match std::fs::create_dir_all(mountpoint) {
        Err(_) if mountpoint.symlink_metadata().is_err() => {
            let line = format!(
                "the unit is written, but {} cannot be made: make it before the start",
                mountpoint.display()
            );
            Err(Failure::new(Exit::Failed, line))
        }
        _ => Ok(()),
    }
}

fn listed(changes: &[Change]) -> String {
    let mut out = String::new();
    for change in changes {
        let (what, path) = match change {
            Change::Wrote(path) => ("wrote", path),
            Change::Kept(path) => ("is up to date:", path),
            Change::Removed(path) => ("removed", path),
        };
        let path = path.display().to_string();
        out.push_str(&format!("{what} {}\n", show::plain(&path)));
    }
    out
}

fn systemctl(manager: Manager) -> &'static str {
    match manager {
        Manager::User => "systemctl --user",
        Manager::System => "systemctl",
    }
}

/// What is left to be done by the person.
fn next(manager: Manager, mountpoint: &Path, profile: Option<&str>) -> String {
    let systemctl = systemctl(manager);
    let unit = instance(mountpoint);
    let profile = profile
        .map(|name| format!(" --profile {name}"))
        .unwrap_or_default();
    let mut out = format!(
        "Next:\n  {systemctl} daemon-reload\n  {systemctl} enable --now 'fichierfs@{unit}.service'\n"
    );
    out.push_str(&match manager {
        Manager::User => format!(
            "It needs the API key of `fichierfs init{profile}`. It starts when you log in; at boot, too, after:\n  \
             loginctl enable-linger\n\
             What it says: journalctl --user -u 'fichierfs@{unit}.service'\n"
        ),
        Manager::System => format!(
            "It needs the API key, in /etc/fichierfs/config.toml or encrypted for this machine:\n  \
             fichierfs init{profile} --config /etc/fichierfs/config.toml\n  \
             systemd-creds encrypt --name=fichierfs-api-key - '/etc/credstore.encrypted/fichierfs-{unit}'\n\
             What it says: journalctl -u 'fichierfs@{unit}.service'\n\
             Or, instead of the service, a line in /etc/fstab that mounts at the first look:\n  \
             fichierfs {} fichierfs noauto,x-systemd.automount,_netdev,allow_other,config=/etc/fichierfs/config.toml 0 0\n",
            // fstab(5)
            mountpoint.display().to_string().replace(' ', "\\040")
        ),
    });
    out
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Failure {
        Failure::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_runs_nothing_that_others_can_change() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("fichierfs");
        std::fs::write(&program, "").unwrap();
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let line = only_roots(&program).unwrap_err().line;
        assert!(line.contains("sudo install -m 755"), "{line}");
        assert!(is_roots(Path::new("/")) && is_roots(Path::new("/usr/bin/env")));
    }
}
