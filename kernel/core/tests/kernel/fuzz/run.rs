//! One random run: steps, checks in between, and the cleaning up.

use super::arguments::{argument, time};
use super::random::Random;
use super::signatures::{Argument, signature};
use super::{arguments, boss};
use crate::harness::{ARRAY, MEMORY, MEMORY_PAGES, System, WAKE_LINE, boot_handle};
use kernel_abi::boot;
use kernel_abi::fault::Access;
use kernel_abi::message::BUFFER_CAPABILITIES_OFFSET;
use kernel_abi::{FRAME_BYTES, SystemCall};
use kernel_core::frame_table::FrameKind;
use kernel_core::objects::{Task, Thread, ThreadState};
use kernel_core::{Link, Machine};
use std::collections::VecDeque;

/// Steps between two checks of all invariants.
const STEPS_PER_CHECK: u64 = 150;
/// Calls of the boss after which it lets others run.
const BOSS_CALLS: u32 = 4;
/// Steps that a failure prints.
const REMEMBERED: usize = 24;
/// Processors of the machine are 1 to this many, by the seed.
const PROCESSORS: u64 = 4;
/// Kinds of frames that hold objects, of each of which the kernel starts with one.
const OBJECTS: [FrameKind; 5] =
    [FrameKind::Thread, FrameKind::Task, FrameKind::Endpoint, FrameKind::Notification, FrameKind::Schedule];

pub struct Run {
    seed: u64,
    random: Random,
    processors: usize,
    system: System,
    recent: VecDeque<String>,
    boss_calls: u32,
    restarts: u32,
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("KERNEL_FUZZ_SEED={} fails; the last steps were:", self.seed);
            self.recent.iter().for_each(|step| eprintln!("  {step}"));
        }
    }
}

impl Run {
    pub fn new(seed: u64) -> Run {
        let processors = 1 + (seed % PROCESSORS) as usize;
        let (system, recent) = (System::with_processors(processors), VecDeque::new());
        let random = Random::new(seed);
        let mut run = Run { seed, random, processors, system, recent, boss_calls: 0, restarts: 0 };
        run.populate();
        run
    }

    fn populate(&mut self) {
        for (call, handle) in [
            (SystemCall::EndpointCreate, boss::SHARED.start),
            (SystemCall::EndpointCreate, boss::SHARED.start + 1),
            (SystemCall::NotificationCreate, boss::SHARED.start + 2),
            (SystemCall::ScheduleCreate, boss::SCHEDULE),
        ] {
            assert_eq!(self.system.object(call, &[]).0, handle);
        }
        let split = [boot_handle(boot::SCHEDULE), boss::SCHEDULE, 20, 1_000_000, 2_000_000];
        self.system.ok(SystemCall::ScheduleSplit, &split);
        for _ in 0..3 {
            boss::make_task(&mut self.system, &mut self.random);
        }
    }

    /// Makes random calls, then cleans up.
    pub fn make(mut self, calls: u64) {
        let mut made = 0;
        let mut steps = 0_u64;
        while made < calls {
            made += u64::from(self.step());
            steps += 1;
            let boss = self.system.boss;
            if self.system.state(boss) == ThreadState::Ended {
                // The boss has nobody to answer its own faults, and others may have learned to end it: begin anew.
                self.restarts += 1;
                assert!(self.restarts < 1000, "the boss does not last");
                self.system = System::with_processors(self.processors);
                self.populate();
            }
            self.system.kernel.machine.shootdowns.clear();
            self.system.kernel.machine.logged.clear();
            if steps.is_multiple_of(STEPS_PER_CHECK) {
                self.system.kernel.check();
            } else {
                self.system.kernel.machine.check_translations();
            }
        }
        self.clean_up();
    }

