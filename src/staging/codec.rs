//! The extent map as bytes, for the column `staged.map`.
//!
//! A version byte, then LEB128 numbers: the size; the files of the service
//! (length and text of the id, size, checksum if known); then each extent as
//! its distance from the end of the one before it, its length, 0 for the data
//! file or the file's number from 1, and the offset there. A map of any other
//! version, or one that does not add up, is refused whole: it says where the
//! user's bytes are, and a guess would falsify them.

use std::sync::Arc;

use super::extents::{Extent, ExtentMap, MAX_SIZE, Source};
use crate::content::RemoteFile;
use crate::ids::Whirlpool;

const VERSION: u8 = 1;

/// The stored map cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the stored map of a staged file is damaged ({0})")]
pub struct BadMap(&'static str);

impl ExtentMap {
    /// The map as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put(&mut out, self.size());
        let remotes = self.remotes();
        put(&mut out, remotes.len() as u64);
        for file in &remotes {
            put(&mut out, file.id.as_str().len() as u64);
            out.extend_from_slice(file.id.as_str().as_bytes());
            put(&mut out, file.size);
            match &file.whirlpool {
                None => out.push(0),
                Some(Whirlpool(digest)) => {
                    out.push(1);
                    out.extend_from_slice(digest);
                }
            }
        }
        put(&mut out, self.extents().count() as u64);
        let mut at = 0;
        for Extent { range, source } in self.extents() {
            put(&mut out, range.start - at);
            put(&mut out, range.end - range.start);
            at = range.end;
            match source {
                Source::Data { offset } => {
                    put(&mut out, 0);
                    put(&mut out, offset);
                }
                Source::Remote { file, offset } => {
                    let number = remotes.iter().position(|f| *f == file).map_or(0, |n| n + 1);
                    put(&mut out, number as u64);
                    put(&mut out, offset);
                }
                // `extents` yields none.
                Source::Zero => {}
            }
        }
        out
    }

    /// Reads what [`ExtentMap::encode`] wrote.
    ///
    /// # Errors
    /// [`BadMap`] unless the bytes are exactly a map.
    pub fn decode(bytes: &[u8]) -> Result<ExtentMap, BadMap> {
        let mut input = Input(bytes);
        if input.byte()? != VERSION {
            return Err(BadMap("unknown version"));
        }
        let size = input.position()?;
        let mut remotes = Vec::new();
        for _ in 0..input.number()? {
            remotes.push(Arc::new(input.remote()?));
        }
        let mut map = ExtentMap::default();
        let mut at = 0;
        for _ in 0..input.number()? {
            let start = at + input.position()?;
            let length = input.position()?;
            if start > size || length == 0 || length > size - start {
                return Err(BadMap("extent outside of the file"));
            }
            let end = start + length;
            at = end;
            let source = match input.number()? {
                0 => Source::Data {
                    offset: input.position()?,
                },
                number => {
                    let file = usize::try_from(number - 1)
                        .ok()
                        .and_then(|index| remotes.get(index))
                        .ok_or(BadMap("unknown base"))?;
                    let offset = input.position()?;
                    if offset + (end - start) > file.size {
                        return Err(BadMap("extent outside of its base"));
                    }
                    Source::Remote {
                        file: Arc::clone(file),
                        offset,
                    }
                }
            };
            map.overlay(start..end, source);
        }
        map.truncate(size);
        if input.0.is_empty() {
            Ok(map)
        } else {
            Err(BadMap("bytes left over"))
        }
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], BadMap> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BadMap("too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, BadMap> {
        let (byte, rest) = self.0.split_first().ok_or(BadMap("too short"))?;
        self.0 = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, BadMap> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BadMap("number too large"))
    }

    /// A number that can be added to another without overflow.
    fn position(&mut self) -> Result<u64, BadMap> {
        let number = self.number()?;
        // Places of the data file may lie beyond the greatest size.
        if number < 2 * MAX_SIZE {
            Ok(number)
        } else {
            Err(BadMap("number too large"))
        }
    }

    fn remote(&mut self) -> Result<RemoteFile, BadMap> {
        let length = usize::try_from(self.number()?).map_err(|_| BadMap("too short"))?;
        let id = std::str::from_utf8(self.take(length)?)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(BadMap("bad file id"))?;
        let size = self.position()?;
        let whirlpool = match self.byte()? {
            0 => None,
            1 => {
                let digest = self.take(64)?.try_into().map_err(|_| BadMap("too short"))?;
                Some(Whirlpool(digest))
            }
            _ => return Err(BadMap("bad checksum")),
        };
        Ok(RemoteFile {
            id,
            size,
            whirlpool,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::extents::tests::{build, op, remote};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_map_comes_back_as_it_went(ops in prop::collection::vec(op(), 0..24)) {
            let map = build(&ops);
            prop_assert_eq!(ExtentMap::decode(&map.encode()).unwrap(), map);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut blob = vec![VERSION];
            blob.extend(bytes);
            if let Ok(map) = ExtentMap::decode(&blob) {
                prop_assert!(map.occupied() <= map.size());
            }
        }

        #[test]
        fn a_cut_map_is_refused(ops in prop::collection::vec(op(), 1..24), keep in 0.0..1.0f64) {
            let blob = build(&ops).encode();
            let keep = (blob.len() as f64 * keep) as usize;
            prop_assert!(ExtentMap::decode(&blob[..keep]).is_err());
        }
    }

    #[test]
    fn a_checksum_survives() {
        let mut file = remote('a', 10);
        file.whirlpool = Some(Whirlpool([7; 64]));
        let map = ExtentMap::whole(file);
        assert_eq!(ExtentMap::decode(&map.encode()).unwrap(), map);
    }

    #[test]
    fn a_new_file_costs_a_few_bytes() {
        let mut map = ExtentMap::default();
        map.overlay(0..1 << 30, Source::Data { offset: 0 });
        assert!(map.encode().len() <= 16);
    }
}
