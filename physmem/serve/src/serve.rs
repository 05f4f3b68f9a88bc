//! The loop: a message comes in, the logic decides, the answer goes out with the next receive.
//!
//! physmem's capability table does not grow by serving: new objects and minted capabilities stand at the same few
//! handles for the time of one answer, and are dropped before the next message is looked at.

use containers_api::FaultReason;
use kernel_abi::message::MESSAGE_CAPABILITIES;
use kernel_abi::task::TaskStatus;
use kernel_abi::{Handle, KernelError};
use kernel_runtime::server::{self, Fault, Incoming, Outgoing};
use kernel_runtime::{Deadline, Rights, clock, syscall};
use physmem_core::pmap::{Pmap, RecordMemory};
use physmem_core::requests::SCRATCH_HANDLES;
use physmem_core::{Answer, FaultAnswer, Handed, Outcome, Physmem, Sent};

/// Entries of its table that a physmem sets aside for answers: new kernel objects, and behind them minted capabilities.
pub const ANSWER_HANDLES: u32 = SCRATCH_HANDLES as u32 + MESSAGE_CAPABILITIES as u32;

/// Bit of physmem's notification: something expires.
const TIMER: u64 = 1;
/// Bit of physmem's notification: the first program has ended.
pub const FIRST_ENDED: u64 = 2;
/// Bit of physmem's notification: a processor idles.
pub const IDLE: u64 = 4;

/// Bit of physmem's notification: the physmem above calls for frames.
pub const CALLED: u64 = 8;

/// What the loop needs beyond the logic.
pub trait Platform {
    /// The logic's kernel.
    type Pmap: Pmap;
    /// Where requests and faults arrive.
    fn endpoint(&self) -> Handle;
    /// The notification that is bound to the serving thread.
    fn notification(&self) -> Handle;
    /// First of [`ANSWER_HANDLES`] empty entries.
    fn objects(&self) -> Handle;
    /// Where a capability that came with a message stands while its request is served. Who makes calls meanwhile must put it
    /// elsewhere.
    fn keep_sent(&mut self, index: u32, received: Handle) -> Handle {
        let _ = index;
        received
    }
    /// Lets go of what was kept.
    fn drop_sent(&mut self) {}
    /// Has [`IDLE`] set when a processor has nothing else to do.
    fn want_idle(&mut self) {}
    /// Other bits of the notification than the loop's own are set.
    fn notified(&mut self, bits: u64) {
        let _ = bits;
    }
    /// Tells the logic what the physmem above calls for, if there is one.
    fn hear_call<M: RecordMemory>(&mut self, physmem: &mut Physmem<'static, Self::Pmap, M>) {
        let _ = physmem;
    }
    /// Enters the mappings that resolve a fault of the task with this badge ([`Physmem::resolved`]), but the first `done` ones,
    /// resumes its thread and receives.
    fn resolve<M: RecordMemory>(
        &mut self,
        physmem: &mut Physmem<'static, Self::Pmap, M>,
        badge: u64,
        done: usize,
        patience: Deadline,
    ) -> Result<Incoming, Unresolved>;
}

/// Why a fault's mappings were not entered, or no message came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unresolved {
    /// So many of the mappings are entered.
    Preempted(u64),
    /// So many page tables are missing.
    NeedTables(u64),
    /// It has resumed, and no message waits.
    TimedOut,
    /// The thread cannot have the page.
    Raise(FaultReason),
}

/// Why physmem stops serving.
pub enum Ending {
    /// The first program has ended, and with it the reason for everything.
    First(Option<TaskStatus>),
    /// The kernel takes physmem's own endpoint away.
    Endpoint(KernelError),
}

impl core::fmt::Display for Ending {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Ending::First(status) => {
                formatter.write_str("has ended (")?;
                match status {
                    Some(TaskStatus::Fault(label)) => match FaultReason::from_label(*label) {
                        Some(reason) => write!(formatter, "page fault: {reason}")?,
                        None => write!(formatter, "page fault, reason {label}")?,
                    },
                    Some(status) => write!(formatter, "{status:?}")?,
                    None => formatter.write_str("its task is gone")?,
                }
                formatter.write_str("): nothing is left to serve")
            }
            Ending::Endpoint(error) => write!(formatter, "cannot receive: {error:?}"),
        }
    }
}

impl From<KernelError> for Ending {
    fn from(error: KernelError) -> Ending {
        Ending::Endpoint(error)
    }
}

/// Makes a capability to a physmem's endpoint with a badge.
pub fn mint(endpoint: Handle, entry: Handle, badge: physmem_core::badge::Badge) -> Result<(), KernelError> {
    syscall::capability_mint(endpoint, entry, Rights::SEND | Rights::TRANSFER, badge.0)
}

