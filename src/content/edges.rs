//! The beginnings and ends of files: what media servers, file managers and players read of
//! each film in a library, again and again.
//!
//! They are small and dear: without them a walk over the library costs a link and two
//! requests for each film. So they are the last of a file to go, and those of the files
//! used lately stay as long as they fit in a share of the cache, however much
//! streams through the rest of it.

use std::ops::Range;

use super::blocks::{self, BLOCK_SIZE, Block};

/// Bytes at each of the two ends.
const EDGE: u64 = 2 * 1024 * 1024;

/// The edges may fill this part of the cache before theirs go as well.
const SHARE: u64 = 4;

/// The blocks of the two edges of a file of `size` bytes; they may meet.
pub(super) fn of(size: u64) -> [Range<Block>; 2] {
    let blocks = blocks::count(size);
    let edge = EDGE / BLOCK_SIZE;
    let second = blocks.saturating_sub(edge).max(edge.min(blocks));
    [0..edge.min(blocks), second..blocks]
}

/// Bytes of the edges of a file of `size` bytes.
fn len(size: u64) -> u64 {
    of(size).iter().map(|run| blocks::len_of(run, size)).sum()
}

/// What a file gives to make room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gives {
    /// All of it.
    Whole,
    /// What is between its edges.
    Middle,
    /// Nothing but edges is left of it.
    Nothing,
}

/// A file in the cache, as far as making room is concerned.
pub(super) struct Holding {
    /// Bytes of the file.
    pub(super) size: u64,
    /// Bytes of it on disk. Which these are is not known here: up to the size of the
    /// edges they are taken for edges.
    pub(super) cached: u64,
}

/// What each of `files` gives, which are in the order of their last use, in a cache of
/// `limit` bytes.
pub(super) fn gives(files: &[Holding], limit: u64) -> Vec<Gives> {
    let mut room = limit / SHARE;
    let mut gives: Vec<Gives> = files
        .iter()
        .rev()
        .map(|file| {
            let edges = len(file.size);
            let Some(left) = room.checked_sub(file.cached.min(edges)) else {
                // Those used before this one have had their time.
                room = 0;
                return Gives::Whole;
            };
            room = left;
            match file.cached > edges {
                true => Gives::Middle,
                false => Gives::Nothing,
            }
        })
        .collect();
    gives.reverse();
    gives
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_edges_are_both_ends_and_a_small_file_is_all_edge() {
        assert_eq!(of(100 * MIB), [0..16, 784..800]);
        assert_eq!(of(100 * MIB + 1), [0..16, 785..801]);
        assert_eq!(of(3 * MIB), [0..16, 16..24]);
        assert_eq!(of(MIB), [0..8, 8..8]);
        assert_eq!(of(0), [0..0, 0..0]);
        assert_eq!(len(100 * MIB), 4 * MIB);
        assert_eq!(len(3 * MIB + 5), 3 * MIB + 5);
    }

    #[test]
    fn edges_of_the_files_used_last_stay_within_their_share() {
        let file = |cached| Holding {
            size: 100 * MIB,
            cached,
        };
        let files = [file(MIB), file(50 * MIB), file(4 * MIB), file(9 * MIB)];
        use Gives::{Middle, Nothing, Whole};
        assert_eq!(
            gives(&files, 4 * 13 * MIB),
            [Nothing, Middle, Nothing, Middle]
        );
        assert_eq!(
            gives(&files, 4 * 12 * MIB),
            [Whole, Middle, Nothing, Middle]
        );
        assert_eq!(gives(&files, 4 * 11 * MIB), [Whole, Whole, Nothing, Middle]);
        assert_eq!(gives(&files, 0), [Whole; 4]);
    }
}
