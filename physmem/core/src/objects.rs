//! Kernel objects: frames that the kernel fills with objects of one kind, charged to one contract.
//!
//! Endpoints, notifications, schedules and tasks of a contract share frames; threads, page tables and capability tables belong
//! to one task. A slot is used once: the kernel gives an object's slot back only with its frame, so a frame of tasks
//! goes when all of them have ended, the others with their contract. Slots of ended threads the
//! kernel takes again.

use crate::badge::{Badge, BadgeKind};
use crate::contract::Charge;
use crate::database::{NO_FRAME, NOBODY, ObjectKind, State};
use crate::layout::{SPACES, contract, space};
use crate::limits::{DESTROY_STEP_MAPPINGS, DESTROY_STEP_TABLES, SPACES_PER_CONTRACT};
use crate::machine::Physmem;
use crate::pmap::{NewObject, Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_api::space::TableRoom;
use containers_core::container::Step;
use containers_core::record::{Contract, Field, Name, Record, Records, Space};
use kernel_abi::capability::CAPABILITIES_PER_FRAME;
use kernel_abi::object::{
    ENDPOINTS_PER_FRAME, NOTIFICATIONS_PER_FRAME, SCHEDULES_PER_FRAME, TASKS_PER_FRAME, THREADS_PER_FRAME,
};
use kernel_abi::{Handle, KernelError};

/// Kinds of objects that a contract's tasks share frames of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shared {
    Endpoint,
    Notification,
    Task,
    Schedule,
}

impl Shared {
    /// One of each ring.
    pub(crate) const RINGS: [Shared; 3] = [Shared::Endpoint, Shared::Notification, Shared::Task];

    /// Schedules are few: they share a ring with notifications, whose frames they never share.
    fn ring(self) -> Field<Contract, u32> {
        match self {
            Shared::Endpoint => contract::ENDPOINT_RING,
            Shared::Notification | Shared::Schedule => contract::NOTIFICATION_RING,
            Shared::Task => contract::TASK_RING,
        }
    }

    fn per_frame(self) -> u32 {
        match self {
            Shared::Endpoint => ENDPOINTS_PER_FRAME,
            Shared::Notification => NOTIFICATIONS_PER_FRAME,
            Shared::Task => TASKS_PER_FRAME,
            Shared::Schedule => SCHEDULES_PER_FRAME,
        }
    }

    fn kind(self) -> ObjectKind {
        match self {
            Shared::Endpoint => ObjectKind::Endpoint,
            Shared::Notification => ObjectKind::Notification,
            Shared::Task => ObjectKind::Task,
            Shared::Schedule => ObjectKind::Schedule,
        }
    }
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Charges a kernel frame and puts it into a ring. Errors: `ContractExhausted`.
    fn new_object_frame<R: Record>(
        &mut self,
        payer: Name<Contract>,
        owner: Name<R>,
        ring: Field<R, u32>,
        kind: ObjectKind,
    ) -> Result<u32, MemoryError> {
        self.charge(payer, Charge::Kernel, 1)?;
        let frame = self.take_for_kernel();
        self.database.set_object(frame, kind);
        let head = self.database.ring_push(self.get(owner, ring), frame);
        self.set(owner, ring, head);
        Ok(frame)
    }

    /// Gives a kernel frame, which is plain again, back.
    fn return_object_frame<R: Record>(
        &mut self,
        payer: Name<Contract>,
        owner: Name<R>,
        ring: Field<R, u32>,
        frame: u32,
    ) {
        let head = self.database.ring_remove(self.get(owner, ring), frame);
        self.set(owner, ring, head);
        self.database.free(frame, State::Object, false, NOBODY);
        self.discharge(payer, Charge::Kernel, 1);
    }

    /// Takes every frame of a ring back from the kernel.
    fn reclaim_ring<R: Record>(&mut self, payer: Name<Contract>, owner: Name<R>, ring: Field<R, u32>) {
        loop {
            let frame = self.get(owner, ring);
            if frame == NO_FRAME {
                return;
            }
            self.pmap.reclaim(frame).expect("the kernel gives back what nothing uses");
            self.return_object_frame(payer, owner, ring, frame);
        }
    }

    /// Takes all frames of shared objects back.
    pub(crate) fn reclaim_shared(&mut self, payer: Name<Contract>) {
        for shared in Shared::RINGS {
            self.reclaim_ring(payer, payer, shared.ring());
        }
    }

