//! A table as it was at a freeze, handing out blocks by key group.

use std::sync::Arc;

use alluvium_format::CodecError;
use alluvium_state::{SnapshotError, StateKey, StateValue};
use bytes::Bytes;

use super::EntryCodec;
use crate::map::{CopyOnWriteSnapshot, NestedStateMap, StateMap};

/// Encoded size at which the synchronous snapshot begins another block.
const BLOCK_LEN_BYTES: usize = 64 * 1024;

/// Receives a block: its segment, its number of entries, its bytes.
pub(crate) type BlockSink<'a> = dyn FnMut(u32, u32, &[u8]) -> Result<(), SnapshotError> + 'a;

/// A frozen table.
pub(crate) trait FrozenTable: Send {
    /// Hands out the blocks of a key group, given by its position in the backend's range.
    fn blocks(&self, group: usize, sink: &mut BlockSink<'_>) -> Result<(), SnapshotError>;
}

fn encode_error(state: &str) -> impl Fn(CodecError) -> SnapshotError + '_ {
    move |source| SnapshotError::Encode { state: state.to_owned(), source }
}

fn count_of(entries: usize) -> Result<u32, CodecError> {
    let (what, found) = ("number of entries of a segment", entries as u64);
    let limit = u64::from(u32::MAX);
    u32::try_from(entries).map_err(|_| CodecError::TooLarge { what, found, limit })
}

/// Shares its segments with the table and encodes them when they are asked for.
pub(super) struct SharedTable<K, N, S> {
    name: String,
    codec: Arc<dyn EntryCodec<K, N, S>>,
    maps: Vec<CopyOnWriteSnapshot<K, N, S>>,
}

impl<K, N, S> SharedTable<K, N, S> {
    pub(super) fn new(
        name: String,
        codec: Arc<dyn EntryCodec<K, N, S>>,
        maps: Vec<CopyOnWriteSnapshot<K, N, S>>,
    ) -> Self {
        Self { name, codec, maps }
    }
}

impl<K: StateKey, N: StateKey, S: StateValue> FrozenTable for SharedTable<K, N, S> {
    fn blocks(&self, group: usize, sink: &mut BlockSink<'_>) -> Result<(), SnapshotError> {
        let Some(map) = self.maps.get(group) else { return Ok(()) };
        let mut block = Vec::new();
        for (number, segment) in (0..).zip(map.segments()) {
            if segment.is_empty() {
                continue;
            }
            block.clear();
            self.codec.encode_segment(segment, &mut block).map_err(encode_error(&self.name))?;
            let count = count_of(segment.len()).map_err(encode_error(&self.name))?;
            sink(number, count, &block)?;
        }
        Ok(())
    }
}

/// Blocks that were encoded at the freeze, by key group.
pub(super) struct EncodedTable {
    groups: Vec<Vec<(u32, Bytes)>>,
}

impl EncodedTable {
    pub(super) fn encode<K: StateKey, N: StateKey, S: StateValue>(
        name: &str,
        codec: &dyn EntryCodec<K, N, S>,
        maps: &[NestedStateMap<K, N, S>],
    ) -> Result<Self, SnapshotError> {
        let groups = maps.iter().map(|map| encode_map(codec, map)).collect::<Result<_, _>>();
        groups.map(|groups| Self { groups }).map_err(encode_error(name))
    }
}

fn encode_map<K: StateKey, N: StateKey, S: StateValue>(
    codec: &dyn EntryCodec<K, N, S>,
    map: &NestedStateMap<K, N, S>,
) -> Result<Vec<(u32, Bytes)>, CodecError> {
    let (mut blocks, mut block, mut count) = (Vec::new(), Vec::new(), 0);
    let mut result = Ok(());
    map.for_each(|key, namespace, state| {
        if result.is_err() {
            return;
        }
        result = codec.encode_entry(key, namespace, state, &mut block);
        count += 1;
        if block.len() >= BLOCK_LEN_BYTES {
            blocks.push((count, Bytes::from(std::mem::take(&mut block))));
            count = 0;
        }
    });
    result?;
    if count > 0 {
        blocks.push((count, Bytes::from(block)));
    }
    Ok(blocks)
}

impl FrozenTable for EncodedTable {
    fn blocks(&self, group: usize, sink: &mut BlockSink<'_>) -> Result<(), SnapshotError> {
        let blocks = self.groups.get(group).into_iter().flatten();
        (0..).zip(blocks).try_for_each(|(number, (count, block))| sink(number, *count, block))
    }
}

/// Restored blocks of a state that nobody registered: number of entries and bytes, by key group.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawTable {
    pub(crate) groups: Vec<Vec<(u32, Bytes)>>,
}

impl FrozenTable for RawTable {
    fn blocks(&self, group: usize, sink: &mut BlockSink<'_>) -> Result<(), SnapshotError> {
        let blocks = self.groups.get(group).into_iter().flatten();
        (0..).zip(blocks).try_for_each(|(number, (count, block))| sink(number, *count, block))
    }
}
