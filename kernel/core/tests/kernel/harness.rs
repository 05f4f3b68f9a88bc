//! A system on the host: the first task, more tasks and threads made by its calls, and calls by whichever thread runs.
//!
//! The first task is the boss: its thread has the highest priority, receives at its endpoint when it has nothing to do, and
//! is woken by an interrupt line. [`System::as_boss`] does what needs its authority from within any test.

use kernel_abi::boot;
use kernel_abi::message::MESSAGE_BUFFER_BYTES;
use kernel_abi::pmap::{Mapping, Protection};
use kernel_abi::task::TaskStatus;
use kernel_abi::{FRAME_BYTES, Handle, KernelError, Kind, MessageInfo, Rights, SystemCall};
use kernel_core::bootstrap::FirstFrames;
use kernel_core::frame_table::FrameKind;
use kernel_core::host::HostMachine;
use kernel_core::objects::{Context, Task, Thread, ThreadState};
use kernel_core::{Fast, Kernel, Link, Machine};

/// The same tests are two binaries: one tries the fast paths of IPC first, as the real kernel does, the other never.
const BY_FAST_PATHS: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"kernel_fast");

/// Frames of the machine.
pub const FRAMES: u32 = 2048;
/// Where every task has its memory.
pub const MEMORY: u64 = 0x40_0000;
/// Pages of it.
pub const MEMORY_PAGES: u64 = 16;
/// Where the boss keeps arrays for its calls.
pub const ARRAY: u64 = MEMORY + 8 * FRAME_BYTES;
/// An instruction pointer.
pub const CODE: u64 = 0x1000;
/// The line that wakes the boss.
pub const WAKE_LINE: u32 = 3;
/// The frame of the root schedule.
pub const SCHEDULE_FRAME: u32 = 15;
/// First frame that tests use as they like.
pub const FREE_FRAME: u32 = 1024;

/// A task that a test made: its capability in the boss's table, and what is whose.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub handle: u64,
    pub link: Link,
    pub frame: u32,
}

/// A kernel with the first task.
pub struct System {
    pub kernel: Kernel<HostMachine>,
    pub boss: Link,
    pub boss_task: Process,
    next_frame: u32,
    next_handle: u64,
}

impl System {
    /// The first task runs, with memory, a message buffer and a window, and its wake-up line bound.
    pub fn new() -> System {
        System::with_processors(1)
    }

    /// The same on a machine with more processors, which idle; the boss runs on the first.
    pub fn with_processors(processors: usize) -> System {
        let mut kernel = Kernel::new(HostMachine::new(FRAMES));
        kernel.is_general = !BY_FAST_PATHS;
        for number in 1..processors {
            assert_eq!(kernel.add_processor(), Some(number));
        }
        let frames = FirstFrames {
            task: 1,
            thread: 2,
            endpoint: 3,
            notification: 4,
            table: 5,
            root: 6,
            schedule: SCHEDULE_FRAME,
        };
        let (task, boss) = kernel.create_first_task(frames);
        for frame in 7..15 {
            kernel.stock_first_task(task, frame);
        }
        for page in 0..MEMORY_PAGES {
            let address = MEMORY + page * FRAME_BYTES;
            kernel.map_first_task(task, address, 16 + page as u32, Protection::WRITE).expect("it is stocked");
        }
        kernel.start_first_task(boss, CODE, 0);
        assert_eq!(kernel.leave(), Some(boss));
        let boss_task = Process { handle: u64::from(boot::TASK.0), link: task, frame: 1 };
        let mut system = System { kernel, boss, boss_task, next_frame: 64, next_handle: 16 };
        system.ok(SystemCall::ThreadBuffer, &[MEMORY, 120]);
        let line = system.handle();
        system.ok(
            SystemCall::HardwareMint,
            &[boot::HARDWARE.0.into(), Kind::Interrupt as u64, WAKE_LINE.into(), 1, line],
        );
        system.ok(SystemCall::InterruptBind, &[line, boot::NOTIFICATION.0.into()]);
        system
    }

    /// A plain frame that nobody uses.
    pub fn frame(&mut self) -> u64 {
        self.next_frame += 1;
        assert!(self.next_frame < FREE_FRAME, "the harness has given out all its frames");
        u64::from(self.next_frame)
    }