    /// Makes an object that shares frames, with a capability at `destination`; its frame. Errors: `ContractExhausted`.
    pub(crate) fn make_shared(
        &mut self,
        payer: Name<Contract>,
        shared: Shared,
        object: NewObject,
        destination: Handle,
    ) -> Result<u32, MemoryError> {
        loop {
            let head = self.get(payer, shared.ring());
            let (used, dead) = if head == NO_FRAME { (0, 0) } else { self.database.slots(head) };
            let fresh =
                head == NO_FRAME || !self.database.holds(head, shared.kind()) || used == shared.per_frame();
            let (frame, used, dead) = if fresh {
                (self.new_object_frame(payer, payer, shared.ring(), shared.kind())?, 0, 0)
            } else {
                (head, used, dead)
            };
            match self.pmap.create(object, frame, used, destination) {
                Ok(()) => {
                    self.database.set_slots(frame, used + 1, dead);
                    return Ok(frame);
                }
                Err(KernelError::Retired | KernelError::Occupied) if !fresh => {
                    self.database.set_slots(frame, used + 1, dead + 1);
                }
                Err(_) => {
                    if fresh {
                        self.return_object_frame(payer, payer, shared.ring(), frame);
                    }
                    return Err(MemoryError::Internal);
                }
            }
        }
    }

    /// Makes a task with an address space, whose faults come to physmem or, with their badge, to somebody else's endpoint.
    /// Errors: `ContractExhausted`, `NoRecord`, `Limit`.
    pub(crate) fn make_space(
        &mut self,
        payer: Name<Contract>,
        name: &str,
        faults: Option<(Handle, u64)>,
    ) -> Result<Name<Space>, MemoryError> {
        if self.get(payer, contract::SPACE_COUNT) >= SPACES_PER_CONTRACT {
            return Err(MemoryError::Limit);
        }
        let handle = self.handles.take().ok_or(MemoryError::Limit)?;
        let made = match self.create::<Space>(payer) {
            Ok(made) => made,
            Err(error) => {
                self.handles.give(handle);
                return Err(error);
            }
        };
        self.set(made, space::CONTRACT, payer);
        self.set(made, space::TASK, handle.0);
        self.set_name(made, space::NAME, space::NAME_REST, name);
        if let Err(error) = self.make_task(payer, made, handle, faults) {
            self.handles.give(handle);
            self.delete(payer, made);
            return Err(error);
        }
        let number = self.next_number();
        self.set(made, space::NUMBER, number);
        SPACES.push(self, payer, made);
        self.raise(payer, contract::SPACE_COUNT, 1);
        Ok(made)
    }

    /// Makes the task of a space with a first frame of capability table, or changes nothing.
    fn make_task(
        &mut self,
        payer: Name<Contract>,
        this: Name<Space>,
        task: Handle,
        faults: Option<(Handle, u64)>,
    ) -> Result<(), MemoryError> {
        let root = self.new_object_frame(payer, this, space::TABLE_RING, ObjectKind::PageTable)?;
        self.set(this, space::TABLE_COUNT, 1);
        let table =
            match self.new_object_frame(payer, this, space::CAPABILITY_RING, ObjectKind::CapabilityTable) {
                Ok(table) => table,
                Err(error) => {
                    self.return_object_frame(payer, this, space::TABLE_RING, root);
                    return Err(error);
                }
            };
        let fault_badge = faults.map_or(Badge::new(BadgeKind::Space, 0, this.word()).0, |(_, badge)| badge);
        let fault_endpoint = faults.map(|(endpoint, _)| endpoint);
        let name = [self.get(this, space::NAME), self.get(this, space::NAME_REST)];
        let object = NewObject::Task { root, fault_endpoint, fault_badge, name };
        match self.make_shared(payer, Shared::Task, object, task) {
            Ok(frame) => self.set(this, space::TASK_FRAME, frame),
            Err(error) => {
                self.return_object_frame(payer, this, space::CAPABILITY_RING, table);
                self.return_object_frame(payer, this, space::TABLE_RING, root);
                return Err(error);
            }
        }
        self.pmap.add_table(task, table).expect("a new task takes its first capability table");
        Ok(())
    }

    /// Makes room in a task's capability table. Errors: `ContractExhausted`, `Limit`, `Stale` (the task has ended).
    pub(crate) fn grow_table(&mut self, this: Name<Space>) -> Result<TableRoom, MemoryError> {
        let payer = self.get(this, space::CONTRACT);
        let ring = space::CAPABILITY_RING;
        let table = self.new_object_frame(payer, this, ring, ObjectKind::CapabilityTable)?;
        match self.pmap.add_table(Handle(self.get(this, space::TASK)), table) {
            // The first entry of each frame is the kernel's, and not among those it tells.
            Ok(first) => Ok(TableRoom { first, handles: CAPABILITIES_PER_FRAME - 1 }),
            Err(error) => {
                self.return_object_frame(payer, this, ring, table);
                Err(match error {
                    KernelError::Busy => MemoryError::Limit,
                    KernelError::WrongState | KernelError::Stale => MemoryError::Stale,
                    _ => MemoryError::Internal,
                })
            }
        }
    }

