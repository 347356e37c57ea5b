//! Public folders of anybody, by their link (API notes 8). They are pages of the
//! site, not calls of the API: the key is not sent.

use serde::Deserialize;

use super::call::{Answer, page_title};
use super::classify::{Form, class_of};
use super::{Api, ApiError, Ask, Call, Said, Script, wire};
use crate::ids::FileId;

/// A file in a public folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicFile {
    /// Its id.
    pub id: FileId,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether a password protects it.
    pub protected: bool,
}

#[derive(Deserialize)]
struct WirePublic {
    link: String,
    #[serde(default, deserialize_with = "wire::text")]
    filename: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    size: Option<u64>,
    #[serde(default, deserialize_with = "wire::flag")]
    password: bool,
}

impl Api {
    /// The files of a public folder, `https://1fichier.com/dir/<id>`. Sub-folders do
    /// not show.
    pub async fn public_folder(
        &self,
        id: &str,
        password: Option<&str>,
        ask: impl Into<Ask>,
    ) -> Result<Vec<PublicFile>, ApiError> {
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
                let form: String = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("json", "1")
                    .append_pair("pass", password)
                    .finish();
                self.shared
                    .http
                    .api
                    .post(url)
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .body(form)
            }
        };
        let call = Call::of(Script::PublicFolder);
        self.paced(call, ask.into(), None, request, |answer| read(&answer))
            .await
    }
}

fn read(answer: &Answer) -> Result<Vec<PublicFile>, ApiError> {
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
    files
        .into_iter()
        .map(|file| {
            let id = FileId::from_link(&file.link).ok();
            match (id, file.filename, file.size) {
                (Some(id), Some(name), Some(size)) => Ok(PublicFile {
                    id,
                    name,
                    size,
                    protected: file.password,
                }),
                _ => Err(ApiError::Unparsable(said(
                    "a file without id, name or size",
                ))),
            }
        })
        .collect()
}

fn has_password_field(page: &[u8]) -> bool {
    let page = String::from_utf8_lossy(page).to_ascii_lowercase();
    page.contains("name=\"pass\"") || page.contains("type=\"password\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(status: u16, form: Form, body: &str) -> Result<Vec<PublicFile>, ApiError> {
        read(&Answer {
            status,
            form,
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        })
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
