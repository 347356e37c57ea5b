//! The body of an upload, written by hand: the node's multipart parser takes
//! less than the standard allows (API notes 3.3).
//!
//! The names are quoted raw UTF-8, `Content-Disposition` comes first in each part, a plain
//! field has no content type, and the whole length is known beforehand.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::{ApiError, Said, limits};
use crate::ids::FolderId;

/// The bytes of a file to send. An error ends the upload.
pub type PartStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Files to send into one folder with one request.
pub struct UploadForm {
    /// Where they go. An id that does not exist any more makes the service put them into
    /// the root without a word (API notes 3.2): look before.
    pub folder: FolderId,
    /// The files.
    pub parts: Vec<UploadPart>,
}

/// A file to send.
pub struct UploadPart {
    /// Its name, with nothing in it that the service refuses.
    pub name: String,
    /// Its size in bytes; never 0, which the service cannot store.
    pub len: u64,
    /// Its bytes, exactly `len`.
    pub body: PartStream,
}

/// A body that is ready to be sent.
pub(super) struct Encoded {
    pub content_type: String,
    pub length: u64,
    pub stream: PartStream,
}

/// How many bytes of a body have been taken for sending.
pub(super) type Progress = Arc<AtomicU64>;

/// Checks a form against the limits and the parser, and writes it.
pub(super) fn encode(form: UploadForm, progress: Progress) -> Result<Encoded, ApiError> {
    if form.parts.is_empty() || form.parts.len() > limits::UPLOAD_FILES {
        return Err(ApiError::Misuse(
            "an upload without files, or with too many",
        ));
    }
    let boundary = format!("fichierfs{:032x}", rand::random::<u128>());
    let mut length = 0_u64;
    let mut pieces: Vec<PartStream> = Vec::new();
    let mut text = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"did\"\r\n\r\n{}\r\n",
        form.folder
    );
    let mut content = 0_u64;
    for part in form.parts {
        check(&part)?;
        content = content.saturating_add(part.len);
        text.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file[]\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            part.name
        ));
        length += text.len() as u64 + part.len;
        pieces.push(fixed(std::mem::take(&mut text)));
        pieces.push(exact(part.body, part.len));
        text.push_str("\r\n");
    }
    if content > limits::UPLOAD_SIZE {
        return Err(ApiError::Misuse("an upload larger than the service takes"));
    }
    text.push_str(&format!("--{boundary}--\r\n"));
    length += text.len() as u64;
    pieces.push(fixed(text));
    let stream = stream::iter(pieces).flatten().inspect(move |chunk| {
        if let Ok(chunk) = chunk {
            progress.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
    });
    Ok(Encoded {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        length,
        stream: Box::pin(stream),
    })
}

fn check(part: &UploadPart) -> Result<(), ApiError> {
    if part.len == 0 {
        return Err(ApiError::Misuse(
            "an empty file, which the service cannot store",
        ));
    }
    if part.len > limits::FILE_SIZE {
        return Err(ApiError::Misuse("a file larger than the service takes"));
    }
    // These would end the quotes or the header.
    let breaks = |c: char| c.is_control() || c == '"' || c == '\\';
    if part.name.is_empty() || part.name.contains(breaks) {
        return Err(ApiError::RefusedName(Said::ours(&part.name)));
    }
    Ok(())
}

fn fixed(text: String) -> PartStream {
    Box::pin(stream::once(std::future::ready(Ok(Bytes::from(text)))))
}

/// A stream that fails unless it gives exactly so many bytes: a file that grew or
/// shrank meanwhile must not become another file.
fn exact(body: PartStream, len: u64) -> PartStream {
    let wrong = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the file changed while it was sent",
        )
    };
    let counted = stream::try_unfold((body, len), move |(mut body, left)| async move {
        match body.next().await {
            Some(chunk) => {
                let chunk = chunk?;
                let left = left.checked_sub(chunk.len() as u64).ok_or_else(wrong)?;
                Ok(Some((chunk, (body, left))))
            }
            None if left == 0 => Ok(None),
            None => Err(wrong()),
        }
    });
    Box::pin(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, len: u64, content: &'static [u8]) -> UploadPart {
        UploadPart {
            name: name.to_owned(),
            len,
            body: Box::pin(stream::iter(
                content.chunks(2).map(|chunk| Ok(Bytes::from_static(chunk))),
            )),
        }
    }

    fn form(parts: Vec<UploadPart>) -> UploadForm {
        UploadForm {
            folder: FolderId(42),
            parts,
        }
    }

    async fn written(form: UploadForm) -> io::Result<(Encoded, Vec<u8>)> {
        let mut encoded = encode(form, Progress::default()).unwrap();
        let mut body = Vec::new();
        while let Some(chunk) = encoded.stream.next().await {
            body.extend_from_slice(&chunk?);
        }
        Ok((encoded, body))
    }

    #[tokio::test]
    async fn the_body_is_what_the_node_wants_and_as_long_as_it_says() {
        let parts = vec![part("né 1.txt", 3, b"abc"), part("b", 1, b"d")];
        let (encoded, body) = written(form(parts)).await.unwrap();
        assert_eq!(encoded.length, body.len() as u64);
        let boundary = encoded
            .content_type
            .strip_prefix("multipart/form-data; boundary=")
            .unwrap();
        assert!(boundary.bytes().all(|b| b.is_ascii_alphanumeric()));
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"did\"\r\n\r\n42\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file[]\"; filename=\"né 1.txt\"\r\n\
             Content-Type: application/octet-stream\r\n\r\nabc\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file[]\"; filename=\"b\"\r\n\
             Content-Type: application/octet-stream\r\n\r\nd\r\n\
             --{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_file_of_another_length_than_said_breaks_the_upload() {
        assert!(written(form(vec![part("a", 4, b"abc")])).await.is_err());
        assert!(written(form(vec![part("a", 2, b"abc")])).await.is_err());
    }

    #[test]
    fn what_the_service_cannot_store_is_not_sent() {
        let refused = |parts| encode(form(parts), Progress::default()).err();
        assert!(matches!(refused(vec![]), Some(ApiError::Misuse(_))));
        assert!(matches!(
            refused(vec![part("a", 0, b"")]),
            Some(ApiError::Misuse(_))
        ));
        assert!(matches!(
            refused(vec![part("a", limits::FILE_SIZE + 1, b"")]),
            Some(ApiError::Misuse(_))
        ));
        let two = vec![
            part("a", limits::FILE_SIZE, b""),
            part("b", limits::FILE_SIZE, b""),
        ];
        assert!(matches!(refused(two), Some(ApiError::Misuse(_))));
        for name in ["", "a\"b", "a\r\nb", "a\\"] {
            let parts = vec![part(name, 1, b"x")];
            assert!(
                matches!(refused(parts), Some(ApiError::RefusedName(_))),
                "{name:?}"
            );
        }
    }
}
