//! Where output goes: the console, or files for the time of a command, one inside the other.
//!
//! All writers append, so that programs and the shell's own commands may take turns at one file. A device has nothing to
//! empty: for it `>` is `>>`.

use alloc::vec::Vec;
use filesystems_api::file::{FileError, NodeKind};
use kernel_runtime::Handle;
use kernel_runtime::console::Console;
use kernel_runtime::files::{FileCallError, Names, Node, ReadError};
use kernel_runtime::layout::CONTRACT;
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

    /// Has output go to a file or a device from now on. A file that is not there is made, and the shell's contract pays for it.
    pub fn open(&mut self, names: &Names, name: &[u8], append: bool) -> Result<(), ReadError> {
        let node = match names.lookup_described(name, true) {
            Ok((_, NodeKind::Directory, _)) => return Err(FileCallError::from(FileError::IsDirectory).into()),
            Ok((node, NodeKind::File, _)) => {
                if !append {
                    node.set_size(0)?;
                }
                node
            }
            Ok((node, ..)) => node,
            Err(error) if error.refusal() == Some(FileError::NotFound) => names.create(name, CONTRACT)?,
            Err(error) => return Err(error.into()),
        };
        self.files.push(node);
        Ok(())
    }

    /// Goes back to what was before.
    pub fn close(&mut self) {
        self.files.pop();
    }
}
