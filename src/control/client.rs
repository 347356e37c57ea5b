//! A command's end of the socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::error::{ControlError, Refusal};
use super::protocol::{
    Account, Backlog, CancelRequest, Cancelled, Count, Hello, Link, NewNames, NewNamesRequest,
    Parting, PathRequest, Pin, Pins, Queue, ReloadRequest, Reloaded, Status, StopRequest, Stopping,
    Verification, VerifyRequest, WaitRequest, WalkProgress, WalkRequest,
};
use super::socket;

type Result<T> = std::result::Result<T, ControlError>;

/// Answers are small; a listing of the queue is the largest.
const LARGEST_ANSWER: usize = 64 << 20;

/// A daemon answers at once, but for what waits on purpose.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder has its turn only so often, and the turn after that where a listing is under way
/// (API notes 6: 30 s each); the daemon gives up before we do.
pub(crate) const TURN: Duration = Duration::from_secs(180);

/// What a daemon allows for its queue that does not tell.
const DRAIN: Duration = Duration::from_secs(600);

/// Who does not even answer a greeting in this time hangs.
const GREETING: Duration = Duration::from_secs(3);

/// A running daemon.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    hello: Hello,
}

impl Client {
    /// The daemon that listens on `socket`.
    pub async fn at(socket: &Path) -> Result<Client> {
        let greeting = ask(socket, Method::GET, "/hello", &());
        let hello = tokio::time::timeout(GREETING, greeting)
            .await
            .map_err(|_| ControlError::Gone("it does not answer".into()))??;
        Ok(Client {
            socket: socket.to_owned(),
            hello,
        })
    }

    /// All running daemons whose sockets are in `dirs`.
    pub async fn running(dirs: &[PathBuf]) -> Vec<Client> {
        let mut running = Vec::new();
        for path in dirs.iter().flat_map(|dir| socket::all(dir)) {
            match Client::at(&path).await {
                Ok(client) => running.push(client),
                Err(error) => tracing::debug!(path = %path.display(), %error, "no daemon there"),
            }
        }
        running
    }

    /// The daemon of this mountpoint (an absolute path), of a path below it, or
    /// the only one.
    pub async fn find(dirs: &[PathBuf], mountpoint: Option<&Path>) -> Result<Client> {
        let running = Client::running(dirs).await;
        let Some(path) = mountpoint else {
            return only(running);
        };
        running
            .into_iter()
            .filter(|client| path.starts_with(&client.hello.mountpoint))
            .max_by_key(|client| client.hello.mountpoint.components().count())
            .ok_or_else(|| ControlError::NoSuchMount(path.to_owned()))
    }

    /// Who answered.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Whether the same process still answers there, and not one that came after it.
    pub async fn is_same(&self) -> Result<bool> {
        let hello: Hello = self.get("/hello").await?;
        Ok(hello.pid == self.hello.pid)
    }

    /// Everything for one screen.
    pub async fn status(&self) -> Result<Status> {
        self.get("/status").await
    }

    /// The queue.
    pub async fn queue(&self) -> Result<Queue> {
        self.get("/queue").await
    }

    /// The account's figures.
    pub async fn account(&self) -> Result<Account> {
        self.get("/account").await
    }

    /// Waits until all that can be done is done, or for `at_most`, and tells what
    /// is left.
    pub async fn wait(&self, at_most: Duration) -> Result<Backlog> {
        self.wait_for(None, at_most).await
    }

