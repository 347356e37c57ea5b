//! Groups tasks into batches: one call of the service each. Pure.
//!
//! The service counts calls, not objects (API notes 6): files of one folder
//! travel in one upload request, removals, moves and renames in arrays.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::time::Duration;

use crate::content;
use crate::ids::{FileId, FolderId, Ino, Time};
use crate::tree::journal::{Copying, Object, Put, Task};
use crate::tree::removals::Removal;
use crate::tree::{Kind, RemotePlace};

/// Objects in one array (API notes 10.18: at most 50 to 100).
pub const MAX_ARRAY: usize = 50;
/// Files in one upload request (API notes 3.2).
pub const MAX_FILES: usize = 500;
/// Files up to this size share a request, in bytes.
const SMALL: u64 = 16 << 20;
/// Bytes of one shared request: what is lost when it breaks.
pub const MAX_SHARED: u64 = 128 << 20;

/// Removals wait so long for company: `rm -r` asks for them one by one, and calls are
/// counted. Small files wait for those that follow within this time. In the user's time, so it is
/// not scaled.
pub const GATHER: Duration = Duration::from_secs(1);
/// Small files wait no longer than this, however many follow.
const GATHER_FILES: Duration = Duration::from_secs(5);

/// A version that is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sending {
    /// The node.
    pub ino: Ino,
    /// Where and under which name.
    pub at: RemotePlace,
    /// Bytes, as the tree knows it.
    pub size: u64,
    /// The target, if it is a symbolic link.
    pub link: Option<OsString>,
    /// Since when it may be sent.
    pub due: Time,
}

/// A file of the service of which a version is a whole, unchanged copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The file.
    pub file: content::RemoteFile,
    /// Its name there, as far as it is known.
    pub name: Option<String>,
}

/// A version that the service is to copy from a file that it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyOf {
    /// The node.
    pub ino: Ino,
    /// Under which name.
    pub name: String,
    /// Of what.
    pub file: content::RemoteFile,
}

/// One call of the service, or one upload request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Batch {
    /// Send these to one folder in one request.
    Upload(Vec<Sending>),
    /// Copy files that the service has into one folder.
    Copy {
        /// Where to.
        to: FolderId,
        /// What. A file is copied once in a call, since the answer tells copies by it.
        files: Vec<CopyOf>,
        /// Whether they keep the name of what is copied; several always do.
        named: Named,
    },
    /// Make a folder.
    Make {
        /// The node.
        ino: Ino,
        /// Where and how it is to be called.
        at: RemotePlace,
    },
    /// Move files into one folder.
    MoveFiles {
        /// Where to.
        to: FolderId,
        /// What.
        files: Vec<(Ino, FileId)>,
    },
    /// Move a folder.
    MoveFolder {
        /// The node.
        ino: Ino,
        /// What.
        id: FolderId,
        /// Where to.
        to: FolderId,
    },
    /// Rename files where they are.
    RenameFiles(Vec<(Ino, FileId, String)>),
    /// Rename a folder where it is.
    RenameFolder {
        /// The node.
        ino: Ino,
        /// What.
        id: FolderId,
        /// Its new name.
        name: String,
    },
    /// Drop what the service has of an emptied file.
    Empty(Ino),
    /// Find out where these are.
    Look(Vec<Ino>),
    /// Find out which of these are gone already.
    LookForLeaving(Vec<Removal>),
    /// Remove files.
    RemoveFiles(Vec<Removal>),
    /// Remove an empty folder.
    RemoveFolder(Removal),
}

/// The name of a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    /// That of what is copied.
    AsSource,
    /// Its own: goes with one file only (API notes 2.5).
    Anew,
}

/// What is together in one call at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// Bytes of one shared upload request.
    pub shared: u64,
    /// Files, of which some were refused in larger company.
    pub companies: &'a HashMap<Ino, usize>,
    /// The same of removals, by their rows.
    pub leaving: &'a HashMap<i64, usize>,
}

impl Bounds<'_> {
    fn company(&self, ino: Ino) -> usize {
        self.companies.get(&ino).copied().unwrap_or(usize::MAX)
    }

    fn company_leaving(&self, removal: &Removal) -> usize {
        self.leaving.get(&removal.id).copied().unwrap_or(usize::MAX)
    }
}

