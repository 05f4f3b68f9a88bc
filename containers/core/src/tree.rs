//! Balanced (AVL) trees through records: mappings by address, locks by the moment they expire.
//!
//! Members are ordered by key and, where keys are equal, by name. Every operation takes O(log n) steps; the depth
//! of recursion is the height, at most 1.44 log2 of the number of members. The root is the caller's to keep.

use crate::record::{Field, Name, Record, Records};

/// A tree, described by the fields that hold it. A member is in it at most once.
pub struct Tree<R> {
    /// What members are ordered by; must not change while a member is in the tree.
    pub key: Field<R, u64>,
    /// Members before.
    pub left: Field<R, Option<Name<R>>>,
    /// Members after.
    pub right: Field<R, Option<Name<R>>>,
    /// Longest way down.
    pub height: Field<R, u64>,
}

/// Root or branch.
type Branch<R> = Option<Name<R>>;

impl<R: Record> Tree<R> {
    /// Puts a member in; the new root.
    pub fn insert(&self, records: &mut impl Records, root: Branch<R>, member: Name<R>) -> Name<R> {
        let Some(here) = root else {
            records.set(member, self.left, None);
            records.set(member, self.right, None);
            records.set(member, self.height, 1);
            return member;
        };
        let side =
            if self.order(records, member) < self.order(records, here) { self.left } else { self.right };
        let branch = records.get(here, side);
        let branch = self.insert(records, branch, member);
        records.set(here, side, Some(branch));
        self.balance(records, here)
    }

    /// Takes a member out; the new root.
    pub fn remove(&self, records: &mut impl Records, root: Branch<R>, member: Name<R>) -> Branch<R> {
        let here = root.expect("a member is in its tree");
        if here != member {
            let before = self.order(records, member) < self.order(records, here);
            let side = if before { self.left } else { self.right };
            let branch = records.get(here, side);
            let branch = self.remove(records, branch, member);
            records.set(here, side, branch);
            return Some(self.balance(records, here));
        }
        let (left, right) = (records.get(here, self.left), records.get(here, self.right));
        let (Some(left), Some(right)) = (left, right) else {
            return left.or(right);
        };
        let next = self.first(records, Some(right))?;
        let right = self.remove(records, Some(right), next);
        records.set(next, self.left, Some(left));
        records.set(next, self.right, right);
        Some(self.balance(records, next))
    }

    /// The member with the smallest key.
    pub fn first(&self, records: &impl Records, root: Branch<R>) -> Branch<R> {
        let mut here = root?;
        while let Some(left) = records.get(here, self.left) {
            here = left;
        }
        Some(here)
    }

    /// The last member whose key is at most `key`.
    pub fn at_or_before(&self, records: &impl Records, root: Branch<R>, key: u64) -> Branch<R> {
        let (mut here, mut found) = (root, None);
        while let Some(member) = here {
            if records.get(member, self.key) <= key {
                found = here;
                here = records.get(member, self.right);
            } else {
                here = records.get(member, self.left);
            }
        }
        found
    }

    /// The first member whose key is at least `key`.
    pub fn at_or_after(&self, records: &impl Records, root: Branch<R>, key: u64) -> Branch<R> {
        let (mut here, mut found) = (root, None);
        while let Some(member) = here {
            if records.get(member, self.key) >= key {
                found = here;
                here = records.get(member, self.left);
            } else {
                here = records.get(member, self.right);
            }
        }
        found
    }

    fn order(&self, records: &impl Records, member: Name<R>) -> (u64, u64) {
        (records.get(member, self.key), member.word())
    }

    fn height_of(&self, records: &impl Records, branch: Branch<R>) -> u64 {
        branch.map_or(0, |member| records.get(member, self.height))
    }

    fn measure(&self, records: &mut impl Records, here: Name<R>) {
        let left = self.height_of(records, records.get(here, self.left));
        let right = self.height_of(records, records.get(here, self.right));
        records.set(here, self.height, 1 + left.max(right));
    }

