//! How kernel objects refer to each other.

use crate::objects::Object;
use kernel_abi::FRAME_BYTES;

/// Place of an object: frame and slot within it, in one word. It is the object's physical address in units of [`UNIT_BYTES`], so that
/// nothing is multiplied on the way to an object. Used for links that both ends cut, and inside [`ObjectName`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Link(u32);

/// What a link counts in. The slots of a frame begin at multiples of it.
pub const UNIT_BYTES: u64 = 32;

/// Bits of the place within a frame.
const UNIT_BITS: u32 = (FRAME_BYTES / UNIT_BYTES).trailing_zeros();

impl Link {
    /// No object.
    pub const NONE: Link = Link(u32::MAX);

    /// The object in this slot of this frame.
    pub const fn new<T: Object>(frame: u32, slot: u32) -> Link {
        Link((frame << UNIT_BITS) | (slot * Link::units::<T>()))
    }

    /// Units from one slot to the next.
    const fn units<T: Object>() -> u32 {
        (1 << UNIT_BITS) / T::PER_FRAME
    }

    /// The frame it lies in.
    pub const fn frame(self) -> u32 {
        self.0 >> UNIT_BITS
    }

    /// Its slot in the frame, which holds objects of kind `T`.
    pub const fn slot<T: Object>(self) -> u32 {
        self.unit() / Link::units::<T>()
    }

    /// Its place in the frame, in units.
    const fn unit(self) -> u32 {
        self.0 & ((1 << UNIT_BITS) - 1)
    }

    /// The physical address of the object.
    pub const fn address(self) -> u64 {
        self.0 as u64 * UNIT_BYTES
    }

    /// As a number, for people.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Whether it names nothing.
    pub const fn is_none(self) -> bool {
        self.0 == u32::MAX
    }

    /// Whether it names an object.
    pub const fn is_some(self) -> bool {
        self.0 != u32::MAX
    }
}

impl core::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.is_none() {
            formatter.write_str("none")
        } else {
            write!(formatter, "{:#x}:{}", self.frame(), self.unit())
        }
    }
}

/// Name of an object that stays safe to hold when the object is gone: it then matches nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct ObjectName {
    /// Where the object is.
    pub link: Link,
    /// Generation of the frame, from the frame table.
    pub frame_generation: u32,
    /// Generation of the slot, from the object.
    pub slot_generation: u32,
}

impl ObjectName {
    /// Names nothing.
    pub const NONE: ObjectName = ObjectName { link: Link::NONE, frame_generation: 0, slot_generation: 0 };

    /// Whether it names nothing, not even an object that is gone.
    pub const fn is_none(&self) -> bool {
        self.link.is_none()
    }
}
