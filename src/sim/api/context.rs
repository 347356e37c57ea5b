//! What the endpoints are given.

use super::params::Params;
use crate::sim::http::Peer;
use crate::sim::limits::Call;
use crate::sim::world::World;

/// The circumstances of one call.
pub struct Context<'a> {
    /// The simulator's.
    pub world: &'a World,
    /// Who calls.
    pub peer: &'a Peer,
    /// What is called.
    pub script: &'static str,
    /// The caller's account; the first one where no key is needed.
    pub account: usize,
    /// With what.
    pub params: &'a Params,
}

impl Context<'_> {
    /// The call, as far as limits go.
    pub fn call(&self) -> Call {
        Call {
            script: self.script,
            ip: self.peer.ip,
            account: Some(self.account),
            listing: None,
        }
    }
}
