//! The loop: a message comes in, the logic decides, the answer goes out with the next receive.
//!
//! physmem's capability table does not grow by serving: new objects and minted capabilities stand at the same few
//! handles for the time of one answer, and are dropped before the next message is looked at.

use crate::idle;
use crate::kernel::KernelCalls;
use crate::window::RecordWindow;
use containers_api::FaultReason;
use kernel_abi::boot::{ENDPOINT, FRAMES, NOTIFICATION};
use kernel_abi::message::MESSAGE_CAPABILITIES;
use kernel_abi::pmap::Mapping;
use kernel_abi::task::TaskStatus;
use kernel_abi::{Handle, KernelError};
use kernel_runtime::server::{self, Fault, Incoming, Outgoing};
use kernel_runtime::{Deadline, Rights, clock, syscall};
use physmem_core::requests::SCRATCH_HANDLES;
use physmem_core::{Answer, FaultAnswer, Handed, Outcome, Physmem, Sent};

/// Where new kernel objects' capabilities stand until they are handed out.
pub const OBJECTS: Handle = Handle(16);
/// Where minted capabilities stand until they are handed out.
const MINTED: Handle = OBJECTS.offset(SCRATCH_HANDLES as u32);
/// What [`crate::idle`] uses.
pub const IDLE_HANDLES: Handle = MINTED.offset(MESSAGE_CAPABILITIES as u32);
/// First handle for the logic to use.
pub const LOGIC_HANDLES: Handle = IDLE_HANDLES.offset(idle::HANDLES);

/// Bit of physmem's notification: something expires.
const TIMER: u64 = 1;
/// Bit of physmem's notification: init has ended.
pub const INIT_ENDED: u64 = 2;
/// Bit of physmem's notification: a processor idles.
pub const IDLE: u64 = 4;

/// Why physmem stops serving.
pub enum Ending {
    /// init has ended, and with it the reason for everything.
    Init(Option<TaskStatus>),
    /// The kernel takes physmem's own endpoint away.
    Endpoint(KernelError),
}

