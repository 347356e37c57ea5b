//! The two HTTP clients and the address family they share.
//!
//! `api` talks to the API and the upload nodes, and its requests may carry the key; `data`
//! talks to download hosts and never does. Neither follows redirects: a
//! redirection is an answer to be judged, and the key must not travel with it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, redirect};

use super::classify::Form;
use super::{ApiError, Said, limits};
use crate::config::AddressFamily;

/// The family in use; a resolver that leaves the other out.
#[derive(Clone)]
pub(super) struct Family {
    configured: AddressFamily,
    /// 0, 4 or 6: what [`AddressFamily::Auto`] has settled on.
    pinned: Arc<AtomicU8>,
}

impl Family {
    fn new(configured: AddressFamily) -> Family {
        Family {
            configured,
            pinned: Arc::new(AtomicU8::new(0)),
        }
    }

    fn admits(&self, address: &SocketAddr) -> bool {
        match (self.configured, self.pinned.load(Ordering::Relaxed)) {
            (AddressFamily::Ipv4, _) | (AddressFamily::Auto, 4) => address.is_ipv4(),
            (AddressFamily::Ipv6, _) | (AddressFamily::Auto, 6) => address.is_ipv6(),
            _ => true,
        }
    }

    /// An answer came from there.
    fn worked(&self, address: Option<SocketAddr>) {
        if let Some(address) = address {
            let family = if address.is_ipv4() { 4 } else { 6 };
            let _ = self
                .pinned
                .compare_exchange(0, family, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// No connection came about: the network may have changed to the other family.
    fn failed(&self) {
        self.pinned.store(0, Ordering::Relaxed);
    }
}

impl Resolve for Family {
    fn resolve(&self, name: Name) -> Resolving {
        let family = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted: Vec<SocketAddr> =
                found.filter(|address| family.admits(address)).collect();
            if admitted.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrNotAvailable,
                    "the host has no address of the address family in use",
                )
                .into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Both clients.
#[derive(Clone)]
pub(super) struct Http {
    pub api: Client,
    pub data: Client,
    family: Family,
}

impl Http {
    pub fn new(
        family: AddressFamily,
        connect_timeout: Duration,
        read_timeout: Duration,
    ) -> Result<Http, ApiError> {
        // Installed once for the process; who came first had the same wish.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let family = Family::new(family);
        let common = || {
            Client::builder()
                .user_agent(concat!("fichierfs/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .referer(false)
                .retry(reqwest::retry::never())
                .http1_only()
                .connect_timeout(connect_timeout)
                .tcp_nodelay(true)
                .dns_resolver(family.clone())
                // Below the server's, which closes idle connections after a minute.
                .pool_idle_timeout(Duration::from_secs(55))
        };
        let build = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| ApiError::Transient(Said::ours(&chain(&error))))
        };
        Ok(Http {
            // No read timeout: reqwest would apply it to a long upload, too.
            api: build(common())?,
            data: build(
                common()
                    .read_timeout(read_timeout)
                    .pool_max_idle_per_host(limits::CONNECTIONS),
            )?,
            family,
        })
    }

    /// Sends a request; the error tells nothing about its address.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, Lost> {
        match request.send().await {
            Ok(response) => {
                self.family.worked(response.remote_addr());
                Ok(response)
            }
            Err(error) => {
                let reached = if error.is_connect() {
                    self.family.failed();
                    Reached::No
                } else if error.is_timeout() {
                    Reached::MaybeLater
                } else {
                    Reached::Maybe
                };
                Err(Lost {
                    error: broken(error),
                    reached,
                })
            }
        }
    }
}

/// A request without an answer.
pub(super) struct Lost {
    pub error: ApiError,
    pub reached: Reached,
}

/// Whether a request may have reached its server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reached {
    /// No: no connection came about.
    No,
    /// It may.
    Maybe,
    /// It may, or may yet: we waited no longer.
    MaybeLater,
}

impl From<Lost> for ApiError {
    fn from(lost: Lost) -> ApiError {
        lost.error
    }
}

/// A failure of the connection. The address is left out: a download link is a secret.
pub(super) fn broken(error: reqwest::Error) -> ApiError {
    let reached = !error.is_connect();
    let said = Said::ours(&chain(&error.without_url()));
    match reached {
        true => ApiError::Transient(said),
        false => ApiError::Unreachable(said),
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let also = error.to_string();
        if !text.ends_with(&also) {
            text.push_str(": ");
            text.push_str(&also);
        }
        cause = error.source();
    }
    text
}

/// What a body claims to be.
pub(super) fn form(response: &Response) -> Form {
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind {
        "application/json" => Form::Json,
        "text/html" | "application/xhtml+xml" => Form::Html,
        _ => Form::Other,
    }
}

/// The whole body, up to a limit; beyond it the answer counts as unreadable.
pub(super) async fn body(response: Response, limit: usize) -> Result<Bytes, ApiError> {
    let too_long = || ApiError::Unparsable(Said::ours("the answer is too long"));
    if response
        .content_length()
        .is_some_and(|length| length > limit as u64)
    {
        return Err(too_long());
    }
    let mut body = BytesMut::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(broken)?;
        if body.len() + chunk.len() > limit {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4() -> SocketAddr {
        "192.0.2.1:443".parse().unwrap()
    }

    fn v6() -> SocketAddr {
        "[2001:db8::1]:443".parse().unwrap()
    }

    #[test]
    fn auto_keeps_to_the_family_of_the_first_answer() {
        let family = Family::new(AddressFamily::Auto);
        assert!(family.admits(&v4()) && family.admits(&v6()));
        family.worked(Some(v6()));
        family.worked(Some(v4()));
        assert!(!family.admits(&v4()) && family.admits(&v6()));
        family.failed();
        assert!(family.admits(&v4()) && family.admits(&v6()));
    }

    #[test]
    fn a_configured_family_never_changes() {
        let family = Family::new(AddressFamily::Ipv4);
        family.worked(Some(v6()));
        family.failed();
        assert!(family.admits(&v4()) && !family.admits(&v6()));
    }
}
