//! The simulator as a client sees it: real HTTP against a started one.

mod client;
mod control;
mod endpoints;
mod faults;
mod limits;
mod model;
mod tls;
mod transfer;
