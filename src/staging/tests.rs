//! Lives of a file that are worth a name.

use super::Within;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::testing::{Bench, INO};
use super::{Grow, Read, StagingError, Survive};
use crate::ids::Ino;

#[test]
fn opening_and_editing_a_file_of_the_service_fetches_nothing() {
    let bench = Bench::new();
    let remote = bench.service.put(&[7; 100_000]);
    let file = bench.file(Some(&remote));
    file.write(50_000, b"x").unwrap();
    bench.seal(&file).unwrap();
    assert_eq!(bench.stored_bytes(), 1);
    assert_eq!(file.snapshot().unwrap().bases(), [remote.id]);
}

#[test]
fn a_clean_file_has_nothing_to_seal_and_no_data_file() {
    let bench = Bench::new();
    let remote = bench.service.put(b"content");
    let file = bench.file(Some(&remote));
    file.write(3, b"").unwrap();
    file.truncate(7).unwrap();
    assert_eq!(bench.content(&file), "content");
    assert!(!file.is_dirty());
    assert!(bench.seal(&file).is_none());
    assert!(file.snapshot().is_none());
    assert_eq!(bench.data_files(), 0);
}

#[test]
fn all_handles_of_an_inode_share_one_content() {
    let bench = Bench::new();
    let (one, other) = (bench.file(None), bench.file(None));
    one.write(0, b"seen").unwrap();
    assert_eq!(bench.content(&other), "seen");
    assert!(bench.staging.get(INO).is_some());
    drop((one, other));
    assert!(bench.staging.get(INO).is_none());
}

#[test]
fn cutting_and_growing_again_gives_zeros() {
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(0, b"abcdef").unwrap();
    file.truncate(2).unwrap();
    file.truncate(4).unwrap();
    assert_eq!(bench.content(&file), "ab\0\0");
    file.write(6, b"g").unwrap();
    assert_eq!(bench.content(&file), "ab\0\0\0\0g");
}

#[test]
fn what_was_written_after_the_last_close_is_kept_for_the_doctor() {
    let mut bench = Bench::new();
    let file = bench.file(None);
    file.write(0, &[1; 5000]).unwrap();
    bench.seal(&file).unwrap();
    file.write(0, &[2; 100]).unwrap();
    file.append(Within::Budget, &[3; 200]).unwrap();
    bench.kill(&[&file]);
    let file = bench.file(None);
    assert_eq!(bench.content(&file), vec![1; 5000]);
    assert!(file.leftover() >= 300);
    // And stays so, whatever is written now.
    file.write(0, &[4; 6000]).unwrap();
    bench.seal(&file).unwrap();
    bench.confirm(file.snapshot().unwrap());
    assert!(file.leftover() >= 300);
    drop(file);
    assert_eq!(bench.staging.orphans().unwrap().len(), 1);
}

#[test]
fn a_file_that_was_never_closed_is_an_orphan_after_a_crash() {
    let mut bench = Bench::new();
    let file = bench.file(None);
    file.write(0, b"unsaved").unwrap();
    assert!(bench.staging.orphans().unwrap().is_empty());
    bench.kill(&[&file]);
    let orphans = bench.staging.orphans().unwrap();
    assert_eq!(orphans.len(), 1);
    assert_eq!(std::fs::read(&orphans[0].path).unwrap(), b"unsaved");
    // Its number is not given to another file.
    bench.file(None).write(0, b"other").unwrap();
    assert_eq!(std::fs::read(&orphans[0].path).unwrap(), b"unsaved");
}

#[test]
fn a_confirmed_file_becomes_cache_and_leaves_no_row() {
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(0, b"whole").unwrap();
    bench.seal(&file).unwrap();
    let remote = bench.confirm(file.snapshot().unwrap());
    assert_eq!(*bench.service.adopted.lock(), [remote.id]);
    assert_eq!((bench.data_files(), bench.stored_bytes()), (0, 0));
    assert_eq!(bench.staging.usage().staged, 0);
    assert!(file.snapshot().is_none());
    assert_eq!(bench.content(&file), "whole");
}

#[test]
fn a_file_with_holes_is_not_given_to_the_cache() {
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(100_000, b"end").unwrap();
    bench.seal(&file).unwrap();
    bench.confirm(file.snapshot().unwrap());
    assert!(bench.service.adopted.lock().is_empty());
    assert_eq!((bench.data_files(), bench.staging.usage().staged), (0, 0));
}

