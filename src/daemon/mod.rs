//! The house keeper: builds the rooms, wires them, and takes them down in order.
//!
//! The only place that knows all rooms. [`start`] brings a mount up, [`Running`]
//! is what is then alive; `cli` and tests call these and little else.
//!
//! ```text
//! locks (one daemon for a state directory, one for a cache)  -> store -> api -> content -> staging -> tree
//!   -> refresher -> vfs -> mount and session -> uploader -> control socket -> life
//! ```
//!
//! A daemon lives longer than its mount: when that goes, by whatever hand, the
//! queue is still worked off ([`life`]). The lock is held until the very end,
//! so that a new mount waits for its turn or asks for it ([`lock`]).
//!
//! Invariants: nothing of the state directory or the cache is touched without its lock; the mount is
//! up before the network is asked anything, but for a `root_folder` that is not known yet; nothing
//! here touches a path inside the mount.

mod account;
mod answers;
mod bond;
mod cancel;
mod clock;
mod descriptors;
mod error;
pub mod figures;
mod life;
mod lock;
mod new_names;
mod news;
mod open_files;
mod overview;
mod parts;
mod pins;
mod places;
mod rates;
mod reach;
mod reload;
mod service;
mod shown;
mod sweep;
mod verify;
mod walks;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle as Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::{ApiKey, Passwords, Paths, Settings};
use crate::control::protocol::{Backlog, Parting, Phase};
use crate::control::{Scrape, server::Server, socket};
use crate::fuse::{
    self, Deadlines, FuseOptions, Mount, MountError, MountOptions, Mountpoint, News, Session, Ttl,
};
use crate::store::Store;
use crate::tree::Tree;

pub use answers::Handle;
pub use descriptors::raise_descriptor_limit;
pub use error::StartError;
pub use figures::NewKey;
pub use lock::while_idle;
use news::Relay;
use parts::{Below, Parts};
pub use parts::{DATABASE, api};
pub use reload::{Fresh, Reread};

/// What a mount is made of.
pub struct Setup {
    /// The options.
    pub settings: Settings,
    /// Where things are kept.
    pub paths: Paths,
    /// The key and passwords.
    pub secrets: Secrets,
    /// An empty folder.
    pub mountpoint: PathBuf,
    /// Options of mount(8) that are the kernel's.
    pub kernel_options: Vec<String>,
    /// The program itself, where it may be started as [`fuse::MESSENGER`].
    pub messenger: Option<PathBuf>,
    /// Reads the configuration anew; `None` where there is none to read.
    pub reread: Option<Reread>,
}

/// What nobody may see.
#[derive(Default)]
pub struct Secrets {
    /// The key, without which only a public folder can be shown.
    pub key: Option<ApiKey>,
    /// Passwords of what others share.
    pub passwords: Passwords,
}

/// What all who answer for the daemon share.
struct Shared {
    mountpoint: PathBuf,
    state_dir: PathBuf,
    started: Instant,
    parts: Parts,
    relay: Relay,
    rates: rates::Meter,
    pins: pins::Keeper,
    verify: verify::Jobs,
    walks: walks::Jobs,
    /// As they were at the start.
    settings: Settings,
    /// As they were last read; what can change at once is in effect.
    current: parking_lot::Mutex<Settings>,
    reread: Option<Reread>,
    session: Session,
    phase: watch::Sender<Phase>,
    wish: watch::Sender<Option<Wish>>,
    /// Held while the mount is taken away on request, so that who sees it gone waits until
    /// the wish that belongs to it is known.
    leaving: tokio::sync::Mutex<()>,
}

/// That somebody asked the daemon to end, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Wish {
    parting: Parting,
    /// After this, what is queued is left after all.
    until: Option<Instant>,
}

/// A daemon at work. Dropping it does not end it.
pub struct Running {
    handle: Handle,
    life: JoinHandle<Ended>,
}

/// How a daemon ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// What is left in the queue, for the next mount.
    pub left: Backlog,
    /// What went wrong, if the end was not wanted.
    pub failure: Option<String>,
}

impl Running {
    /// For questions and orders while it runs.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for the end; somebody else brings it about. May be dropped and called again.
    pub async fn ended(&mut self) -> Ended {
        (&mut self.life).await.unwrap_or_else(|error| Ended {
            left: Backlog::default(),
            failure: Some(format!(
                "the daemon failed inside, please report it: {error}"
            )),
        })
    }

    /// Unmounts and ends it.
    ///
    /// # Errors
    /// [`MountError::Busy`] while something in the mount is in use; the daemon then
    /// goes on.
    pub async fn stop(&mut self, parting: Parting) -> Result<Ended, MountError> {
        self.handle.unmount(parting).await?;
        Ok(self.ended().await)
    }
}

