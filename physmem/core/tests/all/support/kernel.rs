//! A kernel that exists in the memory of the test: frames with bytes, map counts, address spaces that need page
//! tables, kernel frames. It checks what the real one checks and panics where physmem breaks its contract.

use kernel_abi::object::{
    ENDPOINTS_PER_FRAME, NOTIFICATIONS_PER_FRAME, TASKS_PER_FRAME, THREADS_PER_FRAME, THREADS_PER_TASK,
};
use kernel_abi::pmap::{
    FrameRange, FrameSpan, Mapping, PageRange, Protection, QUERY_DIRTY, QUERY_PRESENT, QUERY_REFERENCED,
};
use kernel_abi::{Handle, KernelError};
use physmem_core::pmap::{Clear, EnterError, NewObject, Pmap, RecordMemory};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub const FRAME: usize = 4096;

/// The one entry of physmem's table that holds a notification that came along.
pub const NOTIFICATION: Handle = Handle(17);

/// The one entry of physmem's table that holds an endpoint at which its sender may receive.
pub const RECEIVER: Handle = Handle(18);

/// What frames hold at first, so that a missing zero is seen.
pub const GARBAGE: u8 = 0xdb;

/// What the kernel takes a frame for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Plain,
    Objects(u32),
    CapabilityTable(Handle),
    PageTable(Handle),
    Records,
}

/// All frames.
pub struct Ram {
    pub bytes: Vec<[u8; FRAME]>,
    pub kinds: Vec<Kind>,
    pub map_counts: Vec<u32>,
    /// Record frames that can still be opened.
    pub openings: u64,
}

impl Ram {
    pub fn new(frames: usize) -> Rc<RefCell<Ram>> {
        Rc::new(RefCell::new(Ram {
            bytes: vec![[GARBAGE; FRAME]; frames],
            kinds: vec![Kind::Plain; frames],
            map_counts: vec![0; frames],
            openings: u64::MAX,
        }))
    }

    fn take(&mut self, frame: u32, kind: Kind) {
        assert_eq!(self.kinds[frame as usize], Kind::Plain, "frame {frame} is taken for {kind:?}");
        assert_eq!(self.map_counts[frame as usize], 0, "frame {frame} is mapped and taken for {kind:?}");
        self.kinds[frame as usize] = kind;
    }

    fn give_back(&mut self, frame: u32) {
        assert_ne!(self.kinds[frame as usize], Kind::Plain);
        self.kinds[frame as usize] = Kind::Plain;
        self.bytes[frame as usize] = [GARBAGE; FRAME];
    }
}

/// A task, as far as physmem is concerned.
#[derive(Default)]
pub struct Task {
    pub ended: bool,
    pub pages: BTreeMap<u64, (u32, Protection)>,
    pub device_pages: BTreeSet<u64>,
    pub stock: Vec<u32>,
    pub tables: BTreeMap<u64, u32>,
    pub root: u32,
    pub capability_tables: Vec<u32>,
    pub threads: u32,
    pub referenced: BTreeSet<u64>,
    pub dirty: BTreeSet<u64>,
    pub last_run: u64,
}

/// The kernel.
pub struct FakeKernel {
    pub ram: Rc<RefCell<Ram>>,
    pub tasks: BTreeMap<u32, Task>,
    /// Objects by frame and slot; for a task or thread, the task's handle.
    pub objects: BTreeMap<(u32, u32), NewObject>,
    owners: BTreeMap<(u32, u32), Handle>,
    /// Calls answered late.
    pub answers: Vec<(Handle, u32, Vec<u64>)>,
    /// Notifications signalled.
    pub signals: Vec<Handle>,
    /// Handles in use in physmem's table.
    pub handles: BTreeSet<u32>,
    /// Kernel calls made.
    pub calls: u64,
    /// Changes between address spaces, and the task whose is active.
    pub runs: u64,
    pub active: Handle,
    /// Pages whose use was asked for.
    pub queried: u64,
}

