//! `locate` walks through everything each night; through the account it must not.

use super::super::{Case, Finding};
use crate::fuse::FS_TYPE;

const CHECK: &str = "updatedb";
const FILE: &str = "/etc/updatedb.conf";

pub(super) fn check(_: &Case) -> Vec<Finding> {
    match std::fs::read_to_string(FILE) {
        Ok(text) => vec![judge(&text)],
        Err(_) => Vec::new(),
    }
}

fn judge(text: &str) -> Finding {
    let line = text
        .lines()
        .map(str::trim)
        .filter_map(|line| line.strip_prefix("PRUNEFS"))
        .find_map(|rest| rest.trim_start().strip_prefix('='));
    let pruned = line.is_some_and(|types| {
        let types = types.trim().trim_matches(['"', '\'']);
        types.split_whitespace().any(|one| one == FS_TYPE)
    });
    if pruned {
        return Finding::ok(CHECK, format!("{FILE} leaves mounts of fichierfs out"));
    }
    let what = format!(
        "updatedb would walk through mounted accounts: {FS_TYPE} is not in PRUNEFS of {FILE}"
    );
    let mend = match line {
        Some(_) => format!("sudo sed -i 's/^ *PRUNEFS *= *\"/&{FS_TYPE} /' {FILE}"),
        None => format!("echo 'PRUNEFS=\"{FS_TYPE}\"' | sudo tee -a {FILE}"),
    };
    Finding::warning(CHECK, what).mend(mend)
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;

    #[test]
    fn only_the_whole_word_counts() {
        let level = |text| judge(text).level;
        assert_eq!(level("PRUNEFS=\"NFS fuse.fichierfs tmpfs\"\n"), Level::Ok);
        assert_eq!(level("# PRUNEFS=\"fuse.fichierfs\"\n"), Level::Warning);
        assert_eq!(
            level("PRUNEFS = \"fuse.sshfs fuse.fichierfs2\""),
            Level::Warning
        );
        assert_eq!(level(""), Level::Warning);
    }

    #[test]
    fn the_command_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("updatedb.conf");
        let text = "PRUNE_BIND_MOUNTS=\"yes\"\nPRUNEFS=\"NFS nfs4\"\n";
        std::fs::write(&file, text).unwrap();
        let mend = judge(text).mend.unwrap();
        let here = mend
            .trim_start_matches("sudo ")
            .replace(FILE, file.to_str().unwrap());
        let ran = std::process::Command::new("sh")
            .args(["-c", &here])
            .status();
        assert!(ran.unwrap().success());
        assert_eq!(
            judge(&std::fs::read_to_string(&file).unwrap()).level,
            Level::Ok
        );
    }
}
