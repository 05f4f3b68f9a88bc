//! [`Pmap`] by requests to the parent: mappings and contents of frames. Kernel objects are in `objects`.
//!
//! Nothing here fails where the kernel would not, but for want of frames at the parent. A page whose frame the parent has
//! seized is found by the parent when it is entered: [`EnterError::Lost`]. It stays so until it is cleared for its
//! next holder. Contents that could not be cleared or copied leave the page without a frame, which counts as
//! lost: nobody is shown what is not theirs, or zeros in place of what they had.

use crate::bank::{Banks, CLOCK_FRAME};
use crate::parent::{Parent, Refused};
use containers_api::MemoryError;
use containers_api::container::{Allocate, Copy, Deallocate};
use containers_api::space::{
    ENTER_PAGES_MAX, Enter, MapClock, MapDevice, MapProtection, Protect, RunQuery, Runs, SpaceDestroy,
    USE_PAGES_MAX, Unmap, UseClear, UseQuery,
};
use kernel_abi::pmap::{FrameRange, FrameSpan, Mapping, PageRange, Protection};
use kernel_abi::{FRAME_BYTES, Handle, KernelError, USER_END};
use physmem_core::handles::Handles;
use physmem_core::pmap::{Clear, EnterError, NewObject, Pmap};

/// What is known of a frame beyond what the logic knows. All zero: nothing.
#[derive(Clone, Copy, Default, Debug)]
pub struct FrameNote {
    /// Next page table of the same task.
    pub(crate) next: u32,
    /// The parent's contract that holds the endpoints or notifications for which the frame was given up; 0: none.
    pub(crate) contract: u32,
    /// It was given up, for kernel objects or for good.
    pub(crate) given_up: bool,
}

/// What is known of a task, by its handle. All zero: nothing.
#[derive(Clone, Copy, Default, Debug)]
pub struct TaskNote {
    /// The parent's address space.
    pub(crate) space: u32,
    /// First page table.
    pub(crate) tables: u32,
    /// The capability table that comes with a task was counted.
    pub(crate) has_table: bool,
    /// It has ended, and the parent has taken everything of it.
    pub(crate) ended: bool,
}

/// A stacked physmem's kernel.
pub struct ParentPmap<'a, C> {
    /// The parent.
    pub parent: C,
    /// The contract that everything is held under.
    pub(crate) contract: Handle,
    /// Where children's faults and requests come to.
    pub(crate) endpoint: Handle,
    /// A container without a frame: the source of zeros.
    pub(crate) zeros: Handle,
    pub(crate) banks: Banks<'a>,
    pub(crate) frames: &'a mut [FrameNote],
    pub(crate) tasks: &'a mut [TaskNote],
    /// Entries for spaces and contracts of the parent's.
    pub(crate) handles: Handles,
}

/// What a [`ParentPmap`] begins with.
pub struct Begin<'a, C> {
    /// The parent.
    pub parent: C,
    /// The contract that everything is held under.
    pub contract: Handle,
    /// Where children's faults and requests come to, with the right to receive there.
    pub endpoint: Handle,
    /// A container of a page that never gets a frame.
    pub zeros: Handle,
    /// The banks, every page of them allocated but page 0.
    pub banks: Banks<'a>,
    /// A note for each frame, all zero.
    pub frames: &'a mut [FrameNote],
    /// A note for each handle that the logic may use, all zero.
    pub tasks: &'a mut [TaskNote],
    /// Empty entries, first and end.
    pub handles: (Handle, Handle),
}

impl<'a, C: Parent> ParentPmap<'a, C> {
    /// Ready for the logic.
    pub fn new(begin: Begin<'a, C>) -> ParentPmap<'a, C> {
        let Begin { parent, contract, endpoint, zeros, banks, frames, tasks, handles } = begin;
        let handles = Handles::new(handles.0, handles.1);
        ParentPmap { parent, contract, endpoint, zeros, banks, frames, tasks, handles }
    }

    /// Where children's faults and requests come to.
    pub fn endpoint(&self) -> Handle {
        self.endpoint
    }

    /// The banks.
    pub fn banks(&self) -> Banks<'a> {
        self.banks
    }

    /// Whether a frame was given up, for kernel objects of the parent's or for good.
    pub fn is_given_up(&self, frame: u32) -> bool {
        self.frames[frame as usize].given_up
    }

    pub(crate) fn space(&self, task: Handle) -> Handle {
        Handle(self.tasks[task.0 as usize].space)
    }

    fn has_ended(&self, task: Handle) -> bool {
        self.tasks[task.0 as usize].ended
    }

    /// Takes the contents of successive frames away and gives them zeros.
    fn clear(&mut self, frame: u32, frames: u32) {
        let (mut frame, end) = (frame, frame + frames);
        while frame < end {
            let run = self.banks.run(frame, end - frame);
            if let Some(place) = self.banks.place(frame) {
                let (first_page, pages) = (place.page, u64::from(run));
                // Where the second one fails the pages stay without frames, and are refused when they are entered.
                let _ = self.parent.ask(place.container, &Deallocate { first_page, pages }, &[]);
                let allocate = Allocate { first_page, pages, any_contents: false };
                let _ = self.parent.ask(place.container, &allocate, &[]);
            }
            frame += run;
        }
    }

