//! The simulated machine: frames with bytes, address spaces that need page tables, kernel frames, saved replies.
//!
//! It checks what the real kernel checks, and takes it for a broken law where physmem breaks its contract with it.

mod calls;
mod records;
mod tables;

pub use records::HostRecords;
pub use tables::{Page as MappedPage, Tables};

use crate::contents::{FRAME, Frame, GARBAGE};
use crate::law;
use containers_core::record::{FRAME_WORDS, RecordFrame};
use kernel_abi::{Handle, KernelError};
use physmem_core::pmap::NewObject;
use physmem_core::{FrameEntry, FrameWait};

/// Kernel calls that physmem may make for one step: beyond it, it is taken to hang.
pub const CALLS_PER_STEP: u64 = 200_000;

/// What the kernel takes a frame for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Anything that may be mapped.
    Plain,
    /// Objects of this kind.
    Objects(u8),
    /// Part of the capability table of a task.
    CapabilityTable(Handle),
    /// A page table of a task.
    PageTable(Handle),
}

/// Memory of runs, kept from one to the next.
#[derive(Default)]
pub struct Arena {
    frames: Vec<Frame>,
    records: Vec<RecordFrame>,
    entries: Vec<FrameEntry>,
    waits: Vec<FrameWait>,
}

/// Parts of an [`Arena`] for a machine.
pub struct Parts<'a> {
    /// Bytes of frames.
    pub frames: &'a mut [Frame],
    /// Words of record frames.
    pub records: &'a mut [RecordFrame],
    /// The frame database.
    pub entries: &'a mut [FrameEntry],
    /// Who waits for frames.
    pub waits: &'a mut [FrameWait],
}

/// Handles of physmem's table, used or not.
pub const HANDLES: usize = 256;

/// The one entry of physmem's table that holds a notification which came along with a request.
pub const NOTIFICATION: Handle = Handle(17);

impl Arena {
    /// The parts for a machine of so many frames, as if never used.
    pub fn parts(&mut self, frames: usize) -> Parts<'_> {
        if self.frames.len() < frames {
            self.frames.resize(frames, [GARBAGE; FRAME]);
            self.records.resize(frames, [0; FRAME_WORDS]);
            self.entries.resize(frames, FrameEntry::default());
        }
        self.waits.resize(HANDLES, FrameWait::default());
        let parts = Parts {
            frames: &mut self.frames[..frames],
            records: &mut self.records[..frames],
            entries: &mut self.entries[..frames],
            waits: &mut self.waits,
        };
        parts.frames.fill([GARBAGE; FRAME]);
        parts.entries.fill(FrameEntry::default());
        parts.waits.fill(FrameWait::default());
        parts
    }
}

/// A task, as far as physmem is concerned.
pub struct Task {
    /// It has ended.
    pub ended: bool,
    /// Its page tables.
    pub tables: Tables,
    /// Page tables not in use.
    pub stock: Vec<u32>,
    /// The top page table; 0 once it was given back.
    pub root: u32,
    capability_tables: Vec<u32>,
    threads: u32,
    /// The number of its last access among those of all tasks.
    last_run: u64,
}

/// An object in a slot of a kernel frame.
struct Object {
    frame: u32,
    slot: u32,
    /// Of a task that is not dropped: its handle.
    task: Option<Handle>,
}

/// A call answered late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LateAnswer {
    /// Where the reply was saved.
    pub reply: Handle,
    /// The label.
    pub label: u32,
}

/// The kernel.
pub struct Kernel<'a> {
    /// Bytes of all frames.
    pub frames: &'a mut [Frame],
    kinds: Vec<Kind>,
    map_counts: Vec<u32>,
    /// By handle.
    tasks: Vec<Option<Box<Task>>>,
    objects: Vec<Object>,
    /// Handles in use in physmem's table.
    handles: Vec<bool>,
    /// Calls answered late, for the run to deliver.
    pub answers: Vec<LateAnswer>,
    /// Saved replies that were dropped.
    pub dropped: Vec<Handle>,
    /// Calls in this step.
    pub calls: u64,
    /// Notifications signalled.
    pub signals: u64,
    /// Accesses of all tasks.
    runs: u64,
    /// Operations on kernel objects until one is refused; 0: none is.
    pub refuse_object_in: u64,
    /// Operations are being refused in this run.
    pub injecting: bool,
    /// Operations on kernel objects that could have been refused.
    pub object_calls: u64,
}

