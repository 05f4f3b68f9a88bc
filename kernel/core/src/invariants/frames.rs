//! Memory: every page table and table of capabilities belongs to one task, and all counts are right.

use crate::frame_table::FrameKind;
use crate::host::HostMachine;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Capability, Object, Task, Thread};
use crate::page_table::{self, DEVICE, LARGE, PRESENT};
use kernel_abi::capability::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// What walking all address spaces finds.
#[derive(Default)]
struct Found {
    /// Page tables, in use or in stock.
    tables: BTreeSet<u32>,
    /// Mappings of each frame.
    mapped: BTreeMap<u32, u32>,
}

impl Kernel<HostMachine> {
    pub(super) fn check_frames(&mut self) {
        let mut found = Found::default();
        for (link, task) in self.live_tasks() {
            if task.root != 0 {
                self.check_table(&mut found, task.root, 4, task.is_alive());
            }
            self.check_stock_list(&mut found, link, &task);
            self.check_capabilities(link, &task);
        }
        let tables: BTreeSet<u32> = self.frames_of(FrameKind::PageTable).into_iter().collect();
        assert_eq!(tables, found.tables, "page tables that no task has, or that are none");
        for frame in 0..self.machine.frames() {
            let entry = *self.machine.frame(frame).expect("below the end");
            let mapped = found.mapped.get(&frame).copied().unwrap_or(0);
            if entry.kind() != FrameKind::PageTable {
                assert_eq!(entry.map_count(), mapped, "map count of frame {frame:#x} ({:?})", entry.kind());
            }
            assert!(mapped == 0 || entry.kind() == FrameKind::Plain, "frame {frame:#x} must not be mapped");
        }
        self.check_capability_tables();
        self.check_replies();
    }

    /// Of a task that has ended an empty table stays until it is taken.
    fn check_table(&mut self, found: &mut Found, table: u32, level: u32, alive: bool) {
        assert!(found.tables.insert(table), "page table {table:#x} is used twice");
        let used = if level == 4 { 256 } else { 512 };
        let entries = *self.machine.table(table);
        let present = entries[..used].iter().filter(|&entry| entry & PRESENT != 0);
        let count = self.machine.frame(table).expect("a page table").map_count();
        assert_eq!(count as usize, present.clone().count(), "entries of page table {table:#x}");
        assert!(count != 0 || level == 4 || !alive, "an empty page table {table:#x} is left in place");
        for &entry in present {
            let frame = page_table::frame_of(entry);
            if level > 1 && entry & LARGE == 0 {
                self.check_table(found, frame, level - 1, alive);
            } else if entry & DEVICE == 0 {
                for beyond in 0..page_table::span_pages(level) as u32 {
                    *found.mapped.entry(frame + beyond).or_default() += 1;
                }
            }
        }
    }

    fn check_stock_list(&mut self, found: &mut Found, link: Link, task: &Task) {
        let mut next = task.stock;
        for _ in 0..task.stock_frames {
            assert_ne!(next, 0, "the stock of task {link:?} is shorter than its count");
            assert!(found.tables.insert(next), "page table {next:#x} is used twice");
            let count = self.machine.frame(next).expect("a page table").map_count();
            assert_eq!(count, 0, "frame {next:#x} in stock is in use");
            next = self.stocked_behind(next);
        }
        assert_eq!(next, 0, "the stock of task {link:?} is longer than its count");
    }

    fn check_capabilities(&mut self, link: Link, task: &Task) {
        let mut replies = 0;
        for frame in task.table.into_iter().filter(|&frame| frame != 0) {
            let owner = self.capability_at(Link::new::<Capability>(frame, 0)).name;
            assert_eq!(owner, self.name_of::<Task>(link), "owner of capability table {frame:#x}");
            for slot in 1..Capability::PER_FRAME {
                replies +=
                    u32::from(self.capability_at(Link::new::<Capability>(frame, slot)).kind == Kind::Reply);
            }
        }
        assert_eq!(task.saved_replies, replies, "saved replies of task {link:?}");
    }

    fn check_capability_tables(&mut self) {
        let tables = self.live_tasks().into_iter().flat_map(|(_, task)| task.table);
        let mut named: std::vec::Vec<u32> = tables.filter(|&frame| frame != 0).collect();
        named.sort_unstable();
        assert_eq!(named, self.frames_of(FrameKind::CapabilityTable), "capability tables and their tasks");
    }

    /// A call can be answered by one party only.
    fn check_replies(&mut self) {
        let saved = self.all::<Capability>().into_iter().map(|(_, capability)| capability);
        let saved = saved.filter(|capability| capability.kind == Kind::Reply);
        let saved = saved.map(|capability| (capability.name.link, capability.badge));
        let current = self.all::<Thread>().into_iter().map(|(_, thread)| thread.reply);
        let current =
            current.filter(|reply| !reply.caller.is_none()).map(|reply| (reply.caller.link, reply.sequence));
        let mut owed = BTreeSet::new();
        for reply in saved.chain(current) {
            assert!(owed.insert(reply), "two replies to call {} of thread {:?}", reply.1, reply.0);
        }
    }
}
