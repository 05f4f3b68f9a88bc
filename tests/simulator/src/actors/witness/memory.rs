//! What a witness does with its own memory, with the outcome that it must have.

use super::{Holding, State, Witness, address};
use crate::contents::{Page, SECTOR, SECTORS, ZEROS};
use crate::env::{Counter, Env};
use crate::law;
use crate::world::{Reply, Space, Touch};
use containers_api::space::MapProtection;
use containers_api::{MemoryError, container, space};
use kernel_abi::FRAME_BYTES;

impl Witness {
    fn page_of(&self, env: &mut Env<'_>, place: usize) -> u64 {
        env.random.below(self.holdings[place].pages.len() as u64)
    }

    /// A range of a container's pages.
    pub(super) fn range(&self, env: &mut Env<'_>, place: usize) -> (u64, u64) {
        let size = self.holdings[place].pages.len() as u64;
        let first = env.random.below(size);
        (first, 1 + env.random.below(size - first))
    }

    /// Reads a page and compares it, or writes some of its sectors.
    pub(super) fn touch_page(&mut self, env: &mut Env<'_>, place: usize) {
        let page = self.page_of(env, place);
        let holding = &self.holdings[place];
        let write = !holding.sealed && !holding.is_lent(page) && env.random.once_in(2);
        env.record.note(page << 8 | u64::from(write), || {
            format!("{} page {page} of container {place}", if write { "writes" } else { "reads" })
        });
        let Some(frame) = self.touch(env, place, page, write) else { return };
        if self.holdings[place].is_lent(page) {
            return self.look_at_lent(env, place, page, frame);
        }
        self.require_contents(env, frame, &self.holdings[place].pages[page as usize], page);
        if write {
            let first = env.random.below(SECTORS as u64) as usize;
            let count = 1 + env.random.below((SECTORS - first) as u64) as usize;
            self.write_sectors(env, (place, page), frame, first..first + count);
        }
    }

    /// A thread that waited for the pager goes on: its access is made again.
    pub(super) fn touch_again(&mut self, env: &mut Env<'_>, place: usize, page: u64) {
        let is_there = self.holdings.get(place).is_some_and(|it| page < it.pages.len() as u64);
        if !is_there || self.holdings[place].is_lent(page) {
            return;
        }
        env.record.note(page, || format!("reads page {page} of container {place} at last"));
        if let Some(frame) = self.touch(env, place, page, false) {
            self.require_contents(env, frame, &self.holdings[place].pages[page as usize], page);
        }
    }

    /// Writes all of a page.
    pub(super) fn write_page(&mut self, env: &mut Env<'_>, place: usize, page: u64) {
        env.record.note(page, || format!("writes all of page {page} of container {place}"));
        if let Some(frame) = self.touch(env, place, page, true) {
            self.write_sectors(env, (place, page), frame, 0..SECTORS);
        }
    }

    fn write_sectors(
        &mut self,
        env: &mut Env<'_>,
        (place, page): (usize, u64),
        frame: u32,
        sectors: std::ops::Range<usize>,
    ) {
        for sector in sectors {
            let cell = self.new_cell();
            self.holdings[place].pages[page as usize][sector] = cell;
            let bytes = &mut env.world.frame(frame)[sector * SECTOR..(sector + 1) * SECTOR];
            if let Ok(bytes) = bytes.try_into() {
                cell.put(bytes);
            }
        }
    }

    /// Compares a whole container through its own eyes.
    pub(super) fn compare_all(&mut self, env: &mut Env<'_>, place: usize) {
        env.record.note(place as u64, || format!("compares container {place}"));
        for page in 0..self.holdings[place].pages.len() as u64 {
            self.compare_page(env, &self.holdings[place], page);
        }
    }

    /// Allocates or gives up a range.
    pub(super) fn change_range(&mut self, env: &mut Env<'_>, place: usize) {
        let (first_page, pages) = self.range(env, place);
        if self.holdings[place].sealed || self.holdings[place].any_lent(first_page, pages) {
            return;
        }
        let badge = self.holdings[place].badge;
        // Who may have large containers is greedy.
        if env.random.once_in(if env.mix.pages > 16 { 5 } else { 2 }) {
            env.record
                .note(pages, || format!("gives up {pages} pages of container {place} from {first_page}"));
            let result = env.world.ask(badge, &container::Deallocate { first_page, pages }, &[]);
            if let Some(reply) = self.asked(env, result, None, 0) {
                self.changed(place, reply.version);
                self.holdings[place].pages[first_page as usize..(first_page + pages) as usize].fill(ZEROS);
            }
        } else {
            env.record
                .note(pages, || format!("allocates {pages} pages of container {place} from {first_page}"));
            let request = container::Allocate { first_page, pages, any_contents: false };
            let result = env.world.ask(badge, &request, &[]);
            if let Some(reply) = self.asked(env, result, None, pages) {
                self.changed(place, reply.version);
            }
        }
    }

