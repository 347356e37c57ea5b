//! `file/*`: listing, information, move, copy, rename, removal, attributes, scan.

use super::context::Context;
use super::error::ApiError;
use super::folders::{cut, seen};
use super::params::Params;
use super::reply::Reply;
use crate::sim::account::{Attributes, File, FileView, ROOT, Refusal};
use crate::sim::dates::{from_paris, to_paris};
use crate::sim::media::content_type;
use crate::sim::quirks::RmUnknown;
use crate::sim::report::Offence;
use crate::sim::world::State;
use serde_json::{Value, json};
use std::time::Duration;

/// `file/ls.cgi` (API notes 2.1).
pub fn list(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let params = context.params;
    let mut files = match params.int("folder_id")?.unwrap_or(0) {
        -1 => {
            let account = state
                .accounts
                .get(context.account)
                .ok_or(ApiError::NoSuchUser)?;
            account.list_all(context.world.clock.now())
        }
        _ => {
            let id = params.folder("folder_id")?.unwrap_or(0);
            seen(context, state, id)?.listing.files
        }
    };
    narrow(params, &mut files)?;
    cut(&mut files, state)?;
    let mut reply = Reply::ok([("count", files.len().into())]);
    reply.items = Some(files);
    Ok(reply)
}

/// Keeps the files of the dates asked for, both ends included.
fn narrow(params: &Params, files: &mut Vec<FileView>) -> Result<(), ApiError> {
    let date = |name| match params.text(name)? {
        None => Ok(None),
        Some(text) => from_paris(text)
            .map(Some)
            .ok_or(ApiError::from(Refusal::Parameter(name))),
    };
    let (before, after) = (date("sent_before")?, date("sent_after")?);
    files.retain(|file| {
        before.is_none_or(|before| file.date <= before)
            && after.is_none_or(|after| file.date >= after)
    });
    Ok(())
}

/// `file/info.cgi` (API notes 2.3).
pub fn info(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let (owner, file) = target(context, state)?;
    check_access(context, owner, file)?;
    let own = owner == context.account;
    let path = state
        .accounts
        .get(owner)
        .filter(|_| own)
        .map(|account| account.folder_path(file.folder));
    let attributes = &file.attributes;
    let mut reply = Reply::object([
        ("url", file.url().into()),
        ("filename", file.name.clone().into()),
        ("size", file.content.size().into()),
        ("date", to_paris(file.date).into()),
        ("content-type", content_type(&file.name).into()),
        ("description", attributes.description.clone().into()),
        ("pass", u8::from(attributes.pass.is_some()).into()),
        ("no_ssl", u8::from(attributes.no_ssl).into()),
        ("inline", u8::from(attributes.inline).into()),
        ("cdn", u8::from(attributes.cdn).into()),
    ]);
    if let Some(path) = path {
        reply.set("path", path);
        reply.set("folder_id", file.folder);
    }
    if let Some(acl) = &attributes.acl {
        reply.set("acl", acl.clone());
    }
    reply.checksum = Some(file.content.clone());
    Ok(reply)
}

/// `file/mv.cgi` (API notes 2.4).
pub fn mv(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let params = context.params;
    let urls = params.texts("urls")?;
    check_batch(context, state, urls.len())?;
    let folder = params.folder_required("destination_folder_id")?;
    let rename = params.text("rename")?;
    check_single(rename, urls.len())?;
    check_all_known(state, urls.iter().map(|url| own_id(context, state, url)))?;
    let mut batch = Batch::default();
    for url in urls {
        let id = own_id(context, state, url);
        let clock = &context.world.clock;
        let moved = id.and_then(|id| {
            let change = state.with_account(context.account, clock, |account, when| {
                account.move_file(&id, folder, rename, when)
            });
            change.ok_or(Refusal::FileNotFound)?
        });
        batch.add(moved.map(|_| Value::from(url)));
    }
    let mut reply = batch.reply_of_unknown("moved", state.quirks.rm_unknown)?;
    if let Some(name) = rename {
        reply.set("filename", name);
    }
    Ok(reply)
}

/// `file/cp.cgi` (API notes 2.5).
pub fn cp(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let params = context.params;
    let urls = params.texts("urls")?;
    check_batch(context, state, urls.len())?;
    let folder = params.folder("folder_id")?.unwrap_or(0);
    let rename = params.text("rename")?;
    check_single(rename, urls.len())?;
    let mut batch = Batch::default();
    for url in urls {
        let source = match find(context, state, url) {
            Ok((owner, file)) => check_access(context, owner, file).map(|()| file.clone()),
            Err(refusal) => Err(refusal),
        };
        let clock = &context.world.clock;
        let copied = source.and_then(|source| {
            let change = state.with_account(context.account, clock, |account, when| {
                let id = account.copy_file(&source, folder, rename, when)?;
                let copy = account.file(&id).ok_or(Refusal::FileNotFound)?;
                Ok(json!({"from_url": url, "to_url": copy.url()}))
            });
            change.ok_or(Refusal::FileNotFound)?
        });
        batch.add(copied);
    }
    let mut reply = batch.reply("copied")?;
    if let Some(name) = rename {
        reply.set("filename", name);
    }
    Ok(reply)
}

