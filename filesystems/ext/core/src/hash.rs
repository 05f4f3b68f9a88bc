//! The hash of a name in an indexed directory (Linux Documentation/filesystems/ext4/directory.rst, "Hash Tree
//! Directories"): half MD4, TEA, or the legacy one, each over signed or unsigned bytes.

/// Hash versions as an index root stores them.
const LEGACY: u8 = 0;
const HALF_MD4: u8 = 1;
const TEA: u8 = 2;
/// Added to a version when bytes count as unsigned.
const UNSIGNED: u8 = 3;

const DEFAULT_SEED: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The highest hash stands for the end of a directory; a name that would have it gets the one below.
const END: u32 = 0x7fff_ffff << 1;

/// The major hash of a name. `None`: a version that nobody knows.
pub fn name_hash(name: &[u8], version: u8, unsigned: bool, seed: &[u32; 4]) -> Option<u32> {
    let (version, signed) = match version {
        LEGACY..=TEA => (version, !unsigned),
        3..=5 => (version - UNSIGNED, false),
        _ => return None,
    };
    let mut state = if seed.iter().all(|&word| word == 0) { DEFAULT_SEED } else { *seed };
    let hash = match version {
        LEGACY => legacy(name, signed),
        HALF_MD4 => {
            for (index, chunk) in name.chunks(32).enumerate() {
                half_md4(&mut state, &words(chunk, name.len() - index * 32, signed));
            }
            state[1]
        }
        _ => {
            for (index, chunk) in name.chunks(16).enumerate() {
                tea(&mut state, &words(chunk, name.len() - index * 16, signed));
            }
            state[0]
        }
    } & !1;
    Some(if hash == END { END - 2 } else { hash })
}

fn extend(byte: u8, signed: bool) -> u32 {
    if signed { i32::from(byte as i8) as u32 } else { u32::from(byte) }
}

fn legacy(name: &[u8], signed: bool) -> u32 {
    let (mut hash0, mut hash1) = (0x12a3_fe2d_u32, 0x37ab_e8f9_u32);
    for &byte in name {
        let mut hash = hash1.wrapping_add(hash0 ^ extend(byte, signed).wrapping_mul(7_152_373));
        if hash & 0x8000_0000 != 0 {
            hash = hash.wrapping_sub(0x7fff_ffff);
        }
        hash1 = hash0;
        hash0 = hash;
    }
    hash0 << 1
}

/// Bytes of a chunk packed big-endian into words; what is missing is filled with the remaining length.
fn words<const WORDS: usize>(chunk: &[u8], remaining: usize, signed: bool) -> [u32; WORDS] {
    let length = remaining as u32;
    let half = length | length << 8;
    let filler = half | half << 16;
    let mut output = [filler; WORDS];
    for (word, bytes) in output.iter_mut().zip(chunk.chunks(4)) {
        *word = bytes.iter().fold(filler, |value, &byte| extend(byte, signed).wrapping_add(value << 8));
    }
    output
}

fn tea(state: &mut [u32; 4], input: &[u32; 4]) {
    let (mut a, mut b, mut sum) = (state[0], state[1], 0_u32);
    for _ in 0..16 {
        sum = sum.wrapping_add(0x9e37_79b9);
        let mix = (b << 4).wrapping_add(input[0]) ^ b.wrapping_add(sum) ^ (b >> 5).wrapping_add(input[1]);
        a = a.wrapping_add(mix);
        let mix = (a << 4).wrapping_add(input[2]) ^ a.wrapping_add(sum) ^ (a >> 5).wrapping_add(input[3]);
        b = b.wrapping_add(mix);
    }
    state[0] = state[0].wrapping_add(a);
    state[1] = state[1].wrapping_add(b);
}

/// Order in which the rounds of half MD4 take the input words, and by how much they rotate.
const ROUNDS: [([usize; 8], [u32; 4], u32); 3] = [
    ([0, 1, 2, 3, 4, 5, 6, 7], [3, 7, 11, 19], 0),
    ([1, 3, 5, 7, 0, 2, 4, 6], [3, 5, 9, 13], 0x5a82_7999),
    ([3, 7, 2, 6, 1, 5, 0, 4], [3, 9, 11, 15], 0x6ed9_eba1),
];

fn half_md4(state: &mut [u32; 4], input: &[u32; 8]) {
    let functions: [fn(u32, u32, u32) -> u32; 3] =
        [|x, y, z| z ^ (x & (y ^ z)), |x, y, z| (x & y).wrapping_add((x ^ y) & z), |x, y, z| x ^ y ^ z];
    let mut mixed = *state;
    for ((order, rotations, constant), function) in ROUNDS.iter().zip(functions) {
        for (step, &word) in order.iter().enumerate() {
            // The word that changes goes backwards through the state: a, d, c, b, a ...
            let target = (4 - step % 4) % 4;
            let at = |offset: usize| mixed[(target + offset) % 4];
            let value = at(0).wrapping_add(function(at(1), at(2), at(3)));
            let value = value.wrapping_add(input[word]).wrapping_add(*constant);
            mixed[target] = value.rotate_left(rotations[step % 4]);
        }
    }
    for (word, mixed) in state.iter_mut().zip(mixed) {
        *word = word.wrapping_add(mixed);
    }
}

#[cfg(test)]
mod tests {
    use super::name_hash;

    /// Values printed by `debugfs -R 'dx_hash -h VERSION NAME'`, which knows signed bytes only.
    #[test]
    fn hashes_agree_with_debugfs() {
        let seed = [0; 4];
        let hash_of = |version, name: &str| name_hash(name.as_bytes(), version, false, &seed);
        assert_eq!(hash_of(6, "x"), None);
        for line in include_str!("../tests/data/name_hashes.txt").lines() {
            let mut parts = line.splitn(3, ' ');
            let mut part = || parts.next().expect("version, hash, name");
            let (version, hash, name) = (part(), part(), part());
            let expected = u32::from_str_radix(hash.trim_start_matches("0x"), 16).ok();
            assert_eq!(hash_of(version.parse().expect("a number"), name), expected, "{line}");
        }
    }
}
