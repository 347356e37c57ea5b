//! The journal's workers: order, batches, commit, recovery.
