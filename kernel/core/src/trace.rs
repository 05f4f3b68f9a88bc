//! Events into the rings of [`kernel_abi::trace`], where the machine was booted with rings.
//!
//! Without them each place that could tell something costs one test, that of [`Kernel::is_tracing`]; the fast paths have it
//! at their beginning and step aside while events are written. Writing never waits: the newest event takes the place of
//! the oldest, and the count of events ever written tells readers what they have missed.
//!
//! Readers look while the kernel writes. The count is raised after the event is in place, so an event below it is whole
//! unless the ring has come round to it meanwhile, which the count tells, too.

use crate::kernel::{Done, Kernel, Outcome};
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Task, Thread};
use crate::processor::PROCESSORS_MAX;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel_abi::capability::Kind;
use kernel_abi::trace::{
    ARGUMENTS, EVENT_WORDS, Event, EventKind, RING_AT_CAPACITY, RING_AT_EVENTS, RING_AT_MAGIC,
    RING_AT_PROCESSOR, RING_AT_WRITTEN, RING_MAGIC,
};
use kernel_abi::{KernelError, Rights};

/// Words in a page.
const PAGE_WORDS: usize = 512;

/// The rings, or none.
pub struct Tracer {
    /// All words of all rings, one ring after the other.
    words: &'static [AtomicU64],
    ring_words: usize,
    /// The thread that each processor was last said to run.
    running: [Link; PROCESSORS_MAX],
    /// Not 0 where there are rings. A word, so that it can be looked at together with another one.
    pub(crate) on: u64,
}

impl Tracer {
    /// No rings.
    pub const OFF: Tracer =
        Tracer { words: &[], ring_words: 0, running: [Link::NONE; PROCESSORS_MAX], on: 0 };

    /// Rings of `pages` pages each, one for each of so many processors, in words that are zero.
    ///
    /// # Panics
    /// If the words are not that many, or a ring has no room for an event.
    pub fn new(words: &'static [AtomicU64], pages: usize, processors: usize) -> Tracer {
        let ring_words = pages * PAGE_WORDS;
        assert!(words.len() == ring_words * processors && ring_words > RING_AT_EVENTS);
        for (number, ring) in words.chunks_exact(ring_words).enumerate() {
            let set = |index: usize, value: u64| ring[index].store(value, Ordering::Relaxed);
            set(RING_AT_CAPACITY, ((ring_words - RING_AT_EVENTS) / EVENT_WORDS) as u64);
            set(RING_AT_PROCESSOR, number as u64);
            set(RING_AT_MAGIC, RING_MAGIC);
        }
        Tracer { words, ring_words, on: 1, ..Tracer::OFF }
    }

    fn put(&self, event: &Event) {
        let start = usize::from(event.processor) * self.ring_words;
        let Some(ring) = self.words.get(start..start + self.ring_words) else { return };
        let written = ring[RING_AT_WRITTEN].load(Ordering::Relaxed);
        let capacity = (self.ring_words - RING_AT_EVENTS) / EVENT_WORDS;
        let place = RING_AT_EVENTS + written as usize % capacity * EVENT_WORDS;
        for (slot, word) in ring[place..place + EVENT_WORDS].iter().zip(event.words()) {
            slot.store(word, Ordering::Relaxed);
        }
        ring[RING_AT_WRITTEN].store(written + 1, Ordering::Release);
    }
}

impl<M: Machine> Kernel<M> {
    /// Has events written from now on.
    pub fn trace_into(&mut self, tracer: Tracer) {
        self.tracer = tracer;
    }

    /// Whether events are written.
    #[inline(always)]
    pub(crate) fn is_tracing(&self) -> bool {
        self.tracer.on != 0
    }

    /// Writes an event about a thread, if events are written.
    #[inline(always)]
    pub(crate) fn trace(&mut self, kind: EventKind, subject: Link, first: [u64; 4]) {
        if self.is_tracing() {
            self.trace_all(kind, subject, first);
        }
    }

    #[cold]
    fn trace_all(&mut self, kind: EventKind, subject: Link, [a, b, c, d]: [u64; 4]) {
        self.trace_put(kind, subject, [a, b, c, d, 0, 0]);
    }

    fn trace_put(&mut self, kind: EventKind, subject: Link, arguments: [u64; ARGUMENTS]) {
        let time = self.machine.ticks();
        let (processor, subject) = (self.here as u8, subject.number());
        self.tracer.put(&Event { time, kind, processor, subject, arguments });
    }

    /// Writes that the processor goes on with a thread, or idles, if it did something else before.
    #[inline(always)]
    pub(crate) fn trace_switch(&mut self, to: Link) {
        if self.is_tracing() {
            self.trace_switch_to(to);
        }
    }

    #[cold]
    fn trace_switch_to(&mut self, to: Link) {
        if core::mem::replace(&mut self.tracer.running[self.here], to) == to {
            return;
        }
        let mut arguments = [0; ARGUMENTS];
        if to.is_some() {
            let Thread { task, priority, .. } = *self.machine.object::<Thread>(to);
            let name = self.machine.object::<Task>(task.link).name;
            let (first, second) = name.split_at(8);
            let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
            arguments = [u64::from(task.link.number()), word(first), word(second), priority.into(), 0, 0];
        }
        self.trace_put(EventKind::Switch, to, arguments);
    }

    /// A server's event.
    pub(crate) fn trace_write(&mut self, trace: u64, kind: u64, arguments: [u64; 4]) -> Outcome {
        self.capability_for(trace, Kind::Trace, Rights::empty())?;
        let kind = EventKind::from_number(kind).filter(|&kind| kind as u8 > EventKind::ThreadEnded as u8);
        let kind = kind.ok_or(KernelError::InvalidArgument)?;
        self.trace(kind, self.current(), arguments);
        Ok(Done::Value(0))
    }
}
