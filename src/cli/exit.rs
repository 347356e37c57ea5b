//! Exit codes and the one line that goes with a failure.

use std::fmt;
use std::process::ExitCode;

use crate::control::ControlError;

/// What a script learns from the exit code. `--help` documents the numbers; 2 is
/// clap's for a command line that cannot be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed; the line on standard error says why and what to do.
    Failed = 1,
    /// The command line or the configuration cannot be used.
    Usage = 2,
    /// Done as far as possible: work is left in the queue.
    WorkLeft = 3,
    /// No such mount.
    NoMount = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A failure for people: one line that says what to do, and its exit code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// The line.
    pub line: String,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(exit: Exit, line: impl fmt::Display) -> Failure {
        Failure {
            exit,
            line: line.to_string(),
        }
    }

    /// Something failed; the error with its causes in one line.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Failure {
        Failure::new(Exit::Failed, chain(error))
    }
}

/// An error and its causes in one line. A cause that its effect already quotes is
/// not repeated.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Failure {
        let exit = match error {
            ControlError::NotRunning | ControlError::NoSuchMount(_) => Exit::NoMount,
            ControlError::Several(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure::new(exit, chain(&error))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner\nof two lines")]
    struct Inner;

    #[test]
    fn causes_are_told_in_one_line() {
        assert_eq!(Failure::of(&Outer(Inner)).line, "outer: inner of two lines");
    }

    #[test]
    fn a_missing_mount_has_its_own_code() {
        let failure = Failure::from(ControlError::NoSuchMount("/m".into()));
        assert_eq!(failure.exit, Exit::NoMount);
        assert!(failure.line.contains("/m"));
        assert_eq!(Failure::from(ControlError::NotRunning).exit as u8, 4);
    }
}
