//! Which places of a data file are in use, and where new bytes go: pure.
//!
//! A place is in use as long as one of these points at it:
//!
//! - the **current** map, which changes with every write;
//! - a **hold**: a sealed version that is stored or being sent, bytes being
//!   copied, or what an earlier process left unsaved. Held places are frozen;
//! - a punch under way (**dying**), so that nothing is written where a hole is
//!   about to appear.
//!
//! A write may go over a place that only the current map has. Everything else
//! gets fresh places: at the file's own offset where that is free, so that most
//! data files end up as plain copies of the content; otherwise in the overflow
//! area, which begins beyond any size the service takes, so that it does not
//! stand in the way of a growing file.

use std::collections::BTreeMap;
use std::ops::Range;

use rangemap::RangeSet;

use super::extents::{ExtentMap, Source, bytes_in};

/// Where bytes go whose own offset is taken. Beyond the service's 300 GB per
/// file (API notes 3), below the limit of common local filesystems.
pub(super) const OVERFLOW: u64 = 1 << 40;

/// Holes are punched in whole blocks: of a part, the disk gives nothing back.
const BLOCK: u64 = 4096;

/// Where a stretch of a write goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Placement {
    /// Logical bytes.
    pub logical: Range<u64>,
    /// The first one's place.
    pub place: u64,
    /// Whether the place was free, or is the one that the bytes already have.
    pub fresh: Fresh,
}

/// Whether a placement takes new places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fresh {
    /// It takes places that were free.
    Yes,
    /// It goes over the bytes that it replaces.
    InPlace,
}

impl Placement {
    /// The places that it covers.
    pub fn places(&self) -> Range<u64> {
        self.place..self.place + (self.logical.end - self.logical.start)
    }
}

/// A hold's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct HoldId(u64);

/// Places that nothing points at any more and that have to be punched.
#[derive(Debug, Default)]
#[must_use = "they stay unusable until they are buried"]
pub(super) struct Doomed {
    /// What to punch: the places, rounded outward over free neighbours.
    pub ranges: RangeSet<u64>,
    /// How many bytes of it were in use.
    pub bytes: u64,
}

/// The places of one data file.
#[derive(Debug, Default)]
pub(super) struct Places {
    current: RangeSet<u64>,
    held: BTreeMap<HoldId, RangeSet<u64>>,
    next_hold: u64,
    /// The union of `held`.
    frozen: RangeSet<u64>,
    dying: RangeSet<u64>,
    /// Bytes in use, those being punched included.
    used: u64,
}