#[test]
fn bytes_that_an_older_version_still_reads_are_not_given_to_the_cache() {
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(0, b"first").unwrap();
    bench.seal(&file).unwrap();
    let first = file.snapshot().unwrap();
    file.truncate(0).unwrap();
    file.truncate(5).unwrap();
    file.write(0, b"other").unwrap();
    bench.seal(&file).unwrap();
    bench.confirm(file.snapshot().unwrap());
    assert!(bench.service.adopted.lock().is_empty());
    assert_eq!(bench.version(&first), b"first");
}

#[test]
fn writing_during_an_upload_sends_the_old_and_keeps_the_new() {
    let mut bench = Bench::new();
    let file = bench.file(None);
    file.write(0, &[1; 10_000]).unwrap();
    bench.seal(&file).unwrap();
    let sent = file.snapshot().unwrap();
    file.write(4096, &[2; 10]).unwrap();
    bench.seal(&file).unwrap();
    let first = bench.confirm(sent);
    // Only the ten bytes are staged now.
    assert_eq!(bench.stored_bytes(), 10);
    assert_eq!(bench.staging.usage().staged, 10);
    assert!(bench.service.is_pinned(&first.id));
    bench.kill(&[&file]);
    // The stored version pins what it reads from, though nobody opened it.
    assert!(bench.service.is_pinned(&first.id));
    let file = bench.file(Some(&first));
    let mut expected = vec![1; 10_000];
    expected[4096..4106].fill(2);
    assert_eq!(bench.content(&file), expected);
    bench.confirm(file.snapshot().unwrap());
    assert!(!bench.service.is_pinned(&first.id));
}

#[test]
fn a_confirmation_of_other_bytes_is_refused() {
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(0, b"four").unwrap();
    bench.seal(&file).unwrap();
    let other = bench.service.put(b"five!");
    let refused = file.snapshot().unwrap().confirmed(other).err();
    assert!(matches!(
        refused,
        Some(StagingError::SizeMismatch {
            sent: 4,
            confirmed: 5
        })
    ));
}

#[test]
fn versions_that_are_stored_out_of_order_leave_the_newest() {
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(0, b"old").unwrap();
    let mut old = file.seal(Survive::PowerCut).unwrap().unwrap();
    file.write(0, b"new").unwrap();
    let mut new = file.seal(Survive::Kill).unwrap().unwrap();
    bench.store.write(|tx| new.store(tx)).unwrap();
    bench.store.write(|tx| old.store(tx)).unwrap();
    new.committed();
    old.committed();
    assert!(!file.is_dirty());
    assert_eq!(bench.version(&file.snapshot().unwrap()), b"new");
    drop(file);
    assert_eq!(bench.content(&bench.file(None)), "new");
}

#[test]
fn an_unlinked_file_lives_as_long_as_its_handles() {
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(0, b"closed").unwrap();
    bench.seal(&file).unwrap();
    let discarding = file.discard();
    bench.store.write(|tx| discarding.store(tx)).unwrap();
    discarding.committed();
    file.append(Within::Budget, b" and more").unwrap();
    assert_eq!(bench.content(&file), "closed and more");
    assert!(bench.seal(&file).is_none());
    assert_eq!((bench.data_files(), bench.stored_bytes()), (0, 0));
    drop(file);
    assert_eq!(bench.staging.usage().staged, 0);
}

#[test]
fn a_file_that_is_first_written_after_its_unlink_leaves_nothing() {
    let bench = Bench::new();
    let file = bench.file(None);
    let discarding = file.discard();
    bench.store.write(|tx| discarding.store(tx)).unwrap();
    discarding.committed();
    file.write(0, b"scratch").unwrap();
    assert_eq!(bench.content(&file), "scratch");
    assert_eq!(bench.data_files(), 0);
}

#[test]
fn a_write_beyond_the_budget_is_refused_whole_and_rewriting_costs_nothing() {
    let bench = Bench::with_budget(1000);
    let file = bench.file(None);
    file.write(0, &[1; 900]).unwrap();
    file.write(0, &[2; 900]).unwrap();
    let refused = file.write(850, &[3; 200]).unwrap_err();
    assert!(refused.is_full());
    assert!(
        file.allocate(0..2000, Grow::KeepSize, Within::Budget)
            .unwrap_err()
            .is_full()
    );
    assert_eq!(bench.content(&file), vec![2; 900]);
    file.truncate(500).unwrap();
    file.write(500, &[3; 500]).unwrap();
    assert_eq!(bench.staging.usage().staged, 1000);
}

