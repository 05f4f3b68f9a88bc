//! Carrying out the steps of a read. Locks, copies and disk requests happen outside the gate; what they rely on is kept
//! in place by the page index (pages in use) and by locks (the client's range).

use crate::cache::Cache;
use crate::disk::LOCK_TERM_NS;
use crate::files::{Worker, volume_refusal};
use crate::mount::{Mounted, State};
use containers_api::container::Locked;
use containers_api::{ContainerRights, LockMode, MemoryError};
use filesystems_api::block::Extents;
use filesystems_api::file::{FileError, IoReadContainer, ReadDone};
use filesystems_ext_core::cache::{CachedRun, FileKey, Places, Reservation};
use filesystems_ext_core::plan::{Read, Step};
use filesystems_ext_core::{Inode, PAGE_BYTES};
use filesystems_serve::{ClientContainer, Result, memory_refusal};
use kernel_abi::trace::EventKind;
use kernel_protocol::ErrorCode;
use kernel_runtime::containers::MemoryCallError;

/// A read in progress.
struct Reading<'a> {
    worker: &'a Worker,
    mounted: &'static Mounted,
    client: &'a ClientContainer,
    read: Read,
    key: FileKey,
    done: ReadDone,
    /// Pages that the disk is to fill in one step.
    step_pages: u64,
    /// Bytes up to which the disk is asked for single pages, after an error.
    careful_until: u64,
    /// How often it may still be tried to make do with the places that the cache has memory for.
    memory_attempts: u32,
}

/// Parts in which pages that were read are copied to the cache at most.
const COPY_IN_PARTS: usize = 4;

/// Pages that are tried to be locked at least, before a client that may not pin so many is read to through the cache.
const DIRECT_PAGES_MIN: u64 = 16;

/// Attempts until a read is refused for lack of memory for the cache.
const MEMORY_ATTEMPTS: u32 = 4;

/// Successive pages of a client's container that were read from the disk.
struct Filled {
    first_page: u64,
    pages: u64,
    valid: u64,
    file_page: u64,
}

/// What is asked for, as the plan wants it.
pub fn plan(inode: Inode, request: &IoReadContainer, direct: bool, disk_pages: u64) -> Read {
    let &IoReadContainer { offset, bytes, container_offset } = request;
    Read { inode, offset, bytes, container_offset, direct, disk_pages }
}

impl Worker {
    /// Reads into a client's container. An error after some bytes are in their places comes with the count of those.
    pub fn read(
        &self,
        inode: Inode,
        request: &IoReadContainer,
        client: &ClientContainer,
    ) -> Result<ReadDone> {
        let (events, worker) = (self.server.events, self.index as u64);
        events.write(EventKind::FileRead, [worker, inode.number.into(), request.offset, request.bytes]);
        let result = self.read_in_steps(inode, request, client);
        let done = result.as_ref().map_or([0; 3], |done| [done.bytes, done.dma_bytes, done.moved_bytes]);
        events.write(EventKind::FileReadDone, [worker, done[0], done[1], done[2]]);
        result
    }

    fn read_in_steps(
        &self,
        inode: Inode,
        request: &IoReadContainer,
        client: &ClientContainer,
    ) -> Result<ReadDone> {
        let direct = client.rights.contains(ContainerRights::LOCK | ContainerRights::FILL);
        let mounted = self.mounted()?;
        let mut reading = Reading {
            worker: self,
            mounted,
            client,
            read: plan(inode, request, direct, mounted.step_pages),
            step_pages: mounted.step_pages,
            key: FileKey { inode: inode.number, generation: inode.generation },
            done: ReadDone { bytes: 0, error: 0, moved_bytes: 0, dma_bytes: 0 },
            careful_until: 0,
            memory_attempts: MEMORY_ATTEMPTS,
        };
        loop {
            let refusal = match reading.step() {
                Ok(true) => return Ok(reading.done),
                Ok(false) => continue,
                Err(refusal) => refusal,
            };
            if refusal.error == FileError::Io && reading.read.disk_pages > 1 {
                // Page by page through what failed, to find the last one that can be read.
                reading.read.disk_pages = 1;
                reading.careful_until = reading.done.bytes + reading.step_pages * PAGE_BYTES;
            } else if reading.done.bytes == 0 {
                return Err(refusal);
            } else {
                return Ok(ReadDone { error: refusal.error.code(), ..reading.done });
            }
        }
    }
}