/// `file/rename.cgi` (API notes 2.6).
pub fn rename(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let items = context.params.list("urls")?;
    check_batch(context, state, items.len())?;
    let urls = items.iter().filter_map(|item| item.get("url")?.as_str());
    check_all_known(state, urls.map(|url| own_id(context, state, url)))?;
    let mut batch = Batch::default();
    for item in items {
        let text = |name| item.get(name).and_then(Value::as_str);
        let (Some(url), Some(name)) = (text("url"), text("filename")) else {
            return Err(Refusal::Parameter("urls").into());
        };
        let clock = &context.world.clock;
        let renamed = own_id(context, state, url).and_then(|id| {
            let change = state.with_account(context.account, clock, |account, when| {
                account.rename_file(&id, name, when)
            });
            change.ok_or(Refusal::FileNotFound)?
        });
        batch.add(
            renamed.map(|(old, new)| json!({"url": url, "old_filename": old, "new_filename": new})),
        );
    }
    batch.reply_of_unknown("renamed", state.quirks.rm_unknown)
}

/// `file/rm.cgi` (API notes 2.7).
pub fn rm(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let items = context.params.list("files")?;
    check_batch(context, state, items.len())?;
    let urls = items.iter().filter_map(|item| item.get("url")?.as_str());
    check_all_known(state, urls.map(|url| changeable(context, state, url)))?;
    let mut batch = Batch::default();
    for item in items {
        let Some(url) = item.get("url").and_then(Value::as_str) else {
            return Err(Refusal::Parameter("files").into());
        };
        let clock = &context.world.clock;
        let removed = changeable(context, state, url).and_then(|(owner, id)| {
            let change =
                state.with_account(owner, clock, |account, when| account.remove_file(&id, when));
            change.ok_or(Refusal::FileNotFound)?
        });
        batch.add(removed.map(|()| Value::from(url)));
    }
    batch.reply_of_unknown("removed", state.quirks.rm_unknown)
}

/// `file/chattr.cgi` (API notes 2.8).
pub fn chattr(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let params = context.params;
    let urls = params.texts("urls")?;
    check_batch(context, state, urls.len())?;
    let name = params.text("filename")?;
    check_single(name, urls.len())?;
    let pass = params.text("pass")?;
    if pass.is_some_and(|pass| !pass.is_empty() && pass.chars().count() < 6) {
        return Err(Refusal::Parameter("pass").into());
    }
    let description = params.text("description")?;
    let mut batch = Batch::default();
    for url in urls {
        let clock = &context.world.clock;
        let changed = own_id(context, state, url).and_then(|id| {
            let change = state.with_account(context.account, clock, |account, when| {
                if let Some(name) = name {
                    account.rename_file(&id, name, when)?;
                }
                account.change_attributes(&id, |attributes| {
                    set_attributes(attributes, params, pass, description);
                })
            });
            change.ok_or(Refusal::FileNotFound)?
        });
        batch.add(changed.map(|()| Value::from(url)));
    }
    batch.reply("updated")
}

fn set_attributes(
    attributes: &mut Attributes,
    params: &Params,
    pass: Option<&str>,
    description: Option<&str>,
) {
    if let Some(pass) = pass {
        attributes.pass = (!pass.is_empty()).then(|| pass.to_owned());
    }
    if let Some(description) = description {
        attributes.description = description.to_owned();
    }
    for (name, field) in [
        ("no_ssl", &mut attributes.no_ssl),
        ("inline", &mut attributes.inline),
        ("cdn", &mut attributes.cdn),
    ] {
        if params.get(name).is_some() {
            *field = params.flag(name);
        }
    }
    if let Some(acl) = params.get("acl") {
        let empty = acl.as_object().is_none_or(serde_json::Map::is_empty);
        attributes.acl = (!empty).then(|| acl.clone());
    }
}

/// `file/scan.cgi` (API notes 2.9).
pub fn scan(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    const LARGEST: u64 = 5_000_000_000;
    const REMEMBERED: Duration = Duration::from_secs(6 * 3_600);
    let url = context.params.text_required("url")?;
    let (owner, file) = find(context, state, url)?;
    if file.content.size() > LARGEST {
        return Err(Refusal::Parameter("url").into());
    }
    let marker = state.quirks.infected.as_deref();
    let infected = marker.is_some_and(|marker| file.name.contains(marker));
    let (id, clock) = (file.id.clone(), &context.world.clock);
    let known = file
        .scanned
        .filter(|scan| clock.now().saturating_sub(scan.at) < REMEMBERED);
    if infected {
        state.with_account(owner, clock, |account, when| account.remove_file(&id, when));
        return Err(ApiError::Infected);
    }
    let mut reply = Reply::ok([("message", "No virus found".into())]);
    match known {
        Some(scan) => reply.set("date", to_paris(scan.date)),
        None => {
            state.with_account(owner, clock, |account, when| account.scanned(&id, when));
        }
    }
    Ok(reply)
}

