//! The index alone, and against a container whose pages come and go.

use super::*;

const FILE: FileKey = FileKey { inode: 12, generation: 1 };
const OTHER: FileKey = FileKey { inode: 12, generation: 2 };

fn fill(index: &mut PageIndex, file: FileKey, page: u64, pages: u32) -> u32 {
    let reservation = index.reserve(pages).expect("room");
    let got = reservation.pages;
    index.publish(reservation, file, page);
    got
}

/// Gives pages back as the server does: how many, in how many messages.
fn give_back(index: &mut PageIndex, pages: u32) -> (u32, u32) {
    let (mut given, mut messages) = (0, 0);
    while given < pages
        && let Some(run) = index.retire(pages - given)
    {
        given += run.pages;
        messages += 1;
        index.retired(run);
    }
    (given, messages)
}

#[test]
fn pages_cached_together_are_found_together() {
    let mut index = PageIndex::new(8);
    assert_eq!(fill(&mut index, FILE, 10, 5), 5);
    let run = index.find(FILE, 11, 100).unwrap();
    assert_eq!((run.place, run.pages), (1, 4));
    index.release(run);
    assert_eq!(index.find(FILE, 15, 1), None);
    assert_eq!(index.find(OTHER, 11, 1), None, "another generation is another file");
    assert_eq!(index.counts(), (5, 4, 0));
}

#[test]
fn what_is_in_use_is_never_given_away() {
    let mut index = PageIndex::with_floor(4, 0);
    fill(&mut index, FILE, 0, 4);
    let run = index.find(FILE, 1, 2).unwrap();
    let first = index.reserve(4).unwrap();
    assert_eq!((first.place, first.pages), (0, 1), "a reservation ends before a place in use");
    let second = index.retire(4).unwrap();
    assert_eq!((second.place, second.pages), (3, 1), "and at the end of the container");
    assert_eq!((index.reserve(1), index.retire(1)), (None, None));
    assert!(index.contains(FILE, 1) && index.contains(FILE, 2) && !index.contains(FILE, 0));
    index.release(run);
    index.publish(first, FILE, 0);
    index.keep(second);
    assert!(index.contains(FILE, 0) && !index.contains(FILE, 3));
    assert_eq!(index.reserve(1).map(|reservation| reservation.place), Some(0));
}

#[test]
fn a_run_ends_where_pages_do_not_follow_each_other() {
    let mut index = PageIndex::new(300);
    // Page 100 of another file in the midst, published last: the runs on both sides are cut there.
    let (first, middle) = (index.reserve(100).unwrap(), index.reserve(1).unwrap());
    fill(&mut index, FILE, 101, 150);
    index.publish(first, FILE, 0);
    index.publish(middle, OTHER, 100);
    let lengths = [(0, 100), (99, 1), (101, 150), (250, 1)];
    for (page, pages) in lengths {
        let run = index.find(FILE, page, 300).unwrap();
        assert_eq!(run.pages, pages, "from page {page}");
        index.release(run);
    }
    let whole = index.find(FILE, 101, 7).unwrap();
    assert_eq!(whole.pages, 7, "not more than is wanted");
    index.release(whole);
    let mut index = PageIndex::new(300);
    let (first, second) = (index.reserve(100).unwrap(), index.reserve(100).unwrap());
    index.publish(second, FILE, 100);
    index.publish(first, FILE, 0);
    assert_eq!(index.find(FILE, 30, 300).map(|run| run.pages), Some(170), "whichever came first");
}

#[test]
fn so_many_runs_are_in_use_and_no_more() {
    let mut index = PageIndex::new(64);
    fill(&mut index, FILE, 0, 64);
    let mut runs: Vec<_> = (0..RUNS_IN_USE as u64).map(|page| index.find(FILE, page, 8).unwrap()).collect();
    assert_eq!(index.find(FILE, 0, 8), None);
    index.release(runs.pop().unwrap());
    runs.push(index.find(FILE, 0, 8).unwrap());
    runs.into_iter().for_each(|run| index.decline(run));
    assert!(index.reading.is_empty());
}

#[test]
fn a_page_cached_twice_is_kept_once() {
    let mut index = PageIndex::new(4);
    let (one, two) = (index.reserve(1).unwrap(), index.reserve(1).unwrap());
    index.publish(one, FILE, 7);
    index.publish(two, FILE, 7);
    assert_eq!(index.counts().0, 1);
    assert_eq!(index.find(FILE, 7, 1).map(|run| run.place), Some(0));
}

#[test]
fn what_no_file_has_is_not_cached() {
    let mut index = PageIndex::new(4);
    for (file, page) in [(FILE, 1 << 32), (FileKey { inode: 0, generation: 0 }, 0)] {
        fill(&mut index, file, page, 1);
        assert_eq!((index.find(file, page, 1), index.counts().0), (None, 0));
    }
}

#[test]
fn an_index_without_memory_goes_on_with_what_it_has() {
    let mut index = PageIndex::new(1000);
    assert_eq!(fill(&mut index, FILE, 0, 200), 200);
    for round in 1..4 {
        let refused = index.reserve(10).unwrap();
        assert!(refused.place >= 200, "it grows while it may: {}", refused.place);
        index.exhausted(refused);
        assert_eq!(index.frames(), 200);
        for page in [0, 32] {
            assert_eq!(fill(&mut index, FILE, round * 1000 + page, 32), 32, "then it replaces");
        }
    }
}

