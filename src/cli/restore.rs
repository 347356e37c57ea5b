//! `doctor --restore`: copies of what was written and neither closed nor synced before a crash,
//! into a folder of the user's. Nothing is removed or changed where it lies.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::exit::{Exit, Failure};
use super::load::Loaded;
use super::{Outcome, show};
use crate::control::protocol::SCHEMA;
use crate::daemon;
use crate::staging::salvage::{self, Found, Remains, Why};

const NOTHING: &str = "There is nothing to restore: no bytes but those that a mount shows.\n";

/// What `doctor --restore --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RestoreReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Each file that was found.
    pub files: Vec<RestoredFile>,
    /// Data files that cannot be read, with the reason.
    pub unreadable: Vec<String>,
}

/// A file that was restored, or not.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RestoredFile {
    /// Where the file was in the account, if that is known.
    pub path: Option<PathBuf>,
    /// Where the copy is; absent where it could not be made.
    pub copy: Option<PathBuf>,
    /// Bytes in the copy.
    pub bytes: u64,
    /// Bytes that are on the service alone: zeros in the copy.
    pub on_service: u64,
    /// A file with bytes whose place in the file is not known.
    pub loose: Option<PathBuf>,
    /// Why no mount shows these bytes.
    pub why: String,
    /// Why it could not be copied.
    pub error: Option<String>,
}

/// Restores into `dir`, which is made if needed. No daemon may have the state meanwhile.
pub(super) fn run(loaded: &Loaded, dir: &Path, json: bool) -> Outcome {
    let [state, ..] = loaded.paths.all();
    if !state.is_dir() {
        show::print(NOTHING)?;
        return Ok(Exit::Done);
    }
    let restored = daemon::while_idle(state, || -> Result<RestoreReport, Failure> {
        let found = salvage::remains(&state.join("staging"), &state.join(daemon::DATABASE))
            .map_err(|error| Failure::of(&error))?;
        if !found.remains.is_empty() {
            std::fs::create_dir_all(dir).map_err(|error| {
                Failure::new(Exit::Failed, format!("{}: {error}", dir.display()))
            })?;
        }
        Ok(all(&found, dir))
    })?;
    let report = match restored {
        Some(report) => report?,
        None => {
            let line = "a mount has these files open; run `fichierfs unmount` first";
            return Err(Failure::new(Exit::Failed, line));
        }
    };
    let failed =
        report.unreadable.len() + report.files.iter().filter(|f| f.error.is_some()).count();
    match json {
        true => show::print_json(&report)?,
        false => show::print(&text(&report, dir))?,
    }
    match failed {
        0 => Ok(Exit::Done),
        n => {
            let line = format!("{} could not be restored", show::count(n as u64, "file"));
            Err(Failure::new(Exit::Failed, line))
        }
    }
}

fn all(found: &Found, dir: &Path) -> RestoreReport {
    RestoreReport {
        schema: SCHEMA,
        files: found.remains.iter().map(|one| restore(one, dir)).collect(),
        unreadable: found
            .unreadable
            .iter()
            .map(|(path, error)| format!("{}: {error}", path.display()))
            .collect(),
    }
}

fn restore(remains: &Remains, dir: &Path) -> RestoredFile {
    let to = free(dir, remains);
    let restored = remains.restore(&to);
    let mut file = RestoredFile {
        path: remains.path.clone(),
        copy: None,
        bytes: 0,
        on_service: 0,
        loose: None,
        why: why(remains.why).to_owned(),
        error: None,
    };
    match restored {
        Ok(restored) => {
            file.copy = Some(to);
            file.bytes = restored.bytes;
            file.on_service = restored.on_service;
            file.loose = restored.loose;
        }
        Err(error) => file.error = Some(error.to_string()),
    }
    file
}

/// A name in `dir` that nothing has: that of the file, else with a number.
fn free(dir: &Path, remains: &Remains) -> PathBuf {
    let name = remains.path.as_deref().and_then(Path::file_name);
    let name = match name {
        Some(name) => name.to_string_lossy().into_owned(),
        None => "unnamed".to_owned(),
    };
    (0u32..)
        .map(|number| match number {
            0 => dir.join(&name),
            number => dir.join(format!("{name}.{number}")),
        })
        .find(|path| path.symlink_metadata().is_err())
        .unwrap_or_else(|| dir.join(name))
}

fn why(why: Why) -> &'static str {
    match why {
        Why::NeverClosed => "never closed or synced before its process died",
        Why::Unsaved => "written after the version that the mount shows",
        Why::Unknown => "closed, and not known to this database",
        Why::NoDatabase => "the database cannot be read",
    }
}

fn text(report: &RestoreReport, dir: &Path) -> String {
    if report.files.is_empty() && report.unreadable.is_empty() {
        return NOTHING.to_owned();
    }
    let mut out = String::new();
    for file in &report.files {
        let name = match &file.path {
            Some(path) => show::plain(&path.display().to_string()),
            None => "a file without a name".to_owned(),
        };
        out.push_str(&format!("{name}: {}\n", file.why));
        match (&file.copy, &file.error) {
            (Some(copy), _) => out.push_str(&format!(
                "  → {} ({})\n",
                show::plain(&copy.display().to_string()),
                show::size(file.bytes)
            )),
            (None, error) => out.push_str(&format!(
                "  → not restored: {}\n",
                error.as_deref().unwrap_or("no reason is known")
            )),
        }
        if file.on_service > 0 {
            out.push_str(&format!(
                "    {} of it are on the service alone, zeros in the copy\n",
                show::size(file.on_service)
            ));
        }
        if let Some(loose) = &file.loose {
            out.push_str(&format!(
                "    bytes of unknown place: {}\n",
                show::plain(&loose.display().to_string())
            ));
        }
    }
    for line in &report.unreadable {
        out.push_str(&format!("unreadable: {}\n", show::plain(line)));
    }
    out.push_str(&format!(
        "Look through {}; where the files lay nothing was changed.\n",
        show::plain(&dir.display().to_string())
    ));
    out
}
