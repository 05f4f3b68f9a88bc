//! The block driver: the disk's logic that boots (`filesystems-block-core`), and what `filesystems/block/server` does
//! around it: telling it the frames, releasing locks, answering.

use crate::device::{DriverDisk, SharedDevice};
use crate::env::{BlockAnswer, BlockCall, Counter, Env};

use crate::world::{Refused, Wait};
use containers_api::contract::{ContractDestroy, Examine, ObjectKind};
use containers_api::control::ControlRights;
use containers_api::dma::QuarantineRelease;
use containers_api::lock::{LockRelease, LockRuns};
use containers_api::{MemoryError, control};
use filesystems_api::block::{BlockDone, BlockError};
use filesystems_block_core::{Completion, Direction, PhysicalRuns, REQUESTS};
use kernel_protocol::{ErrorCode, Refusal};
use physmem_core::badge::Badge;

/// The number by which the driver's maker knows the device.
const DEVICE: u64 = 3;
/// How often the driver looks at the disk while it waits.
const LOOK_NS: u64 = 1_000_000;

/// A read in progress.
struct Pending {
    call: u64,
    lock: u64,
}

/// See the module.
pub struct Driver {
    /// Its contract.
    pub contract: u64,
    authority: u64,
    disk: DriverDisk,
    pending: [Option<Pending>; REQUESTS],
    /// When it looks at the disk, whatever interrupts come.
    timer: Option<u64>,
    /// What its one thread waits for before it makes its last request again.
    waiting: Option<Wait>,
}

impl Driver {
    /// Starts under a new contract: stops the device, then releases what the last driver left. None: not now.
    pub fn new(
        env: &mut Env<'_>,
        parent: u64,
        guaranteed: u64,
        pins: u64,
        device: &SharedDevice,
    ) -> Option<Driver> {
        let contract = env.world.split(parent, (guaranteed, 0, pins), 0)?;
        let started = Driver::bring_up(env, contract, device);
        if started.is_none() {
            let result = env.world.ask(contract, &ContractDestroy {}, &[]);
            super::require_destroyed(env, result);
        }
        started
    }

    fn bring_up(env: &mut Env<'_>, contract: u64, device: &SharedDevice) -> Option<Driver> {
        let control: Badge = crate::world::Machine::control_badge(ControlRights::all());
        let request = control::DmaAuthority { device: DEVICE };
        let authority = env.world.ask_badge(control.0, &request, &[contract]).ok()?;
        let mut transport = device.transport().ok()?;
        transport.reset().ok()?;
        let mut released = 0;
        loop {
            env.world.touched.much = true;
            let answer = env.world.ask(authority, &QuarantineRelease {}, &[]).ok()?;
            match answer.frames {
                0 => break,
                frames => released += frames,
            }
        }
        env.record.add(Counter::Quarantined, released);
        env.record.note(released, || format!("has stopped the disk; {released} frames leave quarantine"));
        let disk = DriverDisk::start(transport, device.clone()).ok()?;
        Some(Driver {
            contract,
            authority,
            disk,
            pending: [const { None }; REQUESTS],
            timer: None,
            waiting: None,
        })
    }

    /// Ends: its calls fail, the device goes on with what it has.
    pub fn destroy(self, env: &mut Env<'_>) {
        env.world.touched.much = true;
        let result = env.world.ask(self.contract, &ContractDestroy {}, &[]);
        super::require_destroyed(env, result);
        for pending in self.pending.into_iter().flatten() {
            let at = env.now();
            env.to_workers.push(BlockAnswer { call: pending.call, at, result: None });
        }
    }

    /// When it looks at the disk next.
    pub fn next_look(&self) -> Option<u64> {
        self.timer
    }