    fn note(&mut self, step: String) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(step);
    }

    /// One step. True: it was a system call.
    fn step(&mut self) -> bool {
        let processor = self.random.below(self.processors as u64) as usize;
        let current = self.system.on(processor);
        // An interrupt of another processor comes soon, not at once.
        if self.system.kernel.machine.is_called(processor) && (current.is_none() || self.random.once_in(2)) {
            self.note(format!("processor {processor} is called"));
            self.system.kernel.machine.take_call(processor);
            self.system.kernel.leave();
            return false;
        }
        if current.is_none() {
            self.idle();
            return false;
        }
        if current == self.system.boss {
            self.boss_calls += 1;
            if self.boss_calls > BOSS_CALLS {
                self.rest_boss();
                return true;
            }
        } else {
            self.boss_calls = 0;
        }
        match self.random.below(40) {
            0 => self.pass_time(),
            1 => self.interrupt(),
            2 | 3 => self.touch(),
            4 if current != self.system.boss && self.random.once_in(30) => {
                self.note(format!("{current:?}: exception"));
                self.system.kernel.exception(13);
                self.system.kernel.leave();
            }
            5 | 6 if current == self.system.boss => return self.help(),
            _ => return self.random_call(),
        }
        false
    }

    /// Nobody can run: time passes until somebody's deadline, or the boss is woken.
    fn idle(&mut self) {
        self.note("idle".into());
        let machine = &mut self.system.kernel.machine;
        machine.time = machine.time.max(machine.timer().min(machine.time + (1 << 40)));
        self.system.kernel.timer_interrupt();
        self.system.kernel.leave();
        if self.system.current().is_none() {
            self.system.kernel.device_interrupt(WAKE_LINE);
            self.system.kernel.leave();
        }
    }

    fn pass_time(&mut self) {
        let passed = 1 << self.random.below(26);
        self.note(format!("{passed} ns pass"));
        self.system.kernel.machine.time += passed;
        self.system.kernel.timer_interrupt();
        self.system.kernel.leave();
    }

    fn interrupt(&mut self) {
        let line = self.random.below(24) as u32;
        self.note(format!("interrupt {line}"));
        self.system.kernel.device_interrupt(line);
        self.system.kernel.leave();
    }

    /// User code touches memory, or somehow faults.
    fn touch(&mut self) {
        let current = self.system.current();
        let page = MEMORY + self.random.below(MEMORY_PAGES + 2) * FRAME_BYTES;
        let write = self.random.once_in(2);
        if current == self.system.boss && page >= MEMORY + MEMORY_PAGES * FRAME_BYTES {
            return;
        }
        let mut result = self.system.kernel.machine.touch(page, write);
        if self.random.once_in(20) && current != self.system.boss {
            result =
                Err(kernel_core::UserFault { address: self.random.word(), access: Access::EXECUTE.bits() });
        }
        if let Err(fault) = result {
            self.note(format!("{current:?}: fault at {:#x}", fault.address));
            self.system.fault_unchecked(fault.address, fault.access);
        }
    }

    /// The boss waits for a while.
    fn rest_boss(&mut self) {
        self.boss_calls = 0;
        let deadline = self.system.kernel.machine.time + 1 + self.random.below(1 << 22);
        self.note(format!("the boss receives until {deadline}"));
        self.system.issue_unchecked(SystemCall::Receive, &[boot_handle(boot::ENDPOINT)], deadline);
    }

    /// The boss does something sensible.
    fn help(&mut self) -> bool {
        let boss = self.system.boss;
        if !self.system.thread(boss).reply.caller.is_none() {
            self.note("the boss answers".into());
            boss::answer(&mut self.system, &mut self.random);
            return true;
        }
        if self.random.once_in(20) {
            boss::tidy_up(&mut self.system, &mut self.random);
        }
        let tasks = self.tasks();
        let ended: Vec<Link> = tasks.iter().filter(|(_, alive)| !alive).map(|&(link, _)| link).collect();
        if !ended.is_empty() && self.random.once_in(2) {
            let task = self.random.pick(&ended);
            self.note(format!("the boss takes task {task:?} apart"));
            boss::take_apart(&mut self.system, task);
            self.system
                .call_unchecked(SystemCall::Reclaim, &[boot_handle(boot::FRAMES), task.frame().into()]);
        } else if tasks.len() < 6 + ended.len() {
            self.note("the boss makes a task".into());
            boss::make_task(&mut self.system, &mut self.random);
        }
        true
    }

    /// All tasks but the boss's, and whether they are alive.
    fn tasks(&mut self) -> Vec<(Link, bool)> {
        let mut found = Vec::new();
        for frame in self.frames_of(FrameKind::Task) {
            for slot in 0..kernel_abi::object::TASKS_PER_FRAME {
                let link = Link::new::<Task>(frame, slot);
                let task = *self.system.kernel.machine.object::<Task>(link);
                if task.live && link != self.system.boss_task.link {
                    found.push((link, task.is_alive()));
                }
            }
        }
        found
    }

    fn frames_of(&mut self, kind: FrameKind) -> Vec<u32> {
        let machine = &mut self.system.kernel.machine;
        let frames = 0..machine.frames();
        frames.filter(|&frame| machine.frame(frame).is_some_and(|entry| entry.kind() == kind)).collect()
    }

    fn random_call(&mut self) -> bool {
        let current = self.system.current();
        let mut call = self.random.pick(SystemCall::ALL);
        if self.random.once_in(3) {
            call = self.conversation();
        }
        if matches!(call, SystemCall::TaskExit | SystemCall::ThreadExit | SystemCall::TaskKill)
            && !self.random.once_in(20)
        {
            return false;
        }
        let is_boss = current == self.system.boss;
        let array = match self.random.below(6) {
            _ if is_boss => ARRAY,
            0 => ARRAY + FRAME_BYTES - 16,
            1 => ARRAY + 7 * FRAME_BYTES + FRAME_BYTES - 16,
            _ => ARRAY,
        };
        let arguments: Vec<u64> = signature(call)
            .iter()
            .map(|&kind| match kind {
                Argument::Address if is_boss => MEMORY + self.random.below(4 * FRAME_BYTES),
                _ => argument(&mut self.system, &mut self.random, kind, array),
            })
            .collect();
        if boss::saws_the_branch(&mut self.system, call, &arguments) {
            return false;
        }
        self.put_handles();
        let mut deadline = time(&self.system, &mut self.random);
        if is_boss {
            deadline = self.system.kernel.machine.time + 1 + self.random.below(1 << 21);
        }
        if self.random.once_in(4) {
            let looks = self.random.below(6);
            self.system.kernel.machine.pending = (0..looks).map(|_| self.random.once_in(2)).collect();
        }
        self.note(format!("{current:?}: {call:?} {arguments:x?} until {deadline}"));
        self.system.issue_unchecked(call, &arguments, deadline);
        self.system.kernel.machine.pending.clear();
        true
    }

    /// A call that goes on with what messages the current thread has received.
    fn conversation(&mut self) -> SystemCall {
        use SystemCall as Call;
        let current = self.system.current();
        let owes = !self.system.thread(current).reply.caller.is_none();
        let saved = !arguments::held(&mut self.system, Some(kernel_abi::Kind::Reply)).is_empty();
        match (owes, saved) {
            (true, _) => {
                self.random.pick(&[Call::Reply, Call::ReplyReceive, Call::SaveReply, Call::ResolveReceive])
            }
            (_, true) => self.random.pick(&[Call::Reply, Call::Reply, Call::Call, Call::CapabilityMove]),
            _ => self.random.pick(&[Call::Call, Call::Receive, Call::Wait, Call::Signal, Call::ThreadBuffer]),
        }
    }

    /// Puts random handles where the current thread's message buffer names capabilities.
    fn put_handles(&mut self) {
        let current = self.system.current();
        let buffer = self.system.thread(current).buffer;
        if buffer != 0 && self.random.once_in(2) {
            let held = arguments::held(&mut self.system, None);
            let mut handle = || if held.is_empty() { 0 } else { self.random.pick(&held) };
            let words = [handle() | handle() << 32, handle() | handle() << 32];
            arguments::write(&mut self.system, buffer + BUFFER_CAPABILITIES_OFFSET as u64, words);
        }
    }

    /// Takes everything apart: whatever happened, all frames but the first task's come back.
    fn clean_up(mut self) {
        self.note("cleaning up".into());
        for step in 0..100_000 {
            if self.system.on(step % self.processors) == self.system.boss {
                break;
            }
            if self.system.kernel.machine.take_call(step % self.processors) {
                self.system.kernel.leave();
            } else if self.system.current().is_none() {
                self.idle();
            } else {
                self.system.kernel.machine.time += 1 << 16;
                self.system.kernel.timer_interrupt();
                self.system.issue_unchecked(SystemCall::Yield, &[], 0);
            }
        }
        assert_eq!(
            self.system.current(),
            self.system.boss,
            "the boss comes back from every wait with a deadline"
        );
        for (task, _) in self.tasks() {
            boss::take_apart(&mut self.system, task);
        }
        self.system.kernel.check();
        let (first, frames) = (self.system.boss_task.link, boot_handle(boot::FRAMES));
        for kind in OBJECTS {
            for frame in self.frames_of(kind).into_iter().filter(|&frame| !boss::is_first(frame.into())) {
                self.system.ok_unchecked(SystemCall::Reclaim, &[frames, frame.into()]);
                self.system.kernel.check();
            }
        }
        for kind in OBJECTS {
            assert_eq!(self.frames_of(kind).len(), 1, "{kind:?} frames are left");
        }
        let tables = self.system.task(first).table.into_iter().filter(|&table| table != 0).count();
        assert_eq!(self.frames_of(FrameKind::CapabilityTable).len(), tables);
        let plain = self.frames_of(FrameKind::Plain).len();
        let own = OBJECTS.len() + tables + self.frames_of(FrameKind::PageTable).len() + 1;
        assert_eq!(plain + own, self.system.kernel.machine.frames() as usize, "frames are lost");
        let boss = self.system.boss;
        assert_eq!(self.system.kernel.machine.object::<Thread>(boss).state, ThreadState::Ready);
    }
}
