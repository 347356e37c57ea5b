//! A switch for every open question about the real service (API notes 10).
//!
//! The default of each is the assumption that the notes call safest, which is
//! mostly the one hardest on a client. Names in JSON and on the command line
//! are the fields' (`forbidden_names=drop`).

use serde::{Deserialize, Serialize};

/// See the module. The number in each comment is the question's in API notes 10.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// 1. HTTP status of refusals.
    pub refusals: RefusalStyle,
    /// 2. Calls during a lock make it longer.
    pub prolong_locks: bool,
    /// 3. `file/ls` and `folder/ls` of a folder share one counter.
    pub common_listing_counter: bool,
    /// 4. mkdir with the name of an existing folder.
    pub mkdir_existing: Existing,
    /// 4. mkdir and uploads with the name of something of the other kind.
    pub mixed_names: Mixed,
    /// 5. Move, rename or copy onto the name of an existing file.
    pub same_name: SameName,
    /// 6. folder/mv with both `rename` and a destination.
    pub folder_mv: FolderMove,
    /// 8. Names with characters that the service does not accept.
    pub forbidden_names: ForbiddenNames,
    /// 10. An uploaded file without content.
    pub empty_upload: EmptyUpload,
    /// 11. What a token that ran out answers.
    pub expired_token: ExpiredToken,
    /// 11. From when the time for further requests runs.
    pub resume_from: ResumeFrom,
    /// 11. HEAD uses up a `single` token.
    pub head_uses_single: bool,
    /// 14. More entries than a listing holds.
    pub overlong_listing: Overlong,
    /// 16. Move and rename change the date.
    pub move_changes_date: bool,
    /// 17. rm, mv and rename of unknown links, also among known ones.
    pub rm_unknown: RmUnknown,
    /// 19. The upload's id at end.pl differs from the one given by get_upload_server.
    pub xid_differs: bool,
    /// 23. Types of numbers.
    pub types: Types,
    /// 23. Lists without entries.
    pub empty_lists: EmptyLists,
    /// 25. Uploads whose name contains this vanish at the antivirus scan.
    pub infected: Option<String>,
    /// 3.7: a backslash in a name is not escaped, so that the listing is no JSON.
    pub raw_backslash: bool,
    /// 2.7: a folder cannot be removed while its listing still shows removed files.
    pub rmdir_lags: bool,
    /// 3.1: what an upload is answered with.
    pub upload_answer: UploadAnswer,
    /// Listings of folders lag like those of files.
    pub folders_lag: bool,
    /// 2.2: folder/ls gives no files, whatever it is asked.
    pub ignores_files_flag: bool,
    /// 1.2: an upload with a key that the service does not know (any more).
    pub unknown_key: UnknownKey,
    /// 3.4: which uploads get a link that removes them.
    pub remove_links: RemoveLinks,
}

impl Default for Quirks {
    fn default() -> Self {
        Quirks {
            refusals: RefusalStyle::default(),
            prolong_locks: true,
            common_listing_counter: true,
            mkdir_existing: Existing::default(),
            mixed_names: Mixed::default(),
            same_name: SameName::default(),
            folder_mv: FolderMove::default(),
            forbidden_names: ForbiddenNames::default(),
            empty_upload: EmptyUpload::default(),
            expired_token: ExpiredToken::default(),
            resume_from: ResumeFrom::default(),
            head_uses_single: true,
            overlong_listing: Overlong::default(),
            move_changes_date: false,
            rm_unknown: RmUnknown::default(),
            xid_differs: false,
            types: Types::default(),
            empty_lists: EmptyLists::default(),
            infected: None,
            raw_backslash: true,
            rmdir_lags: true,
            upload_answer: UploadAnswer::default(),
            folders_lag: false,
            ignores_files_flag: false,
            unknown_key: UnknownKey::default(),
            remove_links: RemoveLinks::default(),
        }
    }
}

impl Quirks {
    /// Sets one switch by name, as on the command line: `name=value`, or `name` for
    /// a switch that is on or off.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        let value = match value {
            "true" => true.into(),
            "false" => false.into(),
            other => serde_json::Value::from(other),
        };
        self.merge(&serde_json::json!({ name: value }))
    }

    /// Sets the switches of a JSON object, leaving the others.
    pub fn merge(&mut self, changes: &serde_json::Value) -> Result<(), String> {
        let mut all = serde_json::to_value(&*self).map_err(|error| error.to_string())?;
        let (Some(all_map), Some(changes)) = (all.as_object_mut(), changes.as_object()) else {
            return Err("quirks are a JSON object".to_owned());
        };
        for (name, value) in changes {
            all_map.insert(name.clone(), value.clone());
        }
        *self = serde_json::from_value(all).map_err(|error| error.to_string())?;
        Ok(())
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
    };
}

