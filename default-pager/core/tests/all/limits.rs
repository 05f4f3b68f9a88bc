//! Every limit, reached.

use crate::support::client::Client;
use crate::support::machine::parts;
use crate::support::pages::Kind::{LongWord, Noise, Text, Zeros};
use crate::support::pages::page;
use default_pager_core::limits::*;
use default_pager_core::seal::Secret;
use default_pager_core::word::{State, Word};
use default_pager_core::{
    Direction, Page, PageOutError, Pager, Progress, Refusal, SlotName, Ticket, region_words,
};

#[test]
fn batch_pages() {
    let mut client = Client::new(256, 65536);
    assert_eq!(client.out(0, 0, &[Zeros; BATCH_PAGES + 1], 0), Err(Refusal::Malformed));
    assert_eq!(client.out(0, 0, &[], 0), Err(Refusal::Malformed));
    client.out(0, 0, &[Zeros; BATCH_PAGES], 0).unwrap();
    let names = vec![SlotName::new(0, 1); BATCH_PAGES + 1];
    assert_eq!(client.pager().free(&names), Err(Refusal::Malformed));
    assert_eq!(client.bring(&names), Err(Refusal::Malformed));
    assert_eq!(client.bring(&[]), Err(Refusal::Malformed));
}

#[test]
fn page_outs_and_operations() {
    let mut client = Client::new(256, 65536);
    for lane in 0..PAGE_OUTS as u8 {
        client.out(lane, 0, &[Noise], 0).unwrap();
    }
    assert_eq!(client.out(9, 0, &[Noise], 0), Err(Refusal::Busy));
    assert_eq!(client.out(9, 0, &[Zeros], 0), Err(Refusal::Busy));
    client.run_disk();
    let name = [*client.live.keys().next().unwrap()];
    for _ in 0..OPERATIONS {
        client.bring(&name).unwrap();
    }
    assert_eq!(client.bring(&name), Err(Refusal::Busy));
    assert_eq!(client.out(9, 0, &[Noise], 0), Err(Refusal::Busy));
    client.run_disk();
    client.out(9, 0, &[Noise], 0).unwrap();
}

#[test]
fn write_outs() {
    let mut client = Client::new(64 * (WRITE_OUTS as u32 + 2), 1 << 20);
    for lane in 0..WRITE_OUTS as u8 + 2 {
        client.out(lane, 0, &[Text; 64], 0).unwrap();
    }
    client.pager().flush();
    assert_eq!(client.device().queue.len(), WRITE_OUTS);
    client.run_disk();
    assert_eq!(client.pager().statistics().counters.clusters_written_out, WRITE_OUTS as u64 + 2);
}

#[test]
fn transfers() {
    let mut client = Client::new(256, 65536);
    client.out(0, 0, &[Noise; 64], 0).unwrap();
    client.run_disk();
    let every_second: Vec<SlotName> = client.live.keys().copied().step_by(2).collect();
    client.bring(&every_second).unwrap();
    assert_eq!(client.device().queue.len(), TRANSFERS);
    client.bring(&every_second).unwrap();
    assert_eq!(client.device().queue.len(), TRANSFERS, "the rest waits");
    client.run_disk();
    assert_eq!(client.device().runs.len(), 1 + 2 * TRANSFERS);
}

#[test]
fn lanes_and_accounts() {
    let mut client = Client::new(64, 65536);
    let page = page(Text, 0);
    for ticket in [Ticket { lane: LANES as u8, sequence: 1 }, Ticket { lane: 0, sequence: 0 }] {
        assert_eq!(client.pager().page_out(ticket, 0, None, &[&page]), Err(Refusal::OutOfRange));
    }
    let ticket = Ticket { lane: LANES as u8 - 1, sequence: u32::MAX };
    let (last, beyond) = (ACCOUNTS as u16 - 1, ACCOUNTS as u16);
    assert_eq!(client.pager().page_out(ticket, beyond, None, &[&page]), Err(Refusal::OutOfRange));
    assert_eq!(client.pager().set_account_limit(beyond, 0), Err(Refusal::OutOfRange));
    assert_eq!(client.pager().page_out(ticket, last, None, &[&page]), Ok(Progress::Done));
    assert!(client.pager().charged(last) > 0);
}

#[test]
fn a_full_swap_refuses_pages_one_by_one() {
    let mut client = Client::new(10, 65536);
    client.out(0, 0, &[Noise; 7], 0).unwrap();
    client.out(1, 0, &[Text; 7], 0).unwrap();
    client.run_disk();
    assert_eq!((client.live.len(), client.refused.as_slice()), (10, &[PageOutError::Full; 4][..]));
    client.out(2, 0, &[Zeros], 0).unwrap();
    assert_eq!(client.refused.len(), 5, "a page of zeros needs a slot too");
    client.check_all();
    let names: Vec<SlotName> = client.live.keys().copied().step_by(2).collect();
    client.free(&names);
    client.out(3, 0, &[Noise; 5], 20).unwrap();
    client.run_disk();
    assert_eq!(client.live.len(), 10, "scattered slots are as good");
    client.check_all();
    client.check_books();
}

