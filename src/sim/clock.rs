//! The simulator's clock: real time, run `time_scale` times as fast.
//!
//! Windows, locks, lags and token lives are all measured in this time, so one
//! number speeds up every rule at once and the rules themselves stay as
//! documented. File dates stay in real time.

use std::time::{Duration, Instant};

/// A point of simulated time: how long since the simulator started.
pub type SimTime = Duration;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    scale: f64,
}

impl Clock {
    /// A clock that starts now at zero and runs `scale` times as fast as real time.
    pub fn start(scale: f64) -> Clock {
        let scale = if scale.is_finite() && scale > 0.0 {
            scale
        } else {
            1.0
        };
        Clock {
            start: Instant::now(),
            scale,
        }
    }

    /// Simulated time since the start.
    pub fn now(&self) -> SimTime {
        self.start.elapsed().mul_f64(self.scale)
    }

    /// A real duration in simulated time.
    pub fn to_sim(self, real: Duration) -> Duration {
        real.mul_f64(self.scale)
    }

    /// A simulated duration in real time, for sleeping.
    pub fn to_real(self, sim: Duration) -> Duration {
        sim.div_f64(self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_clock_runs_faster() {
        let clock = Clock::start(60.0);
        let second = Duration::from_secs(1);
        assert_eq!(clock.to_sim(second), 60 * second);
        assert_eq!(clock.to_real(60 * second), second);
        let real = Clock::start(1.0);
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.now() >= Duration::from_millis(300));
        assert!(clock.now() > real.now());
    }

    #[test]
    fn a_nonsense_scale_is_one() {
        let clock = Clock::start(0.0);
        assert_eq!(clock.to_sim(Duration::from_secs(3)), Duration::from_secs(3));
    }
}