/// Groups `tasks` within `bounds`. What of their content is a copy of a file of the service is
/// in `sources`. Folders are made first, since others wait for them; removals come last.
pub fn batches(tasks: Vec<Task>, bounds: Bounds<'_>, sources: &HashMap<Ino, Source>) -> Vec<Batch> {
    let mut makes = Vec::new();
    let mut changes = Vec::new();
    let mut moves: HashMap<FolderId, Vec<(Ino, FileId)>> = HashMap::new();
    let mut renames = Vec::new();
    let mut sends: HashMap<FolderId, Vec<Sending>> = HashMap::new();
    let mut copies = Copies::default();
    let mut unsure = Vec::new();
    let mut leaving = Vec::new();
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for task in tasks {
        match task {
            Task::Make { ino, at } => makes.push(Batch::Make { ino, at }),
            Task::Empty { ino } => changes.push(Batch::Empty(ino)),
            Task::Move { ino, object, to } => match object {
                Object::File(id) => moves.entry(to).or_default().push((ino, id)),
                Object::Folder(id) => changes.push(Batch::MoveFolder { ino, id, to }),
            },
            Task::Rename { ino, object, name } => match object {
                Object::File(id) => renames.push((ino, id, name)),
                Object::Folder(id) => changes.push(Batch::RenameFolder { ino, id, name }),
            },
            Task::Send {
                ino, at, copying, ..
            } if copying != Copying::Never && sources.contains_key(&ino) => {
                if let Some(source) = sources.get(&ino) {
                    copies.add(ino, at, source, copying);
                }
            }
            Task::Send {
                ino,
                at,
                size,
                link,
                due,
                ..
            } => sends.entry(at.folder).or_default().push(Sending {
                ino,
                at,
                size,
                link,
                due,
            }),
            Task::Look { ino } => unsure.push(ino),
            Task::Remove(removal) if removal.asked_at.is_some() => leaving.push(removal),
            Task::Remove(removal) if removal.kind == Kind::Folder => {
                folders.push(Batch::RemoveFolder(removal));
            }
            Task::Remove(removal) => files.push(removal),
        }
    }
    let mut batches = makes;
    if !unsure.is_empty() {
        batches.push(Batch::Look(unsure));
    }
    if !leaving.is_empty() {
        batches.push(Batch::LookForLeaving(leaving));
    }
    batches.append(&mut changes);
    for (to, files) in moves {
        let files = companies(files, |(ino, _)| bounds.company(*ino));
        batches.extend(files.map(|files| Batch::MoveFiles { to, files }));
    }
    let renames = companies(renames, |(ino, ..)| bounds.company(*ino));
    batches.extend(renames.map(Batch::RenameFiles));
    batches.extend(copies.into_batches());
    for (_, sends) in sends {
        batches.extend(requests(sends, bounds).into_iter().map(Batch::Upload));
    }
    let files = companies(files, |removal| bounds.company_leaving(removal));
    batches.extend(files.map(Batch::RemoveFiles));
    batches.append(&mut folders);
    batches
}

/// Copies, by the folders that they go to.
#[derive(Default)]
struct Copies {
    together: HashMap<FolderId, Vec<CopyOf>>,
    alone: Vec<(FolderId, CopyOf, Named)>,
}

impl Copies {
    fn add(&mut self, ino: Ino, at: RemotePlace, source: &Source, copying: Copying) {
        let named = match source.name.as_ref() == Some(&at.name) {
            true => Named::AsSource,
            false => Named::Anew,
        };
        let copy = CopyOf {
            ino,
            name: at.name,
            file: source.file.clone(),
        };
        match (named, copying) {
            (Named::AsSource, Copying::Together) => {
                self.together.entry(at.folder).or_default().push(copy);
            }
            _ => self.alone.push((at.folder, copy, named)),
        }
    }

