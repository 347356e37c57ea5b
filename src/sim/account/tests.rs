use super::*;
use crate::sim::quirks::{Existing, FolderMove};

const LAG: Duration = Duration::from_secs(10);

fn account() -> Account {
    Account::new(1, 0, Timestamp::UNIX_EPOCH)
}

fn when(seconds: u64, quirks: &Quirks) -> When<'_> {
    When {
        now: Duration::from_secs(seconds),
        date: Timestamp::from_second(1_700_000_000 + seconds as i64).unwrap(),
        lag: LAG,
        quirks,
    }
}

fn names(account: &Account, folder: u64, seconds: u64) -> Vec<String> {
    let listing = account.list(folder, Duration::from_secs(seconds)).unwrap();
    let mut names: Vec<String> = listing.files.into_iter().map(|file| file.name).collect();
    names.sort();
    names
}

fn content() -> Content {
    Content::from_bytes(b"x")
}

#[test]
fn an_upload_shows_after_the_lag_and_a_removal_too() {
    let quirks = Quirks::default();
    let mut account = account();
    let id = account
        .add_file(ROOT, "a", content(), when(0, &quirks))
        .unwrap();
    assert_eq!(id.len(), 20);
    assert!(names(&account, ROOT, 9).is_empty());
    assert_eq!(names(&account, ROOT, 10), ["a"]);
    account.remove_file(&id, when(20, &quirks)).unwrap();
    assert_eq!(names(&account, ROOT, 29), ["a"]);
    assert!(names(&account, ROOT, 30).is_empty());
    assert_eq!(account.bytes(), 0);
}

#[test]
fn a_move_shows_in_one_place_at_a_time() {
    let quirks = Quirks::default();
    let mut account = account();
    let (folder, _) = account.make_folder(ROOT, "d", when(0, &quirks)).unwrap();
    let id = account
        .add_file(ROOT, "a", content(), when(0, &quirks))
        .unwrap();
    let moved = account
        .move_file(&id, folder, Some("b"), when(50, &quirks))
        .unwrap();
    assert_eq!(moved, id);
    assert_eq!(
        (names(&account, ROOT, 55), names(&account, folder, 55)),
        (vec!["a".to_owned()], vec![])
    );
    assert_eq!(
        (names(&account, ROOT, 60), names(&account, folder, 60)),
        (vec![], vec!["b".to_owned()])
    );
    assert_eq!(account.file_path(account.file(&id).unwrap()), "d/b");
}

#[test]
fn what_was_never_listed_leaves_no_ghost() {
    let quirks = Quirks::default();
    let mut account = account();
    let id = account
        .add_file(ROOT, "a", content(), when(0, &quirks))
        .unwrap();
    account.remove_file(&id, when(5, &quirks)).unwrap();
    for seconds in [5, 9, 12] {
        assert!(names(&account, ROOT, seconds).is_empty());
    }
}

#[test]
fn files_of_one_name_live_side_by_side_and_folders_do_not() {
    let quirks = Quirks::default();
    let mut account = account();
    let first = account
        .add_file(ROOT, "a", content(), when(0, &quirks))
        .unwrap();
    let second = account
        .add_file(ROOT, "a", content(), when(1, &quirks))
        .unwrap();
    assert_ne!(first, second);
    assert_eq!(names(&account, ROOT, 100), ["a", "a"]);
    assert_eq!(account.file_at("a").unwrap().id, second);
    account.make_folder(ROOT, "d", when(0, &quirks)).unwrap();
    let again = account.make_folder(ROOT, "d", when(0, &quirks));
    assert_eq!(again, Err(Refusal::Exists));
    let lenient = Quirks {
        mkdir_existing: Existing::Return,
        ..Quirks::default()
    };
    let existing = account.make_folder(ROOT, "d", when(0, &lenient)).unwrap();
    assert_eq!(Some(existing.0), account.folder_at("d"));
}

#[test]
fn an_unknown_folder_means_the_root_for_uploads_only() {
    let quirks = Quirks::default();
    let mut account = account();
    let id = account
        .add_file(99, "a", content(), when(0, &quirks))
        .unwrap();
    assert_eq!(account.file(&id).unwrap().folder, ROOT);
    let moved = account.move_file(&id, 99, None, when(0, &quirks));
    assert_eq!(moved, Err(Refusal::FolderNotFound));
}

#[test]
fn rename_wins_over_the_destination() {
    let quirks = Quirks::default();
    let mut account = account();
    let (a, _) = account.make_folder(ROOT, "a", when(0, &quirks)).unwrap();
    let (b, _) = account.make_folder(ROOT, "b", when(0, &quirks)).unwrap();
    account
        .move_folder(a, Some(b), Some("c"), when(0, &quirks))
        .unwrap();
    assert_eq!(account.folder_path(a), "c");
    let both = Quirks {
        folder_mv: FolderMove::Both,
        ..Quirks::default()
    };
    account
        .move_folder(a, Some(b), Some("d"), when(0, &both))
        .unwrap();
    assert_eq!(account.folder_path(a), "b/d");
}