    /// Takes a step: an interrupt or the timer, else a message.
    pub fn step(&mut self, env: &mut Env<'_>, device: &SharedDevice) {
        if let Some(wait) = self.waiting {
            if env.world.is_over(wait).is_none() {
                return;
            }
            self.waiting = None;
        }
        let interrupted = device.0.borrow().interrupt;
        let timer = self.timer.is_some_and(|moment| moment <= env.now());
        if interrupted || timer {
            if interrupted {
                self.disk.take_interrupt();
            }
            if timer {
                self.timer = None;
            }
            self.finish(env);
        } else if let Some(call) = env.to_driver.pop_front()
            && let Err(refusal) = self.read(env, &call)
        {
            env.record.note(call.call, || format!("refuses a request: {}", refusal.error));
            let at = env.now();
            env.to_workers.push(BlockAnswer { call: call.call, at, result: Some(Err(refusal)) });
        }
        let now = env.now();
        device.0.borrow_mut().take_work(now, &mut env.random);
        self.set_timer(now);
    }

    fn set_timer(&mut self, now: u64) {
        if let (None, Some(deadline)) = (self.timer, self.disk.deadline()) {
            self.timer = Some(deadline.min(now + LOOK_NS));
        }
    }

    fn read(&mut self, env: &mut Env<'_>, call: &BlockCall) -> Result<(), Refusal<BlockError>> {
        let examined = env.world.ask(self.contract, &Examine {}, &[call.lock]).map_err(bad_lock)?;
        if examined.kind != ObjectKind::Lock {
            return Err(BlockError::BadLock.into());
        }
        if !self.disk.has_room() {
            return Err(BlockError::Busy.into());
        }
        let runs = match self.runs(env, call.lock) {
            Ok(runs) => runs,
            Err(None) => {
                env.to_driver.push_front(*call);
                return Ok(());
            }
            Err(Some(refusal)) => {
                self.release(env, call.lock, 0);
                return Err(refusal);
            }
        };
        match self.disk.submit(Direction::Read, &call.extents, &runs, env.now()) {
            Ok(slot) => {
                env.record.note(slot as u64, || format!("gives the disk request {slot}"));
                self.pending[slot] = Some(Pending { call: call.call, lock: call.lock });
                Ok(())
            }
            Err(error) => {
                self.release(env, call.lock, 0);
                Err(error.into())
            }
        }
    }

    fn runs(&mut self, env: &mut Env<'_>, lock: u64) -> Result<PhysicalRuns, Option<Refusal<BlockError>>> {
        let mut runs = PhysicalRuns::new();
        loop {
            let request = LockRuns { first_page: runs.covered(), is_read: false };
            let answer = env.world.ask(lock, &request, &[self.authority, self.contract]);
            if let Err(refused) = &answer
                && refused.error == MemoryError::Again
            {
                self.waiting = Wait::of(refused);
                return Err(None);
            }
            let answer = answer.map_err(|refused| Some(bad_lock(refused)))?;
            if runs.extend(&answer).map_err(|_| Some(BlockError::BadLock.into()))? {
                return Ok(runs);
            }
        }
    }

    /// Whether what was written is in the range: the lock was not over before.
    fn release(&mut self, env: &mut Env<'_>, lock: u64, written_bytes: u64) -> bool {
        env.world.touched.much = true;
        let result = env.world.ask(lock, &LockRelease { written_bytes }, &[]);
        env.record
            .note(written_bytes, || format!("releases a lock, {written_bytes} bytes written: {result:?}"));
        result.is_ok_and(|released| released.kept_bytes == written_bytes)
    }

    /// Ends the locks of what is over, then answers.
    fn finish(&mut self, env: &mut Env<'_>) {
        while let Some(completion) = self.disk.next_completion(env.now()) {
            let Completion { slot, result, written, frames_safe } = completion;
            let Some(pending) = self.pending[slot].take() else { continue };
            let kept = !frames_safe || self.release(env, pending.lock, written);
            let result: Result<BlockDone, Refusal<BlockError>> =
                if kept { result } else { result.and(Err(BlockError::BadLock.into())) };
            let at = env.now();
            env.to_workers.push(BlockAnswer { call: pending.call, at, result: Some(result) });
        }
    }
}

fn bad_lock(refused: Refused) -> Refusal<BlockError> {
    match refused.error {
        MemoryError::PinLimit | MemoryError::ContractExhausted => BlockError::Busy.into(),
        error => Refusal::with_detail(BlockError::BadLock, u64::from(error.code())),
    }
}