/// Serves for ever.
pub struct Server<P: Platform, M> {
    platform: P,
    physmem: Physmem<'static, P::Pmap, M>,
    /// The first program's task.
    first: Handle,
    /// Handles that were used for the last answer.
    used_objects: bool,
    used_minted: u32,
    /// When the timer fires: not after the next deadline, but perhaps before it.
    armed: Option<u64>,
    /// It has asked to be told when a processor idles, and has not been told.
    wants_idle: bool,
    /// Messages served since a step of work was done.
    messages_since_work: u32,
}

/// Messages served before a step of work that waits is done between them.
const MESSAGES_PER_STEP: u32 = 4;

impl<P: Platform, M: RecordMemory> Server<P, M> {
    /// Ready to serve.
    pub fn new(platform: P, physmem: Physmem<'static, P::Pmap, M>, first: Handle) -> Server<P, M> {
        Server {
            platform,
            physmem,
            first,
            used_objects: false,
            used_minted: 0,
            armed: None,
            messages_since_work: 0,
            wants_idle: false,
        }
    }

    /// Serves until there is no more sense in it. Work that is left goes on in steps, one after each message.
    pub fn run(mut self) -> Ending {
        let mut next = self.receive().map_err(Ending::from);
        loop {
            match next {
                Ok(incoming) => {
                    self.drop_used();
                    // Asked first, at the highest priority: told when there is nothing else to do.
                    if !self.wants_idle && self.physmem.wants_idle() {
                        self.wants_idle = true;
                        self.platform.want_idle();
                    }
                    next = self.serve(incoming);
                }
                Err(Ending::Endpoint(KernelError::TimedOut)) => {
                    self.work();
                    next = self.receive().map_err(Ending::from);
                }
                Err(ending) => return ending,
            }
        }
    }

    fn receive(&mut self) -> Result<Incoming, KernelError> {
        let patience = self.patience();
        server::receive(self.platform.endpoint(), patience)
    }

    fn reply_receive(&mut self, outgoing: Outgoing) -> Result<Incoming, KernelError> {
        let patience = self.patience();
        server::reply_receive(self.platform.endpoint(), outgoing, patience)
    }

    /// How long to wait for a message: not at all where there is work. While messages keep coming a step is done now and then.
    fn patience(&mut self) -> Deadline {
        if self.work_in_turn() { Deadline::PASSED } else { Deadline::NEVER }
    }

    /// One message more has come while there is work: does a step of it, if it is its turn. Whether there was any.
    fn work_in_turn(&mut self) -> bool {
        if !self.physmem.has_work() {
            return false;
        }
        self.messages_since_work += 1;
        if self.messages_since_work >= MESSAGES_PER_STEP {
            self.work();
        }
        true
    }

    fn work(&mut self) {
        self.messages_since_work = 0;
        let owed = self.physmem.owed();
        self.physmem.work(clock::now());
        self.physmem.worked(clock::now());
        // Whoever called looks at it now, and may call for more.
        if owed != 0 && self.physmem.owed() == 0 {
            self.platform.hear_call(&mut self.physmem);
        }
        self.arm();
    }

    fn serve(&mut self, incoming: Incoming) -> Result<Incoming, Ending> {
        if let Some(bits) = incoming.notification() {
            if bits & FIRST_ENDED != 0 {
                return Err(Ending::First(syscall::task_status(self.first).ok()));
            }
            if bits & IDLE != 0 {
                self.physmem.idle();
                self.wants_idle = self.physmem.wants_idle();
                if self.wants_idle {
                    self.platform.want_idle();
                }
            }
            if bits & TIMER != 0 {
                self.armed = None;
            }
            self.platform.notified(bits);
            if bits & CALLED != 0 {
                self.platform.hear_call(&mut self.physmem);
            }
            // What a deadline has brought goes first: a step of it, and the rest between messages.
            if bits & !IDLE != 0 {
                self.work();
            }
            return Ok(self.receive()?);
        }
        Ok(match incoming.fault() {
            Some(fault) => self.fault(incoming.badge, fault)?,
            None => self.request(incoming)?,
        })
    }

    fn request(&mut self, incoming: Incoming) -> Result<Incoming, KernelError> {
        let mut sent = [Sent::Handle(Handle::NULL); MESSAGE_CAPABILITIES];
        let count = incoming.received.count().min(MESSAGE_CAPABILITIES);
        for (index, slot) in sent[..count].iter_mut().enumerate() {
            *slot = match (incoming.received.badge(index), incoming.received.handle(index)) {
                (Some(badge), _) => Sent::Badge(badge),
                (None, Some(handle)) => Sent::Handle(self.platform.keep_sent(index as u32, handle)),
                (None, None) => Sent::Handle(Handle::NULL),
            };
        }
        let badge = incoming.badge;
        let now = clock::now();
        let objects = self.platform.objects();
        let outcome = incoming.decode(|label, words| {
            let request = physmem_core::Incoming { badge, label, words, sent: &sent[..count] };
            Ok(self.physmem.request(now, request, objects))
        });
        self.platform.drop_sent();
        self.arm();
        match outcome {
            Ok(Outcome::Answered(answer)) => self.answer(&answer),
            Ok(Outcome::Later(handle)) => self.save(handle),
            // More words than a message has: the kernel does not deliver such.
            Err(_) => self.receive(),
        }
    }