    /// An empty entry of the boss's table.
    pub fn handle(&mut self) -> u64 {
        self.next_handle += 1;
        assert!(self.next_handle < 120, "the harness has given out all handles");
        self.next_handle
    }

    /// From here on everything is about another processor. What runs there.
    pub fn on(&mut self, processor: usize) -> Link {
        self.kernel.enter(processor);
        self.current()
    }

    /// The processor takes the interrupt by which it was called, if it was. What runs there then.
    pub fn answer_call(&mut self, processor: usize) -> Link {
        self.on(processor);
        if self.kernel.machine.take_call(processor) {
            self.leave();
        }
        self.current()
    }

    /// The thread that runs.
    pub fn current(&self) -> Link {
        self.kernel.current()
    }

    pub fn thread(&mut self, link: Link) -> Thread {
        *self.kernel.machine.object::<Thread>(link)
    }

    pub fn task(&mut self, link: Link) -> Task {
        *self.kernel.machine.object::<Task>(link)
    }

    pub fn registers(&mut self, link: Link) -> Context {
        self.thread(link).context
    }

    pub fn state(&mut self, link: Link) -> ThreadState {
        self.thread(link).state
    }

    /// What a thread's last call answered.
    pub fn status(&mut self, link: Link) -> Result<(), KernelError> {
        match self.registers(link).rax {
            0 => Ok(()),
            status => Err(KernelError::from_status(status).expect("a status is 0 or an error")),
        }
    }

    /// Leaves the kernel and checks everything. Who runs next.
    pub fn leave(&mut self) -> Option<Link> {
        let next = self.kernel.leave();
        self.kernel.check();
        next
    }

    /// Has the current thread make a call. Who runs next.
    pub fn issue_until(&mut self, call: SystemCall, arguments: &[u64], deadline: u64) -> Option<Link> {
        let next = self.issue_unchecked(call, arguments, deadline);
        self.kernel.check();
        next
    }

    /// The same without checking the invariants.
    pub fn issue_unchecked(&mut self, call: SystemCall, arguments: &[u64], deadline: u64) -> Option<Link> {
        let current = self.current();
        let context = &mut self.kernel.machine.object::<Thread>(current).context;
        let mut registers = [0; 10];
        registers[..arguments.len()].copy_from_slice(arguments);
        context.rax = call as u64;
        (context.rdi, context.rsi, context.rbx) = (registers[0], registers[1], deadline);
        context.set_words(registers[2..].try_into().expect("eight words"));
        self.take_call()
    }

    /// Enters the kernel for the current thread's call, by the way that this test binary is about. Who runs next.
    pub fn take_call(&mut self) -> Option<Link> {
        let taken = if BY_FAST_PATHS { self.kernel.fast_system_call() } else { Fast::Untaken };
        match taken {
            Fast::Runs(next) => return Some(next),
            Fast::Untaken => self.kernel.system_call(),
            Fast::Taken => {}
        }
        if BY_FAST_PATHS && let Some(next) = self.kernel.fast_leave() {
            return Some(next);
        }
        self.kernel.leave()
    }

    /// The current thread meets a page fault; the invariants are not checked. Who runs next.
    pub fn fault_unchecked(&mut self, address: u64, access: u64) -> Option<Link> {
        if BY_FAST_PATHS && let Some(next) = self.kernel.fast_page_fault(address, access) {
            return Some(next);
        }
        self.kernel.page_fault(address, access);
        if BY_FAST_PATHS && let Some(next) = self.kernel.fast_leave() {
            return Some(next);
        }
        self.kernel.leave()
    }

    /// Has the current thread make a call that does not block; its value, unless it is refused.
    pub fn call_unchecked(&mut self, call: SystemCall, arguments: &[u64]) -> Option<u64> {
        let current = self.current();
        self.issue_unchecked(call, arguments, 0);
        let value = self.registers(current).rdx;
        self.status(current).ok().map(|()| value)
    }

    /// The same for a call that succeeds.
    #[track_caller]
    pub fn ok_unchecked(&mut self, call: SystemCall, arguments: &[u64]) -> u64 {
        let current = self.current();
        let value = self.call_unchecked(call, arguments);
        value.unwrap_or_else(|| panic!("{call:?} {arguments:?}: {:?}", self.status(current)))
    }