/// Brings up a mount. It is usable when this returns; what an earlier process
/// left in the queue is taken up in the background.
///
/// # Errors
/// Each reason why not, with what to do about it; nothing is left behind then.
pub async fn start(setup: Setup) -> Result<Running, StartError> {
    let runtime = Runtime::current();
    let (wanted, places) = (setup.mountpoint.clone(), setup.paths.clone());
    let mountpoint = blocking(move || check_mountpoint(&wanted, &places)).await?;
    let state_dir = setup.paths.state_dir()?;
    let socket = socket::path_for(&setup.paths.runtime_dir()?, &state_dir);

    let lock = lock::acquire(&state_dir, &socket).await?;
    let cache_lock = lock::hold_cache(&setup.paths.cache_dir()?).await?;
    let (changes, changed) = mpsc::unbounded_channel();
    let (differing, mut differed) = mpsc::unbounded_channel();
    let news = parts::News { changes, differing };
    let settings = setup.settings.clone();
    let (paths, here) = (setup.paths, runtime.clone());
    let below =
        blocking(move || Below::build(&settings, &paths, setup.secrets, news, &here)).await?;
    let bond = shown::bind(&below, &setup.settings).await?;
    let tree = below.tree.clone();
    let clock = blocking(move || clock::begin(tree)).await?;
    let root = places::root(&below, &setup.settings).await?;
    let parts = below.with_vfs(&setup.settings, root, &runtime)?;
    account::show(&parts)?;

    let (notifier, queue) = fuse::notifier();
    let relay = Relay::start(changed, notifier.clone());
    let (tell, below) = (notifier.clone(), parts.below.clone());
    tokio::spawn(async move {
        while let Some(id) = differed.recv().await {
            match verify::readers(&below, &id) {
                Ok(inos) => inos
                    .into_iter()
                    .for_each(|ino| tell.tell(fuse::Change::Content(ino))),
                Err(error) => {
                    tracing::error!(file = %id, %error, "wrong bytes of a file may still be shown")
                }
            }
        }
    });
    // Through a mount that takes no changes none can be made, not even in appearance.
    let wants_messenger = setup.settings.inotify && !setup.settings.is_read_only();
    let options = mount_options(&setup.settings, &setup.kernel_options);
    let fuse_options = FuseOptions {
        root,
        ttl: Ttl::default(),
        deadlines: Deadlines {
            metadata: setup.settings.metadata_deadline.0,
            data: setup.settings.data_deadline.0,
        },
        passthrough: setup.settings.passthrough,
        messenger: wants_messenger.then_some(setup.messenger).flatten(),
    };
    let (vfs, here) = (parts.vfs.clone(), runtime.clone());
    let session = blocking(move || {
        let mount = Mount::new(&mountpoint, options)?;
        let news = News { notifier, queue };
        Ok(Session::start(vfs, mount, &fuse_options, news, here)?)
    })
    .await?;

    parts.start_uploads(&setup.settings, &runtime);
    let shared = Arc::new(Shared {
        mountpoint: session.point().to_owned(),
        state_dir,
        started: Instant::now(),
        parts,
        relay,
        rates: rates::Meter::default(),
        pins: pins::Keeper::default(),
        verify: verify::Jobs::default(),
        walks: walks::Jobs::default(),
        current: parking_lot::Mutex::new(setup.settings.clone()),
        settings: setup.settings,
        reread: setup.reread,
        session,
        phase: watch::Sender::new(Phase::Mounted),
        wish: watch::Sender::new(None),
        leaving: tokio::sync::Mutex::new(()),
    });
    let handle = Handle::new(shared.clone());
    let server = Server::start(&socket, handle.clone())?;
    let scrape = match &shared.settings.metrics {
        Some(at) => Some(Scrape::start(at, handle.clone()).await?),
        None => None,
    };
    let clock = tokio::spawn(clock::keep(clock));
    let account = tokio::spawn(shown::keep_account(
        shared.parts.clone(),
        shared.settings.clone(),
        bond,
    ));
    let content = shared.parts.below.content.clone();
    let looks = tokio::spawn(shared.rates.clone().keep(content));
    let pins = tokio::spawn(shared.pins.clone().keep(shared.parts.below.clone()));
    let long = shared.settings.flush_open_after;
    let open = tokio::spawn(open_files::keep(shared.parts.vfs.clone(), long));
    let sweep = tokio::spawn(sweep::keep(shared.parts.below.clone()));
    let refresher = shared.parts.below.refresher.clone();
    let at_start = shared.settings.refresh_at_start.then_some(root);
    let walk = tokio::spawn(walks::at_start(refresher, at_start));
    let life = tokio::spawn(life::run(
        shared,
        (server, scrape),
        [clock, account, looks, pins, open, sweep, walk],
        (cache_lock, lock),
    ));
    Ok(Running { handle, life })
}

/// What is queued in a state that no daemon has; `None` where one has it.
///
/// # Errors
/// The lock or the database cannot be used.
pub fn left_in(state_dir: &Path) -> Result<Option<Backlog>, StartError> {
    let looked = while_idle(state_dir, || -> Result<Backlog, StartError> {
        let store = Store::open(&state_dir.join(DATABASE))?;
        Ok(answers::backlog(
            &Tree::new(store, Duration::ZERO).backlog()?,
        ))
    })?;
    looked.transpose()
}

/// Whether something can be mounted there; before any folder is made, since
/// that could be within it. Blocks, for seconds at most.
///
/// # Errors
/// Why not, with what to do about it.
pub fn check_mountpoint(path: &Path, paths: &Paths) -> Result<Mountpoint, StartError> {
    Ok(Mountpoint::prepare(path, &paths.all())?)
}

fn mount_options(settings: &Settings, kernel: &[String]) -> MountOptions {
    MountOptions {
        read_only: settings.is_read_only(),
        allow_other: settings.allow_other,
        no_exec: kernel.iter().any(|option| option == "noexec"),
    }
}

/// Runs what blocks away from the threads that others wait for.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(StartError::Inside(error.to_string())))
}

/// How often a waiting queue is looked at.
const GLANCE: Duration = Duration::from_millis(100);
