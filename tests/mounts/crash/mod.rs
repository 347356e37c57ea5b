//! The daemon is killed and the power is cut, at any moment, and disks fail: what was
//! accepted is there afterwards, once, here and in the account.

mod disk;
mod disks;
mod kills;
mod power;
mod races;
mod work;
