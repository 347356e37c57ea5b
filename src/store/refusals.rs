//! What the service refused, so that nobody asks again soon: failing calls count, over
//! restarts too. The one table that rooms share: `tree` notes folders, `content` files.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};
use crate::ids::Time;

/// What was refused: a folder's listing or a file's link, by its id and a print of what it
/// was asked with. Who asks with another key or password is not refused yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    kind: i64,
    subject: String,
}

impl Asked {
    /// A folder's listing.
    pub fn folder(id: &str, with: &str) -> Asked {
        Asked {
            kind: 1,
            subject: format!("{id} {with}"),
        }
    }

    /// A file's link.
    pub fn file(id: &str, with: &str) -> Asked {
        Asked {
            kind: 2,
            subject: format!("{id} {with}"),
        }
    }
}

/// What the service said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// It does not have it.
    pub is_gone: bool,
    /// Its words.
    pub said: String,
}

impl Store {
    /// What was refused until a time after `now`; at most until `latest`, which is beyond
    /// all that could have been noted unless the clock was set back.
    pub fn refusal(
        &self,
        asked: &Asked,
        now: Time,
        latest: Time,
    ) -> Result<Option<Refusal>, StoreError> {
        self.read(|c| {
            let row = c
                .prepare_cached(
                    "SELECT gone, said FROM refused
                     WHERE kind = ?1 AND subject = ?2 AND until > ?3 AND until <= ?4",
                )?
                .query_row(params![asked.kind, asked.subject, now.0, latest.0], |row| {
                    Ok(Refusal {
                        is_gone: row.get(0)?,
                        said: row.get(1)?,
                    })
                })
                .optional()?;
            Ok::<_, StoreError>(row)
        })
    }

    /// Notes a refusal.
    pub fn note_refusal(
        &self,
        asked: &Asked,
        refusal: &Refusal,
        now: Time,
        until: Time,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("DELETE FROM refused WHERE until <= ?1", [now.0])?;
            tx.execute(
                "INSERT OR REPLACE INTO refused (kind, subject, until, gone, said)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    asked.kind,
                    asked.subject,
                    until.0,
                    refusal.is_gone,
                    refusal.said
                ],
            )?;
            Ok::<_, StoreError>(())
        })
    }

    /// It was given after all.
    pub fn forget_refusal(&self, asked: &Asked) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached("DELETE FROM refused WHERE kind = ?1 AND subject = ?2")?
                .execute(params![asked.kind, asked.subject])?;
            Ok::<_, StoreError>(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_lasts_over_a_restart_and_for_who_asks_with_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let refusal = Refusal {
            is_gone: true,
            said: "Resource not found #469".to_owned(),
        };
        let file = Asked::file("film0", "key1");
        let store = Store::open(&path).unwrap();
        store
            .note_refusal(&file, &refusal, Time(10), Time(20))
            .unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        let found = |asked: &Asked, now| store.refusal(asked, Time(now), Time(now + 10)).unwrap();
        assert_eq!(found(&file, 19), Some(refusal));
        for (asked, now) in [
            (&Asked::file("film0", "key2"), 19),
            (&Asked::file("film1", "key1"), 19),
            (&Asked::folder("film0", "key1"), 19),
            (&file, 20),
            // The clock was set back: it is not believed for years.
            (&file, 9),
        ] {
            assert_eq!(found(asked, now), None, "{asked:?} at {now}");
        }
        store.forget_refusal(&file).unwrap();
        assert_eq!(found(&file, 19), None);
    }
}
