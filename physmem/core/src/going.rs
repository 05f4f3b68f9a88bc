//! Containers and address spaces that are destroyed by request and too large to go at once: they go in steps between messages, and
//! who asked is answered when they are gone.
//!
//! From the first step on nobody can use them: a container is dying, an address space's task is killed and its capability is
//! stale. The contract that pays may be destroyed meanwhile; then it takes them with it, and who asked is answered all the same.

use crate::chain::Chain;
use crate::layout::space;
use crate::limits::DESTROY_STEPS_AT_ONCE;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_core::container::Step;
use containers_core::layout::container;
use containers_core::record::{Container, Name, Records, Space};
use kernel_abi::Handle;

/// Containers that go in steps.
const GOING_CONTAINERS: Chain<Container> =
    Chain { next: container::GOING_NEXT, previous: container::GOING_PREVIOUS };

/// Address spaces that go in steps.
const GOING_SPACES: Chain<Space> = Chain { next: space::GOING_NEXT, previous: space::GOING_PREVIOUS };

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Destroys a container. Where to save the caller's reply, if that takes longer.
    pub(crate) fn destroy_container(&mut self, this: Name<Container>) -> Option<Handle> {
        for _ in 0..DESTROY_STEPS_AT_ONCE {
            if self.destroy_container_step(this) == Step::Done {
                return None;
            }
        }
        let Some(reply) = self.handles.take() else {
            while self.destroy_container_step(this) == Step::More {}
            return None;
        };
        self.set(this, container::END_REPLY, reply.0);
        self.going_containers = GOING_CONTAINERS.push(self, self.going_containers, this);
        Some(reply)
    }

    /// Destroys an address space. Where to save the caller's reply, if that takes longer.
    pub(crate) fn destroy_space(&mut self, this: Name<Space>) -> Option<Handle> {
        for _ in 0..DESTROY_STEPS_AT_ONCE {
            if self.destroy_space_step(this) == Step::Done {
                return None;
            }
        }
        let Some(reply) = self.handles.take() else {
            while self.destroy_space_step(this) == Step::More {}
            return None;
        };
        self.set(this, space::END_REPLY, reply.0);
        self.going_spaces = GOING_SPACES.push(self, self.going_spaces, this);
        Some(reply)
    }

    /// Whether something goes in steps.
    pub(crate) fn has_going(&self) -> bool {
        self.going_containers.first.is_some() || self.going_spaces.first.is_some()
    }

    /// A step for one of them.
    pub(crate) fn going_step(&mut self) {
        if let Some(this) = self.going_containers.first {
            self.destroy_container_step(this);
        } else if let Some(this) = self.going_spaces.first {
            self.destroy_space_step(this);
        }
    }

    /// A container is about to be gone: whoever waits for that is answered.
    pub(crate) fn container_goes(&mut self, this: Name<Container>) {
        let reply = self.get(this, container::END_REPLY);
        if reply != 0 {
            self.going_containers = GOING_CONTAINERS.remove(self, self.going_containers, this);
            self.answer_end(Handle(reply));
        }
    }

    /// The same for an address space.
    pub(crate) fn space_goes(&mut self, this: Name<Space>) {
        let reply = self.get(this, space::END_REPLY);
        if reply != 0 {
            self.going_spaces = GOING_SPACES.remove(self, self.going_spaces, this);
            self.answer_end(Handle(reply));
        }
    }

    /// Answers who waited for the end of something.
    pub(crate) fn answer_end(&mut self, reply: Handle) {
        self.flush();
        self.pmap.answer(reply, 0, &[]);
        self.handles.give(reply);
    }
}
