//! From the blocks of a restored map to entries.
//!
//! Invariants: a block's checksum is compared before its first record is used; every key lies in
//! the key group of its block, and in the segment that its hash belongs to where the partition of
//! the stream is used.

use std::fmt;
use std::sync::Arc;

use alluvium_core::{KeyGroup, KeyGroupAssigner, MaxParallelism};
use alluvium_format::CodecError;
use alluvium_format::keyed::{BlockRef, Chain};
use alluvium_state::StateError;
use hashbrown::HashTable;

use super::codec::{EncodedBlock, EntryReader};
use crate::TableHasher;
use crate::segment::SegmentSource;
use crate::segmented::Partition;
use crate::slot::Slot;
use crate::streams::{Kept, Streams};

/// What every entry of a map must obey.
#[derive(Debug, Clone)]
pub(crate) struct LoadRules<K> {
    pub(crate) hasher: TableHasher,
    pub(crate) key_group: KeyGroup,
    pub(crate) assigner: KeyGroupAssigner<K>,
    pub(crate) max_parallelism: MaxParallelism,
    /// How the map is parted in segments.
    pub(crate) partition: Partition,
}

impl<K> LoadRules<K> {
    #[inline]
    pub(super) fn check_key_group(&self, key: &K, encoded: &[u8]) -> Result<(), Refusal> {
        let found = self.assigner.assign(key, encoded, self.max_parallelism);
        if found == self.key_group { Ok(()) } else { Err(Refusal::Misplaced(found)) }
    }

    #[inline]
    pub(super) fn check_segment(&self, hash: u64, segment: Option<usize>) -> Result<(), Refusal> {
        match segment {
            Some(segment) if self.partition.segment_of(hash) != segment => Err(Refusal::Segment),
            _ => Ok(()),
        }
    }
}

/// Why an entry is refused, before the state is named.
#[derive(Debug)]
pub(crate) enum Refusal {
    Codec(CodecError),
    Misplaced(KeyGroup),
    /// The hash of this process parts the map otherwise.
    Segment,
    /// Boxed: it names everything already.
    State(Box<StateError>),
}

impl From<CodecError> for Refusal {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::State(Box::new(error))
    }
}

impl Refusal {
    pub(crate) fn into_error(self, state: &str, expected: KeyGroup) -> StateError {
        let state = state.to_owned();
        match self {
            Self::Codec(source) => StateError::Decode { state, source },
            Self::Misplaced(found) => StateError::MisplacedKey { state, expected, found },
            Self::Segment => {
                let reason = "a key lies in a segment that its hash does not belong to";
                let source = CodecError::Invalid { what: "block", offset: 0, reason };
                StateError::Decode { state, source }
            }
            Self::State(error) => *error,
        }
    }
}

/// A restored map of one key group, still encoded.
pub(crate) struct StreamedMap<E: Slot> {
    pub(crate) state: Arc<str>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) kept: Arc<Kept>,
    pub(crate) chains: Vec<Chain>,
    pub(crate) reader: Arc<dyn EntryReader<E>>,
    pub(crate) rules: LoadRules<E::Key>,
    /// Whether the segments of the stream are those of this process.
    pub(crate) is_parted: bool,
}

impl<E: Slot> fmt::Debug for StreamedMap<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamedMap({:?} of key group {})", self.state, self.rules.key_group)
    }
}

impl<E: Slot> StreamedMap<E> {
    /// The entries of a segment.
    pub(crate) fn load_segment(&self, number: usize) -> Result<HashTable<E>, Refusal> {
        let mut table = HashTable::new();
        let Some(chain) = self.chains.get(number) else { return Ok(table) };
        for block in &chain.blocks {
            self.apply(block, self.is_parted.then_some(number), &mut table)?;
        }
        if table.len() as u64 == u64::from(chain.entry_count) {
            return Ok(table);
        }
        let reason = "the blocks give another number of entries than the index says";
        Err(CodecError::Invalid { what: "segment", offset: 0, reason }.into())
    }

    fn apply(
        &self,
        block: &BlockRef,
        segment: Option<usize>,
        table: &mut HashTable<E>,
    ) -> Result<(), Refusal> {
        let bytes = self
            .streams
            .block(block, &self.kept)
            .map_err(|error| error.into_state_error(&self.state))?;
        let BlockRef { is_delta, records, .. } = *block;
        let block = EncodedBlock { is_delta, records, bytes: &bytes, segment };
        self.reader.apply(block, table, &self.rules)
    }

    pub(crate) fn named(&self, refusal: Refusal) -> StateError {
        refusal.into_error(&self.state, self.rules.key_group)
    }
}

impl<E: Slot> SegmentSource<E> for StreamedMap<E>
where
    E::Key: Send + Sync,
{
    fn load(&self, number: usize) -> Result<HashTable<E>, StateError> {
        self.load_segment(number).map_err(|refusal| self.named(refusal))
    }
}
