//! Having the disk fill a range: lock, pass on, wait, keep stable, cache, unlock.

use super::{
    BUSY_ATTEMPTS, CALL_NS, Error, Job, Kept, LOCK_TERM_NS, Locked, PASS_TERM_NS, Purpose, Server, Stage,
    comes_later, disk_refusal, memory_refusal,
};
use crate::env::{BlockAnswer, BlockCall, Counter, Env};
use containers_api::container as api;
use containers_api::{LockMode, MemoryError};
use filesystems_api::block::{BlockError, Extents};
use filesystems_api::file::FileError;
use filesystems_ext_core::PAGE_BYTES;

impl Server {
    pub(super) fn lock(
        &mut self,
        env: &mut Env<'_>,
        job: &mut Job,
        mut purpose: Purpose,
        extents: Extents,
    ) -> Result<Stage, Error> {
        let (container, first_page, pages) = match &purpose {
            Purpose::Direct(first, pages, ..) => (job.asked.container, *first, *pages),
            Purpose::Fill(Some(place), ..) => (self.cache, u64::from(place.place), u64::from(place.pages)),
            Purpose::Fill(None, ..) => return Ok(Stage::Plan),
        };
        let request = api::Lock { first_page, pages, mode: LockMode::Dma, term_ns: LOCK_TERM_NS };
        let result = env.world.ask(container, &request, &[]);
        if comes_later(job, &result) {
            return Ok(Stage::Lock { purpose, extents });
        }
        env.record
            .note(pages, || format!("locks {pages} pages for the disk: {:?}", result.map(|it| it.expires)));
        match (result, &mut purpose) {
            (Ok(locked), _) => {
                env.record.count(Counter::Locks);
                let locked = Locked { container, lock: locked.lock, attempts: BUSY_ATTEMPTS };
                Ok(Stage::Pass { purpose, extents, locked })
            }
            (Err(refused), Purpose::Direct(..)) if refused.error == MemoryError::PinLimit => {
                if let Some(read) = &mut job.read {
                    read.direct = false;
                }
                Ok(Stage::Plan)
            }
            (Err(refused), Purpose::Direct(..)) => Err(memory_refusal(refused)),
            (Err(refused), Purpose::Fill(reservation, ..)) => {
                let Some(reservation) = reservation.take() else { return Ok(Stage::Plan) };
                let short = refused.error == MemoryError::ContractExhausted;
                if short {
                    self.index.exhausted(reservation)
                } else {
                    self.index.cancel(reservation)
                }
                if short && job.memory_attempts > 0 {
                    job.memory_attempts -= 1;
                    return Ok(Stage::Plan);
                }
                let pins = refused.error == MemoryError::PinLimit;
                Err(if pins { FileError::Busy } else { FileError::NoMemory }.into())
            }
        }
    }

    pub(super) fn pass(
        &mut self,
        env: &mut Env<'_>,
        job: &mut Job,
        purpose: Purpose,
        extents: Extents,
        mut locked: Locked,
    ) -> Stage {
        let request = api::LockPass { lock: locked.lock, mode: LockMode::Dma, term_ns: PASS_TERM_NS };
        let result = env.world.ask_badge(locked.container, &request, &[]);
        if comes_later(job, &result) {
            return Stage::Pass { purpose, extents, locked };
        }
        match result {
            Ok(lock) => {
                env.record.count(Counter::Passes);
                let call = env.next_call();
                env.record
                    .note(job.asked.call, || format!("asks the driver for client {}", job.asked.client));
                env.to_driver.push_back(BlockCall { call, lock, extents });
                locked.attempts -= 1;
                let deadline = env.now() + CALL_NS;
                Stage::Disk { purpose, extents, locked, call, deadline }
            }
            Err(refused) => {
                let error = Some(memory_refusal(refused));
                Stage::Unlock { purpose, locked, valid: 0, error, kept: None }
            }
        }
    }

    pub(super) fn wait_for_disk(
        &mut self,
        env: &mut Env<'_>,
        job: &Job,
        (purpose, extents, locked): (Purpose, Extents, Locked),
        call: u64,
        deadline: u64,
    ) -> Stage {
        let in_time = |answer: &BlockAnswer| answer.call == call && answer.at < deadline;
        let found = env.to_workers.iter().position(in_time);
        let result = match found.map(|index| env.to_workers.swap_remove(index).result) {
            None if env.now() < deadline => return Stage::Disk { purpose, extents, locked, call, deadline },
            None => Err(FileError::TimedOut.into()),
            Some(None) => Err(FileError::DriverEnded.into()),
            Some(Some(Ok(_))) => Ok(()),
            Some(Some(Err(refusal))) if refusal.error == BlockError::Busy && locked.attempts > 0 => {
                return Stage::Pass { purpose, extents, locked };
            }
            Some(Some(Err(refusal))) => Err(disk_refusal(refusal)),
        };
        env.record.note(job.asked.call, || format!("hears from the driver: {result:?}"));
        match (result, &purpose) {
            (Err(error), _) => Stage::Unlock { purpose, locked, valid: 0, error: Some(error), kept: None },
            (Ok(()), &Purpose::Direct(.., valid, _)) if !job.copy_out => {
                Stage::Unlock { purpose, locked, valid, error: None, kept: None }
            }
            (Ok(()), Purpose::Direct(..)) => Stage::Change { purpose, locked },
            (Ok(()), &Purpose::Fill(_, valid, _)) => {
                Stage::Unlock { purpose, locked, valid, error: None, kept: None }
            }
        }
    }

