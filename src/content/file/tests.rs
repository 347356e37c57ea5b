//! A cache file on a real disk.

use super::super::blocks::BLOCK_SIZE;
use super::super::buffers::Buffers;
use super::super::parts::Parts;
use super::super::window::{Price, Room, Terms};
use super::*;
use bytes::Bytes;

const SIZE: u64 = 10 * BLOCK_SIZE + 77;
const WINDOW: Window = Window {
    run: 8 << 20,
    ahead: 32 << 20,
    attention: Duration::from_secs(60),
};

struct Fixture {
    dir: tempfile::TempDir,
    store: Store,
    memory: MemoryTier,
    file: CacheFile,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db")).unwrap();
    let path = dir.path().join("data");
    let disk = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    disk.set_len(Sums::file_len(SIZE)).unwrap();
    let row = Row {
        id: "abcde".parse().unwrap(),
        size: SIZE,
        number: 1,
        cached: 0,
        used: 0,
    };
    let file = CacheFile::new(
        row,
        path,
        Some(disk),
        (BlockMap::empty(SIZE), Sums::new(SIZE)),
        WINDOW,
        &Arc::default(),
    );
    Fixture {
        dir,
        store,
        memory: MemoryTier::new(1 << 20),
        file,
    }
}

fn bytes(block: Block) -> Bytes {
    let range = blocks::bytes_of(&(block..block + 1), SIZE);
    range.map(|offset| (offset % 251) as u8).collect()
}

fn begin(file: &CacheFile, run: Range<Block>) -> Arc<Flight> {
    let flights = &mut file.state.lock().flights;
    flights.plan_ahead(&[run], Length::Fixed).remove(0)
}

impl Fixture {
    fn read(&self, range: Range<u64>) -> (u64, Bytes) {
        let mut parts = Parts::default();
        let read = self
            .file
            .read(range, &self.memory, &Buffers::default(), &mut parts);
        (read.unwrap().end, parts.join())
    }
}

fn fill(fixture: &Fixture, run: Range<Block>) {
    let flight = begin(&fixture.file, run.clone());
    for block in run {
        let bytes = bytes(block);
        let stored = fixture.file.store(&flight, &[Arrived::new(block, bytes)]);
        assert!(
            matches!(stored, Stored::Added(n) if n == blocks::len_of(&(block..block + 1), SIZE))
        );
    }
    fixture.file.end_flight(&flight, Progress::Ended);
}

#[test]
fn blocks_are_read_from_disk_and_from_memory() {
    let f = fixture();
    fill(&f, 9..11);
    f.memory.insert(1, 8, bytes(8));
    let start = 8 * BLOCK_SIZE + 5;
    let expected = [bytes(8).slice(5..), bytes(9), bytes(10)].concat();
    assert!(f.read(start..SIZE) == (SIZE, expected.clone().into()));
    let tail = expected[expected.len() - 80..].to_vec();
    assert!(f.read(SIZE - 80..SIZE) == (SIZE, tail.into()));
    assert!(f.read(7 * BLOCK_SIZE..SIZE) == (7 * BLOCK_SIZE, Bytes::new()));
    f.file.let_go(&(8 * BLOCK_SIZE..SIZE), &f.memory);
    assert!(f.memory.has(1, 8), "it is nowhere else");
    fill(&f, 8..9);
    f.file
        .let_go(&(8 * BLOCK_SIZE..9 * BLOCK_SIZE - 1), &f.memory);
    assert!(f.memory.has(1, 8), "it is not at its end");
    f.file
        .let_go(&(8 * BLOCK_SIZE + 9..9 * BLOCK_SIZE), &f.memory);
    assert!(!f.memory.has(1, 8));
    assert!(f.read(start..SIZE).1 == expected);
}

#[test]
fn a_flight_that_is_given_up_keeps_what_came_and_one_that_ended_adds_nothing() {
    let f = fixture();
    let flight = begin(&f.file, 0..4);
    let arrived = |block| {
        let bytes = bytes(block);
        [Arrived::new(block, bytes)]
    };
    flight.landed(1);
    assert!(f.file.give_up(&flight));
    assert_eq!(flight.run(), 0..1);
    let added = f.file.store(&flight, &arrived(0));
    assert!(matches!(added, Stored::Added(BLOCK_SIZE)));
    f.file.end_flight(&flight, Progress::Ended);
    let late = f.file.store(&flight, &arrived(1));
    assert!(matches!(late, Stored::Unwanted));
    assert_eq!(f.file.cached_bytes(), BLOCK_SIZE);
}

