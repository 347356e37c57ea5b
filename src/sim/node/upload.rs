//! `POST /upload.cgi` (API notes 3.1).

use super::end::links_json;
use super::form::{Form, FormReader, Refused};
use crate::sim::account::{Account, DOMAINS, File, Refusal};
use crate::sim::content::Content;
use crate::sim::faults::FaultKind;
use crate::sim::http::{
    self, Abort, Answer, Body, Peer, bearer, flush, parameter, seconds_of, strike_early,
};
use crate::sim::quirks::{EmptyUpload, RemoveLinks, UnknownKey, UploadAnswer};
use crate::sim::report::Offence;
use crate::sim::uploads::{Claim, UploadLink, UploadResult, random_id, removal_link};
use crate::sim::world::{State, World};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use rand::rngs::StdRng;

const ROLE: &str = "upload";

/// Room for headers and fields beyond the files of the largest request.
const FORM_ROOM: u64 = 4 << 20;

/// Receives an upload. A refusal is a page with status 200; success a redirection to end.pl.
pub async fn upload(world: &World, peer: &Peer, request: Request<Incoming>) -> Answer {
    world.recorder.request(ROLE);
    let _counted = world.recorder.transfer();
    let (head, body) = request.into_parts();
    let fault = world.strike(ROLE, &[]);
    if let Some(answer) = strike_early(peer, fault.as_ref()).await? {
        return Ok(answer);
    }
    let id = parameter(head.uri.query().unwrap_or_default(), "id").unwrap_or_default();
    let account = match admit(world, &head.method, &head.headers, &id) {
        Ok(_) if fault == Some(FaultKind::AsGuest) => None,
        Ok(account) => account,
        Err(Admission::Length) => return Ok(http::page(411, "Content-Length manquant")),
        Err(Admission::Refused(refused)) => {
            return http::turn_away(peer, body, 200, &refused.to_string()).await;
        }
    };
    let received = receive(world, peer, &head.headers, body, fault.as_ref()).await?;
    let stored = match received {
        Ok(form) => store(world, account, form, &id),
        Err(refused) => Err(refused),
    };
    let xid = match stored {
        Ok(xid) => xid,
        Err(refused) => return Ok(refusal_page(world, &refused)),
    };
    if fault == Some(FaultKind::LoseAnswer) {
        flush().await;
        return Err(peer.reset());
    }
    let (way, links) = {
        let mut state = world.state.lock();
        let way = state.quirks.upload_answer;
        let life = state.limits.table().upload_memory;
        let result = state.uploads.result(&xid, world.clock.now(), life);
        (way, result.map(|result| result.links.clone()))
    };
    let links = links.unwrap_or_default();
    if way == UploadAnswer::Json && head.headers.contains_key("JSON") {
        return Ok(http::json(200, links_json(world, links, false).await));
    }
    if way == UploadAnswer::Page {
        let links: Vec<&str> = links.iter().map(|link| link.url.as_str()).collect();
        return Ok(http::page(200, &links.join(" ")));
    }
    Ok(redirect(&xid))
}

enum Admission {
    Length,
    Refused(Refused),
}

/// Everything that is known before the body; gives the account, `None` for a guest.
fn admit(
    world: &World,
    method: &Method,
    headers: &HeaderMap,
    id: &str,
) -> Result<Option<usize>, Admission> {
    let malformed = |text: &str| world.violation(Offence::Malformed, ROLE, text);
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    let Some(length) = length else {
        malformed("no Content-Length");
        return Err(Admission::Length);
    };
    let refuse = |refused| Err(Admission::Refused(refused));
    if *method != Method::POST {
        malformed("not POST");
        return refuse(Refused::NoFile);
    }
    let mut state = world.state.lock();
    if length > state.limits.table().request_bytes + FORM_ROOM {
        world.violation(
            Offence::LimitExceeded,
            ROLE,
            format!("{length} bytes in one upload"),
        );
        return refuse(Refused::TooLarge);
    }
    match state.uploads.claim(id) {
        Claim::Granted => {}
        Claim::Used => {
            world.violation(Offence::Careless, ROLE, "a node's id used twice");
            return refuse(Refused::Id);
        }
        Claim::Unknown => {
            malformed("an id that get_upload_server did not give");
            return refuse(Refused::Id);
        }
    }
    let Some(key) = bearer(headers) else {
        world.violation(Offence::Careless, ROLE, "an upload without the key");
        return Ok(None);
    };
    match state.account_of(key) {
        Some(account) => Ok(Some(account)),
        None if state.quirks.unknown_key == UnknownKey::Guest => Ok(None),
        None => refuse(Refused::Key),
    }
}

