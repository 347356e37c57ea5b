//! Where each byte of a file is: the extent map, pure and without I/O.
//!
//! A map has a size and, for every stretch of the file that is not zeros, its
//! origin: a place in the inode's data file or a range of a file of the
//! service. An origin is stored as its distance from the logical position, so
//! cutting a stretch in two changes no value, and neighbours that continue one
//! another have equal values and melt into one. A stretch without origin reads
//! as zeros: a hole costs nothing, wherever it is.

use std::ops::Range;
use std::sync::Arc;

use rangemap::{RangeMap, RangeSet};

use crate::content::RemoteFile;

/// Sizes and offsets end here: distances and places then never overflow.
pub(super) const MAX_SIZE: u64 = 1 << 62;

/// Where the bytes of a stretch are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// In the data file, from `offset` on.
    Data {
        /// First byte's place in the data file.
        offset: u64,
    },
    /// On the service.
    Remote {
        /// The file of the service.
        file: Arc<RemoteFile>,
        /// First byte's position in it.
        offset: u64,
    },
    /// Nowhere: they are zeros.
    Zero,
}

/// A stretch of a file and where its bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Logical bytes of the file.
    pub range: Range<u64>,
    /// Where the first of them is; the others follow it.
    pub source: Source,
}

/// Distance from a logical position to the position in the origin, modulo 2^64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shift(u64);

impl Shift {
    fn between(logical: u64, origin: u64) -> Shift {
        Shift(origin.wrapping_sub(logical))
    }

    fn apply(self, logical: u64) -> u64 {
        logical.wrapping_add(self.0)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Origin {
    Data(Shift),
    Remote(Arc<RemoteFile>, Shift),
}

impl Origin {
    fn at(&self, logical: u64) -> Source {
        match self {
            Origin::Data(shift) => Source::Data {
                offset: shift.apply(logical),
            },
            Origin::Remote(file, shift) => Source::Remote {
                file: Arc::clone(file),
                offset: shift.apply(logical),
            },
        }
    }
}

/// The whole content of one generation of a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExtentMap {
    size: u64,
    /// Within `0..size`; what is not in it is zeros.
    origins: RangeMap<u64, Origin>,
}

impl ExtentMap {
    /// All of a file of the service, unchanged.
    pub fn whole(file: RemoteFile) -> ExtentMap {
        let mut map = ExtentMap::default();
        let range = 0..file.size;
        let source = Source::Remote {
            file: Arc::new(file),
            offset: 0,
        };
        map.overlay(range, source);
        map
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts `source` over `range`; the file grows if `range` ends beyond it.
    pub fn overlay(&mut self, range: Range<u64>, source: Source) {
        if range.is_empty() {
            return;
        }
        self.size = self.size.max(range.end);
        let origin = match source {
            Source::Data { offset } => Origin::Data(Shift::between(range.start, offset)),
            Source::Remote { file, offset } => {
                Origin::Remote(file, Shift::between(range.start, offset))
            }
            Source::Zero => return self.origins.remove(range),
        };
        self.origins.insert(range, origin);
    }

    /// Makes the file `size` bytes long: cuts it, or adds zeros.
    pub fn truncate(&mut self, size: u64) {
        if size < self.size {
            self.origins.remove(size..self.size);
        }
        self.size = size;
    }

    /// What `range`, as far as the file reaches, consists of: in order, without
    /// gaps.
    pub fn slice(&self, range: Range<u64>) -> Vec<Extent> {
        let end = range.end.min(self.size);
        let mut at = range.start;
        let mut extents = Vec::new();
        if at >= end {
            return extents;
        }
        let zeros = |range: Range<u64>| Extent {
            range,
            source: Source::Zero,
        };
        for (stretch, origin) in self.origins.overlapping(range.start..end) {
            let part = stretch.start.max(at)..stretch.end.min(end);
            if at < part.start {
                extents.push(zeros(at..part.start));
            }
            at = part.end;
            extents.push(Extent {
                source: origin.at(part.start),
                range: part,
            });
        }
        if at < end {
            extents.push(zeros(at..end));
        }
        extents
    }

    /// Every stretch that is not zeros, in order.
    pub fn extents(&self) -> impl Iterator<Item = Extent> + '_ {
        self.origins.iter().map(|(range, origin)| Extent {
            source: origin.at(range.start),
            range: range.clone(),
        })
    }

