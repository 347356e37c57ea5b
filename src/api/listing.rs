//! Listings: `folder/ls` with its files, and `file/ls` (API notes 2.1, 2.2, 5).

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::limits::LISTING_CAP;
use super::{Api, ApiError, Ask, Call, Said, Script, Subject, dates, wire};
use crate::ids::{FileId, FolderId, Whirlpool};

/// A folder with all that it holds, in no order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Listing {
    /// The folder's own name; the root's is "Root".
    pub name: String,
    /// Its sub-folders.
    pub folders: Vec<FolderItem>,
    /// Its files.
    pub files: Vec<FileItem>,
    /// Whether files may be missing, because as many came as can come: ask
    /// [`Api::list_files`] for windows of dates.
    pub truncated: bool,
    /// Whether it says itself that there are more files than came, and not because of
    /// that bound; or does not speak of files at all, as one of a folder without any may do.
    pub lacks_files: bool,
    /// Whether it counts them.
    pub lacks_counted: bool,
    /// How many files it counts, where it shows none of them: [`Api::list_files`] may.
    pub withheld: Option<u64>,
    /// Whether sub-folders may be missing: it does not speak of any, as one of a folder without
    /// may do (API notes 2.2), or as many came as can come.
    pub lacks_folders: bool,
    /// What the account may do there, where it is somebody else's.
    pub grant: Option<Grant>,
}

/// What somebody else lets the account do with a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Whether it may be changed.
    pub may_change: bool,
}

/// A folder as the API names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FolderAt {
    id: FolderId,
    /// Whose root it is; then the number is only ours.
    owner: Option<String>,
}

impl From<FolderId> for FolderAt {
    fn from(id: FolderId) -> FolderAt {
        FolderAt { id, owner: None }
    }
}

impl FolderAt {
    /// The root of what the user of this address shares; `id` is our number for it.
    pub fn root_of(owner: String, id: FolderId) -> FolderAt {
        let owner = Some(owner);
        FolderAt { id, owner }
    }

    /// What a listing of it lists.
    fn subject(&self) -> Subject {
        match self.owner {
            Some(_) => Subject::OthersRoot,
            None => Subject::Folder(self.id),
        }
    }

    /// The number that is sent.
    pub(super) fn number(&self) -> u64 {
        match self.owner {
            Some(_) => FolderId::ROOT.0,
            None => self.id.0,
        }
    }

    /// The owner, where the number alone does not tell.
    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }
}

/// A sub-folder in a listing.
#[derive(Clone, PartialEq, Debug)]
pub struct FolderItem {
    /// Its id.
    pub id: FolderId,
    /// Its name as the service holds it.
    pub name: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether a password protects it.
    pub protected: bool,
}

/// A file in a listing.
#[derive(Clone, PartialEq, Debug)]
pub struct FileItem {
    /// Its id.
    pub id: FileId,
    /// Its name as the service holds it.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was uploaded; to the second, and one hour a year ambiguous ([`super::date_instants`]).
    pub date: Option<Timestamp>,
    /// Its checksum.
    pub checksum: Option<Whirlpool>,
    /// Its MIME type, as the service guesses it from the name.
    pub content_type: String,
    /// Whether a password protects it.
    pub protected: bool,
    /// Whether access to it is restricted.
    pub restricted: bool,
    /// Whether downloads of it use CDN credits.
    pub cdn: bool,
}

/// Files of a folder, or of the account.
#[derive(Clone, PartialEq, Debug)]
pub struct FileListing {
    /// The files, in no order.
    pub files: Vec<FileItem>,
    /// Whether files may be missing, because as many came as can come.
    pub truncated: bool,
}

/// Bounds for the date of upload, as the service's clock shows it (French local time).
/// In the hour that the autumn repeats, a bound does not tell which of two instants it
/// means; whether a bound itself is within is not documented.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DateWindow {
    /// Only files sent after this.
    pub after: Option<DateTime>,
    /// Only files sent before this.
    pub before: Option<DateTime>,
}

#[derive(Serialize)]
struct FolderLs<'a> {
    folder_id: u64,
    files: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    sharing_user: Option<&'a str>,
}

#[derive(Serialize)]
struct FileLs<'a> {
    folder_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sharing_user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_before: Option<String>,
}

