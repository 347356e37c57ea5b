//! Who calls: a listener that hangs up on strangers.

use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use super::socket::may_command;

/// A socket on which only those are heard who may command.
pub(super) struct Checked(pub UnixListener);

impl axum::serve::Listener for Checked {
    type Io = UnixStream;
    type Addr = ();

    async fn accept(&mut self) -> (UnixStream, ()) {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(peer) if may_command(peer.uid()) => return (stream, ()),
                    Ok(peer) => tracing::warn!(
                        uid = peer.uid(),
                        "another user tried the control socket; hung up"
                    ),
                    Err(error) => tracing::debug!(%error, "who called cannot be known; hung up"),
                },
                Err(error) => {
                    tracing::warn!(%error, "control socket: cannot accept, trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}
