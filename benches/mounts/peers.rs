//! The programs that are compared, in the order of the tables.

use super::fichierfs::Fichierfs;
use super::peer::Peer;
use super::rclone::Rclone;

/// fichierfs with its defaults.
pub static OURS: Fichierfs = Fichierfs::plain();
/// rclone with its defaults.
pub static A: Rclone = Rclone::Default;
/// rclone at its best.
pub static B: Rclone = Rclone::Streams;

/// All three.
pub fn all() -> [&'static dyn Peer; 3] {
    [&OURS, &A, &B]
}

/// Where the flags of (b) make no difference, or a row would take too long.
pub fn two() -> [&'static dyn Peer; 2] {
    [&OURS, &A]
}