    /// Makes a thread, with a capability at `destination`. Errors: `ContractExhausted`, `Limit`, `Stale`.
    pub(crate) fn make_thread(&mut self, this: Name<Space>, destination: Handle) -> Result<(), MemoryError> {
        if self.reuse_thread(this, destination)? {
            return Ok(());
        }
        let payer = self.get(this, space::CONTRACT);
        let fresh = self.new_object_frame(payer, this, space::THREAD_RING, ObjectKind::Thread)?;
        match self.try_thread(this, fresh, 0, destination) {
            Ok(true) => Ok(()),
            result => {
                self.return_object_frame(payer, this, space::THREAD_RING, fresh);
                Err(result.err().unwrap_or(MemoryError::Internal))
            }
        }
    }

    /// Makes a thread in a frame that the space has; whether there was room. Errors: `Limit`, `Stale`.
    pub(crate) fn reuse_thread(
        &mut self,
        this: Name<Space>,
        destination: Handle,
    ) -> Result<bool, MemoryError> {
        let head = self.get(this, space::THREAD_RING);
        let mut frame = head;
        while frame != NO_FRAME {
            for slot in 0..THREADS_PER_FRAME {
                if self.try_thread(this, frame, slot, destination)? {
                    return Ok(true);
                }
            }
            frame = self.database.ring_next(frame);
            if frame == head {
                break;
            }
        }
        Ok(false)
    }

    /// Whether a slot could be used for a thread.
    fn try_thread(
        &mut self,
        this: Name<Space>,
        frame: u32,
        slot: u32,
        destination: Handle,
    ) -> Result<bool, MemoryError> {
        let task = Handle(self.get(this, space::TASK));
        match self.pmap.create(NewObject::Thread { task }, frame, slot, destination) {
            Ok(()) => {
                self.raise(this, space::THREAD_COUNT, 1);
                Ok(true)
            }
            Err(KernelError::Occupied | KernelError::Retired) => Ok(false),
            Err(KernelError::Busy) => Err(MemoryError::Limit),
            Err(KernelError::WrongState | KernelError::Stale) => Err(MemoryError::Stale),
            Err(_) => Err(MemoryError::Internal),
        }
    }

    /// Counts a page table that goes into a space's stock; its charge is taken.
    pub(crate) fn keep_table(&mut self, this: Name<Space>, frame: u32) {
        self.database.set_object(frame, ObjectKind::PageTable);
        let head = self.database.ring_push(self.get(this, space::TABLE_RING), frame);
        self.set(this, space::TABLE_RING, head);
        self.raise(this, space::TABLE_COUNT, 1);
    }

    /// Takes back a page table that did not go into the stock.
    pub(crate) fn drop_table(&mut self, this: Name<Space>, frame: u32) {
        let payer = self.get(this, space::CONTRACT);
        self.return_object_frame(payer, this, space::TABLE_RING, frame);
        self.lower(this, space::TABLE_COUNT, 1);
    }

    /// Ends a task and everything that belongs to it, a step of it. From the first step on its capability is stale.
    pub(crate) fn destroy_space_step(&mut self, this: Name<Space>) -> Step {
        let payer = self.get(this, space::CONTRACT);
        let task = Handle(self.get(this, space::TASK));
        if !self.get(this, space::GOING) {
            self.set(this, space::GOING, true);
            self.set(this, space::ENDED, true);
            self.pmap.kill(task);
            self.drop_waiters(this);
        }
        for _ in 0..DESTROY_STEP_TABLES {
            if !self.unstock(this) {
                break;
            }
        }
        let mut mappings = 0;
        while let Some(first) = self.get(this, space::MAPPINGS) {
            if mappings == DESTROY_STEP_MAPPINGS {
                return Step::More;
            }
            self.delete_mapping(first);
            mappings += 1;
        }
        if self.unstock(this) {
            return Step::More;
        }
        self.reclaim_ring(payer, this, space::THREAD_RING);
        self.reclaim_ring(payer, this, space::CAPABILITY_RING);
        assert!(self.get(this, space::TABLE_RING) == NO_FRAME, "an ended task keeps page tables");
        let frame = self.get(this, space::TASK_FRAME);
        let (used, dead) = self.database.slots(frame);
        self.database.set_slots(frame, used, dead + 1);
        self.pmap.drop_handle(task);
        self.handles.give(task);
        if dead + 1 == used {
            self.pmap.reclaim(frame).expect("the kernel gives back a frame of ended tasks");
            self.return_object_frame(payer, payer, contract::TASK_RING, frame);
        }
        self.space_goes(this);
        SPACES.remove(self, payer, this);
        self.lower(payer, contract::SPACE_COUNT, 1);
        self.delete(payer, this);
        Step::Done
    }
}
