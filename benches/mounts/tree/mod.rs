//! The tree.

use super::rows::Family;

pub const ROWS: Family = Family {
    title: "The tree",
    rows: &[],
};
