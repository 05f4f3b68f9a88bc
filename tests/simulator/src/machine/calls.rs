//! The kernel's calls, as physmem's logic makes them.

use super::{Kernel, Kind, LateAnswer, NOTIFICATION, Object, Tables, Task};
use crate::contents::FRAME;
use crate::law;
use kernel_abi::object::THREADS_PER_TASK;
use kernel_abi::pmap::{
    FrameRange, FrameSpan, Mapping, PageRange, Protection, QUERY_DIRTY, QUERY_PRESENT, QUERY_REFERENCED,
};
use kernel_abi::{Handle, KernelError};
use physmem_core::pmap::{Clear, EnterError, NewObject, Pmap};

const PAGE: u64 = FRAME as u64;

/// Frames that a task's capability table consists of at most.
const CAPABILITY_TABLES: usize = 32;

impl Kernel<'_> {
    /// Sees to the page tables of some pages.
    fn need_tables(&mut self, task: Handle, items: &[Mapping]) -> Result<(), EnterError> {
        let task = self.task_mut(task).map_err(EnterError::Refused)?;
        if task.ended {
            return Err(EnterError::Refused(KernelError::WrongState));
        }
        let mut missing: Vec<u64> = Vec::new();
        for item in items {
            let first = item.page_address() / PAGE;
            for page in first..first + u64::from(item.frames) {
                let region = page / 512;
                if !task.tables.has_table(page)
                    && missing.last() != Some(&region)
                    && !missing.contains(&region)
                {
                    missing.push(region);
                }
            }
        }
        if missing.len() > task.stock.len() {
            return Err(EnterError::NeedTables((missing.len() - task.stock.len()) as u64));
        }
        for region in missing {
            if let Some(table) = task.stock.pop() {
                task.tables.add_table(region * 512, table);
            }
        }
        Ok(())
    }

    fn create_task(&mut self, root: u32, at: Handle) -> Result<(), KernelError> {
        law!("kernel", !self.handles[at.0 as usize], "the entry {at:?} is taken");
        self.handles[at.0 as usize] = true;
        self.take(root, Kind::PageTable(at));
        let task = Task {
            ended: false,
            tables: Tables::default(),
            stock: Vec::new(),
            root,
            capability_tables: Vec::new(),
            threads: 0,
            last_run: 0,
        };
        self.tasks[at.0 as usize] = Some(Box::new(task));
        Ok(())
    }

    /// All objects of a frame go.
    fn reclaim_objects(&mut self, frame: u32) {
        let living = self.objects.iter().find(|object| object.frame == frame && object.task.is_some());
        law!("kernel", living.is_none(), "frame {frame} is taken back, with a living task in it");
        self.objects.retain(|object| object.frame != frame);
    }

    /// The last capability to a task is dropped.
    fn drop_task(&mut self, task: &Task, handle: Handle) {
        let is_empty = task.stock.is_empty() && task.tables.count() == 0 && task.root == 0;
        law!("kernel", task.ended && is_empty, "a living task is dropped");
        law!("kernel", task.capability_tables.is_empty(), "a task goes before its capability table");
        for object in self.objects.iter_mut().filter(|object| object.task == Some(handle)) {
            object.task = None;
        }
    }
}

