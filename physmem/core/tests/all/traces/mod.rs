//! The policies compared: each replays the same traces on the same machine, and what it took that was needed is counted.
//!
//! The table in `docs/policies.md` is what this prints:
//! `cargo test -p physmem-core --test all the_policies_compared -- --nocapture`.

mod generate;
mod replay;
mod trace;

use containers_api::control::PolicyKind;
use replay::{Result, replay};
use trace::Trace;

const POLICIES: [(PolicyKind, &str); 3] = [
    (PolicyKind::ClientOrder, "client order"),
    (PolicyKind::GlobalClock, "global clock"),
    (PolicyKind::Aging, "aging"),
];

/// What each policy came to with a trace, in the order of [`POLICIES`].
fn compare(name: &str, trace: &Trace) -> [Result; 3] {
    POLICIES.map(|(kind, label)| {
        let result = replay(trace, kind);
        let by_tenant: Vec<String> = result.tenants.iter().map(|tenant| tenant.seized.to_string()).collect();
        println!(
            "| {name} | {label} | {} | {} | {} | {} | {} | {} |",
            by_tenant.join(" + "),
            result.sum(|tenant| tenant.refetched),
            result.sum(|tenant| tenant.wrongly_taken),
            result.sum(|tenant| tenant.misses),
            result.scanned,
            result.steps_most,
        );
        result
    })
}

#[test]
fn the_policies_compared() {
    println!(
        "| trace | policy | seized, by tenant | fetched again | wrongly taken | accesses missed | pages looked at | most steps |"
    );
    println!("|---|---|---|---|---|---|---|---|");

    let misses = |result: &Result| result.sum(|tenant| tenant.misses);
    let [client, clock, aging] = compare("hot", &generate::hot());
    let wrong = |result: &Result| result.sum(|tenant| tenant.wrongly_taken);
    assert!(wrong(&clock) * 3 < wrong(&client), "the clock spares pages in use");
    assert!(wrong(&aging) * 3 < wrong(&client), "aging spares pages in use");
    assert_eq!(client.scanned, 0, "the client's order looks at nothing");

    let [client, clock, aging] = compare("zipf", &generate::zipf());
    assert!(
        misses(&clock) < misses(&client),
        "where use falls off slowly the clock is still better than chance"
    );
    assert!(misses(&aging) * 10 < misses(&client) * 8, "a longer memory is better");

    let [client, _, aging] = compare("phases", &generate::phases());
    assert!(misses(&aging) * 2 < misses(&client), "the past phase goes first");

    // Nobody is good at a loop: what was used longest ago comes next. No policy is to be worse than chance.
    let [client, clock, aging] = compare("loop", &generate::endless_loop());
    assert!(misses(&clock).max(misses(&aging)) * 10 < misses(&client) * 11);

    let [client, clock, aging] = compare("hoarder", &generate::hoarder());
    let of_hoarder =
        |result: &Result| result.tenants[0].seized * 100 / result.sum(|tenant| tenant.seized).max(1);
    assert!(of_hoarder(&aging) >= 80, "aging takes from the idle hoarder first");
    assert!(of_hoarder(&clock) >= 80, "so does the clock: the hoarder does not run");
    assert!(of_hoarder(&client) <= 70, "proportion does not know who is idle");

    let [_, _, aging] = compare("weights", &generate::weights());
    let [light, heavy] = &aging.tenants[..] else { panic!("two tenants") };
    assert!(light.seized >= 2 * heavy.seized, "aging takes from the lighter first");
}

#[test]
fn a_replay_repeats_exactly() {
    let trace = generate::hoarder();
    for (kind, _) in POLICIES {
        assert_eq!(replay(&trace, kind), replay(&trace, kind));
    }
}
