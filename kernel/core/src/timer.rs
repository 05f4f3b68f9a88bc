//! Deadlines: a hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987), linked
//! through the objects that wait.
//!
//! Level `n` holds deadlines whose highest 6-bit group in which they differ from the present tick is group `n`,
//! so within a level the first occupied slot starts first. Between levels the starts are compared: a slot of a higher
//! level that has begun still holds deadlines earlier than those below it. Setting and cancelling are O(levels); an entry moves down at most once a level. A deadline fires at the first tick not before it, never early.

use crate::frame_table::FrameKind;
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Notification, Schedule, Thread};

/// log2 of a tick in nanoseconds: a quarter of a microsecond, so that a deadline is noticed soon after it has passed.
pub const TICK_SHIFT: u32 = 8;

const SLOT_BITS: u32 = 6;
pub(crate) const SLOTS: usize = 1 << SLOT_BITS;
pub(crate) const LEVELS: usize = 9;

/// The last tick that the wheel has a place for, 146 years after boot: later deadlines count as this one.
const TICK_MAX: u64 = (1 << (SLOT_BITS * LEVELS as u32)) - 1;

/// A node's place while it is in no list.
const NOWHERE: u16 = u16::MAX;

/// The part of an object that stands in the wheel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TimerNode {
    pub(crate) deadline_tick: u64,
    pub(crate) next: Link,
    pub(crate) previous: Link,
    pub(crate) place: u16,
}

impl TimerNode {
    /// In no list.
    pub const IDLE: TimerNode =
        TimerNode { deadline_tick: 0, next: Link::NONE, previous: Link::NONE, place: NOWHERE };

    /// Whether a deadline is set.
    pub fn is_set(&self) -> bool {
        self.place != NOWHERE
    }
}

/// The wheel.
pub struct TimerWheel {
    pub(crate) tick: u64,
    /// What [`TimerWheel::next_event`] answers, kept up to date: it is asked at every kernel entry.
    next_event: u64,
    pub(crate) occupied: [u64; LEVELS],
    /// Levels with an occupied slot.
    pub(crate) levels: u32,
    pub(crate) heads: [[Link; SLOTS]; LEVELS],
}

pub(crate) fn node(machine: &mut impl Machine, link: Link) -> &mut TimerNode {
    let kind = machine.frame(link.frame()).map(|entry| entry.kind());
    match kind {
        Some(FrameKind::Thread) => &mut machine.object::<Thread>(link).timer,
        Some(FrameKind::Schedule) => &mut machine.object::<Schedule>(link).timer,
        _ => &mut machine.object::<Notification>(link).timer,
    }
}

impl TimerWheel {
    /// No deadlines, time 0.
    pub const EMPTY: TimerWheel = TimerWheel {
        tick: 0,
        next_event: u64::MAX,
        occupied: [0; LEVELS],
        levels: 0,
        heads: [[Link::NONE; SLOTS]; LEVELS],
    };

    /// Sets the deadline of an object, which has none.
    pub fn set(&mut self, machine: &mut impl Machine, link: Link, deadline: u64) {
        let tick = (deadline >> TICK_SHIFT) + u64::from(deadline & ((1 << TICK_SHIFT) - 1) != 0);
        let tick = tick.min(TICK_MAX);
        node(machine, link).deadline_tick = tick;
        self.insert(machine, link, tick);
    }

    /// Removes the deadline of an object, if it has one.
    pub fn cancel(&mut self, machine: &mut impl Machine, link: Link) {
        let entry = node(machine, link);
        if !entry.is_set() {
            return;
        }
        let TimerNode { next, previous, place, .. } = *entry;
        *entry = TimerNode::IDLE;
        let (level, slot) = (usize::from(place) / SLOTS, usize::from(place) % SLOTS);
        if previous.is_none() {
            self.heads[level][slot] = next;
        } else {
            node(machine, previous).next = next;
        }
        if next.is_some() {
            node(machine, next).previous = previous;
        }
        if self.heads[level][slot].is_none() {
            self.occupied[level] &= !(1 << slot);
            if self.occupied[level] == 0 {
                self.levels &= !(1 << level);
            }
            // What is not first does not change what is.
            if self.start_of(level, slot) << TICK_SHIFT <= self.next_event {
                self.note_first();
            }
        }
    }

