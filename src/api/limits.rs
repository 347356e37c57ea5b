//! The table of limits: every figure of the service that we keep to, in one
//! place, so that all of them can be scaled for a simulator that runs faster.

use std::time::Duration;

/// What we allow ourselves. Each field says where its figure comes from
/// ("API notes" sections).
#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    /// Calls a second over a long time. Documented 3, observed "barely 2" (6).
    pub rate: f64,
    /// Calls that may follow each other at once.
    pub burst: u32,
    /// No more than `burst` calls within this window, whatever was saved up: the
    /// documented second and a little. A call is in it from its start until so
    /// long after its answer, so that no delay on the way brings more together.
    pub burst_window: Duration,
    /// How long a call without an answer counts as still on its way. The network's
    /// time, so it is not scaled.
    pub under_way: Duration,
    /// What quiet, busy hours may raise the rate to, in calls a second.
    pub highest_rate: f64,
    /// What locks may lower the rate of all calls to, in calls a second.
    pub lowest_rate: f64,
    /// What locks may lower the rate of one kind of call to.
    pub lowest_kind_rate: f64,
    /// The rate of listings after a lock: one per 3 s (6, rclone #8331).
    pub careful_listing_rate: f64,
    /// Space between listings that nobody waits for (6).
    pub background_listing_gap: Duration,
    /// One folder is listed once per 30 s (2.1).
    pub folder_gap: Duration,
    /// All files of the account are listed once an hour (2.1).
    pub all_files_gap: Duration,
    /// The account's figures: documented once per 5 minutes, and known to
    /// lock who comes close (6).
    pub account_gap: Duration,
    /// `file/info` gets the address blocked when used often (2.3), without a
    /// figure; this is the gap that another careful client keeps.
    pub file_info_gap: Duration,
    /// Silence after a flood lock; doubles with each further one.
    pub first_lock: Duration,
    /// The longest silence.
    pub longest_lock: Duration,
    /// Silence after a bare `IP Locked` (1.5).
    pub address_lock: Duration,
    /// Silence for downloads when another place uses the account (1.5).
    pub location_lock: Duration,
    /// Silence after the account was said not to be paid for: few failing calls, and not long
    /// for who pays.
    pub unpaid_gap: Duration,
    /// How long one trial call after a lock may stay without an answer.
    pub trial: Duration,
    /// Answers 401, 403, 404 and 410 within `failing_window` that we risk: the
    /// service bans who keeps failing, without a figure (1.5).
    pub failing_calls: usize,
    /// Of these, so many are left to system calls: who waits for a program is not to be shut out
    /// by the queue.
    pub failing_reserve: usize,
    /// See `failing_calls`.
    pub failing_window: Duration,
    /// Without a lock for so long, the rate of all calls rises by a step.
    pub quiet: Duration,
    /// Without a lock for so long, the rate of a kind of call rises by a step.
    pub kind_quiet: Duration,
    /// A download link opens so long after it was given (4.2: 5 min).
    pub link_opens: Duration,
    /// A download link that was opened gives ranges for so long (4.2: 30 min).
    pub link_resumes: Duration,
    /// One upload may last so long (3.5).
    pub upload_time: Duration,
    /// A listing may lag behind a change by so much (3.8, 10.13).
    pub listing_lag: Duration,
}

/// A listing with so many files may be cut off (API notes 2.1, 10.14).
pub const LISTING_CAP: usize = 5000;
/// Files in one call of a batch, well below what is known to work (10.18).
pub const BATCH: usize = 50;
/// Largest file, in bytes (3.5).
pub const FILE_SIZE: u64 = 300_000_000_000;
/// Largest upload request, in bytes of content (3.5).
pub const UPLOAD_SIZE: u64 = 500_000_000_000;
/// Most files in an upload request (3.2).
pub const UPLOAD_FILES: usize = 500;
/// Connections of an account, all together (4.4).
pub const CONNECTIONS: usize = 30;

impl Limits {
    /// The figures for the real service.
    pub fn real() -> Limits {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let hours = |n: u64| Duration::from_secs(n * 3600);
        Limits {
            rate: 2.0,
            burst: 3,
            burst_window: Duration::from_millis(1050),
            under_way: Duration::from_secs(5),
            highest_rate: 2.5,
            lowest_rate: 1.0,
            lowest_kind_rate: 0.25,
            careful_listing_rate: 1.0 / 3.0,
            background_listing_gap: Duration::from_secs(3),
            folder_gap: Duration::from_secs(30),
            all_files_gap: hours(1),
            account_gap: minutes(10),
            file_info_gap: Duration::from_millis(2500),
            first_lock: minutes(5),
            longest_lock: hours(1),
            address_lock: hours(1),
            location_lock: minutes(5),
            unpaid_gap: minutes(20),
            trial: Duration::from_secs(60),
            failing_calls: 5,
            failing_reserve: 2,
            failing_window: hours(1),
            quiet: hours(1),
            kind_quiet: hours(24 * 7),
            link_opens: minutes(4),
            link_resumes: minutes(25),
            upload_time: hours(4),
            listing_lag: minutes(2),
        }
    }

    /// The figures for a simulator that runs `scale` times as fast: windows are
    /// divided, rates multiplied. A scale that is not above zero counts as 1.
    pub fn scaled(scale: f64) -> Limits {
        let scale = if scale.is_finite() && scale > 0.0 {
            scale
        } else {
            1.0
        };
        let mut limits = Limits::real();
        for rate in [
            &mut limits.rate,
            &mut limits.highest_rate,
            &mut limits.lowest_rate,
            &mut limits.lowest_kind_rate,
            &mut limits.careful_listing_rate,
        ] {
            *rate *= scale;
        }
        for window in [
            &mut limits.burst_window,
            &mut limits.background_listing_gap,
            &mut limits.folder_gap,
            &mut limits.all_files_gap,
            &mut limits.account_gap,
            &mut limits.file_info_gap,
            &mut limits.first_lock,
            &mut limits.longest_lock,
            &mut limits.address_lock,
            &mut limits.location_lock,
            &mut limits.unpaid_gap,
            &mut limits.trial,
            &mut limits.failing_window,
            &mut limits.quiet,
            &mut limits.kind_quiet,
            &mut limits.link_opens,
            &mut limits.link_resumes,
            &mut limits.upload_time,
            &mut limits.listing_lag,
        ] {
            *window = window.div_f64(scale);
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_limits_stay_within_the_documented_ones() {
        let limits = Limits::real();
        assert!(limits.highest_rate <= 3.0 && limits.burst <= 3);
        assert!(limits.burst_window >= Duration::from_secs(1));
        assert!(limits.folder_gap >= Duration::from_secs(30));
        assert!(limits.account_gap >= Duration::from_secs(300));
        assert!(limits.link_opens < Duration::from_secs(300));
        assert!(limits.link_resumes < Duration::from_secs(1800));
        // The highest rate must not be made impossible by the burst wall.
        let wall = f64::from(limits.burst) / limits.burst_window.as_secs_f64();
        assert!(wall >= limits.highest_rate);
    }

    #[test]
    fn a_scale_divides_windows_and_multiplies_rates() {
        let limits = Limits::scaled(60.0);
        assert_eq!(limits.rate, 120.0);
        assert_eq!(limits.folder_gap, Duration::from_millis(500));
        assert_eq!(limits.failing_calls, Limits::real().failing_calls);
        assert_eq!(Limits::scaled(0.0), Limits::real());
        assert_eq!(Limits::scaled(f64::NAN), Limits::real());
    }
}
