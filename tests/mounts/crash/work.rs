//! The work that is interrupted, and the model of what must be there afterwards.

use crate::harness::sample;
use nix::errno::Errno;
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// Content of files by path.
pub type Model = BTreeMap<String, Vec<u8>>;

/// One step of the work. All of it is over when its last call returned.
#[derive(Debug)]
pub enum Step {
    Create(String, Vec<u8>),
    Overwrite(String, usize, Vec<u8>),
    Append(String, Vec<u8>),
    Replace(String, Vec<u8>),
    Rename(String, String),
    Unlink(String),
    MakeFolder(String),
    RemoveFolder(String),
    /// The file or folder is brought to the disk.
    Sync(String),
}

/// Where files are made.
pub const FOLDERS: [&str; 3] = ["", "d1/", "d2/"];

/// Writes and closes. Dropping a file hides the error of its close, and only a
/// close that returned 0 promises anything.
fn write(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    Ok(nix::unistd::close(file)?)
}

impl Step {
    /// A step that fits what is there.
    pub fn choose(random: &mut StdRng, model: &Model) -> Step {
        let new = format!(
            "{}f{}",
            FOLDERS[random.random_range(0..FOLDERS.len())],
            random.random_range(0..40)
        );
        let bytes = |random: &mut StdRng, most: usize| {
            let size = random.random_range(0..most);
            sample::bytes(random.random_range(0..u64::MAX), size)
        };
        let old = match model.len() {
            0 => None,
            n => model.keys().nth(random.random_range(0..n)).cloned(),
        };
        match (random.random_range(0..10), old) {
            (2, Some(old)) => {
                let at = random.random_range(0..=model[&old].len());
                Step::Overwrite(old, at, bytes(random, 5000))
            }
            (3, Some(old)) => Step::Append(old, bytes(random, 500)),
            (4, Some(old)) => Step::Replace(old, bytes(random, 5000)),
            (5, Some(old)) if old != new => Step::Rename(old, new),
            (6, Some(old)) => Step::Unlink(old),
            (7, Some(old)) => Step::Sync(old),
            (8, _) => Step::Sync(String::new()),
            (9, _) => {
                let folder = format!("e{}", random.random_range(0..5));
                match random.random_bool(0.4) {
                    true => Step::RemoveFolder(folder),
                    false => Step::MakeFolder(folder),
                }
            }
            _ => Step::Create(new, bytes(random, 100_000)),
        }
    }

    /// Does it.
    pub fn carry_out(&self, mount: &Path) -> io::Result<()> {
        let at = |name: &String| mount.join(name);
        match self {
            Step::Create(name, bytes) => write(File::create(at(name))?, bytes),
            Step::Overwrite(name, offset, bytes) => {
                let mut file = File::options().write(true).open(at(name))?;
                file.seek(SeekFrom::Start(*offset as u64))?;
                write(file, bytes)
            }
            Step::Append(name, bytes) => write(File::options().append(true).open(at(name))?, bytes),
            Step::Replace(name, bytes) => {
                let temporary = at(&format!("{name}.tmp"));
                write(File::create(&temporary)?, bytes)?;
                fs::rename(temporary, at(name))
            }
            Step::Rename(from, to) => fs::rename(at(from), at(to)),
            Step::Unlink(name) => fs::remove_file(at(name)),
            Step::MakeFolder(name) => fs::create_dir_all(at(name)),
            Step::RemoveFolder(name) => match fs::remove_dir(at(name)) {
                // It was not made, or is removed already.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            },
            Step::Sync(name) => File::open(at(name))?.sync_all(),
        }
    }

    /// In words, without the bytes.
    pub fn told(&self) -> String {
        match self {
            Step::Create(name, bytes) => format!("create {name} with {} bytes", bytes.len()),
            Step::Overwrite(name, at, bytes) => {
                format!("overwrite {name} at {at} with {} bytes", bytes.len())
            }
            Step::Append(name, bytes) => format!("append {} bytes to {name}", bytes.len()),
            Step::Replace(name, bytes) => format!("replace {name} by {} bytes", bytes.len()),
            Step::Rename(from, to) => format!("rename {from} to {to}"),
            Step::Unlink(name) => format!("unlink {name}"),
            Step::MakeFolder(name) => format!("make folder {name}"),
            Step::RemoveFolder(name) => format!("remove folder {name}"),
            Step::Sync(name) => format!("sync {name:?}"),
        }
    }

    /// Does it in the model.
    pub fn apply(&self, model: &mut Model) {
        match self {
            Step::Create(name, bytes) | Step::Replace(name, bytes) => {
                model.insert(name.clone(), bytes.clone());
            }
            Step::Overwrite(name, offset, bytes) => {
                let old = model.get_mut(name).unwrap();
                let end = offset + bytes.len();
                old.resize(old.len().max(end), 0);
                old[*offset..end].copy_from_slice(bytes);
            }
            Step::Append(name, bytes) => model.get_mut(name).unwrap().extend(bytes),
            Step::Rename(from, to) => {
                let moved = model.remove(from).unwrap();
                model.insert(to.clone(), moved);
            }
            Step::Unlink(name) => drop(model.remove(name)),
            Step::MakeFolder(_) | Step::RemoveFolder(_) | Step::Sync(_) => {}
        }
    }

    /// What may be there after the step was cut short: as before, as after, or, for a
    /// file written in place of another, empty between the two.
    pub fn outcomes(&self, before: &Model) -> Vec<Model> {
        let mut after = before.clone();
        self.apply(&mut after);
        let mut outcomes = vec![before.clone(), after];
        if let Step::Create(name, _) = self {
            let mut emptied = before.clone();
            emptied.insert(name.clone(), Vec::new());
            outcomes.push(emptied);
        }
        outcomes
    }
}

/// What a mount shows, without what a replacement left unfinished. `None` for a file that
/// cannot be read.
pub fn shown(mount: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(mount.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}{}", entry.file_name().to_str().unwrap());
            if !entry.file_type().unwrap().is_file() {
                continue;
            }
            if name.ends_with(".tmp") {
                fs::remove_file(entry.path()).unwrap();
                continue;
            }
            let content = match fs::read(entry.path()) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => None,
                Err(error) => panic!("{name}: {error}"),
            };
            found.insert(name, content);
        }
    }
    found
}

/// Names and sizes: what a person can compare.
pub fn outline(model: &Model) -> BTreeMap<&str, usize> {
    model.iter().map(|(n, b)| (n.as_str(), b.len())).collect()
}