    /// Copies between two containers, or within one: whole pages mostly, sometimes parts that do not lie alike.
    pub(super) fn copy(&mut self, env: &mut Env<'_>, place: usize) {
        let other = env.random.below(self.holdings.len() as u64) as usize;
        let (from, count) = self.range(env, place);
        let target_pages = self.holdings[other].pages.len() as u64;
        let to = env.random.below(target_pages);
        let count = count.min(target_pages - to);
        if self.holdings[place].any_lent(from, count) || self.holdings[other].any_lent(to, count) {
            return;
        }
        let (lead, tail) = if env.random.once_in(3) {
            (env.random.below(SECTORS as u64), env.random.below(SECTORS as u64))
        } else {
            (0, 0)
        };
        let alike = env.random.once_in(2);
        let sectors = (count * SECTORS as u64).saturating_sub(lead + tail).max(1);
        let first = from * SECTORS as u64 + lead;
        let target = to * SECTORS as u64 + if alike { lead } else { 0 };
        self.copy_sectors(env, (place, first), (other, target), sectors);
    }

    fn copy_sectors(&mut self, env: &mut Env<'_>, from: (usize, u64), to: (usize, u64), sectors: u64) {
        let per_page = SECTORS as u64;
        let pages = |first: u64| (first / per_page, (first + sectors).div_ceil(per_page));
        let fits = |(place, first): (usize, u64)| pages(first).1 <= self.holdings[place].pages.len() as u64;
        let meet = from.0 == to.0 && pages(from.1).0 < pages(to.1).1 && pages(to.1).0 < pages(from.1).1;
        if !fits(from) || !fits(to) || meet || self.holdings[to.0].sealed {
            return;
        }
        env.record.note(sectors << 16 | from.1 << 8 | to.1, || {
            format!("copies {sectors} sectors: container {} from {}, to {} at {}", from.0, from.1, to.0, to.1)
        });
        let request = container::Copy {
            source_offset: from.1 * SECTOR as u64,
            destination_offset: to.1 * SECTOR as u64,
            bytes: sectors * SECTOR as u64,
        };
        let (source, target) = (self.holdings[from.0].badge, self.holdings[to.0].badge);
        let result = env.world.ask(source, &request, &[target]);
        let needed = sectors.div_ceil(per_page) + 1;
        let Some(reply) = self.asked(env, result, None, needed) else { return };
        self.changed(to.0, reply.version);
        for index in 0..sectors {
            let at = |first: u64| ((first + index) / per_page, (first + index) % per_page);
            let (page, sector) = at(from.1);
            let cell = self.holdings[from.0].pages[page as usize][sector as usize];
            let (page, sector) = at(to.1);
            self.holdings[to.0].pages[page as usize][sector as usize] = cell;
        }
    }

    /// Moves pages between two containers.
    pub(super) fn move_pages(&mut self, env: &mut Env<'_>, place: usize) {
        let other = env.random.below(self.holdings.len() as u64) as usize;
        let (first_page, count) = self.range(env, place);
        let target_pages = self.holdings[other].pages.len() as u64;
        let destination_page = env.random.below(target_pages);
        let pages = count.min(target_pages - destination_page);
        let meet =
            place == other && first_page < destination_page + pages && destination_page < first_page + pages;
        let sealed = self.holdings[place].sealed || self.holdings[other].sealed;
        let lent = self.holdings[place].any_lent(first_page, pages)
            || self.holdings[other].any_lent(destination_page, pages);
        if meet || sealed || lent {
            return;
        }
        env.record
            .note(pages, || format!("moves {pages} pages: container {place} from {first_page}, to {other}"));
        let request = container::Move { first_page, destination_page, pages };
        let (source, target) = (self.holdings[place].badge, self.holdings[other].badge);
        let result = env.world.ask(source, &request, &[target]);
        let Some(reply) = self.asked(env, result, None, pages) else { return };
        self.changed(other, reply.version);
        for index in 0..pages {
            let page =
                std::mem::replace(&mut self.holdings[place].pages[(first_page + index) as usize], ZEROS);
            self.holdings[other].pages[(destination_page + index) as usize] = page;
        }
        self.note_version(env, place);
    }

