//! How what a mount shows is reached, be it the account or a public folder of anybody: where
//! listings come from, and how files are asked for.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::api::{Address, Api, Class};
use crate::config::{Password, Settings, SharedFolder};
use crate::content::{self, NoWay, Service};
use crate::ids::{FileId, FolderId, Time};
use crate::tree::refresh::Refresher;
use crate::tree::source::{Shared, Source};
use crate::tree::{Access, Node, Tree};

/// Where listings come from, and what others share.
pub(super) fn source(
    settings: &Settings,
    api: &Api,
    password: Option<Password>,
) -> (Source, Shared) {
    match &settings.share {
        Some(folder) => {
            let id = folder.id().to_owned();
            let source = Source::public(api.clone(), id, password);
            (source, Shared::default())
        }
        None => {
            let shared = shared(settings);
            (Source::account(api.clone(), shared.clone()), shared)
        }
    }
}

/// Where bytes come from.
pub(super) fn service(
    settings: &Settings,
    api: &Api,
    (tree, refresher): (&Tree, &Refresher),
    shared: Shared,
    password: Option<Password>,
) -> Service {
    let reach = Reach {
        tree: tree.clone(),
        refresher: refresher.clone(),
        shared,
        password,
        owns: settings.share.is_none(),
        fresh: api.limits().folder_gap,
    };
    Service::reaching(api.clone(), reach)
}

/// What others share, as the settings name it.
fn shared(settings: &Settings) -> Shared {
    let begin = Shared::under(&settings.shared_folder);
    let add = |shared: Shared, folder: &SharedFolder| match folder {
        SharedFolder::Of(email) => shared.with_owner(email),
        SharedFolder::Folder { name, id } => shared.with_folder(FolderId(*id), name),
    };
    settings.shared.0.iter().fold(begin, add)
}

/// How files are asked for.
struct Reach {
    tree: Tree,
    refresher: Refresher,
    shared: Shared,
    password: Option<Password>,
    /// Whether files are the account's own unless their folder says otherwise.
    owns: bool,
    /// How old a listing may be that tells of a file without a link.
    fresh: Duration,
}

impl Reach {
    fn node(&self, file: &FileId) -> Option<Node> {
        self.tree.by_file_id(file).ok().flatten()
    }

    /// Of its owner no password is asked.
    fn is_closed(&self, node: &Node) -> bool {
        node.protected && (!self.owns || node.access != Access::Own)
    }

    fn password_for(&self, node: &Node) -> Result<Option<Password>, NoWay> {
        match (self.is_closed(node), &self.password) {
            (false, _) => Ok(None),
            (true, Some(password)) => Ok(Some(password.clone())),
            (true, None) => Err(NoWay::NoPassword),
        }
    }
}

impl content::Reach for Reach {
    fn address(&self, file: &FileId, by: Instant) -> BoxFuture<'static, Result<Address, NoWay>> {
        let node = self.node(file);
        let password = match &node {
            Some(node) => self.password_for(node),
            None => Ok(None),
        };
        if file.has_link() {
            let address = Address::from(file);
            let told = password.map(|password| address.with_password(password));
            return std::future::ready(told).boxed();
        }
        let (tree, refresher) = (self.tree.clone(), self.refresher.clone());
        let (shared, fresh, file) = (self.shared.clone(), self.fresh, file.clone());
        async move {
            let password = password?;
            // A name may be another file's by now: its folder has to have shown this one lately.
            let node = node.ok_or(NoWay::Gone)?;
            let folder = node.place.as_ref().ok_or(NoWay::Gone)?.parent;
            let unknown = |error: &dyn std::fmt::Display| NoWay::Unknown(error.to_string());
            let above = tree.node(folder).map_err(|error| unknown(&error))?;
            let listed = above.and_then(|folder| folder.known.at());
            if listed.is_none_or(|at| Time::now().since(at) > fresh) {
                let listing = refresher.refresh(folder, Class::Interactive, by);
                listing.await.map_err(|error| unknown(&error))?;
            }
            let node = tree.by_file_id(&file).map_err(|error| unknown(&error))?;
            let node = node.filter(|node| node.place.is_some());
            let node = node.ok_or(NoWay::Gone)?;
            let place = &node.remote_file().ok_or(NoWay::Gone)?.place;
            let address = Address::named(shared.at(place.folder), place.name.clone());
            Ok(address.with_password(password))
        }
        .boxed()
    }

    fn needs_password(&self, file: &FileId) -> bool {
        self.node(file).is_some_and(|node| self.is_closed(&node))
    }
}
