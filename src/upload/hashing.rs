//! The checksum of a file as it is sent. Where it begins with all of a file of the service,
//! as what was appended to does, what came of that is compared on the way. Pure.

use std::sync::Arc;

use whirlpool::Digest;

use crate::content::RemoteFile;
use crate::ids::Whirlpool;

/// What came of a file of the service is not what its checksum says.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Differs(pub Arc<RemoteFile>);

/// The checksum of what was taken so far.
#[derive(Default)]
pub(super) struct Hashing {
    digest: whirlpool::Whirlpool,
    taken: u64,
    /// What it begins with, until that was compared.
    base: Option<Arc<RemoteFile>>,
}

impl Hashing {
    /// Of what begins with all of `base`.
    pub fn new(base: Option<Arc<RemoteFile>>) -> Hashing {
        Hashing {
            base,
            ..Hashing::default()
        }
    }

    /// Takes the next bytes. Fails where the base ends within them and is not what it should be.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Differs> {
        let before = self.taken;
        let taken = before + bytes.len() as u64;
        self.taken = taken;
        let Some(base) = self.base.take_if(|base| base.size <= taken) else {
            self.digest.update(bytes);
            return Ok(());
        };
        // It did not end before.
        let (last, new) = bytes.split_at((base.size - before) as usize);
        self.digest.update(last);
        if base.whirlpool.is_some_and(|sum| sum != self.whirlpool()) {
            return Err(Differs(base));
        }
        self.digest.update(new);
        Ok(())
    }

    /// The checksum.
    pub fn whirlpool(&self) -> Whirlpool {
        Whirlpool(self.digest.clone().finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> Whirlpool {
        Whirlpool(whirlpool::Whirlpool::digest(bytes).into())
    }

    fn base(bytes: &[u8]) -> Arc<RemoteFile> {
        Arc::new(RemoteFile {
            id: "aaaaaaaaaa".parse().unwrap(),
            size: bytes.len() as u64,
            whirlpool: Some(sum(bytes)),
        })
    }

    /// Gives `bytes` in pieces of `size`; how many were taken before one was not, if so.
    fn taken(base: &Arc<RemoteFile>, bytes: &[u8], size: usize) -> (usize, Option<Differs>) {
        let mut hashing = Hashing::new(Some(base.clone()));
        for (n, piece) in bytes.chunks(size).enumerate() {
            if let Err(differs) = hashing.update(piece) {
                return (n * size, Some(differs));
            }
        }
        assert_eq!(hashing.whirlpool(), sum(bytes));
        (bytes.len(), None)
    }

    #[test]
    fn a_wrong_byte_of_the_old_file_is_noticed_before_the_piece_with_its_end_is_given_on() {
        let base = base(b"old bytes");
        for size in 1..16 {
            let end = (base.size as usize - 1) / size * size;
            for new in ["", " and new ones"] {
                let right = format!("old bytes{new}");
                assert_eq!(taken(&base, right.as_bytes(), size), (right.len(), None));
                for at in 0..base.size as usize {
                    let mut wrong = right.clone().into_bytes();
                    wrong[at] ^= 1;
                    let found = Some(Differs(base.clone()));
                    assert_eq!(taken(&base, &wrong, size), (end, found), "{at} of {size}");
                }
            }
        }
    }

    #[test]
    fn without_a_checksum_nothing_is_compared() {
        let unknown = RemoteFile {
            whirlpool: None,
            ..(*base(b"old")).clone()
        };
        assert_eq!(taken(&Arc::new(unknown), b"elder", 2), (5, None));
        let mut hashing = Hashing::default();
        hashing.update(b"all ").unwrap();
        hashing.update(b"").unwrap();
        hashing.update(b"new").unwrap();
        assert_eq!(hashing.whirlpool(), sum(b"all new"));
    }
}
