//! `folder/*`: listing, making, moving, removing, sharing.

use super::context::Context;
use super::error::ApiError;
use super::reply::Reply;
use crate::sim::account::{Account, Listing, ROOT, Refusal, SharedWith, When};
use crate::sim::dates::to_paris;
use crate::sim::quirks::Overlong;
use crate::sim::report::Offence;
use crate::sim::world::State;
use rand::seq::SliceRandom;
use serde_json::{Value, json};

/// `folder/ls.cgi` (API notes 2.2).
pub fn list(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let params = context.params;
    let id = params.folder("folder_id")?.unwrap_or(0);
    let Seen {
        mut listing,
        owner,
        grant,
    } = seen(context, state, id)?;
    cut(&mut listing.folders, state)?;
    let folders: Vec<Value> = listing
        .folders
        .iter()
        .map(|folder| {
            json!({
                "id": folder.id,
                "name": folder.name,
                "create_date": to_paris(folder.created),
                "pass": u8::from(folder.pass),
            })
        })
        .collect();
    let bytes: u64 = listing.files.iter().map(|file| file.content.size()).sum();
    let mut reply = Reply::ok([
        ("folder_id", id.into()),
        ("name", listing.name.into()),
        ("files", listing.files.len().into()),
        ("sub_folders", folders.into()),
        // null, not 0, where there are no files.
        ("size", (!listing.files.is_empty()).then_some(bytes).into()),
    ]);
    reply.lists.push("sub_folders");
    if let Some(created) = listing.created {
        reply.set("create_date", to_paris(created));
    }
    if let Some(share) = listing.shared {
        reply.set("shared", public_url(&share.slug));
        reply.set("pass", u8::from(share.pass.is_some()));
    }
    if !listing.shared_with.is_empty() {
        reply.set("shares", json!(listing.shared_with));
    }
    if let Some(grant) = &grant {
        let profile = state.profiles.get(owner).ok_or(ApiError::NoSuchUser)?;
        reply.set("user", profile.config.email.clone());
        reply.set("rw", grant.rw);
        reply.set("hide_links", grant.hide_links);
    }
    if params.flag("files") && !state.quirks.ignores_files_flag {
        cut(&mut listing.files, state)?;
        reply.items = Some(listing.files);
    }
    Ok(reply)
}

/// Shuffles entries and cuts them to what a listing holds.
pub fn cut<T>(entries: &mut Vec<T>, state: &mut State) -> Result<(), ApiError> {
    entries.shuffle(&mut state.random);
    let most = state.limits.table().listing_entries;
    if entries.len() > most {
        if state.quirks.overlong_listing == Overlong::Refuse {
            return Err(Refusal::TooMany.into());
        }
        entries.truncate(most);
    }
    Ok(())
}

/// A listing as the caller may see it.
pub struct Seen {
    /// What it shows.
    pub listing: Listing,
    /// Whose it is.
    owner: usize,
    /// How it is shared with the caller, where it is not its own.
    grant: Option<SharedWith>,
}

/// The listing of a folder: of one's own, of one that somebody shares, or, with
/// `sharing_user`, of the root of what somebody shares (API notes 2.2, 5).
pub fn seen(context: &Context<'_>, state: &State, id: u64) -> Result<Seen, ApiError> {
    let now = context.world.clock.now();
    let sharer = context.params.text("sharing_user")?;
    let (owner, grant, mut listing) = match sharer.filter(|_| id == ROOT) {
        Some(email) => {
            let owner = state
                .account_of_email(email)
                .ok_or(Refusal::FolderNotFound)?;
            let account = state.accounts.get(owner).ok_or(ApiError::NoSuchUser)?;
            let own = state
                .profiles
                .get(context.account)
                .ok_or(ApiError::NoSuchUser)?;
            let mut listing = account.list(ROOT, now)?;
            let grant = account.grant(ROOT, &own.config.email).unwrap_or_else(|| {
                // The root itself is not shared: what is within stands in it.
                listing.files.clear();
                listing.folders = account.shared_to(&own.config.email);
                SharedWith {
                    email: own.config.email.clone(),
                    rw: 0,
                    hide_links: 0,
                }
            });
            if listing.files.is_empty() && listing.folders.is_empty() {
                return Err(Refusal::NotAllowed.into());
            }
            (owner, Some(grant), listing)
        }
        None => {
            let (owner, grant) = state
                .reach(context.account, id)
                .ok_or(Refusal::FolderNotFound)?;
            let account = state.accounts.get(owner).ok_or(ApiError::NoSuchUser)?;
            (owner, grant, account.list(id, now)?)
        }
    };
    if grant.is_some() {
        // How others share it is the owner's affair.
        listing.shared = None;
        listing.shared_with.clear();
    }
    if grant.as_ref().is_some_and(|grant| grant.hide_links == 1) {
        for file in &mut listing.files {
            file.url.clear();
        }
    }
    Ok(Seen {
        listing,
        owner,
        grant,
    })
}