impl Pmap for Kernel<'_> {
    fn enter(&mut self, task: Handle, mappings: &[Mapping]) -> Result<(), EnterError> {
        self.count_call();
        self.need_tables(task, mappings)?;
        for item in mappings {
            let protection = item.protection();
            law!("kernel", protection.is_some(), "protection bits that mean nothing");
            for index in 0..item.frames {
                let (page, frame) = (item.page_address() / PAGE + u64::from(index), item.frame + index);
                self.require_plain(frame, "mapped");
                self.map_counts[frame as usize] += 1;
                let task = self.task_mut(task).map_err(EnterError::Refused)?;
                if let Some(old) = task.tables.set(page, frame, protection.unwrap_or_default()) {
                    self.map_counts[old.frame as usize] -= 1;
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, task: Handle, ranges: &[PageRange]) -> Result<(), KernelError> {
        self.count_call();
        let mut counts = std::mem::take(&mut self.map_counts);
        let result = self.task_mut(task).and_then(|task| {
            if task.ended {
                return Err(KernelError::WrongState);
            }
            for range in ranges {
                let first = range.address / PAGE;
                let (tables, stock) = (&mut task.tables, &mut task.stock);
                let gone = |frame: u32| counts[frame as usize] -= 1;
                tables.remove(first, first.saturating_add(range.pages), gone, |table| stock.push(table));
            }
            Ok(())
        });
        self.map_counts = counts;
        result
    }

    fn protect(&mut self, task: Handle, ranges: &[PageRange]) -> Result<(), KernelError> {
        self.count_call();
        let task = self.task_mut(task)?;
        if task.ended {
            return Err(KernelError::WrongState);
        }
        for range in ranges {
            let protection = Protection::from_bits(range.address % PAGE);
            law!("kernel", protection.is_some(), "protection bits that mean nothing");
            let first = range.address / PAGE;
            task.tables.protect(first, first.saturating_add(range.pages), protection.unwrap_or_default());
        }
        Ok(())
    }

    fn enter_device(
        &mut self,
        _task: Handle,
        _device: Handle,
        _address: u64,
        _first_page: u64,
        _pages: u64,
    ) -> Result<(), EnterError> {
        // No device of this machine has registers that user code may map.
        Err(EnterError::Refused(KernelError::WrongKind))
    }

    fn stock(&mut self, task: Handle, frames: &[u32]) -> Result<(), KernelError> {
        if self.task_mut(task)?.ended {
            return Err(KernelError::WrongState);
        }
        for &frame in frames {
            self.take(frame, Kind::PageTable(task));
            self.task_mut(task)?.stock.push(frame);
        }
        Ok(())
    }

    fn unstock(&mut self, task: Handle, frames: &mut [u32]) -> usize {
        self.count_call();
        let mut counts = std::mem::take(&mut self.map_counts);
        let mut found = Vec::new();
        if let Ok(task) = self.task_mut(task) {
            if task.ended && task.stock.is_empty() {
                let (tables, stock) = (&mut task.tables, &mut task.stock);
                tables.remove(0, u64::MAX, |frame| counts[frame as usize] -= 1, |table| stock.push(table));
                if task.stock.is_empty() && task.root != 0 {
                    task.stock.push(std::mem::take(&mut task.root));
                }
            }
            let left = task.stock.len().saturating_sub(frames.len());
            found = task.stock.split_off(left);
        }
        self.map_counts = counts;
        for (place, &frame) in frames.iter_mut().zip(&found) {
            self.give_back(frame);
            *place = frame;
        }
        found.len()
    }

    fn zero(&mut self, ranges: &[FrameRange]) {
        self.count_call();
        for range in ranges {
            self.require_plain(range.frame, "cleared");
            let first = usize::from(range.offset);
            self.frames[range.frame as usize][first..first + usize::from(range.bytes)].fill(0);
        }
    }

    fn copy(&mut self, spans: &[FrameSpan]) {
        self.count_call();
        for span in spans {
            law!("kernel", span.source != span.destination, "frame {} is copied to itself", span.source);
            self.require_plain(span.source, "copied");
            self.require_plain(span.destination, "written");
            let (from, to, bytes) = (
                usize::from(span.source_offset),
                usize::from(span.destination_offset),
                usize::from(span.bytes),
            );
            let places = [span.source as usize, span.destination as usize];
            if let Ok([source, destination]) = self.frames.get_disjoint_mut(places) {
                destination[to..to + bytes].copy_from_slice(&source[from..from + bytes]);
            }
        }
    }

    fn create(&mut self, object: NewObject, frame: u32, slot: u32, at: Handle) -> Result<(), KernelError> {
        self.count_call();
        let kind = Kind::Objects(Kernel::object_code(object));
        let is_taken = |object: &Object| object.frame == frame && object.slot == slot;
        if self.kinds[frame as usize] == kind && self.objects.iter().any(is_taken) {
            return Err(KernelError::Occupied);
        }
        if let Some(error) = self.refuses() {
            return Err(error);
        }
        if let NewObject::Thread { task } = object {
            let owner = self.task_mut(task)?;
            if owner.ended {
                return Err(KernelError::WrongState);
            }
            if owner.threads == THREADS_PER_TASK {
                return Err(KernelError::Busy);
            }
            owner.threads += 1;
        }
        if self.kinds[frame as usize] != kind {
            self.take(frame, kind);
        }
        let mut task = None;
        if let NewObject::Task { root, .. } = object {
            self.create_task(root, at)?;
            task = Some(at);
        }
        self.objects.push(Object { frame, slot, task });
        Ok(())
    }

    fn add_table(&mut self, task: Handle, frame: u32) -> Result<u32, KernelError> {
        let object = self.task_mut(task)?;
        if object.ended {
            return Err(KernelError::WrongState);
        }
        if object.capability_tables.len() == CAPABILITY_TABLES {
            return Err(KernelError::Busy);
        }
        object.capability_tables.push(frame);
        let first = (object.capability_tables.len() as u32 - 1) * 128 + 1;
        self.take(frame, Kind::CapabilityTable(task));
        Ok(first)
    }

    fn reclaim(&mut self, frame: u32) -> Result<(), KernelError> {
        self.count_call();
        match self.kinds[frame as usize] {
            Kind::Objects(_) => self.reclaim_objects(frame),
            Kind::CapabilityTable(task) => {
                let object = self.task_mut(task)?;
                law!("kernel", object.ended, "a living task loses its capability table");
                object.capability_tables.retain(|&table| table != frame);
            }
            kind => law!("kernel", false, "frame {frame}, {kind:?}, is not reclaimed"),
        }
        self.give_back(frame);
        Ok(())
    }

    fn kill(&mut self, task: Handle) {
        self.end_task(task);
    }

    fn query(&mut self, task: Handle, address: u64, output: &mut [u8], clear: Clear) {
        self.count_call();
        let Ok(task) = self.task_mut(task) else { return };
        for (state, page) in output.iter_mut().zip(address / PAGE..) {
            let Some(mapped) = task.tables.get(page).filter(|_| !task.ended) else { continue };
            let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
            *state =
                QUERY_PRESENT | bit(mapped.referenced, QUERY_REFERENCED) | bit(mapped.dirty, QUERY_DIRTY);
            let referenced = mapped.referenced && clear == Clear::Nothing;
            task.tables.note_use(page, referenced, mapped.dirty && clear != Clear::All);
        }
    }

    fn last_run(&mut self, task: Handle) -> u64 {
        self.count_call();
        self.task_mut(task).map_or(0, |task| task.last_run)
    }

    fn time_used(&mut self, _task: Handle) -> u64 {
        // Nothing in the simulation takes processor time.
        0
    }

    fn share_waiting(&mut self, _task: Handle) -> u64 {
        0
    }

    fn keep_notification(&mut self, sent: Handle, kept: Handle) -> Result<(), KernelError> {
        if sent != NOTIFICATION {
            return Err(KernelError::WrongKind);
        }
        law!("kernel", !self.handles[kept.0 as usize], "the entry {kept:?} is taken");
        self.handles[kept.0 as usize] = true;
        Ok(())
    }

    fn is_receiver(&mut self, _sent: Handle) -> bool {
        // Nobody in the simulation has an endpoint to receive at but physmem.
        false
    }

    fn signal(&mut self, notification: Handle) {
        law!("kernel", self.handles[notification.0 as usize], "no notification is kept at {notification:?}");
        self.signals += 1;
    }

    fn drop_handle(&mut self, handle: Handle) {
        self.handles[handle.0 as usize] = false;
        match self.tasks[handle.0 as usize].take() {
            Some(task) => self.drop_task(&task, handle),
            None => self.dropped.push(handle),
        }
    }

    fn answer(&mut self, reply: Handle, label: u32, _words: &[u64]) {
        let entry = std::mem::take(&mut self.handles[reply.0 as usize]);
        law!("kernel", entry, "no reply was saved at {reply:?}");
        self.answers.push(LateAnswer { reply, label });
    }
}