impl<'a> Kernel<'a> {
    /// A kernel over frames, with so many handles for physmem.
    pub fn new(frames: &'a mut [Frame], handles: u32) -> Kernel<'a> {
        let count = frames.len();
        Kernel {
            frames,
            kinds: vec![Kind::Plain; count],
            map_counts: vec![0; count],
            tasks: (0..handles).map(|_| None).collect(),
            objects: Vec::new(),
            handles: vec![false; handles as usize],
            answers: Vec::new(),
            dropped: Vec::new(),
            calls: 0,
            signals: 0,
            runs: 0,
            refuse_object_in: 0,
            injecting: false,
            object_calls: 0,
        }
    }

    /// What the kernel takes a frame for.
    pub fn kind(&self, frame: u32) -> Kind {
        self.kinds[frame as usize]
    }

    /// How often a frame is mapped.
    pub fn map_count(&self, frame: u32) -> u32 {
        self.map_counts[frame as usize]
    }

    /// The task of a handle.
    pub fn task(&self, handle: Handle) -> Option<&Task> {
        self.tasks.get(handle.0 as usize)?.as_deref()
    }

    /// All tasks.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().flatten().map(|task| &**task)
    }

    /// A task ends by itself, and nobody tells physmem.
    pub fn end_task(&mut self, handle: Handle) {
        if let Some(task) = self.tasks[handle.0 as usize].as_deref_mut() {
            task.ended = true;
        }
    }

    /// What a thread of a task reaches at a page, without a fault.
    pub fn mapped(&self, task: Handle, page: u64) -> Option<MappedPage> {
        self.task(task)?.tables.get(page)
    }

    /// A thread of a task has reached a page, to write or not: the processor notes it.
    pub fn note_use(&mut self, task: Handle, page: u64, write: bool) {
        self.runs += 1;
        let runs = self.runs;
        if let Ok(task) = self.task_mut(task)
            && let Some(mapped) = task.tables.get(page)
        {
            task.last_run = runs;
            task.tables.note_use(page, true, mapped.dirty || write);
        }
    }

    /// Saves a reply at a handle, as physmem asked.
    pub fn save_reply(&mut self, handle: Handle) {
        let entry = &mut self.handles[handle.0 as usize];
        law!("kernel", !*entry, "the entry {handle:?} for a saved reply is taken");
        *entry = true;
    }

    fn count_call(&mut self) {
        self.calls += 1;
        law!("hang", self.calls <= CALLS_PER_STEP, "physmem does not come to an end");
    }

    /// Whether this operation on a kernel object is the one that is refused.
    fn refuses(&mut self) -> Option<KernelError> {
        self.object_calls += 1;
        if self.refuse_object_in == 0 {
            return None;
        }
        self.refuse_object_in -= 1;
        (self.refuse_object_in == 0).then_some(KernelError::Busy)
    }

    fn task_mut(&mut self, handle: Handle) -> Result<&mut Task, KernelError> {
        let task = self.tasks.get_mut(handle.0 as usize).and_then(Option::as_deref_mut);
        task.ok_or(KernelError::Stale)
    }

    fn take(&mut self, frame: u32, kind: Kind) {
        let index = frame as usize;
        law!("kernel", self.kinds[index] == Kind::Plain, "frame {frame} is {:?} already", self.kinds[index]);
        law!(
            "unmapped-before-reuse",
            self.map_counts[index] == 0,
            "frame {frame} is mapped, taken for {kind:?}"
        );
        self.kinds[index] = kind;
    }

    fn give_back(&mut self, frame: u32) {
        law!("kernel", self.kinds[frame as usize] != Kind::Plain, "frame {frame} is given back twice");
        self.kinds[frame as usize] = Kind::Plain;
        self.frames[frame as usize].fill(GARBAGE);
    }

    fn require_plain(&self, frame: u32, what: &str) {
        let kind = self.kinds[frame as usize];
        law!("kernel", kind == Kind::Plain, "frame {frame} is {kind:?} and is to be {what}");
    }

    fn object_code(object: NewObject) -> u8 {
        match object {
            NewObject::Endpoint => 0,
            NewObject::Notification => 1,
            NewObject::Task { .. } => 2,
            NewObject::Thread { .. } => 3,
            NewObject::Schedule => 4,
        }
    }
}
