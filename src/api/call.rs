//! How a call of the API is made: key, permit, request, judgement, report.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::classify::{Form, class_of};
use super::http::{Lost, Reached};
use super::pace::{Report, Verdict};
use super::wire::Envelope;
use super::{Api, ApiError, Ask, Call, Said, Script, http};
use crate::config::ApiKey;
use crate::ids::Time;

/// The largest JSON answer that is read, in bytes.
const LONGEST_JSON: usize = 64 << 20;
/// A call that only asks gets at least so long once it is sent: its permit is spent.
const LEAST_PATIENCE: Duration = Duration::from_secs(3);
/// A call that changes something is not given up early: what became of it
/// would not be known.
const CHANGE_PATIENCE: Duration = Duration::from_secs(90);
/// The antivirus takes its time.
const SCAN_PATIENCE: Duration = Duration::from_secs(600);

/// An answer as it came.
pub(super) struct Answer {
    pub status: u16,
    pub form: Form,
    pub body: bytes::Bytes,
}

impl Api {
    /// Calls a script of the API with a JSON body.
    pub(super) async fn call<R: DeserializeOwned>(
        &self,
        call: Call,
        ask: Ask,
        body: &impl Serialize,
    ) -> Result<R, ApiError> {
        let key = self.key()?;
        let url = self
            .shared
            .endpoints
            .call(&format!("{}.cgi", call.script.name()));
        let request = self
            .shared
            .http
            .api
            .post(url)
            .header(AUTHORIZATION, bearer(&key)?)
            .json(body);
        let asked = Time::now();
        let mut is_given = false;
        let answered = self
            .paced(call, ask, Some(&key), request, |answer| {
                is_given = gives(&answer);
                json(&answer)
            })
            .await;
        // Who asks for a node needs no key (API notes 1.2).
        let needs_key = call.script != Script::UploadServer;
        if answered.is_ok() {
            self.note_well();
            if needs_key {
                self.note_taken(&key);
            }
        }
        if is_given && needs_key {
            self.note_given(asked);
        }
        answered
    }

    /// The key, without which nothing is asked.
    pub(super) fn key(&self) -> Result<ApiKey, ApiError> {
        self.shared.keys.get().ok_or(ApiError::NoKey)
    }

    /// Makes a request under the pace and lets `judge` read the answer. The key is
    /// the one that an answer may refuse.
    pub(super) async fn paced<R>(
        &self,
        call: Call,
        ask: Ask,
        key: Option<&ApiKey>,
        request: RequestBuilder,
        judge: impl FnOnce(Answer) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        let print = key.map(ApiKey::print);
        let permit = self
            .shared
            .pace
            .acquire(call, ask, print.as_deref())
            .await?;
        let begun = Instant::now();
        let request = request.timeout(patience(call.script, &ask));
        let answer = self.exchange(request).await;
        let status = answer.as_ref().ok().map(|answer| answer.status);
        let reached = answer.as_ref().err().map(|lost| lost.reached);
        let result = answer.map_err(ApiError::from).and_then(judge);
        let verdict = match (reached, &result) {
            (Some(Reached::No), _) => Verdict::NotSent,
            (Some(Reached::MaybeLater), _) => Verdict::GivenUp,
            (_, Ok(_)) => Verdict::Answered,
            (_, Err(error)) => verdict(error),
        };
        permit.finish(Report { verdict, status }).await;
        tracing::debug!(
            call = call.script.name(),
            status,
            ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            error = result.as_ref().err().map(tracing::field::display),
            "asked the service"
        );
        result
    }

    /// Sends a request and reads the whole answer, whatever it is.
    pub(super) async fn exchange(&self, request: RequestBuilder) -> Result<Answer, Lost> {
        let response = self.shared.http.send(request).await?;
        let status = response.status().as_u16();
        let form = http::form(&response);
        let body = http::body(response, LONGEST_JSON)
            .await
            .map_err(|error| Lost {
                error,
                reached: Reached::Maybe,
            })?;
        Ok(Answer { status, form, body })
    }
}

/// The header that carries the key; marked so that no log prints it.
pub(super) fn bearer(key: &ApiKey) -> Result<HeaderValue, ApiError> {
    let mut text = zeroize::Zeroizing::new(String::from("Bearer "));
    text.push_str(key.expose());
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| ApiError::Misuse("the key cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// How long a call that is on its way may take.
fn patience(script: Script, ask: &Ask) -> Duration {
    match script {
        Script::FolderLs
        | Script::FileLs
        | Script::FileInfo
        | Script::Token
        | Script::Account
        | Script::UploadServer
        | Script::PublicFolder => ask
            .deadline
            .saturating_duration_since(Instant::now())
            .max(LEAST_PATIENCE),
        Script::FileScan => SCAN_PATIENCE,
        Script::FolderMkdir
        | Script::FolderMv
        | Script::FolderRm
        | Script::FolderShare
        | Script::FileMv
        | Script::FileCp
        | Script::FileRename
        | Script::FileRm
        | Script::FileChattr => CHANGE_PATIENCE,
    }
}

/// Reads a JSON answer. Success takes three things: a 2xx status, JSON, and no
/// "KO" in it (API notes 1.5).
pub(super) fn json<R: DeserializeOwned>(answer: &Answer) -> Result<R, ApiError> {
    let Answer { status, form, body } = answer;
    let unreadable = |error: serde_json::Error| {
        ApiError::Unparsable(Said::new(Some(*status), &error.to_string()))
    };
    if *form != Form::Json {
        let text = match form {
            Form::Html => page_title(body),
            _ => "neither JSON nor a page".to_owned(),
        };
        return Err(class_of(*status, *form, &text));
    }
    let success = (200..300).contains(status);
    let envelope = match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) => envelope,
        Err(error) if success => return Err(unreadable(error)),
        // A broken body tells less than its status.
        Err(_) => return Err(class_of(*status, Form::Other, "")),
    };
    if !success || envelope.is_refusal() {
        let message = envelope.message.unwrap_or_default();
        return Err(class_of(*status, *form, &message));
    }
    serde_json::from_slice(body).map_err(unreadable)
}

