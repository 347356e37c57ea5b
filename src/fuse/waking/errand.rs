//! What the messenger is to do, and how it is written to it. Pure.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::fuse::mountinfo::MountedDevice;
use crate::vfs::Kind;

/// The call that raises the event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// As if it were made.
    Make(Kind),
    /// As if it were removed; whatever it was, as a file.
    Remove,
}

/// An errand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Errand {
    /// Where the mount is.
    pub point: PathBuf,
    /// What is mounted there. Nothing is done anywhere else.
    pub device: MountedDevice,
    /// The folder, below the mountpoint.
    pub folder: PathBuf,
    /// The number that the kernel knows the folder by.
    pub ino: u64,
    /// The name in it.
    pub name: OsString,
    /// What is done with the name.
    pub act: Act,
}

const ACTS: [(Act, &[u8]); 4] = [
    (Act::Make(Kind::File), b"file"),
    (Act::Make(Kind::Dir), b"folder"),
    (Act::Make(Kind::Symlink), b"link"),
    (Act::Remove, b"gone"),
];

impl Errand {
    /// Its fields, each with a NUL at its end, which no path has.
    pub fn write(&self) -> Vec<u8> {
        let act = ACTS.iter().find(|(act, _)| *act == self.act);
        let numbers = [
            u64::from(self.device.major),
            u64::from(self.device.minor),
            self.ino,
        ]
        .map(|number| number.to_string());
        let [major, minor, ino] = numbers.each_ref().map(String::as_bytes);
        let fields = [
            act.map_or(&b""[..], |(_, word)| word),
            major,
            minor,
            ino,
            self.point.as_os_str().as_bytes(),
            self.folder.as_os_str().as_bytes(),
            self.name.as_bytes(),
        ];
        fields.map(|field| [field, b"\0"].concat()).concat()
    }

    /// The next errand; `None` where no more come.
    ///
    /// # Errors
    /// Those of reading, and what is no errand.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Errand>> {
        if from.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut field = || field(from);
        let act = field()?;
        let act = ACTS.iter().find(|(_, word)| *word == act);
        let (act, _) = act.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some(Errand {
            act: *act,
            device: MountedDevice {
                major: number(&field()?)?,
                minor: number(&field()?)?,
            },
            ino: number(&field()?)?,
            point: OsString::from_vec(field()?).into(),
            folder: OsString::from_vec(field()?).into(),
            name: OsString::from_vec(field()?),
        }))
    }
}

/// A field as it is written.
///
/// # Errors
/// Those of reading, and where it has no end.
pub fn field(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut field = Vec::new();
    from.read_until(0, &mut field)?;
    match field.pop() {
        Some(0) => Ok(field),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn number<N: std::str::FromStr>(text: &[u8]) -> io::Result<N> {
    let text = OsStr::from_bytes(text).to_str();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(1u8.., 0..40)
    }

    fn errand() -> impl Strategy<Value = Errand> {
        let act = (0..ACTS.len()).prop_map(|at| ACTS[at].0);
        let device = (any::<u32>(), any::<u32>());
        (act, device, any::<u64>(), bytes(), bytes(), bytes()).prop_map(
            |(act, (major, minor), ino, point, folder, name)| Errand {
                point: OsString::from_vec(point).into(),
                device: MountedDevice { major, minor },
                folder: OsString::from_vec(folder).into(),
                ino,
                name: OsString::from_vec(name),
                act,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(errands in proptest::collection::vec(errand(), 0..4)) {
            let text = errands.iter().flat_map(Errand::write).collect::<Vec<u8>>();
            let mut from = &text[..];
            for errand in errands {
                prop_assert_eq!(Errand::read(&mut from).unwrap(), Some(errand));
            }
            prop_assert_eq!(Errand::read(&mut from).unwrap(), None);
        }

        /// Whoever wrote it ended in the middle: no half of a name is taken for one.
        #[test]
        fn half_an_errand_is_none(errand in errand(), cut: prop::sample::Index) {
            let text = errand.write();
            let cut = 1 + cut.index(text.len() - 1);
            prop_assert!(Errand::read(&mut &text[..cut]).is_err());
        }
    }
}
