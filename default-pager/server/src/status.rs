//! What the pager's own numbers are called in its protocol.

use default_pager_core::Statistics;
use default_pager_core::seal::CipherBackend;
use hurd_glue_api::pager::PagerStatus;

/// A look at the pager, as it is told.
pub fn status(told: &Statistics) -> PagerStatus {
    let Statistics { slots, counters, .. } = told;
    PagerStatus {
        slots: told.slots_total.into(),
        free: slots.free.into(),
        on_disk: slots.disk.into(),
        compressed: u64::from(slots.compressed) + u64::from(slots.stuck),
        filled: slots.fill.into(),
        unusable: u64::from(slots.bad) + u64::from(slots.worn),
        tier_bytes: told.tier_capacity_bytes,
        tier_used_bytes: told.tier_used_bytes,
        tier_limit_bytes: told.tier_limit_bytes,
        disk_is_writable: told.disk_is_writable,
        transfers: told.transfers_in_flight as u64,
        cipher: match told.cipher {
            CipherBackend::Scalar => 0,
            CipherBackend::Sse2 => 1,
            CipherBackend::Avx2 => 2,
        },
        pages_out: counters.pages_out,
        out_compressed: counters.compressed,
        out_direct: counters.direct,
        written_out: counters.written_out,
        in_from_memory: counters.in_from_tier + counters.in_from_word,
        in_from_disk: counters.in_from_disk,
        transfer_errors: counters.transfer_errors,
        lost: counters.corrupt + counters.unreadable + counters.spoilt,
    }
}
