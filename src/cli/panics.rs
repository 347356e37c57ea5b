//! A panic is one line, of the log where there is one, and it tells no secret.
//!
//! What a panicking piece of code quotes is not ours to choose: an error of the HTTP client holds
//! an address, which can be a download link.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use super::show;

/// The shortest word that can be a key or the secret part of a link.
const SECRET: usize = 16;

/// Replaces the way in which panics are told, from now on.
pub(super) fn tell() {
    std::panic::set_hook(Box::new(|panic| {
        let line = line(panic);
        match tracing::dispatcher::has_been_set() {
            true => tracing::error!("{line}"),
            false => eprintln!("fichierfs: {}", show::plain(&line)),
        }
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            eprintln!("{trace}");
        }
    }));
}

fn line(panic: &PanicHookInfo<'_>) -> String {
    let said = panic.payload_as_str().unwrap_or("without a message");
    let place = panic.location().map(ToString::to_string);
    format!(
        "failed inside at {}, please report it: {}",
        place.unwrap_or_default(),
        scrubbed(said)
    )
}

/// A text without addresses, also in parts, and without words that could be a key.
fn scrubbed(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_=".contains(c);
    let veiled = |word: &str| {
        let longest = word.split(|c| !is_part(c)).map(str::len).max();
        // An address in the form of `Debug` is told by its host and its path.
        let is_path = word.contains('/') && word.contains(|c: char| c.is_ascii_digit());
        let is_address = is_path || word.contains("://") || word.contains("1fichier");
        match is_address || longest.is_some_and(|length| length >= SECRET) {
            true => "…".to_owned(),
            false => word.to_owned(),
        }
    };
    let words: Vec<String> = text.split_whitespace().map(veiled).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "aB3-_=aB3-_=aB3-_=aB3-_=";

    #[test]
    fn neither_addresses_nor_keys_are_told() {
        let text =
            format!("error sending (https://a-1.1fichier.com/p12 \"{KEY}\") to Bearer {KEY}!");
        assert_eq!(scrubbed(&text), "error sending … … to Bearer …");
        assert_eq!(scrubbed("index 7 out of bounds"), "index 7 out of bounds");
        let link = url::Url::parse("https://a-6.1fichier.com/p1058755667").unwrap();
        let said = scrubbed(&format!("refused {link:?} and {link}"));
        assert!(
            !said.contains("a-6") && !said.contains("1058755667"),
            "{said}"
        );
        assert!(
            said.starts_with("refused ") && said.ends_with(" and …"),
            "{said}"
        );
    }

    /// The name of the variable by which this test runs itself.
    const INSIDE: &str = "FICHIERFS_TEST_PANICS";

    #[test]
    fn a_panic_is_a_line_without_secrets() {
        if std::env::var_os(INSIDE).is_some() {
            tell();
            let _ = std::thread::spawn(|| panic!("no answer to {KEY} at https://x.y/p1")).join();
            return;
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "cli::panics::tests::a_panic_is_a_line_without_secrets",
            ])
            .arg("--nocapture")
            .env(INSIDE, "1")
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("failed inside at src/cli/panics.rs"),
            "{said}"
        );
        assert!(said.contains("no answer to … at …"), "{said}");
        assert!(!said.contains(KEY) && !said.contains("x.y"), "{said}");
    }
}
