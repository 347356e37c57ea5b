//! `simulate`: the simulator of the service as a program of its own.

use super::exit::{Exit, Failure};
use super::{Outcome, log};
use crate::config::{LogFormat, LogLevel};
use crate::sim::{self, SimulateArgs};

pub(super) async fn run(args: SimulateArgs) -> Outcome {
    let _ = log::start(LogLevel::Info, LogFormat::Text, log::Target::Stderr)?;
    match sim::run(args).await {
        Ok(_) => Ok(Exit::Done),
        Err(error) => Err(Failure::of(&error)),
    }
}
