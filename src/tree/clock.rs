//! What is noted of times follows the system's clock when that is put back: a machine may start
//! hours ahead, as one whose hardware keeps local time, and be put right by the network a moment
//! later. What was put off in between would wait for those hours, and what was listed or changed
//! would pass for fresh as long.

use std::time::Duration;

use rusqlite::{Connection, Transaction, params};

use super::attempts::WHILE_OPEN;
use super::{Tree, TreeError};
use crate::ids::Time;
use crate::store::setting;

/// The row of the table `setting` with the latest time that was seen.
const SEEN: &str = "clock";

/// How often that is written. So much of a step is not noticed if the process ended before it.
const NOTED_EVERY: Duration = Duration::from_secs(600);

/// Smaller steps do no harm.
const STEP: Duration = Duration::from_secs(2);

/// Every column that is compared with the clock.
const TIMES: [(&str, &str); 8] = [
    ("attempt", "not_before"),
    ("attempt", "sent_at"),
    ("removal", "not_before"),
    ("removal", "asked_at"),
    ("removal", "made_at"),
    ("tombstone", "until"),
    ("node", "confirmed_at"),
    ("node", "listed_at"),
];

/// Watches the system's clock.
pub struct Clock {
    tree: Tree,
    seen: Time,
    noted: Time,
}

impl Clock {
    /// Begins with what an earlier process saw.
    ///
    /// # Errors
    /// That of the database.
    pub fn open(tree: Tree) -> Result<Clock, TreeError> {
        let noted = tree.store.read(noted)?.unwrap_or(Time(0));
        Ok(Clock {
            tree,
            seen: noted,
            noted,
        })
    }

    /// The clock shows `now`. Returns by how much it was put back.
    ///
    /// # Errors
    /// That of the database; the next look tries again.
    pub fn look(&mut self, now: Time) -> Result<Duration, TreeError> {
        let back = self.seen.since(now);
        if back >= STEP {
            self.tree.store.write(|tx| shift(tx, back, now))?;
            self.noted = now;
        } else if now.since(self.noted) >= NOTED_EVERY {
            self.tree.store.write(|tx| note(tx, now))?;
            self.noted = now;
        }
        self.seen = now;
        Ok(if back >= STEP { back } else { Duration::ZERO })
    }
}

fn noted(c: &Connection) -> Result<Option<Time>, TreeError> {
    let text = setting::get(c, SEEN)?;
    Ok(text.and_then(|text| text.parse().ok()).map(Time))
}

fn note(tx: &Transaction<'_>, now: Time) -> Result<(), TreeError> {
    Ok(setting::put(tx, SEEN, &now.0.to_string())?)
}

/// What is ahead of `now` was noted by the wrong clock.
fn shift(tx: &Transaction<'_>, back: Duration, now: Time) -> Result<(), TreeError> {
    let by = i64::try_from(back.as_nanos()).unwrap_or(i64::MAX);
    for (table, column) in TIMES {
        tx.execute(
            &format!(
                "UPDATE {table} SET {column} = {column} - ?1 WHERE {column} > ?2 AND {column} < ?3"
            ),
            params![by, now.0, WHILE_OPEN.0],
        )?;
    }
    note(tx, now)
}
