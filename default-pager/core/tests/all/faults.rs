//! Disks that are missing, too small, full, read-only or broken; bytes that are flipped.

use crate::support::client::Client;
use crate::support::machine::{TestPager, parts};
use crate::support::pages::Kind::{LongWord, Noise, Text, Zeros};
use default_pager_core::limits::{PAGE_BYTES, SECTORS_PER_PAGE, WRITE_TRIES};
use default_pager_core::seal::Secret;
use default_pager_core::{
    OpenError, Page, PageIn, PageInError, PageOutError, Pager, Progress, SlotName, region_words,
};

fn names(client: &Client) -> Vec<SlotName> {
    client.live.keys().copied().collect()
}

/// Brings pages with the disk, and tells what became of them.
fn bring(pager: &mut TestPager, names: &[SlotName]) -> Vec<PageIn> {
    let mut pages = vec![[1; PAGE_BYTES]; names.len()];
    let mut places: Vec<&mut Page> = pages.iter_mut().collect();
    let mut results = vec![None; names.len()];
    if pager.page_in(77, names, &mut places, &mut results) == Ok(Progress::UnderWay) {
        while let Some(transfer) = pager.disk().queue.pop() {
            let result = pager.disk().perform(transfer);
            pager.completed(transfer.number, result);
        }
        pager.collect(77, &mut places, &mut results).unwrap();
    }
    results.into_iter().map(Option::unwrap).collect()
}

#[test]
fn a_bad_sector_costs_the_page_on_it_and_no_other() {
    let mut client = Client::new(64, 65536);
    client.out(0, 1, &[Noise; 10], 1).unwrap();
    client.run_disk();
    let names = names(&client);
    client.device().unreadable.insert(u64::from(names[4].slot()) * SECTORS_PER_PAGE + 5);
    let results = bring(client.pager(), &names);
    for (index, result) in results.into_iter().enumerate() {
        assert_eq!(result, if index == 4 { Err(PageInError::Unreadable) } else { Ok(()) });
    }
}

#[test]
fn every_flipped_byte_is_found_and_costs_its_page_alone() {
    let mut client = Client::new(64, 65536);
    client.out(0, 1, &[Noise; 3], 1).unwrap();
    client.run_disk();
    let names = names(&client);
    for byte in (0..PAGE_BYTES).step_by(113) {
        client.device().platter[PAGE_BYTES + byte] ^= 0x10;
        let results = bring(client.pager(), &names);
        assert_eq!(results, [Ok(()), Err(PageInError::Corrupt), Ok(())], "byte {byte}");
        client.device().platter[PAGE_BYTES + byte] ^= 0x10;
    }
    client.check_all();
}

#[test]
fn a_disk_that_answers_with_another_or_an_older_page_is_found_out() {
    let mut client = Client::new(3, 65536);
    client.out(0, 1, &[Noise; 3], 1).unwrap();
    client.run_disk();
    let older = client.device().platter.clone();
    let first = names(&client);
    client.device().platter.copy_within(0..PAGE_BYTES, PAGE_BYTES);
    assert_eq!(bring(client.pager(), &first)[1], Err(PageInError::Corrupt));
    client.free(&first);
    client.out(0, 1, &[Noise; 3], 50).unwrap();
    client.run_disk();
    client.device().platter = older;
    let second = names(&client);
    assert_eq!(bring(client.pager(), &second), [Err(PageInError::Corrupt); 3]);
}

#[test]
fn a_flipped_byte_of_the_compressed_tier_is_found() {
    let mut client = Client::new(64, 65536);
    client.out(0, 1, &[Text, LongWord, Text], 1).unwrap();
    let names = names(&client);
    let (words, mut bytes, device) = client.pager.take().unwrap().into_parts();
    let right = bytes.bytes.clone();
    let object = right.iter().position(|byte| *byte != 0x5a).unwrap();
    bytes.bytes[object + 40] ^= 1;
    let mut pager = Pager::recover(words, bytes, device).unwrap();
    assert_eq!(bring(&mut pager, &names), [Err(PageInError::Corrupt), Ok(()), Ok(())]);
    // Written out, it is lost, and its holder is told so. The others go on.
    pager.flush();
    while let Some(transfer) = pager.disk().queue.pop() {
        let result = pager.disk().perform(transfer);
        pager.completed(transfer.number, result);
    }
    assert_eq!(bring(&mut pager, &names), [Err(PageInError::Corrupt), Ok(()), Ok(())]);
    assert_eq!((pager.statistics().slots.lost, pager.statistics().slots.disk), (1, 1));
    assert_eq!(pager.free(&names), Ok(0));
    assert_eq!(pager.statistics().tier_used_bytes, 0);
}

#[test]
fn a_header_that_makes_no_sense_after_a_crash_costs_its_page() {
    let mut client = Client::new(64, 65536);
    client.out(0, 1, &[Text, Text, Text], 1).unwrap();
    let names = names(&client);
    let (words, mut bytes, device) = client.pager.take().unwrap().into_parts();
    let object = bytes.bytes.iter().position(|byte| *byte != 0x5a).unwrap();
    bytes.bytes[object..object + 2].copy_from_slice(&[0xff, 0xff]);
    let mut pager = Pager::recover(words, bytes, device).unwrap();
    assert_eq!(pager.statistics().slots.lost, 1);
    assert_eq!(bring(&mut pager, &names), [Err(PageInError::Corrupt), Ok(()), Ok(())]);
}

