//! How far a file has come between here and the service: one state from the facts that the
//! rows and memory hold. Pure.
//!
//! The state is of the inode, never of a name, and nothing stores it: each fact is stored
//! once, where it is made, and whoever shows or decides something asks here. While a version
//! is on its way a newer one may be closed; the file is then as far as the one on its way,
//! and [`FileState::Queued`] again when that was confirmed. The table of what each operation
//! does in each state is `vfs::state_tests`.

use super::node::Pending;

/// How far a file, link or folder has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FileState {
    /// The service has it as it is seen here.
    Clean,
    /// It is here alone, and nothing is to be sent: an empty file, or one whose name stays here.
    Local,
    /// It was written to, and no close or sync has stored that yet.
    Dirty,
    /// It is stored here and waits to be sent (a folder: to be made).
    Queued,
    /// It is being sent, or copied by the service.
    Sending,
    /// All of it was sent; the service has yet to tell what it stored.
    Confirming,
    /// The service has the content; its name or folder there is still to follow.
    Committed,
    /// It failed for good and waits for the user; its content is kept.
    Failed,
}

/// How far an upload has come.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum UnderWay {
    /// None was begun.
    #[default]
    Nothing,
    /// It was begun.
    Begun,
    /// All bytes were sent.
    Sent,
}

/// What is known of a file.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Facts {
    /// Memory has changes that are not stored.
    pub dirty: bool,
    /// What the service does not have as it is wanted.
    pub pending: Pending,
    /// The last try failed for good.
    pub parked: bool,
    /// The upload of some version.
    pub under_way: UnderWay,
    /// The service has some version.
    pub on_service: bool,
}

impl FileState {
    /// The state that these facts make.
    pub fn of(facts: &Facts) -> FileState {
        let Pending {
            content,
            place,
            make,
        } = facts.pending;
        if facts.dirty {
            return FileState::Dirty;
        }
        match facts.under_way {
            UnderWay::Begun => return FileState::Sending,
            UnderWay::Sent => return FileState::Confirming,
            UnderWay::Nothing => {}
        }
        match (content || make, place, facts.on_service) {
            (true, ..) | (_, true, _) if facts.parked => FileState::Failed,
            (true, ..) => FileState::Queued,
            (false, true, _) => FileState::Committed,
            (false, false, true) => FileState::Clean,
            (false, false, false) => FileState::Local,
        }
    }

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            FileState::Clean => "clean",
            FileState::Local => "local",
            FileState::Dirty => "dirty",
            FileState::Queued => "queued",
            FileState::Sending => "sending",
            FileState::Confirming => "confirming",
            FileState::Committed => "committed",
            FileState::Failed => "failed",
        }
    }

    /// Whether something of it may reach the service at any moment: nothing of it can be
    /// given up until that is known.
    pub fn is_under_way(self) -> bool {
        matches!(self, FileState::Sending | FileState::Confirming)
    }

    /// Whether the service has the bytes that are seen here, or never gets them.
    pub fn is_settled(self) -> bool {
        matches!(
            self,
            FileState::Clean | FileState::Local | FileState::Committed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination of the facts has the state that the most urgent of them makes.
    #[test]
    fn what_is_nearest_to_the_user_decides() {
        let bools = [false, true];
        for dirty in bools {
            for parked in bools {
                for on_service in bools {
                    for bits in 0..8 {
                        use UnderWay::{Begun, Nothing, Sent};
                        for under_way in [Nothing, Begun, Sent] {
                            let pending = Pending::from_bits(bits);
                            let state = FileState::of(&Facts {
                                dirty,
                                pending,
                                parked,
                                under_way,
                                on_service,
                            });
                            assert_eq!(state == FileState::Dirty, dirty);
                            let moving = under_way != Nothing && !dirty;
                            assert_eq!(state.is_under_way(), moving);
                            let waits = pending.content || pending.make;
                            let rests = !dirty && !moving;
                            assert_eq!(
                                state == FileState::Failed,
                                rests && parked && !pending.is_empty()
                            );
                            assert_eq!(
                                state.is_settled(),
                                rests && !waits && !(parked && pending.place)
                            );
                        }
                    }
                }
            }
        }
    }
}
