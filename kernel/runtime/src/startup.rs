//! The startup block: what a task is told at its birth. One page at [`crate::layout::STARTUP_BLOCK`], written
//! by whoever starts the task, read-only to it.
//!
//! The block is a postcard encoding of [`StartupFrom`]; [`Startup`] reads the same bytes. A task trusts its
//! maker, so a block that does not decode ends the task.

use crate::layout::STARTUP_BLOCK_BYTES;
use serde::Serialize;

/// The block is longer than a page: too many or too long arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong;

/// A startup block as its maker writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct StartupFrom<'a> {
    /// What a program calls itself in its messages.
    pub name: &'a str,
    /// Arguments, without the program's name.
    pub arguments: &'a [&'a [u8]],
    /// Named capabilities and their entries in the task's table.
    pub capabilities: &'a [(&'a str, u32)],
    /// Path prefixes and the entries of their nodes.
    pub mounts: &'a [(&'a str, u32)],
    /// Where relative paths start.
    pub directory: &'a [u8],
    /// Priority of the first thread, and of those that it starts.
    pub priority: u8,
}

impl StartupFrom<'_> {
    /// Writes the block; the bytes used.
    pub fn encode<'b>(&self, block: &'b mut [u8]) -> Result<&'b [u8], TooLong> {
        let end = block.len().min(STARTUP_BLOCK_BYTES);
        postcard::to_slice(self, &mut block[..end]).map(|bytes| &*bytes).map_err(|_| TooLong)
    }
}

#[cfg(feature = "heap")]
pub use reading::Startup;

#[cfg(feature = "heap")]
mod reading {
    use crate::Handle;
    use alloc::vec::Vec;
    use serde::Deserialize;

    /// A startup block as the task reads it.
    #[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
    pub struct Startup<'a> {
        /// What the program calls itself in its messages.
        #[serde(borrow)]
        pub name: &'a str,
        /// Arguments, without the program's name.
        #[serde(borrow)]
        pub arguments: Vec<&'a [u8]>,
        /// Named capabilities and their entries in the task's table.
        pub capabilities: Vec<(&'a str, u32)>,
        /// Path prefixes and the entries of their nodes.
        pub mounts: Vec<(&'a str, u32)>,
        /// Where relative paths start.
        pub directory: &'a [u8],
        /// Priority of the first thread, and of those that it starts.
        pub priority: u8,
    }

    impl<'a> Startup<'a> {
        /// Reads a block; `None` if it is not one.
        pub fn decode(block: &'a [u8]) -> Option<Startup<'a>> {
            let (startup, rest) = postcard::take_from_bytes(block).ok()?;
            rest.is_empty().then_some(startup)
        }

        /// The entry of a named capability.
        pub fn capability(&self, name: &str) -> Option<Handle> {
            self.capabilities.iter().find(|(named, _)| *named == name).map(|&(_, entry)| Handle(entry))
        }

        /// The value of an argument `name=value`.
        pub fn value(&self, name: &str) -> Option<&'a str> {
            let arguments = self.arguments.iter().filter_map(|bytes| core::str::from_utf8(bytes).ok());
            arguments.into_iter().find_map(|text| text.strip_prefix(name)?.strip_prefix('='))
        }

        /// A number given as an argument `name=number`, decimal or `0x` hexadecimal.
        pub fn number(&self, name: &str) -> Option<u64> {
            let value = self.value(name)?;
            match value.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => value.parse().ok(),
            }
        }
    }
}

#[cfg(all(test, feature = "heap"))]
mod tests {
    use super::*;
    use crate::Handle;

    const SAMPLE: StartupFrom<'static> = StartupFrom {
        name: "ext",
        arguments: &[b"disk=0", b"first=0xc0000", b"na\xefve=1"],
        capabilities: &[("endpoint", 16), ("block", 17)],
        mounts: &[("/", 18)],
        directory: b"/",
        priority: 9,
    };

    #[test]
    fn what_is_written_is_read() {
        let mut block = [0; STARTUP_BLOCK_BYTES];
        let startup = Startup::decode(SAMPLE.encode(&mut block).unwrap()).unwrap();
        assert_eq!(startup.name, "ext");
        assert_eq!(startup.arguments, SAMPLE.arguments);
        assert_eq!(startup.capability("block"), Some(Handle(17)));
        assert_eq!(startup.capability("blocks"), None);
        assert_eq!((startup.number("disk"), startup.number("first")), (Some(0), Some(0xc0000)));
        assert_eq!((startup.number("na"), startup.value("fir")), (None, None));
        assert_eq!((startup.mounts[0], startup.directory), (("/", 18), &b"/"[..]));
        assert_eq!(startup.priority, 9);
    }

    #[test]
    fn damaged_and_overlong_blocks_are_refused() {
        let mut block = [0; STARTUP_BLOCK_BYTES + 1];
        let used = SAMPLE.encode(&mut block).unwrap().len();
        assert_eq!(Startup::decode(&block[..used - 1]), None, "truncated");
        assert_eq!(Startup::decode(&block[..used + 1]), None, "left-over bytes");
        let long = "x".repeat(STARTUP_BLOCK_BYTES);
        let arguments = [long.as_bytes()];
        let startup = StartupFrom { arguments: &arguments, ..SAMPLE };
        assert_eq!(startup.encode(&mut block), Err(TooLong));
    }
}
