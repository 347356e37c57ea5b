//! Changes of files and questions about one: move, rename, copy, remove,
//! attributes, info, scan (API notes 2.3 to 2.9).
//!
//! Batches hold [`BATCH`] files at most; what an answer says of a part of a batch is
//! given back as that part, never taken for the whole.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::limits::BATCH;
use super::{Api, ApiError, Ask, Call, Said, Script, dates, numbered, wire};
use crate::ids::{FileId, FolderId, Whirlpool};

/// A file that was renamed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Renamed {
    /// The file.
    pub id: FileId,
    /// The name that it has now.
    pub name: String,
}

/// A copy that the service made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    /// The file that was copied.
    pub from: FileId,
    /// The new file with the same bytes.
    pub to: FileId,
}

/// What the service tells of one file.
#[derive(Clone, PartialEq, Debug)]
pub struct FileInfo {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was uploaded.
    pub date: Option<Timestamp>,
    /// The folder it is in.
    pub folder: Option<FolderId>,
    /// The names of the folders above it, separated by slashes.
    pub path: String,
    /// Its checksum.
    pub checksum: Option<Whirlpool>,
    /// Its MIME type.
    pub content_type: String,
    /// The owner's note.
    pub description: String,
    /// Whether a password protects it.
    pub protected: bool,
    /// Whether browsers show it instead of saving it.
    pub inline: bool,
}

/// Attributes to set; `None` leaves one as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Attributes {
    /// The owner's note; may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The download password, six characters or more; empty removes it.
    #[serde(rename = "pass", skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Whether browsers show the file instead of saving it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bit")]
    pub inline: Option<bool>,
    /// Whether downloads may use CDN credits.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bit")]
    pub cdn: Option<bool>,
    /// Who may download; an empty one removes all restrictions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Acl>,
}

fn bit<S: serde::Serializer>(value: &Option<bool>, out: S) -> Result<S::Ok, S::Error> {
    value.map(wire::bit).serialize(out)
}

/// Who may download a file.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Acl {
    /// Addresses in CIDR notation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip: Vec<String>,
    /// Countries, two letters each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub country: Vec<String>,
    /// E-mail addresses of users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub email: Vec<String>,
}

/// What the antivirus says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    /// The service's words.
    pub said: String,
    /// When the file was looked at, if it was before.
    pub date: Option<Timestamp>,
}

#[derive(Serialize)]
struct Links {
    urls: Vec<String>,
}

#[derive(Serialize)]
struct MoveBody {
    urls: Vec<String>,
    destination_folder_id: u64,
}

#[derive(Serialize)]
struct CopyBody<'a> {
    urls: Vec<String>,
    folder_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rename: Option<&'a str>,
}

#[derive(Serialize)]
struct RenameBody<'a> {
    urls: Vec<NewName<'a>>,
}

#[derive(Serialize)]
struct NewName<'a> {
    url: String,
    filename: &'a str,
}

#[derive(Serialize)]
struct RemoveBody {
    files: Vec<Link>,
}

#[derive(Serialize)]
struct Link {
    url: String,
}

#[derive(Serialize)]
struct AttributesBody<'a> {
    #[serde(flatten)]
    links: Links,
    #[serde(flatten)]
    attributes: &'a Attributes,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(
        default,
        alias = "moved",
        alias = "removed",
        alias = "updated",
        deserialize_with = "wire::number"
    )]
    count: Option<u64>,
    #[serde(default, deserialize_with = "wire::list")]
    urls: Vec<String>,
}

/// Which of `ids` were removed: all, if as many were, else those that are named, unless more are
/// named than were (API notes 2.7).
fn removed(ids: &[FileId], done: Counted) -> Vec<FileId> {
    let named = done.urls.len();
    let count = done.count.and_then(|count| usize::try_from(count).ok());
    let count = count.unwrap_or(named);
    if count >= ids.len() {
        return ids.to_vec();
    }
    let is_named = |id: &&FileId| done.urls.iter().any(|url| *url == id.link());
    match named <= count {
        true => ids.iter().filter(is_named).cloned().collect(),
        false => Vec::new(),
    }
}

#[derive(Deserialize)]
struct RenamedList {
    #[serde(default, deserialize_with = "wire::number")]
    renamed: Option<u64>,
    #[serde(default, deserialize_with = "wire::list")]
    urls: Vec<WireRenamed>,
}

#[derive(Deserialize)]
struct WireRenamed {
    url: String,
    #[serde(default, deserialize_with = "wire::text")]
    new_filename: Option<String>,
}

#[derive(Deserialize)]
struct CopiedList {
    #[serde(default, deserialize_with = "wire::list")]
    urls: Vec<WireCopied>,
}

#[derive(Deserialize)]
struct WireCopied {
    from_url: String,
    to_url: String,
}

