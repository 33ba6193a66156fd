//! Restored blocks of a state that nobody registered: written again as they are.

use std::sync::Arc;

use alluvium_format::keyed::{BlockRef, Chain, MapLayout};
use alluvium_state::SnapshotError;

use super::frozen::{BlockWriter, FrozenTable};
use crate::base::{FileUsage, IncrementalOptions, StateLayout};
use crate::streams::{BlockError, Kept, Streams};

/// All maps of a state, by the position of their key group in the range of the subtask.
#[derive(Debug, Clone)]
pub(crate) struct RawTable {
    pub(crate) name: String,
    pub(crate) streams: Arc<Streams>,
    pub(crate) kept: Arc<Kept>,
    /// Their blocks name streams of the restore.
    pub(crate) maps: StateLayout,
}

impl RawTable {
    /// Copies blocks from the streams of the restore, and keeps them: once a self-contained
    /// checkpoint is complete, their files may go.
    fn copy(
        &self,
        blocks: &[BlockRef],
        out: &mut BlockWriter<'_, '_>,
    ) -> Result<Vec<BlockRef>, SnapshotError> {
        let mut copied = Vec::with_capacity(blocks.len());
        for block in blocks {
            let bytes =
                self.streams.keep(block, &self.kept).map_err(BlockError::into_snapshot_error)?;
            copied.push(out.writer.block(block.is_delta, block.records, &bytes)?);
        }
        Ok(copied)
    }

    /// The blocks of the base where they may be referred to, else a copy of the restored ones.
    fn blocks(
        &self,
        restored: &[BlockRef],
        base: Option<&[BlockRef]>,
        out: &mut BlockWriter<'_, '_>,
    ) -> Result<Vec<BlockRef>, SnapshotError> {
        let base = base.filter(|blocks| out.usage.is_some_and(|usage| usage.may_refer(*blocks)));
        match base {
            Some(blocks) => out.refer(blocks),
            None => self.copy(restored, out),
        }
    }
}

impl FrozenTable for RawTable {
    fn plan(&self, group: usize, usage: &mut FileUsage<'_>, _: IncrementalOptions) {
        match usage.base().map(&self.name, group) {
            Some(MapLayout::Segmented(chains)) => {
                let blocks = chains.iter().map(|chain| &chain.blocks);
                for blocks in blocks.filter(|blocks| usage.may_refer(*blocks)).collect::<Vec<_>>() {
                    usage.add(blocks);
                }
            }
            Some(MapLayout::Unsegmented(blocks)) if usage.may_refer(blocks) => usage.add(blocks),
            _ => {}
        }
    }

    fn write(
        &mut self,
        group: usize,
        out: &mut BlockWriter<'_, '_>,
    ) -> Result<Option<MapLayout>, SnapshotError> {
        let Some(map) = self.maps.get(&group) else { return Ok(None) };
        let base = out.usage.and_then(|usage| usage.base().map(&self.name, group));
        Ok(Some(match &**map {
            MapLayout::Unsegmented(restored) => {
                let base = match base {
                    Some(MapLayout::Unsegmented(blocks)) => Some(blocks.as_slice()),
                    _ => None,
                };
                MapLayout::Unsegmented(self.blocks(restored, base, out)?)
            }
            MapLayout::Segmented(restored) => {
                let base = match base {
                    Some(MapLayout::Segmented(chains)) if chains.len() == restored.len() => chains,
                    _ => restored.get(..0).unwrap_or_default(),
                };
                let mut chains = Vec::with_capacity(restored.len());
                for (number, chain) in restored.iter().enumerate() {
                    let base = base.get(number).map(|chain| chain.blocks.as_slice());
                    let blocks = self.blocks(&chain.blocks, base, out)?;
                    chains.push(Chain { entry_count: chain.entry_count, blocks });
                }
                MapLayout::Segmented(chains)
            }
        }))
    }
}
