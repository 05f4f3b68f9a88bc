//! Layout of a message: a descriptor word, up to 64 words, up to four capabilities.
//!
//! Words 0 to 7 travel in registers. The rest, and capability handles, pass through the [`MessageBuffer`]
//! of the sending and the receiving thread; the kernel copies in the context of the thread that owns the
//! buffer, so an absent page there is that thread's own page fault and nobody else's.

use bitflags::bitflags;

/// Words that travel in registers.
pub const REGISTER_WORDS: usize = 8;

/// Words that a message can carry at most.
pub const MESSAGE_WORDS: usize = 64;

/// Words that lie in the buffer at most.
pub const BUFFER_WORDS: usize = MESSAGE_WORDS - REGISTER_WORDS;

/// Capabilities that a message can carry at most.
pub const MESSAGE_CAPABILITIES: usize = 4;

bitflags! {
    /// What the kernel says of a received message. Never taken from the sender.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct MessageFlags: u8 {
        /// A bound notification was signalled: word 0 holds the bits; there is nobody to reply to.
        const NOTIFICATION = 1 << 0;
        /// A page fault, see [`crate::fault`]; the reply resumes or ends the thread.
        const FAULT = 1 << 1;
    }
}

/// Descriptor of a message: bits 0-6 word count, 8-10 capability count, 12-15 which of the capabilities
/// were *unwrapped*, 16-23 [`MessageFlags`], 32-63 label. All other bits are zero.
///
/// A capability sent over an endpoint that names that very endpoint is unwrapped: instead of the
/// capability the receiver gets its badge, in [`MessageBuffer::badges`]. So a server recognises its own
/// objects as arguments without storing anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct MessageInfo(pub u64);

impl MessageInfo {
    /// A descriptor for sending.
    pub const fn new(label: u32, words: usize, capabilities: usize) -> MessageInfo {
        MessageInfo((label as u64) << 32 | (capabilities as u64 & 7) << 8 | (words as u64 & 0x7f))
    }

    /// What the message is about: operation of a request, 0 or error code of a reply.
    pub const fn label(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Number of words.
    pub const fn words(self) -> usize {
        (self.0 & 0x7f) as usize
    }

    /// Number of capabilities.
    pub const fn capabilities(self) -> usize {
        (self.0 >> 8 & 7) as usize
    }

    /// Bit `i` is set where capability `i` was unwrapped to its badge.
    pub const fn unwrapped(self) -> u8 {
        (self.0 >> 12 & 0xf) as u8
    }

    /// What the kernel says of the message.
    pub const fn flags(self) -> MessageFlags {
        MessageFlags::from_bits_truncate((self.0 >> 16) as u8)
    }

    /// The same descriptor as a receiver sees it.
    pub const fn received(self, unwrapped: u8, flags: MessageFlags) -> MessageInfo {
        MessageInfo(self.0 & !0xff_f000 | (unwrapped as u64 & 0xf) << 12 | (flags.bits() as u64) << 16)
    }

    /// Whether a sender may use this descriptor: counts in range and no bit set that means nothing.
    pub const fn is_sendable(self) -> bool {
        self.words() <= MESSAGE_WORDS
            && self.capabilities() <= MESSAGE_CAPABILITIES
            && self.0 & 0xffff_f880 == 0
    }
}

/// The part of a message that does not travel in registers. Lies in user memory, 8-byte aligned, within
/// one page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct MessageBuffer {
    /// Words 8 to 63.
    pub words: [u64; BUFFER_WORDS],
    /// Handles of the capabilities to send.
    pub capabilities: [u32; MESSAGE_CAPABILITIES],
    /// Badges of the unwrapped capabilities received.
    pub badges: [u64; MESSAGE_CAPABILITIES],
}

/// Bytes of a [`MessageBuffer`].
pub const MESSAGE_BUFFER_BYTES: usize = core::mem::size_of::<MessageBuffer>();

/// Byte offset of [`MessageBuffer::capabilities`].
pub const BUFFER_CAPABILITIES_OFFSET: usize = BUFFER_WORDS * 8;

/// Byte offset of [`MessageBuffer::badges`].
pub const BUFFER_BADGES_OFFSET: usize = BUFFER_CAPABILITIES_OFFSET + MESSAGE_CAPABILITIES * 4;

impl MessageBuffer {
    /// All zero.
    pub const EMPTY: MessageBuffer = MessageBuffer {
        words: [0; BUFFER_WORDS],
        capabilities: [0; MESSAGE_CAPABILITIES],
        badges: [0; MESSAGE_CAPABILITIES],
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptor_keeps_what_it_is_given() {
        let info = MessageInfo::new(0xdead_beef, 64, 4);
        assert_eq!((info.label(), info.words(), info.capabilities()), (0xdead_beef, 64, 4));
        assert!(info.is_sendable());
        let received = info.received(0b1010, MessageFlags::FAULT);
        assert_eq!((received.unwrapped(), received.flags()), (0b1010, MessageFlags::FAULT));
        assert_eq!((received.label(), received.words()), (0xdead_beef, 64));
        assert!(!received.is_sendable());
    }

    #[test]
    fn meaningless_bits_and_excess_counts_are_refused() {
        assert!(!MessageInfo(65).is_sendable());
        assert!(!MessageInfo(5 << 8).is_sendable());
        for bit in (7..8).chain(11..32) {
            assert!(!MessageInfo(1 << bit).is_sendable(), "bit {bit}");
        }
    }

    #[test]
    fn the_buffer_is_half_a_kilobyte_without_holes() {
        assert_eq!(MESSAGE_BUFFER_BYTES, 496);
        assert_eq!(core::mem::offset_of!(MessageBuffer, capabilities), BUFFER_CAPABILITIES_OFFSET);
        assert_eq!(core::mem::offset_of!(MessageBuffer, badges), BUFFER_BADGES_OFFSET);
    }
}
