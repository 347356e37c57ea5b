//! Uploads, in three steps so that a crash between any two can be made good: ask for
//! a node, send to it, ask it for the result (API notes 3).
//!
//! The caller writes the node down before it sends. What it then does not hear back
//! (a crash, a broken connection), it asks for with [`Api::upload_result`], for the ticket is
//! known beforehand: it normally is the node's own id.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Response};
use serde::{Deserialize, Serialize};

use super::call::{Answer, bearer, between, page_title};
use super::classify::{Form, class_of};
use super::upload_body::{Progress, UploadForm, encode};
use super::{Api, ApiError, Ask, Call, Said, Script, http, numbered, wire};
use crate::ids::{FileId, Whirlpool};

/// A node that takes one upload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UploadNode {
    /// Its host name.
    pub host: String,
    /// The id of the upload.
    pub id: String,
}

/// What to ask for the result with; to be kept until there is one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UploadTicket {
    /// The node's host name.
    pub host: String,
    /// The id of the result.
    pub xid: String,
}

impl UploadNode {
    /// The ticket that an upload to this node gets, if the node does not say
    /// otherwise.
    pub fn ticket(&self) -> UploadTicket {
        UploadTicket {
            host: self.host.clone(),
            xid: self.id.clone(),
        }
    }
}

/// Why an upload gave no ticket, and whether the service may have stored it.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct UploadFailure {
    /// What went wrong.
    #[source]
    pub error: ApiError,
    /// What became of the bytes.
    pub fate: Fate,
}

/// What became of the bytes of a failed upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nothing was stored: it can be sent again, to a new node.
    NotStored,
    /// They may be stored: ask for the result, then look into the folder, before
    /// anything is sent again.
    Unknown,
}

/// What a node says about an upload.
#[derive(Clone, PartialEq, Debug)]
pub enum UploadOutcome {
    /// The files are stored.
    Links(Vec<UploadedFile>),
    /// They are stored, and told of as files are that belong to nobody, or to somebody else: look
    /// for them in the account.
    Strayed,
    /// Not yet: ask again in some seconds.
    Pending,
    /// The node does not tell (any more): look into the folder, not before 30 s.
    Untold,
}

/// A file that the service has stored.
#[derive(Clone, PartialEq, Debug)]
pub struct UploadedFile {
    /// Its id.
    pub id: FileId,
    /// The name it got.
    pub name: String,
    /// Its size in bytes, as the service counts it.
    pub size: u64,
    /// Its checksum, as the service computed it.
    pub checksum: Option<Whirlpool>,
}

/// How long no byte may leave before an upload counts as broken.
const STALL: Duration = Duration::from_secs(120);
/// How long a node may be busy after the last byte.
const AFTERWORK: Duration = Duration::from_secs(600);
/// How long a node may take to tell a result.
const RESULT_PATIENCE: Duration = Duration::from_secs(60);
/// The largest answer of a node that is read, in bytes.
const LONGEST_ANSWER: usize = 4 << 20;

#[derive(Serialize)]
struct Nothing {}

#[derive(Deserialize)]
struct WireNode {
    #[serde(default, deserialize_with = "wire::text")]
    url: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    id: Option<String>,
}

#[derive(Deserialize)]
struct WireResult {
    /// They went to a folder for what others send.
    #[serde(default, deserialize_with = "wire::flag")]
    incoming: bool,
    #[serde(default, deserialize_with = "wire::some_list")]
    links: Option<Vec<WireUploaded>>,
}

#[derive(Deserialize)]
struct WireUploaded {
    download: String,
    #[serde(default, deserialize_with = "wire::text")]
    filename: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    size: Option<u64>,
    #[serde(default, deserialize_with = "wire::text")]
    whirlpool: Option<String>,
    #[serde(default, deserialize_with = "is_told")]
    remove: bool,
}

/// Whether there is a text. What it says is not kept: who has such a link can remove the file.
fn is_told<'de, D: serde::Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    Ok(wire::text(input)?.is_some_and(|text| !matches!(text.trim(), "" | "0")))
}

impl Api {
    /// A node for one upload; never to be used for a second.
    pub async fn upload_node(&self, ask: impl Into<Ask>) -> Result<UploadNode, ApiError> {
        let node: WireNode = self
            .call(Call::of(Script::UploadServer), ask.into(), &Nothing {})
            .await?;
        let (Some(host), Some(id)) = (node.url, node.id) else {
            return Err(ApiError::Unparsable(Said::ours(
                "no upload node in the answer",
            )));
        };
        // Checked before anything is written down or sent.
        self.shared.endpoints.node(&host)?;
        is_id(&id)?;
        Ok(UploadNode { host, id })
    }

