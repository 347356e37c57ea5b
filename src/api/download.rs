//! Downloads: a link for a file, and ranges of bytes from it (API notes 4).
//!
//! A link is a secret that needs no key, and the key is never sent with it. What
//! comes back is believed only as the exact range of a file of the known size:
//! anything else, a page or a whole file with status 200 included, is a
//! [`LinkFault`].

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use reqwest::Response;
use reqwest::header::{CONTENT_RANGE, RANGE};
use serde::{Deserialize, Serialize};
use url::Url;

use super::classify::Form;
use super::{Api, ApiError, Ask, Call, LinkFault, Said, Script, http, wire};
use crate::config::Password;
use crate::ids::FileId;

/// The bytes of a range, in order; ends with an error unless all of them came.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, ApiError>> + Send>>;

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
    file: FileId,
    password: Option<Password>,
}

impl From<&FileId> for Address {
    /// By its link alone.
    fn from(file: &FileId) -> Address {
        Address {
            file: file.clone(),
            password: None,
        }
    }
}

impl Address {
    /// Of a file behind a password.
    pub fn with_password(self, password: Option<Password>) -> Address {
        Address { password, ..self }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    url: String,
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
        let Address { file, password } = file.into();
        let body = Body {
            url: file.link(),
            pass: password.as_ref().map(Password::expose),
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
        check(&response, &range, size)?;
        Ok(exact(response, range.end - range.start))
    }
}

/// Whether the answer is the range that was asked for.
fn check(response: &Response, range: &Range<u64>, size: u64) -> Result<(), ApiError> {
    let status = response.status().as_u16();
    let fault = match status {
        206 => {
            let expected = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let got = response.headers().get(CONTENT_RANGE);
            let length = response.content_length();
            if got.is_some_and(|got| got.as_bytes() == expected.as_bytes())
                && length.is_none_or(|length| length == range.end - range.start)
            {
                return Ok(());
            }
            LinkFault::WrongRange
        }
        200 if http::form(response) == Form::Html => LinkFault::Page,
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

/// The body, as long as it must be and no longer.
fn exact(response: Response, length: u64) -> ByteStream {
    let chunks = response.bytes_stream();
    let counted = stream::try_unfold((chunks, length), |(mut chunks, left)| async move {
        match chunks.next().await {
            Some(Ok(chunk)) => match left.checked_sub(chunk.len() as u64) {
                Some(left) => Ok(Some((chunk, (chunks, left)))),
                None => Err(ApiError::Link(LinkFault::WrongRange)),
            },
            Some(Err(error)) => Err(http::broken(error)),
            None if left == 0 => Ok(None),
            None => Err(ApiError::Transient(Said::ours("the download ended early"))),
        }
    });
    Box::pin(counted)
}