/// Reads the body, with the faults and the bandwidth that apply. What the parser does not take is read to the
/// end all the same, so that the client sees the page and not a reset.
async fn receive(
    world: &World,
    peer: &Peer,
    headers: &HeaderMap,
    mut body: Incoming,
    fault: Option<&FaultKind>,
) -> Result<Result<Form, Refused>, Abort> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let limits = world.state.lock().limits.table().clone();
    let end = world.clock.now() + limits.upload_time;
    let mut reader = FormReader::new(content_type, world.config.storage.clone(), limits);
    let mut received: u64 = 0;
    loop {
        let left = world.clock.to_real(end.saturating_sub(world.clock.now()));
        let Ok(frame) = tokio::time::timeout(left, body.frame()).await else {
            let text = "an upload of more than 4 hours";
            world.violation(Offence::LimitExceeded, ROLE, text);
            return Err(peer.reset());
        };
        let Some(frame) = frame else { break };
        // The sender went away: nothing is stored.
        let Ok(data) = frame.map_err(|_| Abort)?.into_data() else {
            continue;
        };
        let before = received;
        received += data.len() as u64;
        world.up.pass(data.len()).await;
        world
            .recorder
            .update(|report| report.bytes_up += data.len() as u64);
        match fault {
            Some(FaultKind::Reset { after_bytes }) if received >= *after_bytes => {
                return Err(peer.reset());
            }
            Some(FaultKind::Stall {
                after_bytes,
                seconds,
            }) if before <= *after_bytes && *after_bytes < received => {
                tokio::time::sleep(seconds_of(*seconds)).await;
            }
            _ => {}
        }
        if let Ok(form) = &mut reader
            && let Err(refused) = form.push(&data).await
        {
            reader = Err(refused);
        }
    }
    if let Some(FaultKind::UploadRefused { sentence }) = fault {
        let error = std::io::Error::other(sentence.clone());
        return Ok(Err(Refused::Storage(error)));
    }
    Ok(reader.and_then(FormReader::finish))
}

