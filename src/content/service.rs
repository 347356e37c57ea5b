//! The real origin: the one place where this room touches the `api` room. It
//! sorts the many errors of the service into the few that a download reacts to.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use parking_lot::Mutex;

use super::error::{ContentError, Reason};
use super::origin::{Chunks, Fault, Link, Need, Origin};
use crate::api::{Address, Api, ApiError, Ask, Class, DownloadUrl, LinkFault};
use crate::ids::{FileId, Time};
use crate::store::Asked;

/// A link of the service, with the client that can open it.
struct ServiceLink {
    api: Api,
    url: DownloadUrl,
}

/// How files are asked for.
pub trait Reach: Send + Sync + 'static {
    /// How a file is asked for now; looked up once for each link.
    fn address(&self, file: &FileId, by: Instant) -> BoxFuture<'static, Result<Address, NoWay>>;

    /// Whether the service gives it only to who knows a password.
    fn needs_password(&self, file: &FileId) -> bool;
}

/// Why a file is not even asked for.
#[derive(Clone, Debug)]
pub enum NoWay {
    /// Its folder no longer shows it.
    Gone,
    /// It is behind a password, and there is none.
    NoPassword,
    /// Whether it is the same file still cannot be found out now.
    Unknown(String),
}

/// By their links.
struct ByLink;

impl Reach for ByLink {
    fn address(&self, file: &FileId, _: Instant) -> BoxFuture<'static, Result<Address, NoWay>> {
        std::future::ready(Ok(file.into())).boxed()
    }

    fn needs_password(&self, _: &FileId) -> bool {
        false
    }
}

/// The service, as the origin of bytes.
pub struct Service {
    api: Api,
    reach: Arc<dyn Reach>,
    password: Arc<Mutex<Fared>>,
    /// When it began: passwords leave no trace that outlasts it.
    begun: Time,
}

impl Service {
    /// Where files are asked for in other ways than by their links.
    pub fn reaching(api: Api, reach: impl Reach) -> Service {
        Service {
            api,
            reach: Arc::new(reach),
            password: Arc::default(),
            begun: Time::now(),
        }
    }

    /// The client that is asked.
    pub(super) fn api(&self) -> &Api {
        &self.api
    }
}

impl From<Api> for Service {
    /// Every file is asked for by its link.
    fn from(api: Api) -> Service {
        Service::reaching(api, ByLink)
    }
}

/// How our password fared. Failing calls count against us, so files that may have another are
/// not all asked for in vain.
#[derive(Default)]
struct Fared {
    opened: HashSet<FileId>,
    refused: Vec<Instant>,
}

impl Fared {
    /// Files that refuse it within the window, after which it is sent for none but those that it
    /// opened.
    const REFUSALS: usize = 2;

    fn may_try(&mut self, id: &FileId, window: Duration) -> bool {
        self.refused.retain(|at| at.elapsed() < window);
        self.refused.len() < Fared::REFUSALS || self.opened.contains(id)
    }

    fn note(&mut self, id: FileId, outcome: &Result<DownloadUrl, ApiError>) {
        match outcome {
            Ok(_) => drop(self.opened.insert(id)),
            Err(ApiError::Password(_)) => self.refused.push(Instant::now()),
            Err(_) => {}
        }
    }
}

impl Origin for Service {
    fn link(
        &self,
        id: &FileId,
        need: Need,
        deadline: Instant,
    ) -> BoxFuture<'static, Result<Arc<dyn Link>, Fault>> {
        let (api, fared) = (self.api.clone(), Arc::clone(&self.password));
        let id = id.clone();
        let address = self.reach.address(&id, deadline);
        let class = match need {
            Need::Reader => Class::Interactive,
            Need::Upload => Class::Upload,
            Need::Nobody => Class::Background,
        };
        async move {
            let address = address.await.map_err(fault_of_way)?;
            let with_password = address.has_password();
            let window = api.limits().failing_window;
            if with_password && !fared.lock().may_try(&id, window) {
                return Err(refused(&"file_password was refused for other files"));
            }
            let token = api
                .download_token(address, Ask::until(class, deadline))
                .await;
            if with_password {
                fared.lock().note(id, &token);
            }
            let url = token.map_err(fault_of_link)?;
            Ok(Arc::new(ServiceLink { api, url }) as Arc<dyn Link>)
        }
        .boxed()
    }

    fn asked(&self, id: &FileId) -> Asked {
        let mut with = self.api.keys().get().map(|key| key.print());
        if self.reach.needs_password(id) {
            with.get_or_insert_default()
                .push_str(&self.begun.0.to_string());
        }
        Asked::file(id.as_str(), &with.unwrap_or_default())
    }
}

