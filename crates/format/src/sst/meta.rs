//! What an index says about one SST.
//!
//! Fields in order: file number, level, smallest and largest sequence number, entries, checksum,
//! smallest and largest key.

use std::cmp::Reverse;

use alluvium_core::{KeyGroup, KeyGroupRange, MaxParallelism};

use crate::codec::Input;
use crate::refusal::Refusal;
use crate::wire::put_varint;

/// Deepest level of an SST: RocksDB has seven, from 0.
pub const MAX_LEVEL: u8 = 6;
/// Largest sequence number of a row: RocksDB keeps 56 bits.
pub const MAX_SEQUENCE_NUMBER: u64 = (1 << 56) - 1;
/// Up to this max parallelism the key group of a row key takes one byte.
const ONE_BYTE_UP_TO: u16 = 128;

/// One SST, but for the file that it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SstMeta {
    /// The level at which RocksDB had it.
    pub level: u8,
    /// Smallest sequence number of its entries.
    pub smallest_seqno: u64,
    /// Largest sequence number of its entries.
    pub largest_seqno: u64,
    /// How many entries it has; 0 when that is not known.
    pub entry_count: u64,
    /// CRC32 of the whole file.
    pub checksum: u32,
    /// Smallest row key in it.
    pub smallest_key: Vec<u8>,
    /// Largest row key in it.
    pub largest_key: Vec<u8>,
}

impl SstMeta {
    /// Whether it may hold rows of some key groups: those of a job with this max parallelism.
    ///
    /// Source: SPEC 12.6.
    pub fn may_hold(&self, key_groups: KeyGroupRange, max: MaxParallelism) -> bool {
        let len_bytes = if max.get() <= ONE_BYTE_UP_TO { 1 } else { 2 };
        let prefix = |group: KeyGroup| group.get().to_be_bytes().into_iter().skip(2 - len_bytes);
        // All rows of the last key group begin with its prefix, so nothing behind it counts.
        let smallest = self.smallest_key.iter().copied().take(len_bytes);
        let largest = self.largest_key.iter().copied();
        smallest.le(prefix(key_groups.last())) && largest.ge(prefix(key_groups.first()))
    }

    /// The rule that this SST breaks, whoever made it.
    pub(super) fn broken_rule(&self) -> Option<&'static str> {
        if self.level > MAX_LEVEL {
            Some("an sst has a level above 6")
        } else if self.smallest_seqno > self.largest_seqno {
            Some("the smallest sequence number of an sst is above its largest")
        } else if self.largest_seqno > MAX_SEQUENCE_NUMBER {
            Some("an sst has a sequence number above 2^56 - 1")
        } else if self.smallest_key > self.largest_key {
            Some("the smallest key of an sst is above its largest")
        } else {
            None
        }
    }

    /// The rule that two SSTs break that follow each other in the list of a state.
    pub(super) fn broken_order(&self, next: &Self) -> Option<&'static str> {
        if self.level > next.level {
            Some("ssts are not in the order of levels")
        } else if self.level == next.level && next.level > 0 && self.largest_key > next.smallest_key
        {
            Some("ssts of one level overlap or are not in the order of keys")
        } else {
            None
        }
    }

    /// The place in the list of a state: by level; in level 0 the newest first, in others by keys
    /// and then the newest first.
    pub(super) fn order(&self) -> impl Ord + '_ {
        let keys = (self.level > 0).then_some((&self.smallest_key, &self.largest_key));
        (self.level, keys, Reverse((self.largest_seqno, self.smallest_seqno)))
    }

    pub(super) fn encode(&self, file: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(&file.to_le_bytes());
        out.push(self.level);
        for number in [self.smallest_seqno, self.largest_seqno, self.entry_count] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.checksum.to_le_bytes());
        for key in [&self.smallest_key, &self.largest_key] {
            put_varint(key.len() as u64, out);
            out.extend_from_slice(key);
        }
    }

    /// Reads the file number and what follows it.
    pub(super) fn decode(input: &mut Input<'_>) -> Result<(u16, Self), Refusal> {
        let file = input.u16("file number of an sst")?;
        let meta = Self {
            level: input.u8("level of an sst")?,
            smallest_seqno: input.u64("smallest sequence number")?,
            largest_seqno: input.u64("largest sequence number")?,
            entry_count: input.u64("number of entries")?,
            checksum: input.u32("checksum of an sst")?,
            smallest_key: input.framed("smallest key")?.to_vec(),
            largest_key: input.framed("largest key")?.to_vec(),
        };
        match meta.broken_rule() {
            Some(rule) => Err(Refusal::Rule(rule.to_owned())),
            None => Ok((file, meta)),
        }
    }
}
