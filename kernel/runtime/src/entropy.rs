//! Random bytes from the processor: for keys, not for dice.
//!
//! RDSEED where there is one, else RDRAND (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 7.3.17 and
//! 7.3.18). Both are believed: there is no second source to mix in. Under QEMU's software emulation they are the host's `getrandom`,
//! unless QEMU was told a seed to repeat a run by; then what they give is no secret.

use core::arch::x86_64::{__cpuid, __cpuid_count, _rdrand64_step, _rdseed64_step};

/// Times that RDRAND is asked before it is taken for broken (as the manual has it, 7.3.17.1).
const RDRAND_TRIES: u32 = 10;
/// Times that RDSEED is asked: it gives less in a second than one can ask for.
const RDSEED_TRIES: u32 = 1000;

/// Bits of CPUID: leaf 1, ecx; leaf 7, ebx.
const HAS_RDRAND: u32 = 1 << 30;
const HAS_RDSEED: u32 = 1 << 18;

/// Where random bytes came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The noise source itself.
    Rdseed,
    /// A generator that is seeded by it, again and again.
    Rdrand,
}

/// The processor has neither instruction, or what it has does not work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoEntropy;

/// The instructions that there are.
fn sources() -> (bool, bool) {
    let leaves = __cpuid(0).eax;
    let has_rdrand = leaves >= 1 && __cpuid(1).ecx & HAS_RDRAND != 0;
    let has_rdseed = leaves >= 7 && __cpuid_count(7, 0).ebx & HAS_RDSEED != 0;
    (has_rdseed, has_rdrand)
}

/// Random words from the best source that works.
pub fn words<const WORDS: usize>() -> Result<([u64; WORDS], Source), NoEntropy> {
    let (has_rdseed, has_rdrand) = sources();
    let by_seed = has_rdseed.then(|| ask(rdseed, RDSEED_TRIES)).flatten();
    let found = by_seed.map(|words| (words, Source::Rdseed));
    found
        .or_else(|| {
            has_rdrand.then(|| ask(rdrand, RDRAND_TRIES)).flatten().map(|words| (words, Source::Rdrand))
        })
        .ok_or(NoEntropy)
}

/// Words of a source that works. One that says the same over and over does not, whatever it says of itself.
fn ask<const WORDS: usize>(source: fn() -> Option<u64>, tries: u32) -> Option<[u64; WORDS]> {
    let mut words = [0; WORDS];
    for word in &mut words {
        *word = (0..tries).find_map(|_| source())?;
    }
    let differ = WORDS < 2 || words.windows(2).all(|pair| pair[0] != pair[1]);
    differ.then_some(words)
}

fn rdseed() -> Option<u64> {
    let mut word = 0;
    // SAFETY: the caller has asked the processor whether it has the instruction. It writes to the word alone.
    (unsafe { _rdseed64_step(&mut word) } == 1).then_some(word)
}

fn rdrand() -> Option<u64> {
    let mut word = 0;
    // SAFETY: as above.
    (unsafe { _rdrand64_step(&mut word) } == 1).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_stands_still_or_stops_is_refused() {
        assert_eq!(ask::<6>(|| Some(u64::MAX), 10), None);
        assert_eq!(ask::<6>(|| None, 10), None);
        assert_eq!(ask::<1>(|| Some(7), 10), Some([7]));
    }

    #[test]
    fn words_of_the_host_differ() {
        match words::<6>() {
            Ok((one, _)) => assert_ne!(one, words::<6>().unwrap().0),
            Err(NoEntropy) => assert_eq!(sources(), (false, false)),
        }
    }
}
