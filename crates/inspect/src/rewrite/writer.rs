//! Writes one keyed stream of unsegmented maps, entry by entry.
//!
//! Invariants: entries come in the order of key group, state; a block and an entry are held at a time.

use alluvium_core::{KeyGroup, KeyGroupRange, KeyedStateHandle, OperatorUid, SubtaskIndex};
use alluvium_format::FormatError;
use alluvium_format::keyed::{
    BlockRef, HashSeedRun, KeyedHeader, KeyedWriter, MapEntry, MapLayout,
};
use alluvium_state::{KeyedPlacement, SnapshotTarget};
use alluvium_storage::CheckpointStream;

use crate::InspectError;

/// Encoded size at which another block begins.
const BLOCK_LEN_BYTES: usize = 64 * 1024;

/// A stream being written.
pub(super) struct MapsWriter {
    writer: KeyedWriter<CheckpointStream>,
    key_groups: KeyGroupRange,
    /// Key group and state of the map at hand.
    at: Option<(KeyGroup, u16)>,
    blocks: Vec<BlockRef>,
    block: Vec<u8>,
    records: u32,
    /// Entries that were written.
    pub(super) entries: u64,
}

fn failed(source: FormatError) -> InspectError {
    InspectError::Encode { what: "keyed state", source }
}

impl MapsWriter {
    /// Begins the stream of a subtask. `like` says what the stream is of, but for its scope.
    pub(super) fn new(
        target: &SnapshotTarget,
        (uid, subtask): (&OperatorUid, SubtaskIndex),
        key_groups: KeyGroupRange,
        like: &KeyedHeader,
    ) -> Result<Self, InspectError> {
        // The maps have no segments, so no seed is ever used.
        let seeds = vec![HashSeedRun { last: key_groups.last(), seed: 0 }];
        let header =
            KeyedHeader { uid: uid.clone(), key_groups, hash_seeds: seeds, ..like.clone() };
        let (stream, identity) = target.keyed_stream(uid, subtask, KeyedPlacement::Exclusive);
        let writer = KeyedWriter::new(stream, &identity, &header).map_err(failed)?;
        let (blocks, block) = (Vec::new(), Vec::new());
        Ok(Self { writer, key_groups, at: None, blocks, block, records: 0, entries: 0 })
    }

    /// Whether a key group is one of the subtask.
    pub(super) const fn holds(&self, key_group: KeyGroup) -> bool {
        self.key_groups.contains(key_group)
    }

    /// Adds an entry: key and namespace, and value.
    pub(super) fn put(
        &mut self,
        at: (KeyGroup, u16),
        pair: &[u8],
        value: &[u8],
    ) -> Result<(), InspectError> {
        if self.at != Some(at) {
            self.end_map()?;
            self.at = Some(at);
        }
        self.block.extend_from_slice(pair);
        self.block.extend_from_slice(value);
        self.records += 1;
        self.entries += 1;
        if self.block.len() >= BLOCK_LEN_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), InspectError> {
        if self.records > 0 {
            self.blocks.push(self.writer.block(false, self.records, &self.block).map_err(failed)?);
            self.block.clear();
            self.records = 0;
        }
        Ok(())
    }

    fn end_map(&mut self) -> Result<(), InspectError> {
        self.end_block()?;
        let blocks = std::mem::take(&mut self.blocks);
        match self.at.take() {
            Some((key_group, state)) if !blocks.is_empty() => {
                let layout = MapLayout::Unsegmented(blocks);
                self.writer.map(MapEntry { key_group, state, layout }).map_err(failed)
            }
            _ => Ok(()),
        }
    }

    /// Ends the stream.
    pub(super) fn finish(mut self) -> Result<KeyedStateHandle, InspectError> {
        self.end_map()?;
        let finished = self.writer.finish().map_err(failed)?;
        let (stream, seal, shared) = (finished.out, finished.seal, finished.shared);
        Ok(SnapshotTarget::finish_keyed(stream, seal, self.key_groups, shared)?)
    }
}
