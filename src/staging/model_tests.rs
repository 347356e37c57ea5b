//! Random lives of a file against a vector of bytes: changes, closes, crashes,
//! snapshots and confirmations in any order.

use super::Within;
use std::mem;
use std::sync::Arc;

use proptest::prelude::*;

use super::testing::Bench;
use super::{Grow, StagedFile, Survive, Version};
use crate::content::RemoteFile;
use crate::ids::Ino;

const SPACE: u64 = 40_000;

#[derive(Clone, Debug)]
enum Op {
    Write(u64, usize, u8),
    Append(usize, u8),
    Truncate(u64),
    Zero(u64, u64, bool),
    Allocate(u64, u64, bool),
    Copy(u64, u64, u64),
    Seal(Ending),
    Snapshot,
    DropSnapshot(usize),
    Confirm(usize),
    /// All handles are closed and opened again.
    Unload,
    Kill,
}

/// How the transaction of a seal ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Committed,
    /// Committed, but nobody says so.
    Doubtful,
    RolledBack,
    Durable,
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0..SPACE;
    let len = prop_oneof![0..100u64, 0..9000u64, Just(4096u64)];
    let ending = prop_oneof![
        5 => Just(Ending::Committed),
        1 => Just(Ending::Doubtful),
        1 => Just(Ending::RolledBack),
        1 => Just(Ending::Durable),
    ];
    prop_oneof![
        8 => (at.clone(), len.clone(), 1..=255u8).prop_map(|(at, n, b)| Op::Write(at, n as usize, b)),
        2 => (len.clone(), 1..=255u8).prop_map(|(n, b)| Op::Append(n as usize, b)),
        2 => at.clone().prop_map(Op::Truncate),
        1 => (at.clone(), len.clone(), any::<bool>()).prop_map(|(at, n, g)| Op::Zero(at, n, g)),
        1 => (at.clone(), len.clone(), any::<bool>()).prop_map(|(at, n, g)| Op::Allocate(at, n, g)),
        1 => (at.clone(), at, len).prop_map(|(from, to, n)| Op::Copy(from, to, n)),
        5 => ending.prop_map(Op::Seal),
        3 => Just(Op::Snapshot),
        2 => any::<usize>().prop_map(Op::DropSnapshot),
        3 => any::<usize>().prop_map(Op::Confirm),
        2 => Just(Op::Unload),
        2 => Just(Op::Kill),
    ]
}

struct Life {
    bench: Bench,
    file: Arc<StagedFile>,
    /// What a reader must see.
    now: Vec<u8>,
    /// What the row must give, with its version.
    stored: Option<(u64, Vec<u8>)>,
    /// What the service has.
    base: Option<(RemoteFile, Vec<u8>)>,
    snapshots: Vec<(Version, Vec<u8>)>,
    /// Whether memory and row agree on what is stored.
    exact: bool,
}

enum Restart {
    Unload,
    Kill,
}

impl Life {
    fn new(base: Option<Vec<u8>>) -> Life {
        let bench = Bench::new();
        let base = base.map(|content| (bench.service.put(&content), content));
        Life {
            file: bench.file(base.as_ref().map(|(remote, _)| remote)),
            now: base.as_ref().map(|(_, c)| c.clone()).unwrap_or_default(),
            bench,
            stored: None,
            base,
            snapshots: Vec::new(),
            exact: true,
        }
    }

    /// What a file is that nobody had in memory.
    fn saved(&self) -> Vec<u8> {
        let base = || self.base.as_ref().map(|(_, content)| content);
        let saved = self.stored.as_ref().map(|(_, content)| content);
        saved.or_else(base).cloned().unwrap_or_default()
    }