    /// Sends files to a node. The names must be encoded for the service already.
    pub async fn upload(
        &self,
        node: &UploadNode,
        form: UploadForm,
    ) -> Result<UploadTicket, UploadFailure> {
        let not_stored = |error| UploadFailure {
            error,
            fate: Fate::NotStored,
        };
        let unknown = |error| UploadFailure {
            error,
            fate: Fate::Unknown,
        };
        numbered(form.folder).map_err(not_stored)?;
        let key = self.key().map_err(not_stored)?;
        let mut url = self.shared.endpoints.node(&node.host).map_err(not_stored)?;
        is_id(&node.id).map_err(not_stored)?;
        url.set_path("upload.cgi");
        url.set_query(Some(&format!("id={}", node.id)));
        let progress = Progress::default();
        let body = encode(form, progress.clone()).map_err(not_stored)?;
        let length = body.length;
        let request = self
            .shared
            .http
            .api
            .post(url)
            .header(AUTHORIZATION, bearer(&key).map_err(not_stored)?)
            .header(CONTENT_TYPE, body.content_type)
            .header(CONTENT_LENGTH, length)
            .timeout(self.shared.limits.upload_time)
            .body(Body::wrap_stream(body.stream));
        match self.watched(request, &progress, length).await {
            Ok(response) => {
                let judged = self.judge_upload(node, response).await;
                if judged.is_ok() {
                    self.note_well();
                }
                judged
            }
            // A body that was not sent whole is no upload: the length is announced.
            Err(error) if progress.load(Ordering::Relaxed) < length => Err(not_stored(error)),
            Err(error) => Err(unknown(error)),
        }
    }

    /// Sends a request, and gives up when no byte of its body is taken for long.
    async fn watched(
        &self,
        request: reqwest::RequestBuilder,
        progress: &Progress,
        length: u64,
    ) -> Result<Response, ApiError> {
        let mut sending = std::pin::pin!(self.shared.http.send(request));
        loop {
            let sent = progress.load(Ordering::Relaxed);
            let patience = if sent < length { STALL } else { AFTERWORK };
            match tokio::time::timeout(patience, &mut sending).await {
                Ok(result) => return result.map_err(ApiError::from),
                Err(_) if progress.load(Ordering::Relaxed) > sent => {}
                Err(_) => return Err(ApiError::Transient(Said::ours("the upload stands still"))),
            }
        }
    }

    async fn judge_upload(
        &self,
        node: &UploadNode,
        response: Response,
    ) -> Result<UploadTicket, UploadFailure> {
        let status = response.status().as_u16();
        if matches!(status, 301..=303 | 307 | 308) {
            return self.ticket(node, &response).map_err(|error| UploadFailure {
                error,
                fate: Fate::Unknown,
            });
        }
        let form = http::form(&response);
        let body = http::body(response, LONGEST_ANSWER)
            .await
            .map_err(|error| UploadFailure {
                error,
                fate: Fate::Unknown,
            })?;
        refusal(&Answer { status, form, body }).map_or_else(|| Ok(node.ticket()), Err)
    }

    /// The ticket in a redirection to `end.pl`.
    fn ticket(&self, node: &UploadNode, response: &Response) -> Result<UploadTicket, ApiError> {
        let unreadable = || ApiError::Unparsable(Said::ours("a redirection without result"));
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(unreadable)?;
        let base = self.shared.endpoints.node(&node.host)?;
        let target = base.join(location).map_err(|_| unreadable())?;
        let xid = target
            .query_pairs()
            .find_map(|(name, value)| (name == "xid").then(|| value.into_owned()))
            .ok_or_else(unreadable)?;
        is_id(&xid)?;
        let host = target.host_str().ok_or_else(unreadable)?;
        let host = match target.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        self.shared.endpoints.node(&host)?;
        Ok(UploadTicket { host, xid })
    }

    /// What became of an upload. The node remembers it for two hours; it is no call of
    /// the API and costs nothing of the pace, but ask no more than every few seconds.
    pub async fn upload_result(&self, ticket: &UploadTicket) -> Result<UploadOutcome, ApiError> {
        let mut url = self.shared.endpoints.node(&ticket.host)?;
        is_id(&ticket.xid)?;
        url.set_path("end.pl");
        url.set_query(Some(&format!("xid={}", ticket.xid)));
        // Without the key: end.pl needs none (API notes 1.2).
        let request = self
            .shared
            .http
            .api
            .get(url)
            .header("JSON", "1")
            .timeout(RESULT_PATIENCE);
        outcome(&self.exchange(request).await?)
    }
}

