//! Fetches listings.