    /// The same without a deadline.
    pub fn issue(&mut self, call: SystemCall, arguments: &[u64]) -> Option<Link> {
        self.issue_until(call, arguments, 0)
    }

    /// Has the current thread make a call that does not block. Its value.
    pub fn call(&mut self, call: SystemCall, arguments: &[u64]) -> Result<u64, KernelError> {
        self.call_with_value(call, arguments).map_err(|(error, _)| error)
    }

    /// The same; a refusal comes with its value.
    pub fn call_with_value(
        &mut self,
        call: SystemCall,
        arguments: &[u64],
    ) -> Result<u64, (KernelError, u64)> {
        let current = self.current();
        self.issue(call, arguments);
        let value = self.registers(current).rdx;
        self.status(current).map(|()| value).map_err(|error| (error, value))
    }

    /// Has the current thread make a call that succeeds. Its value.
    #[track_caller]
    pub fn ok(&mut self, call: SystemCall, arguments: &[u64]) -> u64 {
        self.call(call, arguments).unwrap_or_else(|error| panic!("{call:?} {arguments:?}: {error:?}"))
    }

    /// Has the current thread make a call that is refused.
    #[track_caller]
    pub fn refused(&mut self, call: SystemCall, arguments: &[u64], error: KernelError) {
        assert_eq!(self.call(call, arguments), Err(error), "{call:?} {arguments:?}");
    }

    /// Has the boss do something, whoever runs; then things go on as they were.
    pub fn as_boss<R>(&mut self, work: impl FnOnce(&mut System) -> R) -> R {
        if self.current() == self.boss {
            return work(self);
        }
        assert_eq!(self.state(self.boss), ThreadState::Receiving, "the boss must be receiving");
        self.kernel.device_interrupt(WAKE_LINE);
        self.kernel.machine.mask_interrupt(WAKE_LINE, false);
        assert_eq!(self.leave(), Some(self.boss));
        let result = work(self);
        self.rest();
        result
    }

    /// The boss receives. Who runs next.
    pub fn rest(&mut self) -> Option<Link> {
        assert_eq!(self.current(), self.boss);
        self.issue(SystemCall::Receive, &[boot::ENDPOINT.0.into()])
    }

    /// An endpoint; its handle in the boss's table.
    pub fn endpoint(&mut self) -> u64 {
        self.object(SystemCall::EndpointCreate, &[]).0
    }

    /// A notification with a badge; its handle in the boss's table.
    pub fn notification(&mut self, badge: u64) -> u64 {
        let (plain, _) = self.object(SystemCall::NotificationCreate, &[]);
        let minted = self.handle();
        self.as_boss(|system| system.ok(SystemCall::CapabilityMint, &[plain, minted, 0xf, badge]));
        minted
    }

    /// An object in slot 0 of a fresh frame: handle and frame.
    pub fn object(&mut self, call: SystemCall, more: &[u64]) -> (u64, u32) {
        let (frame, handle) = (self.frame(), self.handle());
        let mut arguments = vec![boot::FRAMES.0.into(), frame, 0, handle];
        arguments.extend_from_slice(more);
        self.as_boss(|system| system.ok(call, &arguments));
        (handle, frame as u32)
    }

    /// A task with a table of capabilities and memory, whose faults go to the boss with its handle as badge.
    pub fn process(&mut self) -> Process {
        self.process_with_pager(boot::ENDPOINT.0.into())
    }

    /// The same, whose faults go to another endpoint.
    pub fn process_with_pager(&mut self, endpoint: u64) -> Process {
        let root = self.frame();
        let badge = self.next_handle + 1;
        let (handle, frame) = self.object(SystemCall::TaskCreate, &[root, endpoint, badge]);
        let link = Link::new::<Task>(frame, 0);
        let frames = u64::from(boot::FRAMES.0);
        let table = self.frame();
        let stock: Vec<u32> = (0..8).map(|_| self.frame() as u32).collect();
        let memory: Vec<u32> = (0..MEMORY_PAGES).map(|_| self.frame() as u32).collect();
        self.as_boss(|system| {
            system.ok(SystemCall::CapabilityTableAdd, &[frames, handle, table]);
            system.write_numbers(ARRAY, &stock);
            system.ok(SystemCall::PmapStock, &[frames, handle, ARRAY, stock.len() as u64]);
            let first = Mapping::new(MEMORY, Protection::WRITE, memory[0], MEMORY_PAGES as u32);
            system.write_mappings(&[first]);
            system.ok(SystemCall::PmapEnter, &[frames, handle, ARRAY, 1]);
        });
        Process { handle, link, frame }
    }