#[test]
fn copying_moves_staged_bytes_and_takes_the_rest_as_it_is() {
    let bench = Bench::new();
    let remote = bench.service.put(&[9; 50_000]);
    let source = bench.file(Some(&remote));
    source.write(10_000, b"staged").unwrap();
    source.punch(20_000..30_000).unwrap();
    let copy = bench.staging.file(Ino(3), None).unwrap();
    assert_eq!(
        copy.copy_from(&source, 5_000, 0, 90_000, Within::Budget)
            .unwrap(),
        45_000
    );
    assert_eq!(bench.content(&copy), bench.content(&source).slice(5_000..));
    assert_eq!(bench.staging.usage().staged, 12);
    assert_eq!(copy.seek_hole(0), Some(15_000));
    assert_eq!(copy.seek_data(15_000), Some(25_000));
    drop(source);
    assert!(bench.service.is_pinned(&remote.id));
}

#[test]
fn nothing_overflows_at_the_edges() {
    let bench = Bench::new();
    let file = bench.file(None);
    assert!(matches!(
        file.write(u64::MAX, b"x"),
        Err(StagingError::TooBig)
    ));
    assert!(matches!(file.truncate(u64::MAX), Err(StagingError::TooBig)));
    file.truncate(16 << 40).unwrap();
    file.write((2 << 40) - 1, b"xyz").unwrap();
    file.punch(0..u64::MAX).unwrap();
    assert_eq!((file.size(), file.allocated()), (16 << 40, 0));
    assert!(matches!(file.read(u64::MAX, 10), Read::Now(Ok(bytes)) if bytes.is_empty()));
}

#[test]
fn a_read_never_sees_half_of_a_write() {
    const LEN: usize = 64 << 10;
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(0, &[0; LEN]).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let Read::Now(bytes) = file.read(0, LEN) else {
                        panic!("all of it is staged");
                    };
                    let bytes = bytes.unwrap();
                    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
                }
            });
        }
        // Sealed and dropped all the time, so that places change hands.
        for round in 1..=200u8 {
            file.write(0, &[round; LEN]).unwrap();
            if round % 3 == 0 {
                bench.seal(&file);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn stored_bytes_stay_counted_when_nobody_has_the_file() {
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(0, &[1; 4096]).unwrap();
    bench.seal(&file).unwrap();
    file.truncate(0).unwrap();
    drop(file);
    assert_eq!(bench.staging.usage().staged, 4096);
    drop(bench.file(None));
    assert_eq!(bench.staging.usage().staged, 4096);
}

#[test]
fn a_damaged_row_is_an_error_and_not_an_empty_file() {
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(0, b"content").unwrap();
    bench.seal(&file).unwrap();
    drop(file);
    bench
        .store
        .write(|tx| Ok::<_, StagingError>(tx.execute("UPDATE staged SET map = x'01'", [])?))
        .unwrap();
    let refused = bench.staging.file(INO, None).err();
    assert!(matches!(refused, Some(StagingError::Map { .. })));
}

#[test]
fn a_missing_data_file_is_an_error_and_not_zeros() {
    let bench = Bench::new();
    let file = bench.file(None);
    file.write(0, b"content").unwrap();
    bench.seal(&file).unwrap();
    drop(file);
    std::fs::remove_dir_all(bench.folder()).unwrap();
    let refused = bench.staging.file(INO, None).err();
    assert!(matches!(refused, Some(StagingError::NoDataFile)));
}

#[test]
fn a_version_whose_row_is_new_keeps_its_bytes_over_the_confirmation_of_the_one_before() {
    let mut bench = Bench::new();
    let file = bench.file(None);
    file.write(0, b"first").unwrap();
    bench.seal(&file).unwrap();
    let first = file.snapshot().unwrap();
    file.write(5, b" second").unwrap();
    // Its row is committed, and before memory learns of that ...
    let mut sealing = file.seal(Survive::Kill).unwrap().unwrap();
    bench.store.write(|tx| sealing.store(tx)).unwrap();
    // ... another handle empties the file, and the first version is confirmed.
    file.truncate(0).unwrap();
    bench.confirm(first);
    sealing.committed();
    bench.kill(&[&file]);
    drop(file);
    assert_eq!(bench.content(&bench.file(None)), "first second");
}
