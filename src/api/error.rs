//! What can go wrong with a call, told apart by the service's words.
//!
//! Which answer becomes which error is decided in [`super::classify`].

use std::fmt;

use jiff::Timestamp;

use super::Why;

/// Why a call of the service did not give what was asked for.
///
/// No variant holds a secret: neither the key nor a download link.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Not sent: our own pace holds this call back until then.
    #[error("not asked: {why}, until {until}")]
    Waiting {
        /// What holds it back.
        why: Why,
        /// When it may be tried again.
        until: Timestamp,
    },
    /// Not sent: there is no key.
    #[error("there is no API key")]
    NoKey,
    /// Too many calls: the service locked this kind of call for a while.
    #[error("the service counts too many calls ({scope}): {said}")]
    Flood {
        /// Who is locked.
        scope: FloodScope,
        /// The service's words.
        said: Said,
    },
    /// The harder lock: `IP Locked` without "flood".
    #[error("the service locked this address: {0}")]
    Locked(Said),
    /// The account is in use from another address.
    #[error("the account is in use from another address: {0}")]
    Location(Said),
    /// A free or expired account.
    #[error("not a paying account: {0}")]
    NotACustomer(Said),
    /// The key is unknown to the service.
    #[error("the API key was refused: {0}")]
    KeyRefused(Said),
    /// No such file or folder.
    #[error("the service does not know it: {0}")]
    NotFound(Said),
    /// Private, or restricted to others.
    #[error("not allowed: {0}")]
    NotAllowed(Said),
    /// The owner of the file is banned.
    #[error("the owner of the file is locked: {0}")]
    OwnerLocked(Said),
    /// A password is needed, or the one given is wrong.
    #[error("a password is needed: {0}")]
    Password(Said),
    /// The service, or we before it, refused a name.
    #[error("the name is refused: {0}")]
    RefusedName(Said),
    /// A folder that still holds something.
    #[error("the folder is not empty: {0}")]
    NotEmpty(Said),
    /// A rename that changed nothing: the name was the same, or refused.
    #[error("nothing was changed: {0}")]
    Unchanged(Said),
    /// No room left in the account, or uploads forbidden.
    #[error("the account is full or may not upload: {0}")]
    Quota(Said),
    /// The service is being worked on.
    #[error("the service is in maintenance: {0}")]
    Maintenance(Said),
    /// An HTML page instead of an answer, as given to VPNs and data centres.
    #[error("the service refuses this network (VPN, proxy or data centre): {0}")]
    Datacenter(Said),
    /// An answer that makes no sense: the state is unknown, never "empty".
    #[error("the answer of the service cannot be read: {0}")]
    Unparsable(Said),
    /// No connection came about, so that nothing was sent: worth another try later.
    #[error("the service cannot be reached: {0}")]
    Unreachable(Said),
    /// Server trouble, a broken connection, a timeout: worth another try later.
    #[error("the service cannot be reached: {0}")]
    Transient(Said),
    /// The service named a host that we do not speak to.
    #[error("the service sent us to a host that is not its own: {0}")]
    Host(Said),
    /// A download link does not give the bytes: it is used up, or something
    /// answers in its place. A new one may.
    #[error("the download link does not work: {0}")]
    Link(LinkFault),
    /// Refused with words that we do not know.
    #[error("refused: {0}")]
    Refused(Said),
    /// A call that we do not even send, because it breaks a documented limit.
    #[error("not sent: {0}")]
    Misuse(&'static str),
}

/// What a download host did instead of sending the range (API notes 4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkFault {
    /// Refused, missing or expired.
    #[error("refused with status {0}")]
    Refused(u16),
    /// A page, or a redirection to one.
    #[error("a page instead of the file")]
    Page,
    /// A whole file instead of the range, of another size or too long to skip through.
    #[error("the range was ignored")]
    RangeIgnored,
    /// Another range, or a file of another size.
    #[error("another range or size than asked for")]
    WrongRange,
}

/// Who is locked by a flood lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FloodScope {
    /// The address.
    Ip,
    /// The account.
    User,
    /// The API key.
    Key,
    /// Not said.
    Unknown,
}

impl fmt::Display for FloodScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FloodScope::Ip => "by address",
            FloodScope::User => "by account",
            FloodScope::Key => "by key",
            FloodScope::Unknown => "no reason given",
        })
    }
}

/// The service's words, made safe to print: one line, no control characters,
/// of a bounded length; with the HTTP status if there was one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    status: Option<u16>,
    text: Box<str>,
}

/// Longest quotation of the service, in characters.
const LONGEST_QUOTE: usize = 300;

