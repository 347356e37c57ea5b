//! What is not known of the real service (API notes 10): a usual day's work ends with
//! the same account, whichever answer is the true one.

use crate::harness::tree::{assert_account_is, assert_same, local};
use crate::harness::{World, eventually, names, scaled, text};
use fichierfs::sim::{
    EmptyLists, EmptyUpload, Existing, ExpiredToken, ForbiddenNames, Mixed, Overlong, Quirks,
    RefusalStyle, ResumeFrom, RmUnknown, SameName, SimConfig, Types, UploadAnswer,
};
use std::fs;

fn a_day_with(quirks: Quirks) {
    let world = World::with(SimConfig { quirks, ..scaled() });
    let mounted = world.mount();
    let at = |path: &str| mounted.join(path);
    fs::create_dir_all(at("d/e")).unwrap();
    for name in ["a.txt", "d/b.txt", "d/e/c.txt", "d/e/gone.txt"] {
        fs::write(at(name), format!("this is {name}")).unwrap();
    }
    fs::write(at("empty"), "").unwrap();
    mounted.drain();
    assert_account_is(&world, mounted.path());

    // A name that is taken, by a file of its own and by one that is replaced.
    fs::write(at("a.txt"), "a second version").unwrap();
    fs::rename(at("d/e/c.txt"), at("d/b.txt")).unwrap();
    fs::rename(at("d/e"), at("f")).unwrap();
    fs::remove_file(at("f/gone.txt")).unwrap();
    fs::remove_dir(at("f")).unwrap();
    // A folder made anew under the name of one that is just going.
    fs::create_dir(at("f")).unwrap();
    fs::write(at("f/new.txt"), "new").unwrap();
    mounted.drain();
    assert_eq!(text(at("d/b.txt")), "this is d/e/c.txt");
    assert_account_is(&world, mounted.path());
    let shown = local(mounted.path());
    mounted.unmount();

    // A machine that knows nothing of it sees the same, but for the empty file.
    world.forget_calls();
    let other = world.mount_with("b", &[]);
    assert_eq!(names(other.path()), ["a.txt", "d", "f"]);
    assert_eq!(text(other.join("d/b.txt")), "this is d/e/c.txt");
    let mut expected = shown;
    expected.remove("empty");
    assert_same("another mount", &expected, &local(other.path()));
    other.unmount();
    assert_eq!(world.report().key_leaks, 0);
    assert_eq!(world.report().bans, 0);
}

#[test]
fn a_service_that_answers_refusals_with_403_and_tolerates_names_that_are_taken() {
    a_day_with(Quirks {
        refusals: RefusalStyle::All403,
        mkdir_existing: Existing::Return,
        upload_answer: UploadAnswer::Json,
        empty_lists: EmptyLists::Null,
        rm_unknown: RmUnknown::Ignore,
        expired_token: ExpiredToken::Page,
        raw_backslash: false,
        ..Quirks::default()
    });
}

#[test]
fn a_service_that_answers_refusals_with_200_and_refuses_mixed_names() {
    a_day_with(Quirks {
        refusals: RefusalStyle::All200,
        mixed_names: Mixed::Refuse,
        upload_answer: UploadAnswer::Page,
        types: Types::Full,
        empty_lists: EmptyLists::Missing,
        empty_upload: EmptyUpload::NoLinks,
        expired_token: ExpiredToken::Gone,
        overlong_listing: Overlong::Refuse,
        ..Quirks::default()
    });
}

