//! Where figures are fetched by programs: `/metrics` and `/healthz`, on the control socket and,
//! if that is wished, at a place of their own from which nothing can be commanded.

use std::path::PathBuf;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use super::error::ControlError;
use super::listener::Checked;
use super::{Controlled, Health, metrics, socket};
use crate::config::Listen;

/// Answers until it is dropped.
pub struct Scrape {
    socket: Option<PathBuf>,
    task: JoinHandle<()>,
}

impl Scrape {
    /// Listens and answers by asking `target`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A place that is taken or cannot be made.
    pub async fn start<T: Controlled>(at: &Listen, target: T) -> Result<Scrape, ControlError> {
        let app = routes::<T>().with_state(target);
        match at {
            Listen::Socket(path) => {
                let failed = |source| ControlError::Socket {
                    path: path.clone(),
                    source,
                };
                let listener = UnixListener::from_std(socket::bind(path)?).map_err(failed)?;
                let task = tokio::spawn(async move {
                    // Errors of accept are dealt with by the listener.
                    let _ = axum::serve(Checked(listener), app).await;
                });
                Ok(Scrape {
                    socket: Some(path.clone()),
                    task,
                })
            }
            Listen::Port(address) => {
                let failed = |source| ControlError::Port {
                    address: *address,
                    source,
                };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let task = tokio::spawn(async move {
                    let _ = axum::serve(listener, app).await;
                });
                Ok(Scrape { socket: None, task })
            }
        }
    }
}

impl Drop for Scrape {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(path) = &self.socket {
            // Gone already, or the next daemon removes it.
            let _ = std::fs::remove_file(path);
        }
    }
}

pub(super) fn routes<T: Controlled>() -> Router<T> {
    Router::new()
        .route("/metrics", get(figures::<T>))
        .route("/healthz", get(healthy::<T>))
}

async fn figures<T: Controlled>(State(t): State<T>) -> Response {
    match t.status().await {
        Ok(status) => {
            let kind = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
            (kind, metrics::text(&status)).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn healthy<T: Controlled>(State(t): State<T>) -> Response {
    match t.health().await.map(Health::problems) {
        Ok(problems) if problems.is_empty() => "ok\n".into_response(),
        Ok(problems) => {
            let text = format!("{}\n", problems.join("\n"));
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
        Err(_) => {
            let text = "the database does not answer\n";
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}
