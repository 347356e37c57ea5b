//! Listeners and connections: counted, served with HTTP/1.1, cut on demand.

use super::http::{Abort, Answer, Line, Origin, Peer};
use super::world::World;
use super::{api, control, download, http, node, site};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Accepts and serves connections until dropped, which cuts them all.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let world = world.clone();
                    connections.spawn(connection(stream, peer.ip(), tls.clone(), world));
                }
                Err(error) => {
                    // Out of descriptors, most likely: give connections time to end.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, ip: IpAddr, tls: Option<TlsAcceptor>, world: Arc<World>) {
    let _counted = world.recorder.connection();
    let _ = stream.set_nodelay(true);
    let line = Arc::new(Line::default());
    let wire = Wire {
        stream,
        line: line.clone(),
    };
    match tls {
        None => {
            let peer = Peer {
                ip,
                origin: Origin::Plain,
                line,
            };
            exchange(wire, peer, world).await;
        }
        Some(acceptor) => {
            let peer = Peer {
                ip,
                origin: Origin::Tls,
                line,
            };
            match acceptor.accept(wire).await {
                Ok(stream) => exchange(stream, peer, world).await,
                Err(error) => tracing::debug!(%error, "TLS handshake failed"),
            }
        }
    }
}

async fn exchange<S>(stream: S, peer: Peer, world: Arc<World>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (world, peer) = (world.clone(), peer.clone());
        async move {
            let answer = route(&world, &peer, request).await?;
            world.recorder.status(answer.status().as_u16());
            Ok::<_, Abort>(answer)
        }
    });
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "connection ended");
    }
}

async fn route(world: &Arc<World>, peer: &Peer, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    if let Some(script) = path.strip_prefix("/v1/") {
        return api::serve(world, peer, script, request).await;
    }
    if path.starts_with("/_sim/") {
        return control::serve(world, peer, request).await;
    }
    // The API tells of a ban in its own words; every other host turns the address away.
    if world.is_banned(peer.ip) {
        return http::turn_away(peer, request.into_body(), 403, "IP Locked").await;
    }
    match path.as_str() {
        "/upload.cgi" => node::upload(world, peer, request).await,
        "/end.pl" => node::result(world, peer, request).await,
        path if download::is_token_path(path) => download::serve(world, peer, request).await,
        _ => site::serve(world, peer, request).await,
    }
}

/// A TCP stream that is reset, not closed, once its [`Line`] says so.
struct Wire {
    stream: TcpStream,
    line: Arc<Line>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.line.is_reset() {
            // If this fails the peer sees an orderly close: still a broken transfer.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.is_reset() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