#[test]
fn a_folder_goes_neither_into_itself_nor_with_content() {
    let quirks = Quirks::default();
    let mut account = account();
    let (a, _) = account.make_folder(ROOT, "a", when(0, &quirks)).unwrap();
    let (b, _) = account.make_folder(a, "b", when(0, &quirks)).unwrap();
    let cycle = account.move_folder(a, Some(b), None, when(0, &quirks));
    assert_eq!(cycle, Err(Refusal::Impossible));
    assert_eq!(
        account.remove_folder(a, when(0, &quirks)),
        Err(Refusal::NotEmpty)
    );
    assert_eq!(
        account.remove_folder(ROOT, when(0, &quirks)),
        Err(Refusal::Impossible)
    );
    account.remove_folder(b, when(0, &quirks)).unwrap();
    account.remove_folder(a, when(0, &quirks)).unwrap();
    assert_eq!(account.folders().count(), 1);
}

#[test]
fn a_folder_that_still_lists_removed_files_is_not_empty() {
    let quirks = Quirks::default();
    let mut account = account();
    let (a, _) = account.make_folder(ROOT, "a", when(0, &quirks)).unwrap();
    let id = account
        .add_file(a, "f", content(), when(0, &quirks))
        .unwrap();
    account.remove_file(&id, when(20, &quirks)).unwrap();
    assert_eq!(
        account.remove_folder(a, when(25, &quirks)),
        Err(Refusal::NotEmpty)
    );
    assert_eq!(account.remove_folder(a, when(30, &quirks)), Ok(()));
}

#[test]
fn renaming_to_the_same_name_fails() {
    let quirks = Quirks::default();
    let mut account = account();
    let id = account
        .add_file(ROOT, "a", content(), when(0, &quirks))
        .unwrap();
    assert_eq!(
        account.rename_file(&id, "a", when(0, &quirks)),
        Err(Refusal::NotRenamed)
    );
    let renamed = account.rename_file(&id, "b", when(0, &quirks)).unwrap();
    assert_eq!(renamed, ("a".to_owned(), "b".to_owned()));
}

#[test]
fn a_copy_has_an_id_of_its_own() {
    let quirks = Quirks::default();
    let mut account = account();
    let id = account
        .add_file(ROOT, "a", content(), when(0, &quirks))
        .unwrap();
    let source = account.file(&id).unwrap().clone();
    let copy = account
        .copy_file(&source, ROOT, Some("b"), when(5, &quirks))
        .unwrap();
    assert_ne!(copy, id);
    assert_eq!(account.file_at("b").unwrap().date, when(5, &quirks).date);
    assert_eq!(account.bytes(), 2);
}

#[test]
fn a_link_has_its_own_domain() {
    let quirks = Quirks::default();
    let mut account = account();
    let id = account
        .add_file(ROOT, "a", content(), when(0, &quirks))
        .unwrap();
    account.set_link(&id, 3, Duration::ZERO);
    let url = account.file(&id).unwrap().url();
    assert_eq!(url, format!("https://desfichiers.com/?{id}"));
    assert!(account.by_url(&url).is_some());
    assert!(
        account
            .by_url(&format!("https://1fichier.com/?{id}"))
            .is_none()
    );
    assert!(account.by_url(&format!("{url}&af=1")).is_none());
}

#[test]
fn a_tree_is_removed_with_everything_in_it() {
    let quirks = Quirks::default();
    let mut account = account();
    let (a, _) = account.make_folder(ROOT, "a", when(0, &quirks)).unwrap();
    let (b, _) = account.make_folder(a, "b", when(0, &quirks)).unwrap();
    account
        .add_file(b, "f", content(), when(0, &quirks))
        .unwrap();
    account.remove_tree(a, when(20, &quirks)).unwrap();
    assert_eq!((account.folders().count(), account.files().count()), (1, 0));
}

#[test]
fn a_shared_folder_keeps_its_address() {
    let mut account = account();
    let quirks = Quirks::default();
    let (a, _) = account.make_folder(ROOT, "a", when(0, &quirks)).unwrap();
    let slug = account.share_folder(a, Some(None)).unwrap().unwrap();
    let again = account
        .share_folder(a, Some(Some("secret".into())))
        .unwrap();
    assert_eq!(again.as_deref(), Some(slug.as_str()));
    assert_eq!(account.shared_as(&slug).map(|folder| folder.id), Some(a));
    account.share_folder(a, None).unwrap();
    assert!(account.shared_as(&slug).is_none());
}
