//! Kernel objects and page tables of children, made by the parent.
//!
//! A frame is given up for each frame of kernel objects that the logic counts. Endpoints, notifications and schedules end with
//! their contract alone, so each frame of them has a contract of its own at the parent, which holds one frame.
//! Everything of a task goes with its address space.

use crate::parent::Parent;
use crate::pmap::{ParentPmap, TaskNote};
use containers_api::container::{Allocate, Deallocate};
use containers_api::contract::{
    ContractDestroy, EndpointCreate, NotificationCreate, ScheduleCreate, SpaceCreateFor, Split,
};
use containers_api::space::{SpaceDestroy, Stock, TableGrow, ThreadCreate, ThreadReuse, Unstock};
use containers_api::{MemoryError, Name};
use kernel_abi::{Handle, KernelError};
use physmem_core::database::NO_FRAME;
use physmem_core::pmap::NewObject;

/// What contracts for endpoints and notifications are called.
const OBJECTS_NAME: &str = "objects";

fn kernel_error(error: MemoryError) -> KernelError {
    match error {
        MemoryError::Stale => KernelError::WrongState,
        MemoryError::Limit => KernelError::Busy,
        _ => KernelError::NoTable,
    }
}

impl<C: Parent> ParentPmap<'_, C> {
    /// Gives a frame up, so that the parent can charge one for a kernel object; whether it was not before.
    fn give_up(&mut self, frame: u32) -> bool {
        let was_given_up = core::mem::replace(&mut self.frames[frame as usize].given_up, true);
        if !was_given_up && let Some(place) = self.banks.place(frame) {
            let _ = self.parent.ask(place.container, &Deallocate { first_page: place.page, pages: 1 }, &[]);
        }
        !was_given_up
    }

    /// Takes a frame that was given up back, with whatever contents. Where the parent has none it stays without, until it is
    /// cleared.
    fn take_back(&mut self, frame: u32) {
        self.frames[frame as usize].given_up = false;
        if let Some(place) = self.banks.place(frame) {
            let request = Allocate { first_page: place.page, pages: 1, any_contents: true };
            let _ = self.parent.ask(place.container, &request, &[]);
        }
    }

    pub(crate) fn create_object(
        &mut self,
        object: NewObject,
        frame: u32,
        slot: u32,
        destination: Handle,
    ) -> Result<(), KernelError> {
        let is_fresh = self.give_up(frame);
        let result = match object {
            NewObject::Endpoint | NewObject::Notification | NewObject::Schedule => {
                self.create_in_contract(object, frame, destination)
            }
            NewObject::Thread { task } => self.create_thread(task, is_fresh, slot, destination),
            NewObject::Task { root, fault_endpoint, fault_badge, name } => {
                let endpoint = fault_endpoint.unwrap_or(self.endpoint);
                self.create_task(root, (endpoint, fault_badge), name, destination)
            }
        };
        if result.is_err() && is_fresh {
            self.end_contract(frame);
            self.take_back(frame);
        }
        result
    }

    fn create_in_contract(
        &mut self,
        object: NewObject,
        frame: u32,
        destination: Handle,
    ) -> Result<(), KernelError> {
        if self.frames[frame as usize].contract == 0 {
            let handle = self.handles.take().ok_or(KernelError::NoTable)?;
            let split = Split::new(1, 0, 0, Name::truncated(OBJECTS_NAME));
            if let Err(refused) = self.parent.ask_for(self.contract, &split, &[], &[handle]) {
                self.handles.give(handle);
                return Err(kernel_error(refused.error));
            }
            self.frames[frame as usize].contract = handle.0;
        }
        let contract = Handle(self.frames[frame as usize].contract);
        let made = match object {
            NewObject::Endpoint => self.parent.ask_for(contract, &EndpointCreate {}, &[], &[destination]),
            NewObject::Schedule => self.parent.ask_for(contract, &ScheduleCreate {}, &[], &[destination]),
            _ => self.parent.ask_for(contract, &NotificationCreate {}, &[], &[destination]),
        };
        made.map(drop).map_err(|refused| kernel_error(refused.error))
    }

    /// The parent finds the slot: it is asked once a frame.
    fn create_thread(
        &mut self,
        task: Handle,
        is_fresh: bool,
        slot: u32,
        destination: Handle,
    ) -> Result<(), KernelError> {
        let space = self.space(task);
        if is_fresh {
            let made = self.parent.ask_for(space, &ThreadCreate {}, &[], &[destination]);
            return made.map(drop).map_err(|refused| kernel_error(refused.error));
        }
        if slot != 0 {
            return Err(KernelError::Occupied);
        }
        let made = self.parent.ask_for(space, &ThreadReuse {}, &[], &[destination]);
        made.map(drop).map_err(|refused| match refused.error {
            MemoryError::ContractExhausted => KernelError::Occupied,
            error => kernel_error(error),
        })
    }

    fn create_task(
        &mut self,
        root: u32,
        (endpoint, fault_badge): (Handle, u64),
        name: [u64; 2],
        destination: Handle,
    ) -> Result<(), KernelError> {
        let space = self.handles.take().ok_or(KernelError::NoTable)?;
        let bytes = (u128::from(name[0]) | u128::from(name[1]) << 64).to_le_bytes();
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let name = Name::truncated(core::str::from_utf8(&bytes[..end]).unwrap_or(""));
        self.give_up(root);
        let request = SpaceCreateFor { fault_badge, name };
        match self.parent.ask_for(self.contract, &request, &[endpoint], &[destination, space]) {
            Ok(_) => {
                self.tasks[destination.0 as usize] = TaskNote { space: space.0, ..TaskNote::default() };
                self.push_table(destination, root);
                Ok(())
            }
            Err(refused) => {
                self.take_back(root);
                self.handles.give(space);
                Err(kernel_error(refused.error))
            }
        }
    }

    /// The first capability table is there since the task is; it is only counted.
    pub(crate) fn add_capability_table(&mut self, task: Handle, frame: u32) -> Result<u32, KernelError> {
        self.give_up(frame);
        if !core::mem::replace(&mut self.tasks[task.0 as usize].has_table, true) {
            return Ok(0);
        }
        match self.parent.ask(self.space(task), &TableGrow {}, &[]) {
            Ok(room) => Ok(room.first),
            Err(refused) => {
                self.take_back(frame);
                Err(kernel_error(refused.error))
            }
        }
    }

    fn push_table(&mut self, task: Handle, frame: u32) {
        let note = &mut self.tasks[task.0 as usize];
        self.frames[frame as usize].next = core::mem::replace(&mut note.tables, frame);
    }

    pub(crate) fn stock_tables(&mut self, task: Handle, frames: &[u32]) -> Result<(), KernelError> {
        for &frame in frames {
            self.give_up(frame);
        }
        match self.parent.ask(self.space(task), &Stock { tables: frames.len() as u64 }, &[]) {
            Ok(_) => {
                frames.iter().for_each(|&frame| self.push_table(task, frame));
                Ok(())
            }
            Err(refused) => {
                frames.iter().for_each(|&frame| self.take_back(frame));
                self.tasks[task.0 as usize].ended |= refused.error == MemoryError::Stale;
                Err(kernel_error(refused.error))
            }
        }
    }

    pub(crate) fn unstock_tables(&mut self, task: Handle, frames: &mut [u32]) -> usize {
        let mut most = frames.len();
        if !self.tasks[task.0 as usize].ended {
            let returned = self.parent.ask(self.space(task), &Unstock {}, &[]);
            most = most.min(returned.map_or(0, |returned| returned.tables as usize));
        }
        let mut taken = 0;
        while taken < most {
            let first = self.tasks[task.0 as usize].tables;
            if first == NO_FRAME {
                break;
            }
            self.tasks[task.0 as usize].tables = self.frames[first as usize].next;
            self.take_back(first);
            frames[taken] = first;
            taken += 1;
        }
        taken
    }

    /// The parent ends the task and takes all that it is made of; the logic takes its frames back one by one.
    pub(crate) fn end_task(&mut self, task: Handle) {
        let space = self.space(task);
        // One that is gone already needs no ending.
        let _ = self.parent.ask(space, &SpaceDestroy {}, &[]);
        self.parent.drop_handle(space);
        self.handles.give(space);
        let note = &mut self.tasks[task.0 as usize];
        note.space = Handle::NULL.0;
        note.ended = true;
    }

    pub(crate) fn reclaim_frame(&mut self, frame: u32) {
        self.end_contract(frame);
        self.take_back(frame);
    }

    /// Ends the contract of a frame of endpoints or notifications.
    fn end_contract(&mut self, frame: u32) {
        let contract = Handle(core::mem::take(&mut self.frames[frame as usize].contract));
        if contract != Handle::NULL {
            let _ = self.parent.ask(contract, &ContractDestroy {}, &[]);
            self.parent.drop_handle(contract);
            self.handles.give(contract);
        }
    }
}
