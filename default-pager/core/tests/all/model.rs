//! Random requests, disks and crashes against a plain map from names to pages.

use crate::support::client::Client;
use crate::support::pages::{KINDS, Kind, Random};
use default_pager_core::limits::{LANES, PAGE_BYTES, SECTOR_BYTES};
use default_pager_core::{Refusal, SlotName};

struct Odds {
    crash: usize,
    faults: bool,
}

fn some_names(client: &Client, random: &mut Random) -> Vec<SlotName> {
    let names: Vec<SlotName> = client.live.keys().copied().collect();
    if names.is_empty() {
        return names;
    }
    let (first, pages) = (random.below(names.len()), 1 + random.below(24));
    names.into_iter().skip(first).take(pages).collect()
}

/// Spoils a place of the disk: its present tenant may fail from now on, nobody else may.
fn spoil(client: &mut Client, random: &mut Random) {
    let Some(slot) = some_names(client, random).first().map(|name| name.slot()) else { return };
    let sector = slot as usize * PAGE_BYTES / SECTOR_BYTES + random.below(8);
    match random.below(3) {
        0 => {
            client.device().unreadable.insert(sector as u64);
        }
        1 => {
            client.device().unwritable.insert(sector as u64);
            return;
        }
        _ => {
            let byte = sector * SECTOR_BYTES + random.below(SECTOR_BYTES);
            client.device().platter[byte] ^= 1 << random.below(8);
        }
    }
    let hit: Vec<SlotName> = client.live.keys().copied().filter(|name| name.slot() == slot).collect();
    client.suspects.extend(hit);
}

fn step(client: &mut Client, random: &mut Random, odds: &Odds) {
    match random.below(100) {
        0..35 => {
            let kinds: Vec<Kind> =
                (0..1 + random.below(20)).map(|_| KINDS[random.below(KINDS.len())]).collect();
            let lane = random.below(LANES) as u8;
            if !client.is_lane_busy(lane) {
                let result = client.out(lane, random.below(5) as u16, &kinds, random.next() >> 1);
                assert!(matches!(result, Ok(()) | Err(Refusal::Busy)), "{result:?}");
            }
        }
        35..50 => {
            let names = some_names(client, random);
            client.free(&names);
            client.ghosts.extend(names);
            for _ in 0..client.ghosts.len().min(5) {
                let ghost = client.ghosts[random.below(client.ghosts.len())];
                assert_eq!(client.pager().free(&[ghost]), Ok(1), "freed twice");
            }
        }
        50..70 => {
            let names = some_names(client, random);
            if !names.is_empty() {
                let result = client.bring(&names);
                assert!(matches!(result, Ok(()) | Err(Refusal::Busy)), "{result:?}");
            }
        }
        70..72 => {
            client.pager().flush();
        }
        72..74 => client.pager().set_tier_limit(random.next() % 100_000),
        74..78 if odds.faults => spoil(client, random),
        _ => {
            client.step_disk(random.next() as usize);
        }
    }
    client.hear();
}

fn run(seed: u64, steps: usize, odds: &Odds) -> Client {
    let mut random = Random(seed);
    let mut client = Client::new(48 + random.below(160) as u32, 16384 * (4 + random.below(12)));
    client.pager().set_account_limit(4, 9000).unwrap();
    for index in 0..steps {
        if random.chance(odds.crash) {
            client.fuse.set(Some(random.below(60) as u64));
        }
        step(&mut client, &mut random, odds);
        if client.fuse.is_blown() {
            client.fuse.set(None);
            client.crash(random.below(4));
            client.ask_again();
        }
        if index % 50 == 49 {
            client.fuse.set(None);
            client.run_disk();
            client.check_all();
            client.check_books();
        }
    }
    client
}

fn seeds(count: u64, first: u64, steps: usize, odds: Odds) {
    for seed in first..first + count {
        let outcome = std::panic::catch_unwind(|| run(seed, steps, &odds));
        if let Err(why) = outcome {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(why);
        }
    }
}

#[test]
fn random_requests_are_answered_as_a_map_would() {
    seeds(40, 1, 400, Odds { crash: 0, faults: false });
}

#[test]
fn random_crashes_lose_nothing() {
    seeds(60, 1000, 400, Odds { crash: 15, faults: false });
}

#[test]
fn random_faults_cost_only_the_pages_they_hit() {
    seeds(40, 2000, 400, Odds { crash: 0, faults: true });
}

#[test]
fn random_crashes_and_faults_together() {
    seeds(40, 3000, 400, Odds { crash: 15, faults: true });
}

#[test]
fn the_runs_reach_what_they_are_for() {
    let client = &mut run(1003, 600, &Odds { crash: 15, faults: true });
    assert!(client.crashes > 10);
    let mut seen = default_pager_core::Counters::default();
    for seed in 0..10 {
        let counters = run(seed, 400, &Odds { crash: 0, faults: true }).pager().statistics().counters;
        seen.filled += counters.filled;
        seen.written_out += counters.written_out;
        seen.direct += counters.direct;
        seen.in_from_disk += counters.in_from_disk;
        seen.in_from_tier += counters.in_from_tier;
        seen.corrupt += counters.corrupt;
        seen.unreadable += counters.unreadable;
        seen.refused_full += counters.refused_full;
        seen.transfer_errors += counters.transfer_errors;
    }
    let all = [seen.filled, seen.written_out, seen.direct, seen.in_from_disk, seen.in_from_tier];
    let rare = [seen.corrupt, seen.unreadable, seen.refused_full, seen.transfer_errors];
    assert!(all.iter().all(|number| *number > 100), "{seen:?}");
    assert!(rare.iter().all(|number| *number > 0), "{seen:?}");
}
