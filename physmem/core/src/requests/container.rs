//! Requests to a container or a grant, and to a lock that was passed on.

use super::{Answered, Handed, Incoming, Outcome, answered, handing, sent_badge};
use crate::badge::{Badge, BadgeKind};
use crate::layout::contract;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::container::{Broken, Changed, Copied, Locked, Request};
use containers_api::lock::{self as lock_api, RUNS_PER_ANSWER, Released, Run, Runs};
use containers_api::{ContainerRights, MemoryError};
use containers_core::access::Access;
use containers_core::eviction::{self, Eviction};
use containers_core::frames::{Contents, Frames};
use containers_core::grant::{self, Revocation};
use containers_core::layout::{container as fields, grant as grant_fields, hold, lock as lock_fields};
use containers_core::lock::{self, Terms};
use containers_core::passing::{self, Driver};
use containers_core::record::{Contract, Grant, Hold, Name, Records};
use containers_core::{container, copy};
use kernel_abi::trace::EventKind;
use kernel_protocol::{Empty, Refusal};

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    pub(super) fn container_request(&mut self, badge: Badge, incoming: Incoming<'_>) -> Answered {
        let request = Request::decode(incoming.label, incoming.words).map_err(|_| MemoryError::Malformed)?;
        let access = self.access_of(badge)?;
        let result = self.serve_container(&access, request, incoming);
        // Nothing was changed by what was refused, so the container is there to be asked.
        result.map_err(|refusal| Refusal::with_detail(refusal.error, self.version(access.container)))
    }

    fn serve_container(&mut self, access: &Access, request: Request, incoming: Incoming<'_>) -> Answered {
        match request {
            Request::ContainerStat(_) => {
                let payer = self.get(access.container, fields::CONTRACT);
                let principal = self.get(payer, contract::PRINCIPAL);
                let reply = container::status(self, access, principal);
                return self.answered_at_length(&reply);
            }
            Request::Resize(resize) => container::resize(self, access, resize.pages)?,
            Request::Allocate(allocate) => {
                let contents = if allocate.any_contents { Contents::Own } else { Contents::Zero };
                container::allocate(self, access, allocate.first_page, allocate.pages, contents)?;
            }
            Request::Deallocate(range) => {
                container::deallocate(self, access, range.first_page, range.pages)?;
            }
            Request::Copy(_) | Request::Move(_) => return self.copy_or_move(access, request, incoming),
            Request::Seal(_) => container::seal(self, access)?,
            Request::Share(_) | Request::Grant(_) | Request::Revoke(_) => {
                return self.serve_grants(access, request, incoming);
            }
            Request::Lock(_)
            | Request::Unlock(_)
            | Request::BreakLocks(_)
            | Request::LockChange(_)
            | Request::LockPass(_) => return self.serve_locks(access, request),
            Request::SetEviction(asked) => {
                let wanted =
                    Eviction { rank: asked.rank, discardable: asked.discardable, vital: asked.vital };
                eviction::set(self, access, wanted)?;
            }
            Request::PageQuery(asked) => {
                let reply = self.page_states(access, asked.first_page, asked.pages, asked.clear)?;
                return self.answered_at_length(&reply);
            }
            Request::ContainerDestroy(_) => {
                access.require(ContainerRights::GRANT)?;
                access.require_whole()?;
                return match self.destroy_container(access.container) {
                    None => answered(&Empty),
                    Some(reply) => Ok(Outcome::Later(reply)),
                };
            }
        }
        self.changed_reply(access)
    }

    fn changed_reply(&self, access: &Access) -> Answered {
        answered(&Changed { version: self.version(access.container) })
    }

    fn copy_or_move(&mut self, access: &Access, request: Request, incoming: Incoming<'_>) -> Answered {
        let destination = self.access_of(sent_badge(&incoming, 0)?)?;
        let outcome = match request {
            Request::Copy(asked) => copy::copy(
                self,
                access,
                &destination,
                asked.source_offset,
                asked.destination_offset,
                asked.bytes,
            )?,
            Request::Move(asked) => copy::move_pages(
                self,
                access,
                &destination,
                asked.first_page,
                asked.destination_page,
                asked.pages,
            )?,
            _ => return Err(MemoryError::Malformed.into()),
        };
        if self.is_tracing {
            let number = |container| self.get(container, fields::NUMBER);
            let (from, to) = (number(access.container), number(destination.container));
            self.trace(EventKind::Copied, [from, to, outcome.shared_pages, outcome.moved_bytes]);
        }
        answered(&Copied {
            version: self.version(destination.container),
            moved_bytes: outcome.moved_bytes,
            shared_pages: outcome.shared_pages,
        })
    }

    fn serve_grants(&mut self, access: &Access, request: Request, incoming: Incoming<'_>) -> Answered {
        match request {
            Request::Share(share) => {
                access.require(ContainerRights::GRANT | share.rights)?;
                handing(&Empty, Handed::Badge(Self::access_badge(access, share.rights)))
            }
            Request::Grant(asked) => {
                let made = grant::make(
                    self,
                    access,
                    asked.first_page,
                    asked.pages,
                    asked.rights,
                    asked.maximum_lock_ns,
                )?;
                let badge = Badge::new(BadgeKind::Grant, asked.rights.bits() as u8, made.word());
                handing(&Empty, Handed::Badge(badge))
            }
            Request::Revoke(revoke) => {
                let sent = sent_badge(&incoming, 0)?;
                if sent.kind() != Some(BadgeKind::Grant) {
                    return Err(MemoryError::WrongObject.into());
                }
                let target = self.resolve::<Grant>(sent.name()).ok_or(MemoryError::Stale)?;
                match grant::revoke(self, access, target, revoke.break_locks)? {
                    Revocation::Done => self.changed_reply(access),
                    Revocation::Waits => match self.wait_for_revoke(target) {
                        Ok(reply) => Ok(Outcome::Later(reply)),
                        Err(error) => {
                            self.set(target, grant_fields::REVOKING, false);
                            Err(error.into())
                        }
                    },
                }
            }
            _ => Err(MemoryError::Malformed.into()),
        }
    }

    fn serve_locks(&mut self, access: &Access, request: Request) -> Answered {
        match request {
            Request::Lock(asked) => {
                let terms = Terms { mode: asked.mode, term_ns: asked.term_ns, now: self.now };
                let made = lock::take(self, access, asked.first_page, asked.pages, terms)?;
                let payer = self.get(access.container, fields::CONTRACT);
                answered(&Locked {
                    lock: made.word(),
                    expires: self.get(made, lock_fields::EXPIRES),
                    version: self.version(access.container),
                    principal: self.get(payer, contract::PRINCIPAL),
                })
            }
            Request::Unlock(asked) => {
                lock::unlock(self, access, asked.lock, asked.filled_bytes)?;
                self.changed_reply(access)
            }
            Request::LockChange(asked) => {
                lock::change(self, access, asked.lock, asked.mode, asked.filled_bytes)?;
                self.changed_reply(access)
            }
            Request::LockPass(asked) => {
                let made = passing::pass(self, access, asked.lock, asked.mode, asked.term_ns, self.now)?;
                let badge = Badge::new(BadgeKind::Lock, 0, made.word());
                handing(&Changed { version: self.version(access.container) }, Handed::Badge(badge))
            }
            Request::BreakLocks(asked) => {
                let (locks, quarantined) = lock::break_all(self, access, asked.first_page, asked.pages)?;
                answered(&Broken { version: self.version(access.container), locks, quarantined })
            }
            _ => Err(MemoryError::Malformed.into()),
        }
    }

    pub(super) fn lock_request(&mut self, badge: Badge, incoming: Incoming<'_>) -> Answered {
        let request =
            lock_api::Request::decode(incoming.label, incoming.words).map_err(|_| MemoryError::Malformed)?;
        match request {
            lock_api::Request::LockRuns(asked) => {
                let authority = sent_badge(&incoming, 0)?;
                if authority.kind() != Some(BadgeKind::Dma) {
                    return Err(MemoryError::NotTrusted.into());
                }
                let answers = match incoming.sent.get(1) {
                    None => self.contract_of(authority)?,
                    Some(_) => {
                        let badge = sent_badge(&incoming, 1)?;
                        if badge.kind() != Some(BadgeKind::Contract) {
                            return Err(MemoryError::WrongObject.into());
                        }
                        self.contract_of(badge)?
                    }
                };
                let driver = Driver { answers, device: authority.rights(), is_reader: asked.is_read };
                let reply = self.runs(badge.name(), asked.first_page, driver)?;
                self.answered_at_length(&reply)
            }
            lock_api::Request::LockRelease(asked) => {
                let overdue = self.overdue_contract(badge.name());
                let kept_bytes = passing::release(self, badge.name(), asked.written_bytes)?;
                if let Some(contract) = overdue {
                    self.hold_released(contract);
                }
                answered(&Released { kept_bytes })
            }
        }
    }

    fn runs(&mut self, lock: u64, first: u64, driver: Driver) -> Result<Runs, MemoryError> {
        let mut found = Runs { range_pages: 0, count: 0, runs: [Run::default(); RUNS_PER_ANSWER] };
        found.range_pages = passing::tell_frames(self, lock, first, driver, |frame| {
            if let Some(last) = found.runs[..found.count].last_mut()
                && last.frame + last.frames == frame
            {
                last.frames += 1;
                return true;
            }
            if found.count == RUNS_PER_ANSWER {
                return false;
            }
            found.runs[found.count] = Run { frame, frames: 1 };
            found.count += 1;
            true
        })?;
        Ok(found)
    }

    /// The contract that answers for the frames of a lock that has ended.
    fn overdue_contract(&self, lock: u64) -> Option<Name<Contract>> {
        let found: Option<Name<Hold>> =
            containers_core::layout::OVERDUE.at_or_before(self, self.roots.overdue, lock);
        let found = found.filter(|&found| self.get(found, hold::LOCK) == lock)?;
        Some(self.get(found, hold::CONTRACT))
    }
}
