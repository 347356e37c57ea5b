//! The life of a mount: threads that take the kernel's requests, from the
//! handshake to the day somebody unmounts, ourselves or not.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use fuser::{Config, Filesystem, SessionACL};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::error::MountError;
use super::filesystem::Adapter;
use super::mount::Mount;
use super::notifier::{NewsQueue, Notifier};
use super::options::{FuseOptions, THREADS};
use super::shape::Shape;
use super::unmount::Unmount;
use super::waking::{Desk, Ground, Waker};
use crate::vfs::Vfs;

/// How a session ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// The mount was taken away, by us or from outside, the last open file of it
    /// was closed, and no other mount namespace has a copy of it: `unshare -m`
    /// and some sandboxes copy what is mounted, and the kernel serves a copy on.
    Unmounted,
    /// The kernel's requests can no longer be read; the mount was detached.
    Failed(String),
}

/// The news side of a session: where it comes from and who tells it.
pub struct News {
    /// Closed by the session before it ends.
    pub notifier: Notifier,
    /// What the session serves.
    pub queue: NewsQueue,
}

/// A mount that is being served. Dropping it detaches the mount; what is still
/// open goes on being answered until it is closed.
pub struct Session {
    mount: Arc<Mount>,
    notifier: Notifier,
    desk: Option<Arc<Desk>>,
    ended: watch::Receiver<Option<End>>,
}

impl Session {
    /// Serves `vfs` on a mount that was just made. Operations that wait do so
    /// on `runtime`. Returns once the kernel has agreed; blocks until then.
    ///
    /// # Errors
    /// Where the handshake fails or a thread cannot be started; the mount is
    /// then taken away.
    pub fn start(
        vfs: Vfs,
        (mount, device): (Mount, OwnedFd),
        options: &FuseOptions,
        news: News,
        runtime: Handle,
    ) -> Result<Session, MountError> {
        let adapter = Adapter::new(vfs.clone(), options, news.notifier.clone(), runtime);
        let shape = adapter.shape();
        let desk = adapter.desk.clone();
        let waker = match (&desk, &options.messenger) {
            (Some(desk), Some(program)) => {
                let ground = Ground {
                    vfs,
                    root: shape.root,
                    desk: desk.clone(),
                    program: program.clone(),
                    point: mount.point().to_owned(),
                    device: mount.device(),
                };
                Some(Waker::start(ground).map_err(MountError::Session)?)
            }
            _ => None,
        };
        Session::serve_shaped(adapter, (mount, device), (shape, waker, desk), news)
    }

    /// The same for any file system of fuser's.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn serve(
        filesystem: impl Filesystem,
        made: (Mount, OwnedFd),
        options: &FuseOptions,
        news: News,
    ) -> Result<Session, MountError> {
        Session::serve_shaped(filesystem, made, (Shape::new(options), None, None), news)
    }

    fn serve_shaped(
        filesystem: impl Filesystem,
        (mount, device): (Mount, OwnedFd),
        (shape, waker, desk): (Shape, Option<Waker>, Option<Arc<Desk>>),
        news: News,
    ) -> Result<Session, MountError> {
        let mut config = Config::default();
        config.n_threads = Some(THREADS);
        // The kernel itself lets nobody else in where `allow_other` was not given.
        let acl = SessionACL::All;
        let session = fuser::Session::from_fd(filesystem, device, acl, config)
            .map_err(MountError::Session)?;
        news.queue
            .start(session.notifier(), shape, waker)
            .map_err(MountError::Session)?;

        let mount = Arc::new(mount);
        let (tell, ended) = watch::channel(None);
        let over = Over {
            mount: mount.clone(),
            notifier: news.notifier.clone(),
            desk: desk.clone(),
            tell,
        };
        let started = thread::Builder::new()
            .name("fuse-session".to_owned())
            .spawn(move || over.run(session));
        match started {
            Ok(_) => Ok(Session {
                mount,
                notifier: news.notifier,
                desk,
                ended,
            }),
            Err(error) => {
                news.notifier.close();
                Err(MountError::Session(error))
            }
        }
    }

    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        self.mount.point()
    }

    /// Waits for the end. May be dropped and called again.
    pub async fn ended(&self) -> End {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(end)) => end.clone(),
            // The thread always tells before it ends, unless it panicked.
            Ok(None) | Err(_) => End::Failed("the session's thread died".to_owned()),
        }
    }

    /// Takes the mount away, if it is not gone already. News stops first, since
    /// a notification may wait for a request that is no longer answered.
    /// [`Session::ended`] tells when the last open file is closed. Blocks.
    ///
    /// # Errors
    /// As [`Mount::unmount`]; after `Busy` the mount goes on.
    pub fn unmount(&self, how: Unmount) -> Result<(), MountError> {
        if how == Unmount::Detach {
            self.notifier.close();
        }
        let hush = self.desk.as_ref().map(|desk| desk.hush());
        self.mount.unmount(how)?;
        // Whatever is in that place from now on is another's.
        if let Some(hush) = hush {
            hush.keep();
        }
        self.notifier.close();
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.ended.borrow().is_some() {
            return;
        }
        if let Err(error) = self.unmount(Unmount::Detach) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(path = %self.point().display(), error, "could not unmount");
        }
    }
}

/// What the session's thread needs at its end.
struct Over {
    mount: Arc<Mount>,
    notifier: Notifier,
    desk: Option<Arc<Desk>>,
    tell: watch::Sender<Option<End>>,
}

impl Over {
    fn run<F: Filesystem>(self, session: fuser::Session<F>) {
        let result: io::Result<()> = session.run();
        self.notifier.close();
        if let Some(desk) = &self.desk {
            desk.hush().keep();
        }
        let (end, unmounted) = match result {
            Ok(()) => (End::Unmounted, Ok(())),
            // A thread that is just taking a request when the connection ends;
            // fuser 0.18 knows only ENODEV as an end.
            Err(error) if error.raw_os_error() == Some(libc::ECONNABORTED) => {
                (End::Unmounted, Ok(()))
            }
            Err(error) => {
                tracing::error!(path = %self.mount.point().display(), %error,
                    "the kernel's requests cannot be read any more; unmounting");
                // Other threads of the session may go on; nobody new shall come in.
                let detached = self.mount.unmount(Unmount::Detach);
                (End::Failed(error.to_string()), detached)
            }
        };
        if let Err(error) = unmounted.and_then(|()| self.mount.session_ended()) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(path = %self.mount.point().display(), error, "could not unmount");
        }
        self.tell.send_replace(Some(end));
    }
}
