//! The swap disk as the pager's logic sees it: transfers are begun here and done by threads, several at a time.
//!
//! Each thread has one transfer at a time, its own place for it, and a notification that wakes it. All is there from the beginning; a
//! transfer that finds no thread idle waits in a queue that holds as many as there can be.

use crate::transfers::{BUFFER_PAGES, Wire};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use default_pager_core::limits::{BATCH_PAGES, OPERATIONS, PAGE_BYTES, TRANSFERS};
use default_pager_core::{Disk, DiskError, Transfer};
use kernel_runtime::containers::MemoryCallError;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::sync::Mutex;
use kernel_runtime::{Capability, Deadline, syscall, threads};

/// Transfers that the disk has at a time.
pub const WORKERS: usize = 8;
/// Pages of a worker's stack.
const STACK_PAGES: u64 = 4;

/// What a worker has.
enum Job {
    Nothing,
    Begun(Transfer),
    Done(u32, Result<(), DiskError>),
}

struct Worker {
    job: Mutex<Job>,
    /// Signalled through `waker` when there is work.
    wake: Notification,
    waker: Capability,
}

/// The disk, with the buffers that it reaches.
pub struct SwapDisk {
    /// Of the slots alone.
    sectors: u64,
    is_writable: bool,
    buffers: Mapping,
    workers: Vec<Arc<Worker>>,
    waiting: VecDeque<Transfer>,
}

impl SwapDisk {
    /// The disk with its workers, each of which signals when it is done with something.
    pub fn new(
        wire: &Arc<Wire>,
        buffers: Mapping,
        sectors: u64,
        is_writable: bool,
        done: &Arc<Capability>,
    ) -> Result<SwapDisk, MemoryCallError> {
        debug_assert_eq!(buffers.bytes(), BUFFER_PAGES as usize * PAGE_BYTES);
        let count = if sectors == 0 { 0 } else { WORKERS };
        let workers = (0..count).map(|_| start_worker(wire.clone(), done.clone()));
        let workers = workers.collect::<Result<_, _>>()?;
        Ok(SwapDisk { sectors, is_writable, buffers, workers, waiting: VecDeque::with_capacity(TRANSFERS) })
    }

    /// A transfer that has come to an end; who is idle then begins the next one.
    pub fn next_done(&mut self) -> Option<(u32, Result<(), DiskError>)> {
        let done = self.workers.iter().find_map(|worker| {
            let mut job = worker.job.lock();
            let Job::Done(number, result) = *job else { return None };
            *job = Job::Nothing;
            Some((number, result))
        });
        self.hand_out();
        done
    }

    fn hand_out(&mut self) {
        for worker in &self.workers {
            if self.waiting.is_empty() {
                return;
            }
            let mut job = worker.job.lock();
            if matches!(*job, Job::Nothing)
                && let Some(transfer) = self.waiting.pop_front()
            {
                *job = Job::Begun(transfer);
                drop(job);
                if let Err(error) = syscall::signal(worker.waker.handle()) {
                    log::error!("a transfer was not begun: {error:?}");
                }
            }
        }
    }
}

impl Disk for SwapDisk {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn is_writable(&self) -> bool {
        self.is_writable
    }

    fn buffer(&mut self, index: usize) -> &mut [u8] {
        assert!(index < OPERATIONS, "there is no such buffer");
        let bytes = BATCH_PAGES * PAGE_BYTES;
        &mut self.buffers.as_mut_slice()[index * bytes..(index + 1) * bytes]
    }

    fn submit(&mut self, transfer: Transfer) {
        self.waiting.push_back(transfer);
        self.hand_out();
    }
}

fn start_worker(wire: Arc<Wire>, done: Arc<Capability>) -> Result<Arc<Worker>, MemoryCallError> {
    let wake = Notification::new()?;
    let waker = wake.signaller(1)?;
    let worker = Arc::new(Worker { job: Mutex::new(Job::Nothing), wake, waker });
    let own = worker.clone();
    threads::spawn_resident(STACK_PAGES, move || work(&own, &wire, &done))?;
    Ok(worker)
}

/// Does one transfer after the other.
fn work(worker: &Worker, wire: &Wire, done: &Capability) {
    loop {
        let begun = match *worker.job.lock() {
            Job::Begun(transfer) => Some(transfer),
            Job::Nothing | Job::Done(..) => None,
        };
        let Some(transfer) = begun else {
            let _ = worker.wake.wait(Deadline::NEVER);
            continue;
        };
        let result = wire.transfer(&transfer, &worker.wake);
        *worker.job.lock() = Job::Done(transfer.number, result);
        if let Err(error) = syscall::signal(done.handle()) {
            log::error!("the end of a transfer was not told: {error:?}");
        }
    }
}
