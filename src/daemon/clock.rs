//! Somebody puts the system's clock back: what was noted by it follows.

use std::time::Duration;

use super::StartError;
use crate::ids::Time;
use crate::tree::Tree;
use crate::tree::clock::Clock;

/// How often the clock is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Runs until it is aborted.
pub(super) async fn keep(mut clock: Clock) {
    loop {
        tokio::time::sleep(EVERY).await;
        let look = tokio::task::spawn_blocking(move || {
            look(&mut clock);
            clock
        });
        // It fails only if the process is about to end.
        let Ok(same) = look.await else { return };
        clock = same;
    }
}

/// Looks at the clock for the first time. Blocks for the database.
pub(super) fn begin(tree: Tree) -> Result<Clock, StartError> {
    let mut clock = Clock::open(tree)?;
    look(&mut clock);
    Ok(clock)
}

/// Looks at the clock. Blocks for the database, rarely.
fn look(clock: &mut Clock) {
    match clock.look(Time::now()) {
        Ok(Duration::ZERO) => {}
        Ok(back) => tracing::warn!(
            seconds = back.as_secs(),
            "the system's clock was put back; what waits for a time waits no longer than it should"
        ),
        Err(error) => tracing::error!("what waits for a time may wait for too long: {error}"),
    }
}
