//! Why a call failed, with the text and status that the service gives it.

/// A refusal (API notes 1.5). The numbers in the texts mean nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such file.
    #[error("Resource not found #469")]
    FileNotFound,
    /// No such folder.
    #[error("Folder not found #342")]
    FolderNotFound,
    /// Private, or not the caller's own.
    #[error("Resource not allowed #631")]
    NotAllowed,
    /// A password is needed.
    #[error("Password not provided. Resource not allowed #627")]
    NoPassword,
    /// The password is wrong.
    #[error("Invalid password. Resource not allowed #629")]
    WrongPassword,
    /// rename had no effect.
    #[error("No file has been renamed #312")]
    NotRenamed,
    /// mv had no effect, or would set the name that the file has.
    #[error("No file has been moved #287")]
    NotMoved,
    /// The name is taken.
    #[error("A resource with this name already exists #148")]
    Exists,
    /// The name is not accepted.
    #[error("Invalid name #151")]
    BadName,
    /// rm of a folder with something in it.
    #[error("The folder is not empty #197")]
    NotEmpty,
    /// The root, or a folder into itself.
    #[error("This folder cannot be moved or removed #203")]
    Impossible,
    /// More entries than a listing may have.
    #[error("Too many results #118")]
    TooMany,
    /// A parameter is missing or has the wrong type.
    #[error("Missing or invalid parameter {0} #57")]
    Parameter(&'static str),
}

impl Refusal {
    /// The HTTP status; 200 for what failed in itself (API notes 10.1).
    pub fn status(&self) -> u16 {
        match self {
            Refusal::FileNotFound | Refusal::FolderNotFound => 404,
            Refusal::NotAllowed | Refusal::NoPassword | Refusal::WrongPassword => 403,
            Refusal::Parameter(_) => 400,
            _ => 200,
        }
    }
}
