//! The thread that has events raised. It hears of names after the kernel did, and takes its time:
//! nobody waits for it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::desk::Desk;
use super::errand::{Act, Errand};
use super::messenger::{Fault, Messenger};
use super::watched;
use crate::fuse::mountinfo::MountedDevice;
use crate::fuse::translate::RootMap;
use crate::ids::Ino;
use crate::vfs::{Error, Sight, Vfs};

/// Names that may wait; a watcher of more has to look by itself, as the kernel's own queue of events
/// is no longer.
const QUEUE: usize = 1 << 14;

/// The least time between two looks for who watches.
const PAUSE: Duration = Duration::from_secs(2);

/// So much longer is the time to the next look than what the last one took.
const REST: u32 = 20;

/// How long an errand may take. The messenger asks nobody but us, who answer from memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// A folder and a name in it.
type Name = (Ino, OsString);

/// Names that changed, and how often.
type Names = BTreeMap<Name, usize>;

/// Takes names that changed; never blocks. The thread ends with it.
pub struct Waker {
    queue: SyncSender<Name>,
    root: RootMap,
    desk: Arc<Desk>,
}

/// What the thread needs to know.
pub struct Ground {
    /// What is true.
    pub vfs: Vfs,
    /// The kernel's numbers.
    pub root: RootMap,
    /// Where the messenger is known.
    pub desk: Arc<Desk>,
    /// What is started as the messenger.
    pub program: PathBuf,
    /// Where the mount is.
    pub point: PathBuf,
    /// What is mounted there.
    pub device: MountedDevice,
}

impl Waker {
    /// Starts the thread.
    ///
    /// # Errors
    /// Those of starting a thread.
    pub fn start(ground: Ground) -> io::Result<Waker> {
        let (queue, names) = sync_channel(QUEUE);
        let (root, desk) = (ground.root, ground.desk.clone());
        thread::Builder::new()
            .name("fuse-inotify".to_owned())
            .spawn(move || ground.run(&names))?;
        Ok(Waker { queue, root, desk })
    }

    /// The kernel is about to hear that the name changed.
    pub fn expect(&self, folder: Ino, name: &OsStr) {
        self.desk.expect(self.root.to_kernel(folder), name);
    }

    /// It has heard it, and so is whoever watches the folder.
    pub fn tell(&self, folder: Ino, name: OsString) {
        let refused = self.queue.try_send((folder, name));
        if let Err(
            TrySendError::Full((folder, name)) | TrySendError::Disconnected((folder, name)),
        ) = refused
        {
            tracing::debug!("who watches folders does not hear of all changes");
            self.desk.settle(self.root.to_kernel(folder), &name, 1);
        }
    }
}

impl Ground {
    fn run(&self, queue: &Receiver<Name>) {
        let mut not_before = Instant::now();
        let mut is_known = true;
        while let Some(names) = gather(queue, not_before) {
            let began = Instant::now();
            let watched = match is_known {
                true => self.watched(&names),
                false => Vec::new(),
            };
            let took = began.elapsed();
            let woken = self.wake(&watched);
            for ((folder, name), times) in names {
                let folder = self.root.to_kernel(folder);
                self.desk.settle(folder, &name, times);
            }
            if woken.is_break() {
                is_known = false;
                tracing::warn!(
                    "the kernel does not tell who asks here, so that programs that watch folders of the mount do not hear of changes made elsewhere (F5 shows them)"
                );
            }
            not_before = Instant::now() + PAUSE.max(took * REST);
        }
    }

