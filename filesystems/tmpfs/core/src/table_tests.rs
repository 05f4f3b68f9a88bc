//! The table beside a simple model, and each refusal.

use super::*;
use std::collections::BTreeMap;
use std::string::String;

const PAGES: u64 = 4;

fn create(table: &mut Table<u32>, name: &str, principal: u64) -> Result<Node, FileError> {
    table.create(Node::Root, name.as_bytes(), principal, PAGES, 7).map_err(|(error, contents)| {
        assert_eq!(contents, 7, "what is not used comes back");
        error
    })
}

#[test]
fn names_lead_to_files_until_they_are_taken_away() {
    let mut table = Table::new(0);
    let file = create(&mut table, "a", 1).unwrap();
    for path in ["a", "/a", "./../a", "//a"] {
        assert_eq!(table.look_up(Node::Root, path.as_bytes()), Ok(file), "{path}");
    }
    assert_eq!((table.look_up(file, b""), table.look_up(Node::Root, b"..")), (Ok(file), Ok(Node::Root)));
    for (path, error) in [
        ("b", FileError::NotFound),
        ("a/", FileError::NotDirectory),
        ("a\0", FileError::Malformed),
        (&"x".repeat(256), FileError::NameTooLong),
    ] {
        assert_eq!(table.look_up(Node::Root, path.as_bytes()), Err(error), "{path:?}");
    }
    assert_eq!(table.unlink(file, b"a"), Err(FileError::NotDirectory));
    assert_eq!(table.unlink(Node::Root, b".."), Err(FileError::IsDirectory));
    assert_eq!(table.unlink(Node::Root, b"a"), Ok(7));
    assert_eq!(table.unlink(Node::Root, b"a"), Err(FileError::NotFound));
    assert_eq!(table.look_up(file, b""), Err(FileError::Stale));
    assert_eq!(table.status(file, 0), Err(FileError::Stale));
}

#[test]
fn names_that_make_no_sense_are_refused() {
    let mut table = Table::new(0);
    let file = create(&mut table, &"x".repeat(NAME_BYTES), 1).unwrap();
    for name in ["", ".", "..", "a/b", "/", "a\0"] {
        assert_eq!(create(&mut table, name, 1), Err(FileError::Malformed), "{name:?}");
    }
    assert_eq!(create(&mut table, &"x".repeat(NAME_BYTES + 1), 1), Err(FileError::NameTooLong));
    assert_eq!(create(&mut table, &"x".repeat(NAME_BYTES), 2), Err(FileError::Exists));
    assert_eq!(table.may_create(file, b"a", 1), Err(FileError::NotDirectory));
}

#[test]
fn places_are_shared_and_come_back() {
    let mut table = Table::new(GENERATION_MASK);
    for number in 0..FILES_PER_PRINCIPAL_MAX {
        create(&mut table, &std::format!("one{number}"), 1).unwrap();
    }
    assert_eq!(create(&mut table, "more", 1), Err(FileError::NoSpace));
    for number in 0..FILES_MAX - FILES_PER_PRINCIPAL_MAX {
        create(&mut table, &std::format!("other{number}"), 2).unwrap();
    }
    assert_eq!(create(&mut table, "more", 3), Err(FileError::NoSpace));
    let old = table.look_up(Node::Root, b"one0").unwrap();
    table.unlink(Node::Root, b"one5").unwrap();
    table.unlink(Node::Root, b"one0").unwrap();
    let first = create(&mut table, "x", 3).unwrap();
    assert_eq!(table.look_up(Node::Root, b"one5"), Err(FileError::NotFound));
    let second = create(&mut table, "y", 3).unwrap();
    assert!(first != old && second != old, "the place that was free for longest is taken first");
    assert_eq!(table.file(old).err(), Some(FileError::Stale), "a used place has another generation");
    table.retain(|_| false);
    assert_eq!((table.count(), table.file(first).err()), (0, Some(FileError::Stale)));
}