#[test]
fn a_punch_spares_what_a_reader_is_at_and_the_row_knows_of_it() {
    let f = fixture();
    fill(&f, 0..6);
    f.file
        .note_read(&(BLOCK_SIZE..2 * BLOCK_SIZE), Met::AtHand, || Terms {
            room: Room::UpTo(u64::MAX),
            price: Price::Free,
            lines: 8,
            idle: 0,
            worthwhile: u64::MAX,
        });
    let dropped = f.file.punch(2 * BLOCK_SIZE, &[], &f.store).unwrap();
    assert_eq!(dropped, 2 * BLOCK_SIZE);
    assert_eq!(f.file.map.missing(&(0..6)), [0..1, 2..3]);
    let bits = f
        .store
        .read(|c| rows::known(c, &f.file.id, SIZE, 1))
        .unwrap()
        .unwrap()
        .bits;
    assert_eq!(bits, f.file.map.to_bytes());
    let holes = std::fs::read(f.dir.path().join("data")).unwrap();
    assert!(holes[..BLOCK_SIZE as usize].iter().all(|&b| b == 0));
    assert!(f.file.is_idle());
    fill(&f, 0..1);
    assert!(f.read(0..BLOCK_SIZE).1 == bytes(0));
}

#[test]
fn a_retired_file_is_not_saved_and_still_reads_right() {
    let f = fixture();
    fill(&f, 0..2);
    assert_eq!(f.file.retire(), 2 * BLOCK_SIZE);
    assert_eq!(f.file.retire(), 0);
    f.file.save(&f.store).unwrap();
    assert!(f.store.read(rows::all).unwrap().is_empty());
    assert!(f.read(0..BLOCK_SIZE).1 == bytes(0));
}

#[test]
fn a_denial_is_remembered_for_a_while() {
    let f = fixture();
    let now = Instant::now();
    let plan = f.file.plan(&(0..1), &f.memory, 0, now).unwrap();
    let reason = super::super::error::Reason::new(&"no", "");
    f.file
        .end_flight(&plan.start[0], Progress::Failed(ContentError::Gone(reason)));
    let again = f.file.plan(&(0..1), &f.memory, 0, now);
    assert!(matches!(again, Err(ContentError::Gone(_))));
    let later = Instant::now() + DENIAL_KEPT;
    assert!(f.file.plan(&(0..1), &f.memory, 0, later).is_ok());
}

#[test]
fn what_comes_beyond_a_flight_that_was_cut_short_is_not_counted_as_here() {
    let f = fixture();
    let flight = begin(&f.file, 0..4);
    flight.landed(2);
    assert!(f.file.give_up(&flight));
    let came: Vec<Arrived> = (0..3)
        .map(|block| Arrived::new(block, bytes(block)))
        .collect();
    let stored = f.file.store(&flight, &came);
    assert!(matches!(stored, Stored::Added(added) if added == 2 * BLOCK_SIZE));
    assert_eq!(f.file.map.present_until(&(0..4)), 2);
}

#[test]
fn a_sealed_file_is_never_written_again_by_whoever_still_brings_blocks() {
    let f = fixture();
    fill(&f, 0..11);
    assert!(!f.file.seal(&f.store).unwrap(), "nobody has looked at it");
    assert_eq!(f.read(0..SIZE).0, SIZE);
    let late = begin(&f.file, 2..3);
    assert!(!f.file.seal(&f.store).unwrap(), "a flight is under way");
    f.file.end_flight(&late, Progress::Ended);
    assert!(f.file.seal(&f.store).unwrap());
    let wrong = Arrived::new(2, Bytes::from(vec![9; BLOCK_SIZE as usize]));
    assert!(matches!(f.file.store(&late, &[wrong]), Stored::Unwanted));
    assert_eq!(f.file.punch(SIZE, &[], &f.store).unwrap(), 0);
    let disk = std::fs::read(f.dir.path().join("data")).unwrap();
    let expected: Vec<u8> = (0..SIZE).map(|offset| (offset % 251) as u8).collect();
    assert!(disk == expected);
    assert_eq!(f.read(0..SIZE).0, SIZE);
    f.file.retire();
    assert!(f.file.lend().unwrap().is_none(), "it was dropped");
}
