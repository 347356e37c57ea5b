//! The figures of `df`: what the service last told of the account, with our own changes
//! since; never asked for.

use super::Vfs;
use super::types::{Answer, StatFs};
use crate::tree::names;

const BLOCK: u32 = 4096;
/// What is shown as free where the account's figures are not known: installers and
/// file managers refuse a file system without room.
const UNKNOWN_FREE: u64 = 1 << 40;
/// Entries that can still be made: as many as anybody wants.
const FILES_FREE: u64 = 1 << 32;

/// What the account holds (API notes 5), in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountFigures {
    /// In use; the service counts it now and then.
    pub used: u64,
    /// Still free; 0 when the account is over its quota.
    pub free: u64,
    /// Whether `free` is a limit, and not a guess for `df`.
    pub limited: bool,
    /// The service takes no uploads.
    pub upload_forbidden: bool,
}

fn figures(account: Option<AccountFigures>) -> StatFs {
    let AccountFigures { used, free, .. } = account.unwrap_or(AccountFigures {
        used: 0,
        free: UNKNOWN_FREE,
        limited: false,
        upload_forbidden: false,
    });
    let blocks_free = free / u64::from(BLOCK);
    StatFs {
        block_size: BLOCK,
        blocks: used
            .div_ceil(u64::from(BLOCK))
            .saturating_add(blocks_free)
            .max(1),
        blocks_free,
        files: FILES_FREE,
        files_free: FILES_FREE,
        // Below 250 characters the bytes of ASCII names always fit.
        name_max: names::MAX_CHARS as u32,
    }
}

impl Vfs {
    /// The figures of the mount.
    pub fn statfs(&self) -> Answer<StatFs> {
        Answer::Now(Ok(figures(self.account_now())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_and_free_make_the_whole() {
        let figures = figures(Some(AccountFigures {
            used: 4097,
            free: 8192,
            limited: true,
            upload_forbidden: false,
        }));
        assert_eq!((figures.blocks, figures.blocks_free), (4, 2));
        assert_eq!(figures.name_max, 250);
    }

    #[test]
    fn there_are_never_no_blocks() {
        let empty = AccountFigures {
            used: 0,
            free: 0,
            limited: true,
            upload_forbidden: false,
        };
        assert_eq!(figures(Some(empty)).blocks, 1);
        assert!(figures(None).blocks_free > 0);
    }
}