    fn into_batches(self) -> Vec<Batch> {
        let mut batches = Vec::new();
        for (to, copies) in self.together {
            let mut rest = copies;
            while !rest.is_empty() {
                let mut seen = HashSet::new();
                let (once, again): (Vec<_>, Vec<_>) = rest
                    .into_iter()
                    .partition(|copy| seen.insert(copy.file.id.clone()));
                rest = again;
                batches.extend(arrays(once).map(|files| Batch::Copy {
                    to,
                    files,
                    named: Named::AsSource,
                }));
            }
        }
        batches.extend(self.alone.into_iter().map(|(to, copy, named)| Batch::Copy {
            to,
            files: vec![copy],
            named,
        }));
        batches
    }
}

impl Batch {
    /// What it puts where.
    pub fn puts(&self) -> Vec<(Ino, Put)> {
        match self {
            Batch::Make { ino, at } => vec![(*ino, Put::Anew(at.clone()))],
            Batch::MoveFolder { ino, to, .. } => vec![(*ino, Put::Into(*to))],
            Batch::RenameFolder { ino, name, .. } => vec![(*ino, Put::Named(name.clone()))],
            Batch::MoveFiles { to, files } => {
                let into = |(ino, _): &(Ino, FileId)| (*ino, Put::Into(*to));
                files.iter().map(into).collect()
            }
            Batch::RenameFiles(files) => {
                let named =
                    |(ino, _, name): &(Ino, FileId, String)| (*ino, Put::Named(name.clone()));
                files.iter().map(named).collect()
            }
            Batch::Upload(_)
            | Batch::Copy { .. }
            | Batch::Empty(_)
            | Batch::Look(_)
            | Batch::LookForLeaving(_)
            | Batch::RemoveFiles(_)
            | Batch::RemoveFolder(_) => Vec::new(),
        }
    }

    /// What it asks to be removed.
    pub fn removes(&self) -> &[Removal] {
        match self {
            Batch::RemoveFiles(removals) => removals,
            Batch::RemoveFolder(removal) => std::slice::from_ref(removal),
            _ => &[],
        }
    }

    /// Whether more of its kind may come within a moment, and nothing is lost by waiting. Files
    /// do to the folders in `coming`.
    pub fn gathers(&self, now: Time, coming: &HashSet<FolderId>) -> bool {
        match self {
            Batch::Upload(sends) => {
                let oldest = sends.iter().map(|s| s.due).min();
                let bytes: u64 = sends.iter().map(|s| s.size).sum();
                sends.len() < MAX_FILES
                    && bytes <= SMALL
                    && sends.first().is_some_and(|s| coming.contains(&s.at.folder))
                    && oldest.is_some_and(|at| now.since(at) < GATHER_FILES)
            }
            Batch::RemoveFiles(removals) => {
                let oldest = removals.iter().map(|r| r.queued_at).min();
                removals.len() < MAX_ARRAY && oldest.is_some_and(|at| now.since(at) < GATHER)
            }
            _ => false,
        }
    }
}

fn arrays<T>(items: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rest = items.into_iter();
    std::iter::from_fn(move || {
        let array: Vec<T> = rest.by_ref().take(MAX_ARRAY).collect();
        (!array.is_empty()).then_some(array)
    })
}

/// Arrays in which none travels in larger company than it may.
fn companies<T>(mut items: Vec<T>, company: impl Fn(&T) -> usize) -> impl Iterator<Item = Vec<T>> {
    items.sort_by_key(|item| company(item).min(MAX_ARRAY));
    let mut rest = items.into_iter().peekable();
    std::iter::from_fn(move || {
        let most = company(rest.peek()?).min(MAX_ARRAY);
        Some(rest.by_ref().take(most).collect())
    })
}

