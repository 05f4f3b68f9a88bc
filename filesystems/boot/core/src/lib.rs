//! The boot archive as a tree of nodes: what is in a ustar file, where, and under which names.
//!
//! The archive is read once; [`BootTree`] then knows every node by its number (1 is the root) and answers lookups and
//! listings from memory. Directories are made of the names: `bin/ls` makes `bin`. The archive's checksums and bounds are
//! checked by `tar-no-std`; names and the number of members are checked here. Contents are not looked at: the server
//! copies them from the container that the archive lies in.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod archive;
mod tree;

pub use archive::{ArchiveError, MEMBERS_MAX, PADDING_NAME};
pub use tree::{BootTree, Contents, Node, ROOT};
