//! Whether the account gets what is sent.
//!
//! A node may take what comes with a key that is none (any more) as anybody's: everybody can
//! read it then, and the account does not have it. Its result tells of that in one way only: of
//! a link that removes the file, as it does of what belongs to nobody (API notes 3.4). From such
//! a result on nothing is sent until the service was asked for something that it gives to the
//! account's key alone: by whoever, and be its answer readable or not. Should it refuse that key,
//! the pace lets nothing out with it. And what was sent counts as arrived only where the account's
//! folder shows it ([`super::look`]): it is not known that no service tells of such a link for an
//! account's files, too.

use parking_lot::Mutex;

use super::{Context, UploadError};
use crate::api::{ApiError, Class};
use crate::ids::{FolderId, Time};

/// Why nothing is sent meanwhile.
pub(super) const HELD: &str = "not sent before the service took the key for something: what was sent \
     last it told of as if it were anybody's";

/// A doubt about the key, and what is done about it.
#[derive(Default)]
pub(super) struct Doubt(Mutex<State>);

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// The account was seen to have a file with such a result: it says nothing here.
    usual: bool,
}

struct Open {
    arose: Time,
    asked_next: Time,
    tries: u32,
}

impl Doubt {
    /// A result told of a file as of one that belongs to nobody.
    pub fn arise(&self, now: Time) {
        let mut state = self.0.lock();
        if !state.usual && state.open.is_none() {
            state.open = Some(Open {
                arose: now,
                asked_next: now,
                tries: 0,
            });
        }
    }

    /// The account has what such a result told of.
    pub fn was_groundless(&self) {
        *self.0.lock() = State {
            open: None,
            usual: true,
        };
    }

    /// Something that was asked for at a time with the key was answered with this. Returns whether
    /// that ended a doubt.
    pub fn heard(&self, asked: Time, error: Option<&ApiError>) -> bool {
        let mut state = self.0.lock();
        let is_known = matches!(error, None | Some(ApiError::KeyRefused(_)));
        let ends = is_known && state.open.as_ref().is_some_and(|open| open.arose <= asked);
        if ends {
            state.open = None;
        }
        ends
    }

    /// Whether nothing is to be sent.
    pub fn is_open(&self) -> bool {
        self.0.lock().open.is_some()
    }

    /// Whether the service is to be asked now.
    pub fn is_due(&self, now: Time) -> bool {
        let state = self.0.lock();
        state
            .open
            .as_ref()
            .is_some_and(|open| open.asked_next <= now)
    }

    /// The answer tells nothing. Asks for the time of the next try, by their number.
    fn ask_again(&self, at: impl Fn(u32) -> Time) {
        if let Some(open) = &mut self.0.lock().open {
            open.tries += 1;
            open.asked_next = at(open.tries);
        }
    }
}

impl Context {
    /// Whether nothing is to be sent, as far as all that was asked for tells.
    pub(super) fn is_in_doubt(&self) -> bool {
        if let Some(asked) = self.api.last_given()
            && self.doubt.heard(asked, None)
        {
            tracing::info!("the service takes the key: uploads go on");
        }
        self.doubt.is_open()
    }

    /// Asks for the root: it is there for whoever has a key of the account.
    pub(super) async fn try_the_key(&self) -> Result<(), UploadError> {
        let asked = Time::now();
        let listed = self.api.list_folder(FolderId::ROOT, Class::Upload).await;
        let error = listed.err();
        if !self.is_in_doubt() {
            return Ok(());
        }
        self.doubt.heard(asked, error.as_ref());
        match &error {
            None => {}
            Some(e @ ApiError::KeyRefused(_)) => {
                tracing::error!("uploads wait for a key that the service takes: {e}");
            }
            Some(e) => tracing::info!("whether the service takes the key is not known yet: {e}"),
        }
        self.doubt.ask_again(|tries| self.later(tries));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_ends_with_what_the_key_was_asked_for_after_it_arose() {
        let doubt = Doubt::default();
        let (locked, refused) = (ApiError::left_out(), ApiError::KeyRefused(said()));
        for ends_by in [None, Some(&refused)] {
            doubt.arise(Time(10));
            assert!(doubt.is_open() && doubt.is_due(Time(10)));
            doubt.heard(Time(9), ends_by);
            doubt.heard(Time(20), Some(&locked));
            assert!(doubt.is_open());
            doubt.ask_again(|tries| Time(10 + i64::from(tries)));
            // It is the same one: it is not asked about sooner.
            doubt.arise(Time(10));
            assert!(!doubt.is_due(Time(10)) && doubt.is_due(Time(11)));
            doubt.heard(Time(10), ends_by);
            assert!(!doubt.is_open() && !doubt.is_due(Time(100)));
        }
    }

    #[test]
    fn what_the_account_has_all_the_same_is_doubted_once() {
        let doubt = Doubt::default();
        doubt.arise(Time(1));
        doubt.was_groundless();
        doubt.arise(Time(2));
        assert!(!doubt.is_open());
    }

    fn said() -> crate::api::Said {
        match ApiError::left_out() {
            ApiError::Unchanged(said) => said,
            e => panic!("{e}"),
        }
    }
}
