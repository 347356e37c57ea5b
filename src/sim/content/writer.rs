//! Receiving a file.

use super::{Content, PIECE, Source, StoredFile};
use bytes::{Bytes, BytesMut};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncWriteExt;
use whirlpool::{Digest, Whirlpool};

/// Where uploaded files are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Storage {
    /// In memory.
    #[default]
    Memory,
    /// In this directory, which is created if missing; each file is removed
    /// when the account forgets it.
    Disk(PathBuf),
}

/// A file being received.
pub struct ContentWriter {
    target: Target,
    size: u64,
}

enum Target {
    Memory {
        pieces: Vec<Bytes>,
        partial: BytesMut,
    },
    Disk {
        // Declared before the owner: the handle closes before the file goes.
        file: tokio::fs::File,
        owner: Arc<StoredFile>,
        hasher: Box<Whirlpool>,
    },
}

impl ContentWriter {
    /// Begins a file.
    pub async fn create(storage: &Storage) -> io::Result<ContentWriter> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let target = match storage {
            Storage::Memory => Target::Memory {
                pieces: Vec::new(),
                partial: BytesMut::new(),
            },
            Storage::Disk(dir) => {
                tokio::fs::create_dir_all(dir).await?;
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let path = dir.join(format!("{}-{number}.bin", std::process::id()));
                let file = tokio::fs::File::create(&path).await?;
                Target::Disk {
                    file,
                    owner: Arc::new(StoredFile(path)),
                    hasher: Box::default(),
                }
            }
        };
        Ok(ContentWriter { target, size: 0 })
    }

    /// Bytes received so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes at the end.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        match &mut self.target {
            Target::Memory { pieces, partial } => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    if partial.capacity() == 0 {
                        partial.reserve(PIECE);
                    }
                    let (now, later) = rest.split_at(rest.len().min(PIECE - partial.len()));
                    partial.extend_from_slice(now);
                    rest = later;
                    if partial.len() == PIECE {
                        pieces.push(std::mem::take(partial).freeze());
                    }
                }
                Ok(())
            }
            Target::Disk { file, hasher, .. } => {
                hasher.update(bytes);
                file.write_all(bytes).await
            }
        }
    }

    /// Ends the file.
    pub async fn finish(self) -> io::Result<Content> {
        match self.target {
            Target::Memory {
                mut pieces,
                partial,
            } => {
                if !partial.is_empty() {
                    pieces.push(Bytes::copy_from_slice(&partial));
                }
                Ok(Content::new(Source::Memory(pieces.into()), self.size))
            }
            Target::Disk {
                mut file,
                owner,
                hasher,
            } => {
                file.flush().await?;
                let content = Content::new(Source::Stored(owner), self.size);
                let digest = hex::encode(hasher.finalize());
                content.digest.known.get_or_init(|| digest);
                Ok(content)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic_bytes;
    use super::*;

    async fn round_trip(storage: &Storage) -> Content {
        let mut bytes = vec![0; 2 * PIECE + 77];
        synthetic_bytes(3, 0, &mut bytes);
        let mut writer = ContentWriter::create(storage).await.unwrap();
        for part in bytes.chunks(100_003) {
            writer.write(part).await.unwrap();
        }
        let content = writer.finish().await.unwrap();
        assert_eq!(content.size(), bytes.len() as u64);
        assert_eq!(content.read_all().unwrap(), bytes);
        let again = Content::from_bytes(&bytes).whirlpool().unwrap();
        assert_eq!(content.whirlpool().unwrap(), again);
        content
    }

    #[tokio::test]
    async fn memory_round_trip() {
        round_trip(&Storage::Memory).await;
    }

    #[tokio::test]
    async fn disk_round_trip_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let content = round_trip(&Storage::Disk(dir.path().to_owned())).await;
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        drop(content);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
