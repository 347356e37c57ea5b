//! Collects the form of an upload: files go to storage while they come in, fields
//! are kept.

use super::multipart::{Event, FormError, Multipart, Part};
use crate::sim::content::{Content, ContentWriter, Storage};
use crate::sim::limits::LimitTable;
use std::collections::HashMap;
use std::io;

/// Longest plain field.
const LONGEST_FIELD: usize = 8 * 1024;

/// Why an upload is refused, with the sentence on the node's page.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The parser did not find its way.
    #[error("Pas de fichier trouvé dans l'envoi")]
    Form(#[from] FormError),
    /// No file, or an empty one.
    #[error("Pas de fichier trouvé dans l'envoi")]
    NoFile,
    /// Too many files.
    #[error("Trop de fichiers dans l'envoi")]
    TooManyFiles,
    /// A file beyond the limit.
    #[error("Fichier trop volumineux")]
    TooLarge,
    /// A name that is not accepted.
    #[error("Nom de fichier invalide")]
    Name,
    /// The account takes no more.
    #[error("Espace de stockage insuffisant")]
    Quota,
    /// The key is unknown.
    #[error("Identification incorrecte")]
    Key,
    /// The id is unknown or used.
    #[error("Identifiant d'envoi invalide")]
    Id,
    /// Storage failed.
    #[error("Ne peut ouvrir le fichier destination")]
    Storage(#[from] io::Error),
}

/// A received form.
#[derive(Debug, Default)]
pub struct Form {
    /// Plain fields.
    pub fields: HashMap<String, String>,
    /// Files, with their names as sent.
    pub files: Vec<(String, Content)>,
}

/// A form being received.
pub struct FormReader {
    parser: Multipart,
    storage: Storage,
    limits: LimitTable,
    form: Form,
    current: Option<Current>,
}

enum Current {
    File(String, Box<ContentWriter>),
    Field(String, Vec<u8>),
}

impl FormReader {
    /// Begins.
    pub fn new(content_type: &str, storage: Storage, limits: LimitTable) -> Result<Self, Refused> {
        Ok(FormReader {
            parser: Multipart::new(content_type)?,
            storage,
            limits,
            form: Form::default(),
            current: None,
        })
    }

    /// Takes more of the body.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        for event in self.parser.push(bytes)? {
            match event {
                Event::Part(part) => self.begin(part).await?,
                Event::Data(data) => self.data(&data).await?,
                Event::End => self.end().await?,
            }
        }
        Ok(())
    }

    /// Ends; the form is complete.
    pub fn finish(self) -> Result<Form, Refused> {
        self.parser.finish()?;
        if self.form.files.is_empty() {
            return Err(Refused::NoFile);
        }
        Ok(self.form)
    }

    async fn begin(&mut self, part: Part) -> Result<(), Refused> {
        self.current = Some(match part {
            Part::Field(name) => Current::Field(name, Vec::new()),
            Part::File(name) => {
                if self.form.files.len() >= self.limits.upload_files as usize {
                    return Err(Refused::TooManyFiles);
                }
                let writer = ContentWriter::create(&self.storage).await?;
                Current::File(name, Box::new(writer))
            }
        });
        Ok(())
    }

    async fn data(&mut self, data: &[u8]) -> Result<(), Refused> {
        match &mut self.current {
            Some(Current::File(_, writer)) => {
                if writer.size() + data.len() as u64 > self.limits.file_bytes {
                    return Err(Refused::TooLarge);
                }
                writer.write(data).await?;
            }
            Some(Current::Field(_, value)) => {
                if value.len() + data.len() > LONGEST_FIELD {
                    return Err(FormError::LongHead.into());
                }
                value.extend_from_slice(data);
            }
            None => {}
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Refused> {
        match self.current.take() {
            Some(Current::File(name, writer)) => {
                self.form.files.push((name, writer.finish().await?));
            }
            Some(Current::Field(name, value)) => {
                let value = String::from_utf8_lossy(&value).into_owned();
                self.form.fields.insert(name, value);
            }
            None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(limits: LimitTable) -> FormReader {
        let kind = "multipart/form-data; boundary=X";
        FormReader::new(kind, Storage::Memory, limits).unwrap()
    }

    fn file(name: &str, data: &str) -> String {
        format!(
            "--X\r\nContent-Disposition: form-data; name=\"file[]\"; filename=\"{name}\"\r\n\r\n{data}\r\n"
        )
    }

    #[tokio::test]
    async fn files_and_fields() {
        let mut reader = reader(LimitTable::documented());
        let did = "--X\r\nContent-Disposition: form-data; name=\"did\"\r\n\r\n42\r\n";
        let body = format!("{}{did}{}--X--\r\n", file("a", "one"), file("b", ""));
        reader.push(body.as_bytes()).await.unwrap();
        let form = reader.finish().unwrap();
        assert_eq!(form.fields.get("did").map(String::as_str), Some("42"));
        let files: Vec<_> = form
            .files
            .iter()
            .map(|(name, content)| (name.as_str(), content.size()))
            .collect();
        assert_eq!(files, [("a", 3), ("b", 0)]);
    }

    #[tokio::test]
    async fn limits_of_files() {
        let small = LimitTable {
            upload_files: 1,
            file_bytes: 3,
            ..LimitTable::documented()
        };
        let mut large = reader(small.clone());
        let pushed = large
            .push(format!("{}--X--\r\n", file("a", "four")).as_bytes())
            .await;
        assert!(matches!(pushed, Err(Refused::TooLarge)));
        let mut many = reader(small);
        let body = format!("{}{}", file("a", "1"), file("b", "2"));
        let pushed = many.push(body.as_bytes()).await;
        assert!(matches!(pushed, Err(Refused::TooManyFiles)));
        let none = reader(LimitTable::documented()).finish();
        assert!(matches!(none, Err(Refused::Form(FormError::Unfinished))));
    }
}
