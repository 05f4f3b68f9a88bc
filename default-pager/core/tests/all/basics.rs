//! What a pager does when nothing goes wrong.

use crate::support::client::Client;
use crate::support::pages::Kind::{LongWord, Noise, ShortWord, Text, Zeros};
use crate::support::pages::page;
use default_pager_core::{
    Direction, Event, Page, PageInError, PageOut, PageOutError, Progress, Refusal, SlotName, Ticket,
};

fn client() -> Client {
    Client::new(256, 256 * 1024)
}

#[test]
fn pages_of_every_kind_come_back() {
    let mut client = client();
    client.out(0, 1, &[Zeros, ShortWord, LongWord, Text, Noise], 5).unwrap();
    client.run_disk();
    assert_eq!(client.live.len(), 5);
    let slots = client.pager().statistics().slots;
    assert_eq!((slots.fill, slots.compressed, slots.disk), (3, 1, 1));
    client.check_all();
    client.check_books();
}

#[test]
fn a_page_of_one_word_meets_neither_codec_nor_disk() {
    let mut client = client();
    client.out(0, 1, &[Zeros, ShortWord, LongWord], 5).unwrap();
    client.pager().flush();
    client.run_disk();
    client.check_all();
    let statistics = client.pager().statistics();
    assert_eq!(statistics.slots.fill, 3);
    assert_eq!((statistics.counters.compressed, statistics.counters.incompressible), (0, 0));
    assert_eq!((statistics.counters.reads, statistics.counters.writes), (0, 0));
}

#[test]
fn what_was_put_out_together_is_written_and_read_together() {
    let mut client = client();
    client.out(0, 1, &[Noise; 48], 1).unwrap();
    client.run_disk();
    let names: Vec<SlotName> = client.live.keys().copied().collect();
    client.bring(&names).unwrap();
    client.run_disk();
    assert_eq!(client.device().runs, [(Direction::Write, 48), (Direction::Read, 48)]);
}

#[test]
fn a_neighbour_is_put_behind_the_page_it_follows() {
    let mut client = client();
    let pager = client.pager();
    let noise = page(Noise, 1);
    let mut put = |sequence, near| {
        let ticket = Ticket { lane: 0, sequence };
        pager.page_out(ticket, 0, near, &[&noise]).unwrap();
        let transfer = pager.disk().queue.pop().unwrap();
        pager.completed(transfer.number, Ok(()));
        let mut results = [PageOut::Err(PageOutError::Full)];
        pager.outcome(ticket, &mut results).unwrap();
        results[0].unwrap()
    };
    let first = put(1, None);
    let elsewhere: Vec<SlotName> = (2..5).map(|sequence| put(sequence, None)).collect();
    assert_eq!(elsewhere[2].slot(), first.slot() + 3);
    assert_eq!(put(5, Some(elsewhere[2])).slot(), first.slot() + 4);
}

#[test]
fn the_compressed_tier_is_written_out_in_clusters_when_it_grows() {
    let mut client = Client::new(256, 1 << 20);
    for lane in 0..4 {
        client.out(lane, 1, &[Text; 32], u64::from(lane) * 100).unwrap();
    }
    let before = client.pager().statistics();
    assert_eq!((before.slots.compressed, before.slots.disk), (128, 0));
    assert!(before.tier_permille().unwrap() < 750);
    client.pager().set_tier_limit(before.tier_used_bytes / 3);
    client.run_disk();
    let after = client.pager().statistics();
    assert!(after.tier_used_bytes <= after.tier_limit_bytes);
    assert_eq!(after.counters.written_out, 128, "two clusters: one is not enough");
    assert_eq!(client.device().runs, [(Direction::Write, 64), (Direction::Write, 64)]);
    client.check_all();
    client.check_books();
}

#[test]
fn flush_leaves_nothing_and_tells_so() {
    let mut client = client();
    client.out(0, 1, &[Text; 20], 1).unwrap();
    assert_eq!(client.pager().flush(), Progress::UnderWay);
    assert_eq!(client.pager().next_event(), None);
    let transfer = client.device().queue.remove(0);
    client.device().perform(transfer).unwrap();
    client.pager().completed(transfer.number, Ok(()));
    assert_eq!(client.pager().next_event(), Some(Event::Flushed));
    assert_eq!(client.pager().statistics().slots.disk, 20);
    assert_eq!(client.pager().flush(), Progress::Done, "nothing to do");
    client.check_all();
}

#[test]
fn owners_pay_by_bytes_and_one_at_its_limit_goes_to_the_disk() {
    let mut client = client();
    client.pager().set_account_limit(3, 1).unwrap();
    client.out(0, 2, &[Text; 4], 1).unwrap();
    client.out(1, 3, &[Text; 4], 1).unwrap();
    client.run_disk();
    let slots = client.pager().statistics().slots;
    assert_eq!((slots.compressed, slots.disk), (5, 3), "the first page takes it over its limit");
    let (two, three) = (client.pager().charged(2), client.pager().charged(3));
    assert!(three > 0 && two > three);
    client.check_books();
    let names: Vec<SlotName> = client.live.keys().copied().collect();
    client.free(&names);
    assert_eq!((client.pager().charged(2), client.pager().charged(3)), (0, 0));
}