#[derive(Deserialize)]
struct WireInfo {
    #[serde(default, deserialize_with = "wire::text")]
    filename: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    size: Option<u64>,
    #[serde(default, deserialize_with = "wire::text")]
    date: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    folder_id: Option<u64>,
    #[serde(default, deserialize_with = "wire::text")]
    path: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    checksum: Option<String>,
    #[serde(
        default,
        rename = "content-type",
        alias = "content_type",
        deserialize_with = "wire::text"
    )]
    content_type: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    description: Option<String>,
    #[serde(default, deserialize_with = "wire::flag")]
    pass: bool,
    #[serde(default, deserialize_with = "wire::flag")]
    inline: bool,
}

#[derive(Deserialize)]
struct WireScan {
    #[serde(default, deserialize_with = "wire::text")]
    message: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    date: Option<String>,
}

impl Api {
    /// Moves files into a folder; they keep their ids. Gives those that were moved.
    pub async fn move_files(
        &self,
        ids: &[FileId],
        destination: FolderId,
        ask: impl Into<Ask>,
    ) -> Result<Vec<FileId>, ApiError> {
        let body = MoveBody {
            urls: links(ids),
            destination_folder_id: numbered(destination)?,
        };
        let done = self.batch(Script::FileMv, ids.len(), ask, &body).await?;
        moved(ids, done)
    }

    /// Renames files; they keep their ids. Gives those that were renamed.
    ///
    /// A name equal to the present one makes the service refuse (API notes 2.6), as
    /// [`ApiError::Unchanged`] if nothing else is in the batch.
    pub async fn rename_files(
        &self,
        names: &[(FileId, String)],
        ask: impl Into<Ask>,
    ) -> Result<Vec<Renamed>, ApiError> {
        let body = RenameBody {
            urls: names
                .iter()
                .map(|(id, name)| NewName {
                    url: id.link(),
                    filename: name,
                })
                .collect(),
        };
        let done = self
            .batch(Script::FileRename, names.len(), ask, &body)
            .await?;
        renamed(names, done)
    }

    /// Copies files on the service: new ids, the same bytes. A new name goes with
    /// one file only.
    pub async fn copy_files(
        &self,
        ids: &[FileId],
        destination: FolderId,
        rename: Option<&str>,
        ask: impl Into<Ask>,
    ) -> Result<Vec<Copied>, ApiError> {
        if rename.is_some() && ids.len() != 1 {
            return Err(ApiError::Misuse("a new name for several copies"));
        }
        let body = CopyBody {
            urls: links(ids),
            folder_id: numbered(destination)?,
            rename,
        };
        let done: CopiedList = self.batch(Script::FileCp, ids.len(), ask, &body).await?;
        done.urls
            .into_iter()
            .map(|copy| {
                Ok(Copied {
                    from: id(&copy.from_url)?,
                    to: id(&copy.to_url)?,
                })
            })
            .collect()
    }

    /// Removes files for ever; gives those that surely were, which are fewer than were where it
    /// is not told which. A file that is not there any more is a failing call, so remove only
    /// what a listing has shown.
    pub async fn remove_files(
        &self,
        ids: &[FileId],
        ask: impl Into<Ask>,
    ) -> Result<Vec<FileId>, ApiError> {
        let body = RemoveBody {
            files: ids.iter().map(|id| Link { url: id.link() }).collect(),
        };
        let done: Counted = self.batch(Script::FileRm, ids.len(), ask, &body).await?;
        Ok(removed(ids, done))
    }

    /// Sets attributes of files; gives how many were changed.
    pub async fn set_attributes(
        &self,
        ids: &[FileId],
        attributes: &Attributes,
        ask: impl Into<Ask>,
    ) -> Result<usize, ApiError> {
        let body = AttributesBody {
            links: Links { urls: links(ids) },
            attributes,
        };
        let done: Counted = self
            .batch(Script::FileChattr, ids.len(), ask, &body)
            .await?;
        let count = done
            .count
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(done.urls.len());
        Ok(count.min(ids.len()))
    }

    /// What the service tells of one file. Never to find out whether it is there:
    /// frequent use gets the address locked (API notes 2.3).
    pub async fn file_info(&self, id: &FileId, ask: impl Into<Ask>) -> Result<FileInfo, ApiError> {
        let body = Link { url: id.link() };
        let info: WireInfo = self
            .call(Call::of(Script::FileInfo), ask.into(), &body)
            .await?;
        let (Some(name), Some(size)) = (info.filename, info.size) else {
            return Err(ApiError::Unparsable(Said::ours(
                "a file without name or size",
            )));
        };
        Ok(FileInfo {
            name,
            size,
            date: info.date.as_deref().and_then(dates::parse),
            folder: info.folder_id.map(FolderId),
            path: info.path.unwrap_or_default(),
            checksum: info.checksum.and_then(|text| text.parse().ok()),
            content_type: info.content_type.unwrap_or_default(),
            description: info.description.unwrap_or_default(),
            protected: info.pass,
            inline: info.inline,
        })
    }

