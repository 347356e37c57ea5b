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
    let what = match (told.whole, told.new_names) {
        (true, _) => "known whole, so that new names can be made in it as it is",
        (false, true) => {
            "names that were not seen count as new until it is known whole; should one of them turn \
             up on the service, both are kept"
        }
        (false, false) => {
            "names that were not seen may be there, and can be neither found nor made until it is \
             known whole"
        }
    };
    format!("/{path}: {what}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::SCHEMA;

    #[test]
    fn it_says_what_becomes_of_new_names() {
        let told = |whole, new_names| {
            line(&NewNames {
                schema: SCHEMA,
                path: "a\u{7}b".into(),
                whole,
                new_names,
            })
        };
        let cases = [
            (told(true, true), "known whole"),
            (told(false, true), "both are kept"),
            (told(false, false), "neither found nor made"),
        ];
        for (line, part) in cases {
            assert!(line.starts_with("/a\\u{7}b: "), "{line}");
            assert!(line.contains(part) && line.ends_with('\n'), "{line}");
        }
    }
}
