//! What inheritance is for: a child's map made from its parent's.

use crate::attributes::Inheritance;
use crate::entries::Entry;
use crate::memory::Memory;
use crate::{KernError, MapId, Result, Vm};
use alloc::vec::Vec;

impl<M: Memory> Vm<M> {
    /// Gives an empty map what another's entries leave to a child, at the same addresses: shared, copied, or nothing. Wiring is not inherited.
    /// Errors: `NoSpace` (something is there already), `InvalidAddress` (beyond the child's bounds), `ResourceShortage`. After an
    /// error the child's map is as it was.
    pub fn inherit_into(&mut self, parent: MapId, child: MapId) -> Result<()> {
        let entries: Vec<_> = self.map(parent)?.entries.iter().cloned().collect();
        let left = |entry: &&Entry| is_left(entry);
        for entry in entries.iter().filter(left) {
            let target = &self.map(child)?.entries;
            target.require_inside(&entry.range)?;
            if target.meeting(&entry.range).next().is_some() {
                return Err(KernError::NoSpace);
            }
        }
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| is_left(entry)) {
            let done = match entry.attributes.inheritance {
                Inheritance::Share => self.enter_shared(child, &entry.range, parent, entry, entry.attributes),
                _ => self.enter_copy_of(child, &entry.range, entry, entry.attributes),
            };
            if let Err(error) = done {
                for done in entries[..index].iter().filter(left) {
                    self.undo(child, &done.range)?;
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

fn is_left(entry: &Entry) -> bool {
    entry.attributes.inheritance != Inheritance::Nothing
}