    fn note_version(&mut self, env: &mut Env<'_>, place: usize) {
        if let Ok(version) = env.world.version(self.holdings[place].badge) {
            let holding = &mut self.holdings[place];
            law!("versions", version >= holding.version, "version {version} after {}", holding.version);
            holding.version = version;
        }
    }

    /// Makes a container longer or shorter.
    pub(super) fn resize(&mut self, env: &mut Env<'_>, place: usize) {
        let old = self.holdings[place].pages.len() as u64;
        let pages = 1 + env.random.below(env.mix.pages);
        if self.holdings[place].sealed || self.holdings[place].loan.is_some() {
            return;
        }
        env.record.note(pages, || format!("resizes container {place} from {old} to {pages} pages"));
        let badge = self.holdings[place].badge;
        let result = env.world.ask(badge, &container::Resize { pages }, &[]);
        let refused = self.holdings[place].vital
            && result.as_ref().is_err_and(|it| it.error == MemoryError::NotAdmitted);
        let expected = refused.then_some(MemoryError::NotAdmitted);
        if let Some(reply) = self.asked(env, result, expected, 2) {
            self.changed(place, reply.version);
            self.holdings[place].pages.resize(pages as usize, ZEROS);
            self.unmap_and_map(env, place);
        }
    }

    /// Unmaps, wholly or in part, and maps again.
    pub(super) fn remap(&mut self, env: &mut Env<'_>, place: usize) {
        env.record.note(place as u64, || format!("maps container {place} anew"));
        if env.random.once_in(3) {
            let (first, pages) = self.range(env, place);
            let request = space::Unmap { address: address(place, first), pages };
            let result = env.world.ask(self.space.badge, &request, &[]);
            self.asked(env, result, None, 1);
            for page in first..first + pages {
                if self.ended {
                    break;
                }
                let touched = env.world.touch(self.space, address(place, page), false);
                law!("unmapped", !matches!(touched, Touch::Frame(_)), "page {page} is unmapped and there");
            }
        }
        self.unmap_and_map(env, place);
    }

    pub(super) fn unmap_and_map(&mut self, env: &mut Env<'_>, place: usize) {
        if self.space.badge == 0 {
            return;
        }
        let pages = if env.random.once_in(4) { 512 } else { 64 };
        let request = space::Unmap { address: address(place, 0), pages };
        let result = env.world.ask(self.space.badge, &request, &[]);
        self.asked(env, result, None, 1);
        self.map_again(env, place);
    }

    /// Takes write access away from a mapping and gives it back.
    pub(super) fn protect(&mut self, env: &mut Env<'_>, place: usize) {
        let (first, pages) = self.range(env, place);
        if self.holdings[place].sealed {
            return;
        }
        env.record.note(first, || format!("protects {pages} pages of container {place} from {first}"));
        for protection in [MapProtection::empty(), MapProtection::WRITE] {
            let request = space::Protect { address: address(place, first), pages, protection };
            let result = env.world.ask(self.space.badge, &request, &[]);
            // Where the container was mapped before it was longer, or could not be mapped at all.
            let expected = result.as_ref().err().map(|refused| refused.error);
            let expected = expected.filter(|&error| error == containers_api::MemoryError::OutOfRange);
            if self.asked(env, result, expected, 2).is_none() {
                return;
            }
            if protection.is_empty() {
                let mapped =
                    env.world.machine.pmap.mapped(self.space.task, address(place, first) / FRAME_BYTES);
                law!("unmapped", mapped.is_none_or(|page| !page.writable), "a page is writable, protected");
            }
        }
    }

    /// Seals a container for good; its contents stay as they are.
    pub(super) fn seal(&mut self, env: &mut Env<'_>, place: usize) {
        if self.holdings[place].loan.is_some() {
            return;
        }
        env.record.note(place as u64, || format!("seals container {place}"));
        let result = env.world.ask(self.holdings[place].badge, &container::Seal {}, &[]);
        if let Some(reply) = self.asked(env, result, None, 0) {
            self.changed(place, reply.version);
            self.holdings[place].sealed = true;
        }
    }

