//! How a folder of more files than a listing holds is seen whole: by asking for
//! slices of its dates, and halving those that are still too many. Pure.
//!
//! The service's dates are its clock's, to the second, and the hour that the autumn
//! repeats has each of them twice (API notes 5). So slices are made of the clock's
//! seconds, not of instants, and each asks for a second more on either side: whether
//! a bound is within does not matter then. A service that takes a time of the repeated
//! hour for its first meaning shows all of the second pass to the slice that
//! ends with the hour, since that asks up to three o'clock, which is one instant; for
//! the second meaning it is the slice that begins with it.

use jiff::civil::{DateTime, date};
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::api::{DateWindow, clock_of, is_repeated};

/// The service has nothing older.
const BEGINNING: DateTime = date(2000, 1, 1).at(0, 0, 0, 0);

/// Seconds of the service's clock, both ends within; `None` is without end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slice {
    from: Option<DateTime>,
    to: Option<DateTime>,
}

impl Slice {
    const ALL: Slice = Slice {
        from: None,
        to: None,
    };

    fn holds(&self, second: DateTime) -> bool {
        self.from.is_none_or(|from| from <= second) && self.to.is_none_or(|to| second <= to)
    }

    fn is_one_second(&self) -> bool {
        self.from.is_some() && self.from == self.to
    }
}

/// What is left to be asked.
#[derive(Debug)]
pub(crate) struct Plan {
    open: Vec<Slice>,
    /// Bounds are known to be within.
    inclusive: bool,
    /// Seconds of which more files are dated than a listing holds.
    overfull: u32,
}

impl Plan {
    /// For a folder of which a listing showed files of these dates, and not all.
    pub fn new(dates: &[DateTime]) -> Plan {
        let mut plan = Plan {
            open: Vec::new(),
            inclusive: false,
            overfull: 0,
        };
        plan.halve(Slice::ALL, dates);
        plan
    }

    /// For what was put into a folder at `instant` or later.
    pub fn since(mut instant: Timestamp) -> Plan {
        // A time of the repeated hour would mean two instants.
        while is_repeated(clock_of(instant)) {
            instant = instant.saturating_sub(1.hour()).unwrap_or(Timestamp::MIN);
        }
        Plan {
            open: vec![Slice {
                from: Some(clock_of(instant)),
                to: None,
            }],
            inclusive: false,
            overfull: 0,
        }
    }

    /// For a folder that the service does not list at all, for the number of its files. All
    /// of them are dated before `end`, unless clocks differ.
    pub fn blind(end: DateTime) -> Plan {
        let mut plan = Plan {
            open: Vec::new(),
            inclusive: false,
            overfull: 0,
        };
        plan.refused(Slice::ALL, end);
        plan
    }

    /// The next slice and how to ask for it; `None` when all are known.
    pub fn next(&mut self) -> Option<(Slice, DateWindow)> {
        let slice = self.open.pop()?;
        // Where bounds are within, no more is asked for than is wanted: a neighbouring
        // second with very many files would fill the answer.
        let wider = |bound: &DateTime| !self.inclusive || is_repeated(*bound);
        let window = DateWindow {
            after: slice.from.map(|from| match wider(&from) {
                true => from.saturating_sub(1.second()),
                false => from,
            }),
            before: slice.to.map(|to| match wider(&to) {
                true => to.saturating_add(1.second()),
                false => to,
            }),
        };
        Some((slice, window))
    }

    /// A slice could not be asked for: it stays.
    pub fn put_back(&mut self, slice: Slice) {
        self.open.push(slice);
    }

    /// An answer with all files of a slice came.
    pub fn whole(&mut self, window: DateWindow, dates: &[DateTime]) {
        self.learn(window, dates);
    }

    /// An answer came that cannot hold all files of the slice.
    pub fn cut(&mut self, slice: Slice, window: DateWindow, dates: &[DateTime]) {
        let knew = self.inclusive;
        self.learn(window, dates);
        let neighbours = slice.is_one_second() || !dates.iter().any(|date| slice.holds(*date));
        if neighbours && self.inclusive && !knew {
            self.open.push(slice);
        } else if slice.is_one_second() {
            self.overfull += 1;
        } else {
            self.halve(slice, dates);
        }
    }

    /// The service refused a slice for the number of its files: it is cut in the middle of its
    /// time, since of the files nothing is known.
    pub fn refused(&mut self, slice: Slice, end: DateTime) {
        if slice.is_one_second() {
            self.overfull += 1;
            return;
        }
        let from = slice.from.unwrap_or(BEGINNING);
        let to = slice
            .to
            .unwrap_or_else(|| end.max(from.saturating_add(1.day())));
        let half = to.duration_since(from).as_secs() / 2;
        let middle = from.saturating_add(SignedDuration::from_secs(half));
        self.add(slice.from, Some(middle));
        if let Ok(after) = middle.checked_add(1.second()) {
            self.add(Some(after), slice.to);
        }
    }

