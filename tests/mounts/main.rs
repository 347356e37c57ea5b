//! Tests over real mounts of the program, against the simulated service. What they
//! need, `tests/setup` installs; without it they fail.

mod checks;
mod copying;
mod crash;
mod faults;
mod first_contact;
mod flushing;
mod foreign;
mod harness;
mod local_names;
mod open_questions;
mod passthrough;
mod pinning;
mod reading;
mod secrets;
mod semantics;
mod shares;
mod sharing;
mod watching;
mod workflows;
mod writing;
