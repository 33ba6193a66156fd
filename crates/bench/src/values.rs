//! The values: a count of updates, then bytes of which one half compresses well.
//!
//! A value is replaced as a whole by each update, as an immutable one is.
//!
//! Shape: u64 little-endian count, then a half that looks random, then zeros. Of values made so a fast
//! compression takes about a half away, as from those of RocksDB's `db_bench`.
//!
//! Invariants: updates keep the length and all bytes but the count.

use bytes::Bytes;

use crate::workload::spread;

/// Bytes of the count.
const COUNT_LEN_BYTES: usize = 8;

/// The value of a key that was never updated; at least 8 bytes long.
pub(crate) fn initial(key: u64, len_bytes: usize) -> Bytes {
    let mut value = vec![0; len_bytes];
    let filler = len_bytes.saturating_sub(COUNT_LEN_BYTES).div_ceil(2);
    let random = value.iter_mut().skip(COUNT_LEN_BYTES).take(filler);
    let words = (0_u64..).flat_map(|at| spread(key ^ spread(at)).to_le_bytes());
    random.zip(words).for_each(|(byte, word)| *byte = word);
    value.into()
}

/// The value after one update more. A value that is too short stays as it is, and nobody counts it.
#[inline]
pub(crate) fn updated(value: &Bytes) -> Bytes {
    let Some((count, rest)) = value.split_first_chunk::<COUNT_LEN_BYTES>() else {
        return value.clone();
    };
    let count = u64::from_le_bytes(*count).wrapping_add(1);
    let mut updated = Vec::with_capacity(value.len());
    updated.extend_from_slice(&count.to_le_bytes());
    updated.extend_from_slice(rest);
    updated.into()
}

/// How often a value was updated.
pub(crate) fn updates_of(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |count| u64::from_le_bytes(*count))
}

/// So many bytes of values, for whoever needs some.
pub(crate) fn bytes_of_values(len_bytes: usize, value_len_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len_bytes);
    for key in 0_u64.. {
        let room = len_bytes - bytes.len();
        if room == 0 {
            break;
        }
        let value = initial(spread(key), value_len_bytes);
        bytes.extend_from_slice(value.get(..room).unwrap_or(&value));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_counted_and_change_nothing_else() {
        for len_bytes in [8, 9, 100, 1_000] {
            let first = initial(77, len_bytes);
            assert_eq!((first.len(), updates_of(&first)), (len_bytes, 0));
            let mut value = first.clone();
            for count in 1..=300 {
                value = updated(&value);
                assert_eq!(updates_of(&value), count);
            }
            assert_eq!(value[8..], first[8..]);
        }
        assert_ne!(initial(1, 100), initial(2, 100));
    }

    #[test]
    fn about_a_half_can_be_compressed_away() {
        let bytes = bytes_of_values(1_000_000, 100);
        assert_eq!(bytes.len(), 1_000_000);
        let compressed = zstd::bulk::compress(&bytes, 3).unwrap().len();
        assert!((400_000..650_000).contains(&compressed), "{compressed}");
    }
}
