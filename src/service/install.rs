//! Files of a service, put in place and taken away.
//!
//! Each begins with a line that has the checksum of the rest. A file whose checksum does not
//! fit was changed by somebody and is not touched unless that is asked for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ServiceError;
use super::units::{Manager, TEMPLATE, drop_in, instance, unit};

/// How the first line of our files begins.
const MARK: &str = "# Written by `fichierfs service install`; checksum ";

/// Where the files of a service are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Whose service it is.
    pub manager: Manager,
    /// The folder of units, as `/etc/systemd/system`.
    pub units: PathBuf,
    /// Where mount(8) looks for its helpers; none for a user.
    pub helpers: Option<PathBuf>,
}

/// What may be done with files that somebody changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edited {
    /// They stay, and nothing is done at all.
    Stay,
    /// They are overwritten or removed.
    MayGo,
}

/// What was done with a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is new, or new in content.
    Wrote(PathBuf),
    /// It was so already.
    Kept(PathBuf),
    /// It is gone.
    Removed(PathBuf),
}

/// Puts in place what a service for `mountpoint` needs. All is looked at before anything
/// is written.
///
/// # Errors
/// A file that somebody changed; or the system's reason, then with some files written.
pub fn install(
    place: &Place,
    program: &Path,
    mountpoint: &Path,
    profile: Option<&str>,
    edited: Edited,
) -> Result<Vec<Change>, ServiceError> {
    let mut wanted = vec![(
        place.units.join(TEMPLATE),
        marked(&unit(place.manager, program)),
    )];
    if let Some(profile) = profile {
        wanted.push((drop_in_file(place, mountpoint), marked(&drop_in(profile))));
    }
    for (path, _) in &wanted {
        check(path, edited)?;
    }
    let mut changes = Vec::new();
    for (path, text) in wanted {
        changes.push(write(path, &text)?);
    }
    if let Some(helpers) = &place.helpers {
        changes.push(link(&helpers.join("mount.fichierfs"), program, edited)?);
    }
    Ok(changes)
}

/// Takes away the files of a service: those of one instance, also the links that enabled it,
/// and what all share once no other instance has a file here or is enabled.
///
/// # Errors
/// As for [`install`].
pub fn uninstall(
    place: &Place,
    mountpoint: &Path,
    edited: Edited,
) -> Result<Vec<Change>, ServiceError> {
    let own = drop_in_file(place, mountpoint);
    let template = place.units.join(TEMPLATE);
    check(&own, edited)?;
    let last = !others(&place.units, &instance(mountpoint))?;
    if last {
        check(&template, edited)?;
    }
    let mut changes = Vec::new();
    for link in enabled(&place.units, &instance(mountpoint))? {
        changes.extend(remove(link)?);
    }
    changes.extend(remove(own.clone())?);
    if let Some(folder) = own.parent() {
        // Only if nothing else is in it.
        let _ = fs::remove_dir(folder);
    }
    if last {
        changes.extend(remove(template)?);
        if let Some(helpers) = &place.helpers {
            let helper = helpers.join("mount.fichierfs");
            if helper.is_symlink() {
                changes.extend(remove(helper)?);
            }
        }
    }
    Ok(changes)
}

fn drop_in_file(place: &Place, mountpoint: &Path) -> PathBuf {
    let folder = format!("{}.d", unit_name(&instance(mountpoint)));
    place.units.join(folder).join("profile.conf")
}

fn unit_name(instance: &str) -> String {
    format!("fichierfs@{instance}.service")
}

/// The links by which targets want an instance: what `systemctl enable` made.
fn enabled(units: &Path, instance: &str) -> Result<Vec<PathBuf>, ServiceError> {
    let name = unit_name(instance);
    let mut links = Vec::new();
    let entries = match fs::read_dir(units) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(links),
        Err(error) => return Err(ServiceError::file(units)(error)),
    };
    for entry in entries {
        let folder = entry.map_err(ServiceError::file(units))?.path();
        let wants = folder
            .extension()
            .is_some_and(|end| end == "wants" || end == "requires");
        let link = folder.join(&name);
        if wants && link.is_symlink() {
            links.push(link);
        }
    }
    Ok(links)
}

/// Whether another instance has a drop-in here or is wanted by a target.
fn others(units: &Path, instance: &str) -> Result<bool, ServiceError> {
    let own = unit_name(instance);
    let mut folders = vec![units.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ServiceError::file(&folder)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(ServiceError::file(&folder))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.starts_with("fichierfs@") && name != TEMPLATE;
            if ours && !name.starts_with(&own) {
                return Ok(true);
            }
            if name.ends_with(".wants") || name.ends_with(".requires") {
                folders.push(entry.path());
            }
        }
    }
    Ok(false)
}

fn marked(text: &str) -> String {
    format!("{MARK}{:08x}\n{text}", crc32c::crc32c(text.as_bytes()))
}