/// Takes the files into the account; gives the id to ask end.pl with.
fn store(world: &World, account: Option<usize>, form: Form, id: &str) -> Result<String, Refused> {
    let mut state = world.state.lock();
    let state = &mut *state;
    let mut files = form.files;
    if files.iter().any(|(_, content)| content.size() == 0) {
        world.violation(Offence::Careless, ROLE, "an empty file");
        match state.quirks.empty_upload {
            EmptyUpload::Refuse => return Err(Refused::NoFile),
            EmptyUpload::NoLinks => files.retain(|(_, content)| content.size() > 0),
        }
    }
    // All or nothing: a refused name must not leave its siblings behind.
    for (name, _) in &files {
        if !Account::takes_name(name, &state.quirks) {
            world.violation(Offence::Careless, ROLE, format!("refused name {name:?}"));
            return Err(Refused::Name);
        }
    }
    let field = |name: &str| form.fields.get(name).map(|value| value.trim());
    let mut links = Vec::new();
    if let Some(account) = account {
        check_room(state, account, &files)?;
        let folder = field("did").and_then(|did| did.parse().ok()).unwrap_or(0);
        // One that it may not change is silently none of its folders (API notes 3.2).
        let account = state.reach_to_change(account, folder).unwrap_or(account);
        let domain = field("domain")
            .and_then(|domain| domain.parse().ok())
            .filter(|domain| *domain < DOMAINS.len())
            .unwrap_or(0);
        let taken = state.accounts.get(account).is_some_and(|account| {
            let quirks = &state.quirks;
            files
                .iter()
                .any(|(name, _)| account.is_taken(folder, name, quirks))
        });
        if taken {
            return Err(Refused::Name);
        }
        let ready = world.clock.now() + world.config.storage_delay;
        for (name, content) in files {
            // Begun now, the digest is ready sooner when end.pl needs it, and
            // whoever asks meanwhile waits for it and reports errors.
            let digest = content.clone();
            tokio::task::spawn_blocking(move || digest.whirlpool());
            let infected = state.quirks.infected.as_deref();
            let vanishes = infected.is_some_and(|marker| name.contains(marker));
            let link = state.with_account(account, &world.clock, |account, when| {
                let id = account.add_file(folder, &name, content, when)?;
                account.set_link(&id, domain, ready);
                if let Some(pass) = field("dpass") {
                    let pass = Some(pass.to_owned());
                    account.change_attributes(&id, |attributes| attributes.pass = pass)?;
                }
                let link = link_of(account.file(&id).ok_or(Refusal::FileNotFound)?);
                if vanishes {
                    account.remove_file(&id, when)?;
                }
                Ok::<_, Refusal>(link)
            });
            match link {
                Some(Ok(link)) => links.push(link),
                _ => return Err(Refused::Name),
            }
        }
    } else {
        let random = &mut state.random;
        links.extend(files.into_iter().map(|(name, content)| UploadLink {
            url: guest_link(random),
            name,
            content,
            remove: String::new(),
        }));
    }
    if account.is_none() || state.quirks.remove_links == RemoveLinks::All {
        for link in &mut links {
            link.remove = removal_link(&link.url, &mut state.random);
        }
    }
    let stored = links.len() as u64;
    world.recorder.update(|report| {
        report.uploads += stored;
        if account.is_none() {
            report.guest_uploads += stored;
        }
    });
    let xid = if state.quirks.xid_differs {
        random_id(&mut state.random)
    } else {
        id.to_owned()
    };
    let now = world.clock.now();
    let result = UploadResult {
        links,
        ended: now,
        wait_until: now + world.config.end_delay,
    };
    state.uploads.finish(xid.clone(), result);
    Ok(xid)
}

fn check_room(state: &State, account: usize, files: &[(String, Content)]) -> Result<(), Refused> {
    let coming: u64 = files.iter().map(|(_, content)| content.size()).sum();
    let used = state
        .accounts
        .get(account)
        .map_or(0, |account| account.bytes());
    let full = state.profiles.get(account).is_none_or(|profile| {
        profile.upload_forbidden || used.saturating_add(coming) > profile.config.quota
    });
    if full { Err(Refused::Quota) } else { Ok(()) }
}

fn link_of(file: &File) -> UploadLink {
    UploadLink {
        url: file.url(),
        name: file.name.clone(),
        content: file.content.clone(),
        remove: String::new(),
    }
}

/// The link of what belongs to nobody.
fn guest_link(random: &mut StdRng) -> String {
    let id = random_id(random) + &random_id(random);
    format!("https://1fichier.com/?{}", id.to_ascii_lowercase())
}

fn redirect(xid: &str) -> Response<Body> {
    let mut response = Response::new(http::full(""));
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(location) = HeaderValue::from_str(&format!("/end.pl?xid={xid}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn refusal_page(world: &World, refused: &Refused) -> Response<Body> {
    if let Refused::Form(error) = refused {
        world.violation(Offence::Malformed, ROLE, error.to_string());
    }
    let sentence = match refused {
        Refused::Storage(error) if error.kind() == std::io::ErrorKind::Other => error.to_string(),
        refused => refused.to_string(),
    };
    http::page(200, &sentence)
}
