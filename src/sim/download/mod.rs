//! Download hosts: `GET` and `HEAD` of `/p<digits>` with ranges, and the ways in which
//! they fail (API notes 4.2, 4.3).

mod body;
mod range;
mod slot;

use super::account::File;
use super::faults::FaultKind;
use super::http::{self, Answer, Body, Peer, bearer, strike_early};
use super::media::content_type;
use super::quirks::{ExpiredToken, ResumeFrom};
use super::report::Offence;
use super::world::{State, World};
use body::Sending;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use range::{Range, Wanted};
use slot::Slot;
use std::sync::Arc;

const ROLE: &str = "download";

/// Whether a path is one of a download URL.
pub fn is_token_path(path: &str) -> bool {
    path.strip_prefix("/p")
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Why a download is refused.
enum Refused {
    /// The URL is not good, or no longer.
    Token,
    /// The account is in use elsewhere.
    Place,
    /// Too many at a time.
    Connections,
}

/// Answers a request for a file.
pub async fn serve(world: &Arc<World>, peer: &Peer, request: Request<Incoming>) -> Answer {
    world.recorder.request(ROLE);
    if bearer(request.headers()).is_some() {
        world.recorder.update(|report| report.key_leaks += 1);
    }
    let is_head = *request.method() == Method::HEAD;
    if !is_head && *request.method() != Method::GET {
        world.violation(
            Offence::Malformed,
            ROLE,
            format!("method {}", request.method()),
        );
        return Ok(http::page(405, "Méthode refusée"));
    }
    let name = request.uri().path().trim_start_matches("/p").to_owned();
    let id = known_file(&world.state.lock(), &name);
    let fault = world.strike(ROLE, &id);
    if let Some(answer) = strike_early(peer, fault.as_ref()).await? {
        return Ok(answer);
    }
    match fault {
        Some(FaultKind::TokenExpired) => return Ok(refusal(world, &Refused::Token)),
        Some(FaultKind::LoseAnswer) => return Err(peer.reset()),
        Some(FaultKind::Redirect) => return Ok(redirect()),
        _ => {}
    }
    let opened = open(world, peer, &name, is_head);
    let (file, inline, slot) = match opened {
        Ok(opened) => opened,
        Err(refused) => return Ok(refusal(world, &refused)),
    };
    let wait = world.config.shape.first_byte_latency;
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let size = file.content.size();
    let wanted = match &fault {
        Some(FaultKind::IgnoreRange) => Wanted::Whole,
        _ => wanted(world, request.headers(), size),
    };
    let mut response = Response::new(http::full(""));
    let range = match wanted {
        Wanted::Whole => Range {
            start: 0,
            end: size,
        },
        Wanted::Part(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let shift = match fault {
                Some(FaultKind::WrongContentRange { shift }) => shift,
                _ => 0,
            };
            set(
                &mut response,
                header::CONTENT_RANGE,
                &range.header(size, shift),
            );
            range
        }
        Wanted::Impossible => {
            let mut response = http::page(416, "Intervalle invalide");
            set(
                &mut response,
                header::CONTENT_RANGE,
                &format!("bytes */{size}"),
            );
            return Ok(response);
        }
    };
    describe(&mut response, &file, inline);
    set(
        &mut response,
        header::CONTENT_LENGTH,
        &range.len().to_string(),
    );
    if !is_head {
        let sending = Sending::new(world, peer, file.content, range, fault, slot);
        *response.body_mut() = sending.into_body();
    }
    Ok(response)
}

fn known_file(state: &State, name: &str) -> Vec<String> {
    let token = state.tokens.get(name);
    token
        .map(|token| token.file.to_string())
        .into_iter()
        .collect()
}

/// Uses a token; gives the file, whether it is shown inline, and a slot.
fn open(
    world: &Arc<World>,
    peer: &Peer,
    name: &str,
    is_head: bool,
) -> Result<(File, bool, Slot), Refused> {
    let now = world.clock.now();
    let mut state = world.state.lock();
    let state = &mut *state;
    let token = state.tokens.get(name).ok_or(Refused::Token)?.clone();
    let misuse = |text: &str| {
        world.violation(Offence::Token, ROLE, text);
        Refused::Token
    };
    let table = state.limits.table();
    let from = match state.quirks.resume_from {
        ResumeFrom::FirstUse => token.first_used,
        ResumeFrom::Issue => token.first_used.map(|_| token.issued),
    };
    match from {
        None if now.saturating_sub(token.issued) > table.token_start => {
            return Err(misuse("a download URL opened after its time to start"));
        }
        Some(from) if now.saturating_sub(from) > table.token_resume => {
            return Err(misuse("a download URL used after its time to resume"));
        }
        Some(_) if token.single => {
            return Err(misuse("a second request on a URL for a single one"));
        }
        _ => {}
    }
    let account = state.accounts.get(token.owner).ok_or(Refused::Token)?;
    // A removed file is gone for its URLs too, but for transfers under way.
    let file = account.file(&token.file).ok_or(Refused::Token)?.clone();
    if !state.use_from(token.account, peer.ip, now) {
        world.violation(Offence::Transfers, ROLE, "a download from another address");
        return Err(Refused::Place);
    }
    let most = state.limits.table().connections;
    let count = state.transfers.entry(token.account).or_default();
    if most.is_some_and(|most| *count >= most) {
        let text = format!("more than {} transfers at a time", *count);
        world.violation(Offence::Transfers, ROLE, text);
        return Err(Refused::Connections);
    }
    *count += 1;
    let slot = Slot::taken(world, token.account);
    let uses = !is_head || state.quirks.head_uses_single;
    if let Some(token) = state.tokens.get_mut(name)
        && uses
    {
        token.first_used.get_or_insert(now);
    }
    Ok((file, token.inline, slot))
}

fn wanted(world: &World, headers: &HeaderMap, size: u64) -> Wanted {
    let Some(value) = headers.get(header::RANGE) else {
        return Wanted::Whole;
    };
    let text = value.to_str().unwrap_or_default();
    let wanted = range::parse(text, size);
    match wanted {
        Wanted::Impossible => {
            let text = format!("range {text} of {size} bytes");
            world.violation(Offence::Careless, ROLE, text);
        }
        // What the real hosts do with several ranges is not known: do not ask.
        Wanted::Whole => world.violation(Offence::Careless, ROLE, format!("range {text}")),
        Wanted::Part(_) => {}
    }
    wanted
}

fn describe(response: &mut Response<Body>, file: &File, inline: bool) {
    let (kind, disposition) = if inline {
        (content_type(&file.name), "inline")
    } else {
        ("application/octet-stream", "attachment")
    };
    set(response, header::CONTENT_TYPE, kind);
    set(response, header::ACCEPT_RANGES, "bytes");
    let disposition = format!("{disposition}; filename=\"{}\"", file.name);
    if let Ok(value) = HeaderValue::from_bytes(disposition.as_bytes()) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
}

fn refusal(world: &World, refused: &Refused) -> Response<Body> {
    match refused {
        Refused::Token => {
            let status = match world.state.lock().quirks.expired_token {
                ExpiredToken::NotFound => 404,
                ExpiredToken::Forbidden => 403,
                ExpiredToken::Gone => 410,
                ExpiredToken::Page => 200,
            };
            http::page(status, "Le lien de téléchargement a expiré")
        }
        Refused::Place => http::page(403, "Only 1 location allowed at a time"),
        Refused::Connections => http::page(403, "Trop de connexions simultanées"),
    }
}

fn redirect() -> Response<Body> {
    let mut response = Response::new(http::full(""));
    *response.status_mut() = StatusCode::FOUND;
    set(
        &mut response,
        header::LOCATION,
        "https://1fichier.com/?c=DB",
    );
    response
}

fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_download_urls() {
        assert!(is_token_path("/p1058755667"));
        for other in ["/p", "/pages", "/p12a", "/dir/p1", "/upload.cgi"] {
            assert!(!is_token_path(other), "{other}");
        }
    }
}