/// Whether a text is as we wrote it, by whatever version.
fn is_ours(text: &str) -> bool {
    text.split_once('\n')
        .is_some_and(|(_, rest)| marked(rest) == text)
}

fn read(path: &Path) -> Result<Option<String>, ServiceError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ServiceError::file(path)(error)),
    }
}

fn check(path: &Path, edited: Edited) -> Result<(), ServiceError> {
    match read(path)? {
        Some(text) if edited == Edited::Stay && !is_ours(&text) => Err(ServiceError::Edited {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Replaces a file as a whole.
fn write(path: PathBuf, text: &str) -> Result<Change, ServiceError> {
    if read(&path)?.as_deref() == Some(text) {
        return Ok(Change::Kept(path));
    }
    let next = path.with_extension("fichierfs-new");
    let written = (|| {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&next, text)?;
        fs::rename(&next, &path)
    })();
    written.map_err(ServiceError::file(&path))?;
    Ok(Change::Wrote(path))
}

fn link(path: &Path, target: &Path, edited: Edited) -> Result<Change, ServiceError> {
    let failed = |error| ServiceError::file(path)(error);
    match fs::symlink_metadata(path) {
        Ok(_) if fs::read_link(path).is_ok_and(|old| old == target) => {
            return Ok(Change::Kept(path.to_owned()));
        }
        // A link of ours to where the program was before may go.
        Ok(facts) if facts.is_symlink() || edited == Edited::MayGo => {
            fs::remove_file(path).map_err(failed)?;
        }
        Ok(_) => {
            return Err(ServiceError::Edited {
                path: path.to_owned(),
            });
        }
        Err(_) => {}
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    std::os::unix::fs::symlink(target, path).map_err(failed)?;
    Ok(Change::Wrote(path.to_owned()))
}

fn remove(path: PathBuf) -> Result<Vec<Change>, ServiceError> {
    match fs::remove_file(&path) {
        Ok(()) => Ok(vec![Change::Removed(path)]),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(ServiceError::file(&path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "/usr/bin/fichierfs";

    fn place(dir: &Path) -> Place {
        Place {
            manager: Manager::System,
            units: dir.join("units"),
            helpers: Some(dir.join("sbin")),
        }
    }

    fn put(place: &Place, at: &str, edited: Edited) -> Result<Vec<Change>, ServiceError> {
        install(place, PROGRAM.as_ref(), at.as_ref(), Some("work"), edited)
    }

    #[test]
    fn what_was_installed_goes_with_its_last_instance() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        assert_eq!(put(&place, "/mnt/a", Edited::Stay).unwrap().len(), 3);
        let again = put(&place, "/mnt/a", Edited::Stay).unwrap();
        assert!(again.iter().all(|change| matches!(change, Change::Kept(_))));
        put(&place, "/mnt/b", Edited::Stay).unwrap();
        // As `systemctl enable` does.
        let wants = place.units.join("multi-user.target.wants");
        fs::create_dir(&wants).unwrap();
        let link = wants.join("fichierfs@mnt-a.service");
        std::os::unix::fs::symlink(place.units.join(TEMPLATE), &link).unwrap();
        let gone = uninstall(&place, "/mnt/a".as_ref(), Edited::Stay).unwrap();
        assert_eq!(gone.len(), 2, "{gone:?}");
        assert!(!link.is_symlink());
        fs::remove_dir(&wants).unwrap();
        assert!(place.units.join(TEMPLATE).exists());
        let gone = uninstall(&place, "/mnt/b".as_ref(), Edited::Stay).unwrap();
        assert_eq!(gone.len(), 3, "{gone:?}");
        assert_eq!(fs::read_dir(&place.units).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_somebody_changed_stays_and_nothing_else_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let template = place.units.join(TEMPLATE);
        fs::create_dir_all(&place.units).unwrap();
        fs::write(&template, "[Service]\nExecStart=/mine\n").unwrap();
        let refused = put(&place, "/mnt/a", Edited::Stay).unwrap_err();
        assert!(matches!(refused, ServiceError::Edited { .. }));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        put(&place, "/mnt/a", Edited::MayGo).unwrap();
        let text = fs::read_to_string(&template).unwrap();
        assert!(is_ours(&text));
        fs::write(&template, text + "Nice=5\n").unwrap();
        let refused = uninstall(&place, "/mnt/a".as_ref(), Edited::Stay).unwrap_err();
        assert!(matches!(refused, ServiceError::Edited { .. }));
        assert!(template.exists());
    }

    #[test]
    fn what_an_older_version_wrote_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let template = place.units.join(TEMPLATE);
        fs::create_dir_all(&place.units).unwrap();
        fs::write(&template, marked("[Service]\nExecStart=/old\n")).unwrap();
        let changes = put(&place, "/mnt/a", Edited::Stay).unwrap();
        assert!(changes.contains(&Change::Wrote(template)));
    }
}
