//! Download URLs that were handed out (API notes 4).

use super::account::FileId;
use super::clock::SimTime;

/// A download URL.
#[derive(Debug, Clone)]
pub struct Token {
    /// The file.
    pub file: FileId,
    /// Whose file it is.
    pub owner: usize,
    /// Who downloads.
    pub account: usize,
    /// Good for one request only.
    pub single: bool,
    /// Shown in the browser.
    pub inline: bool,
    /// When it was made.
    pub issued: SimTime,
    /// When it was opened first.
    pub first_used: Option<SimTime>,
}