    /// The same for what is queued of one path and below it.
    pub async fn wait_for(&self, path: Option<PathBuf>, at_most: Duration) -> Result<Backlog> {
        let at_most_ms = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX);
        let ask = WaitRequest { at_most_ms, path };
        self.post("/queue/wait", &ask).await
    }

    /// Ends delays before the next try.
    pub async fn flush(&self, path: Option<PathBuf>) -> Result<()> {
        self.post("/queue/flush", &PathRequest { path }).await
    }

    /// Takes failed work up again.
    pub async fn retry(&self, path: Option<PathBuf>) -> Result<u64> {
        let count: Count = self.post("/queue/retry", &PathRequest { path }).await?;
        Ok(count.count)
    }

    /// Gives up what is queued; see [`CancelRequest`].
    pub async fn cancel(&self, path: Option<PathBuf>, force: bool) -> Result<Cancelled> {
        self.post("/queue/cancel", &CancelRequest { path, force })
            .await
    }

    /// Lists a folder anew.
    pub async fn refresh(&self, path: PathBuf) -> Result<()> {
        let path = Some(path);
        let body = PathRequest { path };
        let answer = ask(&self.socket, Method::POST, "/refresh", &body);
        self.within(TURN, answer).await
    }

    /// Lists a folder and all below it anew, or asks how far that is.
    pub async fn walk(&self, ask: &WalkRequest) -> Result<WalkProgress> {
        self.post("/walk", ask).await
    }

    /// Pins a file or folder.
    pub async fn pin(&self, path: PathBuf) -> Result<Pin> {
        let path = Some(path);
        self.post("/pin", &PathRequest { path }).await
    }

    /// Releases what was pinned.
    pub async fn unpin(&self, path: PathBuf) -> Result<()> {
        let path = Some(path);
        self.post("/unpin", &PathRequest { path }).await
    }

    /// Has names that were not seen in a folder count as new, or takes that back.
    pub async fn new_names(&self, wanted: &NewNamesRequest) -> Result<NewNames> {
        // The folder may have to be listed first.
        let answer = ask(&self.socket, Method::POST, "/new-names", wanted);
        self.within(TURN, answer).await
    }

    /// Begins to compare files with their checksums, or asks how far that is.
    pub async fn verify(&self, ask: &VerifyRequest) -> Result<Verification> {
        self.post("/verify", ask).await
    }

    /// All pins and how far they are.
    pub async fn pins(&self) -> Result<Pins> {
        self.get("/pins").await
    }

    /// The address under which the service shows a file.
    pub async fn link(&self, path: PathBuf) -> Result<String> {
        let path = Some(path);
        let link: Link = self.post("/link", &PathRequest { path }).await?;
        Ok(link.url)
    }

    /// Drops what is cached; returns how many bytes that were.
    pub async fn clear_cache(&self) -> Result<u64> {
        let count: Count = self.post("/cache/clear", &()).await?;
        Ok(count.count)
    }

    /// Has the configuration read anew.
    pub async fn reload(&self, ask: &ReloadRequest) -> Result<Reloaded> {
        self.post("/reload", ask).await
    }

    /// Asks the daemon to take its mount away and to end. Gives the time that its user
    /// allows for the queue.
    pub async fn stop(&self, queue: Parting) -> Result<Duration> {
        // A daemon that was started before an upgrade may say nothing.
        let stopping: Option<Stopping> = self.post("/stop", &StopRequest { queue }).await?;
        Ok(stopping.map_or(DRAIN, |s| Duration::from_millis(s.drain_timeout_ms)))
    }

    async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A> {
        let answer = ask(&self.socket, Method::GET, path, &());
        self.within(PATIENCE, answer).await
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A> {
        let answer = ask(&self.socket, Method::POST, path, body);
        self.within(PATIENCE, answer).await
    }

    async fn within<A>(
        &self,
        patience: Duration,
        answer: impl Future<Output = Result<A>>,
    ) -> Result<A> {
        match tokio::time::timeout(patience, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(ControlError::Gone(format!(
                "process {} did not answer within {} s",
                self.hello.pid,
                patience.as_secs()
            ))),
        }
    }
}

fn only(mut running: Vec<Client>) -> Result<Client> {
    match (running.pop(), running.is_empty()) {
        (None, _) => Err(ControlError::NotRunning),
        (Some(client), true) => Ok(client),
        (Some(last), false) => {
            let all = running.iter().chain([&last]);
            let mountpoints = all.map(|c| c.hello.mountpoint.clone()).collect();
            Err(ControlError::Several(mountpoints))
        }
    }
}

async fn ask<A: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    body: &impl Serialize,
) -> Result<A> {
    let gone = |error: hyper::Error| ControlError::Gone(error.to_string());
    let unreadable = |error: serde_json::Error| ControlError::Unreadable(error.to_string());
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| ControlError::Socket {
            path: socket.to_owned(),
            source,
        })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(gone)?;
    // Its errors come to light in the answer; it ends with `sender`.
    let _driver = tokio::spawn(connection);
    let body = serde_json::to_vec(body).map_err(unreadable)?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "fichierfs")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| ControlError::Unreadable(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(gone)?;
    let status = answer.status();
    let bytes = Limited::new(answer.into_body(), LARGEST_ANSWER)
        .collect()
        .await
        .map_err(|error| ControlError::Gone(error.to_string()))?
        .to_bytes();
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(unreadable);
    }
    match serde_json::from_slice::<Refusal>(&bytes) {
        Ok(refusal) => Err(ControlError::Refused(refusal)),
        Err(_) => Err(ControlError::Unreadable(format!("HTTP status {status}"))),
    }
}

#[cfg(test)]
mod tests;
