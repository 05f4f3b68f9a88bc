//! The page in which a task counts, as the task sees it.

use alloc::string::ToString;
use containers_api::space::MapProtection;
use core::fmt::{Arguments, Debug};
use kernel_runtime::Capability;
use kernel_runtime::containers::Container;
use kernel_runtime::ipc::CallError;
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use tests_guest::Failed;
use tests_stress_core::tally::{self, Counter};

/// Name of the container that holds the page.
pub const TALLY: &str = "tally";

/// The page, mapped.
pub struct Page {
    mapping: Mapping,
    // Kept, so that the mapping can be renewed by faults.
    _container: Container,
}

impl Page {
    /// The page that this task was given.
    pub fn open(startup: &Startup<'_>) -> Result<Page, Failed> {
        let handle = startup.capability(TALLY).ok_or(Failed("no page to count in".to_string()))?;
        let container = Container::new(Capability::from_handle(handle));
        let mapping =
            Mapping::new(&container, 0, 1, MapProtection::WRITE).map_err(|error| ("tally", error))?;
        Ok(Page { mapping, _container: container })
    }

    /// Counts something.
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts several.
    pub fn add(&mut self, counter: Counter, more: u64) {
        tally::count(self.mapping.as_mut_slice(), counter, more);
    }

    /// Counts a latency.
    pub fn record(&mut self, ticks: u64) {
        tally::record(self.mapping.as_mut_slice(), ticks);
    }

    /// A law is broken.
    pub fn breach(&mut self, text: Arguments<'_>) {
        let text = alloc::format!("{text}");
        log::error!("BREACH: {text}");
        tally::tell_breach(self.mapping.as_mut_slice(), &text);
    }

    /// Checks a law. Whether it holds.
    pub fn check(&mut self, holds: bool, text: Arguments<'_>) -> bool {
        self.count(Counter::Checked);
        if !holds {
            self.breach(text);
        }
        holds
    }

    /// Counts a request and what became of it.
    pub fn outcome<T, E: Debug>(&mut self, result: Result<T, CallError<E>>) -> Option<T> {
        self.count(Counter::Tried);
        match result {
            Ok(value) => {
                self.count(Counter::Granted);
                return Some(value);
            }
            Err(CallError::Refused(_)) => self.count(Counter::Refused),
            Err(CallError::Kernel(_)) => self.count(Counter::Unanswered),
            Err(CallError::Violation) => self.breach(format_args!("an answer makes no sense")),
        }
        None
    }

    /// Makes a request that must be refused: that it is not breaks a law.
    pub fn must_refuse<T, E: Debug>(&mut self, what: &str, result: Result<T, CallError<E>>) {
        let granted = self.outcome(result).is_some();
        self.check(!granted, format_args!("{what}: not refused"));
    }
}