    fn answer(&mut self, answer: &Answer) -> Result<Incoming, KernelError> {
        let mut handles = [Handle::NULL; MESSAGE_CAPABILITIES];
        let mut count = 0;
        let (objects, minted) = (self.platform.objects(), self.minted());
        for handed in answer.handed() {
            handles[count] = match handed {
                Handed::Badge(badge) => {
                    let entry = minted.offset(self.used_minted);
                    mint(self.platform.endpoint(), entry, badge)?;
                    self.used_minted += 1;
                    entry
                }
                Handed::Handle(handle) => {
                    self.used_objects |= (objects.0..minted.0).contains(&handle.0);
                    handle
                }
            };
            count += 1;
        }
        let mut outgoing = Outgoing::new(answer.label, self.physmem.words_of(answer));
        for &handle in &handles[..count] {
            outgoing = outgoing.with_handle(handle);
        }
        self.reply_receive(outgoing)
    }

    fn fault(&mut self, badge: u64, fault: Fault) -> Result<Incoming, KernelError> {
        // Before and not after: work could take away what the answer is about to enter.
        self.work_in_turn();
        let answer = self.physmem.fault(clock::now(), badge, fault.address, fault.access.bits());
        self.arm();
        self.answer_fault(badge, answer)
    }

    fn answer_fault(&mut self, badge: u64, answer: FaultAnswer) -> Result<Incoming, KernelError> {
        match answer {
            FaultAnswer::Resolve => self.resolve(badge),
            FaultAnswer::Retry => self.reply_receive(Outgoing::fault(kernel_abi::fault::RESUME)),
            FaultAnswer::Raise(reason) => self.reply_receive(Outgoing::fault(reason.label())),
            FaultAnswer::Wait(handle) => self.save(handle),
        }
    }

    /// Enters a fault's mappings and resumes the thread, supplying page tables where they are missing.
    fn resolve(&mut self, badge: u64) -> Result<Incoming, KernelError> {
        let patience = if self.physmem.has_work() { Deadline::PASSED } else { Deadline::NEVER };
        let mut done = 0;
        loop {
            let reason = match self.platform.resolve(&mut self.physmem, badge, done, patience) {
                Ok(incoming) => return Ok(incoming),
                Err(Unresolved::TimedOut) => return Err(KernelError::TimedOut),
                Err(Unresolved::Preempted(more)) => {
                    done += more as usize;
                    continue;
                }
                Err(Unresolved::NeedTables(tables)) => match self.physmem.fault_needs_tables(badge, tables) {
                    None => continue,
                    Some(answer) => {
                        self.arm();
                        return self.answer_fault(badge, answer);
                    }
                },
                Err(Unresolved::Raise(reason)) => reason,
            };
            return self.reply_receive(Outgoing::fault(reason.label()));
        }
    }

    /// First of the entries where minted capabilities stand until they are handed out.
    fn minted(&self) -> Handle {
        self.platform.objects().offset(SCRATCH_HANDLES as u32)
    }

    fn save(&mut self, handle: Handle) -> Result<Incoming, KernelError> {
        syscall::save_reply(handle)?;
        self.receive()
    }

    /// Empties the handles of the last answer.
    fn drop_used(&mut self) {
        if core::mem::take(&mut self.used_objects) {
            for index in 0..SCRATCH_HANDLES as u32 {
                let entry = self.platform.objects().offset(index);
                self.physmem.pmap.drop_handle(entry);
            }
        }
        for index in 0..core::mem::take(&mut self.used_minted) {
            let entry = self.minted().offset(index);
            self.physmem.pmap.drop_handle(entry);
        }
    }

    /// Has the timer fire when something expires or is to be done next. One that fires earlier is left alone: most deadlines, those of
    /// locks for one, are taken back long before they come, and a look for nothing now and then is cheaper than a call each time.
    fn arm(&mut self) {
        let Some(next) = self.physmem.next_deadline() else { return };
        if self.armed.is_none_or(|armed| next < armed) {
            self.armed = Some(next);
            // It is physmem's own notification: the kernel cannot refuse.
            let _ = syscall::timer_set(self.platform.notification(), next, TIMER);
        }
    }
}
