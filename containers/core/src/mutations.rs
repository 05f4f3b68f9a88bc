//! Deliberate bugs, so that the tests can be tested: each is one line at one place, which asks [`has`] whether it is to go wrong.
//!
//! Without the feature `mutations`, which nothing but tests turns on, the answer is a constant and the compiler removes the
//! question. With it one build has them all, and one at a time is switched on.

/// A bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mutation {
    /// A frame that is handed over is not zeroed.
    SkipZeroing = 1,
    /// Pages that are taken away stay mapped.
    ForgetUnmap,
    /// Pages that become shared stay writable.
    ForgetWriteProtect,
    /// A lock is there for one moment longer than its term.
    ExpireLate,
    /// A charge of one page is not counted.
    LoseCharge,
    /// Behind what a device wrote, the rest of the page keeps what was there.
    KeepTail,
    /// Pages that no device vouched for are shown as they are.
    KeepRaw,
    /// A copy does not change the version.
    KeepVersion,
    /// A write to a shared page goes to the frame that all share.
    ShareWrites,
    /// The last frames of a guarantee are refused.
    ShortGuarantee,
    /// Pins are not given back when a lock ends.
    KeepPins,
    /// Frames are seized whose term is not over.
    SeizeEarly,
    /// Vital containers are seized like others.
    SeizeVital,
    /// Pages that were seized read as zeros.
    LoseSilently,
    /// Who waits for frames is forgotten.
    ForgetWaiter,
    /// A contract whose term is over goes on.
    ForgetEnd,
    /// An owner's mappings stay under a lock for a device.
    KeepOwnersMappings,
    /// A device's frames go back to the free ones while it writes to them.
    SkipQuarantine,
    /// A call that was met counts as one frame short.
    MissCall,
    /// What was seized is not in the repossession record.
    ForgetRepossession,
    /// The pressure page says what it said first.
    StalePressure,
    /// A call that is over stays in the contract page.
    StaleContractPage,
    /// With a policy goes the choice that it was to make.
    ForgetChoice,
    /// A lock's holder keeps its mappings when the lock ends.
    KeepHoldersMappings,
    /// A grant that is being revoked can be locked through.
    LockWhileRevoking,
    /// A lock can be used through another capability than the one it was taken through.
    ForeignLock,
    /// What the holder of a fill lock wrote behind the filled bytes stays.
    KeepFillTail,
    /// A page can be copied out without the right to.
    CopyAnyway,
    /// A grant reaches one page further than was granted.
    WidenGrant,
    /// What is below a contract that ends goes on until its turn comes.
    KeepBelow,
    /// Pages that go out stay mapped.
    KeepOutMapped,
    /// A frame that is written is still taken for what the pager has.
    KeepStaleNumber,
    /// Who lets go of a page that is out is counted still.
    KeepHolder,
    /// One page more than the swap limit goes out.
    SwapBeyondLimit,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Mutation; 34] = [
        Mutation::SkipZeroing,
        Mutation::ForgetUnmap,
        Mutation::ForgetWriteProtect,
        Mutation::ExpireLate,
        Mutation::LoseCharge,
        Mutation::KeepTail,
        Mutation::KeepRaw,
        Mutation::KeepVersion,
        Mutation::ShareWrites,
        Mutation::ShortGuarantee,
        Mutation::KeepPins,
        Mutation::SeizeEarly,
        Mutation::SeizeVital,
        Mutation::LoseSilently,
        Mutation::ForgetWaiter,
        Mutation::ForgetEnd,
        Mutation::KeepOwnersMappings,
        Mutation::SkipQuarantine,
        Mutation::MissCall,
        Mutation::ForgetRepossession,
        Mutation::StalePressure,
        Mutation::StaleContractPage,
        Mutation::ForgetChoice,
        Mutation::KeepHoldersMappings,
        Mutation::LockWhileRevoking,
        Mutation::ForeignLock,
        Mutation::KeepFillTail,
        Mutation::CopyAnyway,
        Mutation::WidenGrant,
        Mutation::KeepBelow,
        Mutation::KeepOutMapped,
        Mutation::KeepStaleNumber,
        Mutation::KeepHolder,
        Mutation::SwapBeyondLimit,
    ];
}

#[cfg(feature = "mutations")]
mod switched {
    use super::Mutation;
    use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

    static ACTIVE: AtomicU8 = AtomicU8::new(0);
    static REFUSE_IN: AtomicU64 = AtomicU64::new(0);
    static CHARGES: AtomicU64 = AtomicU64::new(0);

    /// Whether a bug is there.
    pub fn has(mutation: Mutation) -> bool {
        ACTIVE.load(Ordering::Relaxed) == mutation as u8
    }

    /// Switches a bug on, or all off.
    pub fn switch(mutation: Option<Mutation>) {
        ACTIVE.store(mutation.map_or(0, |mutation| mutation as u8), Ordering::Relaxed);
    }

    /// Has the charge with this number from now on be refused; 0: none is. Charges since it was last asked.
    pub fn refuse_charge(number: u64) -> u64 {
        REFUSE_IN.store(number, Ordering::Relaxed);
        CHARGES.swap(0, Ordering::Relaxed)
    }

    /// Whether this charge is the one that is refused.
    pub fn is_refused() -> bool {
        CHARGES.fetch_add(1, Ordering::Relaxed);
        let left = REFUSE_IN.load(Ordering::Relaxed);
        if left != 0 {
            REFUSE_IN.store(left - 1, Ordering::Relaxed);
        }
        left == 1
    }
}

#[cfg(feature = "mutations")]
pub use switched::{has, is_refused, refuse_charge, switch};

/// Whether a bug is there: never.
#[cfg(not(feature = "mutations"))]
#[inline]
pub const fn has(_mutation: Mutation) -> bool {
    false
}

/// Whether a charge is refused to try what comes of it: never.
#[cfg(not(feature = "mutations"))]
#[inline]
pub const fn is_refused() -> bool {
    false
}
