//! What goes to the disk is encrypted, and what comes back from anywhere is checked.
//!
//! **Cipher.** ChaCha12 under a key of this boot, the nonce being slot and write count, which never repeat together
//! under one key. Twelve rounds are what Adiantum (Crowley and Biggers, 2018) trusts storage with.
//!
//! **Tag.** SipHash-1-3 over the page as it was before encryption, then slot and write count. It is kept in the
//! slot's word and never on the disk. So a disk that answers with an older page, another page or a changed one is
//! found out, and who controls the disk cannot compute a tag, nor ever sees one: all he learns is whether an access
//! failed, and each guess succeeds once in 2^41. A checksum without a key (xxh3) is a third of the work, but what it
//! overlooks can be computed; a whole authenticated cipher (Poly1305) needs 16 bytes a page to say the same.
//!
//! Container and page are not part of the tag, as a page that is shared belongs to several: the name that all its
//! holders have, slot and version, stands for them.

use chacha20::ChaCha12;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use core::hash::Hasher;
use siphasher::sip::SipHasher13;

/// Random bytes that a boot needs: 32 for the cipher, 16 for the tag.
pub const SECRET_BYTES: usize = 48;

/// The keys of this boot. They must be unpredictable, and never the same twice.
#[derive(Clone)]
pub struct Secret(pub [u8; SECRET_BYTES]);

/// Which code the cipher runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CipherBackend {
    /// Ordinary registers.
    Scalar,
    /// Vectors of 128 bits.
    Sse2,
    /// Vectors of 256 bits.
    Avx2,
}

impl CipherBackend {
    /// The name of it.
    pub fn name(self) -> &'static str {
        match self {
            CipherBackend::Scalar => "ChaCha12, scalar",
            CipherBackend::Sse2 => "ChaCha12, SSE2",
            CipherBackend::Avx2 => "ChaCha12, AVX2",
        }
    }
}

// The questions that the cipher asks the processor, asked again.
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(avx2_there, "avx2");
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(sse2_there, "sse2");

/// Which code the cipher runs on, by the same test as it makes itself.
pub fn cipher_backend() -> CipherBackend {
    #[cfg(target_arch = "x86_64")]
    {
        if avx2_there::get() {
            return CipherBackend::Avx2;
        }
        if sse2_there::get() {
            return CipherBackend::Sse2;
        }
    }
    CipherBackend::Scalar
}

/// Keys in use.
pub struct Seal {
    cipher: [u8; 32],
    tag: [u8; 16],
}

impl Seal {
    /// Takes the keys of a boot.
    pub fn new(secret: &Secret) -> Seal {
        let (mut cipher, mut tag) = ([0; 32], [0; 16]);
        cipher.copy_from_slice(&secret.0[..32]);
        tag.copy_from_slice(&secret.0[32..]);
        Seal { cipher, tag }
    }

    /// Encrypts what is plain, decrypts what is encrypted.
    pub fn crypt(&self, slot: u32, count: u32, bytes: &mut [u8]) {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&slot.to_le_bytes());
        nonce[4..8].copy_from_slice(&count.to_le_bytes());
        ChaCha12::new(&self.cipher.into(), &nonce.into()).apply_keystream(bytes);
    }

    /// The tag of bytes that a tenant of a slot left: its lowest `bits`.
    pub fn tag(&self, slot: u32, count: u32, bytes: &[u8], bits: u32) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.tag);
        hasher.write(bytes);
        hasher.write_u64(u64::from(slot) | u64::from(count) << 32);
        hasher.finish() & ((1 << bits) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        Seal::new(&Secret(core::array::from_fn(|index| index as u8)))
    }

    #[test]
    fn what_is_encrypted_is_decrypted_by_the_same_slot_and_count_only() {
        let mut bytes = [7; 64];
        seal().crypt(3, 4, &mut bytes);
        assert_ne!(bytes, [7; 64]);
        for (slot, count) in [(3, 5), (4, 4), (4, 3)] {
            let mut other = bytes;
            seal().crypt(slot, count, &mut other);
            assert_ne!(other, [7; 64]);
        }
        seal().crypt(3, 4, &mut bytes);
        assert_eq!(bytes, [7; 64]);
    }

    #[test]
    fn a_tag_is_bound_to_bytes_slot_count_and_key() {
        let tag = seal().tag(3, 4, b"abc", 41);
        assert_eq!(tag, seal().tag(3, 4, b"abc", 41));
        let other = Seal::new(&Secret([1; SECRET_BYTES]));
        for different in [
            seal().tag(3, 4, b"abd", 41),
            seal().tag(3, 5, b"abc", 41),
            seal().tag(2, 4, b"abc", 41),
            other.tag(3, 4, b"abc", 41),
        ] {
            assert_ne!(different, tag);
        }
        assert_eq!(seal().tag(3, 4, b"abc", 19), tag & ((1 << 19) - 1));
    }

    #[test]
    fn the_back_end_is_that_of_the_processor() {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        assert_ne!(cipher_backend(), CipherBackend::Scalar, "every x86-64 has SSE2");
    }
}
