//! The badge of a node: inode number in bits 0-31, generation in bits 32-55, rights in bits 56-63.
//!
//! The badge is all that there is of an open file, so a million opens cost the server nothing. It is chosen here and
//! carried by the kernel; nobody can forge one. [`ROOT_BADGE`] is the root, with all rights.

use bitflags::bitflags;

/// Badge of the endpoint as init hands it out: the root directory, with all rights.
pub const ROOT_BADGE: u64 = 0;

bitflags! {
    /// What the holder of a node may do.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct NodeRights: u8 {
        /// Read contents, look up names.
        const READ = 1 << 0;
        /// Change contents and names.
        const WRITE = 1 << 1;
    }
}

/// What a badge names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeBadge {
    /// The root directory, with all rights.
    Root,
    /// Another node.
    Node {
        /// Its number; not 0.
        inode: u32,
        /// The low 24 bits of its generation.
        generation: u32,
        /// What may be done with it.
        rights: NodeRights,
    },
}

const GENERATION_MASK: u32 = 0xff_ffff;

impl NodeBadge {
    /// A node's badge.
    pub const fn node(inode: u32, generation: u32, rights: NodeRights) -> NodeBadge {
        NodeBadge::Node { inode, generation: generation & GENERATION_MASK, rights }
    }

    /// As the kernel carries it.
    pub const fn encode(self) -> u64 {
        match self {
            NodeBadge::Root => ROOT_BADGE,
            NodeBadge::Node { inode, generation, rights } => {
                (rights.bits() as u64) << 56 | (generation as u64) << 32 | inode as u64
            }
        }
    }

    /// From a message; `None`: no badge that a file server makes.
    pub fn decode(badge: u64) -> Option<NodeBadge> {
        if badge == ROOT_BADGE {
            return Some(NodeBadge::Root);
        }
        let rights = NodeRights::from_bits((badge >> 56) as u8)?;
        match badge as u32 {
            0 => None,
            inode => Some(NodeBadge::node(inode, (badge >> 32) as u32, rights)),
        }
    }

    /// What may be done with the node.
    pub const fn rights(self) -> NodeRights {
        match self {
            NodeBadge::Root => NodeRights::all(),
            NodeBadge::Node { rights, .. } => rights,
        }
    }

    /// Whether a node of this generation is the one that is meant.
    pub const fn is_of(self, generation: u32) -> bool {
        match self {
            NodeBadge::Root => true,
            NodeBadge::Node { generation: wanted, .. } => wanted == generation & GENERATION_MASK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_keeps_its_parts() {
        let badge = NodeBadge::node(u32::MAX, 0xabcd_ef01, NodeRights::READ);
        assert_eq!(NodeBadge::decode(badge.encode()), Some(badge));
        assert!(badge.is_of(0xffcd_ef01) && !badge.is_of(0xffcd_ef02));
        assert_eq!(NodeBadge::decode(ROOT_BADGE), Some(NodeBadge::Root));
        assert_eq!(NodeBadge::decode(1 << 56), None, "no inode");
        assert_eq!(NodeBadge::decode(0x80 << 56 | 5), None, "unknown rights");
    }
}