    /// When the wheel has to be looked at next, in nanoseconds; `u64::MAX`: never.
    pub fn next_event(&self) -> u64 {
        self.next_event
    }

    fn note_first(&mut self) {
        let first = self.first();
        self.next_event = first.map_or(u64::MAX, |(level, slot)| self.start_of(level, slot) << TICK_SHIFT);
    }

    /// Takes out an object whose deadline has passed. `None`: no more at this time, or `steps` are used up; then
    /// [`TimerWheel::next_event`] is still in the past. Moving an object to a lower level is a step, and so is taking it out.
    pub fn expire(&mut self, machine: &mut impl Machine, now: u64, steps: &mut u32) -> Option<Link> {
        let now_tick = (now >> TICK_SHIFT).min(TICK_MAX);
        if self.next_event >> TICK_SHIFT > now_tick {
            self.tick = self.tick.max(now_tick);
            return None;
        }
        while let Some((level, slot)) = self.first() {
            let start = self.start_of(level, slot);
            if start > now_tick {
                break;
            }
            *steps = steps.checked_sub(1)?;
            self.tick = start.max(self.tick);
            let link = self.heads[level][slot];
            let tick = node(machine, link).deadline_tick;
            self.cancel(machine, link);
            if tick <= self.tick {
                return Some(link);
            }
            node(machine, link).deadline_tick = tick;
            self.insert(machine, link, tick);
        }
        self.tick = self.tick.max(now_tick);
        self.note_first();
        None
    }

    fn insert(&mut self, machine: &mut impl Machine, link: Link, tick: u64) {
        let differing = (tick.max(self.tick) ^ self.tick) | 1;
        let level = ((63 - differing.leading_zeros()) / SLOT_BITS) as usize;
        let level = level.min(LEVELS - 1);
        let slot = (tick.max(self.tick) >> (SLOT_BITS * level as u32)) as usize % SLOTS;
        let head = core::mem::replace(&mut self.heads[level][slot], link);
        self.occupied[level] |= 1 << slot;
        self.levels |= 1 << level;
        let entry = node(machine, link);
        (entry.next, entry.previous) = (head, Link::NONE);
        entry.place = (level * SLOTS + slot) as u16;
        self.next_event = self.next_event.min(self.start_of(level, slot) << TICK_SHIFT);
        if head.is_some() {
            node(machine, head).previous = link;
        }
    }

    /// The slot that starts first; of two that start together the higher one, which may hold what belongs in the lower.
    fn first(&self) -> Option<(usize, usize)> {
        let mut first = None;
        let mut earliest = u64::MAX;
        let mut levels = self.levels;
        while levels != 0 {
            let level = levels.trailing_zeros() as usize;
            levels &= levels - 1;
            let slot = self.occupied[level].trailing_zeros() as usize;
            let start = self.start_of(level, slot);
            if start <= earliest {
                (first, earliest) = (Some((level, slot)), start);
            }
        }
        first
    }

