//! What all roles share of HTTP: the peer, bodies, pages, and how a connection
//! is cut.

use super::faults::{FaultKind, LockKind};
use super::limits::{Locked, Subject};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A body that may end in the connection being cut.
pub type Body = UnsyncBoxBody<Bytes, Abort>;

/// The answer to a request, or the connection is cut.
pub type Answer = Result<Response<Body>, Abort>;

/// The connection is cut here.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the simulator cut the connection")]
pub struct Abort;

/// Largest body of an API call or form; uploads stream and are not bound by it.
const LARGEST_CALL: usize = 4 << 20;

/// How long a fault leaves the connection open for what was written to go out.
const FLUSH: Duration = Duration::from_millis(30);

/// Who asks, and over what.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address.
    pub ip: IpAddr,
    /// The listener.
    pub origin: Origin,
    /// The connection.
    pub line: Arc<Line>,
}

/// Over which listener a request came, which decides the addresses handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Plain HTTP.
    Plain,
    /// TLS, under the service's names.
    Tls,
}

/// A connection's switch: how it is to be closed.
#[derive(Debug, Default)]
pub struct Line {
    reset: AtomicBool,
}

impl Line {
    /// Whether it is to be closed by a reset.
    pub fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Acquire)
    }
}

impl Peer {
    /// Has the connection reset when it closes, which follows at once.
    pub fn reset(&self) -> Abort {
        self.line.reset.store(true, Ordering::Release);
        Abort
    }
}

/// A complete body.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// An answer with a body and its type.
pub fn answer(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON answer.
pub fn json(status: u16, text: String) -> Response<Body> {
    answer(status, "application/json; charset=utf-8", text)
}

/// A page with a sentence in `<div class="bloc2">`, as all of the site's pages have one
/// (API notes 3.1).
pub fn page(status: u16, sentence: &str) -> Response<Body> {
    let sentence = sentence
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"fr\"><head><title>1fichier.com</title></head><body>\n\
         <div class=\"bloc2\"></div>\n<div class=\"bloc2\">{sentence}</div>\n</body></html>\n"
    );
    answer(status, "text/html; charset=utf-8", html)
}

/// The body of a call, or `None` if it is too large or broken off.
pub async fn collect(body: Incoming) -> Option<Bytes> {
    let collected = Limited::new(body, LARGEST_CALL).collect().await;
    collected.ok().map(|body| body.to_bytes())
}

/// Reads a body to its end, so that its sender sees the page and not a reset, and answers with the page.
pub async fn turn_away(peer: &Peer, mut body: Incoming, status: u16, sentence: &str) -> Answer {
    while let Some(frame) = body.frame().await {
        frame.map_err(|_| peer.reset())?;
    }
    Ok(page(status, sentence))
}

/// The bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::trim)
}

/// A parameter of a query string or form, decoded.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// Cuts an answer's body after so many bytes, with its full length announced.
pub fn truncate(response: Response<Body>, after: u64) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = hyper::body::Body::size_hint(&body).exact() {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let start = (body.into_data_stream(), after);
    let pieces = stream::unfold(Some(start), |state| async move {
        let (mut data, left) = state?;
        match data.next().await {
            Some(Ok(bytes)) if (bytes.len() as u64) < left => {
                let left = left - bytes.len() as u64;
                Some((Ok(Frame::data(bytes)), Some((data, left))))
            }
            Some(Ok(bytes)) if left > 0 => {
                let kept = bytes.slice(..usize::try_from(left).unwrap_or(bytes.len()));
                Some((Ok(Frame::data(kept)), Some((data, 0))))
            }
            _ => {
                flush().await;
                Some((Err(Abort), None))
            }
        }
    });
    Response::from_parts(parts, StreamBody::new(pieces).boxed_unsync())
}

/// Lets what was written go out before a connection is cut.
pub async fn flush() {
    tokio::time::sleep(FLUSH).await;
}

/// Carries out a fault that strikes before the request is. `Ok(None)`: go on.
pub async fn strike_early(
    peer: &Peer,
    fault: Option<&FaultKind>,
) -> Result<Option<Response<Body>>, Abort> {
    match fault {
        Some(FaultKind::Status { status }) => {
            Ok(Some(page(*status, "Service momentanément indisponible")))
        }
        Some(FaultKind::Page) => Ok(Some(page(200, "Veuillez patienter"))),
        Some(FaultKind::Delay { seconds }) => {
            tokio::time::sleep(seconds_of(*seconds)).await;
            Ok(None)
        }
        Some(FaultKind::Reset { after_bytes: 0 }) => Err(peer.reset()),
        _ => Ok(None),
    }
}

/// Seconds of a fault's JSON as a duration; nonsense is zero.
pub fn seconds_of(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// What a fault's lock is to the limits.
pub fn lock_of(lock: LockKind, ip: IpAddr, account: Option<usize>) -> (Locked, Subject) {
    let address = Subject::Ip(ip);
    let user = account.map_or(address, Subject::Account);
    match lock {
        LockKind::Ip => (Locked::Ip, address),
        LockKind::User => (Locked::User, user),
        LockKind::Key => (Locked::Key, user),
        LockKind::Ban => (Locked::Banned, address),
    }
}