    /// How many slices are left to be asked for, as far as is known.
    pub fn left(&self) -> usize {
        self.open.len()
    }

    /// Whether some files cannot be seen by any question.
    pub fn is_overfull(&self) -> bool {
        self.overfull > 0
    }

    fn learn(&mut self, window: DateWindow, dates: &[DateTime]) {
        let bounds = [window.after, window.before];
        self.inclusive |= dates.iter().any(|date| bounds.contains(&Some(*date)));
    }

    /// Cuts a slice where half of the files that were seen are on either side.
    fn halve(&mut self, slice: Slice, dates: &[DateTime]) {
        let mut within: Vec<DateTime> = dates
            .iter()
            .copied()
            .filter(|date| slice.holds(*date))
            .collect();
        within.sort_unstable();
        let (Some(&least), Some(&most)) = (within.first(), within.last()) else {
            // So many, and none with a date: there is nothing to cut by.
            self.overfull += 1;
            return;
        };
        let middle = within.get(within.len() / 2).copied().unwrap_or(least);
        let before = |second: DateTime| second.checked_sub(1.second()).ok();
        let after = |second: DateTime| second.checked_add(1.second()).ok();
        if least == most {
            self.add(slice.from, before(least));
            self.add(after(least), slice.to);
            self.add(Some(least), Some(least));
        } else if least < middle {
            self.add(slice.from, before(middle));
            self.add(Some(middle), slice.to);
        } else {
            self.add(slice.from, Some(middle));
            self.add(after(middle), slice.to);
        }
    }

