//! All rows, in the order of the tables.

use super::row::{Family, Row};
use super::{Result, read, tree, write};

pub const FAMILIES: &[Family] = &[read::ROWS, write::ROWS, tree::ROWS];

fn all() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().flat_map(|family| family.rows)
}

/// The rows of these names, in their order; all if none is named.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Row>> {
    if let Some(name) = names
        .iter()
        .find(|name| all().all(|row| row.name != **name))
    {
        return Err(format!("there is no row `{name}`; --list shows them").into());
    }
    let wanted = |row: &&Row| names.is_empty() || names.iter().any(|name| name == row.name);
    Ok(all().filter(wanted).collect())
}

/// Prints them.
pub fn list() {
    for family in FAMILIES {
        println!("{}", family.title);
        for row in family.rows {
            println!("  {:20} {}", row.name, row.work);
        }
    }
}
