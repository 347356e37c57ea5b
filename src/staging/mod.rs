//! What the user changed: generations of a file as extents over a base.
mod codec;
mod extents;
mod places;
