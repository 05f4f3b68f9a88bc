//! Output of a program: to the console, or appended to a file.
//!
//! Bytes are collected and sent in whole messages. The first error ends the output: what follows is lost, and
//! [`Output::error`] tells why.

use crate::Handle;
use crate::console::{Console, ConsoleCallError};
use crate::files::{FileCallError, append};
use alloc::vec::Vec;
use core::fmt;
use filesystems_api::file::SMALL_WRITE_BYTES;
use hurd_glue_api::console::CHUNK_BYTES;

/// Bytes that are collected: one message of either kind.
const COLLECTED_BYTES: usize = if CHUNK_BYTES < SMALL_WRITE_BYTES { CHUNK_BYTES } else { SMALL_WRITE_BYTES };

/// Where bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sink {
    /// The console.
    Console(Console),
    /// The end of a file: the entry of its node, which is somebody else's to drop.
    File(Handle),
}

/// Why bytes were lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutputError {
    /// There is nothing to write to.
    Nowhere,
    /// The console refused.
    Console(ConsoleCallError),
    /// The file server refused.
    File(FileCallError),
}

impl fmt::Display for OutputError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputError::Nowhere => formatter.write_str("there is nothing to write to"),
            OutputError::Console(error) => error.fmt(formatter),
            OutputError::File(error) => error.fmt(formatter),
        }
    }
}

/// Output that is collected and sent in whole messages.
#[derive(Debug)]
pub struct Output {
    sink: Option<Sink>,
    bytes: Vec<u8>,
    error: Option<OutputError>,
}

impl Output {
    /// Output to a console, or to nowhere.
    pub fn new(console: Option<Console>) -> Output {
        Output::to(console.map(Sink::Console))
    }

    /// Output to somewhere, or to nowhere.
    pub fn to(sink: Option<Sink>) -> Output {
        let error = if sink.is_none() { Some(OutputError::Nowhere) } else { None };
        Output { sink, bytes: Vec::with_capacity(COLLECTED_BYTES), error }
    }

    /// Adds bytes.
    pub fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = COLLECTED_BYTES - self.bytes.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.bytes.extend_from_slice(now);
            bytes = later;
            if self.bytes.len() == COLLECTED_BYTES {
                self.flush();
            }
        }
    }

    /// Sends what is collected.
    pub fn flush(&mut self) {
        if !self.bytes.is_empty() && self.error.is_none() {
            self.error = match self.sink {
                Some(Sink::Console(console)) => console.write(&self.bytes).err().map(OutputError::Console),
                Some(Sink::File(node)) => append(node, &self.bytes).err().map(OutputError::File),
                None => Some(OutputError::Nowhere),
            };
        }
        self.bytes.clear();
    }

    /// Whether bytes were lost, or would be.
    pub fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Why.
    pub fn error(&self) -> Option<OutputError> {
        self.error
    }
}

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.flush();
    }
}
