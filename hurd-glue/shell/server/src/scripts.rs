//! Reading scripts from files.

use alloc::vec::Vec;
use filesystems_api::file::FileError;
use kernel_protocol::Refusal;
use kernel_runtime::files::{Names, ReadError, Window};
use kernel_runtime::ipc::CallError;

/// Bytes that a script of `sh` may have at most.
pub const SCRIPT_BYTES_MAX: usize = 64 << 10;

/// Pages that are read at a time.
const WINDOW_PAGES: u64 = 16;

/// The contents of a file of so many bytes at most.
pub fn read(names: &Names, name: &[u8], bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    let node = names.lookup(name, true)?;
    let mut window = Window::new(WINDOW_PAGES)?;
    let mut lines = Vec::new();
    loop {
        let bytes = window.read(&node, lines.len() as u64)?;
        if bytes.is_empty() {
            return Ok(lines);
        }
        if lines.len() + bytes.len() > bytes_max {
            let too_long = Refusal::new(FileError::OutOfRange);
            return Err(ReadError::File(CallError::Refused(too_long)));
        }
        lines.extend_from_slice(bytes);
    }
}
