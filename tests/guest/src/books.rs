//! The books: all frames by state, and what each contract holds. Two looks at different times are compared.

use crate::Failed;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use containers_api::control::{ContainerList, ContractEntry, ContractList, SystemStat, SystemStatus};
use filesystems_api::file::FileStatfs;
use kernel_abi::FRAME_BYTES;
use kernel_runtime::ipc::call;
use kernel_runtime::layout::{HEAP_BASE, HEAP_END};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle};

/// Contracts that a look can list.
const CONTRACTS_MAX: usize = 1000;

/// Name of the contract whose pages are the file cache.
const CACHE_OWNER: &str = "ext";

/// Pages that a heap can have.
const HEAP_PAGES: u64 = (HEAP_END - HEAP_BASE) / FRAME_BYTES;

/// Pages for which one more frame of a page array is enough.
const ARRAY_PAGES: u64 = 256;

/// A look at all frames.
#[derive(Clone, Debug)]
pub struct Books {
    /// All frames.
    pub system: SystemStatus,
    /// All contracts.
    pub contracts: Vec<ContractEntry>,
    /// Pages that the file server at `/` caches.
    pub cached_pages: u64,
}

impl Books {
    /// Takes a look.
    pub fn look(startup: &Startup<'_>) -> Result<Books, Failed> {
        let control = startup.capability("control").ok_or(Failed("no control capability".to_string()))?;
        let never = Deadline::NEVER;
        // First, because a file server that is still mounting its disk answers when it has done so.
        if let Some(&(_, root)) = startup.mounts.iter().find(|(prefix, _)| *prefix == "/") {
            let _ = call(Handle(root), &FileStatfs {}, &[], never);
        }
        let system = call(control, &SystemStat {}, &[], never).map_err(|error| ("system status", error))?;
        let mut contracts = Vec::new();
        let mut cursor = 0;
        loop {
            let entry =
                call(control, &ContractList { cursor }, &[], never).map_err(|error| ("contracts", error))?;
            cursor = entry.next;
            contracts.push(entry);
            if cursor == 0 {
                break;
            }
            if contracts.len() == CONTRACTS_MAX {
                return Err(Failed("the list of contracts does not end".to_string()));
            }
        }
        let cached_pages = cached_pages(control, &contracts)?;
        Ok(Books { system, contracts, cached_pages })
    }

    /// Pages, record frames and kernel frames that a contract holds, without the pages of the file cache.
    pub fn held(&self, contract: &ContractEntry) -> (u64, u64, u64) {
        let is_cache = contract.name.as_str() == CACHE_OWNER;
        let cached = if is_cache { self.cached_pages } else { 0 };
        (contract.pages - cached, contract.records, contract.kernel)
    }

    /// Checks that the states of all frames add up (law 2).
    pub fn check_sum(&self) -> Result<(), Failed> {
        let SystemStatus { frames, kernel, free_zero, free_dirty, held, quarantined, .. } = self.system;
        let sum = kernel + free_zero + free_dirty + held + quarantined;
        if sum == frames {
            Ok(())
        } else {
            Err(Failed(format!("{frames} frames, but the states add up to {sum}")))
        }
    }

    /// Checks that nothing has grown or shrunk since an earlier look, but for the contract of this name and the file cache.
    pub fn check_same(&self, before: &Books, except: &str) -> Result<(), Failed> {
        self.check(before, except, |was, is| was == is)
    }

    /// Checks that nothing has grown since an earlier look, but for the contract of this name and the file cache. What was
    /// taken away from somebody may have stayed away.
    pub fn check_not_grown(&self, before: &Books, except: &str) -> Result<(), Failed> {
        self.check(before, except, |was, is| is.0 <= was.0 && is.1 <= was.1 && is.2 <= was.2)
    }

    fn check(
        &self,
        before: &Books,
        except: &str,
        may_be: impl Fn((u64, u64, u64), (u64, u64, u64)) -> bool,
    ) -> Result<(), Failed> {
        self.check_sum()?;
        if self.system.kernel != before.system.kernel {
            let (was, is) = (before.system.kernel, self.system.kernel);
            return Err(Failed(format!("physmem's and the kernel's frames were {was}, are {is}")));
        }
        for was in before.contracts.iter().filter(|contract| contract.name.as_str() != except) {
            let Some(is) = self.contracts.iter().find(|contract| contract.principal == was.principal) else {
                return Err(Failed(format!("contract {} is gone", was.name)));
            };
            let (was_held, mut is_held) = (before.held(was), self.held(is));
            // The cache's page array grows with the cache.
            let cached = self.cached_pages.abs_diff(before.cached_pages);
            if was.name.as_str() == CACHE_OWNER && was_held.1.abs_diff(is_held.1) <= array_frames(cached) {
                is_held.1 = was_held.1;
            }
            if !may_be(was_held, is_held) {
                return Err(Failed(format!(
                    "contract {} held (pages, records, kernel frames) {was_held:?}, holds {is_held:?}",
                    was.name
                )));
            }
        }
        let new = self
            .contracts
            .iter()
            .filter(|is| !before.contracts.iter().any(|was| was.principal == is.principal));
        match new.map(|contract| contract.name.as_str().to_string()).collect::<Vec<String>>() {
            names if names.is_empty() => Ok(()),
            names => Err(Failed(format!("contracts left over: {names:?}"))),
        }
    }
}

/// Pages in the container that is the file cache: the largest one of the contract that pays for it, but for the heap.
fn cached_pages(control: Handle, contracts: &[ContractEntry]) -> Result<u64, Failed> {
    let owner = contracts.iter().find(|contract| contract.name.as_str() == CACHE_OWNER);
    let owner = owner.map(|contract| contract.principal);
    let (mut size, mut present, mut cursor) = (0, 0, 0);
    loop {
        let request = ContainerList { cursor };
        let entry = call(control, &request, &[], Deadline::NEVER).map_err(|error| ("containers", error))?;
        if Some(entry.principal) == owner && entry.pages > size && entry.pages < HEAP_PAGES {
            (size, present) = (entry.pages, entry.present);
        }
        cursor = entry.next;
        if cursor == 0 {
            return Ok(present);
        }
    }
}

/// Frames by which the page array of the cache can grow for so many pages.
fn array_frames(pages: u64) -> u64 {
    if pages == 0 { 0 } else { 2 + pages / ARRAY_PAGES }
}