const ASK_FOR_IT: &str =
    "Ask its owner for the password, give it as file_password, and mount again.";

fn refused(why: &dyn std::fmt::Display) -> Fault {
    Fault::Final(ContentError::Refused(Reason::new(why, ASK_FOR_IT)))
}

fn fault_of_way(no: NoWay) -> Fault {
    match no {
        NoWay::NoPassword => refused(&"it is behind a password"),
        NoWay::Gone => {
            let reason = Reason::new(&"its folder no longer shows it", "Refresh the folder.");
            Fault::Final(ContentError::Gone(reason))
        }
        NoWay::Unknown(why) => {
            let advice = "Try again later: its folder has to be listed first.";
            Fault::Final(ContentError::Held(Reason::new(&why, advice)))
        }
    }
}

impl Link for ServiceLink {
    fn open(&self, range: Range<u64>, size: u64) -> BoxFuture<'static, Result<Chunks, Fault>> {
        let (api, url) = (self.api.clone(), self.url.clone());
        async move {
            api.open_range(&url, range, size)
                .map_ok(|stream| stream.map_err(fault_of_data).boxed())
                .map_err(fault_of_data)
                .await
        }
        .boxed()
    }
}

/// Sorts an error of `get_token` (API notes 4.1).
fn fault_of_link(error: ApiError) -> Fault {
    let reason = Reason::new(&error, error.advice());
    match error {
        ApiError::NotFound(_) => Fault::Final(ContentError::Gone(reason)),
        ApiError::NotAllowed(_)
        | ApiError::OwnerLocked(_)
        | ApiError::Password(_)
        | ApiError::Host(_)
        | ApiError::Refused(_)
        | ApiError::Misuse(_) => Fault::Final(ContentError::Refused(reason)),
        ApiError::NoKey => Fault::Final(ContentError::NoKey(reason)),
        ApiError::Unreachable(_)
        | ApiError::Transient(_)
        | ApiError::Unparsable(_)
        | ApiError::Link(_) => Fault::Again(reason),
        // Locks, our own pace, the key, the account, the network: asking again
        // within the reader's patience changes nothing and may make it worse.
        _ => Fault::Final(ContentError::Held(reason)),
    }
}

/// Sorts an error of a download host (API notes 4.3).
fn fault_of_data(error: ApiError) -> Fault {
    let reason = Reason::new(&error, error.advice());
    match error {
        ApiError::Link(LinkFault::Refused(_) | LinkFault::Page) => Fault::BadLink(reason),
        // A host that ignores the range or sends another one may do better at
        // the next request; the link is not at fault.
        _ => Fault::Again(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_link_and_a_page_call_for_a_new_link_and_the_rest_for_another_try() {
        for error in [LinkFault::Refused(404), LinkFault::Page] {
            assert!(matches!(
                fault_of_data(ApiError::Link(error)),
                Fault::BadLink(_)
            ));
        }
        for error in [LinkFault::RangeIgnored, LinkFault::WrongRange] {
            assert!(matches!(
                fault_of_data(ApiError::Link(error)),
                Fault::Again(_)
            ));
        }
    }

    #[test]
    fn a_password_is_sent_on_where_it_opened_a_file_and_a_few_times_in_vain() {
        const HOUR: Duration = Duration::from_secs(3600);
        let [mine, other]: [FileId; 2] = ["aaaaa", "bbbbb"].map(|id| id.parse().unwrap());
        let mut fared = Fared::default();
        fared.refused.push(Instant::now());
        // One file with another password does not shut out the rest.
        assert!(fared.may_try(&mine, HOUR));
        fared.opened.insert(mine.clone());
        fared.refused.push(Instant::now());
        assert!(fared.may_try(&mine, HOUR));
        assert!(!fared.may_try(&other, HOUR));
        assert!(fared.may_try(&other, Duration::ZERO), "later");
    }

    #[test]
    fn what_stops_all_calls_ends_the_wait() {
        assert!(matches!(
            fault_of_link(ApiError::NoKey),
            Fault::Final(ContentError::NoKey(_))
        ));
    }
}
