//! The client against a server that answers as each test wants.

mod calls;
mod downloads;
mod uploads;

use std::sync::Mutex;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, Uri};
use bytes::Bytes;

use super::*;
use crate::config::ApiKey;
use crate::ids::{FileId, FolderId};

const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";

/// A request as the server got it.
struct Seen {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A server that answers as a function says, and a client of it.
struct Bench {
    api: Api,
    keys: KeyStore,
    host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn new(
        answer: impl Fn(&Seen) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> Bench {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = seen.clone();
        let router = axum::Router::new().fallback(
            move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let request = Seen {
                    method,
                    uri,
                    headers,
                    body,
                };
                let response = answer(&request);
                log.lock().unwrap().push(request);
                std::future::ready(response)
            },
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });

        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            // Long enough that no test sees the end of one.
            first_lock: Duration::from_secs(3600),
            ..Limits::scaled(100.0)
        };
        let keys = KeyStore::new(ApiKey::new(KEY.to_owned()).unwrap());
        let site = format!("http://{host}");
        let api = Api::new(ApiConfig {
            endpoints: Endpoints::new(&format!("{site}/v1"), &site).unwrap(),
            keys: keys.clone(),
            pace: Pace::open(&dir.path().join("pace.json"), limits.clone()).unwrap(),
            limits,
            address_family: AddressFamily::Auto,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
        })
        .unwrap();
        Bench {
            api,
            keys,
            host,
            seen,
            _dir: dir,
        }
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

fn answer(status: u16, kind: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("Content-Type", kind)
        .body(body.into())
        .unwrap()
}

fn json(status: u16, body: impl Into<Body>) -> Response<Body> {
    answer(status, "application/json; charset=utf-8", body)
}

fn id() -> FileId {
    "abcdefghij0123456789".parse().unwrap()
}
