//! Where listings come from: an account, or a public folder of anybody. What differs
//! between the two is here and nowhere else.

use crate::api::{Api, ApiError, Ask, DateWindow, FileListing, Listing};
use crate::config::Password;
use crate::ids::FolderId;

/// Where listings come from.
#[derive(Clone)]
pub struct Source {
    api: Api,
    of: Of,
}

#[derive(Clone)]
enum Of {
    /// The account of the key.
    Account,
    /// The public folder of this id, which is the root and has no folder in it.
    Public {
        id: String,
        password: Option<Password>,
    },
}

/// The account whose key the client has.
impl From<Api> for Source {
    fn from(api: Api) -> Source {
        let of = Of::Account;
        Source { api, of }
    }
}

impl Source {
    /// The public folder of this id. No key is needed.
    pub fn public(api: Api, id: String, password: Option<Password>) -> Source {
        let of = Of::Public { id, password };
        Source { api, of }
    }

    /// The client that is asked.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Everything in a folder, as far as one answer holds it.
    pub(super) async fn list(&self, folder: FolderId, ask: Ask) -> Result<Listing, ApiError> {
        match &self.of {
            Of::Account => self.api.list_folder(folder, ask).await,
            Of::Public { .. } if folder != FolderId::ROOT => {
                Err(ApiError::Misuse("a public folder has no folders in it"))
            }
            Of::Public { id, password } => {
                let FileListing { files, truncated } =
                    self.api.public_folder(id, password.as_ref(), ask).await?;
                Ok(Listing {
                    files,
                    truncated,
                    ..Listing::default()
                })
            }
        }
    }

    /// The files of a folder that were sent within a window.
    pub(super) async fn slice(
        &self,
        folder: FolderId,
        window: DateWindow,
        ask: Ask,
    ) -> Result<FileListing, ApiError> {
        match self.of {
            Of::Account => self.api.list_files(folder, window, ask).await,
            Of::Public { .. } => Err(ApiError::Misuse("a public folder tells no dates")),
        }
    }

    /// Whether what one answer does not hold can be asked for in slices.
    pub(super) fn has_slices(&self) -> bool {
        matches!(self.of, Of::Account)
    }
}
