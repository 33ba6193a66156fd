//! Opens the streams of a restore, checks them whole, and keeps the blocks of this subtask.
//!
//! Invariants: every block that is kept was compared with its checksum; a key group comes from one
//! stream only.

use std::collections::BTreeMap;

use alluvium_core::{KeyGroupError, KeyGroupRange, KeyedStateHandle};
use alluvium_format::FormatError;
use alluvium_format::codec::{Codec, Compatibility};
use alluvium_format::keyed::{KeyedReader, StateMeta};
use alluvium_state::{KeyedBackendSpec, RestoreError, StateError, StateKey};
use alluvium_storage::HandleReader;

use crate::table::RawTable;

/// A state of the restored streams, its entries still encoded.
#[derive(Debug, Clone)]
pub(super) struct RestoredState {
    pub(super) meta: StateMeta,
    pub(super) raw: RawTable,
}

pub(super) fn subtask_error(error: &KeyGroupError) -> RestoreError {
    RestoreError::Mismatch {
        stream: "backend".to_owned(),
        what: "subtask",
        expected: "an index below the parallelism".to_owned(),
        found: error.to_string(),
    }
}

/// What a message calls a stream.
fn name_of(handle: &KeyedStateHandle, reader: &HandleReader) -> String {
    match handle.stream.file() {
        Some(path) => format!("{}/{path}", reader.root()),
        None => format!("inlined state of key groups {}", handle.key_groups),
    }
}

/// The states of all handles, cut to the key groups of the subtask.
pub(super) fn read_handles<K: StateKey, C: Codec<K>>(
    spec: &KeyedBackendSpec<K, C>,
    key_groups: KeyGroupRange,
    handles: &[KeyedStateHandle],
    reader: &HandleReader,
) -> Result<BTreeMap<String, RestoredState>, RestoreError> {
    let mut states = BTreeMap::new();
    let mut taken = Vec::new();
    for handle in handles {
        let Some(wanted) = handle.key_groups.intersection(key_groups) else { continue };
        let stream = name_of(handle, reader);
        check_apart(&taken, wanted, &stream)?;
        taken.push(wanted);
        let bytes = reader.open(&handle.stream)?;
        let keyed = KeyedReader::open(bytes).map_err(damaged(&stream))?;
        check_header(spec, handle, &stream, &keyed)?;
        keyed.verify(wanted).map_err(damaged(&stream))?;
        keep_blocks(&stream, &keyed, key_groups, wanted, &mut states)?;
    }
    Ok(states)
}

/// The key groups of a stream must not be those of another one.
fn check_apart(
    taken: &[KeyGroupRange],
    wanted: KeyGroupRange,
    stream: &str,
) -> Result<(), RestoreError> {
    let Some(overlap) = taken.iter().find_map(|other| other.intersection(wanted)) else {
        return Ok(());
    };
    Err(RestoreError::Mismatch {
        stream: stream.to_owned(),
        what: "key groups",
        expected: format!("none of {overlap}, which another stream has,"),
        found: wanted.to_string(),
    })
}

fn damaged(stream: &str) -> impl Fn(FormatError) -> RestoreError + '_ {
    move |source| RestoreError::Damaged { stream: stream.to_owned(), source }
}

/// The stream must be of this operator and job, and say the same as its handle.
fn check_header<K: StateKey, C: Codec<K>>(
    spec: &KeyedBackendSpec<K, C>,
    handle: &KeyedStateHandle,
    stream: &str,
    keyed: &KeyedReader,
) -> Result<(), RestoreError> {
    let header = keyed.header();
    let max = spec.parallelism.max();
    let same = [
        ("operator", spec.uid.to_string(), header.uid.to_string()),
        ("max parallelism", max.to_string(), header.max_parallelism.to_string()),
        ("key-group assigner", spec.assigner.name().to_string(), header.assigner.to_string()),
        ("key-group range", handle.key_groups.to_string(), header.key_groups.to_string()),
    ];
    for (what, expected, found) in same {
        if expected != found {
            let stream = stream.to_owned();
            return Err(RestoreError::Mismatch { stream, what, expected, found });
        }
    }
    // A key decides its key group, so it can never be migrated.
    if matches!(spec.key.resolve(&header.key), Compatibility::AsIs) {
        return Ok(());
    }
    let (stored, current) = (Box::new(header.key.clone()), Box::new(spec.key.snapshot()));
    let state = spec.uid.to_string();
    Err(StateError::IncompatibleSchema { state, part: "key", stored, current }.into())
}

fn keep_blocks(
    stream: &str,
    keyed: &KeyedReader,
    key_groups: KeyGroupRange,
    wanted: KeyGroupRange,
    states: &mut BTreeMap<String, RestoredState>,
) -> Result<(), RestoreError> {
    let count = usize::from(key_groups.count());
    for meta in &keyed.header().states {
        let known = states.entry(meta.name.clone()).or_insert_with(|| RestoredState {
            meta: meta.clone(),
            raw: RawTable { groups: vec![Vec::new(); count] },
        });
        if known.meta != *meta {
            let describe =
                |meta: &StateMeta| format!("{} of {} ({})", meta.kind, meta.value, meta.namespace);
            return Err(RestoreError::Mismatch {
                stream: stream.to_owned(),
                what: "type of a state",
                expected: describe(&known.meta),
                found: describe(meta),
            });
        }
    }
    for block in keyed.blocks_of(wanted) {
        let entries = keyed.entries(block).map_err(damaged(stream))?;
        let meta = keyed.header().states.get(usize::from(block.state));
        let groups = meta.and_then(|meta| states.get_mut(&meta.name));
        let group = groups
            .and_then(|state| state.raw.groups.get_mut(key_groups.index_of(block.key_group)?));
        // The index was checked: a block has a known state and a key group of the stream.
        if let Some(group) = group {
            group.push((block.entry_count, entries));
        }
    }
    Ok(())
}
