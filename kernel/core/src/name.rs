//! How kernel objects refer to each other.

/// Place of an object: frame and slot within it, in one word. Used for links that both ends cut, and inside
/// [`ObjectName`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Link(u32);

/// Slots that a link can tell apart in a frame.
const SLOT_BITS: u32 = 7;

impl Link {
    /// No object.
    pub const NONE: Link = Link(u32::MAX);

    /// The object in this slot of this frame.
    pub const fn new(frame: u32, slot: u32) -> Link {
        Link(frame << SLOT_BITS | slot)
    }

    /// The frame it lies in.
    pub const fn frame(self) -> u32 {
        self.0 >> SLOT_BITS
    }

    /// Its slot in the frame.
    pub const fn slot(self) -> u32 {
        self.0 & ((1 << SLOT_BITS) - 1)
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
            write!(formatter, "{:#x}:{}", self.frame(), self.slot())
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