#[test]
fn it_grows_to_its_floor_whatever_is_said_and_beyond_only_where_it_may() {
    let mut index = PageIndex::with_floor(100, 20);
    index.set_growth(false);
    for page in (0..40).step_by(10) {
        fill(&mut index, FILE, page, 10);
    }
    assert_eq!(index.frames(), 20);
    index.set_growth(true);
    for page in (100..300).step_by(10) {
        fill(&mut index, FILE, page, 10);
    }
    assert_eq!(index.frames(), 100);
    assert_eq!(give_back(&mut index, 1000).0, 80, "the floor stays");
    assert_eq!(index.retire(1), None);
}

/// Where nothing can be replaced, physmem is asked.
#[test]
fn a_cache_that_is_all_in_use_asks_for_more() {
    let mut index = PageIndex::with_floor(8, 2);
    index.set_growth(false);
    fill(&mut index, FILE, 0, 2);
    let run = index.find(FILE, 0, 2).unwrap();
    let more = index.reserve(4).unwrap();
    assert_eq!((more.place, more.pages), (2, 4));
    index.release(run);
    index.cancel(more);
}

#[test]
fn pages_are_given_back_in_the_order_of_the_clock_and_in_long_runs() {
    let mut index = PageIndex::with_floor(1 << 14, 64);
    for page in (0..1 << 14).step_by(64) {
        assert_eq!(fill(&mut index, FILE, page, 64), 64);
    }
    let hot = index.find(FILE, 1000, 500).unwrap();
    index.release(hot);
    let (given, messages) = give_back(&mut index, 8192);
    assert_eq!(given, 8192);
    assert_eq!(messages, 2, "one run before what is in use, one behind it");
    assert!(!index.contains(FILE, 0) && index.contains(FILE, 1000) && index.contains(FILE, 1499));
    assert_eq!(index.frames(), 8192);
    // The holes are filled first, and together.
    let again = index.reserve(64).unwrap();
    assert_eq!((again.place, again.pages), (0, 64));
    index.cancel(again);
}

#[test]
fn lost_places_are_forgotten_while_others_still_copy_from_them() {
    let mut index = PageIndex::with_floor(8, 0);
    fill(&mut index, FILE, 0, 8);
    let (one, two) = (index.find(FILE, 2, 3).unwrap(), index.find(FILE, 3, 1).unwrap());
    index.lose(&one, 1);
    index.lose(&two, 0);
    assert_eq!((index.frames(), index.counts().0), (7, 7));
    assert!(index.contains(FILE, 2) && !index.contains(FILE, 3) && index.contains(FILE, 4));
    index.release(one);
    let elsewhere = index.reserve(1).unwrap();
    assert_ne!(elsewhere.place, 3, "somebody still copies from there");
    index.release(two);
    let here = index.reserve(1).unwrap();
    assert_eq!(here.place, 3, "the place is used again");
    index.publish(here, FILE, 3);
    assert!(index.contains(FILE, 3));
    index.cancel(elsewhere);
}

/// A cache under a physmem that takes and gives at random: whatever the index says is cached is there, and is what it says.
#[test]
fn random_use_agrees_with_a_map() {
    for seed in 1..400_u64 {
        let mut random = seed;
        let mut next = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let mut index = PageIndex::with_floor(16, (seed % 4) as u32);
        // What is in the container's pages; `None`: no frame.
        let mut container: [Option<Option<u64>>; 16] = [None; 16];
        let mut held: Vec<CachedRun> = Vec::new();
        for _ in 0..400 {
            let (page, pages) = (next(40), next(6) as u32 + 1);
            index.set_growth(next(3) != 0);
            match next(8) {
                0 => {
                    if let Some(run) = index.retire(pages) {
                        for place in run.place..run.place + run.pages {
                            assert!(
                                held.iter()
                                    .all(|held| !(held.place..held.place + held.pages).contains(&place))
                            );
                            container[place as usize] = None;
                        }
                        index.retired(run);
                    }
                }
                // A page is seized.
                1 => container[next(16) as usize] = None,
                2 if !held.is_empty() => index.release(held.swap_remove(next(held.len() as u64) as usize)),
                _ => use_page(&mut index, &mut container, &mut held, page, pages, next(4)),
            }
            let frames = container.iter().flatten().count();
            assert!(frames <= index.frames() as usize, "seed {seed}: no frame is forgotten");
        }
        held.drain(..).for_each(|run| index.release(run));
    }
}

fn use_page(
    index: &mut PageIndex,
    container: &mut [Option<Option<u64>>; 16],
    held: &mut Vec<CachedRun>,
    page: u64,
    pages: u32,
    fate: u64,
) {
    if let Some(run) = index.find(FILE, page, pages) {
        for offset in 0..run.pages {
            match container[(run.place + offset) as usize] {
                // The copy finds out.
                None => index.lose(&run, offset),
                Some(there) => assert_eq!(there, Some(page + u64::from(offset))),
            }
        }
        if fate == 0 { held.push(run) } else { index.release(run) }
    } else if let Some(reservation) = index.reserve(pages) {
        let places = reservation.place as usize..(reservation.place + reservation.pages) as usize;
        if fate == 1 {
            container[places].fill(None);
            return index.exhausted(reservation);
        }
        for (place, page) in container[places].iter_mut().zip(page..) {
            *place = Some(Some(page));
        }
        if fate == 0 { index.cancel(reservation) } else { index.publish(reservation, FILE, page) }
    }
}