#[test]
fn sizes_stay_within_the_container() {
    let mut table = Table::new(0);
    let node = create(&mut table, "a", 1).unwrap();
    let room = PAGES * PAGE_BYTES;
    let file = table.file_mut(node).unwrap();
    assert_eq!((file.place(APPEND, 5), file.place(room - 5, 5)), (Ok(0), Ok(room - 5)));
    for (offset, bytes) in [(room - 4, 5), (APPEND - 1, 5), (APPEND, room + 1)] {
        assert_eq!(file.place(offset, bytes), Err(FileError::NoSpace), "{offset}");
    }
    file.written(10);
    file.written(7);
    assert_eq!(
        (file.size(), file.place(APPEND, 1), file.readable(8, 5), file.readable(11, 1)),
        (10, Ok(10), 2, 0)
    );
    assert_eq!((file.cut(4), file.cut(10), file.cut(12)), (Ok(4..10), Ok(10..10), Ok(10..10)));
    assert_eq!(file.cut(room + 1), Err(FileError::NoSpace));
    file.resized(4);
    assert_eq!(table.status(node, 8).map(|status| (status.size, status.blocks)), Ok((4, 8)));
}

/// All names, as the entries tell them, message by message.
fn list(table: &Table<u32>) -> Vec<Vec<u8>> {
    let (mut names, mut cookie) = (Vec::new(), 0);
    loop {
        let entries = table.entries(Node::Root, cookie).unwrap();
        let Some(last) = entries.iter().last() else { return names };
        assert!(last.next > cookie);
        cookie = last.next;
        names.extend(entries.iter().map(|entry| entry.name.to_vec()));
    }
}

#[test]
fn any_operations_do_what_a_map_does() {
    let mut random = 1_u32;
    let mut below = |limit: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % limit
    };
    let mut table = Table::new(0);
    let mut model: BTreeMap<String, (Node, u64)> = BTreeMap::new();
    let mut stale: Vec<Node> = Vec::new();
    for step in 0..20_000 {
        let name = std::format!("name{}", below(300));
        let known = model.get(&name).copied();
        match below(4) {
            0 | 1 => match (create(&mut table, &name, 1 + u64::from(below(4))), known) {
                (Ok(node), None) => drop(model.insert(name, (node, 0))),
                (Err(FileError::Exists), Some(_)) => {}
                (Err(FileError::NoSpace), None) => assert!(model.len() >= FILES_PER_PRINCIPAL_MAX / 2),
                other => panic!("{other:?}"),
            },
            2 => match (table.unlink(Node::Root, name.as_bytes()), known) {
                (Ok(7), Some((node, _))) => {
                    model.remove(&name);
                    stale.push(node);
                }
                (Err(FileError::NotFound), None) => {}
                other => panic!("{other:?}"),
            },
            _ => {
                if let Some((node, size)) = model.get_mut(&name) {
                    let file = table.file_mut(*node).unwrap();
                    let start = file.place(APPEND, 9).ok();
                    assert_eq!(start, (*size + 9 <= PAGES * PAGE_BYTES).then_some(*size));
                    if let Some(start) = start {
                        file.written(start + 9);
                        *size += 9;
                    }
                }
            }
        }
        if step % 500 == 0 {
            let mut names = list(&table);
            names.sort();
            let expected = [".", ".."].into_iter().map(String::from).chain(model.keys().cloned());
            assert!(
                names.iter().map(Vec::as_slice).eq(expected
                    .map(String::into_bytes)
                    .collect::<Vec<_>>()
                    .iter()
                    .map(Vec::as_slice))
            );
            assert!(stale.iter().all(|&node| table.file(node).is_err()));
            for (name, (node, size)) in &model {
                assert_eq!(table.look_up(Node::Root, name.as_bytes()), Ok(*node));
                assert_eq!(table.file(*node).map(File::size), Ok(*size));
            }
        }
    }
}
