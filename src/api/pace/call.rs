//! What the pace knows of a call: which script it runs, what it names, who
//! waits for it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::ids::FolderId;

/// A script of the service. Locks are per script (API notes 6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // each is the script of its name
pub enum Script {
    #[serde(rename = "folder/ls")]
    FolderLs,
    #[serde(rename = "folder/mkdir")]
    FolderMkdir,
    #[serde(rename = "folder/mv")]
    FolderMv,
    #[serde(rename = "folder/rm")]
    FolderRm,
    #[serde(rename = "folder/share")]
    FolderShare,
    #[serde(rename = "file/ls")]
    FileLs,
    #[serde(rename = "file/info")]
    FileInfo,
    #[serde(rename = "file/mv")]
    FileMv,
    #[serde(rename = "file/cp")]
    FileCp,
    #[serde(rename = "file/rename")]
    FileRename,
    #[serde(rename = "file/rm")]
    FileRm,
    #[serde(rename = "file/chattr")]
    FileChattr,
    #[serde(rename = "file/scan")]
    FileScan,
    #[serde(rename = "download/get_token")]
    Token,
    #[serde(rename = "upload/get_upload_server")]
    UploadServer,
    #[serde(rename = "user/info")]
    Account,
    #[serde(rename = "dir")]
    PublicFolder,
}

impl Script {
    /// Its name, which is also its path below the API's address.
    pub fn name(self) -> &'static str {
        match self {
            Script::FolderLs => "folder/ls",
            Script::FolderMkdir => "folder/mkdir",
            Script::FolderMv => "folder/mv",
            Script::FolderRm => "folder/rm",
            Script::FolderShare => "folder/share",
            Script::FileLs => "file/ls",
            Script::FileInfo => "file/info",
            Script::FileMv => "file/mv",
            Script::FileCp => "file/cp",
            Script::FileRename => "file/rename",
            Script::FileRm => "file/rm",
            Script::FileChattr => "file/chattr",
            Script::FileScan => "file/scan",
            Script::Token => "download/get_token",
            Script::UploadServer => "upload/get_upload_server",
            Script::Account => "user/info",
            Script::PublicFolder => "dir",
        }
    }

    /// The script whose lock and learned rate it shares: both ways to list a
    /// folder count as one, which is the safe assumption (API notes 10.3).
    pub(super) fn kind(self) -> Script {
        match self {
            Script::FileLs => Script::FolderLs,
            other => other,
        }
    }

    /// Whether it can fail with 403 or 404 because of what it names.
    pub(super) fn names_something(self) -> bool {
        !matches!(self, Script::UploadServer | Script::Account)
    }
}

/// What a listing lists, for the rules about repeating it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// One folder.
    Folder(FolderId),
    /// The root of somebody else. Whether it counts as listing number 0 is not known: it is
    /// taken to.
    OthersRoot,
    /// All files of the account.
    AllFiles,
    /// A public folder, by a number of its own.
    Public(u64),
    /// Not a listing.
    Other,
}

/// A call as the pace sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// The script.
    pub script: Script,
    /// What is listed.
    pub subject: Subject,
    /// It is made with a key that the service refused before, too: the user wants to know
    /// whether it does so still.
    pub insists: bool,
}

impl Subject {
    /// A public folder, by the id in its link.
    pub(in crate::api) fn public(id: &str) -> Subject {
        let digit = |number: u64, byte: u8| number.wrapping_mul(131).wrapping_add(byte.into());
        Subject::Public(id.bytes().fold(0, digit))
    }
}

impl Call {
    /// A call that lists nothing.
    pub fn of(script: Script) -> Call {
        Call {
            script,
            subject: Subject::Other,
            insists: false,
        }
    }

    /// The same call, with whatever key.
    pub fn insisting(self) -> Call {
        Call {
            insists: true,
            ..self
        }
    }

    /// A listing.
    pub fn listing(script: Script, subject: Subject) -> Call {
        Call {
            script,
            subject,
            insists: false,
        }
    }

