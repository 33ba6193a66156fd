//! A backend as it was at a freeze, and how it becomes a stream.

use std::sync::Arc;

use alluvium_core::{KeyGroupRange, KeyedStateHandle, SharedFile, SubtaskIndex};
use alluvium_format::codec::Codec;
use alluvium_format::keyed::{HashSeedRun, KeyedHeader, KeyedWriter, MapEntry, MapLayout};
use alluvium_state::{FrozenState, KeyedPlacement, SnapshotError, SnapshotTarget, StateKey};

use super::HeapKeyedStateBackend;
use crate::base::{Base, FileUsage, IncrementalOptions};
use crate::moment::Epoch;
use crate::sync::OnceLock;
use crate::table::{BlockWriter, FrozenTable};

/// Where a written snapshot leaves what later ones may refer to. It stays empty when nothing may
/// be referred to, or nothing was written.
pub(super) type Written = Arc<OnceLock<Arc<Base>>>;

/// Frozen tables, in the order of the states in the header.
pub(super) struct FrozenBackend {
    header: KeyedHeader,
    subtask: SubtaskIndex,
    key_groups: KeyGroupRange,
    tables: Vec<Box<dyn FrozenTable>>,
    epoch: Epoch,
    base: Option<Arc<Base>>,
    options: IncrementalOptions,
    written: Written,
}

impl<K: StateKey, C: Codec<K>> HeapKeyedStateBackend<K, C> {
    pub(super) fn freeze_tables(&self, written: Written) -> Result<FrozenBackend, SnapshotError> {
        let mut states = Vec::new();
        let mut tables: Vec<Box<dyn FrozenTable>> = Vec::new();
        for registered in &self.tables {
            states.push(registered.table().meta().clone());
            tables.push(registered.table().freeze(&self.hashers)?);
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
            hash_seeds: self.seed_runs(),
            states,
        };
        let (subtask, key_groups) = (self.spec.subtask, self.key_groups);
        let (epoch, base, options) = (self.moment.now, self.base.clone(), self.incremental);
        Ok(FrozenBackend { header, subtask, key_groups, tables, epoch, base, options, written })
    }

    /// The seeds of the key groups, as runs of equal ones.
    fn seed_runs(&self) -> Vec<HashSeedRun> {
        let mut runs: Vec<HashSeedRun> = Vec::new();
        for (key_group, hasher) in self.key_groups.iter().zip(self.hashers.iter()) {
            match runs.last_mut().filter(|run| run.seed == hasher.seed()) {
                Some(run) => run.last = key_group,
                None => runs.push(HashSeedRun { last: key_group, seed: hasher.seed() }),
            }
        }
        runs
    }
}

impl FrozenState for FrozenBackend {
    fn write(
        mut self: Box<Self>,
        target: &SnapshotTarget,
    ) -> Result<Option<KeyedStateHandle>, SnapshotError> {
        if self.tables.is_empty() {
            return Ok(None);
        }
        if !target.is_incremental() {
            let (handle, _) = self.write_stream(target, KeyedPlacement::Exclusive, None)?;
            return Ok(Some(handle));
        }
        let base = self.base.clone().filter(|_| target.refers_to_earlier()).unwrap_or_default();
        let mut usage = FileUsage::new(&base);
        for group in 0..usize::from(self.key_groups.count()) {
            for table in &self.tables {
                table.plan(group, &mut usage, self.options);
            }
        }
        usage.evict(self.options);
        let refers = usage.refers();
        let placement = if refers { KeyedPlacement::SharedFile } else { KeyedPlacement::Shared };
        let (handle, maps) = self.write_stream(target, placement, Some(&usage))?;
        self.remember(&handle, maps);
        Ok(Some(handle))
    }
}

impl FrozenBackend {
    fn write_stream(
        &mut self,
        target: &SnapshotTarget,
        placement: KeyedPlacement,
        usage: Option<&FileUsage<'_>>,
    ) -> Result<(KeyedStateHandle, Vec<(usize, MapEntry)>), SnapshotError> {
        let (stream, identity) = target.keyed_stream(&self.header.uid, self.subtask, placement);
        let mut writer = KeyedWriter::new(stream, &identity, &self.header)?;
        let mut maps = Vec::new();
        let options = self.options;
        let mut out = BlockWriter { writer: &mut writer, usage, options, scratch: Vec::new() };
        for (group, key_group) in self.key_groups.iter().enumerate() {
            for (state, table) in (0_u16..).zip(&mut self.tables) {
                let Some(layout) = table.write(group, &mut out)? else { continue };
                let entry = MapEntry { key_group, state, layout };
                if usage.is_some() {
                    maps.push((group, entry.clone()));
                }
                out.writer.map(entry)?;
            }
        }
        let finished = writer.finish()?;
        let (stream, seal, shared) = (finished.out, finished.seal, finished.shared);
        let handle = SnapshotTarget::finish_keyed(stream, seal, self.key_groups, shared)?;
        Ok((handle, maps))
    }

    /// Leaves what was written for later snapshots, unless it is inlined in the metadata.
    fn remember(&self, handle: &KeyedStateHandle, maps: Vec<(usize, MapEntry)>) {
        let Some(path) = handle.stream.file() else { return };
        let (path, len_bytes, seal) = (path.clone(), handle.stream.len_bytes, handle.stream.seal);
        let shared = handle.shared.iter().cloned();
        let files = shared.chain([SharedFile { path, len_bytes, seal }]).map(Some).collect();
        let Ok(own) = u16::try_from(handle.shared.len() + 1) else { return };
        let mut base = Base { epoch: self.epoch, files, ..Base::default() };
        for (group, mut entry) in maps {
            match &mut entry.layout {
                MapLayout::Segmented(chains) => {
                    let blocks = chains.iter_mut().flat_map(|chain| &mut chain.blocks);
                    blocks.filter(|block| block.file == 0).for_each(|block| block.file = own);
                }
                MapLayout::Unsegmented(blocks) => {
                    let own_blocks = blocks.iter_mut().filter(|block| block.file == 0);
                    own_blocks.for_each(|block| block.file = own);
                }
            }
            let Some(meta) = self.header.states.get(usize::from(entry.state)) else { continue };
            let layout = base.states.entry(meta.name.clone()).or_default();
            layout.insert(group, Arc::new(entry.layout));
        }
        // Nobody else writes this snapshot.
        let _ = self.written.set(Arc::new(base));
    }
}
