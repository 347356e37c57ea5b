//! The JSON API under `/v1`: admission (headers, limits, key), parameters, envelope.
//! A file per family of endpoints does the work, under the state's lock and
//! without I/O; listings are hashed and written afterwards.

mod context;
mod error;
mod files;
mod folders;
mod params;
mod reply;
mod transfer;
mod user;

use super::faults::FaultKind;
use super::http::{self, Answer, Body, Peer, bearer, lock_of, seconds_of, strike_early};
use super::limits::{Call, Listing};
use super::report::Offence;
use super::world::{State, World};
use bytes::Bytes;
use context::Context;
use error::ApiError;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response};
use params::Params;
use reply::Reply;
use std::sync::Arc;

/// The scripts, without `.cgi`.
const SCRIPTS: [&str; 16] = [
    "user/info",
    "file/ls",
    "file/info",
    "file/mv",
    "file/cp",
    "file/rename",
    "file/rm",
    "file/chattr",
    "file/scan",
    "folder/ls",
    "folder/mkdir",
    "folder/mv",
    "folder/rm",
    "folder/share",
    "download/get_token",
    UPLOAD_SERVER,
];

const UPLOAD_SERVER: &str = "upload/get_upload_server";

/// Answers a call. `path` is what follows `/v1/`.
pub async fn serve(
    world: &Arc<World>,
    peer: &Peer,
    path: &str,
    request: Request<Incoming>,
) -> Answer {
    let name = path.strip_suffix(".cgi").unwrap_or(path);
    let Some(script) = SCRIPTS.iter().find(|script| **script == name).copied() else {
        world.violation(Offence::Malformed, path, "no such script");
        return Ok(http::page(404, "Page introuvable"));
    };
    world.recorder.api_call(world.clock.now(), script);
    let (head, body) = request.into_parts();
    let body = http::collect(body).await.ok_or(http::Abort)?;
    let shape = &world.config.shape;
    if !shape.api_latency.is_zero() {
        tokio::time::sleep(shape.api_latency).await;
    }
    let params = Params::parse(&body);
    let pretty = params.as_ref().is_ok_and(|params| params.flag("pretty"));
    let (outcome, fault) = match admit(
        world,
        peer,
        script,
        &head.method,
        &head.headers,
        &body,
        params,
    ) {
        Err(error) => (Err(error), None),
        Ok((account, params)) => {
            let fault = world.strike(script, &params.ids());
            if let Some(answer) = strike_early(peer, fault.as_ref()).await? {
                return Ok(answer);
            }
            let context = Context {
                world,
                peer,
                script,
                account,
                params: &params,
            };
            match strike_call(&context, fault.as_ref()).await? {
                Some(error) => (Err(error), None),
                None => {
                    let reply = run(&context, &mut world.state.lock());
                    (reply, fault)
                }
            }
        }
    };
    let answer = write(world, peer, script, outcome, pretty).await;
    strike_late(peer, fault, answer).await
}

/// Headers, limits and key, in this order.
fn admit(
    world: &World,
    peer: &Peer,
    script: &'static str,
    method: &Method,
    headers: &HeaderMap,
    body: &Bytes,
    params: Result<Params, ()>,
) -> Result<(usize, Params), ApiError> {
    let mut state = world.state.lock();
    let state = &mut *state;
    let key = bearer(headers);
    let account = key.and_then(|key| state.account_of(key));
    let listing = params
        .as_ref()
        .ok()
        .and_then(|params| listed(script, params, state.quirks.common_listing_counter));
    let call = Call {
        script,
        ip: peer.ip,
        account,
        listing,
    };
    world.judge(state, call)?;
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().starts_with("application/json"));
    if !is_json {
        world.violation(Offence::Malformed, script, "Content-Type is not JSON");
        return Err(ApiError::ContentType);
    }
    let get_allowed = matches!(script, UPLOAD_SERVER | "user/info");
    if *method != Method::POST && !(get_allowed && *method == Method::GET) {
        world.violation(Offence::Malformed, script, format!("method {method}"));
        return Err(ApiError::Method);
    }
    let Ok(params) = params else {
        let text = format!("body is not a JSON object ({} bytes)", body.len());
        world.violation(Offence::Malformed, script, text);
        return Err(ApiError::BadJson);
    };
    // get_upload_server needs no key (API notes 1.2).
    match (key, account) {
        (_, Some(account)) => Ok((account, params)),
        _ if script == UPLOAD_SERVER => Ok((0, params)),
        (None, None) => Err(ApiError::NotAuthenticated),
        (Some(_), None) => Err(ApiError::NoSuchUser),
    }
}

