//! What changed below, on its way to the kernel.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::fuse::{self, Notifier};
use crate::tree;

/// How long is waited for the kernel: it may hold the lock that the news needs for a request that
/// is with us.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where to ask whether the kernel was told.
pub(super) struct Relay {
    ask: UnboundedSender<oneshot::Sender<()>>,
}

impl Relay {
    /// Passes on what is `changed`, until nobody tells of it any more.
    pub fn start(mut changed: UnboundedReceiver<tree::Change>, notifier: Notifier) -> Relay {
        let (ask, mut asked) = unbounded_channel::<oneshot::Sender<()>>();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    change = changed.recv() => match change {
                        Some(change) => notifier.tell(for_kernel(change)),
                        None => break,
                    },
                    Some(done) = asked.recv() => {
                        // What came before the question goes before its answer.
                        while let Ok(change) = changed.try_recv() {
                            notifier.tell(for_kernel(change));
                        }
                        notifier.when_told(done);
                    }
                }
            }
        });
        Relay { ask }
    }

    /// Returns once the kernel knows what was told until now: who asked for a change of ours
    /// looks at once whether it is there.
    pub async fn told(&self) {
        let (done, told) = oneshot::channel();
        if self.ask.send(done).is_ok() {
            // Late or not at all, the kernel asks again by itself.
            let _ = tokio::time::timeout(PATIENCE, told).await;
        }
    }
}

/// The tree's news in the kernel's terms.
fn for_kernel(change: tree::Change) -> fuse::Change {
    match change {
        tree::Change::Entry { parent, name } => fuse::Change::Entry { parent, name },
        tree::Change::Gone {
            parent,
            child,
            name,
        } => fuse::Change::Gone {
            parent,
            child,
            name,
        },
        tree::Change::Attributes(ino) => fuse::Change::Attributes(ino),
    }
}
