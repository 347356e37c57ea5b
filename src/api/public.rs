//! Public folders of anybody, by their link (API notes 8). They are pages of the
//! site, not calls of the API: the key is not sent.

use serde::Deserialize;

use super::call::{Answer, page_title};
use super::classify::{Form, class_of};
use super::limits::LISTING_CAP;
use super::{Api, ApiError, Ask, Call, FileItem, FileListing, Said, Script, Subject, wire};
use crate::config::Password;
use crate::ids::FileId;

#[derive(Deserialize)]
struct WirePublic {
    link: String,
    #[serde(default, deserialize_with = "wire::text")]
    filename: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    size: Option<u64>,
    #[serde(default, deserialize_with = "wire::flag")]
    password: bool,
    #[serde(default, deserialize_with = "wire::flag")]
    acl: bool,
}

impl Api {
    /// The files of a public folder, `https://1fichier.com/dir/<id>`, without dates and
    /// checksums, which it does not tell. Sub-folders do not show. No key is needed.
    pub async fn public_folder(
        &self,
        id: &str,
        password: Option<&Password>,
        ask: impl Into<Ask>,
    ) -> Result<FileListing, ApiError> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(ApiError::Misuse("not the id of a public folder"));
        }
        let mut url = self.shared.endpoints.site(&format!("dir/{id}"));
        let request = match password {
            None => {
                url.set_query(Some("json=1"));
                self.shared.http.api.get(url)
            }
            Some(password) => {
                let form = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("json", "1")
                    .append_pair("pass", password.expose())
                    .finish();
                self.shared
                    .http
                    .api
                    .post(url)
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .body(form)
            }
        };
        let call = Call::listing(Script::PublicFolder, Subject::public(id));
        self.paced(call, ask.into(), None, request, |answer| read(&answer))
            .await
    }
}

fn read(answer: &Answer) -> Result<FileListing, ApiError> {
    let said = |text: &str| Said::new(Some(answer.status), text);
    match (answer.status, answer.form) {
        (200, Form::Json) => {}
        // The site says this with a page, where the API says it in JSON.
        (404, Form::Html) => return Err(ApiError::NotFound(said("no such public folder"))),
        (200, Form::Html) if has_password_field(&answer.body) => {
            return Err(ApiError::Password(said("missing or wrong")));
        }
        (status, form) => return Err(class_of(status, form, &page_title(&answer.body))),
    }
    let files: Vec<WirePublic> = serde_json::from_slice(&answer.body)
        .map_err(|error| ApiError::Unparsable(said(&error.to_string())))?;
    let files: Vec<FileItem> = files.into_iter().map(item).collect::<Result<_, _>>()?;
    Ok(FileListing {
        // Whether the page has a cap is not known.
        truncated: files.len() >= LISTING_CAP,
        files,
    })
}

fn item(file: WirePublic) -> Result<FileItem, ApiError> {
    let id = FileId::from_link(&file.link).ok();
    let (Some(id), Some(name), Some(size)) = (id, file.filename, file.size) else {
        let text = "a file without id, name or size";
        return Err(ApiError::Unparsable(Said::ours(text)));
    };
    Ok(FileItem {
        id,
        name,
        size,
        date: None,
        checksum: None,
        content_type: String::new(),
        protected: file.password,
        restricted: file.acl,
        cdn: false,
    })
}

fn has_password_field(page: &[u8]) -> bool {
    let page = String::from_utf8_lossy(page).to_ascii_lowercase();
    page.contains("name=\"pass\"") || page.contains("type=\"password\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(status: u16, form: Form, body: &str) -> Result<Vec<FileItem>, ApiError> {
        read(&Answer {
            status,
            form,
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        })
        .map(|listing| listing.files)
    }

    #[test]
    fn a_public_folder_is_an_array() {
        let files = judge(
            200,
            Form::Json,
            r#"[{"filename":"a","link":"https://1fichier.com/?abcde&af=1","size":"3","password":1,"acl":0}]"#,
        )
        .unwrap();
        assert_eq!(files[0].id.as_str(), "abcde");
        assert_eq!((files[0].size, files[0].protected), (3, true));
    }

    #[test]
    fn pages_tell_of_passwords_absence_and_blocks() {
        let form = r#"<form><input type="password" name="pass"></form>"#;
        assert!(matches!(
            judge(200, Form::Html, form),
            Err(ApiError::Password(_))
        ));
        assert!(matches!(
            judge(404, Form::Html, ""),
            Err(ApiError::NotFound(_))
        ));
        assert!(matches!(
            judge(403, Form::Html, ""),
            Err(ApiError::Datacenter(_))
        ));
        assert!(matches!(
            judge(200, Form::Html, "hello"),
            Err(ApiError::Unparsable(_))
        ));
        assert!(matches!(
            judge(200, Form::Json, "{}"),
            Err(ApiError::Unparsable(_))
        ));
    }
}
