//! Asking for a secret at a terminal. Nothing that is typed shows, not even by who types faster
//! than the terminal is told: what asks (rpassword) turns the echo off only after its question.

use std::fs::File;
use std::io;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Asks, and reads a line.
///
/// # Errors
/// Those of the terminal.
pub(super) fn ask(question: &str) -> io::Result<Zeroizing<String>> {
    let _silent = Silent::begin()?;
    Ok(Zeroizing::new(rpassword::prompt_password(question)?))
}

/// A terminal without echo, which comes back when this is dropped.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn begin() -> io::Result<Silent> {
        let terminal = File::open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&terminal, SetArg::TCSANOW, &silent)?;
        Ok(Silent { terminal, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before) {
            tracing::debug!(%error, "the terminal stays without echo");
        }
    }
}