#[derive(Deserialize)]
struct WireListing {
    #[serde(default, deserialize_with = "wire::number")]
    folder_id: Option<u64>,
    #[serde(default, deserialize_with = "wire::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    files: Option<u64>,
    #[serde(default, deserialize_with = "wire::some_list")]
    sub_folders: Option<Vec<WireFolder>>,
    #[serde(default, deserialize_with = "wire::some_list")]
    items: Option<Vec<WireFile>>,
    #[serde(default, deserialize_with = "wire::text")]
    user: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    rw: Option<u64>,
    #[serde(default, deserialize_with = "wire::flag")]
    hide_links: bool,
}

#[derive(Deserialize)]
struct WireFiles {
    #[serde(default, deserialize_with = "wire::text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    count: Option<u64>,
    #[serde(default, deserialize_with = "wire::some_list")]
    items: Option<Vec<WireFile>>,
}

#[derive(Deserialize)]
struct WireFolder {
    #[serde(default, deserialize_with = "wire::number")]
    id: Option<u64>,
    #[serde(default, deserialize_with = "wire::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    create_date: Option<String>,
    #[serde(default, deserialize_with = "wire::flag")]
    pass: bool,
}

#[derive(Deserialize)]
struct WireFile {
    #[serde(default, deserialize_with = "wire::text")]
    url: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    filename: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    size: Option<u64>,
    #[serde(default, deserialize_with = "wire::text")]
    date: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    checksum: Option<String>,
    #[serde(
        default,
        rename = "content-type",
        alias = "content_type",
        deserialize_with = "wire::text"
    )]
    content_type: Option<String>,
    #[serde(default, deserialize_with = "wire::flag")]
    pass: bool,
    #[serde(default, deserialize_with = "wire::flag")]
    acl: bool,
    #[serde(default, deserialize_with = "wire::flag")]
    cdn: bool,
}

impl Api {
    /// Everything in a folder, with one call.
    pub async fn list_folder(
        &self,
        folder: impl Into<FolderAt>,
        ask: impl Into<Ask>,
    ) -> Result<Listing, ApiError> {
        let folder = folder.into();
        let call = Call::listing(Script::FolderLs, folder.subject());
        let body = FolderLs {
            folder_id: folder.number(),
            files: 1,
            sharing_user: folder.owner(),
        };
        let wire = self.call(call, ask.into(), &body).await?;
        listing(&folder, wire)
    }

    /// The sub-folders of a folder, and how many files it has, which do not come: for a folder
    /// of more files than the service lists.
    pub async fn outline_folder(
        &self,
        folder: impl Into<FolderAt>,
        ask: impl Into<Ask>,
    ) -> Result<(Vec<FolderItem>, u64), ApiError> {
        let folder = folder.into();
        let call = Call::listing(Script::FolderLs, folder.subject());
        let body = FolderLs {
            folder_id: folder.number(),
            files: 0,
            sharing_user: folder.owner(),
        };
        let mut wire: WireListing = self.call(call, ask.into(), &body).await?;
        let count = wire.files.take().unwrap_or_default();
        Ok((listing(&folder, wire)?.folders, count))
    }

    /// The files of a folder that were sent within a window, to see more than a
    /// listing can hold. It counts as a listing of the folder.
    pub async fn list_files(
        &self,
        folder: impl Into<FolderAt>,
        window: DateWindow,
        ask: impl Into<Ask>,
    ) -> Result<FileListing, ApiError> {
        let folder = folder.into();
        let call = Call::listing(Script::FileLs, folder.subject());
        self.file_ls(call, Some(&folder), window, ask.into()).await
    }

    /// All files of the account, without their folders; once an hour.
    pub async fn list_all_files(
        &self,
        window: DateWindow,
        ask: impl Into<Ask>,
    ) -> Result<FileListing, ApiError> {
        let call = Call::listing(Script::FileLs, Subject::AllFiles);
        self.file_ls(call, None, window, ask.into()).await
    }