    /// Has a file looked at for viruses. One that is infected is removed by the
    /// service and the call refused.
    pub async fn scan_file(&self, id: &FileId, ask: impl Into<Ask>) -> Result<Scan, ApiError> {
        let body = Link { url: id.link() };
        let scan: WireScan = self
            .call(Call::of(Script::FileScan), ask.into(), &body)
            .await?;
        Ok(Scan {
            said: Said::ours(&scan.message.unwrap_or_default()).to_string(),
            date: scan.date.as_deref().and_then(dates::parse),
        })
    }

    async fn batch<R: DeserializeOwned>(
        &self,
        script: Script,
        files: usize,
        ask: impl Into<Ask>,
        body: &impl Serialize,
    ) -> Result<R, ApiError> {
        if files == 0 || files > BATCH {
            return Err(ApiError::Misuse("a batch without files, or with too many"));
        }
        self.call(Call::of(script), ask.into(), body).await
    }
}

fn links(ids: &[FileId]) -> Vec<String> {
    ids.iter().map(FileId::link).collect()
}

fn id(link: &str) -> Result<FileId, ApiError> {
    FileId::from_link(link)
        .map_err(|_| ApiError::Unparsable(Said::ours("a file with a link of another form")))
}

/// Which of the files were moved. Without a list of them, the count must cover
/// all, for nobody could tell which it leaves out.
fn moved(asked: &[FileId], done: Counted) -> Result<Vec<FileId>, ApiError> {
    if !done.urls.is_empty() {
        return done.urls.iter().map(|link| id(link)).collect();
    }
    match done.count {
        Some(0) => Ok(Vec::new()),
        Some(count) if count == asked.len() as u64 => Ok(asked.to_vec()),
        _ => Err(ApiError::Unparsable(Said::ours(
            "it is not said which files were moved",
        ))),
    }
}

fn renamed(asked: &[(FileId, String)], done: RenamedList) -> Result<Vec<Renamed>, ApiError> {
    if !done.urls.is_empty() {
        return done
            .urls
            .into_iter()
            .map(|renamed| {
                let id = id(&renamed.url)?;
                let asked = asked.iter().find(|(asked, _)| *asked == id);
                let name = renamed
                    .new_filename
                    .or_else(|| asked.map(|(_, name)| name.clone()))
                    .ok_or_else(|| ApiError::Unparsable(Said::ours("a file renamed to nothing")))?;
                Ok(Renamed { id, name })
            })
            .collect();
    }
    match done.renamed {
        Some(0) => Ok(Vec::new()),
        Some(count) if count == asked.len() as u64 => Ok(asked
            .iter()
            .map(|(id, name)| Renamed {
                id: id.clone(),
                name: name.clone(),
            })
            .collect()),
        _ => Err(ApiError::Unparsable(Said::ours(
            "it is not said which files were renamed",
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(texts: &[&str]) -> Vec<FileId> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn read<T: DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_partly_moved_batch_gives_the_part() {
        let asked = ids(&["aaaaa", "bbbbb"]);
        let part = r#"{"status":"OK","moved":1,"urls":["https://1fichier.com/?bbbbb"]}"#;
        assert_eq!(moved(&asked, read(part)).unwrap(), ids(&["bbbbb"]));
        assert_eq!(moved(&asked, read(r#"{"moved":"2"}"#)).unwrap(), asked);
        assert_eq!(
            moved(&asked, read(r#"{"moved":0,"urls":null}"#)).unwrap(),
            []
        );
        for vague in [r#"{"moved":1}"#, "{}"] {
            assert!(matches!(
                moved(&asked, read(vague)),
                Err(ApiError::Unparsable(_))
            ));
        }
    }

    #[test]
    fn a_rename_gives_the_name_that_the_service_used() {
        let asked = [("aaaaa".parse().unwrap(), "new'.txt".to_owned())];
        let done = r#"{"renamed":1,"urls":[{"url":"https://1fichier.com/?aaaaa","old_filename":"old","new_filename":"new.txt"}]}"#;
        assert_eq!(renamed(&asked, read(done)).unwrap()[0].name, "new.txt");
        let silent = r#"{"renamed":1}"#;
        assert_eq!(renamed(&asked, read(silent)).unwrap()[0].name, "new'.txt");
        assert!(renamed(&asked, read("{}")).is_err());
    }

    #[test]
    fn attributes_go_out_as_the_service_wants_them() {
        let body = AttributesBody {
            links: Links {
                urls: vec!["u".into()],
            },
            attributes: &Attributes {
                inline: Some(true),
                acl: Some(Acl::default()),
                ..Attributes::default()
            },
        };
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"urls":["u"],"inline":1,"acl":{}}"#
        );
    }
}