impl Places {
    /// Places to begin with: those of a stored map.
    pub fn of(current: RangeSet<u64>) -> Places {
        Places {
            used: bytes_in(&current),
            current,
            ..Places::default()
        }
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// What the current map points at.
    pub fn in_current(&self) -> &RangeSet<u64> {
        &self.current
    }

    /// Whether a hold exists.
    pub fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Bytes that a hold freezes.
    pub fn held_bytes(&self, id: HoldId) -> u64 {
        self.held.get(&id).map_or(0, bytes_in)
    }

    /// What a hold freezes.
    pub fn held_places(&self, id: HoldId) -> Vec<Range<u64>> {
        let held = self.held.get(&id);
        held.map_or_else(Vec::new, |places| places.iter().cloned().collect())
    }

    /// Where a write of `range` goes in a file that looks like `map`.
    pub fn plan(&self, range: Range<u64>, map: &ExtentMap) -> Vec<Placement> {
        let mut planner = Planner {
            places: self,
            // Nor over own offsets that this very write may take.
            overflow: self.overflow_end().max(range.end),
            placements: Vec::new(),
        };
        let mut at = range.start;
        for extent in map.slice(range.clone()) {
            if let Source::Data { offset } = extent.source {
                planner.fresh(at..extent.range.start);
                planner.over(extent.range.clone(), offset);
                at = extent.range.end;
            }
        }
        planner.fresh(at..range.end);
        planner.placements
    }

    /// The bytes of `placement` are written and the current map points at them
    /// instead of `replaced`.
    pub fn wrote(&mut self, placement: &Placement, replaced: &RangeSet<u64>) {
        if placement.fresh == Fresh::Yes {
            for range in replaced.iter() {
                // Frozen, or it would have been written in place: not doomed.
                self.current.remove(range.clone());
            }
            self.current.insert(placement.places());
            self.used += placement.places().end - placement.places().start;
        }
    }

    /// The current map does not point at `places` any more.
    pub fn free(&mut self, places: &RangeSet<u64>) -> Doomed {
        for range in places.iter() {
            self.current.remove(range.clone());
        }
        self.doom(places.iter().cloned().collect())
    }

    /// Bytes may have reached `places`, which nothing points at (a write that
    /// failed half-way).
    pub fn spoil(&mut self, places: Range<u64>) -> Doomed {
        self.used += places.end - places.start;
        self.doom(vec![places])
    }

    /// Freezes what the current map points at.
    pub fn hold_current(&mut self) -> HoldId {
        self.hold(self.current.clone())
    }

    /// Freezes `places`. Those that were not in use are from now on.
    pub fn hold(&mut self, places: RangeSet<u64>) -> HoldId {
        for range in places.iter() {
            let known = subtract_all(vec![range.clone()], &[&self.current, &self.frozen]);
            self.used += known.iter().map(|r| r.end - r.start).sum::<u64>();
            self.frozen.insert(range.clone());
        }
        let id = HoldId(self.next_hold);
        self.next_hold += 1;
        self.held.insert(id, places);
        id
    }

    /// Ends a hold.
    pub fn release(&mut self, id: HoldId) -> Doomed {
        let Some(places) = self.held.remove(&id) else {
            return Doomed::default();
        };
        self.frozen = RangeSet::new();
        for range in self.held.values().flat_map(RangeSet::iter) {
            self.frozen.insert(range.clone());
        }
        self.doom(places.iter().cloned().collect())
    }

    /// Doomed places are punched: they are free.
    pub fn bury(&mut self, doomed: &Doomed) {
        for range in doomed.ranges.iter() {
            self.dying.remove(range.clone());
        }
        self.used -= doomed.bytes;
    }

    fn doom(&mut self, candidates: Vec<Range<u64>>) -> Doomed {
        let dead = subtract_all(candidates, &[&self.current, &self.frozen, &self.dying]);
        let bytes = dead.iter().map(|r| r.end - r.start).sum();
        let blocks = dead
            .iter()
            .map(|r| r.start / BLOCK * BLOCK..r.end.next_multiple_of(BLOCK))
            .collect();
        let free = subtract_all(blocks, &[&self.current, &self.frozen, &self.dying]);
        let ranges: RangeSet<u64> = free.into_iter().collect();
        for range in ranges.iter() {
            self.dying.insert(range.clone());
        }
        Doomed { ranges, bytes }
    }

    /// Where the overflow area is free to its end.
    fn overflow_end(&self) -> u64 {
        [&self.current, &self.frozen, &self.dying]
            .iter()
            .filter_map(|set| set.last().map(|range| range.end))
            .fold(OVERFLOW, u64::max)
    }
}

struct Planner<'a> {
    places: &'a Places,
    /// The next free place of the overflow area.
    overflow: u64,
    placements: Vec<Placement>,
}

impl Planner<'_> {
    /// Bytes that are in the data file at `place` are to be replaced.
    fn over(&mut self, logical: Range<u64>, place: u64) {
        let shift = logical.start.wrapping_sub(place);
        let places = place..place + (logical.end - logical.start);
        let mut at = places.start;
        for frozen in self.places.frozen.overlapping(&places) {
            let frozen = frozen.start.max(places.start)..frozen.end.min(places.end);
            self.in_place(at..frozen.start, shift);
            at = frozen.end;
            self.fresh(frozen.start.wrapping_add(shift)..frozen.end.wrapping_add(shift));
        }
        self.in_place(at..places.end, shift);
    }

    fn in_place(&mut self, places: Range<u64>, shift: u64) {
        let logical = places.start.wrapping_add(shift)..places.end.wrapping_add(shift);
        self.put(logical, places.start, Fresh::InPlace);
    }

    fn fresh(&mut self, logical: Range<u64>) {
        let Places {
            current,
            frozen,
            dying,
            ..
        } = self.places;
        let own = subtract_all(vec![logical.clone()], &[current, frozen, dying]);
        let mut at = logical.start;
        for free in own {
            self.overflow(at..free.start);
            at = free.end;
            let place = free.start;
            self.put(free, place, Fresh::Yes);
        }
        self.overflow(at..logical.end);
    }

    fn overflow(&mut self, logical: Range<u64>) {
        if logical.is_empty() {
            return;
        }
        let place = self.overflow;
        self.overflow += logical.end - logical.start;
        self.put(logical, place, Fresh::Yes);
    }

    fn put(&mut self, logical: Range<u64>, place: u64, fresh: Fresh) {
        if logical.is_empty() {
            return;
        }
        match self.placements.last_mut() {
            Some(last)
                if last.fresh == fresh
                    && last.logical.end == logical.start
                    && last.places().end == place =>
            {
                last.logical.end = logical.end;
            }
            _ => self.placements.push(Placement {
                logical,
                place,
                fresh,
            }),
        }
    }
}

