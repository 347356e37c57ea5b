//! Changes of folders: make, move, rename, remove, share (API notes 2.10 to 2.13).

use serde::{Deserialize, Serialize};

use super::{Api, ApiError, Ask, Call, Said, Script, numbered, wire};
use crate::ids::FolderId;

/// How a folder is shared.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Share {
    /// Whether everybody who has the link may see it.
    pub public: bool,
    /// The password of the public link, six characters or more.
    pub password: Option<String>,
    /// The users it is shared with; none ends all sharing.
    pub with: Vec<ShareWith>,
}

/// A user whom a folder is shared with.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ShareWith {
    /// The user's e-mail address.
    pub email: String,
    /// Whether the user may change the folder.
    #[serde(serialize_with = "as_bit")]
    pub rw: bool,
    /// Whether the links are hidden from the user, who then may not change it.
    #[serde(serialize_with = "as_bit")]
    pub hide_links: bool,
}

fn as_bit<S: serde::Serializer>(value: &bool, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u8(wire::bit(*value))
}

#[derive(Serialize)]
struct Mkdir<'a> {
    name: &'a str,
    folder_id: u64,
}

#[derive(Deserialize)]
struct Made {
    #[serde(default, deserialize_with = "wire::number")]
    folder_id: Option<u64>,
    #[serde(default, deserialize_with = "wire::text")]
    name: Option<String>,
}

#[derive(Serialize)]
struct Move {
    folder_id: u64,
    destination_folder_id: u64,
}

#[derive(Serialize)]
struct Rename<'a> {
    folder_id: u64,
    rename: &'a str,
}

#[derive(Serialize)]
struct Id {
    folder_id: u64,
}

#[derive(Serialize)]
struct ShareBody<'a> {
    folder_id: u64,
    share: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'a str>,
    shares: &'a [ShareWith],
}

#[derive(Deserialize)]
struct Shared {
    #[serde(default, deserialize_with = "wire::text")]
    url: Option<String>,
}

/// An answer of which only the success matters.
#[derive(Deserialize)]
struct Done {}

impl Api {
    /// Makes a folder; gives its id and the name that it really got, which may
    /// lack characters of the one asked for.
    pub async fn make_folder(
        &self,
        parent: FolderId,
        name: &str,
        ask: impl Into<Ask>,
    ) -> Result<(FolderId, String), ApiError> {
        let body = Mkdir {
            name,
            folder_id: numbered(parent)?,
        };
        let made: Made = self
            .call(Call::of(Script::FolderMkdir), ask.into(), &body)
            .await?;
        match made.folder_id {
            Some(id) if id != 0 => Ok((FolderId(id), made.name.unwrap_or_else(|| name.to_owned()))),
            _ => Err(ApiError::Unparsable(Said::ours("a new folder without id"))),
        }
    }

    /// Moves a folder below another, under the same name. Moving it below itself
    /// is for the caller to exclude (API notes 10.7).
    pub async fn move_folder(
        &self,
        id: FolderId,
        destination: FolderId,
        ask: impl Into<Ask>,
    ) -> Result<(), ApiError> {
        not_root(id)?;
        // Always with the destination, the root included: without it the
        // service takes the call for a rename.
        let body = Move {
            folder_id: id.0,
            destination_folder_id: numbered(destination)?,
        };
        let Done {} = self
            .call(Call::of(Script::FolderMv), ask.into(), &body)
            .await?;
        Ok(())
    }

    /// Renames a folder. Never together with a move: the service then ignores the
    /// destination (API notes 2.11).
    pub async fn rename_folder(
        &self,
        id: FolderId,
        name: &str,
        ask: impl Into<Ask>,
    ) -> Result<(), ApiError> {
        not_root(id)?;
        let body = Rename {
            folder_id: id.0,
            rename: name,
        };
        let Done {} = self
            .call(Call::of(Script::FolderMv), ask.into(), &body)
            .await?;
        Ok(())
    }

    /// Removes an empty folder.
    pub async fn remove_folder(&self, id: FolderId, ask: impl Into<Ask>) -> Result<(), ApiError> {
        not_root(id)?;
        let body = Id { folder_id: id.0 };
        let Done {} = self
            .call(Call::of(Script::FolderRm), ask.into(), &body)
            .await?;
        Ok(())
    }

    /// Sets how a folder is shared; gives its public link if there is one.
    pub async fn share_folder(
        &self,
        id: FolderId,
        share: &Share,
        ask: impl Into<Ask>,
    ) -> Result<Option<String>, ApiError> {
        not_root(id)?;
        let body = ShareBody {
            folder_id: id.0,
            share: wire::bit(share.public),
            pass: share.password.as_deref(),
            shares: &share.with,
        };
        let shared: Shared = self
            .call(Call::of(Script::FolderShare), ask.into(), &body)
            .await?;
        Ok(shared.url)
    }
}

fn not_root(id: FolderId) -> Result<(), ApiError> {
    if id == FolderId::ROOT {
        return Err(ApiError::Misuse("the root cannot be changed"));
    }
    numbered(id).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_names_the_root_and_a_rename_names_no_destination() {
        let moved = Move {
            folder_id: 7,
            destination_folder_id: 0,
        };
        assert_eq!(
            serde_json::to_string(&moved).unwrap(),
            r#"{"folder_id":7,"destination_folder_id":0}"#
        );
        let renamed = Rename {
            folder_id: 7,
            rename: "x",
        };
        assert_eq!(
            serde_json::to_string(&renamed).unwrap(),
            r#"{"folder_id":7,"rename":"x"}"#
        );
    }
}
