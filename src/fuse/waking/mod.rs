//! Events for who watches a folder (inotify) of what changed elsewhere.
//!
//! The kernel raises an event for what a process of this machine did through a mount, and for
//! nothing that it is told of by us. So a process of ours does something: a change that was found is
//! repeated on the mount by a messenger, and what the messenger asks of us for it is answered without that
//! anything is done. Nothing of it reaches `vfs` but questions about what is known.
//!
//! | true now | the messenger's call | our answers to the messenger | event |
//! | --- | --- | --- | --- |
//! | the name is there | `mknod`, `mkdir`, `symlink` | the look-up before it: no such name; the call: done | `IN_CREATE` |
//! | the name is gone | `unlink` | the look-up before it: a file that nobody has; the call: done | `IN_DELETE` |
//!
//! What holds of a name is looked at when the event is made, and not taken from the change: so an
//! event is never older than what a look then shows, and a replaced file is one that was made.
//!
//! That nobody but the messenger sees an answer that is meant for it rests on three things:
//!
//! - The messenger is known: by the number of its process, which the kernel tells with each request, and
//!   which no other process has until we have waited for its end. An answer of this kind is given for
//!   the folder and name of the one errand that it is on ([`desk`]).
//! - From the look-up to the end of the call the kernel holds the folder's lock for the messenger alone:
//!   who looks a name of it up meanwhile, makes or removes one, waits and then asks us.
//! - What the kernel remembers of these look-ups holds for no time: it asks us, in the name of
//!   whoever comes by, before it uses that. It does so as well for who waited for the messenger's look-up.
//!
//! And that nothing is done for the messenger rests on its being known. It may not be: where the mount was made
//! in another namespace of processes the kernel tells another number, and another mount may have come into
//! the place of ours. So before each call it looks up a word of its own in the mountpoint, which gives an error that
//! nothing else gives, to it alone, and goes on at what it has open since before that.
//!
//! Of a file the messenger is never told: the call is answered with one that nobody has, for no time, so that
//! whoever looks next asks us. The kernel takes the attributes of what was just made for newer than what it
//! knows, and would set back the size of a file that is being written.
//!
//! What the kernel remembers otherwise would keep it from asking us for the messenger. That a name is there,
//! it does not rely on where one is made; and that it is gone, it is not to remember from before it is told
//! of a change until the event is made ([`desk`]).
//!
//! A call that comes too late finds out: it is refused where the name is not any more as it was to be.
//! Who changes it here waits for the folder's lock meanwhile; what others change there is told after it.
//!
//! The messenger is a process since no thread of ours may use our own mount (`fuse`): it could be waiting for itself.
//! It is started when there is something to tell and ends with that, or with us; one that hangs is
//! killed. It holds a folder of the mount open for the moment of an errand.
//!
//! - [`errand`]: what the messenger is to do, and how that is written; pure.
//! - [`watched`]: which folders are watched, by anybody whose watches we may see.
//! - [`waker`]: the thread that brings the three together.
//! - [`messenger`]: the messenger's process, from both sides.
//! - [`desk`]: who is the messenger, and what it is on.
//! - `replies`: what it is answered.

mod desk;
mod errand;
mod messenger;
mod replies;
mod waker;
mod watched;

pub(super) use desk::Desk;
pub use messenger::{NAME as MESSENGER, serve as help};
pub(super) use waker::{Ground, Waker};