    /// Keeps the lock in stable mode: nobody can write between disk and cache.
    pub(super) fn change(
        &mut self,
        env: &mut Env<'_>,
        purpose: Purpose,
        locked: Locked,
    ) -> Result<Stage, Error> {
        let valid = match &purpose {
            &Purpose::Direct(.., valid, _) | &Purpose::Fill(_, valid, _) => valid,
        };
        let request = api::LockChange { lock: locked.lock, mode: LockMode::Stable, filled_bytes: valid };
        let result = env.world.ask(locked.container, &request, &[]);
        env.record.note(valid, || format!("makes the lock stable: {result:?}"));
        Ok(match result {
            Ok(reply) => {
                Stage::CopyIn { purpose, locked, version: reply.version, cached: Vec::new(), copied: 0 }
            }
            Err(refused) => {
                let error = Some(memory_refusal(refused));
                Stage::Unlock { purpose, locked, valid: 0, error, kept: None }
            }
        })
    }

    /// Copies what the disk wrote to its cache, in at most two parts.
    pub(super) fn copy_in(
        &mut self,
        env: &mut Env<'_>,
        job: &mut Job,
        (purpose, locked): (Purpose, Locked),
        mut kept: Kept,
        copied: u64,
    ) -> Stage {
        let Purpose::Direct(first_page, pages, valid, file_page) = purpose else {
            return Stage::Unlock { purpose, locked, valid: 0, error: None, kept: None };
        };
        let left = (pages - copied) as u32;
        let reservation = if left > 0 && kept.cached.len() < 2 { self.index.reserve(left) } else { None };
        let Some(reservation) = reservation else {
            return Stage::Unlock { purpose, locked, valid, error: None, kept: Some(kept) };
        };
        let part = u64::from(reservation.pages);
        let request = api::Copy {
            source_offset: (first_page + copied) * PAGE_BYTES,
            destination_offset: u64::from(reservation.place) * PAGE_BYTES,
            bytes: part * PAGE_BYTES,
        };
        let result = env.world.ask(job.asked.container, &request, &[self.cache]);
        if comes_later(job, &result) {
            self.index.cancel(reservation);
            let Kept { version, cached } = kept;
            return Stage::CopyIn { purpose, locked, version, cached, copied };
        }
        match result {
            Ok(_) => {
                env.record.note(part, || format!("caches {part} pages"));
                kept.cached.push((reservation, file_page + copied));
                let Kept { version, cached } = kept;
                Stage::CopyIn { purpose, locked, version, cached, copied: copied + part }
            }
            Err(refused) => {
                match refused.error {
                    MemoryError::ContractExhausted => self.index.exhausted(reservation),
                    _ => self.index.cancel(reservation),
                }
                Stage::Unlock { purpose, locked, valid, error: None, kept: Some(kept) }
            }
        }
    }

    pub(super) fn unlock(
        &mut self,
        env: &mut Env<'_>,
        job: &mut Job,
        (purpose, locked): (Purpose, Locked),
        (valid, error): (u64, Option<Error>),
        kept: Option<Kept>,
    ) -> Result<Stage, Error> {
        let request = api::Unlock { lock: locked.lock, filled_bytes: valid };
        let unlocked = env.world.ask(locked.container, &request, &[]);
        env.record.note(valid, || format!("unlocks, {valid} bytes valid: {unlocked:?}"));
        if let Some(Kept { version, cached }) = kept {
            let is_current = unlocked.is_ok_and(|reply| reply.version == version);
            for (reservation, page) in cached {
                if is_current {
                    self.index.publish(reservation, job.key, page);
                } else {
                    self.index.cancel(reservation);
                }
            }
        }
        if let Purpose::Fill(Some(reservation), _, page) = purpose {
            if error.is_none() && unlocked.is_ok() {
                self.index.publish(reservation, job.key, page);
            } else {
                self.index.cancel(reservation);
            }
            if let Some(error) = error {
                return Err(error);
            }
            unlocked.map_err(memory_refusal)?;
            return Ok(Stage::Plan);
        }
        if let Some(error) = error {
            return Err(error);
        }
        unlocked.map_err(memory_refusal)?;
        job.done.bytes += valid;
        job.done.dma_bytes += valid;
        Ok(Stage::Plan)
    }
}
