//! The program on a real terminal.

use crate::user::{HIGH_SPEED, PROGRAM, User, ran};

/// Runs a command on a terminal of its own, ends it after a while as a person would, and prints
/// what it drew.
const ON_A_TERMINAL: &str = r#"
import os, pty, select, sys, time, fcntl, termios, struct
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
drawn, end, asked = b"", time.time() + 60, False
while time.time() < end:
    if select.select([master], [], [], 0.1)[0]:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        drawn += part
    if not asked and drawn.count(b"\x1b[H") >= 3:
        asked = True
        os.write(master, b"\x03")
sys.stdout.buffer.write(drawn)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

#[test]
fn watching_redraws_in_place_and_leaves_the_terminal_as_it_was() {
    let user = User::settled();
    user.mount();
    let mut python = std::process::Command::new("python3");
    user.lend(&mut python);
    python.args(["-c", ON_A_TERMINAL, PROGRAM, "status", "--watch"]);
    python.env("TERM", "xterm");
    let watched = ran(python
        .output()
        .expect("python3 is missing; run: tests/setup"));
    assert_eq!(watched.code, 0, "{watched:?}");
    // The second screen, three frames at least, and back with the cursor on.
    assert!(
        watched.out.starts_with("\u{1b}[?1049h\u{1b}[?25l"),
        "{watched:?}"
    );
    assert!(watched.out.matches("\u{1b}[H").count() >= 3, "{watched:?}");
    assert!(
        watched.out.ends_with("\u{1b}[?25h\u{1b}[?1049l"),
        "{watched:?}"
    );
    let mount = user.path("mnt").display().to_string();
    assert!(watched.out.contains(&mount), "{watched:?}");
    // Colours on a terminal, unless they are not wished.
    assert!(watched.out.contains("\u{1b}[3") || watched.out.contains("\u{1b}[1m"));
    let colourless = ran(python.env("NO_COLOR", "1").output().unwrap());
    assert!(!colourless.out.contains("\u{1b}[3") && !colourless.out.contains("\u{1b}[1m"));
    assert_eq!(user.run(&["unmount"]).code, 0);
}

/// Types a key when it is asked for one, and prints what it saw.
const TYPED: &str = r#"
import os, pty, sys
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "init"] + sys.argv[2:])
drawn = b""
while True:
    try:
        part = os.read(master, 65536)
    except OSError:
        break
    drawn += part
    if drawn.endswith(b"not shown): "):
        os.write(master, os.environ["KEY"].encode() + b"\n")
sys.stdout.buffer.write(drawn)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[test]
fn who_is_asked_for_the_key_is_told_where_it_is_and_what_becomes_of_it() {
    let user = User::new(HIGH_SPEED);
    let mut python = std::process::Command::new("python3");
    user.lend(&mut python);
    python
        .args(["-c", TYPED, PROGRAM])
        .env("KEY", user.simulator.key());
    let asked = ran(python.output().unwrap());
    assert_eq!(asked.code, 0, "{asked:?}");
    for part in [
        "https://1fichier.com/console/params.pl",
        "one for fichierfs alone",
        "restricted to your address at home",
        "in a file that other users of the machine cannot read",
        "fichierfs init --help",
        "Next: mkdir -p ~/1fichier",
    ] {
        assert!(asked.out.contains(part), "{part} in {asked:?}");
    }
    assert!(!asked.out.contains(user.simulator.key()), "it is shown");
}
