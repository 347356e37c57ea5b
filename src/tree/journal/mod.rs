//! The journal of intents, as the upload room sees it: what is ready to be
//! done, what was done, and what must wait.
//!
//! An intent is a difference between the wanted and the confirmed half of a
//! node, or a row of [`removals`]. Dependencies are derived each time from
//! both halves, never stored:
//!
//! - a node waits for its parent's id;
//! - a name that another object still holds on the service, and is about to
//!   leave, is waited for; where such waits make a circle, a folder of it takes
//!   a passing name ([`circles`]);
//! - files are taken to share names, as far as is known (API notes 3.6); where the
//!   service refuses that, what holds the name takes a passing one ([`Tree::detour`]);
//! - a file whose content is to be sent is not moved first: the new version
//!   goes to the new place;
//! - a folder does not go below itself: what lies between on the service leaves before;
//! - what became of a call without an answer is looked for before anything else is done with
//!   that folder, or with the name that it may have (`unsure`), and what may have been removed
//!   before it is asked to be removed again (`removing`);
//! - a replaced file is removed after its successor was confirmed, a folder
//!   after everything confirmed in it has left.
//!
//! What was done is recorded as facts ("the service has X there"), and what is
//! left to do follows from them. So a user's change while a step is under way
//! needs no special case: the fact is recorded, and the difference remains.

mod backlog;
mod circles;
mod detour;
mod leaving;
mod outcomes;
mod ready;
mod removing;
mod task;
mod unsure;
mod uploads;

#[cfg(doc)]
use super::Tree;
use super::TreeError;

pub use super::attempts::{WHILE_OPEN, content_closed, content_due};
pub use backlog::{Backlog, Queued};
pub use detour::{Detour, Who};
pub use leaving::Leaving;
pub use outcomes::content_confirmed;
pub use removing::Postponed;
pub use task::{Copying, Object, Task};
pub use unsure::Put;
pub use uploads::{Underway, Way};

type Result<T> = std::result::Result<T, TreeError>;
