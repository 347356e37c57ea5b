//! The configuration file: its owner, its mode, its words.

use std::os::unix::fs::PermissionsExt;

use super::super::{Case, Finding};
use crate::config::ConfigError;

const CHECK: &str = "configuration";

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let known = match &case.configured {
        Err(error) => return vec![broken(error)],
        Ok(known) => known,
    };
    let file = case.file.display();
    let mut found = vec![match case.file.exists() {
        true => Finding::ok(CHECK, format!("{file} can be used")),
        false => Finding::note(
            CHECK,
            format!("there is no {file}: all options have their defaults"),
        ),
    }];
    for name in &known.unknown_variables {
        found.push(
            Finding::warning(
                CHECK,
                format!("{name} is in the environment, but there is no such option"),
            )
            .mend(format!("unset {name}")),
        );
    }
    found
}

fn broken(error: &ConfigError) -> Finding {
    let problem = Finding::problem(CHECK, error.to_string());
    match error {
        ConfigError::OpenToOthers { path } => {
            let path = path.clone();
            problem
                .mend(format!("chmod 600 {}", path.display()))
                .fix(move || {
                    let private = std::fs::Permissions::from_mode(0o600);
                    std::fs::set_permissions(&path, private).map_err(|error| error.to_string())
                })
        }
        _ => problem.mend("correct it; docs/configuration.md lists all options"),
    }
}