#[test]
fn a_place_that_cannot_be_written_is_bad_and_another_takes_the_page() {
    let mut client = Client::new(64, 65536);
    client.device().unwritable.insert(2 * SECTORS_PER_PAGE + 7);
    client.out(0, 1, &[Noise; 5], 1).unwrap();
    client.run_disk();
    assert_eq!(client.live.len(), 5);
    assert_eq!(client.pager().statistics().slots.bad, 1);
    client.check_all();
    client.check_books();
    let names = names(&client);
    client.free(&names);
    client.out(0, 1, &[Noise; 63], 1).unwrap();
    client.run_disk();
    assert_eq!(client.live.len(), 63, "all but the bad one");
    assert!(client.live.keys().all(|name| name.slot() != 2));
}

#[test]
fn a_disk_that_writes_nothing_costs_the_pages_that_need_it_and_no_slot() {
    let mut client = Client::new(64, 65536);
    client.device().unwritable.extend(0..64 * SECTORS_PER_PAGE);
    client.out(0, 1, &[Noise, Text, Noise], 1).unwrap();
    client.run_disk();
    assert_eq!(client.refused, [PageOutError::Unwritable; 2]);
    let statistics = client.pager().statistics();
    assert_eq!((statistics.slots.bad, statistics.slots.free), (0, 63));
    assert_eq!(statistics.counters.writes, 2 * WRITE_TRIES as u64);
    client.check_all();
    client.check_books();
}

#[test]
fn what_cannot_be_written_out_stays_in_memory() {
    let mut client = Client::new(64, 65536);
    client.device().unwritable.insert(SECTORS_PER_PAGE);
    client.out(0, 1, &[Text; 4], 1).unwrap();
    client.pager().flush();
    client.run_disk();
    let slots = client.pager().statistics().slots;
    assert_eq!((slots.disk, slots.stuck), (3, 1));
    assert_eq!(client.pager().flush(), Progress::Done, "it is not tried again and again");
    client.check_all();
    client.check_books();
    client.crash(0);
    client.device().unwritable.clear();
    client.pager().flush();
    client.run_disk();
    assert_eq!(client.pager().statistics().slots.disk, 4, "the next pager tries once more");
    client.check_all();
}

#[test]
fn without_a_disk_what_gets_smaller_is_kept_in_memory() {
    let mut client = Client::with_disk(64, 65536, 0);
    client.out(0, 1, &[Text, Zeros, Noise, LongWord], 1).unwrap();
    assert_eq!(client.refused, [PageOutError::NoDisk]);
    assert_eq!(client.pager().flush(), Progress::Done);
    client.check_all();
    client.check_books();
}

#[test]
fn a_disk_that_turns_read_only_still_gives_what_it_has() {
    let mut client = Client::new(64, 65536);
    client.out(0, 1, &[Noise, Text], 1).unwrap();
    client.run_disk();
    client.device().is_writable = false;
    client.out(0, 1, &[Noise, Text], 9).unwrap();
    assert_eq!(client.refused, [PageOutError::NoDisk]);
    assert_eq!(client.pager().flush(), Progress::Done);
    client.check_all();
    client.check_books();
}

#[test]
fn a_disk_that_is_gone_after_a_crash_costs_the_pages_on_it() {
    let mut client = Client::new(64, 65536);
    client.out(0, 1, &[Noise, Text], 1).unwrap();
    client.run_disk();
    let names = names(&client);
    let (words, bytes, mut device) = client.pager.take().unwrap().into_parts();
    device.platter.clear();
    let mut pager = Pager::recover(words, bytes, device).unwrap();
    assert_eq!(bring(&mut pager, &names), [Err(PageInError::Unreadable), Ok(())]);
}

#[test]
fn a_region_or_disk_without_room_is_refused() {
    let secret = Secret([1; 48]);
    let (words, bytes, device, _) = parts(0, 65536, 8);
    let small = OpenError::RegionTooSmall { words: region_words(1) };
    assert_eq!(Pager::format(words, bytes, device, &secret).err(), Some(small));
    let (words, bytes, mut device, _) = parts(8, 65536, 8);
    device.platter.truncate(3 * 512);
    let small = OpenError::DiskTooSmall { sectors: 3 };
    assert_eq!(Pager::format(words, bytes, device, &secret).err(), Some(small));
    let (words, bytes, device, _) = parts(8, 65536, 8);
    let (words, bytes, mut device) = Pager::format(words, bytes, device, &secret).unwrap().into_parts();
    device.platter.truncate(5 * PAGE_BYTES);
    let shrunk = OpenError::Shrunk { slots: 8, room: 5 };
    assert_eq!(Pager::recover(words, bytes, device).err(), Some(shrunk));
}

#[test]
fn what_the_disk_says_of_transfers_it_was_not_given_is_ignored() {
    let mut client = Client::new(64, 65536);
    client.out(0, 1, &[Noise], 1).unwrap();
    let number = client.device().queue[0].number;
    for number in [number + 1, number + 32, 0, u32::MAX] {
        client.pager().completed(number, Ok(()));
    }
    assert_eq!(client.pager().statistics().counters.unknown_transfers, 4);
    client.run_disk();
    client.pager().completed(number, Ok(()));
    client.check_all();
    client.check_books();
}
