//! ext2, ext3 and ext4 for reading: everything of the ext server that is logic, without a system call.
//!
//! [`Volume`] is a mounted image over a [`Source`] of sectors: it checks the superblock, reads inodes, directories and
//! links through a small cache of disk pages, and tells which disk blocks back a byte range of a file.
//! [`cache::PageIndex`] says which page of which file lies where in the server's cache container.
//! [`plan`] joins the two: what to do next for a read into a client's container.
//!
//! The disk's records are decoded and checksummed by `rsext4`; walking them is done here, bounded in time and memory
//! whatever the image says (docs/decisions/0010). Nothing here can write to the disk: [`Source`] has no such call.
//!
//! Damage never panics: every number read from the disk is checked before it is used as a place or a count.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cache;
mod content;
mod directory;
mod error;
mod extents;
mod features;
mod geometry;
mod hash;
mod hash_index;
mod indirect;
mod inode;
mod lookup;
mod map;
mod metadata;
pub mod plan;
mod shares;
mod source;
mod volume;

pub use directory::DirectoryEntry;
pub use error::{MountError, VolumeError};
pub use features::FeatureNames;
pub use geometry::Geometry;
pub use inode::Inode;
pub use lookup::{LookupError, Resolved};
pub use map::{Backing, Run};
pub use metadata::METADATA_PAGES;
pub use shares::Shares;
pub use source::{Source, SourceError};
pub use volume::{ROOT_INODE, Volume};

/// Bytes of a page, here and in every container.
pub const PAGE_BYTES: u64 = kernel_abi::FRAME_BYTES;
