//! How contracts and memory stand, said when it has changed.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use kernel_abi::trace::{ARGUMENTS, Event, EventKind};

/// No thread.
const NOBODY: u32 = u32::MAX;

/// A contract at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContractSample<'a> {
    /// Its principal.
    pub principal: u64,
    /// Its parent's.
    pub parent: u64,
    /// For people.
    pub name: &'a [u8],
    /// Frames guaranteed.
    pub guaranteed: u64,
    /// Calls that it may ignore.
    pub standing: u64,
    /// Frames held.
    pub held: u64,
    /// Of these, extra.
    pub extra: u64,
}

/// What was said last.
#[derive(Default)]
pub struct Samples {
    contracts: BTreeMap<u64, ([u64; ARGUMENTS], bool)>,
    memory: Option<[u64; ARGUMENTS]>,
}

fn event(time: u64, kind: EventKind, arguments: [u64; ARGUMENTS]) -> Event {
    Event { time, kind, processor: 0, subject: NOBODY, arguments }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

impl Samples {
    /// What has changed of the contracts, given all of them.
    pub fn contracts<'a>(&mut self, time: u64, all: impl Iterator<Item = ContractSample<'a>>) -> Vec<Event> {
        let mut events = Vec::new();
        self.contracts.values_mut().for_each(|(_, seen)| *seen = false);
        for one in all {
            let arguments = [
                one.principal | one.parent << 32,
                one.guaranteed | one.standing << 56,
                one.held,
                one.extra,
                word(one.name),
                word(one.name.get(8..).unwrap_or_default()),
            ];
            let before = self.contracts.insert(one.principal, (arguments, true));
            if before.is_none_or(|(before, _)| before != arguments) {
                events.push(event(time, EventKind::Contract, arguments));
            }
        }
        self.contracts.retain(|&principal, &mut (_, seen)| {
            if !seen {
                events.push(event(time, EventKind::ContractEnded, [principal, 0, 0, 0, 0, 0]));
            }
            seen
        });
        events
    }

    /// What has changed of the memory as a whole.
    pub fn memory(&mut self, time: u64, arguments: [u64; ARGUMENTS]) -> Option<Event> {
        let is_new = self.memory.replace(arguments) != Some(arguments);
        is_new.then(|| event(time, EventKind::Memory, arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ContractSample<'static> = ContractSample {
        principal: 7,
        parent: 1,
        name: b"shell/child",
        guaranteed: 9,
        standing: 3,
        held: 4,
        extra: 0,
    };

    #[test]
    fn only_what_has_changed_is_said() {
        let mut samples = Samples::default();
        let first = samples.contracts(1, [ONE].into_iter());
        assert_eq!(first.len(), 1);
        let arguments = first[0].arguments;
        assert_eq!((arguments[0], arguments[1], arguments[2]), (7 | 1 << 32, 9 | 3 << 56, 4));
        assert_eq!(arguments[4].to_le_bytes(), *b"shell/ch");
        assert_eq!(arguments[5].to_le_bytes(), *b"ild\0\0\0\0\0");
        assert!(samples.contracts(2, [ONE].into_iter()).is_empty());
        assert_eq!(samples.contracts(3, [ContractSample { held: 5, ..ONE }].into_iter()).len(), 1);
        let ended = samples.contracts(4, [].into_iter());
        assert_eq!((ended.len(), ended[0].kind, ended[0].arguments[0]), (1, EventKind::ContractEnded, 7));
        assert!(samples.contracts(5, [].into_iter()).is_empty());
        assert!(samples.memory(1, [1; ARGUMENTS]).is_some() && samples.memory(2, [1; ARGUMENTS]).is_none());
    }
}