    async fn file_ls(
        &self,
        call: Call,
        folder: Option<&FolderAt>,
        window: DateWindow,
        ask: Ask,
    ) -> Result<FileListing, ApiError> {
        let folder_id = match folder {
            Some(folder) => i64::try_from(folder.number())
                .map_err(|_| ApiError::Misuse("a folder id beyond all bounds"))?,
            None => -1,
        };
        let body = FileLs {
            folder_id,
            sharing_user: folder.and_then(FolderAt::owner),
            sent_after: window.after.map(dates::format),
            sent_before: window.before.map(dates::format),
        };
        let wire: WireFiles = self.call(call, ask, &body).await?;
        if wire.items.is_none() && wire.status.is_none() && wire.count.is_none() {
            return Err(unreadable("not a listing"));
        }
        let id = folder.map_or(FolderId::ROOT, |folder| folder.id);
        let files = files(wire.items, &Links::MayBeHidden(id))?;
        if files.is_empty() && wire.count.is_some_and(|count| count > 0) {
            return Err(unreadable("a listing without the files that it counts"));
        }
        Ok(FileListing {
            truncated: files.len() >= LISTING_CAP,
            files,
        })
    }
}

fn unreadable(text: &str) -> ApiError {
    ApiError::Unparsable(Said::ours(text))
}

/// Whether a file may come without its link.
enum Links {
    Shown,
    /// Its folder is somebody else's, and this is our number for it.
    MayBeHidden(FolderId),
}

/// Believes a listing only if it is one of the folder that was asked for.
fn listing(asked: &FolderAt, wire: WireListing) -> Result<Listing, ApiError> {
    if wire.folder_id.is_none() && wire.name.is_none() {
        return Err(unreadable("not a listing"));
    }
    // The root of somebody else may come under the number that it has there.
    let other = |id| id != asked.id.0 && asked.owner.is_none();
    if wire.folder_id.is_some_and(other) {
        return Err(unreadable("the listing of another folder"));
    }
    let counted = wire.files;
    let silent = wire.items.is_none() && counted.is_none();
    // Only a name of somebody tells: absent, empty and 0 may mean the same.
    let named = wire.user.as_ref().is_some_and(|user| !user.is_empty());
    let is_foreign = asked.owner.is_some() || (named && asked.id != FolderId::ROOT);
    let links = match is_foreign {
        true => Links::MayBeHidden(asked.id),
        false => Links::Shown,
    };
    let files = files(wire.items, &links)?;
    let withheld = counted.filter(|counted| files.is_empty() && *counted > 0);
    let truncated = files.len() >= LISTING_CAP || withheld.is_some();
    let lacks_counted = !truncated && are_less(&files, counted);
    let told = wire.sub_folders.is_some();
    let folders = wire
        .sub_folders
        .unwrap_or_default()
        .into_iter()
        .map(folder)
        .collect::<Result<Vec<_>, _>>()?;
    let lacks_folders = !told || folders.len() >= LISTING_CAP;
    Ok(Listing {
        name: wire.name.unwrap_or_default(),
        folders,
        truncated,
        lacks_files: silent || lacks_counted,
        lacks_counted,
        withheld,
        lacks_folders,
        files,
        // Without links nothing in it could be named for a change; what is not granted is not
        // taken, and the root of somebody else has no number to send anything to.
        grant: is_foreign.then(|| Grant {
            may_change: wire.rw == Some(1) && !wire.hide_links && asked.owner.is_none(),
        }),
    })
}

/// Whether fewer files came than the service counts.
fn are_less(files: &[FileItem], counted: Option<u64>) -> bool {
    counted.is_some_and(|counted| counted > files.len() as u64)
}

fn folder(wire: WireFolder) -> Result<FolderItem, ApiError> {
    Ok(FolderItem {
        // 0 is the root, which is in no folder.
        id: FolderId(
            wire.id
                .filter(|id| *id != 0)
                .ok_or_else(|| unreadable("a sub-folder without id"))?,
        ),
        name: wire
            .name
            .ok_or_else(|| unreadable("a sub-folder without name"))?,
        created: wire.create_date.as_deref().and_then(dates::parse),
        protected: wire.pass,
    })
}

/// The files of a listing, all or none: one that cannot be read must not look as
/// if it were gone.
fn files(items: Option<Vec<WireFile>>, links: &Links) -> Result<Vec<FileItem>, ApiError> {
    let items = items.unwrap_or_default();
    items.into_iter().map(|item| file(item, links)).collect()
}

