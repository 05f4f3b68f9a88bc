//! Tests of the page array against a map, and of what it costs.

use crate::fake::FakeRecords;
use crate::frames::Span;
use crate::layout::container;
use crate::limits::CONTAINER_PAGES_MAX;
use crate::pages::{self, Entry};
use crate::record::{Container, Name, Records};
use containers_api::MemoryError;
use std::collections::BTreeMap;
use std::vec::Vec;

fn array(records: &mut FakeRecords, size: u64) -> Name<Container> {
    let array = records.create(FakeRecords::PAYER).unwrap();
    records.set(array, container::CONTRACT, FakeRecords::PAYER);
    records.set(array, container::PAGES, size);
    records.set(array, container::HEIGHT, pages::height_for(size).unwrap());
    array
}

fn all(records: &FakeRecords, array: Name<Container>) -> Vec<(u64, u32)> {
    let (mut found, mut page) = (Vec::new(), 0);
    while let Some((next, entry)) = pages::next_present(records, array, page, CONTAINER_PAGES_MAX) {
        found.push((next, entry.frame().unwrap()));
        page = next + 1;
    }
    found
}

#[test]
fn heights_hold_their_pages() {
    let height = |size| pages::height_for(size);
    assert_eq!([height(1), height(64), height(65), height(4096)], [Ok(1), Ok(1), Ok(2), Ok(2)]);
    assert_eq!(height(4097), Ok(3));
    assert_eq!(height(CONTAINER_PAGES_MAX), Ok(6));
    assert_eq!(height(CONTAINER_PAGES_MAX + 1), Err(MemoryError::OutOfRange));
    assert_eq!(height(0), Err(MemoryError::OutOfRange));
}

#[test]
fn an_array_agrees_with_a_map_and_gives_every_node_back() {
    for size in [3, 64, 1000, 300_000, CONTAINER_PAGES_MAX] {
        let mut records = FakeRecords::new(2000);
        let array = array(&mut records, size);
        let mut model = BTreeMap::new();
        let mut random = size;
        let mut next = move || {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            random >> 20
        };
        for step in 0..700 {
            let first = if next() % 2 == 0 { next() % size } else { next() % size.min(200) };
            let span = Span { first, pages: (1 + next() % 70).min(size - first) };
            if next() % 2 == 0 {
                pages::prepare(&mut records, array, span).unwrap();
                for page in span.first..span.end() {
                    pages::set(&mut records, array, page, Entry::resident(step).shared(next() % 2 == 0));
                    model.insert(page, step);
                }
            } else {
                (span.first..span.end()).for_each(|page| {
                    pages::set(&mut records, array, page, Entry::ABSENT);
                    model.remove(&page);
                });
                pages::prune(&mut records, array, span);
            }
            assert_eq!(
                pages::count_present(&records, array, span),
                model.range(first..span.end()).count() as u64
            );
        }
        assert!(all(&records, array).into_iter().eq(model.clone()));
        assert_eq!(records.get(array, container::PRESENT), model.len() as u64);
        for &page in model.keys() {
            pages::set(&mut records, array, page, Entry::ABSENT);
            pages::prune(&mut records, array, Span::page(page));
        }
        assert_eq!(records.get(array, container::SHARED), 0);
        assert_eq!(records.live(), 1, "only the container's own record is left");
    }
}

#[test]
fn preparing_changes_nothing_where_the_records_do_not_suffice() {
    let mut records = FakeRecords::new(2);
    let array = array(&mut records, 1 << 20);
    assert_eq!(
        pages::prepare(&mut records, array, Span { first: 0, pages: 1000 }),
        Err(MemoryError::NoRecord)
    );
    assert_eq!(records.live(), 1);
    pages::prepare(&mut records, array, Span { first: 1 << 18, pages: 64 }).unwrap();
    let live = records.live();
    assert_eq!(
        pages::prepare(&mut records, array, Span { first: 10, pages: 1000 }),
        Err(MemoryError::NoRecord)
    );
    assert_eq!(records.live(), live, "what was there before stays");
}

#[test]
fn an_array_grows_around_what_it_holds() {
    let mut records = FakeRecords::new(100);
    let array = array(&mut records, 10);
    pages::prepare(&mut records, array, Span { first: 0, pages: 10 }).unwrap();
    pages::set(&mut records, array, 7, Entry::resident(99));
    pages::grow(&mut records, array, 1 << 30).unwrap();
    assert_eq!(pages::entry(&records, array, 7).frame(), Some(99));
    pages::prepare(&mut records, array, Span::page(1 << 29)).unwrap();
    pages::set(&mut records, array, 1 << 29, Entry::resident(5));
    assert_eq!(all(&records, array), [(7, 99), (1 << 29, 5)]);
    let mut full = FakeRecords::new(2);
    let small = self::array(&mut full, 10);
    pages::prepare(&mut full, small, Span::page(3)).unwrap();
    pages::set(&mut full, small, 3, Entry::resident(1));
    while full.create_node(FakeRecords::PAYER).is_ok() {}
    assert_eq!(pages::grow(&mut full, small, 1 << 30), Err(MemoryError::NoRecord));
    assert_eq!(pages::entry(&full, small, 3).frame(), Some(1));
}

#[test]
fn a_dense_array_costs_eight_bytes_a_page_and_a_sixty_fourth_for_the_way_down() {
    let mut records = FakeRecords::new(100_000);
    let array = array(&mut records, 1 << 18);
    pages::prepare(&mut records, array, Span { first: 0, pages: 1 << 18 }).unwrap();
    let bytes = u64::from(records.live() - 1) * 512;
    assert!(bytes <= 8 * (1 << 18) * 65 / 64 + 512 * 3, "{bytes}");
}
