//! Which error a failed answer is: by its text where that is known, else by its
//! form and status.
//!
//! The number behind a message (`#412`) is no code: one message comes with
//! several (API notes 1.5). So a refusal is recognised by its text, whatever
//! HTTP status it came with, and the status is asked only where the text says
//! nothing. A page is never a statement about a file or the key: something
//! other than the API wrote it.

use super::{ApiError, FloodScope, Said};

/// The form of an answer's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Json,
    Html,
    Other,
}

/// Makes the error of a class from what the service said.
type Class = fn(Said) -> ApiError;

/// Texts of the service, in lower case and without number, with what they mean;
/// the first that occurs decides, so the longer come before those they contain.
const TEXTS: &[(&str, Class)] = &[
    ("flood detected: ip locked", |said| ApiError::Flood {
        scope: FloodScope::Ip,
        said,
    }),
    ("flood detected: user apk locked", |said| ApiError::Flood {
        scope: FloodScope::Key,
        said,
    }),
    ("flood detected: user locked", |said| ApiError::Flood {
        scope: FloodScope::User,
        said,
    }),
    ("flood detected", |said| ApiError::Flood {
        scope: FloodScope::Unknown,
        said,
    }),
    ("owner locked", ApiError::OwnerLocked),
    ("ip locked", ApiError::Locked),
    ("ip blocked", ApiError::Locked),
    ("only 1 location", ApiError::Location),
    ("must be a customer", ApiError::NotACustomer),
    ("not authenticated", ApiError::KeyRefused),
    ("no such user", ApiError::KeyRefused),
    ("bad token", ApiError::KeyRefused),
    ("password not provided", ApiError::Password),
    ("invalid password", ApiError::Password),
    ("resource not found", ApiError::NotFound),
    ("resource not allowed", ApiError::NotAllowed),
    ("no file has been renamed", ApiError::Unchanged),
    ("no file has been moved", ApiError::Unchanged),
    // From here on the wording is not recorded (API notes 10): likely words.
    ("non-empty", ApiError::NotEmpty),
    ("not empty", ApiError::NotEmpty),
    ("quota", ApiError::Quota),
    ("upload forbidden", ApiError::Quota),
    ("uploads forbidden", ApiError::Quota),
    ("maintenance", ApiError::Maintenance),
    ("invalid name", ApiError::RefusedName),
    ("invalid filename", ApiError::RefusedName),
    ("invalid folder name", ApiError::RefusedName),
    ("forbidden character", ApiError::RefusedName),
    ("name not allowed", ApiError::RefusedName),
    ("name too long", ApiError::RefusedName),
];

/// What a failed answer means.
pub(super) fn class_of(status: u16, form: Form, message: &str) -> ApiError {
    let said = Said::new(Some(status), message);
    if form == Form::Html {
        return match status {
            503 => ApiError::Maintenance(said),
            500..=599 => ApiError::Transient(said),
            403 => ApiError::Datacenter(said),
            429 => flood(said),
            _ => ApiError::Unparsable(said),
        };
    }
    let lower = message.to_lowercase();
    if let Some((_, class)) = TEXTS.iter().find(|(text, _)| lower.contains(text)) {
        return class(said);
    }
    match (status, form) {
        (500..=599, _) => ApiError::Transient(said),
        (429, _) => flood(said),
        // Without JSON it was not the API that spoke: nothing is known.
        (_, Form::Other) => ApiError::Unparsable(said),
        (401, _) => ApiError::KeyRefused(said),
        (404 | 410, _) => ApiError::NotFound(said),
        _ => ApiError::Refused(said),
    }
}

fn flood(said: Said) -> ApiError {
    ApiError::Flood {
        scope: FloodScope::Unknown,
        said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(error: &ApiError) -> String {
        let debug = format!("{error:?}");
        debug
            .split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn every_known_message_has_its_class_whatever_its_number_and_status() {
        let table = [
            ("Flood detected: IP Locked #38", 403, "Flood"),
            ("Flood detected: IP Locked #374", 403, "Flood"),
            ("Flood detected: IP Locked #1032", 200, "Flood"),
            ("Flood detected: User Locked #218", 403, "Flood"),
            ("Flood detected: User APK Locked #1", 403, "Flood"),
            ("IP Locked #79", 403, "Locked"),
            ("ip locked", 200, "Locked"),
            ("Not authenticated #24", 401, "KeyRefused"),
            ("Not authenticated #24", 403, "KeyRefused"),
            ("No such user #93", 403, "KeyRefused"),
            ("IP blocked? #186", 403, "Locked"),
            ("Bad token", 403, "KeyRefused"),
            (
                "Must be a customer (Premium, Access) #200",
                403,
                "NotACustomer",
            ),
            (
                "Must be a customer (Premium, Access) #236",
                403,
                "NotACustomer",
            ),
            ("Owner locked #649", 403, "OwnerLocked"),
            ("Only 1 location allowed at a time #887", 403, "Location"),
            ("Resource not found #469", 404, "NotFound"),
            ("Resource not found #469", 200, "NotFound"),
            ("Resource not allowed #631", 403, "NotAllowed"),
            (
                "Password not provided. Resource not allowed #1",
                403,
                "Password",
            ),
            ("Invalid password. Resource not allowed #1", 403, "Password"),
            ("No file has been renamed #312", 200, "Unchanged"),
            ("No file has been moved #287", 200, "Unchanged"),
            ("Content-Type not JSON #24", 400, "Refused"),
            ("Can't remove non-empty dir", 200, "NotEmpty"),
            ("Quota exceeded", 200, "Quota"),
            ("", 401, "KeyRefused"),
            ("", 404, "NotFound"),
            ("", 410, "NotFound"),
            ("", 429, "Flood"),
            ("", 500, "Transient"),
            ("", 509, "Transient"),
            ("something new #7", 403, "Refused"),
        ];
        for (message, status, class) in table {
            assert_eq!(
                name(&class_of(status, Form::Json, message)),
                class,
                "{status} {message}"
            );
        }
    }

    #[test]
    fn a_page_is_never_taken_for_a_statement_about_the_file_or_the_key() {
        for (status, class) in [
            (200, "Unparsable"),
            (401, "Unparsable"),
            (404, "Unparsable"),
            (410, "Unparsable"),
            (403, "Datacenter"),
            (503, "Maintenance"),
            (502, "Transient"),
        ] {
            let error = class_of(status, Form::Html, "Resource not found");
            assert_eq!(name(&error), class, "{status}");
        }
        assert_eq!(name(&class_of(404, Form::Other, "")), "Unparsable");
        assert_eq!(name(&class_of(401, Form::Other, "")), "Unparsable");
    }
}