/// `ranges` without what is in one of `sets`.
pub(super) fn subtract_all(ranges: Vec<Range<u64>>, sets: &[&RangeSet<u64>]) -> Vec<Range<u64>> {
    sets.iter().fold(ranges, |left, set| {
        left.iter()
            .filter(|range| !range.is_empty())
            .flat_map(|range| set.gaps(range))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file with its map, as `StagedFile` keeps them together.
    #[derive(Default)]
    struct Model {
        map: ExtentMap,
        places: Places,
        holds: Vec<(HoldId, RangeSet<u64>)>,
        dying: Vec<Doomed>,
    }

    impl Model {
        fn write(&mut self, range: Range<u64>) -> Vec<Placement> {
            let plan = self.places.plan(range, &self.map);
            for placement in &plan {
                let replaced = self.map.data_places_in(placement.logical.clone());
                self.places.wrote(placement, &replaced);
                let source = Source::Data {
                    offset: placement.place,
                };
                self.map.overlay(placement.logical.clone(), source);
            }
            plan
        }

        fn cut(&mut self, size: u64) {
            let gone = self.map.data_places_in(size..u64::MAX);
            self.map.truncate(size);
            let doomed = self.places.free(&gone);
            self.dying.push(doomed);
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Write(Range<u64>),
        Cut(u64),
        Hold,
        Release(usize),
        Bury,
    }

    fn op() -> impl Strategy<Value = Op> {
        let position = 0..40_000u64;
        prop_oneof![
            4 => (position.clone(), 1..9000u64).prop_map(|(at, n)| Op::Write(at..at + n)),
            1 => position.prop_map(Op::Cut),
            2 => Just(Op::Hold),
            2 => any::<usize>().prop_map(Op::Release),
            1 => Just(Op::Bury),
        ]
    }

    proptest! {
        #[test]
        fn no_write_touches_what_a_hold_or_a_punch_covers(ops in prop::collection::vec(op(), 1..40)) {
            let mut model = Model::default();
            for op in ops {
                match op {
                    Op::Write(range) => {
                        let plan = model.places.plan(range.clone(), &model.map);
                        let mut at = range.start;
                        for placement in &plan {
                            prop_assert_eq!(placement.logical.start, at);
                            at = placement.logical.end;
                            for (_, held) in &model.holds {
                                prop_assert!(!held.overlaps(&placement.places()));
                            }
                            for doomed in &model.dying {
                                prop_assert!(!doomed.ranges.overlaps(&placement.places()));
                            }
                        }
                        prop_assert_eq!(at, range.end);
                        model.write(range);
                    }
                    Op::Cut(size) => model.cut(size),
                    Op::Hold => {
                        let id = model.places.hold_current();
                        model.holds.push((id, model.map.data_places()));
                    }
                    Op::Release(n) if !model.holds.is_empty() => {
                        let (id, _) = model.holds.swap_remove(n % model.holds.len());
                        let doomed = model.places.release(id);
                        for (_, held) in &model.holds {
                            prop_assert!(!doomed.ranges.iter().any(|r| held.overlaps(r)));
                        }
                        prop_assert!(!doomed.ranges.iter().any(|r| model.map.data_places().overlaps(r)));
                        model.dying.push(doomed);
                    }
                    Op::Release(_) => {}
                    Op::Bury => {
                        for doomed in model.dying.drain(..) {
                            model.places.bury(&doomed);
                        }
                    }
                }
                // No place belongs to two stretches, and none is forgotten.
                prop_assert_eq!(&model.places.current, &model.map.data_places());
                let mut all = model.map.data_places();
                prop_assert_eq!(bytes_in(&all), model.map.occupied());
                for (_, held) in &model.holds {
                    all.extend(held.iter().cloned());
                }
                let dying: u64 = model.dying.iter().map(|d| d.bytes).sum();
                prop_assert_eq!(model.places.used(), bytes_in(&all) + dying);
            }
        }
    }

    #[test]
    fn a_sequential_write_is_one_place_at_its_own_offset() {
        let mut model = Model::default();
        for n in 0..100 {
            let plan = model.write(n * 131_072..(n + 1) * 131_072);
            assert_eq!(plan.len(), 1);
            assert_eq!(plan[0].place, n * 131_072);
        }
        assert!(model.map.is_identity());
        assert_eq!(model.map.extents().count(), 1);
    }

    #[test]
    fn a_sealed_place_is_written_elsewhere_and_then_in_place() {
        let mut model = Model::default();
        model.write(0..100);
        model.places.hold_current();
        assert_eq!(model.write(10..20)[0].place, OVERFLOW);
        let again = model.write(10..20);
        assert_eq!((again[0].place, again[0].fresh), (OVERFLOW, Fresh::InPlace));
    }

    #[test]
    fn blocks_are_freed_whole_once_their_last_byte_is_dead() {
        let mut model = Model::default();
        model.write(0..5000);
        model.cut(4500);
        model.cut(0);
        let punched = model.dying.iter().flat_map(|d| d.ranges.iter().cloned());
        let punched: RangeSet<u64> = punched.collect();
        assert_eq!(punched.iter().collect::<Vec<_>>(), [&(0..8192)]);
    }
}
