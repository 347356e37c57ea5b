//! The transfers that an account may have at a time.

use crate::sim::report::GaugeGuard;
use crate::sim::world::World;
use std::sync::Arc;

/// One of the transfers that an account may have; given back when dropped.
pub struct Slot {
    world: Arc<World>,
    account: usize,
    _counted: GaugeGuard,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.world.state.lock();
        if let Some(count) = state.transfers.get_mut(&self.account) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Slot {
    /// Takes one; the caller has counted it in the state.
    pub fn taken(world: &Arc<World>, account: usize) -> Slot {
        Slot {
            world: world.clone(),
            account,
            _counted: world.recorder.transfer(),
        }
    }
}
