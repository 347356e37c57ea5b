//! The bytes of the account's files: uploaded ones in memory or on disk, files
//! of a served local directory, and synthetic ones that cost nothing.
//!
//! A [`Content`] never changes once made. Uploads come in through [`ContentWriter`].
//! Files for the disk are hashed on their way there and never held as a whole; files in
//! memory are hashed afterwards, since Whirlpool is slower than a fast upload.

mod synthetic;
mod writer;

pub use synthetic::synthetic_bytes;
pub use writer::{ContentWriter, Storage};

use bytes::Bytes;
use parking_lot::Mutex;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use whirlpool::{Digest, Whirlpool};

/// The piece in which content is stored in memory and sent.
pub const PIECE: usize = 256 * 1024;

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub enum Source {
    /// In memory, in pieces of exactly [`PIECE`] bytes but for the last.
    Memory(Arc<[Bytes]>),
    /// In the storage directory; removed when the last user lets go.
    Stored(Arc<StoredFile>),
    /// A file of a served local directory, never touched.
    Local(Arc<Path>),
    /// Every byte follows from the seed and the offset.
    Synthetic(u64),
}

/// A file that the simulator owns on disk.
#[derive(Debug)]
pub struct StoredFile(PathBuf);

impl Drop for StoredFile {
    fn drop(&mut self) {
        // Gone already is as good as removed; anything else only leaves a file behind.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The bytes of one file, with their checksum as far as it is known.
#[derive(Debug, Clone)]
pub struct Content {
    source: Source,
    size: u64,
    digest: Arc<Digested>,
}

/// A digest, once known.
#[derive(Debug, Default)]
struct Digested {
    known: OnceLock<String>,
    /// Held while hashing, so that several askers hash once.
    hashing: Mutex<()>,
}

impl Content {
    /// Content held in memory.
    pub fn from_bytes(bytes: &[u8]) -> Content {
        let pieces: Vec<Bytes> = bytes.chunks(PIECE).map(Bytes::copy_from_slice).collect();
        Content::new(Source::Memory(pieces.into()), bytes.len() as u64)
    }

    /// Content in which every byte follows from `seed` and its offset
    /// (see [`synthetic_bytes`]).
    pub fn synthetic(seed: u64, size: u64) -> Content {
        Content::new(Source::Synthetic(seed), size)
    }

    /// A file of a local directory, with the size that it has now.
    pub fn local(path: &Path) -> io::Result<Content> {
        let size = std::fs::metadata(path)?.len();
        Ok(Content::new(Source::Local(path.into()), size))
    }

    fn new(source: Source, size: u64) -> Content {
        Content {
            source,
            size,
            digest: Arc::default(),
        }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// At most [`PIECE`] bytes from `offset`, and never across a stored piece;
    /// empty at or past the end.
    pub async fn piece(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        match &self.source {
            Source::Memory(_) | Source::Synthetic(_) => self.piece_blocking(offset, len),
            Source::Stored(_) | Source::Local(_) => {
                let content = self.clone();
                tokio::task::spawn_blocking(move || content.piece_blocking(offset, len))
                    .await
                    .map_err(io::Error::other)?
            }
        }
    }

    fn piece_blocking(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let left = self.size.saturating_sub(offset);
        let len = len.min(PIECE).min(usize::try_from(left).unwrap_or(PIECE));
        if len == 0 {
            return Ok(Bytes::new());
        }
        match &self.source {
            Source::Memory(pieces) => {
                let index = usize::try_from(offset / PIECE as u64).unwrap_or(usize::MAX);
                let within = (offset % PIECE as u64) as usize;
                let piece = pieces.get(index).cloned().unwrap_or_default();
                let end = piece.len().min(within + len);
                Ok(piece.slice(within.min(end)..end))
            }
            Source::Synthetic(seed) => {
                let mut buffer = vec![0; len];
                synthetic_bytes(*seed, offset, &mut buffer);
                Ok(buffer.into())
            }
            Source::Stored(file) => read_at(&file.0, offset, len),
            Source::Local(path) => read_at(path, offset, len),
        }
    }

    /// The whole content. For tests and small files.
    pub fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        self.for_each_piece(|piece| all.extend_from_slice(piece))?;
        Ok(all)
    }

    /// The true Whirlpool digest (128 lowercase hex digits), computed at the
    /// first call by reading everything, remembered after that.
    pub fn whirlpool(&self) -> io::Result<String> {
        if let Some(known) = self.digest.known.get() {
            return Ok(known.clone());
        }
        let _hashing = self.digest.hashing.lock();
        if let Some(known) = self.digest.known.get() {
            return Ok(known.clone());
        }
        let mut hasher = Whirlpool::new();
        self.for_each_piece(|piece| hasher.update(piece))?;
        let digest = hex::encode(hasher.finalize());
        Ok(self.digest.known.get_or_init(|| digest).clone())
    }

    /// What a listing shows as checksum: the true one where it was uploaded, is known or
    /// is at most `hash_up_to` bytes. Of others it would cost too much, and a false one
    /// would make every client that looks take the file for damaged: there is none.
    /// Call it where blocking is allowed.
    pub fn listed_checksum(&self, hash_up_to: u64) -> String {
        if self.is_too_dear(hash_up_to) {
            return String::new();
        }
        // An unreadable local file has none; reading it will tell.
        self.whirlpool().unwrap_or_default()
    }

    /// Whether [`Content::listed_checksum`] answers without reading the content.
    pub fn checksum_is_cheap(&self, hash_up_to: u64) -> bool {
        self.digest.known.get().is_some() || self.is_too_dear(hash_up_to)
    }

    fn is_too_dear(&self, hash_up_to: u64) -> bool {
        let uploaded = matches!(self.source, Source::Memory(_) | Source::Stored(_));
        !uploaded && self.digest.known.get().is_none() && self.size > hash_up_to
    }

    fn for_each_piece(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut offset = 0;
        while offset < self.size {
            let piece = self.piece_blocking(offset, PIECE)?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            each(&piece);
            offset += piece.len() as u64;
        }
        Ok(())
    }
}

fn read_at(path: &Path, offset: u64, len: usize) -> io::Result<Bytes> {
    let file = std::fs::File::open(path)?;
    let mut buffer = vec![0; len];
    file.read_exact_at(&mut buffer, offset)?;
    Ok(buffer.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From API notes 5: the digest of "Hello world\n" as `openssl dgst -whirlpool` gives it
    /// begins and ends like the one of the published dump.
    #[test]
    fn whirlpool_is_the_final_iso_version() {
        let digest = Content::from_bytes(b"Hello world\n").whirlpool().unwrap();
        assert_eq!(digest.len(), 128);
        assert!(digest.starts_with("0a894ff039da"));
        assert!(digest.ends_with("06a2c5"));
    }

    #[tokio::test]
    async fn every_source_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let size = PIECE + 1_000;
        let mut bytes = vec![0; size];
        synthetic_bytes(7, 0, &mut bytes);
        let path = dir.path().join("f");
        std::fs::write(&path, &bytes).unwrap();
        let contents = [
            Content::from_bytes(&bytes),
            Content::synthetic(7, size as u64),
            Content::local(&path).unwrap(),
        ];
        for content in contents {
            assert_eq!(content.read_all().unwrap(), bytes);
            let piece = content.piece(PIECE as u64 - 3, 3).await.unwrap();
            assert_eq!(piece, &bytes[PIECE - 3..PIECE]);
            assert!(content.piece(size as u64, 10).await.unwrap().is_empty());
        }
    }

    #[test]
    fn a_huge_file_is_not_hashed_for_a_listing() {
        let huge = Content::synthetic(1, 100_000_000_000);
        assert_eq!(huge.listed_checksum(1 << 20), "");
        assert!(huge.checksum_is_cheap(1 << 20));
        let small = Content::synthetic(1, 100);
        assert_eq!(small.listed_checksum(1 << 20), small.whirlpool().unwrap());
    }
}