#[test]
fn a_page_that_was_brought_back_keeps_its_slot() {
    let mut client = client();
    client.out(0, 1, &[Noise, Text], 1).unwrap();
    client.run_disk();
    let writes = client.pager().statistics().counters.writes;
    client.check_all();
    client.check_all();
    assert_eq!(client.pager().statistics().counters.writes, writes);
    assert_eq!(client.pager().statistics().slots.disk, 1);
}

#[test]
fn names_are_stale_once_freed_and_made_up_ones_are_refused() {
    let mut client = Client::new(2, 65536);
    client.out(0, 1, &[Noise, Text], 1).unwrap();
    client.run_disk();
    let names: Vec<SlotName> = client.live.keys().copied().collect();
    client.free(&names);
    assert_eq!(client.pager().free(&names), Ok(2));
    // The same slots again, so that only the version tells.
    client.out(1, 1, &[Noise, Text], 1).unwrap();
    client.run_disk();
    let made_up = [SlotName::new(999, 1), SlotName::new(u32::MAX, u16::MAX), names[0], names[1]];
    let mut pages = [[1; 4096]; 4];
    let mut places: Vec<&mut Page> = pages.iter_mut().collect();
    let mut results = [None; 4];
    assert_eq!(client.pager().page_in(9, &made_up, &mut places, &mut results), Ok(Progress::Done));
    assert_eq!(results, [Some(Err(PageInError::Stale)); 4]);
    assert_eq!(client.pager().free(&made_up), Ok(4));
    client.check_all();
}

#[test]
fn the_same_ticket_is_answered_the_same_and_an_older_one_is_refused() {
    let mut client = client();
    let page = page(Text, 1);
    let pager = client.pager();
    let ticket = |sequence| Ticket { lane: 3, sequence };
    assert_eq!(pager.page_out(ticket(5), 0, None, &[&page]), Ok(Progress::Done));
    let mut first = [PageOut::Err(PageOutError::Full)];
    assert_eq!(pager.outcome(ticket(5), &mut first), Ok(1));
    assert_eq!(pager.page_out(ticket(5), 0, None, &[&page]), Ok(Progress::Done));
    let mut second = [PageOut::Err(PageOutError::Full)];
    assert_eq!(pager.outcome(ticket(5), &mut second), Ok(1));
    assert_eq!(first, second);
    assert_eq!(pager.page_out(ticket(4), 0, None, &[&page]), Err(Refusal::Superseded));
    assert_eq!(pager.outcome(ticket(4), &mut second), Err(Refusal::Unknown));
    assert_eq!(pager.statistics().slots.compressed, 1);
}

#[test]
fn a_page_that_is_freed_on_its_way_to_the_disk_leaves_its_slot_alone_until_then() {
    let mut client = Client::new(4, 64 * 1024);
    client.out(0, 1, &[Text; 4], 1).unwrap();
    client.pager().flush();
    let names: Vec<SlotName> = client.live.keys().copied().collect();
    client.free(&names[1..3]);
    assert_eq!(client.pager().statistics().slots.reserved, 2);
    client.out(1, 1, &[Text; 2], 9).unwrap();
    assert_eq!(client.refused, [PageOutError::Full; 2]);
    client.run_disk();
    client.out(1, 1, &[Noise; 2], 9).unwrap();
    client.run_disk();
    client.check_all();
    client.check_books();
}

#[test]
fn nobody_waits_for_pages_that_were_abandoned() {
    let mut client = client();
    client.out(0, 1, &[Noise; 3], 1).unwrap();
    client.run_disk();
    let names: Vec<SlotName> = client.live.keys().copied().collect();
    let mut pages = [[1; 4096]; 3];
    let mut places: Vec<&mut Page> = pages.iter_mut().collect();
    let mut results = [None; 3];
    assert_eq!(client.pager().page_in(9, &names, &mut places, &mut results), Ok(Progress::UnderWay));
    assert_eq!(client.pager().collect(9, &mut places, &mut results), Err(Refusal::UnderWay));
    client.pager().abandon(9).unwrap();
    assert_eq!(client.pager().collect(9, &mut places, &mut results), Err(Refusal::Unknown));
    client.run_disk();
    assert_eq!(client.pager().next_event(), None);
    client.check_all();
}

#[test]
fn nothing_on_the_disk_is_readable_and_nothing_is_written_twice_alike() {
    let mut client = client();
    let page = page(Noise, 1);
    client.out(0, 1, &[Noise, Noise], 1).unwrap();
    client.run_disk();
    let first = client.device().platter[..4096].to_vec();
    assert_ne!(first, page[..]);
    let names: Vec<SlotName> = client.live.keys().copied().collect();
    client.free(&names);
    for lane in 0..4 {
        client.out(lane, 1, &[Noise; 64], 1).unwrap();
    }
    client.run_disk();
    assert_ne!(client.device().platter[..4096], first, "the same page in the same place");
}
