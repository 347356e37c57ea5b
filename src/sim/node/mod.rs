//! Upload nodes: `upload.cgi` with its primitive multipart parser, and `end.pl`, which
//! remembers the results for two hours (API notes 3).
//!
//! A file belongs to the account before the node answers: from then on an upload
//! must never be sent again, however its answer got lost.

mod end;
mod form;
mod multipart;
mod upload;

pub use end::result;
pub use upload::upload;
