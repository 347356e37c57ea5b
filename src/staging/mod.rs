//! What the user changed: generations of a file as extents over a base.
mod base;
mod budget;
mod codec;
mod data_file;
mod error;
mod extents;
mod places;
pub use error::StagingError;
