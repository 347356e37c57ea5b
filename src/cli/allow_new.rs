//! `allow-new`: has names that were not seen in a folder count as new.

use super::args::AllowNewArgs;
use super::exit::Exit;
use super::show;
use super::{Outcome, load};
use crate::control::protocol::{NewNames, NewNamesRequest};

pub(super) async fn run(args: &AllowNewArgs) -> Outcome {
    for path in &args.paths {
        let (daemon, path) = load::within(path).await?;
        let off = args.off;
        let told = daemon.new_names(&NewNamesRequest { path, off }).await?;
        if args.json {
            show::print_json(&told)?;
        } else {
            show::print(&line(&told))?;
        }
    }
    Ok(Exit::Done)
}

fn line(told: &NewNames) -> String {
    let path = show::plain(&told.path.to_string_lossy());
    let mut line = format!("/{path}: ");
    line.push_str(match (told.whole, told.new_names) {
        (true, true) => "known whole, so that new names can be made in it as it is",
        (true, false) => "known whole; nothing can be made in it",
        (false, true) => {
            "names that were not seen count as new until it is known whole; should the service have \
             one of them, both files are kept"
        }
        (false, false) => {
            "names that were not seen may be there, and can be neither found nor made until it is \
             known whole"
        }
    });
    if told.new_names && !told.new_folders {
        line.push_str(
            ". Folders can be neither made in it nor moved into it: the service does not show all \
             its sub-folders",
        );
    }
    if let Some(reason) = &told.reason {
        line.push_str("\n  not whole: ");
        line.push_str(&show::plain(reason));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::SCHEMA;

    #[test]
    fn it_says_what_becomes_of_new_names() {
        let told = |whole, new_names, new_folders, reason: Option<&str>| {
            line(&NewNames {
                schema: SCHEMA,
                path: "a\u{7}b".into(),
                whole,
                new_names,
                new_folders,
                reason: reason.map(str::to_owned),
            })
        };
        let end = "\n  not whole: one question left\n";
        let reason = Some("one question left");
        let cases = [
            (
                told(true, true, true, None),
                "known whole, so",
                "as it is\n",
            ),
            (
                told(true, false, false, None),
                "nothing can be made",
                "in it\n",
            ),
            (
                told(false, true, true, reason),
                "both files are kept\n",
                end,
            ),
            (
                told(false, true, false, reason),
                "Folders can be neither",
                end,
            ),
            (
                told(false, false, false, reason),
                "neither found nor made",
                end,
            ),
        ];
        for (line, part, end) in cases {
            assert!(line.starts_with("/a\\u{7}b: "), "{line}");
            assert!(line.contains(part) && line.ends_with(end), "{line}");
        }
    }
}