/// What `mv` does to files whose new names are taken: replaced, swapped, moved where
/// another file has the old name.
fn names_that_are_taken(same_name: SameName) -> World {
    let world = World::with(SimConfig {
        quirks: Quirks {
            same_name,
            ..Quirks::default()
        },
        ..scaled()
    });
    let mounted = world.mount();
    let at = |path: &str| mounted.join(path);
    let mv = |from: &str, to: &str| fs::rename(at(from), at(to)).unwrap();
    let long = "n".repeat(250);
    fs::create_dir_all(at("d/e")).unwrap();
    for name in [
        "d/a", "d/b", "d/p", "d/q", "x", "d/e/x", &long, "y", "z", "d/y",
    ] {
        fs::write(at(name), format!("this was {name}")).unwrap();
    }
    mounted.drain();

    mv("d/a", "d/b");
    mv("d/p", "swap");
    mv("d/q", "d/p");
    mv("swap", "d/q");
    mv("x", "d/e/new");
    mv("z", &long);
    mv("y", "d/y");
    mounted.drain();
    for (name, was) in [
        ("d/b", "d/a"),
        ("d/p", "d/q"),
        ("d/q", "d/p"),
        ("d/e/x", "d/e/x"),
        ("d/e/new", "x"),
        (&long, "z"),
        ("d/y", "y"),
    ] {
        assert_eq!(text(at(name)), format!("this was {was}"), "{name}");
    }
    assert_eq!(names(at("d")), ["b", "e", "p", "q", "y"]);
    assert_account_is(&world, mounted.path());
    mounted.unmount();
    world
}

#[test]
fn names_that_are_taken_are_replaced_where_the_service_keeps_both() {
    let world = names_that_are_taken(SameName::Duplicate);
    // Where nothing is refused, nothing is asked in another way.
    assert!(world.report().refused.is_empty());
}

#[test]
fn names_that_are_taken_are_replaced_where_the_service_refuses() {
    names_that_are_taken(SameName::Refuse);
}

#[test]
fn names_that_are_taken_are_replaced_where_the_service_does_nothing() {
    names_that_are_taken(SameName::NoEffect);
}

#[test]
fn a_name_that_somebody_else_took_is_left_to_both() {
    let world = World::with(SimConfig {
        quirks: Quirks {
            same_name: SameName::Refuse,
            ..Quirks::default()
        },
        ..scaled()
    });
    let mounted = world.mount();
    fs::write(mounted.join("a"), "ours").unwrap();
    mounted.drain();
    world.account().add_file("b", b"theirs").unwrap();
    fs::rename(mounted.join("a"), mounted.join("b")).unwrap();
    mounted.drain();
    eventually("both are shown", || names(mounted.path()) == ["a", "b"]);
    assert_eq!(text(mounted.join("a")), "ours");
    assert_eq!(text(mounted.join("b")), "theirs");
    assert_account_is(&world, mounted.path());

    // Nor does it keep the name that it had on the way.
    fs::create_dir(mounted.join("d")).unwrap();
    fs::write(mounted.join("d/a"), "ours too").unwrap();
    mounted.drain();
    world.account().add_file("d/c", b"theirs").unwrap();
    fs::rename(mounted.join("a"), mounted.join("d/c")).unwrap();
    mounted.drain();
    eventually("all three are shown", || {
        names(mounted.join("d")).len() == 3
    });
    let kept = world.account().file_paths();
    assert_eq!(kept.iter().filter(|path| path.starts_with("d/")).count(), 3);
    assert!(!kept.iter().any(|path| path.contains("moving")), "{kept:?}");
    let shown = names(mounted.join("d"));
    assert!(shown[1].starts_with("a ("), "{shown:?}");
    assert_eq!(text(mounted.join("d").join(&shown[1])), "ours");
    mounted.unmount();
}

#[test]
fn a_service_whose_folders_lag_and_may_be_doubled() {
    a_day_with(Quirks {
        mkdir_existing: Existing::Duplicate,
        xid_differs: true,
        forbidden_names: ForbiddenNames::Drop,
        folders_lag: true,
        rmdir_lags: false,
        prolong_locks: false,
        common_listing_counter: false,
        head_uses_single: false,
        move_changes_date: true,
        expired_token: ExpiredToken::Forbidden,
        resume_from: ResumeFrom::Issue,
        ..Quirks::default()
    });
}
