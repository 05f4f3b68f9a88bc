//! First-in first-out queues of threads, linked through the threads themselves.

use crate::machine::Machine;
use crate::name::Link;
use crate::objects::Thread;

/// Head and tail; the links are [`Thread::next`] and [`Thread::previous`]. A thread is in one queue at most.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Queue {
    head: Link,
    tail: Link,
}

impl Queue {
    /// Nobody waits.
    pub const EMPTY: Queue = Queue { head: Link::NONE, tail: Link::NONE };

    /// The first thread, or none.
    pub fn first(&self) -> Link {
        self.head
    }

    /// The last thread, or none.
    #[cfg(any(test, feature = "host"))]
    pub fn last(&self) -> Link {
        self.tail
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Adds a thread at the end.
    pub fn push(&mut self, machine: &mut impl Machine, link: Link) {
        let tail = self.tail;
        let thread = machine.object::<Thread>(link);
        (thread.next, thread.previous) = (Link::NONE, tail);
        if tail.is_none() {
            self.head = link;
        } else {
            machine.object::<Thread>(tail).next = link;
        }
        self.tail = link;
    }

    /// Adds a thread at the front.
    pub fn push_front(&mut self, machine: &mut impl Machine, link: Link) {
        let head = self.head;
        let thread = machine.object::<Thread>(link);
        (thread.next, thread.previous) = (head, Link::NONE);
        if head.is_none() {
            self.tail = link;
        } else {
            machine.object::<Thread>(head).previous = link;
        }
        self.head = link;
    }

    /// Takes a thread out, wherever it stands.
    pub fn remove(&mut self, machine: &mut impl Machine, link: Link) {
        let thread = machine.object::<Thread>(link);
        let (next, previous) = (thread.next, thread.previous);
        (thread.next, thread.previous) = (Link::NONE, Link::NONE);
        if previous.is_none() {
            self.head = next;
        } else {
            machine.object::<Thread>(previous).next = next;
        }
        if next.is_none() {
            self.tail = previous;
        } else {
            machine.object::<Thread>(next).previous = previous;
        }
    }

    /// Takes the first thread out.
    #[inline(always)]
    pub fn pop(&mut self, machine: &mut impl Machine) -> Link {
        let link = self.head;
        if link.is_none() {
            return link;
        }
        let next = core::mem::replace(&mut machine.object::<Thread>(link).next, Link::NONE);
        self.head = next;
        if next.is_none() {
            self.tail = Link::NONE;
        } else {
            machine.object::<Thread>(next).previous = Link::NONE;
        }
        link
    }
}
