//! Why the API refuses, with message and status.

use crate::sim::account::Refusal;
use crate::sim::limits::Locked;
use crate::sim::quirks::RefusalStyle;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A refused call (API notes 1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The model refuses.
    Refused(Refusal),
    /// The limits refuse.
    Locked(Locked),
    /// No key.
    NotAuthenticated,
    /// An unknown key.
    NoSuchUser,
    /// A free account.
    NotCustomer,
    /// The account is in use from another address.
    Location,
    /// The header is missing.
    ContentType,
    /// The body is no JSON object.
    BadJson,
    /// Not POST.
    Method,
    /// Too many items in one call.
    Batch,
    /// The scan found something; the file is gone.
    Infected,
    /// A fault's words.
    Fault {
        /// HTTP status.
        status: u16,
        /// The text.
        message: String,
    },
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        ApiError::Refused(refusal)
    }
}

impl From<Locked> for ApiError {
    fn from(locked: Locked) -> Self {
        ApiError::Locked(locked)
    }
}

impl ApiError {
    /// Whether this is a lock or ban.
    pub fn is_lock(&self) -> bool {
        matches!(self, ApiError::Locked(_))
    }

    /// The HTTP status (API notes 10.1).
    pub fn status(&self, style: RefusalStyle) -> u16 {
        let status = match self {
            ApiError::Fault { status, .. } => return *status,
            ApiError::Refused(refusal) => refusal.status(),
            ApiError::NotAuthenticated => 401,
            ApiError::Locked(_)
            | ApiError::NoSuchUser
            | ApiError::NotCustomer
            | ApiError::Location => 403,
            ApiError::ContentType | ApiError::BadJson | ApiError::Batch => 400,
            ApiError::Method => 405,
            ApiError::Infected => 200,
        };
        match style {
            RefusalStyle::Mixed => status,
            RefusalStyle::All403 if status == 200 => 403,
            RefusalStyle::All403 => status,
            RefusalStyle::All200 => 200,
        }
    }

    /// The text. The numbers of locks change from one to the next, as seen.
    pub fn message(&self, random: &mut StdRng) -> String {
        let text = match self {
            ApiError::Refused(refusal) => return refusal.to_string(),
            ApiError::Fault { message, .. } => return message.clone(),
            ApiError::Locked(Locked::Ip) => {
                let number = [38, 374, 412, 1032].choose(random).copied().unwrap_or(374);
                return format!("Flood detected: IP Locked #{number}");
            }
            ApiError::Locked(Locked::User) => "Flood detected: User Locked #218",
            ApiError::Locked(Locked::Key) => "Flood detected: User APK Locked #221",
            ApiError::Locked(Locked::Banned) => "IP Locked #79",
            ApiError::NotAuthenticated => "Not authenticated #61",
            ApiError::NoSuchUser => "No such user #93",
            ApiError::NotCustomer => "Must be a customer (Premium, Access) #236",
            ApiError::Location => "Only 1 location allowed at a time #887",
            ApiError::ContentType => "Content-Type not JSON #24",
            ApiError::BadJson => "Invalid JSON #31",
            ApiError::Method => "Method not allowed #22",
            ApiError::Batch => "Too many items #141",
            ApiError::Infected => "Virus found, file removed #512",
        };
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_styles_of_status() {
        let logical = ApiError::Refused(Refusal::NotEmpty);
        let missing = ApiError::Refused(Refusal::FileNotFound);
        let statuses = |style| (logical.status(style), missing.status(style));
        assert_eq!(statuses(RefusalStyle::Mixed), (200, 404));
        assert_eq!(statuses(RefusalStyle::All403), (403, 404));
        assert_eq!(statuses(RefusalStyle::All200), (200, 200));
    }
}
