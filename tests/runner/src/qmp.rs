//! The QEMU Machine Protocol, as much of it as is used: one command, and the event that says why QEMU ended.
//!
//! A thread reads what QEMU says until QEMU ends; nobody waits for an answer.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;

/// A connection to a running QEMU.
pub struct Qmp {
    stream: UnixStream,
    reader: Option<JoinHandle<Option<Shutdown>>>,
}

/// Why QEMU ended, by its own account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shutdown {
    /// The guest brought it about.
    pub by_guest: bool,
    /// QEMU's word for it, such as `guest-reset`.
    pub reason: String,
}

impl Qmp {
    /// Connects to the socket, if QEMU listens already.
    pub fn connect(socket: &Path) -> Option<Qmp> {
        let mut stream = UnixStream::connect(socket).ok()?;
        let lines = BufReader::new(stream.try_clone().ok()?);
        writeln!(stream, "{}", json!({"execute": "qmp_capabilities"})).ok()?;
        let reader = std::thread::spawn(move || read_shutdown(lines));
        Some(Qmp { stream, reader: Some(reader) })
    }

    /// Sends the guest's processor a non-maskable interrupt.
    pub fn inject_nmi(&mut self) {
        // A QEMU that is gone cannot be asked; the caller finds out by waiting for it.
        let _ = writeln!(self.stream, "{}", json!({"execute": "inject-nmi"}));
    }

    /// What QEMU said of its end. To be called when it has ended.
    pub fn shutdown(mut self) -> Option<Shutdown> {
        self.reader.take()?.join().ok()?
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// Reads until the connection ends; remembers the shutdown.
fn read_shutdown(lines: impl BufRead) -> Option<Shutdown> {
    let messages = lines.lines().map_while(std::result::Result::ok);
    messages.filter_map(|line| shutdown(&serde_json::from_str(&line).ok()?)).last()
}

fn shutdown(message: &Value) -> Option<Shutdown> {
    (message["event"] == "SHUTDOWN").then(|| Shutdown {
        by_guest: message["data"]["guest"] == true,
        reason: message["data"]["reason"].as_str().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shutdown_is_found_among_the_other_messages() {
        let said = concat!(
            r#"{"QMP": {"version": {}, "capabilities": []}}"#,
            "\n",
            r#"{"return": {}}"#,
            "\nnoise\n",
            r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#,
            "\n",
        );
        let expected = Shutdown { by_guest: true, reason: "guest-reset".into() };
        assert_eq!(read_shutdown(said.as_bytes()), Some(expected));
        assert_eq!(read_shutdown(&b"{}\n"[..]), None);
    }

    #[test]
    fn no_socket_is_no_connection() {
        assert!(Qmp::connect(Path::new("/no/such/socket")).is_none());
    }
}
