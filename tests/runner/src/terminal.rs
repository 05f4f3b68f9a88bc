//! The state of the user's terminal, put back whatever QEMU, or its sudden death, has done to it.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal's state as it was; restored when this value goes.
pub struct SavedTerminal {
    attributes: Option<Termios>,
    flags: Option<OFlags>,
}

impl SavedTerminal {
    /// Remembers the state of standard input. Without a terminal there is nothing to remember.
    pub fn save() -> SavedTerminal {
        let input = std::io::stdin();
        SavedTerminal { attributes: tcgetattr(&input).ok(), flags: fcntl_getfl(&input).ok() }
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        let input = std::io::stdin();
        if let Some(attributes) = &self.attributes {
            let _ = tcsetattr(&input, OptionalActions::Now, attributes);
        }
        if let Some(flags) = self.flags {
            let _ = fcntl_setfl(&input, flags);
        }
    }
}
