//! What came out of a row.

use super::bench::Series;
use serde::{Deserialize, Serialize};

/// Lines for the programs, and what was to be reached.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub lines: Vec<Line>,
    pub criteria: Vec<Criterion>,
    /// How the figures differ from what the work says: extrapolated, cut short.
    pub notes: Vec<String>,
}

/// One program.
#[derive(Clone, Serialize, Deserialize)]
pub struct Line {
    pub name: String,
    /// The measured figure with its unit.
    pub figure: String,
    /// What the service saw and the program used, where it is known.
    pub cost: Option<Cost>,
}

/// Beside the figure: medians of the runs, the peak the highest.
#[derive(Clone, Serialize, Deserialize)]
pub struct Cost {
    pub calls: f64,
    pub tokens: f64,
    pub cpu: f64,
    pub peak: u64,
    pub locks: u64,
}

/// Something to be reached.
#[derive(Clone, Serialize, Deserialize)]
pub struct Criterion {
    pub must: String,
    pub reached: String,
    pub met: bool,
}

impl Outcome {
    /// A program's line.
    pub fn line(&mut self, series: &Series, figure: impl Into<String>) {
        self.lines.push(Line {
            name: series.name.clone(),
            figure: figure.into(),
            cost: Some(Cost {
                calls: series.calls(),
                tokens: series.tokens(),
                cpu: series.cpu(),
                peak: series.peak(),
                locks: series.locks(),
            }),
        });
    }

    /// A line for something that is no program with a service, such as the disk.
    pub fn plain(&mut self, name: impl Into<String>, figure: impl Into<String>) {
        self.lines.push(Line {
            name: name.into(),
            figure: figure.into(),
            cost: None,
        });
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// A criterion that is met or not.
    pub fn must(&mut self, must: impl Into<String>, reached: impl Into<String>, met: bool) {
        self.criteria.push(Criterion {
            must: must.into(),
            reached: reached.into(),
            met,
        });
    }

    /// `value` must be at least `least`; both are shown with the unit.
    pub fn at_least(&mut self, what: &str, value: f64, least: f64, unit: &str) {
        let must = format!("{what} ≥ {}{unit}", number(least));
        self.must(must, format!("{}{unit}", number(value)), value >= least);
    }

    /// `value` must be at most `most`.
    pub fn at_most(&mut self, what: &str, value: f64, most: f64, unit: &str) {
        let must = format!("{what} ≤ {}{unit}", number(most));
        self.must(must, format!("{}{unit}", number(value)), value <= most);
    }

    /// `value` of the name of a program must be at least so many times `other`.
    pub fn times(&mut self, other_name: &str, value: f64, other: f64, least: f64) {
        self.at_least(&format!("÷ {other_name}"), value / other, least, " ×");
    }
}

/// A figure with about three digits.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v.fract() == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 => 2,
        _ => 4,
    };
    format!("{value:.digits$}")
}

/// Bytes a second.
pub fn rate(bytes_per_second: f64) -> String {
    format!("{} MB/s", number(bytes_per_second / 1e6))
}

/// Bytes.
pub fn mib(bytes: u64) -> String {
    format!("{} MiB", number((bytes as f64 / f64::from(1 << 20)).ceil()))
}

/// Seconds.
pub fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{} ms", number(seconds * 1e3))
    } else {
        format!("{} s", number(seconds))
    }
}
