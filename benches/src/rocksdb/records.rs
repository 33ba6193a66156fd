//! Keys, routed to their key groups, and the rows that they have.

use alluvium_benches::random::Random;
use alluvium_benches::targets::max_parallelism;
use alluvium_core::{KeyGroup, KeyGroupAssigner};

/// Key groups of an operator.
pub(crate) const KEY_GROUPS: u32 = 128;
/// Key group and key.
pub(crate) const ROW_LEN_BYTES: usize = 9;

/// A record that is routed already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) key: u64,
    pub(crate) group: KeyGroup,
}

impl Record {
    /// The record with a number; different numbers have different keys, far apart.
    pub(crate) fn of(number: u64) -> Self {
        let key = Random::new(number).next_u64();
        let max = max_parallelism(KEY_GROUPS);
        let group = KeyGroupAssigner::Stable.assign(&key, &key.to_le_bytes(), max);
        Self { key, group }
    }

    /// The row key of its pair, as the backend writes it.
    #[inline]
    pub(crate) fn row(&self) -> [u8; ROW_LEN_BYTES] {
        let [_, group] = self.group.get().to_be_bytes();
        let mut row = [group; ROW_LEN_BYTES];
        row[1..].copy_from_slice(&self.key.to_le_bytes());
        row
    }
}

/// The records from 0 on, in random order of their rows.
pub(crate) fn all(count: u64) -> Vec<Record> {
    (0..count).map(Record::of).collect()
}

/// Uniformly random ones of the first `count`.
pub(crate) fn random(accesses: usize, count: u64, seed: u64) -> Vec<Record> {
    let mut random = Random::new(seed);
    (0..accesses).map(|_| Record::of(random.below(count))).collect()
}
