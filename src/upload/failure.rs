//! Whether a failed call is worth another try. Pure.

use std::time::Duration;

use crate::api::ApiError;

/// What a failure means for an intent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It passes by itself: the network, a lock, maintenance.
    Passing,
    /// The service will say the same again.
    Permanent,
}

/// What `error` means for the intent behind the call. A refused key, a full
/// account or a used-up subscription pass for the queue: nothing in it is wrong,
/// and it goes on once the user has mended the cause.
pub fn judge(error: &ApiError) -> Failure {
    let cause_elsewhere = matches!(
        error,
        ApiError::NoKey
            | ApiError::KeyRefused(_)
            | ApiError::NotACustomer(_)
            | ApiError::Quota(_)
            | ApiError::Datacenter(_)
            | ApiError::Host(_)
    );
    if error.is_passing() || cause_elsewhere {
        Failure::Passing
    } else {
        Failure::Permanent
    }
}

/// Whether it is trouble of the whole service, of the line or of the key, of which any answer
/// tells that it is over.
pub fn is_general(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::Unreachable(_)
            | ApiError::Transient(_)
            | ApiError::Unparsable(_)
            | ApiError::Maintenance(_)
            | ApiError::Datacenter(_)
            | ApiError::NoKey
            | ApiError::KeyRefused(_)
    )
}

/// Whether one refused object may refuse the array. That one is not known the folder tells
/// that they were in.
pub fn is_about_one(error: &ApiError) -> bool {
    judge(error) == Failure::Permanent && !matches!(error, ApiError::NotFound(_))
}

/// First wait after a failure.
const FIRST: Duration = Duration::from_secs(5);
/// Longest wait; retries never end.
const LONGEST: Duration = Duration::from_secs(600);

/// How long to wait after the `attempts`-th failure.
pub fn back_off(attempts: u32) -> Duration {
    let doubled = 1u32
        .checked_shl(attempts.saturating_sub(1).min(16))
        .unwrap_or(u32::MAX);
    FIRST.saturating_mul(doubled).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_at_ten_minutes() {
        assert_eq!(back_off(1), Duration::from_secs(5));
        assert_eq!(back_off(2), Duration::from_secs(10));
        assert_eq!(back_off(8), LONGEST);
        assert_eq!(back_off(u32::MAX), LONGEST);
    }
}