    fn start_of(&self, level: usize, slot: usize) -> u64 {
        let shift = SLOT_BITS * level as u32;
        (self.tick >> (shift + SLOT_BITS) << (shift + SLOT_BITS)) | (slot as u64) << shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostMachine;
    use std::vec::Vec;

    fn fire_all(wheel: &mut TimerWheel, machine: &mut HostMachine, now: u64) -> Vec<Link> {
        core::iter::from_fn(|| wheel.expire(machine, now, &mut u32::MAX.clone())).collect()
    }

    fn machine_with_nodes(count: u32) -> (HostMachine, Vec<Link>) {
        let mut machine = HostMachine::new(1 + count.div_ceil(32));
        let nodes = (0..count).map(|n| Link::new::<Notification>(1 + n / 32, n % 32)).collect();
        for frame in 1..=count.div_ceil(32) {
            machine.frame(frame).unwrap().take_for(FrameKind::Notification);
            machine.format::<Notification>(frame);
        }
        (machine, nodes)
    }

    #[test]
    fn deadlines_fire_in_order_never_early_and_at_most_a_tick_late() {
        let (mut machine, nodes) = machine_with_nodes(256);
        let mut wheel = TimerWheel::EMPTY;
        let mut seed = 7u64;
        let mut pending = Vec::new();
        for &link in &nodes {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let deadline = (seed >> 20) % (1 << (20 + seed % 25));
            wheel.set(&mut machine, link, deadline);
            pending.push((deadline, link));
        }
        let mut now = 0;
        while !pending.is_empty() {
            let event = wheel.next_event();
            assert_ne!(event, u64::MAX, "a deadline is pending");
            now = event.max(now);
            for link in fire_all(&mut wheel, &mut machine, now) {
                let index = pending.iter().position(|&(_, other)| other == link).expect("fires once");
                let (deadline, _) = pending.swap_remove(index);
                assert!(deadline <= now, "early");
            }
            let late = pending.iter().filter(|&&(deadline, _)| deadline + (1 << TICK_SHIFT) <= now);
            assert_eq!(late.count(), 0, "late");
        }
        assert_eq!(wheel.next_event(), u64::MAX);
    }

    #[test]
    fn a_cancelled_deadline_never_fires() {
        let (mut machine, nodes) = machine_with_nodes(3);
        let mut wheel = TimerWheel::EMPTY;
        for &link in &nodes {
            wheel.set(&mut machine, link, 1 << 30);
        }
        wheel.cancel(&mut machine, nodes[1]);
        wheel.cancel(&mut machine, nodes[1]);
        let fired = fire_all(&mut wheel, &mut machine, 1 << 31);
        assert_eq!(fired.len(), 2);
        assert!(!fired.contains(&nodes[1]));
    }

    #[test]
    fn the_last_deadline_has_a_place() {
        let (mut machine, nodes) = machine_with_nodes(2);
        let mut wheel = TimerWheel::EMPTY;
        wheel.set(&mut machine, nodes[0], u64::MAX);
        wheel.set(&mut machine, nodes[1], u64::MAX - (1 << TICK_SHIFT));
        assert!(wheel.next_event() > 1 << 61);
        assert_eq!(fire_all(&mut wheel, &mut machine, 1 << 61), []);
        assert_eq!(fire_all(&mut wheel, &mut machine, u64::MAX).len(), 2);
    }

    #[test]
    fn many_deadlines_at_once_take_bounded_steps() {
        let (mut machine, nodes) = machine_with_nodes(256);
        let mut wheel = TimerWheel::EMPTY;
        for &link in &nodes {
            wheel.set(&mut machine, link, 1 << 40);
        }
        let (mut fired, mut entries) = (0, 0);
        while wheel.next_event() <= 1 << 41 {
            let mut steps = 16;
            while wheel.expire(&mut machine, 1 << 41, &mut steps).is_some() {
                fired += 1;
            }
            entries += 1;
            assert!(entries < 256, "no headway");
        }
        assert_eq!(fired, 256);
        assert!(entries >= 16, "the steps are not counted");
    }

    #[test]
    fn a_deadline_in_the_past_fires_at_once() {
        let (mut machine, nodes) = machine_with_nodes(1);
        let mut wheel = TimerWheel::EMPTY;
        assert_eq!(fire_all(&mut wheel, &mut machine, 1 << 40), []);
        wheel.set(&mut machine, nodes[0], 5);
        assert_eq!(fire_all(&mut wheel, &mut machine, 1 << 40), [nodes[0]]);
    }
}
