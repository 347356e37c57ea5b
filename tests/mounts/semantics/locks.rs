//! Locks of files, between the processes of this machine.

use crate::harness::{World, shell};

/// Takes the whole file, and looks whether others are kept out until it lets go.
const WHOLE: &str = r#"
exec 9<>"$F"
flock --nonblock 9
! flock --nonblock "$F" true
flock --unlock 9
flock --nonblock "$F" true
"#;

/// Takes a range of bytes, as databases do, and looks which ranges another process can have.
const RANGES: &str = r#"
import fcntl, os, sys

def is_free(at, count):
    child = os.fork()
    if child == 0:
        with open(sys.argv[1], "r+b") as other:
            try:
                fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, count, at)
                os._exit(0)
            except (BlockingIOError, PermissionError):
                os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, 10, 100)
    assert not is_free(105, 10), "what is locked was given away"
    assert is_free(110, 10), "what nobody locked was refused"
    fcntl.lockf(file, fcntl.LOCK_UN, 10, 100)
    assert is_free(105, 10), "what was unlocked is still refused"
"#;

#[test]
fn what_a_process_locks_no_other_gets() {
    shell::need(&["flock", "python3"]);
    let world = World::new();
    world.account().add_file("film", b"of the service").unwrap();
    let mounted = world.mount();
    let film = mounted.join("film");
    shell::script(&world, WHOLE, &[("F", &film)]).unwrap_or_else(|e| panic!("whole file: {e}"));
    let ranges = world.path("ranges.py");
    std::fs::write(&ranges, RANGES).unwrap();
    shell::script(
        &world,
        r#"python3 "$R" "$F""#,
        &[("R", &ranges), ("F", &film)],
    )
    .unwrap_or_else(|e| panic!("ranges: {e}"));
}
