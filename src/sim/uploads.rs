//! Uploads from the node that was given out to the result that is remembered (API
//! notes 3).

use super::clock::SimTime;
use super::content::Content;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::collections::HashMap;
use std::time::Duration;

const ID_LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Uploads that were announced, and the results of those that ended.
#[derive(Debug, Default)]
pub struct Uploads {
    open: HashMap<String, Pair>,
    results: HashMap<String, UploadResult>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    Fresh,
    Used,
}

/// What became of an id that is being used for an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It may be used.
    Granted,
    /// It was used before.
    Used,
    /// It was never given out.
    Unknown,
}

/// A finished upload.
#[derive(Debug, Clone)]
pub struct UploadResult {
    /// What end.pl lists.
    pub links: Vec<UploadLink>,
    /// When it ended.
    pub ended: SimTime,
    /// Until when end.pl has the wait page.
    pub wait_until: SimTime,
}

/// A stored file, as end.pl shows it.
#[derive(Debug, Clone)]
pub struct UploadLink {
    /// Its link.
    pub url: String,
    /// Its name.
    pub name: String,
    /// Its bytes, for size and digest.
    pub content: Content,
    /// The link that removes it; empty for none.
    pub remove: String,
}

impl Uploads {
    /// Gives out an id.
    pub fn open(&mut self, id: String) {
        self.open.insert(id, Pair::Fresh);
    }

    /// Uses an id for an upload.
    pub fn claim(&mut self, id: &str) -> Claim {
        match self.open.get_mut(id) {
            None => Claim::Unknown,
            Some(Pair::Used) => Claim::Used,
            Some(pair) => {
                *pair = Pair::Used;
                Claim::Granted
            }
        }
    }

    /// Keeps a result.
    pub fn finish(&mut self, xid: String, result: UploadResult) {
        self.results.insert(xid, result);
    }

    /// The result of an upload, within its time.
    pub fn result(&mut self, xid: &str, now: SimTime, life: Duration) -> Option<&mut UploadResult> {
        let result = self.results.get_mut(xid)?;
        (now.saturating_sub(result.ended) < life).then_some(result)
    }
}

/// A link that removes what was uploaded.
pub fn removal_link(url: &str, random: &mut StdRng) -> String {
    let id = url.rsplit('?').next().unwrap_or_default();
    format!("https://1fichier.com/remove/{id}/{}", random_id(random))
}

/// Ten letters and digits.
pub fn random_id(random: &mut StdRng) -> String {
    let letter = |_| ID_LETTERS.choose(random).copied().unwrap_or(b'A');
    (0..10).map(letter).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_good_for_one_upload() {
        let mut uploads = Uploads::default();
        uploads.open("abc".into());
        assert_eq!(uploads.claim("abc"), Claim::Granted);
        assert_eq!(uploads.claim("abc"), Claim::Used);
        assert_eq!(uploads.claim("xyz"), Claim::Unknown);
    }

    #[test]
    fn a_result_lives_two_hours() {
        let mut uploads = Uploads::default();
        let ended = Duration::from_secs(100);
        let result = UploadResult {
            links: vec![],
            ended,
            wait_until: ended,
        };
        uploads.finish("x".into(), result);
        let life = Duration::from_secs(7_200);
        assert!(
            uploads
                .result("x", Duration::from_secs(7_299), life)
                .is_some()
        );
        assert!(
            uploads
                .result("x", Duration::from_secs(7_300), life)
                .is_none()
        );
    }
}
