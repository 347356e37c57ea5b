//! What is wrong on this machine, and how it is mended.
//!
//! [`Case`] is what is known before the look; each of [`checks`] looks at one thing
//! and tells [`Finding`]s: what is so, how bad that is, the command that mends it, and
//! where it is without risk, a way for us to do it. A look changes nothing.
//! [`report`] writes what was found for others to read, without what is only the
//! user's. Called by `cli`; it calls the looks that other rooms offer.

mod case;
mod checks;
mod finding;
pub mod report;

pub use case::{Case, Configured, KeyAnswer};
pub use finding::{Finding, Level, Report};

/// Looks at everything. Blocks, for seconds.
pub fn examine(case: &Case) -> Vec<Finding> {
    checks::ALL.iter().flat_map(|check| check(case)).collect()
}
