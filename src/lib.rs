//! fichierfs: a 1fichier.com account as a local folder.

pub mod api;
pub mod cli;
pub mod config;
pub mod content;
pub mod control;
pub mod daemon;
pub mod fuse;
pub mod ids;
pub mod sim;
pub mod staging;
pub mod store;
pub mod tree;
pub mod upload;
pub mod vfs;
