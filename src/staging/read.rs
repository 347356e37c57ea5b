//! Reading a stretch of a map: staged bytes at once, the service's when they
//! come.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, try_join_all};

use super::StagingError;
use super::base::Base;
use super::data_file::DataFile;
use super::extents::{Extent, Source};
use crate::content::{RemoteFile, Who};

/// The answer to a read.
pub enum Read {
    /// It did not have to wait for the service.
    Now(Result<Bytes, StagingError>),
    /// Some of the bytes come from the service.
    Later(BoxFuture<'static, Result<Bytes, StagingError>>),
}

impl Read {
    /// The bytes, waited for where necessary.
    ///
    /// # Errors
    /// Those of the disk or of the room below.
    pub async fn wait(self) -> Result<Bytes, StagingError> {
        match self {
            Read::Now(result) => result,
            Read::Later(future) => future.await,
        }
    }
}

/// Bytes of a read that the service has and we have not.
struct Missing {
    /// Where they go in the buffer.
    at: Range<usize>,
    file: Arc<RemoteFile>,
    offset: u64,
}

/// Reads `extents`, which follow one another, for somebody. Staged bytes are read before it
/// returns, so the caller's locks and holds need not outlast the call; those of
/// the service never change.
pub(super) fn read(
    who: Who,
    extents: &[Extent],
    data: Option<&DataFile>,
    base: &Arc<dyn Base>,
) -> Read {
    if let [
        Extent {
            range,
            source: Source::Remote { file, offset },
        },
    ] = extents
    {
        let len = (range.end - range.start) as usize;
        return read_remote(who, file, *offset, len, base);
    }
    match gather(extents, data, base) {
        Err(error) => Read::Now(Err(error)),
        Ok((buffer, missing)) if missing.is_empty() => Read::Now(Ok(buffer.freeze())),
        Ok((buffer, missing)) => {
            Read::Later(Box::pin(complete(who, buffer, missing, Arc::clone(base))))
        }
    }
}

/// Reads bytes of one file of the service, which are given as they come: most reads are
/// like that, and none of their bytes is copied here.
fn read_remote(
    who: Who,
    file: &Arc<RemoteFile>,
    offset: u64,
    len: usize,
    base: &Arc<dyn Base>,
) -> Read {
    if let Some(bytes) = base.try_read(file, offset, len) {
        return Read::Now(whole(file, bytes, len));
    }
    // The map may change while we wait; its base must not go.
    let pin = base.pin(&file.id);
    let (reading, file) = (base.read(who, file, offset, len), Arc::clone(file));
    Read::Later(Box::pin(async move {
        let bytes = reading.await?;
        drop(pin);
        whole(&file, bytes, len)
    }))
}

fn gather(
    extents: &[Extent],
    data: Option<&DataFile>,
    base: &Arc<dyn Base>,
) -> Result<(BytesMut, Vec<Missing>), StagingError> {
    let (Some(first), Some(last)) = (extents.first(), extents.last()) else {
        return Ok((BytesMut::new(), Vec::new()));
    };
    let mut buffer = BytesMut::zeroed((last.range.end - first.range.start) as usize);
    let mut missing = Vec::new();
    for extent in extents {
        let at = (extent.range.start - first.range.start) as usize
            ..(extent.range.end - first.range.start) as usize;
        match (&extent.source, data) {
            (Source::Zero, _) => {}
            (Source::Data { offset }, Some(data)) => {
                data.read(slot(&mut buffer, at), *offset)?;
            }
            (Source::Data { .. }, None) => return Err(StagingError::NoDataFile),
            (Source::Remote { file, offset }, _) => match base.try_read(file, *offset, at.len()) {
                Some(bytes) => {
                    let bytes = whole(file, bytes, at.len())?;
                    slot(&mut buffer, at).copy_from_slice(&bytes);
                }
                None => missing.push(Missing {
                    at,
                    file: Arc::clone(file),
                    offset: *offset,
                }),
            },
        }
    }
    Ok((buffer, missing))
}

async fn complete(
    who: Who,
    mut buffer: BytesMut,
    missing: Vec<Missing>,
    base: Arc<dyn Base>,
) -> Result<Bytes, StagingError> {
    // The map may change while we wait; its bases must not go.
    let _pins: Vec<_> = missing.iter().map(|m| base.pin(&m.file.id)).collect();
    let parts = try_join_all(missing.into_iter().map(|missing| {
        let reading = base.read(who, &missing.file, missing.offset, missing.at.len());
        async move {
            let bytes = whole(&missing.file, reading.await?, missing.at.len())?;
            Ok::<_, StagingError>((missing.at, bytes))
        }
    }))
    .await?;
    for (at, bytes) in parts {
        slot(&mut buffer, at).copy_from_slice(&bytes);
    }
    Ok(buffer.freeze())
}

/// `at` lies within `buffer`: both come from the same extents.
fn slot(buffer: &mut BytesMut, at: Range<usize>) -> &mut [u8] {
    &mut buffer[at]
}

/// A map never reaches beyond its base, so fewer bytes are a lie of the service.
fn whole(file: &RemoteFile, bytes: Bytes, expected: usize) -> Result<Bytes, StagingError> {
    if bytes.len() == expected {
        Ok(bytes)
    } else {
        Err(StagingError::ShortBase {
            id: file.id.clone(),
        })
    }
}