impl FakeKernel {
    pub fn new(ram: Rc<RefCell<Ram>>) -> FakeKernel {
        FakeKernel {
            ram,
            tasks: BTreeMap::new(),
            objects: BTreeMap::new(),
            owners: BTreeMap::new(),
            answers: Vec::new(),
            signals: Vec::new(),
            handles: BTreeSet::new(),
            calls: 0,
            runs: 0,
            active: Handle::NULL,
            queried: 0,
        }
    }

    fn forget(&mut self, task: Handle, page: u64) -> bool {
        let object = self.tasks.get_mut(&task.0).expect("a task");
        if let Some((frame, _)) = object.pages.remove(&page) {
            object.referenced.remove(&page);
            object.dirty.remove(&page);
            self.ram.borrow_mut().map_counts[frame as usize] -= 1;
        } else if !object.device_pages.remove(&page) {
            return false;
        }
        let region = page / 512;
        let left = object.pages.range(region * 512..(region + 1) * 512).next().is_some()
            || object.device_pages.range(region * 512..(region + 1) * 512).next().is_some();
        if !left {
            let table = object.tables.remove(&region).expect("a page has its table");
            object.stock.push(table);
        }
        true
    }

    fn need_tables(&mut self, task: Handle, pages: &BTreeSet<u64>) -> Result<(), EnterError> {
        let object = self.tasks.get_mut(&task.0).ok_or(EnterError::Refused(KernelError::Stale))?;
        if object.ended {
            return Err(EnterError::Refused(KernelError::WrongState));
        }
        let regions: BTreeSet<u64> = pages.iter().map(|page| page / 512).collect();
        let missing: Vec<u64> =
            regions.into_iter().filter(|region| !object.tables.contains_key(region)).collect();
        if missing.len() > object.stock.len() {
            return Err(EnterError::NeedTables((missing.len() - object.stock.len()) as u64));
        }
        for region in missing {
            let table = object.stock.pop().expect("counted");
            object.tables.insert(region, table);
        }
        Ok(())
    }

    /// Whether a thread could write without a fault.
    pub fn is_writable(&self, task: Handle, address: u64) -> bool {
        let page = self.tasks[&task.0].pages.get(&(address / FRAME as u64));
        page.is_some_and(|(_, protection)| protection.contains(Protection::WRITE))
    }

    /// Reads or writes as a thread of the task would; `None` is a page fault.
    pub fn access(&mut self, task: Handle, address: u64, write: Option<u8>) -> Option<u8> {
        if std::mem::replace(&mut self.active, task) != task {
            self.runs += 1;
        }
        let object = self.tasks.get_mut(&task.0).expect("a task");
        assert!(!object.ended);
        object.last_run = self.runs;
        let page = address / FRAME as u64;
        let &(frame, protection) = object.pages.get(&page)?;
        if write.is_some() && !protection.contains(Protection::WRITE) {
            return None;
        }
        object.referenced.insert(page);
        if write.is_some() {
            object.dirty.insert(page);
        }
        let mut ram = self.ram.borrow_mut();
        assert_eq!(ram.kinds[frame as usize], Kind::Plain, "a kernel frame is mapped");
        let byte = &mut ram.bytes[frame as usize][address as usize % FRAME];
        if let Some(value) = write {
            *byte = value;
        }
        Some(*byte)
    }
}

impl Pmap for FakeKernel {
    const CLEARS: bool = true;

