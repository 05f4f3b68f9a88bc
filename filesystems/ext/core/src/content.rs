//! Contents read by the processor, through the metadata cache: small reads, links, pages that mix data and holes.

use crate::map::Backing;
use crate::{Inode, Source, Volume, VolumeError};
use filesystems_api::file::NodeKind;

/// Longest target of a symbolic link, as in Linux.
pub const LINK_BYTES: usize = 4095;

impl<S: Source> Volume<S> {
    /// Reads from `offset` on; how much was read: less than asked for at the end of the file.
    pub fn read(&mut self, inode: &Inode, offset: u64, into: &mut [u8]) -> Result<usize, VolumeError> {
        if !matches!(inode.kind, NodeKind::File | NodeKind::Link | NodeKind::Directory) {
            return Err(VolumeError::WrongKind);
        }
        let block_bytes = u64::from(self.geometry.block_bytes);
        let length = inode.size.saturating_sub(offset).min(into.len() as u64) as usize;
        let mut done = 0;
        while done < length {
            let position = offset + done as u64;
            let within = position % block_bytes;
            let part = (length - done).min((block_bytes - within) as usize);
            let room = &mut into[done..done + part];
            match self.run(inode, position / block_bytes)?.backing {
                Backing::Zero => room.fill(0),
                Backing::Disk(block) => {
                    let within = within as usize;
                    room.copy_from_slice(&self.block(block)?[within..within + part]);
                }
            }
            done += part;
        }
        Ok(length)
    }

    /// The target of a symbolic link, in the front of `into`; its length.
    pub fn read_link(&mut self, inode: &Inode, into: &mut [u8; LINK_BYTES]) -> Result<usize, VolumeError> {
        if inode.kind != NodeKind::Link {
            return Err(VolumeError::WrongKind);
        }
        let length = usize::try_from(inode.size).unwrap_or(usize::MAX);
        let target = into.get_mut(..length).ok_or(VolumeError::Damaged("length of a link"))?;
        if inode.is_short_link(self.geometry.block_bytes) {
            target.copy_from_slice(&inode.map[..length]);
        } else {
            self.read(inode, 0, target)?;
        }
        if length == 0 || target.contains(&0) {
            return Err(VolumeError::Damaged("target of a link"));
        }
        Ok(length)
    }
}
