//! Putting children below their parents.

use alloc::vec::Vec;

/// The places of entries (number, parent's number) in the order in which a tree is shown, with depths. An entry whose parent
/// is not there, or that is its own ancestor, stands at the top.
pub fn in_tree_order(entries: &[(u64, u64)]) -> Vec<(usize, usize)> {
    let mut order = Vec::with_capacity(entries.len());
    let mut placed = alloc::vec![false; entries.len()];
    let has_parent = |entry: usize| entries.iter().any(|&(number, _)| number == entries[entry].1);
    let is_root = |entry: &usize| !has_parent(*entry) || entries[*entry].0 == entries[*entry].1;
    // Whatever is left after the roots turns in circles.
    let starts = (0..entries.len()).filter(is_root).chain(0..entries.len());
    for start in starts {
        let mut stack = alloc::vec![(start, 0)];
        while let Some((entry, depth)) = stack.pop() {
            if core::mem::replace(&mut placed[entry], true) {
                continue;
            }
            order.push((entry, depth));
            let number = entries[entry].0;
            let children = (0..entries.len()).rev().filter(|&child| entries[child].1 == number);
            stack.extend(children.map(|child| (child, depth + 1)));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_follow_their_parents() {
        let order = in_tree_order(&[(5, 2), (1, 0), (3, 1), (2, 1), (4, 2)]);
        assert_eq!(order, [(1, 0), (2, 1), (3, 1), (0, 2), (4, 2)]);
    }

    #[test]
    fn orphans_and_circles_are_shown_once() {
        let order = in_tree_order(&[(7, 6), (1, 1), (2, 3), (3, 2)]);
        let mut places: Vec<usize> = order.iter().map(|&(entry, _)| entry).collect();
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2, 3]);
        assert_eq!(in_tree_order(&[]), []);
    }
}