    /// Restores the balance at `here`, whose branches differ in height by at most 2; the new root.
    fn balance(&self, records: &mut impl Records, here: Name<R>) -> Name<R> {
        let left = self.height_of(records, records.get(here, self.left));
        let right = self.height_of(records, records.get(here, self.right));
        if left > right + 1 {
            self.lean(records, here, self.left, self.right)
        } else if right > left + 1 {
            self.lean(records, here, self.right, self.left)
        } else {
            self.measure(records, here);
            here
        }
    }

    /// Rotates the `high` branch of `here` up.
    fn lean(
        &self,
        records: &mut impl Records,
        here: Name<R>,
        high: Field<R, Branch<R>>,
        low: Field<R, Branch<R>>,
    ) -> Name<R> {
        let child = records.get(here, high).expect("the higher branch is not empty");
        let outer = self.height_of(records, records.get(child, high));
        let inner = self.height_of(records, records.get(child, low));
        if inner > outer {
            let raised = self.rotate(records, child, low, high);
            records.set(here, high, Some(raised));
        }
        self.rotate(records, here, high, low)
    }

    fn rotate(
        &self,
        records: &mut impl Records,
        here: Name<R>,
        high: Field<R, Branch<R>>,
        low: Field<R, Branch<R>>,
    ) -> Name<R> {
        let raised = records.get(here, high).expect("the higher branch is not empty");
        let middle = records.get(raised, low);
        records.set(here, high, middle);
        records.set(raised, low, Some(here));
        self.measure(records, here);
        self.measure(records, raised);
        raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeRecords;
    use crate::record::{Lock, Size};
    use std::collections::BTreeSet;
    use std::vec::Vec;

    const TREE: Tree<Lock> =
        Tree { key: Field::at(1), left: Field::at(2), right: Field::at(3), height: Field::at(4) };

    /// Checks order and balance; members in order.
    fn walk(records: &FakeRecords, branch: Branch<Lock>, found: &mut Vec<(u64, u64)>) -> u64 {
        let Some(here) = branch else { return 0 };
        let left = walk(records, records.get(here, TREE.left), found);
        found.push(TREE.order(records, here));
        let right = walk(records, records.get(here, TREE.right), found);
        assert!(left.abs_diff(right) <= 1, "out of balance");
        assert_eq!(records.get(here, TREE.height), 1 + left.max(right));
        1 + left.max(right)
    }

    #[test]
    fn a_tree_agrees_with_a_set() {
        let mut records = FakeRecords::new(64);
        let mut random = 1u64;
        let mut next = move || {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            random >> 33
        };
        let mut root = None;
        let mut members: Vec<Name<Lock>> = Vec::new();
        let mut set = BTreeSet::new();
        for _ in 0..6000 {
            if !next().is_multiple_of(5) && members.len() < 32 * Size::Small.per_frame() as usize
                || members.is_empty()
            {
                let member = records.create::<Lock>(FakeRecords::PAYER).unwrap();
                records.set(member, TREE.key, next() % 100);
                root = Some(TREE.insert(&mut records, root, member));
                set.insert(TREE.order(&records, member));
                members.push(member);
            } else {
                let member = members.swap_remove(next() as usize % members.len());
                set.remove(&TREE.order(&records, member));
                root = TREE.remove(&mut records, root, member);
                records.delete(FakeRecords::PAYER, member);
            }
            let mut found = Vec::new();
            walk(&records, root, &mut found);
            assert!(found.iter().eq(set.iter()));
            let key = next() % 100;
            let before = set.range(..(key + 1, 0)).next_back().map(|&(key, _)| key);
            let after = set.range((key, 0)..).next().map(|&(key, _)| key);
            let key_of = |branch: Branch<Lock>| branch.map(|member| records.get(member, TREE.key));
            assert_eq!(key_of(TREE.at_or_before(&records, root, key)), before);
            assert_eq!(key_of(TREE.at_or_after(&records, root, key)), after);
        }
        assert!(members.len() > 500);
    }
}
