//! The results kept in the repository: as data, and as tables in docs/benchmarks.md.

use super::Result;
use super::outcome::Outcome;
use super::row::Row;
use super::rows::FAMILIES;
use super::table;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- results: written by `cargo bench --bench mounts -- --write` -->";
const END: &str = "<!-- end of results -->";

/// A row's last result.
#[derive(Serialize, Deserialize)]
struct Entry {
    /// When, where.
    on: String,
    outcome: Outcome,
}

type Results = BTreeMap<String, Entry>;

/// Puts a row's result in the place of its last one.
pub fn record(row: &Row, outcome: Outcome) -> Result<()> {
    let path = file("benches/mounts/results.json");
    let mut results: Results = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Results::new(),
        Err(error) => return Err(error.into()),
    };
    let entry = Entry {
        on: machine()?,
        outcome,
    };
    results.insert(row.name.to_owned(), entry);
    std::fs::write(&path, serde_json::to_string_pretty(&results)? + "\n")?;

    let page = file("docs/benchmarks.md");
    let text = std::fs::read_to_string(&page)?;
    let marked = text.split_once(BEGIN);
    let marked = marked.and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = marked.ok_or("docs/benchmarks.md has lost its markers")?;
    let text = format!("{before}{BEGIN}\n{}\n{END}{after}", tables(&results));
    Ok(std::fs::write(&page, text)?)
}

/// A summary for each family, then each row.
fn tables(results: &Results) -> String {
    let mut text = String::new();
    for family in FAMILIES {
        text.push_str(&format!("\n## {}\n\n", family.title));
        text.push_str("| row | must reach | reached | |\n| --- | --- | --- | --- |\n");
        let known = || {
            family
                .rows
                .iter()
                .filter_map(|row| Some((row, results.get(row.name)?)))
        };
        for (row, entry) in known() {
            for criterion in &entry.outcome.criteria {
                let verdict = if criterion.met { "met" } else { "**not met**" };
                text.push_str(&format!(
                    "| [{0}](#{0}) | {1} | {2} | {verdict} |\n",
                    row.name, criterion.must, criterion.reached
                ));
            }
        }
        for (row, entry) in known() {
            text.push_str(&format!(
                "\n{}\n\n{}\nMeasured {}.\n",
                table::heading(row),
                table::outcome(&entry.outcome),
                entry.on
            ));
        }
    }
    text
}

/// The day and the machine.
fn machine() -> Result<String> {
    let kernel = nix::sys::utsname::uname()?;
    Ok(format!(
        "{}, Linux {}, {} cores",
        jiff::Timestamp::now().strftime("%F"),
        kernel.release().to_string_lossy(),
        std::thread::available_parallelism()?
    ))
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
