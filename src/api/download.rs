//! Downloads: a link for a file, and ranges of bytes from it (API notes 4).
//!
//! A link is a secret that needs no key, and the key is never sent with it. What
//! comes back is believed only as the exact range of a file of the known size, or as
//! the whole of it from a host that ignores ranges, if the range is not too far into it:
//! anything else, such as a page, is a [`LinkFault`].

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::time::Instant;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt, stream};
use reqwest::Response;
use reqwest::header::{CONTENT_RANGE, RANGE};
use serde::{Deserialize, Serialize};
use url::Url;

use super::classify::Form;
use super::{Api, ApiError, Ask, Call, FolderAt, LinkFault, Said, Script, http, wire};
use crate::config::Password;
use crate::ids::FileId;

/// The bytes of a range, in order; ends with an error unless all of them came.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, ApiError>> + Send>>;

/// How far into a file a range may begin that a host sends whole, in bytes: what lies
/// before it comes over the line for nothing.
const MOST_SKIPPED: u64 = 64 * 1024 * 1024;

/// A download link. It cannot be printed.
#[derive(Clone)]
pub struct DownloadUrl {
    url: Url,
    issued: Instant,
}

impl DownloadUrl {
    /// When it was given. [`super::Limits`] says how long it opens and resumes.
    pub fn issued(&self) -> Instant {
        self.issued
    }
}

impl fmt::Debug for DownloadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DownloadUrl(…)")
    }
}

/// How a file is asked for.
#[derive(Clone, Debug)]
pub struct Address {
    by: By,
    password: Option<Password>,
}

#[derive(Clone, Debug)]
enum By {
    Link(String),
    Name { folder: FolderAt, name: String },
}

impl From<&FileId> for Address {
    /// By its link.
    fn from(file: &FileId) -> Address {
        Address {
            by: By::Link(file.link()),
            password: None,
        }
    }
}

impl Address {
    /// By its folder and name, where its owner hides its link.
    pub fn named(folder: FolderAt, name: String) -> Address {
        Address {
            by: By::Name { folder, name },
            password: None,
        }
    }

    /// Whether a password is sent.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Of a file behind a password.
    pub fn with_password(self, password: Option<Password>) -> Address {
        Address { password, ..self }
    }
}

#[derive(Serialize, Default)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sharing_user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'a str>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default, deserialize_with = "wire::text")]
    url: Option<String>,
}

impl Api {
    /// A link for many ranges of a file.
    pub async fn download_token(
        &self,
        file: impl Into<Address>,
        ask: impl Into<Ask>,
    ) -> Result<DownloadUrl, ApiError> {
        let Address { by, password } = file.into();
        let pass = password.as_ref().map(Password::expose);
        let body = match &by {
            By::Link(link) => Body {
                url: Some(link),
                pass,
                ..Body::default()
            },
            By::Name { folder, name } => Body {
                folder_id: Some(folder.number()),
                filename: Some(name),
                sharing_user: folder.owner(),
                pass,
                ..Body::default()
            },
        };
        let token: Token = self
            .call(Call::of(Script::Token), ask.into(), &body)
            .await?;
        let link = token
            .url
            .ok_or_else(|| ApiError::Unparsable(Said::ours("no download link in the answer")))?;
        Ok(DownloadUrl {
            url: self.shared.endpoints.download(&link)?,
            issued: Instant::now(),
        })
    }

    /// Opens a range of a file of `size` bytes.
    ///
    /// The stream has no total time limit, each read of it has one.
    pub async fn open_range(
        &self,
        link: &DownloadUrl,
        range: Range<u64>,
        size: u64,
    ) -> Result<ByteStream, ApiError> {
        if range.is_empty() || range.end > size {
            return Err(ApiError::Misuse("a range outside the file"));
        }
        let last = range.end - 1;
        let request = self
            .shared
            .http
            .data
            .get(link.url.clone())
            .header(RANGE, format!("bytes={}-{last}", range.start));
        let response = self.shared.http.send(request).await?;
        let answer = judge(&response, &range, size)?;
        Ok(part(response, answer, range))
    }
}

/// What of the file an answer brings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brings {
    TheRange,
    TheWhole,
}

/// What the answer to a request for a range is.
fn judge(response: &Response, range: &Range<u64>, size: u64) -> Result<Brings, ApiError> {
    let status = response.status().as_u16();
    let length = response.content_length();
    let fault = match status {
        206 => {
            let expected = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let got = response.headers().get(CONTENT_RANGE);
            if got.is_some_and(|got| got.as_bytes() == expected.as_bytes())
                && length.is_none_or(|length| length == range.end - range.start)
            {
                return Ok(Brings::TheRange);
            }
            LinkFault::WrongRange
        }
        200 if http::form(response) == Form::Html => LinkFault::Page,
        200 if length == Some(size) && range.start <= MOST_SKIPPED => return Ok(Brings::TheWhole),
        200 => LinkFault::RangeIgnored,
        // To a page such as "?c=DB" (API notes 4.3).
        300..=399 => LinkFault::Page,
        416 => LinkFault::WrongRange,
        500..=599 => {
            return Err(ApiError::Transient(Said::new(
                Some(status),
                "the download host has trouble",
            )));
        }
        _ => LinkFault::Refused(status),
    };
    Err(ApiError::Link(fault))
}

/// The range out of the body: exactly that long, and nothing behind it unless the body
/// is the whole file.
fn part(response: Response, brings: Brings, range: Range<u64>) -> ByteStream {
    let whole = brings == Brings::TheWhole;
    let skip = if whole { range.start } else { 0 };
    let left = range.end - range.start;
    let chunks = response.bytes_stream();
    let counted = stream::try_unfold(
        (chunks, skip, left),
        move |(mut chunks, mut skip, left)| async move {
            if whole && left == 0 {
                return Ok(None);
            }
            while let Some(chunk) = chunks.next().await {
                let mut chunk = chunk.map_err(http::broken)?;
                let skipped = skip.min(chunk.len() as u64);
                chunk.advance(skipped as usize);
                skip -= skipped;
                if whole {
                    chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                }
                if chunk.is_empty() {
                    continue;
                }
                return match left.checked_sub(chunk.len() as u64) {
                    Some(left) => Ok(Some((chunk, (chunks, skip, left)))),
                    None => Err(ApiError::Link(LinkFault::WrongRange)),
                };
            }
            match left {
                0 => Ok(None),
                _ => Err(ApiError::Transient(Said::ours("the download ended early"))),
            }
        },
    );
    Box::pin(counted)
}
