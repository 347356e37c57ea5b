//! `--background`: the program starts itself anew, waits until that one is
//! mounted or says why not, and goes.
//!
//! A new process and not a fork, since threads do not survive one. The child's
//! standard output is a pipe to the parent until the start is over, its standard
//! error the log file from the beginning.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::Outcome;
use super::exit::{Exit, Failure};

/// The log's name in the state directory.
pub(super) const LOG: &str = "fichierfs.log";

/// What the child tells the parent.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum News {
    Mounted,
    Failed { exit: u8, line: String },
}

/// Starts a command line in the background and waits for its news; `words` begin with the
/// name of the program and the verb.
pub(super) fn launch(state_dir: &Path, words: Vec<OsString>) -> Outcome {
    let log = state_dir.join(LOG);
    let errors = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&log)?;
    let mut arguments = words.into_iter().skip(1);
    let mut child = Command::new(std::env::current_exe()?)
        .args(arguments.next())
        .arg("--report-start")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()?;
    let mut news = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut news)?;
    }
    match serde_json::from_str(&news) {
        Ok(News::Mounted) => Ok(Exit::Done),
        Ok(News::Failed { exit, line }) => Err(Failure::new(code(exit), line)),
        Err(_) => {
            let line = format!(
                "the process in the background ended early; see {}",
                log.display()
            );
            Err(Failure::new(Exit::Failed, line))
        }
    }
}

fn code(exit: u8) -> Exit {
    [Exit::Usage, Exit::WorkLeft, Exit::NoMount]
        .into_iter()
        .find(|known| *known as u8 == exit)
        .unwrap_or(Exit::Failed)
}

/// The child's end: to be used once, or the parent is told that it ended early.
pub(super) struct Report(());

impl Report {
    /// The start begins, in the parent's session: an automount lets nobody touch its mountpoint
    /// before the mount but the process group that systemd asked for it. What ends the parent
    /// meanwhile, as Ctrl-C, ends the start.
    pub fn begin() -> Report {
        Report(())
    }

    /// The mount is up. Leaves the parent's session, so that its terminal's signals do not come
    /// here.
    pub fn mounted(self) {
        // It fails only for a leader of a group, which a child is not.
        let _ = nix::unistd::setsid();
        tell(&News::Mounted);
    }

    /// It is not.
    pub fn failed(self, failure: &Failure) {
        tell(&News::Failed {
            exit: failure.exit as u8,
            line: failure.line.clone(),
        });
    }
}

/// Writes the news and lets go of the pipe.
fn tell(news: &News) {
    let told = serde_json::to_string(news)
        .map_err(io::Error::from)
        .and_then(|text| {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()?;
            nix::unistd::dup2_stdout(File::open("/dev/null")?)?;
            Ok(())
        });
    if let Err(error) = told {
        tracing::warn!(%error, "the process that started this one cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_keeps_the_exit_code() {
        let failure = Failure::new(Exit::Usage, "no");
        let text = serde_json::to_string(&News::Failed {
            exit: failure.exit as u8,
            line: failure.line,
        });
        let Ok(News::Failed { exit, line }) = serde_json::from_str(&text.unwrap()) else {
            panic!("other news");
        };
        assert_eq!((code(exit), line.as_str()), (Exit::Usage, "no"));
        assert_eq!(code(77), Exit::Failed);
    }
}
