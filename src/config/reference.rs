//! docs/configuration.md, written from the table, and the test that keeps it so.

use std::fmt::Write as _;
use std::path::Path;

use super::flags::heading;
use super::options::{Change, OPTIONS, OptionSpec};
use super::value::Kind;

/// What stands before the tables.
const INTRODUCTION: &str = include_str!("reference.md");

/// The document, from the table of options.
fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    for options in OPTIONS.chunk_by(|one, next| one.scope == next.scope) {
        let Some(first) = options.first() else {
            continue;
        };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n## {}\n\n| option | takes | default | follows a change | what it is for |\n| --- | --- | --- | --- | --- |\n",
            heading(first.scope)
        );
        for option in options {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                option.name,
                takes(option),
                default(option),
                change(option),
                option.help.replace('|', "\\|")
            );
        }
    }
    text
}

fn takes(option: &OptionSpec) -> String {
    match option.kind {
        Kind::Choice(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Kind::Secret => "a secret; not as an argument".to_owned(),
        kind => kind.expects(),
    }
}

fn change(option: &OptionSpec) -> &'static str {
    match option.change {
        Change::Now => "at once",
        Change::NextMount => "next mount",
    }
}

fn default(option: &OptionSpec) -> String {
    match option.default {
        "" => "–".to_owned(),
        default => format!("`{default}`"),
    }
}

/// `UPDATE_DOCS=1 cargo test --lib config::reference` writes the file anew.
#[test]
fn the_document_is_what_the_table_says() {
    let source = "the table of options says";
    assert_document(
        "docs/configuration.md",
        &reference(),
        source,
        "config::reference",
    );
}

/// Fails unless a document that the program writes is what its `source` makes of it; with
/// `UPDATE_DOCS` set it is written anew first. `test` is the filter that finds its test.
pub(crate) fn assert_document(file: &str, wanted: &str, source: &str, test: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{file} is not what {source}; run: UPDATE_DOCS=1 cargo test --lib {test}"
    );
}

#[test]
fn every_option_has_one_line() {
    let text = reference();
    for option in OPTIONS {
        let start = format!("\n| `{}` | ", option.name);
        assert_eq!(text.matches(&start).count(), 1, "{}", option.name);
    }
    // A scope that was torn apart would give two tables of one name.
    let headings: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("## "))
        .collect();
    let mut distinct = headings.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(headings.len(), distinct.len(), "{headings:?}");
}
