//! `mount`: serves until the mount is gone and the queue is done.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use super::args::MountArgs;
use super::exit::{Exit, Failure, chain};
use super::log::SetLevel;
use super::signals::{self, Signals};
use super::{Outcome, background, load, log, long, show};
use crate::control::protocol::Backlog;
use crate::daemon::{self, Ended, Fresh, Reread, Setup, StartError};

/// `words` are the command line, for the process in the background.
pub(super) fn run(args: &MountArgs, words: Vec<OsString>) -> Outcome {
    let mut report = args.report_start.then(background::Report::begin);
    let outcome = serve(args, words, &mut report);
    match (report, outcome) {
        (Some(report), Err(failure)) => {
            report.failed(&failure);
            Err(failure)
        }
        (_, outcome) => outcome,
    }
}

fn serve(
    args: &MountArgs,
    words: Vec<OsString>,
    report: &mut Option<background::Report>,
) -> Outcome {
    let loaded = load::load(
        &args.config,
        load::NamedFile::Exists,
        &args.options,
        &args.mount_options,
    )?;
    let mountpoint = std::path::absolute(&args.mountpoint)?;
    if args.background && report.is_none() {
        daemon::check_mountpoint(&mountpoint, &loaded.paths)?;
        if args.fake {
            return Ok(Exit::Done);
        }
        return background::launch(&loaded.paths.state_dir()?, words);
    }
    let background = match report {
        Some(_) => Some(loaded.paths.state_dir()?.join(background::LOG)),
        None => None,
    };
    let target = log::Target::of(&loaded.settings, background);
    let (level, format) = (loaded.settings.log_level, loaded.settings.log_format);
    let set_level = log::start(level, format, target)?;
    daemon::raise_descriptor_limit();
    let reread = reread(args, set_level)?;
    for name in &loaded.unknown_variables {
        tracing::warn!("{name} is in the environment, but there is no such option");
    }
    let setup = Setup {
        secrets: load::secrets(&loaded.settings)?,
        mountpoint: mountpoint.clone(),
        settings: loaded.settings,
        paths: loaded.paths,
        kernel_options: loaded.kernel_options,
        messenger: Some(super::messenger_program()),
        reread: Some(reread),
    };
    // A shell's directory may be needed by nobody else; the mountpoint's must not be held.
    if report.is_some() {
        std::env::set_current_dir("/")?;
    }
    long(async move {
        let drain_timeout = setup.settings.drain_timeout;
        let mut signals = Signals::new()?;
        let mut running = tokio::select! {
            running = daemon::start(setup) => running?,
            asked = signals.next() => {
                let line = format!("{asked:?} during the start: nothing was mounted");
                return Err(Failure::new(Exit::Failed, line));
            }
        };
        mounted(&mountpoint, report);
        let ended = signals::serve(&mut running, &mut signals, drain_timeout).await?;
        outcome(ended)
    })
}

/// Reads the configuration again as this start did. The level of the log is changed
/// right away: the daemon knows no log.
fn reread(args: &MountArgs, set_level: SetLevel) -> Result<Reread, Failure> {
    let mut config = args.config.clone();
    // The daemon may leave this directory.
    config.config = config.config.map(std::path::absolute).transpose()?;
    config.base = Some(std::env::current_dir()?);
    let (flags, options) = (args.options.clone(), args.mount_options.clone());
    Ok(Arc::new(move || {
        let loaded = load::load(&config, load::NamedFile::Exists, &flags, &options);
        let loaded = loaded.map_err(|failure| failure.line)?;
        let key = load::key_if_needed(&loaded.settings).map_err(|failure| failure.line)?;
        set_level(loaded.settings.log_level);
        Ok(Fresh {
            settings: loaded.settings,
            key,
        })
    }))
}

fn mounted(mountpoint: &Path, report: &mut Option<background::Report>) {
    tracing::info!("mounted on {}", mountpoint.display());
    if let Some(report) = report.take() {
        report.mounted();
    }
}

/// What a daemon's end means for who waited for it.
pub(super) fn outcome(ended: Ended) -> Outcome {
    if let Some(failure) = ended.failure {
        return Err(Failure::new(Exit::Failed, failure));
    }
    if ended.left == Backlog::default() {
        return Ok(Exit::Done);
    }
    let what = show::backlog(&ended.left);
    let line = format!("ended with work left: {what}; it goes on at the next `fichierfs mount`");
    Err(Failure::new(Exit::WorkLeft, line))
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let exit = if error.is_usage() {
            Exit::Usage
        } else {
            Exit::Failed
        };
        Failure::new(exit, chain(&error))
    }
}