    fn fill(&mut self, at: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            let end = at + bytes.len();
            self.now.resize(self.now.len().max(end), 0);
            self.now[at..end].copy_from_slice(bytes);
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Write(at, len, byte) => {
                let bytes: Vec<u8> = (0..len).map(|n| byte.wrapping_add(n as u8)).collect();
                self.file.write(at, &bytes).unwrap();
                self.fill(at as usize, &bytes);
            }
            Op::Append(len, byte) => {
                let bytes = vec![byte; len];
                let end = self.file.append(Within::Budget, &bytes).unwrap();
                self.fill(self.now.len(), &bytes);
                assert_eq!(end, self.now.len() as u64);
            }
            Op::Truncate(size) => {
                self.file.truncate(size).unwrap();
                self.now.resize(size as usize, 0);
            }
            Op::Zero(at, len, grow) => {
                self.file.zero(at..at + len, how(grow)).unwrap();
                let size = self.now.len();
                self.fill(at as usize, &vec![0; len as usize]);
                if !grow {
                    self.now.truncate(size);
                }
            }
            Op::Allocate(at, len, grow) => {
                self.file
                    .allocate(at..at + len, how(grow), Within::Budget)
                    .unwrap();
                if grow {
                    self.now.resize(self.now.len().max((at + len) as usize), 0);
                }
            }
            Op::Copy(from, to, len) => {
                let copied = self
                    .file
                    .copy_from(&self.file, from, to, len, Within::Budget)
                    .unwrap() as usize;
                let from = self.now.len().min(from as usize);
                let end = self.now.len().min(from + len as usize);
                assert_eq!(copied, end - from);
                let bytes = self.now[from..end].to_vec();
                self.fill(to as usize, &bytes);
            }
            Op::Seal(ending) => self.seal(ending),
            Op::Snapshot => {
                if let Some(version) = self.file.snapshot() {
                    // After a doubtful commit the last known version may be older.
                    let content = self.bench.version(&version);
                    if let Some((number, stored)) = &self.stored
                        && *number == version.number()
                    {
                        assert_eq!(&content, stored);
                    }
                    self.snapshots.push((version, content));
                }
            }
            Op::DropSnapshot(n) if !self.snapshots.is_empty() => {
                self.snapshots.swap_remove(n % self.snapshots.len());
            }
            Op::Confirm(n) if !self.snapshots.is_empty() => {
                let (version, content) = self.snapshots.swap_remove(n % self.snapshots.len());
                self.confirm(version, content);
            }
            Op::DropSnapshot(_) | Op::Confirm(_) => {}
            Op::Unload => {
                self.snapshots.clear();
                self.reload(Restart::Unload);
            }
            Op::Kill => {
                self.reload(Restart::Kill);
            }
        }
    }

    fn seal(&mut self, ending: Ending) {
        let survive = match ending {
            Ending::Durable => Survive::PowerCut,
            _ => Survive::Kill,
        };
        let Some(mut sealing) = self.file.seal(survive).unwrap() else {
            return;
        };
        let number = sealing.version();
        let store = &self.bench.store;
        match ending {
            Ending::Committed => {
                store.write(|tx| sealing.store(tx)).unwrap();
                sealing.committed();
            }
            Ending::Durable => {
                store.write_durable(|tx| sealing.store(tx)).unwrap();
                sealing.committed();
            }
            Ending::Doubtful => {
                store.write(|tx| sealing.store(tx)).unwrap();
                self.exact = false;
            }
            Ending::RolledBack => {
                let failed = store.write(|tx| {
                    sealing.store(tx)?;
                    Err::<(), _>(super::StagingError::TooBig)
                });
                assert!(failed.is_err());
                return;
            }
        }
        self.stored = Some((number, self.now.clone()));
    }

    fn confirm(&mut self, version: Version, content: Vec<u8>) {
        let number = version.number();
        let remote = self.bench.confirm(version);
        if self
            .stored
            .as_ref()
            .is_some_and(|(stored, _)| *stored <= number)
        {
            self.stored = None;
        }
        // Uploads of a file end in order: who is late is not asked any more.
        self.snapshots.retain(|(other, _)| other.number() > number);
        if let Some((old, _)) = self.base.replace((remote, content)) {
            self.bench.service.remove(&old.id);
        }
    }

    fn reload(&mut self, how: Restart) {
        // A file of another inode stands in while there is none of this one.
        let other = self.bench.staging.file(Ino(3), None).unwrap();
        let before = mem::replace(&mut self.file, other);
        match how {
            Restart::Unload => {
                drop(before);
                if self.exact {
                    let staged = self.bench.staging.usage().staged;
                    assert_eq!(staged, self.bench.stored_bytes());
                }
            }
            Restart::Kill => {
                self.bench.kill(&[&before]);
                self.snapshots.clear();
                self.exact = true;
            }
        }
        self.file = self
            .bench
            .file(self.base.as_ref().map(|(remote, _)| remote));
        self.now = self.saved();
        assert!(!self.file.is_dirty());
    }

    fn check(&self) {
        assert_eq!(self.file.size(), self.now.len() as u64);
        let content = self.bench.content(&self.file);
        assert!(
            content == self.now,
            "content differs at {:?}",
            differs(&content, &self.now)
        );
        for (version, content) in &self.snapshots {
            let read = self.bench.version(version);
            assert!(read == *content, "version {} changed", version.number());
        }
    }
}

fn differs(a: &[u8], b: &[u8]) -> Option<usize> {
    a.iter().zip(b).position(|(a, b)| a != b)
}

fn how(grow: bool) -> Grow {
    if grow { Grow::Size } else { Grow::KeepSize }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_file_is_what_was_written_and_after_a_crash_what_was_sealed(
        base in prop::option::of(0..SPACE as usize),
        ops in prop::collection::vec(op(), 1..50),
    ) {
        let base = base.map(|len| (0..len).map(|n| (n % 251) as u8).collect());
        let mut life = Life::new(base);
        for op in ops {
            life.step(op);
            life.check();
        }
        // Whatever came before, the next close is whole.
        life.seal(Ending::Committed);
        let expected = life.now.clone();
        life.step(Op::Kill);
        prop_assert!(life.now == expected);
        life.check();
    }
}