    /// Takes a frame's contents away: whoever enters it is told that they are lost.
    pub(crate) fn forget(&mut self, frame: u32) {
        if let Some(place) = self.banks.place(frame) {
            let _ = self.parent.ask(place.container, &Deallocate { first_page: place.page, pages: 1 }, &[]);
        }
    }

    fn copy_bytes(&mut self, from: (Handle, u64), to: (Handle, u64), bytes: u64) -> Result<(), Refused> {
        let request = Copy { source_offset: from.1, destination_offset: to.1, bytes };
        self.parent.ask(from.0, &request, &[to.0]).map(drop)
    }

    fn clear_part(&mut self, range: &FrameRange) {
        let Some(place) = self.banks.place(range.frame) else { return };
        let to = place.page * FRAME_BYTES + u64::from(range.offset);
        if self.copy_bytes((self.zeros, 0), (place.container, to), u64::from(range.bytes)).is_err() {
            self.forget(range.frame);
        }
    }

    fn copy_span(&mut self, span: &FrameSpan) {
        let (Some(from), Some(to)) = (self.banks.place(span.source), self.banks.place(span.destination))
        else {
            return;
        };
        let source = (from.container, from.page * FRAME_BYTES + u64::from(span.source_offset));
        let destination = (to.container, to.page * FRAME_BYTES + u64::from(span.destination_offset));
        if self.copy_bytes(source, destination, u64::from(span.bytes)).is_err() {
            self.forget(span.destination);
        }
    }

    fn enter_one(&mut self, space: Handle, item: &Mapping) -> Result<(), EnterError> {
        let address = item.page_address();
        if item.frame == CLOCK_FRAME {
            return self.parent.ask(space, &MapClock { address }, &[]).map(drop).map_err(enter_error);
        }
        let protection = map_protection(item.protection().unwrap_or_default());
        let mut done = 0;
        while done < item.frames {
            let frame = item.frame + done;
            let run = self.banks.run(frame, (item.frames - done).min(ENTER_PAGES_MAX as u32));
            let refused = EnterError::Refused(KernelError::InvalidArgument);
            let place = self.banks.place(frame).ok_or(refused)?;
            let address = address + u64::from(done) * FRAME_BYTES;
            let request = Enter { address, pages: u64::from(run), first_page: place.page, protection };
            self.parent.ask(space, &request, &[place.container]).map_err(enter_error)?;
            done += run;
        }
        Ok(())
    }

    fn remove_range(&mut self, task: Handle, address: u64, pages: u64) {
        let space = self.space(task);
        match self.parent.ask(space, &Unmap { address, pages }, &[]) {
            Ok(_) | Err(Refused { error: MemoryError::Stale, .. }) => return,
            Err(_) => {}
        }
        // A mapping would have to be split and there is no record for it. Pages around come back by faults.
        let around = ENTER_PAGES_MAX * FRAME_BYTES;
        let start = address.saturating_sub(around);
        let end = (address + pages * FRAME_BYTES + around).min(USER_END);
        let wide = Unmap { address: start, pages: (end - start) / FRAME_BYTES };
        if self.parent.ask(space, &wide, &[]).is_err() {
            // Whoever cannot be kept from a page must not run on.
            let _ = self.parent.ask(space, &SpaceDestroy {}, &[]);
            self.tasks[task.0 as usize].ended = true;
        }
    }
}

fn map_protection(protection: Protection) -> MapProtection {
    let mut bits = MapProtection::empty();
    bits.set(MapProtection::WRITE, protection.contains(Protection::WRITE));
    bits.set(MapProtection::EXECUTE, protection.contains(Protection::EXECUTE));
    bits
}

fn enter_error(refused: Refused) -> EnterError {
    match refused.error {
        MemoryError::NeedTables => EnterError::NeedTables(refused.detail),
        MemoryError::Lost => EnterError::Lost,
        MemoryError::Stale => EnterError::Refused(KernelError::WrongState),
        MemoryError::Limit => EnterError::Refused(KernelError::MapCountFull),
        MemoryError::OutOfRange => EnterError::Refused(KernelError::InvalidArgument),
        _ => EnterError::Refused(KernelError::Busy),
    }
}

