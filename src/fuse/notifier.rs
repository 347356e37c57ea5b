//! News for the kernel: what it remembers and is no longer so.
//!
//! A notification waits for locks of the kernel that are held while a request
//! is with us. So one thread of its own sends them, from a queue that nobody
//! waits for: a callback or a worker of the runtime that sent one itself could
//! wait for its own answer. Publish the new state first and tell the news
//! second, or a look-up in between puts the old state back.
//!
//! What does not fit the queue, comes too late or finds nothing is dropped: the
//! kernel asks again by itself once its time is up. Pages have no time, be they content or the
//! names of a folder, so that news of those always has a place.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use fuser::INodeNo;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::options::Ttl;
use super::passing::Which;
use super::shape::Shape;
use super::waking::Waker;
use crate::ids::Ino;

/// News that may wait; several full folders.
const QUEUE: usize = 1 << 14;

/// Something changed that the kernel may remember otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The name appeared, or stands for another inode now.
    Entry {
        /// The folder.
        parent: Ino,
        /// The name in it.
        name: OsString,
    },
    /// The name is gone; programs that watch the folder are told as well.
    Gone {
        /// The folder.
        parent: Ino,
        /// What the name stood for.
        child: Ino,
        /// The name that is gone.
        name: OsString,
    },
    /// Attributes changed. The one to use for an inode with open handles.
    Attributes(Ino),
    /// Content changed; the kernel's pages of it are dropped.
    Content(Ino),
}

struct Queued {
    change: Change,
    at: Instant,
}

/// Takes news from anywhere; never blocks.
#[derive(Clone, Debug)]
pub struct Notifier {
    queue: SyncSender<Message>,
    overflow: Overflow,
    closed: Arc<AtomicBool>,
}

/// Inodes whose pages are to go, and of which the queue had no room to tell.
type Overflow = Arc<Mutex<BTreeSet<Ino>>>;

enum Message {
    News(Queued),
    /// Answered once all before it was told.
    Told(oneshot::Sender<()>),
    /// Only to wake the thread, which then sees that it is closed, or what else there is.
    Wake,
}

/// The other end of a [`Notifier`], to be given to the session.
pub struct NewsQueue {
    queue: Receiver<Message>,
    overflow: Overflow,
    closed: Arc<AtomicBool>,
}

/// A notifier and what the session needs to serve it. News that is told before
/// the session has started waits.
pub fn notifier() -> (Notifier, NewsQueue) {
    let (sender, receiver) = sync_channel(QUEUE);
    let closed = Arc::new(AtomicBool::new(false));
    let overflow = Overflow::default();
    let notifier = Notifier {
        queue: sender,
        overflow: overflow.clone(),
        closed: closed.clone(),
    };
    let queue = NewsQueue {
        queue: receiver,
        overflow,
        closed,
    };
    (notifier, queue)
}

impl Notifier {
    /// Queues a change for the kernel.
    pub fn tell(&self, change: Change) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let at = Instant::now();
        match self.queue.try_send(Message::News(Queued { change, at })) {
            Ok(()) => {}
            Err(TrySendError::Full(Message::News(news))) => {
                tracing::debug!("too much news at once; the kernel will ask again by itself");
                if let Some(ino) = pages_of(&news.change) {
                    self.overflow.lock().insert(ino);
                    // Where the queue is still full, the thread is awake.
                    let _ = self.queue.try_send(Message::Wake);
                }
            }
            Err(TrySendError::Full(Message::Wake | Message::Told(_))) => {}
            Err(TrySendError::Disconnected(_)) => self.closed.store(true, Ordering::Relaxed),
        }
    }

    /// Has `done` answered once the kernel heard all that was told before, or dropped where
    /// nobody will hear of it any more.
    pub fn when_told(&self, done: oneshot::Sender<()>) {
        let _ = self.queue.try_send(Message::Told(done));
    }

    /// No news from here on: what waits is dropped, and the thread ends once
    /// the notification that it is sending has returned. To be called before
    /// the requests stop being answered.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        // A full queue keeps the thread awake, and a missing one has ended.
        let _ = self.queue.try_send(Message::Wake);
    }
}

