//! An entry of a capability table.

use super::Object;
use crate::frame_table::FrameKind;
use crate::name::ObjectName;
use kernel_abi::capability::{CAPABILITIES_PER_FRAME, Kind, Rights};

/// Object, badge and rights; 32 bytes. What `badge` and `extent` mean depends on the kind:
///
/// | kind | `name` | `badge` | `extent` |
/// |---|---|---|---|
/// | endpoint, notification | the object | badge | - |
/// | task, thread | the object | - | - |
/// | reply | the calling thread | sequence of the call | - |
/// | I/O ports, device memory | - | first port or frame | number |
/// | interrupt | - | line | - |
/// | null in entry 0 of a table frame | the task | - | - |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Capability {
    /// What it names.
    pub kind: Kind,
    /// What the holder may do.
    pub rights: Rights,
    /// The object.
    pub name: ObjectName,
    /// See the table.
    pub badge: u64,
    /// See the table.
    pub extent: u64,
}

impl Capability {
    /// An empty entry.
    pub const NULL: Capability =
        Capability { kind: Kind::Null, rights: Rights::empty(), name: ObjectName::NONE, badge: 0, extent: 0 };

    /// All rights to an object.
    pub const fn full(kind: Kind, name: ObjectName) -> Capability {
        Capability { kind, rights: Rights::for_kind(kind), name, badge: 0, extent: 0 }
    }
}

impl Object for Capability {
    const KIND: FrameKind = FrameKind::CapabilityTable;
    const PER_FRAME: u32 = CAPABILITIES_PER_FRAME;
    const EMPTY: Self = Capability::NULL;

    fn generation(&self) -> u32 {
        0
    }
}