impl<C: Parent> Pmap for ParentPmap<'_, C> {
    fn enter(&mut self, task: Handle, mappings: &[Mapping]) -> Result<(), EnterError> {
        if self.has_ended(task) {
            return Err(EnterError::Refused(KernelError::WrongState));
        }
        let space = self.space(task);
        mappings.iter().try_for_each(|item| self.enter_one(space, item))
    }

    fn remove(&mut self, task: Handle, ranges: &[PageRange]) -> Result<(), KernelError> {
        for range in ranges {
            if self.has_ended(task) {
                return Err(KernelError::WrongState);
            }
            self.remove_range(task, range.address & !(FRAME_BYTES - 1), range.pages);
        }
        Ok(())
    }

    fn protect(&mut self, task: Handle, ranges: &[PageRange]) -> Result<(), KernelError> {
        for range in ranges {
            if self.has_ended(task) {
                return Err(KernelError::WrongState);
            }
            let address = range.address & !(FRAME_BYTES - 1);
            let bits = Protection::from_bits_truncate(range.address & (FRAME_BYTES - 1));
            let request = Protect { address, pages: range.pages, protection: map_protection(bits) };
            match self.parent.ask(self.space(task), &request, &[]) {
                // Out of range: nothing is mapped there.
                Ok(_) | Err(Refused { error: MemoryError::OutOfRange | MemoryError::Stale, .. }) => {}
                Err(_) => self.remove_range(task, address, range.pages),
            }
        }
        Ok(())
    }

    fn enter_device(
        &mut self,
        task: Handle,
        device: Handle,
        address: u64,
        first_page: u64,
        pages: u64,
    ) -> Result<(), EnterError> {
        let request = MapDevice { address, first_page, pages };
        self.parent.ask(self.space(task), &request, &[device]).map(drop).map_err(enter_error)
    }

    fn stock(&mut self, task: Handle, frames: &[u32]) -> Result<(), KernelError> {
        self.stock_tables(task, frames)
    }

    fn unstock(&mut self, task: Handle, frames: &mut [u32]) -> usize {
        self.unstock_tables(task, frames)
    }

    fn surrender(&mut self, frames: &mut [u32]) {
        self.give_away(frames);
    }

    fn zero(&mut self, ranges: &[FrameRange]) {
        let is_whole = |range: &FrameRange| range.offset == 0 && u64::from(range.bytes) == FRAME_BYTES;
        let mut rest = ranges;
        while let Some((first, _)) = rest.split_first() {
            if !is_whole(first) {
                self.clear_part(first);
                rest = &rest[1..];
                continue;
            }
            let successive = rest
                .iter()
                .zip(first.frame..)
                .take_while(|(range, frame)| is_whole(range) && range.frame == *frame);
            let run = successive.count();
            self.clear(first.frame, run as u32);
            rest = &rest[run..];
        }
    }

    fn copy(&mut self, spans: &[FrameSpan]) {
        spans.iter().for_each(|span| self.copy_span(span));
    }

    fn create(
        &mut self,
        object: NewObject,
        frame: u32,
        slot: u32,
        destination: Handle,
    ) -> Result<(), KernelError> {
        self.create_object(object, frame, slot, destination)
    }

    fn add_table(&mut self, task: Handle, frame: u32) -> Result<u32, KernelError> {
        self.add_capability_table(task, frame)
    }

    fn reclaim(&mut self, frame: u32) -> Result<(), KernelError> {
        self.reclaim_frame(frame);
        Ok(())
    }

    fn kill(&mut self, task: Handle) {
        self.end_task(task);
    }

    fn drop_handle(&mut self, handle: Handle) {
        self.parent.drop_handle(handle);
    }

    fn query(&mut self, task: Handle, address: u64, output: &mut [u8], clear: Clear) {
        if self.has_ended(task) {
            return;
        }
        let clear = match clear {
            Clear::Nothing => UseClear::Nothing,
            Clear::Referenced => UseClear::Referenced,
            Clear::All => UseClear::All,
        };
        let space = self.space(task);
        for (piece, part) in output.chunks_mut(USE_PAGES_MAX as usize).enumerate() {
            let address = address + piece as u64 * USE_PAGES_MAX * FRAME_BYTES;
            let request = UseQuery { address, pages: part.len() as u64, clear };
            if let Ok(found) = self.parent.ask(space, &request, &[]) {
                part.iter_mut().zip(found.pages.as_slice()).for_each(|(to, from)| *to = *from);
            }
        }
    }

    fn last_run(&mut self, task: Handle) -> u64 {
        self.runs(task).map_or(0, |runs| runs.last)
    }

    fn time_used(&mut self, task: Handle) -> u64 {
        self.runs(task).map_or(0, |runs| runs.used_ns)
    }

    fn share_waiting(&mut self, task: Handle) -> u64 {
        self.runs(task).map_or(0, |runs| runs.share_waiting)
    }

    fn keep_notification(&mut self, sent: Handle, kept: Handle) -> Result<(), KernelError> {
        self.parent.keep_notification(sent, kept)
    }

    fn is_receiver(&mut self, sent: Handle) -> bool {
        self.parent.is_receiver(sent)
    }

    fn signal(&mut self, notification: Handle) {
        self.parent.signal(notification);
    }

    fn answer(&mut self, reply: Handle, label: u32, words: &[u64]) {
        self.parent.answer(reply, label, words);
    }
}

impl<C: Parent> ParentPmap<'_, C> {
    /// When a task ran, unless it has ended.
    fn runs(&mut self, task: Handle) -> Option<Runs> {
        if self.has_ended(task) {
            return None;
        }
        let space = self.space(task);
        self.parent.ask(space, &RunQuery {}, &[]).ok()
    }
}