/// An id of an upload: it becomes part of an address.
fn is_id(id: &str) -> Result<(), ApiError> {
    let fits = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if fits {
        Ok(())
    } else {
        Err(ApiError::Unparsable(Said::ours(
            "an upload id of another form",
        )))
    }
}

/// The refusal in an answer to an upload that is no redirection; `None` if it is a success
/// after all.
fn refusal(answer: &Answer) -> Option<UploadFailure> {
    let failure = |error, fate| Some(UploadFailure { error, fate });
    let page = String::from_utf8_lossy(&answer.body);
    if told(answer).is_some() {
        return None;
    }
    if answer.form == Form::Json {
        let error = match super::call::json::<WireResult>(answer) {
            Err(error) => error,
            Ok(_) => ApiError::Unparsable(Said::ours("an upload without result")),
        };
        return failure(error, Fate::Unknown);
    }
    if answer.status == 200 && page.contains("1fichier.com/?") {
        // Some nodes show the links at once ([wpf] in API notes 3.1).
        let error = ApiError::Unparsable(Said::ours("a page with links instead of a redirection"));
        return failure(error, Fate::Unknown);
    }
    if answer.status == 200 {
        let words = sentence(&page).unwrap_or_else(|| page_title(&answer.body));
        return failure(refused(&words), Fate::NotStored);
    }
    let error = class_of(answer.status, answer.form, &page_title(&answer.body));
    let fate = match answer.status {
        400..=499 => Fate::NotStored,
        _ => Fate::Unknown,
    };
    failure(error, fate)
}

/// The sentence of a refusal page: the first `<div class="bloc2">` that says something.
fn sentence(page: &str) -> Option<String> {
    let mut rest = page;
    while let Some(place) = rest.find("class=\"bloc2\"") {
        rest = rest.get(place..)?;
        let text = strip_tags(between(rest, ">", "</div>")?);
        if !text.is_empty() {
            return Some(text);
        }
        rest = rest.get(1..)?;
    }
    None
}

