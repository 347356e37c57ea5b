//! Writing behind: what came goes to a file's disk in turn, while the next comes.
//!
//! File systems let one writer at a time add to a file. Several threads would wait for one
//! another there, awake for a while each time; so one thread does it all, one piece after the
//! other, for as long as there are any.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The writes of one file. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Behind {
    /// `None` while no thread is at it.
    waiting: Arc<Mutex<Option<VecDeque<Job>>>>,
}

impl Behind {
    /// Has `write` done after those before it, on a thread of `runtime` that may block. The
    /// receiver is told when it is done, or sees its sender dropped if it broke off.
    pub(super) fn after_others(
        &self,
        runtime: &Handle,
        write: impl FnOnce() + Send + 'static,
    ) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let job = Box::new(move || {
            write();
            // Whoever asked for it may have gone.
            let _ = tell.send(());
        });
        let mut waiting = self.waiting.lock();
        match &mut *waiting {
            Some(jobs) => jobs.push_back(job),
            None => {
                *waiting = Some(VecDeque::from([job as Job]));
                let this = self.clone();
                runtime.spawn_blocking(move || this.work());
            }
        }
        told
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // The others' turn comes whatever became of this one.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("writing to the cache panicked: a defect of fichierfs");
            }
        }
    }

    /// The next one; where there is none, the next to come finds nobody at work.
    fn next(&self) -> Option<Job> {
        let mut waiting = self.waiting.lock();
        let next = waiting.as_mut().and_then(VecDeque::pop_front);
        if next.is_none() {
            *waiting = None;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn writes_are_done_one_at_a_time_in_order_whatever_became_of_others() {
        let (behind, runtime) = (Behind::default(), Handle::current());
        let at_work = Arc::new(AtomicUsize::new(0));
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut told = Vec::new();
        for n in 0..20 {
            let (at_work, done) = (Arc::clone(&at_work), Arc::clone(&done));
            told.push(behind.after_others(&runtime, move || {
                assert_eq!(at_work.fetch_add(1, Ordering::SeqCst), 0);
                std::thread::yield_now();
                done.lock().push(n);
                at_work.fetch_sub(1, Ordering::SeqCst);
                assert!(n != 7, "broken off");
            }));
        }
        for (n, told) in told.into_iter().enumerate() {
            assert_eq!(told.await.is_err(), n == 7, "{n}");
        }
        assert_eq!(*done.lock(), (0..20).collect::<Vec<_>>());
        // Nobody is at work any more: the next begins anew.
        behind.after_others(&runtime, || ()).await.unwrap();
    }
}