fn listed(script: &'static str, params: &Params, common: bool) -> Option<Listing> {
    if script != "file/ls" && script != "folder/ls" {
        return None;
    }
    match params.int("folder_id").ok()?.unwrap_or(0) {
        -1 => Some(Listing::All),
        id => {
            let counter = if common { "ls" } else { script };
            Some(Listing::Folder(u64::try_from(id).unwrap_or(0), counter))
        }
    }
}

fn run(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    match context.script {
        "user/info" => user::info(context, state),
        "file/ls" => files::list(context, state),
        "file/info" => files::info(context, state),
        "file/mv" => files::mv(context, state),
        "file/cp" => files::cp(context, state),
        "file/rename" => files::rename(context, state),
        "file/rm" => files::rm(context, state),
        "file/chattr" => files::chattr(context, state),
        "file/scan" => files::scan(context, state),
        "folder/ls" => folders::list(context, state),
        "folder/mkdir" => folders::mkdir(context, state),
        "folder/mv" => folders::mv(context, state),
        "folder/rm" => folders::rm(context, state),
        "folder/share" => folders::share(context, state),
        "download/get_token" => transfer::token(context, state),
        _ => transfer::upload_server(context, state),
    }
}

/// Writes the outcome, and counts it.
async fn write(
    world: &Arc<World>,
    peer: &Peer,
    script: &'static str,
    outcome: Result<Reply, ApiError>,
    pretty: bool,
) -> Response<Body> {
    let error = match outcome {
        Ok(reply) => {
            let text = reply::write(world, reply, pretty).await;
            return http::json(200, text);
        }
        Err(error) => error,
    };
    world.recorder.refused(script);
    let style = world.state.lock().quirks.refusals;
    let status = error.status(style);
    // A lock is a punishment already; only failures of the caller's own doing count.
    if matches!(status, 401 | 403 | 404 | 410) && !error.is_lock() {
        world.failed(script, peer.ip);
    }
    let reply = Reply::object([
        ("status", "KO".into()),
        (
            "message",
            error.message(&mut world.state.lock().random).into(),
        ),
    ]);
    http::json(status, reply::write(world, reply, pretty).await)
}

/// Faults that take the call's place.
async fn strike_call(
    context: &Context<'_>,
    fault: Option<&FaultKind>,
) -> Result<Option<ApiError>, http::Abort> {
    match fault {
        Some(FaultKind::Ko { message, status }) => Ok(Some(ApiError::Fault {
            status: *status,
            message: message.clone(),
        })),
        Some(FaultKind::Flood { lock, seconds }) => {
            let (world, now) = (context.world, context.world.clock.now());
            let (kind, subject) = lock_of(*lock, context.peer.ip, Some(context.account));
            let length = seconds.map(seconds_of);
            let mut state = world.state.lock();
            state
                .limits
                .lock_for(now, context.script, subject, kind, length);
            world.recorder.update(|report| {
                report.locks += 1;
                report.locked_calls += 1;
            });
            Ok(Some(ApiError::Locked(kind)))
        }
        Some(FaultKind::Stall { seconds, .. }) => {
            tokio::time::sleep(seconds_of(*seconds)).await;
            Ok(None)
        }
        Some(FaultKind::Reset { .. }) => Err(context.peer.reset()),
        _ => Ok(None),
    }
}

/// Faults that spoil the answer of a call that was carried out.
async fn strike_late(peer: &Peer, fault: Option<FaultKind>, answer: Response<Body>) -> Answer {
    match fault {
        Some(FaultKind::LoseAnswer) => Err(peer.reset()),
        Some(FaultKind::Truncate { after_bytes }) => Ok(http::truncate(answer, after_bytes)),
        // Nobody listens at a port that only the system's own programs may have.
        Some(FaultKind::NodeDown) => {
            let text = "{\"url\":\"127.0.0.1:1\",\"id\":\"NodeIsDown\"}";
            Ok(http::json(200, text.to_owned()))
        }
        Some(FaultKind::CorruptJson) => Ok(http::json(
            answer.status().as_u16(),
            "{\"status\":\"OK\",\"items\":[{\"filename\":\"a".to_owned(),
        )),
        _ => Ok(answer),
    }
}
