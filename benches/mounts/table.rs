//! Results as Markdown.

use super::outcome::{Cost, Outcome, mib, number};
use super::row::Row;
use std::fmt::Write;

/// A row's name and work.
pub fn heading(row: &Row) -> String {
    format!("### {}\n\n{}", row.name, row.work)
}

/// The programs side by side, then what was to be reached.
pub fn outcome(outcome: &Outcome) -> String {
    let mut text = String::new();
    text.push_str("| program | result | calls (links) | CPU | peak memory |\n");
    text.push_str("| --- | --- | --- | --- | --- |\n");
    for line in &outcome.lines {
        let cost = line.cost.as_ref().map_or("| | ".to_owned(), cost);
        push(
            &mut text,
            format_args!("| {} | {} | {cost} |", line.name, line.figure),
        );
    }
    text.push_str("\n| must reach | reached | |\n| --- | --- | --- |\n");
    for criterion in &outcome.criteria {
        let verdict = if criterion.met { "met" } else { "**not met**" };
        push(
            &mut text,
            format_args!("| {} | {} | {verdict} |", criterion.must, criterion.reached),
        );
    }
    for note in &outcome.notes {
        push(&mut text, format_args!("\n{note}"));
    }
    text
}

fn cost(cost: &Cost) -> String {
    let locks = match cost.locks {
        0 => String::new(),
        1 => ", 1 lock".to_owned(),
        n => format!(", {n} locks"),
    };
    format!(
        "{} ({}){locks} | {} s | {}",
        number(cost.calls),
        number(cost.tokens),
        number(cost.cpu),
        mib(cost.peak)
    )
}

fn push(text: &mut String, line: std::fmt::Arguments) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}
