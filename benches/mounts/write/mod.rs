//! Writing.

use super::rows::Family;

pub const ROWS: Family = Family {
    title: "Writing",
    rows: &[],
};
