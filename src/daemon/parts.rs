//! The rooms, built in the order in which they need each other.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::runtime::Handle as Runtime;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::{Secrets, StartError, reach};
use crate::api::{Api, ApiConfig, Endpoints, Pace};
use crate::config::{ApiKey, Fsync, KeyStore, Paths, Settings};
use crate::content::{Content, ContentOptions};
use crate::fuse::Ttl;
use crate::ids::{FileId, Ino};
use crate::staging::{Staging, StagingOptions};
use crate::store::Store;
use crate::throttle::Throttle;
use crate::tree::refresh::Refresher;
use crate::tree::{self, Tree};
use crate::upload::{self, UploadOptions, Uploader};
use crate::vfs::{self, Access, Reach, Vfs, VfsOptions};

/// The database's name in the state directory.
pub const DATABASE: &str = "fichierfs.db";

/// Where the rooms tell what the kernel should know.
pub struct News {
    /// What a listing changed.
    pub changes: UnboundedSender<tree::Change>,
    /// Files whose bytes were wrong when they were given.
    pub differing: UnboundedSender<FileId>,
}

/// The rooms below the file system.
pub struct Below {
    pub store: Store,
    pub api: Api,
    pub content: Content,
    pub staging: Staging,
    pub tree: Tree,
    pub refresher: Refresher,
    changes: UnboundedSender<tree::Change>,
    downlink: Throttle,
    uplink: Throttle,
}

/// All rooms.
#[derive(Clone)]
pub struct Parts {
    pub below: Arc<Below>,
    pub vfs: Vfs,
    uploads: Arc<Uploads>,
}

/// The uploader, which starts last and is stopped first, and its bell, which is
/// there before it.
#[derive(Default)]
struct Uploads {
    bell: OnceLock<Arc<Notify>>,
    uploader: Mutex<Option<Uploader>>,
}

/// A client of the service as the settings describe it.
///
/// # Errors
/// Addresses that cannot be used, and folders that cannot be made.
pub fn api(settings: &Settings, paths: &Paths, key: Option<ApiKey>) -> Result<Api, StartError> {
    let endpoints = Endpoints::new(&settings.api_url, &settings.site_url)?;
    let limits = endpoints.limits(settings.limits_scale.0)?;
    let path = match endpoints.simulator() {
        Some(address) => paths.simulator_pace_file(address)?,
        None => paths.pace_file()?,
    };
    let pace =
        Pace::open(&path, limits.clone()).map_err(|source| StartError::File { path, source })?;
    Ok(Api::new(ApiConfig {
        endpoints,
        keys: KeyStore::new(key),
        pace,
        limits,
        address_family: settings.address_family,
        connect_timeout: settings.connect_timeout.0,
        read_timeout: settings.data_deadline.0,
    })?)
}

impl Below {
    /// Follows the bandwidth limits of these settings from now on.
    pub fn follow_limits(&self, settings: &Settings) {
        self.downlink.follow(settings.download_limit.clone());
        self.uplink.follow(settings.upload_limit.clone());
    }

    /// Builds the rooms below the file system. Blocks for the disk.
    pub fn build(
        settings: &Settings,
        paths: &Paths,
        secrets: Secrets,
        News { changes, differing }: News,
        runtime: &Runtime,
    ) -> Result<Below, StartError> {
        let state = paths.state_dir()?;
        let store = Store::open(&state.join(DATABASE))?;
        let api = api(settings, paths, secrets.key)?;
        let tree = Tree::new(store.clone(), api.limits().listing_lag);
        tree.keep_here(&settings.local_names.0)?;
        let passwords = secrets.passwords;
        let (source, shared) = reach::source(settings, &api, passwords.share);
        let refresher = Refresher::new(
            tree.clone(),
            source,
            settings.dir_cache_time,
            changes.clone(),
            runtime.clone(),
        );
        let known = (&tree, &refresher);
        let service = reach::service(settings, &api, known, shared, passwords.file);
        let downlink = Throttle::new(settings.download_limit.clone());
        let content = Content::open(
            service,
            store.clone(),
            &paths.cache_dir()?,
            ContentOptions {
                cache_size: settings.cache_size.0,
                cache_max_age: settings.cache_max_age,
                cache_min_free: settings.cache_min_free.0,
                connections: settings.connections.0,
                data_deadline: settings.data_deadline.0,
                throttle: downlink.clone(),
                differing: Some(differing),
                ..ContentOptions::default()
            },
            runtime.clone(),
        )?;
        let staging = Staging::open(
            store.clone(),
            content.clone(),
            &state.join("staging"),
            StagingOptions {
                budget: settings.staging_budget.0,
            },
        )?;
        Ok(Below {
            store,
            api,
            content,
            staging,
            tree,
            refresher,
            changes,
            downlink,
            uplink: Throttle::new(settings.upload_limit.clone()),
        })
    }

