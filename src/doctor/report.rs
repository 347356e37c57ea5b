//! A report that is safe to post: no key, no link, and unless they are asked for, no
//! name and no path of the user.

use std::fmt::Write as _;
use std::path::Path;

use super::{Case, Finding};
use crate::config::{Kind, OptionSpec};
use crate::control::protocol::Status;

/// What becomes of names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// They are replaced.
    Hidden,
    /// They stay.
    Shown,
}

/// The report.
pub fn write(case: &Case, findings: &[Finding], names: Names) -> String {
    let mut text = machine();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n## Findings\n");
    for finding in findings {
        let level = format!("{:?}", finding.level).to_lowercase();
        let fixed = if finding.fixed { " (mended)" } else { "" };
        let _ = writeln!(
            text,
            "- {level}{fixed}: {}: {}",
            finding.check, finding.what
        );
    }
    if let Some(known) = case.known() {
        let _ = writeln!(text, "\n## Options that are not the default\n");
        for (option, value) in known.settings.shown() {
            if let Some(value) = shown(option, &value, names) {
                let _ = writeln!(text, "- {} = {value}", option.name);
            }
        }
    }
    for status in &case.daemons {
        let _ = writeln!(
            text,
            "\n## A running mount\n\n```json\n{}\n```",
            figures(status, names)
        );
    }
    match names {
        Names::Shown => text,
        Names::Hidden => veiled(text, &private_words(case)),
    }
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let release = read("/etc/os-release");
    let system = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or("unknown");
    let user = match nix::unistd::geteuid().is_root() {
        true => "root",
        false => "an ordinary user",
    };
    format!(
        "# fichierfs doctor\n\n- version {}\n- system {}\n- kernel {}\n- run by {user}\n",
        env!("CARGO_PKG_VERSION"),
        system.trim_matches('"'),
        read("/proc/sys/kernel/osrelease").trim(),
    )
}

/// An option as the report shows it; `None` for a default.
fn shown(option: &OptionSpec, value: &str, names: Names) -> Option<String> {
    let default = match option.kind {
        Kind::Text => format!("{:?}", option.default),
        _ => String::new(),
    };
    let is_default = value == default || value == "None";
    match option.kind {
        Kind::Secret
        | Kind::PublicFolder
        | Kind::SharedFolders
        | Kind::Text
        | Kind::Path
        | Kind::Listen
            if is_default =>
        {
            None
        }
        Kind::Secret => Some("(set)".to_owned()),
        // A command may hold a secret, an address may name one's own host.
        Kind::PublicFolder | Kind::SharedFolders | Kind::Text | Kind::Path | Kind::Listen
            if names == Names::Hidden =>
        {
            Some("(set)".to_owned())
        }
        _ => Some(value.to_owned()),
    }
}

/// A status without what names the user or files.
fn figures(status: &Status, names: Names) -> String {
    let mut status = status.clone();
    if names == Names::Hidden {
        status.account = None;
        let hidden = || Path::new("(hidden)").to_owned();
        status.daemon.mountpoint = hidden();
        status.daemon.state_dir = hidden();
        for transfer in &mut status.transfers {
            transfer.path = hidden();
        }
        for failed in &mut status.failures {
            failed.path = hidden();
            failed.reason = "(hidden)".to_owned();
        }
    }
    serde_json::to_string_pretty(&status).unwrap_or_default()
}

/// What stands for the user in paths and lines, and what is written for it.
fn private_words(case: &Case) -> Vec<(String, &'static str)> {
    let mut words: Vec<(String, &'static str)> = Vec::new();
    let mut path = |path: &Path, name| words.push((path.to_string_lossy().into_owned(), name));
    for status in &case.daemons {
        path(&status.daemon.mountpoint, "MOUNTPOINT");
        path(&status.daemon.state_dir, "STATE");
    }
    path(&case.file, "CONFIG");
    if let Some(known) = case.known() {
        let [state, cache, runtime] = known.paths.all();
        path(state, "STATE");
        path(cache, "CACHE");
        path(runtime, "RUNTIME");
    }
    if let Some(home) = dirs::home_dir() {
        path(&home, "~");
    }
    for status in &case.daemons {
        words.extend(
            status
                .account
                .iter()
                .map(|account| (account.email.clone(), "EMAIL")),
        );
    }
    if let Ok(Some(user)) = nix::unistd::User::from_uid(nix::unistd::geteuid()) {
        words.push((user.name, "USER"));
    }
    if let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        words.push((host.trim().to_owned(), "HOST"));
    }
    // A short one would be found inside other words; the longest first, since one may
    // lie in another.
    words.retain(|(word, _)| word.len() > 2 && word != "root");
    words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    words
}

fn veiled(mut text: String, words: &[(String, &'static str)]) -> String {
    for (word, name) in words {
        text = text.replace(word, name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_names_are_hidden_before_those_within_them() {
        let words = [
            ("/home/jo/cloud".to_owned(), "MOUNTPOINT"),
            ("/home/jo".to_owned(), "~"),
        ];
        let text = veiled("/home/jo/cloud and /home/jo/.config".into(), &words);
        assert_eq!(text, "MOUNTPOINT and ~/.config");
    }

    #[test]
    fn commands_and_secrets_are_not_shown() {
        let shown =
            |name: &str, value: &str| shown(OptionSpec::of(name).unwrap(), value, Names::Hidden);
        assert_eq!(
            shown("api_key", "Some(ApiKey(…))").as_deref(),
            Some("(set)")
        );
        let command = "Some(\"pass show x\")";
        assert_eq!(shown("api_key_command", command).as_deref(), Some("(set)"));
        assert_eq!(shown("api_key_command", "None"), None);
        assert_eq!(shown("api_url", "\"https://api.1fichier.com/v1\""), None);
        assert_eq!(shown("uploads", "2").as_deref(), Some("2"));
    }
}