/// The kernel's side, so that tests can listen to it.
pub(super) trait Kernel: Send + 'static {
    fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<()>;
    fn gone(&self, parent: INodeNo, child: INodeNo, name: &OsStr) -> io::Result<()>;
    /// Attributes alone where `offset` is negative, else also the pages from there.
    fn inode(&self, ino: INodeNo, offset: i64) -> io::Result<()>;
}

impl Kernel for fuser::Notifier {
    fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<()> {
        self.inval_entry(parent, name)
    }

    fn gone(&self, parent: INodeNo, child: INodeNo, name: &OsStr) -> io::Result<()> {
        self.delete(parent, child, name)
    }

    fn inode(&self, ino: INodeNo, offset: i64) -> io::Result<()> {
        self.inval_inode(ino, offset, 0)
    }
}

impl NewsQueue {
    /// Starts the thread that sends the news.
    pub(super) fn start(
        self,
        kernel: impl Kernel,
        shape: Shape,
        waker: Option<Waker>,
    ) -> io::Result<thread::JoinHandle<()>> {
        thread::Builder::new()
            .name("fuse-notify".to_owned())
            .spawn(move || self.run(&kernel, &shape, waker.as_ref()))
    }

    fn run(&self, kernel: &impl Kernel, shape: &Shape, waker: Option<&Waker>) {
        while let Ok(message) = self.queue.recv() {
            if self.closed.load(Ordering::Relaxed) {
                break;
            }
            let name = match &message {
                Message::News(news) => name_of(&news.change),
                Message::Told(_) | Message::Wake => None,
            };
            if let (Some(waker), Some((folder, name))) = (waker, &name) {
                waker.expect(*folder, name);
            }
            let (fresh, done) = match message {
                Message::News(news) if !is_stale(&news.change, news.at.elapsed(), shape.ttl) => {
                    (Some(news.change), None)
                }
                Message::News(news) => (pages_of(&news.change).map(Change::Content), None),
                Message::Told(done) => (None, Some(done)),
                Message::Wake => (None, None),
            };
            let overflow = std::mem::take(&mut *self.overflow.lock());
            if !fresh
                .into_iter()
                .chain(overflow.into_iter().map(Change::Content))
                .all(|change| is_told(kernel, shape, &change))
            {
                break;
            }
            // Whoever hears of it looks.
            if let (Some(waker), Some((folder, name))) = (waker, name) {
                waker.tell(folder, name);
            }
            if let Some(done) = done {
                // Who asked may have gone away.
                let _ = done.send(());
            }
        }
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// Which name a change is about.
fn name_of(change: &Change) -> Option<(Ino, OsString)> {
    match change {
        Change::Entry { parent, name } | Change::Gone { parent, name, .. } => {
            Some((*parent, name.clone()))
        }
        Change::Attributes(_) | Change::Content(_) => None,
    }
}

/// Whose pages go with a change: of a folder they are the names that were read of it.
fn pages_of(change: &Change) -> Option<Ino> {
    match change {
        Change::Entry { parent, .. } | Change::Gone { parent, .. } => Some(*parent),
        Change::Content(ino) => Some(*ino),
        Change::Attributes(_) => None,
    }
}

/// The kernel has asked again by now. Pages have no time to live, and watchers
/// of a folder none either.
fn is_stale(change: &Change, age: Duration, ttl: Ttl) -> bool {
    match change {
        Change::Entry { .. } => age > ttl.entry.max(ttl.negative),
        Change::Attributes(_) => age > ttl.attr,
        Change::Gone { .. } | Change::Content(_) => false,
    }
}

/// The mount is no more.
fn is_over(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENOTCONN))
}

/// Tells the kernel; `false` once there is nobody to tell.
fn is_told(kernel: &impl Kernel, shape: &Shape, change: &Change) -> bool {
    match send(kernel, shape, change) {
        Ok(()) => true,
        Err(error) if is_over(&error) => false,
        Err(error) => {
            tracing::debug!(?change, %error, "the kernel refused news");
            true
        }
    }
}