    /// Where both maps have the same bytes from the same origin.
    pub fn shared_with(&self, other: &ExtentMap) -> RangeSet<u64> {
        let mut shared = RangeSet::new();
        for (range, origin) in self.origins.iter() {
            for (theirs, their_origin) in other.origins.overlapping(range) {
                if origin == their_origin {
                    shared.insert(range.start.max(theirs.start)..range.end.min(theirs.end));
                }
            }
        }
        shared
    }

    /// `sealed` is now the content of `remote`: what this map shares with it is
    /// a range of that file from now on.
    pub fn rebase(&mut self, sealed: &ExtentMap, remote: &Arc<RemoteFile>) {
        for range in self.shared_with(sealed).iter() {
            let here = Origin::Remote(Arc::clone(remote), Shift(0));
            self.origins.insert(range.clone(), here);
        }
    }

    /// The places of the data file that this map points at.
    pub fn data_places(&self) -> RangeSet<u64> {
        self.data_places_in(0..self.size)
    }

    /// The places of the data file that hold bytes of `range`.
    pub fn data_places_in(&self, range: Range<u64>) -> RangeSet<u64> {
        let mut places = RangeSet::new();
        if range.is_empty() {
            return places;
        }
        for (stretch, origin) in self.origins.overlapping(&range) {
            if let Origin::Data(shift) = origin {
                let part = stretch.start.max(range.start)..stretch.end.min(range.end);
                // Never empty: it overlaps.
                places.insert(shift.apply(part.start)..shift.apply(part.end));
            }
        }
        places
    }

    /// Whether every byte is either in the data file at its own offset or zero,
    /// so that the data file itself is the content.
    pub fn is_identity(&self) -> bool {
        self.origins
            .iter()
            .all(|(_, origin)| *origin == Origin::Data(Shift(0)))
    }

    /// Bytes that are not a hole, wherever they are.
    pub fn occupied(&self) -> u64 {
        self.origins.iter().map(|(r, _)| r.end - r.start).sum()
    }

    /// The files of the service that this map reads from, each once.
    pub fn remotes(&self) -> Vec<Arc<RemoteFile>> {
        let mut found: Vec<Arc<RemoteFile>> = Vec::new();
        for (_, origin) in self.origins.iter() {
            if let Origin::Remote(file, _) = origin
                && !found.contains(file)
            {
                found.push(Arc::clone(file));
            }
        }
        found
    }

    /// The file of the service that this begins with: all of it, byte for byte.
    pub fn begins_with(&self) -> Option<&Arc<RemoteFile>> {
        match self.origins.iter().next() {
            Some((range, Origin::Remote(file, Shift(0)))) if *range == (0..file.size) => Some(file),
            _ => None,
        }
    }

    /// The file of the service that this is all of, byte for byte.
    pub fn copy_of(&self) -> Option<&Arc<RemoteFile>> {
        self.begins_with().filter(|file| file.size == self.size)
    }

    /// The first position at or after `offset` that is not in a hole.
    pub fn next_data(&self, offset: u64) -> Option<u64> {
        if offset >= self.size {
            return None;
        }
        let (range, _) = self.origins.overlapping(offset..self.size).next()?;
        Some(range.start.max(offset))
    }