/// Small files together, large ones alone; none in larger company than it may.
fn requests(mut sends: Vec<Sending>, bounds: Bounds<'_>) -> Vec<Vec<Sending>> {
    let company = |send: &Sending| bounds.company(send.ino).min(MAX_FILES);
    sends.sort_by_key(company);
    let mut requests = Vec::new();
    let mut shared: Vec<Sending> = Vec::new();
    let mut bytes = 0;
    for send in sends {
        if send.size > SMALL {
            requests.push(vec![send]);
            continue;
        }
        let full = shared.first().is_some_and(|first| {
            shared.len() >= company(first) || bytes + send.size > bounds.shared
        });
        if full {
            requests.push(std::mem::take(&mut shared));
            bytes = 0;
        }
        bytes += send.size;
        shared.push(send);
    }
    if !shared.is_empty() {
        requests.push(shared);
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(tasks: Vec<Task>) -> Vec<Batch> {
        group_with(tasks, &HashMap::new(), &HashMap::new())
    }

    fn group_with(
        tasks: Vec<Task>,
        companies: &HashMap<Ino, usize>,
        sources: &HashMap<Ino, Source>,
    ) -> Vec<Batch> {
        let bounds = Bounds {
            shared: MAX_SHARED,
            companies,
            leaving: &HashMap::new(),
        };
        batches(tasks, bounds, sources)
    }

    fn at(folder: u64, name: &str) -> RemotePlace {
        RemotePlace {
            folder: FolderId(folder),
            name: name.to_owned(),
        }
    }

    fn send(ino: u64, folder: u64, size: u64) -> Task {
        Task::Send {
            ino: Ino(ino),
            at: at(folder, &format!("f{ino}")),
            size,
            link: None,
            copying: Copying::Together,
            due: Time(0),
        }
    }

    fn removal(id: i64, kind: Kind) -> Task {
        Task::Remove(Removal {
            id,
            kind,
            rid: format!("file{id}"),
            place: at(0, "x"),
            may_be_in: None,
            after: None,
            attempts: 0,
            queued_at: Time(id),
            asked_at: None,
            made_at: None,
        })
    }

    #[test]
    fn small_files_of_a_folder_share_a_request_and_large_ones_do_not() {
        let tasks = vec![
            send(1, 7, 10),
            send(2, 7, 20),
            send(3, 8, 10),
            send(4, 7, SMALL + 1),
        ];
        let mut sizes: Vec<usize> = group(tasks)
            .iter()
            .map(|b| match b {
                Batch::Upload(sends) => sends.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 2]);
    }

    #[test]
    fn a_request_is_bounded_in_files_and_bytes() {
        let many = group((0..1001).map(|i| send(i, 7, 1)).collect());
        assert_eq!(many.len(), 3);
        let big = group((0..20).map(|i| send(i, 7, SMALL)).collect());
        for batch in &big {
            let Batch::Upload(sends) = batch else {
                panic!("{batch:?}")
            };
            assert!(sends.iter().map(|s| s.size).sum::<u64>() <= MAX_SHARED);
        }
        assert_eq!(big.len(), 3);
    }

    #[test]
    fn what_was_refused_in_company_travels_in_smaller_one() {
        let companies = HashMap::from([(Ino(1), 1), (Ino(2), 1), (Ino(3), 2), (Ino(4), 2)]);
        let tasks = (0..8).map(|i| send(i, 7, 1)).collect();
        let mut sent: Vec<Vec<u64>> = group_with(tasks, &companies, &HashMap::new())
            .iter()
            .map(|b| match b {
                Batch::Upload(sends) => sends.iter().map(|s| s.ino.0).collect(),
                other => panic!("{other:?}"),
            })
            .collect();
        sent.sort();
        assert_eq!(sent, [vec![0, 5, 6, 7], vec![1], vec![2], vec![3, 4]]);
        let moves = (0..8).map(|i| Task::Move {
            ino: Ino(i),
            object: Object::File(format!("file{i}").parse().unwrap()),
            to: FolderId(7),
        });
        let moved = group_with(moves.collect(), &companies, &HashMap::new());
        assert_eq!(moved.len(), 4, "{moved:?}");
    }

    fn source(id: u64, name: &str) -> Source {
        Source {
            file: content::RemoteFile {
                id: format!("source{id}").parse().unwrap(),
                size: 1,
                whirlpool: None,
            },
            name: Some(name.to_owned()),
        }
    }

    #[test]
    fn copies_that_keep_their_names_travel_in_arrays_and_others_alone() {
        let mut sources: HashMap<Ino, Source> = (0..70)
            .map(|i| (Ino(i), source(i, &format!("f{i}"))))
            .collect();
        sources.insert(Ino(70), source(70, "of another name"));
        // The same file twice: the answer could not tell the copies apart.
        sources.insert(Ino(71), source(0, "f71"));
        let mut tasks: Vec<Task> = (0..72).map(|i| send(i, 7, 100 << 20)).collect();
        for (task, how) in tasks.iter_mut().zip([Copying::Never, Copying::Alone]) {
            if let Task::Send { copying, .. } = task {
                *copying = how;
            }
        }
        tasks.push(send(72, 7, 1));
        let mut copied = Vec::new();
        let mut sent = Vec::new();
        for batch in group_with(tasks, &HashMap::new(), &sources) {
            match batch {
                Batch::Copy { files, named, .. } => {
                    let mut ids: Vec<_> = files.iter().map(|f| f.file.id.clone()).collect();
                    ids.dedup();
                    assert_eq!(ids.len(), files.len());
                    copied.push((files.len(), named));
                }
                Batch::Upload(sends) => sent.push(sends[0].ino.0),
                other => panic!("{other:?}"),
            }
        }
        copied.sort_by_key(|(count, _)| *count);
        let alone = |named| (1, named);
        assert_eq!(copied.len(), 4);
        assert_eq!(copied.iter().map(|(n, _)| n).sum::<usize>(), 71);
        assert!(copied.contains(&alone(Named::AsSource)) && copied.contains(&alone(Named::Anew)));
        sent.sort_unstable();
        assert_eq!(sent, [0, 72]);
    }

    #[test]
    fn removals_travel_in_arrays_and_folders_after_files() {
        let mut tasks: Vec<Task> = (0..120).map(|i| removal(i, Kind::File)).collect();
        tasks.insert(0, removal(500, Kind::Folder));
        let batches = group(tasks);
        assert_eq!(batches.len(), 4);
        assert!(matches!(batches[3], Batch::RemoveFolder(_)));
    }

    #[test]
    fn what_may_be_gone_is_looked_for_and_not_asked_for() {
        let asked = |task| match task {
            Task::Remove(removal) => Task::Remove(Removal {
                asked_at: Some(Time(5)),
                ..removal
            }),
            other => other,
        };
        let [a, b, c] = [(1, Kind::File), (2, Kind::Folder), (3, Kind::File)]
            .map(|(id, kind)| removal(id, kind));
        let batches = group(vec![asked(a), asked(b), c]);
        let [Batch::LookForLeaving(looked_for), Batch::RemoveFiles(files)] = &batches[..] else {
            panic!("{batches:?}");
        };
        assert_eq!(looked_for.iter().map(|r| r.id).collect::<Vec<_>>(), [1, 2]);
        assert!(batches[0].removes().is_empty());
        assert_eq!(batches[1].removes(), &files[..]);
    }

    #[test]
    fn removals_wait_a_moment_for_company() {
        let some = group((0..3).map(|i| removal(i, Kind::File)).collect());
        let none = HashSet::new();
        assert!(some[0].gathers(Time(0), &none));
        assert!(!some[0].gathers(Time(0).after(GATHER), &none));
        let full = group((0..50).map(|i| removal(i, Kind::File)).collect());
        assert!(!full[0].gathers(Time(0), &none));
        assert!(!group(vec![removal(1, Kind::Folder)])[0].gathers(Time(0), &none));
    }

    #[test]
    fn small_files_wait_for_those_that_follow_but_not_for_ever() {
        let some = &group((0..3).map(|i| send(i, 7, 1)).collect())[0];
        let (here, elsewhere) = (HashSet::from([FolderId(7)]), HashSet::from([FolderId(8)]));
        assert!(some.gathers(Time(0), &here));
        assert!(!some.gathers(Time(0), &elsewhere));
        assert!(!some.gathers(Time(0).after(GATHER_FILES), &here));
        let full = &group((0..MAX_FILES as u64).map(|i| send(i, 7, 1)).collect())[0];
        assert!(!full.gathers(Time(0), &here));
        let large = &group(vec![send(1, 7, SMALL + 1)])[0];
        assert!(!large.gathers(Time(0), &here));
    }

    #[test]
    fn folders_are_made_first() {
        let tasks = vec![
            send(1, 7, 1),
            Task::Make {
                ino: Ino(2),
                at: at(0, "d"),
            },
        ];
        assert!(matches!(group(tasks)[0], Batch::Make { .. }));
    }
}