/// `folder/mkdir.cgi` (API notes 2.10).
pub fn mkdir(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let name = context.params.text_required("name")?;
    let parent = context.params.folder("folder_id")?.unwrap_or(0);
    let owner = state.reach_to_change(context.account, parent)?;
    let made = state.with_account(owner, &context.world.clock, |account, when| {
        account.make_folder(parent, name, when)
    });
    let (id, name) = made.ok_or(ApiError::NoSuchUser)??;
    Ok(Reply::ok([("folder_id", id.into()), ("name", name.into())]))
}

/// `folder/mv.cgi` (API notes 2.11).
pub fn mv(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let params = context.params;
    let id = params.folder_required("folder_id")?;
    let destination = params.folder("destination_folder_id")?;
    let rename = params.text("rename")?;
    let (old, new) = change(context, state, |account, when| {
        let moved = account.move_folder(id, destination, rename, when);
        if moved == Err(Refusal::Impossible) {
            let text = "the root, or a folder into itself";
            context
                .world
                .violation(Offence::Careless, context.script, text);
        }
        moved
    })?;
    Ok(Reply::ok([
        ("old_name", old.into()),
        ("new_name", new.into()),
    ]))
}

/// `folder/rm.cgi` (API notes 2.12).
pub fn rm(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let id = context.params.folder_required("folder_id")?;
    change(context, state, |account, when| {
        account.remove_folder(id, when)
    })?;
    Ok(Reply::ok([]))
}

/// `folder/share.cgi` (API notes 2.13): the public page, and shares by address.
pub fn share(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let params = context.params;
    let id = params.folder_required("folder_id")?;
    let pass = params.text("pass")?.filter(|pass| !pass.is_empty());
    if pass.is_some_and(|pass| pass.chars().count() < 6) {
        return Err(Refusal::Parameter("pass").into());
    }
    let with = params.get("shares").map(shared_with).transpose()?;
    // What is not named stays as it is.
    let public = params
        .get("share")
        .map(|_| params.flag("share").then(|| pass.map(str::to_owned)));
    let slug = change(context, state, |account, _| {
        if let Some(with) = with {
            account.share_with(id, with)?;
        }
        match public {
            Some(public) => account.share_folder(id, public),
            None => Ok(None),
        }
    })?;
    let mut reply = Reply::ok([]);
    if let Some(slug) = slug {
        reply.set("url", public_url(&slug));
    }
    Ok(reply)
}

/// A list of shares; an empty one, or 0, is none.
fn shared_with(value: &Value) -> Result<Vec<SharedWith>, ApiError> {
    if value == &json!(0) {
        return Ok(Vec::new());
    }
    let parsed = serde_json::from_value(value.clone());
    parsed.map_err(|_| Refusal::Parameter("shares").into())
}

fn public_url(slug: &str) -> String {
    format!("https://1fichier.com/dir/{slug}")
}

fn change<T>(
    context: &Context<'_>,
    state: &mut State,
    change: impl FnOnce(&mut Account, When<'_>) -> Result<T, Refusal>,
) -> Result<T, ApiError> {
    let done = state.with_account(context.account, &context.world.clock, change);
    Ok(done.ok_or(ApiError::NoSuchUser)??)
}
