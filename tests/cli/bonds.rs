//! A state belongs to one account from the first answer on.

use fichierfs::sim::{AccountConfig, Fault, FaultKind};

use crate::user::{HIGH_SPEED, User, assert_line};

/// A user with two keys, each of an account of its own, at a time when the service tells
/// nobody's figures.
fn with_two_accounts() -> (User, [String; 2]) {
    let other = AccountConfig {
        key: "f".repeat(32),
        email: "friend@example.org".to_owned(),
        ..AccountConfig::default()
    };
    let user = User::with(HIGH_SPEED, vec![AccountConfig::default(), other]);
    let silent = FaultKind::Status { status: 503 };
    user.simulator
        .faults()
        .add(Fault::new("user/info", silent).always());
    let keys = [user.simulator.key().to_owned(), "f".repeat(32)];
    (user, keys)
}

/// As if the state had been made with another key of the account.
fn it_was_another_key(user: &User) {
    let database = user.path(".local/share/fichierfs/default/fichierfs.db");
    let database = rusqlite::Connection::open(database).unwrap();
    let changed = "UPDATE setting SET value = '0' WHERE key = 'key_print'";
    assert_eq!(database.execute(changed, []).unwrap(), 1);
}

#[test]
fn a_state_that_was_used_with_a_key_is_not_used_with_that_of_another_account() {
    let (user, [key, other]) = with_two_accounts();
    let account = user.simulator.account();
    account.add_file("a.txt", b"text").unwrap();
    let friend = user.simulator.account_number(1).unwrap();
    friend.add_file("theirs", b"text").unwrap();
    let ran = user.init(&key);
    assert!(ran.out.contains("stored but not checked"), "{ran:?}");
    user.mount();
    assert_eq!(std::fs::read(user.path("mnt/a.txt")).unwrap(), b"text");
    user.uploads_stall();
    std::fs::write(user.path("mnt/b.txt"), "mine").unwrap();
    assert_eq!(user.run(&["unmount", "--no-wait"]).code, 3);

    let line = "this state was used with another key";
    user.init(&other);
    assert_line(&user.run(&["mount", "--background", "mnt"]), 2, line);
    assert!(!user.is_mounted());
    assert_eq!(friend.file_paths(), ["theirs"]);

    // Its own goes on.
    user.simulator.faults().clear();
    user.init(&key);
    user.mount();
    assert_eq!(user.run(&["unmount"]).code, 0);
    assert_eq!(account.content("b.txt").unwrap(), b"mine");
    assert_eq!(friend.file_paths(), ["theirs"]);
}

#[test]
fn a_new_key_is_known_by_what_it_shows_where_the_account_was_never_told() {
    let (user, [key, _]) = with_two_accounts();
    let account = user.simulator.account();
    account.add_file("a.txt", b"text").unwrap();
    user.init(&key);
    user.mount();
    assert_eq!(std::fs::read(user.path("mnt/a.txt")).unwrap(), b"text");
    user.uploads_stall();
    std::fs::write(user.path("mnt/b.txt"), "mine").unwrap();
    assert_eq!(user.run(&["unmount", "--no-wait"]).code, 3);
    it_was_another_key(&user);

    user.simulator.faults().clear();
    user.mount();
    assert_eq!(user.run(&["unmount"]).code, 0);
    assert_eq!(account.content("b.txt").unwrap(), b"mine");
}

#[test]
fn a_new_key_of_an_empty_account_is_taken_on_its_owners_word() {
    let (user, [key, _]) = with_two_accounts();
    user.init(&key);
    user.mount();
    user.uploads_stall();
    std::fs::write(user.path("mnt/b.txt"), "mine").unwrap();
    assert_eq!(user.run(&["unmount", "--no-wait"]).code, 3);
    it_was_another_key(&user);

    user.simulator.faults().clear();
    let mount = ["mount", "--background", "mnt"];
    assert_line(&user.run(&mount), 1, "the account is empty");
    assert_eq!(user.init_with(&["init", "--rotate"], &key).code, 0);
    user.mount();
    assert_eq!(user.run(&["unmount"]).code, 0);
    assert_eq!(user.simulator.account().content("b.txt").unwrap(), b"mine");
}
