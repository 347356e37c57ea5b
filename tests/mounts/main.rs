//! Tests over real mounts of the program, against the simulated service. What they
//! need, `tests/setup` installs; without it they fail.

mod harness;
mod semantics;
mod workflows;