    fn enter(&mut self, task: Handle, mappings: &[Mapping]) -> Result<(), EnterError> {
        self.calls += 1;
        let mut pages = BTreeSet::new();
        for item in mappings {
            let first = item.page_address() / FRAME as u64;
            pages.extend(first..first + u64::from(item.frames));
        }
        self.need_tables(task, &pages)?;
        for item in mappings {
            let protection = item.protection().expect("protection bits that mean something");
            for index in 0..item.frames {
                let page = item.page_address() / FRAME as u64 + u64::from(index);
                let frame = item.frame + index;
                let mut ram = self.ram.borrow_mut();
                let kind = ram.kinds[frame as usize];
                let is_page_of_words = kind == Kind::Records && !protection.contains(Protection::WRITE);
                assert!(kind == Kind::Plain || is_page_of_words, "frame {frame} cannot be mapped");
                if protection.contains(Protection::CLEAR) {
                    assert_eq!(ram.map_counts[frame as usize], 0, "frame {frame} is cleared in use");
                    ram.bytes[frame as usize].fill(0);
                }
                ram.map_counts[frame as usize] += 1;
                let object = self.tasks.get_mut(&task.0).expect("a task");
                if let Some((old, _)) = object.pages.insert(page, (frame, protection - Protection::CLEAR)) {
                    ram.map_counts[old as usize] -= 1;
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, task: Handle, ranges: &[PageRange]) -> Result<(), KernelError> {
        self.calls += 1;
        if self.tasks[&task.0].ended {
            return Err(KernelError::WrongState);
        }
        for range in ranges {
            assert_eq!(range.address % FRAME as u64, 0);
            let first = range.address / FRAME as u64;
            let object = &self.tasks[&task.0];
            let end = first + range.pages;
            let found: Vec<u64> = object
                .pages
                .range(first..end)
                .map(|(&page, _)| page)
                .chain(object.device_pages.range(first..end).copied())
                .collect();
            found.into_iter().for_each(|page| assert!(self.forget(task, page)));
        }
        Ok(())
    }

    fn protect(&mut self, task: Handle, ranges: &[PageRange]) -> Result<(), KernelError> {
        self.calls += 1;
        let object = self.tasks.get_mut(&task.0).expect("a task");
        if object.ended {
            return Err(KernelError::WrongState);
        }
        for range in ranges {
            let protection = Protection::from_bits(range.address % FRAME as u64).expect("protection bits");
            let first = range.address / FRAME as u64;
            for (_, mapped) in object.pages.range_mut(first..first + range.pages) {
                mapped.1 = protection;
            }
        }
        Ok(())
    }

    fn enter_device(
        &mut self,
        task: Handle,
        device: Handle,
        address: u64,
        _first_page: u64,
        pages: u64,
    ) -> Result<(), EnterError> {
        if device.0 != 16 {
            return Err(EnterError::Refused(KernelError::WrongKind));
        }
        let first = address / FRAME as u64;
        let all: BTreeSet<u64> = (first..first + pages).collect();
        self.need_tables(task, &all)?;
        self.tasks.get_mut(&task.0).expect("a task").device_pages.extend(all);
        Ok(())
    }

    fn stock(&mut self, task: Handle, frames: &[u32]) -> Result<(), KernelError> {
        if self.tasks[&task.0].ended {
            return Err(KernelError::WrongState);
        }
        for &frame in frames {
            self.ram.borrow_mut().take(frame, Kind::PageTable(task));
            self.tasks.get_mut(&task.0).expect("a task").stock.push(frame);
        }
        Ok(())
    }

    fn unstock(&mut self, task: Handle, frames: &mut [u32]) -> usize {
        let mut taken = 0;
        for place in frames {
            let object = self.tasks.get_mut(&task.0).expect("a task");
            if object.stock.is_empty() && object.ended {
                let pages: Vec<u64> =
                    object.pages.keys().chain(object.device_pages.iter()).copied().collect();
                pages.into_iter().for_each(|page| assert!(self.forget(task, page)));
                let object = self.tasks.get_mut(&task.0).expect("a task");
                if object.stock.is_empty() && object.root != 0 {
                    object.stock.push(std::mem::take(&mut object.root));
                }
            }
            let Some(frame) = self.tasks.get_mut(&task.0).expect("a task").stock.pop() else { break };
            self.ram.borrow_mut().give_back(frame);
            *place = frame;
            taken += 1;
        }
        taken
    }

    fn zero(&mut self, ranges: &[FrameRange]) {
        self.calls += 1;
        let mut ram = self.ram.borrow_mut();
        for range in ranges {
            assert_eq!(ram.kinds[range.frame as usize], Kind::Plain, "only plain frames are cleared");
            let first = usize::from(range.offset);
            ram.bytes[range.frame as usize][first..first + usize::from(range.bytes)].fill(0);
        }
    }

    fn copy(&mut self, spans: &[FrameSpan]) {
        self.calls += 1;
        let mut ram = self.ram.borrow_mut();
        for span in spans {
            assert_ne!(span.source, span.destination, "the kernel refuses to copy within a frame");
            for frame in [span.source, span.destination] {
                assert_eq!(ram.kinds[frame as usize], Kind::Plain, "only plain frames are copied");
            }
            let (from, bytes) = (usize::from(span.source_offset), usize::from(span.bytes));
            let source = ram.bytes[span.source as usize];
            let to = usize::from(span.destination_offset);
            ram.bytes[span.destination as usize][to..to + bytes].copy_from_slice(&source[from..from + bytes]);
        }
    }

    fn create(
        &mut self,
        object: NewObject,
        frame: u32,
        slot: u32,
        destination: Handle,
    ) -> Result<(), KernelError> {
        let (code, most) = match object {
            NewObject::Endpoint => (0, ENDPOINTS_PER_FRAME),
            NewObject::Notification => (1, NOTIFICATIONS_PER_FRAME),
            NewObject::Task { .. } => (2, TASKS_PER_FRAME),
            NewObject::Thread { .. } => (3, THREADS_PER_FRAME),
        };
        assert!(slot < most);
        let kind = self.ram.borrow().kinds[frame as usize];
        if kind == Kind::Objects(code) && self.objects.contains_key(&(frame, slot)) {
            return Err(KernelError::Occupied);
        }
        if let NewObject::Thread { task } = object {
            let owner = self.tasks.get_mut(&task.0).ok_or(KernelError::Stale)?;
            if owner.ended {
                return Err(KernelError::WrongState);
            }
            if owner.threads == THREADS_PER_TASK {
                return Err(KernelError::Busy);
            }
            owner.threads += 1;
        }
        if kind != Kind::Objects(code) {
            self.ram.borrow_mut().take(frame, Kind::Objects(code));
        }
        if let NewObject::Task { root, .. } = object {
            assert!(self.handles.insert(destination.0), "the entry is taken");
            self.ram.borrow_mut().take(root, Kind::PageTable(destination));
            self.tasks.insert(destination.0, Task { root, ..Task::default() });
            self.owners.insert((frame, slot), destination);
        }
        self.objects.insert((frame, slot), object);
        Ok(())
    }

    fn add_table(&mut self, task: Handle, frame: u32) -> Result<u32, KernelError> {
        let object = self.tasks.get_mut(&task.0).expect("a task");
        if object.ended {
            return Err(KernelError::WrongState);
        }
        if object.capability_tables.len() == 32 {
            return Err(KernelError::Busy);
        }
        object.capability_tables.push(frame);
        self.ram.borrow_mut().take(frame, Kind::CapabilityTable(task));
        Ok((object.capability_tables.len() as u32 - 1) * 128 + 1)
    }

    fn reclaim(&mut self, frame: u32) -> Result<(), KernelError> {
        let kind = self.ram.borrow().kinds[frame as usize];
        match kind {
            Kind::Objects(2) => {
                let slots: Vec<_> =
                    self.objects.range((frame, 0)..(frame + 1, 0)).map(|(&at, _)| at).collect();
                for at in slots {
                    assert!(!self.owners.contains_key(&at), "a task is reclaimed that physmem names");
                    self.objects.remove(&at);
                }
            }
            Kind::Objects(_) => {
                let slots: Vec<_> =
                    self.objects.range((frame, 0)..(frame + 1, 0)).map(|(&at, _)| at).collect();
                for at in slots {
                    self.objects.remove(&at);
                }
            }
            Kind::CapabilityTable(task) => {
                let object =
                    self.tasks.get_mut(&task.0).expect("the task is there until its tables are gone");
                assert!(object.ended, "Busy");
                object.capability_tables.retain(|&table| table != frame);
            }
            kind => panic!("{kind:?} is not reclaimed"),
        }
        self.ram.borrow_mut().give_back(frame);
        Ok(())
    }

    fn kill(&mut self, task: Handle) {
        self.tasks.get_mut(&task.0).expect("a task").ended = true;
    }

    fn drop_handle(&mut self, handle: Handle) {
        self.handles.remove(&handle.0);
        if let Some(task) = self.tasks.remove(&handle.0) {
            assert!(task.ended && task.root == 0 && task.stock.is_empty(), "Busy");
            assert!(task.capability_tables.is_empty(), "Busy");
            self.owners.retain(|_, owner| *owner != handle);
        }
    }

    fn query(&mut self, task: Handle, address: u64, output: &mut [u8], clear: Clear) {
        self.calls += 1;
        self.queried += output.len() as u64;
        let object = self.tasks.get_mut(&task.0).expect("a task");
        for (state, page) in output.iter_mut().zip(address / FRAME as u64..) {
            if !object.pages.contains_key(&page) || object.ended {
                continue;
            }
            let bit = |set: &BTreeSet<u64>, bit: u8| if set.contains(&page) { bit } else { 0 };
            *state =
                QUERY_PRESENT | bit(&object.referenced, QUERY_REFERENCED) | bit(&object.dirty, QUERY_DIRTY);
            if clear != Clear::Nothing {
                object.referenced.remove(&page);
            }
            if clear == Clear::All {
                object.dirty.remove(&page);
            }
        }
    }

    fn last_run(&mut self, task: Handle) -> u64 {
        self.calls += 1;
        self.tasks[&task.0].last_run
    }

    fn keep_notification(&mut self, sent: Handle, kept: Handle) -> Result<(), KernelError> {
        if sent != NOTIFICATION {
            return Err(KernelError::WrongKind);
        }
        assert!(self.handles.insert(kept.0), "the entry is taken");
        Ok(())
    }

    fn is_receiver(&mut self, sent: Handle) -> bool {
        sent == RECEIVER
    }

    fn signal(&mut self, notification: Handle) {
        assert!(self.handles.contains(&notification.0), "nothing is kept there");
        self.signals.push(notification);
    }

    fn answer(&mut self, reply: Handle, label: u32, words: &[u64]) {
        assert!(self.handles.remove(&reply.0), "no reply was saved at {reply:?}");
        self.answers.push((reply, label, words.to_vec()));
    }
}

/// The memory of records.
pub struct HostRecords {
    ram: Rc<RefCell<Ram>>,
    frames: Vec<Option<Box<containers_core::record::RecordFrame>>>,
}

impl HostRecords {
    pub fn new(ram: Rc<RefCell<Ram>>) -> HostRecords {
        let frames = ram.borrow().bytes.len();
        HostRecords { ram, frames: vec![None; frames] }
    }
}

impl RecordMemory for HostRecords {
    fn open(&mut self, frame: u32) -> Result<(), KernelError> {
        let left = self.ram.borrow().openings;
        self.ram.borrow_mut().openings = left.checked_sub(1).ok_or(KernelError::NeedTables)?;
        self.ram.borrow_mut().take(frame, Kind::Records);
        let place = &mut self.frames[frame as usize];
        assert!(place.is_none());
        *place = Some(Box::new([0; 512]));
        Ok(())
    }

    fn close(&mut self, frame: u32) {
        assert!(self.frames[frame as usize].take().is_some());
        self.ram.borrow_mut().give_back(frame);
    }

    fn words(&self, frame: u32) -> &containers_core::record::RecordFrame {
        self.frames[frame as usize].as_ref().expect("an open frame")
    }

    fn words_mut(&mut self, frame: u32) -> &mut containers_core::record::RecordFrame {
        self.frames[frame as usize].as_mut().expect("an open frame")
    }
}
