//! `cargo run -- --trace FILE`: takes the events that the guest sends while it runs, and writes them as a file that
//! Perfetto and Chrome's tracing page open.
//!
//! [`channel`] is the host's end of the memory that guest and host share; [`chrome`] turns events into the file. A thread
//! does both while the guest runs, so that a run that is cut short leaves what it has told until then.

pub mod channel;
pub mod chrome;

use crate::places::Places;
use crate::{Failure, Result};
use channel::{Channel, Received};
use chrome::Writer;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the guest's memory is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Frames of the guest for each of which one may be a ring's, all rings together.
const RING_PART: u64 = 32;
/// Pages of a ring that are enough.
const RING_PAGES: u64 = 512;

/// Pages of each processor's ring on a machine.
pub fn ring_pages(memory_bytes: u64, cpus: u32) -> u64 {
    (memory_bytes / 4096 / RING_PART / u64::from(cpus)).clamp(4, RING_PAGES)
}

/// Events on their way into a file.
pub struct Recording {
    channel: PathBuf,
    file: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Told>>>,
    /// Goes with the recording.
    _temporary: tempfile::TempPath,
}

/// What came of a recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// Events written.
    pub events: u64,
    /// Events that the guest counts as lost.
    pub lost: u64,
    /// Records of no known kind.
    pub unknown: u64,
}

impl Recording {
    /// Makes the shared memory and the file, and begins to look.
    pub fn start(places: &Places, file: &Path) -> Result<Recording> {
        let folder = places.own("channels")?;
        let failed = |error| Failure::file("write to", &folder, &error);
        let temporary = tempfile::Builder::new().prefix("events-").tempfile_in(&folder).map_err(failed)?;
        let temporary = temporary.into_temp_path();
        let channel = Channel::create(&temporary)?;
        let output = File::create(file).map_err(|error| Failure::file("write", file, &error))?;
        let writer = Writer::new(BufWriter::new(output));
        let stop = Arc::new(AtomicBool::new(false));
        let (told_to_stop, path) = (Arc::clone(&stop), file.to_owned());
        let thread = std::thread::spawn(move || {
            record(channel, writer, &told_to_stop).map_err(|error| Failure::file("write", &path, &error))
        });
        let (channel, file) = (temporary.to_path_buf(), file.to_owned());
        Ok(Recording { channel, file, stop, thread: Some(thread), _temporary: temporary })
    }

    /// The memory that QEMU is to show the guest.
    pub fn channel(&self) -> &Path {
        &self.channel
    }

    /// Takes what is left and ends the file. QEMU has ended.
    pub fn finish(mut self) -> Result<Told> {
        self.stop.store(true, Ordering::Release);
        let joined = self.thread.take().map(JoinHandle::join);
        let lost = || Failure::new(format!("{} is incomplete: its writer failed", self.file.display()));
        joined.ok_or_else(lost)?.map_err(|_| lost())?
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn record<W: std::io::Write>(
    mut channel: Channel,
    mut writer: Writer<W>,
    stop: &AtomicBool,
) -> std::io::Result<Told> {
    let mut told = Told::default();
    loop {
        // Asked first: what the guest has written until it ended is still taken.
        let is_last = stop.load(Ordering::Acquire);
        let Received { clock, events, unknown } = channel.receive()?;
        told.unknown += unknown;
        told.events += events.len() as u64;
        for event in &events {
            told.lost += chrome::lost(event);
            writer.event(clock, event)?;
        }
        if is_last {
            writer.finish()?;
            return Ok(told);
        }
        writer.flush()?;
        if events.is_empty() {
            std::thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_a_small_part_of_a_small_machine() {
        assert_eq!(ring_pages(256 << 20, 2), RING_PAGES);
        assert_eq!(ring_pages(16 << 20, 1), 128);
        assert_eq!(ring_pages(16 << 20, 16), 8);
    }
}