    fn add(&mut self, from: Option<DateTime>, to: Option<DateTime>) {
        if from.zip(to).is_none_or(|(from, to)| from <= to) {
            self.open.push(Slice { from, to });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How a service takes a bound.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Clock {
        /// As text.
        Text,
        /// As the first, or second, of two instants.
        First,
        Second,
    }

    /// A file as the service keeps it: its clock's time, and in which pass.
    type File = (DateTime, bool);

    fn instant(clock: Clock, bound: DateTime) -> File {
        (bound, is_repeated(bound) && clock == Clock::Second)
    }

    /// Order of instants: within the repeated hour the passes follow one another.
    fn order(file: File) -> (DateTime, bool, DateTime) {
        let (shown, second) = file;
        match is_repeated(shown) {
            true => (date(2026, 10, 25).at(2, 0, 0, 0), second, shown),
            false => (shown, false, shown),
        }
    }

    fn shows(clock: Clock, inclusive: bool, window: DateWindow, file: File) -> bool {
        let within = |less: std::cmp::Ordering| match inclusive {
            true => less.is_le(),
            false => less.is_lt(),
        };
        let compare = |a: File, b: File| match clock {
            Clock::Text => a.0.cmp(&b.0),
            _ => order(a).cmp(&order(b)),
        };
        window
            .after
            .is_none_or(|after| within(compare(instant(clock, after), file)))
            && window
                .before
                .is_none_or(|before| within(compare(file, instant(clock, before))))
    }

    /// Asks until all is known; gives what was seen and how many questions it took.
    fn complete(files: &[File], cap: usize, clock: Clock, inclusive: bool) -> (Vec<File>, Plan) {
        let first = &files[..cap.min(files.len())];
        let plan = Plan::new(&dates(first));
        carry_out(plan, first, files, cap, clock, inclusive)
    }

    fn dates(files: &[File]) -> Vec<DateTime> {
        files.iter().map(|file| file.0).collect()
    }

    fn carry_out(
        mut plan: Plan,
        first: &[File],
        files: &[File],
        cap: usize,
        clock: Clock,
        inclusive: bool,
    ) -> (Vec<File>, Plan) {
        let mut seen = first.to_vec();
        let mut calls = 0;
        while let Some((slice, window)) = plan.next() {
            calls += 1;
            assert!(calls < 10_000, "it does not come to an end");
            let all: Vec<File> = files
                .iter()
                .copied()
                .filter(|file| shows(clock, inclusive, window, *file))
                .collect();
            let answer = &all[..cap.min(all.len())];
            seen.extend_from_slice(answer);
            match answer.len() < cap {
                true => plan.whole(window, &dates(answer)),
                false => plan.cut(slice, window, &dates(answer)),
            }
        }
        seen.sort_by_key(|file| order(*file));
        seen.dedup();
        (seen, plan)
    }

    fn some_file() -> impl Strategy<Value = File> {
        // Around the change of clocks, where it is hard, and far from it.
        let start = date(2026, 10, 25).at(1, 50, 0, 0);
        prop_oneof![
            (0..4800_i64, any::<bool>()).prop_map(move |(s, pass)| (start + s.seconds(), pass)),
            (0..100_000_000_i64).prop_map(move |s| (start - s.seconds(), false)),
        ]
        .prop_map(|(shown, pass)| (shown, pass && is_repeated(shown)))
    }

    proptest! {
        #[test]
        fn every_file_is_seen_however_the_service_takes_the_bounds(
            files in prop::collection::btree_set(some_file(), 30..120),
            clock in prop::sample::select(&[Clock::Text, Clock::First, Clock::Second]),
            inclusive in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let mut files: Vec<File> = files.into_iter().collect();
            files.sort_by_key(|(shown, pass)| (shown.second() as u64 ^ seed, *shown, *pass));
            // Instants of the second pass cannot be told apart by such bounds: all of them
            // come with one slice, so they must fit one answer.
            let passes = files.iter().filter(|file| is_repeated(file.0)).count();
            let cap = 20.max(passes + 4);
            let (seen, plan) = complete(&files, cap, clock, inclusive);
            files.sort_by_key(|file| order(*file));
            files.dedup();
            prop_assert!(!plan.is_overfull());
            prop_assert_eq!(seen, files);
        }
    }

    /// The service's clock at an instant, and in which pass.
    fn file_of(instant: Timestamp) -> File {
        let shown = clock_of(instant);
        let hour_before = instant - 1.hour();
        (shown, is_repeated(shown) && clock_of(hour_before) == shown)
    }

    proptest! {
        #[test]
        fn all_that_came_since_is_seen_however_the_clocks_are_put_back(
            // Around the end of summer time, 2026-10-25 01:00 UTC.
            since in 1_792_882_800_i64..1_792_897_200,
            after in prop::collection::btree_set(0..9000_i64, 30..120),
            clock in prop::sample::select(&[Clock::Text, Clock::First, Clock::Second]),
            inclusive in any::<bool>(),
        ) {
            let since = Timestamp::from_second(since).unwrap();
            // Whether a bound is within is not known; callers leave room for more than that.
            let mut files: Vec<File> = after.iter().map(|s| file_of(since + (s + 1).seconds())).collect();
            let (seen, plan) = carry_out(Plan::since(since), &[], &files, 200, clock, inclusive);
            files.sort_by_key(|file| order(*file));
            prop_assert!(!plan.is_overfull());
            prop_assert_eq!(seen, files);
        }
    }

    proptest! {
        #[test]
        fn every_file_is_seen_of_a_service_that_refuses_what_is_too_much(
            files in prop::collection::btree_set(some_file(), 30..120),
            clock in prop::sample::select(&[Clock::Text, Clock::First, Clock::Second]),
            inclusive in any::<bool>(),
        ) {
            let mut files: Vec<File> = files.into_iter().collect();
            let passes = files.iter().filter(|file| is_repeated(file.0)).count();
            let cap = 20.max(passes + 4);
            let end = date(2026, 11, 1).at(0, 0, 0, 0);
            let mut plan = Plan::blind(end);
            let (mut seen, mut calls) = (Vec::new(), 0);
            while let Some((slice, window)) = plan.next() {
                calls += 1;
                prop_assert!(calls < 10_000, "it does not come to an end");
                let shown = |file: &File| shows(clock, inclusive, window, *file);
                let all: Vec<File> = files.iter().copied().filter(shown).collect();
                match all.len() > cap {
                    true => plan.refused(slice, end),
                    false => seen.extend(all),
                }
            }
            seen.sort_by_key(|file| order(*file));
            seen.dedup();
            files.sort_by_key(|file| order(*file));
            files.dedup();
            prop_assert!(!plan.is_overfull());
            prop_assert_eq!(seen, files);
        }
    }

    #[test]
    fn a_second_with_too_many_files_is_told_and_the_rest_is_seen() {
        let busy = date(2026, 5, 1).at(12, 0, 0, 0);
        // Twins of one date are one file to `dedup`: they differ in nothing.
        let mut files = vec![(busy, false); 50];
        files.extend((1..100).map(|s| (busy + s.seconds(), false)));
        files.extend((1..100).map(|s| (busy - s.seconds(), false)));
        let (seen, plan) = complete(&files, 20, Clock::Text, true);
        assert!(plan.is_overfull());
        assert_eq!(seen.len(), 199);
    }

    #[test]
    fn neighbours_do_not_make_a_second_overfull() {
        let busy = date(2026, 5, 1).at(12, 0, 0, 0);
        let mut files = Vec::new();
        for s in 0..3 {
            files.extend(vec![(busy + s.seconds(), false); 15]);
        }
        let (seen, plan) = complete(&files, 20, Clock::Text, true);
        assert!(!plan.is_overfull());
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn files_without_dates_cannot_be_sliced() {
        let mut plan = Plan::new(&[]);
        assert!(plan.is_overfull() && plan.next().is_none());
    }
}
