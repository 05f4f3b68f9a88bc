//! Operations on contents: touching, allocating, copying, moving, mapping, beginning and ending.

use super::*;

impl Run {
    pub(super) fn touch(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let by_grant = self.random.below(3) == 0;
        let page = self.random.below(PAGES);
        let offset = [0, 4095, self.random.below(4096)][self.random.below(3) as usize];
        let write = (self.random.below(2) == 0).then(|| self.random.byte());
        let place = page * PAGE + offset;
        let (space, at) = if by_grant {
            (self.parties[SERVER].space, granted(index) + place)
        } else if write.is_none() && self.random.below(3) == 0 {
            (self.parties[self.containers[index].owner].space, alias(index) + place)
        } else {
            (self.parties[self.containers[index].owner].space, address(index) + place)
        };
        let could = self.world.machine.pmap.is_writable(space.task, at);
        let touched = self.world.touch(space, at, write);
        if write.is_some() && !could && matches!(touched, Touch::Byte(_)) {
            self.must_bump(index);
        }
        let held = self.containers[index]
            .locks
            .iter()
            .any(|lock| page >= lock.first && page < lock.first + lock.pages);
        let sealed = self.containers[index].sealed && write.is_some();
        let blocked = self.blocked(index, page, 1, write.is_some(), by_grant);
        match touched {
            Touch::Byte(value) => {
                assert!(!blocked && !sealed && (held || !by_grant), "{at:#x} could be touched ({write:?})");
                let byte = &mut self.containers[index].pages[page as usize][offset as usize];
                *byte = write.unwrap_or(*byte);
                assert_eq!(value, *byte, "page {page} of container {index}");
            }
            Touch::Waits(_) => assert!(blocked && !sealed, "{at:#x} waits for nothing"),
            Touch::Ended(FaultReason::NotLocked) => assert!(by_grant && !held),
            Touch::Ended(FaultReason::Protection) => {
                assert!(by_grant && blocked || sealed, "its own stable lock");
            }
            Touch::Ended(FaultReason::Sealed) => assert!(sealed),
            Touch::Ended(FaultReason::TooManyWaiters) => assert!(blocked),
            Touch::Ended(FaultReason::ContractExhausted | FaultReason::NoRecord) => {}
            Touch::Ended(reason) => panic!("{at:#x}: {reason:?}"),
        }
    }

    pub(super) fn change_range(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let (first_page, pages) = self.range();
        let by_grant = self.random.below(4) == 0;
        let badge = if by_grant { self.containers[index].grant } else { self.containers[index].badge };
        let expected = self.expected(index, self.blocked(index, first_page, pages, true, by_grant));
        if self.random.below(2) == 0 {
            let allocate = Allocate { first_page, pages, any_contents: false };
            if self.ask(badge, &allocate, &[], expected).is_some() {
                self.must_bump(index);
            }
        } else if self.ask(badge, &Deallocate { first_page, pages }, &[], expected).is_some() {
            self.must_bump(index);
            self.containers[index].pages[first_page as usize..(first_page + pages) as usize].fill(ZEROS);
        }
    }

    pub(super) fn copy(&mut self) {
        let count = self.containers.len() as u64;
        let (from, to) = (self.random.below(count) as usize, self.random.below(count) as usize);
        let whole = self.random.below(2) == 0;
        let bytes = 1 + self.random.below(4 * PAGE);
        let unit = if whole { PAGE } else { 1 };
        let bytes = if whole { bytes.div_ceil(PAGE) * PAGE } else { bytes };
        let mut source_offset = self.random.below(PAGES * PAGE - bytes + 1) / unit * unit;
        let mut destination_offset = self.random.below(PAGES * PAGE - bytes + 1) / unit * unit;
        if !whole && self.random.below(2) == 0 {
            let shift = self.random.below(PAGE);
            source_offset = (source_offset / PAGE * PAGE + shift).min(PAGES * PAGE - bytes);
            destination_offset =
                (destination_offset / PAGE * PAGE + source_offset % PAGE).min(PAGES * PAGE - bytes);
        }
        let by_grant = self.random.below(3) == 0;
        let pages = |offset: u64| (offset / PAGE, (offset + bytes).div_ceil(PAGE) - offset / PAGE);
        let ((first, span), (to_first, to_span)) = (pages(source_offset), pages(destination_offset));
        let overlap = from == to && first < to_first + to_span && to_first < first + span;
        let blocked = self.blocked(from, first, span, false, by_grant)
            || self.blocked(to, to_first, to_span, true, by_grant);
        let expected = self.expected(to, blocked).or(overlap.then_some(MemoryError::OutOfRange));
        let badge = |model: &Model| if by_grant { model.grant } else { model.badge };
        let (source, destination) = (badge(&self.containers[from]), badge(&self.containers[to]));
        let request = Copy { source_offset, destination_offset, bytes };
        let Some(copied) = self.ask(source, &request, &[destination], expected) else { return };
        self.must_bump(to);
        self.count += 1;
        if whole {
            assert_eq!(
                (copied.moved_bytes, copied.shared_pages),
                (0, bytes / PAGE),
                "whole pages are shared"
            );
        }
        let flat: Vec<u8> = self.containers[from].pages.concat();
        let taken = &flat[source_offset as usize..(source_offset + bytes) as usize];
        for (index, &byte) in taken.iter().enumerate() {
            let at = destination_offset as usize + index;
            self.containers[to].pages[at / 4096][at % 4096] = byte;
        }
    }