impl core::fmt::Display for Ending {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Ending::Init(status) => {
                formatter.write_str("init has ended (")?;
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

/// Makes a capability to physmem's endpoint with a badge.
pub fn mint(entry: Handle, badge: physmem_core::badge::Badge) -> Result<(), KernelError> {
    syscall::capability_mint(ENDPOINT, entry, Rights::SEND | Rights::TRANSFER, badge.0)
}

/// Serves for ever.
pub struct Server {
    physmem: Physmem<'static, KernelCalls, RecordWindow>,
    /// init's task.
    init: Handle,
    /// Handles that were used for the last answer.
    used_objects: bool,
    used_minted: u32,
    /// When the timer fires.
    armed: Option<u64>,
    /// It has asked to be told when a processor idles, and has not been told.
    wants_idle: bool,
    /// Messages served since a step of work was done.
    messages_since_work: u32,
}

/// Messages served before a step of work that waits is done between them.
const MESSAGES_PER_STEP: u32 = 4;

impl Server {
    /// Ready to serve.
    pub fn new(physmem: Physmem<'static, KernelCalls, RecordWindow>, init: Handle) -> Server {
        Server {
            physmem,
            init,
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
                        idle::want();
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
        server::receive(ENDPOINT, patience)
    }

    fn reply_receive(&mut self, outgoing: Outgoing) -> Result<Incoming, KernelError> {
        let patience = self.patience();
        server::reply_receive(ENDPOINT, outgoing, patience)
    }

    /// How long to wait for a message: not at all where there is work. While messages keep coming a step is done now and then.
    fn patience(&mut self) -> Deadline {
        if !self.physmem.has_work() {
            return Deadline::NEVER;
        }
        self.messages_since_work += 1;
        if self.messages_since_work >= MESSAGES_PER_STEP {
            self.work();
        }
        Deadline::PASSED
    }

    fn work(&mut self) {
        self.messages_since_work = 0;
        self.physmem.work(clock::now());
        self.physmem.worked(clock::now());
        self.arm();
    }

    fn serve(&mut self, incoming: Incoming) -> Result<Incoming, Ending> {
        if let Some(bits) = incoming.notification() {
            if bits & INIT_ENDED != 0 {
                return Err(Ending::Init(syscall::task_status(self.init).ok()));
            }
            if bits & IDLE != 0 {
                self.physmem.idle();
                self.wants_idle = self.physmem.wants_idle();
                if self.wants_idle {
                    idle::want();
                }
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
                (None, handle) => Sent::Handle(handle.unwrap_or(Handle::NULL)),
            };
        }
        let badge = incoming.badge;
        let now = clock::now();
        let outcome = incoming.decode(|label, words| {
            let request = physmem_core::Incoming { badge, label, words, sent: &sent[..count] };
            Ok(self.physmem.request(now, request, OBJECTS))
        });
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
        for handed in answer.handed() {
            handles[count] = match handed {
                Handed::Badge(badge) => {
                    let entry = MINTED.offset(self.used_minted);
                    mint(entry, badge)?;
                    self.used_minted += 1;
                    entry
                }
                Handed::Handle(handle) => {
                    self.used_objects |= handle.0 < MINTED.0;
                    handle
                }
            };
            count += 1;
        }
        let mut outgoing = Outgoing::new(answer.label, answer.words());
        for &handle in &handles[..count] {
            outgoing = outgoing.with_handle(handle);
        }
        self.reply_receive(outgoing)
    }

    fn fault(&mut self, badge: u64, fault: Fault) -> Result<Incoming, KernelError> {
        let answer = self.physmem.fault(clock::now(), badge, fault.address, fault.access.bits());
        self.arm();
        self.answer_fault(badge, answer)
    }

    fn answer_fault(&mut self, badge: u64, answer: FaultAnswer) -> Result<Incoming, KernelError> {
        match answer {
            FaultAnswer::Resolve(cluster) => self.resolve(badge, cluster.items()),
            FaultAnswer::Retry => self.reply_receive(Outgoing::fault(kernel_abi::fault::RESUME)),
            FaultAnswer::Raise(reason) => self.reply_receive(Outgoing::fault(reason.label())),
            FaultAnswer::Wait(handle) => self.save(handle),
        }
    }

    /// Enters a fault's mappings and resumes the thread, supplying page tables where they are missing.
    fn resolve(&mut self, badge: u64, mut items: &[Mapping]) -> Result<Incoming, KernelError> {
        let patience = self.patience();
        loop {
            let stopped = match server::resolve_receive(ENDPOINT, FRAMES, items, patience) {
                Ok(incoming) => return Ok(incoming),
                Err(stopped) => stopped,
            };
            let reason = match stopped.error {
                // It has resumed, and no message waits.
                KernelError::TimedOut => return Err(KernelError::TimedOut),
                KernelError::Preempted => {
                    items = &items[stopped.value as usize..];
                    continue;
                }
                KernelError::NeedTables => match self.physmem.fault_needs_tables(badge, stopped.value) {
                    None => continue,
                    Some(answer) => {
                        self.arm();
                        return self.answer_fault(badge, answer);
                    }
                },
                KernelError::MapCountFull => FaultReason::MapCountFull,
                // The kernel refuses a mapping that the logic allows: the thread cannot have it.
                _ => FaultReason::NotMapped,
            };
            return self.reply_receive(Outgoing::fault(reason.label()));
        }
    }

    fn save(&mut self, handle: Handle) -> Result<Incoming, KernelError> {
        syscall::save_reply(handle)?;
        self.receive()
    }

    /// Empties the handles of the last answer.
    fn drop_used(&mut self) {
        if core::mem::take(&mut self.used_objects) {
            for index in 0..SCRATCH_HANDLES as u32 {
                physmem_core::pmap::Pmap::drop_handle(&mut self.physmem.pmap, OBJECTS.offset(index));
            }
        }
        for index in 0..core::mem::take(&mut self.used_minted) {
            physmem_core::pmap::Pmap::drop_handle(&mut self.physmem.pmap, MINTED.offset(index));
        }
    }

    /// Has the timer fire when something expires or is to be done next.
    fn arm(&mut self) {
        let next = self.physmem.next_deadline();
        if next != self.armed {
            self.armed = next;
            // It is physmem's own notification: the kernel cannot refuse.
            let _ = syscall::timer_set(NOTIFICATION, next.unwrap_or(0), TIMER);
        }
    }
}