fn strip_tags(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            _ if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a refusal page means. Few of its sentences are recorded (API notes 3.3, 10.20).
fn refused(words: &str) -> ApiError {
    let lower = words.to_lowercase();
    let said = Said::new(Some(200), words);
    if lower.contains("ouvrir le fichier destination") {
        return ApiError::Transient(said);
    }
    if ["quota", "espace", "interdit"]
        .iter()
        .any(|word| lower.contains(word))
    {
        return ApiError::Quota(said);
    }
    if lower.contains("maintenance") {
        return ApiError::Maintenance(said);
    }
    ApiError::Refused(said)
}

/// The links that a node tells. The body alone decides: which content type a node gives
/// it is not recorded.
fn told(answer: &Answer) -> Option<Told> {
    let result = serde_json::from_slice::<WireResult>(&answer.body).ok()?;
    let links = (answer.status == 200).then_some(result.links).flatten()?;
    Some(Told {
        strayed: result.incoming || links.iter().any(|link| link.remove),
        links,
    })
}

/// What a node tells of the files that it took.
struct Told {
    links: Vec<WireUploaded>,
    /// They may be nobody's, or somebody else's.
    strayed: bool,
}

/// What an answer of `end.pl` means (API notes 3.4).
fn outcome(answer: &Answer) -> Result<UploadOutcome, ApiError> {
    if let Some(Told { links, strayed }) = told(answer)
        && !links.is_empty()
    {
        if strayed {
            return Ok(UploadOutcome::Strayed);
        }
        let files = links.into_iter().map(uploaded).collect::<Result<_, _>>()?;
        return Ok(UploadOutcome::Links(files));
    }
    let Answer { status, form, body } = answer;
    match (status, form) {
        (200, Form::Json) => {}
        (200, Form::Html) => {
            let page = String::from_utf8_lossy(body).to_lowercase();
            let waits = page.contains("patienter") || page.contains("please wait");
            return Ok(if waits {
                UploadOutcome::Pending
            } else {
                UploadOutcome::Untold
            });
        }
        (404 | 410, _) => return Ok(UploadOutcome::Untold),
        _ => return Err(class_of(*status, *form, &page_title(body))),
    }
    super::call::json::<WireResult>(answer).map(|_| UploadOutcome::Untold)
}

fn uploaded(link: WireUploaded) -> Result<UploadedFile, ApiError> {
    let id = FileId::from_link(&link.download).ok();
    match (id, link.filename, link.size) {
        (Some(id), Some(name), Some(size)) => Ok(UploadedFile {
            id,
            name,
            size,
            checksum: link.whirlpool.and_then(|text| text.parse().ok()),
        }),
        _ => Err(ApiError::Unparsable(Said::ours(
            "a stored file without link, name or size",
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, form: Form, body: &str) -> Answer {
        Answer {
            status,
            form,
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn a_refusal_page_is_understood_by_its_sentence() {
        let page = |text: &str| {
            format!(
                "<html><div class=\"bloc2\"> <b></b> </div><div class=\"bloc2\">{text}</div></html>"
            )
        };
        let refusal = |text: &str| refusal(&answer(200, Form::Html, &page(text))).unwrap();
        let none = refusal("Pas de <b>fichier</b> trouvé\n dans l'envoi");
        assert_eq!(none.fate, Fate::NotStored);
        assert!(
            matches!(&none.error, ApiError::Refused(said) if said.text() == "Pas de fichier trouvé dans l'envoi")
        );
        let node = refusal("Ne peut ouvrir le fichier destination");
        assert!(matches!(node.error, ApiError::Transient(_)));
        assert!(matches!(refusal("Quota dépassé").error, ApiError::Quota(_)));
    }

    #[test]
    fn an_answer_that_may_be_a_success_is_never_called_a_failure() {
        let fate = |status, form, body| refusal(&answer(status, form, body)).map(|f| f.fate);
        assert_eq!(fate(200, Form::Json, r#"{"links":[]}"#), None);
        assert_eq!(fate(200, Form::Other, r#"{"links":[]}"#), None);
        assert_eq!(
            fate(200, Form::Html, "<a href=\"https://1fichier.com/?abcde\">"),
            Some(Fate::Unknown)
        );
        assert_eq!(fate(502, Form::Html, ""), Some(Fate::Unknown));
        assert_eq!(fate(413, Form::Html, ""), Some(Fate::NotStored));
        assert_eq!(
            fate(200, Form::Html, "<html></html>"),
            Some(Fate::NotStored)
        );
    }

    #[test]
    fn the_result_is_links_a_wait_or_nothing() {
        let read = |form, body: &str| outcome(&answer(200, form, body)).unwrap();
        let links = format!(
            r#"{{"incoming":0,"links":[{{"download":"https://1fichier.com/?abcde","filename":"a.bin",
            "remove":"","size":"1234","whirlpool":"{}"}}]}}"#,
            "0a".repeat(64)
        );
        for label in [Form::Json, Form::Html, Form::Other] {
            let UploadOutcome::Links(files) = read(label, &links) else {
                panic!("no links");
            };
            assert_eq!((files[0].size, files[0].name.as_str()), (1234, "a.bin"));
            assert!(files[0].checksum.is_some());
        }
        for (ours, other) in [
            (
                r#""remove":"""#,
                r#""remove":"https://1fichier.com/remove/abcde/s""#,
            ),
            (r#""incoming":0"#, r#""incoming":"1""#),
        ] {
            let strayed = read(Form::Json, &links.replace(ours, other));
            assert_eq!(strayed, UploadOutcome::Strayed);
        }
        for nothing in [r#""remove":null"#, r#""remove":0"#] {
            let ours = links.replace(r#""remove":"""#, nothing);
            assert!(matches!(read(Form::Json, &ours), UploadOutcome::Links(_)));
        }
        assert_eq!(
            read(Form::Html, "<h1>Veuillez patienter</h1>"),
            UploadOutcome::Pending
        );
        assert_eq!(read(Form::Html, "<h1>?</h1>"), UploadOutcome::Untold);
        assert_eq!(read(Form::Json, r#"{"links":[]}"#), UploadOutcome::Untold);
        assert!(outcome(&answer(200, Form::Json, "{")).is_err());
        assert!(outcome(&answer(500, Form::Html, "")).is_err());
    }

    #[test]
    fn an_id_is_letters_and_digits() {
        assert!(is_id("Fhl1aZERQv").is_ok());
        for bad in ["", "a&b=c", "../x", "a b"] {
            assert!(is_id(bad).is_err(), "{bad}");
        }
    }
}