    /// Puts the file system on top; it shows `root`.
    pub fn with_vfs(
        self,
        settings: &Settings,
        root: Ino,
        runtime: &Runtime,
    ) -> Result<Parts, StartError> {
        let uploads = Arc::new(Uploads::default());
        let bell = uploads.clone();
        let parts = vfs::Parts {
            store: self.store.clone(),
            tree: self.tree.clone(),
            staging: self.staging.clone(),
            refresher: self.refresher.clone(),
            wake: Arc::new(move || bell.ring()),
            runtime: runtime.clone(),
        };
        let options = VfsOptions {
            uid: settings.uid.unwrap_or(nix::unistd::geteuid().as_raw()),
            gid: settings.gid.unwrap_or(nix::unistd::getegid().as_raw()),
            umask: settings.umask.0,
            access: match settings.is_read_only() {
                true => Access::ReadOnly,
                false => Access::ReadWrite,
            },
            root,
            write_back: settings.write_back,
            write_wait: settings.write_wait,
            fsync: match settings.fsync {
                Fsync::Local => Reach::Local,
                Fsync::Remote => Reach::Remote,
            },
            names_kept: Ttl::default().names_kept(),
            metadata_deadline: settings.metadata_deadline.0,
            data_deadline: settings.data_deadline.0,
        };
        let vfs = Vfs::new(parts, options).map_err(|error| StartError::Vfs(error.to_string()))?;
        Ok(Parts {
            below: Arc::new(self),
            vfs,
            uploads,
        })
    }
}

impl Parts {
    /// Begins to work off the journal.
    pub fn start_uploads(&self, settings: &Settings, runtime: &Runtime) {
        let below = &self.below;
        let parts = upload::Parts {
            store: below.store.clone(),
            tree: below.tree.clone(),
            staging: below.staging.clone(),
            content: below.content.clone(),
            api: below.api.clone(),
            refresher: below.refresher.clone(),
            changes: below.changes.clone(),
            throttle: below.uplink.clone(),
        };
        let options = UploadOptions {
            workers: settings.uploads.0,
            speed: settings.limits_scale.0,
            ..UploadOptions::default()
        };
        let uploader = Uploader::start(parts, options, runtime);
        // Set once: this is called once.
        let _ = self.uploads.bell.set(uploader.wake_handle());
        *self.uploads.uploader.lock() = Some(uploader);
    }

    /// Tells the workers that there is something to do.
    pub fn wake_uploads(&self) {
        self.uploads.ring();
    }

    /// Breaks off the uploads of these files and begins none, for as long as the result
    /// lives.
    pub fn abandon(&self, inos: Vec<Ino>) -> Option<upload::Abandoning> {
        let uploader = self.uploads.uploader.lock();
        uploader.as_ref().map(|uploader| uploader.abandon(inos))
    }

    /// Tells the kernel what changed.
    pub fn tell(&self, changes: Vec<tree::Change>) {
        for change in changes {
            // The receiver goes first when the mount ends; nobody caches then.
            let _ = self.below.changes.send(change);
        }
    }

    /// Somebody waits for the queue: closed files are sent without delay.
    pub fn hurry_closed(&self) {
        match self.below.tree.hurry_closed() {
            Ok(0) => {}
            Ok(_) => self.wake_uploads(),
            Err(error) => tracing::warn!(%error, "delays before uploads stay"),
        }
    }

    /// Why no upload is begun, if so.
    pub fn uploads_held(&self) -> Option<&'static str> {
        let uploader = self.uploads.uploader.lock();
        uploader.as_ref().and_then(Uploader::held)
    }

    /// Uploads under way.
    pub fn transfers(&self) -> Vec<upload::Transfer> {
        let uploader = self.uploads.uploader.lock();
        uploader
            .as_ref()
            .map(Uploader::transfers)
            .unwrap_or_default()
    }

    /// Stops working off the journal.
    pub async fn stop_uploads(&self) {
        let uploader = self.uploads.uploader.lock().take();
        if let Some(uploader) = uploader {
            uploader.stop().await;
        }
    }
}

impl Uploads {
    fn ring(&self) {
        // Before the start nobody listens; the start looks at everything anyway.
        if let Some(bell) = self.bell.get() {
            bell.notify_one();
        }
    }
}
