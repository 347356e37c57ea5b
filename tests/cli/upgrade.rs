//! A state of another version of the program.

use crate::user::{User, assert_line, wait_until};

#[test]
fn a_state_of_a_newer_version_is_refused_and_left_alone() {
    let user = User::settled();
    user.mount();
    let pid = user.status()["pid"].to_string();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_eq!(user.run(&["unmount"]).code, 0);
    let path = user.path(".local/share/fichierfs/default/fichierfs.db");
    // Until it has ended it may bring its log into the database.
    let program = format!("/proc/{pid}/exe");
    wait_until("the end of the daemon", || {
        std::fs::read_link(&program).is_err()
    });
    let set = |version: i64| {
        let database = rusqlite::Connection::open(&path).unwrap();
        let old: i64 = database
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        database
            .pragma_update(None, "user_version", version)
            .unwrap();
        old
    };
    let version = set(999);
    let before = std::fs::read(&path).unwrap();
    assert_line(
        &user.run(&["mount", "--background", "mnt"]),
        1,
        "newer fichierfs",
    );
    assert!(!user.is_mounted());
    let doctor = user.run(&["doctor", "--offline"]);
    assert!(
        doctor.code == 1 && doctor.out.contains("newer fichierfs"),
        "{doctor:?}"
    );
    assert!(before == std::fs::read(&path).unwrap());

    set(version);
    user.mount();
    assert_eq!(std::fs::read(user.path("mnt/a.txt")).unwrap(), b"text");
    assert_eq!(user.run(&["unmount"]).code, 0);
}