#[test]
fn slots_max_zones_and_search_slots() {
    let (words, bytes, mut device, _) = parts(SLOTS_MAX + 100, 65536, 0);
    device.is_writable = false;
    let secret = Secret([1; 48]);
    let pager = Pager::format(words, bytes, device, &secret).unwrap();
    assert_eq!(pager.statistics().slots_total, SLOTS_MAX);
    let (mut words, bytes, device) = pager.into_parts();
    // All but every second slot of the first zones, and all of the last zone, are taken.
    let taken = Word { count: 1, state: State::Fill(0) }.encode();
    let zone = SLOTS_MAX / ZONES;
    for slot in 0..SLOTS_MAX - zone {
        if slot >= 2 * SEARCH_SLOTS || slot % 2 == 0 {
            words.words[region_words(slot)] = taken;
        }
    }
    let mut pager = Pager::recover(words, bytes, device).unwrap();
    let zeros = page(Zeros, 0);
    let pages = [&*zeros; 8];
    let mut put = |sequence| {
        let ticket = Ticket { lane: 0, sequence };
        pager.page_out(ticket, 0, None, &pages).unwrap();
        let mut results = [Err(PageOutError::Full); 8];
        pager.outcome(ticket, &mut results).unwrap();
        results.map(|name| name.unwrap().slot())
    };
    // No run within reach: it takes what is free, and goes on from there.
    assert_eq!(put(1), [1, 3, 5, 7, 9, 11, 13, 15]);
    let scattered = (2 * SEARCH_SLOTS / 2) / 8;
    let mut last = [0; 8];
    for sequence in 2..scattered + 2 {
        last = put(sequence);
    }
    // Near the end of what is scattered, the empty zone at the very end of the table is one step away.
    assert!(last[0] >= SLOTS_MAX - zone, "{last:?}");
    assert!(last.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[test]
fn writes_per_slot() {
    let client = &mut Client::new(2, 65536);
    let (mut words, bytes, device) = client.pager.take().unwrap().into_parts();
    let free = State::Free { reserved: false };
    words.words[region_words(0)] = Word { count: WRITES_PER_SLOT - 1, state: free }.encode();
    words.words[region_words(1)] = Word { count: WRITES_PER_SLOT, state: free }.encode();
    client.pager = Some(Pager::recover(words, bytes, device).unwrap());
    assert_eq!(client.pager().statistics().slots.worn, 1);
    client.out(0, 0, &[Noise; 2], 0).unwrap();
    client.run_disk();
    assert_eq!(client.refused, [PageOutError::Full]);
    client.check_all();
    let names: Vec<SlotName> = client.live.keys().copied().collect();
    assert_eq!((names[0].slot(), names[0].version()), (0, u16::MAX));
    client.free(&names);
    assert_eq!(client.pager().statistics().slots.worn, 2);
    client.out(0, 0, &[Noise], 0).unwrap();
    assert_eq!(client.refused.len(), 2);
}

#[test]
fn write_tries() {
    let mut client = Client::new(64, 65536);
    client.device().unwritable.extend(0..WRITE_TRIES as u64 * SECTORS_PER_PAGE);
    client.out(0, 0, &[Noise], 0).unwrap();
    client.run_disk();
    assert_eq!(client.refused, [PageOutError::Unwritable]);
    client.device().unwritable.retain(|sector| *sector < 2 * SECTORS_PER_PAGE);
    let (words, bytes, device) = client.pager.take().unwrap().into_parts();
    client.pager = Some(Pager::recover(words, bytes, device).unwrap());
    client.out(0, 0, &[Noise], 0).unwrap();
    client.run_disk();
    assert_eq!((client.live.len(), client.refused.len()), (1, 1), "one place less is enough");
}

#[test]
fn the_tier_full_or_of_largest_size() {
    let mut client = Client::new(256, 2 * BLOCK_BYTES);
    client.pager().set_tier_limit(u64::MAX);
    for lane in 0..4 {
        client.out(lane, 0, &[LongWord; 64], u64::from(lane) * 64).unwrap();
    }
    client.run_disk();
    let statistics = client.pager().statistics();
    assert_eq!(
        statistics.slots.fill,
        (BLOCK_BYTES / GRANULE_BYTES) as u32,
        "as many as a block has granules"
    );
    client.check_all();
    let names: Vec<SlotName> = client.live.keys().copied().collect();
    client.free(&names);
    let (words, mut bytes, device) = client.pager.take().unwrap().into_parts();
    bytes.bytes = vec![0; TIER_BYTES_MAX + BLOCK_BYTES];
    client.pager = Some(Pager::recover(words, bytes, device).unwrap());
    assert_eq!(client.pager().statistics().tier_capacity_bytes, TIER_BYTES_MAX as u64);
}

#[test]
fn object_bytes_max() {
    let mut client = Client::new(64, 65536);
    // Zeros, then so much noise: an object of about that size.
    let put = |client: &mut Client, lane: u8, noise: usize| {
        let mut bytes = page(Noise, 1);
        bytes[..PAGE_BYTES - noise].fill(0);
        let pages: [&Page; 1] = [&bytes];
        client.pager().page_out(Ticket { lane, sequence: 1 }, 0, None, &pages).unwrap();
        client.pager().statistics().slots.compressed
    };
    assert_eq!(put(&mut client, 0, OBJECT_BYTES_MAX - 40), 1);
    assert_eq!(put(&mut client, 1, OBJECT_BYTES_MAX), 1, "this one goes to the disk");
    assert_eq!(client.device().runs, [(Direction::Write, 1)]);
}

#[test]
fn a_page_that_is_out_costs_eight_bytes_and_the_rest_is_fixed() {
    let fixed = region_words(0) * 8;
    assert_eq!(region_words(1 << 20) * 8 - fixed, 8 << 20);
    assert_eq!(fixed, 16 * 1024);
}