    /// Ends a container, in the middle of whatever goes on with it, and makes another.
    pub(super) fn replace(&mut self, env: &mut Env<'_>, place: usize) {
        if matches!(self.state, State::Revoking(..)) {
            return;
        }
        env.record.note(place as u64, || format!("ends container {place} and makes another"));
        let result = env.world.ask(self.holdings[place].badge, &container::ContainerDestroy {}, &[]);
        self.asked(env, result, None, 0);
        let pages = 1 + env.random.below(env.mix.pages);
        let request = containers_api::contract::ContainerCreate { pages };
        match env.world.ask_badge(self.contract, &request, &[]) {
            Ok(badge) => {
                self.holdings[place] = Holding {
                    badge,
                    pages: vec![ZEROS; pages as usize],
                    version: 0,
                    sealed: false,
                    discardable: false,
                    vital: false,
                    lost: 0,
                    grant: None,
                    loan: None,
                    own: None,
                };
                self.unmap_and_map(env, place);
            }
            Err(refused) => {
                self.require_scarce(env, refused, 2);
                self.holdings.clear();
                self.restart_task(env);
            }
        }
    }

    /// The task ends, with or without anybody telling physmem, and another one takes its place: the containers stay.
    pub(super) fn restart_task(&mut self, env: &mut Env<'_>) {
        env.record.note(1, || String::from("ends its task and makes another"));
        if !self.ended && self.space.badge != 0 && env.random.once_in(2) {
            env.world.machine.pmap.end_task(self.space.task);
            self.ended = true;
            return;
        }
        self.ended = false;
        if self.space.badge != 0 {
            let result = env.world.ask(self.space.badge, &space::SpaceDestroy {}, &[]);
            self.asked(env, result, None, 0);
        }
        self.space = Space::NONE;
        match env.world.space(self.contract) {
            Ok(space) => self.space = space,
            Err(refused) => self.require_scarce(env, refused, 6),
        }
        if self.space.badge != 0 {
            (0..self.holdings.len()).for_each(|place| self.map_again(env, place));
        }
    }

    /// The owner takes its range back, whoever has it.
    pub(super) fn break_locks(&mut self, env: &mut Env<'_>, place: usize) {
        let pages = self.holdings[place].pages.len() as u64;
        env.record.note(pages, || format!("breaks the locks on container {place}"));
        let request = container::BreakLocks { first_page: 0, pages };
        let result = env.world.ask(self.holdings[place].badge, &request, &[]);
        if let Some(reply) = self.asked(env, result, None, 0) {
            env.record.add(Counter::Breaks, reply.locks);
            law!("versions", reply.version >= self.holdings[place].version, "version {}", reply.version);
            self.holdings[place].version = reply.version;
            if let Some(loan) = &mut self.holdings[place].loan {
                loan.broken = true;
            } else {
                law!("owner-gets-range-back", reply.locks == 0, "{} locks nobody has", reply.locks);
            }
        }
    }

    /// Takes back the file server's way to a container, now or when its locks have ended.
    pub(super) fn revoke(&mut self, env: &mut Env<'_>, place: usize) {
        let Some(grant) = self.holdings[place].grant else { return };
        let break_locks = env.random.once_in(2);
        env.record.count(Counter::Revokes);
        env.record.note(u64::from(break_locks), || {
            format!(
                "revokes the grant on container {place}{}",
                if break_locks { ", breaking locks" } else { "" }
            )
        });
        if let Some(loan) = &mut self.holdings[place].loan {
            loan.broken = true;
        }
        let request = container::Revoke { break_locks };
        match env.world.call(self.holdings[place].badge, &request, &[grant.badge]) {
            Reply::Done(..) => {
                self.holdings[place].grant = None;
                self.settle(env, place);
            }
            Reply::Waits(wait) if wait.for_frames => self.state = State::Waiting(wait),
            Reply::Waits(wait) => {
                law!("owner-gets-range-back", !break_locks, "a revoke that breaks locks waits");
                self.state = State::Revoking(wait, env.now() + grant.maximum_lock_ns, place);
            }
            Reply::Refused(refused) => self.require_scarce(env, refused, 1),
        }
    }

    /// What the page is now, by the models: for tests of the witness itself.
    pub fn page(&self, place: usize, page: usize) -> Option<&Page> {
        self.holdings.get(place)?.pages.get(page)
    }
}