fn send(kernel: &impl Kernel, shape: &Shape, change: &Change) -> io::Result<()> {
    let root = shape.root;
    match change {
        Change::Entry { parent, name } => {
            let parent = root.to_kernel(*parent);
            let told = kernel.entry(parent, name);
            // Of a name that is new to it the kernel does not conclude that the folder changed.
            kernel.inode(parent, 0).and(told)
        }
        Change::Gone {
            parent,
            child,
            name,
        } => {
            let parent = root.to_kernel(*parent);
            let child = root.number(*child, shape.which(*child));
            let told = match kernel.gone(parent, child, name) {
                // A folder that still has names below it, or is mounted on:
                // forgetting the name is then what can be done.
                Err(error) if !is_over(&error) => kernel.entry(parent, name),
                done => done,
            };
            kernel.inode(parent, 0).and(told)
        }
        Change::Attributes(ino) => tell_inodes(kernel, shape, *ino, -1),
        Change::Content(ino) => tell_inodes(kernel, shape, *ino, 0),
    }
}

/// Tells of each inode that the kernel may have of a file.
fn tell_inodes(kernel: &impl Kernel, shape: &Shape, ino: Ino, offset: i64) -> io::Result<()> {
    let told = kernel.inode(shape.root.to_kernel(ino), offset);
    match shape.which(ino) {
        Which::First => told,
        Which::Second => {
            let second = shape.root.number(ino, Which::Second);
            kernel.inode(second, offset).and(told)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Sender};

    use super::super::translate::RootMap;
    use super::*;

    /// Writes down what it is told; refuses to delete what is called "full".
    struct Listener(Sender<String>);

    impl Kernel for Listener {
        fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<()> {
            let text = format!("entry {parent} {}", name.display());
            self.0.send(text).map_err(io::Error::other)
        }

        fn gone(&self, parent: INodeNo, child: INodeNo, name: &OsStr) -> io::Result<()> {
            if name == "full" {
                return Err(io::Error::from_raw_os_error(libc::ENOTEMPTY));
            }
            let text = format!("gone {parent} {child} {}", name.display());
            self.0.send(text).map_err(io::Error::other)
        }

        fn inode(&self, ino: INodeNo, offset: i64) -> io::Result<()> {
            if ino.0 == 99 {
                return Err(io::Error::from_raw_os_error(libc::ENODEV));
            }
            let text = format!("inode {ino} {offset}");
            self.0.send(text).map_err(io::Error::other)
        }
    }

    /// Waits with everything until it is heard.
    struct Slow(mpsc::SyncSender<()>);

    impl Kernel for Slow {
        fn entry(&self, _: INodeNo, _: &OsStr) -> io::Result<()> {
            self.0.send(()).map_err(io::Error::other)
        }

        fn gone(&self, _: INodeNo, _: INodeNo, _: &OsStr) -> io::Result<()> {
            self.0.send(()).map_err(io::Error::other)
        }

        fn inode(&self, _: INodeNo, _: i64) -> io::Result<()> {
            self.0.send(()).map_err(io::Error::other)
        }
    }

    /// Of a mount that shows folder 7.
    fn shape() -> Shape {
        Shape {
            root: RootMap::new(Ino(7)),
            ttl: Ttl::default(),
            writes_around_pages: false,
            passing: None,
        }
    }

    /// What the kernel hears of `changes`, with folder 7 mounted.
    fn heard(changes: Vec<Change>) -> Vec<String> {
        let (notifier, queue) = notifier();
        for change in changes {
            notifier.tell(change);
        }
        drop(notifier);
        let (tell, hear) = mpsc::channel();
        let thread = queue.start(Listener(tell), shape(), None).unwrap();
        thread.join().unwrap();
        hear.iter().collect()
    }

    #[test]
    fn news_arrives_in_order_in_the_kernels_numbers() {
        let changes = vec![
            Change::Entry {
                parent: Ino(7),
                name: "a".into(),
            },
            Change::Gone {
                parent: Ino(8),
                child: Ino(9),
                name: "b".into(),
            },
            Change::Attributes(Ino(10)),
            Change::Content(Ino(11)),
        ];
        // What was read of a folder goes with each name in it.
        let expected = [
            "entry 1 a",
            "inode 1 0",
            "gone 8 9 b",
            "inode 8 0",
            "inode 10 -1",
            "inode 11 0",
        ];
        assert_eq!(heard(changes), expected);
    }

    #[test]
    fn a_name_that_cannot_be_deleted_is_forgotten() {
        let gone = Change::Gone {
            parent: Ino(8),
            child: Ino(9),
            name: "full".into(),
        };
        assert_eq!(heard(vec![gone]), ["entry 8 full", "inode 8 0"]);
    }

    #[test]
    fn nothing_is_sent_once_the_mount_is_gone() {
        let changes = vec![Change::Attributes(Ino(99)), Change::Attributes(Ino(10))];
        assert!(heard(changes).is_empty());
    }

    #[test]
    fn who_waits_hears_once_the_kernel_was_told_what_came_before() {
        let (notifier, queue) = notifier();
        let (done, mut told) = oneshot::channel();
        notifier.tell(Change::Content(Ino(5)));
        notifier.when_told(done);
        // The listener has room for nothing: the thread stays with it until it is heard.
        let (tell, hear) = mpsc::sync_channel(0);
        let thread = queue.start(Slow(tell), shape(), None).unwrap();
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        hear.recv().unwrap();
        assert_eq!(told.blocking_recv(), Ok(()));

        notifier.close();
        thread.join().unwrap();
        let (done, told) = oneshot::channel();
        notifier.when_told(done);
        assert!(told.blocking_recv().is_err(), "nobody is told any more");
    }

    #[test]
    fn close_drops_what_waits_and_ends_the_thread() {
        let (notifier, queue) = notifier();
        notifier.tell(Change::Content(Ino(5)));
        notifier.close();
        notifier.tell(Change::Content(Ino(6)));
        let (tell, hear) = mpsc::channel();
        let thread = queue.start(Listener(tell), shape(), None).unwrap();
        thread.join().unwrap();
        assert_eq!(hear.iter().count(), 0);
    }

    #[test]
    fn telling_never_waits_even_if_nobody_listens() {
        let (notifier, queue) = notifier();
        for ino in 0..2 * QUEUE as u64 {
            notifier.tell(Change::Attributes(Ino(ino)));
        }
        drop(queue);
        notifier.tell(Change::Attributes(Ino(1)));
        assert!(notifier.closed.load(Ordering::Relaxed));
    }

    #[test]
    fn that_content_changed_is_told_however_much_other_news_there_is() {
        let full = (0..2 * QUEUE as u64).map(|ino| Change::Attributes(Ino(1000 + ino)));
        let entry = Change::Entry {
            parent: Ino(12),
            name: "a".into(),
        };
        let told = heard(full.chain([Change::Content(Ino(11)), entry]).collect());
        assert_eq!(told.len(), QUEUE + 2);
        for pages in ["inode 11 0", "inode 12 0"] {
            assert!(told.contains(&pages.to_owned()));
        }
    }

    #[test]
    fn only_what_has_a_time_to_live_gets_stale() {
        let ttl = Ttl {
            entry: Duration::from_secs(10),
            attr: Duration::from_secs(20),
            negative: Duration::ZERO,
        };
        let entry = Change::Entry {
            parent: Ino(1),
            name: "a".into(),
        };
        let age = Duration::from_secs(15);
        assert!(is_stale(&entry, age, ttl));
        assert!(!is_stale(&Change::Attributes(Ino(1)), age, ttl));
        assert!(is_stale(&Change::Attributes(Ino(1)), 2 * age, ttl));
        assert!(!is_stale(&Change::Content(Ino(1)), 1000 * age, ttl));
    }
}
