//! Bytes that follow from (seed, offset): the words of SplitMix64.

/// The increment of SplitMix64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Fills `buffer` with the bytes of the synthetic file `seed` from `offset` on.
/// Costs the same at any offset, so every part of a file of any size can be checked.
///
/// Byte `i` is byte `i % 8` (little end first) of the SplitMix64 output number
/// `i / 8` for this seed.
pub fn synthetic_bytes(seed: u64, offset: u64, buffer: &mut [u8]) {
    let lead = (offset % 8) as usize;
    let mut index = offset / 8;
    let mut rest = buffer;
    if lead != 0 {
        let bytes = word(seed, index).to_le_bytes();
        let (head, tail) = rest.split_at_mut(rest.len().min(8 - lead));
        for (to, from) in head.iter_mut().zip(bytes.iter().skip(lead)) {
            *to = *from;
        }
        index = index.wrapping_add(1);
        rest = tail;
    }
    let mut words = rest.chunks_exact_mut(8);
    for chunk in &mut words {
        chunk.copy_from_slice(&word(seed, index).to_le_bytes());
        index = index.wrapping_add(1);
    }
    let last = words.into_remainder();
    let bytes = word(seed, index).to_le_bytes();
    for (to, from) in last.iter_mut().zip(bytes.iter()) {
        *to = *from;
    }
}

#[inline]
fn word(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_words_are_splitmix64() {
        // Reference output of SplitMix64 for seed 1234567.
        let mut bytes = [0; 16];
        synthetic_bytes(1_234_567, 0, &mut bytes);
        assert_eq!(bytes[..8], 6_457_827_717_110_365_317_u64.to_le_bytes());
        assert_eq!(bytes[8..], 3_203_168_211_198_807_973_u64.to_le_bytes());
    }

    proptest! {
        #[test]
        fn any_part_equals_the_same_part_of_the_whole(seed: u64, offset in 0_u64..300, len in 0_usize..100) {
            let mut whole = vec![0; 400];
            synthetic_bytes(seed, 0, &mut whole);
            let mut part = vec![0; len];
            synthetic_bytes(seed, offset, &mut part);
            prop_assert_eq!(&part[..], &whole[offset as usize..offset as usize + len]);
        }
    }
}