/// Whether the API gave what it was asked for, be it that it cannot be read: a name with a backslash
/// leaves no JSON (API notes 3.7). Of what is no JSON either way it must look as if it were that.
fn gives(answer: &Answer) -> bool {
    let Answer { status, form, body } = answer;
    let body = body.trim_ascii();
    if *form != Form::Json || !(200..300).contains(status) || !body.starts_with(b"{") {
        return false;
    }
    match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) => !envelope.is_refusal(),
        Err(_) => {
            let text = String::from_utf8_lossy(body).to_ascii_lowercase();
            text.ends_with('}') && !text.contains("\"ko\"")
        }
    }
}

/// What a page is about, for a log: its title or its beginning.
pub(super) fn page_title(body: &[u8]) -> String {
    let page = String::from_utf8_lossy(body.get(..4096).unwrap_or(body));
    let title = between(&page, "<title>", "</title>").unwrap_or("a page without a title");
    format!("page \"{}\"", title.trim())
}

/// What stands between two marks, in any case of letters.
pub(super) fn between<'a>(page: &'a str, open: &str, close: &str) -> Option<&'a str> {
    // ASCII lower case keeps every byte's place.
    let lower = page.to_ascii_lowercase();
    let start = lower.find(open)? + open.len();
    let end = start + lower.get(start..)?.find(close)?;
    page.get(start..end)
}

/// What a failure means to the pace.
fn verdict(error: &ApiError) -> Verdict {
    match error {
        ApiError::Flood { .. } => Verdict::Flood,
        ApiError::Locked(_) => Verdict::AddressLocked,
        ApiError::Location(_) => Verdict::Location,
        ApiError::NotACustomer(_) => Verdict::NotPaid,
        ApiError::KeyRefused(_) => Verdict::KeyRefused,
        ApiError::Unreachable(_)
        | ApiError::Transient(_)
        | ApiError::Unparsable(_)
        | ApiError::Maintenance(_)
        | ApiError::Datacenter(_) => Verdict::Nothing,
        _ => Verdict::Answered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    struct Got {
        n: u8,
    }

    fn judge(status: u16, form: Form, body: &str) -> Result<u8, ApiError> {
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        json::<Got>(&Answer { status, form, body }).map(|got| got.n)
    }

    #[test]
    fn success_takes_a_status_json_and_no_ko() {
        assert_eq!(
            judge(200, Form::Json, r#"{"status":"OK","n":1}"#).unwrap(),
            1
        );
        assert_eq!(judge(200, Form::Json, r#"{"n":1}"#).unwrap(), 1);
        let failed = |status, form, body| judge(status, form, body).unwrap_err();
        assert!(matches!(
            failed(
                200,
                Form::Json,
                r#"{"status":"KO","message":"Resource not found #469","n":1}"#
            ),
            ApiError::NotFound(_)
        ));
        assert!(matches!(
            failed(403, Form::Json, r#"{"status":"OK","n":1}"#),
            ApiError::Refused(_)
        ));
        for (status, form, body) in [
            (200, Form::Html, r#"{"n":1}"#),
            (200, Form::Other, r#"{"n":1}"#),
            (200, Form::Json, r#"{"n":"#),
            (200, Form::Json, "[]"),
            (200, Form::Json, ""),
            (200, Form::Json, r#"{"status":"OK"}"#),
            (404, Form::Json, "{"),
        ] {
            let error = failed(status, form, body);
            assert!(matches!(error, ApiError::Unparsable(_)), "{body}: {error}");
        }
    }

    #[test]
    fn what_is_given_may_be_unreadable() {
        let gives = |status, form, body: &'static str| {
            let body = bytes::Bytes::from_static(body.as_bytes());
            super::gives(&Answer { status, form, body })
        };
        for body in [r#"{"status":"OK"}"#, "{}", r#"{"status":"OK","n":"\ "}"#] {
            assert!(gives(200, Form::Json, body), "{body}");
            assert!(!gives(403, Form::Json, body), "{body}");
            assert!(!gives(200, Form::Html, body), "{body}");
        }
        for body in [
            "",
            "[]",
            r#"{"status":"KO","message":"Not"}"#,
            r#"{"status":"KO","message":"\ "}"#,
            r#"{"status":"KO","mess"#,
            r#"{"status":"#,
        ] {
            assert!(!gives(200, Form::Json, body), "{body}");
        }
    }

    #[test]
    fn a_page_is_quoted_by_its_title() {
        let page = b"<html><head><TITLE> Acces refuse </title></head>";
        assert_eq!(page_title(page), "page \"Acces refuse\"");
        assert_eq!(page_title(b"x"), "page \"a page without a title\"");
    }
}