    pub(super) fn move_pages(&mut self) {
        let count = self.containers.len() as u64;
        let (from, to) = (self.random.below(count) as usize, self.random.below(count) as usize);
        let (first_page, mut pages) = self.range();
        let destination_page = self.random.below(PAGES);
        pages = pages.min(PAGES - destination_page);
        let overlap =
            from == to && first_page < destination_page + pages && destination_page < first_page + pages;
        let blocked = self.blocked(from, first_page, pages, true, false)
            || self.blocked(to, destination_page, pages, true, false);
        let sealed = self.containers[from].sealed || self.containers[to].sealed;
        let expected = if sealed {
            Some(MemoryError::Sealed)
        } else if blocked {
            Some(MemoryError::Locked)
        } else {
            overlap.then_some(MemoryError::OutOfRange)
        };
        let destination = self.containers[to].badge;
        let request = Move { first_page, destination_page, pages };
        if self.ask(self.containers[from].badge, &request, &[destination], expected).is_some() {
            self.must_bump(from);
            self.must_bump(to);
            for index in 0..pages as usize {
                let page =
                    std::mem::replace(&mut self.containers[from].pages[first_page as usize + index], ZEROS);
                self.containers[to].pages[destination_page as usize + index] = page;
            }
        }
    }

    pub(super) fn replace_container(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let model = self.containers.remove(index);
        self.world.ask(model.badge, &ContainerDestroy {}, &[]);
        model.locks.iter().for_each(|&lock| self.note_overdue(lock));
        let model = self.new_container(model.owner, index);
        self.containers.insert(index, model);
    }

    /// An owner's contract ends with everything, and another takes its place.
    pub(super) fn replace_party(&mut self) {
        let owner = self.random.below(OWNERS as u64 - 1) as usize;
        for index in [2 * owner, 2 * owner + 1] {
            let locks = std::mem::take(&mut self.containers[index].locks);
            locks.into_iter().for_each(|lock| self.note_overdue(lock));
        }
        self.world.ask(self.parties[owner].contract, &ContractDestroy {}, &[]);
        self.parties[owner] = self.new_party();
        for index in [2 * owner, 2 * owner + 1] {
            self.containers[index] = self.new_container(owner, index);
        }
    }

    pub(super) fn remap(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let space = self.parties[self.containers[index].owner].space;
        let (first_page, pages) = self.range();
        let at = address(index) + first_page * PAGE;
        self.world.ask(space.badge, &Unmap { address: at, pages }, &[]);
        assert_eq!(self.world.touch(space, at, None), Touch::Ended(FaultReason::NotMapped));
        self.world.check();
        let protection = protection_of(&self.containers[index]);
        let populate = self.random.below(2) == 0;
        let map = Map { address: at, pages, first_page, protection, populate };
        self.world.ask(space.badge, &map, &[self.containers[index].badge]);
    }

    pub(super) fn seal(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let blocked = self.blocked(index, 0, PAGES, false, false);
        let expected = blocked.then_some(MemoryError::Locked);
        if self.ask(self.containers[index].badge, &Seal {}, &[], expected).is_some() {
            self.containers[index].sealed = true;
        }
    }

    /// An owner's task ends by itself, is found ended, and is replaced.
    pub(super) fn restart_task(&mut self) {
        use physmem_core::pmap::Pmap;
        let owner = self.random.below(OWNERS as u64 - 1) as usize;
        let Party { contract, space } = self.parties[owner];
        self.world.machine.pmap.kill(space.task);
        let drop_one = Deallocate { first_page: 0, pages: 1 };
        let blocked = self.blocked(2 * owner, 0, 1, true, false);
        let expected = self.expected(2 * owner, blocked);
        if self.ask(self.containers[2 * owner].badge, &drop_one, &[], expected).is_some() {
            self.containers[2 * owner].pages[0] = ZEROS;
        }
        self.world.check();
        self.world.ask(space.badge, &SpaceDestroy {}, &[]);
        self.parties[owner].space = self.world.space(contract);
        for index in [2 * owner, 2 * owner + 1] {
            let protection = protection_of(&self.containers[index]);
            let (space, badge) = (self.parties[owner].space, self.containers[index].badge);
            self.world.map_at(space, badge, address(index), 0, PAGES, protection);
            self.world.map_at(space, badge, alias(index), 0, PAGES, MapProtection::empty());
        }
    }
}
