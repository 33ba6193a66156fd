//! From rows to a keyed stream (SPEC 6) and back.
//!
//! A stream of this backend has one block for each state in each key group, in no order of hashes.
//! It reads what any backend writes in blocks, with chains of delta blocks in several files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::{KeyGroup, KeyGroupRange, KeyedStateHandle, SubtaskIndex};
use alluvium_format::CodecError;
use alluvium_format::codec::Codec;
use alluvium_format::keyed::{
    Finished, HashSeedRun, KeyedHeader, KeyedWriter, MapEntry, MapLayout,
};
use alluvium_state::{
    FrozenState, KeyedBackendSpec, KeyedPlacement, KeyedStreams, RestoreError, RestoredEntries,
    SnapshotError, SnapshotTarget, StateError, StateKey,
};
use alluvium_storage::HandleReader;

use super::row::{Row, Rows};
use super::slips::{Slips, written_rows};
use super::table::Stored;
use crate::mistake::Mistake;

/// A backend as it was at a freeze.
pub(super) struct FrozenModel {
    /// Everything but the states.
    header: KeyedHeader,
    subtask: SubtaskIndex,
    states: Arc<Mutex<Vec<Stored>>>,
    mistake: Option<Mistake>,
}

impl FrozenModel {
    pub(super) fn new<K: StateKey, C: Codec<K>>(
        spec: &KeyedBackendSpec<K, C>,
        key_groups: KeyGroupRange,
        states: Arc<Mutex<Vec<Stored>>>,
        mistake: Option<Mistake>,
    ) -> Self {
        let header = KeyedHeader {
            uid: spec.uid.clone(),
            max_parallelism: spec.parallelism.max(),
            assigner: spec.assigner.name(),
            key_groups,
            key: spec.key.snapshot(),
            hash_seeds: vec![HashSeedRun { last: key_groups.last(), seed: spec.hash_seed }],
            states: Vec::new(),
        };
        Self { header, subtask: spec.subtask, states, mistake }
    }
}

impl FrozenState for FrozenModel {
    fn write(
        self: Box<Self>,
        target: &SnapshotTarget,
    ) -> Result<Option<KeyedStateHandle>, SnapshotError> {
        let Self { mut header, subtask, states, mistake } = *self;
        let states = states.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if states.is_empty() && mistake != Some(Mistake::HandleOfNothing) {
            return Ok(None);
        }
        header.states = states.iter().map(|state| state.meta.clone()).collect();
        // The maps of a stream are in the order of key group, state.
        let mut maps = BTreeMap::<(KeyGroup, u16), (u32, Vec<u8>)>::new();
        for (number, state) in (0_u16..).zip(&states) {
            let failed = |source| SnapshotError::Encode { state: state.meta.name.clone(), source };
            let rows = written_rows(state, mistake);
            for (row, value) in rows.iter() {
                let (records, block) = maps.entry((row.key_group, number)).or_default();
                *records += 1;
                row.put_pair(block).map_err(failed)?;
                block.extend_from_slice(value);
            }
        }
        // A stream that is dropped before its end leaves no file.
        let placement = KeyedPlacement::Exclusive;
        let (stream, identity) = target.keyed_stream(&header.uid, subtask, placement);
        let mut writer = KeyedWriter::new(stream, &identity, &header)?;
        for ((key_group, state), (records, block)) in maps {
            let layout = MapLayout::Unsegmented(vec![writer.block(false, records, &block)?]);
            writer.map(MapEntry { key_group, state, layout })?;
        }
        let Finished { out, seal, shared } = writer.finish()?;
        Ok(Some(SnapshotTarget::finish_keyed(out, seal, header.key_groups, shared)?))
    }
}

/// The key groups of the subtask, and what the handles hold of them, by the name of the state.
pub(super) fn restore<K: StateKey, C: Codec<K>>(
    spec: &KeyedBackendSpec<K, C>,
    handles: &[KeyedStateHandle],
    reader: &HandleReader,
    slips: &Slips,
) -> Result<(KeyGroupRange, BTreeMap<String, Stored>), RestoreError> {
    let streams = match KeyedStreams::open(spec, handles, reader) {
        Err(RestoreError::Storage(_)) if slips.makes(Mistake::MissingFileIsEmpty) => {
            KeyedStreams::open(spec, &[], reader)?
        }
        opened => opened?,
    };
    let mut restored: BTreeMap<String, Rows> = BTreeMap::new();
    for stream in &streams.streams {
        let mut entries = RestoredEntries::new(spec, stream, reader)?;
        let maps = slips.maps(stream, entries.maps().collect());
        for (meta, map) in maps {
            let rows = restored.entry(meta.name.clone()).or_default();
            let refused = |source| StateError::Decode { state: meta.name.clone(), source };
            let any_domain = slips.makes(Mistake::UnknownDomainAccepted);
            let visited = entries.visit(map, |entry| {
                let row = Row::of_entry(meta.kind, map.key_group, &entry, any_domain);
                let before = rows.insert(row.map_err(refused)?, entry.value().to_vec());
                if before.is_some() {
                    let (what, reason) = ("map", "a key comes twice");
                    return Err(refused(CodecError::Invalid { what, offset: 0, reason }).into());
                }
                Ok(())
            });
            if !slips.makes(Mistake::DamageIsEmpty) {
                visited?;
            }
        }
    }
    let KeyedStreams { key_groups, states, .. } = streams;
    let stored = states.into_iter().map(|(name, meta)| {
        let rows = restored.remove(&name).unwrap_or_default();
        (name, Stored { meta, rows: Arc::new(rows) })
    });
    Ok((key_groups, stored.collect()))
}
