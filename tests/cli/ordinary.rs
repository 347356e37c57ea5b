//! A new user who is not root, with nothing but what the screen says.

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use crate::user::{PROGRAM, SPEED, User, ran};

/// Where the test is root: a user without any rights, in a mount namespace whose /dev/fuse is open
/// to all, as distributions have it.
const AS_NOBODY: &str = r#"
mount -t tmpfs none "$HOME/dev"
mknod -m 666 "$HOME/dev/fuse" c 10 229
mount --bind "$HOME/dev/fuse" /dev/fuse
exec setpriv --reuid 65534 --regid 65534 --clear-groups bash -euc "$SCRIPT"
"#;

/// Each command is one that the one before, `--help` or README names.
const FIRST_DAY: &str = r#"
cd "$HOME"
fichierfs --help > help
for verb in init mount status doctor unmount service demo; do grep -q "^  $verb " help; done

env -u XDG_RUNTIME_DIR fichierfs demo > demo & demo=$!
until grep -q fuse.fichierfs /proc/self/mountinfo && ls 1fichier-demo | grep -q .; do sleep 0.1; done
kill -INT $demo && wait $demo
! [ -e 1fichier-demo ] && ! [ -e .local ] && ! [ -e .cache ] && ! [ -e .config ]

printf '%s\n' "$KEY" | fichierfs init > said
grep -q 'Next: mkdir -p ~/1fichier && fichierfs mount ~/1fichier' said
mkdir -p ~/1fichier && fichierfs mount --background ~/1fichier
grep -q "$HOME/1fichier .* fuse.fichierfs .*user_id=$(id -u)" /proc/self/mountinfo
cp /etc/os-release ~/1fichier/
fichierfs status > status
grep -q "$HOME/1fichier" status
fichierfs doctor > doctor || :
grep -q 'ok       fuse .*fusermount3' doctor

gio monitor -d ~/1fichier > heard & hears=$!
until grep -qs '^inotify' /proc/$hears/fdinfo/*; do sleep 0.1; done
python3 -c "$CHANGED_ELSEWHERE"
fichierfs refresh ~/1fichier
until grep -q 'theirs.txt: created' heard; do sleep 0.1; done
kill $hears
fichierfs unmount ~/1fichier
! fichierfs status 2> none
grep -q 'fichierfs mount' none

fichierfs service install ~/1fichier > next
grep -q "systemctl --user enable --now" next
systemd-analyze --user verify --man=no .config/systemd/user/fichierfs@x.service
echo all of it
"#;

/// As by another machine of the same account.
const CHANGED_ELSEWHERE: &str = r#"
import os, urllib.request
change = b'{"op": "create", "path": "theirs.txt", "text": "of another machine"}'
urllib.request.urlopen(os.environ["FICHIERFS_API_URL"].replace("/v1", "/_sim/change"), change)
"#;

#[test]
fn the_first_day_of_a_user_who_is_not_root() {
    let user = User::new(SPEED);
    for folder in ["bin", "dev", "run"] {
        std::fs::create_dir(user.path(folder)).unwrap();
    }
    // The original may lie where nobody may go.
    let program = user.path("bin/fichierfs");
    std::fs::copy(PROGRAM, &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut bash = match nix::unistd::geteuid().is_root() {
        true => {
            for folder in ["", "run"] {
                chown(user.path(folder), Some(65534), Some(65534)).unwrap();
            }
            let mut unshare = Command::new("unshare");
            unshare.args(["--mount", "bash", "-euc", AS_NOBODY]);
            unshare
        }
        false => {
            let mut bash = Command::new("bash");
            bash.args(["-euc", FIRST_DAY]);
            bash
        }
    };
    user.lend(&mut bash);
    let path = format!(
        "{}:/usr/bin:/bin:/usr/sbin:/sbin",
        user.path("bin").display()
    );
    bash.env("PATH", path)
        .env("KEY", user.simulator.key())
        .env("SCRIPT", FIRST_DAY)
        .env("CHANGED_ELSEWHERE", CHANGED_ELSEWHERE)
        // systemd's tools look there.
        .env("XDG_RUNTIME_DIR", user.path("run"));
    let ran = ran(bash.output().unwrap());
    assert!(ran.code == 0 && ran.out.ends_with("all of it\n"), "{ran:?}");
    let os = std::fs::read("/etc/os-release").unwrap();
    assert_eq!(user.simulator.account().content("os-release").unwrap(), os);
}