    /// A thread of a task, started at a priority: handle in the boss's table and place.
    pub fn spawn(&mut self, process: Process, priority: u8) -> (u64, Link) {
        let (handle, frame) = self.object(SystemCall::ThreadCreate, &[process.handle]);
        let arguments = [handle, CODE, 0, 0, 0, u64::from(priority)];
        self.as_boss(|system| system.ok(SystemCall::ThreadStart, &arguments));
        (handle, Link::new::<Thread>(frame, 0))
    }

    /// Gives a task a capability of the boss.
    pub fn give(&mut self, process: Process, source: u64, destination: u64, rights: Rights) {
        let rights = u64::from(rights.bits());
        self.as_boss(|system| {
            system.ok(SystemCall::TaskInstall, &[process.handle, source, destination, rights])
        });
    }

    /// Has the boss rest and lower threads run until this one is the current one.
    pub fn run(&mut self, link: Link) {
        if self.current() == self.boss && link != self.boss {
            self.rest();
        }
        for _ in 0..64 {
            if self.current() == link {
                return;
            }
            self.issue(SystemCall::Yield, &[]);
        }
        panic!("thread {link:?} does not get to run: {:?}", self.state(link));
    }

    /// Sets the current thread's message buffer and receive window.
    pub fn buffer(&mut self, address: u64, window: u64) {
        self.ok(SystemCall::ThreadBuffer, &[address, window]);
    }

    /// Lets time pass, as the timer would notice.
    pub fn pass(&mut self, nanoseconds: u64) -> Option<Link> {
        self.kernel.machine.time += nanoseconds;
        if self.kernel.machine.timer_fires() {
            self.kernel.timer_interrupt();
        }
        self.leave()
    }

    /// How a task is.
    pub fn task_status(&mut self, process: Process) -> TaskStatus {
        self.task(process.link).status
    }

    /// The current thread meets a page fault. Who runs next.
    pub fn fault(&mut self, address: u64, access: u64) -> Option<Link> {
        let next = self.fault_unchecked(address, access);
        self.kernel.check();
        next
    }

    /// Takes a task apart until nothing of it is left: its frames are plain again.
    pub fn dismantle(&mut self, process: Process) {
        let frames = u64::from(boot::FRAMES.0);
        let tables = self.task(process.link).table;
        self.as_boss(|system| {
            system.ok(SystemCall::TaskKill, &[process.handle, 0]);
            while system.ok(SystemCall::PmapUnstock, &[frames, process.handle, ARRAY, 64]) != 0 {}
            for table in tables.into_iter().filter(|&table| table != 0) {
                system.ok(SystemCall::Reclaim, &[frames, table.into()]);
            }
            system.ok(SystemCall::Reclaim, &[frames, process.frame.into()]);
        });
    }

    /// Number of frames of a kind.
    pub fn count(&mut self, kind: FrameKind) -> usize {
        let frames = 0..self.kernel.machine.frames();
        frames
            .filter(|&frame| self.kernel.machine.frame(frame).is_some_and(|entry| entry.kind() == kind))
            .count()
    }
}

/// Descriptor of a message without capabilities.
pub fn info(label: u32, words: usize) -> u64 {
    MessageInfo::new(label, words, 0).0
}

/// Descriptor of a message with capabilities.
pub fn info_with(label: u32, words: usize, capabilities: usize) -> u64 {
    MessageInfo::new(label, words, capabilities).0
}

/// Handles as they are numbered at boot.
pub fn boot_handle(handle: Handle) -> u64 {
    u64::from(handle.0)
}

/// Address of a second message buffer in the same page.
pub const OTHER_BUFFER: u64 = MEMORY + 512;
const _: () = assert!(MESSAGE_BUFFER_BYTES <= 512);
