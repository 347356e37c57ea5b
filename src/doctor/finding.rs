//! What a check found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// It works, but not as well or as safely as it could.
    Warning,
    /// It does not work, or something is lost if nothing is done.
    Problem,
}

/// One thing that was looked at.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What is so, in one line.
    pub what: String,
    /// What mends it: a command, or what to do.
    pub mend: Option<String>,
    /// Whether `--fix` has mended it.
    pub fixed: bool,
    /// Mends it without risk.
    #[serde(skip)]
    pub(super) fix: Option<Fix>,
}

type Fix = Box<dyn FnOnce() -> Result<(), String> + Send>;

impl Finding {
    /// As it should be.
    pub(super) fn ok(check: &'static str, what: impl Into<String>) -> Finding {
        Finding {
            check,
            level: Level::Ok,
            what: what.into(),
            mend: None,
            fixed: false,
            fix: None,
        }
    }

    /// Good to know.
    pub(super) fn note(check: &'static str, what: impl Into<String>) -> Finding {
        Finding {
            level: Level::Note,
            ..Finding::ok(check, what)
        }
    }

    /// It could be better.
    pub(super) fn warning(check: &'static str, what: impl Into<String>) -> Finding {
        Finding {
            level: Level::Warning,
            ..Finding::ok(check, what)
        }
    }

    /// It must be mended.
    pub(super) fn problem(check: &'static str, what: impl Into<String>) -> Finding {
        Finding {
            level: Level::Problem,
            ..Finding::ok(check, what)
        }
    }

    /// What mends it.
    pub(super) fn mend(mut self, how: impl Into<String>) -> Finding {
        self.mend = Some(how.into());
        self
    }

    /// How we mend it ourselves.
    pub(super) fn fix(
        mut self,
        fix: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Finding {
        self.fix = Some(Box::new(fix));
        self
    }

    /// Mends it, if that is without risk; what went wrong is added to it.
    pub fn mend_now(&mut self) {
        match self.fix.take().map(|fix| fix()) {
            None => {}
            Some(Ok(())) => self.fixed = true,
            Some(Err(error)) => self
                .what
                .push_str(&format!("; it could not be mended: {error}")),
        }
    }

    /// Whether the user has to do something.
    pub fn is_open_problem(&self) -> bool {
        self.level == Level::Problem && !self.fixed
    }
}

impl fmt::Debug for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {}: {} {:?}",
            self.level, self.check, self.what, self.mend
        )
    }
}

/// All that was found, as `--json` prints it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// The version of the schema.
    pub schema: u32,
    /// The program's version.
    pub version: &'static str,
    /// What was found.
    pub findings: Vec<Finding>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mended_is_no_problem_any_more() {
        let mut fine = Finding::problem("a", "b").fix(|| Ok(()));
        let mut stuck = Finding::problem("a", "b").fix(|| Err("no".into()));
        assert!(fine.is_open_problem());
        fine.mend_now();
        stuck.mend_now();
        assert!(fine.fixed && !fine.is_open_problem());
        assert!(stuck.is_open_problem() && stuck.what.ends_with("mended: no"));
        assert!(!Finding::warning("a", "b").is_open_problem());
    }
}