    /// Whether it may add to the failing calls that the service punishes for what it asks for.
    /// The root is always there.
    pub(super) fn may_fail(&self) -> bool {
        self.script.names_something()
            && !matches!(
                self.subject,
                Subject::Folder(FolderId::ROOT) | Subject::AllFiles
            )
    }
}

/// Who waits for a call: the first goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// A person or program, in a system call.
    Interactive,
    /// The upload queue and the journal.
    Upload,
    /// A known folder being looked at again.
    Refresh,
    /// Nobody yet: read-ahead, walks over the tree.
    Background,
}

impl Class {
    /// The class after a wait: one better for every ten seconds, so that
    /// nothing starves that somebody waits for. What nobody waits for stays behind those who do
    /// and behind uploads.
    pub(super) fn aged(self, waited: Duration) -> Class {
        let order = [
            Class::Interactive,
            Class::Upload,
            Class::Refresh,
            Class::Background,
        ];
        let best = match self {
            Class::Background => Class::Refresh,
            _ => Class::Interactive,
        };
        let steps = usize::try_from(waited.as_secs() / 10).unwrap_or(usize::MAX);
        let place = order.iter().position(|class| *class == self).unwrap_or(0);
        let aged = order.get(place.saturating_sub(steps)).copied();
        aged.unwrap_or(best).max(best)
    }

    /// Calls of the burst that are left for better classes.
    pub(super) fn reserve(self) -> f64 {
        match self {
            Class::Interactive | Class::Upload => 0.0,
            Class::Refresh => 1.0,
            Class::Background => 2.0,
        }
    }
}

/// The class of a call that waits, and what it has become by waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    /// Whose call it is.
    pub class: Class,
    /// How it is treated for its turn.
    pub aged: Class,
}

impl Standing {
    /// After a wait.
    pub(super) fn after(class: Class, waited: Duration) -> Standing {
        let aged = class.aged(waited);
        Standing { class, aged }
    }
}

/// Who asks and until when it is of use: a call that the pace cannot let go
/// before the deadline is refused at once.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Who asks.
    pub class: Class,
    /// When the answer is of no more use.
    pub deadline: Instant,
}

impl Ask {
    /// With a deadline of its own.
    pub fn until(class: Class, deadline: Instant) -> Ask {
        Ask { class, deadline }
    }
}

impl From<Class> for Ask {
    /// With the usual patience of the class.
    fn from(class: Class) -> Ask {
        let patience = match class {
            Class::Interactive => Duration::from_secs(10),
            Class::Upload | Class::Refresh => Duration::from_secs(60),
            Class::Background => Duration::from_secs(300),
        };
        Ask {
            class,
            deadline: Instant::now() + patience,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_gets_better_with_waiting() {
        let class = Class::Background;
        assert_eq!(class.aged(Duration::ZERO), Class::Background);
        assert_eq!(class.aged(Duration::from_secs(10)), Class::Refresh);
        assert_eq!(class.aged(Duration::from_secs(3600)), Class::Refresh);
        let class = Class::Refresh;
        assert_eq!(class.aged(Duration::from_secs(3600)), Class::Interactive);
        assert_eq!(
            Class::Interactive.aged(Duration::from_secs(99)),
            Class::Interactive
        );
    }

    #[test]
    fn the_stored_name_of_a_script_is_its_name() {
        for script in [
            Script::FolderLs,
            Script::Token,
            Script::UploadServer,
            Script::PublicFolder,
        ] {
            assert_eq!(
                serde_json::to_string(&script).unwrap(),
                format!("{:?}", script.name())
            );
        }
    }

    #[test]
    fn the_root_is_always_there() {
        let list = |id| Call::listing(Script::FolderLs, Subject::Folder(id));
        assert!(!list(FolderId::ROOT).may_fail());
        assert!(list(FolderId(7)).may_fail());
        assert!(Call::of(Script::Token).may_fail());
        assert!(!Call::of(Script::UploadServer).may_fail());
    }
}