impl Reading<'_> {
    fn cache(&self) -> &'static Cache {
        &self.mounted.cache
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.mounted.state.enter(self.worker.index))
    }

    /// Takes one step; true: there is nothing left to do.
    fn step(&mut self) -> Result<bool> {
        let done = self.done.bytes;
        if done >= self.careful_until {
            self.read.disk_pages = self.step_pages;
        }
        let mut cache = self.cache();
        let next = self.with(|state| self.read.next(&mut state.volume, &mut cache, done));
        match next.map_err(volume_refusal)? {
            Step::Done => return Ok(true),
            Step::NoPlace => return Err(FileError::Busy.into()),
            Step::Copy { run, source_offset, destination_offset, bytes, valid } => {
                let copied = self.copy_cached(&run, source_offset, destination_offset, bytes, valid);
                self.cache().index().release(run);
                copied?;
            }
            Step::Zero { destination_offset, bytes, valid } => {
                let source = self.cache().zeros_offset + destination_offset % PAGE_BYTES;
                self.copy(source, destination_offset, bytes, valid).map_err(memory_refusal)?;
            }
            Step::Direct { first_page, pages, extents, valid, file_page } => {
                self.direct(&Filled { first_page, pages, valid, file_page }, &extents)?;
            }
            Step::Fill { reservation, extents, filled, file_page } => {
                self.fill(reservation, &extents, filled, file_page)?;
            }
            Step::Assemble { reservation, file_page } => self.assemble(reservation, file_page)?,
        }
        Ok(false)
    }

    /// Copies from the cache container to the client.
    fn copy(
        &mut self,
        source: u64,
        destination: u64,
        bytes: u64,
        valid: u64,
    ) -> core::result::Result<(), MemoryCallError> {
        let copied = self.cache().container.copy_to(source, &self.client.container, destination, bytes)?;
        self.done.moved_bytes += copied.moved_bytes;
        self.done.bytes += valid;
        Ok(())
    }

    /// Copies cached pages. Where some of them were seized nothing is done: they are forgotten, and the next step reads them from
    /// the disk.
    fn copy_cached(
        &mut self,
        run: &CachedRun,
        source: u64,
        destination: u64,
        bytes: u64,
        valid: u64,
    ) -> Result<()> {
        match self.copy(source, destination, bytes, valid) {
            Err(error) if error.refusal() == Some(MemoryError::Lost) => {
                // If none of them is lost, a page of the client's is.
                match self.cache().forget_lost(run).map_err(memory_refusal)? {
                    0 => Err(memory_refusal(error)),
                    _ => Ok(()),
                }
            }
            copied => copied.map_err(memory_refusal),
        }
    }

    /// Has the disk write into the client's own frames, and caches what it wrote before the client gets at it again.
    fn direct(&mut self, filled: &Filled, extents: &Extents) -> Result<()> {
        let client = &self.client.container;
        let range = filled.first_page..filled.first_page + filled.pages;
        let locked = match client.lock(range, LockMode::Dma, LOCK_TERM_NS) {
            Ok(locked) => locked,
            // Not so many pinned pages: fewer at a time; through the cache, in the end.
            Err(error) if error.refusal() == Some(MemoryError::PinLimit) => {
                self.step_pages = (self.step_pages / 2).max(1);
                self.read.disk_pages = self.read.disk_pages.min(self.step_pages);
                self.read.direct = filled.pages > DIRECT_PAGES_MIN;
                return Ok(());
            }
            Err(error) => return Err(memory_refusal(error)),
        };
        if let Err(error) = self.mounted.disk.fill(client, locked.lock, extents) {
            // Whatever the disk wrote is not shown; a lock that is gone by now needs no ending.
            let _ = client.unlock(locked.lock, 0);
            return Err(error.file_refusal());
        }
        self.publish(filled, locked)?;
        self.done.bytes += filled.valid;
        self.done.dma_bytes += filled.valid;
        Ok(())
    }

    /// Ends a lock on pages that the disk has filled. Where the client allows it they are copied, logically, to the cache
    /// while nobody can write to them; that counts only if the container did not change until the lock ended.
    fn publish(&self, filled: &Filled, locked: Locked) -> Result<()> {
        let client = &self.client.container;
        self.cache().index().count_misses(filled.pages);
        if !self.client.rights.contains(ContainerRights::COPY_OUT) {
            return client.unlock(locked.lock, filled.valid).map(drop).map_err(memory_refusal);
        }
        let version = match client.lock_change(locked.lock, LockMode::Stable, filled.valid) {
            Ok(version) => version,
            Err(error) => {
                let _ = client.unlock(locked.lock, 0);
                return Err(memory_refusal(error));
            }
        };
        let cached = self.copy_in(filled);
        let unlocked = client.unlock(locked.lock, filled.valid);
        let is_current = matches!(unlocked, Ok(after) if after == version);
        for (reservation, page) in cached.into_iter().flatten() {
            if is_current {
                self.cache().index().publish(reservation, self.key, page);
            } else {
                self.cache().index().cancel(reservation);
            }
        }
        unlocked.map(drop).map_err(memory_refusal)
    }

    /// Copies the pages to places in the cache, in a few parts, since places do not always lie one after the other. Returns what
    /// was copied, with the page of the file.
    fn copy_in(&self, filled: &Filled) -> [Option<(Reservation, u64)>; COPY_IN_PARTS] {
        let mut cached = [const { None }; COPY_IN_PARTS];
        let mut copied = 0;
        for part in &mut cached {
            let left = (filled.pages - copied) as u32;
            let reservation = if left > 0 { self.cache().reserve(left) } else { None };
            let Some(reservation) = reservation else { break };
            let pages = u64::from(reservation.pages);
            let source = (filled.first_page + copied) * PAGE_BYTES;
            let destination = u64::from(reservation.place) * PAGE_BYTES;
            let cache = &self.cache().container;
            let result = self.client.container.copy_to(source, cache, destination, pages * PAGE_BYTES);
            if let Err(error) = result {
                self.cache().not_filled(reservation, &error);
                break;
            }
            *part = Some((reservation, filled.file_page + copied));
            copied += pages;
        }
        cached
    }

    /// Has the disk write into the cache.
    fn fill(
        &mut self,
        reservation: Reservation,
        extents: &Extents,
        filled: u64,
        file_page: u64,
    ) -> Result<()> {
        let cache = &self.cache().container;
        let (first, pages) = (u64::from(reservation.place), u64::from(reservation.pages));
        let locked = match cache.lock(first..first + pages, LockMode::Dma, LOCK_TERM_NS) {
            Ok(locked) => locked,
            Err(error) => return self.no_memory(reservation, &error),
        };
        let result = self.mounted.disk.fill(cache, locked.lock, extents);
        let valid = if result.is_ok() { filled } else { 0 };
        let unlocked = cache.unlock(locked.lock, valid);
        if result.is_ok() && unlocked.is_ok() {
            self.cache().index().count_misses(pages);
            self.cache().index().publish(reservation, self.key, file_page);
        } else {
            self.cache().index().cancel(reservation);
        }
        result.map_err(|error| error.file_refusal())?;
        unlocked.map(drop).map_err(memory_refusal)
    }

    /// Puts a page together that is partly on the disk and partly a hole.
    fn assemble(&mut self, reservation: Reservation, file_page: u64) -> Result<()> {
        let destination = u64::from(reservation.place) * PAGE_BYTES;
        let read = self.with(|state| {
            let page = state.assembly.mapping.as_mut_slice();
            page.fill(0);
            let read =
                state.volume.read(&self.read.inode, file_page * PAGE_BYTES, page).map_err(volume_refusal)?;
            let cache = &self.cache().container;
            let copied = state.assembly.container.copy_to(0, cache, destination, PAGE_BYTES);
            Ok(copied.map(|_| read))
        });
        match read {
            Ok(Ok(bytes)) => {
                self.done.moved_bytes += bytes as u64;
                self.cache().index().count_misses(1);
                self.cache().index().publish(reservation, self.key, file_page);
                Ok(())
            }
            Ok(Err(error)) => self.no_memory(reservation, &error),
            Err(refusal) => {
                self.cache().index().cancel(reservation);
                Err(refusal)
            }
        }
    }

    /// The cache could not take the pages. Where memory is short the read goes on with places that have some.
    fn no_memory(&mut self, reservation: Reservation, error: &MemoryCallError) -> Result<()> {
        self.cache().not_filled(reservation, error);
        if error.refusal() == Some(MemoryError::ContractExhausted) && self.memory_attempts > 0 {
            self.memory_attempts -= 1;
            return Ok(());
        }
        let is_pinned_full = error.refusal() == Some(MemoryError::PinLimit);
        Err(if is_pinned_full { FileError::Busy } else { FileError::NoMemory }.into())
    }
}
