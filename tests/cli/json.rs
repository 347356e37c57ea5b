//! What `--json` prints is what docs/json.md says.

use crate::user::{User, wait_until};

/// The fields of a JSON value as docs/json.md writes them.
fn fields(value: &serde_json::Value, prefix: &str, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                let path = format!("{prefix}{name}");
                // The names in these are those of the service's calls.
                let is_map = ["api.calls", "api.locks"].contains(&path.as_str());
                out.push(path.clone());
                if !is_map {
                    fields(value, &format!("{path}."), out);
                }
            }
        }
        serde_json::Value::Array(items) => {
            let prefix = format!("{}[].", prefix.trim_end_matches('.'));
            for item in items {
                fields(item, &prefix, out);
            }
        }
        _ => {}
    }
}

#[test]
fn what_json_prints_is_what_the_document_says() {
    let document = include_str!("../../docs/json.md");
    let user = User::settled();
    user.mount();
    user.uploads_stall();
    // More than the buffers of a connection take.
    std::fs::write(user.path("mnt/a.txt"), vec![7; 32 << 20]).unwrap();
    user.run(&["queue", "flush"]);
    wait_until("the upload", || {
        !user.status()["transfers"].as_array().unwrap().is_empty()
    });
    for verb in ["status", "queue list", "account"] {
        let mut words: Vec<&str> = verb.split(' ').collect();
        words.push("--json");
        let ran = user.run(&words);
        assert_eq!(ran.code, 0, "{ran:?}");
        let (_, section) = document
            .split_once(&format!("## `fichierfs {verb} --json`"))
            .unwrap();
        let section = section.split("\n## ").next().unwrap();
        let documented: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let mut printed = Vec::new();
        fields(&serde_json::from_str(&ran.out).unwrap(), "", &mut printed);
        assert!(printed.len() > 5, "{printed:?}");
        for field in &printed {
            assert!(documented.contains(&field.as_str()), "{verb}: {field}");
        }
        // Fields in something that may be absent, or in a list that is empty, aside.
        for field in documented
            .iter()
            .filter(|field| !field.contains(['.', '[']))
        {
            assert!(printed.iter().any(|p| p == field), "{verb}: {field}");
        }
    }
    user.simulator.faults().clear();
    assert_eq!(user.run(&["unmount", "--no-wait"]).code, 3);
}