choice! {
    /// HTTP status of refusals.
    RefusalStyle {
        /// 401, 403 and 404 for access, locks and unknown files; 200 with KO for
        /// what failed in itself.
        #[default]
        Mixed,
        /// 403 wherever `Mixed` has 200 with KO.
        All403,
        /// 200 with KO everywhere.
        All200,
    }
}
choice! {
    /// mkdir with a name that a folder has.
    Existing {
        /// KO.
        #[default]
        Refuse,
        /// OK with the id of the existing folder.
        Return,
        /// A second folder of that name.
        Duplicate,
    }
}
choice! {
    /// A file and a folder of one name.
    Mixed {
        /// Both may be.
        #[default]
        Allow,
        /// The second one is refused.
        Refuse,
    }
}
choice! {
    /// A second file of a name.
    SameName {
        /// Both are kept.
        #[default]
        Duplicate,
        /// mv, rename and cp are refused.
        Refuse,
        /// mv and rename have no effect, and say so; cp is refused.
        NoEffect,
    }
}
choice! {
    /// folder/mv with both parameters.
    FolderMove {
        /// The destination is ignored, as documented.
        #[default]
        RenameWins,
        /// Both are done.
        Both,
    }
}
choice! {
    /// Names that are not accepted.
    ForbiddenNames {
        /// The call or upload fails.
        #[default]
        Refuse,
        /// The characters are left out without a word.
        Drop,
    }
}
choice! {
    /// Uploads of nothing.
    EmptyUpload {
        /// The page "no file found".
        #[default]
        Refuse,
        /// Accepted, and end.pl has no links.
        NoLinks,
    }
}
choice! {
    /// The answer to an upload that was taken.
    UploadAnswer {
        /// A redirection to end.pl.
        #[default]
        Redirect,
        /// The links as JSON, to who sends the header `JSON: 1`; else a redirection.
        Json,
        /// A page that shows the links.
        Page,
    }
}
choice! {
    /// Uploads with a key that is none.
    UnknownKey {
        /// A page that says so.
        #[default]
        Refuse,
        /// Taken as an upload without key is: anybody's.
        Guest,
    }
}
choice! {
    /// Links that remove what was uploaded.
    RemoveLinks {
        /// For what belongs to nobody.
        #[default]
        Guests,
        /// For what belongs to an account, too.
        All,
    }
}
choice! {
    /// What a used-up or expired token answers.
    ExpiredToken {
        /// 404 with a page.
        #[default]
        NotFound,
        /// 403 with a page.
        Forbidden,
        /// 410 with a page.
        Gone,
        /// 200 with a page.
        Page,
    }
}
choice! {
    /// Start of the time for further requests on a token.
    ResumeFrom {
        /// The first request.
        #[default]
        FirstUse,
        /// When the token was made.
        Issue,
    }
}
choice! {
    /// Listings beyond the cap.
    Overlong {
        /// Some of the entries are missing, any of them, without a word.
        #[default]
        Truncate,
        /// KO.
        Refuse,
    }
}
choice! {
    /// rm of an unknown link.
    RmUnknown {
        /// 404 if nothing was removed.
        #[default]
        NotFound,
        /// OK with `removed` 0.
        Ignore,
        /// 404, and nothing is done, if one of them is unknown.
        Whole,
    }
}
choice! {
    /// Types of numbers in answers.
    Types {
        /// Each as in the published dumps.
        Documented,
        /// `cdn` of the account as number or string, the others as documented.
        #[default]
        Mild,
        /// Any number may come as a string, and the reverse.
        Full,
    }
}
choice! {
    /// How a list without entries is written.
    EmptyLists {
        /// `[]`, null or missing, as it comes.
        #[default]
        Random,
        /// `[]`.
        Empty,
        /// null.
        Null,
        /// Missing.
        Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_set_by_name() {
        let mut quirks = Quirks::default();
        quirks.set("forbidden_names=drop").unwrap();
        quirks.set("xid_differs").unwrap();
        quirks.set("prolong_locks=false").unwrap();
        quirks.set("infected=eicar").unwrap();
        assert_eq!(quirks.forbidden_names, ForbiddenNames::Drop);
        assert!(quirks.xid_differs && !quirks.prolong_locks);
        assert_eq!(quirks.infected.as_deref(), Some("eicar"));
        assert_eq!(quirks.types, Types::Mild);
    }

    #[test]
    fn unknown_switches_and_values_are_errors() {
        let mut quirks = Quirks::default();
        assert!(quirks.set("forbiden_names=drop").is_err());
        assert!(quirks.set("forbidden_names=maybe").is_err());
        assert_eq!(quirks, Quirks::default());
    }
}
