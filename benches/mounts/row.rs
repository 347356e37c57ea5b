//! What a row of the tables is.

use super::Result;
use super::bench::Bench;
use super::outcome::Outcome;

/// A piece of work that is measured.
pub struct Row {
    pub name: &'static str,
    /// In words, for the table.
    pub work: &'static str,
    pub run: fn(&Bench) -> Result<Outcome>,
}

/// A family of rows and its title.
pub struct Family {
    pub title: &'static str,
    pub rows: &'static [Row],
}