fn file(wire: WireFile, links: &Links) -> Result<FileItem, ApiError> {
    let name = wire
        .filename
        .ok_or_else(|| unreadable("a file without name"))?;
    let size = wire.size.ok_or_else(|| unreadable("a file without size"))?;
    let id = match (wire.url.filter(|link| !link.is_empty()), links) {
        (Some(link), _) => FileId::from_link(&link)
            .map_err(|_| unreadable("a file with a link of another form"))?,
        (None, Links::MayBeHidden(folder)) => {
            let date = wire.date.as_deref().unwrap_or_default();
            let sum = wire.checksum.as_deref().unwrap_or_default();
            FileId::without_link(*folder, &name, &format!("{size} {date} {sum}"))
        }
        (None, Links::Shown) => return Err(unreadable("a file without link")),
    };
    Ok(FileItem {
        id,
        name,
        size,
        date: wire.date.as_deref().and_then(dates::parse),
        checksum: wire.checksum.and_then(|text| text.parse().ok()),
        content_type: wire.content_type.unwrap_or_default(),
        protected: wire.pass,
        restricted: wire.acl,
        cdn: wire.cdn,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(asked: u64, json: &str) -> Result<Listing, ApiError> {
        listing(&FolderId(asked).into(), serde_json::from_str(json).unwrap())
    }

    #[test]
    fn the_recorded_root_is_read() {
        let root = read(
            0,
            r#"{"folder_id":0,"status":"OK","size":null,"files":0,"sub_folders":[{"id":3357645,
            "create_date":"2021-03-20 16:42:15","name":"backup.phenix","pass":0}],"name":"Root"}"#,
        )
        .unwrap();
        assert_eq!(root.folders[0].id, FolderId(3_357_645));
        assert_eq!(
            root.folders[0].created,
            Some("2021-03-20T15:42:15Z".parse().unwrap())
        );
        assert!(root.files.is_empty() && !root.truncated);
    }

    #[test]
    fn types_wobble() {
        let folder = read(
            42,
            r#"{"folder_id":"42","name":7,"files":"1","sub_folders":null,"items":[{"pass":"1","acl":null,"size":"12",
            "filename":"test.txt","checksum":"","url":"https://1fichier.com/?2zk52quqlm0cbjr93ri5",
            "date":"2021-06-22 14:57:25","content-type":"text/plain"}]}"#,
        )
        .unwrap();
        assert_eq!(folder.name, "7");
        let file = &folder.files[0];
        assert_eq!(
            (file.size, file.protected, file.restricted),
            (12, true, false)
        );
        assert_eq!(file.checksum, None);
        assert_eq!(file.content_type, "text/plain");
    }

    #[test]
    fn what_is_no_whole_listing_is_unreadable_and_not_empty() {
        for json in [
            "{}",
            r#"{"status":"OK"}"#,
            r#"{"folder_id":7,"name":"other"}"#,
            r#"{"folder_id":42,"name":"x","items":[{"url":"https://1fichier.com/?abcde","filename":"a"}]}"#,
            r#"{"folder_id":42,"name":"x","items":[{"url":"https://1fichier.com/?abcde","size":1}]}"#,
            r#"{"folder_id":42,"name":"x","items":[{"url":"nonsense","filename":"a","size":1}]}"#,
            r#"{"folder_id":42,"name":"x","sub_folders":[{"name":"a"}]}"#,
            r#"{"folder_id":42,"name":"x","sub_folders":[{"id":0,"name":"a"}]}"#,
        ] {
            assert!(
                matches!(read(42, json), Err(ApiError::Unparsable(_))),
                "{json}"
            );
        }
        assert!(read(42, r#"{"folder_id":42,"name":"x","files":0}"#).is_ok());
    }

    #[test]
    fn an_answer_without_the_files_that_it_counts_says_nothing_of_files() {
        for (items, withheld) in [
            ("", Some(3)),
            (r#","items":null"#, Some(3)),
            (r#","items":[]"#, Some(3)),
            (
                r#","items":[{"url":"https://1fichier.com/?abcde","filename":"a","size":1}]"#,
                None,
            ),
        ] {
            let json = format!(r#"{{"folder_id":42,"name":"x","files":3{items}}}"#);
            let listing = read(42, &json).unwrap();
            assert_eq!(listing.withheld, withheld, "{json}");
            assert_eq!(listing.truncated, withheld.is_some());
        }
    }

    #[test]
    fn what_it_does_not_speak_of_or_counts_and_does_not_bring_it_lacks() {
        let lacks = |json: &str| {
            let listing = read(42, json).unwrap();
            (listing.lacks_files, listing.lacks_folders)
        };
        let item = r#"{"url":"https://1fichier.com/?abcde","filename":"a","size":1}"#;
        for (rest, files, folders) in [
            (r#""files":0,"sub_folders":[]"#.to_owned(), false, false),
            (r#""files":0,"sub_folders":null"#.to_owned(), false, true),
            (r#""files":0,"items":null"#.to_owned(), false, true),
            (r#""items":[],"sub_folders":[]"#.to_owned(), false, false),
            (r#""sub_folders":[]"#.to_owned(), true, false),
            (
                format!(r#""files":2,"items":[{item}],"sub_folders":[]"#),
                true,
                false,
            ),
            (
                format!(r#""files":1,"items":[{item}],"sub_folders":[]"#),
                false,
                false,
            ),
            (format!(r#""items":[{item}]"#), false, true),
        ] {
            let json = format!(r#"{{"folder_id":42,"name":"x",{rest}}}"#);
            assert_eq!(lacks(&json), (files, folders), "{json}");
        }
    }

    #[test]
    fn in_a_folder_of_somebody_else_links_may_be_hidden_and_are_known_by_their_content() {
        let with = |more: &str, checksum: &str| {
            read(
                7,
                &format!(
                    r#"{{"folder_id":7,"name":"x"{more},"items":[{{"filename":"a","size":1,"url":"","checksum":"{checksum}"}}]}}"#
                ),
            )
        };
        assert!(with("", "1").is_err(), "in a folder of one's own");
        let hidden = r#","user":"f@example.org","rw":0,"hide_links":1"#;
        let id = |checksum: &str| with(hidden, checksum).unwrap().files[0].id.clone();
        assert!(!id("1").has_link());
        assert_eq!(id("1"), id("1"));
        assert_ne!(id("1"), id("2"));
        assert_eq!(id("1").as_str().parse::<FileId>().unwrap(), id("1"));
    }

    #[test]
    fn only_what_is_granted_may_be_changed() {
        for (told, may_change) in [
            (r#","user":"f@example.org","rw":1"#, Some(true)),
            (
                r#","user":"f@example.org","rw":"1","hide_links":"0""#,
                Some(true),
            ),
            (
                r#","user":"f@example.org","rw":1,"hide_links":1"#,
                Some(false),
            ),
            (r#","user":"f@example.org","rw":0"#, Some(false)),
            (r#","user":"f@example.org""#, Some(false)),
            (r#","user":"","rw":0,"hide_links":0"#, None),
            (r#","user":null,"rw":"0""#, None),
            ("", None),
        ] {
            let listing = read(7, &format!(r#"{{"folder_id":7,"name":"x"{told}}}"#)).unwrap();
            assert_eq!(
                listing.grant.map(|grant| grant.may_change),
                may_change,
                "{told}"
            );
        }
    }

    #[test]
    fn as_many_files_as_can_come_may_not_be_all() {
        let item = |n: usize| {
            format!(r#"{{"url":"https://1fichier.com/?file{n}","filename":"{n}","size":1}}"#)
        };
        let list = |n: usize| {
            let items: Vec<_> = (0..n).map(|n| item(10_000 + n)).collect();
            format!(
                r#"{{"folder_id":1,"name":"x","items":[{}]}}"#,
                items.join(",")
            )
        };
        assert!(read(1, &list(LISTING_CAP)).unwrap().truncated);
        assert!(!read(1, &list(LISTING_CAP - 1)).unwrap().truncated);
    }

    #[test]
    fn as_many_sub_folders_as_can_come_may_not_be_all() {
        let lacks_folders = |n: usize| {
            let folder = |n| format!(r#"{{"id":{n},"name":"{n}"}}"#);
            let folders: Vec<_> = (2..n + 2).map(folder).collect();
            let folders = folders.join(",");
            let body = format!(r#"{{"folder_id":1,"name":"x","sub_folders":[{folders}]}}"#);
            read(1, &body).unwrap().lacks_folders
        };
        assert!(lacks_folders(LISTING_CAP) && !lacks_folders(LISTING_CAP - 1));
    }
}