    /// The names that lie in watched folders.
    fn watched<'n>(&self, names: &'n Names) -> Vec<&'n Name> {
        // The kernel keeps what is watched; and a look costs the more the more is open on the machine.
        let is_held = |(folder, _): &&Name| self.vfs.is_held(*folder);
        let mut names = names.keys().filter(is_held).collect::<Vec<_>>();
        if !names.is_empty() {
            let watched = watched::on(self.device);
            names.retain(|(folder, _)| watched.contains(&self.root.to_kernel(*folder).0));
        }
        names
    }

    /// Has events raised for names. After a break it is of no use to go on.
    fn wake(&self, names: &[&Name]) -> ControlFlow<()> {
        let errands = names.iter().filter_map(|name| {
            self.errand(name).unwrap_or_else(|error| {
                tracing::debug!(%error, "no event for a name");
                None
            })
        });
        let mut errands = errands.peekable();
        if errands.peek().is_none() {
            return ControlFlow::Continue(());
        }
        match Messenger::start(&self.program, PATIENCE) {
            Ok(messenger) => self.send(&mut Hired::new(&self.desk, messenger), errands),
            Err(error) => {
                tracing::debug!(%error, "no messenger, and no events this time");
                ControlFlow::Continue(())
            }
        }
    }

    /// Has the messenger run errands. Breaks where it is not known.
    fn send(
        &self,
        hired: &mut Hired<'_>,
        errands: impl Iterator<Item = Errand>,
    ) -> ControlFlow<()> {
        for errand in errands {
            if self.desk.is_hushed() {
                break;
            }
            self.desk.send(&errand);
            let ran = hired.messenger.run(&errand);
            // One that did not answer may still be on its way.
            let Ok(done) =
                ran.inspect_err(|error| tracing::debug!(%error, "the messenger is ended"))
            else {
                break;
            };
            self.desk.back();
            match done {
                Ok(()) => {}
                Err(Fault::Stranger) => return ControlFlow::Break(()),
                Err(Fault::Call(error)) => {
                    tracing::debug!(folder = %errand.folder.display(), name = %errand.name.display(), %error, "no event for a name");
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// What is to be done for a name as it is now; `None` where that is not known, or the folder is
    /// not there any more.
    fn errand(&self, (folder, name): &Name) -> Result<Option<Errand>, Error> {
        let act = match self.vfs.sight(*folder, name)? {
            Sight::There(kind) => Act::Make(kind),
            Sight::Gone => Act::Remove,
            Sight::Unknown => return Ok(None),
        };
        let path = self.vfs.path_shown(*folder)?;
        Ok(path.map(|path| Errand {
            point: self.point.clone(),
            device: self.device,
            folder: path,
            ino: self.root.to_kernel(*folder).0,
            name: name.clone(),
            act,
        }))
    }
}

/// A messenger that is known at the desk, from before its first errand until its number is free.
struct Hired<'d> {
    desk: &'d Desk,
    messenger: Messenger,
}

impl Hired<'_> {
    fn new(desk: &Desk, messenger: Messenger) -> Hired<'_> {
        desk.hire(messenger.pid(), messenger.word());
        Hired { desk, messenger }
    }
}

impl Drop for Hired<'_> {
    fn drop(&mut self) {
        self.messenger.end();
        self.desk.dismiss();
    }
}

/// Waits for a name, and takes all that come until `not_before`; `None` where no more come.
fn gather(queue: &Receiver<Name>, not_before: Instant) -> Option<Names> {
    let mut names = Names::from([(queue.recv().ok()?, 1)]);
    while names.len() < QUEUE {
        let left = not_before.saturating_duration_since(Instant::now());
        match queue.recv_timeout(left) {
            Ok(name) => *names.entry(name).or_default() += 1,
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_changed_often_is_gathered_as_one_and_nothing_more_at_the_end() {
        let (tell, queue) = sync_channel(9);
        for name in ["a", "b", "a"] {
            tell.send((Ino(2), name.into())).unwrap();
        }
        let names = gather(&queue, Instant::now()).unwrap();
        let expected = [((Ino(2), "a".into()), 2), ((Ino(2), "b".into()), 1)];
        assert_eq!(names, Names::from(expected));
        tell.send((Ino(2), "c".into())).unwrap();
        drop(tell);
        assert_eq!(gather(&queue, Instant::now()), None);
    }
}