    /// The first position at or after `offset` that is in a hole; the end of
    /// the file counts as one.
    pub fn next_hole(&self, offset: u64) -> Option<u64> {
        if offset >= self.size {
            return None;
        }
        let rest = offset..self.size;
        Some(
            self.origins
                .gaps(&rest)
                .next()
                .map_or(self.size, |g| g.start),
        )
    }
}

/// Bytes in a set of ranges.
pub(super) fn bytes_in(set: &RangeSet<u64>) -> u64 {
    set.iter().map(|r| r.end - r.start).sum()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file of the service with one letter repeated as its id.
    pub fn remote(letter: char, size: u64) -> RemoteFile {
        RemoteFile {
            id: letter.to_string().repeat(10).parse().unwrap(),
            size,
            whirlpool: None,
        }
    }

    #[derive(Clone, Debug)]
    pub enum Op {
        Overlay(Range<u64>, Source),
        Truncate(u64),
    }

    #[test]
    fn only_all_of_a_file_from_its_first_byte_on_is_a_copy() {
        let file = remote('a', 10);
        let mut map = ExtentMap::default();
        // In several calls, as a long copy is made.
        for part in [0..4, 4..10] {
            let source = Source::Remote {
                file: Arc::new(file.clone()),
                offset: part.start,
            };
            assert_eq!(map.copy_of(), None);
            map.overlay(part, source);
        }
        assert_eq!(map.copy_of().map(|file| &**file), Some(&file));
        let changes: [fn(&mut ExtentMap); 3] = [
            |map| map.truncate(9),
            |map| map.truncate(11),
            |map| map.overlay(3..4, Source::Data { offset: 3 }),
        ];
        for change in changes {
            let mut changed = map.clone();
            change(&mut changed);
            assert_eq!(changed.copy_of(), None);
        }
    }

    #[test]
    fn what_was_appended_to_begins_with_all_of_the_old_file() {
        let (file, other) = (Arc::new(remote('a', 10)), Arc::new(remote('b', 10)));
        let of = |file: &Arc<RemoteFile>, offset| Source::Remote {
            file: Arc::clone(file),
            offset,
        };
        let whole = ExtentMap::whole((*file).clone());
        let changed = |change: &dyn Fn(&mut ExtentMap)| {
            let mut map = whole.clone();
            change(&mut map);
            map.begins_with().cloned()
        };
        let old = Some(file.clone());
        assert_eq!(changed(&|_| ()), old);
        assert_eq!(changed(&|map| map.truncate(11)), old);
        assert_eq!(
            changed(&|map| map.overlay(10..14, Source::Data { offset: 10 })),
            old
        );
        assert_eq!(changed(&|map| map.overlay(10..20, of(&file, 0))), old);
        assert_eq!(changed(&|map| map.overlay(10..15, of(&other, 5))), old);

        assert_eq!(changed(&|map| map.truncate(9)), None);
        assert_eq!(changed(&|map| map.overlay(0..1, Source::Zero)), None);
        assert_eq!(changed(&|map| map.overlay(4..5, of(&file, 5))), None);
        assert_eq!(
            changed(&|map| map.overlay(9..14, Source::Data { offset: 9 })),
            None
        );
        let mut moved = ExtentMap::default();
        moved.overlay(1..11, of(&file, 0));
        assert_eq!(moved.begins_with(), None);
        assert_eq!(ExtentMap::whole(remote('c', 0)).begins_with(), None);
    }

    const SPACE: u64 = 96;

    fn source() -> impl Strategy<Value = Source> {
        prop_oneof![
            (0..SPACE).prop_map(|offset| Source::Data { offset }),
            (0..3u8, 0..SPACE).prop_map(|(n, offset)| Source::Remote {
                file: Arc::new(remote(char::from(b'a' + n), 1 << 20)),
                offset
            }),
            Just(Source::Zero),
        ]
    }

    pub fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0..SPACE, 0..24u64, source()).prop_map(|(at, n, s)| Op::Overlay(at..at + n, s)),
            1 => (0..SPACE).prop_map(Op::Truncate),
        ]
    }

    pub fn build(ops: &[Op]) -> ExtentMap {
        let mut map = ExtentMap::default();
        for op in ops {
            match op.clone() {
                Op::Overlay(range, source) => map.overlay(range, source),
                Op::Truncate(size) => map.truncate(size),
            }
        }
        map
    }

    /// One entry a byte: where it is.
    fn advance(source: &Source, by: u64) -> Source {
        match source {
            Source::Data { offset } => Source::Data {
                offset: offset + by,
            },
            Source::Remote { file, offset } => Source::Remote {
                file: Arc::clone(file),
                offset: offset + by,
            },
            Source::Zero => Source::Zero,
        }
    }

    fn naive(ops: &[Op]) -> Vec<Source> {
        let mut bytes: Vec<Source> = Vec::new();
        for op in ops {
            match op {
                Op::Overlay(range, source) => {
                    if !range.is_empty() && bytes.len() < range.end as usize {
                        bytes.resize(range.end as usize, Source::Zero);
                    }
                    for at in range.clone() {
                        bytes[at as usize] = advance(source, at - range.start);
                    }
                }
                Op::Truncate(size) => bytes.resize(*size as usize, Source::Zero),
            }
        }
        bytes
    }

    fn by_byte(map: &ExtentMap, range: Range<u64>) -> Vec<Source> {
        let mut bytes = Vec::new();
        for extent in map.slice(range) {
            for at in extent.range.clone() {
                bytes.push(advance(&extent.source, at - extent.range.start));
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn a_map_says_of_every_byte_what_a_byte_by_byte_model_says(
            ops in prop::collection::vec(op(), 0..24),
            from in 0..SPACE + 32, len in 0..SPACE,
        ) {
            let (map, model) = (build(&ops), naive(&ops));
            prop_assert_eq!(map.size(), model.len() as u64);
            prop_assert_eq!(by_byte(&map, 0..u64::MAX), model.clone());
            let part: Vec<_> =
                model.iter().skip(from as usize).take(len as usize).cloned().collect();
            prop_assert_eq!(by_byte(&map, from..from + len), part);

            let holes = |at: usize| model[at] == Source::Zero;
            let ahead = from as usize..model.len();
            prop_assert_eq!(map.next_data(from), ahead.clone().find(|&i| !holes(i)).map(|i| i as u64));
            let hole = ahead.clone().find(|&i| holes(i)).unwrap_or(model.len());
            prop_assert_eq!(map.next_hole(from), (!ahead.is_empty()).then_some(hole as u64));
            prop_assert_eq!(map.occupied(), (0..model.len()).filter(|&i| !holes(i)).count() as u64);
        }

        #[test]
        fn rebasing_moves_exactly_what_both_have(
            first in prop::collection::vec(op(), 0..12),
            then in prop::collection::vec(op(), 0..8),
        ) {
            let sealed = build(&first);
            let all: Vec<Op> = first.iter().chain(&then).cloned().collect();
            let mut map = build(&all);
            let (old, new) = (naive(&first), naive(&all));
            let remote = Arc::new(remote('z', sealed.size()));
            map.rebase(&sealed, &remote);
            let expected: Vec<Source> = new.iter().enumerate().map(|(at, source)| {
                let same = old.get(at) == Some(source) && *source != Source::Zero;
                // Equal bytes are shared only if their stretch came from one origin;
                // per byte that is the same as equal sources.
                if same {
                    Source::Remote { file: Arc::clone(&remote), offset: at as u64 }
                } else {
                    source.clone()
                }
            }).collect();
            prop_assert_eq!(by_byte(&map, 0..u64::MAX), expected);
        }

        #[test]
        fn neighbours_that_continue_each_other_are_one(cuts in prop::collection::vec(1..9u64, 1..20)) {
            let mut map = ExtentMap::default();
            let mut at = 0;
            for cut in cuts {
                map.overlay(at..at + cut, Source::Data { offset: 7 + at });
                at += cut;
            }
            prop_assert_eq!(map.extents().count(), 1);
        }
    }

    #[test]
    fn cutting_and_growing_again_reads_zeros() {
        let mut map = ExtentMap::whole(remote('a', 100));
        map.truncate(40);
        map.truncate(100);
        assert_eq!(map.slice(40..100)[0].source, Source::Zero);
        assert_eq!(map.occupied(), 40);
    }

    #[test]
    fn sixteen_tebibytes_of_hole_are_one_extent() {
        let mut map = ExtentMap::default();
        map.truncate(16 << 40);
        map.overlay((16 << 40) - 1..16 << 40, Source::Data { offset: 0 });
        assert_eq!(map.extents().count(), 1);
        assert_eq!(map.next_data(0), Some((16 << 40) - 1));
    }
}