/// The file that a call is about: by link, or by folder and name (API notes 2.3, 4.1).
pub fn target<'a>(context: &Context<'_>, state: &'a State) -> Result<(usize, &'a File), ApiError> {
    let params = context.params;
    if let Some(url) = params.text("url")? {
        return Ok(find(context, state, url)?);
    }
    let folder = params.folder("folder_id")?.unwrap_or(0);
    let name = params.text_required("filename")?;
    let sharer = params.text("sharing_user")?.filter(|_| folder == ROOT);
    let owner = match sharer {
        Some(email) => {
            let owner = state.account_of_email(email).ok_or(Refusal::FileNotFound)?;
            let (Some(account), Some(own)) = (
                state.accounts.get(owner),
                state.profiles.get(context.account),
            ) else {
                return Err(ApiError::NoSuchUser);
            };
            account
                .grant(ROOT, &own.config.email)
                .ok_or(Refusal::NotAllowed)?;
            owner
        }
        None => {
            let reached = state.reach(context.account, folder);
            reached.ok_or(Refusal::FileNotFound)?.0
        }
    };
    let account = state.accounts.get(owner).ok_or(ApiError::NoSuchUser)?;
    let mut named = account.files();
    let file = named.find(|file| file.folder == folder && file.name == name);
    Ok((owner, file.ok_or(Refusal::FileNotFound)?))
}

/// The file of a link whose storage is done.
pub fn find<'a>(
    context: &Context<'_>,
    state: &'a State,
    url: &str,
) -> Result<(usize, &'a File), Refusal> {
    let now = context.world.clock.now();
    state
        .find_link(url)
        .filter(|(_, file)| file.ready_from <= now)
        .ok_or(Refusal::FileNotFound)
}

/// Whether the caller may have a file; its owner needs no password (API notes 4.1).
pub fn check_access(context: &Context<'_>, owner: usize, file: &File) -> Result<(), Refusal> {
    if owner == context.account {
        return Ok(());
    }
    if file.attributes.acl.is_some() {
        return Err(Refusal::NotAllowed);
    }
    let given = context.params.get("pass").and_then(Value::as_str);
    match (&file.attributes.pass, given) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Refusal::NoPassword),
        (Some(pass), Some(given)) if pass == given => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::WrongPassword),
    }
}

/// A file that the caller may remove: of its own, or in a folder shared for changes.
fn changeable(
    context: &Context<'_>,
    state: &State,
    url: &str,
) -> Result<(usize, crate::sim::account::FileId), Refusal> {
    let (_, file) = find(context, state, url)?;
    let owner = state
        .reach_to_change(context.account, file.folder)
        .map_err(|_| Refusal::NotAllowed)?;
    Ok((owner, file.id.clone()))
}

fn own_id(
    context: &Context<'_>,
    state: &State,
    url: &str,
) -> Result<crate::sim::account::FileId, Refusal> {
    let (owner, file) = find(context, state, url)?;
    if owner == context.account {
        Ok(file.id.clone())
    } else {
        Err(Refusal::NotAllowed)
    }
}

fn check_batch(context: &Context<'_>, state: &State, count: usize) -> Result<(), ApiError> {
    let most = state.limits.table().batch;
    if count <= most {
        return Ok(());
    }
    let text = format!("{count} items in one call, {most} are thought safe");
    context
        .world
        .violation(Offence::LimitExceeded, context.script, text);
    Err(ApiError::Batch)
}

/// Where that is the service's way: fails for all if one of them is not there.
fn check_all_known<T>(
    state: &State,
    mut found: impl Iterator<Item = Result<T, Refusal>>,
) -> Result<(), ApiError> {
    let whole = state.quirks.rm_unknown == RmUnknown::Whole;
    match whole && found.any(|one| matches!(one, Err(Refusal::FileNotFound))) {
        true => Err(Refusal::FileNotFound.into()),
        false => Ok(()),
    }
}

fn check_single(rename: Option<&str>, count: usize) -> Result<(), ApiError> {
    match rename {
        Some(_) if count != 1 => Err(Refusal::Parameter("rename").into()),
        _ => Ok(()),
    }
}

/// A call on several files: what is good is done, the rest left out.
#[derive(Default)]
struct Batch {
    done: Vec<Value>,
    refusal: Option<Refusal>,
}

impl Batch {
    fn add(&mut self, outcome: Result<Value, Refusal>) {
        match outcome {
            Ok(value) => self.done.push(value),
            Err(refusal) => {
                self.refusal.get_or_insert(refusal);
            }
        }
    }

    /// The same where files that are not there may be left out without a word.
    fn reply_of_unknown(mut self, count: &str, unknown: RmUnknown) -> Result<Reply, ApiError> {
        if unknown == RmUnknown::Ignore && self.refusal == Some(Refusal::FileNotFound) {
            self.refusal = None;
        }
        self.reply(count)
    }

    /// The answer: how many were done and which, or the first refusal if none was.
    fn reply(self, count: &str) -> Result<Reply, ApiError> {
        match self.refusal {
            Some(refusal) if self.done.is_empty() => Err(refusal.into()),
            _ => Ok(Reply::ok([
                (count, self.done.len().into()),
                ("urls", self.done.into()),
            ])),
        }
    }
}
