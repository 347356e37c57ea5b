//! An array that the service refuses as a whole though only one object of it may be to
//! blame: each is asked for on its own. Pure.
//!
//! Each refusal counts against us, so this does not go on where two in a row are refused
//! alone: the rest is asked for as a whole, and if that is refused, it was said of all.

use std::collections::VecDeque;

/// Refused alone in a row, after which the rest is asked for as a whole.
const IN_A_ROW: u32 = 2;

/// What is still to be asked for, and as what.
pub(super) struct Apart<T> {
    rest: VecDeque<T>,
    /// They are not told apart: not yet, or not any more.
    whole: bool,
    /// A refusal of several is believed.
    told: bool,
    alone: u32,
}

impl<T> Apart<T> {
    /// Begins with all of them. Where all were refused before, it was tried to tell them apart:
    /// they stay together.
    pub fn of(items: Vec<T>, was_refused: impl Fn(&T) -> bool) -> Apart<T> {
        Apart {
            told: items.iter().all(was_refused),
            whole: true,
            rest: items.into(),
            alone: 0,
        }
    }

    /// What is to be asked for next.
    pub fn next(&mut self) -> Option<Vec<T>> {
        let most = if self.whole { self.rest.len() } else { 1 };
        let part: Vec<T> = self.rest.drain(..most.min(self.rest.len())).collect();
        (!part.is_empty()).then_some(part)
    }

    /// The service did what was asked for last.
    pub fn taken(&mut self) {
        self.alone = 0;
    }

    /// It refused `part`. Returns those of which that is to be believed.
    pub fn refused(&mut self, part: Vec<T>) -> Vec<T> {
        if part.len() > 1 && !self.told {
            self.told = true;
            self.whole = false;
            self.rest = part.into();
            return Vec::new();
        }
        self.alone += 1;
        self.whole = self.alone >= IN_A_ROW;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for fifty of which the service refuses some; returns those of which that is
    /// believed, the number of calls and that of refusals.
    fn ask(before: bool, refused: impl Fn(u32) -> bool) -> (Vec<u32>, u32, u32) {
        let mut apart = Apart::of((0..50).collect(), |_| before);
        let (mut believed, mut calls, mut refusals) = (Vec::new(), 0, 0);
        while let Some(part) = apart.next() {
            calls += 1;
            if part.iter().any(|item| refused(*item)) {
                refusals += 1;
                believed.extend(apart.refused(part));
            } else {
                apart.taken();
            }
        }
        (believed, calls, refusals)
    }

    #[test]
    fn the_one_that_is_refused_is_found() {
        for bad in [0, 24, 49] {
            assert_eq!(ask(false, |i| i == bad), (vec![bad], 51, 2));
        }
        let (believed, _, refusals) = ask(false, |i| i == 7 || i == 8);
        assert_eq!((believed, refusals), (vec![7, 8], 3), "the rest is taken");
        assert_eq!(ask(false, |_| false), (vec![], 1, 0));
    }

    #[test]
    fn what_is_said_of_all_is_not_asked_for_each() {
        let all: Vec<u32> = (0..50).collect();
        assert_eq!(ask(false, |_| true), (all.clone(), 4, 4));
        assert_eq!(ask(true, |_| true), (all, 1, 1));
    }
}
