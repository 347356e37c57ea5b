//! The daemon's end of the socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::UnixListener;
use tokio::sync::Notify;

use super::error::{ControlError, Refusal, RefusalKind};
use super::listener::Checked;
use super::protocol::{
    CancelRequest, Count, NewNamesRequest, PathRequest, ReloadRequest, StopRequest, Stopping,
    VerifyRequest, WaitRequest, WalkRequest,
};
use super::{Controlled, scrape, socket};

/// How many rows of the queue are told.
const QUEUE_ROWS: usize = 10_000;

/// The longest that one request waits; who wants more asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long an ending daemon stays for its last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A socket that answers until it is dropped, which also removes it.
pub struct Server {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
    closing: Arc<Notify>,
}

impl Server {
    /// Listens on `path` and answers by asking `target`. Must be called within
    /// a tokio runtime.
    pub fn start<T: Controlled>(path: &Path, target: T) -> Result<Server, ControlError> {
        let listener = socket::bind(path)?;
        let listener = UnixListener::from_std(listener).map_err(|source| ControlError::Socket {
            path: path.to_owned(),
            source,
        })?;
        let app = router(target);
        let closing = Arc::new(Notify::new());
        let closed = closing.clone();
        let task = tokio::spawn(async move {
            // It ends when it is closed: errors of accept are dealt with below.
            let _ = axum::serve(Checked(listener), app)
                .with_graceful_shutdown(async move { closed.notified().await })
                .await;
        });
        Ok(Server {
            path: path.to_owned(),
            task,
            closing,
        })
    }

    /// Takes no more callers and answers those that are there, as far as that takes no
    /// time: who asked for the end shall hear of it.
    pub async fn close(mut self) {
        self.closing.notify_one();
        if tokio::time::timeout(LAST_ANSWERS, &mut self.task)
            .await
            .is_err()
        {
            tracing::debug!("a caller of the control socket waits for longer than we do");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        // Gone already, or the next daemon removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn router<T: Controlled>(target: T) -> Router {
    scrape::routes()
        .route(
            "/hello",
            get(|State(t): State<T>| async move { Json(t.hello()) }),
        )
        .route(
            "/status",
            get(|State(t): State<T>| async move { answer(t.status().await) }),
        )
        .route(
            "/queue",
            get(|State(t): State<T>| async move { answer(t.queue(QUEUE_ROWS).await) }),
        )
        .route(
            "/account",
            get(|State(t): State<T>| async move { answer(t.account().await) }),
        )
        .route("/queue/wait", post(wait::<T>))
        .route("/queue/flush", post(flush::<T>))
        .route("/queue/retry", post(retry::<T>))
        .route("/queue/cancel", post(cancel::<T>))
        .route("/refresh", post(refresh::<T>))
        .route("/walk", post(walk::<T>))
        .route(
            "/pins",
            get(|State(t): State<T>| async move { answer(t.pins().await) }),
        )
        .route("/pin", post(pin::<T>))
        .route("/unpin", post(unpin::<T>))
        .route("/new-names", post(new_names::<T>))
        .route("/verify", post(verify::<T>))
        .route("/link", post(link::<T>))
        .route(
            "/cache/clear",
            post(|State(t): State<T>| async move {
                answer(t.clear_cache().await.map(|count| Count { count }))
            }),
        )
        .route(
            "/reload",
            post(
                |State(t): State<T>, Json(ask): Json<ReloadRequest>| async move {
                    answer(t.reload(ask).await)
                },
            ),
        )
        .route("/stop", post(stop::<T>))
        .with_state(target)
}

async fn wait<T: Controlled>(State(t): State<T>, Json(ask): Json<WaitRequest>) -> Response {
    let at_most = Duration::from_millis(ask.at_most_ms).min(LONGEST_WAIT);
    answer(t.wait(ask.path, at_most).await)
}

async fn flush<T: Controlled>(State(t): State<T>, Json(ask): Json<PathRequest>) -> Response {
    answer(t.flush(ask.path).await)
}

async fn retry<T: Controlled>(State(t): State<T>, Json(ask): Json<PathRequest>) -> Response {
    answer(t.retry(ask.path).await.map(|count| Count { count }))
}

async fn pin<T: Controlled>(State(t): State<T>, Json(ask): Json<PathRequest>) -> Response {
    answer(t.pin(ask.path.unwrap_or_default()).await)
}

async fn verify<T: Controlled>(State(t): State<T>, Json(ask): Json<VerifyRequest>) -> Response {
    answer(t.verify(ask).await)
}

async fn unpin<T: Controlled>(State(t): State<T>, Json(ask): Json<PathRequest>) -> Response {
    answer(t.unpin(ask.path.unwrap_or_default()).await)
}

async fn new_names<T: Controlled>(
    State(t): State<T>,
    Json(ask): Json<NewNamesRequest>,
) -> Response {
    answer(t.new_names(ask).await)
}

async fn cancel<T: Controlled>(State(t): State<T>, Json(ask): Json<CancelRequest>) -> Response {
    answer(t.cancel(ask.path, ask.force).await)
}

async fn refresh<T: Controlled>(State(t): State<T>, Json(ask): Json<PathRequest>) -> Response {
    let path = ask.path.unwrap_or_default();
    answer(t.refresh(path).await)
}

async fn walk<T: Controlled>(State(t): State<T>, Json(ask): Json<WalkRequest>) -> Response {
    answer(t.walk(ask).await)
}

async fn link<T: Controlled>(State(t): State<T>, Json(ask): Json<PathRequest>) -> Response {
    answer(t.link(ask.path.unwrap_or_default()).await)
}

async fn stop<T: Controlled>(State(t): State<T>, Json(ask): Json<StopRequest>) -> Response {
    answer(t.stop(ask.queue).await.map(stopping))
}

fn stopping(drain_timeout: Duration) -> Stopping {
    Stopping {
        drain_timeout_ms: u64::try_from(drain_timeout.as_millis()).unwrap_or(u64::MAX),
    }
}

fn answer<A: serde::Serialize>(result: Result<A, Refusal>) -> Response {
    match result {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => (status_of(refusal.kind), Json(refusal)).into_response(),
    }
}

fn status_of(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::NotFound => StatusCode::NOT_FOUND,
        RefusalKind::Busy => StatusCode::CONFLICT,
        RefusalKind::NotNow => StatusCode::SERVICE_UNAVAILABLE,
        RefusalKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
