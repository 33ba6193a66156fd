//! A backend as it was at a freeze, and how it becomes a stream.

use alluvium_core::{KeyGroupRange, KeyedStateHandle, SubtaskIndex};
use alluvium_format::codec::Codec;
use alluvium_format::envelope::StreamKind;
use alluvium_format::keyed::{KeyedHeader, KeyedWriter};
use alluvium_state::{FrozenState, SnapshotError, SnapshotTarget, StateKey};

use super::HeapKeyedStateBackend;
use crate::table::FrozenTable;

/// Frozen tables, in the order of the states in the header.
pub(super) struct FrozenBackend {
    header: KeyedHeader,
    subtask: SubtaskIndex,
    key_groups: KeyGroupRange,
    tables: Vec<Box<dyn FrozenTable>>,
}

impl<K: StateKey, C: Codec<K>> HeapKeyedStateBackend<K, C> {
    pub(super) fn freeze_tables(&self) -> Result<Box<dyn FrozenState>, SnapshotError> {
        let mut states = Vec::new();
        let mut tables: Vec<Box<dyn FrozenTable>> = Vec::new();
        for registered in &self.tables {
            states.push(registered.table.meta().clone());
            tables.push(registered.table.freeze()?);
        }
        for restored in self.restored.values() {
            states.push(restored.meta.clone());
            tables.push(Box::new(restored.raw.clone()));
        }
        let header = KeyedHeader {
            uid: self.spec.uid.clone(),
            max_parallelism: self.spec.parallelism.max(),
            assigner: self.spec.assigner.name(),
            key_groups: self.key_groups,
            key: self.spec.key.snapshot(),
            states,
        };
        let (subtask, key_groups) = (self.spec.subtask, self.key_groups);
        Ok(Box::new(FrozenBackend { header, subtask, key_groups, tables }))
    }
}

impl FrozenState for FrozenBackend {
    fn write(
        self: Box<Self>,
        target: &SnapshotTarget,
    ) -> Result<Option<KeyedStateHandle>, SnapshotError> {
        if self.tables.is_empty() {
            return Ok(None);
        }
        let (stream, identity) = target.stream(StreamKind::Keyed, &self.header.uid, self.subtask);
        let mut writer = KeyedWriter::new(stream, &identity, &self.header)?;
        for (position, key_group) in self.key_groups.iter().enumerate() {
            for (state, table) in (0_u16..).zip(&self.tables) {
                table.blocks(position, &mut |segment, count, block| {
                    Ok(writer.block(key_group, state, segment, count, block)?)
                })?;
            }
        }
        let (stream, seal) = writer.finish()?;
        Ok(Some(SnapshotTarget::finish_keyed(stream, seal, self.key_groups, Vec::new())?))
    }
}