impl Said {
    pub(super) fn new(status: Option<u16>, text: &str) -> Said {
        let mut quoted = String::new();
        for c in text.trim().chars().take(LONGEST_QUOTE) {
            // Direction marks can make a terminal show something else than the
            // bytes say, as control characters can.
            if c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
                quoted.extend(c.escape_default());
            } else {
                quoted.push(c);
            }
        }
        Said {
            status,
            text: quoted.into(),
        }
    }

    /// Our own words, where the service said nothing.
    pub(super) fn ours(text: &str) -> Said {
        Said::new(None, text)
    }

    /// The HTTP status that came with it, if any.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The words.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &*self.text) {
            (Some(status), "") => write!(f, "HTTP status {status}"),
            (Some(status), text) => write!(f, "{text} (HTTP status {status})"),
            (None, text) => f.write_str(text),
        }
    }
}

impl ApiError {
    /// What the service means that did others of an array and says nothing of this one.
    pub fn left_out() -> ApiError {
        ApiError::Unchanged(Said::ours("the service left it out"))
    }

    /// What a person should do about it, in one sentence.
    pub fn advice(&self) -> &'static str {
        match self {
            ApiError::Waiting { .. } => {
                "Wait: fichierfs keeps silent so that the service does not lock the account."
            }
            ApiError::NoKey => {
                "Run `fichierfs init`, or set FICHIERFS_API_KEY; the key is on https://1fichier.com/console/params.pl."
            }
            ApiError::Flood { .. } => {
                "Wait: fichierfs keeps silent for a while and slows down. Other programs with this account count too."
            }
            ApiError::Locked(_) => {
                "Wait an hour: fichierfs stays silent meanwhile. Stop other programs that use the service from this address."
            }
            ApiError::Location(_) => {
                "Stop using the account from other places (another computer, a VPN, IPv4 beside IPv6), and wait some minutes."
            }
            ApiError::NotACustomer(_) => {
                "The API needs a Premium or Access subscription: see https://1fichier.com/console/index.pl."
            }
            ApiError::KeyRefused(_) => {
                "Run `fichierfs init`, with a new key from https://1fichier.com/console/params.pl or with the same, should it be good again. Nothing is asked of the service until then."
            }
            ApiError::NotFound(_) => "It was removed on the service; refresh the folder.",
            ApiError::NotAllowed(_) => {
                "Ask the owner for access, or check the restrictions of the API key on the service's site."
            }
            ApiError::OwnerLocked(_) => {
                "The service blocks the owner of this file; ask its support."
            }
            ApiError::Password(_) => {
                "Set the file's password on the service's site to empty, or ask for it."
            }
            ApiError::RefusedName(_) => "Use another name.",
            ApiError::NotEmpty(_) => {
                "Remove what is in the folder first; refresh it to see what others put there."
            }
            ApiError::Unchanged(_) => {
                "Refresh the folder: the name may already be what you want, or be refused."
            }
            ApiError::Quota(_) => {
                "Free some room or extend the account on https://1fichier.com/console/index.pl; queued uploads wait."
            }
            ApiError::Maintenance(_) => {
                "Wait: the service says it is being worked on. Queued uploads wait too."
            }
            ApiError::Datacenter(_) => {
                "Leave the VPN or proxy, or see https://1fichier.com/network.html for what this network needs."
            }
            ApiError::Unparsable(_) => {
                "Try again later; if it stays, please report it with the log."
            }
            ApiError::Unreachable(_) | ApiError::Transient(_) => {
                "Check the network; it is tried again by itself."
            }
            ApiError::Host(_) => {
                "Nothing was sent there. If it stays, please report it with the log."
            }
            ApiError::Link(_) => {
                "It is tried again with a new link; if it stays, see https://1fichier.com/network.html."
            }
            ApiError::Refused(_) => "The service gave no known reason; see its site.",
            ApiError::Misuse(_) => "Please report it.",
        }
    }

    /// Whether its status is one that the service punishes when it comes often (API notes 1.5).
    pub fn counts(&self) -> bool {
        let said = match self {
            ApiError::Refused(said)
            | ApiError::NotFound(said)
            | ApiError::NotAllowed(said)
            | ApiError::OwnerLocked(said)
            | ApiError::Password(said) => said,
            _ => return false,
        };
        matches!(said.status(), Some(401 | 403 | 404 | 410))
    }

    /// Whether the service may have done what it was asked for all the same.
    pub fn may_be_done(&self) -> bool {
        matches!(
            self,
            ApiError::Transient(_)
                | ApiError::Unparsable(_)
                | ApiError::Maintenance(_)
                | ApiError::Datacenter(_)
        )
    }

    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            ApiError::Waiting { .. }
                | ApiError::Flood { .. }
                | ApiError::Locked(_)
                | ApiError::Location(_)
                | ApiError::Maintenance(_)
                | ApiError::Unparsable(_)
                | ApiError::Unreachable(_)
                | ApiError::Transient(_)
                | ApiError::Link(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_one_bounded_line_without_control_characters() {
        let said = Said::new(Some(403), "a\u{1b}[31m\nb\u{202e}\u{85}c");
        assert_eq!(
            said.to_string(),
            "a\\u{1b}[31m\\nb\\u{202e}\\u{85}c (HTTP status 403)"
        );
        assert_eq!(
            Said::new(None, &"x".repeat(5000)).text().len(),
            LONGEST_QUOTE
        );
    }
}
