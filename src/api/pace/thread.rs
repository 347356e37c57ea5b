//! The thread that applies the rules: it alone in this process reads and
//! writes the state, so it needs no lock but the file's.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::call::Standing;
use super::file::{Keep, StateFile};
use super::rules::{self, Decision, Report, Why};
use super::state::{Micros, State};
use super::{ApiError, Call, Class, PaceStatus, Permit, Said, timestamp};
use crate::api::limits::Limits;

/// A call that waits for its turn.
pub(super) struct Waiter {
    pub class: Class,
    pub since: Instant,
    pub deadline: Instant,
    /// Handed out when the time has come. It travels as a whole, so that one whose
    /// asker is gone by then is given back by being dropped.
    pub permit: Permit,
    pub reply: oneshot::Sender<Result<Permit, ApiError>>,
}

/// What the thread is asked.
pub(super) enum Message {
    Acquire(Waiter),
    Report {
        call: Call,
        sent: Micros,
        key: Option<String>,
        report: Report,
        noted: Option<oneshot::Sender<()>>,
    },
    Status(oneshot::Sender<PaceStatus>),
}

/// The thread's own.
pub(super) struct Worker {
    file: StateFile,
    limits: Limits,
    waiters: Vec<Waiter>,
    /// Permits out for calls that may fail.
    in_flight: usize,
    /// The last state, for when the file cannot be used: the limits then hold
    /// for this process alone, which is better than no call or no limit.
    memory: Option<State>,
    /// Whether `memory` knows more than the file.
    unsaved: bool,
}

/// The longest sleep, so that news from other processes is seen.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

impl Worker {
    pub fn new(file: StateFile, limits: Limits) -> Worker {
        Worker {
            file,
            limits,
            waiters: Vec::new(),
            in_flight: 0,
            memory: None,
            unsaved: false,
        }
    }

    /// Works until the last [`super::Pace`] is gone.
    pub fn run(mut self, messages: &Receiver<Message>) {
        let mut sleep = None;
        loop {
            let message = match sleep {
                None => match messages.recv() {
                    Ok(message) => Some(message),
                    Err(_) => return,
                },
                Some(time) => match messages.recv_timeout(time) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
            // Everything that has come in is done under one lock of the file.
            let batch = message.into_iter().chain(messages.try_iter()).collect();
            sleep = self.turn(batch);
        }
    }

    /// Does what is asked and grants what may go; returns how long to sleep.
    fn turn(&mut self, batch: Vec<Message>) -> Option<Duration> {
        let file = self.file.clone();
        let locked = file.lock();
        let stored = match &locked {
            Ok(_) if self.unsaved => Ok(self.memory.take()),
            Ok(locked) => locked.load(),
            Err(error) => Err(error.kind().into()),
        };
        // Read under the lock: two processes never see each other's future.
        let now = clock();
        let mut state = match stored {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(%error, "the record of calls cannot be read; this process counts alone");
                self.memory.take()
            }
        }
        .unwrap_or_else(|| State::begin(now));
        let lasting = state.lasting();
        rules::advance(&mut state, &self.limits, now);

        let mut asked = Vec::new();
        let mut noted = Vec::new();
        for message in batch {
            match message {
                Message::Acquire(waiter) => self.waiters.push(waiter),
                Message::Report {
                    call,
                    sent,
                    key,
                    report,
                    noted: reply,
                } => {
                    rules::report(
                        &mut state,
                        &self.limits,
                        &call,
                        sent,
                        key.as_deref(),
                        report,
                    );
                    if call.may_fail() {
                        self.in_flight = self.in_flight.saturating_sub(1);
                    }
                    noted.extend(reply);
                }
                Message::Status(reply) => asked.push(reply),
            }
        }
        let (granted, sleep) = self.grant_all(&mut state, now);

        let keep = match self.unsaved || state.lasting() != lasting {
            true => Keep::OverPowerCuts,
            false => Keep::Awake,
        };
        let saved = locked.and_then(|locked| locked.save(&state, keep));
        if let Err(error) = &saved
            && !self.unsaved
        {
            tracing::warn!(%error, "the record of calls cannot be written; this process counts alone");
        }
        self.unsaved = saved.is_err();
        // Only now may they leave: whoever is killed after that has them on record.
        for waiter in granted {
            if let Err(Ok(mut permit)) = waiter.reply.send(Ok(waiter.permit)) {
                // Nobody waits for it any more.
                permit.tell(rules::Report::not_sent(), None);
            }
        }
        for reply in noted {
            let _ = reply.send(());
        }
        for reply in asked {
            let _ = reply.send(PaceStatus::of(&state, &self.limits, self.waiters.len()));
        }
        self.memory = Some(state);
        sleep
    }

    /// Takes out every waiter whose time has come, best class first, with its permit armed;
    /// refuses those whose time comes too late. And how long to sleep for the others.
    fn grant_all(&mut self, state: &mut State, now: Micros) -> (Vec<Waiter>, Option<Duration>) {
        let here = Instant::now();
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.retain(|waiter| !waiter.reply.is_closed());
        waiters.sort_by_key(|waiter| {
            let waited = here.saturating_duration_since(waiter.since);
            (waiter.class.aged(waited), waiter.since)
        });
        let mut granted = Vec::new();
        let mut next: Option<Micros> = None;
        // Calls before this one that wait for nothing but the rate.
        let mut ahead = 0_u32;
        for mut waiter in waiters {
            let waited = here.saturating_duration_since(waiter.since);
            let decision = rules::decide(
                state,
                &self.limits,
                &waiter.permit.call,
                Standing::after(waiter.class, waited),
                waiter.permit.key.as_deref(),
                self.in_flight,
            );
            match decision {
                Decision::Go => {
                    rules::grant(state, &self.limits, &waiter.permit.call);
                    if waiter.permit.call.may_fail() {
                        self.in_flight += 1;
                    }
                    waiter.permit.arm(now);
                    granted.push(waiter);
                }
                Decision::KeyRefused => {
                    let said = Said::ours("it was refused before, nothing was asked");
                    let _ = waiter.reply.send(Err(ApiError::KeyRefused(said)));
                }
                Decision::Wait { until, why } => {
                    let queue = match why {
                        Why::Rate => f64::from(ahead) / (self.limits.rate * state.rate) * 1e6,
                        _ => 0.0,
                    };
                    let turn = until.saturating_add(queue as Micros);
                    let left = waiter.deadline.saturating_duration_since(here);
                    if turn - now > Micros::try_from(left.as_micros()).unwrap_or(Micros::MAX) {
                        let until = timestamp(turn);
                        let _ = waiter.reply.send(Err(ApiError::Waiting { why, until }));
                        continue;
                    }
                    if why == Why::Rate {
                        ahead += 1;
                    }
                    next = Some(next.map_or(until, |next| next.min(until)));
                    self.waiters.push(waiter);
                }
            }
        }
        let sleep = next.map(|next| {
            let wait = u64::try_from((next - now).max(1)).unwrap_or(1);
            Duration::from_micros(wait).min(LONGEST_SLEEP)
        });
        (granted, sleep)
    }
}

fn clock() -> Micros {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| Micros::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}
