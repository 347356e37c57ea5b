//! Several accounts side by side.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::user::{Ran, SPEED, User, assert_line, ran};

/// The first user's program, as the configuration alone says where the services are.
fn command(user: &User, words: &[&str]) -> Command {
    let mut command = user.command(words);
    for name in [
        "FICHIERFS_API_URL",
        "FICHIERFS_SITE_URL",
        "FICHIERFS_LIMITS_SCALE",
    ] {
        command.env_remove(name);
    }
    command
}

fn run(user: &User, words: &[&str]) -> Ran {
    ran(command(user, words).output().unwrap())
}

#[test]
fn two_profiles_are_two_accounts_and_nothing_of_one_goes_to_the_other() {
    let (user, other) = (User::new(SPEED), User::new(SPEED));
    std::fs::create_dir_all(user.path(".config/fichierfs")).unwrap();
    let of = |one: &User| {
        let (api, site) = (one.simulator.api_url(), one.simulator.site_url());
        format!("api_url = {api:?}\nsite_url = {site:?}\nlimits_scale = {SPEED}\n")
    };
    let config = user.path(".config/fichierfs/config.toml");
    let text = format!("{}[profile.work]\n{}", of(&user), of(&other));
    std::fs::write(&config, text).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&config, private).unwrap();

    for (words, one) in [
        (&["init"][..], &user),
        (&["init", "--profile", "work"], &other),
    ] {
        let mut init = command(&user, words);
        init.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut init = init.stderr(Stdio::piped()).spawn().unwrap();
        writeln!(init.stdin.take().unwrap(), "{}", one.simulator.key()).unwrap();
        let ran = ran(init.wait_with_output().unwrap());
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    std::fs::create_dir(user.path("work")).unwrap();
    for words in [
        &["mount", "--background", "mnt"][..],
        &["mount", "--background", "--profile", "work", "work"],
    ] {
        let ran = run(&user, words);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    // Which one is meant has to be said.
    assert_line(&run(&user, &["account"]), 2, "say which");
    std::fs::write(user.path("mnt/mine"), "mine").unwrap();
    std::fs::write(user.path("work/theirs"), "theirs").unwrap();
    for place in ["mnt", "work"] {
        let status = run(&user, &["status", place]);
        assert!(
            status.out.contains(&format!("/{place}  mounted")),
            "{status:?}"
        );
        let ran = run(&user, &["unmount", place]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    assert_eq!(user.simulator.account().file_paths(), ["mine"]);
    assert_eq!(other.simulator.account().file_paths(), ["theirs"]);
}
