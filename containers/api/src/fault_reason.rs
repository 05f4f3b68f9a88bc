//! Why physmem ended a thread that faulted: the label of its answer, and the reason in the death notice
//! ([`kernel_abi::task::TaskStatus::Fault`]).

macro_rules! fault_reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// A reason.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum FaultReason { $($(#[$doc])* $name = $number,)* }

        impl FaultReason {
            /// All of them, for tests and tables.
            pub const ALL: &'static [FaultReason] = &[$(FaultReason::$name,)*];

            /// The reason with this number.
            pub const fn from_label(label: u32) -> Option<FaultReason> {
                match label { $($number => Some(FaultReason::$name),)* _ => None }
            }

            /// The label.
            pub const fn label(self) -> u32 {
                self as u32
            }
        }

        impl core::fmt::Display for FaultReason {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                formatter.write_str(match self { $(FaultReason::$name => $text,)* })
            }
        }
    };
}

fault_reasons! {
    /// Nothing is mapped at the address.
    NotMapped = 1, "nothing is mapped there";
    /// The mapping does not allow the access.
    Protection = 2, "the mapping does not allow that";
    /// The container is shorter than the mapping.
    BeyondEnd = 3, "the page is beyond the end of the container";
    /// The contract that pays for the container has no frame left.
    ContractExhausted = 4, "the contract has no frames left";
    /// The contract that pays for the container or the address space cannot pay for the bookkeeping.
    NoRecord = 5, "the contract cannot pay for the bookkeeping";
    /// A write to a sealed container.
    Sealed = 6, "the container is sealed";
    /// The mapping was made through a grant with LOCK, and no lock taken through that grant covers the page.
    NotLocked = 7, "the page is not locked";
    /// The page is locked and as many threads of the contract wait as may.
    TooManyWaiters = 8, "too many threads wait for locked pages";
    /// The kernel refused the mapping: the frame is mapped as often as it can be.
    MapCountFull = 9, "the page is mapped too often";
    /// The page's frame was seized, and its contents are gone: the repossession record names it.
    Repossessed = 10, "the page was seized";
    /// The page is out, and the pager did not bring it in time.
    PagerFailed = 11, "the pager did not bring the page";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_survive_the_label_and_never_mean_resume() {
        for &reason in FaultReason::ALL {
            assert_eq!(FaultReason::from_label(reason.label()), Some(reason));
            assert_ne!(reason.label(), kernel_abi::fault::RESUME);
        }
        assert_eq!(FaultReason::from_label(0), None);
    }
}
