//! Whoever looks a message up in docs/troubleshooting.md finds it.

/// Where the lines come from that a command prints when it fails, and reasons in the queue.
const SOURCES: [(&str, &str); 8] = [
    ("config", include_str!("../../src/config/error.rs")),
    ("daemon", include_str!("../../src/daemon/error.rs")),
    ("fuse", include_str!("../../src/fuse/error.rs")),
    ("control", include_str!("../../src/control/error.rs")),
    ("service", include_str!("../../src/service/error.rs")),
    ("store", include_str!("../../src/store/error.rs")),
    ("api", include_str!("../../src/api/error.rs")),
    ("queue", include_str!("../../src/upload/kept.rs")),
];

/// The texts of the errors in a source, as they are written there.
fn templates(source: &str) -> Vec<String> {
    // Details of a download, which another message quotes.
    let source = source.split("pub enum LinkFault").next().unwrap();
    let mut found = Vec::new();
    for rest in source.split("#[error(").skip(1) {
        let Some(rest) = rest.trim_start().strip_prefix('"') else {
            continue;
        };
        let end = rest
            .match_indices('"')
            .map(|(at, _)| at)
            .find(|at| !rest[..*at].ends_with('\\'));
        found.push(rest[..end.unwrap()].replace("\\\"", "\""));
    }
    found
}

/// What is left of a text without its placeholders.
fn own_words(template: &str) -> String {
    let mut words = String::new();
    let mut inside = false;
    for c in template.chars() {
        match c {
            '{' => inside = true,
            '}' => inside = false,
            c if !inside && c.is_alphabetic() => words.push(c),
            _ => {}
        }
    }
    words
}

/// The messages of the document, each in the parts that are always the same.
fn documented() -> Vec<Vec<&'static str>> {
    let document = include_str!("../../docs/troubleshooting.md");
    let cells = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split(" | ").next());
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|message| message.split('…').map(str::trim).collect::<Vec<_>>())
        .map(|parts| parts.into_iter().filter(|part| !part.is_empty()).collect())
        .filter(|parts: &Vec<_>| !parts.is_empty())
        .collect()
}

/// Whether the parts stand in the text, in that order.
fn fits(parts: &[&str], text: &str) -> bool {
    let mut rest = text;
    parts.iter().all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[test]
fn every_message_is_in_the_document() {
    let documented = documented();
    assert!(documented.len() > 60);
    let mut absent = Vec::new();
    for (room, source) in SOURCES {
        let templates = templates(source);
        assert!(templates.len() > 1, "{room}");
        for template in templates {
            // One that is all placeholder says what another says.
            let says_something = own_words(&template).len() > 8;
            // The document writes commands without the marks that would end its own.
            let plain = template.replace('`', "");
            if says_something && !documented.iter().any(|parts| fits(parts, &plain)) {
                absent.push(format!("{room}: {template}"));
            }
        }
    }
    assert!(absent.is_empty(), "{absent:#?}");
}
