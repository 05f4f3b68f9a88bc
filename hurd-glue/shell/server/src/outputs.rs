//! Where output goes: the console, or files for the time of a command, one inside the other.
//!
//! All writers append, so that programs and the shell's own commands may take turns at one file. Where a file cannot be
//! emptied, `>` is as good as `>>`: a device has nothing to empty.

use alloc::vec::Vec;
use filesystems_api::file::{FileError, NodeKind};
use kernel_runtime::Handle;
use kernel_runtime::console::Console;
use kernel_runtime::files::{FileCallError, Names, Node};
use kernel_runtime::output::{Output, Sink};

/// The console and the files that are open for output.
pub struct Outputs {
    console: Console,
    files: Vec<Node>,
}

impl Outputs {
    /// The console alone.
    pub fn new(console: Console) -> Outputs {
        Outputs { console, files: Vec::new() }
    }

    /// The file that output goes to, if it does not go to the console.
    pub fn file(&self) -> Option<Handle> {
        self.files.last().map(Node::handle)
    }

    /// Output to what is in force.
    pub fn output(&self) -> Output {
        Output::to(Some(self.file().map_or(Sink::Console(self.console), Sink::File)))
    }

    /// Has output go to a device from now on. Files are read-only on all file systems that there are.
    pub fn open(&mut self, names: &Names, name: &[u8], _append: bool) -> Result<(), FileCallError> {
        match names.lookup_described(name, true)? {
            (node, NodeKind::CharacterDevice, _) => self.files.push(node),
            (_, NodeKind::Directory, _) => return Err(FileError::IsDirectory.into()),
            _ => return Err(FileError::ReadOnly.into()),
        }
        Ok(())
    }

    /// Goes back to what was before.
    pub fn close(&mut self) {
        self.files.pop();
    }
}
