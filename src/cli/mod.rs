//! The command line: a file for each verb. It talks to people and decides
//! nothing; what is decided is decided by the daemon, in this process for
//! `mount` and `demo`, over its socket for all others.
//!
//! Every failure is one line on standard error that says what to do, and an exit code
//! ([`exit`]). [`args`] is the grammar; `main` calls [`run`] and nothing else.

mod account;
mod allow_new;
mod args;
mod background;
mod cache;
mod demo;
mod doctor;
mod exit;
mod generate;
mod helper;
mod hidden;
mod init;
mod link;
mod load;
mod log;
mod mount;
mod panics;
mod pin;
mod queue;
#[cfg(test)]
mod reference;
mod refresh;
mod restore;
mod service;
mod show;
mod signals;
mod simulate;
mod status;
mod storage;
mod unmount;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::fuse;
pub use args::Cli;
use args::Verb;
use exit::{Exit, Failure};

type Outcome = Result<Exit, Failure>;

/// Runs the program: parses its arguments, does what they say and tells how it
/// ended.
pub fn run() -> ExitCode {
    // A key given by mistake, or in the environment, is in memory from the first line on.
    crate::config::harden_process();
    crate::config::keep_children();
    panics::tell();
    let words: Vec<OsString> = std::env::args_os().collect();
    if words.first().is_some_and(|name| name == fuse::MESSENGER) {
        return fuse::help();
    }
    let (words, caller) = match helper::translate(&words) {
        Some(words) => (words, Caller::MountProgram),
        None => (words, Caller::Person),
    };
    let verb = Cli::parse_from(&words).verb;
    match dispatch(verb, words) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("fichierfs: {}", show::plain(&failure.line));
            match caller {
                Caller::MountProgram => helper::code(failure.exit),
                Caller::Person => failure.exit.into(),
            }
        }
    }
}

/// This program, whatever became of its file since it was started.
fn messenger_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// Who started the program.
enum Caller {
    Person,
    /// mount(8), which has exit codes of its own.
    MountProgram,
}

/// Does what a verb says; `words` are the command line that it came from.
fn dispatch(verb: Verb, words: Vec<OsString>) -> Outcome {
    match verb {
        Verb::Mount(args) => mount::run(&args, words),
        Verb::Unmount(args) => brief(unmount::run(&args)),
        Verb::Status(args) => brief(status::run(&args)),
        Verb::Queue(args) => brief(queue::run(args.verb)),
        Verb::Refresh { recursive, paths } => brief(refresh::run(&paths, recursive)),
        Verb::Pin(args) => brief(pin::pin(&args)),
        Verb::Verify { json, paths } => brief(verify::run(&paths, json)),
        Verb::Unpin { paths } => brief(pin::unpin(&paths)),
        Verb::AllowNew(args) => brief(allow_new::run(&args)),
        Verb::Link { paths } => brief(link::run(&paths)),
        Verb::Cache { verb } => brief(cache::run(verb)),
        Verb::Account { json, mount } => brief(account::run(json, mount.mountpoint.as_deref())),
        Verb::Init(args) => brief(init::run(&args)),
        Verb::Doctor(args) => brief(doctor::run(&args)),
        Verb::Service { verb } => service::run(verb),
        Verb::Simulate(args) => long(simulate::run(*args)),
        Verb::Demo { mountpoint } => long(demo::run(mountpoint)),
        Verb::Completions { shell } => generate::completions(shell),
        Verb::Man { verb, out } => generate::man(verb.as_deref(), out.as_deref()),
    }
}

/// A verb that asks and is done.
fn brief(verb: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(verb)
}

/// A verb that serves. Few threads: file operations are answered on threads of
/// their own, these only wait for the network.
fn long(verb: impl Future<Output = Outcome>) -> Outcome {
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("fichierfs-io")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(verb);
    // What still hangs on the disk or the network must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}
